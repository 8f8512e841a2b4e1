/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "ptp.h"
#include "ptp_wire.h"

#define CONTROL_TIMEOUT_MSEC 2000u
#define DRAIN_QUIET_MSEC 60u         /* silent for so long: nothing more is coming */
#define DRAIN_BYTES_MAX (96u << 20)  /* a chunk of a partial read, and room */
#define DRAIN_USEC_MAX UINT64_C(8000000)
#define DRAIN_BUFFER (64u << 10)
#define HALTS_MAX 4
#define STATUS_TRIES 40
#define STATUS_PAUSE_MSEC 50u

#define REQUEST_TO_INTERFACE 0x21 /* class, host to device */
#define REQUEST_OF_INTERFACE 0xA1 /* class, device to host */

void ptp_link_pause(unsigned msec) {
        (void) poll(NULL, 0, (int) msec);
}

ssize_t ptp_link_read(PtpLink *link, void *data, size_t size, unsigned timeout_msec) {
        ssize_t n = berth_host_bulk(link->host, link->bulk_in, data, size, timeout_msec);

        return n > (ssize_t) size ? -EIO : n;
}

int ptp_link_write_some(PtpLink *link, const void *data, size_t size) {
        /* The host takes the buffer as not const because it serves both directions; it does not write to it. */
        ssize_t n = berth_host_bulk(link->host, link->bulk_out, (void *) data, size, link->timeout_msec);

        if (n < 0)
                return (int) n;
        return (size_t) n == size ? 0 : -ETIMEDOUT;
}

int ptp_link_write(PtpLink *link, const void *data, size_t size) {
        int r = ptp_link_write_some(link, data, size);

        return r < 0 || size % link->packet_out != 0 ? r : ptp_link_write_some(link, data, 0);
}

int ptp_link_clear_halts(PtpLink *link) {
        int r;

        r = berth_host_clear_halt(link->host, link->bulk_in);
        if (r == -ENODEV)
                return r;
        r = berth_host_clear_halt(link->host, link->bulk_out);
        return r == -ENODEV ? r : 0;
}

int64_t ptp_link_drain(PtpLink *link) {
        uint64_t deadline = berth_host_boottime_usec() + DRAIN_USEC_MAX;
        int halts = 0;
        int64_t total = 0;
        uint8_t *buffer = malloc(DRAIN_BUFFER);

        if (!buffer)
                return -ENOMEM;
        for (;;) {
                ssize_t n = ptp_link_read(link, buffer, DRAIN_BUFFER, DRAIN_QUIET_MSEC);

                if (n == -ETIMEDOUT)
                        break;
                if (n == -EPIPE && halts++ < HALTS_MAX)
                        n = berth_host_clear_halt(link->host, link->bulk_in);
                if (n >= 0 && (total > DRAIN_BYTES_MAX || berth_host_boottime_usec() > deadline))
                        n = -EBADMSG; /* it never stops */
                if (n < 0) {
                        total = n;
                        break;
                }
                total += n;
        }
        free(buffer);
        return total;
}

static int send_cancel(PtpLink *link, uint32_t id) {
        uint8_t data[6];

        ptp_put_u16(data, PTP_USB_CANCEL_CODE);
        ptp_put_u32(data + 2, id);
        return berth_host_control(link->host, REQUEST_TO_INTERFACE, PTP_USB_CANCEL, 0, link->interface, data,
                                  sizeof(data), CONTROL_TIMEOUT_MSEC);
}

/*
 * Waits until GetDeviceStatus says anything but busy. A camera that stalls the request does not have it: then its
 * silence on the bulk pipe has to do.
 */
static int wait_idle(PtpLink *link) {
        for (int i = 0; i < STATUS_TRIES; i++) {
                uint8_t data[64];
                int r;

                r = berth_host_control(link->host, REQUEST_OF_INTERFACE, PTP_USB_STATUS, 0, link->interface, data,
                                       sizeof(data), CONTROL_TIMEOUT_MSEC);
                if (r == -EPIPE)
                        return 0;
                if (r < 0)
                        return r;
                if (r < 4 || ((uint16_t) (data[2] | data[3] << 8)) != PTP_DEVICE_BUSY)
                        return 0;
                ptp_link_pause(STATUS_PAUSE_MSEC);
        }
        return -ETIMEDOUT;
}

int ptp_link_abort(PtpLink *link, uint32_t id) {
        int64_t n;
        int r = 0;

        if (!link->no_cancel)
                r = send_cancel(link, id);
        if (r == -ENODEV)
                goto dead;
        n = ptp_link_drain(link);
        r = n < 0 ? (int) n : wait_idle(link);
        if (r < 0)
                goto dead;
        /* A halted OUT pipe does not show by reading. */
        r = berth_host_clear_halt(link->host, link->bulk_out);
        if (r < 0)
                goto dead;
        link->aborted = id;
        return 0;

dead:
        link->dead = true;
        return r;
}

int ptp_link_class_reset(PtpLink *link) {
        int r;

        r = berth_host_control(link->host, REQUEST_TO_INTERFACE, PTP_USB_RESET, 0, link->interface, NULL, 0,
                               CONTROL_TIMEOUT_MSEC);
        if (r < 0)
                return r;
        r = ptp_link_clear_halts(link);
        if (r < 0)
                return r;
        return wait_idle(link);
}
