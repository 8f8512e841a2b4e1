/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/evidence.h"

#include <string.h>

#include "ctl/progress_line.h"

const char *evidence_dir(const Options *options) {
        return options->state_dir ? options->state_dir : "/var/lib/berth";
}

int evidence_open(const Options *options, const ProofOps *ops, Proof *ret) {
        ConfError error = { 0 };
        int r = proof_open(evidence_dir(options), ops, ret, &error);
        return r < 0 ? ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r)) : CTL_OK;
}

void evidence_progress(void *progress_line, const char *what, uint64_t done, uint64_t total) {
        progress_line_show(progress_line, what, done, total);
}
