/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void container_incomplete(Container *c, uint64_t offset, const char *format, ...) {
        char raw[CONTAINER_REASON_SIZE];
        va_list arguments;

        if (c->verdict == CONTAINER_INCOMPLETE)
                return;
        va_start(arguments, format);
        (void) vsnprintf(raw, sizeof(raw), format, arguments);
        va_end(arguments);
        text_sanitise(raw, c->reason, sizeof(c->reason));
        c->verdict = CONTAINER_INCOMPLETE;
        c->offset = offset;
}

void container_recorded(Container *c, int64_t unix_sec) {
        if (c->recorded_unix_sec == CONTAINER_TIME_UNKNOWN && unix_sec >= CONTAINER_TIME_MIN && unix_sec < CONTAINER_TIME_END)
                c->recorded_unix_sec = unix_sec;
}

void container_lasts(Container *c, uint64_t units, uint64_t units_per_sec) {
        uint64_t sec = units_per_sec > 0 ? units / units_per_sec : UINT64_MAX;

        if (units == 0 || sec > CONTAINER_DURATION_MAX_MSEC / 1000)
                return;
        /* The remainder is below units_per_sec, which no format gives more than 40 bits. */
        c->duration_msec = sec * 1000 + (units % units_per_sec) * 1000 / units_per_sec;
}

char *fourcc_text(const uint8_t code[static 4], char ret[static FOURCC_TEXT_SIZE]) {
        bool printable = true;

        for (int i = 0; i < 4; i++)
                printable = printable && code[i] > 0x20 && code[i] < 0x7f;
        if (printable)
                (void) snprintf(ret, FOURCC_TEXT_SIZE, "%c%c%c%c", code[0], code[1], code[2], code[3]);
        else
                (void) snprintf(ret, FOURCC_TEXT_SIZE, "0x%08lx", (unsigned long) be32(code));
        return ret;
}

static void gave_up(const Look *l, int error, Container *c) {
        /* What was found to be missing stays found. */
        if (c->verdict == CONTAINER_INCOMPLETE)
                return;
        c->verdict = CONTAINER_UNCHECKED;
        if (error == -EFBIG)
                (void) snprintf(c->reason, sizeof(c->reason), "not followed to its end: it has more parts than Berth looks at");
        else
                (void) snprintf(c->reason, sizeof(c->reason), "the copy could not be looked at: %s", strerror(-error));
        c->offset = l->size;
}

void container_look_through(Look *l, Container *ret) {
        static int (*const formats[])(Look *, const uint8_t[static CONTAINER_FIRST], Container *) = {
                container_mp4,
                container_avi,
                container_matroska,
        };
        uint8_t first[CONTAINER_FIRST];
        int r;

        *ret = CONTAINER_OF_NOTHING;
        r = look_at(l, 0, first, sizeof(first));
        if (r == -ENODATA)
                return;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(formats); i++) {
                *ret = CONTAINER_OF_NOTHING;
                r = formats[i](l, first, ret);
        }
        if (r < 0)
                gave_up(l, r, ret);
        else if (r > 0 && ret->verdict == CONTAINER_UNCHECKED)
                ret->verdict = CONTAINER_COMPLETE;
        else if (r == 0)
                *ret = CONTAINER_OF_NOTHING;
}

void container_look(int fd, uint64_t size, void (*alive)(void), Container *ret) {
        Look l;

        /* Headers are far apart: reading ahead would fetch what nobody looks at. */
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
        look_init(&l, fd, size, alive);
        container_look_through(&l, ret);
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
