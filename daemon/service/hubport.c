/* SPDX-License-Identifier: Apache-2.0 */
#include "service/hubport.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/jobs.h"
#include "base/text.h"
#include "service/hubrequest.h"
#include "service/timer.h"

#define DEVICES "/sys/bus/usb/devices"

typedef enum Task {
        TASK_CYCLE,
        TASK_ON,
        TASK_OFF,
        TASK_ASK,
} Task;

typedef struct Cycle {
        Hubports *hubports;
        struct Cycle *next;
        Task task;
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

static const char *const hubport_way_table[_HUBPORT_WAY_MAX] = { [HUBPORT_FILE] = "disable", [HUBPORT_REQUEST] = "hub" };
DEFINE_STRING_TABLE(hubport_way, HubportWay, hubport_way_table)

/* ---- Where a port is ----------------------------------------------------------------------------------------------- */

/* A port by its hub: "1-1" and 4, or "usb1" and 4 for one of the machine's. */
typedef struct Place {
        char hub[32];       /* as a device */
        char interface[40]; /* "1-1:1.0" */
        unsigned port;
} Place;

static int place_of(const char *port_path, Place *ret) {
        const char *dash = strchr(port_path, '-'), *dot = strrchr(port_path, '.');
        const char *last = dot ? dot : dash;
        int n, k;

        if (!dash || dash == port_path || !last[1] || last[1 + strspn(last + 1, "0123456789")] ||
            port_path[strspn(port_path, "0123456789-.")])
                return -EINVAL;
        ret->port = (unsigned) strtoul(last + 1, NULL, 10);
        /* The first port in the path is one of the root hub. */
        n = dot ? snprintf(ret->hub, sizeof(ret->hub), "%.*s", (int) (dot - port_path), port_path) :
                  snprintf(ret->hub, sizeof(ret->hub), "usb%.*s", (int) (dash - port_path), port_path);
        k = dot ? snprintf(ret->interface, sizeof(ret->interface), "%.*s:1.0", (int) (dot - port_path), port_path) :
                  snprintf(ret->interface, sizeof(ret->interface), "%.*s-0:1.0", (int) (dash - port_path), port_path);
        return n < (int) sizeof(ret->hub) && k < (int) sizeof(ret->interface) ? 0 : -EINVAL;
}

static int file_of(const Place *at, const char *name, char ret[static HUBPORT_PATH_SIZE]) {
        int n = snprintf(ret, HUBPORT_PATH_SIZE, DEVICES "/%s/%s-port%u/%s", at->interface, at->hub, at->port, name);

        return n < (int) HUBPORT_PATH_SIZE ? 0 : -EINVAL;
}

int hubport_file(const char *port_path, char ret[static HUBPORT_PATH_SIZE]) {
        Place at;
        int r = place_of(port_path, &at);

        return r < 0 ? r : file_of(&at, "disable", ret);
}

/* The port of the other speed that is the same connector: `peer` leads to ".../2-1:1.0/2-1-port4". -ENOENT when there is none. */
static int peer_of(const Place *at, Place *ret) {
        char path[HUBPORT_PATH_SIZE], target[256], *name, *dash;
        ssize_t n;
        int r;

        r = file_of(at, "peer", path);
        if (r < 0)
                return r;
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        name = strrchr(target, '/');
        if (!name)
                return -EINVAL;
        *name++ = 0;
        dash = strstr(name, "-port");
        if (!dash || strlen(name) >= sizeof(ret->hub))
                return -EINVAL;
        (void) snprintf(ret->hub, sizeof(ret->hub), "%.*s", (int) (dash - name), name);
        ret->port = (unsigned) strtoul(dash + strlen("-port"), NULL, 10);
        name = strrchr(target, '/');
        (void) snprintf(ret->interface, sizeof(ret->interface), "%.39s", name ? name + 1 : target);
        return 0;
}

static int way_of(const Place *at, HubportWay *ret) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char file[HUBPORT_PATH_SIZE];
        bool superspeed;
        int r;

        r = file_of(at, "disable", file);
        if (r < 0)
                return r;
        if (faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0) {
                *ret = HUBPORT_FILE;
                return 0;
        }
        r = -errno;
        fd = hubrequest_open(at->hub, &superspeed);
        if (fd < 0)
                return r == -ENOENT && fd == -ENOENT ? -ENOENT : r == -ENOENT ? fd : r;
        *ret = HUBPORT_REQUEST;
        return 0;
}

