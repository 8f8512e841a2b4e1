/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The simulated PTP camera on the control socket.
 *
 *   camera       {"name", "type": "ptp", "vid", "pid", "manufacturer", "product", "serial", "model", "firmware",
 *                "ptp_serial" (of DeviceInfo when not `serial`), "speed", "mtp": false (plain PTP), "android": false,
 *                "battery", "temperature" (tenths of a degree Celsius) and "restarts" (absent: it does not tell),
 *                "clock_offset_sec", "date_zone": "local"|"utc"|"offset", "zone_minutes", "storage_total",
 *                "storages": [{"label", "total", "read_only", "clips"}], "clips": [CLIP…]}
 *                "loader": the dfu device that it becomes after DFU_DETACH, with "flash": the file that is the memory of both (firmware.h):
 *                from there it has its version, and when that does not boot it becomes its loader when it gets power
 *                "firmware_file": or the path on its card of a file that goes into that memory when it boots from it, and is then deleted:
 *                the camera looks for it whenever it gets power, and after ResetDevice, which has it leave the bus and come back
 *   CLIP         {"path", "name" or "name_utf16", "mtime", "protected", "storage", and the content, see content.h}
 *   set          {"battery", "temperature", "restarts",
 *                "clock_offset_sec", "zone_minutes", "keeps_old": it deletes its firmware file, and boots what it had;
 *                "stays_away": after ResetDevice it is not seen again}
 *   add_clip     CLIP
 *   remove_clip  {"path", "nth"}
 *   change_clip  {"path", "nth", and what is to be another: "mtime", "name", "protected", content}
 *   fault        see ptp_fault.h
 *   state        {"sha256": true: with the digest of each clip}
 */

#include "sim/ptp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define STORAGE_TOTAL_DEFAULT (64 * GIB)
#define OFFSET_SEC_MAX (INT64_C(200) * 366 * 86400)

/* ---- making one ------------------------------------------------------------------------------------------- */

PtpCamera *ptp_camera_free(PtpCamera *camera) {
        if (!camera)
                return NULL;
        ptp_transaction_end(camera);
        ptp_card_done(&camera->card);
        ptp_faults_clear(&camera->faults);
        free(camera->manufacturer);
        free(camera->product);
        free(camera->serial);
        free(camera->model);
        free(camera->firmware);
        free(camera->loader);
        free(camera->flash);
        free(camera->firmware_file);
        free(camera->ptp_serial);
        free(camera);
        return NULL;
}

/* An integer from `min` to `max`, or `ret` as it is when the key is not there. */
static int take_integer(const json_t *spec, const char *key, int64_t min, int64_t max, int64_t *ret, char *why, size_t why_size) {
        const json_t *value = json_object_get(spec, key);

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max) {
                snprintf(why, why_size, "\"%s\" must be a whole number from %" PRId64 " to %" PRId64 ".", key, min, max);
                return -EINVAL;
        }
        *ret = json_integer_value(value);
        return 0;
}

static int take_text(const json_t *spec, const char *key, const char *otherwise, char **ret, char *why, size_t why_size) {
        const json_t *value = json_object_get(spec, key);

        if (value && !json_is_string(value)) {
                snprintf(why, why_size, "\"%s\" must be a string.", key);
                return -EINVAL;
        }
        *ret = strdup(value ? json_string_value(value) : otherwise);
        return *ret ? 0 : -ENOMEM;
}

