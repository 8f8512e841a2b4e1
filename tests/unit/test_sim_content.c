/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/content.h"

#define SIZE 4099u /* no multiple of anything */

static json_t *json(const char *text) {
        json_t *object = json_loads(text, 0, NULL);

        assert_non_null(object);
        return object;
}

/* Reading in any pieces gives the same as reading the whole. */
static void assert_seamless(const Content *content) {
        uint8_t whole[SIZE], part[SIZE];

        assert_int_equal(content_size(content), SIZE);
        assert_int_equal(content_read(content, 0, whole, SIZE), 0);
        for (size_t offset = 0; offset < 40; offset++)
                for (size_t size = 0; size < 40; size++) {
                        assert_int_equal(content_read(content, offset, part, size), 0);
                        assert_memory_equal(part, whole + offset, size);
                }
        assert_int_equal(content_read(content, 1001, part, SIZE - 1001), 0);
        assert_memory_equal(part, whole + 1001, SIZE - 1001);
        assert_int_equal(content_read(content, 1, part, SIZE), -EINVAL);
        assert_int_equal(content_read(content, SIZE + 1, part, 0), -EINVAL);
}

static void test_seeded_bytes_are_the_same_from_any_offset(void **state) {
        _cleanup_(content_freep) Content *content = NULL;

        (void) state;
        assert_int_equal(content_new_seed(7, SIZE, &content), 0);
        assert_seamless(content);
}

static void test_bytes_of_a_seed_never_change_between_versions(void **state) {
        /* SplitMix64 from the state that the seed 42 is mixed to: what recordings and digests elsewhere rely on. */
        static const uint8_t wanted[] = { 0xe3, 0x5a, 0x6f, 0x78, 0x50, 0xd9, 0x9e, 0xb2 };
        _cleanup_(content_freep) Content *content = NULL;
        uint8_t head[8];

        (void) state;
        assert_int_equal(content_new_seed(42, 8, &content), 0);
        assert_int_equal(content_read(content, 0, head, sizeof(head)), 0);
        assert_memory_equal(head, wanted, sizeof(head));
}

static void test_seeds_differ_and_sizes_share_their_beginning(void **state) {
        Content *a, *b, *c;
        uint8_t x[64], y[64];

        (void) state;
        assert_int_equal(content_new_seed(1, 64, &a), 0);
        assert_int_equal(content_new_seed(2, 64, &b), 0);
        assert_int_equal(content_new_seed(1, UINT64_C(1) << 40, &c), 0);
        assert_int_equal(content_read(a, 0, x, 64), 0);
        assert_int_equal(content_read(b, 0, y, 64), 0);
        assert_memory_not_equal(x, y, 64);
        assert_int_equal(content_read(c, 0, y, 64), 0);
        assert_memory_equal(x, y, 64);
        /* Far away it is neither the beginning again nor empty. */
        assert_int_equal(content_read(c, (UINT64_C(1) << 40) - 64, y, 64), 0);
        assert_memory_not_equal(x, y, 64);
        content_free(a);
        content_free(b);
        content_free(c);
}

static void test_file_is_given_as_it_is(void **state) {
        char path[] = "content-XXXXXX";
        _cleanup_(content_freep) Content *content = NULL;
        uint8_t bytes[SIZE], read[SIZE];
        int fd = mkstemp(path);

        (void) state;
        for (size_t i = 0; i < SIZE; i++)
                bytes[i] = (uint8_t) (i * 31 >> 3);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, SIZE), SIZE);
        assert_int_equal(content_new_file(path, &content), 0);
        assert_seamless(content);
        assert_int_equal(content_read(content, 0, read, SIZE), 0);
        assert_memory_equal(read, bytes, SIZE);
        assert_int_equal(ftruncate(fd, 10), 0);
        assert_int_equal(content_read(content, 0, read, SIZE), -ENODATA);
        assert_int_equal(unlink(path), 0);
        close(fd);
        assert_int_equal(content_new_file("/dev/zero", &content), -EINVAL);
        assert_int_equal(content_new_file("is-not-there", &content), -ENOENT);
}

static void test_zeros_are_zero(void **state) {
        static const uint8_t zeros[SIZE];
        _cleanup_(content_freep) Content *content = NULL;
        uint8_t read[SIZE];

        (void) state;
        assert_int_equal(content_new_zero(SIZE, &content), 0);
        assert_int_equal(content_read(content, 0, read, SIZE), 0);
        assert_memory_equal(read, zeros, SIZE);
}

