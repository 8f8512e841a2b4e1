/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A camera in its firmware loader: USB DFU 1.1, or ST's DfuSe on top of it. {"type": "dfu", "vid", "pid", "manufacturer", "product",
 * "serial", "flash": the file that is its memory (firmware.h), "home": the device that it becomes when it boots, and what `set` takes too:
 *
 *   transfer_size, poll_msec, manifest_msec, away_msec
 *   tolerant      it goes on answering after the manifestation, until it is reset
 *   waits_reset   not tolerant, and waits for the reset; else it leaves the bus by itself
 *   upload        what is in the flash may be read
 *   keeps_old     it takes all of it, and boots what it had
 *   stays_away    after the manifestation it is not seen again
 *   fail_block    at this block (from 0) it goes into dfuERROR with `fail_status`, `fail_count` times
 *   dfuse         with `address` (where its memory begins) and `pages` (of 1 KiB, to be erased before they are written)
 *
 * {"cmd": "state"} tells `state` (bState), `status`, `blocks`, `early` (requests before the time it asked to be left alone was over),
 * `manifested`, `uploaded`. A loader whose flash does not boot begins in dfuERROR with errFIRMWARE, as DFU 1.1 §6.1.2 has it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sim/device.h"
#include "sim/firmware.h"
#include "sim/models.h"
#include "sim/timer.h"

#define PAGE 1024u
#define BLOCK_MAX 4096u

/* DFU 1.1 §3, §6.1.2. */
enum { DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };
enum { DFU_IDLE = 2, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST_SYNC, MANIFEST, MANIFEST_WAIT_RESET, UPLOAD_IDLE, DFU_ERROR };
enum { STATUS_OK = 0, ERR_ADDRESS = 8, ERR_FIRMWARE = 10, ERR_STALLED = 15 };
enum { CAN_DOWNLOAD = 1, CAN_UPLOAD = 2, IS_TOLERANT = 4, WILL_DETACH = 8 };

typedef struct Dfu {
        SimDevice *device;
        ModelIdentity identity;
        char flash[512], home[64], memory[MODEL_STRING_SIZE];
        json_int_t transfer_size, poll_msec, manifest_msec, away_msec, fail_block, fail_status, fail_count, address, pages;
        int tolerant, waits_reset, upload, keeps_old, stays_away, dfuse;

        uint8_t *bytes, *old; /* the flash; what it was before the download */
        size_t size, old_size, room;
        uint8_t state, status;
        uint64_t busy_until_usec;
        bool downloading, restarts, manifested, booted;
        uint32_t pointer;
        json_int_t blocks, early, uploaded;
} Dfu;

/* ---- The flash ---------------------------------------------------------------------------------------------------- */

static void flash_load(Dfu *d) {
        ssize_t n = -1;
        int fd = open(d->flash, O_RDONLY | O_CLOEXEC);

        if (fd >= 0) {
                n = read(fd, d->bytes, d->room);
                (void) close(fd);
        }
        d->size = n > 0 ? (size_t) n : 0;
        if (d->dfuse) {
                memset(d->bytes + d->size, 0xff, d->room - d->size);
                d->size = (size_t) d->pages * PAGE;
        }
}

static void flash_store(const Dfu *d) {
        int fd = open(d->flash, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, d->bytes, d->size) != (ssize_t) d->size)
                perror(d->flash);
        if (fd >= 0)
                (void) close(fd);
}

static int fail(Dfu *d, uint8_t status) {
        d->state = DFU_ERROR;
        d->status = status;
        return -EPIPE;
}

/* What came of one that was aborted counts for nothing. */
static void begin_download(Dfu *d) {
        if (!d->downloading) {
                memcpy(d->old, d->bytes, d->size);
                d->old_size = d->size;
        }
        if ((!d->downloading || d->restarts) && !d->dfuse)
                d->size = 0;
        d->downloading = true;
        d->restarts = false;
}