static int take_texts(PtpCamera *camera, const json_t *spec, char *why, size_t why_size) {
        const struct {
                const char *key;
                char **value;
                const char *otherwise;
        } texts[] = {
                { "manufacturer", &camera->manufacturer, "Berth" }, { "product", &camera->product, "Simulated PTP camera" },
                { "serial", &camera->serial, "" },                  { "model", &camera->model, NULL },
                { "firmware", &camera->firmware, "1.0" },           { "ptp_serial", &camera->ptp_serial, NULL },
                { "loader", &camera->loader, "" },                  { "flash", &camera->flash, "" },
                { "firmware_file", &camera->firmware_file, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                const char *otherwise = texts[i].otherwise;
                int r;

                if (texts[i].value == &camera->model)
                        otherwise = camera->product;
                else if (texts[i].value == &camera->ptp_serial)
                        otherwise = camera->serial;
                r = take_text(spec, texts[i].key, otherwise, texts[i].value, why, why_size);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_speed(PtpCamera *camera, const json_t *spec, char *why, size_t why_size) {
        const char *speed = json_string_value(json_object_get(spec, "speed"));

        if (!speed || text_equal(speed, "high"))
                camera->speed = PTP_SPEED_HIGH;
        else if (text_equal(speed, "super"))
                camera->speed = PTP_SPEED_SUPER;
        else if (text_equal(speed, "full"))
                camera->speed = PTP_SPEED_FULL;
        else {
                snprintf(why, why_size, "\"speed\" of a PTP camera must be full, high or super.");
                return -EINVAL;
        }
        return 0;
}

static int take_zone(PtpCamera *camera, const json_t *spec, char *why, size_t why_size) {
        static const char *const names[] = {
                [PTP_DATE_LOCAL] = "local", [PTP_DATE_UTC] = "utc", [PTP_DATE_OFFSET] = "offset",
        };
        const json_t *value = json_object_get(spec, "date_zone");

        if (!value)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (json_is_string(value) && text_equal(names[i], json_string_value(value))) {
                        camera->date_zone = (PtpDateZone) i;
                        return 0;
                }
        snprintf(why, why_size, "\"date_zone\" must be local, utc or offset.");
        return -EINVAL;
}

/* What `set` takes too. */
static int take_settings(PtpCamera *camera, const json_t *spec, char *why, size_t why_size) {
        int64_t battery = (int64_t) camera->battery_percent, minutes = camera->zone_minutes;
        int64_t temperature = camera->temperature_decidegrees, restarts = camera->restarts;
        int64_t offset_sec = camera->clock_offset_usec / (int64_t) USEC_PER_SEC;
        int r;

        r = take_integer(spec, "battery", 0, 100, &battery, why, why_size);
        if (r < 0)
                return r;
        r = take_integer(spec, "temperature", INT16_MIN, INT16_MAX, &temperature, why, why_size);
        if (r < 0)
                return r;
        r = take_integer(spec, "restarts", 0, UINT32_MAX, &restarts, why, why_size);
        if (r < 0)
                return r;
        r = take_integer(spec, "zone_minutes", -24 * 60, 24 * 60, &minutes, why, why_size);
        if (r < 0)
                return r;
        r = take_integer(spec, "clock_offset_sec", -OFFSET_SEC_MAX, OFFSET_SEC_MAX, &offset_sec, why, why_size);
        if (r < 0)
                return r;
        if ((uint64_t) battery != camera->battery_percent)
                ptp_send_event(camera, PTP_EVENT_DEVICE_PROP_CHANGED, PTP_NO_TRANSACTION, PTP_PROP_BATTERY);
        if (json_object_get(spec, "keeps_old"))
                camera->keeps_old = json_is_true(json_object_get(spec, "keeps_old"));
        if (json_object_get(spec, "stays_away"))
                camera->stays_away = json_is_true(json_object_get(spec, "stays_away"));
        camera->battery_percent = (uint64_t) battery;
        camera->tells_temperature = camera->tells_temperature || json_object_get(spec, "temperature");
        camera->temperature_decidegrees = (int32_t) temperature;
        camera->tells_restarts = camera->tells_restarts || json_object_get(spec, "restarts");
        camera->restarts = (uint32_t) restarts;
        camera->zone_minutes = (int) minutes;
        if (json_object_get(spec, "clock_offset_sec"))
                camera->clock_offset_usec = offset_sec * (int64_t) USEC_PER_SEC;
        return 0;
}

static int add_clips(PtpCamera *camera, const json_t *clips, unsigned storage, char *why, size_t why_size) {
        uint32_t index;
        int r;

        if (clips && !json_is_array(clips)) {
                snprintf(why, why_size, "\"clips\" must be a list.");
                return -EINVAL;
        }
        for (size_t i = 0; i < json_array_size(clips); i++) {
                r = ptp_clip_add(&camera->card, json_array_get(clips, i), storage, &index, why, why_size);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_storage(PtpCamera *camera, const json_t *spec, const char *total_key, char *why, size_t why_size) {
        PtpCard *card = &camera->card;
        PtpStorage *storage = &card->storages[card->n_storages];
        int64_t total = (int64_t) STORAGE_TOTAL_DEFAULT;
        int r;

        r = take_integer(spec, total_key, 0, INT64_MAX, &total, why, why_size);
        if (r < 0)
                return r;
        r = take_text(spec, "label", "Internal storage", &storage->label, why, why_size);
        if (r < 0)
                return r;
        storage->total_bytes = (uint64_t) total;
        storage->is_read_only = json_is_true(json_object_get(spec, "read_only"));
        card->n_storages++;
        return 0;
}

static int add_storages(PtpCamera *camera, const json_t *spec, char *why, size_t why_size) {
        const json_t *storages = json_object_get(spec, "storages");
        int r;

        if (!storages)
                return add_storage(camera, spec, "storage_total", why, why_size);
        if (!json_is_array(storages) || json_array_size(storages) > PTP_STORAGES_MAX) {
                snprintf(why, why_size, "\"storages\" must be a list of at most %u.", PTP_STORAGES_MAX);
                return -EINVAL;
        }
        for (size_t i = 0; i < json_array_size(storages); i++) {
                const json_t *storage = json_array_get(storages, i);

                r = add_storage(camera, storage, "total", why, why_size);
                if (r < 0)
                        return r;
                r = add_clips(camera, json_object_get(storage, "clips"), (unsigned) i, why, why_size);
                if (r < 0)
                        return r;
        }
        return 0;
}

int ptp_camera_new(SimDevice *device, const json_t *spec, PtpCamera **ret, char *why, size_t why_size) {
        _cleanup_(ptp_camera_freep) PtpCamera *camera = NULL;
        int64_t vid = 0x1209, pid = 0x0001; /* pid.codes: for tests */
        int r;

        camera = calloc(1, sizeof(*camera));
        if (!camera)
                return -ENOMEM;
        camera->device = device;
        camera->battery_percent = 100;
        camera->is_mtp = !json_is_false(json_object_get(spec, "mtp"));
        camera->is_android = camera->is_mtp && !json_is_false(json_object_get(spec, "android"));
        r = take_integer(spec, "vid", 0, UINT16_MAX, &vid, why, why_size);
        if (r < 0)
                return r;
        r = take_integer(spec, "pid", 0, UINT16_MAX, &pid, why, why_size);
        if (r < 0)
                return r;
        camera->vid = (uint16_t) vid;
        camera->pid = (uint16_t) pid;
        r = take_texts(camera, spec, why, why_size);
        if (r < 0)
                return r;
        r = take_speed(camera, spec, why, why_size);
        if (r < 0)
                return r;
        r = take_zone(camera, spec, why, why_size);
        if (r < 0)
                return r;
        r = take_settings(camera, spec, why, why_size);
        if (r < 0)
                return r;
        r = add_storages(camera, spec, why, why_size);
        if (r < 0)
                return r;
        r = add_clips(camera, json_object_get(spec, "clips"), 0, why, why_size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(camera);
        return 0;
}

/* ---- commands --------------------------------------------------------------------------------------------- */

static int find_clip(const PtpCamera *camera, const json_t *args, PtpObject **ret, char *why, size_t why_size) {
        const char *path = json_string_value(json_object_get(args, "path"));
        int64_t nth = 0;
        int r;

        r = take_integer(args, "nth", 0, PTP_OBJECTS_MAX, &nth, why, why_size);
        if (r < 0)
                return r;
        *ret = path ? ptp_clip_find(&camera->card, path, (uint64_t) nth) : NULL;
        if (*ret)
                return 0;
        snprintf(why, why_size, "There is no clip \"%s\" on camera \"%s\".", path ?: "", sim_device_name(camera->device));
        return -ENOENT;
}

static int command_add(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        uint32_t index;
        int r;

        (void) ret_answer;
        r = ptp_clip_add(&camera->card, args, 0, &index, why, why_size);
        if (r < 0)
                return r;
        ptp_send_event(camera, PTP_EVENT_OBJECT_ADDED, PTP_NO_TRANSACTION, camera->card.objects[index].handle);
        return 0;
}

static int command_remove(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        PtpObject *object;
        int r;

        (void) ret_answer;
        r = find_clip(camera, args, &object, why, why_size);
        if (r < 0)
                return r;
        ptp_send_event(camera, PTP_EVENT_OBJECT_REMOVED, PTP_NO_TRANSACTION, object->handle);
        ptp_object_remove(&camera->card, object);
        return 0;
}

static int command_change(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        PtpObject *object;
        int r;

        (void) ret_answer;
        r = find_clip(camera, args, &object, why, why_size);
        if (r < 0)
                return r;
        return ptp_clip_change(object, args, why, why_size);
}

static int command_set(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        (void) ret_answer;
        return take_settings(camera, args, why, why_size);
}

static int command_fault(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        (void) ret_answer;
        return ptp_faults_set(&camera->faults, args, why, why_size);
}

/* ---- state ------------------------------------------------------------------------------------------------ */

static int describe_clip(const PtpObject *object, bool with_digest, json_t *clips) {
        json_t *clip = json_pack("{s:s, s:I, s:i}", "path", object->path, "mtime", (json_int_t) object->mtime_sec, "storage",
                                 (int) object->storage);
        char hex[DIGEST_HEX_SIZE];
        int r;

        if (json_array_append_new(clips, clip) < 0)
                return -ENOMEM;
        r = content_describe(object->content, clip);
        if (r < 0)
                return r;
        if (object->is_protected)
                json_object_set_new(clip, "protected", json_true());
        if (!with_digest)
                return 0;
        r = content_digest(object->content, hex);
        if (r < 0)
                return r;
        return json_object_set_new(clip, "sha256", json_string(hex)) < 0 ? -ENOMEM : 0;
}

static int describe_clips(const PtpCamera *camera, bool with_digest, json_t *state, char *why, size_t why_size) {
        json_t *clips = json_array();

        if (json_object_set_new(state, "clips", clips) < 0)
                return -ENOMEM;
        for (uint32_t i = 0; i < camera->card.n_objects; i++) {
                const PtpObject *object = &camera->card.objects[i];
                int r;

                if (object->gone || !object->content)
                        continue;
                r = describe_clip(object, with_digest, clips);
                if (r < 0) {
                        snprintf(why, why_size, "Clip \"%s\" cannot be described: %s.", object->path, strerror(-r));
                        return r;
                }
        }
        return 0;
}

static void describe_counters(const PtpCamera *camera, json_t *state) {
        const PtpCounters *c = &camera->counters;
        const struct {
                const char *name;
                uint64_t value;
        } counters[] = {
                { "bytes_sent", c->bytes_sent }, { "deletes", c->deletes }, { "sessions", c->sessions },
                { "cancels", c->cancels },       { "resets", c->resets },   { "protocol_errors", c->protocol_errors },
                { "power_cycles", camera->card.power_cycles },
        };
        json_t *operations = json_object();

        for (size_t i = 0; operations && i < ptp_n_operations; i++)
                if (camera->operation_counts[i] > 0)
                        json_object_set_new(operations, ptp_operations[i].name, json_integer((json_int_t) camera->operation_counts[i]));
        json_object_set_new(state, "operations", operations);
        for (size_t i = 0; i < ELEMENTSOF(counters); i++)
                json_object_set_new(state, counters[i].name, json_integer((json_int_t) counters[i].value));
}

static int command_state(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        json_t *state = json_pack("{s:b, s:I, s:I, s:f}", "session_open", camera->session != 0, "battery",
                                  (json_int_t) camera->battery_percent, "clock_usec", (json_int_t) ptp_clock_usec(camera),
                                  "clock_offset_sec", (double) camera->clock_offset_usec / (double) USEC_PER_SEC);
        int r;

        if (!state)
                return -ENOMEM;
        describe_counters(camera, state);
        json_object_set_new(state, "faults", ptp_faults_describe(&camera->faults));
        json_object_set_new(state, "faults_struck", json_integer((json_int_t) camera->faults.struck));
        r = describe_clips(camera, json_is_true(json_object_get(args, "sha256")), state, why, why_size);
        if (r < 0) {
                json_decref(state);
                return r;
        }
        *ret_answer = state;
        return 0;
}

int ptp_command(PtpCamera *camera, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        static const struct {
                const char *name;
                int (*run)(PtpCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size);
        } commands[] = {
                { "set", command_set },           { "add_clip", command_add }, { "remove_clip", command_remove },
                { "change_clip", command_change }, { "fault", command_fault },  { "state", command_state },
        };

        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (text_equal(commands[i].name, name))
                        return commands[i].run(camera, args, ret_answer, why, why_size);
        snprintf(why, why_size, "A PTP camera has no command \"%.60s\".", name);
        return -EOPNOTSUPP;
}
