/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How the docking's camera is, judged by core/health.h from what it told, and from what is on record of its dockings. What is new in that
 * goes on record; a camera with a serious finding is held back until it is gone, or somebody accepts it.
 */

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"
#include "service/rollout.h"

/* "MODEL:VERSION …": the version for this model, as far as the next space, or NULL. */
static const char *set_for(const Settings *s, const char *model_id, size_t *ret_length) {
        size_t n = strlen(model_id);

        for (const char *word = s->firmware ?: ""; *word; word += strspn(word, " ")) {
                size_t length = strcspn(word, " ");

                if (length > n && strncmp(word, model_id, n) == 0 && word[n] == ':') {
                        *ret_length = length - n - 1;
                        return word + n + 1;
                }
                word += length;
        }
        return NULL;
}

/* The newest rollout for the camera's model that goes on: one that was stopped says nothing of what the fleet should have. */
static const Rollout *newest_rollout(const Docking *d) {
        const Rollout *newest = NULL;

        for (const Rollout *r = rollouts_first(d->manager->rollouts); r; r = rollout_next_in_order(r)) {
                const RolloutOrder *o = rollout_order(r);
                const char *state = rollout_state(r);
                bool goes_on = text_equal(state, "running") || text_equal(state, "paused");

                if (o && goes_on && rollout_order_is_for(o, camera_model_id(d->camera)) &&
                    (!newest || o->plan.begin_usec > rollout_order(newest)->plan.begin_usec))
                        newest = r;
        }
        return newest;
}

/* What became of it there; a camera that is in none of its waves is not meant. */
static HealthFleet fleet_by_rollout(const Docking *d, const Rollout *r) {
        const RolloutOrder *o = rollout_order(r);
        RolloutUnitView view;
        uint32_t wave;

        for (RolloutUnit *u = rollout_first_unit(r); u; u = rollout_unit_next(u)) {
                rollout_unit_view(u, &view);
                if (text_equal(view.serial, camera_serial(d->camera)) && (text_equal(view.state, "bad") || text_equal(view.state, "ok")))
                        return HEALTH_FLEET_FAILED;
        }
        wave = rollout_order_named(o, camera_serial(d->camera));
        if (wave == UINT32_MAX && rollout_wave(&o->plan, camera_serial(d->camera), &wave) < 0)
                return HEALTH_FLEET_NOTHING;
        return wave == ROLLOUT_NO_WAVE ? HEALTH_FLEET_NOTHING : HEALTH_FLEET_COMES;
}

static HealthFleet fleet_by_catalog(const Docking *d) {
        const Catalog *c = catalog_follow_newest(d->manager->catalog_follow);
        bool any = false;

        for (size_t i = 0; c && i < c->n_images; i++) {
                if (!text_equal(c->images[i].model, camera_model_id(d->camera)))
                        continue;
                if (text_equal(c->images[i].version, camera_firmware(d->camera)))
                        return HEALTH_FLEET_NOTHING;
                any = true;
        }
        return any ? HEALTH_FLEET_UNLISTED : HEALTH_FLEET_NOTHING;
}

/* What the settings name counts before a rollout, and that before the catalog. *ret_wanted is the caller's to free. -ENOMEM. */
static int ask_fleet(const Docking *d, HealthFleet *ret, char **ret_wanted) {
        size_t length = 0;
        const char *set = set_for(d->manager->settings, camera_model_id(d->camera), &length);
        const Rollout *rollout = newest_rollout(d);
        HealthFleet fleet = set ? HEALTH_FLEET_SET : rollout ? fleet_by_rollout(d, rollout) : fleet_by_catalog(d);

        if (set)
                *ret_wanted = strndup(set, length);
        else if (rollout && fleet != HEALTH_FLEET_NOTHING)
                *ret_wanted = strdup(rollout_order(rollout)->version);
        *ret = fleet;
        return !*ret_wanted && fleet != HEALTH_FLEET_NOTHING && fleet != HEALTH_FLEET_UNLISTED ? -ENOMEM : 0;
}

static unsigned recordings_left(const Docking *d) {
        unsigned n = 0;

        for (size_t i = 0; i < d->n_clips; i++)
                n += d->clips[i]->on_camera && d->clips[i]->state != CLIP_ERASED && d->clips[i]->state != CLIP_LOST;
        return n;
}

/* What facts point to. */
typedef struct Trends {
        TrendPoint capacities[TREND_POINTS_MAX], drifts[TREND_POINTS_MAX];
} Trends;

static size_t take_points(const HealthPoint *from, size_t n, TrendPoint *to) {
        n = MIN2(n, (size_t) TREND_POINTS_MAX);
        for (size_t i = 0; i < n; i++)
                to[i] = (TrendPoint){ .at_usec = from[i].wall_usec, .value = from[i].value };
        return n;
}

static void take_row(const HealthRow *row, Trends *trends, HealthFacts *ret) {
        ret->drift_known = ret->drift_known && row->drift_known;
        ret->drift_usec = row->drift_usec;
        ret->camera_unix_sec = row->shown_usec / (int64_t) USEC_PER_SEC;
        ret->clock_set_age_usec = (uint64_t) MAX2(row->since_set_usec, INT64_C(0));
        ret->restarts_known = row->restarts_known;
        ret->restarts = row->restarts;
        ret->capacities = trends->capacities;
        ret->n_capacities = take_points(row->capacities, row->n_capacities, trends->capacities);
        ret->drifts = trends->drifts;
        ret->n_drifts = take_points(row->drifts, row->n_drifts, trends->drifts);
}

