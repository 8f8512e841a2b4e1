/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl backup`: a copy of the dock's memory, taken while the daemon goes on. Reads the state folder itself, like verify. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/evidence.h"
#include "ctl/json_out.h"
#include "ctl/progress_line.h"
#include "proof/backup.h"

int verb_backup(const Options *options) {
        ProgressLine line = { .wanted = !options->json && isatty(STDERR_FILENO) };
        const ProofOps ops = { .progress = evidence_progress, .userdata = &line };
        ConfError error = { 0 };
        ChainHead head = { 0 };
        Proof p;
        if (options->n_args != 1)
                return ctl_fail(CTL_USAGE, "'backup' is followed by the folder to make");
        int exit_code = evidence_open(options, &ops, &p);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = proof_backup(&p, options->args[0], &head, &error);
        progress_line_clear(&line);
        proof_close(&p);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r));
        if (options->json)
                return json_out(json_pack("{s:s, s:s, s:I}", "schema", JSON_SCHEMA("backup"), "path", options->args[0], "events",
                                          (json_int_t) head.seq), false);
        printf("%s: the dock's memory up to custody event %" PRIu64 "\n", options->args[0], head.seq);
        return CTL_OK;
}
