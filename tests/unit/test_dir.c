/* SPDX-License-Identifier: Apache-2.0 */

/* The `dir` store, called directly: what it takes, what it finds there, races, and folders that are not what they were. */

#include "unit/dir_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "unit/own_mounts.h"

#define RACERS 4u
#define ROUNDS 10u

static DirRig *ready_store(const DirSettings *settings) {
        DirRig *r = dir_rig_new(settings);

        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        return r;
}

/* ---- Puts and what is there already -------------------------------------------------------------------------------------- */

static void test_clip_is_put_once(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *first = dir_rig_put(r, 3 * MIB + 5, 1, CLIP_PATH), *second = NULL, *confirm = NULL;

        (void) state;
        assert_done(first, false);
        second = dir_rig_put(r, 3 * MIB + 5, 1, CLIP_PATH);
        assert_done(second, true);
        assert_string_equal(second->receipt.object_key, first->receipt.object_key);
        assert_int_equal(second->receipt.time_unix_sec, first->receipt.time_unix_sec);
        confirm = dir_rig_confirm(r, first);
        assert_done(confirm, false);
        assert_string_equal(confirm->strength, WIRE_STRENGTH_DIGEST);
        assert_int_equal(dir_rig_check(r), 1);
        assert_int_equal(dir_rig_count(r, "tmp"), 0);
        dir_rig_free(r);
}

static void test_nothing_is_sent_that_is_stored_already(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *first = dir_rig_put(r, 1000, 1, CLIP_PATH), *again = NULL, *other = NULL;
        _cleanup_(freep) char *tmp = text_format("%s/tmp/%s", r->store, r->s->owner);

        (void) state;
        assert_done(first, false);
        /* Nowhere to send to. */
        assert_int_equal(rmdir(tmp), 0);
        assert_int_equal(symlink("/nowhere", tmp), 0);
        again = dir_rig_put(r, 1000, 1, CLIP_PATH);
        assert_done(again, true);
        other = dir_rig_put(r, 1000, 2, CLIP_PATH);
        assert_failed(other, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR);
        dir_rig_free(r);
}

static void test_same_name_with_other_content_is_another_clip(void **state) {
        DirRig *r = ready_store(NULL);

        (void) state;
        for (unsigned seed = 1; seed <= 3; seed++) {
                _cleanup_(task_freep) Task *task = dir_rig_put(r, 1000, seed, CLIP_PATH);

                assert_done(task, false);
        }
        assert_int_equal(dir_rig_check(r), 3);
        dir_rig_free(r);
}

static void test_same_content_under_two_paths_is_two_clips(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *one = dir_rig_put(r, 1000, 1, "DCIM/100/A.MP4"), *other = dir_rig_put(r, 1000, 1, "DCIM/101/A.MP4");

        (void) state;
        assert_done(one, false);
        assert_done(other, false);
        assert_int_equal(dir_rig_check(r), 2);
        dir_rig_free(r);
}

static void test_cancelled_put_leaves_nothing(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *task = NULL;
        Digest digest;
        int fd = dir_rig_source(r, 2 * MIB, 1, &digest);

        (void) state;
        task = dir_rig_put_task(fd, 2 * MIB, &digest, CLIP_PATH);
        atomic_store(&task->cancelled, true);
        dir_put(r->s, task);
        assert_failed(task, WIRE_UPLINK_E_UNAVAILABLE, NULL);
        assert_int_equal(dir_rig_count(r, "tmp") + dir_rig_count(r, "objects") + dir_rig_count(r, "manifests"), 0);
        fd_close(fd);
        dir_rig_free(r);
}

