/* SPDX-License-Identifier: Apache-2.0 */

/* The state folder's files: what is opened, what is refused with which sentence, and that a refusal changes nothing. */

#include <sys/file.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#include "store_rig.h"

static const char *const file_names[] = { "berth.db", "berth.db-wal", "chain.head" };

typedef struct Files {
        char *data[ELEMENTSOF(file_names)];
        size_t size[ELEMENTSOF(file_names)];
        int result[ELEMENTSOF(file_names)];
} Files;

static void files_read(Rig *rig, Files *ret) {
        _cleanup_(fd_closep) int dir = open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        *ret = (Files){ 0 };
        for (size_t i = 0; i < ELEMENTSOF(file_names); i++)
                ret->result[i] = fd_read_file(dir, file_names[i], 64 << 20, &ret->data[i], &ret->size[i]);
}

static void files_done(Files *f) {
        for (size_t i = 0; i < ELEMENTSOF(file_names); i++)
                free(f->data[i]);
}

static void files_write(Rig *rig, const Files *f) {
        for (size_t i = 0; i < ELEMENTSOF(file_names); i++) {
                _cleanup_(freep) char *path = rig_path(rig, file_names[i]);
                _cleanup_(fd_closep) int fd = -EBADF;

                (void) unlink(path);
                if (f->result[i] < 0)
                        continue;
                fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                assert_true(fd >= 0);
                assert_int_equal(fd_write_full(fd, f->data[i], f->size[i]), 0);
        }
}

static void assert_files_equal(const Files *a, const Files *b) {
        for (size_t i = 0; i < ELEMENTSOF(file_names); i++) {
                /* An empty log is as good as none. */
                size_t size_a = a->result[i] < 0 ? 0 : a->size[i], size_b = b->result[i] < 0 ? 0 : b->size[i];

                assert_int_equal(size_a, size_b);
                if (size_a > 0)
                        assert_memory_equal(a->data[i], b->data[i], size_a);
        }
}

/* Opening is refused so, with a sentence that has these words, and every byte stays as it was. */
static void expect_refusal(Rig *rig, int result, const char *words) {
        Files before, after;
        int r;

        files_read(rig, &before);
        rig->error.text[0] = 0;
        r = rig_open(rig);
        if (r != result || !strstr(rig->error.text, words))
                fail_msg("%s instead of %s: %s", strerror(-r), strerror(-result), rig->error.text);
        assert_null(rig->store);
        files_read(rig, &after);
        assert_files_equal(&before, &after);
        files_done(&before);
        files_done(&after);
}

static void put_faults(Rig *rig, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                Fact f = rig_fact(FACT_FAULT);

                f.bay = "1-1.1";
                f.text = "a test";
                rig_must(rig, &f);
        }
}

static void poke(Rig *rig, const char *name, off_t offset, const void *data, size_t size) {
        _cleanup_(freep) char *path = rig_path(rig, name);
        _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, data, size, offset), size);
}

static void cut(Rig *rig, const char *name, off_t size) {
        _cleanup_(freep) char *path = rig_path(rig, name);

        assert_int_equal(truncate(path, size), 0);
}

static void delete(Rig *rig, const char *name) {
        _cleanup_(freep) char *path = rig_path(rig, name);

        assert_int_equal(unlink(path), 0);
}

static void test_what_was_kept_is_there_after_reopening(void **state) {
        Rig *rig = *state;
        Fact receipted = rig_receipted(1, RIG_SIZE);

        assert_int_equal(rig_open(rig), 0);
        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(rig_state(rig, 1), CLIP_COPIED);
        rig_must(rig, &receipted);
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(rig_state(rig, 1), CLIP_RECEIPTED);
        assert_int_equal(rig_events(rig), 7);
}

static void test_files_are_for_the_owner_only(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 1);
        for (size_t i = 0; i < ELEMENTSOF(file_names); i++) {
                _cleanup_(freep) char *path = rig_path(rig, file_names[i]);
                struct stat st;

                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_mode & 0777, 0600);
        }
}

static void test_second_daemon_is_refused(void **state) {
        Rig *rig = *state;
        Store *second = NULL;
        ConfError error;

        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(store_open(rig->event, rig->dir, &second, &error), -EBUSY);
        assert_non_null(strstr(error.text, "in use by another"));
        rig_close(rig);
        assert_int_equal(rig_open(rig), 0);
}

