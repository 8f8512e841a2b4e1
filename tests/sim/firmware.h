/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The flash memory of a simulated camera: a file that its run-time mode and its loader share. It boots what begins with one line,
 * "BERTH-SIM-FIRMWARE <version> <bytes that follow> <their SHA-256>\n"; anything else, such as half an image, leaves it in its loader.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"

#define FIRMWARE_VERSION_SIZE 65u
#define FIRMWARE_MAX (16u * 1024u * 1024u)

/* It is what is booted from now on, when it boots; else nothing changes. */
bool firmware_replace(const char *path, const void *data, size_t size);
/* Does it boot? Then its version. */
bool firmware_boots(const char *path, char ret_version[static FIRMWARE_VERSION_SIZE]);
