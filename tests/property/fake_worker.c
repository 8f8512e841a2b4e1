/* SPDX-License-Identifier: Apache-2.0 */

/* In place of worker.c and what is behind it: reads, writes parts and erases as berth-bay and its plugins do, at once and with little. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/measure.h"
#include "base/text.h"
#include "property/world.h"
#include "service/worker.h"

typedef enum Kind {
        CALL_NONE, CALL_SIMPLE, CALL_UNSUPPORTED, CALL_IDENTIFY, CALL_HEALTH, CALL_OWNER, CALL_LIST, CALL_PULL, CALL_VERIFY, CALL_SAMPLE,
        CALL_ERASE, CALL_ENTER_UPDATE, CALL_CLOSE,
} Kind;

struct Worker {
        Worker *next;
        const WorkerOps *ops;
        void *userdata;
        int camera; /* -1: none was there */
        uint32_t generation;
        int incoming_fd;
        bool dead;
        uint32_t listed[LISTED_MAX];
        size_t n_listed;

        Kind kind;
        union {
                WorkerDone simple;
                void (*identity)(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id);
                void (*health)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health);
                void (*owner)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner);
                void (*list)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more);
                void (*pull)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy);
                void (*sample)(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples);
        } done;
        uint32_t clip;
        uint64_t offset;
        char part[SPOOL_NAME_SIZE];
        Digest kept[BLOCKS_MAX];
        size_t n_kept;
        size_t n_blocks;
        ByteRange places[WIRE_SAMPLES_MAX];
        size_t n_places;
        char path[64];
        WorkerCopy copy;
        int64_t mtime_unix_sec;
};

static Worker *workers;

/* ---- Beginning and end ------------------------------------------------------------------------------------------------ */

int worker_spawn(sd_event *event, const WorkerConfig *config, const WorkerOps *ops, void *userdata, Worker **ret) {
        int camera = text_equal(config->bay, "import") ? (int) FOLDER : world_camera_at(config->bay);
        Worker *w;

        (void) event;
        if (camera < 0)
                return -ENODEV;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (Worker){ .next = workers, .ops = ops, .userdata = userdata, .camera = camera };
        w->generation = world->cameras[camera].generation;
        w->incoming_fd = fcntl(config->incoming_fd, F_DUPFD_CLOEXEC, 3);
        workers = w;
        *ret = w;
        return 0;
}

Worker *worker_free(Worker *w) {
        if (!w)
                return NULL;
        for (Worker **at = &workers; *at; at = &(*at)->next)
                if (*at == w) {
                        *at = w->next;
                        break;
                }
        fd_close(w->incoming_fd);
        free(w);
        return NULL;
}

pid_t worker_pid(const Worker *w) {
        (void) w;
        return 0;
}

const ByteRange *worker_unreadable(const Worker *w, size_t *ret_n) {
        static const ByteRange first = { .offset = 0, .length = 1 };

        (void) w;
        *ret_n = 1;
        return &first;
}

static int begin(Worker *w, Kind kind) {
        if (w->dead)
                return -ESHUTDOWN;
        if (w->kind != CALL_NONE)
                return -EBUSY;
        w->kind = kind;
        return 0;
}