/* DfuSe, ST's UM0424 §3: block 0 holds a command. */
static int dfuse_command(Dfu *d, const uint8_t *data, size_t length) {
        uint32_t address = length == 5 ?
                (uint32_t) data[1] | (uint32_t) data[2] << 8 | (uint32_t) data[3] << 16 | (uint32_t) data[4] << 24 : 0;
        size_t at = address - (uint32_t) d->address;

        if (length == 1 && data[0] == 0x41) {
                memset(d->bytes, 0xff, d->size);
                return 0;
        }
        if (length != 5 || (data[0] != 0x21 && data[0] != 0x41) || at >= d->size)
                return fail(d, ERR_ADDRESS);
        if (data[0] == 0x21)
                d->pointer = address;
        else
                memset(d->bytes + at / PAGE * PAGE, 0xff, PAGE);
        return 0;
}

static int write_block(Dfu *d, uint16_t block, const uint8_t *data, size_t length) {
        size_t at = d->dfuse ? d->pointer - (size_t) d->address + (block - 2u) * (size_t) d->transfer_size : d->size;

        if (at > d->room || length > d->room - at)
                return fail(d, ERR_ADDRESS);
        for (size_t i = 0; i < length; i++)
                d->bytes[at + i] = d->dfuse ? d->bytes[at + i] & data[i] : data[i];
        if (!d->dfuse)
                d->size = at + length;
        return 0;
}

static void boot(Dfu *d, unsigned leave_msec) {
        if (d->booted)
                return;
        d->booted = true;
        sim_device_become(d->device, d->stays_away ? NULL : d->home, leave_msec, (unsigned) d->away_msec);
}

/* ---- Requests ------------------------------------------------------------------------------------------------------ */

static int take_block(Dfu *d, uint16_t block, const uint8_t *data, size_t length) {
        int r = 0;

        if ((d->state != DFU_IDLE && d->state != DNLOAD_IDLE) || length > (size_t) d->transfer_size)
                return fail(d, ERR_STALLED);
        if (length == 0) {
                if (!d->downloading && !d->dfuse)
                        return fail(d, ERR_STALLED);
                d->state = MANIFEST_SYNC;
                return 0;
        }
        if (d->fail_count > 0 && d->blocks == d->fail_block) {
                d->fail_count--;
                return fail(d, (uint8_t) d->fail_status);
        }
        begin_download(d);
        r = d->dfuse && block == 0 ? dfuse_command(d, data, length) : write_block(d, block, data, length);
        if (r < 0)
                return r;
        flash_store(d);
        d->blocks++;
        d->state = DNLOAD_SYNC;
        return (int) length;
}

static void manifest(Dfu *d) {
        if (d->keeps_old) {
                memcpy(d->bytes, d->old, d->old_size);
                d->size = d->old_size;
                flash_store(d);
        }
        d->manifested = true;
        d->downloading = false;
}

static void step(Dfu *d, uint32_t *timeout_msec) {
        uint64_t now = sim_now_usec();

        switch (d->state) {
        case DNLOAD_SYNC:
                *timeout_msec = (uint32_t) d->poll_msec;
                d->busy_until_usec = now + (uint64_t) d->poll_msec * USEC_PER_MSEC;
                d->state = d->poll_msec > 0 || d->dfuse ? DNBUSY : DNLOAD_IDLE;
                break;
        case DNBUSY:
                d->state = DNLOAD_IDLE;
                break;
        case MANIFEST_SYNC:
                if (d->manifested && d->tolerant) {
                        d->state = DFU_IDLE;
                        break;
                }
                *timeout_msec = (uint32_t) d->manifest_msec;
                d->busy_until_usec = now + (uint64_t) d->manifest_msec * USEC_PER_MSEC;
                manifest(d);
                d->state = MANIFEST;
                if (!d->tolerant && !d->waits_reset)
                        boot(d, (unsigned) d->manifest_msec);
                break;
        case MANIFEST:
                d->state = d->tolerant ? DFU_IDLE : MANIFEST_WAIT_RESET;
                break;
        default:
                break;
        }
}

static int give_status(Dfu *d, uint8_t *data, size_t length) {
        uint32_t timeout = 0;

        if (length < 6)
                return fail(d, ERR_STALLED);
        if ((d->state == DNBUSY || d->state == MANIFEST) && sim_now_usec() < d->busy_until_usec) {
                d->early++;
                return fail(d, ERR_STALLED);
        }
        step(d, &timeout);
        memcpy(data, (const uint8_t[]) { d->status, (uint8_t) timeout, (uint8_t) (timeout >> 8), (uint8_t) (timeout >> 16), d->state,
                                         0 }, 6);
        return 6;
}

