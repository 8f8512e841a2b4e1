/* SPDX-License-Identifier: Apache-2.0 */

/* A worker's life: what it is born with, what a camera says through it, and its end. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "integration/worker_rig.h"

#define PARENT_FD 9

/* ---- What a camera says ---- */

static void test_identity_and_health_cross_the_wire(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory", "clock=-3600");
        assert_result(rig, rig_identify(rig), WORKER_OK);
        assert_string_equal(rig->identity.serial, "MEM-1");
        assert_string_equal(rig->identity.storage_id, "");
        assert_result(rig, rig_health(rig), WORKER_OK);
        assert_int_equal(rig->health.battery_percent, 81);
        assert_int_equal(rig->health.charging, 1);
        assert_true(rig->health.storage_known && rig->health.clock_known);
        assert_int_equal(rig->health.storage_free_bytes, UINT64_C(32) << 30);
}

static void test_listing_comes_in_pages(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory", "many=150:10");
        assert_int_equal(rig->n_clips, 150);
        assert_string_equal(rig->clips[149].path, "many/149.MP4");
        assert_int_equal(rig->clips[149].size_bytes, 10);
        assert_int_equal(rig->clips[149].mtime_unix_sec, 1600000149);
}

static void test_what_a_plugin_cannot_is_unsupported(void **state) {
        Rig *rig = *state;

        rig_start(rig, "abi_newer");
        assert_result(rig, rig_health(rig), WORKER_UNSUPPORTED);
        assert_result(rig, rig_identify(rig), WORKER_OK);
}

static void test_unknown_option_is_named_in_the_refusal(void **state) {
        const char *const options[] = { "colour=blue", NULL };
        Rig *rig = *state;

        assert_int_equal(rig_spawn(rig, "memory"), 0);
        assert_result(rig, rig_open(rig, options), WORKER_PLUGIN);
        assert_non_null(strstr(rig->text, "colour=blue"));
}

/* ---- Birth ---- */

static void test_worker_has_its_descriptors_and_an_empty_environment(void **state) {
        _cleanup_(freep) char *path = NULL, *environment = NULL;
        Rig *rig = *state;
        size_t size;
        DIR *dir;

        rig_start(rig, "memory");
        path = text_format("/proc/%d/environ", (int) rig_pid(rig));
        assert_true(fd_read_file(AT_FDCWD, path, 65536, &environment, &size) >= 0);
        assert_int_equal(size, 0);
        free(path);
        path = text_format("/proc/%d/fd", (int) rig_pid(rig));
        dir = opendir(path);
        assert_non_null(dir);
        for (struct dirent *e; (e = readdir(dir));)
                if (e->d_name[0] != '.')
                        assert_in_range(strtol(e->d_name, NULL, 10), 0, 4);
        (void) closedir(dir);
}

static void nothing(void *userdata, WorkerResult why, const char *text) {
        (void) userdata;
        (void) why;
        (void) text;
}

static void test_node_of_another_bay_is_refused(void **state) {
        static const WorkerOps ops = { .on_dead = nothing };
        Rig *rig = *state;
        WorkerConfig config = {
                .executable = "/bin/true",
                .plugin_path = "/nonexistent.so",
                .bay = "1-1.1",
                .node_path = "/dev/null", /* tells no port path */
                .incoming_fd = rig->incoming_fd,
                .call_timeout_usec = USEC_PER_SEC,
                .stall_timeout_usec = USEC_PER_SEC,
        };
        Worker *w = NULL;

        assert_true(worker_spawn(rig->event, &config, &ops, NULL, &w) < 0);
        config.node_path = "/dev/bus/usb/099/099";
        assert_int_equal(worker_spawn(rig->event, &config, &ops, NULL, &w), -ENODEV);
        assert_null(w);
}

static void test_missing_program_fails_at_spawn(void **state) {
        Rig *rig = *state;

        rig->executable = "no-such-worker";
        assert_int_equal(rig_spawn(rig, "memory"), -ENOENT);
}

static void test_missing_plugin_is_told_by_its_path(void **state) {
        const char *const options[] = { NULL };
        Rig *rig = *state;

        assert_int_equal(rig_spawn(rig, "/nonexistent/plugin.so"), 0);
        assert_result(rig, rig_open(rig, options), WORKER_PLUGIN);
        assert_non_null(strstr(rig->text, "/nonexistent/plugin.so"));
}

/* ---- Calls ---- */

static void ignore(void *userdata, WorkerResult result, const char *text) {
        (void) userdata;
        (void) result;
        (void) text;
}

static void test_one_call_at_a_time(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:100000000:1", "slow=1000");
        rig_pull_begin(rig, 0, "a.part", NULL, 0);
        assert_int_equal(worker_set_clock(rig->worker, 1, ignore), -EBUSY);
}

static void test_clips_that_were_not_listed_cannot_be_asked_for(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory", "clip=A:10:1");
        assert_int_equal(worker_verify(rig->worker, 1, 0, ignore), -EINVAL);
        assert_int_equal(worker_pull(rig->worker, 1, "a.part", 0, NULL, 0, NULL), -EINVAL);
}

/* ---- Death ---- */

