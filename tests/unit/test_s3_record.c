/* SPDX-License-Identifier: Apache-2.0 */

/* What we know of an upload survives a crash at any byte, and nothing is made of what is not ours or damaged. */

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

#include "base/fd.h"
#include "base/text.h"
#include "uplink/s3_record.h"

#define OBJECT "objects/SN-1/2026-11-23/A.MP4.0123456789abcdef"
#define PART_SIZE (UINT64_C(8) << 20)
#define SIZE (3 * PART_SIZE - 5)

static const Digest whole = { .bytes = { 1, 2, 3 } }, other = { .bytes = { 4, 5, 6 } };
static const S3RecordKey key = { .store = "clips/a/",
                                 .clip = "7 objects/SN-1/2026-11-23/A.MP4.0000000000000000",
                                 .size_bytes = SIZE,
                                 .digest = &whole };
static const S3RecordKey growing = { .store = "clips/a/",
                                     .clip = "7 objects/SN-1/2026-11-23/A.MP4.0000000000000000",
                                     .size_bytes = SIZE };
static const Digest part_digest = { .bytes = { 7 } };

static int open_folder(void) {
        char name[] = "record-XXXXXX";
        int fd;

        assert_non_null(mkdtemp(name));
        fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static S3Record *record_open(int dir, const char *object) {
        S3Record *r = NULL;

        assert_int_equal(s3_record_open(dir, &key, object, PART_SIZE, &r), 0);
        return r;
}

/* A record with an upload and two parts; returns its file's name. */
static void make(int dir, char ret_name[static 33]) {
        S3Record *r = record_open(dir, OBJECT);

        assert_false(r->resumed);
        assert_int_equal(r->n_parts, 3);
        assert_int_equal(s3_record_set_upload(r, "2~abc"), 0);
        assert_int_equal(s3_record_add_part(r, 1, PART_SIZE, &part_digest, "etag-1"), 0);
        assert_int_equal(s3_record_add_part(r, 2, PART_SIZE, &part_digest, ""), 0);
        memcpy(ret_name, r->name, 33);
        (void) s3_record_free(r);
}

static void test_upload_is_gone_on_with(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        char name[33];
        S3Record *r;

        (void) state;
        make(dir, name);
        r = record_open(dir, "objects/another");
        assert_true(r->resumed);
        assert_string_equal(r->object, OBJECT);
        assert_string_equal(r->upload_id, "2~abc");
        assert_true(r->parts[0].stored && r->parts[1].stored && !r->parts[2].stored);
        assert_string_equal(r->parts[0].etag, "etag-1");
        assert_true(digest_equal(&r->parts[1].digest, &part_digest));
        assert_int_equal(s3_record_remove(r), 0);
        (void) s3_record_free(r);
        assert_int_equal(faccessat(dir, name, F_OK, 0), -1);
}

static void test_new_upload_forgets_the_parts_of_the_old_one(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        char name[33];
        S3Record *r;

        (void) state;
        make(dir, name);
        r = record_open(dir, OBJECT);
        assert_int_equal(s3_record_set_upload(r, "2~next"), 0);
        (void) s3_record_free(r);
        r = record_open(dir, OBJECT);
        assert_string_equal(r->upload_id, "2~next");
        assert_false(r->parts[0].stored || r->parts[1].stored);
        (void) s3_record_free(r);
}

static void test_crash_at_any_byte_leaves_a_record_that_can_be_gone_on_with(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        _cleanup_(freep) char *text = NULL;
        char name[33];
        size_t size;

        (void) state;
        make(dir, name);
        assert_int_equal(fd_read_file(dir, name, 65536, &text, &size), 0);
        for (size_t cut = 0; cut <= size; cut++) {
                unsigned stored = 0;
                S3Record *r;

                assert_int_equal(fd_replace_file(dir, name, text, cut, 0600), 0);
                r = record_open(dir, OBJECT);
                /* The line that was torn is sent again; a part added now stands on a line of its own. */
                assert_int_equal(s3_record_set_upload(r, "2~again"), 0);
                assert_int_equal(s3_record_add_part(r, 3, SIZE - 2 * PART_SIZE, &part_digest, "etag-3"), 0);
                (void) s3_record_free(r);
                r = record_open(dir, OBJECT);
                assert_true(r->resumed);
                assert_string_equal(r->upload_id, "2~again");
                for (unsigned i = 0; i < r->n_parts; i++)
                        stored += r->parts[i].stored;
                assert_int_equal(stored, 1);
                (void) s3_record_free(r);
        }
}

static void assert_new(const S3Record *r, unsigned n_parts) {
        assert_false(r->resumed || r->outdated);
        assert_string_equal(r->object, "objects/new");
        assert_string_equal(r->upload_id, "");
        assert_int_equal(r->n_parts, n_parts);
        assert_false(r->parts[0].stored);
}

static void test_record_of_another_store_or_clip_is_not_gone_on_with(void **state) {
        S3RecordKey others[] = { key, key };

        (void) state;
        others[0].store = "clips/b/";
        others[1].clip = "8 objects/SN-1/2026-11-23/A.MP4.0000000000000000";
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_(fd_closep) int dir = open_folder();
                _cleanup_(s3_record_freep) S3Record *r = NULL;
                char name[33];

                make(dir, name);
                assert_int_equal(s3_record_open(dir, &others[i], "objects/new", PART_SIZE, &r), 0);
                assert_new(r, 3);
        }
}

