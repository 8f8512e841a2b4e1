/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_session.h"

#include <errno.h>
#include <string.h>

#include "ptp_transaction.h"

#define SESSION_ID 1u
#define OPEN_TIMEOUT_MSEC 4000u  /* per try: the next one is a stronger remedy, not more patience */
#define CLOSE_TIMEOUT_MSEC 2000u
#define PEEK_MSEC 60u

static int open_once(PtpLink *link) {
        PtpResponse response;
        int r;

        link->dead = false;
        link->transaction = 1;
        link->aborted = 0;
        r = ptp_call(link, PTP_REQUEST(PTP_OPEN_SESSION, SESSION_ID), &response);
        if (r < 0)
                return r;
        if (response.code != PTP_SESSION_ALREADY_OPEN)
                return ptp_response_error(&response);

        /* Somebody left without a word. Their handles and transaction ids are not ours: start a session of our own. */
        berth_host_log(link->host, BERTH_LOG_INFO, "the camera is still in somebody's session; closing that one");
        r = ptp_do(link, PTP_REQUEST(PTP_CLOSE_SESSION));
        if (r < 0)
                return r;
        link->transaction = 1;
        return ptp_do(link, PTP_REQUEST(PTP_OPEN_SESSION, SESSION_ID));
}

/* A worker that was killed in a data phase leaves the camera sending: it must be quiet before it listens again. */
static int settle(PtpLink *link) {
        uint8_t packet[PTP_PACKET_MAX];
        ssize_t n;

        n = ptp_link_read(link, packet, link->packet_in, PEEK_MSEC);
        if (n == -ETIMEDOUT)
                return 0;
        if (n < 0 && n != -EPIPE)
                return (int) n;
        berth_host_log(link->host, BERTH_LOG_INFO, "the camera is still in a transaction that nobody waits for; "
                                                   "cancelling it");
        return ptp_link_abort(link, 0);
}

typedef enum Remedy {
        REMEDY_SETTLE,
        REMEDY_CLASS_RESET,
        REMEDY_DEVICE_RESET,
        _REMEDY_MAX,
} Remedy;

static int apply(PtpLink *link, Remedy remedy, uint8_t alternate) {
        int r;

        switch (remedy) {
        case REMEDY_CLASS_RESET:
                r = ptp_link_class_reset(link);
                /* Many cameras do not know the request, and what they send may end by itself. */
                return r == -ENODEV ? r : settle(link);
        case REMEDY_DEVICE_RESET:
                r = berth_host_reset(link->host);
                if (r < 0)
                        return r;
                r = berth_host_claim(link->host, link->interface, alternate);
                return r < 0 ? r : settle(link);
        default:
                return settle(link);
        }
}

int ptp_session_open(PtpLink *link, uint8_t alternate) {
        unsigned timeout_msec = link->timeout_msec;
        int r = -EIO;

        if (link->timeout_msec > OPEN_TIMEOUT_MSEC)
                link->timeout_msec = OPEN_TIMEOUT_MSEC;
        for (Remedy remedy = 0; remedy < _REMEDY_MAX; remedy++) {
                r = apply(link, remedy, alternate);
                if (r == 0)
                        r = open_once(link);
                if (r == 0 || r == -ENODEV)
                        break;
                berth_host_log(link->host, BERTH_LOG_WARNING, "the camera opens no session (%s)%s",
                               strerror(-r),
                               remedy + 1 < _REMEDY_MAX ? "; trying again after a reset" : "");
        }
        link->timeout_msec = timeout_msec;
        return r;
}

void ptp_session_close(PtpLink *link) {
        if (link->dead)
                return;
        if (link->timeout_msec > CLOSE_TIMEOUT_MSEC)
                link->timeout_msec = CLOSE_TIMEOUT_MSEC;
        link->busy_msec = 0;
        (void) ptp_do(link, PTP_REQUEST(PTP_CLOSE_SESSION));
}
