/* SPDX-License-Identifier: Apache-2.0 */

/* Verifying and erasing: exactly the clip that was copied goes, and nobody takes the camera's word for it. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#include "integration/worker_rig.h"

#define SIZE 20000000u
#define MTIME 1700000000

static WorkerCopy copy_of(uint64_t seed, uint64_t size) {
        WorkerCopy copy;

        rig_expected(seed, size, &copy);
        return copy;
}

/* What is left, by the seeds in the clips' names. */
static void assert_left(Rig *rig, const char *paths) {
        char found[256] = "";

        assert_result(rig, rig_list(rig), WORKER_OK);
        for (size_t i = 0; i < rig->n_clips; i++) {
                (void) strcat(found, rig->clips[i].path);
                (void) strcat(found, " ");
        }
        assert_string_equal(found, paths);
}

/* ---- Verify ---- */

/* Of a clip with a size, and of one whose listing tells none. */
static void test_verified_blocks_have_the_cameras_digests(void **state) {
        static const char *const clips[] = { "clip=A:20000000:5", "clip=A:20000000:5:1:unknown" };
        Digest expected[RIG_BLOCKS_MAX];
        Rig *rig = *state;

        assert_int_equal(rig_expected_blocks(5, SIZE, expected), 3);
        for (size_t i = 0; i < 2; i++) {
                rig_start(rig, "memory", clips[i]);
                for (size_t n = 0; n <= 3; n++) {
                        assert_result(rig, rig_verify(rig, 0, n), WORKER_OK);
                        assert_int_equal(rig->n_blocks, n);
                        for (size_t k = 0; k < n; k++) {
                                assert_int_equal(rig->blocks[k].number, k);
                                assert_int_equal(rig->blocks[k].length, k == 2 ? SIZE - 2 * WIRE_BLOCK_SIZE : WIRE_BLOCK_SIZE);
                                assert_true(digest_equal(&rig->blocks[k].digest, &expected[k]));
                        }
                }
                assert_result(rig, rig_verify(rig, 0, 4), WORKER_CHANGED);
        }
}

static void test_clip_of_whole_blocks_ends_with_one(void **state) {
        Digest expected[RIG_BLOCKS_MAX];
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:16777216:5");
        assert_int_equal(rig_expected_blocks(5, 16777216, expected), 2);
        assert_result(rig, rig_verify(rig, 0, 2), WORKER_OK);
        assert_int_equal(rig->n_blocks, 2);
        assert_true(digest_equal(&rig->blocks[1].digest, &expected[1]));
}

/* What the camera has is told beside what the part has on the disk: who asked compares them. */
static void test_samples_are_of_the_camera_and_of_the_part(void **state) {
        const ByteRange places[] = { { 0, WIRE_BLOCK_SIZE }, { WIRE_BLOCK_SIZE, WIRE_BLOCK_SIZE }, { SIZE - 100, 100 } };
        static const Digest none;
        Rig *rig = *state;
        int fd;

        rig_start(rig, "memory", "clip=A:20000000:5");
        assert_result(rig, rig_pull(rig, 0, "a.part", NULL, 0), WORKER_OK);
        fd = openat(rig->incoming_fd, "a.part", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "\0\1\2", 3, WIRE_BLOCK_SIZE + 5), 3);
        fd_close(fd);
        assert_result(rig, rig_sample(rig, 0, "a.part", places, 3), WORKER_OK);
        for (size_t i = 0; i < 3; i++) {
                Digest d = rig_expected_range(5, places[i].offset, places[i].length);

                assert_true(digest_equal(&rig->samples[i].camera, &d));
                assert_int_equal(digest_equal(&rig->samples[i].part, &d), i != 1);
        }
        assert_int_equal(rig->n_blocks, 3);
        assert_result(rig, rig_sample(rig, 0, NULL, places, 1), WORKER_OK);
        assert_true(digest_equal(&rig->samples[0].part, &none));
}