/* Its upload is told, so that it can be aborted first; a crash before the record is renewed tells it again. */
static void test_record_of_other_content_is_renewed_once_its_upload_is_known(void **state) {
        S3RecordKey others[] = { key, key, growing };

        (void) state;
        others[0].size_bytes = 2 * PART_SIZE;
        others[1].digest = &other;
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_(fd_closep) int dir = open_folder();
                char name[33];
                S3Record *r;

                make(dir, name);
                for (int crash = 0; crash < 2; crash++) {
                        assert_int_equal(s3_record_open(dir, &others[i], "objects/new", PART_SIZE, &r), 0);
                        assert_true(r->resumed && r->outdated);
                        assert_string_equal(r->object, OBJECT);
                        assert_string_equal(r->upload_id, "2~abc");
                        if (crash == 0)
                                (void) s3_record_free(r);
                }
                assert_int_equal(s3_record_renew(r, &others[i], "objects/new", PART_SIZE), 0);
                assert_new(r, i == 0 ? 2 : 3);
                (void) s3_record_free(r);
                assert_int_equal(s3_record_open(dir, &others[i], "objects/newer", PART_SIZE, &r), 0);
                assert_true(r->resumed && !r->outdated);
                assert_string_equal(r->object, "objects/new");
                assert_int_equal(r->digest_known, others[i].digest != NULL);
                (void) s3_record_free(r);
        }
}

static void test_digest_of_a_clip_that_grew_is_recorded_when_it_is_known(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        S3Record *r;

        (void) state;
        for (int set = 0; set < 2; set++) {
                assert_int_equal(s3_record_open(dir, &growing, OBJECT, PART_SIZE, &r), 0);
                assert_false(r->digest_known || r->outdated);
                if (r->resumed)
                        assert_true(r->parts[0].stored);
                else {
                        assert_int_equal(s3_record_set_upload(r, "2~abc"), 0);
                        assert_int_equal(s3_record_add_part(r, 1, PART_SIZE, &part_digest, "etag-1"), 0);
                }
                if (set == 1)
                        assert_int_equal(s3_record_set_digest(r, &whole), 0);
                (void) s3_record_free(r);
        }
        /* By the put of the sealed clip, too; and then it is of that content for good. */
        r = record_open(dir, "objects/new");
        assert_true(r->resumed && r->digest_known && !r->outdated && r->parts[0].stored);
        assert_true(digest_equal(&r->digest, &whole));
        (void) s3_record_free(r);
        assert_int_equal(s3_record_open(dir, &growing, "objects/new", PART_SIZE, &r), 0);
        assert_true(r->outdated);
        (void) s3_record_free(r);
}

