/* SPDX-License-Identifier: Apache-2.0 */
#include "service/uplink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/peer.h"

#define RECONNECT_MIN_USEC (100 * USEC_PER_MSEC)
#define RECONNECT_MAX_USEC (5 * USEC_PER_SEC)
/* How often the uplink is asked whether it lives, and how long it may think about that. */
#define PING_USEC (20 * USEC_PER_SEC)
#define PING_TIMEOUT_USEC (60 * USEC_PER_SEC)
/* No answer to any call and no progress of any put for so long: the uplink gives up on a store sooner than that. */
#define SILENCE_USEC (900 * USEC_PER_SEC)
#define TEXT_SIZE 512u
#define KEY_MAX 1024u
/* A longer time is the store's mistake, or an attack on the uplink. */
#define RETRY_AFTER_MAX_SEC (24u * 3600u)

static const char *const uplink_result_table[_UPLINK_RESULT_MAX] = {
        [UPLINK_OK] = "ok",
        [UPLINK_UNAVAILABLE] = "unavailable",
        [UPLINK_BUSY] = "busy",
        [UPLINK_FULL] = "full",
        [UPLINK_SOURCE] = "source",
        [UPLINK_CONFLICT] = "conflict",
        [UPLINK_GONE] = "gone",
        [UPLINK_INVALID] = "invalid",
        [UPLINK_STOPPED] = "stopped",
        [UPLINK_WHOLE] = "whole",
};

const char *uplink_result_to_string(UplinkResult r) {
        return (size_t) r < ELEMENTSOF(uplink_result_table) ? uplink_result_table[(size_t) r] : NULL;
}

typedef struct Call Call;
struct Call {
        TAILQ_ENTRY(Call) list;
        Uplink *uplink;
        sd_bus_slot *slot; /* NULL: it failed, and waits to say so */
        void *cookie;
        UplinkPutDone put_done; /* one of these, none when it was forgotten */
        UplinkConfirmDone confirm_done;
        UplinkKeepDone keep_done;
        uint64_t clip_id, size_bytes; /* of a put: what was promised */
        Digest digest;
        bool growing; /* … nothing is yet */
};
TAILQ_HEAD(CallList, Call);

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
        char state[16], reason[TEXT_SIZE], why[TEXT_SIZE];
        struct CallList calls;
};

static Call *call_free(Call *c) {
        if (!c)
                return NULL;
        if (c->uplink)
                TAILQ_REMOVE(&c->uplink->calls, c, list);
        sd_bus_slot_unref(c->slot);
        free(c);
        return NULL;
}

static void set_state(Uplink *u, const char *state, const char *reason) {
        char clean[TEXT_SIZE];

        text_sanitise(reason, clean, sizeof(clean));
        if (text_equal(u->state, state) && text_equal(u->reason, clean))
                return;
        (void) snprintf(u->state, sizeof(u->state), "%s", state);
        (void) snprintf(u->reason, sizeof(u->reason), "%s", clean);
        u->ops.on_state(u->userdata, u->state, u->reason);
}

static bool state_is_known(const char *state) {
        static const char *const states[] = { WIRE_STORE_READY, WIRE_STORE_MISSING, WIRE_STORE_READ_ONLY, WIRE_STORE_FULL,
                                              WIRE_STORE_ERROR, WIRE_STORE_PAUSED };

        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (text_equal(states[i], state))
                        return true;
        return false;
}

static void wake_deferred(Uplink *u) {
        (void) sd_event_source_set_enabled(u->deferred, SD_EVENT_ONESHOT);
}

