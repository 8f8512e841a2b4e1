/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "ctl/property.h"

/*
 * Labels are a bay's number, a state, or a rollout and its wave: what a dock has a bounded number of. No serial, no officer, no path:
 * each would be a series of its own for ever.
 */
#define ROLLOUTS_MAX 16u

static const char *const bay_states[] = { "empty", "identifying", "switching", "checking", "pulling", "settled", "updating", "ready",
                                          "refused", "quarantined", "fault", "ejected" };
static const char *const dock_states[] = { "running", "degraded", "stopping" };
static const char *const store_states[] = { "ready", "missing", "read-only", "full", "error", "paused", "disconnected" };
static const char *const spool_states[] = { "ok", "full", "failing" };
static const char *const chain_states[] = { "checking", "whole", "broken", "unchecked" };
static const char *const healths[] = { "good", "notice", "warning", "serious" };
static const char *const rollout_states[] = { "running", "paused", "aborted", "stopped" };

typedef struct Out {
        FILE *to;
        bool classic;
} Out;

/* ---- The format ----------------------------------------------------------------------------------------------------- */

/* A counter's family has no _total in OpenMetrics, and has it in the format before. */
static void family(const Out *o, const char *name, const char *type, const char *help) {
        size_t n = strlen(name);

        if (!o->classic && text_equal(type, "counter"))
                n -= strlen("_total");
        fprintf(o->to, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int) n, name, help, (int) n, name, type);
}

/* The text is the daemon's: valid UTF-8 without control characters. */
static void label(const Out *o, char before, const char *key, const char *value) {
        fprintf(o->to, "%c%s=\"", before, key);
        for (const char *c = value; *c; c++) {
                if (*c == '"' || *c == '\\')
                        fputc('\\', o->to);
                fputc(*c == '\n' ? ' ' : *c, o->to);
        }
        fputc('"', o->to);
}

static void count(const Out *o, const char *name, const char *type, const char *help, uint64_t value) {
        family(o, name, type, help);
        fprintf(o->to, "%s %" PRIu64 "\n", name, value);
}

/* Microseconds as seconds. */
static void seconds(const Out *o, const char *name, const char *help, int64_t usec) {
        family(o, name, "gauge", help);
        fprintf(o->to, "%s %" PRId64 ".%06" PRId64 "\n", name, usec / (int64_t) USEC_PER_SEC, usec % (int64_t) USEC_PER_SEC);
}

/* One sample for each state that there is: 1 for the one that it is in. */
static void state(const Out *o, const char *name, const char *help, const char *const *states, size_t n, const char *now) {
        family(o, name, "gauge", help);
        for (size_t i = 0; i < n; i++) {
                fputs(name, o->to);
                label(o, '{', "state", states[i]);
                fprintf(o->to, "} %d\n", text_equal(states[i], now));
        }
}

/* ---- The dock --------------------------------------------------------------------------------------------------------- */

static void write_dock(const Out *o, const DockManager *m) {
        family(o, "berth_build_info", "gauge", "The running daemon; always 1.");
        fputs("berth_build_info", o->to);
        label(o, '{', "version", m->version);
        fputs("} 1\n", o->to);
        state(o, "berth_dock_state", "1 for the state that the dock is in.", dock_states, ELEMENTSOF(dock_states), m->state);
        state(o, "berth_store_state", "1 for the state that the store is in.", store_states, ELEMENTSOF(store_states), m->store_state);
        state(o, "berth_spool_state", "1 for the state that the spool is in.", spool_states, ELEMENTSOF(spool_states), m->spool_state);
        state(o, "berth_custody_chain_state", "1 for what the proof of the custody chain came to.", chain_states, ELEMENTSOF(chain_states),
              m->chain_state);
        count(o, "berth_spool_free_bytes", "gauge", "Free on the spool's disk.", m->spool_free_bytes);
        count(o, "berth_spool_used_bytes", "gauge", "In use on the spool's disk, by whatever lies there.", m->spool_used_bytes);
        if (m->spool_holds_sec >= 0)
                count(o, "berth_spool_remaining_seconds", "gauge",
                      "How long the spool will hold what comes, at the pace of the last day, if the store takes nothing; "
                      "absent while nothing came.",
                      (uint64_t) m->spool_holds_sec);
        count(o, "berth_unstored_clips", "gauge", "Clips on the dock without the store's receipt.", m->unstored_clips);
        count(o, "berth_unstored_bytes", "gauge", "Bytes of those clips.", m->unstored_bytes);
        count(o, "berth_uploads_paused", "gauge", "1 while an operator has paused the uploads.", m->uploads_paused);
        count(o, "berth_clock_synchronised", "gauge", "1 while the dock's clock is known to be right.", m->clock_synchronised);
        if (m->next_shift_usec > 0)
                seconds(o, "berth_next_shift_timestamp_seconds", "When cameras are wanted next; absent when nobody said.",
                        m->next_shift_usec);
}