/* As a child has it that a daemon forked just before it was killed. */
static void test_lock_that_outlives_its_daemon_for_a_moment_is_waited_for(void **state) {
        Rig *rig = *state;
        int locked[2], status;
        char byte;
        pid_t pid;

        assert_int_equal(pipe(locked), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int fd = open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(locked[1], "", 1) != 1)
                        _exit(1);
                (void) nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
                _exit(0);
        }
        assert_int_equal(read(locked[0], &byte, 1), 1);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(close(locked[0]), 0);
        assert_int_equal(close(locked[1]), 0);
}

static void test_database_that_another_program_writes_is_refused(void **state) {
        Rig *rig = *state;
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        sqlite3 *db;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 1);
        rig_close(rig);
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(rig_open(rig), -EBUSY);
        assert_non_null(strstr(rig->error.text, "another program holds it"));
        assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        assert_int_equal(rig_open(rig), 0);
}

static void test_missing_folder_is_said(void **state) {
        Rig *rig = *state;
        Store *s = NULL;

        assert_int_equal(store_open(rig->event, "/nonexistent/berth", &s, &rig->error), -ENOENT);
        assert_non_null(strstr(rig->error.text, "/nonexistent/berth"));
}

static void test_random_bytes_are_no_database(void **state) {
        Rig *rig = *state;
        char noise[8192];

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 3);
        rig_close(rig);
        assert_int_equal(getrandom(noise, sizeof(noise), 0), sizeof(noise));
        poke(rig, "berth.db", 0, noise, sizeof(noise));
        expect_refusal(rig, -EBADMSG, "not a database");
}

static void test_text_file_is_no_database(void **state) {
        Rig *rig = *state;
        const Files f = { .data = { (char *) "hello, I am a text file\n" },
                          .size = { 24 },
                          .result = { 0, -ENOENT, -ENOENT } };

        files_write(rig, &f);
        expect_refusal(rig, -EBADMSG, "not a database");
}

static void test_truncated_database_is_refused(void **state) {
        static const off_t sizes[] = { 1, 99, 100, 4095, 4096, 8192, 20480, 40960 };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Files whole;

                assert_int_equal(rig_open(rig), 0);
                put_faults(rig, 30);
                rig_close(rig);
                files_read(rig, &whole);
                assert_true((size_t) sizes[i] < whole.size[0]);
                cut(rig, "berth.db", sizes[i]);
                expect_refusal(rig, -EBADMSG, "from a backup");
                files_write(rig, &whole);
                files_done(&whole);
                assert_int_equal(rig_open(rig), 0);
                rig_close(rig);
        }
}

/* Whatever page is overwritten, the start ends with a sentence or with a chain that is whole; never with a crash. */
static void test_damaged_page_is_refused_or_does_no_harm(void **state) {
        Rig *rig = *state;
        Files whole;
        size_t refused = 0;

        assert_int_equal(rig_open(rig), 0);
        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        put_faults(rig, 30);
        rig_close(rig);
        files_read(rig, &whole);
        for (off_t at = 0; at < (off_t) whole.size[0]; at += 4096) {
                char noise[512];
                int r;

                memset(noise, 0xa5, sizeof(noise));
                poke(rig, "berth.db", at, noise, sizeof(noise));
                rig->error.text[0] = 0;
                r = rig_open(rig);
                if (r < 0) {
                        refused++;
                        assert_true(r == -EBADMSG || r == -EBADE);
                        assert_true(strlen(rig->error.text) > 20);
                } else
                        rig_close(rig);
                files_write(rig, &whole);
        }
        assert_true(refused > whole.size[0] / 4096 / 2);
        files_done(&whole);
}

static void test_strangers_database_is_refused(void **state) {
        Rig *rig = *state;
        _cleanup_(freep) char *path = rig_path(rig, "berth.db");
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x); INSERT INTO t VALUES (1)", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        expect_refusal(rig, -EBADMSG, "not one of Berth's");
}

static void test_newer_database_is_refused(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 1);
        rig_close(rig);
        rig_spoil(rig, "PRAGMA user_version = 99");
        expect_refusal(rig, -EPROTONOSUPPORT, "newer Berth");
}

static void test_changed_schema_is_refused(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_open(rig), 0);
        rig_close(rig);
        rig_spoil(rig, "DROP INDEX clips_in_state");
        expect_refusal(rig, -EBADMSG, "index 'clips_in_state' is missing");
        rig_spoil(rig, "CREATE INDEX clips_in_state ON clips (id, state)");
        expect_refusal(rig, -EBADMSG, "index 'clips_in_state' is not as Berth made it");
        rig_spoil(rig,
                  "DROP INDEX clips_in_state; CREATE INDEX clips_in_state ON clips (state, id); CREATE TABLE zzz (x)");
        expect_refusal(rig, -EBADMSG, "table 'zzz' is not one of Berth's");
        rig_spoil(rig, "DROP TABLE zzz");
        assert_int_equal(rig_open(rig), 0);
}

