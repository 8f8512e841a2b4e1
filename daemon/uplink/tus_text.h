/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What tus 1.0 says in addresses and headers, pure: where uploads are, lists, numbers and metadata. All of it comes from a server
 * that may be anybody's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uplink/endpoint.h"

#define TUS_KEY_SIZE 513u       /* of an upload's address without scheme and authority, with the NUL */
#define TUS_METADATA_SIZE 8192u /* of Upload-Metadata */

/* Where uploads are created: "https://tus.example/files/". */
typedef struct TusUrl {
        Endpoint endpoint;
        char path[TUS_KEY_SIZE];
} TusUrl;

/* -EINVAL for anything but scheme, authority and a path; without user, query or fragment. */
int tus_url_parse(const char *text, TusUrl *ret);

/* An absolute path, perhaps with a query, that can go into a request as it is. */
bool tus_key_is_valid(const char *key);
/*
 * The address of an upload from the value of Location (RFC 3986 §5.2), as a key. -EXDEV when it is at another authority than `base`;
 * another scheme of the same host is none, since it is not gone by. -EINVAL when it is none, or too long.
 */
int tus_location(const TusUrl *base, const char *location, char ret[static TUS_KEY_SIZE]);

/* Is it in the list, "a, b"? */
bool tus_list_has(const char *list, const char *item);
/* Digits alone, up to INT64_MAX; -EINVAL. */
int tus_number(const char *text, uint64_t *ret);

/* Appends "key base64(value)" to what is there; *metadata is NULL at first. -ENOMEM. */
int tus_metadata_add(char **metadata, const char *key, const char *value);
/* The value of a key, as text: -ENOENT when there is none, -EBADMSG when it is no base64 of a text or does not fit. */
int tus_metadata_find(const char *metadata, const char *key, char *ret, size_t size);
