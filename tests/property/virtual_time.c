/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Time that passes when the test says so. The linker has the dock's floors call these instead (--wrap): its clocks tell the world's time,
 * its timers are due by it, and what its threads do is counted, so that the test knows when the dock is quiet.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/jobs.h"
#include "property/world.h"

#define TIMERS_MAX (128u + 8u * BAYS)

typedef struct Timer {
        sd_event_source *source;
        uint64_t at_usec;
} Timer;

static Timer timers[TIMERS_MAX];
static size_t jobs;

int __real_sd_event_add_time(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec, uint64_t accuracy,
                             sd_event_time_handler_t callback, void *userdata);
int __real_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
sd_event_source *__real_sd_event_source_unref(sd_event_source *s);
sd_event_source *__real_sd_event_source_disable_unref(sd_event_source *s);
int __real_job_thread_submit(JobThread *t, JobRun run, JobDone done, void *job);

int __wrap_sd_event_add_time(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec, uint64_t accuracy,
                             sd_event_time_handler_t callback, void *userdata);
int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
sd_event_source *__wrap_sd_event_source_unref(sd_event_source *s);
sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *s);
int __wrap_job_thread_submit(JobThread *t, JobRun run, JobDone done, void *job);
ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags);
ssize_t __real_getrandom(void *data, size_t size, unsigned flags);
int __real_fstatvfs(int fd, struct statvfs *ret);
int __wrap_fstatvfs(int fd, struct statvfs *ret);
uint64_t __wrap_clock_boottime_usec(void);
uint64_t __wrap_clock_suspended_usec(void);
int64_t __wrap_clock_wall_usec(void);
void __wrap_moment_now(bool synchronised, Moment *ret);

/* ---- Clocks ----------------------------------------------------------------------------------------------------------- */

uint64_t __wrap_clock_boottime_usec(void) {
        return world->boottime_usec;
}

uint64_t __wrap_clock_suspended_usec(void) {
        return world->suspended_usec;
}

int64_t __wrap_clock_wall_usec(void) {
        return (int64_t) world->boottime_usec + world->wall_offset_usec;
}

void __wrap_moment_now(bool synchronised, Moment *ret) {
        *ret = (Moment){ .wall_usec = __wrap_clock_wall_usec(), .boottime_usec = world->boottime_usec, .synchronised = synchronised };
        memcpy(ret->boot_id, "0123456789abcdef0123456789abcdef", BOOT_ID_SIZE);
}

/* ---- Chance: the same each time a sequence is played -------------------------------------------------------------------- */

ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags) {
        uint8_t *bytes = data;

        /* Of the program itself, which draws a seed. */
        if (!world)
                return __real_getrandom(data, size, flags);
        for (size_t i = 0; i < size; i++) {
                /* splitmix64; threads ask, too. */
                uint64_t x = __atomic_add_fetch(&world->random, UINT64_C(0x9E3779B97F4A7C15), __ATOMIC_SEQ_CST);

                x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
                x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
                bytes[i] = (uint8_t) (x >> 56);
        }
        return (ssize_t) size;
}

/* ---- Timers ----------------------------------------------------------------------------------------------------------- */

static Timer *timer_of(const sd_event_source *s) {
        for (size_t i = 0; i < TIMERS_MAX; i++)
                if (timers[i].source == s)
                        return &timers[i];
        return NULL;
}

/* For the loop a timer is due at once, or never. */
static uint64_t for_the_loop(uint64_t usec) {
        return usec <= world->boottime_usec ? 0 : UINT64_MAX;
}

int __wrap_sd_event_add_time(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec, uint64_t accuracy,
                             sd_event_time_handler_t callback, void *userdata) {
        int r = __real_sd_event_add_time(e, ret, clock, for_the_loop(usec), accuracy, callback, userdata);
        Timer *free_one = timer_of(NULL);

        if (r < 0)
                return r;
        if (!free_one || !ret)
                abort();
        *free_one = (Timer){ .source = *ret, .at_usec = usec };
        return r;
}

int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec) {
        Timer *t = timer_of(s);

        if (!t)
                abort();
        t->at_usec = usec;
        return __real_sd_event_source_set_time(s, for_the_loop(usec));
}

static void forget(const sd_event_source *s) {
        Timer *t = s ? timer_of(s) : NULL;

        if (t)
                *t = (Timer){};
}

sd_event_source *__wrap_sd_event_source_unref(sd_event_source *s) {
        forget(s);
        return __real_sd_event_source_unref(s);
}

sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *s) {
        forget(s);
        return __real_sd_event_source_disable_unref(s);
}

uint64_t time_next_due_usec(void) {
        uint64_t next = UINT64_MAX;
        int enabled;

        for (size_t i = 0; i < TIMERS_MAX; i++)
                if (timers[i].source && sd_event_source_get_enabled(timers[i].source, &enabled) > 0)
                        next = MIN2(next, timers[i].at_usec);
        return next;
}

uint64_t time_due_usec(const sd_event_source *timer) {
        const Timer *t = timer_of(timer);
        int enabled;

        return t && sd_event_source_get_enabled(t->source, &enabled) > 0 ? t->at_usec : UINT64_MAX;
}

void time_pass(uint64_t usec) {
        world->boottime_usec += usec;
        for (size_t i = 0; i < TIMERS_MAX; i++)
                if (timers[i].source && timers[i].at_usec <= world->boottime_usec)
                        (void) __real_sd_event_source_set_time(timers[i].source, 0);
}

/* ---- Room -------------------------------------------------------------------------------------------------------------- */

int __wrap_fstatvfs(int fd, struct statvfs *ret) {
        int r = __real_fstatvfs(fd, ret);

        if (r == 0)
                ret->f_bavail = (world->scarce ? MIB : 64 * UINT64_C(1024) * MIB) / ret->f_frsize;
        return r;
}

/* ---- Threads ---------------------------------------------------------------------------------------------------------- */

typedef struct Counted {
        JobRun run;
        JobDone done;
        void *job;
} Counted;

static int run_counted(void *p) {
        const Counted *c = p;
        int r;

        world_step();
        r = c->run(c->job);
        world_step();
        return r;
}

static void counted_done(void *p, int result) {
        Counted c = *(Counted *) p;

        free(p);
        jobs--;
        c.done(c.job, result);
}

int __wrap_job_thread_submit(JobThread *t, JobRun run, JobDone done, void *job) {
        Counted *c = malloc(sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Counted){ .run = run, .done = done, .job = job };
        r = __real_job_thread_submit(t, run_counted, counted_done, c);
        if (r < 0)
                free(c);
        else
                jobs++;
        return r;
}

size_t time_jobs_under_way(void) {
        return jobs;
}
