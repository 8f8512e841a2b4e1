/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 (FIPS 180-4) by libcrypto, and the digest as a value. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65 /* with the NUL */

typedef struct Digest {
        uint8_t bytes[DIGEST_SIZE];
} Digest;

bool digest_equal(const Digest *a, const Digest *b);
bool digest_is_zero(const Digest *d);
/* Lower-case hex; returns ret. */
char *digest_to_hex(const Digest *d, char ret[static DIGEST_HEX_SIZE]);
/* Exactly 64 hex digits, or -EINVAL. */
int digest_from_hex(const char *hex, Digest *ret);

/* An incremental hash. A failing libcrypto (out of memory) is -EIO. */
typedef struct Hasher Hasher;
int hasher_new(Hasher **ret);
Hasher *hasher_free(Hasher *h);
DEFINE_CLEANUP(Hasher, hasher_free);
int hasher_update(Hasher *h, const void *data, size_t size);
/* Ends the hash and makes it ready for a new one. */
int hasher_finish(Hasher *h, Digest *ret);
/* The digest of all that came so far; the hash goes on as if it had not been asked. */
int hasher_peek(const Hasher *h, Digest *ret);
/* One call for bytes in memory. */
int digest_of(const void *data, size_t size, Digest *ret);
