/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The firmware that a fleet has: a small JSON document in the store, signed with minisign (base/minisign.h), which names each image by its
 * model, version, size and SHA-256. docs/firmware.md describes it. In the store it is
 *
 *   firmware/catalog/<version, ten digits>.json  and  firmware/catalog/<the same>.json.minisig
 *   firmware/images/<SHA-256>
 *
 * and nothing of it is ever replaced: a new catalog has a higher version. One that lists keys is the last that the keys before it may
 * sign: the next must be signed by one of those it lists.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/macro.h"
#include "base/minisign.h"

#define CATALOG_TYPE "berth-firmware-catalog"
#define CATALOG_SIZE_MAX (60u * 1024u)
#define CATALOG_IMAGES_MAX 500u
#define CATALOG_HARDWARE_MAX 16u
#define CATALOG_TEXT_SIZE 65u /* of a version, a hardware revision; with the NUL */
#define CATALOG_MODEL_SIZE 129u
#define CATALOG_VERSION_MAX UINT64_C(9999999999)
#define CATALOG_IMAGE_SIZE_MAX (1024u * 1024u * 1024u)
#define CATALOG_KEY_SIZE 96u

typedef struct CatalogImage {
        char model[CATALOG_MODEL_SIZE];   /* a section of cameras.d */
        char version[CATALOG_TEXT_SIZE];  /* as the camera tells it once it has it */
        char floor[CATALOG_TEXT_SIZE];    /* cameras of this model must never go below; "" when there is none */
        char file[CATALOG_TEXT_SIZE];     /* the name that the camera wants it to have; "" when it does not matter */
        char hardware[CATALOG_HARDWARE_MAX][CATALOG_TEXT_SIZE]; /* revisions that it fits */
        size_t n_hardware;                                      /* 0: all */
        uint64_t size_bytes;
        Digest digest;
} CatalogImage;

typedef struct Catalog {
        uint64_t version;
        char fleet[65]; /* "" when it is for any */
        int64_t expires_usec;
        MinisignKeys keys; /* none: the keys stay as they are */
        CatalogImage *images;
        size_t n_images;
} Catalog;

/* Of one that was believed: -EBADMSG with a sentence. Bytes of strangers only pass here after catalog_open(). */
int catalog_parse(const char *text, size_t size, Catalog **ret, ConfError *error);
Catalog *catalog_free(Catalog *c);
DEFINE_CLEANUP(Catalog, catalog_free);

/* What a catalog is measured by. */
typedef struct CatalogTrust {
        const MinisignKeys *keys;
        const char *fleet;     /* this dock's, or ""; NULL: whichever */
        uint64_t last_version; /* the last that was believed; 0: none */
        uint64_t key_version;  /* by the name that it has in the store; 0: any */
} CatalogTrust;

/*
 * Checks and reads one: -EBADMSG when it or its signature is malformed, -ENOTSUP for a signature of the old kind, -EKEYREJECTED when it
 * is not signed by one of the keys, -ESTALE when it is not newer than the last, -EXDEV when it is another fleet's, or lies under another
 * version's name. All with a sentence. Expiry is catalog_expired(): a catalog that has expired is still history.
 */
int catalog_open(const char *text, size_t size, const char *signature, size_t signature_size, const CatalogTrust *trust, Catalog **ret,
                 ConfError *error);
/* With a sentence when it has: whoever keeps newer ones back, or forgets to sign, is noticed. */
bool catalog_expired(const Catalog *c, int64_t now_usec, ConfError *error);

/*
 * One catalog after the other, from the first to the newest: each is measured by the one before it, and by the keys that were the last to
 * be listed. Whoever begins where it ended before fills in what it remembers.
 */
typedef struct CatalogChain {
        MinisignKeys keys;
        const char *fleet; /* this dock's; NULL: whichever */
        uint64_t last_version;
        Catalog *newest; /* the last that was believed */
} CatalogChain;

/* Adds the one of that version's name: as catalog_open(). What is refused changes nothing. */
int catalog_chain_add(CatalogChain *chain, uint64_t version, const char *text, size_t size, const char *signature, size_t signature_size,
                      ConfError *error);
void catalog_chain_done(CatalogChain *chain);

/* The image of that model and version; NULL with a sentence, which says so when another model has that version. */
const CatalogImage *catalog_find(const Catalog *c, const char *model, const char *version, ConfError *error);
/* Does it fit? NULL, or a sentence's end why it does not: another model, a hardware revision that is not listed. */
const char *catalog_misfit(const CatalogImage *image, const char *model, const char *hardware);
/* Are the bytes of the descriptor, from its beginning, this image? -EBADMSG with a sentence; reads it whole. */
int catalog_check_image(const CatalogImage *image, int fd, ConfError *error);

/* firmware/catalog/…; with `signature` that of its signature. Returns ret. */
char *catalog_key(uint64_t version, bool signature, char ret[static CATALOG_KEY_SIZE]);
char *catalog_image_key(const Digest *digest, char ret[static CATALOG_KEY_SIZE]);
/* The version of a key of a catalog (not of a signature): -EINVAL. */
int catalog_version_of_key(const char *key, uint64_t *ret);
