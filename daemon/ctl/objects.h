/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The dock's objects of one interface, out of an answer of GetManagedObjects. */

#include <systemd/sd-bus.h>

/* Reads the object's properties, an a{sv}. -errno ends the walk. */
typedef int (*ObjectTake)(void *userdata, const char *path, sd_bus_message *properties);
/* -EBADMSG when the answer is none, or what the callback said. */
int objects_each(sd_bus_message *reply, const char *interface, ObjectTake take, void *userdata);
