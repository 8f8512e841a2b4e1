/* SPDX-License-Identifier: Apache-2.0 */

/* Log lines, on stderr and in the journal: base/log.c. Each case runs in a child, with stderr in our hands. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "own_mounts.h"

/* Runs `what` in a child whose stderr is a pipe; returns what came out of it. */
static char *stderr_of(void (*what)(void)) {
        static char text[16384];
        size_t size = 0;
        int fds[2], status;
        pid_t child;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        child = fork();
        if (child == 0) {
                if (dup2(fds[1], STDERR_FILENO) < 0)
                        _exit(1);
                what();
                _exit(0);
        }
        assert_true(child > 0);
        (void) close(fds[1]);
        for (;;) {
                ssize_t n = read(fds[0], text + size, sizeof(text) - 1 - size);

                assert_true(n >= 0);
                if (n == 0)
                        break;
                size += (size_t) n;
        }
        (void) close(fds[0]);
        text[size] = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("the child ended with %#x: %s", (unsigned) status, text);
        return text;
}

static void say_plain(void) {
        log_init("berthd");
        log_info(NULL, "hello %d", 7);
        log_error(&(LogAbout){ .bay = "3" }, "no answer");
        log_notice(&(LogAbout){ .bay = "3", .camera = "X1", .clip = "A.MP4" }, "copied");
        log_warning(&(LogAbout){ .camera = "X1" }, "low");
        log_debug(NULL, "not shown");
}

static void test_line_has_level_name_and_what_it_is_about(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_plain), "<6>berthd: hello 7\n"
                                                  "<3>berthd: bay 3: no answer\n"
                                                  "<5>berthd: bay 3: camera X1: clip A.MP4: copied\n"
                                                  "<4>berthd: camera X1: low\n");
}

static void say_hostile(void) {
        log_init("berthd");
        log_info(&(LogAbout){ .camera = "X\n<0>forged" }, "a\x1b[31m\xff b");
}

static void test_stranger_can_neither_forge_a_line_nor_steer_a_terminal(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_hostile), "<6>berthd: camera X?<0>forged: a?[31m? b\n");
}

static void say_much(void) {
        char *much = malloc(100000);

        if (!much)
                _exit(2);
        memset(much, 'a', 99999);
        much[99999] = 0;
        log_init("berthd");
        log_info(&(LogAbout){ .bay = much, .camera = much, .clip = much }, "%s", much);
        log_info(NULL, "next");
        free(much);
}

static void test_endless_text_is_cut(void **state) {
        const char *text = stderr_of(say_much);

        (void) state;
        assert_true(strlen(text) < 8192);
        assert_non_null(strstr(text, "a\n<6>berthd: next\n"));
}

static void say_at_levels(const char *level) {
        (void) setenv("BERTH_LOG", level, 1);
        log_init("x");
        log_debug(NULL, "d");
        log_info(NULL, "i");
        log_error(NULL, "e");
}

static void say_debug(void) {
        say_at_levels("debug");
}

static void say_4(void) {
        say_at_levels("4");
}

static void say_nonsense(void) {
        say_at_levels("loud");
}

static void test_level_comes_from_the_environment(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_debug), "<7>x: d\n<6>x: i\n<3>x: e\n");
        assert_string_equal(stderr_of(say_4), "<3>x: e\n");
        assert_string_equal(
                stderr_of(say_nonsense),
                "<4>x: BERTH_LOG=loud is no log level (0 to 7, or a name such as debug): using info\n"
                            "<6>x: i\n<3>x: e\n");
}

static void say_errno(void) {
        log_init("x");
        errno = ENOTTY;
        log_info(NULL, "%m");
        if (errno != ENOTTY)
                _exit(3);
        errno = ENOTTY;
        log_debug(NULL, "%m");
        if (errno != ENOTTY)
                _exit(4);
}

static void test_errno_is_kept(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_errno), "<6>x: Inappropriate ioctl for device\n");
}

static void pretend_journal(void) {
        char stream[64];
        struct stat st;

        if (fstat(STDERR_FILENO, &st) < 0)
                _exit(5);
        (void) snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_ino);
        (void) setenv("JOURNAL_STREAM", stream, 1);
}

/* A journal's socket of our own, in a mount namespace of our own. */
static int make_journal(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (!own_mounts() || mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 ||
            mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0 || fd < 0 ||
            bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                _exit(6);
        return fd;
}

static bool has_field(const char *datagram, size_t size, const char *field) {
        size_t length = strlen(field);
        const char *at = memmem(datagram, size, field, length);

        return at && (at == datagram || at[-1] == '\n') && at[length] == '\n';
}

static void say_to_journal(void) {
        char datagram[8192];
        int fd = make_journal();
        ssize_t n;

        pretend_journal();
        log_init("berthd");
        log_error(&(LogAbout){ .bay = "3", .camera = "X1", .clip = "A.MP4", .message = MESSAGE_BAY_FAULT }, "no answer");
        n = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
        if (n <= 0)
                _exit(7);
        if (!has_field(datagram, (size_t) n, "MESSAGE=bay 3: camera X1: clip A.MP4: no answer") ||
            !has_field(datagram, (size_t) n, "PRIORITY=3") ||
            !has_field(datagram, (size_t) n, "SYSLOG_IDENTIFIER=berthd") ||
            !has_field(datagram, (size_t) n, "BERTH_BAY=3") || !has_field(datagram, (size_t) n, "BERTH_CAMERA=X1") ||
            !has_field(datagram, (size_t) n, "BERTH_CLIP=A.MP4") ||
            !has_field(datagram, (size_t) n, "BERTH_MESSAGE=bay-fault") ||
            !has_field(datagram, (size_t) n, "MESSAGE_ID=50ba0d2fd213405590c9f35b8532486e"))
                _exit(8);
}

static void test_journal_gets_fields(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_to_journal), "");
}

static void say_without_journal(void) {
        int fd = make_journal();

        if (unlink("/run/systemd/journal/socket") < 0)
                _exit(9);
        (void) fd_close(fd);
        pretend_journal();
        log_init("x");
        log_info(NULL, "still here");
}

static void test_line_is_not_lost_where_the_journal_cannot_be_reached(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_without_journal), "<6>x: still here\n");
}

static void say_elsewhere(void) {
        int fd = make_journal();

        pretend_journal();
        (void) setenv("JOURNAL_STREAM", "1:2", 1); /* stderr was redirected */
        log_init("x");
        log_info(NULL, "to the file");
        (void) fd_close(fd);
}

static void test_redirected_stderr_is_used(void **state) {
        (void) state;
        assert_string_equal(stderr_of(say_elsewhere), "<6>x: to the file\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_line_has_level_name_and_what_it_is_about),
                cmocka_unit_test(test_stranger_can_neither_forge_a_line_nor_steer_a_terminal),
                cmocka_unit_test(test_endless_text_is_cut),
                cmocka_unit_test(test_level_comes_from_the_environment),
                cmocka_unit_test(test_errno_is_kept),
                cmocka_unit_test(test_journal_gets_fields),
                cmocka_unit_test(test_line_is_not_lost_where_the_journal_cannot_be_reached),
                cmocka_unit_test(test_redirected_stderr_is_used),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        (void) unsetenv("BERTH_LOG");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
