/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/worker_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "plugins/content.h"

#define DEADLINE_USEC (120 * USEC_PER_SEC)

static const char *build_dir(void) {
        const char *dir = getenv("BERTH_BUILD");

        return dir ? dir : "build";
}

static int any_node(int node_fd, const char *bay) {
        (void) node_fd;
        (void) bay;
        return 0;
}

void rig_init(Rig *rig) {
        *rig = (Rig){
                .call_timeout_usec = 30 * USEC_PER_SEC,
                .stall_timeout_usec = 30 * USEC_PER_SEC,
                .folder = "incoming.XXXXXX",
        };
        assert_int_equal(sd_event_new(&rig->event), 0);
        assert_non_null(mkdtemp(rig->folder));
        rig->incoming_fd = open(rig->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(rig->incoming_fd >= 0);
}

int rig_set_up(void **state) {
        Rig *rig = calloc(1, sizeof(Rig));

        assert_non_null(rig);
        rig_init(rig);
        *state = rig;
        return 0;
}

int rig_tear_down(void **state) {
        rig_done(*state);
        free(*state);
        return 0;
}

void rig_begin(void) {
        log_init("test");
        cmocka_set_message_output(CM_OUTPUT_TAP);
        if (getenv("BERTH_TEST"))
                cmocka_set_test_filter(getenv("BERTH_TEST"));
}

static void forget_clips(Rig *rig) {
        for (size_t i = 0; i < rig->n_clips; i++)
                free(rig->clips[i].path);
        free(rig->clips);
        rig->clips = NULL;
        rig->n_clips = 0;
}

static void forget_identity(Rig *rig) {
        free(rig->identity.manufacturer);
        free(rig->identity.model);
        free(rig->identity.serial);
        free(rig->identity.firmware);
        free(rig->identity.storage_id);
        rig->identity = (WorkerIdentity){};
}

static void forget_owner(Rig *rig) {
        free(rig->owner.officer_id);
        free(rig->owner.officer_name);
        free(rig->owner.unit_id);
        free(rig->owner.unit_name);
        rig->owner = (WorkerOwner){};
}

void rig_done(Rig *rig) {
        DIR *dir;

        rig_free_worker(rig);
        forget_clips(rig);
        forget_identity(rig);
        forget_owner(rig);
        dir = fdopendir(rig->incoming_fd);
        assert_non_null(dir);
        for (struct dirent *e; (e = readdir(dir));)
                (void) unlinkat(dirfd(dir), e->d_name, 0);
        (void) closedir(dir);
        (void) rmdir(rig->folder);
        sd_event_unref(rig->event);
}

void rig_free_worker(Rig *rig) {
        rig->worker = worker_free(rig->worker);
}

static void ended(Rig *rig, WorkerResult result, const char *text) {
        rig->waiting = false;
        rig->result = result;
        rig->fatal += worker_result_is_fatal(result) != 0;
        (void) snprintf(rig->text, sizeof(rig->text), "%s", text ? text : "");
}

static void on_dead(void *userdata, WorkerResult why, const char *text) {
        Rig *rig = userdata;

        rig->deaths++;
        ended(rig, why, text);
}

static void on_block(void *userdata, uint32_t clip, uint32_t number, uint32_t length, const Digest *digest) {
        Rig *rig = userdata;

        if (rig->n_blocks < RIG_BLOCKS_MAX)
                rig->blocks[rig->n_blocks++] = (RigBlock){ clip, number, length, *digest };
        if (rig->on_block)
                rig->on_block(rig);
}

static void on_progress(void *userdata, uint32_t clip, uint64_t bytes) {
        Rig *rig = userdata;

        (void) clip;
        rig->progress = bytes;
}

int rig_spawn(Rig *rig, const char *plugin) {
        static const WorkerOps ops = { .on_dead = on_dead, .on_block = on_block, .on_progress = on_progress };
        _cleanup_(freep) char *executable = text_format("%s/%s", build_dir(), rig->executable ? rig->executable : "berth-bay");
        _cleanup_(freep) char *path = plugin[0] == '/' ? strdup(plugin) : text_format("%s/tests/plugins/%s.so", build_dir(), plugin);
        WorkerConfig config = {
                .executable = executable,
                .plugin_path = path,
                .bay = rig->bay ? rig->bay : "1-1.1",
                .node_path = rig->node ? rig->node : "/dev/null",
                .incoming_fd = rig->incoming_fd,
                .call_timeout_usec = rig->call_timeout_usec,
                .stall_timeout_usec = rig->stall_timeout_usec,
                .check_node = rig->node ? NULL : any_node,
        };

        rig_free_worker(rig);
        rig->waiting = false;
        rig->deaths = rig->fatal = 0;
        rig->n_blocks = 0;
        rig->text[0] = 0;
        return worker_spawn(rig->event, &config, &ops, rig, &rig->worker);
}

void rig_turn(Rig *rig, uint64_t usec) {
        assert_true(sd_event_run(rig->event, usec) >= 0);
}

WorkerResult rig_wait(Rig *rig) {
        uint64_t until = clock_boottime_usec() + DEADLINE_USEC;

        while (rig->waiting) {
                if (clock_boottime_usec() > until)
                        fail_msg("the worker did not answer within %llu s", (unsigned long long) (DEADLINE_USEC / USEC_PER_SEC));
                rig_turn(rig, USEC_PER_SEC);
        }
        return rig->result;
}

/* A call was made: waits for its end. */
static WorkerResult finish(Rig *rig, int r) {
        if (r < 0)
                fail_msg("the call could not be made: %s", strerror(-r));
        rig->waiting = true;
        return rig_wait(rig);
}

static void done_simple(void *userdata, WorkerResult result, const char *text) {
        ended(userdata, result, text);
}

WorkerResult rig_open(Rig *rig, const char *const *options) {
        return finish(rig, worker_open(rig->worker, "test", options, rig->credentials, done_simple));
}

static void done_owner(void *userdata, WorkerResult result, const char *text, const WorkerOwner *o) {
        Rig *rig = userdata;

        ended(rig, result, text);
        forget_owner(rig);
        if (o)
                rig->owner = (WorkerOwner){ strdup(o->officer_id), strdup(o->officer_name), strdup(o->unit_id), strdup(o->unit_name) };
}

WorkerResult rig_get_owner(Rig *rig) {
        return finish(rig, worker_get_owner(rig->worker, done_owner));
}

WorkerResult rig_set_owner(Rig *rig, const WorkerOwner *owner) {
        return finish(rig, worker_set_owner(rig->worker, owner, done_simple));
}

WorkerResult rig_enter_storage(Rig *rig) {
        return finish(rig, worker_enter_storage(rig->worker, done_simple));
}

WorkerResult rig_eject(Rig *rig) {
        return finish(rig, worker_eject(rig->worker, done_simple));
}

WorkerResult rig_format(Rig *rig) {
        return finish(rig, worker_format(rig->worker, done_simple));
}

static void done_identify(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id) {
        Rig *rig = userdata;

        ended(rig, result, text);
        forget_identity(rig);
        if (id)
                rig->identity = (WorkerIdentity){ strdup(id->manufacturer), strdup(id->model), strdup(id->serial),
                                                  strdup(id->firmware), strdup(id->storage_id) };
}

WorkerResult rig_identify(Rig *rig) {
        return finish(rig, worker_identify(rig->worker, done_identify));
}

static void done_health(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health) {
        Rig *rig = userdata;

        ended(rig, result, text);
        if (health)
                rig->health = *health;
}

WorkerResult rig_health(Rig *rig) {
        return finish(rig, worker_health(rig->worker, done_health));
}

WorkerResult rig_set_clock(Rig *rig, int64_t unix_sec) {
        return finish(rig, worker_set_clock(rig->worker, unix_sec, done_simple));
}

static void done_list(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more) {
        Rig *rig = userdata;

        ended(rig, result, text);
        rig->more = more;
        if (n > 0)
                rig->clips = reallocarray(rig->clips, rig->n_clips + n, sizeof(WorkerClip));
        for (size_t i = 0; i < n; i++) {
                rig->clips[rig->n_clips] = clips[i];
                rig->clips[rig->n_clips++].path = strdup(clips[i].path);
        }
}

WorkerResult rig_list(Rig *rig) {
        WorkerResult result;

        forget_clips(rig);
        do
                result = finish(rig, worker_list(rig->worker, (uint32_t) rig->n_clips, done_list));
        while (result == WORKER_OK && rig->more);
        return result;
}

static void done_pull(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy) {
        Rig *rig = userdata;

        ended(rig, result, text);
        if (copy)
                rig->copy = *copy;
}

void rig_pull_begin(Rig *rig, uint32_t clip, const char *part, const Digest *kept, size_t n_kept) {
        rig->n_blocks = 0;
        assert_int_equal(worker_pull(rig->worker, clip, part, n_kept * WIRE_BLOCK_SIZE, kept, n_kept, done_pull), 0);
        rig->waiting = true;
}

WorkerResult rig_pull(Rig *rig, uint32_t clip, const char *part, const Digest *kept, size_t n_kept) {
        rig_pull_begin(rig, clip, part, kept, n_kept);
        return rig_wait(rig);
}

WorkerResult rig_verify(Rig *rig, uint32_t clip, size_t n_blocks) {
        rig->n_blocks = 0;
        return finish(rig, worker_verify(rig->worker, clip, n_blocks, done_simple));
}

static void done_sample(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples) {
        Rig *rig = userdata;

        ended(rig, result, text);
        if (samples)
                memcpy(rig->samples, samples, rig->n_samples * sizeof(WorkerSample));
}

WorkerResult rig_sample(Rig *rig, uint32_t clip, const char *part, const ByteRange *places, size_t n) {
        memset(rig->samples, 0xee, sizeof(rig->samples));
        rig->n_samples = n;
        return finish(rig, worker_sample(rig->worker, clip, part, places, n, done_sample));
}

WorkerResult rig_erase(Rig *rig, const char *path, const WorkerCopy *copy, int64_t mtime) {
        return finish(rig, worker_erase(rig->worker, path, copy, mtime, done_simple));
}

WorkerResult rig_close(Rig *rig) {
        return finish(rig, worker_close(rig->worker, done_simple));
}

void rig_start_with(Rig *rig, const char *plugin, const char *const *options) {
        assert_int_equal(rig_spawn(rig, plugin), 0);
        if (rig_open(rig, options) != WORKER_OK || rig_list(rig) != WORKER_OK)
                fail_msg("%s: %s", worker_result_to_string(rig->result), rig->text);
}

/* ---- Content ---- */

bool rig_copies_equal(const WorkerCopy *a, const WorkerCopy *b) {
        return a->size_bytes == b->size_bytes && digest_equal(&a->digest, &b->digest) && digest_equal(&a->head, &b->head) &&
               digest_equal(&a->tail, &b->tail);
}

static void hash_content(Hasher *h, uint64_t seed, uint64_t offset, uint64_t length) {
        static uint8_t piece[65536];

        while (length > 0) {
                size_t n = (size_t) MIN2(length, (uint64_t) sizeof(piece));

                content_fill(seed, offset, piece, n);
                assert_int_equal(hasher_update(h, piece, n), 0);
                offset += n;
                length -= n;
        }
}

size_t rig_expected_blocks(uint64_t seed, uint64_t size, Digest ret[static RIG_BLOCKS_MAX]) {
        Hasher *h = NULL;
        size_t n = 0;

        assert_int_equal(hasher_new(&h), 0);
        for (uint64_t at = 0; at < size; at += WIRE_BLOCK_SIZE) {
                assert_true(n < RIG_BLOCKS_MAX);
                hash_content(h, seed, at, MIN2(WIRE_BLOCK_SIZE, size - at));
                assert_int_equal(hasher_peek(h, &ret[n++]), 0);
        }
        hasher_free(h);
        return n;
}

Digest rig_expected_range(uint64_t seed, uint64_t offset, uint64_t length) {
        Hasher *h = NULL;
        Digest d = {};

        assert_int_equal(hasher_new(&h), 0);
        hash_content(h, seed, offset, length);
        assert_int_equal(hasher_finish(h, &d), 0);
        hasher_free(h);
        return d;
}

void rig_expected(uint64_t seed, uint64_t size, WorkerCopy *ret) {
        uint64_t edge = MIN2(size, WIRE_EDGE_SIZE);

        ret->size_bytes = size;
        ret->digest = rig_expected_range(seed, 0, size);
        ret->head = rig_expected_range(seed, 0, edge);
        ret->tail = rig_expected_range(seed, size - edge, edge);
}

bool rig_part_is(const Rig *rig, const char *part, uint64_t seed, uint64_t size) {
        static uint8_t found[65536], expected[sizeof(found)];
        _cleanup_(fd_closep) int fd = openat(rig->incoming_fd, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t) st.st_size != size)
                return false;
        for (uint64_t at = 0; at < size;) {
                size_t n = (size_t) MIN2(size - at, (uint64_t) sizeof(found));

                content_fill(seed, at, expected, n);
                if (fd_pread_full(fd, found, n, at) < 0 || memcmp(found, expected, n) != 0)
                        return false;
                at += n;
        }
        return true;
}

pid_t rig_pid(const Rig *rig) {
        pid_t pid = worker_pid(rig->worker);

        /* 0 and -1 mean many processes to kill(). */
        assert_true(pid > 1);
        return pid;
}

void rig_signal(const Rig *rig, int signal) {
        int pidfd = pidfd_open(rig_pid(rig), 0);

        assert_true(pidfd >= 0);
        assert_int_equal(pidfd_send_signal(pidfd, signal, NULL, 0), 0);
        fd_close(pidfd);
}
