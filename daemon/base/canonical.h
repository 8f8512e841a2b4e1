/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON with exactly one spelling: sorted keys, no white space, no key twice. What is hashed or signed is these bytes, so that nobody
 * needs to agree on what a document means before agreeing on what it is.
 */

#include <stddef.h>

#include <jansson.h>

/* One line without its end; the caller frees. NULL when out of memory. */
char *canonical_text(const json_t *object);
/* An object that is spelt exactly so. -EBADE when these bytes are none. */
int canonical_parse(const void *bytes, size_t size, json_t **ret);
