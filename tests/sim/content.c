/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/content.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

typedef enum ContentKind {
        CONTENT_SEED,
        CONTENT_ZERO,
        CONTENT_FILE,
        CONTENT_MEMORY,
} ContentKind;

typedef struct Patch {
        uint64_t offset;
        size_t size;
        uint8_t bytes[CONTENT_PATCH_SIZE_MAX];
} Patch;

struct Content {
        ContentKind kind;
        uint64_t size;
        uint64_t seed;
        int fd;
        char *file;
        uint8_t *memory;
        Patch *patches;
        size_t n_patches;
};

/* The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t mix(uint64_t x) {
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static inline uint64_t seed_word(uint64_t base, uint64_t index) {
        return htole64(mix(base + index * UINT64_C(0x9e3779b97f4a7c15)));
}

static void seed_read(uint64_t seed, uint64_t offset, uint8_t *ret, size_t size) {
        uint64_t base = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
        uint64_t index = offset / sizeof(uint64_t), word;
        size_t skip = offset % sizeof(uint64_t);

        if (skip > 0 && size > 0) {
                size_t n = MIN2(size, sizeof(word) - skip);

                word = seed_word(base, index++);
                memcpy(ret, (const uint8_t *) &word + skip, n);
                ret += n;
                size -= n;
        }
        for (; size >= sizeof(word); ret += sizeof(word), size -= sizeof(word)) {
                word = seed_word(base, index++);
                memcpy(ret, &word, sizeof(word));
        }
        if (size > 0) {
                word = seed_word(base, index);
                memcpy(ret, &word, size);
        }
}

uint64_t content_seed_of(const char *name) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

        for (; *name; name++)
                hash = (hash ^ (uint8_t) *name) * UINT64_C(0x100000001b3);
        /* JSON's integers are signed. */
        return mix(hash) >> 1;
}

static int content_new(ContentKind kind, uint64_t size, Content **ret) {
        Content *content;

        content = calloc(1, sizeof(*content));
        if (!content)
                return -ENOMEM;
        content->kind = kind;
        content->size = size;
        content->fd = -EBADF;
        *ret = content;
        return 0;
}

int content_new_seed(uint64_t seed, uint64_t size, Content **ret) {
        int r;

        r = content_new(CONTENT_SEED, size, ret);
        if (r < 0)
                return r;
        (*ret)->seed = seed;
        return 0;
}

int content_new_zero(uint64_t size, Content **ret) {
        return content_new(CONTENT_ZERO, size, ret);
}

int content_new_file(const char *path, Content **ret) {
        _cleanup_(content_freep) Content *content = NULL;
        struct stat st;
        int r;

        r = content_new(CONTENT_FILE, 0, &content);
        if (r < 0)
                return r;
        content->file = strdup(path);
        if (!content->file)
                return -ENOMEM;
        content->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (content->fd < 0 || fstat(content->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        content->size = (uint64_t) st.st_size;
        *ret = TAKE_PTR(content);
        return 0;
}

int content_new_memory(uint8_t *data, size_t size, Content **ret) {
        int r;

        if (size > CONTENT_MEMORY_MAX)
                return -EFBIG;
        r = content_new(CONTENT_MEMORY, size, ret);
        if (r < 0)
                return r;
        (*ret)->memory = data;
        return 0;
}

Content *content_free(Content *content) {
        if (!content)
                return NULL;
        fd_close(content->fd);
        free(content->file);
        free(content->memory);
        free(content->patches);
        free(content);
        return NULL;
}

uint64_t content_size(const Content *content) {
        return content->size;
}

static void patch(const Content *content, uint64_t offset, uint8_t *data, size_t size) {
        for (size_t i = 0; i < content->n_patches; i++) {
                const Patch *p = &content->patches[i];
                uint64_t from = MAX2(p->offset, offset), to = MIN2(p->offset + p->size, offset + size);

                if (from < to)
                        memcpy(data + (from - offset), p->bytes + (from - p->offset), (size_t) (to - from));
        }
}

int content_read(const Content *content, uint64_t offset, void *ret, size_t size) {
        int r;

        if (offset > content->size || size > content->size - offset)
                return -EINVAL;
        switch (content->kind) {
        case CONTENT_SEED:
                seed_read(content->seed, offset, ret, size);
                break;
        case CONTENT_ZERO:
                memset(ret, 0, size);
                break;
        case CONTENT_FILE:
                r = fd_pread_full(content->fd, ret, size, offset);
                if (r < 0)
                        return r;
                break;
        case CONTENT_MEMORY:
                if (size > 0)
                        memcpy(ret, content->memory + offset, size);
                break;
        }
        patch(content, offset, ret, size);
        return 0;
}

int content_digest(const Content *content, char ret[static DIGEST_HEX_SIZE]) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        _cleanup_(freep) uint8_t *buffer = NULL;
        Digest digest;
        int r;

        buffer = malloc(MIB);
        if (!buffer)
                return -ENOMEM;
        r = hasher_new(&hasher);
        if (r < 0)
                return r;
        for (uint64_t offset = 0; offset < content->size;) {
                size_t n = (size_t) MIN2(MIB, content->size - offset);

                r = content_read(content, offset, buffer, n);
                if (r < 0)
                        return r;
                r = hasher_update(hasher, buffer, n);
                if (r < 0)
                        return r;
                offset += n;
        }
        r = hasher_finish(hasher, &digest);
        if (r < 0)
                return r;
        digest_to_hex(&digest, ret);
        return 0;
}

/* 0, 1 when it is there, or -EINVAL. */
static int json_number(const json_t *object, const char *key, uint64_t *ret, char *why, size_t why_size) {
        const json_t *value = json_object_get(object, key);

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < 0) {
                snprintf(why, why_size, "\"%s\" of a clip must be a whole number that is not negative.", key);
                return -EINVAL;
        }
        *ret = (uint64_t) json_integer_value(value);
        return 1;
}