static void test_source_that_is_not_as_promised_leaves_nothing(void **state) {
        DirRig *r = ready_store(NULL);
        Digest digest;
        int fd = dir_rig_source(r, 2 * MIB, 1, &digest);

        (void) state;
        for (int off = -1; off <= 1; off++) {
                _cleanup_(task_freep) Task *task = NULL;

                if (off == 0)
                        digest.bytes[31] ^= 1;
                task = dir_rig_put_task(fd, (uint64_t) ((int64_t) (2 * MIB) + off), &digest, CLIP_PATH);
                dir_put(r->s, task);
                assert_failed(task, WIRE_UPLINK_E_SOURCE, NULL);
        }
        assert_int_equal(dir_rig_count(r, "tmp") + dir_rig_count(r, "objects") + dir_rig_count(r, "manifests"), 0);
        fd_close(fd);
        dir_rig_free(r);
}

/* The manifest of `path`, changed as text; what a put then says. */
static void conflict_after(const char *from, const char *to) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH), *again = NULL, *confirm = NULL;
        _cleanup_(freep) char *path = NULL, *text = NULL, *changed = NULL;
        const char *at;

        assert_done(put, false);
        path = dir_rig_path(r, put->receipt.manifest_key);
        assert_int_equal(fd_read_file(AT_FDCWD, path, MANIFEST_SIZE_MAX, &text, NULL), 0);
        at = strstr(text, from);
        assert_non_null(at);
        changed = text_format("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
        dir_rig_write(r, put->receipt.manifest_key, changed);
        again = dir_rig_put(r, 1000, 1, CLIP_PATH);
        assert_failed(again, WIRE_UPLINK_E_CONFLICT, NULL);
        confirm = dir_rig_confirm(r, put);
        if (!text_equal(from, "\"serial\": \"SN") && !text_equal(from, "\"path\": \"DCIM"))
                assert_failed(confirm, WIRE_UPLINK_E_CONFLICT, NULL);
        /* Nothing was repaired, nothing was added. */
        assert_int_equal(dir_rig_count(r, "objects"), 1);
        assert_int_equal(dir_rig_count(r, "manifests"), 1);
        assert_int_equal(dir_rig_count(r, "tmp"), 0);
        dir_rig_free(r);
}

static void test_manifest_of_something_else_is_a_conflict(void **state) {
        (void) state;
        conflict_after("\"size\": 1000", "\"size\": 1001");
        conflict_after("\"sha256\": \"", "\"sha256\": \"0000000000000000000000000000000000000000000000000000000000000000\", \"x\": \"");
        conflict_after("\"serial\": \"SN", "\"serial\": \"XX");
        conflict_after("\"path\": \"DCIM", "\"path\": \"DCIX");
        conflict_after("\"manifest\": \"manifests/SN", "\"manifest\": \"manifests/XX");
        conflict_after("\"object\": \"objects/SN-0001", "\"object\": \"objects/SN-0002");
        conflict_after("\"object\": \"objects/", "\"object\": \"../objects/");
        conflict_after("\"version\": 1", "\"version\": 2");
        conflict_after("{", "");
}

static void test_object_that_is_gone_is_put_again_under_its_name(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH), *again = NULL, *confirm = NULL;
        _cleanup_(freep) char *path = NULL;

        (void) state;
        assert_done(put, false);
        path = dir_rig_path(r, put->receipt.object_key);
        assert_int_equal(unlink(path), 0);
        again = dir_rig_put(r, 1000, 1, CLIP_PATH);
        assert_done(again, true);
        assert_string_equal(again->receipt.object_key, put->receipt.object_key);
        assert_int_equal(dir_rig_count(r, "objects"), 1);
        assert_int_equal(dir_rig_count(r, "manifests"), 1);
        confirm = dir_rig_confirm(r, put);
        assert_null(confirm->answer.error);
        dir_rig_free(r);
}

static void test_damaged_object_is_a_conflict_and_is_left_alone(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        _cleanup_(freep) char *text = malloc(1001);

        (void) state;
        assert_done(put, false);
        memset(text, 'x', 1000);
        text[1000] = 0;
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_(task_freep) Task *again = NULL, *confirm = NULL;

                /* Of the same size, shorter. */
                text[i == 0 ? 1000 : 999] = 0;
                dir_rig_write(r, put->receipt.object_key, text);
                again = dir_rig_put(r, 1000, 1, CLIP_PATH);
                assert_failed(again, WIRE_UPLINK_E_CONFLICT, NULL);
                confirm = dir_rig_confirm(r, put);
                if (i > 0)
                        assert_failed(confirm, WIRE_UPLINK_E_CONFLICT, NULL);
                assert_int_equal(dir_rig_count(r, "objects"), 1);
                assert_int_equal(dir_rig_count(r, "manifests"), 1);
        }
        dir_rig_free(r);
}