static void set_timer(Uplink *u, uint64_t wait_usec) {
        (void) sd_event_source_set_time(u->timer, clock_boottime_usec() + wait_usec);
        (void) sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

/* ---- The end of a connection --------------------------------------------------------------------------------------- */

/* Not at once: this may be said from within the connection's own callbacks. */
static void give_up(Uplink *u, const char *why) {
        if (u->going_down)
                return;
        u->going_down = true;
        u->speaks = false;
        text_sanitise(why, u->why, sizeof(u->why));
        wake_deferred(u);
}

static void disconnect(Uplink *u) {
        Call *c;

        u->going_down = false;
        u->ping = sd_bus_slot_unref(u->ping);
        TAILQ_FOREACH(c, &u->calls, list)
                c->slot = sd_bus_slot_unref(c->slot);
        u->peer = peer_free(u->peer);
        u->failures++;
        set_timer(u, backoff_usec(u->failures, RECONNECT_MIN_USEC, RECONNECT_MAX_USEC));
        set_state(u, "disconnected", u->why);
}

static void on_breach(void *userdata, const char *text) {
        log_error(NULL, "The uplink broke the rules of its connection: %s", text);
        give_up(userdata, text);
}

static void on_closed(void *userdata) {
        give_up(userdata, "the uplink closed the connection");
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

/* Takes the call out of the list and calls back. */
static void finish(Call *c, const UplinkAnswer *answer) {
        Uplink *u = c->uplink;
        Call call = *c;

        (void) call_free(c);
        if (call.put_done)
                call.put_done(u->userdata, call.cookie, answer);
        else if (call.confirm_done)
                call.confirm_done(u->userdata, call.cookie, answer);
        else if (call.keep_done)
                call.keep_done(u->userdata, call.cookie, answer);
}

static void fail(Call *c, UplinkResult result, const char *text) {
        finish(c, &(UplinkAnswer){ .result = result, .text = text });
}

static int on_deferred(sd_event_source *source, void *userdata) {
        Uplink *u = userdata;
        size_t n = 0;
        Call *c;

        (void) source;
        if (u->going_down)
                disconnect(u);
        /* A callback may call again, which may fail again: only those that are here now. */
        TAILQ_FOREACH(c, &u->calls, list)
                n += !c->slot;
        while (n-- > 0) {
                for (c = TAILQ_FIRST(&u->calls); c && c->slot;)
                        c = TAILQ_NEXT(c, list);
                if (!c)
                        break;
                fail(c, UPLINK_UNAVAILABLE, u->why[0] ? u->why : "the uplink is not connected");
        }
        return 0;
}

static UplinkResult result_of_error(const sd_bus_error *e, char text[static TEXT_SIZE]) {
        static const struct {
                const char *name;
                UplinkResult result;
        } errors[] = {
                { WIRE_UPLINK_E_UNAVAILABLE, UPLINK_UNAVAILABLE }, { WIRE_UPLINK_E_FULL, UPLINK_FULL },
                { WIRE_UPLINK_E_SOURCE, UPLINK_SOURCE },           { WIRE_UPLINK_E_CONFLICT, UPLINK_CONFLICT },
                { WIRE_UPLINK_E_GONE, UPLINK_GONE },               { WIRE_UPLINK_E_INVALID, UPLINK_INVALID },
                { WIRE_UPLINK_E_BUSY, UPLINK_BUSY },               { WIRE_UPLINK_E_STOPPED, UPLINK_STOPPED },
                { WIRE_UPLINK_E_WHOLE, UPLINK_WHOLE },
                /* sd-bus's own, when the connection or memory is at an end */
                { SD_BUS_ERROR_NO_REPLY, UPLINK_UNAVAILABLE },     { SD_BUS_ERROR_DISCONNECTED, UPLINK_UNAVAILABLE },
                { SD_BUS_ERROR_TIMEOUT, UPLINK_UNAVAILABLE },      { SD_BUS_ERROR_NO_MEMORY, UPLINK_UNAVAILABLE },
        };

        text_sanitise(e->message && *e->message ? e->message : e->name, text, TEXT_SIZE);
        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                if (text_equal(errors[i].name, e->name))
                        return errors[i].result;
        return UPLINK_INVALID;
}

/* An uplink that says busy and no more names no time. */
static uint64_t read_retry_after(sd_bus_message *m) {
        const char *text;
        uint64_t sec = 0;

        if (!text_equal(sd_bus_message_get_signature(m, true), "st") || sd_bus_message_rewind(m, true) < 0 ||
            sd_bus_message_read(m, "st", &text, &sec) < 0)
                return 0;
        return MIN2(sec, RETRY_AFTER_MAX_SEC) * USEC_PER_SEC;
}

static void take_error(Call *c, sd_bus_message *m) {
        char text[TEXT_SIZE];
        UplinkAnswer answer = { .result = result_of_error(sd_bus_message_get_error(m), text), .text = text };

        /* Each is an answer to one kind of call alone. */
        if ((!c->confirm_done && answer.result == UPLINK_GONE) || (!c->put_done && answer.result == UPLINK_STOPPED) ||
            (answer.result == UPLINK_WHOLE && !c->growing))
                answer.result = UPLINK_INVALID;
        if (answer.result == UPLINK_BUSY)
                answer.retry_after_usec = read_retry_after(m);
        finish(c, &answer);
}

static int read_digest(sd_bus_message *m, Digest *ret) {
        const void *bytes;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, 'y', &bytes, &size);
        if (r < 0)
                return r;
        if (size != DIGEST_SIZE)
                return -EBADMSG;
        memcpy(ret->bytes, bytes, size);
        return 0;
}

static bool is_key(const char *s) {
        return s[0] != 0 && strlen(s) <= KEY_MAX && text_is_printable(s);
}

static const char *take_strength(const char *s) {
        static const char *const strengths[] = { WIRE_STRENGTH_DIGEST, WIRE_STRENGTH_SIZE, WIRE_STRENGTH_LOCAL };

        for (size_t i = 0; i < ELEMENTSOF(strengths); i++)
                if (text_equal(strengths[i], s))
                        return strengths[i];
        return NULL;
}

/* What berthd goes by when it erases: every member is what it must be, or there is no receipt. */
static const char *check_receipt(const Call *c, const UplinkReceipt *receipt, const char *strength) {
        if (c->growing)
                return "the uplink gave a receipt for a clip that is still being pulled";
        if (receipt->size_bytes != c->size_bytes)
                return "the uplink gave a receipt for another size";
        if (!digest_equal(&receipt->digest, &c->digest))
                return "the uplink gave a receipt for another digest";
        if (!is_key(receipt->object_key) || !is_key(receipt->manifest_key))
                return "the uplink gave a receipt without proper keys";
        if (strlen(receipt->version) > KEY_MAX || !text_is_printable(receipt->version))
                return "the uplink gave a receipt without a proper version";
        if (!take_strength(strength))
                return "the uplink gave a receipt of a strength that does not exist";
        if (receipt->time_unix_sec < 0 || receipt->time_unix_sec > INT64_C(253402300799))
                return "the uplink gave a receipt without a proper time";
        return NULL;
}

static int read_receipt(sd_bus_message *m, UplinkReceipt *ret, const char **ret_strength) {
        const char *object, *manifest, *version;
        int already_there, r;

        r = sd_bus_message_read(m, "ssst", &object, &manifest, &version, &ret->size_bytes);
        if (r >= 0)
                r = read_digest(m, &ret->digest);
        if (r >= 0)
                r = sd_bus_message_read(m, "sxb", ret_strength, &ret->time_unix_sec, &already_there);
        if (r < 0)
                return r;
        /* The struct's strings are the receiver's to change in principle; nobody does, and they end with the callback. */
        ret->object_key = (char *) object;
        ret->manifest_key = (char *) manifest;
        ret->version = (char *) version;
        ret->strength = (char *) *ret_strength;
        ret->already_there = already_there;
        return 0;
}

static int on_put_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        UplinkReceipt receipt = { 0 };
        const char *strength, *why;
        Call *c = userdata;

        (void) error;
        CRASH_POINT_OF("uplink-answered", "Put");
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0) {
                take_error(c, m);
                return 1;
        }
        why = read_receipt(m, &receipt, &strength) < 0 ? "the uplink answered with something that is no receipt" :
                                                         check_receipt(c, &receipt, strength);
        if (why)
                fail(c, UPLINK_INVALID, why);
        else
                finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .receipt = &receipt, .strength = strength });
        return 1;
}

