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

/* roster_methods.c */
int manager_bus_import_roster(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_publish_roster(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_assign(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_officers(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_checkout(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_cancel_checkout(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_list_issues(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* firmware_methods.c */
int manager_bus_list_firmware(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* import_methods.c */
int manager_bus_import(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* transfer_methods.c */
int manager_bus_list_transfers(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_call_shift(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_pause_uploads(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_resume_uploads(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_send_now(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* examine_methods.c */
int manager_bus_examine_store(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_examine_rack(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* custody_methods.c */
int manager_bus_make_checkpoint(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int manager_bus_rotate_key(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
