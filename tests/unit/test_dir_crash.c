/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A put of the `dir` store that dies, or meets a failing disk, at each of its steps in turn. Afterwards a look at the store clears
 * up, and the put succeeds: one object with its manifest, and nothing else.
 */

#include "unit/dir_rig.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define SIZE (2 * MIB + 17)
/* no_rename: names are given by link(), as on NFS. */
#define STEPS_MAX 200u

/* Ends with DIED, or 0 when the put came to its end. */
static void put_and_die(DirRig *r, FaultKind kind, unsigned at, bool no_rename, int source, const Digest *digest) {
        Task *task = dir_rig_put_task(source, SIZE, digest, CLIP_PATH);

        fault = (Fault){ .kind = kind, .at = at, .no_rename = no_rename };
        dir_put(r->s, task);
        _exit(task->answer.error ? 1 : 0);
}

static void clear_up_and_put(DirRig *r, int source, const Digest *digest, const char *when) {
        _cleanup_(task_freep) Task *task = NULL;

        fault = (Fault){ 0 };
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        if (dir_rig_count(r, "objects") != dir_rig_count(r, "manifests") || dir_rig_count(r, "tmp") != 0)
                fail_msg("%s: %u objects, %u manifests, %u unfinished", when, dir_rig_count(r, "objects"), dir_rig_count(r, "manifests"),
                         dir_rig_count(r, "tmp"));
        (void) dir_rig_check(r);
        task = dir_rig_put_task(source, SIZE, digest, CLIP_PATH);
        dir_put(r->s, task);
        if (task->answer.error)
                fail_msg("%s: then %s", when, task->answer.text);
        assert_int_equal(dir_rig_check(r), 1);
        assert_int_equal(dir_rig_count(r, "tmp"), 0);
}

/* Returns whether the put came to its end before the step. */
static bool die_at(FaultKind kind, unsigned at, bool no_rename) {
        DirRig *r = dir_rig_new(NULL);
        char when[64];
        Digest digest;
        int source, status;
        pid_t pid;

        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        source = dir_rig_source(r, SIZE, 1, &digest);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                put_and_die(r, kind, at, no_rename, source, &digest);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED);
        snprintf(when, sizeof(when), "died %s step %u", kind == FAULT_DIE_BEFORE ? "before" : "after", at);
        clear_up_and_put(r, source, &digest, when);
        fd_close(source);
        dir_rig_free(r);
        return WEXITSTATUS(status) == 0;
}

static void die_at_each_step(bool no_rename) {
        static const FaultKind kinds[] = { FAULT_DIE_BEFORE, FAULT_DIE_AFTER };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                unsigned at = 1;

                while (!die_at(kinds[i], at, no_rename))
                        assert_true(at++ < STEPS_MAX);
                /* The put has steps at all. */
                assert_true(at > 10);
        }
}

static void test_put_that_dies_at_any_step_is_cleared_up(void **state) {
        (void) state;
        die_at_each_step(false);
}

static void test_put_that_dies_at_any_step_is_cleared_up_without_rename_noreplace(void **state) {
        (void) state;
        die_at_each_step(true);
}

/* ---- Failing calls ------------------------------------------------------------------------------------------------------- */

/* Returns whether the step was reached. */
static bool fail_at(FaultKind kind, unsigned at, bool no_rename) {
        DirRig *r = dir_rig_new(NULL);
        _cleanup_(task_freep) Task *task = NULL;
        char when[64];
        Digest digest;
        bool reached;
        int source;

        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        source = dir_rig_source(r, SIZE, 1, &digest);
        task = dir_rig_put_task(source, SIZE, &digest, CLIP_PATH);
        fault = (Fault){ .kind = kind, .at = at, .no_rename = no_rename };
        dir_put(r->s, task);
        reached = fault.calls >= at;
        snprintf(when, sizeof(when), "%s step %u", kind == FAULT_FAIL ? "failing" : "done but failing", at);
        if (reached && fault.hit_sync && !task->answer.error)
                fail_msg("%s: a failed sync was shrugged off", when);
        if (!reached && task->answer.error)
                fail_msg("%s: %s", when, task->answer.text);
        clear_up_and_put(r, source, &digest, when);
        fd_close(source);
        dir_rig_free(r);
        return reached;
}

static void test_put_whose_calls_fail_one_by_one_ends_well_or_tells(void **state) {
        static const FaultKind kinds[] = { FAULT_FAIL, FAULT_FAIL_AFTER };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                for (unsigned link = 0; link < 2; link++) {
                        unsigned at = 1;

                        while (fail_at(kinds[i], at, link))
                                assert_true(at++ < STEPS_MAX);
                        assert_true(at > 10);
                }
}

static void test_file_system_that_can_only_replace_is_no_store(void **state) {
        DirRig *r = dir_rig_new(NULL);

        (void) state;
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        fault = (Fault){ .no_rename = true };
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        fault = (Fault){ .no_rename = true, .no_link = true };
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_ERROR);
        dir_rig_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_put_that_dies_at_any_step_is_cleared_up),
                cmocka_unit_test(test_put_that_dies_at_any_step_is_cleared_up_without_rename_noreplace),
                cmocka_unit_test(test_put_whose_calls_fail_one_by_one_ends_well_or_tells),
                cmocka_unit_test(test_file_system_that_can_only_replace_is_no_store),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
