/* SPDX-License-Identifier: Apache-2.0 */
#include "service/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "core/outlook.h"
#include "service/docking.h"
#include "service/leftover.h"
#include "service/manager_private.h"
#include "service/rollout.h"
#include "service/recover.h"
#include "service/restored.h"

/* ---- The observer ---------------------------------------------------------------------------------------------- */

/* The database's thread says nothing itself. */
static void say_database(Manager *m) {
        const char *why;
        bool failing = m->store && store_is_failing(m->store, &why);

        if (failing && !m->said_failing)
                log_message(LOG_ERR, MESSAGE_DATABASE_FAILING, "The database cannot be written: %s", why);
        else if (!failing && m->said_failing)
                log_message(LOG_NOTICE, MESSAGE_DATABASE_BACK, "The database can be written again");
        m->said_failing = failing;
}

void manager_tell(Manager *m) {
        say_database(m);
        if (m->observer && m->observer->manager_changed)
                m->observer->manager_changed(m->observer_userdata);
}

void manager_tell_transfers(Manager *m) {
        if (m->observer && m->observer->transfers_changed)
                m->observer->transfers_changed(m->observer_userdata);
}

void manager_tell_bay(Manager *m, Bay *bay) {
        if (m->observer && m->observer->bay_changed)
                m->observer->bay_changed(m->observer_userdata, bay);
}

void manager_tell_camera(Manager *m, Camera *camera, bool added) {
        if (!m->observer)
                return;
        if (added && m->observer->camera_added)
                m->observer->camera_added(m->observer_userdata, camera);
        else if (!added && m->observer->camera_changed)
                m->observer->camera_changed(m->observer_userdata, camera);
}