static void test_missing_database_is_not_made_anew(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_open(rig), 0);
        rig_close(rig);
        delete(rig, "berth.db");
        expect_refusal(rig, -EBADE, "is missing, but chain.head is there");
}

static void test_emptied_database_is_not_made_anew(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_open(rig), 0);
        rig_close(rig);
        cut(rig, "berth.db", 0);
        expect_refusal(rig, -EBADE, "is empty, but chain.head is there");
}

static void test_missing_head_file_is_refused(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 1);
        rig_close(rig);
        delete(rig, "chain.head");
        expect_refusal(rig, -EBADE, "chain.head is missing");
}

static void test_start_that_was_cut_off_before_its_first_event_goes_on(void **state) {
        Rig *rig = *state;
        const Files f = { .data = { (char *) "" }, .size = { 0 }, .result = { 0, -ENOENT, -ENOENT } };

        files_write(rig, &f); /* an empty file */
        assert_int_equal(rig_open(rig), 0);
        rig_close(rig);
        delete(rig, "chain.head"); /* a whole schema, and no head yet */
        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 1);
}

static void test_database_behind_its_head_is_refused(void **state) {
        Rig *rig = *state;
        Files old, new;
        Files mixed;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 3);
        rig_close(rig);
        files_read(rig, &old);
        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 1);
        rig_close(rig);
        files_read(rig, &new);
        mixed = old;
        mixed.data[2] = new.data[2];
        files_write(rig, &mixed);
        expect_refusal(rig, -EBADE, "ends at custody event 3, but chain.head knows event 4");
        files_done(&old);
        files_done(&new);
}

static void test_lost_log_is_refused(void **state) {
        Rig *rig = *state;
        Files running;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 3);
        files_read(rig, &running); /* as after a crash: the events are in the log alone */
        rig_close(rig);
        assert_true(running.size[1] > 0);
        files_write(rig, &running);
        cut(rig, "berth.db-wal", 0);
        expect_refusal(rig, -EBADE, "chain.head knows event 3");
        cut(rig, "berth.db-wal", 0);
        memset(running.data[1], 0x5a, running.size[1]);
        files_write(rig, &running);
        rig->error.text[0] = 0;
        assert_int_equal(rig_open(rig), -EBADE);
        files_done(&running);
}

static void test_head_behind_the_database_is_brought_forward(void **state) {
        Rig *rig = *state;
        Files old, new;
        Files mixed;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 3);
        rig_close(rig);
        files_read(rig, &old);
        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 2);
        rig_close(rig);
        files_read(rig, &new);
        mixed = new;
        mixed.data[2] = old.data[2]; /* a crash between the commit and the head */
        files_write(rig, &mixed);
        assert_int_equal(rig_open(rig), 0);
        assert_int_equal(rig_events(rig), 5);
        rig_close(rig);
        mixed = old;
        files_done(&new);
        files_read(rig, &new);
        mixed.data[2] = new.data[2];
        files_write(rig, &mixed); /* the head was brought forward: the older database is behind it now */
        expect_refusal(rig, -EBADE, "chain.head knows event 5");
        files_done(&old);
        files_done(&new);
}

static void test_head_is_written_to_the_slots_in_turn(void **state) {
        Rig *rig = *state;
        Files f;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 4);
        files_read(rig, &f);
        assert_int_equal(f.size[2], 8192);
        assert_int_equal(strncmp(f.data[2], "berth-chain-head 1 4 ", 21), 0);
        assert_int_equal(strncmp(f.data[2] + 4096, "berth-chain-head 1 3 ", 21), 0);
        files_done(&f);
}

static void test_torn_head_slot_leaves_the_other(void **state) {
        Rig *rig = *state;

        for (unsigned i = 1; i <= 4; i++) {
                off_t newest = (off_t) (i % 2) * 4096, older = 4096 - newest;

                assert_int_equal(rig_open(rig), 0);
                put_faults(rig, 1);
                rig_close(rig);
                poke(rig, "chain.head", i <= 2 ? newest + 30 : older + 30, "0000", 4);
                assert_int_equal(rig_open(rig), 0);
                assert_int_equal(rig_events(rig), i);
                rig_close(rig);
        }
        poke(rig, "chain.head", 30, "0000", 4);
        poke(rig, "chain.head", 4096 + 2000, "x", 1); /* even where nothing should be */
        expect_refusal(rig, -EBADE, "chain.head beside");
        cut(rig, "chain.head", 100);
        expect_refusal(rig, -EBADE, "chain.head beside");
}

