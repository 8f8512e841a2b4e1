/* SPDX-License-Identifier: Apache-2.0 */

/* The class requests of DFU 1.1 §3, and what a camera answers. */

#include <errno.h>
#include <time.h>

#include "dfu.h"

#define TIMEOUT_MSEC 5000u
#define TO_INTERFACE 0x21u
#define FROM_INTERFACE 0xa1u
/* A camera that asks to be left alone for longer has lost its way: the longest that is asked for is to erase a whole chip. */
#define WAIT_MAX_MSEC 120000u
#define ALIVE_EVERY_MSEC 1000u

enum { DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };

static const char *const state_names[_DFU_STATE_MAX] = {
        "appIDLE",     "appDETACH",      "dfuIDLE",      "dfuDNLOAD-SYNC",          "dfuDNBUSY",      "dfuDNLOAD-IDLE",
        "dfuMANIFEST-SYNC", "dfuMANIFEST", "dfuMANIFEST-WAIT-RESET", "dfuUPLOAD-IDLE", "dfuERROR",
};

/* §6.1.2, bStatus */
static const char *const status_texts[] = {
        "no error",
        "the image is not for this camera",
        "the image fails a check of the camera's maker",
        "it cannot write its memory",
        "it cannot erase its memory",
        "its memory was not erased",
        "what it wrote is not in its memory",
        "what it read back is not what it wrote",
        "the image does not fit its memory",
        "the image ended too early",
        "what is in its memory does not start",
        "a maker's own error",
        "it was reset without an order",
        "its power failed",
        "it failed without saying why",
        "it was asked out of turn",
};

static const char *status_text(uint8_t code) {
        return code < sizeof(status_texts) / sizeof(status_texts[0]) ? status_texts[code] : "an error that DFU 1.1 does not know";
}

void dfu_pause(Dfu *d, uint32_t msec) {
        while (msec > 0) {
                uint32_t part = msec < ALIVE_EVERY_MSEC ? msec : ALIVE_EVERY_MSEC;

                berth_host_alive(d->host);
                (void) nanosleep(&(struct timespec){ .tv_sec = part / 1000, .tv_nsec = (long) (part % 1000) * 1000000 }, NULL);
                msec -= part;
        }
}

static int request(Dfu *d, uint8_t type, uint8_t what, uint16_t value, void *data, uint16_t length) {
        return berth_host_control(d->host, type, what, value, d->interface, data, length, TIMEOUT_MSEC);
}

int dfu_get_status(Dfu *d, DfuStatus *ret) {
        uint8_t s[6];
        int r;

        r = request(d, FROM_INTERFACE, GETSTATUS, 0, s, sizeof(s));
        if (r < 0)
                return r;
        if (r != (int) sizeof(s) || s[4] >= _DFU_STATE_MAX) {
                berth_host_log(d->host, BERTH_LOG_ERR, "it answers DFU_GETSTATUS with what is no status");
                return -EBADMSG;
        }
        *ret = (DfuStatus){ .code = s[0], .state = (DfuState) s[4],
                            .wait_msec = (uint32_t) s[1] | (uint32_t) s[2] << 8 | (uint32_t) s[3] << 16 };
        if (ret->state != DFU_ERROR)
                dfu_pause(d, ret->wait_msec < WAIT_MAX_MSEC ? ret->wait_msec : WAIT_MAX_MSEC);
        return 0;
}

int dfu_detach(Dfu *d) {
        int r = request(d, TO_INTERFACE, DETACH, d->detach_msec, NULL, 0);

        if (r < 0 && r != -ENODEV && r != -EIO)
                return r;
        if (d->attributes & DFU_WILL_DETACH)
                return 0;
        /* §5.1: else it is the host that resets it, after which it is another device, or gone. */
        r = berth_host_reset(d->host);
        return r == -ENODEV ? 0 : r;
}

int dfu_send_block(Dfu *d, uint16_t number, const void *data, size_t length) {
        int r = request(d, TO_INTERFACE, DNLOAD, number, (void *) data, (uint16_t) length);

        return r < 0 ? r : r == (int) length ? 0 : -EIO;
}

int dfu_read_block(Dfu *d, uint16_t number, void *data, size_t length) {
        return request(d, FROM_INTERFACE, UPLOAD, number, data, (uint16_t) length);
}

int dfu_wait_taken(Dfu *d) {
        DfuStatus s;
        int r;

        for (;;) {
                r = dfu_get_status(d, &s);
                if (r < 0)
                        return r;
                if (s.state == DFU_DNLOAD_IDLE && s.code == 0)
                        return 0;
                if (s.state != DFU_DNLOAD_SYNC && s.state != DFU_DNBUSY) {
                        berth_host_log(d->host, BERTH_LOG_ERR, "it went into %s in the middle of the image: %s", state_names[s.state],
                                       status_text(s.code));
                        return -EREMOTEIO;
                }
                /* Without a time of its own it would be asked as fast as the bus goes. */
                if (s.wait_msec == 0)
                        dfu_pause(d, 1);
        }
}

int dfu_to_idle(Dfu *d) {
        DfuStatus s = {};
        int r;

        for (unsigned attempt = 0; attempt < 10; attempt++) {
                r = dfu_get_status(d, &s);
                /* One that was asked out of turn stalls, and is in dfuERROR then. */
                if (r == -EPIPE)
                        continue;
                if (r < 0)
                        return r;
                if (s.state == DFU_IDLE)
                        return 0;
                if (s.state == DFU_ERROR)
                        r = request(d, TO_INTERFACE, CLRSTATUS, 0, NULL, 0);
                else if (s.state == DFU_DNLOAD_IDLE || s.state == DFU_UPLOAD_IDLE || s.state == DFU_DNLOAD_SYNC ||
                         s.state == DFU_MANIFEST_SYNC)
                        r = request(d, TO_INTERFACE, ABORT, 0, NULL, 0);
                else if (s.state == DFU_MANIFEST_WAIT_RESET || s.state < DFU_IDLE) {
                        berth_host_log(d->host, BERTH_LOG_ERR, "it is in %s, and waits for its restart", state_names[s.state]);
                        return -EREMOTEIO;
                }
                if (r < 0 && r != -EPIPE)
                        return r;
        }
        berth_host_log(d->host, BERTH_LOG_ERR, "it stays in %s (%s), and does not get ready for an image", state_names[s.state],
                       status_text(s.code));
        return -EREMOTEIO;
}
