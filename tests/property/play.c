/* SPDX-License-Identifier: Apache-2.0 */
#include "property/play.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/docking.h"

#define TURNS_MAX 200000u
#define SETTLE_ROUNDS 40000u
#define HANGS_SEC 120u

static const char *const kind_names[_EVENT_MAX] = {
        [EVENT_ANSWER] = "answer", [EVENT_TROUBLE] = "trouble",   [EVENT_DIE] = "die",   [EVENT_PLUG] = "plug", [EVENT_UNPLUG] = "unplug",
        [EVENT_RECORD] = "record", [EVENT_CHANGE] = "change",     [EVENT_STORE] = "store", [EVENT_TIME] = "time", [EVENT_CLOCK] = "clock",
        [EVENT_CRASH] = "crash",   [EVENT_CRASH_IN] = "crash-in", [EVENT_STOP] = "stop", [EVENT_PAUSE] = "pause", [EVENT_NOW] = "now",
        [EVENT_HOLD] = "hold",     [EVENT_LOSE] = "lose",         [EVENT_ROT] = "rot", [EVENT_ROOM] = "room",
        [EVENT_PULL_OUT] = "pull-out", [EVENT_RELEASE] = "release", [EVENT_ERASE] = "erase", [EVENT_IMPORT] = "import",
        [EVENT_HOLD_LATE] = "hold-late", [EVENT_CHANGE_AWAY] = "change-away", [EVENT_FLASH] = "flash", [EVENT_ROLLOUT] = "rollout",
        [EVENT_BATTERY] = "battery", [EVENT_CALM] = "calm",   [EVENT_EJECT] = "eject",
};

const char *event_to_text(const Event *e, char ret[static EVENT_TEXT_SIZE]) {
        (void) snprintf(ret, EVENT_TEXT_SIZE, "%s %u %u%s", kind_names[e->kind], e->a, e->b, e->hurry ? " hurry" : "");
        return ret;
}

bool event_from_text(const char *text, Event *ret) {
        char name[16], hurry[8] = "";
        Event e = {};

        if (sscanf(text, "%15s %u %u %7s", name, &e.a, &e.b, hurry) < 3)
                return false;
        e.hurry = text_equal(hurry, "hurry");
        for (e.kind = 0; e.kind < _EVENT_MAX; e.kind++)
                if (text_equal(name, kind_names[e.kind])) {
                        *ret = e;
                        return true;
                }
        return false;
}

void world_begin(void) {
        memset(world, 0, sizeof(*world));
        for (unsigned i = 0; i < CAMERAS; i++)
                world->cameras[i] = (SimCamera){ .bay = -1, .level = 80000 };
        world->cameras[FOLDER].bay = 0;
        world->store_up = world->synchronised = true;
        world->boottime_usec = 1000 * USEC_PER_SEC;
        world->wall_offset_usec = INT64_C(1750000000) * (int64_t) USEC_PER_SEC;
        fleet_begin();
}

/* ---- The dock --------------------------------------------------------------------------------------------------------- */

static void write_settings(const char *path, const char *folder) {
        _cleanup_(freep) char *models = text_format("%s/models.d", folder);
        FILE *f = fopen(path, "we");

        (void) mkdir(models, 0700);
        if (!f)
                world_fail("%s: %s", path, strerror(errno));
        (void) fprintf(f,
                       "[dock]\nname = test\nstate_dir = %s/state\nplugin_dir = /nowhere\nworker = /bin/true\nmodels_dir = %s/cameras.d\n"
                       "local_models_dir = %s/models.d\nuplink_socket = %s/uplink\n[spool]\nreserve = 16M\npriority_reserve = 0\n"
                       "keep = 10min\n",
                       folder, getenv("BERTH_SRC") ?: ".", folder, folder);
        for (unsigned i = 0; i < BAYS; i++)
                (void) fprintf(f, "[bay 1-1.%u]\nnumber = %u\n", i + 1, i + 1);
        fleet_write_files(folder, f);
        (void) fclose(f);
}

void run_until_quiet(const Dock *d) {
        for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
                bool busy = time_jobs_under_way() > 0;
                int r = sd_event_run(d->event, busy ? 10000 : 0);

                world->turns++;
                if (r < 0)
                        world_fail("the loop: %s", strerror(-r));
                if (r == 0 && !busy && time_jobs_under_way() == 0)
                        return;
        }
        world_fail("the dock is busy without end, with nothing to do");
}

