/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trying something again as long as that may help: how often, and how long to wait, with back-off and jitter. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#define RETRY_TRIES 6u

typedef struct Retry {
        unsigned tries, tries_max; /* the caller counts the tries */
        sd_event *event;           /* borrowed */
        sd_event_source *timer;
        void (*again)(void *userdata); /* on the loop, when the time has come */
        void *userdata;
} Retry;

void retry_end(Retry *r);
/* Is a try left, and may it be waited for as long as the other side asks? 0: it asks for nothing. */
bool retry_may(const Retry *r, uint64_t retry_after_sec);
/* `again` comes after what the other side asks for, or after a wait of our own. */
int retry_later(Retry *r, uint64_t retry_after_sec);
