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
#include <stdio.h>

#include <systemd/sd-event.h>

#include "base/digest.h"
#include "base/rollout_plan.h"
#include "service/manager_private.h"

#ifndef CAMERAS /* a whole rack in tests/night */
#define CAMERAS 3u
#define BAYS 2u
#endif
#define FOLDER CAMERAS /* a folder that is imported: a camera that is always there, and that nothing is erased from */
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
        bool locked;        /* the store holds it by a legal hold */
        bool imported;      /* berthd said so of the folder's */
        uint32_t camera, path, seed;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        uint32_t n_blocks;
        Digest digest, head, tail, blocks[BLOCKS_MAX]; /* blocks: of it from its start to the end of each */
        uint32_t read_generation, read_blocks; /* of the camera's docking; which blocks were read in it */
        uint32_t objects;                      /* how often it was put: names the object */
        char manifest_key[256], manifest[4096];
} Content;

typedef struct SimCamera {
        int bay; /* -1: in nobody's */
        uint32_t generation;
        uint32_t level; /* of its battery, thousandths of a percent */
        bool off;       /* its port has no power */
        bool unseen;    /* it has power again, and does not show up */
        bool held;
        bool in_loader; /* until it has got firmware */
        unsigned loader_bay; /* in which it went there */
        bool away;      /* it left the bus by itself, and comes back */
        uint32_t firmware; /* the version that it tells as a camera */
        uint32_t dropped;  /* one that lies on its storage until it starts again; 0: none */
        uint32_t had;      /* 1 << version: all that it ever had */
} SimCamera;

/* What gives a camera its firmware: it outlives the dock's process. */
typedef struct SimFlasher {
        bool lives, drops, restarts;
        uint32_t version; /* of its image */
        unsigned sending;
        char folder[256]; /* of the flash */
} SimFlasher;

/* What the store keeps for the whole fleet. */
#define OBJECTS_MAX 512u
typedef struct Object {
        char key[ROLLOUT_KEY_SIZE], text[3072];
} Object;

#define ROLLOUTS_MAX 5u
typedef struct SimRollout {
        uint64_t revision;
        uint32_t bad_max, bad;
        /* In boottime: no flash of it is begun after that, since it is not in force any more, or too many are bad. UINT64_MAX: it may. */
        uint64_t off_usec, stopped_usec;
        bool aborted;
} SimRollout;

