/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/timer.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/macro.h"

static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        TAILQ_HEAD(, SimTimer) armed; /* soonest first */
} timers = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .armed = TAILQ_HEAD_INITIALIZER(timers.armed),
};

uint64_t sim_now_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static void *timers_run(void *unused) {
        (void) unused;
        pthread_mutex_lock(&timers.lock);
        for (;;) {
                SimTimer *first = TAILQ_FIRST(&timers.armed);

                if (!first) {
                        pthread_cond_wait(&timers.changed, &timers.lock);
                } else if (first->at_usec > sim_now_usec()) {
                        struct timespec until = {
                                .tv_sec = (time_t) (first->at_usec / USEC_PER_SEC),
                                .tv_nsec = (long) (first->at_usec % USEC_PER_SEC * 1000),
                        };
                        pthread_cond_timedwait(&timers.changed, &timers.lock, &until);
                } else {
                        TAILQ_REMOVE(&timers.armed, first, entry);
                        first->armed = false;
                        pthread_mutex_unlock(&timers.lock);
                        first->fire(first->userdata);
                        pthread_mutex_lock(&timers.lock);
                }
        }
        return NULL;
}

int sim_timers_start(void) {
        pthread_condattr_t attr;
        pthread_t thread;
        int r;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&timers.changed, &attr);
        pthread_condattr_destroy(&attr);
        r = pthread_create(&thread, NULL, timers_run, NULL);
        if (r != 0)
                return -r;
        pthread_detach(thread);
        return 0;
}

void sim_timer_arm(SimTimer *timer, uint64_t at_usec) {
        SimTimer *t;

        pthread_mutex_lock(&timers.lock);
        if (!timer->armed || at_usec < timer->at_usec) {
                if (timer->armed)
                        TAILQ_REMOVE(&timers.armed, timer, entry);
                timer->armed = true;
                timer->at_usec = at_usec;
                TAILQ_FOREACH(t, &timers.armed, entry)
                        if (t->at_usec > at_usec)
                                break;
                if (t)
                        TAILQ_INSERT_BEFORE(t, timer, entry);
                else
                        TAILQ_INSERT_TAIL(&timers.armed, timer, entry);
                pthread_cond_signal(&timers.changed);
        }
        pthread_mutex_unlock(&timers.lock);
}
