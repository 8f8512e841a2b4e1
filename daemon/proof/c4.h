/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A C4 id (SMPTE ST 2114): "c4" and the SHA-512 as a number in base 58, most significant digit first, 88 digits. */

#include <stdint.h>

#define C4_SIZE 91u /* with the NUL */
#define SHA512_SIZE 64u

/* Returns ret. */
char *c4_from_sha512(const uint8_t sha512[static SHA512_SIZE], char ret[static C4_SIZE]);
