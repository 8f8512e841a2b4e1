/* SPDX-License-Identifier: Apache-2.0 */

/* The settings of charging: what the rack can give, when cameras are wanted, how batteries are treated. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/settings.h"

#define HUBS_MAX 64u
#define BUDGET_MAX_MA 1000000u
#define READY_DEFAULT_PERCENT 90u
#define LOOK_DEFAULT_USEC (3600 * USEC_PER_SEC)
/* What makers of lithium-ion cells allow for charging. */
#define MIN_DEFAULT_CELSIUS 0
#define MAX_DEFAULT_CELSIUS 45
#define SPAN_MIN_DECIDEGREES 100
#define GAUGE_DEFAULT_USEC (600 * USEC_PER_SEC)

void charge_settings_default(ChargeSettings *c) {
        *c = (ChargeSettings){
                .ready_percent = READY_DEFAULT_PERCENT,
                .hold_percent = 100,
                .look_usec = LOOK_DEFAULT_USEC,
                .gauge_usec = GAUGE_DEFAULT_USEC,
                .temperature = { .min_decidegrees = MIN_DEFAULT_CELSIUS * 10, .max_decidegrees = MAX_DEFAULT_CELSIUS * 10 },
        };
}

void charge_settings_done(ChargeSettings *c) {
        for (size_t i = 0; i < c->n_hubs; i++)
                free(c->hubs[i].port_path);
        for (size_t i = 0; i < c->n_shifts; i++)
                free(c->shifts[i].name);
        free(c->hubs);
        free(c->shifts);
        *c = (ChargeSettings){ 0 };
}

bool settings_switches_ports(const Settings *s) {
        bool limited = s->charge.budget_ma > 0 || s->charge.hold_percent < 100;

        for (size_t i = 0; i < s->charge.n_hubs; i++)
                limited = limited || s->charge.hubs[i].budget_ma > 0;
        return limited;
}

static int parse_ma(const ConfLine *line, uint32_t *ret, ConfError *error) {
        uint64_t ma;
        int r = conf_uint(line, 1, BUDGET_MAX_MA, &ma, error);

        if (r >= 0)
                *ret = (uint32_t) ma;
        return r;
}

static int parse_percent(const ConfLine *line, unsigned *ret, ConfError *error) {
        uint64_t percent;
        int r = conf_uint(line, 20, 100, &percent, error);

        if (r >= 0)
                *ret = (unsigned) percent;
        return r;
}

static int parse_hub(ChargeSettings *c, const ConfLine *line, ConfError *error) {
        HubSetting *hub = NULL, *hubs;

        for (size_t i = 0; i < c->n_hubs; i++)
                if (text_equal(c->hubs[i].port_path, line->name))
                        hub = &c->hubs[i];
        if (!hub) {
                if (!port_path_is_valid(line->name))
                        return conf_error(line, error, "'%s' is not the USB port path of a hub, such as 1-1", line->name);
                if (c->n_hubs >= HUBS_MAX)
                        return conf_error(line, error, "more than %u hubs", HUBS_MAX);
                hubs = reallocarray(c->hubs, c->n_hubs + 1, sizeof(*hubs));
                if (!hubs)
                        return -ENOMEM;
                c->hubs = hubs;
                hub = &hubs[c->n_hubs];
                *hub = (HubSetting){ .port_path = strdup(line->name) };
                if (!hub->port_path)
                        return -ENOMEM;
                c->n_hubs++;
        }
        if (!line->key)
                return 0;
        return text_equal(line->key, "budget") ? parse_ma(line, &hub->budget_ma, error) : conf_error(line, error, "unknown key");
}

static int parse_when(ShiftSetting *shift, const ConfLine *line, ConfError *error) {
        const char *rest;

        if (week_span_parse(line->value, &shift->when, &rest) < 0 || *rest)
                return conf_error(line, error, "'%s' is not understood; a shift is like Mon-Fri 06:00-14:00", rest);
        shift->when_given = true;
        return 0;
}

