/* SPDX-License-Identifier: Apache-2.0 */

/* In place of uplink.c and what is behind it: berth-uplink and a store that keeps what it was given. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/text.h"
#include "property/world.h"

typedef struct UCall {
        struct UCall *next;
        enum { CALL_PUT, CALL_CONFIRM, CALL_KEEP } kind;
        bool growing, sealed, stopped; /* of a clip that is still pulled */
        UplinkPutDone done;            /* those of the others are the same */
        void *cookie;
        int fd;
        char serial[16], path[64];
        uint64_t size_bytes;
        Digest digest;
} UCall;

struct Uplink {
        const UplinkOps *ops;
        void *userdata;
        UCall *calls;
};

static Uplink *uplink;

const char *uplink_result_to_string(UplinkResult r) {
        return r == UPLINK_OK ? "ok" : "trouble";
}

int uplink_new(sd_event *event, const char *socket_path, const UplinkOps *ops, void *userdata, Uplink **ret) {
        Uplink *u = calloc(1, sizeof(*u));

        (void) event;
        (void) socket_path;
        if (!u)
                return -ENOMEM;
        u->ops = ops;
        u->userdata = userdata;
        uplink = *ret = u;
        return 0;
}

static UCall *call_free(UCall *c) {
        fd_close(c->fd);
        free(c);
        return NULL;
}

Uplink *uplink_free(Uplink *u) {
        if (!u)
                return NULL;
        while (u->calls) {
                UCall *c = u->calls;

                u->calls = c->next;
                (void) call_free(c);
        }
        uplink = NULL;
        free(u);
        return NULL;
}

const char *uplink_state(const Uplink *u, const char **ret_reason) {
        (void) u;
        if (ret_reason)
                *ret_reason = world->store_up ? "" : "the store is away";
        return world->store_up ? WIRE_STORE_READY : WIRE_STORE_ERROR;
}

static UCall *call_new(Uplink *u, int kind, UplinkPutDone done, void *cookie) {
        UCall *c = calloc(1, sizeof(*c)), **end = &u->calls;

        if (!c)
                abort();
        *c = (UCall){ .kind = kind, .done = done, .cookie = cookie, .fd = -EBADF };
        while (*end)
                end = &(*end)->next;
        *end = c;
        return c;
}

int uplink_put(Uplink *u, const UplinkPut *put, UplinkPutDone done, void *cookie) {
        UCall *c = call_new(u, CALL_PUT, done, cookie);

        c->fd = fcntl(put->fd, F_DUPFD_CLOEXEC, 3);
        (void) snprintf(c->serial, sizeof(c->serial), "%s", put->serial);
        (void) snprintf(c->path, sizeof(c->path), "%s", put->path);
        c->size_bytes = put->size_bytes;
        c->digest = put->digest;
        return 0;
}

int uplink_grow(Uplink *u, const UplinkPut *put, uint64_t durable_bytes, bool afresh, UplinkPutDone done, void *cookie) {
        (void) durable_bytes;
        (void) afresh;
        (void) uplink_put(u, put, done, cookie);
        for (UCall *c = u->calls; c; c = c->next)
                c->growing |= !c->next;
        return 0;
}

static UCall *growing(const Uplink *u, const void *cookie) {
        for (UCall *c = u->calls; c; c = c->next)
                if (c->growing && c->cookie == cookie)
                        return c;
        return NULL;
}

void uplink_grown(Uplink *u, const void *cookie, uint64_t durable_bytes) {
        (void) u;
        (void) cookie;
        (void) durable_bytes;
}

int uplink_seal(Uplink *u, const void *cookie, uint64_t size_bytes, const Digest *digest, const char *facts_json) {
        UCall *c = growing(u, cookie);

        (void) facts_json;
        if (!c)
                return 0;
        c->sealed = true;
        c->size_bytes = size_bytes;
        c->digest = *digest;
        return 0;
}

void uplink_stop(Uplink *u, const void *cookie, bool now) {
        UCall *c = growing(u, cookie);

        (void) now;
        if (c)
                c->stopped = true;
}

/* What is under way is answered all the same: as by an uplink that hears of it too late. */
void uplink_hold(Uplink *u, bool held) {
        (void) u;
        (void) held;
}

int uplink_keep(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        (void) call_new(u, CALL_KEEP, done, cookie);
        (void) key;
        (void) text;
        return 0;
}

/* Docks of no fleet follow no roster. */
int uplink_fetch(Uplink *u, const char *key, UplinkKeepDone done, void *cookie) {
        return uplink_replace(u, key, NULL, done, cookie);
}

/* Docks without a key for it follow no firmware. */
int uplink_list(Uplink *u, const char *prefix, const char *after, unsigned max, UplinkListDone done, void *cookie) {
        (void) u;
        (void) prefix;
        (void) after;
        (void) max;
        (void) done;
        (void) cookie;
        return -ENOTCONN;
}

int uplink_get_image(Uplink *u, int fd, uint64_t size_bytes, const Digest *digest, UplinkKeepDone done, void *cookie) {
        (void) fd;
        (void) size_bytes;
        (void) digest;
        return uplink_replace(u, NULL, NULL, done, cookie);
}

