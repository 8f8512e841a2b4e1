/* SPDX-License-Identifier: Apache-2.0 */
#include "core/health.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"

/* A clock that shows less than this was never set since it lost its power; no camera of today recorded before. */
#define CLOCK_LOST_UNIX_SEC INT64_C(1577836800) /* 2020-01-01 */
/* A drift is a rate only over some time: cameras tell whole seconds. */
#define RATE_MIN_USEC (UINT64_C(6) * 3600 * USEC_PER_SEC)
#define DAY_USEC (INT64_C(24) * 3600 * (int64_t) USEC_PER_SEC)
/* A file system's own tables may be counted or not: less than a hundredth of difference is none. */
#define SHRUNK_PART 100u
#define WEAR_SPAN_MIN_PERCENT 20u

static const char *const health_severity_table[_HEALTH_SEVERITY_MAX] = {
        [HEALTH_NOTICE] = "notice",
        [HEALTH_WARNING] = "warning",
        [HEALTH_SERIOUS] = "serious",
};
DEFINE_STRING_TABLE(health_severity, HealthSeverity, health_severity_table)

static const char *const health_code_table[_HEALTH_CODE_MAX] = {
        [HEALTH_STORAGE_READ_ONLY] = "storage-read-only",
        [HEALTH_STORAGE_SHRUNK] = "storage-shrunk",
        [HEALTH_STORAGE_FULL] = "storage-full",
        [HEALTH_MEDIUM_ERRORS] = "medium-errors",
        [HEALTH_VOLUME_DIRTY] = "volume-dirty",
        [HEALTH_CLOCK_LOST] = "clock-lost",
        [HEALTH_CLOCK_RUNS_OFF] = "clock-runs-off",
        [HEALTH_FIRMWARE_OTHER] = "firmware-other",
        [HEALTH_CAMERA_FAULTS] = "camera-faults",
        [HEALTH_RECORDINGS_LEFT] = "recordings-left",
        [HEALTH_BATTERY_WORN] = "battery-worn",
        [HEALTH_BATTERY_WEAK] = "battery-weak",
        [HEALTH_TEMPERATURE] = "temperature",
        [HEALTH_HOT] = "hot",
        [HEALTH_BATTERY_FADES] = "battery-fades",
        [HEALTH_CLOCK_WORSENS] = "clock-worsens",
        [HEALTH_RESTARTS] = "restarts",
        [HEALTH_FIRMWARE_COMES] = "firmware-comes",
        [HEALTH_FIRMWARE_UNLISTED] = "firmware-unlisted",
};
DEFINE_STRING_TABLE(health_code, HealthCode, health_code_table)

static const char *const next_steps[_HEALTH_CODE_MAX] = {
        [HEALTH_STORAGE_READ_ONLY] = "look for a lock on the card, else exchange the card",
        [HEALTH_STORAGE_SHRUNK] = "exchange the card, and ask who changed it if nobody knows",
        [HEALTH_STORAGE_FULL] = "free the camera's storage by its maker's tool: Berth erases recordings only",
        [HEALTH_MEDIUM_ERRORS] = "exchange the card, and keep the old one as long as its recordings are incomplete",
        [HEALTH_VOLUME_DIRTY] = "tell officers to stop recording before the battery is empty; if it stays, have the card formatted",
        [HEALTH_CLOCK_LOST] = "exchange the battery that keeps the clock, if it happens again",
        [HEALTH_CLOCK_RUNS_OFF] = "send the camera in: its clock is not to be relied on between dockings",
        [HEALTH_FIRMWARE_OTHER] = "update the camera",
        [HEALTH_CAMERA_FAULTS] = "clean the camera's contacts, else send it in",
        [HEALTH_RECORDINGS_LEFT] = "leave it docked; 'berthctl clips --camera' tells what keeps them there",
        [HEALTH_BATTERY_WORN] = "have the battery exchanged",
        [HEALTH_BATTERY_WEAK] = "have the battery looked at, or dock the camera earlier in the shift",
        [HEALTH_TEMPERATURE] = "leave it docked: it is charged as soon as it may be; if it stays, look at the room, else at the battery",
        [HEALTH_BATTERY_FADES] = "plan for a new battery",
        [HEALTH_CLOCK_WORSENS] = "send the camera in before its clock is not to be relied on: the battery that keeps it may be at its end",
        [HEALTH_RESTARTS] = "ask the officer what happened, look for newer firmware, and send it in if it goes on",
        [HEALTH_FIRMWARE_COMES] = "leave it docked; 'berthctl rollout status' tells when it is its turn",
        [HEALTH_FIRMWARE_UNLISTED] = "find out where it has that from, or add it to the catalog",
        [HEALTH_HOT] = "take it out of the rack, away from what burns, and have its battery looked at",
};

