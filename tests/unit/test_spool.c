/* SPDX-License-Identifier: Apache-2.0 */

/* The spool's places: who may write where, and that a file is always in exactly one of them. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "base/fd.h"
#include "service/spool.h"
#include "service/spool_note.h"
#include "store/facts.h"

typedef struct Fixture {
        char folder[64];
        sd_event *event;
        Spool *spool;
        int result;
        unsigned answers;
} Fixture;

static void answered(int result, void *userdata) {
        Fixture *f = userdata;

        f->result = result;
        f->answers++;
}

/* Turns the loop until one more answer came; the loop itself is the deadline's keeper. */
static int wait_answer(Fixture *f) {
        unsigned before = f->answers;

        for (int turns = 0; f->answers == before && turns < 1000; turns++)
                assert_true(sd_event_run(f->event, 60 * USEC_PER_SEC) > 0);
        return f->result;
}

static void open_spool(Fixture *f) {
        ConfError error = {};

        if (spool_open(f->event, f->folder, 0, &f->spool, &error) < 0)
                fail_msg("%s", error.text);
}

static void write_file(const Fixture *f, const char *name, const char *text) {
        char path[512];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", f->folder, name);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static bool is_there(const Fixture *f, const char *name) {
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", f->folder, name);
        return access(path, F_OK) == 0;
}

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        snprintf(f->folder, sizeof(f->folder), "/tmp/berth-spool-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        assert_true(sd_event_new(&f->event) >= 0);
        open_spool(f);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        char command[128];

        spool_close(f->spool);
        sd_event_unref(f->event);
        snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
        assert_int_equal(system(command), 0);
        free(f);
        return 0;
}

