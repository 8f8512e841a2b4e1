/* SPDX-License-Identifier: Apache-2.0 */
#include "property/world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_bay.h"

World *world;

void world_fail(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        if (world->failure[0] == 0)
                (void) vsnprintf(world->failure, sizeof(world->failure), format, arguments);
        va_end(arguments);
        _exit(1);
}

void world_step(void) {
        uint32_t left = __atomic_load_n(&world->crash_in, __ATOMIC_SEQ_CST);

        if (left == 0)
                return;
        if (__atomic_sub_fetch(&world->crash_in, 1, __ATOMIC_SEQ_CST) == 0)
                _exit(STATUS_CRASHED);
}

/* ---- Recordings ------------------------------------------------------------------------------------------------------- */

void world_path(const Content *c, char ret[static 64]) {
        (void) snprintf(ret, 64, "DCIM/100/CLIP%04u.MP4", c->path);
}

void world_serial(uint32_t camera, char ret[static 16]) {
        if (camera == FOLDER)
                (void) snprintf(ret, 16, "import:card");
        else
                (void) snprintf(ret, 16, "SN-%u", camera);
}

void world_port(unsigned bay, char ret[static 16]) {
        (void) snprintf(ret, 16, "1-1.%u", bay + 1);
}

int world_camera_at(const char *port_path) {
        char port[16];

        for (uint32_t i = 0; i < CAMERAS; i++) {
                if (world->cameras[i].bay < 0 || world->cameras[i].away)
                        continue;
                world_port((unsigned) world->cameras[i].bay, port);
                if (text_equal(port, port_path))
                        return (int) i;
        }
        return -1;
}

uint64_t world_block_length(const Content *c, uint32_t number) {
        return MIN2(c->size_bytes - number * WIRE_BLOCK_SIZE, WIRE_BLOCK_SIZE);
}

void world_block_head(const Content *c, uint32_t number, char ret[static BLOCK_HEAD]) {
        memset(ret, '.', BLOCK_HEAD);
        (void) snprintf(ret, BLOCK_HEAD, "content %u block %u", c->seed, number);
}

static void hash(const void *data, size_t size, Digest *ret) {
        if (digest_of(data, size, ret) < 0)
                abort();
}

void world_block_digest(const Content *c, uint32_t number, Digest *ret) {
        static char bytes[WIRE_BLOCK_SIZE];
        char head[BLOCK_HEAD];

        world_block_head(c, number, head);
        memcpy(bytes, head, BLOCK_HEAD);
        hash(bytes, world_block_length(c, number), ret);
}

static void compute_digests(Content *c) {
        static char bytes[BLOCKS_MAX * WIRE_BLOCK_SIZE];
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        uint64_t edge = MIN2(c->size_bytes, WIRE_EDGE_SIZE);

        if (hasher_new(&hasher) < 0)
                abort();

        memset(bytes, 0, c->size_bytes);
        c->n_blocks = (uint32_t) ((c->size_bytes + WIRE_BLOCK_SIZE - 1) / WIRE_BLOCK_SIZE);
        for (uint32_t i = 0; i < c->n_blocks; i++) {
                char head[BLOCK_HEAD];

                world_block_head(c, i, head);
                memcpy(bytes + i * WIRE_BLOCK_SIZE, head, MIN2(world_block_length(c, i), (uint64_t) BLOCK_HEAD));
                if (hasher_update(hasher, bytes + i * WIRE_BLOCK_SIZE, world_block_length(c, i)) < 0 ||
                    hasher_peek(hasher, &c->blocks[i]) < 0)
                        abort();
        }
        if (hasher_finish(hasher, &c->digest) < 0)
                abort();
        hash(bytes, edge, &c->head);
        hash(bytes + c->size_bytes - edge, edge, &c->tail);
}

