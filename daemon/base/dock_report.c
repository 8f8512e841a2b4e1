/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dock_report.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static void camera_done(ReportedCamera *c) {
        free(c->serial);
        free(c->officer_id);
}

DockReport *dock_report_free(DockReport *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_cameras; i++)
                camera_done(&r->cameras[i]);
        free(r->cameras);
        free(r->name);
        free(r->state);
        free(r->store_state);
        free(r);
        return NULL;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------- */

static json_t *time_json(int64_t usec) {
        char text[UTC_TEXT_SIZE];

        return usec > 0 ? json_string(utc_text(usec, text)) : NULL;
}

static json_t *out_to_json(const ReportedCamera *c) {
        return json_pack("{s:s, s:o*, s:o*, s:b}", "officer", c->officer_id ?: "", "taken", time_json(c->taken_usec), "due",
                         time_json(c->due_usec), "overdue", (int) c->overdue);
}

static json_t *unstored_to_json(uint64_t clips, int64_t since_usec) {
        return json_pack("{s:I, s:o*}", "clips", (json_int_t) clips, "since", time_json(since_usec));
}

json_t *reported_camera_to_json(const ReportedCamera *c) {
        return json_pack("{s:s, s:o*, s:o*, s:o*, s:o*, s:o*}", "serial", c->serial, "last_docked", time_json(c->last_docked_usec), "bay",
                         c->bay > 0 ? json_integer((json_int_t) c->bay) : NULL, "out", c->out ? out_to_json(c) : NULL, "on_camera",
                         c->unstored_on_camera > 0 ? unstored_to_json(c->unstored_on_camera, c->on_camera_since_usec) : NULL, "on_dock",
                         c->unstored_on_dock > 0 ? unstored_to_json(c->unstored_on_dock, c->on_dock_since_usec) : NULL);
}

/* ---- Reading: another dock's word, which may be of another version ---------------------------------------------------- */

/* A text that may be shown; not there is "". */
static int take_text(const json_t *object, const char *key, char **ret) {
        const json_t *value = json_object_get(object, key);
        const char *text = value ? json_string_value(value) : "";
        char *copy;

        if (!text || strlen(text) > REPORTED_TEXT_MAX || !text_is_printable(text))
                return -EBADE;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

static int take_time(const json_t *object, const char *key, int64_t *ret) {
        const json_t *value = json_object_get(object, key);
        int64_t usec = 0;

        if (value && (!json_is_string(value) || utc_from_text(json_string_value(value), &usec) < 0 || usec < 0))
                return -EBADE;
        *ret = usec;
        return 0;
}

static int take_number(const json_t *object, const char *key, json_int_t max, uint64_t *ret) {
        const json_t *value = json_object_get(object, key);
        json_int_t number = json_integer_value(value);

        if (value && (!json_is_integer(value) || number < 0 || number > max))
                return -EBADE;
        *ret = (uint64_t) number;
        return 0;
}

static int take_unstored(const json_t *camera, const char *key, uint64_t *ret_clips, int64_t *ret_since_usec) {
        const json_t *there = json_object_get(camera, key);
        int r;

        if (!there)
                return 0;
        if (!json_is_object(there))
                return -EBADE;
        r = take_number(there, "clips", INT64_MAX, ret_clips);
        return r < 0 ? r : take_time(there, "since", ret_since_usec);
}

static int take_out(const json_t *camera, ReportedCamera *c) {
        const json_t *out = json_object_get(camera, "out");
        int r;

        if (out && !json_is_object(out))
                return -EBADE;
        c->out = out;
        c->overdue = json_is_true(json_object_get(out, "overdue"));
        if ((r = take_text(out, "officer", &c->officer_id)) < 0 || (r = take_time(out, "taken", &c->taken_usec)) < 0)
                return r;
        return take_time(out, "due", &c->due_usec);
}

static int take_camera(const json_t *camera, ReportedCamera *ret) {
        uint64_t bay = 0;
        ReportedCamera c = { 0 };
        int r;

        if (!json_is_object(camera) || !json_string_length(json_object_get(camera, "serial")))
                return -EBADE;
        if ((r = take_text(camera, "serial", &c.serial)) < 0 || (r = take_time(camera, "last_docked", &c.last_docked_usec)) < 0 ||
            (r = take_number(camera, "bay", INT32_MAX, &bay)) < 0 || (r = take_out(camera, &c)) < 0 ||
            (r = take_unstored(camera, "on_camera", &c.unstored_on_camera, &c.on_camera_since_usec)) < 0 ||
            (r = take_unstored(camera, "on_dock", &c.unstored_on_dock, &c.on_dock_since_usec)) < 0) {
                camera_done(&c);
                return r;
        }
        c.bay = (unsigned) bay;
        *ret = c;
        return 0;
}

static int take_cameras(const json_t *status, DockReport *r) {
        const json_t *cameras = json_object_get(status, "cameras");
        size_t n = json_array_size(cameras);

        if ((cameras && !json_is_array(cameras)) || n > REPORTED_CAMERAS_MAX)
                return -EBADE;
        r->cameras = calloc(n + 1, sizeof(*r->cameras));
        if (!r->cameras)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int result = take_camera(json_array_get(cameras, i), &r->cameras[i]);

                if (result < 0)
                        return result;
                r->n_cameras++;
        }
        return take_number(status, "cameras_left_out", INT64_MAX, &r->left_out);
}

int dock_report_from_json(const json_t *status, DockReport **ret) {
        const json_t *oldest = json_object_get(status, "oldest_unstored");
        _cleanup_(dock_report_freep) DockReport *r = calloc(1, sizeof(*r));
        int result;

        if (!r)
                return -ENOMEM;
        if (!json_is_object(status) || (oldest && !json_is_object(oldest) && !json_is_null(oldest)))
                return -EBADE;
        if ((result = take_text(status, "name", &r->name)) < 0 || (result = take_text(status, "state", &r->state)) < 0 ||
            (result = take_text(status, "store", &r->store_state)) < 0 || (result = take_time(status, "time", &r->told_usec)) < 0 ||
            (result = take_time(oldest, "first_seen", &r->oldest_unstored_usec)) < 0 ||
            (result = take_number(json_object_get(status, "spool"), "unstored_clips", INT64_MAX, &r->unstored_clips)) < 0 ||
            (result = take_cameras(status, r)) < 0)
                return result;
        *ret = TAKE_PTR(r);
        return 0;
}
