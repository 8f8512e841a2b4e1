/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A well-behaved camera that is nothing but memory: clips of pseudo-random content, any size, without USB. Options:
 *   clip=PATH:SIZE:SEED[:MTIME[:unknown]]  one clip; several may have one path
 *   many=COUNT:SIZE                        clips "many/N.MP4" with seed N and mtime 1600000000 + N
 *   slow=USEC                              waits so long before each 64 KiB
 *   break=BYTES                            the camera breaks off (-EIO) after so many bytes of each read()
 *   bad=PATH:OFFSET:LENGTH:TIMES[:AFTER]   these bytes of the clip cannot be read: -EIO, and the range is named, the first TIMES
 *                                          times that a read() comes there, or always when TIMES is 0. AFTER 1: named so that
 *                                          only a sieve makes sense of it (in pieces, backwards, past the end)
 *   denied                                 erase() answers BERTH_DENIED
 *   undead                                 erase() says 0 and keeps the clip
 *   clock=SECONDS                          camera's clock minus UTC
 *
 * Byte o of a clip is byte o % 8 of a mix of its seed and o / 8: tests/integration/test_worker.c computes the same.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <berth/plugin.h>

#include "plugins/content.h"

#define CLIPS_MAX 4096
#define PIECE 65536u

typedef struct Stored {
        char path[256];
        uint64_t size, seed;
        int64_t mtime;
        int unknown, gone;
} Stored;

typedef struct Bad {
        char path[256];
        uint64_t offset, length;
        unsigned times, met;
        int odd;
} Bad;

typedef struct Memory {
        berth_host *host;
        Bad bad;
        Stored *clips;
        size_t n;
        uint64_t break_after;
        unsigned slow_usec;
        int denied, undead;
        int64_t clock_offset;
} Memory;

static int add_clip(Memory *m, const char *spec) {
        Stored c = { .mtime = 1700000000 };
        char flag[16] = "";
        long long mtime = c.mtime;
        unsigned long long size, seed;

        if (m->n == CLIPS_MAX || sscanf(spec, "%255[^:]:%llu:%llu:%lld:%15s", c.path, &size, &seed, &mtime, flag) < 3)
                return -EINVAL;
        c.size = size;
        c.seed = seed;
        c.mtime = mtime;
        c.unknown = strcmp(flag, "unknown") == 0;
        m->clips[m->n++] = c;
        return 0;
}

static int add_many(Memory *m, const char *spec) {
        unsigned long long count, size;
        char text[64];

        if (sscanf(spec, "%llu:%llu", &count, &size) != 2)
                return -EINVAL;
        for (unsigned long long i = 0; i < count; i++) {
                (void) snprintf(text, sizeof(text), "many/%llu.MP4:%llu:%llu:%llu", i, size, i, 1600000000 + i);
                if (add_clip(m, text) < 0)
                        return -EINVAL;
        }
        return 0;
}

static int set_bad(Memory *m, const char *spec) {
        unsigned long long offset, length;
        Bad b = {};

        if (sscanf(spec, "%255[^:]:%llu:%llu:%u:%d", b.path, &offset, &length, &b.times, &b.odd) < 4)
                return -EINVAL;
        b.offset = offset;
        b.length = length;
        m->bad = b;
        return 0;
}

static int set_option(Memory *m, const char *option) {
        if (strncmp(option, "clip=", 5) == 0)
                return add_clip(m, option + 5);
        if (strncmp(option, "many=", 5) == 0)
                return add_many(m, option + 5);
        if (strncmp(option, "bad=", 4) == 0)
                return set_bad(m, option + 4);
        if (strncmp(option, "slow=", 5) == 0)
                m->slow_usec = (unsigned) strtoul(option + 5, NULL, 10);
        else if (strncmp(option, "break=", 6) == 0)
                m->break_after = strtoull(option + 6, NULL, 10);
        else if (strncmp(option, "clock=", 6) == 0)
                m->clock_offset = strtoll(option + 6, NULL, 10);
        else if (strcmp(option, "denied=1") == 0)
                m->denied = 1;
        else if (strcmp(option, "undead=1") == 0)
                m->undead = 1;
        else
                return -EINVAL;
        return 0;
}

static int memory_open(berth_host *host, const char *const *options, void **ret_state) {
        Memory *m = calloc(1, sizeof(Memory));

        if (!m)
                return -ENOMEM;
        m->host = host;
        m->break_after = UINT64_MAX;
        m->clips = calloc(CLIPS_MAX, sizeof(Stored));
        for (; m->clips && *options; options++)
                if (set_option(m, *options) < 0) {
                        berth_host_log(host, BERTH_LOG_ERR, "the option \"%s\" is not known", *options);
                        free(m->clips);
                        free(m);
                        return -EINVAL;
                }
        *ret_state = m;
        return m->clips ? 0 : -ENOMEM;
}

