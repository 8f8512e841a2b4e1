/* SPDX-License-Identifier: Apache-2.0 */

/* Batches and commits: whole or not at all, in order, and reported only when synced. The disk's failures are made here.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "own_mounts.h"
#include "store/custody.h"
#include "store/state_dir.h"
#include "store_rig.h"

/* ---- The disk: fdatasync() of this program and of SQLite ends here -------------------------------------------- */

static _Atomic unsigned log_syncs, head_syncs;           /* that were done */
static _Atomic unsigned fail_log_syncs, fail_head_syncs; /* that will fail */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* a slow disk: held by the test */

static bool take_one(_Atomic unsigned *n) {
        unsigned v = atomic_load(n);

        while (v > 0)
                if (atomic_compare_exchange_weak(n, &v, v - 1))
                        return true;
        return false;
}

static bool fd_is(int fd, const char *suffix) {
        char link[64], path[4096];
        size_t length = strlen(suffix);
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path));
        return n >= (ssize_t) length && memcmp(path + n - length, suffix, length) == 0;
}

int fdatasync(int fd) {
        bool is_log = fd_is(fd, "berth.db-wal"), is_head = fd_is(fd, "chain.head");

        if (is_log) {
                (void) pthread_mutex_lock(&gate);
                (void) pthread_mutex_unlock(&gate);
        }
        if ((is_log && take_one(&fail_log_syncs)) || (is_head && take_one(&fail_head_syncs))) {
                errno = EIO;
                return -1;
        }
        if (is_log)
                atomic_fetch_add(&log_syncs, 1);
        if (is_head)
                atomic_fetch_add(&head_syncs, 1);
        return (int) syscall(SYS_fdatasync, fd);
}

/* ---- Batches -------------------------------------------------------------------------------------------------- */

static Fact fault(const char *text) {
        Fact f = rig_fact(FACT_FAULT);

        f.bay = "1-1.1";
        f.text = text;
        return f;
}

typedef struct Note {
        Rig *rig;
        unsigned number;
        int result;
        unsigned order; /* 0: not yet */
        uint64_t events;
        unsigned log_syncs, head_syncs;
} Note;

static void noted(int result, void *userdata) {
        Note *note = userdata;

        note->result = result;
        note->order = ++note->rig->completions;
        note->events = rig_events(note->rig);
        note->log_syncs = atomic_load(&log_syncs);
        note->head_syncs = atomic_load(&head_syncs);
}

static StoreBatch *batch_of(const Fact *facts, size_t n) {
        StoreBatch *b = NULL;

        assert_int_equal(store_batch_new(&b), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(store_batch_add(b, &facts[i]), 0);
        return b;
}

static void test_completion_comes_after_log_and_head_are_synced(void **state) {
        Rig *rig = *state;
        unsigned syncs = atomic_load(&log_syncs), heads = atomic_load(&head_syncs);
        Note note = { .rig = rig };
        Fact f = fault("one");

        (void) pthread_mutex_lock(&gate);
        assert_int_equal(store_put(rig->store, &f, noted, &note), 0);
        assert_int_equal(store_pending(rig->store), 1);
        /* The disk does not come back: nothing is reported, and the loop goes on. */
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_event_run(rig->event, USEC_PER_MSEC) >= 0);
        assert_int_equal(note.order, 0);
        assert_int_equal(rig_events(rig), 0);
        (void) pthread_mutex_unlock(&gate);
        rig_wait(rig, 1);
        assert_int_equal(note.result, 0);
        assert_int_equal(note.events, 1);
        assert_true(note.log_syncs > syncs);
        assert_true(note.head_syncs > heads);
        assert_int_equal(store_pending(rig->store), 0);
}

static void test_waiting_batches_share_a_commit_and_complete_in_order(void **state) {
        enum { N = 100 };
        Rig *rig = *state;
        Note notes[N] = { 0 };
        unsigned syncs;

        (void) pthread_mutex_lock(&gate);
        syncs = atomic_load(&log_syncs);
        for (unsigned i = 0; i < N; i++) {
                Fact f = fault("many");

                notes[i] = (Note){ .rig = rig, .number = i };
                assert_int_equal(store_put(rig->store, &f, noted, &notes[i]), 0);
        }
        (void) pthread_mutex_unlock(&gate);
        rig_wait(rig, N);
        for (unsigned i = 0; i < N; i++) {
                assert_int_equal(notes[i].result, 0);
                assert_int_equal(notes[i].order, i + 1);
        }
        /* The first alone or with some, the rest together; not one each. */
        assert_true(atomic_load(&log_syncs) - syncs <= 6);
        assert_int_equal(rig_events(rig), N);
}

