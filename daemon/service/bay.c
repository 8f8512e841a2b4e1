/* SPDX-License-Identifier: Apache-2.0 */
#include "service/bay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/backoff.h"
#include "core/flap.h"
#include "service/docking.h"
#include "service/hubport.h"
#include "service/manager_private.h"

struct Bay {
        Manager *manager;
        Bay *next;
        unsigned number;
        char *port_path;
        char name[16];
        BayState state;
        char *reason;
        Docking *docking;
        bool said_no_power;
        bool currents_known;
        uint64_t over_currents; /* as counted by the kernel when last looked at */
        unsigned over_rests;    /* in a row, for that reason: */
        uint64_t over_rest_usec; /* when the last of them ended */
        bool over;              /* it rests for it now */
        bool asking;            /* ... and that is over, if its hub says so */
        uint64_t unsteady_usec; /* when its last rest ended: its power was not steady before; 0: never */
        Flap flap;
        HotplugDevice *resting; /* what lies in it while it rests */
        sd_event_source *rest;
        sd_event_source *pointed; /* somebody asked where it is */
        bool best;
};

unsigned bay_number(const Bay *b) {
        return b->number;
}

const char *bay_port_path(const Bay *b) {
        return b->port_path;
}

const char *bay_name(const Bay *b) {
        return b->name;
}

BayState bay_state(const Bay *b) {
        return b->state;
}

const char *bay_reason(const Bay *b) {
        return b->reason ?: "";
}

Camera *bay_camera(const Bay *b) {
        return b->docking ? b->docking->camera : NULL;
}

unsigned bay_faults(const Bay *b) {
        return b->docking ? b->docking->faults : 0;
}

uint64_t bay_retry_at_usec(const Bay *b) {
        return b->docking ? b->docking->retry_at_usec : 0;
}

const HotplugDevice *bay_device(const Bay *b, const UsbShape **ret_shape) {
        if (!b->docking)
                return NULL;
        *ret_shape = &b->docking->shape;
        return b->docking->device;
}

Bay *bay_next_in_order(Bay *b) {
        return b->next;
}

Manager *bay_manager(const Bay *b) {
        return b->manager;
}

Docking *bay_docking(const Bay *b) {
        return b->docking;
}

int bay_new(Manager *m, const BaySetting *setting, Bay **ret) {
        Bay *b = calloc(1, sizeof(*b)), **tail = &m->bays;

        if (!b || !(b->port_path = strdup(setting->port_path))) {
                free(b);
                return -ENOMEM;
        }
        b->manager = m;
        b->number = setting->number;
        snprintf(b->name, sizeof(b->name), "%u", setting->number);
        while (*tail)
                tail = &(*tail)->next;
        *tail = b;
        *ret = b;
        return 0;
}

Bay *bay_free(Bay *b) {
        if (!b)
                return NULL;
        b->docking = docking_end(b->docking, "the daemon stops");
        hotplug_device_free(b->resting);
        sd_event_source_disable_unref(b->rest);
        sd_event_source_disable_unref(b->pointed);
        for (Bay **p = &b->manager->bays; *p; p = &(*p)->next)
                if (*p == b) {
                        *p = b->next;
                        break;
                }
        free(b->port_path);
        free(b->reason);
        free(b);
        return NULL;
}

void bay_set_state(Bay *b, BayState state, const char *reason) {
        bool same_reason = text_equal(b->reason ?: "", reason ?: "");

        if (b->state == state && same_reason)
                return;
        if (!same_reason) {
                free(b->reason);
                b->reason = reason && *reason ? strdup(reason) : NULL;
        }
        if (b->state != state || reason) {
                const char *serial = bay_camera(b) ? camera_serial(bay_camera(b)) : NULL;
                static const Message messages[_BAY_STATE_MAX] = {
                        [BAY_READY] = MESSAGE_CAMERA_READY,
                        [BAY_FAULT] = MESSAGE_BAY_FAULT,
                        [BAY_QUARANTINED] = MESSAGE_CAMERA_QUARANTINED,
                        [BAY_REFUSED] = MESSAGE_DEVICE_REFUSED,
                };
                int level = state == BAY_FAULT || state == BAY_QUARANTINED || state == BAY_REFUSED ? LOG_WARNING : LOG_INFO;

                log_full(level, &(LogAbout){ .bay = b->name, .camera = serial, .message = messages[state] }, "%s%s%s",
                         bay_state_to_string(state), reason && *reason ? ": " : "", reason ?: "");
        }
        b->state = state;
        bay_changed(b);
        charging_kick(b->manager->charging);
}

uint64_t bay_unsteady_usec(const Bay *b) {
        return b->unsteady_usec;
}

unsigned bay_battery_floor(const Bay *b) {
        const Docking *d = b->docking;
        /* A camera in its storage mode has the battery of its command mode. */
        const Model *model = d && d->command_model ? d->command_model : d ? d->model : NULL;

        return model ? model->battery_floor_percent : 0;
}

