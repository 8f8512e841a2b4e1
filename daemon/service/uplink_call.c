/* SPDX-License-Identifier: Apache-2.0 */

/* What the uplink is asked for, and told meanwhile. */

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/wire_digest.h"
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

static UplinkCall *call_new(Uplink *u, void *cookie) {
        UplinkCall *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->uplink = u;
        c->cookie = cookie;
        TAILQ_INSERT_TAIL(&u->calls, c, list);
        return c;
}

/* What is not sent fails when the connection ends. -ENOMEM. */
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

/*
 * Sends the call with these arguments, followed by the digest and by a last text, where they are not NULL. Without a connection it fails
 * at the next turn of the loop. When this fails the call is gone, and nobody is called back.
 */
static int ask(UplinkCall *c, const char *method, sd_bus_message_handler_t handler, const Digest *digest, const char *last,
               const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list arguments;
        int r;

        if (!c->uplink->speaks) {
                uplink_wake(c->uplink);
                return 0;
        }
        r = sd_bus_message_new_method_call(peer_bus(c->uplink->peer), &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, method);
        va_start(arguments, types);
        if (r >= 0)
                r = sd_bus_message_appendv(m, types, arguments);
        va_end(arguments);
        if (r >= 0 && digest)
                r = wire_append_digest(m, digest);
        if (r >= 0 && last)
                r = sd_bus_message_append(m, "s", last);
        if (r >= 0)
                r = send_call(c, m, handler);
        sd_bus_message_unref(m);
        if (r < 0)
                (void) uplink_call_free(c);
        return r;
}

/* ---- Clips ----------------------------------------------------------------------------------------------------------- */

static UplinkCall *put_new(Uplink *u, const UplinkPut *put, UplinkPutDone done, void *cookie) {
        UplinkCall *c = call_new(u, cookie);

        if (!c)
                return NULL;
        c->put_done = done;
        c->clip_id = put->clip_id;
        c->size_bytes = put->size_bytes;
        c->digest = put->digest;
        return c;
}

int uplink_put(Uplink *u, const UplinkPut *put, UplinkPutDone done, void *cookie) {
        UplinkCall *c = put_new(u, put, done, cookie);

        if (!c)
                return -ENOMEM;
        return ask(c, "Put", uplink_on_put_reply, &put->digest, put->facts_json, "thsxsxt", put->clip_id, put->fd, put->serial,
                   put->docked_unix_sec, put->path, put->mtime_unix_sec, put->size_bytes);
}

int uplink_grow(Uplink *u, const UplinkPut *put, uint64_t durable_bytes, bool afresh, UplinkPutDone done, void *cookie) {
        UplinkCall *c = put_new(u, put, done, cookie);

        if (!c)
                return -ENOMEM;
        c->growing = true;
        return ask(c, "Grow", uplink_on_put_reply, NULL, NULL, "thsxsxttb", put->clip_id, put->fd, put->serial, put->docked_unix_sec,
                   put->path, put->mtime_unix_sec, put->size_bytes, durable_bytes, (int) afresh);
}

static UplinkCall *confirm_new(Uplink *u, uint64_t size_bytes, const Digest *digest, UplinkConfirmDone done, void *cookie) {
        UplinkCall *c = call_new(u, cookie);

        if (!c)
                return NULL;
        c->confirm_done = done;
        c->size_bytes = size_bytes;
        c->digest = *digest;
        return c;
}

static int confirm(Uplink *u, const char *method, const char *object_key, const char *manifest_key, uint64_t size_bytes,
                   const Digest *digest, UplinkConfirmDone done, void *cookie) {
        UplinkCall *c = confirm_new(u, size_bytes, digest, done, cookie);

        return !c ? -ENOMEM : ask(c, method, uplink_on_confirm_reply, digest, NULL, "sst", object_key, manifest_key, size_bytes);
}

int uplink_confirm(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                   UplinkConfirmDone done, void *cookie) {
        return confirm(u, "Confirm", object_key, manifest_key, size_bytes, digest, done, cookie);
}

