/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who has an interface: a kernel driver, an open file of usbfs, or nobody. */

#include "sim/urb.h"

/*
 * The interface is this file's afterwards (0), or -ENOENT, -EBUSY, -ENODEV (not authorised); -EAGAIN: another file has it.
 * Needs topology_lock and the device's.
 */
int claim_take(OpenFile *file, unsigned interface);
/* Takes the interface from whatever driver has it: 0, or -ENODATA when none has. Both locks. */
int claim_unbind(Node *node, unsigned interface);
/* Binds the kernel driver that would want it. 1, or 0 when there is none for it. Both locks. */
int claim_bind_kernel(Node *node, unsigned interface);
/* Without authorisation a driver loses it; with it none gets it: that takes a probe. 0, or -ENODATA. Both locks. */
int claim_authorize(Node *node, unsigned interface, bool on);
/* -EINVAL when the file has not claimed it. Both locks. */
int claim_release(OpenFile *file, unsigned interface);
/* Both locks. */
void claim_release_all(OpenFile *file);
/* As the kernel does for a client that did not claim before its first transfer. Takes both locks. */
int claim_ensure(OpenFile *file, unsigned interface);
/* Gives interfaces that became free to those who wait for one. Both locks. */
void claim_grant_waiting(Node *node);
