/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PTP data types on the wire (ISO 15740 chapter 5): little-endian integers, arrays, strings, dates. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

/* A string has at most 255 characters, its NUL among them. */
#define PTP_TEXT_MAX 254u

/* Text in UTF-16 code units, as it is sent: surrogates need not be paired. */
typedef struct PtpText {
        uint16_t units[PTP_TEXT_MAX];
        uint8_t length;
} PtpText;

/* From UTF-8; what does not fit is cut off, as a camera does. */
void ptp_text_set(PtpText *text, const char *utf8);
/* As UTF-8, U+FFFD for an unpaired surrogate. A new string, or NULL when memory is used up. */
char *ptp_text_to_utf8(const PtpText *text);

/* A dataset in the making. After a failed allocation `failed` is set and the rest is dropped. */
typedef struct PtpWriter {
        uint8_t *data;
        size_t size, capacity;
        bool failed;
} PtpWriter;

void ptp_writer_done(PtpWriter *w);
void ptp_put_bytes(PtpWriter *w, const void *data, size_t size);
void ptp_put_u8(PtpWriter *w, uint8_t v);
void ptp_put_u16(PtpWriter *w, uint16_t v);
void ptp_put_u32(PtpWriter *w, uint32_t v);
void ptp_put_u64(PtpWriter *w, uint64_t v);
void ptp_put_array16(PtpWriter *w, const uint16_t *values, size_t n);
void ptp_put_text(PtpWriter *w, const PtpText *text);
void ptp_put_string(PtpWriter *w, const char *utf8);

/* A dataset that a host sent. Reading past its end gives zeros and sets `failed`. */
typedef struct PtpReader {
        const uint8_t *data;
        size_t size, at;
        bool failed;
} PtpReader;

uint8_t ptp_get_u8(PtpReader *r);
uint16_t ptp_get_u16(PtpReader *r);
uint32_t ptp_get_u32(PtpReader *r);
void ptp_get_text(PtpReader *r, PtpText *ret);

/* How a camera writes dates: ISO 8601 as in ISO 15740, 5.3.5.2. */
typedef enum PtpDateZone {
        PTP_DATE_LOCAL,  /* "20261123T091500", the camera's local time */
        PTP_DATE_UTC,    /* "20261123T091500Z" */
        PTP_DATE_OFFSET, /* "20261123T091500+0100" */
} PtpDateZone;

#define PTP_DATE_SIZE 32
/* `minutes` east of UTC. Returns ret. */
char *ptp_date_format(int64_t unix_sec, PtpDateZone zone, int minutes, char ret[static PTP_DATE_SIZE]);
/* A date without zone is in the camera's local time. -EINVAL when it is none. */
int ptp_date_parse(const char *text, int minutes, int64_t *ret_unix_sec);
