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
 * The pull pipeline. The plugin's thread fills the ring from the camera. One thread gathers its bytes in pieces and hashes them, while
 * they are in the processor's cache; one writes the pieces past the page cache (as far as the file system can), makes them durable,
 * whatever has gathered by one fdatasync, and only then tells the blocks.
 */

/* What is written is made durable when it is so much, or when the first finished block has waited so long. */
#define SYNC_BYTES (64u * MIB)
#define SYNC_WAIT_USEC (250 * USEC_PER_MSEC)
#define PIECE_SIZE (512 * KIB)
#define PIECES 2u /* one is filled while the other is written */
/* O_DIRECT wants buffer, offset and length in whole blocks; no disk of today has larger ones. */
#define DIRECT_ALIGN 4096u
_Static_assert(WIRE_BLOCK_SIZE == BERTH_BLOCK_BYTES, "what plugins are told of the blocks is not so");
_Static_assert(WIRE_BLOCK_SIZE % PIECE_SIZE == 0, "a block ends where a piece does, but for the last");
#define FINISHED_MAX (SYNC_BYTES / WIRE_BLOCK_SIZE + 1)

typedef struct Block {
        uint32_t number, length;
        Digest digest; /* of the clip from its start to the block's end */
} Block;

typedef struct Piece {
        uint8_t *data;
        uint64_t at; /* in the part */
        size_t size;
        bool ends_block;
        Block block; /* that one */
        bool full;   /* under the lock: it is the writer's */
} Piece;

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

        /* The hasher's. */
        Edges *edges;
        uint64_t hashed; /* position in the part */
        unsigned filling;

        /* The writer's. */
        unsigned writing;
        bool direct; /* past the page cache */
        Block finished[FINISHED_MAX]; /* written, not durable */
        size_t n_finished;
        uint64_t finished_usec; /* when the first of them was, CLOCK_MONOTONIC */
        uint64_t written, synced; /* positions in the part */

        void *memory; /* of the pieces */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        /* Under the lock: */
        Piece pieces[PIECES];
        bool complete; /* the plugin delivered the clip to its end */
        bool ended;    /* the hasher handed over all that it will */
        int error;
        const char *failed; /* "write" */
} Pull;

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

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

/* ---- Hashing ------------------------------------------------------------------------------------------------------- */

/* Waits until the next piece is empty. */
static int take_piece(Pull *p, Piece **ret) {
        Piece *piece = &p->pieces[p->filling];
        int error;

        pthread_mutex_lock(&p->lock);
        while (p->error == 0 && piece->full)
                pthread_cond_wait(&p->changed, &p->lock);
        error = p->error;
        pthread_mutex_unlock(&p->lock);
        if (error == 0)
                *ret = piece;
        return error;
}

static void hand_over(Pull *p, Piece *piece) {
        pthread_mutex_lock(&p->lock);
        piece->full = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        p->filling = (p->filling + 1) % PIECES;
}

/* Ends the block that the piece's bytes end in. */
static int finish_block(Pull *p, Piece *piece) {
        uint64_t number = (p->hashed - 1) / WIRE_BLOCK_SIZE;
        int r;

        piece->ends_block = true;
        piece->block = (Block){ .number = (uint32_t) number, .length = (uint32_t) (p->hashed - number * WIRE_BLOCK_SIZE) };
        r = edges_prefix(p->edges, &piece->block.digest);
        return r < 0 ? pull_fail(p, "hash", r) : 0;
}

static int hash_slot(Pull *p, const uint8_t *data, size_t size) {
        while (size > 0) {
                Piece *piece = NULL;
                size_t n;
                int r;

                r = take_piece(p, &piece);
                if (!piece)
                        return r;
                /* It was kept, since the clip might have ended with it, and its last block. */
                if (piece->size == PIECE_SIZE) {
                        hand_over(p, piece);
                        continue;
                }
                if (piece->size == 0)
                        piece->at = p->hashed;
                n = (size_t) MIN2((uint64_t) size, PIECE_SIZE - piece->size);
                memcpy(piece->data + piece->size, data, n);
                r = edges_update(p->edges, data, n);
                if (r < 0)
                        return pull_fail(p, "hash", r);
                piece->size += n;
                p->hashed += n;
                data += n;
                size -= n;
                if (p->hashed % WIRE_BLOCK_SIZE != 0)
                        continue;
                r = finish_block(p, piece);
                if (r < 0)
                        return r;
                hand_over(p, piece);
        }
        return 0;
}

