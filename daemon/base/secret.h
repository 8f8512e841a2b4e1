/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A few secrets as "name=value" strings: on pages of their own, which no core dump holds, and made zero before they are given
 * back. They must get into no log line, error, property or file.
 */

#include <stddef.h>

#include "base/macro.h"

#define SECRETS_MAX 16u
#define SECRET_NAME_MAX 32u   /* bytes, without the NUL */
#define SECRET_VALUE_MAX 255u

typedef struct Secrets Secrets;

int secrets_new(Secrets **ret);
Secrets *secrets_free(Secrets *s);
DEFINE_CLEANUP(Secrets, secrets_free);

/* Adds a copy of "name=value". -EINVAL when it is not that, -E2BIG past a limit, -EEXIST when the name is there. */
int secrets_add(Secrets *s, const char *name_value);
/* The value, or NULL. */
const char *secrets_find(const Secrets *s, const char *name);
/* The strings, ended by NULL. NULL gives an empty list. */
const char *const *secrets_list(const Secrets *s);
/* Blots out each value of four bytes or more that stands in `text`. `list` may be NULL. */
void secrets_redact(const char *const *list, char *text);
