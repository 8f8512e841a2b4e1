/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * berthd's side of berth-uplink: one peer connection over its Unix socket, made anew with back-off when it is lost.
 * Calls are asynchronous on the loop; several may be outstanding.
 */

#include <systemd/sd-event.h>

#include "base/digest.h"
#include "base/macro.h"
#include "base/wire_uplink.h"

typedef struct Uplink Uplink;

typedef enum UplinkResult {
        UPLINK_OK,
        UPLINK_UNAVAILABLE, /* also: not connected, connection lost (the outcome is then unknown: ask again) */
        UPLINK_BUSY,        /* the store wants fewer at once */
        UPLINK_FULL,
        UPLINK_SOURCE,
        UPLINK_CONFLICT,
        UPLINK_GONE,
        UPLINK_INVALID,
        UPLINK_STOPPED, /* by uplink_stop(): goes on where it ended when it is asked for again */
        UPLINK_WHOLE,   /* of a clip that grows: the store is given it only when it is whole */
        _UPLINK_RESULT_MAX,
} UplinkResult;
const char *uplink_result_to_string(UplinkResult r);

typedef struct UplinkReceipt {
        char *object_key, *manifest_key, *version, *strength;
        uint64_t size_bytes;
        Digest digest;
        int64_t time_unix_sec;
        bool already_there;
} UplinkReceipt;

typedef struct UplinkPut {
        uint64_t clip_id;
        int fd; /* the spool file, read-only; duplicated */
        const char *serial, *path;
        int64_t docked_unix_sec, mtime_unix_sec;
        uint64_t size_bytes;
        Digest digest;
        const char *facts_json;
} UplinkPut;

typedef struct UplinkOps {
        /* WIRE_STORE_*, or "disconnected"; called at each change. */
        void (*on_state)(void *userdata, const char *state, const char *reason);
        void (*on_progress)(void *userdata, uint64_t clip_id, uint64_t bytes);
} UplinkOps;

int uplink_new(sd_event *event, const char *socket_path, const UplinkOps *ops, void *userdata, Uplink **ret);
Uplink *uplink_free(Uplink *u);
DEFINE_CLEANUP(Uplink, uplink_free);
/* WIRE_STORE_*, or "disconnected" */
const char *uplink_state(const Uplink *u, const char **ret_reason);

/*
 * `cookie` is the caller's. Callbacks run once each, never from within the call, and not after uplink_free(). `text` is a
 * sentence unless UPLINK_OK.
 */
typedef struct UplinkPoint {
        const char *name, *verdict, *text;
} UplinkPoint;

typedef struct UplinkReport {
        const char *strength; /* that receipts will have: WIRE_STRENGTH_*, "" while nobody knows */
        UplinkPoint points[WIRE_POINTS_MAX];
        size_t n_points;
} UplinkReport;

typedef struct UplinkAnswer {
        UplinkResult result;
        const char *text;          /* NULL with UPLINK_OK, but for what was fetched */
        uint64_t retry_after_usec; /* with UPLINK_BUSY: what the store named, 0 when it named nothing */
        const UplinkReceipt *receipt; /* with UPLINK_OK */
        const char *strength;         /* likewise */
        const char *lock;             /* likewise, of uplink_lock() */
        const UplinkReport *report;   /* likewise, of uplink_examine() */
} UplinkAnswer;
typedef void (*UplinkPutDone)(void *userdata, void *cookie, const UplinkAnswer *answer);
int uplink_put(Uplink *u, const UplinkPut *put, UplinkPutDone done, void *cookie);
/*
 * A clip that is still being pulled: `put` has the file that grows and the size that the camera tells; its digest and facts are told
 * by uplink_seal(). Of the file `durable_bytes` are sent and no more; uplink_grown() says how many they are by now. `afresh`: what an
 * earlier upload of this clip left in the store is of no use.
 */
