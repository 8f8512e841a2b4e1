/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/manager_methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bus/bus_private.h"

#define ROWS_DEFAULT 100u
#define ROWS_MAX 500u
#define SERIAL_MAX 255u

static Manager *manager_of(void *userdata) {
        return (*(Bus **) userdata)->manager;
}

static size_t rows(uint32_t max) {
        return max == 0 ? ROWS_DEFAULT : MIN2(max, ROWS_MAX);
}

static int check_serial(const char *serial, sd_bus_error *ret_error) {
        if (strlen(serial) <= SERIAL_MAX)
                return 0;
        return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "serial: no camera has one longer than %u bytes.",
                                 SERIAL_MAX);
}

/* SQLite's numbers are signed. */
static int check_number(const char *name, uint64_t value, sd_bus_error *ret_error) {
        if (value <= INT64_MAX)
                return 0;
        return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "%s: %llu is larger than any.", name,
                                 (unsigned long long) value);
}

static int check_state(const char *text, ClipState *ret, sd_bus_error *ret_error) {
        ClipState state = *text ? clip_state_from_string(text) : _CLIP_STATE_INVALID;

        if (*text && state < 0)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT,
                                        "state: not a state of a clip; these are seen, copying, copied, uploading, "
                                        "receipted, erasing, erased, conflict and lost.");
        /* A running upload is not in the database: there it is a copied clip. */
        *ret = state == CLIP_UPLOADING ? CLIP_COPIED : state;
        return 0;
}

static int fail(sd_bus_error *ret_error, int r) {
        return sd_bus_error_setf(ret_error, BUS_E_FAILED, "The dock's database could not be read: %s.", strerror(-r));
}

/* Whose: *ret_id 0 means anyone's. */
static int check_camera(Manager *manager, const char *serial, uint64_t *ret_id, sd_bus_error *ret_error) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        int r = check_serial(serial, ret_error);

        *ret_id = 0;
        if (r < 0 || !*serial)
                return r;
        r = store_camera_by_serial(manager_store(manager), serial, &row);
        if (r == -ENOENT)
                return sd_bus_error_setf(ret_error, BUS_E_NO_SUCH_CAMERA, "No camera with the serial '%s' was ever docked here.", serial);
        if (r < 0)
                return fail(ret_error, r);
        *ret_id = row->id;
        return 0;
}

/* 0 means any. */
static int check_clip(Manager *manager, uint64_t clip_id, sd_bus_error *ret_error) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        int r = check_number("clip_id", clip_id, ret_error);

        if (r < 0 || clip_id == 0)
                return r;
        r = store_clip(manager_store(manager), clip_id, &row);
        if (r == -ENOENT)
                return sd_bus_error_setf(ret_error, BUS_E_NO_SUCH_CLIP, "This dock knows no clip %llu.", (unsigned long long) clip_id);
        return r < 0 ? fail(ret_error, r) : 0;
}

/* ---- Dictionaries ----------------------------------------------------------------------------------------------- */

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return text && *text ? sd_bus_message_append(m, "{sv}", key, "s", text) : 0;
}

static int append_digest(sd_bus_message *m, const char *key, const Digest *digest) {
        char hex[DIGEST_HEX_SIZE];

        return digest_is_zero(digest) ? 0 : append_text(m, key, digest_to_hex(digest, hex));
}

static const char *state_now(Manager *manager, const ClipRow *row) {
        const Clip *running = manager_clip(manager, row->id);

        return clip_state_to_string(running && running->state == CLIP_UPLOADING ? CLIP_UPLOADING : row->state);
}

static int append_container(sd_bus_message *m, const Container *c) {
        int r;

        if (c->format == CONTAINER_NONE)
                return 0;
        if ((r = append_text(m, "Container", container_format_to_string(c->format))) < 0 ||
            (r = append_text(m, "ContainerState", container_verdict_to_string(c->verdict))) < 0 ||
            (r = append_text(m, "ContainerReason", c->reason)) < 0)
                return r;
        if (c->reason[0] && (r = sd_bus_message_append(m, "{sv}", "ContainerOffset", "t", c->offset)) < 0)
                return r;
        if (c->recorded_unix_sec != CONTAINER_TIME_UNKNOWN &&
            (r = sd_bus_message_append(m, "{sv}", "RecordedSec", "x", c->recorded_unix_sec)) < 0)
                return r;
        return c->duration_msec > 0 ? sd_bus_message_append(m, "{sv}", "DurationMsec", "t", c->duration_msec) : 0;
}