static int parse_shift(ChargeSettings *c, const ConfLine *line, ConfError *error) {
        ShiftSetting *shift = NULL, *shifts;

        if (!line->name[0])
                return conf_error(line, error, "a shift has a name: [shift early]");
        for (size_t i = 0; i < c->n_shifts; i++)
                if (text_equal(c->shifts[i].name, line->name))
                        shift = &c->shifts[i];
        if (!shift) {
                if (c->n_shifts >= SHIFTS_MAX)
                        return conf_error(line, error, "more than %u shifts", SHIFTS_MAX);
                shifts = reallocarray(c->shifts, c->n_shifts + 1, sizeof(*shifts));
                if (!shifts)
                        return -ENOMEM;
                c->shifts = shifts;
                shift = &shifts[c->n_shifts];
                *shift = (ShiftSetting){ .name = strdup(line->name) };
                if (!shift->name)
                        return -ENOMEM;
                c->n_shifts++;
        }
        if (!line->key)
                return 0;
        return text_equal(line->key, "when") ? parse_when(shift, line, error) : conf_error(line, error, "unknown key");
}

static int parse_celsius(const ConfLine *line, int *ret_decidegrees, ConfError *error) {
        int64_t celsius;
        int r = conf_int(line, -40, 100, &celsius, error);

        if (r >= 0)
                *ret_decidegrees = (int) celsius * 10;
        return r;
}

static int parse_charging(ChargeSettings *c, const ConfLine *line, ConfError *error) {
        if (!line->key)
                return 0;
        if (text_equal(line->key, "ready"))
                return parse_percent(line, &c->ready_percent, error);
        if (text_equal(line->key, "hold"))
                return parse_percent(line, &c->hold_percent, error);
        if (text_equal(line->key, "look_every"))
                return conf_span(line, USEC_PER_SEC, 24 * 3600 * USEC_PER_SEC, &c->look_usec, error);
        if (text_equal(line->key, "gauge_every"))
                return conf_span(line, USEC_PER_SEC, 24 * 3600 * USEC_PER_SEC, &c->gauge_usec, error);
        if (text_equal(line->key, "min_celsius"))
                return parse_celsius(line, &c->temperature.min_decidegrees, error);
        if (text_equal(line->key, "max_celsius"))
                return parse_celsius(line, &c->temperature.max_decidegrees, error);
        return conf_error(line, error, "unknown key");
}

int charge_settings_line(ChargeSettings *c, const ConfLine *line, ConfError *error) {
        if (text_equal(line->section, "hub"))
                return parse_hub(c, line, error);
        if (text_equal(line->section, "shift"))
                return parse_shift(c, line, error);
        if (text_equal(line->section, "charging"))
                return parse_charging(c, line, error);
        return parse_ma(line, &c->budget_ma, error);
}

int charge_settings_check(const ChargeSettings *c, const char *path, ConfError *error) {
        for (size_t i = 0; i < c->n_hubs; i++)
                if (c->hubs[i].budget_ma == 0) {
                        conf_fail(error, "%s: [hub %s] has no budget; add budget = N, in milliamperes", path, c->hubs[i].port_path);
                        return -EINVAL;
                }
        for (size_t i = 0; i < c->n_shifts; i++)
                if (!c->shifts[i].when_given) {
                        conf_fail(error, "%s: [shift %s] does not say when; add when = Mon-Fri 06:00-14:00", path, c->shifts[i].name);
                        return -EINVAL;
                }
        if (c->temperature.max_decidegrees - c->temperature.min_decidegrees < SPAN_MIN_DECIDEGREES) {
                conf_fail(error, "%s: [charging] min_celsius and max_celsius leave less than 10 degrees in which batteries are charged",
                          path);
                return -EINVAL;
        }
        if (c->hold_percent < 100 && c->n_shifts == 0) {
                conf_fail(error, "%s: [charging] hold keeps cameras below full until a shift begins, and no [shift NAME] says when", path);
                return -EINVAL;
        }
        return 0;
}
