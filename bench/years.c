/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A dock's memory after years: fills a state folder with the facts of so many clips, as the daemon would have, and measures
 * what the memory costs then.
 *
 *   years fill STATE_DIR CLIPS [CAMERAS]     a row of figures for each tenth: events written a second, bytes a clip
 *   years measure STATE_DIR [QUERIES]        opening, totals, and the queries of people, at random places
 *
 * Filling signs by the key that the folder has, so a dock must have been started on it once. Of each tenth the last dockings are written by
 * the daemon's code, fact by fact; what they cost is the figure. The others are laid down after their pattern (years_lay.c).
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/text.h"
#include "service/dock_key.h"
#include "store/store.h"
#include "years.h"

#define DAY (24 * 3600 * USEC_PER_SEC)
#define BY_FACTS 100u /* dockings of each tenth that the daemon's own code writes, beside those that are laid down */
#define PENDING_MAX 64u
#define DOCKING_EVENTS_MAX 200u /* one second each */
#define ROWS_PER_TABLE 50u /* what one page of a list has */

typedef struct Years {
        sd_event *event;
        Store *store;
        const SignKey *key;
        uint64_t cameras;
        uint64_t *camera_ids; /* 0: not seen yet */
        int64_t wall_usec;
        char boot_id[BOOT_ID_SIZE];
        unsigned pending;
        int result;
} Years;

static double now_sec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void on_done(int result, void *userdata) {
        Years *y = userdata;

        y->pending--;
        if (result < 0 && y->result == 0) {
                (void) fprintf(stderr, "years: %s: %s\n", strerror(-result), store_last_refusal(y->store));
                y->result = result;
        }
}

static int drain(Years *y, unsigned most) {
        int r = 0;

        while (r >= 0 && y->result == 0 && y->pending > most)
                r = sd_event_run(y->event, UINT64_MAX);
        return y->result < 0 ? y->result : r;
}

/* ---- filling ---- */

/* Its facts come one second after the other, in a boot that never ends. */
static Fact fact_of(Years *y, FactKind kind, uint64_t docking_id, uint64_t camera_id, uint64_t clip_id) {
        Fact f = { .kind = kind, .docking_id = docking_id, .camera_id = camera_id, .clip_id = clip_id };

        f.at.wall_usec = y->wall_usec;
        f.at.boottime_usec = (uint64_t) y->wall_usec;
        f.at.synchronised = true;
        memcpy(f.at.boot_id, y->boot_id, BOOT_ID_SIZE);
        y->wall_usec += (int64_t) USEC_PER_SEC;
        return f;
}

Digest years_digest(uint64_t a, uint64_t b) {
        uint64_t both[2] = { a, b };
        Digest d = { 0 };

        (void) digest_of(both, sizeof(both), &d);
        return d;
}

void years_serial(uint64_t camera_id, char ret[static 32]) {
        (void) snprintf(ret, 32, "Y%07" PRIu64, camera_id);
}

void years_bay(uint64_t camera_id, char ret[static 32]) {
        (void) snprintf(ret, 32, "1-%u.%u", (unsigned) (camera_id % 7 + 1), (unsigned) (camera_id / 7 % 7 + 1));
}

void years_clip(const char *serial, uint64_t clip_id, int64_t seen_usec, YearsClip *ret) {
        char day[11];

        (void) utc_day(seen_usec / (int64_t) USEC_PER_SEC, day);
        (void) snprintf(ret->path, sizeof(ret->path), "DCIM/100MEDIA/%s_%08" PRIu64 ".MP4", day, clip_id);
        (void) snprintf(ret->object, sizeof(ret->object), "objects/%s/%s/%08" PRIu64 "-2f9a6c1b.mp4", serial, day, clip_id);
        (void) snprintf(ret->manifest, sizeof(ret->manifest), "manifests/%s/%s/%08" PRIu64 "-2f9a6c1b.json", serial, day, clip_id);
        (void) snprintf(ret->spool, sizeof(ret->spool), "%" PRIu64 ".clip", clip_id);
        ret->digest = years_digest(clip_id, UINT64_MAX);
        ret->head = years_digest(clip_id, UINT64_MAX - 1);
        ret->tail = years_digest(clip_id, UINT64_MAX - 2);
        ret->prefixes = years_digest(clip_id, UINT64_MAX - 3);
}

