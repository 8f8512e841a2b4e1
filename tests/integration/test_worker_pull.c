/* SPDX-License-Identifier: Apache-2.0 */

/* Pulling: the bytes and digests are the camera's, what was told as durable is, and a pull goes on where it broke off. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "integration/worker_rig.h"
#include "unit/own_mounts.h"

#define KILLS 24u

static void assert_blocks(const Rig *rig, size_t first, uint64_t seed, uint64_t size) {
        Digest expected[RIG_BLOCKS_MAX];

        assert_int_equal(first + rig->n_blocks, rig_expected_blocks(seed, size, expected));
        for (size_t i = 0; i < rig->n_blocks; i++) {
                assert_int_equal(rig->blocks[i].number, first + i);
                assert_int_equal(rig->blocks[i].length, MIN2(WIRE_BLOCK_SIZE, size - (first + i) * WIRE_BLOCK_SIZE));
                assert_true(digest_equal(&rig->blocks[i].digest, &expected[first + i]));
        }
}

/* The pull that just ended gave the whole clip. */
static void assert_pulled(const Rig *rig, const char *part, size_t kept, uint64_t seed, uint64_t size) {
        WorkerCopy expected;

        rig_expected(seed, size, &expected);
        assert_true(rig_copies_equal(&rig->copy, &expected));
        assert_true(rig_part_is(rig, part, seed, size));
        assert_blocks(rig, kept, seed, size);
}

static void pull_and_compare(Rig *rig, uint32_t index, uint64_t seed, uint64_t size) {
        char part[32];

        (void) snprintf(part, sizeof(part), "%u.part", index);
        assert_result(rig, rig_pull(rig, index, part, NULL, 0), WORKER_OK);
        assert_pulled(rig, part, 0, seed, size);
}

static void test_pulled_bytes_and_digests_are_the_cameras(void **state) {
        static const uint64_t sizes[] = { 0, 1, 65535, 65536, 65537, WIRE_BLOCK_SIZE - 1, WIRE_BLOCK_SIZE, WIRE_BLOCK_SIZE + 1,
                                          5 * WIRE_BLOCK_SIZE + 12345 };
        char texts[ELEMENTSOF(sizes)][64];
        const char *options[ELEMENTSOF(sizes) + 1] = {};
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                (void) snprintf(texts[i], sizeof(texts[i]), "clip=%zu:%llu:%zu", i, (unsigned long long) sizes[i], i + 1);
                options[i] = texts[i];
        }
        rig_start_with(rig, "memory", options);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                pull_and_compare(rig, (uint32_t) i, i + 1, sizes[i]);
}

/* Block 0 is durable before the bad place in block 1; the third try finds it readable, and goes on behind block 0. */
static void test_unreadable_bytes_are_named_and_what_lies_before_them_is_kept(void **state) {
        const ByteRange *ranges;
        Rig *rig = *state;
        size_t n;

        rig_start(rig, "memory", "clip=A:20000000:7", "clip=B:1000:8", "bad=A:9000000:4096:2");
        for (int attempt = 0; attempt < 2; attempt++) {
                Digest kept = rig_expected_range(7, 0, WIRE_BLOCK_SIZE);

                assert_result(rig, rig_pull(rig, 0, "0.part", &kept, (size_t) attempt), WORKER_UNREADABLE);
                assert_string_equal(rig->text,
                                    "bytes 9000000 to 9004095 of the clip cannot be read from the camera's medium: MEDIUM ERROR");
                ranges = worker_unreadable(rig->worker, &n);
                assert_true(n == 1 && ranges[0].offset == 9000000 && ranges[0].length == 4096);
                assert_int_equal(rig->n_blocks, attempt == 0 ? 1 : 0);
                /* The session goes on: the camera is well. */
                pull_and_compare(rig, 1, 8, 1000);
        }
        assert_result(rig, rig_pull(rig, 0, "0.part", (Digest[]){ rig_expected_range(7, 0, WIRE_BLOCK_SIZE) }, 1), WORKER_OK);
        assert_pulled(rig, "0.part", 1, 7, 20000000);
}