#define REWRITE                                                                                                   \
        "UPDATE custody SET bytes = CAST(replace(bytes, 'a test', 'b test') AS BLOB),"                            \
        " hash = sha256(CAST(replace(bytes, 'a test', 'b test') AS BLOB)) "

static void test_broken_chain_is_refused(void **state) {
        static const struct {
                const char *spoil, *words;
        } rows[] = {
                { "UPDATE custody SET bytes = CAST(replace(bytes, 'a test', 'b test') AS BLOB) WHERE seq = 2",
                  "broken at event 2" },
                { "UPDATE custody SET hash = zeroblob(32) WHERE seq = 2", "broken at event 2" },
                /* Rewritten and hashed anew: the next event, or the head, still names the old hash. */
                { REWRITE "WHERE seq = 2", "broken at event 3" },
                { REWRITE "WHERE seq = 4", "event 4 is not the one that chain.head names" },
                { "DELETE FROM custody WHERE seq = 2", "broken at event 2" },
                { "DELETE FROM custody WHERE seq = 1", "broken at event 1" },
                { "DELETE FROM custody WHERE seq = 4", "ends at custody event 3" },
                { "UPDATE custody SET kind = 'docked' WHERE seq = 3", "broken at event 3" },
                { "UPDATE custody SET clip_id = 7 WHERE seq = 3", "broken at event 3" },
                { "UPDATE custody SET wall_usec = wall_usec + 1 WHERE seq = 3", "broken at event 3" },
                { "UPDATE custody SET camera_id = 1 WHERE seq = 4", "broken at event 4" },
                { "UPDATE custody SET bytes = CAST(bytes || ' ' AS BLOB) WHERE seq = 4", "broken at event 4" },
        };
        Rig *rig = *state;
        Files whole;

        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 4);
        rig_close(rig);
        files_read(rig, &whole);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                rig_spoil(rig, rows[i].spoil);
                expect_refusal(rig, -EBADE, rows[i].words);
                files_write(rig, &whole);
        }
        files_done(&whole);
        assert_int_equal(rig_open(rig), 0);
}

static void test_head_of_another_dock_is_refused(void **state) {
        Rig *rig = *state, *other = rig_new();
        Files here, there;

        put_faults(other, 3);
        rig_close(other);
        files_read(other, &there);
        rig_free(other);
        assert_int_equal(rig_open(rig), 0);
        put_faults(rig, 3);
        rig_close(rig);
        files_read(rig, &here);
        free(here.data[2]);
        here.data[2] = there.data[2];
        there.data[2] = NULL;
        files_write(rig, &here);
        expect_refusal(rig, -EBADE, "is not the one that chain.head names");
        files_done(&here);
        files_done(&there);
}

static void test_symlink_is_no_database(void **state) {
        Rig *rig = *state;
        _cleanup_(freep) char *path = rig_path(rig, "berth.db"), *elsewhere = rig_path(rig, "elsewhere");

        assert_int_equal(symlink(elsewhere, path), 0);
        assert_true(rig_open(rig) < 0);
        assert_int_equal(access(elsewhere, F_OK), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup_closed, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_what_was_kept_is_there_after_reopening),
                TEST(test_files_are_for_the_owner_only),
                TEST(test_second_daemon_is_refused),
                TEST(test_lock_that_outlives_its_daemon_for_a_moment_is_waited_for),
                TEST(test_database_that_another_program_writes_is_refused),
                TEST(test_missing_folder_is_said),
                TEST(test_random_bytes_are_no_database),
                TEST(test_text_file_is_no_database),
                TEST(test_truncated_database_is_refused),
                TEST(test_damaged_page_is_refused_or_does_no_harm),
                TEST(test_strangers_database_is_refused),
                TEST(test_newer_database_is_refused),
                TEST(test_changed_schema_is_refused),
                TEST(test_missing_database_is_not_made_anew),
                TEST(test_emptied_database_is_not_made_anew),
                TEST(test_missing_head_file_is_refused),
                TEST(test_start_that_was_cut_off_before_its_first_event_goes_on),
                TEST(test_database_behind_its_head_is_refused),
                TEST(test_lost_log_is_refused),
                TEST(test_head_behind_the_database_is_brought_forward),
                TEST(test_head_is_written_to_the_slots_in_turn),
                TEST(test_torn_head_slot_leaves_the_other),
                TEST(test_broken_chain_is_refused),
                TEST(test_head_of_another_dock_is_refused),
                TEST(test_symlink_is_no_database),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
