/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl custody show CLIP`: the record of one clip, as the daemon gives it. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/custody.h"
#include "ctl/json_out.h"
#include "ctl/log_event.h"
#include "ctl/number.h"
#include "ctl/term.h"

#define PAGE_EVENTS 500u

/* All events about the clip, each as log_event_json() makes it. A CtlExit. */
static int read_events(sd_bus *bus, uint64_t clip_id, json_t *events) {
        uint64_t after = 0, seq;
        for (size_t n = PAGE_EVENTS; n == PAGE_EVENTS;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                int exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListEvents", &reply, "tstu", after, "", clip_id, PAGE_EVENTS);
                if (exit_code != CTL_OK)
                        return exit_code;
                const char *bytes, *hash;
                int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(tss)");
                for (n = 0; r >= 0 && (r = sd_bus_message_read(reply, "(tss)", &seq, &bytes, &hash)) > 0; n++) {
                        if (json_array_append_new(events, log_event_json(seq, bytes, hash)) < 0)
                                return ctl_fail(CTL_FAILURE, "out of memory");
                        after = seq;
                }
                if (r < 0)
                        return bus_client_report(NULL, r);
        }
        return CTL_OK;
}

static const json_t *last_of(const json_t *events, const char *kind) {
        for (size_t i = json_array_size(events); i > 0; i--) {
                const json_t *event = json_object_get(json_array_get(events, i - 1), "event");
                if (text_equal(json_string_value(json_object_get(event, "event")), kind))
                        return event;
        }
        return NULL;
}

static void print_member(const Look *look, const char *label, const json_t *event, const char *member) {
        const json_t *value = json_object_get(event, member);
        if (json_is_string(value)) {
                _cleanup_(freep) char *safe = display_text(json_string_value(value), look);
                printf("%-10s %s\n", label, safe ? safe : "");
        } else if (json_is_integer(value))
                printf("%-10s %" JSON_INTEGER_FORMAT "\n", label, json_integer_value(value));
}

static int print_record(uint64_t clip_id, const json_t *events) {
        const json_t *seen = last_of(events, "clip-seen"), *copied = last_of(events, "copied"), *receipted = last_of(events, "receipted");
        size_t i;
        json_t *e;
        Look look;
        term_look(&look);
        printf("clip       %" PRIu64 "\n", clip_id);
        print_member(&look, "camera", seen, "serial");
        print_member(&look, "path", seen, "path");
        print_member(&look, "bytes", seen, "size_bytes");
        print_member(&look, "sha256", copied, "digest");
        print_member(&look, "object", receipted, "object_key");
        print_member(&look, "manifest", receipted, "manifest_key");
        print_member(&look, "receipt", receipted, "strength");
        putchar('\n');
        json_array_foreach(events, i, e) {
                _cleanup_(freep) char *line = log_event_line((uint64_t) json_integer_value(json_object_get(e, "seq")),
                                                             json_string_value(json_object_get(e, "bytes")), &look);
                if (!line || puts(line) == EOF)
                        return ctl_fail(CTL_FAILURE, "cannot write to standard output");
        }
        return CTL_OK;
}

int custody_show_verb(const Options *options) {
        _cleanup_(json_decrefp) json_t *events = json_array();
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        uint64_t clip_id;
        if (options->n_args != 2 || number_parse(options->args[1], 1, INT64_MAX, &clip_id) < 0)
                return ctl_fail(CTL_USAGE, "'custody show' takes one CLIP, by its number; 'berthctl clips' lists them");
        int exit_code = events ? bus_client_open(options, &bus) : ctl_fail(CTL_FAILURE, "out of memory");
        if (exit_code == CTL_OK)
                exit_code = read_events(bus, clip_id, events);
        if (exit_code != CTL_OK)
                return exit_code;
        if (json_array_size(events) == 0)
                return ctl_fail(CTL_FAILURE, "the dock knows no clip %" PRIu64, clip_id);
        if (!options->json)
                return print_record(clip_id, events);
        return json_out(json_pack("{s:s, s:I, s:O}", "schema", JSON_SCHEMA("custody-show"), "clip_id", (json_int_t) clip_id, "events",
                                  events), false);
}