int hubport_way(const char *port_path, HubportWay *ret_way) {
        Place at;
        int r = place_of(port_path, &at);

        return r < 0 ? r : way_of(&at, ret_way);
}

int hubport_usable(const char *port_path) {
        _cleanup_(fd_closep) int fd = -EBADF;
        HubportWay way;
        bool superspeed;
        Place at;
        int r;

        r = place_of(port_path, &at);
        if (r < 0)
                return r;
        if (!strchr(port_path, '.'))
                return -EOPNOTSUPP;
        r = way_of(&at, &way);
        if (r < 0 || way == HUBPORT_FILE)
                return r;
        fd = hubrequest_open(at.hub, &superspeed);
        r = fd < 0 ? fd : hubrequest_says_it_switches(fd, superspeed);
        return r < 0 ? r : r > 0 ? 0 : -EOPNOTSUPP;
}

/* ---- One half of a port -------------------------------------------------------------------------------------------- */

static int read_file(const Place *at, const char *name, char *ret, size_t size) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char file[HUBPORT_PATH_SIZE];
        ssize_t n;
        int r;

        r = file_of(at, name, file);
        if (r < 0)
                return r;
        fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        n = read(fd, ret, size - 1);
        if (n <= 0)
                return n < 0 ? -errno : -EIO;
        ret[n] = 0;
        return 0;
}

static int write_disable(const Place *at, bool disable) {
        _cleanup_(fd_closep) int fd = -EBADF;
        char file[HUBPORT_PATH_SIZE];
        int r;

        r = file_of(at, "disable", file);
        if (r < 0)
                return r;
        fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        return write(fd, disable ? "1" : "0", 1) == 1 ? 0 : -errno;
}

static int ask_hub(const Place *at, HubStatus *ret) {
        _cleanup_(fd_closep) int fd = -EBADF;
        bool superspeed;

        fd = hubrequest_open(at->hub, &superspeed);
        return fd < 0 ? fd : hubrequest_status(fd, superspeed, at->port, ret);
}

static int set_half(const Place *at, bool on) {
        _cleanup_(fd_closep) int fd = -EBADF;
        HubportWay way;
        bool superspeed;
        int r;

        r = way_of(at, &way);
        if (r < 0)
                return r;
        if (way == HUBPORT_FILE)
                return write_disable(at, !on);
        fd = hubrequest_open(at->hub, &superspeed);
        return fd < 0 ? fd : hubrequest_power(fd, at->port, on);
}

/* ---- A port -------------------------------------------------------------------------------------------------------- */

/* Both halves: a connector whose one half has power has it, and a camera whose USB 3 half went comes back on the other. */
static int set_power(const char *port_path, bool on) {
        Place at, peer;
        int r, k = 0;

        r = place_of(port_path, &at);
        if (r < 0)
                return r;
        if (peer_of(&at, &peer) >= 0)
                k = set_half(&peer, on);
        r = set_half(&at, on);
        return r < 0 ? r : k < 0 ? k : 0;
}

int hubport_is_on(const char *port_path) {
        HubStatus status;
        char is[2];
        Place at;
        int r;

        r = place_of(port_path, &at);
        if (r < 0)
                return r;
        r = read_file(&at, "disable", is, sizeof(is));
        if (r >= 0)
                return is[0] != '1';
        r = ask_hub(&at, &status);
        return r < 0 ? r : status.power;
}

static int ask(const char *port_path) {
        HubStatus status, other = {};
        Place at, peer;
        int r;

        r = place_of(port_path, &at);
        if (r >= 0)
                r = ask_hub(&at, &status);
        if (r < 0)
                return r;
        if (peer_of(&at, &peer) >= 0)
                (void) ask_hub(&peer, &other);
        return (status.connected || other.connected ? HUBPORT_SEES_DEVICE : 0) | (status.power || other.power ? HUBPORT_SEES_POWER : 0) |
               (status.over_current || other.over_current ? HUBPORT_SEES_OVER_CURRENT : 0);
}

