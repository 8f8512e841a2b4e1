/* SPDX-License-Identifier: Apache-2.0 */
#include "service/camera.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

struct Camera {
        Manager *manager;
        Camera *next;
        uint64_t id;
        char *serial, *manufacturer, *model, *firmware, *storage_id, *model_id;
        char *officer_id, *officer_name, *unit_id, *unit_name;
        char *findings, *held_back;
        const char *health;
        HealthStanding standing;
        IssueRow *issue;
        bool ambiguous, drift_known;
        bool on_record;
        int battery_percent, temperature_decidegrees;
        bool temperature_known;
        int64_t drift_usec, last_docked_usec;
        Bay *bay;
};

const char *camera_serial(const Camera *c) {
        return c->serial;
}

const char *camera_manufacturer(const Camera *c) {
        return c->manufacturer ?: "";
}

const char *camera_model(const Camera *c) {
        return c->model ?: "";
}

const char *camera_firmware(const Camera *c) {
        return c->firmware ?: "";
}

const char *camera_model_id(const Camera *c) {
        return c->model_id ?: "";
}

const char *camera_storage_id(const Camera *c) {
        return c->storage_id ?: "";
}

bool camera_is_ambiguous(const Camera *c) {
        return c->ambiguous;
}

int camera_battery_percent(const Camera *c) {
        return c->battery_percent;
}

bool camera_temperature(const Camera *c, int *ret_decidegrees) {
        if (c->temperature_known)
                *ret_decidegrees = c->temperature_decidegrees;
        return c->temperature_known;
}

bool camera_clock_drift(const Camera *c, int64_t *ret_usec) {
        if (c->drift_known)
                *ret_usec = c->drift_usec;
        return c->drift_known;
}

int64_t camera_last_docked_usec(const Camera *c) {
        return c->last_docked_usec;
}

Bay *camera_bay(const Camera *c) {
        return c->bay;
}

Camera *camera_next_in_order(Camera *c) {
        return c->next;
}

Manager *camera_manager(const Camera *c) {
        return c->manager;
}

uint64_t camera_id(const Camera *c) {
        return c->id;
}

int camera_get(Manager *m, uint64_t id, const char *serial, Camera **ret) {
        Camera *c, **tail = &m->cameras;

        for (; *tail; tail = &(*tail)->next)
                if (text_equal((*tail)->serial, serial)) {
                        *ret = *tail;
                        return 0;
                }
        c = calloc(1, sizeof(*c));
        if (!c || !(c->serial = strdup(serial))) {
                free(c);
                return -ENOMEM;
        }
        c->manager = m;
        c->id = id;
        c->battery_percent = -1;
        *tail = c;
        manager_tell_camera(m, c, true);
        *ret = c;
        return 0;
}

