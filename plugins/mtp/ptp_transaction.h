/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One PTP transaction: command, perhaps a data phase, response (PIMA 15740 annex D.7). Every function returns 0 when a
 * response came, whatever it says (ptp_response_error() tells), or a negative errno when the camera did not keep to
 * the protocol: -ETIMEDOUT, -EPIPE (it stalled), -EBADMSG (it answered nonsense), -ENODEV, -EMSGSIZE (more than asked
 * for). After such an error the transaction was given up and the link is in step again, or dead.
 * Device_Busy is asked again, with pauses, for the link's busy_msec.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ptp.h"
#include "ptp_link.h"

typedef struct PtpRequest {
        uint16_t code;
        uint8_t n;
        uint32_t params[PTP_PARAMS_MAX];
} PtpRequest;

typedef struct PtpResponse {
        uint16_t code;
        uint8_t n;
        uint32_t params[PTP_PARAMS_MAX];
} PtpResponse;

/* PTP_REQUEST(code, param, …) */
#define PTP_REQUEST(op, ...)                                                                                      \
        (&(const PtpRequest){                                                                                     \
                .code = (op),                                                                                     \
                .n = sizeof((const uint32_t[]){ 0, ##__VA_ARGS__ }) / sizeof(uint32_t) - 1,                       \
                .params = { __VA_ARGS__ },                                                                        \
        })

/* 0 for PTP_OK, else the errno that says best what the camera meant. */
int ptp_response_error(const PtpResponse *response);

/* Without a data phase. */
int ptp_call(PtpLink *link, const PtpRequest *request, PtpResponse *ret);
/* With a data phase to the camera. */
int ptp_call_send(PtpLink *link, const PtpRequest *request, const void *data, size_t size, PtpResponse *ret);
/* With a dataset of at most `max` bytes from the camera. *ret_data is new, to be freed; NULL when none came. */
int ptp_call_receive(PtpLink *link, const PtpRequest *request, size_t max, uint8_t **ret_data, size_t *ret_size,
                     PtpResponse *ret);
/*
 * The three with the response's meaning in the return value, for callers that need nothing else of it. Reading a
 * dataset changes nothing, so a stall there is tried once more.
 */
int ptp_do(PtpLink *link, const PtpRequest *request);
int ptp_send(PtpLink *link, const PtpRequest *request, const void *data, size_t size);
int ptp_receive(PtpLink *link, const PtpRequest *request, size_t max, uint8_t **ret_data, size_t *ret_size);

/* A data phase that is clip content and goes to berth_host_deliver*(). */
typedef struct PtpStream {
        uint64_t skip;   /* pass over so many bytes first */
        uint64_t length; /* deliver so many; UINT64_MAX: all that comes */
        uint64_t exact;  /* the data phase must have this many; UINT64_MAX: not known */
        uint64_t most;   /* more than this many is -EMSGSIZE */
        /* Filled: */
        uint64_t received;  /* what the data phase had, as far as it was followed */
        uint64_t delivered;
        bool began; /* there was a data phase */
} PtpStream;

/* A data phase to the camera whose bytes come in pieces. */
typedef struct PtpSource {
        uint64_t size;
        /* `length` bytes at `offset`, or fewer, which is an error here; -errno. */
        ssize_t (*read)(void *userdata, uint64_t offset, void *data, size_t length);
        void *userdata;
} PtpSource;

/* A camera that is busy is not sent them again: that is for whoever has announced them. */
int ptp_call_source(PtpLink *link, const PtpRequest *request, const PtpSource *source, PtpResponse *ret);

/*
 * What lies behind the wanted bytes is read away when it is little, else the transaction is cancelled and the response
 * is PTP_OK. Also the errno of berth_host_deliver().
 */
int ptp_call_stream(PtpLink *link, const PtpRequest *request, PtpStream *stream, PtpResponse *ret);
