/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A night at a rack of 40 bays whose supply cannot charge all cameras at once: twelve hours, two shifts, through the daemon's real core,
 * store and service floors, in virtual time. All can be ready, so all must be; and no more is ever drawn than there is.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/battery.h"
#include "base/log.h"
#include "base/text.h"
#include "property/world.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define NIGHT (12 * HOUR)
#define BUDGET_MA 8000u
/* For cameras that are just put in, and for those that are looked for. */
#define SPARE_MA 1000u
#define READY_PERCENT 90u
#define TURNS_MAX 200000u

static sd_event *loop;
static Manager *manager;
static Battery batteries[CAMERAS]; /* as they are: not quite as the model says */
static uint64_t begun_usec, most_ma;

void judge(Manager *m, const char *state_dir, bool thoroughly) {
        (void) m;
        (void) state_dir;
        (void) thoroughly;
}

/* ---- The rack ----------------------------------------------------------------------------------------------------- */

static void write_settings(const char *path, const char *folder) {
        FILE *f = fopen(path, "we");

        if (!f)
                abort();
        (void) fprintf(f,
                       "[dock]\nname = test\nstate_dir = %s/state\nplugin_dir = /nowhere\nworker = /bin/true\nmodels_dir = %s/cameras.d\n"
                       "local_models_dir = %s/none\nuplink_socket = %s/uplink\n[spool]\nreserve = 16M\npriority_reserve = 0\n"
                       "[rack]\nbudget = %u\n[charging]\nready = %u\n",
                       folder, getenv("BERTH_SRC") ?: ".", folder, folder, BUDGET_MA, READY_PERCENT);
        /* Those of the first shift are wanted first. */
        for (unsigned i = 0; i < BAYS; i++)
                (void) fprintf(f, "[bay 1-1.%u]\nnumber = %u\ncharge_rank = %u\n", i + 1, i + 1, i < BAYS / 2 ? 1u : 2u);
        (void) fclose(f);
}

static void run_until_quiet(void) {
        for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
                bool busy = time_jobs_under_way() > 0;
                int r = sd_event_run(loop, busy ? 10000 : 0);

                if (r < 0)
                        world_fail("the loop: %s", strerror(-r));
                if (r > 0 || busy || time_jobs_under_way() > 0)
                        continue;
                if (fake_worker_pending() > 0)
                        fake_worker_answer(0, 0);
                else if (fake_uplink_pending() > 0)
                        fake_uplink_answer(0, 0);
                else
                        return;
        }
        world_fail("the dock is busy without end, with nothing to do");
}

static void charge_for(uint64_t usec) {
        uint64_t sum_ma = 0;

        for (unsigned i = 0; i < CAMERAS; i++) {
                SimCamera *camera = &world->cameras[i];
                uint32_t ma = 0;

                if (camera->bay < 0 || camera->off)
                        continue;
                camera->level = battery_charge(&batteries[i], camera->level, usec / USEC_PER_MSEC, &ma);
                sum_ma += ma;
        }
        most_ma = MAX2(most_ma, sum_ma);
        if (sum_ma > BUDGET_MA + SPARE_MA)
                world_fail("the supply browns out: %llu mA are drawn", (unsigned long long) sum_ma);
}

/* Until so long after the evening. */
static void pass_until(uint64_t usec) {
        run_until_quiet();
        while (world->boottime_usec < begun_usec + usec) {
                uint64_t end = MIN2(begun_usec + usec, MAX2(time_next_due_usec(), world->boottime_usec + USEC_PER_SEC));
                uint64_t passes = MIN2(end - world->boottime_usec, MINUTE);

                charge_for(passes);
                time_pass(passes);
                run_until_quiet();
        }
}

static void recorded(void *userdata, int result, const char *text) {
        if (result < 0)
                world_fail("an order is refused: %s", text);
        (void) userdata;
}

static void call_shift(uint64_t usec) {
        const Operator by = { .uid = 0, .name = "root" };
        int64_t at = (int64_t) (begun_usec + usec) + world->wall_offset_usec;

        if (manager_call_shift(manager, at, &by, recorded, NULL) < 0)
                world_fail("the shift cannot be called");
}

