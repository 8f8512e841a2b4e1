/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The key with which the store encrypts what we put, and which it forgets at once (SSE-C): 256 bits, which go with each request that
 * writes or reads an object. It is never logged. The file has them as base64, in one line.
 */

#include "base/conf.h"
#include "base/macro.h"

typedef struct S3CustomerKey S3CustomerKey;

/* NULL: the credential "s3-encryption-key" that the service manager hands over (LoadCredential=). */
int s3_customer_key_new(const char *path, S3CustomerKey **ret);
S3CustomerKey *s3_customer_key_free(S3CustomerKey *k);
DEFINE_CLEANUP(S3CustomerKey, s3_customer_key_free);
/* The key and its MD5, both as base64; good until the next call. `error` gets a sentence. */
int s3_customer_key_get(S3CustomerKey *k, const char **ret_key, const char **ret_md5, ConfError *error);
