/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Facts: all that the dock knows for certain, and the only way anything enters the database. A fact is plain data;
 * applying it updates the nouns' tables and, for all but block facts, appends one event to the custody chain, in one
 * transaction. Ids are given out by the loop (store_next_id()), so that no fact waits for an answer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/digest.h"
#include "base/range.h"
#include "base/sign.h"

typedef enum FactKind {
        FACT_DAEMON_STARTED,    /* text: version */
        FACT_DAEMON_STOPPED,
        FACT_CAMERA_SEEN,       /* a camera is known from now on, or known anew with other data */
        FACT_DOCKED,            /* something is in a bay */
        FACT_IDENTIFIED,        /* the docking's camera */
        FACT_CHECKED,           /* battery, storage, clock drift, measured before the clock is set */
        FACT_CLOCK_SET,         /* or left, and why */
        FACT_UNDOCKED,
        FACT_SWITCH_BEGUN,      /* the camera is about to be sent into its storage mode, where its footage is */
        FACT_LEFT,              /* it left the bus for that, or for its port's power: its docking goes on; text: what for */
        FACT_RETURNED,          /* a device that it may be is at the bay again */
        FACT_STORAGE_IDENTIFIED, /* … and this is how far it is known to be the same camera; text: in words */
        FACT_IDENTITY_CONFIRMED, /* an operator vouches for it */
        FACT_EJECTED,           /* its storage was let go of, all footage being settled */
        FACT_OWNER_SET,         /* written to the camera */
        FACT_REFUSED,           /* a stranger's device */
        FACT_FAULT,             /* the worker died, stalled, or broke a rule */
        FACT_OVER_CURRENT,      /* of a bay: its hub cut the power of its port */
        FACT_QUARANTINED,
        FACT_CLIP_SEEN,         /* a clip was listed that was not known */
        FACT_PULL_BEGUN,        /* from this offset */
        FACT_PULL_INTERRUPTED,  /* durable up to this offset, and why it ended */
        FACT_PULL_UNREADABLE,   /* these bytes cannot be read from the camera's medium; durable up to this offset; text: both,
                                   and how often it was tried. Also of a clip that was to be read again */
        FACT_PART_SET_ASIDE,    /* the kept part, or a damaged spool copy, does not count: why; its block facts go, the
                                   file is kept under a name, and the clip is pulled afresh */
        FACT_BLOCK,             /* one block read from the camera in this docking, and all before it by its digest (no custody event) */
        FACT_COPIED,            /* spooled, synced, renamed */
        FACT_VERIFIED,          /* read whole again from the camera in this docking; every block agreed */
        FACT_STORE_REFUSED,     /* the store's answer was no receipt: why. Of a receipted clip: the receipt is void */
        FACT_RECEIPTED,
        FACT_ERASE_BEGUN,       /* fails with -EKEYREJECTED when the license does not stand: see store.h */
        FACT_ERASED,
        FACT_ERASE_FAILED,
        FACT_CLIP_LOST,         /* a clip that was not copied is no longer listed by its camera */
        FACT_CONFLICT,          /* digests disagree: kept, reported, never erased */
        FACT_SPOOL_RELEASED,    /* the spool's copy is about to go: the store holds a receipted one; text: why */
        FACT_UPLOADS_PAUSED,    /* by an operator, until resumed */
        FACT_UPLOADS_RESUMED,
        FACT_RECOVERY_BEGUN,    /* the first event of a database that was made anew; text: what the old one suffered from */
        FACT_CLIP_RECOVERED,    /* a clip found where text says, with the content that it says */
        FACT_FILE_KEPT,         /* … and a file that proves nothing: moved to kept/; text: why */
        FACT_PART_REMOVED,      /* a part that nobody will go on with goes: its bytes are elsewhere; text: where */
        FACT_RECOVERY_DONE,     /* text: what was found, in words */
        FACT_RESTORED,          /* the database was put back from a backup: what happened after that is not in it; text: of when it is */
        FACT_CHAIN_VERIFIED,    /* after a start: every event up to that of the start follows its predecessor; text: in words */
        FACT_CHAIN_BROKEN,      /* … or not: text: where. Nothing is erased from then on */
        FACT_CLIP_URGENT,       /* an operator wants it in the store before anything else */
        FACT_HOLD_SET,          /* an operator ordered that this clip, or what is known of this camera and ever comes of it, is deleted
                                   nowhere; text: why */
        FACT_HOLD_RELEASED,     /* of this clip or camera, and case */
        FACT_ERASE_ORDERED,     /* an operator wants this clip erased in this docking, stored or not */
        FACT_IMPORT_BEGUN,      /* an operator has a folder imported: a docking of its own, at no bay */
        FACT_IMPORT_ENDED,      /* text: why, when before its end */
        FACT_IMPORT_RECOGNISED, /* a file of it has the content of this clip, which the dock or the store has; text: its path */
        FACT_IMPORT_FAILED,     /* a file of it could not be imported; text: its path and why */
        FACT_CLOCK_STEPPED,     /* the dock's own clock */
        FACT_KEY_MADE,          /* the dock's first key, by which everything is signed from now on */
        FACT_KEY_ROTATED,       /* another key takes over; the one before it signs that */
        FACT_KEY_REPLACED,      /* another key takes over, and the one before it is lost: text: whose word that is */
        FACT_CHECKPOINT,        /* signs all that is in the chain so far; text: what for */
        FACT_STATEMENT_STORED,  /* a checkpoint, or another signed statement, lies in the store (no custody event) */
        FACT_SETTINGS,          /* what the daemon goes by is not as at its last start; text: canonical JSON, key to value */
        FACT_STATEMENT_REFUSED, /* the store holds something else under its key: text */
        FACT_HEALTH,            /* what was found out about a camera is not what was found before */
        FACT_HELD_BACK,         /* a camera is not to be issued, for these findings; text: in words */
        FACT_LET_GO,            /* … it may be again; by an operator in spite of them, or because they are gone; text: why */
        FACT_ROSTER,            /* the officers, and who has a camera of their own, are these from now on; text: where they are from */
        FACT_ASSIGNED,          /* an officer has this camera, or the pool's, from now on */
        FACT_CHECKED_OUT,       /* a camera in a bay is for this officer; text: what could not be written into it */
        FACT_CHECKOUT_ENDED,    /* … and was not taken; text: why */
        FACT_TAKEN,             /* it left its bay, issued to this officer; text: when that is not certain */
        FACT_OVERDUE,           /* it should be back by now */
        FACT_BROUGHT_BACK,      /* it is in a bay again */
        FACT_PORT_CALIBRATED,   /* an operator had a bay's port switched off and on, to see what its hub does; text: in words */
        FACT_CHARGED,           /* a camera's battery was watched while it charged: how fast, compared with its model */
        FACT_SHIFT_CALLED,      /* by an operator: cameras are wanted then, beside what the schedule says */
        FACT_CATALOG,           /* the dock goes by this firmware catalog from now on; text: in words */
        FACT_ROLLOUT,           /* … and by this revision of a rollout's plan; text: in words */
        FACT_ROLLOUT_BEGUN,     /* a camera is about to be flashed in a rollout: its place is taken */
        FACT_ROLLOUT_ENDED,     /* … and that came to this; text: in words */
        FACT_ROLLOUT_TOLD,      /* … which lies in the store (no custody event) */
        FACT_FLASH_BEGUN,       /* a camera is about to be given firmware */
        FACT_FLASH_SENDING,     /* … it is in its loader, and a worker sends from now on; it outlives the daemon */
        FACT_FLASH_SENT,        /* … the worker ended; text: why, when the camera did not take all */
        FACT_FLASH_ENDED,       /* … and this came of it, by what the camera says of itself; again, when it is better than was thought */
        FACT_FLEET_LIST,        /* the dock goes by this list of the fleet's docks from now on; text: in words */
        FACT_OBJECT_HOLD_ASKED, /* the store is about to be asked to hold the object of a clip that is held */
        FACT_OBJECT_HELD,       /* a clip that is held: its object in the store has a legal hold, or cannot have one; text: why not */
        FACT_OBJECT_LET_GO,     /* … it is held no more, and so is its object; text: unless it stays so, and why */
        FACT_FETCH_ORDERED,     /* an operator wants a copy of a clip from the store */
        FACT_HOLDS_READ,        /* after a restoration: what was held, and let go, since the backup was read; text: how much */
        FACT_FILE_HASHED,       /* a file that was set aside, and its digest; or it is not there */
        FACT_EJECT_ORDERED,     /* an operator wants a camera out of its bay as it is; text: how far the dock is with it */
        _FACT_KIND_MAX,
        _FACT_KIND_INVALID = -22,
} FactKind;