static void *run_hasher(void *userdata) {
        Pull *p = userdata;
        Piece *piece = NULL;
        const uint8_t *data;
        bool complete;
        size_t size;
        int r;

        while ((r = ring_peek(p->ring, &data, &size)) == 0 && size > 0) {
                r = hash_slot(p, data, size);
                if (r < 0)
                        break;
                ring_consume(p->ring);
        }
        pthread_mutex_lock(&p->lock);
        complete = p->complete;
        pthread_mutex_unlock(&p->lock);
        if (r == 0 && take_piece(p, &piece) == 0 && piece->size > 0) {
                /* A block that the camera broke off in is no fact. */
                if (complete)
                        (void) finish_block(p, piece);
                hand_over(p, piece);
        }
        pthread_mutex_lock(&p->lock);
        p->ended = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static void set_direct(Pull *p, bool direct) {
        int flags = fcntl(p->fd, F_GETFL);

        p->direct = flags >= 0 && fcntl(p->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0 && direct;
}

/* A file system may take the flag and not the write. And the last bytes of a clip fill no block of the disk. */
static int write_piece(Pull *p, const Piece *piece) {
        size_t blocks = p->direct ? piece->size / DIRECT_ALIGN * DIRECT_ALIGN : piece->size;
        int r;

        CRASH_POINT("part-write-begins");
        r = blocks > 0 ? fd_pwrite_full(p->fd, piece->data, blocks, piece->at) : 0;
        if (p->direct && (r == -EINVAL || (r >= 0 && blocks < piece->size))) {
                blocks = r < 0 ? 0 : blocks;
                set_direct(p, false);
                r = fd_pwrite_full(p->fd, piece->data + blocks, piece->size - blocks, piece->at + blocks);
        }
        CRASH_POINT("part-written");
        if (r < 0)
                return pull_fail(p, "write", r);
        p->written = piece->at + piece->size;
        /* Has the disk begin now, so that the sync has little left to wait for. */
        if (!p->direct && piece->ends_block)
                (void) sync_file_range(p->fd, (off_t) (p->written - piece->block.length), piece->block.length, SYNC_FILE_RANGE_WRITE);
        return 0;
}

/* Makes durable what is written, tells the blocks, and has the page cache forget them. */
static int sync_blocks(Pull *p) {
        CRASH_POINT("part-sync-begins");
        if (fdatasync(p->fd) < 0)
                return pull_fail(p, "sync", -errno);
        CRASH_POINT("part-synced");
        for (size_t i = 0; i < p->n_finished && !p->scouting; i++)
                outbox_block(p->clip, p->finished[i].number, p->finished[i].length, &p->finished[i].digest);
        CRASH_POINT("blocks-told");
        if (!p->direct)
                (void) posix_fadvise(p->fd, (off_t) p->synced, (off_t) (p->written - p->synced), POSIX_FADV_DONTNEED);
        p->n_finished = 0;
        p->synced = p->written;
        return 0;
}

static void note_block(Pull *p, const Block *block) {
        if (p->n_finished == 0)
                p->finished_usec = now_usec();
        p->finished[p->n_finished++] = *block;
}

/* Waits for a piece, while blocks wait no longer than they may. NULL: none came, or none will (*ret_ended), or somebody failed. */
static Piece *next_piece(Pull *p, bool *ret_ended) {
        Piece *piece = &p->pieces[p->writing];
        uint64_t until = p->finished_usec + SYNC_WAIT_USEC;
        const struct timespec at = { .tv_sec = (time_t) (until / USEC_PER_SEC), .tv_nsec = (long) (until % USEC_PER_SEC) * 1000 };
        bool there;

        pthread_mutex_lock(&p->lock);
        while (p->error == 0 && !piece->full && !p->ended)
                if (p->n_finished == 0)
                        pthread_cond_wait(&p->changed, &p->lock);
                else if (pthread_cond_clockwait(&p->changed, &p->lock, CLOCK_MONOTONIC, &at) == ETIMEDOUT)
                        break;
        there = p->error == 0 && piece->full;
        *ret_ended = p->error < 0 || (p->ended && !there);
        pthread_mutex_unlock(&p->lock);
        return there ? piece : NULL;
}

static void give_back(Pull *p, Piece *piece) {
        pthread_mutex_lock(&p->lock);
        piece->size = 0;
        piece->ends_block = piece->full = false;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        p->writing = (p->writing + 1) % PIECES;
}

static bool is_failed(Pull *p) {
        bool failed;

        pthread_mutex_lock(&p->lock);
        failed = p->error < 0;
        pthread_mutex_unlock(&p->lock);
        return failed;
}

static void *run_writer(void *userdata) {
        Pull *p = userdata;
        bool ended = false;

        set_direct(p, true);
        while (!ended) {
                Piece *piece = next_piece(p, &ended);

                if (piece) {
                        if (write_piece(p, piece) < 0)
                                break;
                        if (piece->ends_block)
                                note_block(p, &piece->block);
                        give_back(p, piece);
                }
                /* After a failure of the disk nothing more is durable; after one of the camera, what it gave is. */
                if (p->n_finished == 0 || is_failed(p))
                        continue;
                if (ended || p->written - p->synced >= SYNC_BYTES || now_usec() - p->finished_usec >= SYNC_WAIT_USEC)
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
                (void) pull_fail(p, "start threads for", -r);
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
        pthread_t threads[2];
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
        int r;

        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->changed, NULL);
        r = ring_new(&p->ring);
        if (r >= 0)
                r = edges_new(&p->edges);
        if (r >= 0)
                r = -posix_memalign(&p->memory, DIRECT_ALIGN, PIECES * PIECE_SIZE);
        for (unsigned i = 0; r >= 0 && i < PIECES; i++)
                p->pieces[i].data = (uint8_t *) p->memory + i * PIECE_SIZE;
        return r;
}

static void pull_done(Pull *p) {
        fd_close(p->fd);
        edges_free(p->edges);
        ring_free(p->ring);
        free(p->memory);
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