/* While somebody writes to the spool, its room is looked at every other second, however long nobody did before. */
static void judge_room(const Dock *d) {
        uint64_t due = time_due_usec(d->manager->spool_timer);

        for (Bay *b = d->manager->bays; b; b = bay_next_in_order(b)) {
                const Docking *docking = bay_docking(b);

                if (docking && docking->current && docking->current->state == CLIP_COPYING && !d->manager->looking &&
                    due > world->boottime_usec + 2 * USEC_PER_SEC)
                        world_fail("a clip is pulled, and the room in the spool is looked at in %llu s",
                                   (unsigned long long) ((due - world->boottime_usec) / USEC_PER_SEC));
        }
}

static void start(Dock *d, const char *folder) {
        _cleanup_(freep) char *conf = text_format("%s/berthd.conf", folder), *log = text_format("%s/log", folder);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), r;
        Settings *settings = NULL;
        ConfError error = {};

        (void) dup2(fd, STDERR_FILENO);
        (void) alarm(HANGS_SEC);
        log_init("berthd");
        (void) snprintf(d->state_dir, sizeof(d->state_dir), "%s/state", folder);
        (void) mkdir(d->state_dir, 0700);
        write_settings(conf, folder);
        fake_flasher_meanwhile();
        judge_forget();
        if (sd_event_new(&d->event) < 0)
                abort();
        r = settings_load(conf, &settings, &error);
        if (r >= 0)
                r = manager_new(d->event, settings, &d->manager, &error);
        if (r < 0)
                world_fail("the dock does not start: %s", error.text[0] ? error.text : strerror(-r));
        fake_usb_announce();
        fake_uplink_tell();
        run_until_quiet(d);
        judge(d->manager, d->state_dir, true);
}

/* Its transfer breaks first, and a moment later its hub tells. */
static void pull_out(Dock *d, uint32_t camera) {
        unsigned faults;
        char port[16];
        size_t pick;

        run_until_quiet(d);
        faults = judge_faults(d->state_dir, camera);
        if (!fake_usb_pull_out(camera, port))
                return;
        if (fake_worker_is_asked(camera, &pick))
                fake_worker_answer(pick, 0);
        run_until_quiet(d);
        fake_usb_seen_off(port);
        run_until_quiet(d);
        if (judge_faults(d->state_dir, camera) != faults)
                world_fail("camera %u was taken out, and that is told as a fault of its own", camera);
}

/* ---- Misfortunes ------------------------------------------------------------------------------------------------------ */

static Content *stored_and_on_camera(uint32_t n) {
        Content *found[64];
        uint32_t k = 0;

        for (uint32_t i = 0; i < world->n_contents && k < ELEMENTSOF(found); i++)
                if (world->contents[i].on_camera && world->contents[i].stored)
                        found[k++] = &world->contents[i];
        return k > 0 ? found[n % k] : NULL;
}

/* The camera writes over a recording that is not stored yet: what was there before is the camera's own doing. */
static bool is_part(const Content *c) {
        return c->on_camera && c->read_blocks != 0 && c->read_blocks + 1 < 1u << c->n_blocks;
}

static void change(uint32_t n) {
        Content *c = world->n_contents > 0 ? &world->contents[n % world->n_contents] : NULL;

        /* Rather one of which the dock has a part. */
        for (uint32_t i = 0; i < world->n_contents; i++)
                if (is_part(&world->contents[i]) && world->cameras[world->contents[i].camera].bay < 0)
                        c = &world->contents[i];
        /* Not under the hands of the dock: a camera that lies in a bay records nothing. */
        if (!c || !c->on_camera || world->cameras[c->camera].bay >= 0 || c->size_bytes < 100)
                return;
        if (!world_record(c->camera, 0, (uint32_t) (c - world->contents)))
                return;
        c->on_camera = false;
        c->used = c->stored;
}

/* An officer takes the camera while a clip is half pulled, records over it, and brings it back: the part fits no more. */
static void change_while_away(Dock *d) {
        for (uint32_t i = 0; i < world->n_contents && world->change_waits; i++) {
                const Content *c = &world->contents[i];
                uint32_t camera = c->camera;
                int bay = world->cameras[camera].bay;

                if (!is_part(c) || bay < 0 || c->read_generation != world->cameras[camera].generation)
                        continue;
                world->change_waits = false;
                fake_usb_unplug(camera);
                run_until_quiet(d);
                change(i);
                fake_usb_plug(camera, (unsigned) bay);
        }
}

