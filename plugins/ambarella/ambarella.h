/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One camera in command mode, the dialects that such cameras speak, and what the files of this plugin share. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/plugin.h>

#include "local_time.h"
#include "options.h"

typedef struct Ambarella {
        berth_host *host;
        AmbarellaOptions options;
        berth_usb_interface interface; /* the one that the dialect speaks on */
} Ambarella;

/*
 * One dialect. log_in() comes first, once; `password` has 1 to password_max printable ASCII characters, none of them one of
 * password_never. A callback that is NULL is what this dialect has no words for. All of them return as the ABI's do, and
 * have logged a sentence when it is not 0.
 */
typedef struct Dialect {
        const char *name;  /* of the option */
        const char *shape; /* for people: what fits() wants */
        bool (*fits)(const berth_usb_interface *interface);
        size_t password_max;
        const char *password_never;
        int (*log_in)(Ambarella *camera, const char *password);
        int (*serial)(Ambarella *camera, char ret[static BERTH_TEXT_MAX]);
        int (*battery)(Ambarella *camera, uint8_t *ret_percent); /* -ENODATA: what it says is no level */
        int (*set_clock)(Ambarella *camera, const LocalTime *time);
        int (*get_owner)(Ambarella *camera, berth_owner *ret);
        int (*set_owner)(Ambarella *camera, const berth_owner *owner);
        int (*enter_storage)(Ambarella *camera);
} Dialect;

extern const Dialect dialect_a, dialect_b, dialect_c;

/* A vendor-specific interface: all that the dialects over control transfers ask for. */
bool dialect_fits_vendor(const berth_usb_interface *interface);

/*
 * Logs that `doing` failed and returns `error`; a stall becomes -EPROTO, since these cameras stall what they do not
 * understand.
 */
int camera_failed(Ambarella *camera, const char *doing, int error);
/* Logs that what the camera answered to `doing` is not an answer, with the reason, and returns -EBADMSG. */
int camera_answered_wrongly(Ambarella *camera, const char *doing, const char *reason);
/* Logs the one sentence about a log-in that was refused and returns BERTH_DENIED. */
int camera_refused_log_in(Ambarella *camera);
/*
 * The command that changes the mode was sent whole, and no answer could be read (`error`). A camera that leaves the bus does not always
 * answer before: whether it went is seen on the bus. 0.
 */
int camera_left_silently(Ambarella *camera, int error);

/* A vendor request to the device. 0 when all bytes were taken, or -errno. Nothing is logged. */
int camera_send(Ambarella *camera, uint8_t request, uint16_t value, const void *data, size_t size);
/* Exactly `size` bytes, or -errno; -EBADMSG for fewer. Nothing is logged. */
int camera_receive(Ambarella *camera, uint8_t request, uint16_t value, void *ret, size_t size);