Light bay_light(const Bay *b) {
        return light_of(&(LightFacts){
                .state = b->state,
                .pointed_at = b->pointed != NULL,
                .best = b->best,
                .battery_percent = bay_camera(b) ? camera_battery_percent(bay_camera(b)) : -1,
                .battery_floor_percent = bay_battery_floor(b),
        });
}

static int on_pointed(sd_event_source *source, uint64_t usec, void *userdata) {
        Bay *b = userdata;

        (void) source;
        (void) usec;
        return bay_point_at(b, 0);
}

int bay_point_at(Bay *b, uint64_t usec) {
        int r = 0;

        b->pointed = sd_event_source_disable_unref(b->pointed);
        if (usec > 0)
                r = sd_event_add_time_relative(b->manager->event, &b->pointed, CLOCK_MONOTONIC, usec, USEC_PER_SEC / 10, on_pointed, b);
        bay_changed(b);
        return r;
}

int bay_hand_out(Bay *b, const Operator *by, BayHandedOut done, void *userdata, const char **ret_why) {
        if (!b->docking) {
                *ret_why = "there is no camera in this bay";
                return -ENODEV;
        }
        return docking_hand_out(b->docking, by, done, userdata, ret_why);
}

void bay_mark_best(Bay *b, bool best) {
        if (b->best == best)
                return;
        b->best = best;
        bay_changed(b);
}

bool bay_is_pointed_at(const Bay *b) {
        return b->pointed;
}

void bay_changed(Bay *b) {
        lamps_show(b->manager->lamps, b->number, bay_light(b));
        manager_tell_bay(b->manager, b);
        roster_bays_changed(b->manager->roster);
}

const char *bay_identity(const Bay *b) {
        return bay_camera(b) ? docking_identity_to_string(b->docking->identity) : "";
}

bool bay_has_port_power(Bay *b) {
        int measured = charging_switches(b->manager->charging, b), r = hubport_usable(b->port_path);

        /* What was measured counts for more than what the hub says of itself. */
        if (measured >= 0)
                return measured;
        if (r < 0 && !b->said_no_power) {
                log_notice(&(LogAbout){ .bay = b->name }, "The power of port %s cannot be switched (%s): cameras that change their mode "
                           "stay in their storage mode here", b->port_path,
                           r == -ENOENT     ? "its hub, or the kernel, has no 'disable' file for it" :
                           r == -EOPNOTSUPP ? "it is a port of the machine itself, and not of a hub" :
                                          "its 'disable' file may not be written; see 68-berth-hubport.rules");
                b->said_no_power = true;
        }
        return r >= 0;
}

void bay_vacated(Bay *b, const char *reason) {
        b->docking = docking_end(b->docking, reason);
        bay_set_state(b, BAY_EMPTY, NULL);
}

static void begin_docking(Bay *b, HotplugDevice *device) {
        int r;

        r = docking_new(b, device, &b->docking);
        if (r < 0) {
                hotplug_device_free(device);
                bay_set_state(b, BAY_FAULT, "the device cannot be taken in: out of memory or of descriptors; take it out and put it back");
        }
}

/* What lies in the bay now is looked at. */
static void rest_is_over(Bay *b) {
        b->over = b->asking = false;
        /* It rested since its power was not steady; whether it is now, nobody has seen yet. */
        b->unsteady_usec = clock_boottime_usec();
        if (b->resting)
                bay_plugged(b, TAKE_PTR(b->resting));
        else
                bay_set_state(b, BAY_EMPTY, NULL);
}

/* It is off, or has to be, or is to come back: either way the bay is not to be touched. */
static bool rests(const Bay *b) {
        return b->rest || b->asking;
}

static void rest_of_over_current(Bay *b, bool still);

static void powered_again(void *userdata, const char *port_path, int result) {
        Bay *b = userdata;

        if (result < 0)
                log_warning(&(LogAbout){ .bay = b->name }, "Its hub left port %s without power after too much current, and it cannot be "
                            "given back (%s): switch the hub off and on", port_path, strerror(-result));
        rest_is_over(b);
}

/* The kernel has given the power back once; a hub that still sees too much current, or cut it again, leaves the port off and silent. */
static void hub_told(void *userdata, const char *port_path, int result) {
        Bay *b = userdata;

        b->asking = false;
        b->over_rest_usec = clock_boottime_usec();
        if (result >= 0 && (result & HUBPORT_SEES_OVER_CURRENT))
                return rest_of_over_current(b, true);
        b->asking = result >= 0 && !(result & HUBPORT_SEES_POWER) &&
                    hubport_set(b->manager->hubports, port_path, true, powered_again, b) >= 0;
        if (!b->asking)
                rest_is_over(b);
}

static int on_rest_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Bay *b = userdata;

        (void) source;
        (void) usec;
        b->rest = sd_event_source_disable_unref(b->rest);
        b->asking = b->over && hubport_ask(b->manager->hubports, b->port_path, hub_told, b) >= 0;
        if (!b->asking)
                rest_is_over(b);
        return 0;
}