static int begin_simple(Worker *w, Kind kind, WorkerDone done) {
        int r = begin(w, kind);

        if (r >= 0)
                w->done.simple = done;
        return r;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------------ */

int worker_open(Worker *w, const char *model_id, const char *const *options, const char *const *credentials, WorkerDone done) {
        (void) model_id;
        (void) options;
        (void) credentials;
        return begin_simple(w, CALL_SIMPLE, done);
}

int worker_set_clock(Worker *w, int64_t unix_sec, WorkerDone done) {
        (void) unix_sec;
        return begin_simple(w, CALL_SIMPLE, done);
}

int worker_set_owner(Worker *w, const WorkerOwner *owner, WorkerDone done) {
        (void) owner;
        return begin_simple(w, CALL_UNSUPPORTED, done);
}

int worker_enter_storage(Worker *w, WorkerDone done) {
        return begin_simple(w, CALL_UNSUPPORTED, done);
}

int worker_enter_update(Worker *w, WorkerDone done) {
        return begin_simple(w, CALL_ENTER_UPDATE, done);
}

int worker_eject(Worker *w, WorkerDone done) {
        return begin_simple(w, CALL_UNSUPPORTED, done);
}

int worker_format(Worker *w, WorkerDone done) {
        return begin_simple(w, CALL_UNSUPPORTED, done);
}

int worker_close(Worker *w, WorkerDone done) {
        return begin_simple(w, CALL_CLOSE, done);
}

int worker_identify(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerIdentity *id)) {
        int r = begin(w, CALL_IDENTIFY);

        if (r >= 0)
                w->done.identity = done;
        return r;
}

int worker_health(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerHealth *health)) {
        int r = begin(w, CALL_HEALTH);

        if (r >= 0)
                w->done.health = done;
        return r;
}

int worker_get_owner(Worker *w, void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerOwner *owner)) {
        int r = begin(w, CALL_OWNER);

        if (r >= 0)
                w->done.owner = done;
        return r;
}

int worker_list(Worker *w, uint32_t first,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more)) {
        int r = begin(w, CALL_LIST);

        (void) first;
        if (r >= 0)
                w->done.list = done;
        return r;
}

int worker_pull(Worker *w, uint32_t clip, const char *part, uint64_t offset, const Digest *kept, size_t n_kept,
                void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy)) {
        int r = begin(w, CALL_PULL);

        if (r < 0)
                return r;
        w->done.pull = done;
        w->clip = clip;
        w->offset = offset;
        (void) snprintf(w->part, sizeof(w->part), "%s", part);
        w->n_kept = MIN2(n_kept, (size_t) BLOCKS_MAX);
        memcpy(w->kept, kept, w->n_kept * sizeof(Digest));
        return 0;
}

/* No medium of this world has a bad place. */
int worker_salvage(Worker *w, uint32_t clip, const char *part,
                   void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy)) {
        (void) w, (void) clip, (void) part, (void) done;
        return -EOPNOTSUPP;
}

int worker_verify(Worker *w, uint32_t clip, size_t n_blocks, WorkerDone done) {
        int r = begin_simple(w, CALL_VERIFY, done);

        if (r < 0)
                return r;
        w->clip = clip;
        w->n_blocks = n_blocks;
        return 0;
}

int worker_sample(Worker *w, uint32_t clip, const char *part, const ByteRange *places, size_t n,
                  void (*done)(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples)) {
        int r = begin(w, CALL_SAMPLE);

        if (r < 0)
                return r;
        w->done.sample = done;
        w->clip = clip;
        (void) snprintf(w->part, sizeof(w->part), "%s", part ?: "");
        w->n_places = n;
        memcpy(w->places, places, n * sizeof(ByteRange));
        return 0;
}

int worker_erase(Worker *w, const char *path, const WorkerCopy *copy, int64_t mtime_unix_sec, WorkerDone done) {
        int r = begin_simple(w, CALL_ERASE, done);

        if (r < 0)
                return r;
        (void) snprintf(w->path, sizeof(w->path), "%s", path);
        w->copy = *copy;
        w->mtime_unix_sec = mtime_unix_sec;
        return 0;
}

/* ---- What the camera does --------------------------------------------------------------------------------------------- */

static Content *listed(const Worker *w) {
        return w->clip < w->n_listed ? &world->contents[w->listed[w->clip]] : NULL;
}

static void note_read(Content *c, uint32_t number) {
        uint32_t generation = world->cameras[c->camera].generation;

        if (c->read_generation != generation)
                c->read_blocks = 0;
        c->read_generation = generation;
        c->read_blocks |= 1u << number;
}

