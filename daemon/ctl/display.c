/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/display.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* More than this on one base character is not writing any more, and spills over the rows above and below. */
#define COMBINING_MAX 2u

static const char *const style_sequences[_STYLE_MAX] = {
        [STYLE_PLAIN] = "",
        [STYLE_BOLD] = "\033[1m",
        [STYLE_DIM] = "\033[2m",
        [STYLE_GOOD] = "\033[32m",
        [STYLE_BUSY] = "\033[36m",
        [STYLE_WARN] = "\033[33m",
        [STYLE_BAD] = "\033[1;31m",
};

const char *style_begin(Style style, const Look *look) {
        return look->colour ? style_sequences[style] : "";
}

const char *style_end(Style style, const Look *look) {
        return look->colour && style != STYLE_PLAIN ? "\033[0m" : "";
}

/* Decodes one UTF-8 character (RFC 3629): its length, or 0 when the bytes are not one. Never reads past a NUL. */
static size_t decode(const char *s, uint32_t *ret) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *u = (const unsigned char *) s;
        size_t length = u[0] < 0x80 ? 1 : u[0] >= 0xc2 && u[0] < 0xe0 ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 :
                        u[0] >= 0xf0 && u[0] < 0xf5 ? 4 : 0;
        if (length == 0)
                return 0;

        uint32_t c = length == 1 ? u[0] : u[0] & (0x7fu >> length);
        for (size_t i = 1; i < length; i++) {
                if ((u[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (u[i] & 0x3fu);
        }
        if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                return 0;
        *ret = c;
        return length;
}

/* Characters that are valid and printable to Unicode, and still deceive the reader: they show nothing or reorder. */
static bool deceives(uint32_t c) {
        return c == 0xad || c == 0x34f || c == 0x61c || (c >= 0x115f && c <= 0x1160) || (c >= 0x17b4 && c <= 0x17b5) ||
               (c >= 0x180b && c <= 0x180f) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2060 && c <= 0x206f) || c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
               c == 0xffa0 || (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

static int columns(uint32_t c) {
        if (c < 0x80)
                return c >= 0x20 && c < 0x7f ? 1 : -1;
        return deceives(c) ? -1 : wcwidth((wchar_t) c);
}

char *display_text(const char *s, const Look *look) {
        char *ret = malloc(strlen(s) + 1);
        if (!ret)
                return NULL;

        char *out = ret;
        unsigned combining = COMBINING_MAX; /* nothing to combine with yet */
        while (*s) {
                uint32_t c = 0;
                size_t length = decode(s, &c);
                int width = length == 0 || (c >= 0x80 && !look->utf8) ? -1 : columns(c);
                bool crowd = width == 0 && combining >= COMBINING_MAX;
                combining = width == 0 ? combining + 1 : 0;
                if (width < 0 || crowd) {
                        *out++ = '?';
                        s += MAX2(length, (size_t) 1);
                } else {
                        out = mempcpy(out, s, length);
                        s += length;
                }
        }
        *out = '\0';
        return ret;
}

/* The width of the character at s, and its length. */
static size_t step(const char *s, size_t *ret_length) {
        uint32_t c = 0;
        size_t length = decode(s, &c);
        int width = length > 0 ? columns(c) : -1;
        *ret_length = MAX2(length, (size_t) 1);
        return width < 0 ? 1 : (size_t) width;
}

size_t display_width(const char *s) {
        size_t width = 0, length;
        for (; *s; s += length)
                width += step(s, &length);
        return width;
}

/* How many bytes from the start fit into so many columns. */
static size_t prefix(const char *s, size_t width) {
        size_t bytes = 0, used = 0, length;
        while (s[bytes]) {
                used += step(s + bytes, &length);
                if (used > width)
                        break;
                bytes += length;
        }
        return bytes;
}

char *display_fit(const char *s, size_t width, bool keep_end, const Look *look) {
        size_t total = display_width(s);
        if (total <= width)
                return strdup(s);

        const char *ellipsis = look->utf8 ? "\u2026" : "~";
        if (width <= 1)
                return strdup(width == 0 ? "" : ellipsis);

        char *ret = malloc(strlen(s) + strlen(ellipsis) + 1);
        if (!ret)
                return NULL;
        if (!keep_end) {
                size_t kept = prefix(s, width - 1);
                stpcpy(mempcpy(ret, s, kept), ellipsis);
                return ret;
        }

        size_t length;
        while (*s && total > width - 1) {
                total -= step(s, &length);
                s += length;
        }
        /* What combined with a character that was cut goes with it. */
        while (*s && step(s, &length) == 0)
                s += length;
        stpcpy(stpcpy(ret, ellipsis), s);
        return ret;
}

int lines_add(Lines *l, char *line) {
        if (!line)
                return -ENOMEM;
        char **lines = reallocarray(l->lines, l->n + 1, sizeof(*lines));
        if (!lines) {
                free(line);
                return -ENOMEM;
        }
        l->lines = lines;
        l->lines[l->n++] = line;
        return 0;
}

void lines_clear(Lines *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->lines[i]);
        free(l->lines);
        *l = (Lines) { 0 };
}
