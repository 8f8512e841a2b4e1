/* SPDX-License-Identifier: Apache-2.0 */

/* One image, whole, by DFU 1.1: blocks from 0 on (§6.1), the manifestation (§7), what is in the camera then (§6.2), its restart. */

#include <errno.h>
#include <string.h>

#include "dfu.h"

/* A download that the camera ends with an error is begun anew so often: what it has of it counts for nothing. */
#define ATTEMPTS 3u

static int send_image(Dfu *d, uint64_t size) {
        uint16_t number = 0;
        int r;

        for (uint64_t at = 0; at < size; at += d->transfer_size) {
                size_t n = size - at < d->transfer_size ? (size_t) (size - at) : d->transfer_size;
                ssize_t got = berth_host_image(d->host, at, d->block, n);

                if (got < 0 || (size_t) got != n)
                        return got < 0 ? (int) got : -EIO;
                r = dfu_send_block(d, number++, d->block, n);
                /* A stall is how it says that it went into dfuERROR. */
                if (r < 0 && r != -EPIPE)
                        return r;
                r = dfu_wait_taken(d);
                if (r < 0)
                        return r;
                berth_host_sent(d->host, at + n);
        }
        return 0;
}

/*
 * 1 when it answers again, in dfuIDLE; 0 when it is on its way: a camera that is not tolerant may leave the bus at any moment from here
 * on, and that is no failure.
 */
static int manifest(Dfu *d) {
        DfuStatus s;
        int r;

        r = dfu_send_block(d, 0, NULL, 0);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        for (;;) {
                r = dfu_get_status(d, &s);
                if (r == -ENODEV || r == -EIO || (r == -EPIPE && !(d->attributes & DFU_IS_TOLERANT)))
                        return 0;
                if (r < 0)
                        return r;
                if (s.state == DFU_IDLE)
                        return 1;
                if (s.state == DFU_MANIFEST_WAIT_RESET)
                        return 0;
                if (s.state == DFU_ERROR || s.code != 0) {
                        berth_host_log(d->host, BERTH_LOG_ERR, "it took the image, and does not accept it: DFU status %u", s.code);
                        return -EREMOTEIO;
                }
                if (s.state == DFU_MANIFEST && s.wait_msec > 0 && !(d->attributes & DFU_IS_TOLERANT))
                        continue; /* it was left alone for as long as it asked */
                if (s.wait_msec == 0)
                        dfu_pause(d, 10);
        }
}

/* What it has, compared with what it was given. */
static int read_back(Dfu *d, uint64_t size) {
        uint8_t *wanted = d->block + d->transfer_size;
        uint16_t number = 0;

        for (uint64_t at = 0; at < size;) {
                size_t want = size - at < d->transfer_size ? (size_t) (size - at) : d->transfer_size;
                int n = dfu_read_block(d, number++, d->block, d->transfer_size);
                ssize_t got;

                if (n < 0)
                        return n;
                got = berth_host_image(d->host, at, wanted, want);
                if (got < 0)
                        return (int) got;
                if ((size_t) n < want || (size_t) got != want || memcmp(d->block, wanted, want) != 0) {
                        berth_host_log(d->host, BERTH_LOG_ERR, "what it has at byte %llu is not what it was given",
                                       (unsigned long long) at);
                        return -EREMOTEIO;
                }
                at += want;
        }
        return dfu_to_idle(d);
}

static int restart(Dfu *d) {
        int r = berth_host_reset(d->host);

        return r == -ENODEV ? 0 : r;
}

static int once(Dfu *d, uint64_t size) {
        int r;

        r = dfu_to_idle(d);
        if (r >= 0)
                r = send_image(d, size);
        if (r >= 0)
                r = manifest(d);
        if (r > 0 && (d->attributes & DFU_CAN_UPLOAD) && d->options.read_back)
                r = read_back(d, size);
        return r;
}

int dfu_download(Dfu *d, uint64_t size) {
        int r = -EREMOTEIO;

        if (size > (uint64_t) d->transfer_size * (DFU_BLOCK_MAX + 1)) {
                berth_host_log(d->host, BERTH_LOG_ERR, "the image has more blocks than DFU can number");
                return -EFBIG;
        }
        for (unsigned attempt = 0; attempt < ATTEMPTS && r == -EREMOTEIO; attempt++)
                r = once(d, size);
        return r < 0 ? r : restart(d);
}
