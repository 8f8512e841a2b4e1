/* SPDX-License-Identifier: Apache-2.0 */

/* Durable files: base/fd.c. What was synced, and in which order, is watched at the system calls. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

/* ---- The calls, as they happened: "fdatasync .x.new, rename x, fsync dir" ---------------------------------------- */

static char calls[1024];
static const char *fail_call;

static int note(const char *what, const char *name) {
        size_t at = strlen(calls);

        (void) snprintf(calls + at, sizeof(calls) - at, "%s%s %s", at ? ", " : "", what, name);
        if (!text_equal(fail_call, what))
                return 0;
        errno = EIO;
        return -1;
}

static int note_fd(const char *what, int fd) {
        char link[64], path[4096];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        path[MAX2(n, 0)] = 0;
        return note(what, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
}

int fdatasync(int fd) {
        return note_fd("fdatasync", fd) < 0 ? -1 : (int) syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
        return note_fd("fsync", fd) < 0 ? -1 : (int) syscall(SYS_fsync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
        return note("rename", to) < 0 ? -1 : (int) syscall(SYS_renameat2, from_dir, from, to_dir, to, 0u);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
        return note(flags == RENAME_NOREPLACE ? "rename-new" : "rename", to) < 0
                       ? -1
                       : (int) syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

/* ---- A folder with the folders a/ and b/ --------------------------------------------------------------------------
 */

typedef struct Scratch {
        char *path;
        int dir, a, b;
} Scratch;

static int setup(void **state) {
        const char *tmp = getenv("TMPDIR");
        Scratch *s = calloc(1, sizeof(*s));

        if (!s)
                return -1;
        fail_call = NULL;
        s->path = text_format("%s/berth-fd-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
        if (!s->path || !mkdtemp(s->path))
                return -1;
        s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        s->a = fd_open_dir(s->dir, "a", 0700);
        s->b = fd_open_dir(s->dir, "b", 0700);
        if (s->dir < 0 || s->a < 0 || s->b < 0)
                return -1;
        calls[0] = 0;
        *state = s;
        return 0;
}

static int teardown(void **state) {
        static const char *const names[] = { "x", "y", ".x.new", "link", "fifo" };
        Scratch *s = *state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                (void) unlinkat(s->a, names[i], 0);
                (void) unlinkat(s->b, names[i], 0);
                (void) unlinkat(s->dir, names[i], 0);
        }
        (void) unlinkat(s->dir, "a", AT_REMOVEDIR);
        (void) unlinkat(s->dir, "b", AT_REMOVEDIR);
        (void) unlinkat(s->dir, "new", AT_REMOVEDIR);
        s->a = fd_close(s->a);
        s->b = fd_close(s->b);
        s->dir = fd_close(s->dir);
        (void) rmdir(s->path);
        free(s->path);
        free(s);
        return 0;
}

static void put(int dir, const char *name, const char *text) {
        _cleanup_(fd_closep) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static void assert_file(int dir, const char *name, const char *expected) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;

        assert_int_equal(fd_read_file(dir, name, 4096, &text, &size), 0);
        assert_string_equal(text, expected);
        assert_int_equal(size, strlen(expected));
}

static void test_close_keeps_errno_and_takes_nothing(void **state) {
        (void) state;
        errno = ENOTTY;
        assert_int_equal(fd_close(-EBADF), -EBADF);
        assert_int_equal(errno, ENOTTY);
        assert_int_equal(fd_close(open("/dev/null", O_RDONLY | O_CLOEXEC)), -EBADF);
        errno = ENOTTY;
        assert_int_equal(fd_close(10000), -EBADF);
        assert_int_equal(errno, ENOTTY);
}

static void test_positioned_reads_and_writes_are_whole_or_fail(void **state) {
        Scratch *s = *state;
        _cleanup_(fd_closep) int fd = openat(s->dir, "x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char buffer[8] = "";

        assert_int_equal(fd_pwrite_full(fd, "abcdef", 6, 2), 0);
        assert_int_equal(fd_pread_full(fd, buffer, 4, 3), 0);
        assert_memory_equal(buffer, "bcde", 4);
        assert_int_equal(fd_pread_full(fd, buffer, 4, 6), -ENODATA);
        assert_int_equal(fd_pread_full(fd, buffer, 1, 1000), -ENODATA);
        assert_int_equal(fd_pread_full(fd, buffer, 0, 1000), 0);
        assert_int_equal(fd_pread_full(fd, buffer, 1, UINT64_MAX), -EOVERFLOW);
        assert_int_equal(fd_pwrite_full(fd, buffer, 2, INT64_MAX - 1), -EOVERFLOW);
        assert_int_equal(fd_pread_full(-EBADF, buffer, 1, 0), -EBADF);
}

static void test_new_folder_is_synced_into_its_parent(void **state) {
        Scratch *s = *state;
        _cleanup_(fd_closep) int made = fd_open_dir(s->dir, "new", 0700), again = -EBADF;

        assert_true(made >= 0);
        assert_non_null(strstr(calls, "fsync "));
        calls[0] = 0;
        again = fd_open_dir(s->dir, "new", 0700);
        assert_true(again >= 0);
        assert_string_equal(calls, "");
        assert_int_equal(fcntl(again, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void test_folder_that_is_none_is_refused(void **state) {
        Scratch *s = *state;

        put(s->dir, "x", "");
        assert_int_equal(symlinkat("a", s->dir, "link"), 0);
        assert_int_equal(fd_open_dir(s->dir, "x", 0700), -ENOTDIR);
        assert_true(fd_open_dir(s->dir, "link", 0700) < 0);
        assert_true(fd_open_dir(s->dir, "..", 0700) < 0);
        assert_true(fd_open_dir(s->dir, "a/../../etc", 0700) < 0);
        assert_true(fd_open_dir(s->dir, "link/..", 0700) < 0);
        assert_int_equal(fd_open_dir(s->dir, "no/such", 0700), -ENOENT);
}

static void test_replaced_file_is_synced_before_and_after_its_rename(void **state) {
        Scratch *s = *state;

        put(s->a, "x", "old");
        assert_int_equal(fd_replace_file(s->a, "x", "new", 3, 0600), 0);
        assert_string_equal(calls, "fdatasync .x.new, rename x, fsync a");
        assert_file(s->a, "x", "new");
        assert_int_equal(faccessat(s->a, ".x.new", F_OK, 0), -1);
}

static void test_failed_replacement_leaves_the_old_file(void **state) {
        static const char *const failures[] = { "fdatasync", "rename" };
        Scratch *s = *state;

        put(s->a, "x", "old");
        for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
                fail_call = failures[i];
                assert_int_equal(fd_replace_file(s->a, "x", "new", 3, 0600), -EIO);
                assert_file(s->a, "x", "old");
                assert_int_equal(faccessat(s->a, ".x.new", F_OK, 0), -1);
        }
        fail_call = "fsync"; /* the new file may be there or not after a power loss: not a success */
        assert_int_equal(fd_replace_file(s->a, "x", "new", 3, 0600), -EIO);
}

static void test_replacement_gets_over_what_a_crash_left(void **state) {
        Scratch *s = *state;

        put(s->a, ".x.new", "half a fi");
        assert_int_equal(fd_replace_file(s->a, "x", "new", 3, 0600), 0);
        assert_file(s->a, "x", "new");
        assert_int_equal(fd_replace_file(s->a, "../x", "new", 3, 0600), -EINVAL);
}

static void test_rename_syncs_both_folders_the_new_name_first(void **state) {
        Scratch *s = *state;

        put(s->a, "x", "text");
        assert_int_equal(fd_rename_durable(s->a, "x", s->b, "y"), 0);
        assert_string_equal(calls, "rename-new y, fsync b, fsync a");
        assert_file(s->b, "y", "text");
        calls[0] = 0;
        assert_int_equal(fd_rename_durable(s->b, "y", s->b, "x"), 0);
        assert_string_equal(calls, "rename-new x, fsync b");
}

static void test_rename_never_replaces(void **state) {
        Scratch *s = *state;

        put(s->a, "x", "new");
        put(s->b, "y", "old");
        assert_int_equal(fd_rename_durable(s->a, "x", s->b, "y"), -EEXIST);
        assert_file(s->a, "x", "new");
        assert_file(s->b, "y", "old");
        assert_int_equal(fd_rename_durable(s->a, "none", s->b, "x"), -ENOENT);
        assert_int_equal(fd_rename_durable(s->dir, "a/x", s->b, "x"), -EINVAL);
        assert_int_equal(fd_rename_durable(s->a, "x", s->b, "../x"), -EINVAL);
        fail_call = "fsync";
        assert_int_equal(fd_rename_durable(s->a, "x", s->b, "x"), -EIO);
}

static void test_dropped_cache_was_written_first(void **state) {
        Scratch *s = *state;
        _cleanup_(fd_closep) int fd = -EBADF;

        put(s->a, "x", "text");
        fd = openat(s->a, "x", O_RDONLY | O_CLOEXEC);
        assert_int_equal(fd_drop_cache(fd, 0, 4), 0);
        assert_string_equal(calls, "fdatasync x");
        fail_call = "fdatasync";
        assert_int_equal(fd_drop_cache(fd, 0, 4), -EIO);
        assert_int_equal(fd_drop_cache(fd, UINT64_MAX, 4), -EOVERFLOW);
}

static void test_read_file_has_a_limit(void **state) {
        Scratch *s = *state;
        _cleanup_(freep) char *text = NULL;
        char large[10000];
        size_t size = 0;

        memset(large, 'a', sizeof(large));
        large[sizeof(large) - 1] = 0;
        put(s->a, "x", large);
        assert_int_equal(fd_read_file(s->a, "x", sizeof(large) - 2, &text, &size), -EFBIG);
        assert_null(text);
        assert_int_equal(fd_read_file(s->a, "x", sizeof(large) - 1, &text, &size), 0);
        assert_int_equal(size, sizeof(large) - 1);
        assert_string_equal(text, large);
}

static void test_read_file_knows_files_without_a_size(void **state) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;

        (void) state;
        assert_int_equal(fd_read_file(AT_FDCWD, "/proc/version", 4096, &text, &size), 0);
        assert_true(size > 5);
        assert_int_equal(strlen(text), size);
}

static void test_read_file_reads_only_files(void **state) {
        Scratch *s = *state;
        _cleanup_(freep) char *text = NULL;

        put(s->a, "x", "");
        assert_int_equal(symlinkat("x", s->a, "link"), 0);
        assert_int_equal(mkfifoat(s->a, "fifo", 0600), 0);
        assert_int_equal(fd_read_file(s->a, "link", 10, &text, NULL), -ELOOP);
        assert_int_equal(fd_read_file(s->a, "fifo", 10, &text, NULL), -EINVAL); /* and does not wait for a writer */
        assert_int_equal(fd_read_file(s->dir, "a", 10, &text, NULL), -EISDIR);
        assert_int_equal(fd_read_file(s->a, "none", 10, &text, NULL), -ENOENT);
        assert_int_equal(fd_read_file(s->a, "../a/x", 10, &text, NULL), -EXDEV);
        assert_null(text);
        assert_int_equal(fd_read_file(s->a, "x", 10, &text, NULL), 0);
        assert_string_equal(text, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_close_keeps_errno_and_takes_nothing),
                TEST(test_positioned_reads_and_writes_are_whole_or_fail),
                TEST(test_new_folder_is_synced_into_its_parent),
                TEST(test_folder_that_is_none_is_refused),
                TEST(test_replaced_file_is_synced_before_and_after_its_rename),
                TEST(test_failed_replacement_leaves_the_old_file),
                TEST(test_replacement_gets_over_what_a_crash_left),
                TEST(test_rename_syncs_both_folders_the_new_name_first),
                TEST(test_rename_never_replaces),
                TEST(test_dropped_cache_was_written_first),
                TEST(test_read_file_has_a_limit),
                cmocka_unit_test(test_read_file_knows_files_without_a_size),
                TEST(test_read_file_reads_only_files),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