static void test_ranges_that_a_plugin_names_in_pieces_are_made_whole(void **state) {
        const ByteRange *ranges;
        Rig *rig = *state;
        size_t n;

        rig_start(rig, "memory", "clip=A:1000000:7", "bad=A:500:20:0:1");
        assert_result(rig, rig_pull(rig, 0, "0.part", NULL, 0), WORKER_UNREADABLE);
        ranges = worker_unreadable(rig->worker, &n);
        assert_int_equal(n, 2);
        assert_true(ranges[0].offset == 500 && ranges[0].length == 20);
        assert_true(ranges[1].offset == 999990 && ranges[1].length == 10);
        assert_result(rig, rig_verify(rig, 0, 1), WORKER_UNREADABLE);
        assert_int_equal(rig->n_blocks, 0);
}

static void test_clip_of_unknown_size_is_pulled_to_its_end(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:20000000:7:1:unknown");
        pull_and_compare(rig, 0, 7, 20000000);
}

static void test_part_is_overwritten_when_a_pull_starts_afresh(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:9000000:1", "clip=B:100:2");
        assert_result(rig, rig_pull(rig, 0, "x.part", NULL, 0), WORKER_OK);
        assert_result(rig, rig_pull(rig, 1, "x.part", NULL, 0), WORKER_OK);
        assert_true(rig_part_is(rig, "x.part", 2, 100));
}

static void test_part_is_a_file_of_the_folder_and_nothing_else(void **state) {
        static const char *const names[] = { "../x.part", "a/b", "/etc/passwd", "..", ".", "", ".hidden", "a\nb" };
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:10:1");
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_result(rig, rig_pull(rig, 0, names[i], NULL, 0), WORKER_PLUGIN);
        assert_int_equal(symlinkat("/tmp/stolen", rig->incoming_fd, "link.part"), 0);
        assert_result(rig, rig_pull(rig, 0, "link.part", NULL, 0), WORKER_DISK);
        assert_int_equal(mkfifoat(rig->incoming_fd, "fifo.part", 0600), 0);
        assert_result(rig, rig_pull(rig, 0, "fifo.part", NULL, 0), WORKER_PREFIX);
        assert_result(rig, rig_pull(rig, 0, "good.part", NULL, 0), WORKER_OK);
        assert_int_equal(linkat(rig->incoming_fd, "good.part", rig->incoming_fd, "second.part", 0), 0);
        assert_result(rig, rig_pull(rig, 0, "second.part", NULL, 0), WORKER_PREFIX);
}

/* ---- Resuming ---- */

/* The digests of the first blocks, as facts would have them. */
static size_t kept_digests(const Rig *rig, Digest *ret) {
        for (size_t i = 0; i < rig->n_blocks; i++)
                ret[i] = rig->blocks[i].digest;
        return rig->n_blocks;
}

/* Pulls a clip of 40 MB from a camera that breaks off, and returns what was kept of it: some blocks, not all. */
static size_t pull_broken(Rig *rig, Digest kept[static RIG_BLOCKS_MAX]) {
        rig_start(rig, "memory", "clip=A:40000000:3", "break=20000000");
        assert_result(rig, rig_pull(rig, 0, "a.part", NULL, 0), WORKER_CAMERA);
        assert_non_null(strstr(rig->text, "broke off"));
        assert_int_equal(rig->n_blocks, 2);
        return kept_digests(rig, kept);
}

static void test_blocks_of_a_pull_that_broke_off_are_told_and_kept(void **state) {
        Digest kept[RIG_BLOCKS_MAX], d;
        Rig *rig = *state;

        assert_int_equal(pull_broken(rig, kept), 2);
        for (size_t i = 0; i < 2; i++) {
                d = rig_expected_range(3, 0, (i + 1) * WIRE_BLOCK_SIZE);
                assert_true(digest_equal(&kept[i], &d));
        }
}

