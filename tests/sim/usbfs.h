/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The FUSE file system at /dev/bus/usb: one folder by bus, one file by device, and the kernel's ioctls on it. */

#include <stdbool.h>
#include <stdint.h>

#include "sim/urb.h"

/* usbfs as it is above an older host controller: no scatter-gather, large transfers go in continued 16 KiB URBs. */
extern bool usbfs_old_controller;

/* Mounts it and starts serving: 0 or -errno. */
int usbfs_start(const char *mount_point);

/* ---- for urb.c, all under the device's lock ---- */
/* Answers a synchronous call whose URB is done. */
void usbfs_answer_sync(Urb *urb);
/* Ends a wait in REAPURB: with this URB, or (NULL) because the device is gone. Frees both. */
void usbfs_answer_reaper(Waiter *waiter, Urb *urb);
/* Claims that waited: grants what became free, gives up those past their deadline. The next deadline or UINT64_MAX. */
uint64_t usbfs_answer_claimers(Node *node, uint64_t now_usec);
/* Tells the kernel that a polled file became ready, and drops the handle. */
void usbfs_notify(void *poll_handle);
