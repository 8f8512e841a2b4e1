/* SPDX-License-Identifier: Apache-2.0 */

/* The pull pipeline with a camera that is a function: what is in the part, and what is told of it; under ThreadSanitizer as well. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/wire_bay.h"
#include "bay/calls.h"
#include "bay/outbox.h"

#define BLOCK ((size_t) WIRE_BLOCK_SIZE)
#define BLOCKS_MAX 8u
#define PART "1.part"

typedef struct Told {
        uint32_t number, length;
        Digest digest;
} Told;

typedef struct Rig {
        char folder[64];
        Session session;
        Clip clip;
        uint64_t breaks_off_at; /* the camera, there */
} Rig;

static _Atomic unsigned syncs;

static Told told[BLOCKS_MAX];
static size_t n_told;
static Rig rig;

int fdatasync(int fd) {
        syncs++;
        return (int) syscall(SYS_fdatasync, fd);
}

/* ---- In place of bay/outbox.c ---- */

void outbox_block(uint32_t clip, uint32_t number, uint32_t length, const Digest *digest) {
        struct stat st;

        assert_int_equal(clip, 0);
        assert_true(n_told < BLOCKS_MAX);
        told[n_told++] = (Told){ number, length, *digest };
        /* Who is told of a block may rely on it. */
        assert_int_equal(fstatat(rig.session.incoming_fd, PART, &st, 0), 0);
        assert_true((uint64_t) st.st_size >= number * WIRE_BLOCK_SIZE + length);
}

void outbox_progress(uint32_t clip, uint64_t bytes) {
        (void) clip;
        (void) bytes;
}

void outbox_alive(void) {
}

/* ---- The camera ---- */

static uint8_t byte_at(uint64_t at) {
        return (uint8_t) (at * 31 + at / 1021 + at / WIRE_BLOCK_SIZE);
}

/* The clip's bytes from its start to `end`, and maybe more. */
static const uint8_t *clip_to(uint64_t end) {
        static uint8_t bytes[BLOCKS_MAX * BLOCK];
        static uint64_t made;

        assert_true(end <= sizeof(bytes));
        for (; made < end; made++)
                bytes[made] = byte_at(made);
        return bytes;
}

static int read_clip(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        const size_t most = 700000;
        uint64_t end = offset + length;
        size_t n = 1;

        (void) state;
        (void) clip;
        while (offset < end) {
                int r;

                if (offset >= rig.breaks_off_at)
                        return -EIO;
                n = (size_t) MIN2(MIN2((uint64_t) n * 7 % most + 1, end - offset), rig.breaks_off_at - offset);
                r = berth_host_deliver(&rig.session.host, clip_to(offset + n) + offset, n);
                if (r < 0)
                        return r;
                offset += n;
        }
        return 0;
}

static const Plugin camera = { .calls = { .read = read_clip }, .name = "function" };

