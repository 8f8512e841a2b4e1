/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The uplink program with a store and a spool in a scratch folder, and berthd's client to it on an event loop. Failures end the
 * running test.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "base/macro.h"
#include "service/uplink.h"

#define SERIAL "SN-0001"
#define CLIP_PATH "DCIM/100/A b.MP4"
#define CLIP_ID 7u
#define MTIME 1700000000
#define WAIT_SEC 240u

typedef struct Rig {
        char folder[64];
        char store[96], socket[96], config[96];
        pid_t pid; /* 0: not running */
        const char *preload; /* a name in tests/preload/ that the program is started with */
        sd_event *event;
        Uplink *client;
        /* what the client said */
        char state[32], reason[512];
        unsigned progress;
        uint64_t progress_bytes;
        unsigned puts_done, confirms_done;
        UplinkResult result;
        char text[600];
        char object_key[1025], manifest_key[1025], strength[16];
        bool already_there;
} Rig;

typedef struct Clip {
        int fd;
        uint64_t size_bytes;
        Digest digest;
} Clip;

/* `extra` are lines of [store]. The client is there, the program is not started yet. */
Rig *rig_new(const char *extra);
void rig_free(Rig *r);
/* The file by whose being there the preloaded "hang_fsync" hangs. */
char *rig_hang_file(const Rig *r);
void rig_configure(const Rig *r, const char *extra);
const char *rig_program(void);
void rig_start(Rig *r);
/* Ends it by a signal; with SIGTERM it must end well. */
void rig_end(Rig *r, int signal);

/* Another client in place of the one that is there. */
void rig_connect(Rig *r);

/* Runs the loop until the condition holds. */
#define rig_wait(r, condition)                                                                                    \
        do {                                                                                                      \
                uint64_t _end = rig_deadline();                                                                   \
                while (!(condition))                                                                              \
                        rig_turn(r, _end, #condition);                                                            \
        } while (0)
uint64_t rig_deadline(void);
void rig_turn(Rig *r, uint64_t deadline, const char *awaited);
void rig_wait_state(Rig *r, const char *state);
/* Runs the loop for so long. */
void rig_turn_for(Rig *r, uint64_t usec);

/* A clip in the spool; `seed` says its content. */
Clip rig_clip(const Rig *r, uint64_t size_bytes, uint64_t seed);
/* Asks; the answer is in the rig when puts_done has grown. */
void rig_put(Rig *r, const Clip *clip, const char *path);
UplinkResult rig_put_and_wait(Rig *r, const Clip *clip, const char *path);
UplinkResult rig_confirm_and_wait(Rig *r, const Clip *clip);

/* Regular files beneath a folder of the store. */
unsigned rig_count(const Rig *r, const char *below);
/* Every manifest names an object that is there with its size and digest; every object is named by one. Returns how many. */
unsigned rig_check_store(const Rig *r);
/* The path of something in the store; the caller frees. */
char *rig_store_path(const Rig *r, const char *key);
