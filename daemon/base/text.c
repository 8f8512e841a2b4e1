/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <berth/plugin.h>

bool text_equal(const char *a, const char *b) {
        if (!a || !b)
                return a == b;
        return strcmp(a, b) == 0;
}

/* The length of the character at `s`, with its code point; 0 when it is not valid UTF-8. `size` is at least 1. */
static size_t utf8_next(const uint8_t *s, size_t size, uint32_t *ret) {
        static const uint32_t first_of_length[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t c;
        size_t n;

        if (s[0] < 0x80) {
                *ret = s[0];
                return 1;
        }
        if (s[0] >= 0xc2 && s[0] <= 0xdf) {
                n = 2;
                c = s[0] & 0x1fu;
        } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
                n = 3;
                c = s[0] & 0x0fu;
        } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
                n = 4;
                c = s[0] & 0x07u;
        } else
                return 0;
        if (size < n)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0u) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3fu);
        }
        if (c < first_of_length[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
                return 0;
        *ret = c;
        return n;
}

static bool is_control(uint32_t c) {
        return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

/* As utf8_next(), but 0 for control characters too. */
static size_t printable_next(const uint8_t *s, size_t size, uint32_t *ret) {
        uint32_t c;
        size_t n = utf8_next(s, size, &c);

        if (n == 0 || is_control(c))
                return 0;
        *ret = c;
        return n;
}

bool text_is_utf8(const char *s, size_t size) {
        const uint8_t *p = (const uint8_t *) s;

        while (size > 0) {
                uint32_t c;
                size_t n = utf8_next(p, size, &c);

                if (n == 0)
                        return false;
                p += n;
                size -= n;
        }
        return true;
}

bool text_is_printable(const char *s) {
        const uint8_t *p = (const uint8_t *) s;
        size_t left = strlen(s);

        while (left > 0) {
                uint32_t c;
                size_t n = printable_next(p, left, &c);

                if (n == 0)
                        return false;
                p += n;
                left -= n;
        }
        return true;
}

void text_sanitise(const char *s, char *ret, size_t size) {
        const uint8_t *p = (const uint8_t *) s;
        size_t left = strlen(s), at = 0;

        if (size == 0)
                return;
        while (left > 0) {
                uint32_t c;
                size_t n = printable_next(p, left, &c);

                if (at + MAX2(n, (size_t) 1) >= size)
                        break;
                if (n == 0) {
                        ret[at++] = '?';
                        n = 1;
                } else {
                        memcpy(ret + at, p, n);
                        at += n;
                }
                p += n;
                left -= n;
        }
        ret[at] = 0;
}

static size_t escape_byte(uint8_t byte, char ret[static 3]) {
        static const char digits[] = "0123456789ABCDEF";

        ret[0] = '%';
        ret[1] = digits[byte >> 4];
        ret[2] = digits[byte & 15];
        return 3;
}

ssize_t text_escape_name(const void *name, size_t length, char *ret, size_t ret_size) {
        const uint8_t *p = name;
        bool dots = (length == 1 && p[0] == '.') || (length == 2 && p[0] == '.' && p[1] == '.');
        size_t at = 0, i = 0;

        if (length == 0) {
                if (ret_size < sizeof("%00"))
                        return -ENAMETOOLONG;
                memcpy(ret, "%00", sizeof("%00"));
                return 3;
        }
        while (i < length) {
                char escaped[3];
                uint32_t c = 0;
                size_t n = printable_next(p + i, length - i, &c), out = n;
                const void *from = p + i;

                if (n == 0 || c == '/' || c == '%' || (dots && i == 0)) {
                        out = escape_byte(p[i], escaped);
                        from = escaped;
                        n = 1;
                }
                if (at + out >= ret_size)
                        return -ENAMETOOLONG;
                memcpy(ret + at, from, out);
                at += out;
                i += n;
        }
        ret[at] = 0;
        return (ssize_t) at;
}

bool text_path_is_valid(const char *path) {
        size_t length = strlen(path);

        if (length == 0 || length >= BERTH_PATH_MAX || !text_is_printable(path))
                return false;
        for (const char *component = path;;) {
                size_t n = strcspn(component, "/");

                if (n == 0 || (n == 1 && component[0] == '.') || (n == 2 && component[0] == '.' && component[1] == '.'))
                        return false;
                if (component[n] == 0)
                        return true;
                component += n + 1;
        }
}

char *text_bytes(unsigned long long bytes, char ret[static 16]) {
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double value = (double) bytes / 1024;
        size_t unit = 0;

        if (bytes < 1024) {
                (void) snprintf(ret, 16, "%llu B", bytes);
                return ret;
        }
        /* 1023.95 would be shown as 1024.0. */
        while (value >= 1023.95 && unit + 1 < ELEMENTSOF(units)) {
                value /= 1024;
                unit++;
        }
        (void) snprintf(ret, 16, "%.1f %s", value, units[unit]);
        return ret;
}

char *text_vformat(const char *format, va_list arguments) {
        char *s;

        return vasprintf(&s, format, arguments) < 0 ? NULL : s;
}

char *text_format(const char *format, ...) {
        va_list arguments;
        char *s;

        va_start(arguments, format);
        s = text_vformat(format, arguments);
        va_end(arguments);
        return s;
}
