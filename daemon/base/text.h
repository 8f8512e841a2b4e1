/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/macro.h"

/* String table for an enum with _X_MAX: defines x_to_string() (NULL out of range) and x_from_string() (-EINVAL). */
#define DEFINE_STRING_TABLE(name, type, table)                                                                    \
        const char *name##_to_string(type v) {                                                                    \
                return (size_t) v < ELEMENTSOF(table) ? table[(size_t) v] : NULL;                                 \
        }                                                                                                         \
        type name##_from_string(const char *s) {                                                                  \
                for (size_t i = 0; s && i < ELEMENTSOF(table); i++)                                               \
                        if (table[i] && text_equal(table[i], s))                                                  \
                                return (type) i;                                                                  \
                return (type) -EINVAL;                                                                            \
        }

bool text_equal(const char *a, const char *b);
/* Strict UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(const char *s, size_t size);
/* UTF-8 without C0/C1 controls and DEL: safe on a terminal and in a log line. */
bool text_is_printable(const char *s);
/* Copies at most size-1 bytes of possibly hostile text, with '?' for each byte that is not safe on a terminal. */
void text_sanitise(const char *s, char *ret, size_t size);
/* See berth_host_escape() in include/berth/plugin.h. */
ssize_t text_escape_name(const void *name, size_t length, char *ret, size_t ret_size);
/* A relative path as berth_clip promises it. */
bool text_path_is_valid(const char *path);
/* "4.0 GiB"; returns ret. */
char *text_bytes(unsigned long long bytes, char ret[static 16]);
/* asprintf that returns the string or NULL. */
char *text_format(const char *format, ...) _printf_(1, 2);
char *text_vformat(const char *format, va_list arguments) _printf_(1, 0);