static int set_up_in(const char *parent) {
        rig = (Rig){ .breaks_off_at = UINT64_MAX };
        n_told = 0;
        (void) snprintf(rig.folder, sizeof(rig.folder), "%s/berth-pull-XXXXXX", parent);
        if (!mkdtemp(rig.folder))
                return -1;
        session_init(&rig.session, &camera, -EBADF, open(rig.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        rig.session.open = rig.session.listed = true;
        rig.clip.path = strdup("A.MP4");
        rig.session.list = (ClipList){ .clips = &rig.clip, .n = 1 };
        return rig.session.incoming_fd < 0 ? -1 : 0;
}

static int set_up(void **state) {
        const char *parent = getenv("TMPDIR");

        (void) state;
        return set_up_in(parent && strlen(parent) < 40 ? parent : "/tmp");
}

/* There O_DIRECT is taken by the newer kernels alone. */
static int set_up_in_memory(void **state) {
        return access("/dev/shm", W_OK) == 0 ? set_up_in("/dev/shm") : set_up(state);
}

static int tear_down(void **state) {
        (void) state;
        (void) unlinkat(rig.session.incoming_fd, PART, 0);
        (void) close(rig.session.incoming_fd);
        (void) rmdir(rig.folder);
        free(rig.clip.path);
        return 0;
}

static int pull(uint64_t size, uint64_t offset, const Digest *kept, size_t n_kept, Reading *ret, Fault *fault) {
        Container container = { 0 };

        rig.clip.size_bytes = size;
        *fault = (Fault){ 0 };
        return pull_clip(&rig.session, 0, PART, offset, kept, n_kept, ret, &container, fault);
}

static void digest_up_to(uint64_t end, Digest *ret) {
        assert_int_equal(digest_of(clip_to(end), (size_t) end, ret), 0);
}

static void expect_part(uint64_t size) {
        uint8_t *bytes = malloc((size_t) size + 1);
        int fd = openat(rig.session.incoming_fd, PART, O_RDONLY | O_CLOEXEC);

        assert_non_null(bytes);
        assert_true(fd >= 0);
        assert_int_equal(lseek(fd, 0, SEEK_END), size);
        assert_int_equal(fd_pread_full(fd, bytes, (size_t) size, 0), 0);
        if (memcmp(bytes, clip_to(size), (size_t) size) != 0)
                fail_msg("the part of %llu bytes is not the clip", (unsigned long long) size);
        (void) close(fd);
        free(bytes);
}

static void expect_told(uint64_t from, uint64_t size) {
        size_t n = 0;

        for (uint64_t at = from; at < size; at += BLOCK, n++) {
                uint64_t end = MIN2(at + BLOCK, size);
                Digest d;

                assert_true(n < n_told);
                digest_up_to(end, &d);
                assert_int_equal(told[n].number, at / BLOCK);
                assert_int_equal(told[n].length, end - at);
                assert_true(digest_equal(&told[n].digest, &d));
        }
        assert_int_equal(n_told, n);
}

static void test_part_has_the_clips_bytes_and_blocks_their_digests(void **state) {
        const uint64_t sizes[] = { 0, 1, 4095, 4096, 4097, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5000077, 3 * BLOCK };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Reading reading;
                Fault fault;
                Digest d;

                n_told = 0;
                assert_int_equal(pull(sizes[i], 0, NULL, 0, &reading, &fault), 0);
                expect_part(sizes[i]);
                expect_told(0, sizes[i]);
                digest_up_to(sizes[i], &d);
                assert_true(digest_equal(&reading.digest, &d));
                assert_int_equal(reading.size_bytes, sizes[i]);
        }
}

/* What it takes is told, so that the length of a batch can go by it. */
static void test_short_batches_are_synced_one_by_one_and_told(void **state) {
        Reading reading;
        Fault fault;

        (void) state;
        syncs = 0;
        assert_int_equal(pull(3 * BLOCK, 0, NULL, 0, &reading, &fault), 0);
        assert_int_equal(syncs, 3 * BLOCK / SYNC_BATCH_SHORT);
        assert_int_equal(rig.session.sync_batch.bytes, 3 * BLOCK);
        assert_true(rig.session.sync_batch.usec > 0);
        /* What one clip told counts for the next one. */
        assert_int_equal(pull(BLOCK, 0, NULL, 0, &reading, &fault), 0);
        assert_int_equal(rig.session.sync_batch.bytes, 4 * BLOCK);
}

static void test_pull_goes_on_behind_the_blocks_that_were_kept(void **state) {
        const uint64_t size = 3 * BLOCK + 12345;
        Digest kept[2], whole;
        Reading reading;
        Fault fault;

        (void) state;
        digest_up_to(BLOCK, &kept[0]);
        digest_up_to(2 * BLOCK, &kept[1]);
        rig.breaks_off_at = 2 * BLOCK + 100;
        assert_true(pull(size, 0, NULL, 0, &reading, &fault) < 0);
        n_told = 0;
        rig.breaks_off_at = UINT64_MAX;
        assert_int_equal(pull(size, 2 * BLOCK, kept, 2, &reading, &fault), 0);
        expect_part(size);
        expect_told(2 * BLOCK, size);
        digest_up_to(size, &whole);
        assert_true(digest_equal(&reading.digest, &whole));
}

static void test_camera_that_breaks_off_leaves_its_whole_blocks(void **state) {
        const uint64_t breaks[] = { 0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 4096, 2 * BLOCK + 3000001 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(breaks); i++) {
                Reading reading;
                Fault fault;

                n_told = 0;
                rig.breaks_off_at = breaks[i];
                assert_true(pull(3 * BLOCK, 0, NULL, 0, &reading, &fault) < 0);
                assert_true(fault.text[0]);
                /* A block that it broke off in is no fact. */
                expect_told(0, breaks[i] / BLOCK * BLOCK);
        }
}

static void test_disk_that_takes_no_more_ends_the_pull_with_its_reason(void **state) {
        struct rlimit before, limit;
        Reading reading;
        Fault fault;

        (void) state;
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = 2 * BLOCK + 4096;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_true(pull(7 * BLOCK, 0, NULL, 0, &reading, &fault) < 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_string_equal(fault.text, "cannot write the part: it exceeds the largest file that Berth accepts");
        /* What is told lies on the disk. */
        assert_true(n_told <= 2);
        for (size_t i = 0; i < n_told; i++)
                assert_int_equal(told[i].number, i);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_part_has_the_clips_bytes_and_blocks_their_digests),
                TEST(test_short_batches_are_synced_one_by_one_and_told),
                cmocka_unit_test_setup_teardown(test_part_has_the_clips_bytes_and_blocks_their_digests, set_up_in_memory, tear_down),
                TEST(test_pull_goes_on_behind_the_blocks_that_were_kept),
                TEST(test_camera_that_breaks_off_leaves_its_whole_blocks),
                TEST(test_disk_that_takes_no_more_ends_the_pull_with_its_reason),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