static int gather(const Docking *d, HealthFleet fleet, const char *wanted, Trends *trends, HealthFacts *ret) {
        const WorkerHealth *h = &d->health;
        unsigned permille = 1000;
        HealthRow row;
        int r;

        r = store_charge_permille(d->manager->store, camera_id(d->camera), &permille);
        if (r < 0 && r != -ENOENT)
                return r;
        r = store_health(d->manager->store, camera_id(d->camera), camera_storage_id(d->camera), HEALTH_DOCKINGS, HEALTH_WEAK_PERCENT,
                         &row);
        if (r < 0)
                return r;
        *ret = (HealthFacts){
                .storage_known = h->storage_known,
                .read_only = h->read_only,
                .storage_total_bytes = h->storage_total_bytes,
                .storage_free_bytes = h->storage_free_bytes,
                .storage_before_bytes = row.storage_before_bytes,
                .volume_known = h->volume_known,
                .volume_dirty = h->volume_dirty,
                .drift_known = h->clock_known && !d->behind && manager_clock_synchronised(d->manager),
                .firmware = camera_firmware(d->camera),
                .fleet = fleet,
                .firmware_wanted = wanted,
                .medium_errors = row.medium_errors,
                .faulted_dockings = row.faulted_dockings,
                .faulted_bays = row.faulted_bays,
                .free_known = d->clips_erased == 0,
                .done = d->judged_done,
                .recordings_left = recordings_left(d),
                .weak_dockings = row.weak_dockings,
                /* It is charged sooner than its model's curve says, by as much as it holds less. */
                .battery_wear_percent = permille < 1000 ? (int) (1000 - permille) / 10 : 0,
        };
        ret->temperature_known = h->temperature_known;
        ret->temperature_decidegrees = h->temperature_decidegrees;
        take_row(&row, trends, ret);
        return 0;
}

static char *findings_to_json(const HealthFinding *findings, size_t n) {
        json_t *array = json_array();
        char *text;

        for (size_t i = 0; i < n && array; i++)
                (void) json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s}", "severity",
                                                              health_severity_to_string(findings[i].severity), "code",
                                                              health_code_to_string(findings[i].code), "text", findings[i].text, "next",
                                                              findings[i].next_step));
        text = array && json_array_size(array) == n ? json_dumps(array, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(array);
        return text;
}

/* Of the findings that hold it back the first: in words, with what to do. */
static char *why_held_back(const Docking *d, const HealthFinding *findings, size_t n, uint32_t codes) {
        for (size_t i = 0; i < n; i++)
                if (codes & HEALTH_BIT(findings[i].code))
                        return text_format("%s; %s, or 'berthctl camera release %s'", findings[i].text, findings[i].next_step,
                                           camera_serial(d->camera));
        /* Not looked at this time: as it was. */
        return strdup(camera_held_back(d->camera));
}

static int add_health(Docking *d, StoreBatch *batch, const char *findings_json) {
        Fact fact = docking_fact(d, FACT_HEALTH, NULL);

        fact.health.findings_json = findings_json;
        return store_batch_add(batch, &fact);
}

static int add_standing(Docking *d, StoreBatch *batch, HealthStanding before, HealthStanding now, const char *reason) {
        char held_back[HEALTH_CODES_SIZE], accepted[HEALTH_CODES_SIZE];
        Fact fact = docking_fact(d, now.quarantined ? FACT_HELD_BACK : FACT_LET_GO, NULL);

        fact.text = now.quarantined ? reason : before.quarantined ? "a check found nothing serious any more" :
                                                                    "what it was released in spite of is not found any more";
        fact.health.held_back = health_codes_to_text(now.quarantined ? now.quarantined : before.quarantined, held_back);
        fact.health.accepted = health_codes_to_text(now.accepted, accepted);
        return store_batch_add(batch, &fact);
}

static void judged(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (d && result < 0)
                docking_trouble(d, result, "what was found out about the camera cannot be recorded");
}

static int judge(Docking *d) {
        _cleanup_(freep) char *wanted = NULL, *json = NULL, *reason = NULL;
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        HealthStanding before = camera_standing(d->camera), now;
        HealthLimits limits = d->manager->settings->health;
        HealthFinding findings[_HEALTH_CODE_MAX];
        bool same_findings, same_standing;
        HealthFleet fleet;
        HealthFacts facts;
        Trends trends;
        size_t n;
        int r;

        limits.charge = d->manager->settings->charge.temperature;
        r = ask_fleet(d, &fleet, &wanted);
        if (r < 0)
                return r;
        r = gather(d, fleet, wanted, &trends, &facts);
        if (r < 0)
                return r;
        n = health_judge(&facts, &limits, findings);
        now = health_standing(before, health_serious(findings, n), health_looked_at(&facts));
        json = findings_to_json(findings, n);
        reason = now.quarantined ? why_held_back(d, findings, n, now.quarantined) : strdup("");
        if (!json || !reason)
                return -ENOMEM;
        same_findings = text_equal(json, camera_findings(d->camera));
        same_standing = now.quarantined == before.quarantined && now.accepted == before.accepted;
        if (same_findings && same_standing)
                return 0;
        r = store_batch_new(&batch);
        if (r >= 0 && !same_findings)
                r = add_health(d, batch, json);
        if (r >= 0 && !same_standing)
                r = add_standing(d, batch, before, now, reason);
        /* Shown at once: it goes on record before anything that follows from it, and a camera that is sick is not issued meanwhile. */
        if (r >= 0)
                r = camera_set_health(d->camera, json, now, reason);
        return r < 0 ? r : docking_commit(d, TAKE_PTR(batch), NULL, judged);
}

void docking_judge(Docking *d) {
        LogAbout about = docking_about(d);
        int r;

        /* What two cameras show as one is not judged as one. */
        if (camera_is_ambiguous(d->camera))
                return;
        r = judge(d);
        if (r < 0)
                log_warning(&about, "How the camera is cannot be judged: %s", strerror(-r));
}
