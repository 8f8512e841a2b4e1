/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Manager about how cameras are. */

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/manager_methods.h"
#include "core/bay_health.h"

#define CAMERAS_DEFAULT 100u
#define CAMERAS_MAX 500u
#define SERIAL_MAX 255u
#define REASON_MAX_BYTES 1000u

static Manager *manager_of(void *userdata) {
        return (*(Bus **) userdata)->manager;
}

static int unreadable(sd_bus_error *ret_error, int r) {
        return sd_bus_error_setf(ret_error, BUS_E_FAILED, "The dock's database could not be read: %s.", strerror(-r));
}

static int no_such_camera(sd_bus_error *ret_error, const char *serial) {
        return sd_bus_error_setf(ret_error, BUS_E_NO_SUCH_CAMERA, "No camera with the serial '%.*s' was ever docked here.",
                                 (int) SERIAL_MAX, serial);
}

/* ---- The list ------------------------------------------------------------------------------------------------------ */

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return text && *text ? sd_bus_message_append(m, "{sv}", key, "s", text) : 0;
}

/* The worst finding's severity: they come with the worst first. */
static const char *health_of(const char *findings_json, char ret[static 16]) {
        json_t *findings = json_loads(findings_json, 0, NULL);
        const char *severity = json_string_value(json_object_get(json_array_get(findings, 0), "severity"));

        text_sanitise(severity ?: "good", ret, 16);
        json_decref(findings);
        return ret;
}

/* Who has it, or whom it waits for. */
static int append_issue(sd_bus_message *m, Manager *manager, const CameraRow *row) {
        _cleanup_(issue_row_freep) IssueRow *issue = NULL;
        int r = store_issue_open(manager_store(manager), row->id, &issue);

        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "IssuedTo", "s", issue->officer_id, "Overdue", "b", (int) issue->overdue);
        if (r >= 0 && issue->taken_usec > 0)
                r = sd_bus_message_append(m, "{sv}", "TakenUsec", "x", issue->taken_usec);
        if (r >= 0 && issue->due_usec > 0)
                r = sd_bus_message_append(m, "{sv}", "DueUsec", "x", issue->due_usec);
        return r;
}