static int on_confirm_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *strength = NULL;
        Call *c = userdata;

        (void) error;
        CRASH_POINT_OF("uplink-answered", "Confirm");
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0) {
                take_error(c, m);
                return 1;
        }
        if (sd_bus_message_read(m, "s", &strength) < 0 || !(strength = take_strength(strength)))
                fail(c, UPLINK_INVALID, "the uplink confirmed with a strength that does not exist");
        else
                finish(c, &(UplinkAnswer){ .result = UPLINK_OK, .strength = strength });
        return 1;
}

static int on_keep_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Call *c = userdata;

        (void) error;
        c->uplink->heard_at_usec = clock_boottime_usec();
        if (sd_bus_message_is_method_error(m, NULL) > 0)
                take_error(c, m);
        else
                finish(c, &(UplinkAnswer){ .result = UPLINK_OK });
        return 1;
}

/* ---- News without an answer ----------------------------------------------------------------------------------------- */

/* Takes the message, whose making gave `r`. Nobody waits for an answer: what comes of it is the answer to the put. */
static int send_news(Uplink *u, sd_bus_message *m, int r) {
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, 0);
        if (r >= 0)
                r = sd_bus_send(peer_bus(u->peer), m, NULL);
        sd_bus_message_unref(m);
        if (r < 0 && r != -ENOMEM)
                give_up(u, "the uplink cannot be told of anything");
        return r < 0 ? r : 0;
}