static void test_failed_batch_leaves_nothing_and_harms_no_other(void **state) {
        Rig *rig = *state;
        Fact good = fault("good"), unknown = rig_clip_fact(FACT_CLIP_LOST, 0, 99), camera = rig_camera(1, "X1");
        const Fact bad[] = { camera, good, unknown, good };
        Note notes[3] = { { .rig = rig }, { .rig = rig }, { .rig = rig } };
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        EventRow **events;
        size_t n;

        (void) pthread_mutex_lock(&gate); /* all three in one commit, after a first that waits */
        assert_int_equal(store_put(rig->store, &good, NULL, NULL), 0);
        assert_int_equal(store_put(rig->store, &good, noted, &notes[0]), 0);
        assert_int_equal(store_submit(rig->store, batch_of(bad, ELEMENTSOF(bad)), noted, &notes[1]), 0);
        assert_int_equal(store_put(rig->store, &good, noted, &notes[2]), 0);
        (void) pthread_mutex_unlock(&gate);
        rig_wait(rig, 3);
        assert_int_equal(notes[0].result, 0);
        assert_int_equal(notes[1].result, -ENOENT);
        assert_int_equal(notes[2].result, 0);
        assert_int_equal(rig_events(rig), 3);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &row), -ENOENT);
        assert_false(store_is_failing(rig->store, NULL));
        assert_non_null(strstr(store_last_refusal(rig->store), "clip 99 is not known"));
        /* The chain has no hole where the failed batch was. */
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(store_events(rig->store, 0, 0, 0, 9, &events, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(events[2]->seq, 3);
        event_rows_free(events, n);
}

static void test_empty_batch_completes(void **state) {
        Rig *rig = *state;

        assert_int_equal(store_submit(rig->store, batch_of(NULL, 0), rig_done, rig), 0);
        rig_wait(rig, 1);
        assert_int_equal(rig->result, 0);
        assert_int_equal(rig_events(rig), 0);
}

static void test_batch_has_a_limit(void **state) {
        _cleanup_(store_batch_freep) StoreBatch *b = NULL;
        Fact f = fault("many");
        int r = 0;

        (void) state;
        assert_int_equal(store_batch_new(&b), 0);
        for (unsigned i = 0; i < 100000 && r >= 0; i++)
                r = store_batch_add(b, &f);
        assert_int_equal(r, -E2BIG);
}

static void test_close_finishes_what_is_queued(void **state) {
        enum { N = 50 };
        Rig *rig = *state;

        for (unsigned i = 0; i < N; i++) {
                Fact f = fault("queued");

                assert_int_equal(store_put(rig->store, &f, rig_done, rig), 0);
        }
        rig_close(rig);
        assert_int_equal(rig->completions, N);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(rig_events(rig), N);
}

static void close_store(int result, void *userdata) {
        Rig *rig = userdata;

        assert_int_equal(result, 0);
        rig->completions++;
        rig_close(rig);
}

static void test_completion_may_close_the_store(void **state) {
        Rig *rig = *state;
        Fact f = fault("last");

        assert_int_equal(store_put(rig->store, &f, close_store, rig), 0);
        assert_int_equal(store_put(rig->store, &f, rig_done, rig), 0);
        rig_wait(rig, 1);
        assert_null(rig->store);
        assert_int_equal(rig->completions, 2);
}

/* ---- Ids ------------------------------------------------------------------------------------------------------ */

static void test_ids_are_never_given_twice(void **state) {
        Rig *rig = *state;
        uint64_t first = store_next_id(rig->store, STORE_ID_CLIP), second = store_next_id(rig->store, STORE_ID_CLIP),
                 third;

        assert_int_equal(first, 1);
        assert_int_equal(second, 2);
        assert_int_equal(store_next_id(rig->store, STORE_ID_DOCKING), 1);
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        third = store_next_id(rig->store, STORE_ID_CLIP); /* an orderly end wastes none */
        assert_int_equal(third, 3);
        assert_int_equal(store_next_id(rig->store, STORE_ID_DOCKING), 2);
        assert_int_equal(store_next_id(rig->store, STORE_ID_CAMERA), 1);
}

static void test_ids_of_a_killed_run_are_not_given_again(void **state) {
        Rig *rig = *state;
        int status;
        pid_t child;

        rig_close(rig);
        child = fork();
        if (child == 0) {
                sd_event *event = NULL;
                Store *s = NULL;

                if (sd_event_new(&event) < 0 || store_open(event, rig->dir, &s, &rig->error) < 0)
                        _exit(1);
                for (unsigned i = 0; i < 1000; i++)
                        (void) store_next_id(s, STORE_ID_CLIP);
                (void) raise(SIGKILL);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(rig_open(rig), 0);
        assert_true(store_next_id(rig->store, STORE_ID_CLIP) > 1000);
}

static void test_ids_do_not_run_out_while_the_store_works(void **state) {
        Rig *rig = *state;
        uint64_t last = 0;

        for (unsigned i = 0; i < 300000; i++) {
                uint64_t id = store_next_id(rig->store, STORE_ID_CLIP);

                assert_int_equal(id, last + 1);
                last = id;
                if (i % 16384 == 0) /* what a loop does between two pages */
                        while (store_pending(rig->store) > 0)
                                assert_true(sd_event_run(rig->event, USEC_PER_SEC) >= 0);
        }
}

/* ---- A failing disk ------------------------------------------------------------------------------------------- */

static void assert_failing(Rig *rig, bool failing) {
        const char *why = NULL;

        assert_int_equal(store_is_failing(rig->store, &why), failing);
        assert_int_equal(strlen(why) > 0, failing);
}

static void test_failed_sync_fails_the_commit_and_leaves_nothing_of_it(void **state) {
        Rig *rig = *state;
        Fact before = fault("before"), lost = fault("lost"), after = fault("after");
        EventRow **events;
        size_t n;

        rig_must(rig, &before);
        atomic_store(&fail_log_syncs, 1);
        assert_int_equal(rig_put(rig, &lost), -EIO);
        assert_int_equal(atomic_load(&fail_log_syncs), 0);
        assert_failing(rig, true);
        assert_int_equal(rig_events(rig), 1);
        rig_must(rig, &after);
        assert_failing(rig, false);
        assert_int_equal(store_events(rig->store, 0, 0, 0, 9, &events, &n), 0);
        assert_int_equal(n, 2);
        assert_non_null(strstr(events[1]->bytes, "\"after\""));
        event_rows_free(events, n);
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(rig_events(rig), 2);
}

static void test_store_stays_failing_until_the_disk_is_back(void **state) {
        Rig *rig = *state;
        Fact f = fault("a fact");

        rig_must(rig, &f);
        atomic_store(&fail_log_syncs, 1000000);
        for (unsigned i = 0; i < 3; i++) {
                assert_true(rig_put(rig, &f) < 0);
                assert_failing(rig, true);
                assert_int_equal(rig_events(rig), 1);
        }
        atomic_store(&fail_log_syncs, 0);
        rig_must(rig, &f);
        assert_failing(rig, false);
        assert_int_equal(rig_events(rig), 2);
}

static Fact large_fault(void) {
        static char text[FACT_TEXT_MAX + 1];

        memset(text, 'a', FACT_TEXT_MAX);
        return fault(text);
}

static void append_event(Db *db, ChainHead *head) {
        json_t *event = json_pack("{s:s, s:s}", "event", "fault", "time", "2026-11-23T09:15:00.123456Z");

        assert_non_null(event);
        assert_int_equal(custody_append(db, head, event), 0);
        json_decref(event);
}

/* Without a reader that holds on to the log's index nobody knows where the last good commit ended: that is noticed. */
static void test_failed_commit_that_comes_back_is_noticed(void **state) {
        Rig *rig = *state;
        ChainHead head, committed;
        StateDir dir;

        rig_close(rig);
        assert_int_equal(state_dir_open(rig->dir, &dir, &rig->error), 0);
        head = dir.head;
        append_event(dir.db, &head);
        committed = head;
        assert_true(db_run(dir.db, "BEGIN IMMEDIATE", DB_NO_ARGS) >= 0);
        append_event(dir.db, &head);
        atomic_store(&fail_log_syncs, 1);
        assert_int_equal(db_run(dir.db, "COMMIT", DB_NO_ARGS), -EIO);
        assert_int_equal(state_dir_reopen_db(&dir, &committed, &rig->error), -EBADE);
        assert_non_null(strstr(rig->error.text, "whose commit had failed"));
        state_dir_close(&dir);
}

/* What the failed commit left in the log must not be found by the next start, nor carry what comes after it. */
static void test_failed_commit_is_gone_from_the_log_before_the_next(void **state) {
        Rig *rig = *state;
        Fact f = fault("a fact"), lost = fault("lost-fact");
        const Fact many[] = { large_fault(), large_fault(), large_fault(), lost };
        _cleanup_(fd_closep) int dir = open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(freep) char *log = NULL, *after = NULL;
        size_t size = 0;

        rig_must(rig, &f);
        atomic_store(&fail_log_syncs, 1);
        /* Of many pages: the next commit, a small one, would not write over all of them. */
        assert_int_equal(store_submit(rig->store, batch_of(many, ELEMENTSOF(many)), rig_done, rig), 0);
        rig_wait(rig, rig->completions + 1);
        assert_int_equal(rig->result, -EIO);
        assert_int_equal(fd_read_file(dir, "berth.db-wal", 64 << 20, &log, &size), 0);
        assert_non_null(memmem(log, size, "lost-fact", 9)); /* it did get there */
        rig_must(rig, &f);
        assert_int_equal(fd_read_file(dir, "berth.db-wal", 64 << 20, &after, &size), 0);
        assert_null(memmem(after, size, "lost-fact", 9));
}

static void test_completion_waits_for_the_head_file(void **state) {
        Rig *rig = *state;
        Fact f = fault("a fact");
        uint64_t end = clock_boottime_usec() + RIG_DEADLINE_USEC;
        const char *why = NULL;

        atomic_store(&fail_head_syncs, 1000000);
        assert_int_equal(store_put(rig->store, &f, rig_done, rig), 0);
        while (!store_is_failing(rig->store, &why)) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(rig->event, USEC_PER_MSEC) >= 0);
        }
        assert_non_null(strstr(why, "chain.head"));
        assert_int_equal(rig->completions, 0);
        atomic_store(&fail_head_syncs, 0);
        rig_wait(rig, 1);
        assert_int_equal(rig->result, 0);
        assert_failing(rig, false);
}

