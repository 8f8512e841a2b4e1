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

static int parse_number(MtpOptions *o, const char *key, size_t n, const char *value) {
        static const struct {
                const char *key;
                long min, max;
        } numbers[] = {
                { "timeout-msec", 100, 600000 }, { "busy-msec", 0, 600000 },           { "chunk-kib", 64, 1048576 },
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
                        o->busy_msec = (unsigned) v;
                        break;
                case 2:
                        o->chunk_bytes = (uint32_t) v * 1024u;
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

/* The code of a device property: "d405". */
static int parse_property(const char *value, uint16_t *ret) {
        char *end;
        unsigned long code;

        if (strlen(value) != 4 || strspn(value, "0123456789abcdefABCDEF") != 4)
                return -EINVAL;
        code = strtoul(value, &end, 16);
        if (code == 0)
                return -EINVAL;
        *ret = (uint16_t) code;
        return 0;
}

static int parse_unit(const char *value, MtpUnit *ret) {
        static const char *const names[_MTP_UNIT_MAX] = { "celsius", "decicelsius", "millicelsius", "decikelvin" };

        for (MtpUnit u = 0; u < _MTP_UNIT_MAX; u++)
                if (strcmp(value, names[u]) == 0) {
                        *ret = u;
                        return 0;
                }
        return -EINVAL;
}

static int parse_one(MtpOptions *o, const char *option) {
        const struct {
                const char *key;
                bool *target;
        } flags[] = {
                { "no-partial", &o->no_partial },
                { "no-partial64", &o->no_partial64 },
                { "no-prop-list", &o->no_prop_list },
                { "no-cancel", &o->no_cancel },
        };
        const char *value = strchr(option, '=');
        size_t n;

        if (!value)
                return -EINVAL;
        n = (size_t) (value++ - option);
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
                if (strlen(flags[i].key) == n && strncmp(flags[i].key, option, n) == 0)
                        return parse_bool(value, flags[i].target);
        if (strncmp(option, "temperature-property=", n + 1) == 0)
                return parse_property(value, &o->temperature_property);
        if (strncmp(option, "temperature-unit=", n + 1) == 0)
                return parse_unit(value, &o->temperature_unit);
        if (strncmp(option, "restarts-property=", n + 1) == 0)
                return parse_property(value, &o->restarts_property);
        if (strncmp(option, "utc-offset-minutes=", n + 1) == 0 && strcmp(value, "local") == 0) {
                o->local_time = true;
                return 0;
        }
        return parse_number(o, option, n, value);
}

int mtp_options_parse(const char *const *options, MtpOptions *ret, const char **ret_bad) {
        MtpOptions o = {
                .timeout_msec = 20000,
                .busy_msec = 30000,
                .chunk_bytes = 32u << 20,
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