static void start(const char *folder) {
        _cleanup_(freep) char *conf = text_format("%s/berthd.conf", folder), *state = text_format("%s/state", folder);
        Settings *settings = NULL;
        ConfError error = {};
        int r;

        (void) mkdir(state, 0700);
        write_settings(conf, folder);
        if (sd_event_new(&loop) < 0)
                abort();
        r = settings_load(conf, &settings, &error);
        if (r >= 0)
                r = manager_new(loop, settings, &manager, &error);
        if (r < 0)
                world_fail("the dock does not start: %s", error.text[0] ? error.text : strerror(-r));
        fake_uplink_tell();
        run_until_quiet();
        for (Bay *b = manager_first_bay(manager); b; b = bay_next_in_order(b)) {
                Fact fact = { .kind = FACT_PORT_CALIBRATED, .bay = bay_port_path(b), .by_operator = true };

                fact.port.hub = "";
                fact.port.way = "disable";
                fact.port.switches = fact.port.returns = true;
                manager_moment(manager, &fact.at);
                (void) store_put(manager->store, &fact, NULL, NULL);
        }
        run_until_quiet();
        for (Bay *b = manager_first_bay(manager); b; b = bay_next_in_order(b))
                charging_port_measured(manager->charging, b);
}

/* ---- The night ---------------------------------------------------------------------------------------------------- */

static void make_cameras(void) {
        for (unsigned i = 0; i < CAMERAS; i++) {
                world->cameras[i] = (SimCamera){ .bay = -1, .level = (20 + i * 7 % 41) * BATTERY_PERCENT };
                battery_make(NULL, 0, 0, BATTERY_DEFAULT_MAH * (92 + i * 5 % 17) / 100, &batteries[i]);
                (void) world_record(i, 2, CONTENTS_MAX);
        }
}

/* Takes those of a shift, which must be ready. */
static unsigned take_shift(unsigned first, unsigned n) {
        unsigned ready = 0;

        for (unsigned i = first; i < first + n; i++) {
                if (world->cameras[i].level >= (READY_PERCENT - 1) * BATTERY_PERCENT)
                        ready++;
                else
                        printf("# camera %u has %u %%\n", i, world->cameras[i].level / BATTERY_PERCENT);
                fake_usb_unplug(i);
        }
        return ready;
}

static int night(const char *folder) {
        unsigned first, second, docked = 0;

        make_cameras();
        start(folder);
        begun_usec = world->boottime_usec;
        call_shift(NIGHT / 2);
        for (unsigned i = 0; i < CAMERAS; i++) {
                fake_usb_plug(i, i);
                pass_until((i + 1) * MINUTE);
        }
        pass_until(NIGHT / 2);
        first = take_shift(0, CAMERAS / 2);
        call_shift(NIGHT);
        pass_until(NIGHT);
        for (Bay *b = manager_first_bay(manager); b; b = bay_next_in_order(b))
                docked += bay_camera(b) != NULL;
        second = take_shift(CAMERAS / 2, CAMERAS / 2);
        printf("# ready: %u of %u, then %u of %u; at most %llu mA were drawn of %u\n", first, CAMERAS / 2, second, CAMERAS / 2,
               (unsigned long long) most_ma, BUDGET_MA + SPARE_MA);
        (void) manager_free(manager);
        if (first + second < CAMERAS)
                return 1;
        if (docked != CAMERAS / 2) {
                printf("# %u cameras count as docked, %u are\n", docked, CAMERAS / 2);
                return 1;
        }
        return 0;
}

int main(void) {
        char folder[] = "/dev/shm/berth-night-XXXXXX", command[600];
        int r;

        world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (world == MAP_FAILED || !mkdtemp(folder))
                return 2;
        world->store_up = world->synchronised = world->switches = true;
        world->boottime_usec = 1000 * USEC_PER_SEC;
        world->wall_offset_usec = INT64_C(1750000000) * (int64_t) USEC_PER_SEC;
        log_init("berthd");
        printf("1..1\n");
        (void) fflush(stdout);
        r = night(folder);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        if (system(command) != 0)
                return 2;
        printf("%sok 1 - every camera is ready for its shift, and the supply never browns out\n", r ? "not " : "");
        return r;
}
