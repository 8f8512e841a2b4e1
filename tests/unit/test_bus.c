/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the dock announces on the bus, and when. The service layer is played by this file; the bus is a dbus-daemon of its
 * own, and a second connection on the same loop hears what is said.
 */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "service/calibrate.h"
#include "service/notary.h"
#include "base/text.h"
#include "bus/bus.h"
#include "service/catalog_follow.h"
#include "service/flash.h"
#include "service/fleet_docks.h"
#include "service/image.h"
#include "service/fetch.h"
#include "service/import.h"
#include "service/reload.h"
#include "service/rollout.h"
#include "service/roster.h"
#include "service/roster_follow.h"

#define BAY_PATH "/org/berth/Dock1/bay/7"
#define CAMERA_PATH "/org/berth/Dock1/camera/SN1"
#define DEADLINE_USEC (60 * USEC_PER_SEC)

/* ---- The service layer ------------------------------------------------------------------------------------------ */

struct Camera {
        const char *serial, *model;
        int battery_percent;
        Bay *bay;
        Camera *next;
};

struct Bay {
        BayState state;
        const char *reason;
        Camera *camera;
        BayProgress progress;
        unsigned counted; /* how often its clips were gone through */
};

struct Manager {
        Bay bay;
        Camera *cameras;
        const ManagerObserver *observer;
        void *observer_userdata;
        const char *state;
        SpoolStatus spool;
        sd_bus *bus;
        Clip *transfers;
        uint64_t waiting;
};

static Settings settings = { .name = (char *) "north" };

const Settings *manager_settings(const Manager *m) {
        (void) m;
        return &settings;
}

void manager_upload_status(const Manager *m, UploadStatus *ret) {
        *ret = (UploadStatus){ .at_once = 4, .waiting = m->waiting };
        for (const Clip *c = m->transfers; c; c = c->next_going)
                ret->under_way++;
}

Clip *manager_first_transfer(Manager *m) {
        return m->transfers;
}

void manager_set_bus(Manager *m, sd_bus *bus) {
        m->bus = bus;
}

void manager_set_observer(Manager *m, const ManagerObserver *observer, void *userdata) {
        m->observer = observer;
        m->observer_userdata = userdata;
}

const char *manager_state(const Manager *m, const char **ret_reason) {
        *ret_reason = "";
        return m->state;
}

void manager_spool_status(const Manager *m, SpoolStatus *ret) {
        *ret = m->spool;
}

Bay *manager_first_bay(Manager *m) {
        return &m->bay;
}

Camera *manager_first_camera(Manager *m) {
        return m->cameras;
}

BayState bay_state(const Bay *b) {
        return b->state;
}

const char *bay_reason(const Bay *b) {
        return b->reason ? b->reason : "";
}

Camera *bay_camera(const Bay *b) {
        return b->camera;
}

void bay_progress(const Bay *b, BayProgress *ret) {
        ((Bay *) b)->counted++;
        *ret = b->progress;
        if (!ret->current_clip)
                ret->current_clip = "";
}

const char *camera_serial(const Camera *c) {
        return c->serial;
}

const char *camera_model(const Camera *c) {
        return c->model;
}

int camera_battery_percent(const Camera *c) {
        return c->battery_percent;
}

const char *catalog_follow_trouble(const CatalogFollow *f, ConfError *ret) {
        (void) f;
        ret->text[0] = 0;
        return ret->text;
}

Bay *camera_bay(const Camera *c) {
        return c->bay;
}

Camera *camera_next_in_order(Camera *c) {
        return c->next;
}

/* ---- The listener ----------------------------------------------------------------------------------------------- */

#define HEARD_MAX 64u

typedef struct Heard {
        char member[32], path[64];
        char names[512]; /* " State BytesCopied " */
        uint64_t bytes_copied;
        int32_t battery_percent;
        uint64_t at_usec;
} Heard;

typedef struct World {
        pid_t daemon;
        char folder[64], address[96];
        sd_event *event;
        sd_bus *listener;
        Manager manager;
        Bus *bus;
        Heard heard[HEARD_MAX];
        size_t n_heard, n_managed;
        bool answered;
} World;