static int new_news(const Uplink *u, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(peer_bus(u->peer), ret, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, member);
}

static void tell_hold(Uplink *u) {
        sd_bus_message *m = NULL;
        int r;

        r = new_news(u, "Hold", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", (int) u->held);
        /* It may not go unheard. */
        if (send_news(u, m, r) < 0)
                give_up(u, "the uplink cannot be told to hold");
}

void uplink_hold(Uplink *u, bool held) {
        if (u->held == held)
                return;
        u->held = held;
        if (u->speaks)
                tell_hold(u);
}

/* ---- The state ----------------------------------------------------------------------------------------------------- */

static int take_state(Uplink *u, sd_bus_message *m) {
        const char *state, *reason;

        if (sd_bus_message_read(m, "ss", &state, &reason) < 0 || !state_is_known(state)) {
                give_up(u, "the uplink told of a state that does not exist");
                return -EBADMSG;
        }
        set_state(u, state, reason);
        return 0;
}

static int on_state_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Uplink *u = userdata;

        (void) error;
        /* Before the first answer the state is asked for anyway. */
        if (u->speaks)
                (void) take_state(u, m);
        return 0;
}

static int on_ping_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Uplink *u = userdata;

        (void) error;
        u->ping = sd_bus_slot_unref(u->ping);
        if (u->going_down)
                return 0;
        if (sd_bus_message_is_method_error(m, NULL) > 0) {
                give_up(u, "the uplink does not answer");
                return 0;
        }
        /* Before it is asked for anything. */
        if (!u->speaks && u->held)
                tell_hold(u);
        u->speaks = true;
        u->failures = 0;
        if (take_state(u, m) < 0)
                u->speaks = false;
        return 0;
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t clip_id, bytes;
        Uplink *u = userdata;
        const Call *c;

        (void) error;
        if (!u->speaks || sd_bus_message_read(m, "tt", &clip_id, &bytes) < 0)
                return 0;
        TAILQ_FOREACH(c, &u->calls, list)
                if (c->put_done && c->slot && c->clip_id == clip_id) {
                        u->heard_at_usec = clock_boottime_usec();
                        u->ops.on_progress(u->userdata, clip_id, MIN2(bytes, c->size_bytes));
                        break;
                }
        return 0;
}

