/* SPDX-License-Identifier: Apache-2.0 */

/* What we know of a clip's way into a tus server survives a crash at any byte, and nothing is made of what is not ours or damaged. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/text.h"
#include "uplink/tus_record.h"

#define OBJECT "objects/SN-1/2026-11-23/A.MP4.0123456789abcdef"
#define OTHER_OBJECT "objects/SN-1/2026-11-23/A.MP4.aaaaaaaaaaaaaaaa"

static const TusRecordKey key = { .store = "/files/", .name = "manifests/SN-1/2026-11-23/A.MP4.0102.json", .size_bytes = 1000,
                                  .digest = { .bytes = { 1, 2 } } };

static int open_folder(void) {
        char name[] = "record-XXXXXX";
        int fd;

        assert_non_null(mkdtemp(name));
        fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static TusRecord *record_open(int dir, const TusRecordKey *k, const char *object) {
        TusRecord *r = NULL;

        assert_int_equal(tus_record_open(dir, k, object, 64, &r), 0);
        return r;
}

/* All that happens to a clip, up to the end; returns the file's name. */
static void make(int dir, char ret_name[static TUS_RECORD_NAME_SIZE]) {
        TusRecord *r = record_open(dir, &key, OBJECT);

        assert_string_equal(r->upload, "");
        assert_int_equal(tus_record_set_upload(r, "/files/abc", 77, true), 0);
        assert_int_equal(tus_record_set_checked(r, 64), 0);
        assert_int_equal(tus_record_set_checked(r, 1000), 0);
        assert_int_equal(tus_record_set_manifest(r, "/files/def", 1700000000, true, false), 0);
        assert_int_equal(tus_record_set_done(r), 0);
        memcpy(ret_name, r->file, TUS_RECORD_NAME_SIZE);
        (void) tus_record_free(r);
}

static void test_record_is_found_again(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        char name[TUS_RECORD_NAME_SIZE];
        TusRecord *r, *second = NULL;

        (void) state;
        make(dir, name);
        r = record_open(dir, &key, OTHER_OBJECT);
        assert_string_equal(r->object, OBJECT);
        assert_string_equal(r->upload, "/files/abc");
        assert_string_equal(r->manifest, "/files/def");
        assert_true(r->with_checks && r->digest_known && r->done && !r->read_back && !r->doubtful);
        assert_int_equal(r->checked_bytes, 1000);
        assert_int_equal(r->expires_unix_sec, 77);
        assert_int_equal(r->stored_unix_sec, 1700000000);
        assert_int_equal(r->part_size_bytes, 64);
        assert_int_equal(tus_record_open(dir, &key, OBJECT, 64, &second), -EBUSY);
        /* A new upload forgets all that was of the one before it. */
        assert_int_equal(tus_record_set_doubtful(r), 0);
        assert_true(r->doubtful);
        assert_int_equal(tus_record_set_upload(r, "", 0, false), 0);
        (void) tus_record_free(r);
        r = record_open(dir, &key, OTHER_OBJECT);
        assert_true(r->upload[0] == 0 && r->manifest[0] == 0 && !r->done && !r->doubtful && r->checked_bytes == 0);
        assert_int_equal(tus_record_remove(r), 0);
        (void) tus_record_free(r);
        r = record_open(dir, &key, OTHER_OBJECT);
        assert_string_equal(r->object, OTHER_OBJECT);
        (void) tus_record_free(r);
}

static void test_record_of_something_else_is_not_gone_on_with(void **state) {
        TusRecordKey others[] = { key, key, key };
        char name[TUS_RECORD_NAME_SIZE];

        (void) state;
        others[0].store = "/other/";
        others[1].size_bytes = 999;
        others[2].digest.bytes[0] = 9;
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_(fd_closep) int dir = open_folder();
                TusRecord *r;

                make(dir, name);
                r = record_open(dir, &others[i], OTHER_OBJECT);
                assert_string_equal(r->object, OTHER_OBJECT);
                assert_string_equal(r->upload, "");
                (void) tus_record_free(r);
        }
}

