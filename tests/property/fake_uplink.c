/* SPDX-License-Identifier: Apache-2.0 */

/* In place of uplink.c and what is behind it: berth-uplink and a store that keeps what it was given. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/layout.h"
#include "base/stored_clip.h"
#include "base/text.h"
#include "property/world.h"

typedef struct UCall {
        struct UCall *next;
        enum { CALL_PUT, CALL_CONFIRM, CALL_KEEP, CALL_FETCH, CALL_LOCK, CALL_LIST, CALL_IMAGE } kind;
        bool growing, sealed, stopped; /* of a clip that is still pulled */
        bool held;                     /* asked for by a lock */
        UplinkPutDone done;            /* those of the others are the same, but for: */
        UplinkListDone list_done;
        void *cookie;
        int fd;
        char serial[16], path[256]; /* or the manifest's key */
        uint64_t size_bytes;
        Digest digest;
        int64_t docked_unix_sec, mtime_unix_sec;
        char *facts; /* of a put, when it is whole; what is to be kept; after which key a list begins */
        unsigned max;
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
        free(c->facts);
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
        c->docked_unix_sec = put->docked_unix_sec;
        c->mtime_unix_sec = put->mtime_unix_sec;
        c->facts = put->facts_json ? strdup(put->facts_json) : NULL;
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

        if (!c)
                return 0;
        free(c->facts);
        c->facts = strdup(facts_json);
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

/* Of all that docks keep there, what rollouts go by. */
int uplink_keep(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie) {
        UCall *c = call_new(u, CALL_KEEP, done, cookie);

        (void) snprintf(c->path, sizeof(c->path), "%s", key);
        c->facts = strdup(text);
        return c->facts ? 0 : -ENOMEM;
}

int uplink_fetch(Uplink *u, const char *key, UplinkKeepDone done, void *cookie) {
        UCall *c = call_new(u, CALL_FETCH, done, cookie);

        (void) snprintf(c->path, sizeof(c->path), "%s", key);
        return 0;
}

int uplink_list(Uplink *u, const char *prefix, const char *after, unsigned max, UplinkListDone done, void *cookie) {
        UCall *c;

        /* Docks without a key for it follow no firmware. */
        if (!world->fleet)
                return -ENOTCONN;
        c = call_new(u, CALL_LIST, NULL, cookie);
        (void) snprintf(c->path, sizeof(c->path), "%s", prefix);
        c->facts = strdup(after);
        c->max = max;
        c->list_done = done;
        return 0;
}

int uplink_get_image(Uplink *u, int fd, uint64_t size_bytes, const Digest *digest, UplinkKeepDone done, void *cookie) {
        UCall *c = call_new(u, CALL_IMAGE, done, cookie);

        c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        c->size_bytes = size_bytes;
        c->digest = *digest;
        return 0;
}

/* Nothing depends on the store's report, where its receipts are what the policy asks for. */
int uplink_examine(Uplink *u, int spool_fd, UplinkExamineDone done, void *cookie) {
        (void) u;
        (void) spool_fd;
        (void) done;
        (void) cookie;
        return -ENOTCONN;
}

