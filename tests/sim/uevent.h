/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Device events on the netlink group on which udevd publishes them, in udevd's own format. */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

/* "KEY=value" strings, each ended by a NUL. */
typedef struct Properties {
        char text[6144];
        size_t size;
} Properties;

void properties_add(Properties *p, const char *key, const char *format, ...) _printf_(3, 4);

/* Opens the socket in the current network namespace: 0 or -errno. */
int uevent_open(void);
/* Events go to the kernel's group, for a real udevd, instead of as udevd's own. Set before the start. */
extern bool uevent_from_kernel;
/*
 * Publishes one event. `properties` are those that the udev database keeps; ACTION, SEQNUM and what depends on them
 * are added here. That nobody listens is no error.
 */
void uevent_send(const char *action, const char *subsystem, const char *devtype, const Properties *properties);