typedef struct World {
        bool switches; /* the bays' ports can be switched */
        bool fleet;    /* the dock is in one, and its cameras can be flashed */
        SimCamera cameras[CAMERAS + 1];
        SimFlasher flashers[CAMERAS + 1];
        SimRollout rollouts[ROLLOUTS_MAX];
        uint32_t n_rollouts;
        Object objects[OBJECTS_MAX]; /* in the order of their keys */
        uint32_t n_objects;
        uint64_t random;
        unsigned flashed, flash_trouble; /* how often a camera got all of an image, or did not */
        Content contents[CONTENTS_MAX];
        uint32_t n_contents;
        bool store_up;
        bool scarce; /* room in the spool */
        bool change_waits; /* for a recording in a bay of which the dock has a part */
        bool hold_waits;   /* for a camera with an erase that is licensed and not asked for yet */
        uint64_t boottime_usec;
        uint64_t suspended_usec;
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
int world_camera_at(const char *port_path); /* what is on the bus there; -1: none */
void world_port(unsigned bay, char ret[static 16]);
/* 64 bytes at the start of each block; the rest is zeros. */
#define BLOCK_HEAD 64u
void world_block_head(const Content *c, uint32_t number, char ret[static BLOCK_HEAD]);
uint64_t world_block_length(const Content *c, uint32_t number);
/* Of the block alone. */
void world_block_digest(const Content *c, uint32_t number, Digest *ret);
/* What a file holds, wholly read. */
int world_digest_fd(int fd, uint64_t size_bytes, Digest *ret, Digest *ret_head, Digest *ret_tail);
/* Checked when the eraser deletes it. */
void world_erase(Content *c);
/* Checked when the dock puts a camera's firmware at stake. */
void world_flash_begins(uint32_t camera);

/* fake_usb.c */
void fake_usb_announce(void);                /* all cameras that lie in bays, at the dock's start */
void fake_usb_plug(uint32_t camera, unsigned bay);
void fake_usb_unplug(uint32_t camera);
/* It is out of the bay; fake_usb_seen_off() is when its hub tells. False: it was in nobody's. */
bool fake_usb_pull_out(uint32_t camera, char ret_port[static 16]);
void fake_usb_seen_off(const char *port);
/* It leaves the bus by itself, to come back as what it is by then; fake_usb_return() is when. */
void fake_usb_leave(uint32_t camera);
size_t fake_usb_away(void);
void fake_usb_return(size_t pick);

/* fake_worker.c: 0 answers well, others are kinds of trouble */
#define WORKER_TROUBLES 6u
size_t fake_worker_pending(void);
void fake_worker_answer(size_t pick, unsigned how);
void fake_worker_die(size_t pick); /* one that has nothing to do */
bool fake_worker_is_erasing(const Content *c);
bool fake_worker_is_asked(uint32_t camera, size_t *ret_pick);
bool fake_worker_is_at(uint32_t camera);

/* fake_flasher.c: 0 sends all, others are kinds of trouble */
#define FLASHER_TROUBLES 5u
size_t fake_flasher_pending(void);
void fake_flasher_answer(size_t pick, unsigned how);
/* What those do that outlived the dock, before the next one is there. */
void fake_flasher_meanwhile(void);

/* fleet.c: the fleet's administrator, and what lies in the store for all docks */
#define VERSIONS_MAX 6u /* 1: what cameras come with */
#define FLASH_FLOOR_PERCENT 30u
void fleet_begin(void);
/* Models, keys and settings of a dock of this fleet, and what its section [dock] needs. */
void fleet_write_files(const char *folder, FILE *conf);
/* The admin begins a rollout, pauses it, goes on, or ends it. */
void fleet_order(uint32_t a, uint32_t b);
const char *fleet_model(uint32_t camera);
size_t fleet_image(uint32_t camera, uint32_t version, char ret[static 1024], Digest *ret_digest);
/* 0: it is no image for that camera. */
uint32_t fleet_version_of(uint32_t camera, const Digest *digest);
const char *fleet_object(const char *key);
/* False: there is one of that key. */
bool fleet_keep(const char *key, const char *text);
SimRollout *fleet_rollout(const char *id);

/* fake_uplink.c */
#define UPLINK_TROUBLES 4u
size_t fake_uplink_pending(void);
void fake_uplink_answer(size_t pick, unsigned how);
void fake_uplink_break(size_t pick, unsigned how); /* one that sends a clip while it is pulled */
void fake_uplink_tell(void); /* the state to the dock */

/* virtual_time.c */
void time_pass(uint64_t usec);
uint64_t time_next_due_usec(void); /* UINT64_MAX: no timer runs */
uint64_t time_due_usec(const sd_event_source *timer); /* UINT64_MAX: it does not run */
size_t time_jobs_under_way(void);

/* judge.c: is everything as promised, now that the dock is quiet? */
void judge(Manager *m, const char *state_dir, bool thoroughly);
/* That it went to the store, if it is what an import said that it has taken. */
void judge_imports(void);
/* Of how many clips the dock says that the store holds them by a legal hold. */
unsigned judge_locks(const char *state_dir);
/* How many faults of a camera are on record since the dock's start. */
unsigned judge_faults(const char *state_dir, uint32_t camera);
/* It was begun to be flashed, and so was another one in the same bay since: what is in its loader there counts as that one. */
bool judge_is_superseded(uint32_t camera);
void judge_forget(void);
