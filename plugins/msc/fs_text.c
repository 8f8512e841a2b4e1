/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_text.h"

#include <stdbool.h>
#include <string.h>

#include "fs.h"
#include "fs_bytes.h"

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

size_t fs_utf16_to_utf8(const uint8_t *utf16, size_t n_units, char *ret) {
        size_t used = 0;

        for (size_t i = 0; i < n_units; i++) {
                uint32_t c = fs_get16(utf16 + 2 * i);

                if (c >= 0xD800 && c < 0xDC00 && i + 1 < n_units) {
                        uint32_t low = fs_get16(utf16 + 2 * (i + 1));

                        if (low >= 0xDC00 && low < 0xE000) {
                                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                                i++;
                        }
                }
                used += utf8_put(ret + used, c);
        }
        return used;
}

/* Code page 437 from 0x80 on. */
static const uint16_t cp437[128] = {
        0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7, 0x00EA, 0x00EB, 0x00E8, 0x00EF, 0x00EE, 0x00EC, 0x00C4, 0x00C5,
        0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6, 0x00F2, 0x00FB, 0x00F9, 0x00FF, 0x00D6, 0x00DC, 0x00A2, 0x00A3, 0x00A5, 0x20A7, 0x0192,
        0x00E1, 0x00ED, 0x00F3, 0x00FA, 0x00F1, 0x00D1, 0x00AA, 0x00BA, 0x00BF, 0x2310, 0x00AC, 0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB,
        0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510,
        0x2514, 0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F, 0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256C, 0x2567,
        0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256B, 0x256A, 0x2518, 0x250C, 0x2588, 0x2584, 0x258C, 0x2590, 0x2580,
        0x03B1, 0x00DF, 0x0393, 0x03C0, 0x03A3, 0x03C3, 0x00B5, 0x03C4, 0x03A6, 0x0398, 0x03A9, 0x03B4, 0x221E, 0x03C6, 0x03B5, 0x2229,
        0x2261, 0x00B1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00F7, 0x2248, 0x00B0, 0x2219, 0x00B7, 0x221A, 0x207F, 0x00B2, 0x25A0, 0x00A0,
};

size_t fs_oem_to_utf8(const uint8_t *oem, size_t size, char *ret) {
        size_t used = 0;

        for (size_t i = 0; i < size; i++)
                used += utf8_put(ret + used, oem[i] < 0x80 ? oem[i] : cp437[oem[i] - 0x80]);
        return used;
}

/* Our own encoder made the name, so its lengths can be trusted as long as they fit. */
void fs_name_to_text(const char *name, size_t name_size, char *ret, size_t size) {
        const uint8_t *s = (const uint8_t *) name;
        size_t used = 0;

        for (size_t i = 0; i < name_size;) {
                size_t n = s[i] < 0x80 ? 1 : s[i] < 0xE0 ? 2 : s[i] < 0xF0 ? 3 : 4, out;
                bool shown;

                if (n > name_size - i)
                        n = name_size - i;
                shown = !(s[i] < 0x20 || s[i] == 0x7F || (n == 2 && s[i] == 0xC2 && s[i + 1] < 0xA0) ||
                          (n == 3 && s[i] == 0xED && s[i + 1] >= 0xA0));
                out = shown ? n : 1;
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

/* Days since 1970 of a date of the Gregorian calendar, in years that begin in March, so that leap days come last. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day) {
        int64_t y = (int64_t) year - (month <= 2), m = month > 2 ? (int64_t) month - 3 : (int64_t) month + 9;

        return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (int64_t) day - 1 - 719468;
}

int64_t fs_dos_time(uint16_t date, uint16_t time, int utc_offset_minutes) {
        static const uint8_t month_days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        unsigned year = 1980u + (date >> 9), month = date >> 5 & 15, day = date & 31;
        unsigned hour = time >> 11, minute = time >> 5 & 63, second = 2u * (time & 31);

        if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1] || hour > 23 || minute > 59 || second > 59)
                return FS_TIME_UNKNOWN;
        /* 2100 is the only year of the range that divides by 4 and is no leap year. */
        if (month == 2 && day == 29 && (year % 4 != 0 || year == 2100))
                return FS_TIME_UNKNOWN;
        return days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
               (int64_t) utc_offset_minutes * 60;
}

int64_t fs_camera_time(const FsOptions *options, uint16_t date, uint16_t time) {
        int64_t wall;

        if (!options->to_utc)
                return fs_dos_time(date, time, options->utc_offset_minutes);
        wall = fs_dos_time(date, time, 0);
        return wall == FS_TIME_UNKNOWN ? wall : options->to_utc(wall);
}
