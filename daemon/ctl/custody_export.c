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
#include "ctl/evidence.h"
#include "ctl/job.h"
#include "ctl/json_out.h"
#include "ctl/number.h"
#include "ctl/uplink_client.h"
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
        ret->socket_path = o->no_store ? NULL : uplink_client_path(o);
        return CTL_OK;
}

/* ---- Clips that lie in the store alone ------------------------------------------------------------------------------- */

typedef struct Fetcher {
        const Options *options;
        const char *dock_id; /* whose evidence it is */
        sd_bus *bus;
        bool asked; /* whether there is a daemon to ask; then `why` is why not, or "" */
        char why[256];
        json_t *missing; /* [{clip_id, why}] */
        ConfError *error; /* of the fetch under way */
} Fetcher;

/* Only the daemon whose evidence this is knows these clips by these numbers. */
static void look_for_daemon(Fetcher *f) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *id = NULL;
        f->asked = true;
        if (bus_client_connect(f->options, &f->bus) < 0 || !bus_client_has_daemon(f->bus))
                (void) snprintf(f->why, sizeof(f->why), "berthd, which has it fetched, does not run");
        else if (sd_bus_get_property_string(f->bus, DOCK_BUS_NAME, DOCK_PATH, DOCK_MANAGER_INTERFACE, "DockId", &error, &id) < 0)
                (void) snprintf(f->why, sizeof(f->why), "berthd does not say which dock it is");
        else if (!text_equal(id, f->dock_id))
                (void) snprintf(f->why, sizeof(f->why), "the daemon that runs here is of another dock");
}

static int fetched(void *userdata, const JobEnd *end) {
        (void) userdata;
        (void) end;
        return CTL_OK;
}

static int not_fetched(void *userdata, const sd_bus_error *error, int r) {
        const char *why = error && error->message ? error->message : strerror(-r);
        Fetcher *f = userdata;
        size_t n = strlen(why);
        /* It becomes the end of another sentence. */
        (void) snprintf(f->error->text, sizeof(f->error->text), "%.*s", (int) (n > 0 && why[n - 1] == '.' ? n - 1 : n), why);
        return CTL_FAILURE;
}

static int fetch(void *userdata, uint64_t clip_id, uint64_t size, int fd, ConfError *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Fetcher *f = userdata;
        (void) size;
        f->error = error;
        if (!f->asked)
                look_for_daemon(f);
        if (f->why[0]) {
                (void) snprintf(error->text, sizeof(error->text), "%s", f->why);
                return -ENOTCONN;
        }
        char what[48];
        (void) snprintf(what, sizeof(what), "clip %" PRIu64 " from the store: ", clip_id);
        int r = bus_client_message(f->bus, DOCK_MANAGER_INTERFACE, "FetchClip", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "th", clip_id, fd);
        if (r < 0) {
                (void) snprintf(error->text, sizeof(error->text), "berthd cannot be asked: %s", strerror(-r));
                return r;
        }
        /* The daemon ends the job when this program goes. */
        const JobOrder order = { .call = call, .what = what, .is_part = true, .tell = fetched, .failed = not_fetched, .userdata = f };
        return job_run(f->options, f->bus, &order) == CTL_OK ? 0 : -EIO;
}

static void on_missing(void *userdata, uint64_t clip_id, const char *why) {
        Fetcher *f = userdata;
        if (!f->options->json)
                fprintf(stderr, "berthctl: clip %" PRIu64 " is not complete in the export: %s\n", clip_id, why);
        (void) json_array_append_new(f->missing, json_pack("{s:I, s:s}", "clip_id", (json_int_t) clip_id, "why", why));
}

/* ---- The verb -------------------------------------------------------------------------------------------------------- */

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

/* So that the newest events are covered, too; without a daemon there are none that are newer. */
static void ask_for_checkpoint(const Options *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        if (bus_client_connect(o, &bus) >= 0 && bus_client_has_daemon(bus))
                (void) bus_client_call(bus, DOCK_MANAGER_INTERFACE, "MakeCheckpoint", &reply, "");
}

static int say(const Options *options, const char *path, const ExportCounts *counts, const Fetcher *f) {
        int exit_code = CTL_OK;
        if (options->json)
                exit_code = json_out(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "schema", JSON_SCHEMA("custody-export"),
                                               "path", path, "events", (json_int_t) counts->events, "checkpoints",
                                               (json_int_t) counts->checkpoints, "clips", (json_int_t) counts->clips, "footage",
                                               (json_int_t) counts->footage, "fetched", (json_int_t) counts->fetched, "manifests",
                                               (json_int_t) counts->manifests, "missing", f->missing), false);
        else
                printf("%s: %" PRIu64 " events under %" PRIu64 " checkpoints, %" PRIu64 " clips, of which %" PRIu64
                       " with their footage (%" PRIu64 " from the store) and %" PRIu64 " with their manifest\n", path, counts->events,
                       counts->checkpoints, counts->clips, counts->footage, counts->fetched, counts->manifests);
        if (exit_code != CTL_OK || counts->incomplete == 0)
                return exit_code;
        return ctl_fail(CTL_INCOMPLETE, "%s verifies, and is not complete: of %" PRIu64 " of its clips something is missing, as is said "
                        "in its index.json", path, counts->incomplete);
}

int custody_export_verb(const Options *options) {
        const ProofOps ops = { 0 };
        ExportRequest request = { 0 };
        ExportCounts counts = { 0 };
        const char *path = NULL;
        Proof p;
        int exit_code = parse_words(options, &request, &path);
        if (exit_code != CTL_OK)
                return exit_code;
        if (!options->state_dir)
                ask_for_checkpoint(options);
        exit_code = evidence_open(options, &ops, &p);
        if (exit_code != CTL_OK)
                return exit_code;
        _cleanup_(json_decrefp) json_t *missing = json_array();
        Fetcher fetcher = { .options = options, .dock_id = p.dock_id, .missing = missing };
        request.fetch = options->no_store ? NULL : fetch;
        request.missing = on_missing;
        request.userdata = &fetcher;
        exit_code = write_bundle(&p, &request, path, &counts);
        proof_close(&p);
        if (exit_code == CTL_OK)
                exit_code = say(options, path, &counts, &fetcher);
        bus_unrefp(&fetcher.bus);
        return exit_code;
}