char *health_codes_to_text(uint32_t codes, char ret[static HEALTH_CODES_SIZE]) {
        size_t n = 0;

        ret[0] = 0;
        for (HealthCode c = 0; c < _HEALTH_CODE_MAX; c++)
                if (codes & HEALTH_BIT(c))
                        n += (size_t) snprintf(ret + n, HEALTH_CODES_SIZE - n, "%s%s", n ? "," : "", health_code_to_string(c));
        return ret;
}

uint32_t health_codes_from_text(const char *text) {
        uint32_t codes = 0;

        while (text && *text) {
                size_t n = strcspn(text, ",");

                for (HealthCode c = 0; c < _HEALTH_CODE_MAX; c++)
                        if (strlen(health_code_table[c]) == n && strncmp(health_code_table[c], text, n) == 0)
                                codes |= HEALTH_BIT(c);
                text += n + (text[n] == ',');
        }
        return codes;
}

/* ---- Findings ------------------------------------------------------------------------------------------------------ */

typedef struct Findings {
        HealthFinding *items;
        size_t n;
} Findings;

_printf_(4, 5) static void found(Findings *f, HealthCode code, HealthSeverity severity, const char *format, ...) {
        HealthFinding *finding = &f->items[f->n++];
        va_list ap;

        finding->code = code;
        finding->severity = severity;
        finding->next_step = next_steps[code];
        va_start(ap, format);
        (void) vsnprintf(finding->text, sizeof(finding->text), format, ap);
        va_end(ap);
}

static void judge_storage(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        char now[16], before[16];

        if (!h->storage_known)
                return;
        if (h->read_only)
                found(f, HEALTH_STORAGE_READ_ONLY, HEALTH_SERIOUS, "its storage takes no writes: it can record nothing");
        if (h->storage_before_bytes > 0 && h->storage_total_bytes < h->storage_before_bytes - h->storage_before_bytes / SHRUNK_PART)
                found(f, HEALTH_STORAGE_SHRUNK, HEALTH_SERIOUS, "its storage holds %s, and held %s before",
                      text_bytes(h->storage_total_bytes, now), text_bytes(h->storage_before_bytes, before));
        if (h->done && h->free_known && h->recordings_left == 0 && h->storage_total_bytes > 0 &&
            h->storage_free_bytes / ((h->storage_total_bytes + 99) / 100) < l->storage_free_percent)
                found(f, HEALTH_STORAGE_FULL, HEALTH_SERIOUS, "%s of its storage are free, though no recording is on it",
                      text_bytes(h->storage_free_bytes, now));
}

static void judge_medium(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        if (h->medium_errors > 0)
                found(f, HEALTH_MEDIUM_ERRORS, h->medium_errors >= l->medium_errors ? HEALTH_SERIOUS : HEALTH_WARNING,
                      "%u of its recordings could not be read whole in its last %u dockings", h->medium_errors, HEALTH_DOCKINGS);
        if (h->volume_known && h->volume_dirty)
                found(f, HEALTH_VOLUME_DIRTY, HEALTH_WARNING, "its file system was not left cleanly");
}

static void judge_clock_trend(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        int64_t usec;

        if (l->drift_trend_usec > 0 && trend_per_month(h->drifts, h->n_drifts, &usec) && usec > l->drift_trend_usec)
                found(f, HEALTH_CLOCK_WORSENS, HEALTH_WARNING, "its clock runs off more and more: by %" PRId64 " s a day more each month",
                      usec / (int64_t) USEC_PER_SEC);
}

