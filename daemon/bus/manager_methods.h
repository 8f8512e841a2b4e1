/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of org.berth.Dock1.Manager. `userdata` is where the vtable's offset points: a Bus *. */

#include <systemd/sd-bus.h>

int manager_bus_list_clips(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_events(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_last_events(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
/* model_bus.c */
int manager_bus_list_models(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_refused(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* camera_methods.c */
int manager_bus_erase_clip(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* hold_methods.c */
int manager_bus_set_hold(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_release_hold(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_holds(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* health_methods.c */
int manager_bus_list_cameras(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_findings(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_bay_findings(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_release_camera(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* fleet_methods.c */
int manager_bus_list_fleet_docks(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_fleet_cameras(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* figures_methods.c */
int manager_bus_get_figures(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* settings_methods.c */
int manager_bus_reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* fetch_methods.c */
int manager_bus_fetch_clip(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* import_methods.c */
int manager_bus_import(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* shift_methods.c */
int manager_bus_call_shift(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* examine_methods.c */
int manager_bus_examine_store(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_examine_rack(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* custody_methods.c */
int manager_bus_make_checkpoint(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_rotate_key(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