void manager_set_observer(Manager *m, const ManagerObserver *observer, void *userdata) {
        m->observer = observer;
        m->observer_userdata = userdata;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------ */

const Settings *manager_settings(const Manager *m) {
        return m->settings;
}

const Models *manager_models(const Manager *m) {
        return m->models;
}

Store *manager_store(Manager *m) {
        return m->store;
}

bool manager_clock_synchronised(const Manager *m) {
        return clocksync_is_synchronised(m->clock);
}

void manager_set_bus(Manager *m, sd_bus *bus) {
        clocksync_set_bus(m->clock, bus);
        inhibit_set_bus(m->inhibit, bus);
}

void manager_moment(const Manager *m, Moment *ret) {
        moment_now(manager_clock_synchronised(m), ret);
}

const char *manager_store_state(const Manager *m, const char **ret_reason) {
        return uplink_state(m->uplink, ret_reason);
}

const char *manager_state(const Manager *m, const char **ret_reason) {
        const char *why = "", *store = manager_store_state(m, &why);

        if (m->stopping) {
                *ret_reason = "";
                return "stopping";
        }
        if (store_is_failing(m->store, ret_reason))
                return "degraded";
        if (m->chain_text[0]) {
                *ret_reason = m->chain_text;
                return "degraded";
        }
        if (m->spool_full) {
                *ret_reason = "the spool is full; the footage stays on the cameras until space returns";
                return "degraded";
        }
        /* A pause by the schedule is as the site wants it. */
        if (!text_equal(store, WIRE_STORE_READY) && !text_equal(store, WIRE_STORE_PAUSED)) {
                *ret_reason = why && *why ? why : "the store cannot be reached; the footage is kept on the dock";
                return "degraded";
        }
        if (examine_problem(m->examine)[0]) {
                *ret_reason = examine_problem(m->examine);
                return "degraded";
        }
        *ret_reason = "";
        return "running";
}

void manager_spool_status(const Manager *m, SpoolStatus *ret) {
        const char *why;

        *ret = (SpoolStatus){
                .state = store_is_failing(m->store, &why) ? "failing" : m->spool_full ? "full" : "ok",
                .free_bytes = spool_free_bytes(m->spool),
                .used_bytes = spool_total_bytes(m->spool) - MIN2(spool_free_bytes(m->spool), spool_total_bytes(m->spool)),
                .unstored_clips = m->unstored_clips,
                .unstored_bytes = m->unstored_bytes,
                .holds_sec = m->spool_holds_sec,
        };
}

const Figures *manager_figures(const Manager *m) {
        return &m->figures;
}

void manager_upload_status(const Manager *m, UploadStatus *ret) {
        *ret = (UploadStatus){
                .under_way = manager_uploads_under_way(m),
                .at_once = m->uploads.pace.limit,
                .waiting = m->uploads.n_waiting,
        };
}

Clip *manager_first_transfer(Manager *m) {
        return m->uploads.first_going;
}

unsigned manager_uploads_under_way(const Manager *m) {
        return m->uploads.under_way + m->uploads.growing;
}

Notary *manager_notary(const Manager *m) {
        return m->notary;
}

FleetDocks *manager_fleet_docks(Manager *m) {
        return m->fleet_docks;
}

Roster *manager_roster(Manager *m) {
        return m->roster;
}

const CatalogFollow *manager_catalog_follow(const Manager *m) {
        return m->catalog_follow;
}

const Rollouts *manager_rollouts(const Manager *m) {
        return m->rollouts;
}

const Images *manager_images(const Manager *m) {
        return m->images;
}

RosterFollow *manager_roster_follow(Manager *m) {
        return m->roster_follow;
}

Bay *manager_first_bay(Manager *m) {
        return m->bays;
}

Bay *manager_bay_by_number(Manager *m, unsigned number) {
        for (Bay *b = m->bays; b; b = bay_next_in_order(b))
                if (bay_number(b) == number)
                        return b;
        return NULL;
}

Bay *manager_bay_at(Manager *m, const char *port_path) {
        for (Bay *b = m->bays; b; b = bay_next_in_order(b))
                if (text_equal(bay_port_path(b), port_path))
                        return b;
        return NULL;
}

Camera *manager_first_camera(Manager *m) {
        return m->cameras;
}

Camera *manager_camera_by_serial(Manager *m, const char *serial) {
        for (Camera *c = m->cameras; c; c = camera_next_in_order(c))
                if (text_equal(camera_serial(c), serial))
                        return c;
        return NULL;
}

void manager_kick_bays(Manager *m) {
        for (Bay *b = m->bays; b; b = bay_next_in_order(b))
                docking_kick(bay_docking(b));
}

/* ---- Hot-plug ------------------------------------------------------------------------------------------------------ */

static void on_added(void *userdata, HotplugDevice *device) {
        Manager *m = userdata;

        bay_plugged(manager_bay_at(m, device->port_path), device);
}

/*
 * The last of two devices that showed one serial: it begins anew, as a camera of a serial that is never trusted to go
 * on where an earlier docking ended.
 */
static void release_twins(Manager *m, const Bay *left, const Camera *camera) {
        for (Bay *b = m->bays; b; b = bay_next_in_order(b)) {
                Docking *d = bay_docking(b);

                if (b == left || !d || d->camera != camera || !d->quarantined || !d->twin)
                        continue;
                d->quarantined = d->twin = false;
                docking_kick(d);
        }
}

static void on_removed(void *userdata, const char *port_path) {
        Manager *m = userdata;
        Bay *b = manager_bay_at(m, port_path);
        const Camera *camera = bay_camera(b);

        bay_unplugged(b);
        if (camera && !bay_docking(b))
                release_twins(m, b, camera);
}

static void on_changed(void *userdata, const char *port_path) {
        docking_kick(bay_docking(manager_bay_at(userdata, port_path)));
}

static void on_hub_came(void *userdata, const char *name) {
        const Manager *m = userdata;

        charging_hub_came(m->charging, name);
}

static bool on_wanted(void *userdata, const char *port_path) {
        return manager_bay_at(userdata, port_path) != NULL;
}

static const HotplugOps hotplug_ops = {
        .added = on_added,
        .removed = on_removed,
        .changed = on_changed,
        .hub_came = on_hub_came,
        .wanted = on_wanted,
};

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

static void on_clock_changed(void *userdata) {
        age_watch_clock(userdata);
        charging_kick(((Manager *) userdata)->charging);
        manager_tell(userdata);
        manager_kick_bays(userdata);
}

static int on_upload_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        upload_pump(userdata);
        return 0;
}

/* A sealed file counts only when its copy was committed; else it is the part that it was. One that was released goes. */
static int judge_sealed(void *userdata, uint64_t clip_id, const char *name) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        Manager *m = userdata;
        int r;

        r = store_clip(m->store, clip_id, &row);
        if (r == -ENOENT) {
                log_warning(NULL, "spool/%s belongs to no clip that the database knows; it is left where it is", name);
                return SPOOL_STAYS;
        }
        if (r < 0)
                return r;
        if (row->state == CLIP_SEEN || row->state == CLIP_COPYING)
                return SPOOL_UNSEAL;
        /* The fact came first, and the daemon ended before the file was gone. */
        if (!row->spool_name && (row->state == CLIP_RECEIPTED || row->state == CLIP_ERASING || row->state == CLIP_ERASED))
                return SPOOL_REMOVE;
        return SPOOL_STAYS;
}

