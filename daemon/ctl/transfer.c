/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl transfer`: what is on its way to the store, and orders about it. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
#include "ctl/number.h"
#include "ctl/property.h"
#include "ctl/table.h"

#define PAGE_MAX 500u
#define LIST_DEFAULT 100u
/* So often a list is begun anew, when what the next page comes behind was stored meanwhile. */
#define LIST_TRIES 5u

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

static void add_row(Table *table, const void *entry, void *userdata) {
        const Transfer *t = entry;
        (void) userdata;
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

/* Why nothing moves, when that is so. */
static int tell_of_pause(sd_bus *bus) {
        _cleanup_(freep) char *state = NULL, *reason = NULL;
        int paused = 0;
        int r = sd_bus_get_property_trivial(bus, DOCK_BUS_NAME, DOCK_PATH "/transfer", DOCK_TRANSFERS_INTERFACE, "Paused", NULL, 'b',
                                            &paused);
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

/* -ESTALE: begin anew. */
static int read_page(sd_bus *bus, List *l, uint64_t max, size_t *ret_n, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        uint64_t after_id = ((const Transfer *) l->last)->clip_id;
        int r = bus_client_message(bus, DOCK_TRANSFERS_INTERFACE, "ListTransfers", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "tu", after_id, (uint32_t) max);
        if (r >= 0)
                r = bus_client_send(bus, call, 0, error, &reply);
        if (r < 0)
                return after_id > 0 && sd_bus_error_has_name(error, DOCK_BUS_NAME ".Error.TooLate") ? -ESTALE : r;
        return list_read(l, reply, ret_n);
}

static int read_all(const Options *options, sd_bus *bus, const ListKind *kind, List *ret, sd_bus_error *error) {
        int r = list_begin(kind, options->json, NULL, ret);
        uint64_t max = !options->max_given ? LIST_DEFAULT : options->max == 0 ? UINT64_MAX : options->max;
        size_t n = 1;
        while (r >= 0 && n > 0 && ret->n < max)
                r = read_page(bus, ret, MIN2(max - ret->n, PAGE_MAX), &n, error);
        return r;
}

static int list(const Options *options, sd_bus *bus) {
        static const ListKind kind = { properties, ELEMENTSOF(properties), sizeof(Transfer), columns, ELEMENTSOF(columns), add_row };
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(list_done) List list = { 0 };
        int r = read_all(options, bus, &kind, &list, &error), exit_code;
        for (unsigned i = 1; r == -ESTALE && i < LIST_TRIES; i++) {
                sd_bus_error_free(&error);
                list_done(&list);
                list = (List){ 0 };
                r = read_all(options, bus, &kind, &list, &error);
        }
        if (r < 0)
                return bus_client_report(&error, r);
        exit_code = list_print(&list, JSON_SCHEMA("transfer"), "transfers", "Nothing waits for the store.");
        return exit_code == CTL_OK && !options->json && list.n > 0 ? tell_of_pause(bus) : exit_code;
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
        } words[] = { { "list", NULL }, { "pause", "Pause" }, { "resume", "Resume" }, { "now", "SendNow" } };
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
        return wish.clip > 0 ? bus_client_call(bus, DOCK_TRANSFERS_INTERFACE, wish.method, &reply, "t", wish.clip)
                             : bus_client_call(bus, DOCK_TRANSFERS_INTERFACE, wish.method, &reply, "");
}