/* Waits until a process that is not our child, or is being reaped by the loop, is gone. */
static bool is_gone(Rig *rig, int pidfd) {
        uint64_t until = clock_boottime_usec() + 60 * USEC_PER_SEC;

        while (clock_boottime_usec() < until) {
                if (poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 10) > 0)
                        return true;
                rig_turn(rig, 0);
        }
        return false;
}

static void test_closed_worker_has_ended_when_it_is_told(void **state) {
        Rig *rig = *state;
        int pidfd;

        rig_start(rig, "memory");
        pidfd = pidfd_open(rig_pid(rig), 0);
        assert_true(pidfd >= 0);
        assert_result(rig, rig_close(rig), WORKER_OK);
        assert_int_equal(pidfd_send_signal(pidfd, 0, NULL, 0), -1);
        assert_int_equal(errno, ESRCH);
        fd_close(pidfd);
        assert_int_equal(worker_pid(rig->worker), 0);
        assert_int_equal(rig->deaths, 0);
        assert_int_equal(worker_set_clock(rig->worker, 1, ignore), -ESHUTDOWN);
}

static void test_freed_worker_is_killed_and_reaped_by_the_loop(void **state) {
        Rig *rig = *state;
        int pidfd;

        rig_start(rig, "memory", "clip=A:1000000000:1", "slow=1000");
        rig_pull_begin(rig, 0, "a.part", NULL, 0);
        pidfd = pidfd_open(rig_pid(rig), 0);
        assert_true(pidfd >= 0);
        rig_free_worker(rig);
        assert_true(is_gone(rig, pidfd));
        /* A zombie is still there to be signalled. */
        while (pidfd_send_signal(pidfd, 0, NULL, 0) == 0)
                rig_turn(rig, USEC_PER_SEC);
        assert_int_equal(rig->deaths, 0);
        fd_close(pidfd);
}

static void test_idle_worker_that_dies_is_told_once(void **state) {
        Rig *rig = *state;

        rig_start(rig, "memory");
        rig_signal(rig, SIGTERM);
        rig->waiting = true;
        assert_result(rig, rig_wait(rig), WORKER_DIED);
        rig_turn(rig, 10000);
        rig_turn(rig, 10000);
        assert_int_equal(rig->deaths, 1);
        assert_non_null(strstr(rig->text, "signal 15"));
}

/*
 * This program's other life, started by the test below: begins a pull in a worker, tells the worker's pid and waits for its end.
 * It has a deadline of its own.
 */
static int be_parent(int tell) {
        uint64_t until = clock_boottime_usec() + 60 * USEC_PER_SEC;
        static Rig rig;
        pid_t pid;

        rig_init(&rig);
        rig_start(&rig, "memory", "clip=A:1000000000:1", "slow=1000");
        rig_pull_begin(&rig, 0, "a.part", NULL, 0);
        pid = rig_pid(&rig);
        (void) fd_write_full(tell, &pid, sizeof(pid));
        while (clock_boottime_usec() < until)
                rig_turn(&rig, USEC_PER_SEC);
        return EXIT_FAILURE;
}

static void test_worker_ends_with_a_parent_that_is_killed(void **state) {
        char *const argv[] = { (char *) "test_worker", (char *) "--be-parent", NULL };
        posix_spawn_file_actions_t actions;
        int tell[2], pidfd;
        Rig *rig = *state;
        pid_t parent, worker = 0;

        assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, tell[1], PARENT_FD), 0);
        assert_int_equal(posix_spawn(&parent, "/proc/self/exe", &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        fd_close(tell[1]);
        assert_int_equal(read(tell[0], &worker, sizeof(worker)), sizeof(worker));
        assert_true(worker > 1 && parent > 1);
        pidfd = pidfd_open(worker, 0);
        assert_true(pidfd >= 0);
        assert_int_equal(kill(parent, SIGKILL), 0);
        assert_int_equal(waitpid(parent, NULL, 0), parent);
        assert_true(is_gone(rig, pidfd));
        fd_close(pidfd);
        fd_close(tell[0]);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_identity_and_health_cross_the_wire),
                RIG_TEST(test_listing_comes_in_pages),
                RIG_TEST(test_what_a_plugin_cannot_is_unsupported),
                RIG_TEST(test_unknown_option_is_named_in_the_refusal),
                RIG_TEST(test_worker_has_its_descriptors_and_an_empty_environment),
                RIG_TEST(test_node_of_another_bay_is_refused),
                RIG_TEST(test_missing_program_fails_at_spawn),
                RIG_TEST(test_missing_plugin_is_told_by_its_path),
                RIG_TEST(test_one_call_at_a_time),
                RIG_TEST(test_clips_that_were_not_listed_cannot_be_asked_for),
                RIG_TEST(test_closed_worker_has_ended_when_it_is_told),
                RIG_TEST(test_freed_worker_is_killed_and_reaped_by_the_loop),
                RIG_TEST(test_idle_worker_that_dies_is_told_once),
                RIG_TEST(test_worker_ends_with_a_parent_that_is_killed),
        };

        if (argc == 2 && text_equal(argv[1], "--be-parent"))
                return be_parent(PARENT_FD);
        return rig_main(tests);
}