/* As they are read from a camera in one go. */
static int add_blocks(Years *y, StoreBatch *b, uint64_t docking_id, uint64_t camera_id, uint64_t clip_id) {
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < YEARS_CLIP_BYTES / WIRE_BLOCK_SIZE; i++) {
                Fact f = fact_of(y, FACT_BLOCK, docking_id, camera_id, clip_id);

                f.block.number = i;
                f.block.length = (uint32_t) WIRE_BLOCK_SIZE;
                f.block.digest = years_digest(clip_id, i + 1 == YEARS_CLIP_BYTES / WIRE_BLOCK_SIZE ? UINT64_MAX : i);
                r = store_batch_add(b, &f);
        }
        return r;
}

/* Seen, pulled with a break, stored, read again before it is erased, and let go of by the spool: ten events. */
static int add_clip(Years *y, StoreBatch *b, uint64_t docking_id, uint64_t camera_id, uint64_t clip_id, const char *serial) {
        Fact f = fact_of(y, FACT_CLIP_SEEN, docking_id, camera_id, clip_id);
        YearsClip clip;
        int r;

        years_clip(serial, clip_id, f.at.wall_usec, &clip);
        f.clip.path = clip.path;
        f.clip.size_bytes = YEARS_CLIP_BYTES;
        f.clip.mtime_unix_sec = f.at.wall_usec / (int64_t) USEC_PER_SEC;
        r = store_batch_add(b, &f);
        for (int i = 0; r >= 0 && i < 3; i++) {
                f = fact_of(y, i == 1 ? FACT_PULL_INTERRUPTED : FACT_PULL_BEGUN, docking_id, camera_id, clip_id);
                r = store_batch_add(b, &f);
        }
        r = r < 0 ? r : add_blocks(y, b, docking_id, camera_id, clip_id);
        f = fact_of(y, FACT_COPIED, docking_id, camera_id, clip_id);
        f.copy.size_bytes = YEARS_CLIP_BYTES;
        f.copy.digest = clip.digest;
        f.copy.head = clip.head;
        f.copy.tail = clip.tail;
        f.copy.spool_name = clip.spool;
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_RECEIPTED, 0, camera_id, clip_id);
        f.receipt.object_key = clip.object;
        f.receipt.manifest_key = clip.manifest;
        f.receipt.version = "";
        f.receipt.strength = "digest";
        f.receipt.size_bytes = YEARS_CLIP_BYTES;
        f.receipt.digest = clip.digest;
        f.receipt.time_unix_sec = f.at.wall_usec / (int64_t) USEC_PER_SEC;
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_VERIFIED, docking_id, camera_id, clip_id);
        f.copy.digest = clip.digest;
        f.copy.size_bytes = YEARS_CLIP_BYTES;
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_ERASE_BEGUN, docking_id, camera_id, clip_id);
        f.text = "digest";
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_ERASED, docking_id, camera_id, clip_id);
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_SPOOL_RELEASED, 0, camera_id, clip_id);
        f.text = "the store has it";
        return r < 0 ? r : store_batch_add(b, &f);
}

