/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/edges.h"
#include "base/fd.h"
#include "base/wire_bay.h"
#include "bay/calls.h"
#include "bay/outbox.h"
#include "bay/part.h"

/*
 * The pull pipeline. The plugin's thread fills the ring from the camera. One thread hashes the whole; one hashes blocks and
 * writes; one makes the written bytes durable, whatever has gathered by one fdatasync, and only then tells the blocks.
 */

/* A sync waits until this much is written, or the first finished block has waited so long. */
#define SYNC_BYTES (64u * MIB)
#define SYNC_WAIT_MSEC 250
/* Writing waits for the disk beyond this, so that pulls do not fill the page cache. */
#define UNSYNCED_MAX_BYTES (128u * MIB)
_Static_assert(WIRE_BLOCK_SIZE == BERTH_BLOCK_BYTES, "what plugins are told of the blocks is not so");
#define FINISHED_MAX (UNSYNCED_MAX_BYTES / WIRE_BLOCK_SIZE + 4)

enum { CONSUMER_WHOLE, CONSUMER_WRITER, _CONSUMER_MAX };

typedef struct Block {
        uint32_t number, length;
        Digest digest;
} Block;

typedef struct Pull {
        uint32_t clip;
        uint64_t offset;
        int fd;
        Holes *holes;  /* to be read around; NULL: they end the pull */
        uint64_t told; /* progress, as far as any reading of this clip came */
        bool scouting; /* only to find the holes: no block is told */
        bool found;    /* … and here is one more */
        uint64_t base; /* what was delivered before the read that is under way */
        Ring *ring;
        Edges *edges;  /* whole thread's */
        Hasher *block; /* writer's */

        pthread_mutex_t lock;
        pthread_cond_t changed;
        /* Under the lock: */
        Block finished[FINISHED_MAX]; /* hashed and written, not durable */
        size_t n_finished;
        struct timespec finished_at; /* of the first of them, CLOCK_MONOTONIC */
        uint64_t written, synced;    /* positions in the part */
        bool complete;               /* the plugin delivered the clip to its end */
        bool ended;                  /* the writer wrote all that it will */
        int error;
        const char *failed; /* "write" */
} Pull;

static int pull_fail(Pull *p, const char *doing, int error) {
        pthread_mutex_lock(&p->lock);
        if (p->error == 0) {
                p->error = error;
                p->failed = doing;
        }
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        (void) ring_fail(p->ring, error);
        return error;
}

static void *run_whole(void *userdata) {
        Pull *p = userdata;
        const uint8_t *data;
        size_t size;

        while (ring_peek(p->ring, CONSUMER_WHOLE, &data, &size) == 0 && size > 0) {
                int r = edges_update(p->edges, data, size);

                if (r < 0) {
                        (void) pull_fail(p, "hash", r);
                        break;
                }
                ring_consume(p->ring, CONSUMER_WHOLE);
        }
        return NULL;
}

/* Ends the block that lies before `end`. */
static int finish_block(Pull *p, uint64_t end) {
        uint64_t number = (end - 1) / WIRE_BLOCK_SIZE;
        Block b = { .number = (uint32_t) number, .length = (uint32_t) (end - number * WIRE_BLOCK_SIZE) };
        int r;

        r = hasher_finish(p->block, &b.digest);
        if (r < 0)
                return pull_fail(p, "hash", r);
        /* Has the disk begin now, so that the sync has little left to wait for. */
        (void) sync_file_range(p->fd, (off_t) (number * WIRE_BLOCK_SIZE), b.length, SYNC_FILE_RANGE_WRITE);
        pthread_mutex_lock(&p->lock);
        while (p->error == 0 && (p->n_finished == FINISHED_MAX || end - p->synced > UNSYNCED_MAX_BYTES))
                pthread_cond_wait(&p->changed, &p->lock);
        if (p->n_finished == 0)
                (void) clock_gettime(CLOCK_MONOTONIC, &p->finished_at);
        r = p->error;
        if (r == 0) {
                p->finished[p->n_finished++] = b;
                p->written = end;
        }
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        return r;
}

