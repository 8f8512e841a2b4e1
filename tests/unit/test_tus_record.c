/* SPDX-License-Identifier: Apache-2.0 */

/* What we know of a clip's way into a tus server survives a crash at any byte, and nothing is made of what is not ours or damaged. */

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
        assert_int_equal(tus_record_set_upload(r, &(TusUpload){ .key = "/files/abc", .expires_unix_sec = 77, .with_checks = true }), 0);
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
        assert_int_equal(tus_record_forget_upload(r), 0);
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
                assert_int_equal(tus_record_set_upload(r, &(TusUpload){ .key = "/files/new" }), 0);
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

/* What is uploaded while it is pulled: under a name of its own, then under that of the clip. */
static const TusRecordKey growing = { .store = "/files/", .name = "7 objects/SN-1/2026-11-23/A.MP4.0000000000000000", .size_bytes = 1000,
                                      .digest_unknown = true };

/* Its file's name before and after the digest is known. */
static void make_growing(int dir, bool sealed, char ret_name[static TUS_RECORD_NAME_SIZE], char ret_sealed[static TUS_RECORD_NAME_SIZE]) {
        const Digest first = { .bytes = { 5 } }, second = { .bytes = { 6 } };
        TusRecord *r = record_open(dir, &growing, OBJECT);

        assert_false(r->content_known);
        assert_int_equal(r->n_pieces, 16);
        assert_int_equal(tus_record_set_upload(r, &(TusUpload){ .key = "/files/abc", .deferred = true }), 0);
        assert_int_equal(tus_record_set_piece(r, 0, &first), 0);
        assert_int_equal(tus_record_set_piece(r, 15, &second), 0);
        memcpy(ret_name, r->file, TUS_RECORD_NAME_SIZE);
        if (sealed)
                assert_int_equal(tus_record_seal(r, key.name, &key.digest), 0);
        memcpy(ret_sealed, r->file, TUS_RECORD_NAME_SIZE);
        (void) tus_record_free(r);
}

static void test_record_without_digest_tells_what_was_sent(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        char name[TUS_RECORD_NAME_SIZE], same[TUS_RECORD_NAME_SIZE];
        TusRecordKey named = growing;
        TusRecord *r = NULL;

        (void) state;
        make_growing(dir, false, name, same);
        assert_string_equal(name, same);
        r = record_open(dir, &growing, OTHER_OBJECT);
        assert_string_equal(r->object, OBJECT);
        assert_true(r->deferred && !r->content_known && r->pieces[0].known && r->pieces[0].digest.bytes[0] == 5 &&
                    r->pieces[15].known && r->pieces[15].digest.bytes[0] == 6 && !r->pieces[1].known);
        assert_int_equal(tus_record_forget_upload(r), 0);
        assert_true(!r->pieces[0].known && !r->deferred);
        (void) tus_record_free(r);
        /* Whatever the digest is that becomes known: it is of this clip. */
        named.digest_unknown = false;
        named.digest = key.digest;
        assert_int_equal(tus_record_reopen(dir, &named, &r), 1);
        (void) tus_record_free(r);
}

static void test_sealed_record_has_the_name_of_its_clip(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        char name[TUS_RECORD_NAME_SIZE], sealed[TUS_RECORD_NAME_SIZE];
        TusRecordKey other = growing;
        TusRecord *r = NULL;

        (void) state;
        make_growing(dir, true, name, sealed);
        assert_string_not_equal(name, sealed);
        assert_int_equal(tus_record_reopen(dir, &growing, &r), 0);
        assert_int_equal(tus_record_reopen(dir, &key, &r), 1);
        assert_string_equal(r->upload, "/files/abc");
        assert_true(r->content_known && r->pieces[15].known);
        (void) tus_record_free(r);
        /* Killed between the two steps: its file has the old name still. */
        assert_int_equal(renameat(dir, sealed, dir, name), 0);
        assert_int_equal(tus_record_reopen(dir, &key, &r), 0);
        other.digest_unknown = false;
        assert_int_equal(tus_record_reopen(dir, &other, &r), 0);
        other.digest = key.digest;
        assert_int_equal(tus_record_reopen(dir, &other, &r), 1);
        assert_int_equal(tus_record_seal(r, key.name, &key.digest), 0);
        (void) tus_record_free(r);
        assert_int_equal(tus_record_reopen(dir, &key, &r), 1);
        (void) tus_record_free(r);
}

static void test_record_that_is_set_aside_is_swept(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        char name[TUS_RECORD_NAME_SIZE], same[TUS_RECORD_NAME_SIZE];
        int64_t future = (int64_t) time(NULL) + 3600;
        TusRecordKey longer = growing;
        TusRecord *r;
        TusOld old;

        (void) state;
        make_growing(dir, false, name, same);
        /* The camera tells another size: nobody goes on with what was sent. */
        longer.size_bytes++;
        r = record_open(dir, &longer, OTHER_OBJECT);
        assert_string_equal(r->object, OTHER_OBJECT);
        assert_string_equal(r->upload, "");
        assert_int_equal(tus_record_find_old(dir, "/files/", future, 0, &old), 1);
        assert_string_equal(old.upload, "/files/abc");
        assert_string_not_equal(old.file, name);
        assert_int_equal(tus_record_set_upload(r, &(TusUpload){ .key = "/files/new" }), 0);
        assert_int_equal(tus_record_set_aside(r), 0);
        (void) tus_record_free(r);
        assert_int_equal(tus_record_remove_old(dir, &old), 0);
        assert_int_equal(tus_record_find_old(dir, "/files/", future, 0, &old), 1);
        assert_string_equal(old.upload, "/files/new");
        r = record_open(dir, &longer, OBJECT);
        assert_string_equal(r->object, OBJECT);
        (void) tus_record_free(r);
}

static void test_piece_that_the_clip_does_not_have_is_damage(void **state) {
        _cleanup_(fd_closep) int dir = open_folder();
        _cleanup_(freep) char *text = NULL, *longer = NULL;
        char name[TUS_RECORD_NAME_SIZE], same[TUS_RECORD_NAME_SIZE];
        TusRecord *r = NULL;
        size_t size;

        (void) state;
        make_growing(dir, false, name, same);
        assert_int_equal(fd_read_file(dir, name, 1 << 20, &text, &size), 0);
        longer = text_format("%s{\"piece\":16,\"sha256\":\"%064d\"}\n", text, 0);
        assert_non_null(longer);
        assert_int_equal(fd_replace_file(dir, name, longer, strlen(longer), 0600), 0);
        assert_int_equal(tus_record_reopen(dir, &growing, &r), 0);
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
        assert_int_equal(tus_record_set_upload(r, &(TusUpload){ .key = "/files/ghi" }), 0);
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
                cmocka_unit_test(test_record_without_digest_tells_what_was_sent),
                cmocka_unit_test(test_sealed_record_has_the_name_of_its_clip),
                cmocka_unit_test(test_record_that_is_set_aside_is_swept),
                cmocka_unit_test(test_piece_that_the_clip_does_not_have_is_damage),
                cmocka_unit_test(test_old_records_are_found),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
