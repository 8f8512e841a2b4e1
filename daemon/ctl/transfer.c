/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl transfer`: what is on its way to the store, and orders about it. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/number.h"
#include "ctl/property.h"
#include "ctl/table.h"

#define TRANSFERS_MAX 500u

typedef struct Transfer {
        uint64_t clip_id, size_bytes, stored_bytes, retry_at_usec;
        char *serial, *path, *state, *reason;
        bool urgent;
} Transfer;

static const Property properties[] = {
        PROPERTY(Transfer, "ClipId", "clip_id", UINT64, clip_id),
        PROPERTY(Transfer, "Serial", "serial", STRING, serial),
        PROPERTY(Transfer, "Path", "path", STRING, path),
        PROPERTY(Transfer, "SizeBytes", "size_bytes", UINT64, size_bytes),
        PROPERTY(Transfer, "StoredBytes", "stored_bytes", UINT64, stored_bytes),
        PROPERTY(Transfer, "State", "state", STRING, state),
        PROPERTY(Transfer, "Urgent", "urgent", BOOL, urgent),
        PROPERTY(Transfer, "RetryAtUsec", "retry_at_usec", UINT64, retry_at_usec),
        PROPERTY(Transfer, "Reason", "reason", MAYBE, reason),
};

static const Column columns[] = {
        { .title = "CLIP", .right = true },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "STATE" },
        { .title = "STORED", .right = true },
        { .title = "SIZE", .right = true },
        { .title = "PATH", .min_width = 12, .keep_end = true },
        { .title = "REASON", .min_width = 12, .drop_rank = 1 },
};

/* ---- The list ----------------------------------------------------------------------------------------------------- */

static void add_row(Table *table, const Transfer *t) {
        char stored[16], size[16];

        table_row(table);
        table_cellf(table, STYLE_PLAIN, "%llu", (unsigned long long) t->clip_id);
        table_cell(table, STYLE_PLAIN, t->serial);
        table_cell(table, text_equal(t->state, "uploading") ? STYLE_BUSY : t->urgent ? STYLE_BOLD : STYLE_PLAIN,
                   t->retry_at_usec > 0 ? "failed" : t->urgent && text_equal(t->state, "waiting") ? "next" : t->state);
        table_cell(table, STYLE_PLAIN, text_bytes(t->stored_bytes, stored));
        table_cell(table, STYLE_PLAIN, text_bytes(t->size_bytes, size));
        table_cell(table, STYLE_PLAIN, t->path);
        table_cell(table, STYLE_PLAIN, t->reason ? t->reason : "");
}

/* Reads one entry into the table, or into the JSON array when there is one. */
static int take_entry(sd_bus_message *reply, Table *table, json_t *array) {
        Transfer t = { 0 };
        int r = properties_init(properties, ELEMENTSOF(properties), &t);
        if (r >= 0)
                r = properties_read(properties, ELEMENTSOF(properties), &t, reply);
        if (r >= 0 && array) {
                json_t *entry = json_object();
                if (!entry || properties_to_json(properties, ELEMENTSOF(properties), &t, entry) < 0 ||
                    json_array_append(array, entry) < 0)
                        r = -ENOMEM;
                json_decref(entry);
        } else if (r >= 0)
                add_row(table, &t);
        properties_clear(properties, ELEMENTSOF(properties), &t);
        return r;
}

static int take_all(sd_bus_message *reply, Table *table, json_t *array, size_t *ret_n) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(reply, false)) == 0) {
                r = take_entry(reply, table, array);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

/* Why nothing moves, when that is so. */
static int tell_of_pause(sd_bus *bus) {
        _cleanup_(freep) char *state = NULL, *reason = NULL;
        int paused = 0;
        int r = sd_bus_get_property_trivial(bus, DOCK_BUS_NAME, DOCK_PATH, DOCK_MANAGER_INTERFACE, "UploadsPaused", NULL, 'b', &paused);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (paused) {
                puts("\nUploads are paused; 'berthctl transfer resume' lets them go on.");
                return CTL_OK;
        }
        r = sd_bus_get_property_string(bus, DOCK_BUS_NAME, DOCK_PATH, DOCK_MANAGER_INTERFACE, "StoreState", NULL, &state);
        if (r >= 0)
                r = sd_bus_get_property_string(bus, DOCK_BUS_NAME, DOCK_PATH, DOCK_MANAGER_INTERFACE, "StoreReason", NULL, &reason);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (!text_equal(state, "ready"))
                printf("\nNothing is on its way: the store is %s%s%s.\n", state, *reason ? ": " : "", reason);
        return CTL_OK;
}

static int list(const Options *options, sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        _cleanup_(json_decrefp) json_t *array = options->json ? json_array() : NULL;
        size_t n = 0;
        int exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListTransfers", &reply, "u", (uint32_t) options->max);
        if (exit_code != CTL_OK)
                return exit_code;

        int r = table_new(columns, ELEMENTSOF(columns), &table);
        if (r >= 0 && options->json && !array)
                r = -ENOMEM;
        if (r >= 0)
                r = take_all(reply, table, array, &n);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (options->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("transfer"), "transfers", array), false);
        if (n == 0) {
                puts("Nothing waits for the store.");
                return CTL_OK;
        }
        exit_code = table_print(table);
        return exit_code == CTL_OK ? tell_of_pause(bus) : exit_code;
}

/* ---- The verb ----------------------------------------------------------------------------------------------------- */

typedef struct Wish {
        const char *method; /* NULL: the list */
        uint64_t clip;      /* of SendNow */
} Wish;

/* CTL_OK, or why the words are none. */
static int parse(const Options *options, Wish *ret) {
        static const struct {
                const char *word, *method;
        } words[] = { { "list", NULL }, { "pause", "PauseUploads" }, { "resume", "ResumeUploads" }, { "now", "SendNow" } };
        const char *word = options->n_args > 0 ? options->args[0] : "list";
        bool now = text_equal(word, "now");
        size_t i = 0;
        while (i < ELEMENTSOF(words) && !text_equal(words[i].word, word))
                i++;
        if (i == ELEMENTSOF(words))
                return ctl_fail(CTL_USAGE, "transfer takes list, pause, resume or now, not '%s'", word);
        if (options->n_args > (now ? 2u : 1u))
                return ctl_fail(CTL_USAGE, "transfer %s takes nothing more, so not '%s'", word, options->args[now ? 2 : 1]);
        if (words[i].method && (options->json || options->max_given))
                return ctl_fail(CTL_USAGE, "transfer %s takes no options", word);
        if (options->max_given && (options->max == 0 || options->max > TRANSFERS_MAX))
                return ctl_fail(CTL_USAGE, "--max takes a number from 1 to %u here", TRANSFERS_MAX);
        if (now && (options->n_args != 2 || number_parse(options->args[1], 1, INT64_MAX, &ret->clip) < 0))
                return ctl_fail(CTL_USAGE, "transfer now takes the number of a clip, not '%s'; 'berthctl clips' and 'berthctl transfer' "
                                           "list them", options->n_args > 1 ? options->args[1] : "");
        ret->method = words[i].method;
        return CTL_OK;
}

int verb_transfer(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Wish wish = { 0 };
        int exit_code = parse(options, &wish);
        if (exit_code == CTL_OK)
                exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        if (!wish.method)
                return list(options, bus);
        return wish.clip > 0 ? bus_client_call(bus, DOCK_MANAGER_INTERFACE, wish.method, &reply, "t", wish.clip)
                             : bus_client_call(bus, DOCK_MANAGER_INTERFACE, wish.method, &reply, "");
}
