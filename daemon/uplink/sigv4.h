/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * AWS Signature Version 4, in the header form, pure. What is signed is what is sent: path and query are encoded here, once, and go
 * into the URL as they come out.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGV4_TIME_SIZE 17 /* "20261123T091500Z" */
#define SIGV4_PAIRS_MAX 32u

/* A query parameter, not encoded, or a header. A header's name is in lower case. */
typedef struct Sigv4Pair {
        const char *name, *value;
} Sigv4Pair;

typedef struct Sigv4Keys {
        const char *access_key, *secret_key;
} Sigv4Keys;

typedef struct Sigv4Request {
        const char *method;
        const char *path;  /* encoded by sigv4_encode_path() */
        const char *query; /* encoded by sigv4_query() */
        const Sigv4Pair *headers; /* all that are signed: `host` and each x-amz-* at least */
        size_t n_headers;
        const char *payload_hash; /* lower-case hex, or SIGV4_UNSIGNED */
        const char *time;         /* as sigv4_time() writes it */
        const char *region, *service;
} Sigv4Request;

/* "20261123T091500Z"; returns ret. */
char *sigv4_time(int64_t unix_sec, char ret[static SIGV4_TIME_SIZE]);
/* All but letters, digits, '-', '.', '_', '~' and '/' as %XX. The caller frees; NULL when out of memory. */
char *sigv4_encode_path(const char *path);
/* Encoded, in the order of the encoded names: "a=1&uploads=". The caller frees; -EINVAL for more than SIGV4_PAIRS_MAX. */
int sigv4_query(const Sigv4Pair *pairs, size_t n_pairs, char **ret);
/* What is hashed and signed, for tests and for telling why a store disagrees. The caller frees. */
int sigv4_canonical_request(const Sigv4Request *request, char **ret);
/* The value of the header Authorization. The caller frees. -EINVAL for a request that cannot be signed. */
int sigv4_sign(const Sigv4Request *request, const Sigv4Keys *keys, char **ret);