static int add_docking(Years *y, StoreBatch *b, uint64_t docking_id, uint64_t camera_id, bool known) {
        char serial[32], bay[32];
        Fact f;
        int r = 0;

        years_serial(camera_id, serial);
        years_bay(camera_id, bay);
        if (!known) {
                f = fact_of(y, FACT_CAMERA_SEEN, 0, camera_id, 0);
                f.camera.serial = serial;
                f.camera.manufacturer = "Acme";
                f.camera.model = "Body 2";
                f.camera.firmware = "1.0";
                f.camera.storage_id = "";
                f.camera.model_id = "acme-body-2";
                r = store_batch_add(b, &f);
        }
        f = fact_of(y, FACT_DOCKED, docking_id, 0, 0);
        f.bay = bay;
        f.usb.vid = 0x1209;
        f.usb.pid = 0xBE27;
        f.usb.usb_serial = serial;
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_IDENTIFIED, docking_id, camera_id, 0);
        r = r < 0 ? r : store_batch_add(b, &f);
        f = fact_of(y, FACT_CHECKED, docking_id, camera_id, 0);
        f.check.battery_percent = (int) (docking_id % 60) + 20;
        f.check.storage_known = f.check.drift_known = true;
        f.check.storage_total_bytes = 64000 * MIB;
        f.check.storage_free_bytes = 60000 * MIB;
        f.check.drift_usec = (int64_t) (docking_id % 1000) * 1000;
        r = r < 0 ? r : store_batch_add(b, &f);
        for (unsigned i = 0; r >= 0 && i < YEARS_CLIPS_PER_DOCKING; i++)
                r = add_clip(y, b, docking_id, camera_id, store_next_id(y->store, STORE_ID_CLIP), serial);
        f = fact_of(y, FACT_UNDOCKED, docking_id, camera_id, 0);
        f.text = "the camera was taken out";
        return r < 0 ? r : store_batch_add(b, &f);
}

static int put_docking(Years *y, uint64_t *camera_ids, uint64_t number) {
        _cleanup_(store_batch_freep) StoreBatch *b = NULL;
        uint64_t *camera = &camera_ids[number % y->cameras];
        bool known = *camera != 0;
        int r;

        if (!known)
                *camera = store_next_id(y->store, STORE_ID_CAMERA);
        r = store_batch_new(&b);
        if (r >= 0)
                r = add_docking(y, b, store_next_id(y->store, STORE_ID_DOCKING), *camera, known);
        if (r < 0)
                return r;
        y->pending++;
        return store_submit(y->store, TAKE_PTR(b), on_done, y);
}

/* Once a day, as the notary does at least. */
static int put_checkpoint(Years *y) {
        Fact f = fact_of(y, FACT_CHECKPOINT, 0, 0, 0);

        f.text = "the rhythm";
        y->pending++;
        return store_put(y->store, &f, on_done, y);
}

static uint64_t database_bytes(const char *dir) {
        _cleanup_(freep) char *path = text_format("%s/berth.db", dir);
        struct stat st;

        return path && stat(path, &st) == 0 ? (uint64_t) st.st_size : 0;
}

/* What was signed lies in the store by now: else a daemon that starts here would have years to bring there. */
static int settle_statements(Years *y) {
        uint64_t after = 0;
        int r = 0;

        while (r >= 0) {
                _cleanup_(statement_row_freep) StatementRow *row = NULL;
                Fact f = fact_of(y, FACT_STATEMENT_STORED, 0, 0, 0);

                y->wall_usec -= (int64_t) USEC_PER_SEC;
                r = store_statement_waiting(y->store, after, &row, &after);
                if (r == -ENOENT)
                        return drain(y, 0);
                if (r >= 0) {
                        f.statement.key = row->key;
                        y->pending++;
                        r = store_put(y->store, &f, on_done, y);
                }
                r = r < 0 ? r : drain(y, PENDING_MAX - 1);
        }
        return r;
}

static int by_facts(Years *y, uint64_t first, uint64_t until, double *ret_events_a_sec) {
        StoreTotals before, after;
        double began;
        int r;

        r = store_totals(y->store, &before);
        began = now_sec();
        for (uint64_t done = first; r >= 0 && done < until; done++) {
                r = put_docking(y, y->camera_ids, done);
                if (r >= 0 && done % y->cameras == 0)
                        r = put_checkpoint(y);
                if (r >= 0)
                        r = drain(y, PENDING_MAX - 1);
        }
        r = r < 0 ? r : drain(y, 0);
        r = r < 0 ? r : store_totals(y->store, &after);
        if (r < 0)
                return r;
        *ret_events_a_sec = (double) (after.events - before.events) / (now_sec() - began);
        return settle_statements(y);
}

static int open_store(Years *y, const char *dir);

/* With the store closed meanwhile. */
static int lay(Years *y, const char *dir, uint64_t first, uint64_t until) {
        int r;

        y->store = store_close(y->store);
        r = years_lay(dir, y->key, until - first, y->cameras, first);
        y->wall_usec += (int64_t) ((until - first) * DOCKING_EVENTS_MAX * USEC_PER_SEC);
        return r < 0 ? r : open_store(y, dir);
}