/* ---- Bays and cameras --------------------------------------------------------------------------------------------------- */

static void write_bay_states(const Out *o, const Dock *dock) {
        size_t in[ELEMENTSOF(bay_states)] = { 0 };

        family(o, "berth_bay_state", "gauge", "1 for the state that the bay is in.");
        for (size_t b = 0; b < dock->n_bays; b++)
                for (size_t i = 0; i < ELEMENTSOF(bay_states); i++) {
                        bool now = text_equal(dock->bays[b]->state, bay_states[i]);

                        in[i] += now;
                        fprintf(o->to, "berth_bay_state{bay=\"%u\",state=\"%s\"} %d\n", dock->bays[b]->number, bay_states[i], now);
                }
        family(o, "berth_bays", "gauge", "Bays by the state that they are in.");
        for (size_t i = 0; i < ELEMENTSOF(bay_states); i++)
                fprintf(o->to, "berth_bays{state=\"%s\"} %zu\n", bay_states[i], in[i]);
}

/* A figure of each bay in which it is known. */
typedef struct BayMetric {
        const char *name, *help;
        bool (*known)(const DockBay *b);
        double (*value)(const DockBay *b);
} BayMetric;

static bool battery_known(const DockBay *b) { return b->battery_percent >= 0; }
static double battery(const DockBay *b) { return b->battery_percent / 100.0; }
static bool charge_known(const DockBay *b) { return b->charge_percent >= 0; }
static double charge(const DockBay *b) { return b->charge_percent / 100.0; }
static bool has_camera(const DockBay *b) { return *b->serial != 0; }
static double faults(const DockBay *b) { return b->faults; }
static double clips_left(const DockBay *b) { return b->clips_total - MIN2(b->clips_copied, b->clips_total); }
static double bytes_left(const DockBay *b) { return (double) (b->bytes_total - MIN2(b->bytes_copied, b->bytes_total)); }
static double power(const DockBay *b) { return b->power; }
static bool always(const DockBay *b) { return b != NULL; }

static const BayMetric bay_metrics[] = {
        { "berth_bay_battery_ratio", "Battery of the bay's camera as last told, 0 to 1; absent when not known.", battery_known, battery },
        { "berth_bay_charge_ratio", "The same as estimated since then.", charge_known, charge },
        { "berth_bay_docking_faults", "How often the docking that is under way has failed.", has_camera, faults },
        { "berth_bay_unread_clips", "Clips of the bay's camera that are not yet whole on the dock.", has_camera, clips_left },
        { "berth_bay_unread_bytes", "Bytes of the bay's camera that are still to be read.", has_camera, bytes_left },
        { "berth_bay_power", "1 while the bay's port has power, as far as the daemon switched it.", always, power },
};

static void write_bays(const Out *o, const Dock *dock) {
        write_bay_states(o, dock);
        for (size_t i = 0; i < ELEMENTSOF(bay_metrics); i++) {
                const BayMetric *metric = &bay_metrics[i];

                family(o, metric->name, "gauge", metric->help);
                for (size_t b = 0; b < dock->n_bays; b++)
                        if (metric->known(dock->bays[b]))
                                fprintf(o->to, "%s{bay=\"%u\"} %.17g\n", metric->name, dock->bays[b]->number,
                                        metric->value(dock->bays[b]));
        }
}

static void write_cameras(const Out *o, const Dock *dock) {
        size_t held_back = 0;

        family(o, "berth_cameras", "gauge", "Cameras docked since the daemon began, by their health.");
        for (size_t i = 0; i < ELEMENTSOF(healths); i++) {
                size_t n = 0;

                for (size_t c = 0; c < dock->n_cameras; c++)
                        n += text_equal(dock->cameras[c]->health, healths[i]);
                fprintf(o->to, "berth_cameras{health=\"%s\"} %zu\n", healths[i], n);
        }
        for (size_t c = 0; c < dock->n_cameras; c++)
                held_back += *dock->cameras[c]->held_back != 0;
        count(o, "berth_cameras_held_back", "gauge", "Of those, not to be issued for what was found out about them.", held_back);
}

/* ---- Figures -------------------------------------------------------------------------------------------------------------- */

