/* SPDX-License-Identifier: Apache-2.0 */
#include "service/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/wire_bay.h"
#include "service/peer_header.h"

#define READ_SIZE (64u * 1024u)
/* What nearly all messages fit in. A rack has a hundred peers, few of which ever say more. */
#define BUFFER_MIN (8u * 1024u)
#define BUFFER_MAX (WIRE_MESSAGE_MAX + READ_SIZE)
/* sd-bus as a server answers "DATA\r\nOK <32 digits>\r\n", and "AGREE_UNIX_FD\r\n" when it was asked. */
#define AUTH_MAX 128u

struct Peer {
        PeerOps ops;
        void *userdata;
        int worker_fd; /* kept open by sd-bus, too, which writes to it */
        int inner_fd;  /* sd-bus reads at its other end */
        sd_bus *bus;
        sd_event_source *from_worker, *to_bus;
        Budget bytes, messages;
        bool takes_fds; /* the uplink */
        bool named, authenticated, over;
        unsigned expected_replies;

        /* [0, accepted) may go to sd-bus, of which `passed` went; behind it is the beginning of the next message. */
        uint8_t *buffer;
        size_t size, filled, accepted, passed;
};

static int breach(Peer *p, const char *format, ...) _printf_(2, 3);
static int breach(Peer *p, const char *format, ...) {
        char what[256], text[300];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        (void) snprintf(text, sizeof(text), "%s %s", p->takes_fds ? "the uplink" : "the worker", what);
        p->over = true;
        p->from_worker = sd_event_source_disable_unref(p->from_worker);
        p->to_bus = sd_event_source_disable_unref(p->to_bus);
        (void) shutdown(p->inner_fd, SHUT_WR);
        p->ops.on_breach(p->userdata, text);
        return -EBADMSG;
}

/* ---- Framing ---- */

/* One line of the authentication. 0 when it is not whole yet. */
static int accept_auth(Peer *p, size_t *ret) {
        const char *line = (const char *) p->buffer + p->accepted;
        size_t left = p->filled - p->accepted;
        const char *end = memmem(line, MIN2(left, (size_t) AUTH_MAX), "\r\n", 2);
        size_t length;

        if (!end)
                return left >= AUTH_MAX ? breach(p, "sent %zu bytes that end no line of the authentication", left) : 0;
        length = (size_t) (end - line);
        if (length == 3 + 32 && memcmp(line, "OK ", 3) == 0 && !p->named) {
                p->named = true;
                p->authenticated = !p->takes_fds;
        } else if (p->named && length == 13 && memcmp(line, "AGREE_UNIX_FD", 13) == 0)
                p->authenticated = true;
        else if (length != 4 || memcmp(line, "DATA", 4) != 0 || p->accepted > 0)
                return breach(p, "sent a line of %zu bytes that does not belong to the authentication", length);
        *ret = length + 2;
        return 1;
}

static int check_message(Peer *p, const uint8_t *m, size_t size) {
        uint64_t now = clock_boottime_usec();
        /* The uplink runs nobody's plugin; what sd-bus cannot parse ends its connection. */
        const char *wrong = p->takes_fds ? NULL : peer_header_check(m, size);

        if (wrong)
                return breach(p, "sent %s", wrong);
        if (m[1] != PEER_SIGNAL) {
                if (m[1] != PEER_REPLY && m[1] != PEER_ERROR)
                        return breach(p, "sent a message of type %u, where only replies and signals may come", m[1]);
                if (p->expected_replies == 0)
                        return breach(p, "sent a reply that nobody asked for");
                p->expected_replies--;
                return 0;
        }
        if (!budget_take(&p->messages, 1, now) || !budget_take(&p->bytes, size, now))
                return breach(p, "floods: more than %u signals or %u MiB at once, or %u signals or %u MiB a second",
                              WIRE_BURST_MESSAGES, WIRE_BURST_BYTES / (1024 * 1024), WIRE_MESSAGES_PER_SEC,
                              WIRE_BYTES_PER_SEC / (1024 * 1024));
        return 0;
}

/* The next message. 0 when it is not whole yet. */
static int accept_message(Peer *p, size_t *ret) {
        const uint8_t *m = p->buffer + p->accepted;
        size_t left = p->filled - p->accepted;
        uint64_t size;
        int r;

        if (left < PEER_HEADER_SIZE)
                return 0;
        size = peer_header_size(m);
        if (size == 0)
                return breach(p, "sent bytes that are no D-Bus message");
        if (size > WIRE_MESSAGE_MAX)
                return breach(p, "sent a message of %llu bytes, where %u may come", (unsigned long long) size,
                              WIRE_MESSAGE_MAX);
        if (left < size)
                return 0;
        r = check_message(p, m, (size_t) size);
        if (r < 0)
                return r;
        *ret = (size_t) size;
        return 1;
}

static int accept_all(Peer *p) {
        size_t size = 0;
        int r;

        while (p->accepted < p->filled) {
                r = p->authenticated ? accept_message(p, &size) : accept_auth(p, &size);
                if (r <= 0)
                        return r;
                p->accepted += size;
        }
        return 0;
}

/* ---- Moving ---- */

static int set_events(Peer *p) {
        bool blocked = p->passed < p->accepted;
        int r;

        if (p->over) {
                /* sd-bus ends as well, after the last message, and lets go of the worker's end, which hangs up for ever. */
                if (!blocked)
                        (void) shutdown(p->inner_fd, SHUT_WR);
                return sd_event_source_set_enabled(p->to_bus, blocked ? SD_EVENT_ON : SD_EVENT_OFF);
        }
        /* What is not taken is not read either: the buffer grows for one message that is larger than it, and no further. */
        r = sd_event_source_set_enabled(p->from_worker, blocked ? SD_EVENT_OFF : SD_EVENT_ON);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->to_bus, blocked ? SD_EVENT_ON : SD_EVENT_OFF);
        return r;
}