int hubport_over_currents(const char *port_path, uint64_t *ret) {
        char text[24];
        Place at;
        int r;

        r = place_of(port_path, &at);
        if (r >= 0)
                r = read_file(&at, "over_current_count", text, sizeof(text));
        if (r < 0)
                return r;
        *ret = strtoull(text, NULL, 10);
        return 0;
}

int hubport_hub(const char *port_path, char ret[static HUBPORT_HUB_SIZE]) {
        static const char *const names[] = { "idVendor", "idProduct", "bcdDevice" };
        char words[ELEMENTSOF(names)][8], path[HUBPORT_PATH_SIZE];
        Place at;
        int r;

        r = place_of(port_path, &at);
        for (size_t i = 0; i < ELEMENTSOF(names) && r >= 0; i++) {
                _cleanup_(fd_closep) int fd = -EBADF;
                ssize_t n;

                (void) snprintf(path, sizeof(path), DEVICES "/%s/%s", at.hub, names[i]);
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                n = fd < 0 ? -1 : read(fd, words[i], sizeof(words[i]) - 1);
                if (n < 4)
                        return fd < 0 ? -errno : -EIO;
                words[i][4] = 0;
        }
        if (r >= 0)
                (void) snprintf(ret, HUBPORT_HUB_SIZE, "%s:%s %s", words[0], words[1], words[2]);
        return r;
}

int hubport_restore(const char *port_path) {
        int r = hubport_is_on(port_path);

        if (r != 0)
                return r < 0 ? r : 0;
        r = set_power(port_path, true);
        return r < 0 ? r : 1;
}

/* ---- Switching, by the thread -------------------------------------------------------------------------------------------- */

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

        return c->task == TASK_ASK ? ask(c->port_path) : set_power(c->port_path, c->on);
}

static void finish(Cycle *c, int result) {
        _cleanup_(freep) char *port_path = TAKE_PTR(c->port_path);
        HubportDone done = c->done;
        void *userdata = c->userdata;

        if (c->result >= 0)
                c->result = result;
        result = c->result;
        /* Whoever waited may have it switched anew. */
        cycle_free(c);
        if (done)
                done(userdata, port_path, result);
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
                finish(c, set_power(c->port_path, true));
        return 0;
}

static void off_done(void *job, int result) {
        Cycle *c = job;

        c->result = result;
        if (timer_in(c->timer, result < 0 ? 0 : HUBPORT_OFF_USEC) < 0)
                (void) on_timer(NULL, 0, c);
}

static int begin(Hubports *h, const char *port_path, Task task, HubportDone done, void *userdata) {
        Cycle *c;
        int r = 0;

        for (c = h->cycles; c; c = c->next)
                if (text_equal(c->port_path, port_path))
                        return -EALREADY;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (Cycle){ .hubports = h, .next = h->cycles, .task = task, .on = task == TASK_ON, .port_path = strdup(port_path), .done = done,
                      .userdata = userdata };
        h->cycles = c;
        if (!c->port_path)
                r = -ENOMEM;
        if (r >= 0 && task == TASK_CYCLE)
                r = sd_event_add_time(h->event, &c->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC * 20, on_timer, c);
        if (r >= 0 && c->timer)
                r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = job_thread_submit(h->thread, run_write, task == TASK_CYCLE ? off_done : on_done, c);
        if (r < 0)
                cycle_free(c);
        return r;
}

int hubport_cycle(Hubports *h, const char *port_path, HubportDone done, void *userdata) {
        return begin(h, port_path, TASK_CYCLE, done, userdata);
}

int hubport_set(Hubports *h, const char *port_path, bool on, HubportDone done, void *userdata) {
        return begin(h, port_path, on ? TASK_ON : TASK_OFF, done, userdata);
}

int hubport_ask(Hubports *h, const char *port_path, HubportDone done, void *userdata) {
        return begin(h, port_path, TASK_ASK, done, userdata);
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
                if (h->cycles->task == TASK_CYCLE)
                        (void) set_power(h->cycles->port_path, true);
                cycle_free(h->cycles);
        }
        sd_event_unref(h->event);
        free(h);
        return NULL;
}
