/* SPDX-License-Identifier: Apache-2.0 */

/* In place of flasher.c and what is behind it: the worker that gives a camera its firmware, and outlives the dock. */

#include "service/flasher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "property/world.h"
#include "service/flash_folder.h"

struct Flasher {
        FlasherEnded ended;
        void *userdata;
        uint32_t camera;
};

static Flasher *watched[CAMERAS + 1]; /* by this run of the dock */

static Flasher *watch(uint32_t camera, FlasherEnded ended, void *userdata) {
        Flasher *f = calloc(1, sizeof(*f));

        if (!f)
                abort();
        *f = (Flasher){ .ended = ended, .userdata = userdata, .camera = camera };
        watched[camera] = f;
        return f;
}

static void folder_of(int fd, char ret[static 256]) {
        char link[32];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, ret, 255);
        ret[MAX2(n, 0)] = 0;
}

int flasher_spawn(sd_event *event, const FlasherOrder *order, FlasherEnded ended, void *userdata, Flasher **ret) {
        int at = world_camera_at(order->worker.bay);
        uint32_t camera = (uint32_t) at;
        SimFlasher *s;

        (void) event;
        if (at < 0 || world->cameras[at].off)
                return -ENODEV;
        s = &world->flashers[camera];
        if (s->lives || watched[camera])
                world_fail("two workers give camera %u its firmware at once", camera);
        if (fake_worker_is_at(camera))
                world_fail("camera %u is given firmware while another worker is at it", camera);
        if (order->file)
                world_flash_begins(camera);
        else if (!world->cameras[camera].in_loader)
                world_fail("camera %u is given firmware, and is not in its loader", camera);
        *s = (SimFlasher){ .lives = true, .drops = order->file != NULL, .restarts = order->restart, .sending = order->sending,
                           .version = fleet_version_of(camera, order->digest) };
        if (s->version == 0)
                world_fail("camera %u is given what is no image for it", camera);
        folder_of(order->worker.incoming_fd, s->folder);
        world_step();
        *ret = watch(camera, ended, userdata);
        return 0;
}

int flasher_adopt(sd_event *event, int folder_fd, FlasherEnded ended, void *userdata, Flasher **ret) {
        char folder[256];

        (void) event;
        folder_of(folder_fd, folder);
        for (uint32_t i = 0; i < CAMERAS; i++)
                if (world->flashers[i].lives && text_equal(world->flashers[i].folder, folder)) {
                        *ret = watch(i, ended, userdata);
                        return 0;
                }
        return -ESRCH;
}

Flasher *flasher_free(Flasher *f) {
        if (!f)
                return NULL;
        if (watched[f->camera] == f)
                watched[f->camera] = NULL;
        free(f);
        return NULL;
}

/* ---- What it does ------------------------------------------------------------------------------------------------------ */

static void say(const SimFlasher *s, const char *line) {
        _cleanup_(fd_closep) int folder = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;
        char name[32];

        flash_folder_outcome_name(s->sending, name);
        fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || fd_write_full(fd, line, strlen(line)) < 0)
                world_fail("the folder of a flash, %s, is gone while its worker is at it", s->folder);
}

/* It has all of it. Keeps: it comes back with what it had. */
static void give(uint32_t camera, const SimFlasher *s, bool keeps) {
        SimCamera *c = &world->cameras[camera];

        world->flashed++;
        if (!s->drops) {
                c->firmware = keeps ? c->firmware : s->version;
                c->in_loader = false;
        } else if (!keeps)
                c->dropped = s->version;
        c->had |= keeps ? 0 : 1u << s->version;
}

/* 0: all is well. 1: cut short. 2: it dies before anything was sent. 3: it dies when all was. 4: the camera keeps what it had. */
static void carry_out(uint32_t camera, unsigned how) {
        SimFlasher *s = &world->flashers[camera];
        const bool there = world->cameras[camera].bay >= 0 && !world->cameras[camera].off && !world->cameras[camera].away;

        if (!there && how != 2)
                how = 1;
        world_step();
        if (how == 0 || how == 3 || how == 4)
                give(camera, s, how == 4);
        else
                world->flash_trouble++;
        world_step();
        if (how == 1)
                say(s, "stalled\tit was cut short\n");
        else if (how == 0 || how == 4)
                say(s, "ok\t\n");
        s->lives = false;
        if (there && how != 1 && how != 2 && (!s->drops || s->restarts))
                fake_usb_leave(camera);
}

size_t fake_flasher_pending(void) {
        size_t n = 0;

        for (uint32_t i = 0; i < CAMERAS; i++)
                n += world->flashers[i].lives;
        return n;
}

void fake_flasher_answer(size_t pick, unsigned how) {
        for (uint32_t i = 0; i < CAMERAS; i++) {
                if (!world->flashers[i].lives || pick-- > 0)
                        continue;
                carry_out(i, how % FLASHER_TROUBLES);
                if (watched[i])
                        watched[i]->ended(watched[i]->userdata);
                return;
        }
}

void fake_flasher_meanwhile(void) {
        for (uint32_t i = 0; i < CAMERAS; i++) {
                unsigned what = (world->next_event + i) % 8;

                if (world->flashers[i].lives && what < FLASHER_TROUBLES)
                        carry_out(i, what);
        }
}
