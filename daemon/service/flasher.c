/* SPDX-License-Identifier: Apache-2.0 */
#include "service/flasher.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "service/chatter.h"
#include "service/flash_folder.h"
#include "service/worker_process.h"

#define OPTIONS_MAX 64u

struct Flasher {
        WorkerProcess process; /* of one that was found, pidfd alone */
        Chatter *chatter;
        sd_event_source *exited;
        FlasherEnded ended;
        void *userdata;
};

static int on_exited(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Flasher *f = userdata;
        siginfo_t info;

        (void) fd;
        (void) revents;
        /* One that was found is not a child of ours, and reaped by whoever took it over. */
        (void) worker_process_reap(&f->process, &info);
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        f->ended(f->userdata);
        return 0;
}

static int watch(sd_event *event, Flasher *f) {
        int r = sd_event_add_io(event, &f->exited, f->process.pidfd, EPOLLIN, on_exited, f);

        /* What it printed before is heard first. */
        return r < 0 ? r : sd_event_source_set_priority(f->exited, SD_EVENT_PRIORITY_NORMAL + 10);
}

static Flasher *flasher_new(FlasherEnded ended, void *userdata) {
        Flasher *f = calloc(1, sizeof(*f));

        if (f)
                *f = (Flasher){ .process = { .pidfd = -EBADF, .bus_fd = -EBADF, .log_fd = -EBADF }, .ended = ended, .userdata = userdata };
        return f;
}

/* The arguments: those of main() in bay/main.c. */
static int spawn(const FlasherOrder *o, WorkerProcess *ret) {
        char outcome[32], until[32], size[32], hex[DIGEST_HEX_SIZE], *argv[20 + 2 * OPTIONS_MAX];
        size_t n = 0;

        flash_folder_outcome_name(o->sending, outcome);
        (void) snprintf(until, sizeof(until), "%" PRIu64, o->until_usec);
        (void) snprintf(size, sizeof(size), "%" PRIu64, o->size_bytes);
        (void) digest_to_hex(o->digest, hex);
        const char *const fixed[] = { o->worker.executable, "--plugin", o->worker.plugin_path, "--flash", outcome, "--until", until,
                                      "--size", size, "--sha256", hex };

        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                argv[n++] = (char *) fixed[i];
        if (o->file) {
                argv[n++] = (char *) "--file";
                argv[n++] = (char *) o->file;
        }
        if (o->file && o->restart)
                argv[n++] = (char *) "--restart";
        for (size_t i = 0; o->options && o->options[i] && i < OPTIONS_MAX; i++) {
                argv[n++] = (char *) "--option";
                argv[n++] = (char *) o->options[i];
        }
        argv[n] = NULL;
        return worker_process_spawn_flasher(&o->worker, o->image_fd, o->hold_fds, o->n_hold_fds, argv, ret);
}

int flasher_spawn(sd_event *event, const FlasherOrder *order, FlasherEnded ended, void *userdata, Flasher **ret) {
        _cleanup_(flasher_freep) Flasher *f = flasher_new(ended, userdata);
        int r;

        if (!f)
                return -ENOMEM;
        CRASH_POINT("flasher-spawn-begins");
        r = spawn(order, &f->process);
        CRASH_POINT("flasher-spawned");
        if (r >= 0)
                r = watch(event, f);
        if (r >= 0)
                r = chatter_new(event, TAKE_FD(f->process.log_fd), order->worker.bay, &f->chatter);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

int flasher_adopt(sd_event *event, int folder_fd, FlasherEnded ended, void *userdata, Flasher **ret) {
        _cleanup_(flasher_freep) Flasher *f = flasher_new(ended, userdata);
        int r;

        if (!f)
                return -ENOMEM;
        f->process.pid = flash_folder_worker(folder_fd);
        if (f->process.pid <= 0)
                return -ESRCH;
        f->process.pidfd = pidfd_open(f->process.pid, 0);
        if (f->process.pidfd < 0)
                return errno == ESRCH ? -ESRCH : -errno;
        /* Its number may be another process's by now: not while it still holds the lock. */
        if (flash_folder_worker(folder_fd) != f->process.pid)
                return -ESRCH;
        r = watch(event, f);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

Flasher *flasher_free(Flasher *f) {
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->exited);
        chatter_free(f->chatter);
        fd_close(f->process.pidfd);
        fd_close(f->process.log_fd);
        free(f);
        return NULL;
}