int uplink_grow(Uplink *u, const UplinkPut *put, uint64_t durable_bytes, bool afresh, UplinkPutDone done, void *cookie);
void uplink_grown(Uplink *u, const void *cookie, uint64_t durable_bytes);
/* The pull is over. The answer is that of the put from here on. -ENOMEM: nothing was told. */
int uplink_seal(Uplink *u, const void *cookie, uint64_t size_bytes, const Digest *digest, const char *facts_json);
/* Ends a put, to be gone on with: at once, or when the part that is under way is stored, unless the clip is sealed before. */
void uplink_stop(Uplink *u, const void *cookie, bool now);
/* Nothing is to be sent, from now on or any more: what is under way is answered with UPLINK_STOPPED, or stands still. */
void uplink_hold(Uplink *u, bool held);
typedef void (*UplinkConfirmDone)(void *userdata, void *cookie, const UplinkAnswer *answer);
int uplink_confirm(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                   UplinkConfirmDone done, void *cookie);
/* The same, and the object is read whole and must have that digest. */
int uplink_verify(Uplink *u, const char *object_key, const char *manifest_key, uint64_t size_bytes, const Digest *digest,
                  UplinkConfirmDone done, void *cookie);
/*
 * The same, and what is read is written to the descriptor of an empty file, duplicated. UPLINK_SOURCE when that cannot be written. It
 * may be stopped: UPLINK_STOPPED. One at a time of a clip.
 */
int uplink_get_clip(Uplink *u, uint64_t clip_id, int fd, const char *object_key, const char *manifest_key, uint64_t size_bytes,
                    const Digest *digest, UplinkConfirmDone done, void *cookie);
void uplink_stop_get(Uplink *u, const void *cookie);
/*
 * Keeps a small text in the store for good, under a key that nothing else ever gets (UPLINK_OK also when it lies there already, byte for
 * byte); UPLINK_CONFLICT when something else does.
 */
typedef void (*UplinkKeepDone)(void *userdata, void *cookie, const UplinkAnswer *answer);
int uplink_keep(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie);
/* A statement takes the place of the one before it; UPLINK_CONFLICT when what lies there is somebody else's. */
int uplink_replace(Uplink *u, const char *key, const char *text, UplinkKeepDone done, void *cookie);
/* A legal hold on an object and its manifest in the store, or none. */
typedef struct UplinkLock {
        const char *object_key, *manifest_key, *version; /* version: "" when the store has none */
        bool held;
} UplinkLock;
/* With UPLINK_OK the answer's `lock` is WIRE_LOCK_*, and `text` a sentence unless it is as asked for ("" then). */
int uplink_lock(Uplink *u, const UplinkLock *lock, UplinkKeepDone done, void *cookie);
/* What is known of the store, for receipts of a spool that is this folder. */
typedef void (*UplinkExamineDone)(void *userdata, void *cookie, const UplinkAnswer *answer);
int uplink_examine(Uplink *u, int spool_fd, UplinkExamineDone done, void *cookie);
/* What was kept under this key, as `text` of the answer: UPLINK_GONE when nothing lies there. */
int uplink_fetch(Uplink *u, const char *key, UplinkKeepDone done, void *cookie);
/* The image of this size and digest into the descriptor of an empty file, duplicated: UPLINK_GONE when the store has none. */
int uplink_get_image(Uplink *u, int fd, uint64_t size_bytes, const Digest *digest, UplinkKeepDone done, void *cookie);
/*
 * The keys of small texts that begin with `prefix` ("folder/folder/…"), in the order of their bytes, after `after` ("": from the first),
 * at most `max` (up to WIRE_LIST_MAX). What was put before is among them.
 */
typedef struct UplinkKeys {
        const char **keys;
        size_t n;
        bool more;
} UplinkKeys;
/* `keys` is NULL unless UPLINK_OK, and ends with the callback. */
typedef void (*UplinkListDone)(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys);
int uplink_list(Uplink *u, const char *prefix, const char *after, unsigned max, UplinkListDone done, void *cookie);
/* No callback of this cookie will run any more; the transfer itself may go on. */
void uplink_forget(Uplink *u, void *cookie);
