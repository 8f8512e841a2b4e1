/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/connection_private.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "base/fd.h"
#include "base/log.h"
#include "uplink/listen.h"

void connection_hold(Connection *c, bool held) {
        const Connection *other;
        bool any = false;

        c->holds = held;
        TAILQ_FOREACH(other, &c->server->connections, list)
                any |= other->holds;
        transfers_hold(c->server->transfers, TRANSFER_HOLD_ORDER, any);
}

static Connection *connection_free(Connection *c) {
        if (!c)
                return NULL;
        transfers_forget(c->server->transfers, c);
        connection_hold(c, false);
        TAILQ_REMOVE(&c->server->connections, c, list);
        c->server->n_connections--;
        if (c->bus) {
                sd_bus_close(c->bus);
                sd_bus_unref(c->bus);
        }
        free(c);
        return NULL;
}

/* ---- Connections --------------------------------------------------------------------------------------------------- */

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) m;
        (void) error;
        (void) connection_free(userdata);
        return 1;
}

static bool may_connect(const Server *s, int fd) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return false;
        if (peer.uid == 0 || peer.uid == geteuid() || (s->peer_known && peer.uid == s->peer_uid))
                return true;
        log_warning(NULL, "User %u may not connect: set [uplink] peer_user to the user of berthd", (unsigned) peer.uid);
        return false;
}

static int start(Connection *c, int fd) {
        sd_id128_t id;
        int r;

        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&c->bus);
        if (r >= 0)
                r = sd_bus_set_fd(c->bus, fd, fd);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        /* Not to wait, when the loop ends, for a peer that reads nothing. */
        if ((r = sd_bus_set_server(c->bus, 1, id)) < 0 || (r = sd_bus_negotiate_fds(c->bus, 1)) < 0 ||
            (r = sd_bus_set_close_on_exit(c->bus, false)) < 0 ||
            (r = sd_bus_add_object_vtable(c->bus, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, connection_vtable, c)) < 0 ||
            (r = sd_bus_match_signal(c->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                     on_disconnected, c)) < 0 ||
            (r = sd_bus_start(c->bus)) < 0)
                return r;
        return sd_bus_attach_event(c->bus, c->server->event, SD_EVENT_PRIORITY_NORMAL);
}

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Server *s = userdata;
        Connection *c;
        int peer, r;

        (void) source;
        (void) revents;
        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer < 0)
                return 0;
        if (s->n_connections >= CONNECTIONS_MAX || !may_connect(s, peer)) {
                fd_close(peer);
                return 0;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                fd_close(peer);
                return 0;
        }
        c->server = s;
        TAILQ_INSERT_TAIL(&s->connections, c, list);
        s->n_connections++;
        r = start(c, peer);
        if (r < 0) {
                log_debug(NULL, "A connection ended before it began: %s", strerror(-r));
                (void) connection_free(c);
        }
        return 0;
}

/* ---- Server ----------------------------------------------------------------------------------------------------------- */

static int remember_own(Server *s, const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        s->own_path = strdup(path);
        if (!s->own_path)
                return -ENOMEM;
        s->own_device = st.st_dev;
        s->own_inode = st.st_ino;
        return 0;
}

int server_new(sd_event *event, const ServerSettings *settings, Server **ret, ConfError *error) {
        _cleanup_(server_freep) Server *s = calloc(1, sizeof(*s));
        bool own;
        int r;

        if (!s)
                return -ENOMEM;
        TAILQ_INIT(&s->connections);
        s->event = sd_event_ref(event);
        s->peer_known = settings->peer_known;
        s->peer_uid = settings->peer_uid;
        s->fd = listen_open(settings->socket_path, settings->peer_known, settings->peer_gid, &own, error);
        if (s->fd < 0)
                return s->fd;
        if (own) {
                r = remember_own(s, settings->socket_path);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

int server_open(Server *s, Transfers *transfers, Probe *probe) {
        s->transfers = transfers;
        s->probe = probe;
        return sd_event_add_io(s->event, &s->accept, s->fd, EPOLLIN, on_connect, s);
}

void server_close(Server *s) {
        s->accept = sd_event_source_disable_unref(s->accept);
        while (!TAILQ_EMPTY(&s->connections))
                (void) connection_free(TAILQ_FIRST(&s->connections));
}

Server *server_free(Server *s) {
        struct stat st;

        if (!s)
                return NULL;
        server_close(s);
        fd_close(s->fd);
        /* Unless another uplink has put its own there. */
        if (s->own_path && stat(s->own_path, &st) == 0 && st.st_dev == s->own_device && st.st_ino == s->own_inode)
                (void) unlink(s->own_path);
        free(s->own_path);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
