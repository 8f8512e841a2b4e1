/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Small files in our state folder of which each is the record of one thing under way: lines of JSON, appended and synced, so that after
 * a crash all whole lines are known. A file is locked while somebody has it open. What the lines mean is their owner's. Everything here
 * blocks.
 */

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/macro.h"

#define JOURNAL_NAME_SIZE 33

/* The file's name for whatever is named so. Negative when libcrypto fails. */
int journal_name(const char *of, char ret[static JOURNAL_NAME_SIZE]);
/* Opens it for journal_append(), and reads it; the caller frees. -ENOENT, -EBUSY when somebody has it, -EBADMSG when it cannot be one. */
int journal_open(int dir, const char *name, int *ret_fd, char **ret_text, size_t *ret_size);
/* What a crash tore off is cut off, so that the next line begins anew. */
int journal_cut(int fd, size_t whole, size_t size);
/* Makes a new one of these whole lines, in place of one that is there. */
int journal_create(int dir, const char *name, const char *text, int *ret_fd);
/* Takes the JSON, which is NULL when there was no memory for it: as a line with its end. */
int journal_line(json_t *j, char **ret);
/* … and appends it, synced. Nothing when `fd` is negative: then nothing is kept. */
int journal_append(int fd, json_t *j);
/* Gives it another name, in place of what has that now; it stays open. */
int journal_move(int dir, const char *from, const char *to);
/* It is over: closes it and removes it. Nothing when *fd is negative. */
int journal_remove(int dir, const char *name, int *fd);

/* The next whole line, cut off at its end; NULL past the last. A line that a crash tore has no end and is none. */
char *journal_next_line(char **text);
/* A printable string of a line, borrowed, or NULL. */
const char *journal_string(const json_t *line, const char *key);
/* -EBADMSG when there is no such number, or one past `max`. */
int journal_uint(const json_t *line, const char *key, uint64_t max, uint64_t *ret);

/* Looks at one that nobody has: 1 ends the search, negative as well. */
typedef int (*JournalLook)(const char *name, char *text, int64_t mtime_unix_sec, void *userdata);
/* All that were written last before that time; what `look` ended it with, or 0. */
int journal_find_old(int dir, int64_t before_unix_sec, JournalLook look, void *userdata);
int journal_remove_old(int dir, const char *name);