static int pass(Peer *p) {
        while (p->passed < p->accepted) {
                ssize_t n = send(p->inner_fd, p->buffer + p->passed, p->accepted - p->passed, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                /* sd-bus closed its end: it could not make sense of what came. */
                if (n < 0)
                        return breach(p, "sent a malformed message");
                p->passed += (size_t) n;
        }
        if (p->passed == p->accepted) {
                memmove(p->buffer, p->buffer + p->accepted, p->filled - p->accepted);
                p->filled -= p->accepted;
                p->accepted = p->passed = 0;
        }
        return set_events(p);
}

static void on_end(Peer *p) {
        p->over = true;
        p->from_worker = sd_event_source_disable_unref(p->from_worker);
        (void) set_events(p);
        p->ops.on_closed(p->userdata);
}

/* Room for the rest of a message of which only the beginning fits. */
static int make_room(Peer *p) {
        size_t size = MIN2(2 * p->size, (size_t) BUFFER_MAX);
        uint8_t *larger;

        if (p->filled < p->size)
                return 0;
        larger = realloc(p->buffer, size);
        if (!larger)
                return breach(p, "sends more than there is memory for");
        p->buffer = larger;
        p->size = size;
        return 0;
}

static int on_from_worker(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Peer *p = userdata;
        ssize_t n;

        (void) source;
        (void) revents;
        if (make_room(p) < 0)
                return 0;
        /* recv() takes no descriptors: what a worker attaches is closed by the kernel. */
        n = recv(fd, p->buffer + p->filled, MIN2(p->size - p->filled, (size_t) READ_SIZE), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                on_end(p);
                return 0;
        }
        p->filled += (size_t) n;
        if (accept_all(p) >= 0)
                (void) pass(p);
        return 0;
}

static int on_to_bus(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Peer *p = userdata;

        (void) source;
        (void) fd;
        (void) revents;
        (void) pass(p);
        return 0;
}

/* ---- Making ---- */

/* Gives both descriptors to a new connection: it reads what was accepted and writes to the worker. */
static int start_bus(Peer *p, sd_event *event, int inner_fd, int output_fd) {
        int r;

        r = sd_bus_new(&p->bus);
        if (r >= 0)
                r = sd_bus_set_fd(p->bus, inner_fd, output_fd);
        if (r < 0) {
                fd_close(inner_fd);
                fd_close(output_fd);
                return r;
        }
        r = sd_bus_negotiate_fds(p->bus, p->takes_fds);
        /* sd-bus would wait for the peer when the loop ends: for ever, since what the peer says passes through this loop. */
        if (r >= 0)
                r = sd_bus_set_close_on_exit(p->bus, false);
        if (r >= 0)
                r = sd_bus_start(p->bus);
        if (r >= 0)
                r = sd_bus_attach_event(p->bus, event, SD_EVENT_PRIORITY_NORMAL);
        return r;
}

static int set_up(Peer *p, sd_event *event) {
        int inner[2], output, r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, inner) < 0)
                return -errno;
        p->inner_fd = inner[0];
        output = fcntl(p->worker_fd, F_DUPFD_CLOEXEC, 3);
        if (output < 0) {
                r = -errno;
                fd_close(inner[1]);
                return r;
        }
        r = start_bus(p, event, inner[1], output);
        if (r >= 0)
                r = sd_event_add_io(event, &p->from_worker, p->worker_fd, EPOLLIN, on_from_worker, p);
        if (r >= 0)
                r = sd_event_add_io(event, &p->to_bus, p->inner_fd, EPOLLOUT, on_to_bus, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->to_bus, SD_EVENT_OFF);
        return r;
}

static int new_peer(sd_event *event, int fd, bool takes_fds, const PeerOps *ops, void *userdata, Peer **ret) {
        _cleanup_(peer_freep) Peer *p = NULL;
        uint64_t now = clock_boottime_usec();
        int r;

        p = calloc(1, sizeof(Peer));
        if (!p) {
                fd_close(fd);
                return -ENOMEM;
        }
        p->inner_fd = -EBADF;
        p->worker_fd = fd;
        p->size = BUFFER_MIN;
        p->buffer = malloc(p->size);
        if (!p->buffer)
                return -ENOMEM;
        p->ops = *ops;
        p->userdata = userdata;
        p->takes_fds = takes_fds;
        budget_init(&p->bytes, WIRE_BURST_BYTES, WIRE_BYTES_PER_SEC, now);
        budget_init(&p->messages, WIRE_BURST_MESSAGES, WIRE_MESSAGES_PER_SEC, now);
        r = set_up(p, event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

int peer_new(sd_event *event, int fd, const PeerOps *ops, void *userdata, Peer **ret) {
        return new_peer(event, fd, false, ops, userdata, ret);
}

int peer_new_uplink(sd_event *event, int fd, const PeerOps *ops, void *userdata, Peer **ret) {
        return new_peer(event, fd, true, ops, userdata, ret);
}

Peer *peer_free(Peer *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->from_worker);
        sd_event_source_disable_unref(p->to_bus);
        /* Without a flush: nobody waits for a worker that may not read. */
        if (p->bus) {
                sd_bus_close(p->bus);
                sd_bus_unref(p->bus);
        }
        fd_close(p->inner_fd);
        fd_close(p->worker_fd);
        free(p->buffer);
        free(p);
        return NULL;
}

sd_bus *peer_bus(Peer *p) {
        return p->bus;
}

void peer_expect_reply(Peer *p) {
        p->expected_replies++;
}