Camera *camera_free(Camera *c) {
        if (!c)
                return NULL;
        for (Camera **p = &c->manager->cameras; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        free(c->serial);
        free(c->manufacturer);
        free(c->model);
        free(c->firmware);
        free(c->storage_id);
        free(c->model_id);
        free(c->officer_id);
        free(c->officer_name);
        free(c->unit_id);
        free(c->unit_name);
        free(c->findings);
        free(c->held_back);
        issue_row_free(c->issue);
        free(c);
        return NULL;
}

static int replace(char **field, const char *value) {
        char *copy = strdup(value ?: "");

        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static bool has_words(const Camera *c, const CameraWords *w) {
        return text_equal(camera_manufacturer(c), w->manufacturer) && text_equal(camera_model(c), w->model) &&
               text_equal(camera_firmware(c), w->firmware) && text_equal(camera_storage_id(c), w->storage_id) &&
               text_equal(camera_model_id(c), w->model_id);
}

bool camera_is_on_record(const Camera *c) {
        return c->on_record;
}

void camera_note_on_record(Camera *c) {
        c->on_record = true;
}

int camera_set_words(Camera *c, const CameraWords *w) {
        c->on_record = c->on_record && has_words(c, w);
        if (replace(&c->manufacturer, w->manufacturer) < 0 || replace(&c->model, w->model) < 0 ||
            replace(&c->firmware, w->firmware) < 0 || replace(&c->storage_id, w->storage_id) < 0 ||
            replace(&c->model_id, w->model_id) < 0)
                return -ENOMEM;
        manager_tell_camera(c->manager, c, false);
        return 0;
}

void camera_set_ambiguous(Camera *c) {
        c->ambiguous = true;
        manager_tell_camera(c->manager, c, false);
}

void camera_set_battery(Camera *c, int percent) {
        c->battery_percent = percent;
        manager_tell_camera(c->manager, c, false);
}

void camera_set_temperature(Camera *c, bool known, int decidegrees) {
        c->temperature_known = known;
        c->temperature_decidegrees = decidegrees;
        manager_tell_camera(c->manager, c, false);
}

void camera_set_drift(Camera *c, int64_t usec) {
        c->drift_known = true;
        c->drift_usec = usec;
        manager_tell_camera(c->manager, c, false);
}

void camera_set_bay(Camera *c, Bay *bay) {
        c->bay = bay;
        if (bay)
                c->last_docked_usec = clock_wall_usec();
        manager_tell_camera(c->manager, c, false);
}

WorkerOwner camera_owner(const Camera *c) {
        char *const none = (char *) "";

        return (WorkerOwner){ c->officer_id ?: none, c->officer_name ?: none, c->unit_id ?: none, c->unit_name ?: none };
}

int camera_set_owner(Camera *c, const WorkerOwner *o) {
        if (replace(&c->officer_id, o->officer_id) < 0 || replace(&c->officer_name, o->officer_name) < 0 ||
            replace(&c->unit_id, o->unit_id) < 0 || replace(&c->unit_name, o->unit_name) < 0)
                return -ENOMEM;
        manager_tell_camera(c->manager, c, false);
        return 0;
}

/* ---- Health ------------------------------------------------------------------------------------------------------- */

const char *camera_findings(const Camera *c) {
        return c->findings ?: "[]";
}

const char *camera_health(const Camera *c) {
        return c->health ?: "good";
}

const char *camera_held_back(const Camera *c) {
        return c->held_back ?: "";
}

HealthStanding camera_standing(const Camera *c) {
        return c->standing;
}

/* The findings come with the worst first. */
static const char *worst_of(const char *findings_json) {
        _cleanup_(json_decrefp) json_t *findings = json_loads(findings_json, 0, NULL);
        HealthSeverity worst;

        if (json_array_size(findings) == 0)
                return "good";
        worst = health_severity_from_string(json_string_value(json_object_get(json_array_get(findings, 0), "severity")));
        return worst < 0 ? "warning" : health_severity_to_string(worst);
}

int camera_set_health(Camera *c, const char *findings_json, HealthStanding standing, const char *held_back_reason) {
        if (replace(&c->findings, findings_json) < 0 || replace(&c->held_back, held_back_reason) < 0)
                return -ENOMEM;
        c->health = worst_of(c->findings);
        c->standing = standing;
        manager_tell_camera(c->manager, c, false);
        return 0;
}

const IssueRow *camera_issue(const Camera *c) {
        return c->issue;
}

void camera_set_issue(Camera *c, IssueRow *issue) {
        issue_row_free(c->issue);
        c->issue = issue;
        manager_tell_camera(c->manager, c, false);
}

/* ---- Orders ------------------------------------------------------------------------------------------------------- */

static Docking *docking_of(const Camera *c, const char **ret_why) {
        Docking *d = c->bay ? bay_docking(c->bay) : NULL;

        if (!d || d->camera != c) {
                *ret_why = "the camera is in no bay of this dock";
                return NULL;
        }
        return d;
}

int camera_order_owner(Camera *c, const WorkerOwner *owner, const Operator *by, CameraDone done, void *userdata, const char **ret_why) {
        Docking *d = docking_of(c, ret_why);

        return d ? docking_set_owner(d, owner, by, done, userdata, ret_why) : -ENODEV;
}

int camera_order_withdraw(Camera *c, const void *userdata, const char **ret_why) {
        Docking *d = docking_of(c, ret_why);

        return d ? docking_order_withdraw(d, userdata, ret_why) : -EALREADY;
}

int camera_order_confirm(Camera *c, const Operator *by, CameraDone done, void *userdata, const char **ret_why) {
        Docking *d = docking_of(c, ret_why);

        return d ? docking_confirm(d, by, done, userdata, ret_why) : -ENODEV;
}
