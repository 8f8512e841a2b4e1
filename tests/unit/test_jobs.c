/* SPDX-License-Identifier: Apache-2.0 */

/* A thread for an sd-event loop: base/jobs.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/jobs.h"

#define DEADLINE_USEC (120 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        JobThread *thread;
        sem_t gate; /* jobs that wait pass it one by one */
        pthread_t loop;
        unsigned done, order[256];
        _Atomic unsigned ran;
        bool free_when_done;
} Fixture;

typedef struct Work {
        Fixture *fixture;
        unsigned number;
        bool waits;
        pthread_t ran_on;
} Work;

static int run(void *job) {
        Work *w = job;

        if (w->waits)
                (void) sem_wait(&w->fixture->gate);
        w->ran_on = pthread_self();
        atomic_fetch_add(&w->fixture->ran, 1);
        return (int) w->number;
}

static void done(void *job, int result) {
        Work *w = job;
        Fixture *f = w->fixture;

        assert_int_equal(result, w->number);
        assert_true(pthread_equal(pthread_self(), f->loop));
        assert_false(pthread_equal(w->ran_on, f->loop));
        f->order[f->done++] = w->number;
        free(w);
        if (f->free_when_done && f->thread)
                job_thread_free(TAKE_PTR(f->thread));
}

static void submit(Fixture *f, unsigned number, bool waits) {
        Work *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        *w = (Work){ .fixture = f, .number = number, .waits = waits };
        assert_int_equal(job_thread_submit(f->thread, run, done, w), 0);
}

static void wait_for(Fixture *f, unsigned n) {
        uint64_t end = clock_boottime_usec() + DEADLINE_USEC;

        while (f->done < n) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(f->event, USEC_PER_SEC) >= 0);
        }
}

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        if (!f || sd_event_new(&f->event) < 0 || sem_init(&f->gate, 0, 0) < 0)
                return -1;
        f->loop = pthread_self();
        *state = f;
        return job_thread_new(f->event, "a thread with a long name", &f->thread);
}

static int teardown(void **state) {
        Fixture *f = *state;

        (void) job_thread_free(f->thread);
        (void) sem_destroy(&f->gate);
        (void) sd_event_unref(f->event);
        free(f);
        return 0;
}

static void test_jobs_complete_on_the_loop_in_order(void **state) {
        Fixture *f = *state;

        for (unsigned i = 0; i < 200; i++)
                submit(f, i, false);
        wait_for(f, 200);
        for (unsigned i = 0; i < 200; i++)
                assert_int_equal(f->order[i], i);
}

static void test_loop_goes_on_while_a_job_waits(void **state) {
        Fixture *f = *state;

        submit(f, 1, true);
        submit(f, 2, false);
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_event_run(f->event, USEC_PER_MSEC) >= 0);
        assert_int_equal(f->done, 0);
        assert_int_equal(sem_post(&f->gate), 0);
        wait_for(f, 2);
        assert_int_equal(f->order[0], 1);
}

static void test_flood_of_completions_leaves_the_loop_its_turns(void **state) {
        Fixture *f = *state;
        uint64_t end = clock_boottime_usec() + DEADLINE_USEC;

        for (unsigned i = 0; i < 200; i++)
                submit(f, i, false);
        while (atomic_load(&f->ran) < 200)
                assert_true(clock_boottime_usec() < end);
        while (f->done == 0)
                assert_true(sd_event_run(f->event, USEC_PER_SEC) >= 0);
        assert_true(f->done < 200); /* one turn does not run them all */
        wait_for(f, 200);
}

static void test_free_finishes_what_is_queued(void **state) {
        Fixture *f = *state;

        submit(f, 1, true);
        for (unsigned i = 2; i <= 50; i++)
                submit(f, i, false);
        assert_int_equal(sem_post(&f->gate), 0);
        f->thread = job_thread_free(f->thread);
        assert_int_equal(f->done, 50);
        assert_int_equal(f->order[49], 50);
}

static void test_completion_may_free_the_thread(void **state) {
        Fixture *f = *state;

        f->free_when_done = true;
        for (unsigned i = 1; i <= 3; i++)
                submit(f, i, false);
        wait_for(f, 1);
        assert_null(f->thread);
        assert_int_equal(f->done, 3);
        assert_true(sd_event_run(f->event, 0) >= 0); /* nothing of it is left in the loop */
}

static int answer(void *job) {
        (void) job;
        return 0;
}

static void submit_another(void *job, int result) {
        Fixture *f = job;

        (void) result;
        f->done++;
        assert_int_equal(job_thread_submit(f->thread, answer, submit_another, f), -ESHUTDOWN);
}

static void test_no_job_is_taken_while_ending(void **state) {
        Fixture *f = *state;

        assert_int_equal(job_thread_submit(f->thread, answer, submit_another, f), 0);
        (void) job_thread_free(f->thread);
        f->thread = NULL;
        assert_int_equal(f->done, 1);
}

static void test_free_takes_null(void **state) {
        (void) state;
        assert_null(job_thread_free(NULL));
}

static int ask_mask(void *job) {
        sigset_t mask;

        (void) job;
        (void) pthread_sigmask(SIG_SETMASK, NULL, &mask);
        return sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1;
}

static void mask_known(void *job, int result) {
        Fixture *f = job;

        f->order[f->done++] = (unsigned) result;
}

static void test_signals_are_left_to_the_loop(void **state) {
        Fixture *f = *state;
        sigset_t mask;

        assert_int_equal(job_thread_submit(f->thread, ask_mask, mask_known, f), 0);
        wait_for(f, 1);
        assert_int_equal(f->order[0], 1);
        (void) pthread_sigmask(SIG_SETMASK, NULL, &mask);
        assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_jobs_complete_on_the_loop_in_order),
                TEST(test_loop_goes_on_while_a_job_waits),
                TEST(test_flood_of_completions_leaves_the_loop_its_turns),
                TEST(test_free_finishes_what_is_queued),
                TEST(test_completion_may_free_the_thread),
                TEST(test_no_job_is_taken_while_ending),
                cmocka_unit_test(test_free_takes_null),
                TEST(test_signals_are_left_to_the_loop),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
