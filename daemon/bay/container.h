/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The structure check of a pulled clip: which container is it, is that whole, when was it recorded? It reads headers alone, at the
 * places that headers name, and decodes nothing. A clip that a dying battery cut short is told, not refused.
 */

#include "base/container.h"
#include "base/macro.h"
#include "bay/look.h"

/* Looks at the file of `size` bytes, through `fd`, within the bounds of a Look. Never fails: what was not seen is not said. */
void container_look(int fd, uint64_t size, void (*alive)(void), Container *ret);
/* The same with a Look of the caller's, who then knows what was read. */
void container_look_through(Look *l, Container *ret);

/*
 * The formats, one a file. Each takes the file's first bytes and is 1 when the file is one of its own, with everything told in
 * `c`; 0 when it is not; negative, as look_at(), when it could not be followed to its end.
 */
#define CONTAINER_FIRST 12u
int container_mp4(Look *l, const uint8_t first[static CONTAINER_FIRST], Container *c);
int container_avi(Look *l, const uint8_t first[static CONTAINER_FIRST], Container *c);
int container_matroska(Look *l, const uint8_t first[static CONTAINER_FIRST], Container *c);

/* For the formats. The first reason is the reason: what follows is mostly its consequence. */
void container_incomplete(Container *c, uint64_t offset, const char *format, ...) _printf_(3, 4);
/* Only a time that can be one is taken, and only the first. */
void container_recorded(Container *c, int64_t unix_sec);
void container_lasts(Container *c, uint64_t units, uint64_t units_per_sec);
/* Four characters as text: themselves when all are printable ASCII, else in hex. Returns ret. */
#define FOURCC_TEXT_SIZE 16u
char *fourcc_text(const uint8_t code[static 4], char ret[static FOURCC_TEXT_SIZE]);
/*
 * A date as people's programs write it in RIFF chunks: "Wed Nov 25 09:15:00 2026", "2026-11-25 09:15:00", "2026:11:25", with 'T',
 * '/', '.', a trailing 'Z' or "+01:00". One without a zone is taken as UTC. -EINVAL.
 */
int container_date(const char *text, int64_t *ret_unix_sec);
