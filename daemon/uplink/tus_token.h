/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bearer token (RFC 6750) that a tus server knows this dock by: a file with nothing else in it, read anew when it changed. */

#include "base/conf.h"
#include "base/macro.h"

typedef struct TusToken TusToken;

/* NULL: the credential "tus" that the service manager hands over, or none when it hands over none. */
int tus_token_new(const char *path, TusToken **ret);
TusToken *tus_token_free(TusToken *t);
DEFINE_CLEANUP(TusToken, tus_token_free);
/* Good until the next call; NULL when there is none. `error` gets a sentence. */
int tus_token_get(TusToken *t, const char **ret, ConfError *error);
