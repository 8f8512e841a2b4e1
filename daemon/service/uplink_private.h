/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of the client of the uplink share: uplink.c has the connection, uplink_call.c what is asked, uplink_answer.c what
 * comes back.
 */

#include <sys/queue.h>

#include <systemd/sd-bus.h>

#include "service/peer.h"
#include "service/uplink.h"

#define UPLINK_TEXT_SIZE 512u

typedef struct UplinkCall UplinkCall;
struct UplinkCall {
        TAILQ_ENTRY(UplinkCall) list;
        Uplink *uplink;
        sd_bus_slot *slot; /* NULL: it failed, and waits to say so */
        void *cookie;
        UplinkPutDone put_done; /* one of these, none when it was forgotten */
        UplinkConfirmDone confirm_done;
        UplinkKeepDone keep_done;
        UplinkExamineDone examine_done;
        UplinkListDone list_done;
        char *prefix; /* of a list: what its keys begin with */
        uint64_t clip_id, size_bytes; /* of a put: what was promised */
        Digest digest;
        bool growing; /* … nothing is yet */
        bool getting; /* a clip, by clip_id: it tells of its progress, too, and may be stopped */
};
TAILQ_HEAD(UplinkCallList, UplinkCall);

struct Uplink {
        sd_event *event;
        char *socket_path;
        UplinkOps ops;
        void *userdata;
        Peer *peer;        /* NULL while there is no connection */
        bool speaks;       /* it told its state */
        bool held;         /* it is to send nothing */
        bool going_down;   /* the connection ends at the next turn of the loop */
        unsigned failures; /* to connect, in a row */
        sd_event_source *timer, *deferred;
        sd_bus_slot *ping;
        uint64_t pinged_at_usec, heard_at_usec;
        char state[16], reason[UPLINK_TEXT_SIZE], why[UPLINK_TEXT_SIZE];
        struct UplinkCallList calls;
};

/* Out of the list, without a callback. */
UplinkCall *uplink_call_free(UplinkCall *c);
/* Takes the call out of the list and calls back. */
void uplink_call_finish(UplinkCall *c, const UplinkAnswer *answer);
void uplink_call_fail(UplinkCall *c, UplinkResult result, const char *text);

/* The replies to what was sent; `userdata` is the call. */
int uplink_on_put_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int uplink_on_confirm_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int uplink_on_keep_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int uplink_on_fetch_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int uplink_on_examine_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int uplink_on_lock_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int uplink_on_list_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* At the next turn of the loop, calls that were not sent fail. */
void uplink_wake(Uplink *u);
/* Not at once: this may be said from within the connection's own callbacks. */
void uplink_give_up(Uplink *u, const char *why);
/* To the uplink that speaks: hold, or go on. */
void uplink_tell_hold(Uplink *u);