const char *fact_kind_to_string(FactKind kind); /* "docked", "clip-seen": the custody event's "event" */

#define FACT_UNKNOWN_TIME INT64_MIN

/* How a docking's camera is known. Erasing needs the first or the last. */
typedef enum DockingIdentity {
        IDENTITY_OWN,     /* the device says it itself */
        IDENTITY_PORT,    /* by the port alone: it came where a camera had left to come back as another device */
        IDENTITY_OTHER,   /* its storage is not the one that is recorded for that camera */
        IDENTITY_STORAGE, /* its storage is the one that is recorded, or somebody vouches for it */
        _IDENTITY_MAX,
        _IDENTITY_INVALID = -22,
} DockingIdentity;
const char *docking_identity_to_string(DockingIdentity i);
DockingIdentity docking_identity_from_string(const char *s);

/* As the camera holds it. */
typedef struct FactOwner {
        const char *officer_id, *officer_name, *unit_id, *unit_name;
} FactOwner;
#define OBJECT_HOLD_ASKED "asked" /* what is known of an object's legal hold until the store has answered */
/* What a fact's strings may hold, in bytes: longer ones are refused (-EMSGSIZE) before anything is written. */
#define FACT_TEXT_MAX 8192u
#define FACT_DESCRIPTORS_MAX 131072u
#define FACT_RANGES_MAX 64u