static void change(Content **content, const char *text, int wanted) {
        json_t *args = json(text);
        char why[256] = "";

        assert_int_equal(content_change(content, args, why, sizeof(why)), wanted);
        if (wanted < 0)
                assert_true(strlen(why) > 10);
        json_decref(args);
}

static void test_patch_changes_just_these_bytes(void **state) {
        Content *content;
        uint8_t before[SIZE], after[SIZE];

        (void) state;
        assert_int_equal(content_new_seed(7, SIZE, &content), 0);
        assert_int_equal(content_read(content, 0, before, SIZE), 0);
        change(&content, "{\"patch_offset\": 1000, \"patch_hex\": \"deadBEEF\"}", 0);
        assert_seamless(content);
        assert_int_equal(content_read(content, 0, after, SIZE), 0);
        assert_memory_equal(after + 1000, "\xde\xad\xbe\xef", 4);
        memcpy(after + 1000, before + 1000, 4);
        assert_memory_equal(after, before, SIZE);
        /* A read that begins and ends within the patch. */
        assert_int_equal(content_read(content, 1001, after, 2), 0);
        assert_memory_equal(after, "\xad\xbe", 2);
        change(&content, "{\"patch_offset\": 4096, \"patch_hex\": \"deadbeef\"}", -EINVAL);
        change(&content, "{\"patch_hex\": \"abc\"}", -EINVAL);
        change(&content, "{\"patch_hex\": \"xy\"}", -EINVAL);
        change(&content, "{\"patch_hex\": \"\"}", -EINVAL);
        content_free(content);
}

static void test_change_keeps_what_it_does_not_name(void **state) {
        Content *content, *other;
        uint8_t a[64], b[64];

        (void) state;
        assert_int_equal(content_new_seed(7, 64, &content), 0);
        assert_int_equal(content_new_seed(8, 64, &other), 0);
        change(&content, "{\"mtime\": 5}", 0);
        assert_int_equal(content_size(content), 64);
        change(&content, "{\"seed\": 8}", 0);
        assert_int_equal(content_read(content, 0, a, 64), 0);
        assert_int_equal(content_read(other, 0, b, 64), 0);
        assert_memory_equal(a, b, 64);
        change(&content, "{\"size\": 100}", 0);
        assert_int_equal(content_size(content), 100);
        assert_int_equal(content_read(content, 0, a, 64), 0);
        assert_memory_equal(a, b, 64);
        change(&content, "{\"zero\": true}", 0);
        assert_int_equal(content_size(content), 100);
        assert_int_equal(content_read(content, 0, a, 1), 0);
        assert_int_equal(a[0], 0);
        change(&content, "{\"size\": -1}", -EINVAL);
        assert_int_equal(content_size(content), 100);
        content_free(content);
        content_free(other);
}

static void test_clip_without_bytes_or_file_is_refused(void **state) {
        static const char *const wrong[] = { "{}", "{\"size\": \"big\"}", "{\"size\": 1.5}", "{\"file\": \"is-not-there\"}",
                                             "{\"size\": 1, \"seed\": -2}" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                json_t *clip = json(wrong[i]);
                Content *content = NULL;
                char why[256] = "";

                assert_true(content_from_json(clip, 1, &content, why, sizeof(why)) < 0);
                assert_true(strlen(why) > 10);
                assert_null(content);
                json_decref(clip);
        }
}

static void test_digest_is_of_the_bytes_that_are_read(void **state) {
        _cleanup_(content_freep) Content *content = NULL;
        uint8_t bytes[SIZE];
        char hex[DIGEST_HEX_SIZE], wanted[DIGEST_HEX_SIZE];
        Digest digest;

        (void) state;
        assert_int_equal(content_new_seed(3, SIZE, &content), 0);
        change(&content, "{\"patch_hex\": \"00\"}", 0);
        assert_int_equal(content_read(content, 0, bytes, SIZE), 0);
        assert_int_equal(digest_of(bytes, SIZE, &digest), 0);
        assert_int_equal(content_digest(content, hex), 0);
        assert_string_equal(hex, digest_to_hex(&digest, wanted));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_seeded_bytes_are_the_same_from_any_offset),
                cmocka_unit_test(test_bytes_of_a_seed_never_change_between_versions),
                cmocka_unit_test(test_seeds_differ_and_sizes_share_their_beginning),
                cmocka_unit_test(test_file_is_given_as_it_is),
                cmocka_unit_test(test_zeros_are_zero),
                cmocka_unit_test(test_patch_changes_just_these_bytes),
                cmocka_unit_test(test_change_keeps_what_it_does_not_name),
                cmocka_unit_test(test_clip_without_bytes_or_file_is_refused),
                cmocka_unit_test(test_digest_is_of_the_bytes_that_are_read),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
