/* SPDX-License-Identifier: Apache-2.0 */

/* The connection to the uplink: made, watched, given up and made anew. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/timer.h"
#include "service/uplink_private.h"

#define RECONNECT_MIN_USEC (100 * USEC_PER_MSEC)
#define RECONNECT_MAX_USEC (5 * USEC_PER_SEC)
/* How often the uplink is asked whether it lives, and how long it may think about that. */
#define PING_USEC (20 * USEC_PER_SEC)
#define PING_TIMEOUT_USEC (60 * USEC_PER_SEC)
/* No answer to any call and no progress of any put for so long: the uplink gives up on a store sooner than that. */
#define SILENCE_USEC (900 * USEC_PER_SEC)

static void set_state(Uplink *u, const char *state, const char *reason) {
        char clean[UPLINK_TEXT_SIZE];

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

void uplink_wake(Uplink *u) {
        (void) sd_event_source_set_enabled(u->deferred, SD_EVENT_ONESHOT);
}

static void set_timer(Uplink *u, uint64_t wait_usec) {
        (void) timer_in(u->timer, wait_usec);
}

/* ---- The end of a connection --------------------------------------------------------------------------------------- */

/* Not at once: this may be said from within the connection's own callbacks. */
void uplink_give_up(Uplink *u, const char *why) {
        if (u->going_down)
                return;
        u->going_down = true;
        u->speaks = false;
        text_sanitise(why, u->why, sizeof(u->why));
        uplink_wake(u);
}

static void disconnect(Uplink *u) {
        UplinkCall *c;

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
        uplink_give_up(userdata, text);
}

static void on_closed(void *userdata) {
        uplink_give_up(userdata, "the uplink closed the connection");
}

static int on_deferred(sd_event_source *source, void *userdata) {
        Uplink *u = userdata;
        size_t n = 0;
        UplinkCall *c;

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
                uplink_call_fail(c, UPLINK_UNAVAILABLE, u->why[0] ? u->why : "the uplink is not connected");
        }
        return 0;
}

/* ---- The state ----------------------------------------------------------------------------------------------------- */

static int take_state(Uplink *u, sd_bus_message *m) {
        const char *state, *reason;

        if (sd_bus_message_read(m, "ss", &state, &reason) < 0 || !state_is_known(state)) {
                uplink_give_up(u, "the uplink told of a state that does not exist");
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
                uplink_give_up(u, "the uplink does not answer");
                return 0;
        }
        /* Before it is asked for anything. */
        if (!u->speaks && u->held)
                uplink_tell_hold(u);
        u->speaks = true;
        u->failures = 0;
        if (take_state(u, m) < 0)
                u->speaks = false;
        return 0;
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t clip_id, bytes;
        Uplink *u = userdata;
        const UplinkCall *c;

        (void) error;
        if (!u->speaks || sd_bus_message_read(m, "tt", &clip_id, &bytes) < 0)
                return 0;
        TAILQ_FOREACH(c, &u->calls, list)
                if (c->getting && c->slot && c->clip_id == clip_id)
                        u->heard_at_usec = clock_boottime_usec();
                else if (c->put_done && c->slot && c->clip_id == clip_id) {
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
                return uplink_give_up(u, "the uplink showed no progress of any transfer for 15 minutes");
        if (!u->ping && send_ping(u) < 0)
                return uplink_give_up(u, "the uplink cannot be asked for its state");
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
                (void) uplink_call_free(TAILQ_FIRST(&u->calls));
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