static void memory_close(void *state) {
        Memory *m = state;

        free(m->clips);
        free(m);
}

static int memory_identify(void *state, berth_identity *ret) {
        (void) state;
        (void) snprintf(ret->manufacturer, sizeof(ret->manufacturer), "Berth");
        (void) snprintf(ret->model, sizeof(ret->model), "Memory");
        (void) snprintf(ret->serial, sizeof(ret->serial), "MEM-1");
        (void) snprintf(ret->firmware, sizeof(ret->firmware), "1.0");
        return 0;
}

static int memory_health(void *state, berth_health *ret) {
        Memory *m = state;

        ret->known = BERTH_HEALTH_BATTERY | BERTH_HEALTH_STORAGE | BERTH_HEALTH_CLOCK | BERTH_HEALTH_CHARGING;
        ret->battery_percent = 81;
        ret->charging = 1;
        ret->storage_total_bytes = UINT64_C(64) << 30;
        ret->storage_free_bytes = UINT64_C(32) << 30;
        ret->clock_unix_sec = (int64_t) time(NULL) + m->clock_offset;
        ret->clock_boottime_usec = berth_host_boottime_usec();
        return 0;
}

static int memory_set_clock(void *state, int64_t unix_sec) {
        Memory *m = state;

        m->clock_offset = unix_sec - (int64_t) time(NULL);
        return 0;
}

static int memory_list(void *state) {
        Memory *m = state;

        for (size_t i = 0; i < m->n; i++) {
                const Stored *c = &m->clips[i];
                berth_clip clip = {
                        .struct_size = sizeof(clip),
                        .path = c->path,
                        .size_bytes = c->unknown ? 0 : c->size,
                        .mtime_unix_sec = c->mtime,
                        .handle = i,
                        .flags = c->unknown ? BERTH_CLIP_SIZE_UNKNOWN : 0,
                };
                int r;

                if (c->gone)
                        continue;
                r = berth_host_clip(m->host, &clip);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Where in [offset, end) the medium gives no more, UINT64_MAX when it gives all of it. */
static uint64_t bad_place(const Memory *m, const Stored *c, uint64_t offset, uint64_t end) {
        const Bad *b = &m->bad;

        if (b->length == 0 || strcmp(b->path, c->path) != 0 || (b->times > 0 && b->met >= b->times))
                return UINT64_MAX;
        return b->offset < end && b->offset + b->length > offset ? (b->offset > offset ? b->offset : offset) : UINT64_MAX;
}

static int meet_bad(Memory *m, const Stored *c) {
        Bad *b = &m->bad;

        b->met++;
        if (b->odd) {
                berth_host_unreadable(m->host, c->size - 10, 1000000);
                berth_host_unreadable(m->host, c->size + 5, 10);
                for (uint64_t at = b->offset + b->length; at > b->offset; at--)
                        berth_host_unreadable(m->host, at - 1, 1);
        } else
                berth_host_unreadable(m->host, b->offset, b->length);
        berth_host_log(m->host, BERTH_LOG_WARNING, "MEDIUM ERROR");
        return -EIO;
}

static int memory_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        static uint8_t piece[PIECE];
        Memory *m = state;
        const Stored *c = &m->clips[clip->handle];
        uint64_t end, bad, begin = offset;

        if (c->gone)
                return BERTH_GONE;
        end = length > c->size - offset ? c->size : offset + length;
        bad = bad_place(m, c, offset, end);
        end = bad < end ? bad : end;
        while (offset < end) {
                size_t n = end - offset < PIECE ? (size_t) (end - offset) : PIECE;
                int r;

                if (offset - begin >= m->break_after) {
                        berth_host_log(m->host, BERTH_LOG_ERR, "the camera broke off");
                        return -EIO;
                }
                content_fill(c->seed, offset, piece, n);
                if (m->slow_usec > 0)
                        (void) nanosleep(&(struct timespec){ .tv_nsec = (long) m->slow_usec * 1000 }, NULL);
                r = berth_host_deliver(m->host, piece, n);
                if (r < 0)
                        return r;
                offset += n;
        }
        return bad != UINT64_MAX ? meet_bad(m, c) : 0;
}

static int memory_erase(void *state, const berth_clip *clip) {
        Memory *m = state;

        if (m->denied)
                return BERTH_DENIED;
        if (m->clips[clip->handle].gone)
                return BERTH_GONE;
        m->clips[clip->handle].gone = !m->undead;
        return 0;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "memory",
        .version = "1.0",
        .open = memory_open,
        .close = memory_close,
        .identify = memory_identify,
        .health = memory_health,
        .set_clock = memory_set_clock,
        .list = memory_list,
        .read = memory_read,
        .erase = memory_erase,
};
