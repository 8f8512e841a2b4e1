/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fill_facts STATE: puts facts on record, by the daemon's own store and while no daemon runs, of what takes hours or special hardware on
 * a dock: a firmware catalog, a rollout and a flash in it, a change of mode, a port and a charge that were measured, a range that cannot
 * be read, a file that was set aside.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "base/text.h"
#include "store/store.h"

#define BAY "1-1.9"

static sd_event *event;
static Store *store;
static uint64_t camera, docking;

static void fail(const char *what, int r) {
        fprintf(stderr, "fill_facts: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

typedef struct Outcome {
        bool done;
        int result;
} Outcome;

static void on_done(int result, void *userdata) {
        Outcome *o = userdata;

        o->done = true;
        o->result = result;
}

static void put(Fact *f) {
        Outcome o = { 0 };
        int r;

        moment_now(true, &f->at);
        f->camera_id = camera;
        f->docking_id = docking;
        r = store_put(store, f, on_done, &o);
        while (r >= 0 && !o.done)
                r = sd_event_run(event, UINT64_MAX);
        if (r < 0 || o.result < 0)
                fail(o.done ? store_last_refusal(store) : fact_kind_to_string(f->kind), r < 0 ? r : o.result);
}

static Digest digest(const char *text) {
        Digest d;

        if (digest_of(text, strlen(text), &d) < 0)
                abort();
        return d;
}

static void put_camera(void) {
        Fact seen = { .kind = FACT_CAMERA_SEEN,
                      .camera = { "SN-FILLED", "Acme", "Body 2", "2.0", "vol-9", "acme-body-2", false } };
        Fact docked = { .kind = FACT_DOCKED, .bay = BAY, .usb = { .vid = 0x1d6b, .pid = 0x0104, .usb_serial = "SN-FILLED" } };
        Fact identified = { .kind = FACT_IDENTIFIED };
        uint64_t id = docking;

        docking = 0;
        put(&seen);
        docking = id;
        id = camera;
        camera = 0;
        put(&docked);
        camera = id;
        put(&identified);
}

static void put_unreadable(void) {
        static const ByteRange ranges[] = { { 9000, 512 } };
        uint64_t clip = store_next_id(store, STORE_ID_CLIP);
        Fact seen = { .kind = FACT_CLIP_SEEN, .clip_id = clip,
                      .clip = { .path = "DCIM/BAD.MP4", .size_bytes = 20000000, .mtime_unix_sec = 1700000000 } };
        Fact begun = { .kind = FACT_PULL_BEGUN, .clip_id = clip };
        Fact unreadable = { .kind = FACT_PULL_UNREADABLE, .clip_id = clip, .text = "512 bytes of the clip cannot be read",
                            .unreadable = { 0, 1, ranges, ELEMENTSOF(ranges) } };

        put(&seen);
        put(&begun);
        put(&unreadable);
}

static void put_firmware(void) {
        Fact catalog = { .kind = FACT_CATALOG, .text = "version 3 of the catalog",
                         .catalog = { "the catalog's document", "0123\n", "{}", 3 } };
        Fact plan = { .kind = FACT_ROLLOUT, .text = "revision 2", .rollout = { .id = "autumn", .statement = "the plan", .revision = 2 } };
        Fact begun = { .kind = FACT_ROLLOUT_BEGUN, .rollout = { .id = "autumn", .window = 7, .place = 3, .wave = 1 } };
        Fact ended = { .kind = FACT_ROLLOUT_ENDED, .text = "it tells 2.1", .rollout = { .id = "autumn", .outcome = "ok" } };
        Fact flash = { .kind = FACT_FLASH_BEGUN, .bay = BAY,
                       .flash = { .id = docking, .version = "2.1", .from_version = "2.0", .model_id = "acme-body-2", .purpose = "autumn",
                                  .digest = digest("image"), .size_bytes = 5, .until_usec = 1 } };
        Fact sending = { .kind = FACT_FLASH_SENDING, .bay = BAY, .flash = { .id = docking, .until_usec = 2, .sending = 1 } };
        Fact sent = { .kind = FACT_FLASH_SENT, .bay = BAY, .flash = { .id = docking, .until_usec = 3, .whole = true } };
        Fact over = { .kind = FACT_FLASH_ENDED, .bay = BAY, .text = "it tells the version that it was given",
                      .flash = { .id = docking, .outcome = "ok", .came_back = "2.1" } };

        put(&catalog);
        put(&plan);
        put(&begun);
        put(&flash);
        put(&sending);
        put(&sent);
        put(&over);
        put(&ended);
}

static void put_bay(void) {
        Fact charged = { .kind = FACT_CHARGED, .bay = BAY,
                         .charge = { .from_percent = 20, .to_percent = 60, .took_usec = UINT64_C(3600000000), .permille = 1020,
                                     .measured_permille = 1040 } };
        Fact port = { .kind = FACT_PORT_CALIBRATED, .bay = BAY, .text = "the port switches",
                      .port = { "1-1", "request", true, true, 1500000 } };
        Fact begun = { .kind = FACT_SWITCH_BEGUN, .bay = BAY, .change = { UINT64_C(1) << 40, "acme-body-2" } };

        put(&charged);
        put(&port);
        put(&begun);
}

static void put_kept_and_restored(const char *state) {
        char *path = text_format("%s/kept/filled", state);
        FILE *file = path ? fopen(path, "w") : NULL;
        Fact kept = { .kind = FACT_FILE_KEPT, .text = "nobody knows it", .file = { "parts/filled", "filled" } };
        Fact hashed = { .kind = FACT_FILE_HASHED, .hashed = { .name = "kept/filled", .size_bytes = 6, .digest = digest("filled") } };
        Fact restored = { .kind = FACT_RESTORED, .text = "a backup", .key.numbers_from = 1000000 };
        uint64_t id = docking;

        if (!file || fputs("filled", file) < 0 || fclose(file) != 0)
                fail("kept/filled", -EIO);
        free(path);
        docking = camera = 0;
        put(&kept);
        put(&hashed);
        put(&restored);
        docking = id;
}

int main(int argc, char **argv) {
        ConfError error = { 0 };
        int r;

        if (argc != 2)
                fail("it takes a dock's state folder", -EINVAL);
        r = sd_event_new(&event);
        if (r >= 0)
                r = store_open(event, argv[1], &store, &error);
        if (r < 0)
                fail(error.text, r);
        camera = store_next_id(store, STORE_ID_CAMERA);
        docking = store_next_id(store, STORE_ID_DOCKING);
        put_camera();
        put_unreadable();
        put_firmware();
        put_bay();
        put_kept_and_restored(argv[1]);
        store = store_close(store);
        (void) sd_event_unref(event);
        return EXIT_SUCCESS;
}
