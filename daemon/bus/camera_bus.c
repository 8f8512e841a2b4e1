/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Camera: see org.berth.Dock1.Camera.xml. */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus_private.h"
#include "bus/camera_methods.h"
#include "bus/view.h"

typedef struct CameraView {
        char *serial, *manufacturer, *model, *firmware, *model_id;
        int32_t battery_percent;
        char *bay;
        int64_t clock_drift_usec;
        int clock_drift_known;
        int64_t temperature_decidegrees;
        int temperature_known;
        uint64_t last_docked_usec;
        int ambiguous;
        char *officer_id, *officer_name, *unit_id, *unit_name;
        char *health, *held_back;
} CameraView;

struct BusCamera {
        BusCamera *next;
        Bus *bus;
        Camera *camera;
        char *path;
        sd_bus_slot *slot;
        CameraView view;
        bool changed;
};

#define CAMERA(name, type, kind, member)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusCamera, view) + offsetof(CameraView, member),               \
                        SD_BUS_VTABLE_PROPERTY_##kind)

static int set_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusCamera *o = userdata;

        return camera_bus_set_owner(m, o->bus, o->camera, ret_error);
}

static int confirm_identity(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusCamera *o = userdata;

        return camera_bus_confirm_identity(m, o->camera, ret_error);
}

static int erase(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusCamera *o = userdata;

        return camera_bus_erase(m, o->camera, ret_error);
}