static void rot(const Dock *d, uint32_t n) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char path[512], byte;
        Content *c;

        (void) snprintf(path, sizeof(path), "%s/spool/%u.clip", d->state_dir, 1 + n % (world->n_contents + 1));
        (void) chmod(path, 0600);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || fd_pread_full(fd, &byte, 1, 0) < 0)
                return;
        /* Whose it is stands in its first bytes; a copy whose recording is nowhere else is left alone. */
        c = NULL;
        for (uint32_t i = 0; i < world->n_contents; i++) {
                char head[BLOCK_HEAD], there[BLOCK_HEAD];

                world_block_head(&world->contents[i], 0, head);
                if (fd_pread_full(fd, there, sizeof(there), 0) >= 0 && memcmp(head, there, sizeof(head)) == 0)
                        c = &world->contents[i];
        }
        /* A card's owner goes by what berthd said of it, and may have used it again. */
        if (!c || !c->on_camera || c->camera == FOLDER)
                return;
        byte = (char) ~byte;
        (void) fd_pwrite_full(fd, &byte, 1, 0);
}

/* ---- Events ----------------------------------------------------------------------------------------------------------- */

void answer(uint32_t pick, unsigned trouble) {
        size_t workers = fake_worker_pending(), uplinks = fake_uplink_pending(), flashers = fake_flasher_pending(), away = fake_usb_away();

        if (workers + uplinks + flashers + away == 0)
                return;
        pick %= (uint32_t) (workers + uplinks + flashers + away);
        /* Workers have more to do: without this the store would see little trouble. */
        if (trouble % 2 == 1 && uplinks > 0)
                fake_uplink_answer(pick % uplinks, 1 + trouble / 2 % (UPLINK_TROUBLES - 1));
        else if (pick < workers)
                fake_worker_answer(pick, trouble);
        else if (pick < workers + uplinks)
                fake_uplink_answer(pick - workers, trouble % UPLINK_TROUBLES);
        else if (pick < workers + uplinks + flashers)
                fake_flasher_answer(pick - workers - uplinks, trouble);
        else
                fake_usb_return(pick - workers - uplinks - flashers);
}

bool go_on(const Dock *d) {
        uint64_t due;

        run_until_quiet(d);
        if (fake_worker_pending() + fake_uplink_pending() + fake_flasher_pending() + fake_usb_away() > 0) {
                answer(0, 0);
                run_until_quiet(d);
                return true;
        }
        due = time_next_due_usec();
        if (due == UINT64_MAX)
                return false;
        time_pass(due > world->boottime_usec ? due - world->boottime_usec : 1000);
        run_until_quiet(d);
        return true;
}

/* So much must come to its end by itself before anybody disturbs it again: what takes many steps is hardly ever reached else. */
static void calm(const Dock *d, uint32_t rounds) {
        for (uint32_t i = 0; i < rounds; i++)
                if (!go_on(d))
                        return;
}

static void step_clock(uint32_t a) {
        static const int64_t steps_sec[] = { 30, -30, 4000, -4000, 400 * 86400, -400 * 86400 };

        if (a % 3 == 0)
                world->synchronised = !world->synchronised;
        else
                world->wall_offset_usec += steps_sec[a % ELEMENTSOF(steps_sec)] * (int64_t) USEC_PER_SEC;
        /* By the wall clock what was read of a rollout counts as fresh for longer, then. */
        for (uint32_t i = 0; i < world->n_rollouts && a % 3 != 0 && steps_sec[a % ELEMENTSOF(steps_sec)] < 0; i++)
                world->rollouts[i].off_usec = world->rollouts[i].stopped_usec = UINT64_MAX;
}