/* ---- Connecting ---------------------------------------------------------------------------------------------------- */

static int send_ping(Uplink *u) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(u->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "GetState");
        if (r >= 0)
                r = sd_bus_call_async(peer_bus(u->peer), &u->ping, m, on_ping_reply, u, PING_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        if (r < 0)
                return r;
        u->pinged_at_usec = clock_boottime_usec();
        peer_expect_reply(u->peer);
        return 0;
}

/* Who may make names in the socket's folder is who may be the uplink there, and so are root and our own user. */
static int check_peer(const Uplink *u, int fd) {
        _cleanup_(freep) char *folder = strdup(u->socket_path);
        socklen_t size = sizeof(struct ucred);
        struct ucred peer;
        struct stat st;

        if (!folder)
                return -ENOMEM;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid == 0 || peer.uid == geteuid())
                return 0;
        *strrchr(folder, '/') = 0;
        if (stat(folder[0] ? folder : "/", &st) < 0)
                return -errno;
        return peer.uid == st.st_uid ? 0 : -EPERM;
}

static int open_socket(const Uplink *u) {
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        if (fd < 0)
                return -errno;
        memcpy(address.sun_path, u->socket_path, strlen(u->socket_path) + 1);
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = check_peer(u, fd);
        return r < 0 ? r : TAKE_FD(fd);
}

static int match(Uplink *u, const char *signal, sd_bus_message_handler_t handler) {
        return sd_bus_match_signal(peer_bus(u->peer), NULL, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, signal, handler, u);
}

static int connect_now(Uplink *u) {
        static const PeerOps ops = { .on_breach = on_breach, .on_closed = on_closed };
        int fd, r;

        fd = open_socket(u);
        if (fd < 0)
                return fd;
        r = peer_new_uplink(u->event, fd, &ops, u, &u->peer);
        if (r < 0)
                return r;
        if ((r = match(u, "Progress", on_progress)) < 0 || (r = match(u, "StateChanged", on_state_changed)) < 0 || (r = send_ping(u)) < 0)
                return r;
        u->heard_at_usec = clock_boottime_usec();
        return 0;
}