static int update_firmware(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusCamera *o = userdata;

        return camera_bus_update_firmware(m, o->bus, o->camera, ret_error);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        CAMERA("Serial", "s", CONST, serial),
        CAMERA("Manufacturer", "s", EMITS_CHANGE, manufacturer),
        CAMERA("Model", "s", EMITS_CHANGE, model),
        CAMERA("Firmware", "s", EMITS_CHANGE, firmware),
        CAMERA("ModelId", "s", EMITS_CHANGE, model_id),
        CAMERA("BatteryPercent", "i", EMITS_CHANGE, battery_percent),
        CAMERA("Bay", "o", EMITS_CHANGE, bay),
        CAMERA("ClockDriftUsec", "x", EMITS_CHANGE, clock_drift_usec),
        CAMERA("ClockDriftKnown", "b", EMITS_CHANGE, clock_drift_known),
        CAMERA("TemperatureDecidegrees", "x", EMITS_CHANGE, temperature_decidegrees),
        CAMERA("TemperatureKnown", "b", EMITS_CHANGE, temperature_known),
        CAMERA("LastDockedUsec", "t", EMITS_CHANGE, last_docked_usec),
        CAMERA("Ambiguous", "b", EMITS_CHANGE, ambiguous),
        CAMERA("OfficerId", "s", EMITS_CHANGE, officer_id),
        CAMERA("OfficerName", "s", EMITS_CHANGE, officer_name),
        CAMERA("UnitId", "s", EMITS_CHANGE, unit_id),
        CAMERA("UnitName", "s", EMITS_CHANGE, unit_name),
        CAMERA("Health", "s", EMITS_CHANGE, health),
        CAMERA("HeldBack", "s", EMITS_CHANGE, held_back),
        SD_BUS_METHOD_WITH_ARGS("SetOwner",
                                SD_BUS_ARGS("s", officer_id, "s", officer_name, "s", unit_id, "s", unit_name), SD_BUS_RESULT("o", job),
                                set_owner, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ConfirmIdentity", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, confirm_identity,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Erase", SD_BUS_ARGS("b", not_stored), SD_BUS_RESULT("u", ordered, "u", held, "u", unsafe), erase,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UpdateFirmware", SD_BUS_ARGS("s", version, "b", in_spite),
                                SD_BUS_RESULT("o", job), update_firmware, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const ViewMember members[] = {
        { "Serial", VIEW_TEXT, offsetof(CameraView, serial) },
        { "Manufacturer", VIEW_TEXT, offsetof(CameraView, manufacturer) },
        { "Model", VIEW_TEXT, offsetof(CameraView, model) },
        { "Firmware", VIEW_TEXT, offsetof(CameraView, firmware) },
        { "ModelId", VIEW_TEXT, offsetof(CameraView, model_id) },
        { "BatteryPercent", VIEW_I32, offsetof(CameraView, battery_percent) },
        { "Bay", VIEW_TEXT, offsetof(CameraView, bay) },
        { "ClockDriftUsec", VIEW_I64, offsetof(CameraView, clock_drift_usec) },
        { "ClockDriftKnown", VIEW_BOOL, offsetof(CameraView, clock_drift_known) },
        { "TemperatureDecidegrees", VIEW_I64, offsetof(CameraView, temperature_decidegrees) },
        { "TemperatureKnown", VIEW_BOOL, offsetof(CameraView, temperature_known) },
        { "LastDockedUsec", VIEW_U64, offsetof(CameraView, last_docked_usec) },
        { "Ambiguous", VIEW_BOOL, offsetof(CameraView, ambiguous) },
        { "OfficerId", VIEW_TEXT, offsetof(CameraView, officer_id) },
        { "OfficerName", VIEW_TEXT, offsetof(CameraView, officer_name) },
        { "UnitId", VIEW_TEXT, offsetof(CameraView, unit_id) },
        { "UnitName", VIEW_TEXT, offsetof(CameraView, unit_name) },
        { "Health", VIEW_TEXT, offsetof(CameraView, health) },
        { "HeldBack", VIEW_TEXT, offsetof(CameraView, held_back) },
};

int camera_bus_path(const Camera *camera, char **ret) {
        if (camera)
                return sd_bus_path_encode(BUS_PATH "/camera", camera_serial(camera), ret);
        *ret = strdup("/");
        return *ret ? 0 : -ENOMEM;
}

static int view_camera(const Camera *c, CameraView *v) {
        WorkerOwner owner = camera_owner(c);
        char bay[BAY_PATH_SIZE];
        int decidegrees = 0, r;

        v->battery_percent = camera_battery_percent(c);
        v->clock_drift_known = camera_clock_drift(c, &v->clock_drift_usec);
        if (!v->clock_drift_known)
                v->clock_drift_usec = 0;
        v->temperature_known = camera_temperature(c, &decidegrees);
        v->temperature_decidegrees = decidegrees;
        v->last_docked_usec = (uint64_t) MAX2(camera_last_docked_usec(c), INT64_C(0));
        v->ambiguous = camera_is_ambiguous(c);
        if ((r = view_text(&v->serial, camera_serial(c))) < 0 ||
            (r = view_text(&v->manufacturer, camera_manufacturer(c))) < 0 ||
            (r = view_text(&v->model, camera_model(c))) < 0 || (r = view_text(&v->firmware, camera_firmware(c))) < 0 ||
            (r = view_text(&v->model_id, camera_model_id(c))) < 0 || (r = view_text(&v->officer_id, owner.officer_id)) < 0 ||
            (r = view_text(&v->officer_name, owner.officer_name)) < 0 || (r = view_text(&v->unit_id, owner.unit_id)) < 0 ||
            (r = view_text(&v->unit_name, owner.unit_name)) < 0 || (r = view_text(&v->health, camera_health(c))) < 0 ||
            (r = view_text(&v->held_back, camera_held_back(c))) < 0)
                return r;
        return view_text(&v->bay, bay_bus_path(camera_bay(c), bay));
}

static int camera_show(BusCamera *o, sd_bus *bus) {
        CameraView now = { 0 };
        int r;

        r = view_camera(o->camera, &now);
        if (r >= 0) {
                o->changed = false;
                view_show(bus, o->path, BUS_CAMERA_INTERFACE, members, ELEMENTSOF(members), &o->view, &now,
                          sizeof(now));
        }
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

int camera_bus_show_all(Bus *b) {
        int failed = 0;

        for (BusCamera *o = b->cameras; o; o = o->next) {
                int r = o->changed ? camera_show(o, b->bus) : 0;

                if (r < 0)
                        failed = r;
        }
        return failed;
}

static BusCamera *find(Bus *b, const Camera *camera) {
        BusCamera *o = b->cameras;

        while (o && o->camera != camera)
                o = o->next;
        return o;
}

void camera_bus_changed(Bus *b, const Camera *camera) {
        BusCamera *o = find(b, camera);

        if (!o)
                return;
        o->changed = true;
        bus_wake(b);
}

static BusCamera *camera_object_free(BusCamera *o) {
        if (!o)
                return NULL;
        sd_bus_slot_unref(o->slot);
        view_clear(members, ELEMENTSOF(members), &o->view);
        free(o->path);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(BusCamera, camera_object_free);

static int camera_connect(BusCamera *o, sd_bus *bus) {
        return sd_bus_add_object_vtable(bus, &o->slot, o->path, BUS_CAMERA_INTERFACE, vtable, o);
}

int camera_bus_add(Bus *b, Camera *camera) {
        _cleanup_(camera_object_freep) BusCamera *o = NULL;
        int r;

        if (find(b, camera))
                return 0;
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->bus = b;
        o->camera = camera;
        r = camera_bus_path(camera, &o->path);
        if (r < 0)
                return r;
        r = camera_show(o, NULL);
        if (r < 0)
                return r;
        if (b->bus) {
                r = camera_connect(o, b->bus);
                if (r < 0)
                        return r;
                r = sd_bus_emit_object_added(b->bus, o->path);
                if (r < 0)
                        log_debug(NULL, "%s cannot be announced: %s", o->path, strerror(-r));
        }
        o->next = b->cameras;
        b->cameras = TAKE_PTR(o);
        return 0;
}

void camera_bus_remove(Bus *b, const Camera *camera) {
        for (BusCamera **p = &b->cameras; *p; p = &(*p)->next) {
                BusCamera *o = *p;

                if (o->camera != camera)
                        continue;
                if (b->bus && sd_bus_emit_object_removed(b->bus, o->path) < 0)
                        log_debug(NULL, "%s cannot be announced as gone", o->path);
                *p = o->next;
                camera_object_free(o);
                return;
        }
}

void camera_bus_free_all(Bus *b) {
        while (b->cameras) {
                BusCamera *o = b->cameras;

                b->cameras = o->next;
                camera_object_free(o);
        }
}

int camera_bus_connect_all(Bus *b) {
        for (BusCamera *o = b->cameras; o; o = o->next) {
                int r = camera_connect(o, b->bus);

                if (r < 0)
                        return r;
        }
        return 0;
}

void camera_bus_disconnect_all(Bus *b) {
        for (BusCamera *o = b->cameras; o; o = o->next)
                o->slot = sd_bus_slot_unref(o->slot);
}
