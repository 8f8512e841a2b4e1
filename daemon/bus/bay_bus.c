/* SPDX-License-Identifier: Apache-2.0 */

/* org.berth.Dock1.Bay: see org.berth.Dock1.Bay.xml. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/job.h"
#include "bus/view.h"
#include "service/calibrate.h"

#define LOCATE_MAX_SEC 3600u

typedef struct BayView {
        uint32_t number;
        char *port_path, *state, *light, *reason, *camera, *serial, *model;
        int32_t battery_percent;
        uint32_t clips_total, clips_copied, clips_stored, clips_erased;
        uint64_t bytes_total, bytes_copied, bytes_stored;
        char *current_clip;
        uint32_t faults;
        uint64_t retry_at_usec;
        char *identity;
        int power;
        char *charge;
        int32_t charge_percent, minutes_to_full;
        int64_t ready_at_usec;
        int ready_in_time;
        int32_t flash_percent;
        char *flash_version;
} BayView;

struct BusBay {
        BusBay *next;
        Bus *bus;
        Bay *bay;
        char path[BAY_PATH_SIZE];
        sd_bus_slot *slot;
        BayView view;
        bool changed;
        uint64_t progress_usec; /* when progress was last shown */
};

#define BAY(name, type, kind, member)                                                                             \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusBay, view) + offsetof(BayView, member),                   \
                        SD_BUS_VTABLE_PROPERTY_##kind)

static int locate(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusBay *o = userdata;
        uint32_t seconds;
        Caller caller;
        int r;

        r = sd_bus_message_read(m, "u", &seconds);
        if (r < 0)
                return r;
        if (seconds > LOCATE_MAX_SEC)
                return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "seconds: at most %u.", LOCATE_MAX_SEC);
        r = caller_get(m, &caller, ret_error);
        if (r >= 0)
                r = bay_point_at(o->bay, seconds * USEC_PER_SEC);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

/* The sentence of what was found, or why not. */
static void calibrated(void *userdata, int result, const char *text) {
        job_end(userdata, result >= 0 ? JOB_DONE : result == -ECANCELED ? JOB_CANCELLED : JOB_FAILED,
                result >= 0 || result == -ECANCELED ? NULL : error_name(result), text ? text : strerror(-result), NULL, 0);
}

static int cancel_calibration(void *operation, const Operator *by, const char **ret_why) {
        (void) by;
        *ret_why = "what was found is being recorded";
        return calibration_cancel(operation);
}

static const JobKind calibrate_kind = { .name = "calibrate", .unit = "", .action = ACTION_OPERATE, .cancel = cancel_calibration };

static int calibrate(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusBay *o = userdata;
        Calibration *calibration;
        const char *why = NULL;
        Caller caller;
        Operator by;
        Job *job;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r >= 0)
                r = job_new(o->bus, m, &calibrate_kind, o->path, &job, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = calibrate_bay(o->bay, &by, calibrated, job, &calibration, &why);
        if (r >= 0)
                return job_answer(job, calibration);
        job_drop(job);
        return error_set(ret_error, r, "%s.", why ? why : strerror(-r));
}

static void ejected(void *userdata, int result, const char *text) {
        job_end(userdata, result >= 0 ? JOB_DONE : JOB_FAILED, result >= 0 ? NULL : error_name(result),
                text && *text ? text : strerror(-result), NULL, 0);
}

static int eject_goes_on(void *operation, const Operator *by, const char **ret_why) {
        (void) operation;
        (void) by;
        *ret_why = "the camera is being let go, which is over in a moment; to have the dock go on with it, take it out and put it in again";
        return -EALREADY;
}