static void test_links_in_the_store_are_not_followed(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH), *again = NULL, *other = NULL;
        _cleanup_(freep) char *object = NULL, *moved = dir_rig_path(r, "moved"), *day = dir_rig_path(r, "objects/SN-0001/" DAY);

        (void) state;
        assert_done(put, false);
        object = dir_rig_path(r, put->receipt.object_key);
        assert_int_equal(rename(object, moved), 0);
        assert_int_equal(symlink(moved, object), 0);
        again = dir_rig_put(r, 1000, 1, CLIP_PATH);
        assert_failed(again, WIRE_UPLINK_E_CONFLICT, NULL);
        assert_int_equal(unlink(object), 0);
        assert_int_equal(rmdir(day), 0);
        assert_int_equal(symlink("/tmp", day), 0);
        other = dir_rig_put(r, 1000, 2, CLIP_PATH);
        assert_failed(other, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_ERROR);
        dir_rig_free(r);
}

/* ---- Races --------------------------------------------------------------------------------------------------------------- */

/* Puts the same clip as its siblings, all released by `gate`; exits 1 as the winner, 2 when it was there already. */
static void race(DirRig *r, int gate, int source, uint64_t size, const Digest *digest) {
        Task *task = dir_rig_put_task(source, size, digest, CLIP_PATH);
        char byte;

        (void) !read(gate, &byte, 1);
        dir_put(r->s, task);
        if (task->answer.error)
                fprintf(stderr, "# %s\n", task->answer.text);
        _exit(task->answer.error ? 3 : task->receipt.already_there ? 2 : 1);
}

static void test_of_processes_that_put_one_clip_one_wins_and_all_get_its_receipt(void **state) {
        (void) state;
        for (unsigned round = 0; round < ROUNDS; round++) {
                DirRig *r = ready_store(NULL);
                unsigned winners = 0;
                pid_t pids[RACERS];
                Digest digest;
                int gate[2], source = dir_rig_source(r, 4 * MIB, round, &digest);

                assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
                for (unsigned i = 0; i < RACERS; i++) {
                        pids[i] = fork();
                        assert_true(pids[i] >= 0);
                        if (pids[i] == 0) {
                                fd_close(gate[1]);
                                race(r, gate[0], source, 4 * MIB, &digest);
                        }
                }
                fd_close(gate[1]);
                for (unsigned i = 0; i < RACERS; i++) {
                        int status;

                        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                        assert_true(WIFEXITED(status) && WEXITSTATUS(status) >= 1 && WEXITSTATUS(status) <= 2);
                        winners += WEXITSTATUS(status) == 1;
                }
                assert_int_equal(winners, 1);
                assert_int_equal(dir_rig_check(r), 1);
                assert_int_equal(dir_rig_count(r, "tmp"), 0);
                fd_close(gate[0]);
                fd_close(source);
                dir_rig_free(r);
        }
}

/* ---- The sweep ----------------------------------------------------------------------------------------------------------- */

