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
 * The pull pipeline. The plugin's thread fills the ring from the camera. One thread hashes its bytes, while they are in the processor's
 * cache; one writes them out of the ring past the page cache (as far as the file system can), makes them durable, whatever has gathered by
 * one fdatasync, and only then tells the blocks.
 */

/* What is written is made durable when it is a batch (bay/sync_batch.h), or when the first finished block has waited so long. */
#define SYNC_WAIT_USEC (250 * USEC_PER_MSEC)
/* What is hashed and written at once; and at most, so that the camera's bytes find room meanwhile. */
#define HASH_MOST (1 * MIB)
#define WRITE_LEAST (1 * MIB)
#define WRITE_MOST (2 * MIB)
/* O_DIRECT wants buffer, offset and length in whole blocks; no disk of today has larger ones. */
#define DIRECT_ALIGN 4096u
_Static_assert(WIRE_BLOCK_SIZE == BERTH_BLOCK_BYTES, "what plugins are told of the blocks is not so");
_Static_assert(WIRE_BLOCK_SIZE % DIRECT_ALIGN == 0 && RING_SIZE % DIRECT_ALIGN == 0, "what lies in the ring can be written as it lies");
/* Of those that are hashed and not written: one that ended, and the last one of the clip. */
#define HASHED_MAX 2u
_Static_assert(RING_SIZE <= WIRE_BLOCK_SIZE, "the ring holds the end of one block, and of the clip");
_Static_assert(WIRE_BLOCK_SIZE % RING_SIZE == 0, "a block ends where the ring's memory does: for its last bytes nobody waits for more");
#define FINISHED_MAX (SYNC_BATCH_LONG / WIRE_BLOCK_SIZE + 1)
_Static_assert(SYNC_BATCH_SHORT % WIRE_BLOCK_SIZE == 0 && SYNC_BATCH_LONG % WIRE_BLOCK_SIZE == 0, "a batch ends with a block");

typedef struct Block {
        uint32_t number, length;
        Digest digest; /* of the clip from its start to the block's end */
} Block;

/* What a thread failed in. It is read when the thread has ended. */
typedef struct Failure {
        const char *doing; /* "write"; NULL: it did not fail */
        int error;
} Failure;

typedef struct Pull {
        uint32_t clip;
        uint64_t offset;
        int fd;
        Holes *holes;  /* to be read around; NULL: they end the pull */
        uint64_t told; /* progress, as far as any reading of this clip came */
        bool scouting; /* only to find the holes: no block is told */
        bool found;    /* … and here is one more */
        uint64_t base; /* what was delivered before the read that is under way */
        bool complete; /* the plugin delivered the clip to its end: set before the ring ends */
        Ring *ring;

        /* The hasher's. */
        Edges *edges;
        uint64_t hashed; /* position in the part */
        Failure hashing;

        /* The hasher's, until it passes their last bytes on: then the writer's. */
        Block hashed_blocks[HASHED_MAX]; /* number n at n % HASHED_MAX */

        /* The writer's. */
        bool direct; /* past the page cache */
        Block finished[FINISHED_MAX]; /* written, not durable */
        size_t n_finished;
        uint64_t finished_usec; /* when the first of them was, CLOCK_MONOTONIC */
        uint64_t synced_usec;   /* when the last sync ended, or the first bytes came */
        SyncBatch *batch;
        uint64_t written, synced; /* positions in the part */
        Failure writing;
} Pull;

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static int thread_fail(Pull *p, Failure *f, const char *doing, int error) {
        *f = (Failure){ doing, error };
        (void) ring_fail(p->ring, error);
        return error;
}

/* ---- Hashing ------------------------------------------------------------------------------------------------------- */

/* Ends the block that the last hashed byte belongs to. */
static int finish_block(Pull *p) {
        uint64_t number = (p->hashed - 1) / WIRE_BLOCK_SIZE;
        Block *block = &p->hashed_blocks[number % HASHED_MAX];

        *block = (Block){ .number = (uint32_t) number, .length = (uint32_t) (p->hashed - number * WIRE_BLOCK_SIZE) };
        return edges_prefix(p->edges, &block->digest);
}

