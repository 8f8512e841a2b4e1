/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nights at a rack of 40 bays whose supply cannot charge all cameras at once: twelve hours, two shifts, through the daemon's real core,
 * store and service floors, in virtual time. In one night all can be ready, in the other one not: as many must be as can be at best, those
 * of the first shift before those of the second, and no more is ever drawn than there is.
 *
 * And a day on which nothing happens, at a rack of 64: neither memory nor the custody log grows with time, and hardly anything wakes up.
 */

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/battery.h"
#include "base/log.h"
#include "base/text.h"
#include "property/world.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define NIGHT (12 * HOUR)
/* For cameras that are just put in, and for those that are looked for. */
#define SPARE_MA 1000u
#define READY_PERCENT 90u
#define TURNS_MAX 200000u

static sd_event *loop;
static Manager *manager;
static Battery batteries[CAMERAS]; /* as they are: not quite as the model says */
static uint64_t begun_usec, most_ma;
static unsigned budget_ma, rack; /* bays, each with its camera */
static uint64_t wakeups;         /* of the loop */

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
                       folder, getenv("BERTH_SRC") ?: ".", folder, folder, budget_ma, READY_PERCENT);
        /* Those of the first shift are wanted first. */
        for (unsigned i = 0; i < rack; i++)
                (void) fprintf(f, "[bay 1-1.%u]\nnumber = %u\ncharge_rank = %u\n", i + 1, i + 1, i < rack / 2 ? 1u : 2u);
        (void) fclose(f);
}

