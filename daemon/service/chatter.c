/* SPDX-License-Identifier: Apache-2.0 */
#include "service/chatter.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"

#define LINE_MAX_BYTES 1024u
#define BURST_LINES 200u
#define LINES_PER_SEC 5u
/* Of one turn of the loop, and of the rest at the end. */
#define READS_AT_ONCE 16u

struct Chatter {
        int fd;
        char *bay;
        sd_event_source *source;
        Budget lines;
        unsigned long long dropped;
        char line[LINE_MAX_BYTES];
        size_t filled;
};

/* "<6>berth-bay: text", or anything that a library or the C runtime prints. */
static void log_line(const Chatter *c, const char *line) {
        static const char name[] = "berth-bay: ";
        LogAbout about = { .bay = c->bay };
        char safe[LINE_MAX_BYTES];
        int level = LOG_INFO;

        if (line[0] == '<' && line[1] >= '3' && line[1] <= '7' && line[2] == '>') {
                level = line[1] - '0';
                line += 3;
        }
        if (strncmp(line, name, sizeof(name) - 1) == 0)
                line += sizeof(name) - 1;
        text_sanitise(line, safe, sizeof(safe));
        if (safe[0])
                log_full(level, &about, "worker: %s", safe);
}

static void end_line(Chatter *c) {
        LogAbout about = { .bay = c->bay };

        c->line[c->filled] = 0;
        c->filled = 0;
        if (!budget_take(&c->lines, 1, clock_boottime_usec())) {
                c->dropped++;
                return;
        }
        if (c->dropped > 0)
                log_warning(&about, "worker: %llu lines were dropped", c->dropped);
        c->dropped = 0;
        log_line(c, c->line);
}

static void take(Chatter *c, const char *data, size_t size) {
        for (size_t i = 0; i < size; i++) {
                if (data[i] != '\n' && data[i] != 0)
                        c->line[c->filled++] = data[i];
                if (data[i] == '\n' || c->filled == sizeof(c->line) - 1)
                        end_line(c);
        }
}

/* false at the end of the pipe. */
static bool read_some(Chatter *c) {
        char data[4096];

        for (unsigned i = 0; i < READS_AT_ONCE; i++) {
                ssize_t n = read(c->fd, data, sizeof(data));

                if (n < 0)
                        return errno == EAGAIN || errno == EINTR;
                if (n == 0)
                        return false;
                take(c, data, (size_t) n);
        }
        return true;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Chatter *c = userdata;

        (void) source;
        (void) fd;
        (void) revents;
        if (!read_some(c))
                c->source = sd_event_source_disable_unref(c->source);
        return 0;
}

int chatter_new(sd_event *event, int fd, const char *bay, Chatter **ret) {
        _cleanup_(chatter_freep) Chatter *c = NULL;
        int r;

        c = calloc(1, sizeof(Chatter));
        if (!c) {
                fd_close(fd);
                return -ENOMEM;
        }
        c->fd = fd;
        budget_init(&c->lines, BURST_LINES, LINES_PER_SEC, clock_boottime_usec());
        c->bay = strdup(bay);
        if (!c->bay)
                return -ENOMEM;
        r = sd_event_add_io(event, &c->source, fd, EPOLLIN, on_readable, c);
        if (r < 0)
                return r;
        /* After everything that matters. */
        r = sd_event_source_set_priority(c->source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

Chatter *chatter_free(Chatter *c) {
        LogAbout about = {};

        if (!c)
                return NULL;
        about.bay = c->bay;
        sd_event_source_disable_unref(c->source);
        if (c->bay) {
                (void) read_some(c);
                if (c->filled > 0)
                        end_line(c);
                if (c->dropped > 0)
                        log_warning(&about, "worker: %llu lines were dropped", c->dropped);
        }
        fd_close(c->fd);
        free(c->bay);
        free(c);
        return NULL;
}