static void test_sample_of_what_is_not_there_is_none(void **state) {
        const ByteRange inside[] = { { 0, 100 } }, behind[] = { { SIZE - 99, 100 } };
        Rig *rig = *state;
        int fd;

        rig_start(rig, "memory", "clip=A:20000000:5");
        assert_result(rig, rig_sample(rig, 0, NULL, behind, 1), WORKER_CHANGED);
        assert_result(rig, rig_sample(rig, 0, "a.part", inside, 1), WORKER_PREFIX);
        fd = openat(rig->incoming_fd, "a.part", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(pwrite(fd, "short", 5, 0), 5);
        fd_close(fd);
        assert_result(rig, rig_sample(rig, 0, "a.part", inside, 1), WORKER_PREFIX);
        assert_result(rig, rig_sample(rig, 0, "../a.part", inside, 1), WORKER_PLUGIN);
}

/* ---- Erase ---- */

static void test_exactly_the_named_clip_is_erased(void **state) {
        WorkerCopy copy = copy_of(2, SIZE);
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:20000000:1", "clip=B:20000000:2", "clip=C:20000000:3");
        assert_result(rig, rig_erase(rig, "B", &copy, MTIME), WORKER_OK);
        assert_left(rig, "A C ");
        assert_result(rig, rig_erase(rig, "B", &copy, MTIME), WORKER_GONE);
        assert_left(rig, "A C ");
}

static void test_many_clips_are_erased_in_one_session(void **state) {
        Rig *rig = *state;
        char path[32];

        rig_start(rig, "memory", "many=40:1000", "clip=empty:0:1", "clip=empty:0:1");
        for (unsigned i = 0; i < 40; i++) {
                WorkerCopy copy = copy_of(39 - i, 1000);

                (void) snprintf(path, sizeof(path), "many/%u.MP4", 39 - i);
                assert_result(rig, rig_erase(rig, path, &copy, 1600000039 - (int64_t) i), WORKER_OK);
        }
        assert_left(rig, "empty empty ");
}

static void test_clip_that_is_another_one_now_is_never_erased(void **state) {
        WorkerCopy right = copy_of(1, SIZE), other = copy_of(2, SIZE), wrong;
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:20000000:1");
        assert_result(rig, rig_erase(rig, "A", &other, MTIME), WORKER_CHANGED);
        assert_result(rig, rig_erase(rig, "A", &right, MTIME + 1), WORKER_CHANGED);
        wrong = right;
        wrong.size_bytes--;
        assert_result(rig, rig_erase(rig, "A", &wrong, MTIME), WORKER_CHANGED);
        wrong = right;
        wrong.head.bytes[0] ^= 1;
        assert_result(rig, rig_erase(rig, "A", &wrong, MTIME), WORKER_CHANGED);
        wrong = right;
        wrong.tail.bytes[31] ^= 1;
        assert_result(rig, rig_erase(rig, "A", &wrong, MTIME), WORKER_CHANGED);
        assert_left(rig, "A ");
}

static void test_of_clips_that_look_alike_the_one_with_the_digest_is_erased(void **state) {
        WorkerCopy second = copy_of(2, SIZE), absent = copy_of(4, SIZE);
        Rig *rig = *state;
        Digest d;

        rig_start(rig, "memory", "clip=A:20000000:1", "clip=A:20000000:2", "clip=A:20000000:3");
        assert_result(rig, rig_erase(rig, "A", &absent, MTIME), WORKER_CHANGED);
        assert_left(rig, "A A A ");
        assert_result(rig, rig_erase(rig, "A", &second, MTIME), WORKER_OK);
        assert_left(rig, "A A ");
        for (uint32_t i = 0; i < 2; i++) {
                assert_result(rig, rig_verify(rig, i, 1), WORKER_OK);
                d = rig_expected_range(i == 0 ? 1 : 3, 0, WIRE_BLOCK_SIZE);
                assert_true(digest_equal(&rig->blocks[0].digest, &d));
        }
}

static void test_empty_clips_are_counted_when_one_is_erased(void **state) {
        WorkerCopy copy = copy_of(1, 0);
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:0:1", "clip=A:0:1", "clip=B:0:1");
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_OK);
        assert_left(rig, "A B ");
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_OK);
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_GONE);
        assert_left(rig, "B ");
}

static void test_clip_of_unknown_size_is_compared_as_a_whole(void **state) {
        WorkerCopy right = copy_of(1, 9000000), shorter = copy_of(1, 8999999);
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:9000000:1:1700000000:unknown");
        assert_result(rig, rig_erase(rig, "A", &shorter, MTIME), WORKER_CHANGED);
        assert_result(rig, rig_erase(rig, "A", &right, MTIME), WORKER_OK);
        assert_left(rig, "");
}

static void test_camera_that_only_says_so_is_caught(void **state) {
        WorkerCopy copy = copy_of(1, SIZE), empty = copy_of(1, 0);
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:20000000:1", "clip=B:0:1", "undead=1");
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_CAMERA);
        assert_result(rig, rig_erase(rig, "B", &empty, MTIME), WORKER_CAMERA);
        assert_left(rig, "A B ");
}

/* What cannot be compared is not erased. */
static void test_clip_whose_edges_cannot_be_read_stays(void **state) {
        Rig *rig = *state;
        WorkerCopy copy = copy_of(1, 1000);
        const ByteRange *ranges;
        size_t n;

        rig_start(rig, "memory", "clip=A:1000:1", "bad=A:900:50:0");
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_UNREADABLE);
        ranges = worker_unreadable(rig->worker, &n);
        assert_true(n == 1 && ranges[0].offset == 900 && ranges[0].length == 50);
        assert_left(rig, "A ");
}

static void test_refusal_of_the_camera_is_told(void **state) {
        WorkerCopy copy = copy_of(1, SIZE);
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:20000000:1", "denied=1");
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_DENIED);
        assert_left(rig, "A ");
}

static void test_listing_after_an_erase_is_new(void **state) {
        WorkerCopy copy = copy_of(1, 1000);
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:1000:1", "clip=B:1000:2");
        assert_result(rig, rig_erase(rig, "A", &copy, MTIME), WORKER_OK);
        /* The index that was told before would name another clip now. */
        assert_result(rig, rig_pull(rig, 0, "x.part", NULL, 0), WORKER_PLUGIN);
        assert_left(rig, "B ");
        assert_result(rig, rig_pull(rig, 0, "x.part", NULL, 0), WORKER_OK);
        assert_true(rig_part_is(rig, "x.part", 2, 1000));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_verified_blocks_have_the_cameras_digests),
                RIG_TEST(test_clip_of_whole_blocks_ends_with_one),
                RIG_TEST(test_samples_are_of_the_camera_and_of_the_part),
                RIG_TEST(test_sample_of_what_is_not_there_is_none),
                RIG_TEST(test_exactly_the_named_clip_is_erased),
                RIG_TEST(test_many_clips_are_erased_in_one_session),
                RIG_TEST(test_clip_that_is_another_one_now_is_never_erased),
                RIG_TEST(test_of_clips_that_look_alike_the_one_with_the_digest_is_erased),
                RIG_TEST(test_empty_clips_are_counted_when_one_is_erased),
                RIG_TEST(test_clip_of_unknown_size_is_compared_as_a_whole),
                RIG_TEST(test_camera_that_only_says_so_is_caught),
                RIG_TEST(test_clip_whose_edges_cannot_be_read_stays),
                RIG_TEST(test_refusal_of_the_camera_is_told),
                RIG_TEST(test_listing_after_an_erase_is_new),
        };

        return rig_main(tests);
}