int content_from_json(const json_t *clip, uint64_t default_seed, Content **ret, char *why, size_t why_size) {
        const char *file = json_string_value(json_object_get(clip, "file"));
        uint64_t size = 0, seed = default_seed;
        int r;

        if (file) {
                r = content_new_file(file, ret);
                if (r < 0)
                        snprintf(why, why_size, "The file \"%s\" cannot be a clip: %s.", file, strerror(-r));
                return r;
        }
        r = json_number(clip, "size", &size, why, why_size);
        if (r == 0)
                snprintf(why, why_size, "A clip needs \"size\" or \"file\".");
        if (r <= 0)
                return -EINVAL;
        if (json_is_true(json_object_get(clip, "zero")))
                return content_new_zero(size, ret);
        r = json_number(clip, "seed", &seed, why, why_size);
        if (r < 0)
                return r;
        return content_new_seed(seed, size, ret);
}

static int hex_digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int patch_from_json(const json_t *change, uint64_t size, Patch *ret, char *why, size_t why_size) {
        const char *hex = json_string_value(json_object_get(change, "patch_hex"));
        size_t length = hex ? strlen(hex) : 0;
        Patch p = { .size = length / 2 };
        int r;

        if (length == 0 || length % 2 != 0 || p.size > CONTENT_PATCH_SIZE_MAX || strspn(hex, "0123456789abcdefABCDEF") != length) {
                snprintf(why, why_size, "\"patch_hex\" must be 1 to %u bytes in hex.", CONTENT_PATCH_SIZE_MAX);
                return -EINVAL;
        }
        r = json_number(change, "patch_offset", &p.offset, why, why_size);
        if (r < 0)
                return r;
        if (p.offset > size || p.size > size - p.offset) {
                snprintf(why, why_size, "The patch goes past the end of the clip, which has %" PRIu64 " bytes.", size);
                return -EINVAL;
        }
        for (size_t i = 0; i < p.size; i++)
                p.bytes[i] = (uint8_t) (hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
        *ret = p;
        return 0;
}

static int content_patch(Content *content, const json_t *change, char *why, size_t why_size) {
        int r;

        if (!content->patches)
                content->patches = calloc(CONTENT_PATCHES_MAX, sizeof(*content->patches));
        if (!content->patches)
                return -ENOMEM;
        if (content->n_patches == CONTENT_PATCHES_MAX) {
                snprintf(why, why_size, "A clip can be patched %u times; give it a new seed.", CONTENT_PATCHES_MAX);
                return -ENOSPC;
        }
        r = patch_from_json(change, content->size, &content->patches[content->n_patches], why, why_size);
        if (r < 0)
                return r;
        content->n_patches++;
        return 0;
}

/* What `change` asks for, made anew; NULL when it leaves the bytes alone. */
static int content_changed(const Content *old, const json_t *change, Content **ret, char *why, size_t why_size) {
        _cleanup_(content_freep) Content *content = NULL;
        uint64_t size = old->size, seed = old->seed;
        bool zero = old->kind == CONTENT_ZERO;
        int r, named;

        if (json_object_get(change, "file")) {
                r = content_from_json(change, 0, ret, why, why_size);
                return r;
        }
        named = json_number(change, "size", &size, why, why_size);
        if (named < 0)
                return named;
        r = json_number(change, "seed", &seed, why, why_size);
        if (r < 0)
                return r;
        if (json_object_get(change, "zero"))
                zero = json_is_true(json_object_get(change, "zero"));
        else if (r == 0 && named == 0)
                return 0;
        else if (r == 1)
                zero = false;
        else if (old->kind == CONTENT_FILE || old->kind == CONTENT_MEMORY) {
                snprintf(why, why_size, "Only a clip with a seed can be given another size alone.");
                return -EINVAL;
        }
        r = zero ? content_new_zero(size, &content) : content_new_seed(seed, size, &content);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(content);
        return 0;
}

int content_change(Content **content, const json_t *change, char *why, size_t why_size) {
        _cleanup_(content_freep) Content *changed = NULL;
        int r;

        r = content_changed(*content, change, &changed, why, why_size);
        if (r < 0)
                return r;
        if (json_object_get(change, "patch_hex")) {
                r = content_patch(changed ?: *content, change, why, why_size);
                if (r < 0)
                        return r;
        }
        if (changed) {
                content_free(*content);
                *content = TAKE_PTR(changed);
        }
        return 0;
}

int content_describe(const Content *content, json_t *object) {
        int r;

        r = json_object_set_new(object, "size", json_integer((json_int_t) content->size));
        if (r == 0 && content->kind == CONTENT_SEED)
                r = json_object_set_new(object, "seed", json_integer((json_int_t) content->seed));
        if (r == 0 && content->kind == CONTENT_ZERO)
                r = json_object_set_new(object, "zero", json_true());
        if (r == 0 && content->kind == CONTENT_FILE)
                r = json_object_set_new(object, "file", json_string(content->file));
        if (r == 0 && content->n_patches > 0)
                r = json_object_set_new(object, "patched", json_true());
        return r < 0 ? -ENOMEM : 0;
}