static void test_sweep_leaves_what_is_alive_named_or_not_ours(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        _cleanup_(freep) char *named = NULL, *alive = NULL, *intent = NULL, *text = NULL, *real = NULL;
        int fd;

        (void) state;
        assert_done(put, false);
        /* Killed after link() and before unlink(): the intent is still there, and the manifest names the object. */
        named = text_format("tmp/%s/0123456789abcdef.manifest", r->s->owner);
        real = dir_rig_path(r, put->receipt.manifest_key);
        assert_int_equal(fd_read_file(AT_FDCWD, real, MANIFEST_SIZE_MAX, &text, NULL), 0);
        dir_rig_write(r, named, text);
        /* In the hands of a living process. */
        alive = text_format("tmp/%s/aaaaaaaaaaaaaaaa.object", r->s->owner);
        dir_rig_write(r, alive, "half");
        intent = dir_rig_path(r, alive);
        fd = open(intent, O_RDWR | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        /* Another dock's, and nobody's. */
        dir_rig_write(r, "tmp/stray.object", "x");
        dir_rig_write(r, "letter.txt", "x");
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_int_equal(dir_rig_check(r), 1);
        assert_int_equal(dir_rig_count(r, "tmp"), 2);
        assert_int_equal(access(intent, F_OK), 0);
        fd_close(fd);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_int_equal(access(intent, F_OK), -1);
        dir_rig_free(r);
}

static bool without_locks;

/* Of a file system that has none, such as NFS without its lock daemon. */
int flock(int fd, int operation) {
        if (!without_locks)
                return (int) syscall(SYS_flock, fd, operation);
        errno = ENOLCK;
        return -1;
}

static void test_sweep_takes_nothing_of_our_own_where_there_are_no_locks(void **state) {
        _cleanup_(freep) char *left = NULL, *object = NULL, *intent = NULL, *manifest = NULL, *path = NULL;
        _cleanup_(task_freep) Task *put = NULL;
        DirRig *r;

        (void) state;
        without_locks = true;
        r = ready_store(NULL);
        left = text_format("tmp/%s/0123456789abcdef.object", r->s->owner);
        dir_rig_write(r, left, "half");
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_int_equal(dir_rig_count(r, "tmp"), 1);
        /* Before the first look of a process is over, it puts nothing: what is there was left behind. */
        dir_rig_reopen(r, NULL);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_int_equal(dir_rig_count(r, "tmp"), 0);
        /* A put that is under way while the store is looked at again: its object is in place, and its manifest is about to be. */
        put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        assert_done(put, false);
        manifest = dir_rig_path(r, put->receipt.manifest_key);
        intent = text_format("%s/tmp/%s/bbbbbbbbbbbbbbbb.manifest", r->store, r->s->owner);
        assert_int_equal(rename(manifest, intent), 0);
        object = text_format("tmp/%s/cccccccccccccccc.object", r->s->owner);
        dir_rig_write(r, object, "half");
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_int_equal(dir_rig_count(r, "tmp"), 2);
        path = dir_rig_path(r, put->receipt.object_key);
        assert_int_equal(access(path, F_OK), 0);
        without_locks = false;
        dir_rig_free(r);
}

static void test_sweep_takes_intents_that_are_not_whole_and_objects_that_nobody_names(void **state) {
        DirRig *r = ready_store(NULL);
        _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        _cleanup_(freep) char *manifest = NULL, *intent = NULL, *torn = NULL;

        (void) state;
        assert_done(put, false);
        /* As if it had been killed just before the manifest moved to its key. */
        manifest = dir_rig_path(r, put->receipt.manifest_key);
        torn = text_format("%s/tmp/%s/0123456789abcdef.manifest", r->store, r->s->owner);
        assert_int_equal(rename(manifest, torn), 0);
        intent = text_format("tmp/%s/bbbbbbbbbbbbbbbb.manifest", r->s->owner);
        dir_rig_write(r, intent, "{\"version\": 1, \"obj");
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_int_equal(dir_rig_count(r, "objects") + dir_rig_count(r, "manifests") + dir_rig_count(r, "tmp"), 0);
        dir_rig_free(r);
}

static void test_sweep_judges_nothing_by_a_damaged_or_later_manifest(void **state) {
        static const char *const texts[] = { "garbage", "{\"version\": 2}" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                DirRig *r = ready_store(NULL);
                _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH);
                _cleanup_(freep) char *manifest = NULL, *intent = NULL;

                assert_done(put, false);
                manifest = dir_rig_path(r, put->receipt.manifest_key);
                intent = text_format("%s/tmp/%s/0123456789abcdef.manifest", r->store, r->s->owner);
                assert_int_equal(rename(manifest, intent), 0);
                dir_rig_write(r, put->receipt.manifest_key, texts[i]);
                assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
                assert_int_equal(dir_rig_count(r, "objects"), 1);
                dir_rig_free(r);
        }
}

