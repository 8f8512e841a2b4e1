/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An uplink that answers as it is told to, and berthd's client of it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "service/uplink.h"

#define SIZE UINT64_C(1000)
#define CLIP_ID 9u
#define WAIT_USEC (120 * USEC_PER_SEC)

extern const Digest promised; /* of the clip that is put */

/* What the false uplink answers to Put and Confirm. */
typedef struct Lies {
        const char *state;     /* NULL: "ready" */
        const char *error;     /* NULL: an answer */
        const char *object, *manifest, *version, *strength; /* NULL: good ones */
        int64_t size_off, time;
        const char *verdict, *point_text; /* of Examine; NULL: good ones */
        unsigned points;                  /* how many; 0: one */
        bool wrong_digest, short_digest, wrong_signature, silent, hang_up;
        bool early; /* answers Grow before Seal */
        size_t error_text_size; /* 0: a short one */
        const char *busy;       /* signature of what follows the text of a busy: "t", "s", NULL: nothing */
        uint64_t retry_after;
} Lies;

typedef struct Rig {
        char folder[64], socket[96];
        sd_event *event;
        sd_event_source *accept;
        int listen_fd;
        sd_bus *bus; /* the false uplink's */
        sd_bus_message *grow; /* not answered yet */
        bool examined;
        unsigned points; /* of the last report */
        uint64_t grown_bytes;
        bool held, stopped_now;
        Lies lies;
        Uplink *client;
        char state[32], reason[512], text[600], strength[16];
        unsigned connections, puts_done, confirms_done, progress;
        uint64_t progress_bytes, retry_after_usec;
        UplinkResult result;
} Rig;

/* The client is on its way to the false uplink; or there. */
Rig *rig_new(void);
Rig *rig_connected(void);
void rig_free(Rig *r);
/* Puts a whole clip, or one that grows. */
void rig_put(Rig *r, bool grows);
UplinkResult rig_put_and_wait(Rig *r);
UplinkResult rig_confirm_and_wait(Rig *r);
#define wait_for(r, condition)                                                                                    \
        do {                                                                                                      \
                uint64_t _end = clock_boottime_usec() + WAIT_USEC;                                                \
                while (!(condition)) {                                                                            \
                        assert_true(sd_event_run((r)->event, 20 * USEC_PER_MSEC) >= 0);                           \
                        if (clock_boottime_usec() > _end)                                                         \
                                fail_msg("waited in vain for %s; %s: %s", #condition, (r)->state, (r)->reason);   \
                }                                                                                                 \
        } while (0)
