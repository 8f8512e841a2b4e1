/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A berth_host that plays one conversation of vendor commands from a script: which transfers the plugin must make, in which order,
 * and what the camera does at each. A plugin that does something else fails the test at once; so does one that leaves
 * some of the script over (command_done()).
 */

#include <stddef.h>
#include <stdint.h>

#include <berth/plugin.h>

/* Starts anew: an empty script, one vendor interface with the bulk endpoints 0x01 and 0x81, the password "S3cret", no user. */
berth_host *command_host(void);
/* Fails the test when the script was not played to its end, or when the password was logged. */
void command_done(void);

/* ---- The script, in order ---- */

/* The plugin must send these bytes to the bulk endpoint; or that fails. */
void bulk_out(const void *data, size_t size);
void bulk_out_error(int error);
/* It must read from the bulk endpoint, and gets these; or that fails. */
void bulk_in(const void *data, size_t size);
void bulk_in_error(int error);
/* The same for vendor requests. `asked` is how many bytes it must ask for. */
void control_out(uint8_t request, uint16_t value, const void *data, size_t size);
void control_out_error(uint8_t request, uint16_t value, int error);
void control_in(uint8_t request, uint16_t value, size_t asked, const void *data, size_t size);
void control_in_error(uint8_t request, uint16_t value, int error);

/* ---- The camera ---- */

typedef struct CommandCamera {
        berth_usb_interface interface;
        const char *serial; /* the USB string, NULL: reading it fails */
        const char *password, *user;
        int claim; /* what claiming returns */
        int zone_minutes; /* the dock's zone is ahead of UTC */

        /* What happened. */
        unsigned claims, transfers;
        char message[512]; /* the last one at warning or above */
        char log[16384];   /* all of them, at any level */
} CommandCamera;

extern CommandCamera command_camera;
