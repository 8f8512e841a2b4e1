/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_wire.h"

#include <errno.h>
#include <string.h>

#include "ptp.h"

void ptp_reader_init(PtpReader *reader, const void *data, size_t size) {
        *reader = (PtpReader){ .at = data, .left = size };
}

static const uint8_t *reader_take(PtpReader *reader, size_t size) {
        const uint8_t *at = reader->at;

        if (reader->bad || size > reader->left) {
                reader->bad = true;
                return NULL;
        }
        reader->left -= size;
        if (size > 0)
                reader->at += size;
        return at;
}

static uint64_t reader_number(PtpReader *reader, size_t width) {
        const uint8_t *at = reader_take(reader, width);
        uint64_t v = 0;

        if (!at)
                return 0;
        for (size_t i = width; i > 0; i--)
                v = v << 8 | at[i - 1];
        return v;
}

uint8_t ptp_read_u8(PtpReader *reader) {
        return (uint8_t) reader_number(reader, 1);
}

uint16_t ptp_read_u16(PtpReader *reader) {
        return (uint16_t) reader_number(reader, 2);
}

uint32_t ptp_read_u32(PtpReader *reader) {
        return (uint32_t) reader_number(reader, 4);
}

uint64_t ptp_read_u64(PtpReader *reader) {
        return reader_number(reader, 8);
}

void ptp_read_skip(PtpReader *reader, size_t size) {
        (void) reader_take(reader, size);
}

static size_t utf8_put(char *to, uint32_t c) {
        if (c < 0x80) {
                to[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                to[0] = (char) (0xC0 | c >> 6);
                to[1] = (char) (0x80 | (c & 0x3F));
                return 2;
        }
        if (c < 0x10000) {
                to[0] = (char) (0xE0 | c >> 12);
                to[1] = (char) (0x80 | (c >> 6 & 0x3F));
                to[2] = (char) (0x80 | (c & 0x3F));
                return 3;
        }
        to[0] = (char) (0xF0 | c >> 18);
        to[1] = (char) (0x80 | (c >> 12 & 0x3F));
        to[2] = (char) (0x80 | (c >> 6 & 0x3F));
        to[3] = (char) (0x80 | (c & 0x3F));
        return 4;
}

static uint32_t utf16_unit(const uint8_t *at, size_t i) {
        return (uint32_t) (at[2 * i] | at[2 * i + 1] << 8);
}

void ptp_read_string(PtpReader *reader, PtpString *ret) {
        size_t n = ptp_read_u8(reader);
        const uint8_t *at = reader_take(reader, 2 * n);

        ret->size = 0;
        ret->text[0] = '\0';
        if (!at)
                return;
        /* The count includes a terminating NUL, which some cameras forget. */
        if (n > 0 && utf16_unit(at, n - 1) == 0)
                n--;
        for (size_t i = 0; i < n; i++) {
                uint32_t c = utf16_unit(at, i);

                if (c >= 0xD800 && c < 0xDC00 && i + 1 < n) {
                        uint32_t low = utf16_unit(at, i + 1);

                        if (low >= 0xDC00 && low < 0xE000) {
                                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                                i++;
                        }
                }
                ret->size += utf8_put(ret->text + ret->size, c);
        }
        ret->text[ret->size] = '\0';
}

void ptp_read_skip_string(PtpReader *reader) {
        ptp_read_skip(reader, 2u * (size_t) ptp_read_u8(reader));
}

size_t ptp_read_u16_array(PtpReader *reader, uint16_t *ret, size_t max) {
        uint32_t n = ptp_read_u32(reader);

        if (n > max || n > reader->left / 2) {
                reader->bad = true;
                return 0;
        }
        for (uint32_t i = 0; i < n; i++)
                ret[i] = ptp_read_u16(reader);
        return n;
}

void ptp_read_skip_array(PtpReader *reader, size_t width) {
        uint32_t n = ptp_read_u32(reader);

        if (n > reader->left / width) {
                reader->bad = true;
                return;
        }
        ptp_read_skip(reader, n * width);
}

/* The length of the character at `s`, and whether a person may see it. */
static size_t text_char(const uint8_t *s, size_t left, bool *ret_shown) {
        size_t n = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;

        if (n > left)
                n = left;
        *ret_shown = !(s[0] < 0x20 || s[0] == 0x7F || (n == 2 && s[0] == 0xC2 && s[1] < 0xA0) ||
                       (n == 3 && s[0] == 0xED && s[1] >= 0xA0));
        return n;
}

void ptp_string_to_text(const PtpString *string, char *ret, size_t size) {
        const uint8_t *s = (const uint8_t *) string->text;
        size_t used = 0, end = string->size;

        while (end > 0 && (s[end - 1] == ' ' || s[end - 1] == '\0'))
                end--;
        for (size_t i = 0; i < end;) {
                bool shown;
                size_t n = text_char(s + i, end - i, &shown), out = shown ? n : 1;

                if (used + out >= size)
                        break;
                if (shown)
                        memcpy(ret + used, s + i, n);
                else
                        ret[used] = '?';
                used += out;
                i += n;
        }
        ret[used] = '\0';
}

void ptp_put_u16(uint8_t *to, uint16_t value) {
        to[0] = (uint8_t) value;
        to[1] = (uint8_t) (value >> 8);
}

void ptp_put_u32(uint8_t *to, uint32_t value) {
        ptp_put_u16(to, (uint16_t) value);
        ptp_put_u16(to + 2, (uint16_t) (value >> 16));
}

size_t ptp_put_string(uint8_t *to, size_t size, const char *ascii) {
        size_t n = strlen(ascii);

        if (n > 254 || 1 + 2 * (n + 1) > size)
                return 0;
        to[0] = (uint8_t) (n + 1);
        for (size_t i = 0; i <= n; i++)
                ptp_put_u16(to + 1 + 2 * i, (uint8_t) ascii[i]);
        return 1 + 2 * (n + 1);
}

int ptp_header_parse(const void *data, size_t size, PtpHeader *ret) {
        PtpReader reader;
        PtpHeader header;

        ptp_reader_init(&reader, data, size);
        header.length = ptp_read_u32(&reader);
        header.type = ptp_read_u16(&reader);
        header.code = ptp_read_u16(&reader);
        header.transaction = ptp_read_u32(&reader);
        if (reader.bad || header.length < PTP_HEADER_SIZE)
                return -EBADMSG;
        *ret = header;
        return 0;
}

void ptp_header_put(uint8_t *to, const PtpHeader *header) {
        ptp_put_u32(to, header->length);
        ptp_put_u16(to + 4, header->type);
        ptp_put_u16(to + 6, header->code);
        ptp_put_u32(to + 8, header->transaction);
}
