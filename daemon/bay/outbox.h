/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The signals that the worker sends while it carries out a call, from whichever thread has something to tell. The thread
 * that serves the bus is inside the call then and does not touch the connection by itself.
 *
 * A signal that cannot be sent means that berthd is gone; nobody is left to work for, so the process ends.
 */

#include <systemd/sd-bus.h>

#include "base/digest.h"

void outbox_init(sd_bus *bus);
void outbox_block(uint32_t clip, uint32_t number, uint32_t length, const Digest *digest);
/* Sends at most four a second; what is too soon is dropped, as the next one tells more. */
void outbox_progress(uint32_t clip, uint64_t bytes);
void outbox_alive(void);