static int fill(Years *y, const char *dir, uint64_t clips) {
        uint64_t dockings = (clips + YEARS_CLIPS_PER_DOCKING - 1) / YEARS_CLIPS_PER_DOCKING, before_bytes = database_bytes(dir), done = 0;
        int r = 0;

        /* They end now. */
        y->wall_usec -= (int64_t) (dockings * DOCKING_EVENTS_MAX * USEC_PER_SEC);

        y->camera_ids = calloc(y->cameras, sizeof(*y->camera_ids));
        if (!y->camera_ids)
                return -ENOMEM;
        for (unsigned tenth = 1; r >= 0 && tenth <= 10; tenth++) {
                uint64_t until = dockings * tenth / 10, from = MAX2(done, until > BY_FACTS ? until - BY_FACTS : 0);
                double began = now_sec(), laid, rate = 0;
                StoreTotals totals;

                /* The pattern comes first, and each camera must be known. */
                if (tenth == 1)
                        r = by_facts(y, done, MIN2(until, y->cameras + 1), &rate);
                done = tenth == 1 ? MIN2(until, y->cameras + 1) : done;
                if (r >= 0 && from > done)
                        r = lay(y, dir, done, from);
                laid = now_sec() - began;
                done = MAX2(done, from);
                if (r >= 0 && until > done)
                        r = by_facts(y, done, until, &rate);
                done = MAX2(done, until);
                r = r < 0 ? r : store_totals(y->store, &totals);
                if (r < 0 || rate == 0)
                        continue;
                (void) printf("  %9" PRIu64 " clips  %10" PRIu64 " events  %7.0f events/s  %6.0f bytes a clip  (%.0f s)\n",
                              done * YEARS_CLIPS_PER_DOCKING, totals.events, rate,
                              (double) (database_bytes(dir) - before_bytes) / (double) (done * YEARS_CLIPS_PER_DOCKING), laid);
                (void) fflush(stdout);
        }
        free(y->camera_ids);
        return r;
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, z = *(const double *) b;

        return (x > z) - (x < z);
}

static void print_times(const char *what, double *sec, size_t n) {
        qsort(sec, n, sizeof(*sec), compare);
        (void) printf("  %-38s p50 %8.3f ms  p99 %8.3f ms  most %8.3f ms\n", what, 1e3 * sec[n / 2], 1e3 * sec[n * 99 / 100],
                      1e3 * sec[n - 1]);
}

static int page_of_camera(Years *y, uint64_t at, uint64_t clips) {
        char serial[32];
        ClipRow **rows = NULL;
        size_t n = 0;
        int r;

        years_serial(at % y->cameras + 1, serial);
        r = store_clips_query(y->store, serial, _CLIP_STATE_INVALID, at % clips + 1, ROWS_PER_TABLE, &rows, &n);
        clip_rows_free(rows, n);
        return r;
}

static int custody_of_clip(Years *y, uint64_t at, uint64_t clips) {
        EventRow **rows = NULL;
        size_t n = 0;
        int r = store_events(y->store, 0, 0, at % clips + 1, ROWS_PER_TABLE, &rows, &n);

        event_rows_free(rows, n);
        return r;
}

static int custody_of_camera(Years *y, uint64_t at, uint64_t clips) {
        EventRow **rows = NULL;
        size_t n = 0;
        int r = store_events_last(y->store, at % y->cameras + 1, 0, ROWS_PER_TABLE, &rows, &n);

        (void) clips;
        event_rows_free(rows, n);
        return r;
}

static int totals(Years *y, uint64_t at, uint64_t clips) {
        StoreTotals t;

        (void) at;
        (void) clips;
        return store_totals(y->store, &t);
}

static int health(Years *y, uint64_t at, uint64_t clips) {
        HealthRow row;

        (void) clips;
        return store_health(y->store, at % y->cameras + 1, "", 10, 20, &row);
}

