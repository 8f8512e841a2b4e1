/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of org.berth.Dock1.Transfers. `userdata` is what the vtable gets: a Bus ** is its beginning. */

#include <systemd/sd-bus.h>

#include "service/clip.h"

int transfer_bus_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int transfer_bus_pause(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int transfer_bus_resume(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int transfer_bus_send_now(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
/* What is to be said about a clip that is on its way, or waits; "": nothing. It belongs to the clip. */
const char *transfer_reason(const Clip *c);
