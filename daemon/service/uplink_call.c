/* SPDX-License-Identifier: Apache-2.0 */

/* What the uplink is asked for, and told meanwhile. */

#include <errno.h>
#include <string.h>

#include "base/crash_point.h"
#include "service/uplink_private.h"

/* ---- News without an answer ----------------------------------------------------------------------------------------- */

/* Takes the message, whose making gave `r`. Nobody waits for an answer: what comes of it is the answer to the put. */
static int send_news(Uplink *u, sd_bus_message *m, int r) {
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, 0);
        if (r >= 0)
                r = sd_bus_send(peer_bus(u->peer), m, NULL);
        sd_bus_message_unref(m);
        if (r < 0 && r != -ENOMEM)
                uplink_give_up(u, "the uplink cannot be told of anything");
        return r < 0 ? r : 0;
}

static int new_news(const Uplink *u, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(peer_bus(u->peer), ret, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, member);
}

void uplink_tell_hold(Uplink *u) {
        sd_bus_message *m = NULL;
        int r;

        r = new_news(u, "Hold", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", (int) u->held);
        /* It may not go unheard. */
        if (send_news(u, m, r) < 0)
                uplink_give_up(u, "the uplink cannot be told to hold");
}

void uplink_hold(Uplink *u, bool held) {
        if (u->held == held)
                return;
        u->held = held;
        if (u->speaks)
                uplink_tell_hold(u);
}

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

static int call_new(Uplink *u, void *cookie, UplinkCall **ret) {
        UplinkCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->uplink = u;
        c->cookie = cookie;
        TAILQ_INSERT_TAIL(&u->calls, c, list);
        *ret = c;
        return 0;
}

/* Sends it, or lets it fail at the next turn when there is no connection. */
static int send_call(UplinkCall *c, sd_bus_message *m, sd_bus_message_handler_t handler) {
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
        uplink_give_up(u, "the uplink cannot be called");
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
static int send_put(UplinkCall *c, const UplinkPut *put, const Growth *growth) {
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
                r = send_call(c, m, uplink_on_put_reply);
        sd_bus_message_unref(m);
        return r;
}

static int begin_put(Uplink *u, const UplinkPut *put, const Growth *growth, UplinkPutDone done, void *cookie) {
        UplinkCall *c;
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
                        (void) uplink_call_free(c);
                        return r;
                }
        } else
                uplink_wake(u);
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
static UplinkCall *put_of(Uplink *u, const void *cookie) {
        UplinkCall *c;

        TAILQ_FOREACH(c, &u->calls, list)
                if (c->cookie == cookie && c->put_done && c->slot && u->speaks)
                        return c;
        return NULL;
}

void uplink_grown(Uplink *u, const void *cookie, uint64_t durable_bytes) {
        const UplinkCall *c = put_of(u, cookie);
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
        UplinkCall *c = put_of(u, cookie);
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
        const UplinkCall *c = put_of(u, cookie);
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

static int send_confirm(UplinkCall *c, const char *object_key, const char *manifest_key) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Confirm");
        if (r >= 0)
                r = sd_bus_message_append(m, "sst", object_key, manifest_key, c->size_bytes);
        if (r >= 0)
                r = append_digest(m, &c->digest);
        if (r >= 0)
                r = send_call(c, m, uplink_on_confirm_reply);
        sd_bus_message_unref(m);
        return r;
}

int uplink_confirm(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                   UplinkConfirmDone done, void *cookie) {
        UplinkCall *c;
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
                        (void) uplink_call_free(c);
                        return r;
                }
        } else
                uplink_wake(u);
        return 0;
}

/* `text` is NULL for what is fetched. */
static int send_keep(UplinkCall *c, const char *method, const char *key, const char *text) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, method);
        if (r >= 0)
                r = text ? sd_bus_message_append(m, "ss", key, text) : sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = send_call(c, m, text ? uplink_on_keep_reply : uplink_on_fetch_reply);
        sd_bus_message_unref(m);
        return r;
}

static int keep(Uplink *u, const char *method, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        UplinkCall *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->keep_done = done;
        if (u->speaks) {
                r = send_keep(c, method, key, text);
                if (r < 0) {
                        (void) uplink_call_free(c);
                        return r;
                }
        } else
                uplink_wake(u);
        return 0;
}

int uplink_keep(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        return keep(u, "Keep", key, text, done, cookie);
}

int uplink_replace(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        return keep(u, "Replace", key, text, done, cookie);
}

int uplink_fetch(Uplink *u, const char *key, UplinkKeepDone done, void *cookie) {
        return keep(u, "Fetch", key, NULL, done, cookie);
}

static int send_examine(UplinkCall *c, int spool_fd) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Examine");
        if (r >= 0)
                r = sd_bus_message_append(m, "h", spool_fd);
        if (r >= 0)
                r = send_call(c, m, uplink_on_examine_reply);
        sd_bus_message_unref(m);
        return r;
}

int uplink_examine(Uplink *u, int spool_fd, UplinkExamineDone done, void *cookie) {
        UplinkCall *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->examine_done = done;
        if (u->speaks) {
                r = send_examine(c, spool_fd);
                if (r < 0) {
                        (void) uplink_call_free(c);
                        return r;
                }
        } else
                uplink_wake(u);
        return 0;
}

static int send_image(UplinkCall *c, int fd) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "GetImage");
        if (r >= 0)
                r = sd_bus_message_append(m, "ht", fd, c->size_bytes);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', c->digest.bytes, DIGEST_SIZE);
        if (r >= 0)
                r = send_call(c, m, uplink_on_keep_reply);
        sd_bus_message_unref(m);
        return r;
}

int uplink_get_image(Uplink *u, int fd, uint64_t size_bytes, const Digest *digest, UplinkKeepDone done, void *cookie) {
        UplinkCall *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->keep_done = done;
        c->size_bytes = size_bytes;
        c->digest = *digest;
        r = u->speaks ? send_image(c, fd) : 0;
        if (r < 0)
                (void) uplink_call_free(c);
        else if (!u->speaks)
                uplink_wake(u);
        return r < 0 ? r : 0;
}

static int send_list(UplinkCall *c, const char *after, unsigned max) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "List");
        if (r >= 0)
                r = sd_bus_message_append(m, "ssu", c->prefix, after, max);
        if (r >= 0)
                r = send_call(c, m, uplink_on_list_reply);
        sd_bus_message_unref(m);
        return r;
}

int uplink_list(Uplink *u, const char *prefix, const char *after, unsigned max, UplinkListDone done, void *cookie) {
        UplinkCall *c;
        int r;

        r = call_new(u, cookie, &c);
        if (r < 0)
                return r;
        c->list_done = done;
        c->prefix = strdup(prefix);
        r = !c->prefix ? -ENOMEM : u->speaks ? send_list(c, after, max) : 0;
        if (r < 0)
                (void) uplink_call_free(c);
        else if (!u->speaks)
                uplink_wake(u);
        return r < 0 ? r : 0;
}

void uplink_forget(Uplink *u, void *cookie) {
        UplinkCall *c;

        TAILQ_FOREACH(c, &u->calls, list)
                if (c->cookie == cookie) {
                        c->put_done = NULL;
                        c->confirm_done = NULL;
                        c->keep_done = NULL;
                        c->examine_done = NULL;
                        c->list_done = NULL;
                }
}
