/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ptp_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLACEMENT 0xfffdu

/* ---- text ------------------------------------------------------------------------------------------------- */

/* The code point at *p, which is advanced; U+FFFD and one byte for what is not UTF-8. */
static uint32_t utf8_next(const char **p) {
        const unsigned char *s = (const unsigned char *) *p;
        unsigned following = s[0] >= 0xf0 && s[0] < 0xf8 ? 3 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : 0;
        uint32_t c = following == 3 ? s[0] & 0x07u : following == 2 ? s[0] & 0x0fu : following == 1 ? s[0] & 0x1fu : s[0];

        *p += 1;
        if (following == 0)
                return c < 0x80 ? c : REPLACEMENT;
        for (unsigned i = 1; i <= following; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return REPLACEMENT;
                c = c << 6 | (s[i] & 0x3fu);
        }
        *p += following;
        return c <= 0x10ffff ? c : REPLACEMENT;
}

void ptp_text_set(PtpText *text, const char *utf8) {
        text->length = 0;
        while (*utf8 && text->length < PTP_TEXT_MAX) {
                uint32_t c = utf8_next(&utf8);

                if (c < 0x10000) {
                        text->units[text->length++] = (uint16_t) c;
                        continue;
                }
                text->units[text->length++] = (uint16_t) (0xd800 + ((c - 0x10000) >> 10));
                if (text->length < PTP_TEXT_MAX)
                        text->units[text->length++] = (uint16_t) (0xdc00 + ((c - 0x10000) & 0x3ff));
        }
}

static char *utf8_put(char *p, uint32_t c) {
        if (c < 0x80) {
                *p++ = (char) c;
                return p;
        }
        if (c < 0x800) {
                *p++ = (char) (0xc0 | c >> 6);
        } else {
                if (c < 0x10000) {
                        *p++ = (char) (0xe0 | c >> 12);
                } else {
                        *p++ = (char) (0xf0 | c >> 18);
                        *p++ = (char) (0x80 | (c >> 12 & 0x3f));
                }
                *p++ = (char) (0x80 | (c >> 6 & 0x3f));
        }
        *p++ = (char) (0x80 | (c & 0x3f));
        return p;
}

char *ptp_text_to_utf8(const PtpText *text) {
        char buffer[3 * PTP_TEXT_MAX + 1], *p = buffer;

        for (size_t i = 0; i < text->length; i++) {
                uint32_t c = text->units[i];
                bool high = c >= 0xd800 && c < 0xdc00;

                if (high && i + 1 < text->length && (text->units[i + 1] & 0xfc00) == 0xdc00)
                        c = 0x10000 + ((c & 0x3ff) << 10 | (text->units[++i] & 0x3ffu));
                else if (high || (c & 0xfc00) == 0xdc00)
                        c = REPLACEMENT;
                p = utf8_put(p, c);
        }
        *p = 0;
        return strdup(buffer);
}

/* ---- writing ---------------------------------------------------------------------------------------------- */

void ptp_writer_done(PtpWriter *w) {
        free(w->data);
        *w = (PtpWriter) {};
}

static bool reserve(PtpWriter *w, size_t size) {
        size_t capacity = MAX2(w->capacity, (size_t) 256);
        uint8_t *data;

        if (w->failed)
                return false;
        while (capacity - w->size < size)
                capacity *= 2;
        if (capacity == w->capacity)
                return true;
        data = realloc(w->data, capacity);
        if (!data) {
                w->failed = true;
                return false;
        }
        w->data = data;
        w->capacity = capacity;
        return true;
}

void ptp_put_bytes(PtpWriter *w, const void *data, size_t size) {
        if (size == 0 || !reserve(w, size))
                return;
        memcpy(w->data + w->size, data, size);
        w->size += size;
}

static void put(PtpWriter *w, uint64_t v, size_t size) {
        uint8_t bytes[sizeof(v)];

        for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t) (v >> 8 * i);
        ptp_put_bytes(w, bytes, size);
}

void ptp_put_u8(PtpWriter *w, uint8_t v) {
        put(w, v, sizeof(v));
}

void ptp_put_u16(PtpWriter *w, uint16_t v) {
        put(w, v, sizeof(v));
}

void ptp_put_u32(PtpWriter *w, uint32_t v) {
        put(w, v, sizeof(v));
}

void ptp_put_u64(PtpWriter *w, uint64_t v) {
        put(w, v, sizeof(v));
}