static void run_until_quiet(void) {
        for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
                bool busy = time_jobs_under_way() > 0;
                int r = sd_event_run(loop, busy ? 10000 : 0);

                if (r < 0)
                        world_fail("the loop: %s", strerror(-r));
                wakeups += r > 0;
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

/* A charge has a grain: what was too short for one is kept for the next time. */
static void charge_camera(SimCamera *camera, unsigned i, uint64_t usec, uint32_t *ret_ma) {
        static uint64_t kept_msec[CAMERAS];
        uint64_t msec = kept_msec[i] + usec / USEC_PER_MSEC;
        uint32_t level = battery_charge(&batteries[i], camera->level, msec, ret_ma);

        kept_msec[i] = msec - MIN2(msec, battery_msec(&batteries[i], camera->level, level));
        camera->level = level;
}

static void charge_for(uint64_t usec) {
        uint64_t sum_ma = 0;

        for (unsigned i = 0; i < rack; i++) {
                SimCamera *camera = &world->cameras[i];
                uint32_t ma = 0;

                if (camera->bay < 0 || camera->off)
                        continue;
                charge_camera(camera, i, usec, &ma);
                sum_ma += ma;
        }
        most_ma = MAX2(most_ma, sum_ma);
        if (sum_ma > budget_ma + SPARE_MA)
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

/* The machine sleeps for two minutes. Then the hub has forgotten whose power was off, and no camera shows up by which that is seen. */
static void sleep_for_a_moment(void) {
        run_until_quiet();
        for (unsigned i = 0; i < rack; i++)
                if (world->cameras[i].off) {
                        world->cameras[i].off = false;
                        world->cameras[i].unseen = true;
                }
        world->suspended_usec += 2 * MINUTE;
        time_pass(2 * MINUTE);
        run_until_quiet();
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
        if (!world->switches)
                return;
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
        for (unsigned i = rack; i < CAMERAS; i++)
                world->cameras[i].bay = -1;
        for (unsigned i = 0; i < rack; i++) {
                world->cameras[i] = (SimCamera){ .bay = -1, .level = (20 + i * 7 % 41) * BATTERY_PERCENT };
                battery_make(NULL, 0, 0, BATTERY_DEFAULT_MAH * (92 + i * 5 % 17) / 100, &batteries[i]);
                (void) world_record(i, 2, CONTENTS_MAX);
        }
}

/* ---- What can be done at best -------------------------------------------------------------------------------------- */

/* How long each needs power until it is ready, in milliseconds, the least first. */
static void needs_of(unsigned first, unsigned n, uint64_t *ret) {
        for (unsigned i = 0; i < n; i++) {
                uint64_t msec = battery_msec(&batteries[first + i], world->cameras[first + i].level, READY_PERCENT * BATTERY_PERCENT);
                unsigned k = i;

                for (; k > 0 && ret[k - 1] > msec; k--)
                        ret[k] = ret[k - 1];
                ret[k] = msec;
        }
}

/*
 * All batteries draw the same at each level here, so the supply feeds so many at once, and power may change hands at any moment. Then those
 * of the first shift fit who need no more together than there is before it, and nobody more than all of that time (McNaughton 1959); of the
 * second, likewise, and what they cannot get between the shifts must be left over from before. Before as many are docked as can be fed
 * some of it goes to nobody. The most that anybody could have ready, so: who has as many ready has the optimum.
 */
static void at_best(unsigned n, unsigned *ret_first, unsigned *ret_second) {
        const uint64_t half = NIGHT / 2 / USEC_PER_MSEC, places = MIN2(budget_ma / BATTERY_DEFAULT_MA, rack);
        /* The camera of each minute is one more. */
        const uint64_t early_room = places * half - places * (places - 1) / 2 * (MINUTE / USEC_PER_MSEC);
        uint64_t first[CAMERAS], second[CAMERAS], before = 0, all;

        needs_of(0, n, first);
        needs_of(n, n, second);
        for (*ret_first = 0; *ret_first < n && first[*ret_first] <= half && before + first[*ret_first] <= early_room; (*ret_first)++)
                before += first[*ret_first];
        all = before;
        for (*ret_second = 0; *ret_second < n; (*ret_second)++) {
                uint64_t need = second[*ret_second], early = need > half ? need - half : 0;

                if (early > half || before + early > early_room || all + need > early_room + places * half)
                        break;
                before += early;
                all += need;
        }
        printf("# there is power for %" PRIu64 " minutes of charging, %" PRIu64 " before the first shift; at best %" PRIu64 " are of use\n",
               (early_room + places * half) / 60000, early_room / 60000, all / 60000);
}

/* Takes those of a shift. */
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
        unsigned first, second, best_first, best_second, docked = 0;

        make_cameras();
        at_best(rack / 2, &best_first, &best_second);
        start(folder);
        begun_usec = world->boottime_usec;
        call_shift(NIGHT / 2);
        for (unsigned i = 0; i < rack; i++) {
                fake_usb_plug(i, i);
                pass_until((i + 1) * MINUTE);
        }
        pass_until(NIGHT / 4);
        sleep_for_a_moment();
        pass_until(NIGHT / 2);
        first = take_shift(0, rack / 2);
        call_shift(NIGHT);
        pass_until(NIGHT);
        for (Bay *b = manager_first_bay(manager); b; b = bay_next_in_order(b))
                docked += bay_camera(b) != NULL;
        second = take_shift(rack / 2, rack / 2);
        printf("# ready: %u, at best %u, of %u, then %u, at best %u, of %u; at most %llu mA were drawn of %u\n", first, best_first,
               rack / 2, second, best_second, rack / 2, (unsigned long long) most_ma, budget_ma + SPARE_MA);
        (void) manager_free(manager);
        if (first < best_first || second < best_second)
                return 1;
        if (docked != rack / 2) {
                printf("# %u cameras count as docked, %u are\n", docked, rack / 2);
                return 1;
        }
        return 0;
}

/* ---- A day at rest ------------------------------------------------------------------------------------------------ */

#define DAY (24 * HOUR)
#define SETTLED (2 * HOUR)
/* What the day's own events need in SQLite's cache: a checkpoint, at most. */
#define GROWTH_MAX (128u * 1024u)
#define EVENTS_MAX 4u

static uint64_t events_written(void) {
        StoreTotals totals;

        if (store_totals(manager->store, &totals) < 0)
                world_fail("the totals cannot be read");
        return totals.events;
}

static int day_at_rest(const char *folder) {
        uint64_t woken, events;
        size_t heap, most = 0;
        int64_t grown;

        make_cameras();
        /* What is charged by plan is looked at now and then: here nothing can be switched. */
        world->switches = false;
        for (unsigned i = 0; i < rack; i++)
                world->cameras[i].level = 100 * BATTERY_PERCENT;
        start(folder);
        begun_usec = world->boottime_usec;
        for (unsigned i = 0; i < rack; i++)
                fake_usb_plug(i, i);
        pass_until(SETTLED);
        heap = mallinfo2().uordblks;
        events = events_written();
        woken = wakeups;
        for (unsigned hour = 1; hour <= 24; hour++) {
                pass_until(SETTLED + hour * (DAY / 24));
                most = MAX2(most, mallinfo2().uordblks);
        }
        grown = (int64_t) most - (int64_t) heap;
        woken = wakeups - woken;
        events = events_written() - events;
        printf("# in 24 hours the heap of %zu KiB grew by %" PRId64 " bytes at most, the loop woke up %" PRIu64 " times (%.2f a camera and"
               " minute), and %" PRIu64 " events were written\n", heap / 1024, MAX2(grown, INT64_C(0)), woken,
               (double) woken / (24 * 60) / rack, events);
        (void) manager_free(manager);
        return grown > (int64_t) GROWTH_MAX || woken > 24 * 60 * (uint64_t) rack || events > EVENTS_MAX;
}

static int begin_night(int (*play)(const char *folder)) {
        char folder[] = "/dev/shm/berth-night-XXXXXX", command[600];
        int r;

        if (!mkdtemp(folder))
                return 2;
        world->store_up = world->synchronised = world->switches = true;
        world->boottime_usec = 1000 * USEC_PER_SEC;
        world->wall_offset_usec = INT64_C(1750000000) * (int64_t) USEC_PER_SEC;
        log_init("berthd");
        r = play(folder);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        if (system(command) != 0)
                return 2;
        (void) fflush(stdout);
        return r;
}

/* Each in a process of its own: a daemon is there once. */
static bool pass_night(int (*play)(const char *folder), unsigned bays, unsigned ma) {
        int status = -1;
        pid_t pid;

        rack = bays;
        budget_ma = ma;
        world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid = world == MAP_FAILED ? -1 : fork();
        if (pid == 0)
                _exit(begin_night(play));
        if (pid > 0 && waitpid(pid, &status, 0) == pid && world->failure[0])
                printf("# %s\n", world->failure);
        return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(void) {
        static const struct {
                int (*play)(const char *folder);
                unsigned bays, budget_ma;
                const char *promise;
        } nights[] = {
                { night, 40, 8000, "every camera is ready for its shift, and the supply never browns out" },
                { night, 40, 4500, "where not all can be ready, as many are as can be at best" },
                { day_at_rest, 64, 64000, "a day at rest costs neither memory nor the custody log, and hardly a wake-up" },
        };
        int r = 0;

        printf("1..%zu\n", ELEMENTSOF(nights));
        for (size_t i = 0; i < ELEMENTSOF(nights); i++) {
                bool ok;

                (void) fflush(stdout);
                ok = pass_night(nights[i].play, nights[i].bays, nights[i].budget_ma);
                printf("%sok %zu - %s\n", ok ? "" : "not ", i + 1, nights[i].promise);
                r |= !ok;
        }
        return r;
}