/* One fact for each rest: what comes and goes in it leaves no trace. */
static void begin_rest(Bay *b, FactKind kind, uint64_t until_usec, const char *text) {
        Fact fact = { .kind = kind, .bay = b->port_path, .text = text };

        if (sd_event_add_time(b->manager->event, &b->rest, CLOCK_BOOTTIME, until_usec, USEC_PER_SEC, on_rest_over, b) < 0)
                return;
        manager_moment(b->manager, &fact.at);
        (void) store_put(b->manager->store, &fact, NULL, NULL);
        bay_set_state(b, BAY_FAULT, text);
}

static void rest_of_flapping(Bay *b) {
        _cleanup_(freep) char *text = text_format("a device came and went %u times within %u s; the bay rests for %u s: take it "
                                                  "out, and look at the contacts", FLAP_DOCKINGS,
                                                  (unsigned) (FLAP_WITHIN_USEC / USEC_PER_SEC),
                                                  (unsigned) ((b->flap.rest_until_usec - clock_boottime_usec()) / USEC_PER_SEC + 1));

        begin_rest(b, FACT_FAULT, b->flap.rest_until_usec, text);
}

/* What is still there when the rest is over is looked at again. */
static void vacate_for_a_rest(Bay *b) {
        Docking *d = b->docking;

        hotplug_device_free(b->resting);
        b->resting = TAKE_PTR(d->device);
        d->resting = true;
        bay_vacated(b, "its port drew too much current");
}

/* The hub has cut the power by itself, or the kernel did; what is in the bay is not charged, and nobody would know why. */
static void rest_of_over_current(Bay *b, bool still) {
        uint64_t least = b->manager->settings->over_current_usec, now = clock_boottime_usec(), rest;
        _cleanup_(freep) char *text = NULL;

        if (rests(b))
                return;
        if (b->over_rest_usec == 0 || now - b->over_rest_usec > FLAP_CALM_USEC)
                b->over_rests = 0;
        rest = backoff_usec(++b->over_rests, least, MAX2(least, FLAP_REST_MAX_USEC));
        text = text_format("%s current at port %s: the hub %s; the bay rests for %u s: take the camera out, and look at the contacts and "
                           "at what lies in the bay", still ? "still too much" : "too much", b->port_path,
                           still ? "keeps its power off" : "cut its power", (unsigned) (rest / USEC_PER_SEC));
        b->over = true;
        if (b->docking)
                vacate_for_a_rest(b);
        log_error(&(LogAbout){ .bay = b->name, .message = MESSAGE_BAY_OVER_CURRENT }, "Too much current");
        begin_rest(b, FACT_OVER_CURRENT, now + rest, text ?: "too much current");
}

void bay_watch_current(Bay *b) {
        bool known = b->currents_known;
        uint64_t n;

        if (hubport_over_currents(b->port_path, &n) < 0)
                return;
        b->currents_known = true;
        /* Less: the hub came anew. */
        if (known && n > b->over_currents)
                rest_of_over_current(b, false);
        b->over_currents = n;
}

void bay_plugged(Bay *b, HotplugDevice *device) {
        charging_port_is_on(b->manager->charging, b);
        if (b->docking && docking_device_came(b->docking, device))
                return;
        if (b->docking)
                bay_vacated(b, docking_away_reason(b->docking));
        if (!rests(b) && flap_may_dock(&b->flap, clock_boottime_usec()))
                return begin_docking(b, device);
        hotplug_device_free(b->resting);
        b->resting = device;
        if (!rests(b))
                rest_of_flapping(b);
}

void bay_unplugged(Bay *b) {
        /* A hub that cuts the power of a port takes its device off the bus, and counted that before: nobody took it. */
        bay_watch_current(b);
        b->resting = hotplug_device_free(b->resting);
        if (rests(b))
                return;
        if (!b->docking || !docking_device_left(b->docking))
                bay_vacated(b, "taken out");
}

void bay_charge(const Bay *b, ChargeStatus *ret) {
        charging_status(b->manager->charging, b, ret);
}

void bay_progress(const Bay *b, BayProgress *ret) {
        const Docking *d = b->docking;
        BayProgress p = { .current_clip = "" };

        for (size_t i = 0; d && i < d->n_clips; i++) {
                const Clip *c = d->clips[i];
                bool copied = c->state >= CLIP_COPIED && c->state <= CLIP_ERASED;

                p.clips_total++;
                p.bytes_total += c->size_bytes;
                p.clips_copied += copied;
                p.clips_stored += c->receipted;
                p.clips_erased += c->state == CLIP_ERASED;
                p.bytes_copied += copied ? c->size_bytes : c == d->current ? MIN2(d->current_bytes, c->size_bytes) : 0;
                p.bytes_stored += c->receipted ? c->size_bytes : MIN2(c->stored_bytes, c->size_bytes);
        }
        if (d && d->current)
                p.current_clip = d->current->path;
        *ret = p;
}

int bay_flash_percent(const Bay *b, const char **ret_version) {
        *ret_version = "";
        return b->docking ? docking_flash_percent(b->docking, ret_version) : -1;
}