/* ---- Strength ------------------------------------------------------------------------------------------------------------ */

static void test_strength_says_what_was_done(void **state) {
        static const struct {
                bool read_back, same_disk_is_store;
                const char *strength;
        } cases[] = {
                { true, true, WIRE_STRENGTH_DIGEST },
                { false, true, WIRE_STRENGTH_SIZE },
                { true, false, WIRE_STRENGTH_LOCAL },
                { false, false, WIRE_STRENGTH_LOCAL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                DirSettings settings = { .create = true, .read_back = cases[i].read_back,
                        .same_disk_is_store = cases[i].same_disk_is_store };
                DirRig *r = ready_store(&settings);
                _cleanup_(task_freep) Task *put = dir_rig_put(r, 1000, 1, CLIP_PATH), *confirm = NULL;

                assert_null(put->answer.error);
                assert_string_equal(put->receipt.strength, cases[i].strength);
                confirm = dir_rig_confirm(r, put);
                assert_null(confirm->answer.error);
                assert_string_equal(confirm->strength, cases[i].strength);
                dir_rig_free(r);
        }
}

/* ---- Folders that are not what they were ----------------------------------------------------------------------------------- */

static void test_empty_folder_becomes_a_store_only_when_none_was_known(void **state) {
        DirSettings careful = { .create = false, .read_back = true }, remembering = { .create = true, .read_back = true };
        DirRig *r = dir_rig_new(&careful);
        _cleanup_(freep) char *marker = dir_rig_path(r, DIR_MARKER);

        (void) state;
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_MISSING);
        assert_int_equal(access(marker, F_OK), -1);
        remembering.state_dir = r->folder;
        dir_rig_reopen(r, &remembering);
        /* A look that is not thorough makes nothing. */
        assert_string_equal(dir_rig_probe(r, false, 0), WIRE_STORE_MISSING);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        assert_string_equal(dir_rig_probe(r, false, 0), WIRE_STORE_READY);
        /* Unmounted, as it were: neither now nor after a restart is the empty folder filled. */
        assert_int_equal(unlink(marker), 0);
        assert_int_equal(rmdir(r->store) < 0 ? errno : 0, ENOTEMPTY);
        {
                _cleanup_(freep) char *objects = dir_rig_path(r, "objects"), *manifests = dir_rig_path(r, "manifests"),
                                      *tmp = dir_rig_path(r, "tmp"), *own = text_format("%s/tmp/%s", r->store, r->s->owner);

                assert_int_equal(rmdir(objects) + rmdir(manifests) + rmdir(own) + rmdir(tmp), 0);
        }
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_MISSING);
        dir_rig_reopen(r, &remembering);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_MISSING);
        assert_int_equal(access(marker, F_OK), -1);
        dir_rig_free(r);
}

static void test_another_store_at_the_same_place_is_not_taken(void **state) {
        DirSettings settings = { .create = true, .read_back = true, .same_disk_is_store = true };
        DirRig *r = dir_rig_new(&settings);
        Answer answer = { 0 };
        char id[33];

        (void) state;
        settings.state_dir = r->folder;
        dir_rig_reopen(r, &settings);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        dir_rig_write(r, DIR_MARKER, "{\"berth_store\": 1, \"id\": \"00000000000000000000000000000001\"}\n");
        {
                _cleanup_(task_freep) Task *put = dir_rig_put(r, 10, 1, CLIP_PATH);

                assert_failed(put, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_MISSING);
        }
        /* Unless somebody says that it is meant. */
        settings.path = r->store;
        assert_int_equal(dir_create_store(&settings, id, &answer), 0);
        assert_string_equal(id, "00000000000000000000000000000001");
        dir_rig_reopen(r, &settings);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        dir_rig_free(r);
}

