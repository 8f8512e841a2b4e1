/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The world around berthd's real core, store and service floors: cameras, what they recorded, the central store, time. It lies in memory
 * that is shared with the process that plays the dock, so it survives when that process "crashes". What stands in for berthd's effects
 * is in fake_worker.c, fake_uplink.c, fake_usb.c; time is virtual_time.c. An effect that was asked for waits until an event answers it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/digest.h"
#include "service/manager_private.h"

#ifndef CAMERAS /* a whole rack in tests/night */
#define CAMERAS 3u
#define BAYS 2u
#endif
#define CONTENTS_MAX 2048u
#define LISTED_MAX 48u /* recordings on one camera at once */
#define BLOCKS_MAX 3u
#define FAILURE_SIZE 1024u
#define STATUS_CRASHED 77

/* One recording that a camera ever made. */
typedef struct Content {
        bool used, on_camera;
        bool erased;   /* by the dock */
        bool stored;   /* the store holds it, by a manifest */
        bool licensed_before_hold;
        bool lost_by_store; /* after it was stored */
        uint32_t camera, path, seed;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        uint32_t n_blocks;
        Digest digest, head, tail, blocks[BLOCKS_MAX];
        uint32_t read_generation, read_blocks; /* of the camera's docking; which blocks were read in it */
        uint32_t objects;                      /* how often it was put: names the object */
} Content;

typedef struct SimCamera {
        int bay; /* -1: in nobody's */
        uint32_t generation;
        uint32_t level; /* of its battery, thousandths of a percent */
        bool off;       /* its port has no power */
        bool held;
} SimCamera;

typedef struct World {
        bool switches; /* the bays' ports can be switched */
        SimCamera cameras[CAMERAS];
        Content contents[CONTENTS_MAX];
        uint32_t n_contents;
        bool store_up;
        bool scarce; /* room in the spool */
        bool change_waits; /* for a recording in a bay of which the dock has a part */
        bool hold_waits;   /* for a camera with an erase that is licensed and not asked for yet */
        uint64_t boottime_usec;
        int64_t wall_offset_usec;
        bool synchronised;
        uint32_t next_event; /* of the sequence that is played */
        uint32_t crash_in;   /* steps until the dock's process ends; 0: not */
        uint64_t turns;
        char failure[FAILURE_SIZE]; /* the first promise that was broken; "" */
} World;

extern World *world;

/* Ends the dock's process with this failure. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A place where a crash may strike; called by threads, too. */
void world_step(void);

/* A new recording, or new content under the path of an older one (`over`, or CONTENTS_MAX). NULL when the camera is full. */
Content *world_record(uint32_t camera, uint32_t size_class, uint32_t over);
/* The recordings on a camera, oldest first, as indexes of contents. */
size_t world_list(uint32_t camera, uint32_t ret[static LISTED_MAX]);
void world_path(const Content *c, char ret[static 64]);
void world_serial(uint32_t camera, char ret[static 16]);
int world_camera_at(const char *port_path); /* -1: none */
void world_port(unsigned bay, char ret[static 16]);
/* 64 bytes at the start of each block; the rest is zeros. */
#define BLOCK_HEAD 64u
void world_block_head(const Content *c, uint32_t number, char ret[static BLOCK_HEAD]);
uint64_t world_block_length(const Content *c, uint32_t number);
/* What a file holds, wholly read. */
int world_digest_fd(int fd, uint64_t size_bytes, Digest *ret, Digest *ret_head, Digest *ret_tail);
/* Checked when the eraser deletes it. */
void world_erase(Content *c);

/* fake_usb.c */
void fake_usb_announce(void);                /* all cameras that lie in bays, at the dock's start */
void fake_usb_plug(uint32_t camera, unsigned bay);
void fake_usb_unplug(uint32_t camera);

/* fake_worker.c: 0 answers well, others are kinds of trouble */
#define WORKER_TROUBLES 6u
size_t fake_worker_pending(void);
void fake_worker_answer(size_t pick, unsigned how);
void fake_worker_die(size_t pick); /* one that has nothing to do */
bool fake_worker_is_erasing(const Content *c);

/* fake_uplink.c */
#define UPLINK_TROUBLES 4u
size_t fake_uplink_pending(void);
void fake_uplink_answer(size_t pick, unsigned how);
void fake_uplink_break(size_t pick, unsigned how); /* one that sends a clip while it is pulled */
void fake_uplink_tell(void); /* the state to the dock */

/* virtual_time.c */
void time_pass(uint64_t usec);
uint64_t time_next_due_usec(void); /* UINT64_MAX: no timer runs */
size_t time_jobs_under_way(void);

/* judge.c: is everything as promised, now that the dock is quiet? */
void judge(Manager *m, const char *state_dir, bool thoroughly);
void judge_forget(void);
