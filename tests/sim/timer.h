/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One thread that calls back at given moments of CLOCK_MONOTONIC. Timers are embedded and must never be freed. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

typedef struct SimTimer {
        void (*fire)(void *userdata); /* on the timer thread, without any lock */
        void *userdata;
        uint64_t at_usec;
        bool armed;
        TAILQ_ENTRY(SimTimer) entry;
} SimTimer;

uint64_t sim_now_usec(void);
/* Starts the thread: 0 or -errno. */
int sim_timers_start(void);
/* Fires once at `at_usec`, or earlier when it is armed for an earlier moment already. From any thread. */
void sim_timer_arm(SimTimer *timer, uint64_t at_usec);
