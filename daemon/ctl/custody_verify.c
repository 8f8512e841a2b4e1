/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl custody verify`: is the evidence of this state folder as it was? Needs no daemon. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/custody.h"
#include "ctl/dock_fleet.h"
#include "ctl/evidence.h"
#include "ctl/json_out.h"
#include "ctl/progress_line.h"
#include "ctl/uplink_client.h"
#include "proof/proof.h"

typedef struct Verify {
        json_t *findings; /* NULL: print each as it comes */
        ProgressLine line;
} Verify;

static void on_found(void *userdata, const char *where, const char *what) {
        Verify *v = userdata;
        char safe_where[256], safe_what[1024];
        progress_line_clear(&v->line);
        if (v->findings) {
                (void) json_array_append_new(v->findings, json_pack("{s:s, s:s}", "where", where, "what", what));
                return;
        }
        text_sanitise(where, safe_where, sizeof(safe_where));
        text_sanitise(what, safe_what, sizeof(safe_what));
        printf("%s: %s.\n", safe_where, safe_what);
}

static void on_progress(void *userdata, const char *what, uint64_t done, uint64_t total) {
        Verify *v = userdata;
        progress_line_show(&v->line, what, done, total);
}

/* All parts, whatever one of them finds: negative when one could not look at everything. */
static int verify_all(const Options *o, Proof *p, const Fleet *fleet) {
        int r = proof_chain(p), k;
        if (fleet && (k = proof_fleet(p, fleet)) < 0)
                r = k;
        if ((k = proof_tables(p)) < 0)
                r = k;
        if ((k = proof_spool(p)) < 0 || (k = proof_files(p)) < 0)
                r = k;
        if (o->with_store && (k = proof_store(p, uplink_client_path(o))) < 0)
                r = k;
        return r;
}

static json_t *counts_json(const ProofCounts *c) {
        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "events", (json_int_t) c->events,
                         "checkpoints", (json_int_t) c->checkpoints, "keys", (json_int_t) c->keys, "uncovered_events",
                         (json_int_t) c->uncovered, "rows", (json_int_t) c->rows, "spool_files", (json_int_t) c->spool_files,
                         "spool_bytes", (json_int_t) c->spool_bytes, "stored_statements", (json_int_t) c->stored_statements,
                         "stored_clips", (json_int_t) c->stored_clips, "findings", (json_int_t) c->findings, "recoveries",
                         (json_int_t) c->recoveries, "recovered_clips", (json_int_t) c->recovered_clips, "restorations",
                         (json_int_t) c->restorations, "archived_events", (json_int_t) c->archived_events);
}

static int report(const Options *o, const Proof *p, json_t *findings) {
        const ProofCounts *c = &p->counts;
        if (o->json)
                return json_out(json_pack("{s:s, s:s, s:b, s:O, s:o}", "schema", JSON_SCHEMA("custody-verify"), "dock_id", p->dock_id,
                                          "whole", (int) (c->findings == 0), "findings", findings, "counts", counts_json(c)), false);
        printf("%" PRIu64 " events, %" PRIu64 " checkpoints by %" PRIu64 " keys (%" PRIu64 " events after the last), %" PRIu64
               " rows, %" PRIu64 " files of the spool", c->events, c->checkpoints, c->keys, c->uncovered, c->rows, c->spool_files);
        if (o->with_store)
                printf(", %" PRIu64 " statements, %" PRIu64 " archived events and %" PRIu64 " clips in the store", c->stored_statements,
                       c->archived_events, c->stored_clips);
        if (c->recoveries > 0)
                printf("; the database was made anew before, and %" PRIu64 " clips were found in the spool or the store then",
                       c->recovered_clips);
        if (c->restorations > 0)
                printf("; the database was put back from a backup %s, and what happened after that backup is not in it",
                       c->restorations == 1 ? "once" : "more than once");
        if (c->findings == 0)
                puts(": all as it was.");
        else
                printf(": %" PRIu64 " things are not as they were.\n", c->findings);
        return CTL_OK;
}

int custody_verify_verb(const Options *options) {
        Verify v = { .line.wanted = !options->json && isatty(STDERR_FILENO) };
        const ProofOps ops = { .found = on_found, .progress = on_progress, .userdata = &v };
        Proof p;
        if (options->n_args != 1)
                return ctl_fail(CTL_USAGE, "'custody verify' takes nothing more");
        _cleanup_(fleet_freep) Fleet *fleet = NULL;
        int exit_code = options->fleet_list ? dock_fleet_read(options, options->fleet_list, &fleet) : CTL_OK;
        if (exit_code != CTL_OK)
                return exit_code;
        exit_code = evidence_open(options, &ops, &p);
        if (exit_code != CTL_OK)
                return exit_code;
        if (options->json)
                v.findings = json_array();
        int r = verify_all(options, &p, fleet);
        progress_line_clear(&v.line);
        exit_code = report(options, &p, v.findings);
        json_decref(v.findings);
        if (exit_code == CTL_OK && (r < 0 || p.counts.findings > 0))
                exit_code = CTL_FAILURE;
        proof_close(&p);
        return exit_code;
}