void ptp_put_array16(PtpWriter *w, const uint16_t *values, size_t n) {
        ptp_put_u32(w, (uint32_t) n);
        for (size_t i = 0; i < n; i++)
                ptp_put_u16(w, values[i]);
}

void ptp_put_text(PtpWriter *w, const PtpText *text) {
        if (text->length == 0) {
                ptp_put_u8(w, 0);
                return;
        }
        ptp_put_u8(w, (uint8_t) (text->length + 1));
        for (size_t i = 0; i < text->length; i++)
                ptp_put_u16(w, text->units[i]);
        ptp_put_u16(w, 0);
}

void ptp_put_string(PtpWriter *w, const char *utf8) {
        PtpText text;

        ptp_text_set(&text, utf8);
        ptp_put_text(w, &text);
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

static uint64_t get(PtpReader *r, size_t size) {
        uint64_t v = 0;

        if (r->failed || r->size - r->at < size) {
                r->failed = true;
                return 0;
        }
        for (size_t i = 0; i < size; i++)
                v |= (uint64_t) r->data[r->at++] << 8 * i;
        return v;
}

uint8_t ptp_get_u8(PtpReader *r) {
        return (uint8_t) get(r, sizeof(uint8_t));
}

uint16_t ptp_get_u16(PtpReader *r) {
        return (uint16_t) get(r, sizeof(uint16_t));
}

uint32_t ptp_get_u32(PtpReader *r) {
        return (uint32_t) get(r, sizeof(uint32_t));
}

void ptp_get_text(PtpReader *r, PtpText *ret) {
        uint8_t n = ptp_get_u8(r);

        ret->length = 0;
        for (; n > 0 && !r->failed; n--) {
                uint16_t unit = ptp_get_u16(r);

                /* The last one is the NUL. */
                if (n > 1 && !r->failed)
                        ret->units[ret->length++] = unit;
        }
}

/* ---- dates ------------------------------------------------------------------------------------------------ */

char *ptp_date_format(int64_t unix_sec, PtpDateZone zone, int minutes, char ret[static PTP_DATE_SIZE]) {
        time_t t = (time_t) (unix_sec + (zone == PTP_DATE_UTC ? 0 : minutes * 60));
        int absolute = minutes < 0 ? -minutes : minutes;
        struct tm tm;
        size_t n;

        ret[0] = 0;
        if (!gmtime_r(&t, &tm))
                return ret;
        n = strftime(ret, PTP_DATE_SIZE, "%Y%m%dT%H%M%S", &tm);
        if (zone == PTP_DATE_UTC)
                snprintf(ret + n, PTP_DATE_SIZE - n, "Z");
        else if (zone == PTP_DATE_OFFSET)
                snprintf(ret + n, PTP_DATE_SIZE - n, "%c%02d%02d", minutes < 0 ? '-' : '+', absolute / 60 % 100, absolute % 60);
        return ret;
}

/* Exactly `n` digits. */
static int digits(const char **p, size_t n, int *ret) {
        int v = 0;

        for (; n > 0; n--, (*p)++) {
                if (**p < '0' || **p > '9')
                        return -EINVAL;
                v = v * 10 + (**p - '0');
        }
        *ret = v;
        return 0;
}

int ptp_date_parse(const char *text, int minutes, int64_t *ret_unix_sec) {
        struct tm tm = {};
        int hours, rest, sign;
        time_t t;

        if (digits(&text, 4, &tm.tm_year) < 0 || digits(&text, 2, &tm.tm_mon) < 0 || digits(&text, 2, &tm.tm_mday) < 0 ||
            *text++ != 'T' || digits(&text, 2, &tm.tm_hour) < 0 || digits(&text, 2, &tm.tm_min) < 0 ||
            digits(&text, 2, &tm.tm_sec) < 0)
                return -EINVAL;
        if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
            tm.tm_sec > 60)
                return -EINVAL;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        if (*text == '.' && (text[1] < '0' || text[1] > '9'))
                return -EINVAL;
        if (*text == '.')
                text += 2;
        if (*text == 'Z') {
                minutes = 0;
                text++;
        } else if (*text == '+' || *text == '-') {
                sign = *text++ == '-' ? -1 : 1;
                if (digits(&text, 2, &hours) < 0 || digits(&text, 2, &rest) < 0)
                        return -EINVAL;
                minutes = sign * (hours * 60 + rest);
        }
        if (*text != 0)
                return -EINVAL;
        t = timegm(&tm);
        *ret_unix_sec = (int64_t) t - minutes * 60;
        return 0;
}
