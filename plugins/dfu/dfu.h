/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * USB Device Class Specification for Device Firmware Upgrade, version 1.1 (August 2004), and ST's extension of it, DfuSe (UM0424).
 *
 *   plugin.c     what the worker calls
 *   device.c     what the descriptors say: interface, attributes, transfer size, memory layout
 *   request.c    the class requests, and the waiting that goes with them
 *   download.c   one image, whole: blocks, manifestation, read-back
 *   dfuse.c      memory with addresses: erase, set the pointer, leave
 *   suffix.c     the 16 bytes at the end of a file that say what it is for
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/plugin.h>

/* §4.1.3 */
#define DFU_CAN_DOWNLOAD (1u << 0)
#define DFU_CAN_UPLOAD (1u << 1)
#define DFU_IS_TOLERANT (1u << 2) /* answers after the manifestation */
#define DFU_WILL_DETACH (1u << 3) /* leaves the bus by itself after DFU_DETACH */

#define DFU_VERSION_DFUSE 0x011au
#define DFU_BLOCK_MAX 65535u

/* §6.1.2 */
typedef enum DfuState {
        DFU_APP_IDLE,
        DFU_APP_DETACH,
        DFU_IDLE,
        DFU_DNLOAD_SYNC,
        DFU_DNBUSY,
        DFU_DNLOAD_IDLE,
        DFU_MANIFEST_SYNC,
        DFU_MANIFEST,
        DFU_MANIFEST_WAIT_RESET,
        DFU_UPLOAD_IDLE,
        DFU_ERROR,
        _DFU_STATE_MAX,
} DfuState;

typedef struct DfuStatus {
        uint8_t code; /* bStatus */
        DfuState state;
        uint32_t wait_msec; /* the camera is not to be asked again before */
} DfuStatus;

typedef struct DfuOptions {
        int alternate;          /* -1: the first one */
        bool address_given;
        uint32_t address;       /* DfuSe: where the image goes; else where the memory begins */
        unsigned transfer_size; /* 0: the camera's */
        bool read_back;         /* where the camera lets itself be read */
        bool suffix_needed;
} DfuOptions;

typedef struct Dfu {
        berth_host *host;
        DfuOptions options;
        uint16_t vid, pid, device;
        uint8_t interface, alternate;
        bool is_runtime;
        uint8_t attributes;
        uint16_t detach_msec, transfer_size, version;
        char layout[BERTH_TEXT_MAX]; /* the alternate setting's string: DfuSe's memory */
        uint8_t *block;              /* of transfer_size bytes */
} Dfu;

/* "key=value" strings, ended by NULL. -EINVAL after a log line. */
int dfu_options_parse(berth_host *host, const char *const *options, DfuOptions *ret);

/* Finds the interface and claims it. -ENODEV: there is none; -EBADMSG: its descriptors do not hold together. */
int dfu_find(Dfu *d);
bool dfu_is_dfuse(const Dfu *d);

/* ---- request.c: 0 or -errno after a log line ---- */
/* Asks for the status, and waits for as long as it asks to be left alone. */
int dfu_get_status(Dfu *d, DfuStatus *ret);
int dfu_detach(Dfu *d);
int dfu_send_block(Dfu *d, uint16_t number, const void *data, size_t length);
/* The number of bytes; fewer than `length` end the reading. */
int dfu_read_block(Dfu *d, uint16_t number, void *data, size_t length);
/* Until it took the block: -EREMOTEIO when it went into dfuERROR. */
int dfu_wait_taken(Dfu *d);
/* From whatever state into dfuIDLE (§A.1): clears an error, aborts what is under way. */
int dfu_to_idle(Dfu *d);
/* Sleeps, and says that the camera lives. */
void dfu_pause(Dfu *d, uint32_t msec);

/* ---- download.c ---- */
int dfu_download(Dfu *d, uint64_t size);
/* ---- dfuse.c ---- */
int dfuse_download(Dfu *d, uint64_t size);

/* ---- suffix.c ---- */
/*
 * How many of the image's bytes go to the camera: all, or without the suffix that there is. -EBADMSG: its checksum is wrong, it is for
 * another device, or there is none and one is needed; after a log line.
 */
int dfu_check_suffix(Dfu *d, uint64_t size, uint64_t *ret_size);