/* Once the clip is whole, what was in its way is history, and in the custody log. */
static int append_unreadable(sd_bus_message *m, Manager *manager, const ClipRow *row) {
        _cleanup_(freep) ByteRange *ranges = NULL;
        size_t n;
        int r;

        if ((row->state != CLIP_COPYING || !row->reason) && row->partial_of == 0)
                return 0;
        r = store_unreadable(manager_store(manager), row->id, &ranges, &n);
        if (r < 0 || n == 0)
                return r;
        if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 || (r = sd_bus_message_append(m, "s", "Unreadable")) < 0 ||
            (r = sd_bus_message_open_container(m, 'v', "a(tt)")) < 0 || (r = sd_bus_message_open_container(m, 'a', "(tt)")) < 0)
                return r;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(m, "(tt)", ranges[i].offset, ranges[i].length);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_clip(sd_bus_message *m, Manager *manager, const ClipRow *row) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "Id", "t", row->id, "Serial", "s", row->serial,
                                  "Path", "s", row->path, "SizeBytes", "t", row->size_bytes, "Ordinal", "u",
                                  row->ordinal, "State", "s", state_now(manager, row), "SeenUsec", "x", row->seen_usec,
                                  "DurableBytes", "t", row->durable_bytes);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "{sv}{sv}", "Kind", "s", row->flags & CLIP_FLAG_COMPANION ? "companion" : "footage", "Priority",
                                  "b", (int) ((row->flags & CLIP_FLAG_PRIORITY) != 0));
        if (r < 0)
                return r;
        if (row->mtime_unix_sec != FACT_UNKNOWN_TIME &&
            (r = sd_bus_message_append(m, "{sv}", "ModifiedSec", "x", row->mtime_unix_sec)) < 0)
                return r;
        if ((r = append_digest(m, "Digest", &row->digest)) < 0 ||
            (r = append_text(m, "ObjectKey", row->object_key)) < 0 ||
            (r = append_text(m, "ManifestKey", row->manifest_key)) < 0 ||
            (r = append_text(m, "ReceiptStrength", row->strength)) < 0 ||
            (r = append_text(m, "Reason", row->reason)) < 0)
                return r;
        if ((r = append_container(m, &row->container)) < 0 || (r = append_unreadable(m, manager, row)) < 0 ||
            (row->partial_of != 0 && (r = sd_bus_message_append(m, "{sv}", "PartialOf", "t", row->partial_of)) < 0) ||
            (row->held && (r = sd_bus_message_append(m, "{sv}", "Held", "b", 1)) < 0) ||
            (row->by_port && (r = sd_bus_message_append(m, "{sv}", "IdentityByPort", "b", 1)) < 0))
                return r;
        if (row->strength && (r = sd_bus_message_append(m, "{sv}", "ReceiptSec", "x", row->receipt_unix_sec)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static int append_interfaces(sd_bus_message *m, const UsbShape *shape) {
        char text[MODEL_TEXT_SIZE];
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0 || (r = sd_bus_message_append(m, "s", "Interfaces")) < 0 || (r = sd_bus_message_open_container(m, 'v', "as")) < 0 ||
            (r = sd_bus_message_open_container(m, 'a', "s")) < 0)
                return r;
        for (size_t i = 0; i < shape->n_interfaces && r >= 0; i++)
                r = sd_bus_message_append(m, "s", usb_class_text(&shape->interfaces[i], text));
        /* The array, the variant, the pair. */
        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

/* What a model file would have to say of it. */
static int append_device(sd_bus_message *m, const HotplugDevice *device, const UsbShape *shape) {
        char hex[2 * (HOTPLUG_DESCRIPTORS_MAX + 1) + 1] = "", id[16];
        int r;

        (void) snprintf(id, sizeof(id), "%04x:%04x", shape->vid, shape->pid);
        for (size_t i = 0; i < device->n_descriptors; i++)
                (void) snprintf(hex + 2 * i, 3, "%02x", device->descriptors[i]);
        if ((r = append_text(m, "UsbId", id)) < 0 || (r = append_text(m, "Manufacturer", device->usb_manufacturer)) < 0 ||
            (r = append_text(m, "Product", device->usb_product)) < 0 || (r = append_text(m, "UsbSerial", device->usb_serial)) < 0 ||
            (r = append_text(m, "Descriptors", hex)) < 0 || (r = append_text(m, "Problem", shape->problem)) < 0)
                return r;
        return append_interfaces(m, shape);
}

static int append_refused(sd_bus_message *m, const Bay *bay) {
        const Camera *camera = bay_camera(bay);
        const HotplugDevice *device;
        const UsbShape *shape;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "Bay", "u", (uint32_t) bay_number(bay), "PortPath", "s",
                                  bay_port_path(bay), "State", "s", bay_state_to_string(bay_state(bay)), "Reason", "s",
                                  bay_reason(bay));
        if (r < 0)
                return r;
        if (camera && ((r = append_text(m, "Serial", camera_serial(camera))) < 0 ||
                       (r = append_text(m, "Model", camera_model(camera))) < 0))
                return r;
        device = bay_device(bay, &shape);
        if (device && (r = append_device(m, device, shape)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

/* ---- Methods ---------------------------------------------------------------------------------------------------- */

static int reply_clips(sd_bus_message *m, Manager *manager, ClipRow **found, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_clip(reply, manager, found[i]);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int manager_bus_list_clips(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = manager_of(userdata);
        const char *serial, *state_text;
        ClipState state = _CLIP_STATE_INVALID;
        uint64_t before_id, camera;
        uint32_t max;
        ClipRow **found = NULL;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "sstu", &serial, &state_text, &before_id, &max);
        if (r < 0)
                return r;
        if ((r = check_camera(manager, serial, &camera, ret_error)) < 0 || (r = check_state(state_text, &state, ret_error)) < 0 ||
            (r = check_number("before_id", before_id, ret_error)) < 0)
                return r;
        r = store_clips_query(manager_store(manager), *serial ? serial : NULL, state, before_id, rows(max), &found, &n);
        if (r < 0)
                return fail(ret_error, r);
        r = reply_clips(m, manager, found, n);
        clip_rows_free(found, n);
        return r;
}

static int reply_events(sd_bus_message *m, EventRow **found, size_t n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        char hex[DIGEST_HEX_SIZE];
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(tss)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(reply, "(tss)", found[i]->seq, found[i]->bytes,
                                          digest_to_hex(&found[i]->hash, hex));
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int manager_bus_list_events(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = manager_of(userdata);
        uint64_t after_seq, clip_id, camera = 0;
        const char *serial;
        uint32_t max;
        EventRow **found = NULL;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "tstu", &after_seq, &serial, &clip_id, &max);
        if (r < 0)
                return r;
        if ((r = check_number("after_seq", after_seq, ret_error)) < 0 || (r = check_camera(manager, serial, &camera, ret_error)) < 0 ||
            (r = check_clip(manager, clip_id, ret_error)) < 0)
                return r;
        r = store_events(manager_store(manager), after_seq, camera, clip_id, rows(max), &found, &n);
        if (r < 0)
                return fail(ret_error, r);
        r = reply_events(m, found, n);
        event_rows_free(found, n);
        return r;
}

int manager_bus_last_events(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = manager_of(userdata);
        uint64_t clip_id, camera = 0;
        const char *serial;
        uint32_t max;
        EventRow **found = NULL;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "stu", &serial, &clip_id, &max);
        if (r < 0)
                return r;
        if ((r = check_camera(manager, serial, &camera, ret_error)) < 0 || (r = check_clip(manager, clip_id, ret_error)) < 0)
                return r;
        r = store_events_last(manager_store(manager), camera, clip_id, rows(max), &found, &n);
        if (r < 0)
                return fail(ret_error, r);
        r = reply_events(m, found, n);
        event_rows_free(found, n);
        return r;
}

int manager_bus_list_refused(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *manager = manager_of(userdata);
        int r;

        (void) ret_error;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (Bay *bay = manager_first_bay(manager); bay && r >= 0; bay = bay_next_in_order(bay))
                if (bay_state(bay) == BAY_REFUSED || bay_state(bay) == BAY_QUARANTINED)
                        r = append_refused(reply, bay);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