static void judge_clock(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        int64_t per_day, sec;

        if (!h->drift_known)
                return;
        if (h->camera_unix_sec < CLOCK_LOST_UNIX_SEC) {
                found(f, HEALTH_CLOCK_LOST, HEALTH_WARNING, "its clock had lost the time, and stamped its recordings wrongly since then");
                return;
        }
        if (h->clock_set_age_usec < RATE_MIN_USEC)
                return;
        /* By hours, so that nothing overflows: a drift fits within centuries. */
        per_day = h->drift_usec / (int64_t) (h->clock_set_age_usec / (UINT64_C(3600) * USEC_PER_SEC)) * 24;
        per_day = per_day < 0 ? -per_day : per_day;
        if (per_day <= l->drift_usec_per_day)
                return;
        sec = per_day / (int64_t) USEC_PER_SEC;
        found(f, HEALTH_CLOCK_RUNS_OFF, HEALTH_WARNING, "its clock %s %" PRId64 " s a day", h->drift_usec > 0 ? "gains" : "loses", sec);
}

static void judge_battery(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        unsigned wear = h->battery_wear_percent < 0 ? 0 : (unsigned) h->battery_wear_percent;
        int64_t permille;

        if (wear > l->battery_wear_percent)
                found(f, HEALTH_BATTERY_WORN, wear * 2 > l->battery_wear_percent * 3 ? HEALTH_SERIOUS : HEALTH_WARNING,
                      "its battery holds about %u percent less than when it was new", wear);
        if (l->battery_fade_percent > 0 && trend_per_month(h->capacities, h->n_capacities, &permille) &&
            -permille > (int64_t) l->battery_fade_percent * 10)
                found(f, HEALTH_BATTERY_FADES, HEALTH_WARNING, "its battery holds %" PRId64 " percent less each month", -permille / 10);
        if (l->weak_dockings > 0 && h->weak_dockings >= l->weak_dockings)
                found(f, HEALTH_BATTERY_WEAK, HEALTH_WARNING, "it came back with %d percent of charge or less %u times in a row",
                      HEALTH_WEAK_PERCENT, h->weak_dockings);
}

/* In words that stay the same while it does: each new sentence goes on record. */
static void judge_temperature(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        if (!h->temperature_known)
                return;
        if (h->temperature_decidegrees >= l->hot_decidegrees)
                found(f, HEALTH_HOT, HEALTH_SERIOUS, "it is hot: %d degrees Celsius or more", l->hot_decidegrees / 10);
        else if (h->temperature_decidegrees > l->charge.max_decidegrees)
                found(f, HEALTH_TEMPERATURE, HEALTH_WARNING, "it is too warm to be charged: more than %d degrees Celsius",
                      l->charge.max_decidegrees / 10);
        else if (h->temperature_decidegrees < l->charge.min_decidegrees)
                found(f, HEALTH_TEMPERATURE, HEALTH_WARNING, "it is too cold to be charged: less than %d degrees Celsius",
                      l->charge.min_decidegrees / 10);
}

static bool firmware_known(const HealthFacts *h) {
        return h->firmware && *h->firmware && h->fleet != HEALTH_FLEET_NOTHING;
}

static void judge_firmware(const HealthFacts *h, Findings *f) {
        if (!firmware_known(h) || (h->firmware_wanted && text_equal(h->firmware, h->firmware_wanted)))
                return;
        if (h->fleet == HEALTH_FLEET_UNLISTED)
                found(f, HEALTH_FIRMWARE_UNLISTED, HEALTH_NOTICE,
                      "its firmware is %.40s, which the fleet's catalog does not have for its model", h->firmware);
        else if (h->fleet == HEALTH_FLEET_COMES)
                found(f, HEALTH_FIRMWARE_COMES, HEALTH_NOTICE, "its firmware is %.40s, and a rollout brings it %.40s", h->firmware,
                      h->firmware_wanted);
        else if (h->fleet == HEALTH_FLEET_FAILED)
                found(f, HEALTH_FIRMWARE_OTHER, HEALTH_WARNING, "its firmware is %.40s, and the rollout of %.40s did not change that",
                      h->firmware, h->firmware_wanted);
        else
                found(f, HEALTH_FIRMWARE_OTHER, HEALTH_WARNING, "its firmware is %.40s, and the fleet's is %.40s", h->firmware,
                      h->firmware_wanted);
}