static void read_changes(sd_bus_message *m, Heard *h) {
        const char *interface, *name, *contents;
        assert_true(sd_bus_message_read(m, "s", &interface) > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        strcpy(h->names, " ");
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &name) > 0);
                strcat(strcat(h->names, name), " ");
                assert_true(sd_bus_message_peek_type(m, NULL, &contents) > 0);
                if (text_equal(name, "BytesCopied"))
                        assert_true(sd_bus_message_read(m, "v", "t", &h->bytes_copied) > 0);
                else if (text_equal(name, "BatteryPercent"))
                        assert_true(sd_bus_message_read(m, "v", "i", &h->battery_percent) > 0);
                else
                        assert_true(sd_bus_message_skip(m, "v") >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        World *w = userdata;
        (void) error;
        if (text_equal(sd_bus_message_get_path(m), "/org/freedesktop/DBus"))
                return 0;
        assert_true(w->n_heard < HEARD_MAX);
        Heard *h = &w->heard[w->n_heard++];
        *h = (Heard) { .at_usec = clock_boottime_usec() };
        snprintf(h->member, sizeof(h->member), "%s", sd_bus_message_get_member(m));
        snprintf(h->path, sizeof(h->path), "%s", sd_bus_message_get_path(m));
        if (text_equal(h->member, "PropertiesChanged"))
                read_changes(m, h);
        else {
                const char *path;
                assert_true(sd_bus_message_read(m, "o", &path) > 0);
                snprintf(h->path, sizeof(h->path), "%s", path);
        }
        return 0;
}

static void wait_heard(World *w, size_t n) {
        uint64_t end = clock_boottime_usec() + DEADLINE_USEC;
        while (w->n_heard < n) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(w->event, USEC_PER_SEC) >= 0);
        }
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        World *w = userdata;
        const char *path;
        (void) error;
        assert_false(sd_bus_message_is_method_error(m, NULL));
        w->answered = true;
        w->n_managed = 0;
        if (!sd_bus_message_has_signature(m, "a{oa{sa{sv}}}"))
                return 0;
        assert_true(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
                assert_true(sd_bus_message_read(m, "o", &path) > 0);
                assert_true(sd_bus_message_skip(m, "a{sa{sv}}") >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                /* The roster, the transfers and the catalog are always there. */
                w->n_managed += strncmp(path, "/org/berth/Dock1/bay/", 21) == 0 || strncmp(path, "/org/berth/Dock1/camera/", 24) == 0 ||
                                strncmp(path, "/org/berth/Dock1/transfer/", 26) == 0;
        }
        return 0;
}

/* A call that is answered after everything that was said before it: what has not been heard by then was not said. */
static void settle(World *w) {
        uint64_t end = clock_boottime_usec() + DEADLINE_USEC;
        w->answered = false;
        assert_true(sd_bus_call_method_async(w->listener, NULL, "org.berth.Dock1", "/org/berth/Dock1",
                                             "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", on_answer, w, "") >= 0);
        while (!w->answered) {
                assert_true(clock_boottime_usec() < end);
                assert_true(sd_event_run(w->event, USEC_PER_SEC) >= 0);
        }
}

static bool has(const Heard *h, const char *name) {
        char wanted[64];
        snprintf(wanted, sizeof(wanted), " %s ", name);
        return strstr(h->names, wanted) != NULL;
}

static void tell_bay(World *w) {
        w->manager.observer->bay_changed(w->manager.observer_userdata, &w->manager.bay);
}

static void set_bytes(World *w, uint64_t bytes) {
        w->manager.bay.progress.bytes_copied = bytes;
        tell_bay(w);
}

/* ---- Set-up ------------------------------------------------------------------------------------------------------- */

static void start_daemon(World *w) {
        int fds[2];
        char line[256], address[128];
        assert_int_equal(pipe(fds), 0);
        snprintf(address, sizeof(address), "--address=%s", w->address);
        w->daemon = fork();
        assert_true(w->daemon >= 0);
        if (w->daemon == 0) {
                (void) dup2(fds[1], STDOUT_FILENO);
                /* It complains about limits that do not matter here. */
                (void) close(STDERR_FILENO);
                (void) close(fds[0]);
                execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork", "--print-address", address, NULL);
                _exit(127);
        }
        (void) close(fds[1]);
        assert_true(read(fds[0], line, sizeof(line)) > 0);
        (void) close(fds[0]);
}

static int setup(void **state) {
        World *w = calloc(1, sizeof(*w));
        assert_non_null(w);
        snprintf(w->folder, sizeof(w->folder), "/tmp/berth-bus-XXXXXX");
        assert_non_null(mkdtemp(w->folder));
        snprintf(w->address, sizeof(w->address), "unix:path=%s/bus", w->folder);
        start_daemon(w);
        assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", w->address, 1), 0);

        w->manager.state = "running";
        w->manager.spool = (SpoolStatus) { .state = "ok" };
        assert_true(sd_event_new(&w->event) >= 0);
        assert_true(sd_bus_open_system(&w->listener) >= 0);
        assert_true(sd_bus_attach_event(w->listener, w->event, 0) >= 0);
        assert_true(sd_bus_add_match(w->listener, NULL, "type='signal'", on_signal, w) >= 0);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;
        char path[128];
        bus_free(w->bus);
        sd_bus_flush_close_unref(w->listener);
        sd_event_unref(w->event);
        assert_int_equal(kill(w->daemon, SIGTERM), 0);
        assert_int_equal(waitpid(w->daemon, NULL, 0), w->daemon);
        snprintf(path, sizeof(path), "%s/bus", w->folder);
        (void) unlink(path);
        assert_int_equal(rmdir(w->folder), 0);
        free(w);
        return 0;
}

