/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of a connection share: connection.c has the socket and who is connected, connection_call.c what is asked,
 * connection_answer.c what comes back, connection_state.c how the store is.
 */

#include <sys/queue.h>

#include <systemd/sd-bus.h>

#include "uplink/connection.h"

typedef struct Connection {
        TAILQ_ENTRY(Connection) list;
        Server *server;
        sd_bus *bus;
        bool holds; /* it wants nothing to be sent */
} Connection;
TAILQ_HEAD(ConnectionList, Connection);

struct Server {
        sd_event *event;
        int fd;
        char *own_path; /* NULL when the socket is the service manager's */
        dev_t own_device;
        ino_t own_inode;
        bool peer_known;
        uid_t peer_uid;
        sd_event_source *accept;
        Transfers *transfers;
        Probe *probe;
        char pause[256]; /* why nothing is sent by the schedule, or "" */
        struct ConnectionList connections;
        unsigned n_connections;
};

/* What is sent, or not: one connection's wish to hold is enough. As a rule there is one. */
void connection_hold(Connection *c, bool held);

/* connection_call.c: all that a peer may ask; the userdata is the connection. */
extern const sd_bus_vtable connection_vtable[];
/* Answers that the arguments cannot be taken, and why. */
int connection_refuse(sd_bus_message *m, const char *format, ...) _printf_(2, 3);

/* connection_state.c */
int connection_get_state(sd_bus_message *m, void *userdata, sd_bus_error *error);
int connection_examine(sd_bus_message *m, void *userdata, sd_bus_error *error);