static Content *to_erase(const Worker *w, bool *ret_path_there) {
        uint32_t list[LISTED_MAX];
        size_t n = world_list((uint32_t) w->camera, list);
        char path[64];

        *ret_path_there = false;
        for (size_t i = 0; i < n; i++) {
                Content *c = &world->contents[list[i]];

                world_path(c, path);
                if (!text_equal(path, w->path))
                        continue;
                *ret_path_there = true;
                if (c->size_bytes == w->copy.size_bytes && c->mtime_unix_sec == w->mtime_unix_sec &&
                    digest_equal(&c->head, &w->copy.head) && digest_equal(&c->tail, &w->copy.tail))
                        return c;
        }
        return NULL;
}

static WorkerResult erase(const Worker *w) {
        bool there;
        Content *c = to_erase(w, &there);

        if (!c)
                return there ? WORKER_CHANGED : WORKER_GONE;
        world_erase(c);
        return WORKER_OK;
}

bool fake_worker_is_erasing(const Content *c) {
        bool there;

        for (const Worker *w = workers; w; w = w->next)
                if (w->kind == CALL_ERASE && w->camera == (int) c->camera && to_erase(w, &there) == c)
                        return true;
        return false;
}

/* Is the part on disk, up to the offset, what the kept digests say? */
static bool prefix_holds(const Worker *w, int fd) {
        for (size_t i = 0; i < w->n_kept; i++) {
                Digest d;

                if (measure_digest(fd, (i + 1) * WIRE_BLOCK_SIZE, &d) < 0 || !digest_equal(&d, &w->kept[i]))
                        return false;
        }
        return true;
}

static int write_block(int fd, const Content *c, uint32_t number) {
        uint64_t length = world_block_length(c, number);
        char head[BLOCK_HEAD];

        world_block_head(c, number, head);
        if (fd_pwrite_full(fd, head, MIN2(length, (uint64_t) BLOCK_HEAD), number * WIRE_BLOCK_SIZE) < 0 ||
            ftruncate(fd, (off_t) (number * WIRE_BLOCK_SIZE + length)) < 0)
                return -errno;
        return 0;
}

/* Pulls all blocks, or `most` and then breaks off. */
static WorkerResult pull(Worker *w, uint32_t most, WorkerCopy *ret) {
        _cleanup_(fd_closep) int fd = -EBADF;
        Content *c = listed(w);
        uint32_t pulled = 0;

        if (!c || !c->on_camera)
                return WORKER_GONE;
        fd = openat(w->incoming_fd, w->part, O_RDWR | O_CLOEXEC | (w->offset == 0 ? O_CREAT : 0), 0640);
        if (fd < 0 || !prefix_holds(w, fd))
                return WORKER_PREFIX;
        if (ftruncate(fd, (off_t) w->offset) < 0)
                return WORKER_DISK;
        for (uint32_t i = (uint32_t) (w->offset / WIRE_BLOCK_SIZE); i < c->n_blocks; i++) {
                if (pulled++ == most)
                        return WORKER_STALLED;
                if (write_block(fd, c, i) < 0)
                        return WORKER_DISK;
                note_read(c, i);
                world_step();
                w->ops->on_block(w->userdata, w->clip, i, (uint32_t) world_block_length(c, i), &c->blocks[i]);
        }
        if (most != UINT32_MAX)
                return WORKER_STALLED;
        *ret = (WorkerCopy){ .size_bytes = c->size_bytes };
        ret->container.recorded_unix_sec = CONTAINER_TIME_UNKNOWN;
        return world_digest_fd(fd, c->size_bytes, &ret->digest, &ret->head, &ret->tail) < 0 ? WORKER_DISK : WORKER_OK;
}

static WorkerResult verify(Worker *w) {
        Content *c = listed(w);

        if (!c || !c->on_camera)
                return WORKER_GONE;
        for (uint32_t i = 0; i < w->n_blocks; i++) {
                if (i >= c->n_blocks)
                        return WORKER_CHANGED;
                note_read(c, i);
                w->ops->on_block(w->userdata, w->clip, i, (uint32_t) world_block_length(c, i), &c->blocks[i]);
        }
        return WORKER_OK;
}