static void test_sealed_clip_leaves_the_workers_reach_and_is_read_only(void **state) {
        Fixture *f = *state;
        struct stat st;
        char path[512];
        int fd;

        fd_close(spool_open_incoming(f->spool, 5));
        write_file(f, "incoming/5/9.part", "footage");
        assert_int_equal(spool_seal(f->spool, 9, 5, "{}", answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_false(is_there(f, "incoming/5/9.part"));
        snprintf(path, sizeof(path), "%s/spool/9.clip", f->folder);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0440);
        fd = spool_open_sealed(f->spool, "9.clip");
        assert_true(fd >= 0);
        fd_close(fd);
}

static void test_seal_never_overwrites(void **state) {
        Fixture *f = *state;

        fd_close(spool_open_incoming(f->spool, 5));
        write_file(f, "spool/9.clip", "older");
        write_file(f, "incoming/5/9.part", "newer");
        assert_int_equal(spool_seal(f->spool, 9, 5, "{}", answered, f), 0);
        assert_int_equal(wait_answer(f), -EEXIST);
        assert_true(is_there(f, "incoming/5/9.part"));
}

static void test_parts_of_an_ended_docking_wait_for_the_next(void **state) {
        Fixture *f = *state;

        fd_close(spool_open_incoming(f->spool, 5));
        write_file(f, "incoming/5/9.part", "half");
        assert_int_equal(spool_end_docking(f->spool, 5), 0);
        fd_close(spool_open_incoming(f->spool, 6));
        assert_int_equal(spool_take_part(f->spool, 9, 6, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_false(is_there(f, "incoming/5"));
        assert_true(is_there(f, "incoming/6/9.part"));
        assert_int_equal(spool_take_part(f->spool, 10, 6, answered, f), 0);
        assert_int_equal(wait_answer(f), -ENOENT);
}

/* The dock ended when its mode was set, and before it was sealed. */
static void test_part_that_is_read_only_already_can_be_written_on(void **state) {
        Fixture *f = *state;
        char path[512];
        struct stat st;
        int dir;

        write_file(f, "parts/9.part", "whole");
        snprintf(path, sizeof(path), "%s/parts/9.part", f->folder);
        assert_int_equal(chmod(path, 0440), 0);
        dir = spool_open_incoming(f->spool, 6);
        assert_int_equal(spool_take_part(f->spool, 9, 6, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_int_equal(fstatat(dir, "9.part", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        fd_close(dir);
}

/* Names go on record before anything lies there: a run that ended in between must not have its name given again. */
static void test_names_in_kept_go_on_from_the_number_told(void **state) {
        char before[SPOOL_NAME_SIZE], after[SPOOL_NAME_SIZE];
        Fixture *f = *state;

        spool_number_kept_from(f->spool, 41);
        spool_name_for_kept(f->spool, 9, 0, before);
        assert_string_equal(before, "9.0.42");
        spool_number_kept_from(f->spool, 7);
        spool_name_for_kept(f->spool, 9, 0, after);
        assert_string_equal(after, "9.0.43");
}

static void test_parts_that_a_crash_left_behind_are_found_at_the_start(void **state) {
        Fixture *f = *state;

        fd_close(spool_open_incoming(f->spool, 5));
        write_file(f, "incoming/5/9.part", "half");
        write_file(f, "incoming/5/notes.txt", "not ours");
        f->spool = spool_close(f->spool);
        open_spool(f);
        assert_true(is_there(f, "parts/9.part"));
        assert_true(is_there(f, "incoming/5/notes.txt"));
}

static void test_part_set_aside_is_kept_under_a_name_of_its_own(void **state) {
        Fixture *f = *state;
        char first[SPOOL_NAME_SIZE], second[SPOOL_NAME_SIZE], path[128];

        fd_close(spool_open_incoming(f->spool, 5));
        write_file(f, "incoming/5/9.part", "one");
        spool_name_for_kept(f->spool, 9, 5, first);
        assert_int_equal(spool_set_aside(f->spool, 9, 5, first, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        write_file(f, "incoming/5/9.part", "two");
        spool_name_for_kept(f->spool, 9, 5, second);
        assert_int_equal(spool_set_aside(f->spool, 9, 5, second, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_string_not_equal(first, second);
        snprintf(path, sizeof(path), "kept/%s", first);
        assert_true(is_there(f, path));
        snprintf(path, sizeof(path), "kept/%s", second);
        assert_true(is_there(f, path));
        /* Nothing there to keep is no mistake. */
        spool_name_for_kept(f->spool, 9, 5, first);
        assert_int_equal(spool_set_aside(f->spool, 9, 5, first, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
}

static int only_nine_is_known(void *userdata, uint64_t clip_id, const char *name) {
        (void) userdata;
        (void) name;
        return clip_id == 9 ? 0 : 1;
}

static void test_sealed_file_that_no_fact_knows_is_a_part_again(void **state) {
        Fixture *f = *state;

        write_file(f, "spool/9.clip", "known");
        write_file(f, "spool/10.clip", "unknown");
        write_file(f, "spool/README", "not ours");
        assert_int_equal(spool_check_sealed(f->spool, only_nine_is_known, NULL), 0);
        assert_true(is_there(f, "spool/9.clip"));
        assert_true(is_there(f, "spool/README"));
        assert_false(is_there(f, "spool/10.clip"));
        assert_true(is_there(f, "parts/10.part"));
}

static void test_sealed_file_that_no_fact_knows_takes_an_older_parts_place(void **state) {
        Fixture *f = *state;

        write_file(f, "parts/10.part", "begun, and begun afresh");
        write_file(f, "spool/10.clip", "unknown");
        assert_int_equal(spool_check_sealed(f->spool, only_nine_is_known, NULL), 0);
        assert_false(is_there(f, "spool/10.clip"));
        assert_true(is_there(f, "parts/10.part"));
        write_file(f, "spool/10.clip", "whole");
        assert_int_equal(spool_unseal(f->spool, 10, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_false(is_there(f, "spool/10.clip"));
}

static void test_copy_that_could_not_be_recorded_is_a_part_again(void **state) {
        Fixture *f = *state;

        write_file(f, "spool/9.clip", "whole");
        assert_int_equal(spool_unseal(f->spool, 9, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_true(is_there(f, "parts/9.part"));
        assert_false(is_there(f, "spool/9.clip"));
}

static void test_note_is_there_as_long_as_its_file(void **state) {
        Fixture *f = *state;
        char kept[SPOOL_NAME_SIZE], path[128];

        fd_close(spool_open_incoming(f->spool, 5));
        write_file(f, "incoming/5/9.part", "footage");
        assert_int_equal(spool_seal(f->spool, 9, 5, "{}", answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_true(is_there(f, "spool/9.json"));
        assert_int_equal(spool_check_sealed(f->spool, only_nine_is_known, NULL), 0);
        assert_true(is_there(f, "spool/9.json"));
        spool_name_for_kept(f->spool, 9, 5, kept);
        assert_int_equal(spool_set_sealed_aside(f->spool, 9, kept, answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        snprintf(path, sizeof(path), "kept/%s.json", kept);
        assert_true(is_there(f, path));
        assert_false(is_there(f, "spool/9.json"));
        write_file(f, "incoming/5/9.part", "footage");
        assert_int_equal(spool_seal(f->spool, 9, 5, "{}", answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_int_equal(spool_remove(f->spool, "9.clip", answered, f), 0);
        assert_int_equal(wait_answer(f), 0);
        assert_false(is_there(f, "spool/9.json"));
}

static void test_note_without_its_file_is_swept_at_the_start(void **state) {
        Fixture *f = *state;

        write_file(f, "spool/9.json", "{}");
        write_file(f, "spool/10.clip", "known to nobody");
        write_file(f, "spool/10.json", "{}");
        write_file(f, "spool/notes.json", "not ours");
        assert_int_equal(spool_check_sealed(f->spool, only_nine_is_known, NULL), 0);
        assert_int_equal(spool_check_sealed(f->spool, only_nine_is_known, NULL), 0);
        assert_false(is_there(f, "spool/9.json"));
        assert_false(is_there(f, "spool/10.json"));
        assert_true(is_there(f, "spool/notes.json"));
}

static SpoolNote a_note(void) {
        return (SpoolNote){
                .clip_id = 9,
                .camera_id = 3,
                .docking_id = 5,
                .serial = (char *) "SN/1 \303\244",
                .manufacturer = (char *) "Acme",
                .ambiguous = true,
                .path = (char *) "DCIM/100/A \"1\".MP4",
                .size_bytes = 7,
                .mtime_unix_sec = -5,
                .ordinal = 2,
                .flags = 0x80000001,
                .digest.bytes = { 1 },
                .head.bytes = { 2 },
                .tail.bytes = { 3 },
                .seen_usec = 1000000,
                .sealed_usec = 2000001,
        };
}

static void test_note_tells_what_was_written_into_it(void **state) {
        _cleanup_(spool_note_freep) SpoolNote *back = NULL, *untold = NULL;
        _cleanup_(freep) char *text = NULL, *untold_text = NULL;
        SpoolNote note = a_note();

        (void) state;
        assert_int_equal(spool_note_compose(&note, &text), 0);
        assert_int_equal(spool_note_parse(text, strlen(text), &back), 0);
        assert_int_equal(back->clip_id, 9);
        assert_int_equal(back->camera_id, 3);
        assert_int_equal(back->docking_id, 5);
        assert_string_equal(back->serial, note.serial);
        assert_string_equal(back->manufacturer, "Acme");
        assert_string_equal(back->firmware, "");
        assert_true(back->ambiguous);
        assert_string_equal(back->path, note.path);
        assert_true(back->size_bytes == 7 && back->mtime_unix_sec == -5 && back->ordinal == 2 && back->flags == 0x80000001);
        assert_true(digest_equal(&back->digest, &note.digest) && digest_equal(&back->head, &note.head) &&
                    digest_equal(&back->tail, &note.tail));
        assert_true(back->seen_usec == 1000000 && back->sealed_usec == 2000001);
        note.mtime_unix_sec = FACT_UNKNOWN_TIME;
        assert_int_equal(spool_note_compose(&note, &untold_text), 0);
        assert_int_equal(spool_note_parse(untold_text, strlen(untold_text), &untold), 0);
        assert_true(untold->mtime_unix_sec == FACT_UNKNOWN_TIME);
}

static void test_only_whole_notes_are_believed(void **state) {
        _cleanup_(freep) char *text = NULL;
        SpoolNote note = a_note(), *back = NULL;
        size_t size;

        (void) state;
        assert_int_equal(spool_note_compose(&note, &text), 0);
        size = strlen(text);
        for (size_t cut = 0; cut < size; cut++)
                assert_int_equal(spool_note_parse(text, cut, &back), -EBADMSG);
        assert_int_equal(spool_note_parse("[]", 2, &back), -EBADMSG);
        note.path = (char *) "../../etc/passwd";
        free(text);
        text = NULL;
        assert_int_equal(spool_note_compose(&note, &text), -EINVAL);
        note = a_note();
        note.serial = (char *) "";
        assert_int_equal(spool_note_compose(&note, &text), -EINVAL);
        note = a_note();
        note.clip_id = 0;
        assert_int_equal(spool_note_compose(&note, &text), -EINVAL);
}

static void test_symlink_in_the_spool_is_not_followed(void **state) {
        Fixture *f = *state;
        char path[512];

        snprintf(path, sizeof(path), "%s/spool/9.clip", f->folder);
        assert_int_equal(symlink("/etc/passwd", path), 0);
        assert_int_equal(spool_open_sealed(f->spool, "9.clip"), -ELOOP);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_sealed_clip_leaves_the_workers_reach_and_is_read_only),
                TEST(test_seal_never_overwrites),
                TEST(test_parts_of_an_ended_docking_wait_for_the_next),
                TEST(test_part_that_is_read_only_already_can_be_written_on),
                TEST(test_names_in_kept_go_on_from_the_number_told),
                TEST(test_parts_that_a_crash_left_behind_are_found_at_the_start),
                TEST(test_part_set_aside_is_kept_under_a_name_of_its_own),
                TEST(test_sealed_file_that_no_fact_knows_is_a_part_again),
                TEST(test_sealed_file_that_no_fact_knows_takes_an_older_parts_place),
                TEST(test_copy_that_could_not_be_recorded_is_a_part_again),
                TEST(test_note_is_there_as_long_as_its_file),
                TEST(test_note_without_its_file_is_swept_at_the_start),
                cmocka_unit_test(test_note_tells_what_was_written_into_it),
                cmocka_unit_test(test_only_whole_notes_are_believed),
                TEST(test_symlink_in_the_spool_is_not_followed),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
