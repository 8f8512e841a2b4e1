/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a simulated clip consists of. Bytes are computed or read when they are asked for, at any offset, so that a clip
 * of many gigabytes costs no memory.
 */

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/macro.h"

/* How much content_new_memory() takes; how many patches one content bears, and of how many bytes each. */
#define CONTENT_MEMORY_MAX (64 * MIB)
#define CONTENT_PATCHES_MAX 16u
#define CONTENT_PATCH_SIZE_MAX 256u

typedef struct Content Content;

/* Pseudo-random bytes: of one seed always the same, and a longer content begins like a shorter one. */
int content_new_seed(uint64_t seed, uint64_t size, Content **ret);
int content_new_zero(uint64_t size, Content **ret);
/* A file of the machine, of the size it has now. */
int content_new_file(const char *path, Content **ret);
/* Takes over `data`, from malloc(), when it succeeds. -EFBIG past CONTENT_MEMORY_MAX. */
int content_new_memory(uint8_t *data, size_t size, Content **ret);
/*
 * From the members of a clip on the control socket: {"file"} or {"size", "seed"} or {"size", "zero": true}. Without a
 * seed it gets `default_seed`. On error returns -errno and fills `why`.
 */
int content_from_json(const json_t *clip, uint64_t default_seed, Content **ret, char *why, size_t why_size);
/*
 * The members of `change_clip`: "seed", "size", "zero", "file" make it anew and keep what they do not name;
 * "patch_hex" and "patch_offset" (default 0) write those bytes over what is there.
 */
int content_change(Content **content, const json_t *change, char *why, size_t why_size);
Content *content_free(Content *content);
DEFINE_CLEANUP(Content, content_free);

uint64_t content_size(const Content *content);
/* The whole range or -errno; -EINVAL past the end, -ENODATA when a file became shorter. */
int content_read(const Content *content, uint64_t offset, void *ret, size_t size);
/* SHA-256 of it all, in lower-case hex. */
int content_digest(const Content *content, char ret[static DIGEST_HEX_SIZE]);
/* Adds "size" and what else tells it ("seed", "zero", "file") to an object of JSON. */
int content_describe(const Content *content, json_t *object);
/* A seed for something that was given none, from its name. */
uint64_t content_seed_of(const char *name);