static int append_camera(sd_bus_message *m, Manager *manager, const CameraRow *row) {
        Camera *camera = manager_camera_by_serial(manager, row->serial);
        const Bay *bay = camera ? camera_bay(camera) : NULL;
        UnstoredRow unstored = { 0 };
        char health[16];
        int r;

        r = store_unstored(manager_store(manager), row->id, &unstored);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "Id", "t", row->id, "Serial", "s", row->serial, "Health", "s",
                                          health_of(row->findings_json, health), "BatteryPercent", "i", row->battery_percent,
                                          "LastDockedUsec", "x", row->last_docked_usec, "UnstoredClips", "t", unstored.clips);
        if (r >= 0 && bay)
                r = sd_bus_message_append(m, "{sv}{sv}", "Bay", "u", (uint32_t) bay_number(bay), "State", "s",
                                          bay_state_to_string(bay_state(bay)));
        if (r >= 0 && unstored.clips > 0)
                r = sd_bus_message_append(m, "{sv}", "UnstoredSinceUsec", "x", unstored.oldest_usec);
        if (r < 0 || (r = append_text(m, "Manufacturer", row->manufacturer)) < 0 || (r = append_text(m, "Model", row->model)) < 0 ||
            (r = append_text(m, "Firmware", row->firmware)) < 0 || (r = append_text(m, "ModelId", row->model_id)) < 0 ||
            (r = append_text(m, "HeldBack", row->held_back_reason)) < 0 || (r = append_text(m, "OfficerId", row->officer_id)) < 0 ||
            (r = append_text(m, "OfficerName", row->officer_name)) < 0 || (r = append_issue(m, manager, row)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static int reply_cameras(sd_bus_message *m, Manager *manager, CameraRow **rows, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_camera(reply, manager, rows[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int manager_bus_list_cameras(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = manager_of(userdata);
        CameraRow **rows = NULL;
        uint64_t after_id;
        uint32_t max;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "tu", &after_id, &max);
        if (r < 0)
                return r;
        if (after_id > INT64_MAX)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "after_id: it is larger than any.");
        r = store_cameras(manager_store(manager), after_id, max == 0 ? CAMERAS_DEFAULT : MIN2(max, CAMERAS_MAX), &rows, &n);
        if (r < 0)
                return unreadable(ret_error, r);
        r = reply_cameras(m, manager, rows, n);
        camera_rows_free(rows, n);
        return r;
}

/* ---- Findings ------------------------------------------------------------------------------------------------------ */

static const char *member(const json_t *finding, const char *key) {
        const char *s = json_string_value(json_object_get(finding, key));

        return s ? s : "";
}

static int reply_findings(sd_bus_message *m, const json_t *findings) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssss)");
        for (size_t i = 0; i < json_array_size(findings) && r >= 0; i++) {
                const json_t *f = json_array_get(findings, i);

                r = sd_bus_message_append(reply, "(ssss)", member(f, "severity"), member(f, "code"), member(f, "text"), member(f, "next"));
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int manager_bus_list_findings(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        const char *serial;
        json_t *findings;
        int r;

        r = sd_bus_message_read(m, "s", &serial);
        if (r < 0)
                return r;
        r = store_camera_by_serial(manager_store(manager_of(userdata)), serial, &row);
        if (r < 0)
                return r == -ENOENT ? no_such_camera(ret_error, serial) : unreadable(ret_error, r);
        findings = json_loads(row->findings_json, 0, NULL);
        r = reply_findings(m, findings);
        json_decref(findings);
        return r;
}

static int append_bay(sd_bus_message *reply, Manager *manager, const Bay *b) {
        BayFinding findings[_BAY_HEALTH_MAX];
        BayRow row = { 0 };
        size_t n;
        int r;

        r = store_bay(manager_store(manager), bay_port_path(b), BAY_HEALTH_DOCKINGS, &row);
        if (r < 0)
                return r;
        n = bay_judge(&(BayRecord){ .cameras = row.cameras, .cameras_faulted = row.cameras_faulted, .faulted_here = row.faulted_here,
                                    .rests = row.rests, .over_currents = row.over_currents },
                      &manager_settings(manager)->bay_health, bay_number(b), findings);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(reply, "(ussss)", (uint32_t) bay_number(b), health_severity_to_string(findings[i].severity),
                                          bay_code_to_string(findings[i].code), findings[i].text, findings[i].next_step);
        return r;
}

int manager_bus_list_bay_findings(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *manager = manager_of(userdata);
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ussss)");
        for (Bay *b = manager_first_bay(manager); b && r >= 0; b = bay_next_in_order(b))
                r = append_bay(reply, manager, b);
        if (r < 0)
                return unreadable(ret_error, r);
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* ---- Release ------------------------------------------------------------------------------------------------------- */

int manager_bus_release_camera(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *serial, *reason;
        Operator by;
        Caller caller;
        int r;

        r = sd_bus_message_read(m, "ss", &serial, &reason);
        if (r < 0)
                return r;
        if (strlen(reason) > REASON_MAX_BYTES || !text_is_printable(reason))
                return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "reason: a reason is printable and at most %u bytes long.",
                                         REASON_MAX_BYTES);
        r = caller_get(m, &caller, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = manager_release_camera(manager_of(userdata), serial, reason, &by, caller_answer, sd_bus_message_ref(m));
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        if (r == -ENODEV)
                return no_such_camera(ret_error, serial);
        if (r == -EALREADY)
                return sd_bus_error_setf(ret_error, BUS_E_TOO_LATE, "Camera %.*s is not held back.", (int) SERIAL_MAX, serial);
        return error_set(ret_error, r, "The order could not be given: %s.", strerror(-r));
}
