/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Configuration files: `[section]`, `key = value`, comments on lines of their own that begin with '#' or ';'.
 * A section may carry a name: `[bay 1-1.2]`. No continuation lines, no quoting. Every error names the file and line.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

/* One sentence for the person who wrote the file: "/etc/berth/berthd.conf:12: …". */
typedef struct ConfError {
        char text[512];
} ConfError;

typedef struct ConfLine {
        const char *file;
        unsigned line;
        const char *section; /* "bay" */
        const char *name;    /* "1-1.2", or "" */
        const char *key;     /* NULL for the section's own line */
        const char *value;
} ConfLine;

/* 0, or a negative errno after filling `error` by conf_error(). */
typedef int (*ConfSink)(const ConfLine *line, void *userdata, ConfError *error);

/* Reads one file. -ENOENT when absent, -EBADMSG for bad syntax; `error` is filled for every failure. */
int conf_parse_file(const char *path, ConfSink sink, void *userdata, ConfError *error);
/* Reads all `*.conf` of a folder in order of their names. A missing folder is an empty one. */
int conf_parse_dir(const char *dir, ConfSink sink, void *userdata, ConfError *error);
/* The same for text in memory, for tests and fuzzing. */
int conf_parse_text(const char *name, const char *text, size_t size, ConfSink sink, void *userdata, ConfError *error);
/* Fills `error` with "file:line: section key: …" and returns -EINVAL. */
int conf_error(const ConfLine *line, ConfError *error, const char *format, ...) _printf_(3, 4);

/* The same for what no single line can be blamed for: the sentence is the caller's, made printable. `error` may be NULL. */
void conf_fail(ConfError *error, const char *format, ...) _printf_(2, 3);

/* Values, each -EINVAL with a filled error when it is not one. */
int conf_bool(const ConfLine *line, bool *ret, ConfError *error);
int conf_uint(const ConfLine *line, uint64_t min, uint64_t max, uint64_t *ret, ConfError *error);
int conf_int(const ConfLine *line, int64_t min, int64_t max, int64_t *ret, ConfError *error);
/* "512M", "40G", binary units. */
int conf_bytes(const ConfLine *line, uint64_t min, uint64_t max, uint64_t *ret, ConfError *error);
/* "30s", "5min", "250ms", "2h", "1d"; in microseconds. */
int conf_span(const ConfLine *line, uint64_t min_usec, uint64_t max_usec, uint64_t *ret_usec, ConfError *error);
/* A non-empty printable string; frees *ret first. */
int conf_string(const ConfLine *line, char **ret, ConfError *error);
/* An absolute path without "..". */
int conf_path(const ConfLine *line, char **ret, ConfError *error);