static void test_pull_goes_on_behind_the_last_durable_block(void **state) {
        Digest kept[RIG_BLOCKS_MAX];
        Rig *rig = *state;
        size_t n;

        n = pull_broken(rig, kept);
        rig_start(rig, "memory", "clip=A:40000000:3");
        assert_result(rig, rig_pull(rig, 0, "a.part", kept, n), WORKER_OK);
        assert_pulled(rig, "a.part", n, 3, 40000000);
        assert_true(rig->progress <= 40000000 - n * WIRE_BLOCK_SIZE);
}

static void test_resume_of_a_whole_clip_reads_nothing_and_gives_its_digests(void **state) {
        Rig *rig = *state;
        Digest kept[RIG_BLOCKS_MAX];

        rig_start(rig, "memory", "clip=A:16777216:3", "break=16777216");
        assert_result(rig, rig_pull(rig, 0, "a.part", NULL, 0), WORKER_OK);
        assert_int_equal(kept_digests(rig, kept), 2);
        assert_result(rig, rig_pull(rig, 0, "a.part", kept, 2), WORKER_OK);
        assert_pulled(rig, "a.part", 2, 3, 16777216);
}

static void test_changed_prefix_on_disk_is_noticed(void **state) {
        Digest kept[RIG_BLOCKS_MAX];
        Rig *rig = *state;
        size_t n;
        int fd;

        n = pull_broken(rig, kept);
        fd = openat(rig->incoming_fd, "a.part", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "\0", 1, WIRE_BLOCK_SIZE + 5), 1);
        assert_int_equal(fd_close(fd), -EBADF);
        rig_start(rig, "memory", "clip=A:40000000:3");
        assert_result(rig, rig_pull(rig, 0, "a.part", kept, n), WORKER_PREFIX);
        assert_int_equal(rig->n_blocks, 0);
}

static void test_short_or_missing_part_is_noticed(void **state) {
        Digest kept[RIG_BLOCKS_MAX];
        Rig *rig = *state;
        size_t n;
        int fd;

        n = pull_broken(rig, kept);
        rig_start(rig, "memory", "clip=A:40000000:3");
        assert_result(rig, rig_pull(rig, 0, "b.part", kept, n), WORKER_PREFIX);
        fd = openat(rig->incoming_fd, "a.part", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, (off_t) (n * WIRE_BLOCK_SIZE - 1)), 0);
        fd_close(fd);
        assert_result(rig, rig_pull(rig, 0, "a.part", kept, n), WORKER_PREFIX);
}

static void test_what_lies_behind_the_kept_blocks_is_cut(void **state) {
        Digest kept[RIG_BLOCKS_MAX];
        Rig *rig = *state;
        size_t n;
        int fd;

        n = pull_broken(rig, kept);
        fd = openat(rig->incoming_fd, "a.part", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, 60000000), 0);
        fd_close(fd);
        rig_start(rig, "memory", "clip=A:40000000:3");
        assert_result(rig, rig_pull(rig, 0, "a.part", kept, n), WORKER_OK);
        assert_true(rig_part_is(rig, "a.part", 3, 40000000));
}

/* ---- Killed at any moment ---- */

static unsigned random_state = 12345;

static unsigned random_below(unsigned n) {
        random_state = random_state * 1103515245 + 12345;
        return (random_state >> 8) % n;
}

/*
 * Kills the worker at a random moment of a pull: some time after its begin, or after a block was told. What was told until then
 * is added to `kept`.
 */
static void pull_until_killed(Rig *rig, Digest *kept, size_t *n) {
        size_t blocks = random_below(4);
        uint64_t until = 0;

        rig_start(rig, "memory", "clip=A:100000000:3", "slow=20");
        rig_pull_begin(rig, 0, "a.part", kept, *n);
        while (rig->waiting) {
                if (until == 0 && rig->n_blocks >= blocks)
                        until = clock_boottime_usec() + random_below(300000);
                if (until != 0 && clock_boottime_usec() >= until)
                        break;
                rig_turn(rig, until == 0 ? USEC_PER_SEC : 20000);
        }
        if (rig->waiting) {
                rig_signal(rig, SIGKILL);
                /* Its answer may have been on the way already. */
                if (rig_wait(rig) == WORKER_DIED)
                        rig->result = WORKER_OK;
        }
        assert_result(rig, rig->result, WORKER_OK);
        for (size_t i = 0; i < rig->n_blocks && rig->blocks[i].length == WIRE_BLOCK_SIZE; i++)
                kept[(*n)++] = rig->blocks[i].digest;
}