static uint64_t left_of_block(uint64_t at) {
        return WIRE_BLOCK_SIZE - at % WIRE_BLOCK_SIZE;
}

static int hash_run(Pull *p, const uint8_t *data, size_t size) {
        while (size > 0) {
                size_t n = (size_t) MIN2(MIN2((uint64_t) size, HASH_MOST), left_of_block(p->hashed));
                int r = edges_update(p->edges, data, n);

                p->hashed += n;
                if (r >= 0 && p->hashed % WIRE_BLOCK_SIZE == 0)
                        r = finish_block(p);
                if (r < 0)
                        return r;
                ring_pass(p->ring, n);
                data += n;
                size -= n;
        }
        return 0;
}

static void *run_hasher(void *userdata) {
        Pull *p = userdata;
        const uint8_t *data;
        size_t size;
        int r = 0;

        while (r >= 0 && ring_peek(p->ring, RING_HASH_LEAST, &data, &size) == 0) {
                if (size > 0) {
                        r = hash_run(p, data, size);
                        continue;
                }
                /* A block that the camera broke off in is no fact. */
                if (p->complete && p->hashed > p->offset && p->hashed % WIRE_BLOCK_SIZE != 0)
                        r = finish_block(p);
                if (r >= 0)
                        ring_pass_end(p->ring);
                break;
        }
        if (r < 0)
                (void) thread_fail(p, &p->hashing, "hash", r);
        return NULL;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void set_direct(Pull *p, bool direct) {
        int flags = fcntl(p->fd, F_GETFL);

        p->direct = flags >= 0 && fcntl(p->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0 && direct;
}

/* A file system may take the flag and not the write. And the last bytes of a clip fill no block of the disk. */
static int write_run(Pull *p, const uint8_t *data, size_t size) {
        int r;

        CRASH_POINT("part-write-begins");
        if (p->direct && size % DIRECT_ALIGN != 0)
                set_direct(p, false);
        r = fd_pwrite_full(p->fd, data, size, p->written);
        if (r == -EINVAL && p->direct) {
                set_direct(p, false);
                r = fd_pwrite_full(p->fd, data, size, p->written);
        }
        CRASH_POINT("part-written");
        if (r < 0)
                return thread_fail(p, &p->writing, "write", r);
        p->written += size;
        return 0;
}

/* Makes durable what is written, tells the blocks, and has the page cache forget them. */
static int sync_blocks(Pull *p) {
        uint64_t now;

        CRASH_POINT("part-sync-begins");
        if (fdatasync(p->fd) < 0)
                return thread_fail(p, &p->writing, "sync", -errno);
        CRASH_POINT("part-synced");
        for (size_t i = 0; i < p->n_finished && !p->scouting; i++)
                outbox_block(p->clip, p->finished[i].number, p->finished[i].length, &p->finished[i].digest);
        CRASH_POINT("blocks-told");
        if (!p->direct)
                (void) posix_fadvise(p->fd, (off_t) p->synced, (off_t) (p->written - p->synced), POSIX_FADV_DONTNEED);
        now = now_usec();
        sync_batch_note(p->batch, p->written - p->synced, now - p->synced_usec);
        p->synced_usec = now;
        p->n_finished = 0;
        p->synced = p->written;
        return 0;
}

/* The block whose last byte was written. */
static void note_block(Pull *p) {
        const Block *block = &p->hashed_blocks[(p->written - 1) / WIRE_BLOCK_SIZE % HASHED_MAX];

        if (p->n_finished == 0)
                p->finished_usec = now_usec();
        p->finished[p->n_finished++] = *block;
        /* Has the disk begin now, so that the sync has little left to wait for. */
        if (!p->direct)
                (void) sync_file_range(p->fd, (off_t) (p->written - block->length), block->length, SYNC_FILE_RANGE_WRITE);
}

/* Of a run in the ring, what is written at once: whole blocks of the disk, as long as there are any. */
static size_t at_once(const Pull *p, size_t size) {
        size_t n = (size_t) MIN2(MIN2((uint64_t) size, WRITE_MOST), left_of_block(p->written));

        return n < DIRECT_ALIGN ? n : n / DIRECT_ALIGN * DIRECT_ALIGN;
}

/* Waits for a run while blocks wait no longer than they may, and writes it. */
static int write_next(Pull *p, bool *ret_ended) {
        const uint8_t *data;
        size_t size;
        int r;

        r = ring_take(p->ring, WRITE_LEAST, p->n_finished > 0 ? p->finished_usec + SYNC_WAIT_USEC : UINT64_MAX, &data, &size, ret_ended);
        if (r < 0 || size == 0)
                return r;
        size = at_once(p, size);
        if (p->written == p->offset)
                p->synced_usec = now_usec();
        r = write_run(p, data, size);
        if (r < 0)
                return r;
        ring_consume(p->ring, size);
        if (p->written % WIRE_BLOCK_SIZE == 0)
                note_block(p);
        return 0;
}

/* After a failure of the disk nothing more is durable; after one of the camera, what it gave is. */
static void *run_writer(void *userdata) {
        Pull *p = userdata;
        bool ended = false;

        set_direct(p, true);
        while (!ended && write_next(p, &ended) >= 0) {
                if (ended && p->complete && p->written > p->offset && p->written % WIRE_BLOCK_SIZE != 0)
                        note_block(p);
                if (p->n_finished == 0)
                        continue;
                if (ended || p->written - p->synced >= sync_batch_bytes(p->batch) || now_usec() - p->finished_usec >= SYNC_WAIT_USEC)
                        if (sync_blocks(p) < 0)
                                break;
        }
        set_direct(p, false);
        return NULL;
}

static int start(Pull *p, pthread_t threads[static 2]) {
        void *(*const runs[])(void *) = { run_hasher, run_writer };

        for (int i = 0; i < 2; i++) {
                int r = pthread_create(&threads[i], NULL, runs[i], p);

                if (r == 0)
                        continue;
                (void) ring_fail(p->ring, -r);
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
                size_t n = (size_t) MIN2(length, (uint64_t) MIN2((size_t) RING_RUN_MAX, ring_straight(p->ring)));
                uint8_t *place;
                int r;

                r = ring_reserve(p->ring, n, &place);
                if (r >= 0) {
                        memset(place, 0, n);
                        r = ring_commit(p->ring, place, n);
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
        pthread_t threads[2];
        uint64_t delivered;
        int r;

        r = start(p, threads);
        if (r < 0)
                return part_fault(fault, "start threads for", r);
        r = p->holes ? read_around(s, p, clip, fault)
                     : session_read(s, clip, p->offset, length, p->ring, on_delivered, p, &delivered, fault);
        p->complete = r >= 0;
        ring_end(p->ring);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                (void) pthread_join(threads[i], NULL);
        if (p->writing.doing)
                return part_fault(fault, p->writing.doing, p->writing.error);
        if (p->hashing.doing)
                return part_fault(fault, p->hashing.doing, p->hashing.error);
        return r;
}

static int set_up(Pull *p) {
        int r = ring_new(&p->ring);

        return r < 0 ? r : edges_new(&p->edges);
}

static void pull_done(Pull *p) {
        fd_close(p->fd);
        edges_free(p->edges);
        ring_free(p->ring);
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
        uint64_t length = 0;
        int r;

        r = check_length(clip, p->offset, n_kept, &length, fault);
        if (r < 0)
                return r;
        p->batch = &s->sync_batch;
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
        Pull p = { .clip = index, .offset = offset, .hashed = offset, .written = offset, .synced = offset, .fd = -EBADF };
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
