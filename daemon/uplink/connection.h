/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The socket on which the uplink listens, and the connections to it: berthd's, as a rule one. Each is sd-bus peer to peer
 * (base/wire_uplink.h).
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/conf.h"
#include "uplink/transfer.h"

typedef struct Server Server;

#define CONNECTIONS_MAX 8u

typedef struct ServerSettings {
        const char *socket_path; /* where to listen, unless the service manager handed a socket over */
        bool peer_known;         /* who may connect beside root and our own user */
        uid_t peer_uid;
        gid_t peer_gid;
} ServerSettings;

/* Listens; nothing is accepted before server_open(). `error` gets a sentence. */
int server_new(sd_event *event, const ServerSettings *settings, Server **ret, ConfError *error);
/* Ends the connections and removes a socket of our own. */
Server *server_free(Server *s);
DEFINE_CLEANUP(Server, server_free);
/* Begins to accept. */
int server_open(Server *s, Transfers *transfers, Probe *probe);
/* Tells all connections of the store's state. */
void server_tell_state(Server *s);
/* Why nothing is sent although the store is ready; NULL when that is over. */
void server_set_pause(Server *s, const char *text);
/* Ends all connections, and with them their transfers; nothing is accepted any more. */
void server_close(Server *s);

/* For Transfers; owner is a connection, cookie the call. */
extern const TransferOps server_transfer_ops;