static void test_pull_killed_at_random_moments_ends_with_equal_digests(void **state) {
        Digest kept[RIG_BLOCKS_MAX];
        unsigned resumed = 0;
        Rig *rig = *state;
        size_t n = 0;

        for (unsigned i = 0; i < KILLS; i++) {
                /* Afresh now and then, so that it is killed in each part of the clip. */
                if (i % 4 == 0)
                        n = 0;
                resumed += n > 0;
                pull_until_killed(rig, kept, &n);
                if (i % 4 != 3)
                        continue;
                rig_start(rig, "memory", "clip=A:100000000:3");
                assert_result(rig, rig_pull(rig, 0, "a.part", kept, n), WORKER_OK);
                assert_pulled(rig, "a.part", n, 3, 100000000);
        }
        print_message("# %u of %u pulls went on from a kept part\n", resumed, KILLS);
        assert_true(resumed >= KILLS / 4);
}

/* ---- The disk ---- */

static void test_full_disk_is_told_and_harms_nothing(void **state) {
        Rig *rig = *state;
        int folder = rig->incoming_fd;
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/small", rig->folder);
        assert_int_equal(mkdir(path, 0700), 0);
        /* The last test, as what follows it runs in that namespace, too. */
        assert_true(own_mounts());
        assert_int_equal(mount("none", path, "tmpfs", 0, "size=24m"), 0);
        rig->incoming_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(rig->incoming_fd >= 0);
        rig_start(rig, "memory", "clip=A:40000000:3", "clip=B:1000:4");
        assert_result(rig, rig_pull(rig, 0, "a.part", NULL, 0), WORKER_SPACE);
        assert_true(rig->n_blocks >= 2);
        for (size_t i = 0; i < rig->n_blocks; i++) {
                Digest d = rig_expected_range(3, 0, (i + 1) * WIRE_BLOCK_SIZE);

                assert_true(digest_equal(&rig->blocks[i].digest, &d));
        }
        assert_int_equal(unlinkat(rig->incoming_fd, "a.part", 0), 0);
        assert_result(rig, rig_pull(rig, 1, "b.part", NULL, 0), WORKER_OK);
        rig_free_worker(rig);
        fd_close(rig->incoming_fd);
        rig->incoming_fd = folder;
        assert_int_equal(umount2(path, MNT_DETACH), 0);
        assert_int_equal(rmdir(path), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_pulled_bytes_and_digests_are_the_cameras),
                RIG_TEST(test_clip_of_unknown_size_is_pulled_to_its_end),
                RIG_TEST(test_unreadable_bytes_are_named_and_what_lies_before_them_is_kept),
                RIG_TEST(test_ranges_that_a_plugin_names_in_pieces_are_made_whole),
                RIG_TEST(test_part_is_overwritten_when_a_pull_starts_afresh),
                RIG_TEST(test_part_is_a_file_of_the_folder_and_nothing_else),
                RIG_TEST(test_blocks_of_a_pull_that_broke_off_are_told_and_kept),
                RIG_TEST(test_pull_goes_on_behind_the_last_durable_block),
                RIG_TEST(test_resume_of_a_whole_clip_reads_nothing_and_gives_its_digests),
                RIG_TEST(test_changed_prefix_on_disk_is_noticed),
                RIG_TEST(test_short_or_missing_part_is_noticed),
                RIG_TEST(test_what_lies_behind_the_kept_blocks_is_cut),
                RIG_TEST(test_pull_killed_at_random_moments_ends_with_equal_digests),
                RIG_TEST(test_full_disk_is_told_and_harms_nothing),
        };

        return rig_main(tests);
}