/* Places of this world's samples are whole blocks. */
static WorkerResult sample(const Worker *w, WorkerSample *ret) {
        _cleanup_(fd_closep) int fd = openat(w->incoming_fd, w->part, O_RDONLY | O_CLOEXEC);
        const Content *c = listed(w);

        if (!c || !c->on_camera)
                return WORKER_GONE;
        for (size_t i = 0; i < w->n_places; i++) {
                if (w->places[i].offset + w->places[i].length > c->size_bytes)
                        return WORKER_CHANGED;
                world_block_digest(c, (uint32_t) (w->places[i].offset / WIRE_BLOCK_SIZE), &ret[i].camera);
                if (measure_range(fd, w->places[i].offset, w->places[i].length, &ret[i].part) < 0)
                        return WORKER_PREFIX;
        }
        return WORKER_OK;
}

/* ---- Answers ---------------------------------------------------------------------------------------------------------- */

static void answer_identity(Worker *w, WorkerResult result) {
        char serial[16], firmware[12];
        WorkerIdentity id = { .manufacturer = (char *) "Acme", .model = (char *) "BC-1", .serial = serial, .firmware = firmware,
                              .storage_id = (char *) "" };

        world_serial((uint32_t) w->camera, serial);
        (void) snprintf(firmware, sizeof(firmware), "%u", world->cameras[w->camera].firmware);
        w->done.identity(w->userdata, result, result == WORKER_OK ? NULL : "trouble", &id);
}

static void answer_health(Worker *w, WorkerResult result) {
        const WorkerHealth health = { .battery_percent = (int) (world->cameras[w->camera].level / 1000),
                                      .charging = -1, .storage_known = true, .storage_total_bytes = 1 << 30,
                                      .storage_free_bytes = 1 << 29 };

        w->done.health(w->userdata, result, result == WORKER_OK ? NULL : "trouble", &health);
}

static void answer_list(Worker *w, WorkerResult result) {
        static char paths[LISTED_MAX][64];
        WorkerClip clips[LISTED_MAX];

        w->n_listed = world_list((uint32_t) w->camera, w->listed);
        for (size_t i = 0; i < w->n_listed; i++) {
                const Content *c = &world->contents[w->listed[i]];

                world_path(c, paths[i]);
                clips[i] = (WorkerClip){ .index = (uint32_t) i, .path = paths[i], .size_bytes = c->size_bytes,
                                         .mtime_unix_sec = c->mtime_unix_sec };
        }
        w->done.list(w->userdata, result, result == WORKER_OK ? NULL : "trouble", clips, w->n_listed, false);
}

/* What trouble is, when it is asked for. */
static WorkerResult trouble(unsigned how) {
        static const WorkerResult results[WORKER_TROUBLES] = { WORKER_OK, WORKER_DIED, WORKER_STALLED, WORKER_CAMERA, WORKER_DENIED,
                                                               WORKER_BREACH };

        return results[how % WORKER_TROUBLES];
}

static void answer_pull(Worker *w, unsigned how, WorkerResult result) {
        WorkerCopy copy = {};

        if (result == WORKER_OK)
                result = pull(w, UINT32_MAX, &copy);
        else if (result != WORKER_UNPLUGGED)
                (void) pull(w, how % 3, &copy);
        if (worker_result_is_fatal(result))
                w->dead = true;
        w->done.pull(w->userdata, result, result == WORKER_OK ? NULL : "trouble", &copy);
}

static void answer_sample(Worker *w, WorkerResult result) {
        WorkerSample samples[WIRE_SAMPLES_MAX];

        if (result == WORKER_OK)
                result = sample(w, samples);
        if (worker_result_is_fatal(result))
                w->dead = true;
        w->done.sample(w->userdata, result, result == WORKER_OK ? NULL : "trouble", samples);
}