/* A crash may leave any beginning of the file: then as much is known as whole lines tell, and the next line is whole again. */
static void test_record_that_is_cut_anywhere_tells_whole_lines_only(void **state) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(fd_closep) int dir = open_folder();
        char name[TUS_RECORD_NAME_SIZE];
        size_t size;

        (void) state;
        make(dir, name);
        assert_int_equal(fd_read_file(dir, name, 1 << 20, &text, &size), 0);
        for (size_t cut = 0; cut <= size; cut++) {
                size_t lines = 0;
                TusRecord *r;

                for (size_t i = 0; i < cut; i++)
                        lines += text[i] == '\n';
                assert_int_equal(fd_replace_file(dir, name, text, cut, 0600), 0);
                r = record_open(dir, &key, OTHER_OBJECT);
                assert_string_equal(r->object, lines > 0 ? OBJECT : OTHER_OBJECT);
                assert_string_equal(r->upload, lines > 1 ? "/files/abc" : "");
                assert_int_equal(r->checked_bytes, lines > 3 ? 1000 : lines > 2 ? 64 : 0);
                assert_string_equal(r->manifest, lines > 4 ? "/files/def" : "");
                assert_int_equal(r->done, lines > 5);
                assert_int_equal(tus_record_set_upload(r, "/files/new", 0, false), 0);
                (void) tus_record_free(r);
                r = record_open(dir, &key, OTHER_OBJECT);
                assert_string_equal(r->upload, "/files/new");
                (void) tus_record_free(r);
        }
}

static void test_rubbish_is_no_record(void **state) {
        static const char *const texts[] = {
                "rubbish\n",
                "{\"berth_tus\":2}\n",
                "{\"berth_upload\":1,\"store\":\"/files/\"}\n",
        };
        _cleanup_(fd_closep) int dir = open_folder();
        _cleanup_(freep) char *text = NULL, *longer = NULL;
        char name[TUS_RECORD_NAME_SIZE];
        size_t size;
        TusRecord *r;

        (void) state;
        make(dir, name);
        assert_int_equal(fd_read_file(dir, name, 1 << 20, &text, &size), 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                assert_int_equal(fd_replace_file(dir, name, texts[i], strlen(texts[i]), 0600), 0);
                r = record_open(dir, &key, OTHER_OBJECT);
                assert_string_equal(r->object, OTHER_OBJECT);
                (void) tus_record_free(r);
        }
        /* Nor does one that points elsewhere lead there. */
        longer = text_format("%s{\"upload\":\"//evil.example/x\",\"expires\":0,\"checks\":false}\n", text);
        assert_non_null(longer);
        assert_int_equal(fd_replace_file(dir, name, longer, strlen(longer), 0600), 0);
        r = record_open(dir, &key, OTHER_OBJECT);
        assert_string_equal(r->upload, "");
        (void) tus_record_free(r);
}

static void test_old_records_are_found(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        TusRecordKey unfinished = key;
        char name[TUS_RECORD_NAME_SIZE];
        int64_t future = (int64_t) time(NULL) + 3600;
        TusRecord *r;
        TusOld old;

        (void) state;
        make(dir, name);
        unfinished.name = "manifests/SN-1/2026-11-23/B.MP4.0102.json";
        r = record_open(dir, &unfinished, OTHER_OBJECT);
        assert_int_equal(tus_record_set_upload(r, "/files/ghi", 0, false), 0);
        /* While somebody has it, it is not. */
        assert_int_equal(tus_record_find_old(dir, "/files/", future, 0, &old), 0);
        (void) tus_record_free(r);
        assert_int_equal(tus_record_find_old(dir, "/other/", future, future, &old), 0);
        assert_int_equal(tus_record_find_old(dir, "/files/", 0, 0, &old), 0);
        assert_int_equal(tus_record_find_old(dir, "/files/", future, 0, &old), 1);
        assert_string_equal(old.upload, "/files/ghi");
        assert_int_equal(tus_record_remove_old(dir, &old), 0);
        assert_int_equal(tus_record_find_old(dir, "/files/", future, 0, &old), 0);
        /* One that is done names nothing that could be ended. */
        assert_int_equal(tus_record_find_old(dir, "/files/", future, future, &old), 1);
        assert_string_equal(old.file, name);
        assert_true(old.upload[0] == 0 && old.manifest[0] == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_record_is_found_again),
                cmocka_unit_test(test_record_of_something_else_is_not_gone_on_with),
                cmocka_unit_test(test_record_that_is_cut_anywhere_tells_whole_lines_only),
                cmocka_unit_test(test_rubbish_is_no_record),
                cmocka_unit_test(test_old_records_are_found),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