static void write_by_stage(const Out *o, const char *name, const char *help, json_t *tally) {
        const char *stage;
        json_t *value;

        family(o, name, "gauge", help);
        json_object_foreach(tally, stage, value) {
                fputs(name, o->to);
                label(o, '{', "stage", stage);
                fprintf(o->to, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
        }
}

static void write_figures(const Out *o, const DockFigures *f) {
        write_by_stage(o, "berth_clips", "Clips that the dock knows, by the stage that is on record.", f->clips);
        write_by_stage(o, "berth_clips_size_bytes", "Bytes of those clips.", f->bytes);
        if (f->oldest_unstored_usec != PROPERTY_TIME_UNKNOWN)
                seconds(o, "berth_oldest_unstored_clip_timestamp_seconds",
                        "When the clip that waits longest for the store was first seen; absent when all is stored.",
                        f->oldest_unstored_usec);
        count(o, "berth_uploads_under_way", "gauge", "Clips on their way to the store.", f->uploads_under_way);
        count(o, "berth_read_bytes_total", "counter", "Read from cameras.", f->read_bytes);
        count(o, "berth_copied_clips_total", "counter", "Clips that became whole on the dock.", f->copied_clips);
        count(o, "berth_copied_bytes_total", "counter", "Bytes of those clips.", f->copied_bytes);
        count(o, "berth_stored_clips_total", "counter", "Clips that got the store's receipt.", f->stored_clips);
        count(o, "berth_stored_bytes_total", "counter", "Bytes of those clips.", f->stored_bytes);
        count(o, "berth_erased_clips_total", "counter", "Clips erased from cameras.", f->erased_clips);
        count(o, "berth_faults_total", "counter", "Dockings that failed, each time that they did.", f->faults);
        count(o, "berth_custody_events_total", "counter", "Events in the custody log.", f->custody_events);
}

/* ---- Rollouts --------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *one, const char *key) {
        const char *text = json_string_value(json_object_get(one, key));

        return text ? text : "";
}

static void write_waves(const Out *o, const json_t *rollouts, size_t first, const char *name, const char *help, const char *key) {
        const json_t *wave;
        size_t k;

        family(o, name, "gauge", help);
        for (size_t i = first; i < json_array_size(rollouts); i++) {
                const json_t *one = json_array_get(rollouts, i);

                json_array_foreach(json_object_get(one, "waves"), k, wave) {
                        fputs(name, o->to);
                        label(o, '{', "rollout", text_of(one, "id"));
                        fprintf(o->to, ",wave=\"%" JSON_INTEGER_FORMAT "\"} %" JSON_INTEGER_FORMAT "\n",
                                json_integer_value(json_object_get(wave, "wave")), json_integer_value(json_object_get(wave, key)));
                }
        }
}

/* The last ones: a fleet's list of them only grows. */
static void write_rollouts(const Out *o, const json_t *rollouts) {
        size_t n = json_array_size(rollouts), first = n > ROLLOUTS_MAX ? n - ROLLOUTS_MAX : 0;

        count(o, "berth_rollouts", "gauge", "Rollouts that the dock follows; of the last 16 there is more.", n);
        family(o, "berth_rollout_state", "gauge", "1 for the state that the rollout is in.");
        for (size_t i = first; i < n; i++)
                for (size_t s = 0; s < ELEMENTSOF(rollout_states); s++) {
                        const json_t *one = json_array_get(rollouts, i);

                        fputs("berth_rollout_state", o->to);
                        label(o, '{', "rollout", text_of(one, "id"));
                        label(o, ',', "state", rollout_states[s]);
                        fprintf(o->to, "} %d\n", text_equal(text_of(one, "state"), rollout_states[s]));
                }
        write_waves(o, rollouts, first, "berth_rollout_cameras", "About how many cameras the wave has in the fleet.", "cameras");
        write_waves(o, rollouts, first, "berth_rollout_cameras_well", "Cameras of the wave that have the firmware and are well.", "ok");
        write_waves(o, rollouts, first, "berth_rollout_cameras_bad", "Cameras of the wave that are bad by it.", "bad");
}

/* ---- All --------------------------------------------------------------------------------------------------------------------- */

void metrics_write(FILE *to, MetricsFormat format, const Dock *dock, const DockFigures *figures, const json_t *rollouts) {
        Out o = { .to = to, .classic = format == METRICS_CLASSIC };

        count(&o, "berth_up", "gauge", "1 when the daemon answers.", dock != NULL);
        if (dock) {
                write_dock(&o, &dock->manager);
                write_bays(&o, dock);
                write_cameras(&o, dock);
        }
        if (figures)
                write_figures(&o, figures);
        if (rollouts)
                write_rollouts(&o, rollouts);
        if (!o.classic)
                fputs("# EOF\n", to);
}