/* Settings go on record when they are not those of the last start. */
static int record_settings(Manager *m) {
        Fact fact = { .kind = FACT_SETTINGS, .text = m->settings->written };
        _cleanup_(freep) char *before = NULL;
        int r;

        r = store_settings(m->store, &before);
        if (r < 0 || !fact.text || text_equal(before, fact.text))
                return r;
        manager_moment(m, &fact.at);
        return store_put(m->store, &fact, NULL, NULL);
}

static int record_start(Manager *m) {
        Fact fact = { .kind = FACT_DAEMON_STARTED, .text = BERTH_VERSION };
        int r;

        manager_moment(m, &fact.at);
        r = store_put(m->store, &fact, NULL, NULL);
        return r < 0 ? r : record_settings(m);
}

static int make_bays(Manager *m) {
        for (size_t i = 0; i < m->settings->n_bays; i++) {
                Bay *b;
                int r;

                r = bay_new(m, &m->settings->bays[i], &b);
                if (r < 0)
                        return r;
                if (m->settings->bays[i].led && (r = lamps_add(m->lamps, bay_number(b), bay_name(b), m->settings->bays[i].led)) < 0)
                        return r;
        }
        return 0;
}

static int start_timers(Manager *m) {
        int r;

        r = sd_event_add_time(m->event, &m->upload_timer, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 10, on_upload_timer, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(m->upload_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return sd_event_add_time(m->event, &m->spool_timer, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 4, room_on_timer, m);
}

/* The store says what to restore; who has no backup is not lost either. */
static int open_store(Manager *m, ConfError *error) {
        size_t n;
        int r;

        r = store_open(m->event, m->settings->state_dir, &m->store, error);
        n = strlen(error->text);
        if (r == -EBADMSG || r == -EBADE)
                snprintf(error->text + n, sizeof(error->text) - n, "; without one, run 'berthctl recover'");
        return r;
}

static int open_state(Manager *m, ConfError *error) {
        int r;

        r = recover_check(m->settings->state_dir, error);
        if (r < 0)
                return r;
        r = open_store(m, error);
        if (r < 0)
                return r;
        r = spool_open(m->event, m->settings->state_dir, m->settings->reserve_bytes, &m->spool, error);
        if (r < 0)
                return r;
        r = spool_check_sealed(m->spool, judge_sealed, m);
        if (r < 0)
                snprintf(error->text, sizeof(error->text), "%s/spool cannot be compared with the database: %s", m->settings->state_dir,
                         strerror(-r));
        return r;
}

static int load_credentials(Manager *m, ConfError *error) {
        int r;

        if (!m->settings->credentials)
                return 0;
        /* Other processes of this user can neither trace it nor read its memory, and it leaves no core dump. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return -errno;
        r = credentials_load(m->settings->credentials, m->settings->credentials_from_systemd, &m->credentials, error);
        return r < 0 ? r : credentials_check(m->credentials, m->models, error);
}

/* What this dock has: models, its state, hubs, lamps, clock, uploader, and the bays, which need all of them. */
static int make_rack(Manager *m, ConfError *error) {
        int r;

        r = models_load(m->settings->models_dir, m->settings->local_models_dir, &m->models, error);
        if (r >= 0)
                r = load_credentials(m, error);
        if (r >= 0)
                r = open_state(m, error);
        if (r >= 0)
                r = hubports_new(m->event, &m->hubports);
        if (r >= 0)
                r = lamps_new(m->event, m->settings->lights, &m->lamps);
        if (r >= 0)
                r = clocksync_new(m->event, on_clock_changed, m, &m->clock);
        if (r >= 0)
                r = inhibit_new(&m->inhibit);
        if (r >= 0)
                r = start_timers(m);
        if (r >= 0)
                r = uplink_new(m->event, m->settings->uplink_socket, &upload_uplink_ops, m, &m->uplink);
        if (r >= 0)
                r = make_bays(m);
        return r < 0 ? r : charging_new(m, &m->charging);
}

/* What docks have in common, by the store. */
static int make_fleet(Manager *m, ConfError *error) {
        int r;

        r = notary_new(m, &m->notary, error);
        if (r >= 0)
                r = restored_note(m, error);
        if (r >= 0)
                r = object_holds_new(m, &m->object_holds);
        if (r >= 0)
                r = hold_replay_new(m, &m->hold_replay);
        if (r >= 0)
                r = dock_status_new(m, &m->status);
        if (r >= 0)
                r = roster_new(m, &m->roster);
        if (r >= 0)
                r = roster_follow_new(m, &m->roster_follow);
        if (r >= 0)
                r = fleet_follow_new(m, &m->fleet_follow);
        if (r >= 0)
                r = fleet_docks_new(m, &m->fleet_docks);
        if (r >= 0)
                r = catalog_follow_new(m, &m->catalog_follow, error);
        if (r >= 0)
                r = images_new(m, &m->images);
        if (r >= 0)
                r = examine_new(m, &m->examine);
        if (r >= 0)
                r = flashes_new(m, &m->flashes);
        return r < 0 ? r : rollouts_new(m, &m->rollouts, error);
}

/* What an earlier run left: it is gone on with once bays are there. */
static int take_up(Manager *m, ConfError *error) {
        const char *state_dir = m->settings->state_dir;
        int r;

        r = record_start(m);
        if (r >= 0)
                r = proof_start(m);
        if (r < 0)
                return r;
        r = kept_new(m, &m->kept);
        if (r < 0) {
                conf_fail(error, "The files that were set aside in %s cannot be looked at: %s", state_dir, strerror(-r));
                return r;
        }
        r = leftover_sweep(m);
        if (r < 0) {
                conf_fail(error, "%s/parts cannot be compared with the database: %s", state_dir, strerror(-r));
                return r;
        }
        r = upload_orders_load(m);
        if (r >= 0)
                r = upload_load_unstored(m);
        if (r < 0) {
                conf_fail(error, "The clips that wait for the store cannot be read from %s/berth.db: %s", state_dir, strerror(-r));
                return r;
        }
        r = flashes_load(m->flashes);
        if (r < 0)
                conf_fail(error, "The cameras that were being flashed cannot be read from %s: %s", state_dir, strerror(-r));
        return r;
}

int manager_new(sd_event *event, Settings *settings, Manager **ret, ConfError *error) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        error->text[0] = 0;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->settings = settings;
        m->spool_holds_sec = OUTLOOK_UNKNOWN;
        upload_queue_init(&m->uploads, settings->uploads);
        r = make_rack(m, error);
        if (r >= 0)
                r = make_fleet(m, error);
        if (r < 0)
                return r;
        m->started = true;
        r = take_up(m, error);
        if (r < 0)
                return r;
        r = hotplug_new(event, settings->reconcile_usec, &hotplug_ops, m, &m->hotplug);
        if (r < 0) {
                snprintf(error->text, sizeof(error->text), "USB devices cannot be watched: %s; is udev running?", strerror(-r));
                return r;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

static void record_stop(Manager *m) {
        Fact fact = { .kind = FACT_DAEMON_STOPPED };

        if (!m->started)
                return;
        manager_moment(m, &fact.at);
        (void) store_put(m->store, &fact, NULL, NULL);
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        m->stopping = true;
        flashes_stop(m->flashes);
        hotplug_free(m->hotplug);
        m->hubports = hubports_free(m->hubports);
        m->charging = charging_free(m->charging);
        while (m->bays)
                bay_free(m->bays);
        import_stop(m->import);
        m->lamps = lamps_free(m->lamps);
        /* Seals that are under way are finished and recorded: the spool's completions hand their facts to the store. */
        m->spool = spool_close(m->spool);
        record_stop(m);
        m->chain_check = chain_check_free(m->chain_check);
        notary_stop(m->notary);
        m->store = store_close(m->store);
        m->import = import_free(m->import);
        fetches_end(m);
        m->uplink = uplink_free(m->uplink);
        m->examine = examine_free(m->examine);
        m->flashes = flashes_free(m->flashes);
        m->status = dock_status_free(m->status);
        m->roster = roster_free(m->roster);
        m->roster_follow = roster_follow_free(m->roster_follow);
        m->fleet_docks = fleet_docks_free(m->fleet_docks);
        m->fleet_follow = fleet_follow_free(m->fleet_follow);
        m->catalog_follow = catalog_follow_free(m->catalog_follow);
        m->images = images_free(m->images);
        m->rollouts = rollouts_free(m->rollouts);
        m->object_holds = object_holds_free(m->object_holds);
        m->kept = kept_free(m->kept);
        m->hold_replay = hold_replay_free(m->hold_replay);
        m->notary = notary_free(m->notary);
        for (size_t i = 0; i < CLIP_BUCKETS; i++)
                while (m->clips[i])
                        clip_free(m->clips[i]);
        while (m->cameras)
                camera_free(m->cameras);
        clocksync_free(m->clock);
        inhibit_free(m->inhibit);
        upload_queue_done(&m->uploads);
        sd_event_source_disable_unref(m->upload_timer);
        sd_event_source_disable_unref(m->spool_timer);
        models_free(m->models);
        credentials_free(m->credentials);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