static int write_slot(Pull *p, const uint8_t *data, size_t size, uint64_t *at) {
        int r;

        CRASH_POINT("part-write-begins");
        r = fd_pwrite_full(p->fd, data, size, *at);
        CRASH_POINT("part-written");
        if (r < 0)
                return pull_fail(p, "write", r);
        while (size > 0) {
                size_t n = (size_t) MIN2((uint64_t) size, WIRE_BLOCK_SIZE - *at % WIRE_BLOCK_SIZE);

                r = hasher_update(p->block, data, n);
                if (r < 0)
                        return pull_fail(p, "hash", r);
                data += n;
                size -= n;
                *at += n;
                if (*at % WIRE_BLOCK_SIZE == 0) {
                        r = finish_block(p, *at);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static void *run_writer(void *userdata) {
        Pull *p = userdata;
        uint64_t at = p->offset;
        const uint8_t *data;
        bool complete;
        size_t size;
        int r;

        while ((r = ring_peek(p->ring, CONSUMER_WRITER, &data, &size)) == 0 && size > 0) {
                r = write_slot(p, data, size, &at);
                if (r < 0)
                        break;
                ring_consume(p->ring, CONSUMER_WRITER);
        }
        pthread_mutex_lock(&p->lock);
        complete = p->complete;
        pthread_mutex_unlock(&p->lock);
        /* A block that the camera broke off in is no fact. */
        if (r == 0 && complete && at % WIRE_BLOCK_SIZE != 0)
                (void) finish_block(p, at);
        pthread_mutex_lock(&p->lock);
        p->ended = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

/* Waits, with the lock held, until a sync is worth it. */
static void wait_for_work(Pull *p) {
        struct timespec until;

        while (p->error == 0 && !p->ended && p->n_finished == 0)
                pthread_cond_wait(&p->changed, &p->lock);
        until = p->finished_at;
        until.tv_nsec += SYNC_WAIT_MSEC * 1000 * 1000;
        if (until.tv_nsec >= 1000 * 1000 * 1000) {
                until.tv_sec++;
                until.tv_nsec -= 1000 * 1000 * 1000;
        }
        while (p->error == 0 && !p->ended && p->written - p->synced < SYNC_BYTES)
                if (pthread_cond_timedwait(&p->changed, &p->lock, &until) == ETIMEDOUT)
                        break;
}

/* Makes durable what is written, tells the blocks, and has the page cache forget them. */
static int sync_once(Pull *p, size_t n, uint64_t from, uint64_t upto) {
        Block told[FINISHED_MAX];

        CRASH_POINT("part-sync-begins");
        if (fdatasync(p->fd) < 0)
                return pull_fail(p, "sync", -errno);
        CRASH_POINT("part-synced");
        pthread_mutex_lock(&p->lock);
        memcpy(told, p->finished, n * sizeof(Block));
        memmove(p->finished, p->finished + n, (p->n_finished - n) * sizeof(Block));
        p->n_finished -= n;
        p->synced = upto;
        if (p->n_finished > 0)
                (void) clock_gettime(CLOCK_MONOTONIC, &p->finished_at);
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);

        for (size_t i = 0; i < n && !p->scouting; i++)
                outbox_block(p->clip, told[i].number, told[i].length, &told[i].digest);
        CRASH_POINT("blocks-told");
        (void) posix_fadvise(p->fd, (off_t) from, (off_t) (upto - from), POSIX_FADV_DONTNEED);
        return 0;
}

static void *run_sync(void *userdata) {
        Pull *p = userdata;

        for (;;) {
                uint64_t from, upto;
                bool last;
                size_t n;

                pthread_mutex_lock(&p->lock);
                wait_for_work(p);
                last = p->ended || p->error < 0;
                /* After a failure of the disk nothing more is durable; after one of the camera, what it gave is. */
                n = p->error < 0 ? 0 : p->n_finished;
                from = p->synced;
                upto = p->written;
                pthread_mutex_unlock(&p->lock);

                if ((n > 0 && sync_once(p, n, from, upto) < 0) || last)
                        return NULL;
        }
}

static int start(Pull *p, pthread_t threads[static 3]) {
        void *(*const runs[])(void *) = { run_whole, run_writer, run_sync };

        for (int i = 0; i < 3; i++) {
                int r = pthread_create(&threads[i], NULL, runs[i], p);

                if (r == 0)
                        continue;
                (void) pull_fail(p, "start threads for", -r);
                /* The sync thread ends by the error, too. */
                while (i-- > 0)
                        (void) pthread_join(threads[i], NULL);
                return -r;
        }
        return 0;
}

static void on_delivered(void *userdata, uint64_t delivered) {
        Pull *p = userdata;

        if (!p->holes)
                return outbox_progress(p->clip, p->base + delivered);
        /* What is read again is no progress, and what was told is not taken back. */
        p->told = MAX2(p->told, p->base + delivered);
        outbox_progress(p->clip, p->told);
        outbox_alive();
}

/* ---- Around what the medium does not give ---- */

static int deliver_zeros(Pull *p, uint64_t length) {
        while (length > 0) {
                size_t n = (size_t) MIN2(length, (uint64_t) RING_SLOT_SIZE);
                uint8_t *slot;
                int r;

                r = ring_acquire(p->ring, &slot);
                if (r >= 0) {
                        memset(slot, 0, n);
                        r = ring_commit(p->ring, n);
                }
                if (r < 0)
                        return r;
                length -= n;
        }
        return 0;
}

/* False when that is nothing new, or more than can be told. */
static bool note_holes(Holes *holes, const Fault *fault, uint64_t size) {
        ByteRange all[2 * BERTH_UNREADABLE_MAX];
        size_t n = holes->n;
        uint64_t before = 0, after = 0;

        memcpy(all, holes->ranges, n * sizeof(ByteRange));
        memcpy(all + n, fault->ranges, fault->n_ranges * sizeof(ByteRange));
        n = ranges_settle(all, n + fault->n_ranges, size);
        for (size_t i = 0; i < holes->n; i++)
                before += holes->ranges[i].length;
        for (size_t i = 0; i < n; i++)
                after += all[i].length;
        if (n > BERTH_UNREADABLE_MAX || after <= before)
                return false;
        memcpy(holes->ranges, all, n * sizeof(ByteRange));
        holes->n = n;
        return true;
}

/* The hole at or behind this place, or NULL. */
static const ByteRange *next_hole(const Holes *holes, uint64_t at) {
        for (size_t i = 0; i < holes->n; i++)
                if (holes->ranges[i].offset + holes->ranges[i].length > at)
                        return &holes->ranges[i];
        return NULL;
}

static int read_around(Session *s, Pull *p, const Clip *clip, Fault *fault) {
        uint64_t size = clip->size_bytes;

        while (p->base < size) {
                const ByteRange *hole = next_hole(p->holes, p->base);
                uint64_t upto = hole ? MAX2(hole->offset, p->base) : size, delivered = 0;
                int r;

                if (hole && upto == p->base) {
                        uint64_t end = hole->offset + hole->length;

                        if (deliver_zeros(p, end - p->base) < 0)
                                return fault_set(fault, WIRE_BAY_E_DISK, "the part cannot be written");
                        p->base = end;
                        continue;
                }
                r = session_read(s, clip, p->base, upto - p->base, p->ring, on_delivered, p, &delivered, fault);
                p->base += delivered;
                if (r >= 0)
                        continue;
                p->found = p->scouting && fault->n_ranges > 0 && note_holes(p->holes, fault, size);
                return r;
        }
        return 0;
}

/* Runs the pipeline over the rest of the clip. What failed on the dock's side comes before what the plugin made of it. */
static int run(Session *s, Pull *p, const Clip *clip, uint64_t length, Fault *fault) {
        pthread_t threads[3];
        uint64_t delivered;
        int r;

        r = start(p, threads);
        if (r >= 0) {
                r = p->holes ? read_around(s, p, clip, fault)
                             : session_read(s, clip, p->offset, length, p->ring, on_delivered, p, &delivered, fault);
                pthread_mutex_lock(&p->lock);
                p->complete = r >= 0;
                pthread_mutex_unlock(&p->lock);
                ring_end(p->ring);
                for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                        (void) pthread_join(threads[i], NULL);
        }
        if (p->error < 0)
                return part_fault(fault, p->failed, p->error);
        return r;
}

static int set_up(Pull *p) {
        pthread_condattr_t attributes;
        int r;

        pthread_mutex_init(&p->lock, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&p->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        r = ring_new(_CONSUMER_MAX, &p->ring);
        if (r >= 0)
                r = edges_new(&p->edges);
        if (r >= 0)
                r = hasher_new(&p->block);
        return r;
}

static void pull_done(Pull *p) {
        fd_close(p->fd);
        hasher_free(p->block);
        edges_free(p->edges);
        ring_free(p->ring);
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
}

static int check_length(const Clip *clip, uint64_t offset, size_t n_kept, uint64_t *ret_length, Fault *fault) {
        bool unknown = clip->flags & BERTH_CLIP_SIZE_UNKNOWN;

        if (offset != n_kept * WIRE_BLOCK_SIZE)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the offset %llu does not lie behind %zu kept blocks",
                                 (unsigned long long) offset, n_kept);
        if (!unknown && clip->size_bytes > WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE)
                return fault_set(fault, WIRE_BAY_E_LIMIT, "the clip has %llu bytes, and Berth accepts 1 TiB",
                                 (unsigned long long) clip->size_bytes);
        if (!unknown && offset > clip->size_bytes)
                return fault_set(fault, WIRE_BAY_E_CHANGED, "the clip has %llu bytes, and %llu were kept",
                                 (unsigned long long) clip->size_bytes, (unsigned long long) offset);
        *ret_length = unknown ? UINT64_MAX : clip->size_bytes - offset;
        return 0;
}

static int pull(Session *s, Pull *p, const Clip *clip, const char *part, const Digest *kept, size_t n_kept, Reading *ret,
                Container *ret_container, Fault *fault) {
        uint64_t length;
        int r;

        r = check_length(clip, p->offset, n_kept, &length, fault);
        if (r < 0)
                return r;
        r = set_up(p);
        if (r < 0)
                return fault_set(fault, WIRE_BAY_E_LIMIT, "cannot pull the clip: the worker's memory limit was reached");
        r = part_open(s->incoming_fd, part, p->offset, &p->fd, fault);
        if (r >= 0)
                r = part_check(p->fd, kept, n_kept, p->edges, fault);
        if (r >= 0)
                r = run(s, p, clip, length, fault);
        if (r < 0)
                return r;
        /* Of an empty rest nothing was written, but a file cut or made is not durable yet. */
        if (p->written == p->offset && fdatasync(p->fd) < 0)
                return part_fault(fault, "sync", -errno);
        CRASH_POINT("part-complete");
        ret->size_bytes = p->edges->size_bytes;
        r = edges_finish(p->edges, &ret->digest, &ret->head, &ret->tail);
        if (r < 0)
                return part_fault(fault, "hash", r);
        /* The whole part, also what earlier dockings pulled of it. */
        container_look(p->fd, ret->size_bytes, outbox_alive, ret_container);
        return 0;
}

int pull_clip(Session *s, uint32_t index, const char *part, uint64_t offset, const Digest *kept, size_t n_kept, Reading *ret,
              Container *ret_container, Fault *fault) {
        Pull p = { .clip = index, .offset = offset, .written = offset, .synced = offset, .fd = -EBADF };
        const Clip *clip = session_clip(s, index, fault);
        int r;

        if (!clip)
                return -EBADE;
        r = pull(s, &p, clip, part, kept, n_kept, ret, ret_container, fault);
        pull_done(&p);
        return r;
}

static int salvage(Session *s, const Clip *clip, Pull *p, const char *part, Reading *ret, Container *ret_container, Fault *fault) {
        int r;

        *fault = (Fault){};
        r = pull(s, p, clip, part, NULL, 0, ret, ret_container, fault);
        pull_done(p);
        return r;
}

/*
 * What comes before a bad status is not to be trusted, and is in the part by then: mass storage may send anything in place of what it
 * cannot read. So the clip is read, and begun anew at each new hole, until all holes are known; what counts is read around them then.
 */
int salvage_clip(Session *s, uint32_t index, const char *part, Reading *ret, Container *ret_container, Holes *ret_holes, Fault *fault) {
        Pull p = { 0 };
        const Clip *clip = session_clip(s, index, fault);
        int r;

        if (!clip)
                return -EBADE;
        if (clip->flags & BERTH_CLIP_SIZE_UNKNOWN)
                return fault_set(fault, WIRE_BAY_E_UNSUPPORTED, "nobody knows how long the clip is that cannot be read whole");
        *ret_holes = (Holes){ .n = 0 };
        do {
                p = (Pull){ .clip = index, .fd = -EBADF, .holes = ret_holes, .told = p.told, .scouting = true };
                r = salvage(s, clip, &p, part, ret, ret_container, fault);
        } while (r < 0 && p.found);
        if (r < 0)
                return r;
        p = (Pull){ .clip = index, .fd = -EBADF, .holes = ret_holes, .told = p.told };
        return salvage(s, clip, &p, part, ret, ret_container, fault);
}