static int unstored(Years *y, uint64_t at, uint64_t clips) {
        UnstoredRow row;

        (void) clips;
        return store_unstored(y->store, at % y->cameras + 1, &row);
}

static int measure(Years *y, unsigned queries, double opened_sec) {
        static const struct {
                const char *what;
                int (*ask)(Years *y, uint64_t at, uint64_t clips);
        } asked[] = {
                { "a page of a camera's clips", page_of_camera },
                { "custody of a clip", custody_of_clip },
                { "a camera's last events", custody_of_camera },
                { "totals", totals },
                { "health of a camera", health },
                { "what of a camera is not stored", unstored },
        };
        _cleanup_(freep) double *sec = calloc(queries, sizeof(*sec));
        uint64_t clips = 0;
        StoreTotals t;
        int r;

        if (!sec)
                return -ENOMEM;
        r = store_totals(y->store, &t);
        for (int i = 0; r >= 0 && i < _CLIP_STATE_MAX; i++)
                clips += t.clips_by_state[i];
        if (r < 0 || clips == 0)
                return r < 0 ? r : -ENODATA;
        (void) printf("  %" PRIu64 " clips, %" PRIu64 " events; opened in %.3f s\n", clips, t.events, opened_sec);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(asked); i++) {
                for (unsigned k = 0; r >= 0 && k < queries; k++) {
                        double began = now_sec();

                        r = asked[i].ask(y, (uint64_t) random(), clips);
                        sec[k] = now_sec() - began;
                }
                if (r >= 0)
                        print_times(asked[i].what, sec, queries);
                else
                        (void) fprintf(stderr, "years: %s: %s\n", asked[i].what, strerror(-r));
        }
        return r;
}

/* ---- */

static int open_store(Years *y, const char *dir) {
        ConfError error = { 0 };
        int r;

        r = store_open(y->event, dir, &y->store, &error);
        if (r < 0)
                (void) fprintf(stderr, "years: %s: %s\n", strerror(-r), error.text);
        else if (y->key)
                store_set_signing(y->store, y->key, NULL, "");
        return r;
}

static int begin(Years *y, const char *dir, DockKeys **ret_keys) {
        ConfError error = { 0 };
        Moment now;
        DockKey known;
        int r;

        moment_now(true, &now);
        memcpy(y->boot_id, now.boot_id, BOOT_ID_SIZE);
        y->wall_usec = now.wall_usec;
        r = sd_event_new(&y->event);
        if (r >= 0)
                r = open_store(y, dir);
        if (r >= 0)
                r = store_dock_key(y->store, &known);
        if (r < 0)
                return r;
        r = dock_keys_open(dir, &known, ret_keys, &error);
        if (r < 0) {
                (void) fprintf(stderr, "years: %s: %s\n", strerror(-r), error.text);
                return r;
        }
        y->key = dock_keys_now(*ret_keys);
        store_set_signing(y->store, y->key, NULL, "");
        return 0;
}

int main(int argc, char **argv) {
        _cleanup_(dock_keys_freep) DockKeys *keys = NULL;
        Years y = { .cameras = 200 };
        double began = now_sec();
        int r;

        if (argc < 3 || (strcmp(argv[1], "fill") != 0 && strcmp(argv[1], "measure") != 0) || (strcmp(argv[1], "fill") == 0 && argc < 4)) {
                (void) fprintf(stderr, "usage: years fill STATE_DIR CLIPS [CAMERAS] | years measure STATE_DIR [QUERIES]\n");
                return 2;
        }
        r = begin(&y, argv[2], &keys);
        if (r >= 0 && strcmp(argv[1], "fill") == 0) {
                y.cameras = argc > 4 ? strtoull(argv[4], NULL, 10) : y.cameras;
                r = y.cameras > 0 ? fill(&y, argv[2], strtoull(argv[3], NULL, 10)) : -EINVAL;
        } else if (r >= 0)
                r = measure(&y, argc > 3 ? (unsigned) atoi(argv[3]) : 1000, now_sec() - began);
        y.store = store_close(y.store);
        (void) sd_event_unref(y.event);
        if (r < 0)
                (void) fprintf(stderr, "years: %s\n", strerror(-r));
        return r < 0;
}
