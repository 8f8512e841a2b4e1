/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small PTP initiator that drives the callbacks of the simulated camera directly, without a bus. */

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/macro.h"
#include "sim/device.h"
#include "sim/ptp.h"

#define PTP_IN 0x81
#define PTP_OUT 0x02
#define PTP_INTERRUPT 0x83

typedef struct Host {
        void *camera;
        uint32_t next_id;
        size_t urb_size; /* of the reads */
} Host;

/* What came back of one transaction. */
typedef struct Reply {
        uint8_t *data; /* the payload of the data phase, NULL: there was none */
        size_t size;
        uint32_t declared; /* the length in its header */
        PtpResponse response;
        uint32_t parameters[PTP_PARAMETERS_MAX];
        unsigned n_parameters;
} Reply;

/* `spec`: JSON with ' for ". The camera has power. Fails the test on an error. */
Host *host_new(const char *spec);
Host *host_free(Host *host);
DEFINE_CLEANUP(Host, host_free);
/* With a session open. */
Host *host_in_session(const char *spec);
void host_power_cycle(Host *host);

/* A control-socket command; the answer (may be NULL) or a failed test. */
json_t *host_control(Host *host, const char *name, const char *args);
void host_fault(Host *host, const char *args);
/* An integer of the camera's state. */
json_int_t host_state(Host *host, const char *key);

/* Puts a command container; what the model said. */
int host_command(Host *host, uint16_t code, const uint32_t *parameters, unsigned n);
/* One URB at bulk IN. */
int host_read(Host *host, uint8_t *ret, size_t size);
/* A whole transaction whose containers must be right. */
void host_run(Host *host, uint16_t code, const uint32_t *parameters, unsigned n, Reply *ret);
void host_run_with_data(Host *host, uint16_t code, const uint32_t *parameters, unsigned n, const void *data, size_t size, Reply *ret);
void reply_done(Reply *reply);

/* Of several folders and formats; a second storage that is read-only. */
#define TREE                                                                                                      \
        "{'storages': [{'clips': [{'path': 'DCIM/100/a.MP4', 'size': 10}, {'path': 'DCIM/100/b.JPG', 'size': 10},"  \
        "{'path': 'DCIM/101/c.MP4', 'size': 10}, {'path': 'top.txt', 'size': 5}]},"                                \
        "{'read_only': true, 'clips': [{'path': 'ro.MP4', 'size': 10}]}]}"

#define STORAGE_1 0x00010001u
#define STORAGE_2 0x00020001u
#define ALL UINT32_MAX

/* The n-th handle of a selection, 0 past its end; *ret_n (may be NULL) is how many there are. */
uint32_t handle_of(Host *host, uint32_t storage, uint32_t format, uint32_t parent, uint32_t nth, uint32_t *ret_n);
uint32_t count_of(Host *host, uint32_t storage, uint32_t format, uint32_t parent);
/* The n-th clip, that is object that is no folder. */
uint32_t clip(Host *host, uint32_t nth);
/* The file name in an ObjectInfo. */
PtpText name_of(Host *host, uint32_t handle);
void assert_seeded(uint64_t seed, uint64_t offset, const uint8_t *data, size_t size);

/* The response code alone. */
#define host_call(host, code, ...)                                                                                \
        ({                                                                                                        \
                const uint32_t _p[] = { __VA_ARGS__ };                                                            \
                Reply _reply;                                                                                     \
                host_run(host, code, _p, ELEMENTSOF(_p), &_reply);                                                \
                reply_done(&_reply);                                                                              \
                _reply.response;                                                                                  \
        })
#define host_get(host, ret, code, ...)                                                                            \
        ({                                                                                                        \
                const uint32_t _p[] = { __VA_ARGS__ };                                                            \
                host_run(host, code, _p, ELEMENTSOF(_p), ret);                                                    \
                (ret)->response;                                                                                  \
        })

static inline uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p) {
        return le16(p) | (uint32_t) le16(p + 2) << 16;
}
