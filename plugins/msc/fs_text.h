/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names and dates as FAT and exFAT keep them. All of it pure. */

#include <stddef.h>
#include <stdint.h>

#include "fs.h"

#define FS_UTF8_PER_UNIT 3u /* bytes of UTF-8 that one UTF-16 unit, or one byte of an OEM name, may become */

/* UTF-16LE. Unpaired surrogates become three bytes each, so that different names stay different. Returns the size. */
size_t fs_utf16_to_utf8(const uint8_t *utf16, size_t n_units, char *ret);
/*
 * A name in the code page of who wrote it, which nothing tells: read as 437, in which each byte is another character, so
 * that different names stay different here as well.
 */
size_t fs_oem_to_utf8(const uint8_t *oem, size_t size, char *ret);
/* What a person may see of a name: no control characters, valid UTF-8, cut to `size` - 1 bytes. */
void fs_name_to_text(const char *name, size_t name_size, char *ret, size_t size);

/*
 * Seconds since 1970 of a date and time of day as FAT and exFAT both pack them. FS_TIME_UNKNOWN for a date that is
 * none (most often 0).
 */
int64_t fs_dos_time(uint16_t date, uint16_t time, int utc_offset_minutes);
/* The same for a date that names no zone. */
int64_t fs_camera_time(const FsOptions *options, uint16_t date, uint16_t time);