static void test_close_does_not_wait_for_a_head_file_that_fails(void **state) {
        Rig *rig = *state;
        Fact f = fault("a fact");

        atomic_store(&fail_head_syncs, 1000000);
        assert_int_equal(store_put(rig->store, &f, rig_done, rig), 0);
        rig_close(rig);
        atomic_store(&fail_head_syncs, 0);
        assert_int_equal(rig->completions, 1);
        assert_int_equal(rig->result, -EIO);
        assert_int_equal(rig_open(rig), 0); /* the head is brought forward */
        assert_int_equal(rig_events(rig), 1);
}

/* ---- A full disk ---------------------------------------------------------------------------------------------- */

#define CHECK(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition)) {                                                                               \
                        (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                    \
                        _exit(1);                                                                                 \
                }                                                                                                 \
        } while (0)

static void mount_small_disk(const char *dir) {
        CHECK(own_mounts());
        CHECK(mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=2m") == 0);
}

static int put_and_wait(Rig *rig, const Fact *f) {
        unsigned next = rig->completions + 1;

        CHECK(store_put(rig->store, f, rig_done, rig) == 0);
        while (rig->completions < next)
                CHECK(sd_event_run(rig->event, UINT64_MAX) >= 0);
        return rig->result;
}

static void fill_the_disk(Rig *rig) {
        _cleanup_(freep) char *ballast = text_format("%s/ballast", rig->dir);
        char text[4000];
        uint64_t kept = 0;
        Fact f = fault(text);
        StoreTotals totals;
        int fd, r;

        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        fd = open(ballast, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && posix_fallocate(fd, 0, 400000) == 0);
        CHECK(sd_event_new(&rig->event) >= 0); /* the one that was inherited is the parent's */
        CHECK(rig_open(rig) == 0);
        while ((r = put_and_wait(rig, &f)) == 0)
                CHECK(++kept < 1000);
        CHECK(r == -ENOSPC);
        CHECK(store_is_failing(rig->store, NULL));
        CHECK(put_and_wait(rig, &f) == -ENOSPC);
        CHECK(store_totals(rig->store, &totals) == 0 && totals.events == kept && kept > 5);
        /* Space returns. */
        CHECK(ftruncate(fd, 0) == 0);
        CHECK(put_and_wait(rig, &f) == 0);
        CHECK(!store_is_failing(rig->store, NULL));
        rig_close(rig);
        CHECK(rig_open(rig) == 0);
        CHECK(store_totals(rig->store, &totals) == 0 && totals.events == kept + 1);
        rig_close(rig);
}

static void test_full_disk_fails_commits_until_space_returns(void **state) {
        Rig *rig = *state;
        int status = 0;
        pid_t child;

        rig_close(rig);
        child = fork();
        if (child == 0) {
                mount_small_disk(rig->dir);
                fill_the_disk(rig);
                _exit(0);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_completion_comes_after_log_and_head_are_synced),
                TEST(test_waiting_batches_share_a_commit_and_complete_in_order),
                TEST(test_failed_batch_leaves_nothing_and_harms_no_other),
                TEST(test_empty_batch_completes),
                TEST(test_batch_has_a_limit),
                TEST(test_close_finishes_what_is_queued),
                TEST(test_completion_may_close_the_store),
                TEST(test_ids_are_never_given_twice),
                TEST(test_ids_of_a_killed_run_are_not_given_again),
                TEST(test_ids_do_not_run_out_while_the_store_works),
                TEST(test_failed_sync_fails_the_commit_and_leaves_nothing_of_it),
                TEST(test_store_stays_failing_until_the_disk_is_back),
                TEST(test_failed_commit_that_comes_back_is_noticed),
                TEST(test_failed_commit_is_gone_from_the_log_before_the_next),
                TEST(test_completion_waits_for_the_head_file),
                TEST(test_close_does_not_wait_for_a_head_file_that_fails),
                TEST(test_full_disk_fails_commits_until_space_returns),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
