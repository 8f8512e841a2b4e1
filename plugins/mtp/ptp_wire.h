/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes of PTP as they cross the wire: little-endian, unaligned. Everything here is pure: bytes in, values out, and
 * nothing read past the end whatever the bytes say.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads one dataset front to back. Past the end every read gives zero and sets `bad`, so that a parser checks once
 * at its end instead of after each field.
 */
typedef struct PtpReader {
        const uint8_t *at;
        size_t left;
        bool bad;
} PtpReader;

void ptp_reader_init(PtpReader *reader, const void *data, size_t size);
uint8_t ptp_read_u8(PtpReader *reader);
uint16_t ptp_read_u16(PtpReader *reader);
uint32_t ptp_read_u32(PtpReader *reader);
uint64_t ptp_read_u64(PtpReader *reader);
void ptp_read_skip(PtpReader *reader, size_t size);

/* A PTP string has at most 255 UTF-16 units, and a unit never needs more than three bytes of UTF-8. */
#define PTP_STRING_SIZE (255u * 3u + 1u)

/*
 * A string of the camera (ISO 15740 §5.3.4) without its terminating NUL. UTF-8, except that an unpaired surrogate is
 * kept as the three bytes that UTF-8 forbids for it (berth_host_escape() makes %ED%A0%80 of them), so that two names
 * that differ never become one. May hold NULs; `text` is terminated as well, at `size`.
 */
typedef struct PtpString {
        size_t size;
        char text[PTP_STRING_SIZE];
} PtpString;

void ptp_read_string(PtpReader *reader, PtpString *ret);
/* The same without keeping it. */
void ptp_read_skip_string(PtpReader *reader);

/* An array of 16-bit values (ISO 15740 §5.3.3) of which `ret` takes `max`; more set `bad`. Returns their number. */
size_t ptp_read_u16_array(PtpReader *reader, uint16_t *ret, size_t max);
/* Passes over an array whose elements have `width` bytes each. */
void ptp_read_skip_array(PtpReader *reader, size_t width);

/* What a person may read: valid UTF-8 without controls ('?' for each of those), cut to `size` at a character. */
void ptp_string_to_text(const PtpString *string, char *ret, size_t size);

void ptp_put_u16(uint8_t *to, uint16_t value);
void ptp_put_u32(uint8_t *to, uint32_t value);
/* An ASCII text as a PTP string. Returns the bytes written, 0 when it does not fit. */
size_t ptp_put_string(uint8_t *to, size_t size, const char *ascii);

/* The header of a container (PIMA 15740 annex D.7.1). */
typedef struct PtpHeader {
        uint32_t length; /* of the whole container, or PTP_LENGTH_UNKNOWN */
        uint16_t type, code;
        uint32_t transaction;
} PtpHeader;

/* 0, or -EBADMSG when there are not enough bytes or the length is less than the header itself. */
int ptp_header_parse(const void *data, size_t size, PtpHeader *ret);
void ptp_header_put(uint8_t *to, const PtpHeader *header);