static void judge_rest(const HealthFacts *h, const HealthLimits *l, Findings *f) {
        judge_firmware(h, f);
        /* In one bay alone it may be the bay: core/bay_health.c. */
        if (h->faulted_bays > 1 && l->faulted_dockings > 0 && h->faulted_dockings >= l->faulted_dockings)
                found(f, HEALTH_CAMERA_FAULTS, HEALTH_SERIOUS, "%u of its last %u dockings faulted, in %u bays", h->faulted_dockings,
                      HEALTH_DOCKINGS, h->faulted_bays);
        if (l->restarts > 0 && h->restarts_known && h->restarts >= l->restarts)
                found(f, HEALTH_RESTARTS, HEALTH_WARNING, "it started again by itself %" PRIu64 " times in its last %u dockings",
                      h->restarts, HEALTH_DOCKINGS);
        if (h->done && h->recordings_left > 0)
                found(f, HEALTH_RECORDINGS_LEFT, HEALTH_NOTICE, "%u recordings are left on it", h->recordings_left);
}

size_t health_judge(const HealthFacts *facts, const HealthLimits *limits, HealthFinding ret[static _HEALTH_CODE_MAX]) {
        HealthFinding all[_HEALTH_CODE_MAX] = { 0 };
        Findings f = { .items = all };
        size_t n = 0;

        judge_storage(facts, limits, &f);
        judge_medium(facts, limits, &f);
        judge_clock(facts, limits, &f);
        judge_clock_trend(facts, limits, &f);
        judge_battery(facts, limits, &f);
        judge_temperature(facts, limits, &f);
        judge_rest(facts, limits, &f);
        for (HealthSeverity s = _HEALTH_SEVERITY_MAX; s-- > 0;)
                for (size_t i = 0; i < f.n; i++)
                        if (all[i].severity == s)
                                ret[n++] = all[i];
        return n;
}

uint32_t health_looked_at(const HealthFacts *h) {
        uint32_t codes = HEALTH_BIT(HEALTH_MEDIUM_ERRORS) | HEALTH_BIT(HEALTH_CAMERA_FAULTS) | HEALTH_BIT(HEALTH_BATTERY_WEAK) |
                         HEALTH_BIT(HEALTH_BATTERY_FADES) | HEALTH_BIT(HEALTH_CLOCK_WORSENS);

        if (h->storage_known)
                codes |= HEALTH_BIT(HEALTH_STORAGE_READ_ONLY) | HEALTH_BIT(HEALTH_STORAGE_SHRUNK);
        if (h->storage_known && h->free_known && h->done)
                codes |= HEALTH_BIT(HEALTH_STORAGE_FULL);
        if (h->done)
                codes |= HEALTH_BIT(HEALTH_RECORDINGS_LEFT);
        if (h->volume_known)
                codes |= HEALTH_BIT(HEALTH_VOLUME_DIRTY);
        if (h->drift_known)
                codes |= HEALTH_BIT(HEALTH_CLOCK_LOST) | HEALTH_BIT(HEALTH_CLOCK_RUNS_OFF);
        if (firmware_known(h))
                codes |= HEALTH_BIT(HEALTH_FIRMWARE_OTHER) | HEALTH_BIT(HEALTH_FIRMWARE_COMES) | HEALTH_BIT(HEALTH_FIRMWARE_UNLISTED);
        if (h->battery_wear_percent >= 0)
                codes |= HEALTH_BIT(HEALTH_BATTERY_WORN);
        if (h->restarts_known)
                codes |= HEALTH_BIT(HEALTH_RESTARTS);
        if (h->temperature_known)
                codes |= HEALTH_BIT(HEALTH_TEMPERATURE) | HEALTH_BIT(HEALTH_HOT);
        return codes;
}

/* ---- May it be issued? --------------------------------------------------------------------------------------------- */

uint32_t health_serious(const HealthFinding *findings, size_t n) {
        uint32_t codes = 0;

        for (size_t i = 0; i < n; i++)
                if (findings[i].severity == HEALTH_SERIOUS)
                        codes |= HEALTH_BIT(findings[i].code);
        return codes;
}

HealthStanding health_standing(HealthStanding before, uint32_t serious, uint32_t looked_at) {
        HealthStanding now = { .accepted = before.accepted & (serious | ~looked_at) };

        /* What was not looked for counts as it was. */
        now.quarantined = (serious | (before.quarantined & ~looked_at)) & ~now.accepted;
        return now;
}

HealthStanding health_released(HealthStanding before) {
        return (HealthStanding){ .accepted = before.accepted | before.quarantined };
}

int health_battery_wear(uint64_t took_usec, uint64_t expected_usec, unsigned percents) {
        if (percents < WEAR_SPAN_MIN_PERCENT || expected_usec < 100)
                return -1;
        return took_usec >= expected_usec ? 0 : (int) (100 - took_usec / (expected_usec / 100));
}
