/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The state folder, for the verbs that read it themselves: they need no daemon, which may run beside them. */

#include "ctl/ctl.h"
#include "proof/proof.h"

/* Which folder that is, by the options. */
const char *evidence_dir(const Options *options);
/* Opens it for reading. A CtlExit: why not is said. After CTL_OK the caller ends with proof_close(); `ops` must outlive that. */
int evidence_open(const Options *options, const ProofOps *ops, Proof *ret);
/* For ProofOps, with a ProgressLine as its userdata. */
void evidence_progress(void *progress_line, const char *what, uint64_t done, uint64_t total);
