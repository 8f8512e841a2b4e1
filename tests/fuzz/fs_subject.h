/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A medium made of a fuzzer's input, and everything that can be done with a file system on it. Aborts when an erase touches
 * anything of another file's, or when an answer contradicts itself.
 *
 * The input: one byte of flags (see FS_SUBJECT_*), four of the number of sectors, then pieces of content: four bytes of sector,
 * two of offset in it, two of length, and as many bytes. All else is zeros. Numbers are little-endian.
 */

#include <stddef.h>
#include <stdint.h>

#define FS_SUBJECT_SHIFT 0x03  /* sectors of 512 << this many bytes */
#define FS_SUBJECT_SEAL 0x04   /* exFAT: make the checksums of both boot regions right */
#define FS_SUBJECT_DIRTY 0x08  /* erase from dirty volumes, too */
#define FS_SUBJECT_SECTORS_MAX (1u << 17)

void fs_subject_run(const uint8_t *data, size_t size);
