/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The keys of a store, from a file as other S3 clients keep it:
 *
 *   [default]
 *   aws_access_key_id = …
 *   aws_secret_access_key = …
 *   aws_session_token = …        where there is one
 *
 * The file is read anew whenever it changed. What it holds is never logged, nor any part of it.
 */

#include "base/conf.h"
#include "base/macro.h"
#include "uplink/sigv4.h"

typedef struct S3Credentials S3Credentials;

/* NULL: the credential "s3" that the service manager hands over (LoadCredential=). */
int s3_credentials_new(const char *path, S3Credentials **ret);
S3Credentials *s3_credentials_free(S3Credentials *c);
DEFINE_CLEANUP(S3Credentials, s3_credentials_free);
/* Good until the next call. The token is NULL when there is none. `error` gets a sentence. */
int s3_credentials_get(S3Credentials *c, Sigv4Keys *ret, const char **ret_token, ConfError *error);
