/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl custody archive`: the log goes to the store. Reads the state folder itself, like verify, and puts by berth-uplink. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/custody.h"
#include "ctl/evidence.h"
#include "ctl/json_out.h"
#include "ctl/progress_line.h"
#include "ctl/uplink_client.h"
#include "proof/archive.h"

int custody_archive_verb(const Options *options) {
        ProgressLine line = { .wanted = !options->json && isatty(STDERR_FILENO) };
        const ProofOps ops = { .progress = evidence_progress, .userdata = &line };
        ArchiveCounts counts = { 0 };
        ConfError error = { 0 };
        Proof p;
        if (options->n_args != 1)
                return ctl_fail(CTL_USAGE, "'custody archive' takes nothing more");
        int exit_code = evidence_open(options, &ops, &p);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = proof_archive(&p, uplink_client_path(options), &counts, &error);
        progress_line_clear(&line);
        proof_close(&p);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r));
        if (options->json)
                return json_out(json_pack("{s:s, s:I, s:I, s:I}", "schema", JSON_SCHEMA("custody-archive"), "texts",
                                          (json_int_t) counts.texts, "events", (json_int_t) counts.events, "upto",
                                          (json_int_t) counts.upto), false);
        printf("%" PRIu64 " events were archived; the store has the custody log up to event %" PRIu64 "\n", counts.events, counts.upto);
        return CTL_OK;
}
