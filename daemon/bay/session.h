/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One camera through one plugin: each function calls one callback, checks what came back against the ABI, and turns
 * whatever went wrong into a Fault.
 */

#include "bay/host.h"
#include "bay/plugin.h"
#include "bay/sync_batch.h"
#include "base/digest.h"
#include "base/secret.h"

typedef struct Session {
        const Plugin *plugin;
        berth_host host;
        int incoming_fd;
        void *state;
        bool open;
        bool left;         /* it was sent away: nothing but close() may be called */
        Secrets *secrets;  /* what `host.credentials` lends, until close() */
        bool listed;       /* `list` is the camera's listing, and its indexes were told */
        bool erase_listed; /* `list` is erase_clip()'s, less what it erased since */
        ClipList list;
        SyncBatch sync_batch; /* what its pulls learned of the disk */
} Session;

void session_init(Session *s, const Plugin *plugin, int usb_fd, int incoming_fd);
/* Takes `secrets`, which may be NULL, in any case. */
int session_open(Session *s, const char *const *options, Secrets *secrets, Fault *fault);
void session_close(Session *s);
int session_identify(Session *s, berth_identity *ret, Fault *fault);
int session_health(Session *s, berth_health *ret, Fault *fault);
int session_set_clock(Session *s, int64_t unix_sec, Fault *fault);
int session_get_owner(Session *s, berth_owner *ret, Fault *fault);
int session_set_owner(Session *s, const berth_owner *owner, Fault *fault);
/* After these two the camera is on its way to another mode: only session_close() is left. */
int session_enter_storage(Session *s, Fault *fault);
int session_eject(Session *s, Fault *fault);
/* The same into the mode in which it takes firmware. */
int session_enter_update(Session *s, Fault *fault);
/* Gives it the whole of the open image; only session_close() is left. */
int session_flash(Session *s, int image_fd, uint64_t size_bytes, Fault *fault);
/* Puts it on the camera as `file`, and has the camera restart when that is wanted, too; only session_close() is left. */
int session_drop(Session *s, const char *file, bool restart, int image_fd, uint64_t size_bytes, Fault *fault);
/* Empties all storages; the listing is void afterwards. */
int session_format(Session *s, Fault *fault);
/* Lists anew; the indexes of an earlier listing are void. */
int session_list(Session *s, Fault *fault);
/* Takes a clip, which is not on the camera any more, out of the listing. */
void session_forget_clip(Session *s, const Clip *clip);
/* The clip at an index that was told, or NULL after filling `fault`. */
const Clip *session_clip(Session *s, uint32_t index, Fault *fault);
/*
 * Calls read() for [offset, offset + length) into `ring`, which the caller ends then. `length` is UINT64_MAX up to the end of
 * a clip of unknown size. `on_delivered` is told the bytes delivered so far. On success exactly the asked bytes were
 * delivered, or, with unknown size, *ret_delivered up to the limit of WIRE_BLOCKS_MAX blocks. On failure so much is in the ring.
 */
int session_read(Session *s, const Clip *clip, uint64_t offset, uint64_t length, Ring *ring,
                 void (*on_delivered)(void *userdata, uint64_t delivered), void *userdata, uint64_t *ret_delivered, Fault *fault);
/* 0 when the clip can be read, WIRE_BAY_E_GONE in `fault` when it is not there. Of an empty clip this says nothing. */
int session_probe_clip(Session *s, const Clip *clip, Fault *fault);
/* 0 only after the camera said that it deleted the clip. */
int session_erase_clip(Session *s, const Clip *clip, Fault *fault);

/* What a digest-only read found. */
typedef struct Reading {
        uint64_t size_bytes;
        Digest digest, head, tail; /* of what was read: whole, first and last WIRE_EDGE_SIZE bytes */
} Reading;
/*
 * `on_block`, unless it is NULL, is told the digest of all that was read so far whenever that is a multiple of WIRE_BLOCK_SIZE, by another
 * thread.
 */
int session_read_digest(Session *s, const Clip *clip, uint64_t offset, uint64_t length,
                        void (*on_delivered)(void *userdata, uint64_t delivered),
                        void (*on_block)(void *userdata, uint64_t size_bytes, const Digest *prefix), void *userdata, Reading *ret,
                        Fault *fault);