static void test_bad_and_later_markers_are_told(void **state) {
        static const char *const markers[] = { "", "{}", "{\"berth_store\": 1}", "{\"berth_store\": 1, \"id\": \"x\"}",
                                               "{\"berth_store\": 2, \"id\": \"00000000000000000000000000000001\"}" };
        DirRig *r = dir_rig_new(NULL);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(markers); i++) {
                dir_rig_write(r, DIR_MARKER, markers[i]);
                assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_ERROR);
        }
        dir_rig_free(r);
}

static void test_mount_point_without_a_mount_is_a_missing_store(void **state) {
        DirSettings settings = { .create = true, .read_back = true };
        DirRig *r = dir_rig_new(&settings);

        (void) state;
        settings.mount_point = r->store;
        dir_rig_reopen(r, &settings);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_MISSING);
        assert_int_equal(dir_rig_count(r, "."), 0);
        settings.mount_point = "/proc";
        dir_rig_reopen(r, &settings);
        assert_string_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY);
        dir_rig_free(r);
}

/* Runs the test in a process with mounts of its own; skips where that cannot be had. */
static void in_own_mounts(void (*test)(DirRig *r), DirRig *r) {
        int status;
        pid_t pid;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (!own_mounts())
                        _exit(77);
                test(r);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip();
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("the process with its own mounts ended with status %x", (unsigned) status);
}

