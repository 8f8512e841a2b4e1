/* SPDX-License-Identifier: Apache-2.0 */

/* A writer is killed at random moments: what it had reported is there, every batch is whole, and the chain is, too. */

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#include "store_rig.h"

#define ROUNDS 40u
#define FACTS_A_BATCH 3u
#define BATCHES_IN_FLIGHT 4u

/* Shared with the child, and there after it was killed. */
typedef struct Shared {
        _Atomic uint64_t reported; /* batches whose completion came */
} Shared;

typedef struct Child {
        Store *store;
        Shared *shared;
        uint64_t number;
        uint64_t die_usec; /* after the first completion; 0: the clock runs already */
} Child;

static void die_in(uint64_t usec);
static void submit_next(Child *c);

static void batch_reported(int result, void *userdata) {
        Child *c = userdata;

        if (result < 0)
                _exit(2);
        if (c->shared->reported++ == 0 && c->die_usec > 0)
                die_in(c->die_usec);
        submit_next(c);
}

/* The batch says its number in every event. */
static void submit_next(Child *c) {
        StoreBatch *b = NULL;

        if (store_batch_new(&b) < 0)
                _exit(3);
        c->number++;
        for (unsigned i = 0; i < FACTS_A_BATCH; i++) {
                char text[64];
                Fact f = rig_fact(FACT_FAULT);

                (void) snprintf(text, sizeof(text), "batch %llu", (unsigned long long) c->number);
                f.bay = "1-1.1";
                f.text = text;
                if (store_batch_add(b, &f) < 0)
                        _exit(4);
        }
        if (store_submit(c->store, b, batch_reported, c) < 0)
                _exit(5);
}

/* The kernel kills us `usec` from now, whatever any thread does then. */
static void die_in(uint64_t usec) {
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
        struct itimerspec when = { .it_value = { .tv_sec = (time_t) (usec / 1000000),
                                                 .tv_nsec = (long) (usec % 1000000) * 1000 } };
        timer_t timer;

        if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 || timer_settime(timer, 0, &when, NULL) < 0)
                _exit(6);
}

static void write_until_killed(const char *dir, Shared *shared, uint64_t first, bool while_opening, uint64_t usec) {
        Child c = { .shared = shared, .number = first, .die_usec = while_opening ? 0 : usec };
        sd_event *event = NULL;
        ConfError error;

        if (while_opening)
                die_in(usec);
        if (sd_event_new(&event) < 0 || store_open(event, dir, &c.store, &error) < 0)
                _exit(7);
        for (unsigned i = 0; i < BATCHES_IN_FLIGHT; i++)
                submit_next(&c);
        for (;;)
                if (sd_event_run(event, UINT64_MAX) < 0)
                        _exit(8);
}

/* All events, in order, in threes: returns the number of the last batch. */
static uint64_t check_batches(Rig *rig) {
        uint64_t after = 0, last = 0;

        for (;;) {
                EventRow **events;
                size_t n;

                assert_int_equal(store_events(rig->store, after, 0, 0, 300, &events, &n), 0);
                assert_int_equal(n % FACTS_A_BATCH, 0);
                for (size_t i = 0; i < n; i++) {
                        char expected[64];

                        if (i % FACTS_A_BATCH == 0)
                                last++;
                        (void) snprintf(expected, sizeof(expected), "\"batch %llu\"", (unsigned long long) last);
                        assert_int_equal(events[i]->seq, ++after);
                        assert_non_null(strstr(events[i]->bytes, expected));
                }
                event_rows_free(events, n);
                if (n == 0)
                        return last;
        }
}

static void test_killed_writer_loses_nothing_that_it_reported(void **state) {
        Rig *rig = *state;
        Shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        uint64_t last = 0, grew = 0;

        assert_true(shared != MAP_FAILED);
        for (unsigned round = 0; round < ROUNDS; round++) {
                uint64_t usec, before = last;
                int status = 0;
                pid_t child;

                assert_int_equal(getrandom(&usec, sizeof(usec), 0), sizeof(usec));
                usec = usec % 30000 + 1;
                shared->reported = 0;
                child = fork();
                if (child == 0)
                        write_until_killed(rig->dir, shared, last, round % 4 == 3, usec);
                assert_true(child > 0);
                assert_int_equal(waitpid(child, &status, 0), child);
                if (!WIFSIGNALED(status))
                        fail_msg("round %u, %llu us: the writer ended with %d", round, (unsigned long long) usec,
                                 WEXITSTATUS(status));
                assert_int_equal(WTERMSIG(status), SIGKILL);
                if (rig_open(rig) < 0)
                        fail_msg("round %u, %llu us: %s", round, (unsigned long long) usec, rig->error.text);
                last = check_batches(rig);
                if (last < before + shared->reported)
                        fail_msg("round %u, %llu us: %llu batches were reported, %llu are there", round,
                                 (unsigned long long) usec, (unsigned long long) shared->reported,
                                 (unsigned long long) (last - before));
                grew += last > before;
                rig_close(rig);
        }
        assert_int_equal(munmap(shared, sizeof(*shared)), 0);
        assert_true(grew >= ROUNDS - ROUNDS / 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_killed_writer_loses_nothing_that_it_reported, rig_setup_closed,
                                                rig_teardown),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
