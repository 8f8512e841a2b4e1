/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A berth_host that plays one conversation (PTP, or bulk-only storage) from a script: what the plugin must send, in which
 * order, and what the camera answers to each. A plugin that sends something else fails the test at once; so does one that
 * reads or writes nothing of the script (fake_done()). Time passes only as the plugin waits for it.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/plugin.h>

#define FAKE_PACKET 512u
#define FAKE_IN 0x81
#define FAKE_OUT 0x02

/* Starts anew with an empty script. */
berth_host *fake_host(void);
/* Fails the test when the script was not played to its end. */
void fake_done(void);

/* ---- The script, in order ---- */

/* The plugin must send this command. */
void fake_command(uint16_t code, uint32_t id, unsigned n, ...);
/* The plugin must send this data container. */
void fake_data_out(uint16_t code, uint32_t id, const void *data, size_t size);
/* The plugin must send just these bytes (none: an empty packet). */
void fake_out(const void *data, size_t size);
/* Then the camera sends bytes; full packets among them end nothing. `data` is NULL for a pattern (see fake_pattern). */
void fake_in(const void *data, uint64_t size);
void fake_in_empty(void);
/* A container; `claimed` is what its header says for the length. */
void fake_container(uint32_t claimed, uint16_t type, uint16_t code, uint32_t id, const void *data, size_t size);
void fake_data(uint16_t code, uint32_t id, const void *data, size_t size);
void fake_response(uint16_t code, uint32_t id);
void fake_response1(uint16_t code, uint32_t id, uint32_t param);
/* Reading, or sending, fails with this errno. */
void fake_in_error(int error);
void fake_out_error(int error);
/* The camera sends without end. */
void fake_in_endless(void);

/* Byte `i` of what fake_in(NULL, …) sends. */
uint8_t fake_pattern(uint64_t i);

/* ---- What the camera does beside the script ---- */

typedef struct FakeCamera {
        bool cancel_drops; /* Cancel makes it forget what it would still send */
        bool no_status;    /* it stalls GetDeviceStatus */
        unsigned busy;     /* so many times GetDeviceStatus says busy */
        bool no_reset;     /* it stalls the class's Device Reset */
        int device_reset;  /* what berth_host_reset() returns */
        const berth_usb_interface *interfaces;
        size_t n_interfaces;
        int deliver; /* what berth_host_deliver() returns */
        int max_lun; /* the answer to Get Max LUN, or -errno */

        /* What happened. */
        unsigned cancels, statuses, class_resets, device_resets, halts_cleared, claims;
        uint32_t cancelled; /* transaction id */
        char trace[64];     /* of mass storage: R class reset, U reset of the device, i and o halts cleared, in their order */
        uint64_t now_usec;
} FakeCamera;

extern FakeCamera fake_camera;

/* What read() delivered: its length, and its first bytes. */
#define FAKE_KEPT (1u << 20)
extern uint64_t fake_delivered;
extern uint8_t *fake_bytes;

/* What list() reported. */
typedef struct FakeClip {
        char path[BERTH_PATH_MAX];
        berth_clip clip;
} FakeClip;
extern FakeClip fake_clips[];
extern size_t fake_n_clips;
#define FAKE_CLIPS_MAX 256u

/* The last message at warning or above. */
extern char fake_message[512];
