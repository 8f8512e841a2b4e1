/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int parse_bool(const char *value, bool *ret) {
        if (strcmp(value, "yes") == 0)
                *ret = true;
        else if (strcmp(value, "no") == 0)
                *ret = false;
        else
                return -EINVAL;
        return 0;
}

static int parse_int(const char *value, long min, long max, long *ret) {
        char *end;
        long v;

        if ((*value < '0' || *value > '9') && *value != '-')
                return -EINVAL;
        errno = 0;
        v = strtol(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0' || v < min || v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

static int parse_number(MscOptions *o, const char *key, size_t n, const char *value) {
        static const struct {
                const char *key;
                long min, max;
        } numbers[] = {
                { "timeout-msec", 100, 600000 }, { "ready-msec", 0, 600000 },          { "transfer-kib", 16, 8192 },
                { "interface", 0, 255 },         { "utc-offset-minutes", -900, 900 },
        };
        long v = 0;

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                if (strlen(numbers[i].key) != n || strncmp(numbers[i].key, key, n) != 0)
                        continue;
                if (parse_int(value, numbers[i].min, numbers[i].max, &v) < 0)
                        return -EINVAL;
                switch (i) {
                case 0:
                        o->timeout_msec = (unsigned) v;
                        break;
                case 1:
                        o->ready_msec = (unsigned) v;
                        break;
                case 2:
                        if ((v & (v - 1)) != 0)
                                return -EINVAL;
                        o->transfer_bytes = (uint32_t) v * 1024u;
                        break;
                case 3:
                        o->interface = (int) v;
                        break;
                default:
                        o->utc_offset_minutes = (int) v;
                }
                return 0;
        }
        return -EINVAL;
}

static int parse_one(MscOptions *o, const char *option) {
        const struct {
                const char *key;
                bool *target;
        } flags[] = {
                { "erase-dirty", &o->erase_dirty },
                { "erase-protected", &o->erase_protected },
                { "ignore-residue", &o->ignore_residue },
                { "no-mode-sense", &o->no_mode_sense },
                { "no-vpd", &o->no_vpd },
        };
        const char *value = strchr(option, '=');
        size_t n;

        if (!value)
                return -EINVAL;
        n = (size_t) (value++ - option);
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
                if (strlen(flags[i].key) == n && strncmp(flags[i].key, option, n) == 0)
                        return parse_bool(value, flags[i].target);
        if (strncmp(option, "utc-offset-minutes=", n + 1) == 0 && strcmp(value, "local") == 0) {
                o->local_time = true;
                return 0;
        }
        return parse_number(o, option, n, value);
}

int msc_options_parse(const char *const *options, MscOptions *ret, const char **ret_bad) {
        MscOptions o = {
                .timeout_msec = 20000,
                .ready_msec = 30000,
                .transfer_bytes = 1u << 20,
                .interface = -1,
        };

        for (size_t i = 0; options && options[i]; i++)
                if (parse_one(&o, options[i]) < 0) {
                        *ret_bad = options[i];
                        return -EINVAL;
                }
        *ret = o;
        return 0;
}