/* What a camera tells of itself, and its clock. */
typedef struct FactCheck {
        int battery_percent; /* -1 unknown */
        bool storage_known, read_only, drift_known;
        bool volume_known, volume_dirty;
        bool behind;      /* in storage mode: battery, clock and owner were not to be asked for */
        bool owner_known;
        FactOwner owner;
        uint64_t storage_total_bytes, storage_free_bytes;
        int64_t drift_usec; /* camera minus dock */
        bool temperature_known;
        int temperature_decidegrees; /* tenths of a degree Celsius */
        bool restarts_known;
        uint32_t restarts; /* that nobody asked for, as the camera counts them */
} FactCheck;

/* A clip without facts, as found by a recovery: in the spool, or in the store. */
typedef struct FactRecovered {
        const char *serial, *manufacturer, *model, *firmware, *storage_id, *model_id;
        bool ambiguous;
        const char *path;
        const char *spool_name; /* NULL: only the store has it */
        uint64_t size_bytes;
        int64_t mtime_unix_sec, seen_usec;
        uint32_t ordinal, flags;
        Digest digest, head, tail; /* of what was read now */
        Digest note;               /* of the text of its note in the spool; zeros: it has none */
        const Digest *blocks;      /* likewise, up to the end of each block of WIRE_BLOCK_SIZE bytes, the last of what is left */
        size_t n_blocks;
} FactRecovered;

/*
 * One fact. `kind` says which members count; the others are zero. Strings are copied by store_batch_add(). Ids are 0
 * when the fact is not about such a thing.
 */