/* ---- Tests --------------------------------------------------------------------------------------------------------- */

static void test_a_change_of_state_takes_its_counts_with_it_at_once(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        set_bytes(w, 100);
        wait_heard(w, 1);
        w->manager.bay.state = BAY_READY;
        w->manager.bay.progress.clips_erased = 3;
        set_bytes(w, 200);
        settle(w);
        assert_int_equal(w->n_heard, 2);
        assert_string_equal(w->heard[1].path, BAY_PATH);
        assert_true(has(&w->heard[1], "State") && has(&w->heard[1], "ClipsErased") && w->heard[1].bytes_copied == 200);
}

static void test_progress_is_held_back_and_then_told_without_another_change(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        uint64_t before = clock_boottime_usec();
        set_bytes(w, 100);
        wait_heard(w, 1);
        set_bytes(w, 200);
        wait_heard(w, 2);
        assert_int_equal(w->heard[1].bytes_copied, 200);
        assert_true(w->heard[1].at_usec - before >= 250000);
}

static void test_a_reason_is_told_at_once_and_alone_while_progress_is_held_back(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        set_bytes(w, 100);
        wait_heard(w, 1);
        w->manager.bay.reason = "the store is away";
        set_bytes(w, 200);
        settle(w);
        assert_true(w->n_heard >= 2 && has(&w->heard[1], "Reason"));
        /* On a machine so busy that the progress was due by then, it comes along. */
        if (has(&w->heard[1], "BytesCopied"))
                return;
        assert_string_equal(w->heard[1].names, " Reason ");
        wait_heard(w, 3);
        assert_string_equal(w->heard[2].names, " BytesCopied ");
}

static void test_many_changes_at_once_are_one_signal_and_one_count(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        unsigned before = w->manager.bay.counted;
        for (unsigned i = 1; i <= 1000; i++)
                set_bytes(w, i);
        wait_heard(w, 1);
        settle(w);
        assert_int_equal(w->n_heard, 1);
        assert_int_equal(w->heard[0].bytes_copied, 1000);
        assert_int_equal(w->manager.bay.counted, before + 1);
}

static void test_the_managers_counts_come_along_with_a_bays_state(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        for (unsigned i = 1; i <= 2; i++) {
                w->manager.spool.unstored_clips = i;
                w->manager.bay.state = i == 1 ? BAY_SETTLED : BAY_READY;
                tell_bay(w);
                w->manager.observer->manager_changed(w->manager.observer_userdata);
                settle(w);
                assert_int_equal(w->n_heard, 2 * i);
                assert_true(has(&w->heard[2 * i - 2], "State") && has(&w->heard[2 * i - 1], "UnstoredClips"));
        }
}

static void test_what_did_not_change_is_not_told(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        tell_bay(w);
        w->manager.observer->manager_changed(w->manager.observer_userdata);
        settle(w);
        assert_int_equal(w->n_heard, 0);
        w->manager.state = "degraded";
        w->manager.observer->manager_changed(w->manager.observer_userdata);
        wait_heard(w, 1);
        assert_string_equal(w->heard[0].names, " State ");
}

static void test_a_camera_comes_changes_with_its_bay_and_goes(void **state) {
        World *w = *state;
        Camera camera = { .serial = "SN1", .model = "Guard", .battery_percent = 40, .bay = &w->manager.bay };
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        const ManagerObserver *o = w->manager.observer;
        void *u = w->manager.observer_userdata;

        w->manager.cameras = w->manager.bay.camera = &camera;
        o->camera_added(u, &camera);
        tell_bay(w);
        wait_heard(w, 2);
        assert_string_equal(w->heard[0].member, "InterfacesAdded");
        assert_string_equal(w->heard[0].path, CAMERA_PATH);
        assert_true(has(&w->heard[1], "Camera") && has(&w->heard[1], "Serial") && w->heard[1].battery_percent == 40);
        settle(w);
        assert_int_equal(w->n_managed, 2);

        camera.battery_percent = 41;
        o->camera_changed(u, &camera);
        wait_heard(w, 4);
        assert_int_equal(w->heard[2].battery_percent, 41);
        assert_int_equal(w->heard[3].battery_percent, 41);
        assert_string_not_equal(w->heard[2].path, w->heard[3].path);

        w->manager.cameras = w->manager.bay.camera = NULL;
        o->camera_removed(u, &camera);
        tell_bay(w);
        wait_heard(w, 6);
        assert_string_equal(w->heard[4].member, "InterfacesRemoved");
        assert_string_equal(w->heard[4].path, CAMERA_PATH);
        settle(w);
        assert_int_equal(w->n_managed, 1);
}

