/* SPDX-License-Identifier: Apache-2.0 */
#include "core/flash.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "core/version.h"

/* ---- May it be flashed? ------------------------------------------------------------------------------------------- */

static bool is_set(const char *text) {
        return text && *text;
}

/* A floor that cannot be compared with is not kept, as far as anybody can tell. */
static bool keeps_floor(const FlashCamera *c) {
        int order;

        if (!is_set(c->floor))
                return true;
        return is_set(c->version) && version_compare(c->version, c->floor, &order) >= 0 && order >= 0;
}

static bool charged_enough(const FlashCamera *c) {
        return c->battery_floor_percent == 0 ||
               (c->battery_percent >= 0 && (unsigned) c->battery_percent >= c->battery_floor_percent);
}

/* A full battery takes no charge, and many cameras then say so. */
static bool is_fed(const FlashCamera *c) {
        return c->powered && (!c->charging_known || c->charging || c->battery_percent >= 100);
}

/* When its bay's power counts as steady; 0: it does. */
static uint64_t steady_at(const FlashCamera *c, uint64_t now_usec) {
        uint64_t at = c->unsteady_usec + FLASH_STEADY_USEC;

        return c->unsteady_usec > 0 && at > now_usec ? at : 0;
}

uint32_t flash_obstacles(const FlashCamera *c, uint32_t allowed, uint64_t now_usec, uint64_t *ret_usec) {
        uint64_t steady_usec = steady_at(c, now_usec);
        const bool stands[_FLASH_WHY_MAX] = {
                [FLASH_FOOTAGE] = !c->listed || c->without_receipt > 0,
                [FLASH_IN_USE] = c->checked_out || c->busy,
                [FLASH_UNDER_WAY] = c->under_way,
                [FLASH_HARDWARE] = !c->hardware_fits,
                [FLASH_TOO_OLD] = !keeps_floor(c),
                [FLASH_LOW] = !charged_enough(c),
                [FLASH_NOT_CHARGED] = !is_fed(c),
                [FLASH_BAY_POWER] = steady_usec > 0,
                [FLASH_PINNED] = c->pinned,
                [FLASH_TRIED] = c->attempts >= c->attempts_max,
        };
        uint32_t why = 0;

        for (unsigned i = 0; i < _FLASH_WHY_MAX; i++)
                if (stands[i])
                        why |= FLASH_BIT(i);
        *ret_usec = steady_usec;
        return why & ~(allowed & FLASH_ALLOWABLE);
}

static const struct {
        const char *code, *text;
        bool passes;
} whys[_FLASH_WHY_MAX] = {
        [FLASH_FOOTAGE] = { "system-inhibit", "has footage that the store gave no receipt for", true },
        [FLASH_IN_USE] = { "in-use", "is checked out, or the dock is at work with it", true },
        [FLASH_UNDER_WAY] = { "update-in-progress", "is being flashed", true },
        [FLASH_HARDWARE] = { "not-supported", "has a hardware revision that this firmware is not made for", false },
        [FLASH_TOO_OLD] = { "version-newer", "must not get firmware that may be older than its model's floor", false },
        [FLASH_LOW] = { "power-too-low", "is not charged enough, or does not tell how far it is charged", true },
        [FLASH_NOT_CHARGED] = { "require-ac-power", "is not being charged", true },
        [FLASH_BAY_POWER] = { "system-power-too-low", "is in a bay whose power was not steady in the last minute", true },
        [FLASH_PINNED] = { "permission-denied", "is pinned to the firmware that it has", false },
        [FLASH_TRIED] = { "needs-user-action", "was tried as often as it may be: look at it, then allow another attempt", false },
};

const char *flash_why_to_code(FlashWhy why) {
        return why < _FLASH_WHY_MAX ? whys[why].code : NULL;
}

const char *flash_why_to_text(FlashWhy why) {
        return why < _FLASH_WHY_MAX ? whys[why].text : NULL;
}

bool flash_why_passes(FlashWhy why) {
        return why < _FLASH_WHY_MAX && whys[why].passes;
}

/* ---- One flash ---------------------------------------------------------------------------------------------------- */

static const char *const outcome_names[_FLASH_OUTCOME_MAX] = {
        [FLASH_OK] = "ok",
        [FLASH_OLD_VERSION] = "old-version",
        [FLASH_NOT_BACK] = "not-back",
        [FLASH_FAILED] = "failed",
};

const char *flash_outcome_to_string(FlashOutcome o) {
        return o >= 0 && o < _FLASH_OUTCOME_MAX ? outcome_names[o] : NULL;
}

FlashOutcome flash_outcome_from_string(const char *s) {
        for (int i = 0; i < _FLASH_OUTCOME_MAX; i++)
                if (strcmp(outcome_names[i], s) == 0)
                        return (FlashOutcome) i;
        return _FLASH_OUTCOME_INVALID;
}

static FlashDecision record_outcome(FlashOutcome outcome) {
        return (FlashDecision) { .step = FLASH_STEP_RECORD, .outcome = outcome };
}

static FlashDecision wait_until(uint64_t usec) {
        return (FlashDecision) { .step = FLASH_STEP_WAIT, .wake_at_usec = usec };
}

FlashDecision flash_next(const FlashRecord *f, uint64_t now_usec) {
        bool back = is_set(f->came_back);

        /* While somebody sends, nothing is decided. Past its deadline it ends itself: its death is a fact to wait for. */
        if (f->worker_lives)
                return wait_until(f->worker_by_usec > now_usec ? f->worker_by_usec : 0);
        if (back && strcmp(f->came_back, f->version) == 0)
                return f->ended && f->outcome == FLASH_OK ? (FlashDecision) { .step = FLASH_STEP_DONE } : record_outcome(FLASH_OK);
        /* It was thought lost, and turns up waiting for firmware: it is finished all the same. */
        if (f->ended && f->outcome == FLASH_NOT_BACK && !back && f->in_update_mode && f->sendings < f->sendings_max)
                return (FlashDecision) { .step = FLASH_STEP_SEND };
        if (f->ended)
                return (FlashDecision) { .step = FLASH_STEP_DONE };
        if (back)
                return record_outcome(f->transfer == FLASH_SENT ? FLASH_OLD_VERSION : FLASH_FAILED);
        if (f->in_update_mode && f->transfer != FLASH_SENT)
                return f->sendings < f->sendings_max ? (FlashDecision) { .step = FLASH_STEP_SEND } : record_outcome(FLASH_FAILED);
        if (now_usec < f->back_by_usec)
                return wait_until(f->back_by_usec);
        /* It took all of it and waits for more: what it took was not what it wants, or was lost to it. */
        if (f->in_update_mode && f->sendings < f->sendings_max)
                return (FlashDecision) { .step = FLASH_STEP_SEND };
        return record_outcome(FLASH_NOT_BACK);
}