static void watch(Uplink *u) {
        uint64_t now = clock_boottime_usec();

        if (TAILQ_EMPTY(&u->calls))
                u->heard_at_usec = now;
        if (now - u->heard_at_usec > SILENCE_USEC)
                return give_up(u, "the uplink showed no progress of any transfer for 15 minutes");
        if (!u->ping && send_ping(u) < 0)
                return give_up(u, "the uplink cannot be asked for its state");
        set_timer(u, PING_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Uplink *u = userdata;
        int r;

        (void) source;
        (void) usec;
        if (u->going_down)
                return 0;
        if (u->peer) {
                watch(u);
                return 0;
        }
        r = connect_now(u);
        if (r >= 0) {
                set_timer(u, PING_USEC);
                return 0;
        }
        if (r == -EPERM)
                (void) snprintf(u->why, sizeof(u->why), "a stranger listens at %s", u->socket_path);
        else
                (void) snprintf(u->why, sizeof(u->why), "berth-uplink cannot be reached at %s: %s", u->socket_path, strerror(-r));
        disconnect(u);
        return 0;
}

int uplink_new(sd_event *event, const char *socket_path, const UplinkOps *ops, void *userdata, Uplink **ret) {
        _cleanup_(uplink_freep) Uplink *u = NULL;
        struct sockaddr_un address;
        int r;

        if (socket_path[0] != '/' || strlen(socket_path) >= sizeof(address.sun_path))
                return -EINVAL;
        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        TAILQ_INIT(&u->calls);
        u->event = sd_event_ref(event);
        u->ops = *ops;
        u->userdata = userdata;
        (void) snprintf(u->state, sizeof(u->state), "disconnected");
        (void) snprintf(u->reason, sizeof(u->reason), "berth-uplink is not connected yet");
        u->socket_path = strdup(socket_path);
        if (!u->socket_path)
                return -ENOMEM;
        if ((r = sd_event_add_time(event, &u->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, u)) < 0 ||
            (r = sd_event_add_defer(event, &u->deferred, on_deferred, u)) < 0 ||
            (r = sd_event_source_set_enabled(u->deferred, SD_EVENT_OFF)) < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}

Uplink *uplink_free(Uplink *u) {
        if (!u)
                return NULL;
        sd_bus_slot_unref(u->ping);
        while (!TAILQ_EMPTY(&u->calls))
                (void) call_free(TAILQ_FIRST(&u->calls));
        sd_event_source_disable_unref(u->timer);
        sd_event_source_disable_unref(u->deferred);
        peer_free(u->peer);
        sd_event_unref(u->event);
        free(u->socket_path);
        free(u);
        return NULL;
}

const char *uplink_state(const Uplink *u, const char **ret_reason) {
        if (ret_reason)
                *ret_reason = u->reason;
        return u->state;
}

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

static int call_new(Uplink *u, void *cookie, Call **ret) {
        Call *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->uplink = u;
        c->cookie = cookie;
        TAILQ_INSERT_TAIL(&u->calls, c, list);
        *ret = c;
        return 0;
}

/* Sends it, or lets it fail at the next turn when there is no connection. */
static int send_call(Call *c, sd_bus_message *m, sd_bus_message_handler_t handler) {
        Uplink *u = c->uplink;
        int r;

        CRASH_POINT_OF("uplink-call-begins", sd_bus_message_get_member(m));
        /* The uplink watches its store, and we watch the uplink: no deadline of its own. */
        r = sd_bus_call_async(peer_bus(u->peer), &c->slot, m, handler, c, UINT64_MAX);
        if (r >= 0) {
                peer_expect_reply(u->peer);
                CRASH_POINT_OF("uplink-called", sd_bus_message_get_member(m));
                return 0;
        }
        if (r == -ENOMEM)
                return r;
        give_up(u, "the uplink cannot be called");
        return 0;
}

static int append_digest(sd_bus_message *m, const Digest *d) {
        return sd_bus_message_append_array(m, 'y', d->bytes, DIGEST_SIZE);
}

static int append_whole(sd_bus_message *m, const Digest *digest, const char *facts_json) {
        int r;

        r = append_digest(m, digest);
        return r < 0 ? r : sd_bus_message_append(m, "s", facts_json);
}

/* What is known of a clip that grows. */
typedef struct Growth {
        uint64_t durable_bytes;
        bool afresh;
} Growth;

/* `growth` is NULL for a whole clip. */
static int send_put(Call *c, const UplinkPut *put, const Growth *growth) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE,
                                           growth ? "Grow" : "Put");
        if (r >= 0)
                r = sd_bus_message_append(m, "thsxsxt", put->clip_id, put->fd, put->serial, put->docked_unix_sec, put->path,
                                          put->mtime_unix_sec, put->size_bytes);
        if (r >= 0)
                r = growth ? sd_bus_message_append(m, "tb", growth->durable_bytes, (int) growth->afresh) :
                             append_whole(m, &put->digest, put->facts_json);
        if (r >= 0)
                r = send_call(c, m, on_put_reply);
        sd_bus_message_unref(m);
        return r;
}

static int begin_put(Uplink *u, const UplinkPut *put, const Growth *growth, UplinkPutDone done, void *cookie) {
        Call *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->put_done = done;
        c->clip_id = put->clip_id;
        c->size_bytes = put->size_bytes;
        c->digest = put->digest;
        c->growing = growth != NULL;
        if (u->speaks) {
                r = send_put(c, put, growth);
                if (r < 0) {
                        (void) call_free(c);
                        return r;
                }
        } else
                wake_deferred(u);
        return 0;
}

int uplink_put(Uplink *u, const UplinkPut *put, UplinkPutDone done, void *cookie) {
        return begin_put(u, put, NULL, done, cookie);
}

