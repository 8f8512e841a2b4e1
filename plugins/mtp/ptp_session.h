/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The PTP session of one camera. Object handles are good only within it, so a session that is lost is never opened
 * again behind the back of whoever holds handles: the link is dead then, and a new worker starts afresh.
 */

#include "ptp_link.h"

/*
 * Opens a session on a camera in whatever state the last host left it: in a session, in the middle of a data phase,
 * halted. Tries the gentle ways first and a reset of the device last. 0 or -errno.
 */
int ptp_session_open(PtpLink *link, uint8_t alternate);
void ptp_session_close(PtpLink *link);