typedef struct Fact {
        FactKind kind;
        Moment at;
        uint64_t docking_id, camera_id, clip_id;
        const char *bay;      /* port path: DOCKED, REFUSED, FAULT … */
        const char *text;     /* reason, in one sentence */
        bool by_operator;     /* somebody ordered it over the bus: */
        uint32_t operator_uid;
        const char *operator_name; /* NULL when this machine knows none */

        union {
                struct {
                        const char *roster_json; /* ROSTER: base/roster.h, canonical */
                        uint64_t roster_seq;     /* ROSTER: the number of the fleet's, 0: of this dock's own */
                        const char *fleet, *roster_file; /* ROSTER: of the fleet's, which fleet's, and as it was signed */
                        FactOwner owner;         /* officer; ASSIGNED: its id alone */
                        const char *serial;      /* ASSIGNED: of the camera, "" for the pool's */
                        int64_t due_usec;        /* TAKEN: when it should be back, wall; 0: at no time */
                        int64_t late_usec;       /* BROUGHT_BACK */
                } issue; /* ROSTER, ASSIGNED, CHECKED_OUT … BROUGHT_BACK */
                struct {
                        const char *serial, *manufacturer, *model, *firmware, *storage_id, *model_id;
                        bool ambiguous; /* two devices showed this serial at once: nothing is ever resumed for it */
                } camera; /* CAMERA_SEEN */
                struct {
                        uint16_t vid, pid, bcd_device;
                        const char *usb_serial, *usb_manufacturer, *usb_product;
                        const char *descriptors_hex; /* REFUSED */
                        const char *model_id;        /* RETURNED */
                        bool behind;                 /* RETURNED: in its storage mode */
                } usb; /* DOCKED, REFUSED, RETURNED */
                FactCheck check; /* CHECKED */
                struct {
                        const char *findings_json; /* HEALTH: an array of objects, canonical */
                        const char *held_back;     /* HELD_BACK, LET_GO: codes, joined by commas: for what … */
                        const char *accepted;      /* … and what else it is issued in spite of */
                } health; /* HEALTH, HELD_BACK, LET_GO */
                struct {
                        bool set;
                        int64_t to_unix_sec;
                } clock; /* CLOCK_SET */
                struct {
                        uint64_t until_boottime_usec; /* what appears later is not it */
                        const char *model_id;         /* of its command mode */
                } change; /* SWITCH_BEGUN */
                struct {
                        DockingIdentity identity;
                        const char *storage_id;     /* as found; "" when it has none that tells it from others */
                        uint64_t switch_docking_id; /* in which it was sent into its storage mode */
                } storage; /* STORAGE_IDENTIFIED */
                struct {
                        bool stays; /* the daemon ends, and the camera does not leave */
                } end; /* UNDOCKED */
                FactOwner owner; /* OWNER_SET */
                struct {
                        const char *path;
                        uint64_t size_bytes;
                        int64_t mtime_unix_sec;
                        uint32_t ordinal; /* nth clip of equal path, size and time in its listing */
                        uint32_t flags;
                        uint64_t partial_of; /* it is what could be read of this clip; 0: a clip of its camera's */
                } clip; /* CLIP_SEEN */
                struct {
                        uint64_t offset_bytes;
                        const char *part; /* PART_SET_ASIDE: the name it is kept under, in kept/ */
                } pull; /* PULL_BEGUN, PULL_INTERRUPTED, PART_SET_ASIDE */
                struct {
                        uint64_t offset_bytes;
                        unsigned attempt;        /* the how manieth in this docking */
                        const ByteRange *ranges; /* settled; 1 to FACT_RANGES_MAX */
                        size_t n_ranges;
                } unreadable; /* PULL_UNREADABLE */
                struct {
                        uint32_t number, length;
                        Digest digest; /* of the clip from its start to the block's end: head -c END FILE | sha256sum */
                        bool from_camera_only; /* a verify read: updates the docking of the block, which must agree */
                } block; /* BLOCK */
                struct {
                        uint64_t size_bytes;
                        Digest digest, head, tail;
                        const char *spool_name; /* name in spool/ … */
                        Digest note;            /* … and of the text of the note beside it; zeros: it has none */
                        Container container;    /* COPIED: what the clip is as a file, as its worker saw it */
                } copy; /* COPIED, VERIFIED (digest only) */
                struct {
                        const char *object_key, *manifest_key, *version, *strength;
                        uint64_t size_bytes;
                        Digest digest;
                        int64_t time_unix_sec;
                        bool already_there;
                        const char *signed_by;  /* the dock that signed its manifest; NULL: nobody knows … */
                        uint64_t signed_number; /* … and its number for it */
                } receipt; /* RECEIPTED */
                struct {
                        const char *case_name;  /* HOLD_*: "" when it is for none */
                        const char *object_key; /* OBJECT_* */
                        const char *lock;       /* OBJECT_*: WIRE_LOCK_*, or OBJECT_HOLD_ASKED */
                } hold; /* HOLD_SET, HOLD_RELEASED, OBJECT_HOLD_ASKED, OBJECT_HELD, OBJECT_LET_GO */
                struct {
                        bool not_stored; /* even without a receipt that the policy accepts */
                } order; /* ERASE_ORDERED */
                struct {
                        const char *source;    /* the folder, as whoever imports it calls it */
                        const char *folder_id; /* what its file system says that it is */
                        uint64_t imported, recognised, failed; /* IMPORT_ENDED: files */
                } import; /* IMPORT_* */
                struct {
                        const char *hub, *way;
                        bool switches, returns; /* its camera was gone without power; and came back with it … */
                        uint64_t back_usec;     /* … after so long */
                } port; /* PORT_CALIBRATED */
                struct {
                        int from_percent, to_percent;
                        uint64_t took_usec;
                        unsigned permille; /* of the time that its model's curve says: as believed from now on … */
                        unsigned measured_permille; /* … and as measured */
                } charge; /* CHARGED */
                struct {
                        int64_t at_usec; /* wall; 0: no longer */
                } shift; /* SHIFT_CALLED */
                struct {
                        const char *document, *keys; /* as signed; who is believed from then on: one public key a line */
                        const char *root; /* the same as the dock's own file has them */
                        uint64_t version;
                } catalog; /* CATALOG */
                struct {
                        const char *id;
                        const char *statement; /* ROLLOUT: the plan, signed */
                        uint64_t revision;     /* ROLLOUT */
                        uint64_t window;       /* BEGUN: the place that it has … */
                        uint32_t place, wave;
                        const char *outcome;   /* ENDED: "ok", "bad" */
                } rollout; /* ROLLOUT, ROLLOUT_* */
                struct {
                        uint64_t id;
                        const char *version;      /* BEGUN: the image's … */
                        const char *from_version; /* … and what the camera told before */
                        const char *model_id;     /* BEGUN: in its run-time mode */
                        const char *purpose;      /* BEGUN: the rollout's id; "": an order */
                        Digest digest;            /* BEGUN: of the image */
                        uint64_t size_bytes;      /* BEGUN */
                        uint64_t until_usec;      /* BEGUN, SENT: when it must be back; SENDING: when its worker must have ended; boot
                                                     time */
                        unsigned sending;         /* SENDING: the how manieth */
                        bool whole;               /* SENT: the camera took all of it */
                        const char *outcome;      /* ENDED: "ok", "old-version", "not-back", "failed" */
                        const char *came_back;    /* ENDED: the version that it tells; "": none */
                } flash; /* FLASH_* */
                struct {
                        const char *fleet, *admin; /* whose list; the administrator's public key in hex */
                        const char *document;      /* as signed */
                        uint64_t seq;
                } fleet_list; /* FLEET_LIST */
                struct {
                        int64_t step_usec; /* forward, beyond what passed; negative: back */
                } step; /* CLOCK_STEPPED */
                struct {
                        const char *dock_id; /* KEY_MADE: 32 hex digits, for good */
                        PublicKey public;
                        uint64_t numbers_from; /* KEY_MADE, RESTORED: it signs with higher ones; 0 but for a dock that signed before */
                } key; /* KEY_MADE, KEY_ROTATED, KEY_REPLACED, RESTORED: the numbers alone */
                struct {
                        const char *key; /* in the store */
                } statement; /* STATEMENT_STORED, STATEMENT_REFUSED */
                FactRecovered recovered; /* CLIP_RECOVERED */
                struct {
                        const char *kept; /* the folder with the old database's files; "" when there were none */
                        bool head_known;
                        uint64_t head_seq; /* of the old chain, as its head file tells */
                        Digest head_hash;
                } old; /* RECOVERY_BEGUN */
                struct {
                        const char *name, *kept; /* before, and in kept/ */
                } file; /* FILE_KEPT, PART_REMOVED: the name alone */
                struct {
                        const char *name; /* below the state folder */
                        uint64_t size_bytes;
                        Digest digest;
                        bool missing; /* nothing lies there */
                } hashed; /* FILE_HASHED */
                struct {
                        uint64_t from_spool, from_store, files_kept, holds;
                } found; /* RECOVERY_DONE */
        };
} Fact;