static int give_block(Dfu *d, uint16_t block, uint8_t *data, size_t length) {
        size_t at = d->dfuse ? d->pointer - (size_t) d->address + (block - 2u) * (size_t) d->transfer_size :
                (size_t) block * (size_t) d->transfer_size;
        size_t n;

        if (!d->upload || (d->state != DFU_IDLE && d->state != UPLOAD_IDLE) || (d->dfuse && block < 2))
                return fail(d, ERR_STALLED);
        n = at < d->size ? MIN2(length, d->size - at) : 0;
        if (n > 0)
                memcpy(data, d->bytes + at, n);
        d->state = n < length ? DFU_IDLE : UPLOAD_IDLE;
        d->uploaded += (json_int_t) n;
        return (int) n;
}

static int dfu_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        uint16_t value = (uint16_t) (setup[2] | setup[3] << 8);
        Dfu *d = state;

        if ((setup[0] & 0x7f) != 0x21 || setup[4] != 0)
                return -EPIPE;
        switch (setup[1]) {
        case DNLOAD:
                return take_block(d, value, data, length);
        case UPLOAD:
                return give_block(d, value, data, length);
        case GETSTATUS:
                return give_status(d, data, length);
        case CLRSTATUS:
                if (d->state != DFU_ERROR)
                        return fail(d, ERR_STALLED);
                d->state = DFU_IDLE;
                d->status = STATUS_OK;
                d->restarts = true;
                return 0;
        case GETSTATE:
                data[0] = d->state;
                return 1;
        case ABORT:
                if (d->state == DFU_ERROR)
                        return -EPIPE;
                d->state = DFU_IDLE;
                d->restarts = true;
                return 0;
        default:
                return fail(d, ERR_STALLED);
        }
}

/* ---- The device ---------------------------------------------------------------------------------------------------- */

static void dfu_reset(void *state) {
        char version[FIRMWARE_VERSION_SIZE];
        Dfu *d = state;

        if (firmware_boots(d->flash, version))
                boot(d, 0);
}

static void dfu_power(void *state, int on) {
        char version[FIRMWARE_VERSION_SIZE];
        Dfu *d = state;

        d->booted = d->downloading = false;
        if (!on)
                return;
        d->manifested = false;
        d->blocks = 0;
        flash_load(d);
        d->pointer = (uint32_t) d->address;
        d->state = firmware_boots(d->flash, version) ? DFU_IDLE : DFU_ERROR;
        d->status = d->state == DFU_ERROR ? ERR_FIRMWARE : STATUS_OK;
}

static size_t dfu_descriptors(void *state, uint8_t *ret, size_t size) {
        const Dfu *d = state;
        uint8_t attributes = (uint8_t) (CAN_DOWNLOAD | (d->upload ? CAN_UPLOAD : 0) | (d->tolerant ? IS_TOLERANT : 0) | WILL_DETACH);
        const uint8_t rest[] = {
                9, 2, 0, 0, 1, 1, 0, 0x80, 50,
                9, 4, 0, 0, 0, 0xfe, 1, 2, d->dfuse ? 4 : 0,
                9, 0x21, attributes, 0xff, 0, (uint8_t) d->transfer_size, (uint8_t) (d->transfer_size >> 8), d->dfuse ? 0x1a : 0x10, 1,
        };
        uint8_t all[64];
        size_t n = model_device_descriptor(&d->identity, 0x0100, all);

        memcpy(all + n, rest, sizeof(rest));
        n += sizeof(rest);
        model_finish_configuration(all, n);
        memcpy(ret, all, MIN2(size, n));
        return n;
}

static const char *dfu_string(void *state, uint8_t index) {
        const Dfu *d = state;

        return index == 4 && d->dfuse ? d->memory : model_string(&d->identity, index);
}

static int dfu_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        (void) state;
        (void) endpoint;
        (void) data;
        (void) length;
        return -EPIPE;
}