static void test_a_string_that_is_no_utf8_does_not_cost_the_whole_answer(void **state) {
        World *w = *state;
        Camera camera = { .serial = "\xff\xfe", .model = "\xc0\xaf", .bay = &w->manager.bay };
        w->manager.cameras = w->manager.bay.camera = &camera;
        w->manager.bay.reason = "bad \xed\xa0\x80";
        w->manager.bay.progress.current_clip = "\x80";
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        settle(w);
        assert_int_equal(w->n_managed, 2);
}

/* Clips that come, move and go; what begins and ends between two looks is not told. */
static void test_transfers_are_objects_as_long_as_they_are_under_way(void **state) {
        World *w = *state;
        Clip a = { .id = 7, .serial = (char *) "SN1", .path = (char *) "a.MP4", .size_bytes = 1000, .going = true };
        Clip b = { .id = 8, .serial = (char *) "SN1", .path = (char *) "b.MP4", .size_bytes = 50, .going = true };
        a.manager = b.manager = &w->manager;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        const ManagerObserver *o = w->manager.observer;
        void *u = w->manager.observer_userdata;

        w->manager.transfers = &a;
        o->transfers_changed(u);
        wait_heard(w, 2);
        assert_string_equal(w->heard[0].member, "InterfacesAdded");
        assert_string_equal(w->heard[0].path, "/org/berth/Dock1/transfer/7");
        assert_string_equal(w->heard[1].path, "/org/berth/Dock1/transfer");
        assert_true(has(&w->heard[1], "UnderWay"));
        a.stored_bytes = 500;
        o->transfers_changed(u);
        a.next_going = &b;
        o->transfers_changed(u);
        a.next_going = NULL;
        o->transfers_changed(u);
        wait_heard(w, 3);
        assert_string_equal(w->heard[2].path, "/org/berth/Dock1/transfer/7");
        assert_true(has(&w->heard[2], "StoredBytes"));
        assert_true(w->heard[2].at_usec - w->heard[0].at_usec >= 240000);
        settle(w);
        assert_int_equal(w->n_managed, 2);

        w->manager.transfers = NULL;
        o->transfers_changed(u);
        bool gone = false;
        for (size_t n = w->n_heard + 1; !gone; n++) {
                wait_heard(w, n);
                gone = text_equal(w->heard[n - 1].member, "InterfacesRemoved");
                assert_true(!gone || text_equal(w->heard[n - 1].path, "/org/berth/Dock1/transfer/7"));
        }
        settle(w);
        assert_int_equal(w->n_managed, 1);
}

static void test_the_name_has_one_owner(void **state) {
        World *w = *state;
        assert_int_equal(sd_bus_request_name(w->listener, "org.berth.Dock1", 0), 1);
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), -EEXIST);
        assert_null(w->bus);
        assert_null(w->manager.observer);
        assert_null(w->manager.bus);
}

static void test_the_manager_gets_the_connection_and_loses_it_at_the_end(void **state) {
        World *w = *state;
        assert_int_equal(bus_new(w->event, &w->manager, &w->bus), 0);
        assert_non_null(w->manager.bus);
        set_bytes(w, 1);
        w->bus = bus_free(w->bus);
        assert_null(w->manager.bus);
        assert_null(w->manager.observer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_change_of_state_takes_its_counts_with_it_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_progress_is_held_back_and_then_told_without_another_change, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_reason_is_told_at_once_and_alone_while_progress_is_held_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_changes_at_once_are_one_signal_and_one_count, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_managers_counts_come_along_with_a_bays_state, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_did_not_change_is_not_told, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_camera_comes_changes_with_its_bay_and_goes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_string_that_is_no_utf8_does_not_cost_the_whole_answer, setup, teardown),
                cmocka_unit_test_setup_teardown(test_transfers_are_objects_as_long_as_they_are_under_way, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_name_has_one_owner, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_manager_gets_the_connection_and_loses_it_at_the_end, setup, teardown),
        };
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