static void test_damaged_record_is_begun_anew(void **state) {
        static const char *const texts[] = { "garbage\n", "{}\n", "\n", "{\"berth_upload\":1}\n" };
        _cleanup_(fd_closep) int dir = open_folder();
        char name[33];

        (void) state;
        make(dir, name);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                S3Record *r;

                assert_int_equal(fd_replace_file(dir, name, texts[i], strlen(texts[i]), 0600), 0);
                r = record_open(dir, "objects/new");
                assert_false(r->resumed);
                assert_string_equal(r->object, "objects/new");
                (void) s3_record_free(r);
        }
}

static void test_record_belongs_to_one_transfer_at_a_time(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        S3Record *r = record_open(dir, OBJECT), *second = NULL;

        (void) state;
        assert_int_equal(s3_record_open(dir, &key, OBJECT, PART_SIZE, &second), -EBUSY);
        assert_null(second);
        (void) s3_record_free(r);
        (void) s3_record_free(record_open(dir, OBJECT));
}

static void test_without_a_folder_nothing_is_kept(void **state) {
        S3Record *r = record_open(-EBADF, OBJECT);

        (void) state;
        assert_int_equal(s3_record_set_upload(r, "2~abc"), 0);
        assert_int_equal(s3_record_add_part(r, 1, PART_SIZE, &part_digest, "e"), 0);
        assert_true(r->parts[0].stored);
        assert_int_equal(s3_record_remove(r), 0);
        (void) s3_record_free(r);
}

static void test_only_old_records_of_this_store_that_nobody_holds_are_orphans(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        S3Orphan orphan = { 0 };
        struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
        char name[33];
        S3Record *r;

        (void) state;
        make(dir, name);
        assert_int_equal(s3_record_find_orphan(dir, key.store, 2000, &orphan), 0);
        assert_int_equal(utimensat(dir, name, old, 0), 0);
        assert_int_equal(s3_record_find_orphan(dir, "clips/other/", 2000, &orphan), 0);
        r = record_open(dir, OBJECT);
        assert_int_equal(s3_record_find_orphan(dir, key.store, 2000, &orphan), 0);
        (void) s3_record_free(r);
        assert_int_equal(s3_record_find_orphan(dir, key.store, 2000, &orphan), 1);
        assert_string_equal(orphan.name, name);
        assert_string_equal(orphan.object, OBJECT);
        assert_string_equal(orphan.upload_id, "2~abc");
        free(orphan.object);
        assert_int_equal(s3_record_remove_orphan(dir, &orphan), 0);
        assert_int_equal(s3_record_find_orphan(dir, key.store, 2000, &orphan), 0);
}

static void test_every_byte_is_in_one_part(void **state) {
        (void) state;
        assert_int_equal(s3_parts_of(0, PART_SIZE), 1);
        assert_int_equal(s3_parts_of(1, PART_SIZE), 1);
        assert_int_equal(s3_parts_of(PART_SIZE, PART_SIZE), 1);
        assert_int_equal(s3_parts_of(PART_SIZE + 1, PART_SIZE), 2);
        assert_int_equal(s3_parts_of(UINT64_MAX, 1), UINT32_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_upload_is_gone_on_with),
                cmocka_unit_test(test_new_upload_forgets_the_parts_of_the_old_one),
                cmocka_unit_test(test_crash_at_any_byte_leaves_a_record_that_can_be_gone_on_with),
                cmocka_unit_test(test_record_of_another_store_or_clip_is_not_gone_on_with),
                cmocka_unit_test(test_record_of_other_content_is_renewed_once_its_upload_is_known),
                cmocka_unit_test(test_digest_of_a_clip_that_grew_is_recorded_when_it_is_known),
                cmocka_unit_test(test_damaged_record_is_begun_anew),
                cmocka_unit_test(test_record_belongs_to_one_transfer_at_a_time),
                cmocka_unit_test(test_without_a_folder_nothing_is_kept),
                cmocka_unit_test(test_only_old_records_of_this_store_that_nobody_holds_are_orphans),
                cmocka_unit_test(test_every_byte_is_in_one_part),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
