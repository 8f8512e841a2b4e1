/* SPDX-License-Identifier: Apache-2.0 */
#include "service/peer_header.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"
#include "base/wire_bay.h"

#define NATIVE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B')
#define PROTOCOL_VERSION 1
#define MEMBER_MAX 64u

enum { PATH = 1, INTERFACE = 2, MEMBER = 3, ERROR_NAME = 4, REPLY_SERIAL = 5, SIGNATURE = 8, _FIELD_MAX };

typedef struct Text {
        const char *text; /* NUL-terminated; NULL when the field is absent */
        size_t length;
} Text;

typedef struct Fields {
        Text texts[_FIELD_MAX];
        uint32_t reply_serial;
} Fields;

static uint32_t read_u32(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

uint64_t peer_header_size(const uint8_t header[static PEER_HEADER_SIZE]) {
        uint64_t body = read_u32(header + 4), fields = read_u32(header + 12);

        if (header[0] != NATIVE_ENDIAN || header[3] != PROTOCOL_VERSION)
                return 0;
        return PEER_HEADER_SIZE + (fields + 7) / 8 * 8 + body;
}

/* The type that each field has, 0 for those that no worker needs. */
static char field_type(uint8_t code) {
        switch (code) {
        case PATH:
                return 'o';
        case INTERFACE:
        case MEMBER:
        case ERROR_NAME:
                return 's';
        case REPLY_SERIAL:
                return 'u';
        case SIGNATURE:
                return 'g';
        default:
                return 0;
        }
}

/* Reads a text behind its length of `length_size` bytes; returns the bytes read, 0 when it is wrong. */
static size_t read_string(const uint8_t *p, size_t left, size_t length_size, Text *ret) {
        size_t length;

        if (left < length_size + 1)
                return 0;
        length = length_size == 1 ? p[0] : read_u32(p);
        if (length > left - length_size - 1 || memchr(p + length_size, 0, length) || p[length_size + length] != 0)
                return 0;
        *ret = (Text){ (const char *) p + length_size, length };
        return length_size + length + 1;
}

/* One field; returns the bytes read, 0 when it is wrong. `p` lies at a multiple of 8. */
static size_t read_field(const uint8_t *p, size_t left, Fields *f) {
        size_t n;
        char type;

        /* BYTE code, VARIANT: a signature of one letter. */
        if (left < 5)
                return 0;
        type = field_type(p[0]);
        if (type == 0 || p[1] != 1 || p[2] != (uint8_t) type || p[3] != 0 || f->texts[p[0]].text)
                return 0;
        if (type != 'u') {
                n = read_string(p + 4, left - 4, type == 'g' ? 1 : 4, &f->texts[p[0]]);
                return n == 0 ? 0 : 4 + n;
        }
        if (left < 8)
                return 0;
        f->reply_serial = read_u32(p + 4);
        f->texts[p[0]].text = "";
        return 8;
}

static bool read_fields(const uint8_t *p, size_t size, Fields *f) {
        for (size_t at = 0; at < size;) {
                size_t n = read_field(p + at, size - at, f), next;

                if (n == 0)
                        return false;
                for (next = (at + n + 7) / 8 * 8, at += n; at < next && at < size; at++)
                        if (p[at] != 0)
                                return false;
        }
        return true;
}

/* The last component of a name: letters, and digits behind the first. */
static bool is_member(const char *s, size_t length) {
        if (length == 0 || length > MEMBER_MAX || !isalpha((unsigned char) s[0]))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!isalnum((unsigned char) s[i]))
                        return false;
        return true;
}

static bool is_error_name(const Text *t) {
        static const char *const prefixes[] = { WIRE_BAY_E, "org.freedesktop.DBus.Error.", "System.Error." };

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++) {
                size_t n = strlen(prefixes[i]);

                if (t->length > n && memcmp(t->text, prefixes[i], n) == 0)
                        return is_member(t->text + n, t->length - n);
        }
        return false;
}

static bool is_signature(const Text *t) {
        /* Every character of a type; whether they make one, sd-bus says when the body is read. */
        return strspn(t->text, "ybnqiuxtdsogav(){}") == t->length && t->length <= 64;
}

static bool is_text(const Text *t, const char *expected) {
        return t->text && strcmp(t->text, expected) == 0;
}

static const char *check_signal(const Fields *f) {
        if (!is_text(&f->texts[PATH], WIRE_BAY_PATH) || !is_text(&f->texts[INTERFACE], WIRE_BAY_INTERFACE))
                return "a signal of another object than its own";
        if (!f->texts[MEMBER].text || !is_member(f->texts[MEMBER].text, f->texts[MEMBER].length))
                return "a signal without a proper name";
        if (f->texts[REPLY_SERIAL].text || f->texts[ERROR_NAME].text)
                return "a signal that is a reply as well";
        return NULL;
}

static const char *check_reply(const Fields *f, bool is_error) {
        if (!f->texts[REPLY_SERIAL].text || f->reply_serial == 0)
                return "a reply to nothing";
        if (f->texts[PATH].text || f->texts[INTERFACE].text || f->texts[MEMBER].text)
                return "a reply that is a signal as well";
        if (is_error != (f->texts[ERROR_NAME].text != NULL))
                return "a reply that may be an error or not";
        if (is_error && !is_error_name(&f->texts[ERROR_NAME]))
                return "an error without a proper name";
        return NULL;
}

const char *peer_header_check(const uint8_t *message, size_t size) {
        size_t fields = read_u32(message + 12), body = read_u32(message + 4);
        Fields f = {};

        assert(peer_header_size(message) == size);
        if (read_u32(message + 8) == 0)
                return "a message with serial 0";
        if (!read_fields(message + PEER_HEADER_SIZE, fields, &f))
                return "a message with a malformed header";
        /* The padding behind the fields. */
        for (size_t at = PEER_HEADER_SIZE + fields; at < PEER_HEADER_SIZE + (fields + 7) / 8 * 8; at++)
                if (message[at] != 0)
                        return "a message with a malformed header";
        if (f.texts[SIGNATURE].text ? !is_signature(&f.texts[SIGNATURE]) : body > 0)
                return "a message whose body has no type";
        switch (message[1]) {
        case PEER_SIGNAL:
                return check_signal(&f);
        case PEER_REPLY:
        case PEER_ERROR:
                return check_reply(&f, message[1] == PEER_ERROR);
        default:
                return "a message that is neither a reply nor a signal";
        }
}