int uplink_verify(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                  UplinkConfirmDone done, void *cookie) {
        return confirm(u, "Verify", object_key, manifest_key, size_bytes, digest, done, cookie);
}

int uplink_get_clip(Uplink *u, uint64_t clip_id, int fd, const char *object_key, const char *manifest_key, uint64_t size_bytes,
                    const Digest *digest, UplinkConfirmDone done, void *cookie) {
        UplinkCall *c = confirm_new(u, size_bytes, digest, done, cookie);

        if (!c)
                return -ENOMEM;
        c->getting = true;
        c->clip_id = clip_id;
        return ask(c, "GetClip", uplink_on_confirm_reply, digest, NULL, "thsst", clip_id, fd, object_key, manifest_key, size_bytes);
}

/* ---- Small texts, locks, images, and what the store is like ---------------------------------------------------------------- */

static UplinkCall *keep_new(Uplink *u, UplinkKeepDone done, void *cookie) {
        UplinkCall *c = call_new(u, cookie);

        if (c)
                c->keep_done = done;
        return c;
}

int uplink_keep(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        UplinkCall *c = keep_new(u, done, cookie);

        return !c ? -ENOMEM : ask(c, "Keep", uplink_on_keep_reply, NULL, NULL, "ss", key, text);
}

int uplink_replace(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        UplinkCall *c = keep_new(u, done, cookie);

        return !c ? -ENOMEM : ask(c, "Replace", uplink_on_keep_reply, NULL, NULL, "ss", key, text);
}

int uplink_fetch(Uplink *u, const char *key, UplinkKeepDone done, void *cookie) {
        UplinkCall *c = keep_new(u, done, cookie);

        return !c ? -ENOMEM : ask(c, "Fetch", uplink_on_fetch_reply, NULL, NULL, "s", key);
}

int uplink_lock(Uplink *u, const UplinkLock *lock, UplinkKeepDone done, void *cookie) {
        UplinkCall *c = keep_new(u, done, cookie);

        return !c ? -ENOMEM : ask(c, "Lock", uplink_on_lock_reply, NULL, NULL, "sssb", lock->object_key, lock->manifest_key,
                                  lock->version, (int) lock->held);
}

int uplink_get_image(Uplink *u, int fd, uint64_t size_bytes, const Digest *digest, UplinkKeepDone done, void *cookie) {
        UplinkCall *c = keep_new(u, done, cookie);

        return !c ? -ENOMEM : ask(c, "GetImage", uplink_on_keep_reply, digest, NULL, "ht", fd, size_bytes);
}

int uplink_list(Uplink *u, const char *prefix, const char *after, unsigned max, UplinkListDone done, void *cookie) {
        UplinkCall *c = call_new(u, cookie);

        if (!c)
                return -ENOMEM;
        c->list_done = done;
        c->prefix = strdup(prefix);
        if (!c->prefix) {
                (void) uplink_call_free(c);
                return -ENOMEM;
        }
        return ask(c, "List", uplink_on_list_reply, NULL, NULL, "ssu", prefix, after, max);
}

int uplink_examine(Uplink *u, int spool_fd, UplinkExamineDone done, void *cookie) {
        UplinkCall *c = call_new(u, cookie);

        if (!c)
                return -ENOMEM;
        c->examine_done = done;
        return ask(c, "Examine", uplink_on_examine_reply, NULL, NULL, "h", spool_fd);
}

/* ---- News of a call that is under way ------------------------------------------------------------------------------ */

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
                r = wire_append_digest(m, digest);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", facts_json);
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

void uplink_stop_get(Uplink *u, const void *cookie) {
        sd_bus_message *m = NULL;
        const UplinkCall *c;
        int r;

        TAILQ_FOREACH(c, &u->calls, list)
                if (c->cookie == cookie && c->getting)
                        break;
        if (!c || !c->slot || !u->speaks)
                return;
        r = new_news(u, "StopGet", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", c->clip_id);
        (void) send_news(u, m, r);
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
