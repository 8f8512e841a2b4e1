/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A plugin that tries to get out of its worker fails in each way. The same plugin in a worker without a sandbox shows that the
 * attempts are real: what cannot succeed there proves nothing here.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "integration/worker_rig.h"

#define SECRET "footage of another camera\n"

typedef struct Prison {
        Rig rig;
        char outside[64];
        int outside_fd;
        char **ways;
        size_t n_ways;
} Prison;

/* What an attempt could harm, made anew for each. */
static void furnish(const Prison *p) {
        assert_int_equal(fd_replace_file(p->outside_fd, "secret", SECRET, strlen(SECRET), 0600), 0);
        assert_int_equal(fd_replace_file(p->outside_fd, "victim", "x", 1, 0600), 0);
        (void) unlinkat(p->outside_fd, "new", 0);
        (void) mkdirat(p->outside_fd, "empty", 0700);
}

static bool is_furnished(const Prison *p) {
        _cleanup_(freep) char *text = NULL;
        struct stat st;

        if (fd_read_file(p->outside_fd, "secret", 4096, &text, NULL) < 0 || !text_equal(text, SECRET))
                return false;
        if (fstatat(p->outside_fd, "secret", &st, 0) < 0 || (st.st_mode & 07777) != 0600)
                return false;
        return faccessat(p->outside_fd, "victim", F_OK, 0) == 0 && faccessat(p->outside_fd, "new", F_OK, 0) < 0 &&
               faccessat(p->outside_fd, "empty", F_OK, 0) == 0;
}

static int set_up(void **state) {
        Prison *p = calloc(1, sizeof(Prison));

        rig_init(&p->rig);
        (void) snprintf(p->outside, sizeof(p->outside), "outside.XXXXXX");
        assert_non_null(mkdtemp(p->outside));
        p->outside_fd = open(p->outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(p->outside_fd >= 0);
        furnish(p);
        rig_start(&p->rig, "escape");
        p->n_ways = p->rig.n_clips;
        p->ways = calloc(p->n_ways, sizeof(char *));
        for (size_t i = 0; i < p->n_ways; i++)
                p->ways[i] = strdup(p->rig.clips[i].path);
        *state = p;
        return 0;
}

static int tear_down(void **state) {
        Prison *p = *state;

        for (size_t i = 0; i < p->n_ways; i++)
                free(p->ways[i]);
        free(p->ways);
        (void) unlinkat(p->outside_fd, "secret", 0);
        (void) unlinkat(p->outside_fd, "victim", 0);
        (void) unlinkat(p->outside_fd, "new", 0);
        (void) unlinkat(p->outside_fd, "empty", AT_REMOVEDIR);
        fd_close(p->outside_fd);
        (void) rmdir(p->outside);
        rig_done(&p->rig);
        free(p);
        return 0;
}

/* One way in one worker. */
static WorkerResult attempt(Prison *p, const char *way) {
        _cleanup_(freep) char *try = text_format("try=%s", way);
        _cleanup_(freep) char *here = realpath(p->outside, NULL);
        _cleanup_(freep) char *outside = text_format("outside=%s", here);
        const char *const options[] = { outside, try, NULL };
        WorkerResult result;

        furnish(p);
        assert_int_equal(rig_spawn(&p->rig, "escape"), 0);
        result = rig_open(&p->rig, options);
        rig_free_worker(&p->rig);
        return result;
}

static bool is_stopped(const Prison *p, const char *way, WorkerResult result) {
        /* A kernel without 32-bit programs has not even the door. */
        if (text_equal(way, "other_architecture") && result == WORKER_DIED && strstr(p->rig.text, "Segmentation"))
                return true;
        return result == WORKER_DENIED || (result == WORKER_DIED && strstr(p->rig.text, "sandbox"));
}

static void test_no_way_out_of_the_sandbox_works(void **state) {
        Prison *p = *state;
        unsigned open_ways = 0;

        assert_true(p->n_ways >= 100);
        for (size_t i = 0; i < p->n_ways; i++) {
                WorkerResult result = attempt(p, p->ways[i]);

                /* Ended by the filter, or refused with an error. Nothing else counts. */
                if (is_stopped(p, p->ways[i], result) && is_furnished(p))
                        continue;
                print_message("# %s: %s: %s\n", p->ways[i], worker_result_to_string(result), p->rig.text);
                open_ways++;
        }
        assert_int_equal(open_ways, 0);
}

/* Ways that a process without special rights has to have, where no sandbox is. */
static bool must_work_without(const char *way) {
        static const char *const ways[] = {
                "read_outside", "write_outside", "create_outside", "list_inside", "leave_by_dotdot", "open_path_only",
                "truncate_outside", "truncate_inside", "truncate_by_open", "unlink_outside", "unlink_inside", "rename_inside",
                "link_inside", "symlink_inside", "mkdir_inside", "rmdir_outside", "chmod_outside", "chmod_own", "change_folder",
                "memory_file", "socket_inet", "socket_unix", "socket_pair", "shared_memory", "fork_process", "clone3_process",
                "execute", "kill_parent", "tgkill_parent", "signal_by_owner", "open_process", "limit_parent", "set_own_limit",
                "outlive_parent", "executable_memory", "make_executable", "unshare_files", "duplicate", "ioctl_on_socket",
        };

        for (size_t i = 0; i < ELEMENTSOF(ways); i++)
                if (text_equal(way, ways[i]))
                        return true;
        return false;
}

static void test_the_same_ways_work_where_there_is_no_sandbox(void **state) {
        unsigned expected = 0, worked = 0, failed = 0;
        Prison *p = *state;

        p->rig.executable = "tests/berth-bay-unlocked";
        for (size_t i = 0; i < p->n_ways; i++) {
                bool must = must_work_without(p->ways[i]);

                expected += must;
                if (attempt(p, p->ways[i]) == WORKER_OK)
                        worked++;
                else if (must) {
                        print_message("# %s: %s: %s\n", p->ways[i], worker_result_to_string(p->rig.result), p->rig.text);
                        failed++;
                }
        }
        print_message("# %u of %zu work without a sandbox\n", worked, p->n_ways);
        assert_int_equal(failed, 0);
        assert_true(expected >= 35);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_no_way_out_of_the_sandbox_works, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_same_ways_work_where_there_is_no_sandbox, set_up, tear_down),
        };

        return rig_main(tests);
}
