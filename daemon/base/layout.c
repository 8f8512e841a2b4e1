/* SPDX-License-Identifier: Apache-2.0 */
#include "base/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/wire_uplink.h"

/* With the dot; a longer one is no extension but a part of the name. */
#define EXTENSION_MAX 16u
#define HASH_DIGITS 16u
/* What utc_day() can write with four digits of a year, from 1970 on: a camera that says otherwise has no clock. */
#define LAST_SEC INT64_C(253402300799)

static bool is_plain(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* Writes what stands for the byte at `at`; returns its length. */
static size_t escape_at(const char *text, size_t at, size_t length, char ret[static 4]) {
        bool edge = at == 0 || at == length - 1;
        char c = text[at];

        if (is_plain(c) && !(c == '.' && edge)) {
                ret[0] = c;
                return 1;
        }
        if (c == '/') {
                memcpy(ret, "~~", 2);
                return 2;
        }
        (void) snprintf(ret, 4, "~%02X", (unsigned) (unsigned char) c);
        return 3;
}

/* Escapes [from, to) of `text`, which is `length` long, up to `room` bytes; returns how many were written. */
static size_t escape(const char *text, size_t from, size_t to, size_t length, char *ret, size_t room, bool *ret_whole) {
        size_t n = 0;

        *ret_whole = true;
        for (size_t i = from; i < to; i++) {
                char one[4];
                size_t size = escape_at(text, i, length, one);

                if (n + size > room) {
                        *ret_whole = false;
                        break;
                }
                memcpy(ret + n, one, size);
                n += size;
        }
        ret[n] = 0;
        return n;
}

/* Where the extension begins, or the end when there is none. */
static size_t find_extension(const char *text, size_t length) {
        const char *dot = strrchr(text, '.'), *slash = strrchr(text, '/');

        if (!dot || dot == text || (slash && dot <= slash + 1) || dot[1] == 0)
                return length;
        return (size_t) (dot - text);
}

static int cut_component(const char *text, size_t length, char ret[static LAYOUT_COMPONENT_SIZE]) {
        char hex[DIGEST_HEX_SIZE], extension[EXTENSION_MAX + 1];
        size_t from = find_extension(text, length), n, room;
        Digest digest;
        bool whole;
        int r;

        r = digest_of(text, length, &digest);
        if (r < 0)
                return r;
        n = escape(text, from, length, length, extension, EXTENSION_MAX, &whole);
        if (!whole)
                n = 0;
        extension[n] = 0;
        room = LAYOUT_COMPONENT_MAX - n - 2 - HASH_DIGITS;
        n = escape(text, 0, length, length, ret, room, &whole);
        (void) snprintf(ret + n, LAYOUT_COMPONENT_SIZE - n, "~h%.*s%s", (int) HASH_DIGITS, digest_to_hex(&digest, hex), extension);
        return 0;
}

int layout_component(const char *text, char ret[static LAYOUT_COMPONENT_SIZE]) {
        char escaped[LAYOUT_COMPONENT_SIZE];
        size_t length = strlen(text);
        bool whole;

        if (length == 0)
                return -EINVAL;
        (void) escape(text, 0, length, length, escaped, LAYOUT_COMPONENT_MAX, &whole);
        if (!whole)
                return cut_component(text, length, ret);
        memcpy(ret, escaped, sizeof(escaped));
        return 0;
}

int layout_day(int64_t mtime_unix_sec, int64_t docked_unix_sec, char ret[static 11]) {
        int64_t sec = mtime_unix_sec;

        if (sec < 0 || sec > LAST_SEC)
                sec = docked_unix_sec;
        if (sec < 0 || sec > LAST_SEC)
                return -EINVAL;
        (void) utc_day(sec, ret);
        return 0;
}

static int make_key(const char *top, const char *serial, const char *day, const char *path, const char *rest, char **ret) {
        char camera[LAYOUT_COMPONENT_SIZE], name[LAYOUT_COMPONENT_SIZE];
        char *key;
        int r;

        r = layout_component(serial, camera);
        if (r < 0)
                return r;
        r = layout_component(path, name);
        if (r < 0)
                return r;
        key = text_format("%s/%s/%s/%s.%s", top, camera, day, name, rest);
        if (!key)
                return -ENOMEM;
        *ret = key;
        return 0;
}

int layout_object_key(const char *serial, const char *day, const char *path, uint64_t random, char **ret) {
        char rest[17];

        (void) snprintf(rest, sizeof(rest), "%016llx", (unsigned long long) random);
        return make_key(LAYOUT_OBJECTS, serial, day, path, rest, ret);
}

bool layout_object_is_of(const char *key, const char *serial, const char *day, const char *path) {
        _cleanup_(freep) char *begin = NULL;
        size_t n;

        if (make_key(LAYOUT_OBJECTS, serial, day, path, "", &begin) < 0)
                return false;
        n = strlen(begin);
        return strncmp(key, begin, n) == 0 && strlen(key + n) == HASH_DIGITS && strspn(key + n, "0123456789abcdef") == HASH_DIGITS;
}

int layout_manifest_key(const char *serial, const char *day, const char *path, const Digest *digest, char **ret) {
        char hex[DIGEST_HEX_SIZE], rest[HASH_DIGITS + sizeof(".json")];

        (void) digest_to_hex(digest, hex);
        (void) snprintf(rest, sizeof(rest), "%.*s.json", (int) HASH_DIGITS, hex);
        return make_key(LAYOUT_MANIFESTS, serial, day, path, rest, ret);
}

int layout_manifest_prefix(const char *serial, const char *day, const char *path, char **ret) {
        return make_key(LAYOUT_MANIFESTS, serial, day, path, "", ret);
}

static bool component_is_safe(const char *s) {
        if (s[0] == 0 || s[0] == '.')
                return false;
        for (; *s; s++)
                if (!is_plain(*s) && *s != '~')
                        return false;
        return true;
}

/* Takes a key apart into `n` components of `size` bytes each: -EINVAL when it has not as many, or one that is not safe to be opened. */
static int split(const char *key, char *parts, size_t n, size_t size) {
        for (size_t i = 0; i < n; i++) {
                size_t length = strcspn(key, "/");
                char *part = parts + i * size;

                if (length >= size)
                        return -EINVAL;
                memcpy(part, key, length);
                part[length] = 0;
                if (!component_is_safe(part))
                        return -EINVAL;
                /* The last one ends the key, the others do not. */
                if ((key[length] == 0) != (i + 1 == n))
                        return -EINVAL;
                key += length + (key[length] != 0);
        }
        return 0;
}

int layout_parse_key(const char *key, const char *top, LayoutKey *ret) {
        LayoutKey k = { 0 };

        if (split(key, k.parts[0], ELEMENTSOF(k.parts), sizeof(k.parts[0])) < 0 || !text_equal(k.parts[0], top))
                return -EINVAL;
        *ret = k;
        return 0;
}

static int parse_small(const char *key, const char *const *tops, size_t n, LayoutSmallKey *ret) {
        LayoutSmallKey k = { 0 };

        if (split(key, k.parts[0], ELEMENTSOF(k.parts), sizeof(k.parts[0])) < 0)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (text_equal(k.parts[0], tops[i])) {
                        *ret = k;
                        return 0;
                }
        return -EINVAL;
}

int layout_parse_small_key(const char *key, LayoutSmallKey *ret) {
        static const char *const kept[] = { WIRE_KEEP_CHECKPOINTS, WIRE_KEEP_KEYS, WIRE_KEEP_RECEIPTS, WIRE_KEEP_HOLDS,
                                              WIRE_KEEP_ROSTER, WIRE_KEEP_FLEET, WIRE_KEEP_ROLLOUTS, WIRE_KEEP_CUSTODY };
        static const char *const firmware[] = { WIRE_KEEP_FIRMWARE };
        LayoutSmallKey k;

        if (parse_small(key, firmware, ELEMENTSOF(firmware), &k) >= 0 && text_equal(k.parts[1], WIRE_FIRMWARE_CATALOG)) {
                *ret = k;
                return 0;
        }
        return parse_small(key, kept, ELEMENTSOF(kept), ret);
}

int layout_parse_replaced_key(const char *key, LayoutSmallKey *ret) {
        static const char *const replaced[] = { WIRE_REPLACE_DOCKS };

        return parse_small(key, replaced, ELEMENTSOF(replaced), ret);
}

int layout_parse_prefix(const char *prefix, LayoutSmallKey *ret) {
        static const char *const tops[] = {
                WIRE_KEEP_CHECKPOINTS, WIRE_KEEP_KEYS, WIRE_KEEP_RECEIPTS, WIRE_KEEP_ROSTER, WIRE_KEEP_FIRMWARE, WIRE_KEEP_ROLLOUTS,
                WIRE_KEEP_FLEET, WIRE_KEEP_HOLDS, WIRE_KEEP_CUSTODY, WIRE_REPLACE_DOCKS
        };
        size_t length = strlen(prefix);
        char whole[LAYOUT_KEY_MAX];
        LayoutSmallKey k;
        int n;

        /* A name that begins with nothing is none: one is put there, and taken off again. */
        n = snprintf(whole, sizeof(whole), "%s%s", prefix, length > 0 && prefix[length - 1] == '/' ? "x" : "");
        if (n < 0 || (size_t) n >= sizeof(whole) || parse_small(whole, tops, ELEMENTSOF(tops), &k) < 0)
                return -EINVAL;
        if ((size_t) n != length)
                k.parts[2][0] = 0;
        *ret = k;
        return 0;
}
