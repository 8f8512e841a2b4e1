/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rollouts that the dock follows, as its bus objects show them. */

#include <jansson.h>
#include <systemd/sd-bus.h>

/*
 * Reads the answer of GetManagedObjects: an array of {id, version, state, trouble, revision, waves: [{wave, cameras, ok, bad}], cameras:
 * [{serial, wave, state, code, why}]}, the caller's. -ENOMEM, -EBADMSG.
 */
int rollouts_load(sd_bus_message *reply, json_t **ret);
