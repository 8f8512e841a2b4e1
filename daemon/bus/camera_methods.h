/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of org.berth.Dock1.Camera. `userdata` is a Camera *, where there is one. */

#include <systemd/sd-bus.h>

#include "bus/bus_private.h"

int camera_bus_set_owner(sd_bus_message *m, Bus *b, Camera *camera, sd_bus_error *ret_error);
int camera_bus_erase(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int camera_bus_update_firmware(sd_bus_message *m, Bus *b, Camera *camera, sd_bus_error *ret_error);
int camera_bus_confirm_identity(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
