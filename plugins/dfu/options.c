/* SPDX-License-Identifier: Apache-2.0 */

/* The `plugin.*` keys of a model; README.md describes them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dfu.h"

static int parse_number(const char *value, unsigned long min, unsigned long max, unsigned long *ret) {
        unsigned long v;
        char *end;

        if (*value < '0' || *value > '9')
                return -EINVAL;
        errno = 0;
        v = strtoul(value, &end, strncmp(value, "0x", 2) == 0 ? 16 : 10);
        if (errno != 0 || *end || v < min || v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

static int parse_bool(const char *value, bool *ret) {
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
                return -EINVAL;
        *ret = value[0] == 'y';
        return 0;
}

static int parse_one(const char *key, size_t n, const char *value, DfuOptions *o) {
        static const char *const keys[] = { "alternate", "address", "transfer-size", "read-back", "suffix-needed" };
        unsigned long v = 0;
        size_t i = 0;
        int r;

        while (i < sizeof(keys) / sizeof(keys[0]) && (strlen(keys[i]) != n || strncmp(keys[i], key, n) != 0))
                i++;
        switch (i) {
        case 0:
                r = parse_number(value, 0, 255, &v);
                o->alternate = (int) v;
                return r;
        case 1:
                r = parse_number(value, 0, UINT32_MAX, &v);
                o->address = (uint32_t) v;
                o->address_given = true;
                return r;
        case 2:
                r = parse_number(value, 8, UINT16_MAX, &v);
                o->transfer_size = (unsigned) v;
                return r;
        case 3:
                return parse_bool(value, &o->read_back);
        case 4:
                return parse_bool(value, &o->suffix_needed);
        default:
                return -EINVAL;
        }
}

int dfu_options_parse(berth_host *host, const char *const *options, DfuOptions *ret) {
        DfuOptions o = { .alternate = -1, .read_back = true };

        for (size_t i = 0; options && options[i]; i++) {
                const char *value = strchr(options[i], '=');

                if (!value || parse_one(options[i], (size_t) (value - options[i]), value + 1, &o) < 0) {
                        berth_host_log(host, BERTH_LOG_ERR, "the option %s is not one of the dfu plugin's, or its value is none",
                                       options[i]);
                        return -EINVAL;
                }
        }
        *ret = o;
        return 0;
}