/* An assertion that ends this process and not the test. */
#define check(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition)) {                                                                               \
                        fprintf(stderr, "# %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                 \
                        _exit(1);                                                                                 \
                }                                                                                                 \
        } while (0)

static bool failed_with(const Task *task, const char *error, const char *state) {
        if (!task->answer.error || !text_equal(task->answer.error, error) || !text_equal(task->answer.state, state)) {
                fprintf(stderr, "# got %s, %s: %s\n", task->answer.error ? task->answer.error : "success",
                        task->answer.state ? task->answer.state : "-", task->answer.text);
                return false;
        }
        return true;
}

static void on_read_only_mount(DirRig *r) {
        Task *put;

        check(mount(r->store, r->store, NULL, MS_BIND, NULL) == 0);
        check(mount(NULL, r->store, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
        put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        check(failed_with(put, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_READ_ONLY));
        check(text_equal(dir_rig_probe(r, false, 0), WIRE_STORE_READ_ONLY));
        check(text_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READ_ONLY));
        check(mount(NULL, r->store, NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
        check(text_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY));
        (void) task_free(put);
        put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        check(!put->answer.error);
        (void) task_free(put);
}

static void test_read_only_store_is_told_and_recovers(void **state) {
        DirRig *r = ready_store(NULL);

        (void) state;
        in_own_mounts(on_read_only_mount, r);
        assert_int_equal(dir_rig_check(r), 1);
        dir_rig_free(r);
}

static void on_small_disk(DirRig *r) {
        _cleanup_(freep) char *filler = dir_rig_path(r, "filler");
        Task *put;

        check(mount("tmpfs", r->store, "tmpfs", 0, "size=4m") == 0);
        check(text_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY));
        put = dir_rig_put(r, 6 * MIB, 1, CLIP_PATH);
        check(failed_with(put, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL));
        (void) task_free(put);
        check(dir_rig_count(r, "tmp") + dir_rig_count(r, "objects") == 0);
        /* Too small for that clip, and large enough for others. */
        check(text_equal(dir_rig_probe(r, true, 6 * MIB), WIRE_STORE_FULL));
        check(text_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY));
        put = dir_rig_put(r, 3 * MIB, 2, CLIP_PATH);
        check(!put->answer.error);
        (void) task_free(put);
        dir_rig_write(r, "filler", "");
        check(truncate(filler, 0) == 0);
        put = dir_rig_put(r, 2 * MIB, 3, CLIP_PATH);
        check(failed_with(put, WIRE_UPLINK_E_FULL, WIRE_STORE_FULL));
        (void) task_free(put);
        check(dir_rig_check(r) == 1);
        /* Room comes back. */
        check(mount(NULL, r->store, NULL, MS_REMOUNT, "size=16m") == 0);
        check(text_equal(dir_rig_probe(r, true, 2 * MIB), WIRE_STORE_READY));
        put = dir_rig_put(r, 6 * MIB, 1, CLIP_PATH);
        check(!put->answer.error && text_equal(put->receipt.strength, WIRE_STRENGTH_DIGEST));
        (void) task_free(put);
        check(dir_rig_check(r) == 2);
}

static void test_full_store_takes_nothing_half_and_recovers(void **state) {
        DirRig *r = dir_rig_new(NULL);

        (void) state;
        in_own_mounts(on_small_disk, r);
        dir_rig_free(r);
}

static void on_unmounted_store(DirRig *r) {
        Task *put;

        check(mount("tmpfs", r->store, "tmpfs", 0, NULL) == 0);
        check(text_equal(dir_rig_probe(r, true, 0), WIRE_STORE_READY));
        put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        /* Another file system than the source's: a store like any other. */
        check(!put->answer.error && text_equal(put->receipt.strength, WIRE_STRENGTH_DIGEST));
        (void) task_free(put);
        check(umount2(r->store, 0) == 0);
        put = dir_rig_put(r, 1000, 1, CLIP_PATH);
        check(failed_with(put, WIRE_UPLINK_E_UNAVAILABLE, WIRE_STORE_MISSING));
        (void) task_free(put);
        check(text_equal(dir_rig_probe(r, true, 0), WIRE_STORE_MISSING));
        check(dir_rig_count(r, ".") == 0);
}

static void test_unmounted_mount_point_is_never_filled(void **state) {
        DirSettings settings = { .create = true, .read_back = true };
        DirRig *r = dir_rig_new(&settings);

        (void) state;
        in_own_mounts(on_unmounted_store, r);
        dir_rig_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clip_is_put_once),
                cmocka_unit_test(test_nothing_is_sent_that_is_stored_already),
                cmocka_unit_test(test_same_name_with_other_content_is_another_clip),
                cmocka_unit_test(test_same_content_under_two_paths_is_two_clips),
                cmocka_unit_test(test_cancelled_put_leaves_nothing),
                cmocka_unit_test(test_source_that_is_not_as_promised_leaves_nothing),
                cmocka_unit_test(test_manifest_of_something_else_is_a_conflict),
                cmocka_unit_test(test_object_that_is_gone_is_put_again_under_its_name),
                cmocka_unit_test(test_damaged_object_is_a_conflict_and_is_left_alone),
                cmocka_unit_test(test_links_in_the_store_are_not_followed),
                cmocka_unit_test(test_of_processes_that_put_one_clip_one_wins_and_all_get_its_receipt),
                cmocka_unit_test(test_sweep_leaves_what_is_alive_named_or_not_ours),
                cmocka_unit_test(test_sweep_takes_nothing_of_our_own_where_there_are_no_locks),
                cmocka_unit_test(test_sweep_takes_intents_that_are_not_whole_and_objects_that_nobody_names),
                cmocka_unit_test(test_sweep_judges_nothing_by_a_damaged_or_later_manifest),
                cmocka_unit_test(test_strength_says_what_was_done),
                cmocka_unit_test(test_empty_folder_becomes_a_store_only_when_none_was_known),
                cmocka_unit_test(test_another_store_at_the_same_place_is_not_taken),
                cmocka_unit_test(test_bad_and_later_markers_are_told),
                cmocka_unit_test(test_mount_point_without_a_mount_is_a_missing_store),
                cmocka_unit_test(test_read_only_store_is_told_and_recovers),
                cmocka_unit_test(test_full_store_takes_nothing_half_and_recovers),
                cmocka_unit_test(test_unmounted_mount_point_is_never_filled),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