static void misfortune(const Dock *d, const Event *e) {
        Content *c;

        switch (e->kind) {
        case EVENT_CHANGE:
                return change(e->a);
        case EVENT_ROT:
                return rot(d, e->a);
        case EVENT_LOSE:
                c = stored_and_on_camera(e->a);
                /* Not between the last question about it and the erase: nobody could help that. */
                if (c && world->cameras[c->camera].bay < 0) {
                        c->stored = c->locked = false;
                        c->lost_by_store = true;
                }
                return;
        case EVENT_STORE:
                world->store_up = !world->store_up;
                return fake_uplink_tell();
        case EVENT_ROOM:
                world->scarce = !world->scarce;
                return;
        case EVENT_CRASH:
                _exit(STATUS_CRASHED);
        case EVENT_CRASH_IN:
                world->crash_in = 1 + e->a % 40;
                return;
        default:
                return;
        }
}

static void happen(Dock *d, const Event *e) {
        static const uint64_t times_usec[] = { 1000, 100000, USEC_PER_SEC, 5 * USEC_PER_SEC, 60 * USEC_PER_SEC, 3600 * USEC_PER_SEC };

        switch (e->kind) {
        case EVENT_ANSWER:
                return answer(e->a, 0);
        case EVENT_TROUBLE:
                return answer(e->a, 1 + e->b % (WORKER_TROUBLES * 3));
        case EVENT_DIE:
                fake_uplink_break(e->a, e->b % UPLINK_TROUBLES);
                return fake_worker_die(e->a);
        case EVENT_PLUG:
                return fake_usb_plug(e->a % CAMERAS, e->b % BAYS);
        case EVENT_UNPLUG:
                return fake_usb_unplug(e->a % CAMERAS);
        case EVENT_PULL_OUT:
                return pull_out(d, e->a % CAMERAS);
        case EVENT_RELEASE:
                return order_release(d, e->a % CAMERAS);
        case EVENT_ERASE:
                return order_erase(d, e->a);
        case EVENT_EJECT:
                return order_eject(d, e->a % BAYS);
        case EVENT_FLASH:
                /* Rather one that is ready. */
                for (uint32_t i = 0; i < CAMERAS && e->a % 4; i++)
                        if (world->cameras[i].bay >= 0 &&
                            bay_state(manager_bay_by_number(d->manager, (unsigned) world->cameras[i].bay + 1)) == BAY_READY)
                                return order_flash(d, i, e->b);
                return order_flash(d, e->a % CAMERAS, e->b);
        case EVENT_ROLLOUT:
                return fleet_order(e->a, e->b);
        case EVENT_BATTERY:
                if (world->cameras[e->a % CAMERAS].bay < 0)
                        world->cameras[e->a % CAMERAS].level = e->b * 1000;
                return;
        case EVENT_CALM:
                return calm(d, 2 * e->b);
        case EVENT_IMPORT:
                return order_import(d, e->b);
        case EVENT_RECORD:
                /* On the officer's body. */
                if (world->cameras[e->a % CAMERAS].bay < 0)
                        (void) world_record(e->a % CAMERAS, e->b, CONTENTS_MAX);
                return;
        case EVENT_TIME:
                return time_pass(times_usec[e->a % ELEMENTSOF(times_usec)]);
        case EVENT_CLOCK:
                return step_clock(e->a);
        case EVENT_STOP:
                (void) manager_free(d->manager);
                _exit(STATUS_STOPPED);
        case EVENT_PAUSE:
                return order_pause(d);
        case EVENT_NOW:
                return order_now(d, e->a);
        case EVENT_HOLD:
                /* Rather of one that lies in a bay. */
                for (uint32_t i = 0; i < CAMERAS && e->b % 2 == 0; i++)
                        if (world->cameras[i].bay >= 0)
                                return order_hold(d, i);
                return order_hold(d, e->a % CAMERAS);
        case EVENT_CHANGE_AWAY:
                world->change_waits = true;
                return;
        case EVENT_HOLD_LATE:
                world->hold_waits = true;
                return;
        default:
                return misfortune(d, e);
        }
}

void play_dock(const Event *events, size_t n, const char *folder) {
        Dock d = {};

        start(&d, folder);
        while (world->next_event < n) {
                const Event *e = &events[world->next_event++];

                time_pass(1000);
                happen(&d, e);
                hold_when_licensed(&d);
                if (e->hurry) {
                        (void) sd_event_run(d.event, 0);
                        continue;
                }
                run_until_quiet(&d);
                change_while_away(&d);
                judge_room(&d);
                judge(d.manager, d.state_dir, world->next_event % 8 == 0);
        }
        settle(&d);
        _exit(0);
}
