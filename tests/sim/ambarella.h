/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A camera of USB 4255:0001 in command mode, inside. ambarella.c is what the bus sees, ambarella_spec.c what the control
 * socket takes (listed at its head), ambarella_{a,b,c}.c are the dialects, written from the notes on the protocol and not from the plugin.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/ambarella_fault.h"
#include "sim/device.h"
#include "sim/models.h"

#define AMBA_RECORD_SIZE 100u
#define AMBA_ANSWER_MAX 4096u
#define AMBA_TEXT_SIZE 64u
#define AMBA_HISTORY_MAX 256u

/* Where the texts lie in dialect B's record. */
typedef struct AmbaField {
        const char *key;
        size_t at, size;
} AmbaField;
extern const AmbaField amba_fields[5];

typedef struct AmbaCamera {
        SimDevice *device;
        ModelIdentity identity;
        char dialect; /* 'a', 'b', 'c' */
        uint8_t descriptors[64];
        size_t descriptors_size;

        char id[AMBA_TEXT_SIZE]; /* dialect A */
        char password[AMBA_TEXT_SIZE], user_password[AMBA_TEXT_SIZE];
        uint8_t record[AMBA_RECORD_SIZE];
        uint8_t battery;
        char clock[32]; /* what was last set: "2026-11-25 18:00:00", or a part of it */

        char *storage; /* the device that it becomes in storage mode, NULL: none */
        unsigned leave_msec, away_msec;
        bool stays; /* takes the command for storage mode, and goes on as it is */
        AmbaFaults faults;

        /* Since it has power. */
        bool logged_in;
        uint8_t answer[AMBA_ANSWER_MAX];
        size_t answer_size;
        bool has_answer, stalls;

        /* Since it was defined. */
        unsigned log_ins, log_ins_refused;
        AmbaCommand history[AMBA_HISTORY_MAX];
        size_t n_history;
} AmbaCamera;

/* Remembers that a command came. */
void amba_note(AmbaCamera *camera, AmbaCommand command);
/* "refuse" strikes. */
bool amba_refuses(AmbaCamera *camera, AmbaCommand command);
/* Is that the password? Counts. */
bool amba_log_in(AmbaCamera *camera, const char *password, const char *given);
/*
 * Readies what the host reads next, with whatever a fault makes of it. `request` is what it answers, `payload_at` where the part
 * that is not framing begins.
 */
void amba_answer(AmbaCamera *camera, AmbaCommand command, const void *data, size_t size, const void *request, size_t request_size,
                 size_t payload_at);
/* Goes into storage mode. */
void amba_leave(AmbaCamera *camera);

/* ambarella_{a,b,c}.c: what a host sent. False: it makes no sense, the camera stalls. */
bool amba_a_take(AmbaCamera *camera, const uint8_t *data, size_t size);
bool amba_b_take(AmbaCamera *camera, uint8_t request, uint16_t value, const uint8_t *data, size_t size);
bool amba_c_take(AmbaCamera *camera, uint8_t request, uint16_t value, const uint8_t *data, size_t size);

/* ambarella_spec.c */
int amba_camera_new(SimDevice *device, const json_t *spec, AmbaCamera **ret, char *why, size_t why_size);
AmbaCamera *amba_camera_free(AmbaCamera *camera);
int amba_command(AmbaCamera *camera, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size);