size_t world_list(uint32_t camera, uint32_t ret[static LISTED_MAX]) {
        size_t n = 0;

        for (uint32_t i = 0; i < world->n_contents && n < LISTED_MAX; i++)
                if (world->contents[i].on_camera && world->contents[i].camera == camera)
                        ret[n++] = i;
        return n;
}

Content *world_record(uint32_t camera, uint32_t size_class, uint32_t over) {
        static const uint64_t sizes[] = { 0, 1, 100, 4096, 70000, 100, 3, WIRE_BLOCK_SIZE + 7, 2 * WIRE_BLOCK_SIZE, 5,
                                           2 * WIRE_BLOCK_SIZE + 100, 1000 };
        uint32_t listed[LISTED_MAX], n = world->n_contents;
        Content *c = &world->contents[n];

        if (n >= CONTENTS_MAX || world_list(camera, listed) >= LISTED_MAX - 1)
                return NULL;
        *c = (Content){ .used = true, .on_camera = true, .camera = camera, .path = n, .seed = n };
        c->size_bytes = sizes[size_class % ELEMENTSOF(sizes)];
        c->mtime_unix_sec = 1700000000 + n;
        if (over < n) {
                /* The same name, date and size. An empty or tiny one would be the same content, too. */
                c->path = world->contents[over].path;
                c->mtime_unix_sec = world->contents[over].mtime_unix_sec;
                c->size_bytes = MAX2(world->contents[over].size_bytes, UINT64_C(100));
        }
        compute_digests(c);
        world->n_contents = n + 1;
        return c;
}

int world_digest_fd(int fd, uint64_t size_bytes, Digest *ret, Digest *ret_head, Digest *ret_tail) {
        static char bytes[BLOCKS_MAX * WIRE_BLOCK_SIZE];
        uint64_t edge = MIN2(size_bytes, WIRE_EDGE_SIZE);
        int r;

        if (size_bytes > sizeof(bytes))
                return -EFBIG;
        r = fd_pread_full(fd, bytes, size_bytes, 0);
        if (r < 0)
                return r;
        hash(bytes, size_bytes, ret);
        if (ret_head)
                hash(bytes, edge, ret_head);
        if (ret_tail)
                hash(bytes + size_bytes - edge, edge, ret_tail);
        return 0;
}

/* ---- The moment that counts ------------------------------------------------------------------------------------------- */

void world_erase(Content *c) {
        uint32_t all = (1u << c->n_blocks) - 1;
        char path[64];

        world_path(c, path);
        if (c->camera == FOLDER)
                world_fail("%s of the folder (content %u) is erased", path, c->seed);
        if (!c->stored)
                world_fail("%s of camera %u (content %u) is erased, and the store does not hold it", path, c->camera, c->seed);
        if (c->n_blocks > 0 && (c->read_generation != world->cameras[c->camera].generation || (c->read_blocks & all) != all))
                world_fail("%s of camera %u (content %u) is erased in a docking in which not all of it was read", path, c->camera, c->seed);
        if (world->cameras[c->camera].held && !c->licensed_before_hold)
                world_fail("%s of camera %u (content %u) is erased, and the camera is held", path, c->camera, c->seed);
        c->on_camera = false;
        c->erased = true;
}

void world_flash_begins(uint32_t camera) {
        const SimCamera *s = &world->cameras[camera];
        char path[64];

        for (uint32_t i = 0; i < world->n_contents; i++) {
                const Content *c = &world->contents[i];

                if (c->camera != camera || !c->on_camera || c->stored || c->lost_by_store)
                        continue;
                world_path(c, path);
                world_fail("camera %u is flashed, and %s on it (content %u) is not stored", camera, path, c->seed);
        }
        if (s->level / 1000 < FLASH_FLOOR_PERCENT)
                world_fail("camera %u is flashed with a battery at %u%%", camera, s->level / 1000);
        if (world->flashers[camera].lives)
                world_fail("camera %u is flashed twice at once", camera);
}
