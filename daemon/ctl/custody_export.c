/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl custody export`: what a court gets. Reads the state folder itself, like verify. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/custody.h"
#include "ctl/json_out.h"
#include "ctl/number.h"
#include "proof/export.h"

/* "2026-11-25": its first microsecond. */
static bool parse_day(const char *text, size_t length, int64_t *ret_usec) {
        _cleanup_(freep) char *full = length == 10 ? text_format("%.10sT00:00:00.000000Z", text) : NULL;
        return full && utc_from_text(full, ret_usec) >= 0;
}

/* "DAY..DAY", both included. */
static bool parse_days(const char *word, ExportRequest *ret) {
        const char *dots = strstr(word, "..");
        if (!dots || !parse_day(word, (size_t) (dots - word), &ret->from_usec) || !parse_day(dots + 2, strlen(dots + 2), &ret->to_usec))
                return false;
        ret->to_usec += 24 * 3600 * (int64_t) USEC_PER_SEC;
        return ret->from_usec < ret->to_usec;
}

/* "FROM..TO", numbers of events. */
static bool parse_events(const char *word, ExportRequest *ret) {
        const char *dots = strstr(word, "..");
        _cleanup_(freep) char *from = dots ? strndup(word, (size_t) (dots - word)) : NULL;
        return from && number_parse(from, 1, INT64_MAX, &ret->from_seq) >= 0 && number_parse(dots + 2, 1, INT64_MAX, &ret->to_seq) >= 0 &&
               ret->from_seq <= ret->to_seq;
}

static int parse_words(const Options *o, ExportRequest *ret, const char **ret_path) {
        bool camera = o->camera[0];
        if (o->n_args != (camera ? 2u : 3u))
                return ctl_fail(CTL_USAGE, "'custody export' takes CLIP, FROM..TO (events, days) or --camera=SERIAL, and DIR or FILE.tar");
        *ret_path = o->args[camera ? 1 : 2];
        if (camera)
                ret->serial = o->camera;
        else if (number_parse(o->args[1], 1, INT64_MAX, &ret->clip_id) < 0) {
                ret->clip_id = 0;
                if (!parse_days(o->args[1], ret)) {
                        ret->to_usec = 0;
                        if (!parse_events(o->args[1], ret))
                                return ctl_fail(CTL_USAGE, "'%s' is no clip's number, and neither EVENT..EVENT nor 2026-11-01..2026-11-30",
                                                o->args[1]);
                }
        }
        ret->footage = true;
        ret->socket_path = o->no_store ? NULL : o->uplink_socket ? o->uplink_socket : CUSTODY_UPLINK;
        return CTL_OK;
}

static int write_bundle(Proof *p, const ExportRequest *request, const char *path, ExportCounts *counts) {
        ConfError error = { 0 };
        Bundle b;
        int r = bundle_open(path, &b);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be made: %s", path, strerror(-r));
        r = proof_export(p, request, &b, counts, &error);
        bundle_done(&b);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s; %s is not complete", error.text[0] ? error.text : strerror(-r), path);
        return CTL_OK;
}

static void on_found(void *userdata, const char *where, const char *what) {
        (void) userdata;
        (void) where;
        (void) what;
}

/* So that the newest events are covered, too; without a daemon there are none that are newer. */
static void ask_for_checkpoint(const Options *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        if (bus_client_connect(o, &bus) >= 0 && bus_client_has_daemon(bus))
                (void) bus_client_call(bus, DOCK_MANAGER_INTERFACE, "MakeCheckpoint", &reply, "");
}

int custody_export_verb(const Options *options) {
        const ProofOps ops = { .found = on_found };
        ExportRequest request = { 0 };
        ExportCounts counts = { 0 };
        const char *path = NULL;
        ConfError error = { 0 };
        Proof p;
        int exit_code = parse_words(options, &request, &path);
        if (exit_code != CTL_OK)
                return exit_code;
        if (!options->state_dir)
                ask_for_checkpoint(options);
        int r = proof_open(options->state_dir ? options->state_dir : CUSTODY_STATE_DIR, &ops, &p, &error);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r));
        exit_code = write_bundle(&p, &request, path, &counts);
        proof_close(&p);
        if (exit_code != CTL_OK)
                return exit_code;
        if (options->json)
                return json_out(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "schema", JSON_SCHEMA("custody-export"), "path", path,
                                          "events", (json_int_t) counts.events, "checkpoints", (json_int_t) counts.checkpoints, "clips",
                                          (json_int_t) counts.clips, "footage", (json_int_t) counts.footage, "manifests",
                                          (json_int_t) counts.manifests), false);
        printf("%s: %" PRIu64 " events under %" PRIu64 " checkpoints, %" PRIu64 " clips, of which %" PRIu64
               " with their footage and %" PRIu64 " with their manifest\n", path, counts.events, counts.checkpoints, counts.clips,
               counts.footage, counts.manifests);
        return CTL_OK;
}
