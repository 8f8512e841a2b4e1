/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ambarella.h"

#define REPLY_MIN 8
#define REPLY_MAX 1024

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

static int parse_dialect(const char *value, const Dialect **ret) {
        static const Dialect *const dialects[] = { &dialect_a, &dialect_b, &dialect_c };

        for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
                if (strcmp(dialects[i]->name, value) == 0) {
                        *ret = dialects[i];
                        return 0;
                }
        return -EINVAL;
}

static bool key_is(const char *option, size_t n, const char *key) {
        return strlen(key) == n && strncmp(key, option, n) == 0;
}

static int parse_one(AmbarellaOptions *o, const char *option) {
        const char *value = strchr(option, '=');
        long v = 0;
        size_t n;
        int r;

        if (!value)
                return -EINVAL;
        n = (size_t) (value++ - option);
        if (key_is(option, n, "dialect"))
                return parse_dialect(value, &o->dialect);
        if (key_is(option, n, "no-ping"))
                return parse_bool(value, &o->no_ping);
        if (key_is(option, n, "loose-answers"))
                return parse_bool(value, &o->loose_answers);
        if (key_is(option, n, "timeout-msec")) {
                r = parse_int(value, 100, 60000, &v);
                o->timeout_msec = (unsigned) v;
        } else if (key_is(option, n, "reply-bytes")) {
                r = parse_int(value, REPLY_MIN, REPLY_MAX, &v);
                o->reply_bytes = (size_t) v;
        } else if (key_is(option, n, "utc-offset-minutes") && strcmp(value, "local") == 0) {
                o->local_time = true;
                r = 0;
        } else if (key_is(option, n, "utc-offset-minutes")) {
                r = parse_int(value, -900, 900, &v);
                o->utc_offset_minutes = (int) v;
        } else
                r = -EINVAL;
        return r;
}

int ambarella_options_parse(const char *const *options, AmbarellaOptions *ret, const char **ret_bad) {
        AmbarellaOptions o = { .timeout_msec = 3000 };

        for (size_t i = 0; options && options[i]; i++)
                if (parse_one(&o, options[i]) < 0) {
                        *ret_bad = options[i];
                        return -EINVAL;
                }
        if (!o.dialect) {
                *ret_bad = NULL;
                return -EINVAL;
        }
        *ret = o;
        return 0;
}