int uplink_grow(Uplink *u, const UplinkPut *put, uint64_t durable_bytes, bool afresh, UplinkPutDone done, void *cookie) {
        return begin_put(u, put, &(Growth){ .durable_bytes = durable_bytes, .afresh = afresh }, done, cookie);
}

/* ---- News of a put that is under way ------------------------------------------------------------------------------- */

/* NULL when there is none, or when it has failed and waits to say so: then whatever there is to tell comes too late. */
static Call *put_of(Uplink *u, const void *cookie) {
        Call *c;

        TAILQ_FOREACH(c, &u->calls, list)
                if (c->cookie == cookie && c->put_done && c->slot && u->speaks)
                        return c;
        return NULL;
}

void uplink_grown(Uplink *u, const void *cookie, uint64_t durable_bytes) {
        const Call *c = put_of(u, cookie);
        sd_bus_message *m = NULL;
        int r;

        if (!c || !c->growing)
                return;
        r = new_news(u, "Grown", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "tt", c->clip_id, durable_bytes);
        /* What could not be told is told with the next block. */
        (void) send_news(u, m, r);
}

int uplink_seal(Uplink *u, const void *cookie, uint64_t size_bytes, const Digest *digest, const char *facts_json) {
        sd_bus_message *m = NULL;
        Call *c = put_of(u, cookie);
        int r;

        if (!c || !c->growing)
                return 0;
        r = new_news(u, "Seal", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "tt", c->clip_id, size_bytes);
        if (r >= 0)
                r = append_whole(m, digest, facts_json);
        r = send_news(u, m, r);
        /* Else the connection ends, and with it the put. */
        if (r == -ENOMEM)
                return r;
        c->growing = false;
        c->size_bytes = size_bytes;
        c->digest = *digest;
        return 0;
}

void uplink_stop(Uplink *u, const void *cookie, bool now) {
        const Call *c = put_of(u, cookie);
        sd_bus_message *m = NULL;
        int r;

        if (!c)
                return;
        r = new_news(u, "Stop", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "tb", c->clip_id, (int) now);
        (void) send_news(u, m, r);
}

/* ---- Confirmations ------------------------------------------------------------------------------------------------- */

static int send_confirm(Call *c, const char *object_key, const char *manifest_key) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Confirm");
        if (r >= 0)
                r = sd_bus_message_append(m, "sst", object_key, manifest_key, c->size_bytes);
        if (r >= 0)
                r = append_digest(m, &c->digest);
        if (r >= 0)
                r = send_call(c, m, on_confirm_reply);
        sd_bus_message_unref(m);
        return r;
}

int uplink_confirm(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                   UplinkConfirmDone done, void *cookie) {
        Call *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->confirm_done = done;
        c->size_bytes = size_bytes;
        c->digest = *digest;
        if (u->speaks) {
                r = send_confirm(c, object_key, manifest_key);
                if (r < 0) {
                        (void) call_free(c);
                        return r;
                }
        } else
                wake_deferred(u);
        return 0;
}

static int send_keep(Call *c, const char *method, const char *key, const char *text) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, method);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", key, text);
        if (r >= 0)
                r = send_call(c, m, on_keep_reply);
        sd_bus_message_unref(m);
        return r;
}

static int keep(Uplink *u, const char *method, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        Call *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->keep_done = done;
        if (u->speaks) {
                r = send_keep(c, method, key, text);
                if (r < 0) {
                        (void) call_free(c);
                        return r;
                }
        } else
                wake_deferred(u);
        return 0;
}

int uplink_keep(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        return keep(u, "Keep", key, text, done, cookie);
}

int uplink_replace(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        return keep(u, "Replace", key, text, done, cookie);
}

void uplink_forget(Uplink *u, void *cookie) {
        Call *c;

        TAILQ_FOREACH(c, &u->calls, list)
                if (c->cookie == cookie) {
                        c->put_done = NULL;
                        c->confirm_done = NULL;
                        c->keep_done = NULL;
                }
}
