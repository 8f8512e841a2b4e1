/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The small JSON file through which a clip counts as stored (docs/store-layout.md): composed, and parsed as bytes that a stranger
 * may have written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/macro.h"
#include "base/stored_clip.h"

#define MANIFEST_SIZE_MAX (256u * 1024u)
#define FACTS_SIZE_MAX (64u * 1024u)

typedef struct Manifest {
        char *object, *manifest; /* keys */
        uint64_t size_bytes;
        Digest digest;
        char *serial, *path;
        int64_t mtime_unix_sec; /* UNKNOWN_TIME when the camera does not say */
        char day[11];
        int64_t stored_unix_sec;
        bool read_back;        /* the object was read back and hashed before the manifest was put */
        bool same_file_system; /* a folder on the file system that also held the spool */
        bool store_checked;    /* a store that refuses wrong digests was told the digest of each byte that it got */
        char *etag;            /* the store's own mark of the object, NULL when it has none */
} Manifest;

Manifest *manifest_free(Manifest *m);
DEFINE_CLEANUP(Manifest, manifest_free);

/* One JSON object of UTF-8 text, without a key twice, of at most FACTS_SIZE_MAX bytes? 0 or -EINVAL. */
int manifest_check_facts(const char *facts_json);
/* `facts_json` was checked and goes in byte by byte. The caller frees. -ENOMEM, or -EINVAL for
 * what manifest_parse() would not read. */
int manifest_compose(const Manifest *m, const char *facts_json, char **ret);
/* -EBADMSG when it is no manifest, -ENOTSUP when it is of a later version. */
int manifest_parse(const char *text, size_t size, Manifest **ret);