int uplink_lock(Uplink *u, const UplinkLock *lock, UplinkKeepDone done, void *cookie) {
        UCall *c = call_new(u, CALL_LOCK, done, cookie);

        (void) snprintf(c->path, sizeof(c->path), "%s", lock->manifest_key);
        c->held = lock->held;
        return 0;
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

int uplink_verify(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                  UplinkConfirmDone done, void *cookie) {
        return uplink_confirm(u, object_key, manifest_key, size_bytes, digest, done, cookie);
}

/* Nobody fetches anything here. */
int uplink_get_clip(Uplink *u, uint64_t clip_id, int fd, const char *object_key, const char *manifest_key, uint64_t size_bytes,
                    const Digest *digest, UplinkConfirmDone done, void *cookie) {
        (void) u;
        (void) clip_id;
        (void) fd;
        (void) object_key;
        (void) manifest_key;
        (void) size_bytes;
        (void) digest;
        (void) done;
        (void) cookie;
        return -ENOTCONN;
}

void uplink_stop_get(Uplink *u, const void *cookie) {
        (void) u;
        (void) cookie;
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

/* What berth-uplink makes of the facts, as far as it is judged. */
static void keep_manifest(const UCall *c, Content *t) {
        _cleanup_(freep) char *name = NULL, *text = NULL;
        char day[11], hex[DIGEST_HEX_SIZE], time[UTC_TEXT_SIZE];
        json_t *j;

        if (layout_day(c->mtime_unix_sec, c->docked_unix_sec, day) < 0 ||
            layout_manifest_key(c->serial, day, c->path, &c->digest, &name) < 0)
                abort();
        j = json_pack("{s:i, s:s, s:s, s:s, s:s?, s:I, s:s, s:o}", "version", MANIFEST_VERSION, "manifest", name, "serial", c->serial,
                      "path", c->path, "mtime",
                      c->mtime_unix_sec < 0 ? NULL : utc_text(c->mtime_unix_sec * (int64_t) USEC_PER_SEC, time), "size",
                      (json_int_t) c->size_bytes, "sha256", digest_to_hex(&c->digest, hex), "facts", json_loads(c->facts, 0, NULL));
        text = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        if (!text || strlen(text) >= sizeof(t->manifest))
                world_fail("no manifest can be made of %s", c->facts);
        (void) snprintf(t->manifest, sizeof(t->manifest), "%s", text);
        (void) snprintf(t->manifest_key, sizeof(t->manifest_key), "%s", name);
}

static UplinkResult put(const UCall *c, UplinkReceipt *ret) {
        static char object[64];
        Content *t;
        Digest found;
        struct stat st;

        if (fstat(c->fd, &st) < 0 || (uint64_t) st.st_size != c->size_bytes ||
            world_digest_fd(c->fd, c->size_bytes, &found, NULL, NULL) < 0 || !digest_equal(&found, &c->digest))
                return UPLINK_SOURCE;
        t = content_of(c);
        if (!t)
                world_fail("%s of %s goes to the store with bytes that no camera ever had", c->path, c->serial);
        *ret = (UplinkReceipt){ .object_key = object, .manifest_key = t->manifest_key, .version = (char *) "",
                                .strength = (char *) "digest",
                                .size_bytes = c->size_bytes, .digest = c->digest, .time_unix_sec = 1700000000,
                                .already_there = t->stored };
        if (!t->stored)
                keep_manifest(c, t);
        t->objects += !t->stored;
        t->stored = true;
        (void) snprintf(object, sizeof(object), "objects/%u.%u", t->seed, t->objects);
        return UPLINK_OK;
}

/* What is stored by a manifest of this key, or NULL. */
static Content *stored_by(const char *key) {
        for (uint32_t i = 0; i < world->n_contents; i++)
                if (world->contents[i].stored && text_equal(world->contents[i].manifest_key, key))
                        return &world->contents[i];
        return NULL;
}

static UplinkResult confirm(const UCall *c) {
        const Content *t = stored_by(c->path);

        return t && digest_equal(&t->digest, &c->digest) ? UPLINK_OK : UPLINK_GONE;
}

static UplinkResult fetch(const UCall *c, const char **ret) {
        const Content *t = stored_by(c->path);
        const char *object = fleet_object(c->path);

        if (object) {
                *ret = object;
                return UPLINK_OK;
        }
        if (!t)
                return UPLINK_GONE;
        *ret = t->manifest;
        return UPLINK_OK;
}

static UplinkResult lock(const UCall *c, const char **ret) {
        Content *t = stored_by(c->path);

        if (!c->path[0])
                return UPLINK_INVALID;
        /* What the store has lost it does not hold either. */
        if (!t && c->held)
                return UPLINK_GONE;
        if (t)
                t->locked = c->held;
        *ret = c->held ? WIRE_LOCK_ON : WIRE_LOCK_OFF;
        return UPLINK_OK;
}

static UplinkResult keep(const UCall *c) {
        if (strncmp(c->path, ROLLOUT_FOLDER, strlen(ROLLOUT_FOLDER)) != 0)
                return UPLINK_OK;
        return text_equal(fleet_object(c->path), c->facts) || fleet_keep(c->path, c->facts) ? UPLINK_OK : UPLINK_CONFLICT;
}

static UplinkResult get_image(const UCall *c) {
        char image[1024];
        Digest digest;

        for (uint32_t camera = 0; camera < CAMERAS; camera++) {
                uint32_t version = fleet_version_of(camera, &c->digest);

                if (version == 0)
                        continue;
                if (fleet_image(camera, version, image, &digest) != c->size_bytes || fd_pwrite_full(c->fd, image, c->size_bytes, 0) < 0)
                        world_fail("an image cannot be written");
                return UPLINK_OK;
        }
        return UPLINK_GONE;
}

static void answer_list(const UCall *c, UplinkAnswer *answer) {
        const char *keys[OBJECTS_MAX];
        UplinkKeys all = { .keys = keys };

        for (uint32_t i = 0; i < world->n_objects && !all.more; i++) {
                const char *key = world->objects[i].key;

                if (strncmp(key, c->path, strlen(c->path)) != 0 || strcmp(key, c->facts) <= 0)
                        continue;
                all.more = all.n == c->max;
                if (!all.more)
                        keys[all.n++] = key;
        }
        c->list_done(uplink->userdata, c->cookie, answer, answer->result == UPLINK_OK ? &all : NULL);
}

static UplinkResult carry_out(const UCall *c, UplinkReceipt *ret, const char **ret_text, const char **ret_lock) {
        switch (c->kind) {
        case CALL_PUT:
                return put(c, ret);
        case CALL_CONFIRM:
                return confirm(c);
        case CALL_FETCH:
                return fetch(c, ret_text);
        case CALL_LOCK:
                return lock(c, ret_lock);
        case CALL_KEEP:
                return keep(c);
        case CALL_IMAGE:
                return get_image(c);
        default:
                return UPLINK_OK;
        }
}

static void answer(UCall *c, unsigned how) {
        const char *text = NULL, *lock = NULL;

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
                answer.result = carry_out(c, &receipt, &text, &lock);
        world_step();
        if (how == 3)
                answer.result = UPLINK_UNAVAILABLE;
        if (answer.result == UPLINK_OK) {
                answer.text = text;
                answer.lock = lock;
                answer.receipt = &receipt;
        }
        if (c->kind == CALL_LIST)
                answer_list(c, &answer);
        else
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
