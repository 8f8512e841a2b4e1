/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

typedef struct Field {
        const char *name;
        size_t at, size; /* the last byte is kept NUL: the cameras' own tools do not read it */
} Field;

static const Field serial_field = { "serial", 0, 9 };
static const Field officer_id = { "officer id", 9, 8 };
static const Field officer_name = { "officer name", 17, 35 };
static const Field unit_id = { "unit id", 52, 16 };
static const Field unit_name = { "unit name", 68, 32 };

static bool is_character(uint8_t c) {
        return (c >= 0x20 && c < 0x7F) || c >= 0xA0;
}

/* ISO 8859-1 to UTF-8, without spaces at the end. The longest field has twice its length then: far below BERTH_TEXT_MAX. */
static int take(const uint8_t *record, const Field *f, char ret[static BERTH_TEXT_MAX]) {
        const uint8_t *p = record + f->at;
        size_t n = strnlen((const char *) p, f->size), at = 0, blank = 0;

        while (blank < f->size && p[blank] == 0xFF)
                blank++;
        if (blank == f->size)
                n = 0;
        while (n > 0 && p[n - 1] == ' ')
                n--;
        for (size_t i = 0; i < n; i++)
                if (!is_character(p[i]))
                        return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                if (p[i] >= 0x80)
                        ret[at++] = (char) (0xC0 | p[i] >> 6);
                ret[at++] = (char) (p[i] >= 0x80 ? 0x80 | (p[i] & 0x3F) : p[i]);
        }
        ret[at] = '\0';
        return 0;
}

/* One character of UTF-8 as ISO 8859-1: how many bytes it had, or 0 when it has no place there. */
static size_t to_latin(const char *s, uint8_t *ret) {
        uint8_t first = (uint8_t) s[0], second;

        if (first < 0x80) {
                *ret = first;
                return is_character(first) ? 1 : 0;
        }
        second = (uint8_t) s[1];
        if ((first != 0xC2 && first != 0xC3) || (second & 0xC0) != 0x80)
                return 0;
        *ret = (uint8_t) ((first & 0x03) << 6 | (second & 0x3F));
        return is_character(*ret) ? 2 : 0;
}

static int put(uint8_t *record, const Field *f, const char *text) {
        uint8_t bytes[BERTH_TEXT_MAX] = { 0 };
        char now[BERTH_TEXT_MAX];
        size_t n = 0;

        if (take(record, f, now) == 0 && strcmp(now, text) == 0)
                return 0;
        for (const char *s = text; *s; n++) {
                size_t width = n < f->size - 1 ? to_latin(s, &bytes[n]) : 0;

                if (width == 0)
                        return -EOPNOTSUPP;
                s += width;
        }
        memcpy(record + f->at, bytes, f->size);
        return 0;
}

int record_serial(const uint8_t record[static RECORD_SIZE], char ret[static BERTH_TEXT_MAX]) {
        return take(record, &serial_field, ret);
}

int record_owner(const uint8_t record[static RECORD_SIZE], berth_owner *ret) {
        berth_owner owner = { .struct_size = sizeof(owner) };

        if (take(record, &officer_id, owner.officer_id) < 0 || take(record, &officer_name, owner.officer_name) < 0 ||
            take(record, &unit_id, owner.unit_id) < 0 || take(record, &unit_name, owner.unit_name) < 0)
                return -EBADMSG;
        *ret = owner;
        return 0;
}

int record_set_owner(uint8_t record[static RECORD_SIZE], const berth_owner *owner, const char **ret_field, size_t *ret_max) {
        const struct {
                const Field *field;
                const char *text;
        } wanted[] = {
                { &officer_id, owner->officer_id },
                { &officer_name, owner->officer_name },
                { &unit_id, owner->unit_id },
                { &unit_name, owner->unit_name },
        };
        uint8_t changed[RECORD_SIZE];

        memcpy(changed, record, sizeof(changed));
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
                if (put(changed, wanted[i].field, wanted[i].text) < 0) {
                        *ret_field = wanted[i].field->name;
                        *ret_max = wanted[i].field->size - 1;
                        return -EOPNOTSUPP;
                }
        memcpy(record, changed, sizeof(changed));
        return 0;
}