static int dfu_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        (void) state;
        (void) endpoint;
        (void) data;
        (void) length;
        return -EPIPE;
}

/* ---- The control socket -------------------------------------------------------------------------------------------- */

static int take(Dfu *d, const json_t *spec, char *why, size_t why_size) {
        json_error_t error;

        if (json_unpack_ex((json_t *) spec, &error, 0, "{s?I, s?I, s?I, s?I, s?I, s?I, s?I, s?b, s?b, s?b, s?b, s?b}", "transfer_size",
                           &d->transfer_size, "poll_msec", &d->poll_msec, "manifest_msec", &d->manifest_msec, "away_msec", &d->away_msec,
                           "fail_block", &d->fail_block, "fail_status", &d->fail_status, "fail_count", &d->fail_count, "tolerant",
                           &d->tolerant, "waits_reset", &d->waits_reset, "upload", &d->upload, "keeps_old", &d->keeps_old, "stays_away",
                           &d->stays_away) < 0 || d->transfer_size < 8 || d->transfer_size > BLOCK_MAX) {
                (void) snprintf(why, why_size, "What it is given is not as the head of dfu.c describes it: %s.", error.text);
                return -EINVAL;
        }
        return 0;
}

static int take_own(Dfu *d, const json_t *spec, char *why, size_t why_size) {
        const char *flash = "", *home = "";
        json_error_t error;

        if (json_unpack_ex((json_t *) spec, &error, 0, "{s:s, s:s, s?b, s?I, s?I}", "flash", &flash, "home", &home, "dfuse", &d->dfuse,
                           "address", &d->address, "pages", &d->pages) < 0 || strlen(flash) >= sizeof(d->flash) ||
            strlen(home) >= sizeof(d->home) || d->pages < 1 || d->pages > 4096) {
                (void) snprintf(why, why_size, "\"flash\" and \"home\" must be given, as the head of dfu.c describes them.");
                return -EINVAL;
        }
        (void) snprintf(d->flash, sizeof(d->flash), "%s", flash);
        (void) snprintf(d->home, sizeof(d->home), "%s", home);
        (void) snprintf(d->memory, sizeof(d->memory), "@Internal Flash  /0x%08llx/%04lld*001Kg", (long long) d->address,
                        (long long) d->pages);
        return 0;
}

static void dfu_destroy(void *state) {
        Dfu *d = state;

        free(d->bytes);
        free(d->old);
        free(d);
}

static int dfu_create(SimDevice *dev, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        Dfu *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        *d = (Dfu) { .device = dev, .transfer_size = 1024, .poll_msec = 2, .manifest_msec = 10, .away_msec = 30, .fail_status = ERR_ADDRESS,
                     .address = 0x08000000, .pages = 1024, .room = FIRMWARE_MAX, .bytes = malloc(FIRMWARE_MAX),
                             .old = malloc(FIRMWARE_MAX) };
        r = d->bytes && d->old ? model_identity(spec, &d->identity, why, why_size) : -ENOMEM;
        if (r >= 0)
                r = take_own(d, spec, why, why_size);
        if (r >= 0)
                r = take(d, spec, why, why_size);
        if (r < 0) {
                dfu_destroy(d);
                return r;
        }
        *ret_state = d;
        return 0;
}

static int dfu_command(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        Dfu *d = state;

        if (text_equal(name, "set"))
                return take(d, args, why, why_size);
        if (!text_equal(name, "state")) {
                (void) snprintf(why, why_size, "The dfu model has no command \"%s\".", name);
                return -EINVAL;
        }
        *ret_answer = json_pack("{s:i, s:i, s:I, s:I, s:b, s:I}", "state", d->state, "status", d->status, "blocks", d->blocks, "early",
                                d->early,
                                "manifested", d->manifested, "uploaded", d->uploaded);
        return *ret_answer ? 0 : -ENOMEM;
}

const SimModel sim_model_dfu = {
        .name = "dfu",
        .create = dfu_create,
        .destroy = dfu_destroy,
        .descriptors = dfu_descriptors,
        .string = dfu_string,
        .control = dfu_control,
        .out = dfu_out,
        .in = dfu_in,
        .power = dfu_power,
        .reset = dfu_reset,
        .command = dfu_command,
};
