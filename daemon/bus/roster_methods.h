/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of org.berth.Dock1.Roster. `userdata` is what the vtable gets: a Bus ** is its beginning. */

#include <systemd/sd-bus.h>

int roster_bus_import_officers(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int roster_bus_publish(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int roster_bus_assign(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int roster_bus_list_officers(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int roster_bus_checkout(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int roster_bus_cancel_checkout(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int roster_bus_list_issues(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
