/* SPDX-License-Identifier: Apache-2.0 */
#include "service/hubport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/jobs.h"
#include "base/text.h"

typedef struct Cycle {
        Hubports *hubports;
        struct Cycle *next;
        char *port_path;
        HubportDone done;
        void *userdata;
        sd_event_source *timer;
        bool on; /* the write that is under way */
        int result;
} Cycle;

struct Hubports {
        sd_event *event;
        JobThread *thread;
        Cycle *cycles;
};

int hubport_file(const char *port_path, char ret[static HUBPORT_PATH_SIZE]) {
        const char *dash = strchr(port_path, '-'), *dot = strrchr(port_path, '.');
        const char *last = dot ? dot : dash;
        int n;

        if (!dash || dash == port_path || !last[1] || last[1 + strspn(last + 1, "0123456789")] ||
            port_path[strspn(port_path, "0123456789-.")])
                return -EINVAL;
        /* The first port in the path is one of the root hub. */
        if (!dot)
                n = snprintf(ret, HUBPORT_PATH_SIZE, "/sys/bus/usb/devices/%.*s-0:1.0/usb%.*s-port%s/disable", (int) (dash - port_path),
                             port_path, (int) (dash - port_path), port_path, dash + 1);
        else
                n = snprintf(ret, HUBPORT_PATH_SIZE, "/sys/bus/usb/devices/%.*s:1.0/%.*s-port%s/disable", (int) (dot - port_path),
                             port_path, (int) (dot - port_path), port_path, dot + 1);
        return n < (int) HUBPORT_PATH_SIZE ? 0 : -EINVAL;
}

int hubport_usable(const char *port_path) {
        char file[HUBPORT_PATH_SIZE];
        int r;

        r = hubport_file(port_path, file);
        if (r < 0)
                return r;
        if (!strchr(port_path, '.'))
                return -EOPNOTSUPP;
        return faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int write_disable(const char *port_path, bool disable) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char file[HUBPORT_PATH_SIZE];
        int r;

        r = hubport_file(port_path, file);
        if (r < 0)
                return r;
        fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        return write(fd, disable ? "1" : "0", 1) == 1 ? 0 : -errno;
}

int hubport_restore(const char *port_path) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char file[HUBPORT_PATH_SIZE], is = 0;
        int r;

        r = hubport_file(port_path, file);
        if (r < 0)
                return r;
        fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (read(fd, &is, 1) != 1)
                return -EIO;
        if (is != '1')
                return 0;
        r = write_disable(port_path, false);
        return r < 0 ? r : 1;
}

/* ---- Off, a moment, on -------------------------------------------------------------------------------------------- */

static void cycle_free(Cycle *c) {
        for (Cycle **p = &c->hubports->cycles; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        sd_event_source_disable_unref(c->timer);
        free(c->port_path);
        free(c);
}

static int run_write(void *job) {
        const Cycle *c = job;

        return write_disable(c->port_path, !c->on);
}

static void finish(Cycle *c, int result) {
        if (c->result >= 0)
                c->result = result;
        if (c->done)
                c->done(c->userdata, c->port_path, c->result);
        cycle_free(c);
}

static void on_done(void *job, int result) {
        finish(job, result);
}

static int turn_on(Cycle *c) {
        c->on = true;
        return job_thread_submit(c->hubports->thread, run_write, on_done, c);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Cycle *c = userdata;

        (void) source;
        (void) usec;
        if (turn_on(c) < 0)
                /* No memory for a job: then the loop waits, which is better than a port without power. */
                finish(c, write_disable(c->port_path, false));
        return 0;
}

static void off_done(void *job, int result) {
        Cycle *c = job;
        int r;

        c->result = result;
        r = sd_event_source_set_time(c->timer, clock_boottime_usec() + (result < 0 ? 0 : HUBPORT_OFF_USEC));
        if (r >= 0)
                r = sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) on_timer(NULL, 0, c);
}

int hubport_cycle(Hubports *h, const char *port_path, HubportDone done, void *userdata) {
        Cycle *c;
        int r;

        for (c = h->cycles; c; c = c->next)
                if (text_equal(c->port_path, port_path))
                        return -EALREADY;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (Cycle){ .hubports = h, .next = h->cycles, .port_path = strdup(port_path), .done = done, .userdata = userdata };
        h->cycles = c;
        r = c->port_path ? sd_event_add_time(h->event, &c->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC * 20, on_timer, c) : -ENOMEM;
        if (r >= 0)
                r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = job_thread_submit(h->thread, run_write, off_done, c);
        if (r < 0)
                cycle_free(c);
        return r;
}

int hubports_new(sd_event *event, Hubports **ret) {
        Hubports *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        r = job_thread_new(event, "hubport", &h->thread);
        if (r < 0) {
                free(h);
                return r;
        }
        h->event = sd_event_ref(event);
        *ret = h;
        return 0;
}

Hubports *hubports_free(Hubports *h) {
        if (!h)
                return NULL;
        /* Whoever waited is gone. What is off goes on at once. */
        for (Cycle *c = h->cycles; c; c = c->next)
                c->done = NULL;
        h->thread = job_thread_free(h->thread);
        while (h->cycles) {
                (void) write_disable(h->cycles->port_path, false);
                cycle_free(h->cycles);
        }
        sd_event_unref(h->event);
        free(h);
        return NULL;
}