static void answer_simple(Worker *w, Kind kind, unsigned how, WorkerResult result) {
        if (kind == CALL_VERIFY && result == WORKER_OK)
                result = verify(w);
        if (kind == CALL_ERASE && result == WORKER_OK)
                result = erase(w);
        else if (kind == CALL_ERASE && worker_result_is_fatal(result) && how % 2)
                (void) erase(w); /* done, and the answer is lost */
        if (kind == CALL_UNSUPPORTED && result == WORKER_OK)
                result = WORKER_UNSUPPORTED;
        if (kind == CALL_CLOSE || worker_result_is_fatal(result))
                w->dead = true;
        w->done.simple(w->userdata, result, result == WORKER_OK ? NULL : "trouble");
}

/* It goes into its loader, unless the request never reached it. */
static void answer_enter_update(Worker *w, unsigned how, WorkerResult result) {
        const uint32_t camera = (uint32_t) w->camera;
        const bool goes = result == WORKER_OK || (result != WORKER_UNPLUGGED && how % 2);

        if (goes) {
                world_flash_begins(camera);
                world->cameras[camera].in_loader = true;
                world->cameras[camera].loader_bay = (unsigned) world->cameras[camera].bay;
        }
        w->done.simple(w->userdata, result, result == WORKER_OK ? NULL : "trouble");
        if (goes)
                fake_usb_leave(camera);
}

static void answer(Worker *w, unsigned how) {
        WorkerResult result = trouble(how);
        Kind kind = w->kind;

        if (world->cameras[w->camera].bay < 0 || world->cameras[w->camera].off || world->cameras[w->camera].away ||
            world->cameras[w->camera].generation != w->generation)
                result = WORKER_UNPLUGGED;
        w->kind = CALL_NONE;
        world_step();
        if (kind != CALL_PULL && worker_result_is_fatal(result))
                w->dead = true;
        if (kind == CALL_IDENTIFY)
                answer_identity(w, result);
        else if (kind == CALL_HEALTH)
                answer_health(w, result);
        else if (kind == CALL_OWNER)
                w->done.owner(w->userdata, result == WORKER_OK ? WORKER_UNSUPPORTED : result, "it has none", NULL);
        else if (kind == CALL_LIST)
                answer_list(w, result);
        else if (kind == CALL_PULL)
                answer_pull(w, how, result);
        else if (kind == CALL_SAMPLE)
                answer_sample(w, result);
        else if (kind == CALL_ENTER_UPDATE)
                answer_enter_update(w, how, result);
        else
                answer_simple(w, kind, how, result);
}

static Worker *pick_worker(size_t pick, bool idle, size_t *ret_n) {
        size_t n = 0;

        for (Worker *w = workers; w; w = w->next)
                if (!w->dead && (w->kind == CALL_NONE) == idle && n++ == pick && !ret_n)
                        return w;
        if (ret_n)
                *ret_n = n;
        return NULL;
}

bool fake_worker_is_asked(uint32_t camera, size_t *ret_pick) {
        size_t n;

        (void) pick_worker(0, false, &n);
        for (size_t i = 0; i < n; i++)
                if (pick_worker(i, false, NULL)->camera == (int) camera) {
                        *ret_pick = i;
                        return true;
                }
        return false;
}

bool fake_worker_is_at(uint32_t camera) {
        for (const Worker *w = workers; w; w = w->next)
                if (!w->dead && w->camera == (int) camera && w->generation == world->cameras[camera].generation)
                        return true;
        return false;
}

size_t fake_worker_pending(void) {
        size_t n;

        (void) pick_worker(0, false, &n);
        return n;
}

void fake_worker_answer(size_t pick, unsigned how) {
        Worker *w = pick_worker(pick, false, NULL);

        if (w)
                answer(w, how);
}

void fake_worker_die(size_t pick) {
        Worker *w;
        size_t n;

        (void) pick_worker(0, true, &n);
        w = n > 0 ? pick_worker(pick % n, true, NULL) : NULL;
        if (!w)
                return;
        w->dead = true;
        w->ops->on_dead(w->userdata, WORKER_DIED, "it died");
}