/* Nor on the store's report, where its receipts are what the policy asks for. */
int uplink_examine(Uplink *u, int spool_fd, UplinkExamineDone done, void *cookie) {
        (void) u;
        (void) spool_fd;
        (void) done;
        (void) cookie;
        return -ENOTCONN;
}

/* Nothing depends on the dock's status. */
int uplink_replace(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        (void) u;
        (void) key;
        (void) text;
        (void) done;
        (void) cookie;
        return -ENOTCONN;
}

/* The manifest's name is the index of the recording. */
int uplink_confirm(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                   UplinkConfirmDone done, void *cookie) {
        UCall *c = call_new(u, CALL_CONFIRM, done, cookie);

        (void) object_key;
        (void) snprintf(c->path, sizeof(c->path), "%s", manifest_key);
        c->size_bytes = size_bytes;
        c->digest = *digest;
        return 0;
}

void uplink_forget(Uplink *u, void *cookie) {
        for (UCall **at = &u->calls; *at;) {
                UCall *c = *at;

                if (c->cookie != cookie) {
                        at = &c->next;
                        continue;
                }
                *at = c->next;
                (void) call_free(c);
        }
}

/* ---- The store -------------------------------------------------------------------------------------------------------- */

static Content *content_of(const UCall *c) {
        char serial[16], path[64];

        for (uint32_t i = 0; i < world->n_contents; i++) {
                Content *t = &world->contents[i];

                world_serial(t->camera, serial);
                world_path(t, path);
                if (text_equal(serial, c->serial) && text_equal(path, c->path) && digest_equal(&t->digest, &c->digest) &&
                    t->size_bytes == c->size_bytes)
                        return t;
        }
        return NULL;
}

static UplinkResult put(const UCall *c, UplinkReceipt *ret) {
        static char object[64], manifest[64];
        Content *t;
        Digest found;
        struct stat st;

        if (fstat(c->fd, &st) < 0 || (uint64_t) st.st_size != c->size_bytes ||
            world_digest_fd(c->fd, c->size_bytes, &found, NULL, NULL) < 0 || !digest_equal(&found, &c->digest))
                return UPLINK_SOURCE;
        t = content_of(c);
        if (!t)
                world_fail("%s of %s goes to the store with bytes that no camera ever had", c->path, c->serial);
        *ret = (UplinkReceipt){ .object_key = object, .manifest_key = manifest, .version = (char *) "", .strength = (char *) "digest",
                                .size_bytes = c->size_bytes, .digest = c->digest, .time_unix_sec = 1700000000,
                                .already_there = t->stored };
        t->objects += !t->stored;
        t->stored = true;
        (void) snprintf(object, sizeof(object), "objects/%u.%u", t->seed, t->objects);
        (void) snprintf(manifest, sizeof(manifest), "%u", t->seed);
        return UPLINK_OK;
}

static UplinkResult confirm(const UCall *c) {
        uint32_t n = (uint32_t) strtoul(c->path, NULL, 10);

        return n < world->n_contents && world->contents[n].stored && digest_equal(&world->contents[n].digest, &c->digest) ? UPLINK_OK
                                                                                                                           : UPLINK_GONE;
}

static void answer(UCall *c, unsigned how) {
        UplinkAnswer answer = { .result = UPLINK_UNAVAILABLE, .text = "the store is away", .strength = "digest" };
        UplinkReceipt receipt = {};

        world_step();
        /* 0: well. 1: not done. 2: too many at once. 3: done, and the answer is lost. */
        if (!world->store_up || how == 1)
                ;
        else if (how == 2)
                answer.result = UPLINK_BUSY;
        else if (c->growing && !c->sealed)
                answer.result = c->stopped ? UPLINK_STOPPED : UPLINK_WHOLE;
        else
                answer.result = c->kind == CALL_PUT ? put(c, &receipt) : c->kind == CALL_CONFIRM ? confirm(c) : UPLINK_OK;
        world_step();
        if (how == 3)
                answer.result = UPLINK_UNAVAILABLE;
        if (answer.result == UPLINK_OK) {
                answer.text = NULL;
                answer.receipt = &receipt;
        }
        c->done(uplink->userdata, c->cookie, &answer);
        (void) call_free(c);
}

/* One that grows goes on until it is sealed, or told to stop. */
static bool waits(const UCall *c) {
        return c->growing && !c->sealed && !c->stopped;
}

static size_t count(bool waiting) {
        size_t n = 0;

        for (const UCall *c = uplink ? uplink->calls : NULL; c; c = c->next)
                n += waits(c) == waiting;
        return n;
}

static void answer_one(size_t pick, unsigned how, bool waiting) {
        for (UCall **at = &uplink->calls; *at; at = &(*at)->next) {
                UCall *c = *at;

                if (waits(c) != waiting || pick-- > 0)
                        continue;
                *at = c->next;
                return answer(c, how);
        }
}

size_t fake_uplink_pending(void) {
        return count(false);
}

void fake_uplink_answer(size_t pick, unsigned how) {
        answer_one(pick, how, false);
}

void fake_uplink_break(size_t pick, unsigned how) {
        size_t n = count(true);

        if (n > 0)
                answer_one(pick % n, how, true);
}

void fake_uplink_tell(void) {
        const char *reason, *state = uplink_state(uplink, &reason);

        uplink->ops->on_state(uplink->userdata, state, reason);
}