static int eject(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        static const JobKind kind = { .name = "eject", .unit = "", .action = ACTION_OPERATE, .cancel = eject_goes_on };
        const BusBay *o = userdata;
        const char *why = NULL;
        Caller caller;
        Operator by;
        Job *job;
        int r;

        r = caller_get(m, &caller, ret_error);
        if (r >= 0)
                r = job_new(o->bus, m, &kind, o->path, &job, ret_error);
        if (r < 0)
                return r;
        by = caller_operator(&caller);
        r = bay_hand_out(o->bay, &by, ejected, job, &why);
        if (r >= 0)
                return job_answer(job, NULL);
        job_drop(job);
        return error_set(ret_error, r, "%s.", why && *why ? why : strerror(-r));
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        BAY("Number", "u", CONST, number),
        BAY("PortPath", "s", CONST, port_path),
        BAY("State", "s", EMITS_CHANGE, state),
        BAY("Light", "s", EMITS_CHANGE, light),
        BAY("Reason", "s", EMITS_CHANGE, reason),
        BAY("Camera", "o", EMITS_CHANGE, camera),
        BAY("Serial", "s", EMITS_CHANGE, serial),
        BAY("Model", "s", EMITS_CHANGE, model),
        BAY("BatteryPercent", "i", EMITS_CHANGE, battery_percent),
        BAY("ClipsTotal", "u", EMITS_CHANGE, clips_total),
        BAY("ClipsCopied", "u", EMITS_CHANGE, clips_copied),
        BAY("ClipsStored", "u", EMITS_CHANGE, clips_stored),
        BAY("ClipsErased", "u", EMITS_CHANGE, clips_erased),
        BAY("BytesTotal", "t", EMITS_CHANGE, bytes_total),
        BAY("BytesCopied", "t", EMITS_CHANGE, bytes_copied),
        BAY("BytesStored", "t", EMITS_CHANGE, bytes_stored),
        BAY("CurrentClip", "s", EMITS_CHANGE, current_clip),
        BAY("Faults", "u", EMITS_CHANGE, faults),
        BAY("RetryAtUsec", "t", EMITS_CHANGE, retry_at_usec),
        BAY("Identity", "s", EMITS_CHANGE, identity),
        BAY("Power", "b", EMITS_CHANGE, power),
        BAY("Charge", "s", EMITS_CHANGE, charge),
        BAY("ChargePercent", "i", EMITS_CHANGE, charge_percent),
        BAY("MinutesToFull", "i", EMITS_CHANGE, minutes_to_full),
        BAY("ReadyAtUsec", "x", EMITS_CHANGE, ready_at_usec),
        BAY("ReadyInTime", "b", EMITS_CHANGE, ready_in_time),
        BAY("FlashPercent", "i", EMITS_CHANGE, flash_percent),
        BAY("FlashVersion", "s", EMITS_CHANGE, flash_version),
        SD_BUS_METHOD_WITH_ARGS("Calibrate", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", job), calibrate, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Eject", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", job), eject, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Locate", SD_BUS_ARGS("u", seconds), SD_BUS_NO_RESULT, locate, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const ViewMember members[] = {
        { "Number", VIEW_U32, offsetof(BayView, number) },
        { "PortPath", VIEW_TEXT, offsetof(BayView, port_path) },
        { "State", VIEW_TEXT, offsetof(BayView, state) },
        { "Light", VIEW_TEXT, offsetof(BayView, light) },
        { "Reason", VIEW_TEXT, offsetof(BayView, reason) },
        { "Camera", VIEW_TEXT, offsetof(BayView, camera) },
        { "Serial", VIEW_TEXT, offsetof(BayView, serial) },
        { "Model", VIEW_TEXT, offsetof(BayView, model) },
        { "BatteryPercent", VIEW_I32, offsetof(BayView, battery_percent) },
        { "ClipsTotal", VIEW_U32, offsetof(BayView, clips_total) },
        { "ClipsCopied", VIEW_U32, offsetof(BayView, clips_copied) },
        { "ClipsStored", VIEW_U32, offsetof(BayView, clips_stored) },
        { "ClipsErased", VIEW_U32, offsetof(BayView, clips_erased) },
        { "BytesTotal", VIEW_U64, offsetof(BayView, bytes_total) },
        { "BytesCopied", VIEW_U64, offsetof(BayView, bytes_copied) },
        { "BytesStored", VIEW_U64, offsetof(BayView, bytes_stored) },
        { "CurrentClip", VIEW_TEXT, offsetof(BayView, current_clip) },
        { "Faults", VIEW_U32, offsetof(BayView, faults) },
        { "RetryAtUsec", VIEW_U64, offsetof(BayView, retry_at_usec) },
        { "Identity", VIEW_TEXT, offsetof(BayView, identity) },
        { "Power", VIEW_BOOL, offsetof(BayView, power) },
        { "Charge", VIEW_TEXT, offsetof(BayView, charge) },
        { "ChargePercent", VIEW_I32, offsetof(BayView, charge_percent) },
        { "MinutesToFull", VIEW_I32, offsetof(BayView, minutes_to_full) },
        { "ReadyAtUsec", VIEW_I64, offsetof(BayView, ready_at_usec) },
        { "ReadyInTime", VIEW_BOOL, offsetof(BayView, ready_in_time) },
        { "FlashPercent", VIEW_I32, offsetof(BayView, flash_percent) },
        { "FlashVersion", VIEW_TEXT, offsetof(BayView, flash_version) },
};

const char *bay_bus_path(const Bay *bay, char ret[static BAY_PATH_SIZE]) {
        if (bay)
                snprintf(ret, BAY_PATH_SIZE, BUS_PATH "/bay/%u", bay_number(bay));
        else
                snprintf(ret, BAY_PATH_SIZE, "/");
        return ret;
}

static int view_charge(const Bay *bay, BayView *v) {
        ChargeStatus c;

        bay_charge(bay, &c);
        v->power = c.power;
        v->charge_percent = c.percent;
        v->minutes_to_full = c.minutes_to_full;
        v->ready_at_usec = c.ready_at_usec;
        v->ready_in_time = c.in_time;
        return view_text(&v->charge, c.why);
}

/* All but the progress. */
static int view_standing(const Bay *bay, BayView *v) {
        const Camera *camera = bay_camera(bay);
        const char *version;
        int r;

        v->number = bay_number(bay);
        v->flash_percent = bay_flash_percent(bay, &version);
        v->battery_percent = camera ? camera_battery_percent(camera) : -1;
        v->faults = bay_faults(bay);
        v->retry_at_usec = bay_retry_at_usec(bay);
        r = view_charge(bay, v);
        if (r < 0)
                return r;
        r = camera_bus_path(camera, &v->camera);
        if (r < 0)
                return r;
        if ((r = view_text(&v->port_path, bay_port_path(bay))) < 0 ||
            (r = view_text(&v->state, bay_state_to_string(bay_state(bay)))) < 0 ||
            (r = view_text(&v->light, light_to_string(bay_light(bay)))) < 0 ||
            (r = view_text(&v->reason, bay_reason(bay))) < 0 || (r = view_text(&v->identity, bay_identity(bay))) < 0 ||
            (r = view_text(&v->serial, camera ? camera_serial(camera) : "")) < 0 ||
            (r = view_text(&v->flash_version, version)) < 0)
                return r;
        return view_text(&v->model, camera ? camera_model(camera) : "");
}

static int view_progress(const Bay *bay, BayView *v) {
        BayProgress p;

        bay_progress(bay, &p);
        v->clips_total = p.clips_total;
        v->clips_copied = p.clips_copied;
        v->clips_stored = p.clips_stored;
        v->clips_erased = p.clips_erased;
        v->bytes_total = p.bytes_total;
        v->bytes_copied = p.bytes_copied;
        v->bytes_stored = p.bytes_stored;
        return view_text(&v->current_clip, p.current_clip);
}

static int keep_progress(const BayView *shown, BayView *v) {
        v->clips_total = shown->clips_total;
        v->clips_copied = shown->clips_copied;
        v->clips_stored = shown->clips_stored;
        v->clips_erased = shown->clips_erased;
        v->bytes_total = shown->bytes_total;
        v->bytes_copied = shown->bytes_copied;
        v->bytes_stored = shown->bytes_stored;
        return view_text(&v->current_clip, shown->current_clip);
}

/*
 * A change of state takes the progress with it, so that "ready" is never seen with the counts of before. Counting goes
 * through all clips of the camera: another reason to do it four times a second and not at each change.
 */
static int bay_show(BusBay *o, Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        BayView now = { 0 };
        bool due, new_state;
        int r;

        r = view_standing(o->bay, &now);
        if (r < 0)
                goto finish;
        new_state = !text_equal(now.state, o->view.state);
        due = new_state || now_usec - o->progress_usec >= VIEW_PROGRESS_USEC;
        r = due ? view_progress(o->bay, &now) : keep_progress(&o->view, &now);
        if (r < 0)
                goto finish;
        if (due) {
                o->progress_usec = now_usec;
                o->changed = false;
        } else
                *wake_usec = MIN2(*wake_usec, o->progress_usec + VIEW_PROGRESS_USEC);
        if (new_state)
                manager_bus_hurry(b);
        view_show(b->bus, o->path, BUS_BAY_INTERFACE, members, ELEMENTSOF(members), &o->view, &now, sizeof(now));

finish:
        view_clear(members, ELEMENTSOF(members), &now);
        return r;
}

int bay_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        int failed = 0;

        for (BusBay *o = b->bays; o; o = o->next) {
                int r = o->changed ? bay_show(o, b, now_usec, wake_usec) : 0;

                if (r < 0)
                        failed = r;
        }
        return failed;
}

void bay_bus_changed(Bus *b, const Bay *bay) {
        for (BusBay *o = b->bays; o; o = o->next)
                if (o->bay == bay) {
                        o->changed = true;
                        bus_wake(b);
                        return;
                }
}

int bay_bus_new_all(Bus *b) {
        uint64_t wake_usec = UINT64_MAX;

        for (Bay *bay = manager_first_bay(b->manager); bay; bay = bay_next_in_order(bay)) {
                BusBay *o = calloc(1, sizeof(*o));
                int r;

                if (!o)
                        return -ENOMEM;
                o->bus = b;
                o->bay = bay;
                bay_bus_path(bay, o->path);
                o->next = b->bays;
                b->bays = o;
                r = bay_show(o, b, VIEW_PROGRESS_USEC, &wake_usec);
                if (r < 0)
                        return r;
        }
        return 0;
}

void bay_bus_free_all(Bus *b) {
        while (b->bays) {
                BusBay *o = b->bays;

                b->bays = o->next;
                sd_bus_slot_unref(o->slot);
                view_clear(members, ELEMENTSOF(members), &o->view);
                free(o);
        }
}

int bay_bus_connect_all(Bus *b) {
        for (BusBay *o = b->bays; o; o = o->next) {
                int r = sd_bus_add_object_vtable(b->bus, &o->slot, o->path, BUS_BAY_INTERFACE, vtable, o);

                if (r < 0)
                        return r;
        }
        return 0;
}

void bay_bus_disconnect_all(Bus *b) {
        for (BusBay *o = b->bays; o; o = o->next)
                o->slot = sd_bus_slot_unref(o->slot);
}
