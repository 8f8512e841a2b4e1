/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A docking: one stay of a device in a bay. It carries out, one at a time, the steps that core/bay.c derives from the
 * facts (docking_decide.c); each step ends in a call of docking_kick(), which asks again. The steps are in docking_<step>.c.
 */

#include <berth/plugin.h>
#include <systemd/sd-event.h>

#include "core/bay.h"
#include "service/bay.h"
#include "service/clip.h"
#include "service/hotplug.h"
#include "model/model.h"
#include "service/operator.h"
#include "service/worker.h"
#include "store/store.h"

typedef struct DockingPending DockingPending;
typedef struct Flash Flash;

/* What people ask for about a docked camera. */
typedef enum DockingOrder {
        DOCKING_ORDER_NONE,
        DOCKING_ORDER_OWNER,
        DOCKING_ORDER_CONFIRM,
        DOCKING_ORDER_CHECKOUT,
        DOCKING_ORDER_EJECT,
} DockingOrder;
/* 0 when it is done and on record, else -errno and a sentence. Called once. */
typedef void (*DockingOrderDone)(void *userdata, int result, const char *text);

#define DOCKING_STORAGE_ID_SIZE (2u * BERTH_TEXT_MAX)

typedef struct Listing {
        WorkerClip *clips; /* owned, footage only */
        size_t n;
        size_t skipped; /* files that the model does not call footage */
} Listing;

struct Docking {
        Manager *manager;
        Bay *bay;
        uint64_t id;
        int64_t docked_wall_usec;
        HotplugDevice *device;
        UsbShape shape;
        const Model *model; /* NULL: refused */
        Camera *camera;
        int incoming_fd;

        Worker *worker;
        bool worker_erases; /* the eraser: a worker of its own that read nothing */

        bool recording, recorded; /* the docking's first facts are being committed; are */
        bool refused, quarantined, spool_waits;
        bool spool_short; /* its next clip found no room, as far as was asked last */
        bool twin; /* quarantined for another device of the same serial */
        char *reason;
        unsigned faults, faults_in_row; /* since a clip was last copied or erased */
        char *departing; /* a fault that may be the camera on its way out, and is not on record yet; NULL: none */
        uint64_t departing_clip_id, departs_until_usec; /* CLOCK_BOOTTIME: by then the removal is here, or it was a fault */
        BayState departing_from; /* what the bay showed before it */
        unsigned unreadable; /* readings of all clips that ended at bytes which the medium does not give */
        uint64_t retry_at_usec;
        uint64_t authorise_until_usec; /* how long udev may take to open the node and the interfaces; 0: not asked yet */
        bool identified, checked, listed, busy;
        bool said_docked;

        WorkerHealth health;
        int64_t drift_usec; /* camera minus dock, as of the last check; with health.clock_known */
        bool judged_done;   /* it was judged when nothing was left to do */
        struct {
                FactCheck check; /* as it is on record last in this docking; without the owner's texts */
                uint64_t at_usec; /* CLOCK_BOOTTIME; 0: none is */
                bool clock_set;  /* its clock was set then */
        } told;

        /* Cameras that come back as another device: docking_switch.c, docking_return.c. */
        const Model *command_model; /* of the mode in which it came, once it is sent away; or NULL */
        uint64_t switch_docking_id; /* in which it was: an earlier one when the daemon was restarted meanwhile */
        bool sending; /* it is being told to change its mode */
        bool away;    /* off the bus, or about to leave it; `device` is NULL once it did */
        bool home;    /* … to come back in its command mode */
        bool cycling; /* its port is off, or about to be on again */
        bool unchanged; /* it came back as it was: it, or another one of its model that somebody put in meanwhile */
        bool resting; /* its port is off: docking_rest.c */
        bool waking;  /* … and has its power again */
        bool handed_out; /* by order it may be taken out as it is: docking_handout.c */
        bool kept;    /* it would be ready, but is not to be issued: held back for what was found out about it */
        bool idle;    /* as charging was told last: docking_may_rest() */
        uint64_t power_until_usec; /* its port has power until then, whatever the plan says: it is to be flashed */
        Flash *flash; /* of its camera: docking_flash.c; NULL: none */
        bool updating; /* from its beginning until the camera is back in its run-time mode */
        bool stray_loader; /* refused: a camera that waits for firmware, and nobody knows which … */
        char *may_be;      /* … but that it may be one of these; NULL: nothing is on record */
        bool rested;  /* it came back after that, and has not yet said who it is */
        bool slept;   /* likewise, because its port was off, and it was not checked since */
        bool gauging; /* its battery alone is being asked for */
        bool behind, emptied, ejected, lost, cycled, port_power; /* as in BayFacts */
        uint64_t away_since_usec, back_by_usec;
        DockingIdentity identity;
        bool identity_known; /* of the device that is here now */
        char storage_id[DOCKING_STORAGE_ID_SIZE]; /* what its storage is known by */

        struct {
                DockingOrder kind;
                bool begun;
                DockingOrderDone done;
                void *userdata;
                uint32_t uid; /* on whose word */
                char *name, *words[4];
        } order;

        Listing listing;
        Clip **clips; /* on this camera, as listed, and those erased since */
        size_t n_clips;
        unsigned clips_erased;

        /* The step under way. */
        Clip *current;
        Clip *salvage; /* what can be read of `current`, while that is read */
        uint64_t pull_offset, current_bytes;
        bool verifying;           /* it is read again: some places before a part is gone on with; else from its start, before an erase */
        size_t n_verify, n_verified; /* blocks, or places */
        bool verify_differs;
        uint64_t erase_not_before_usec; /* CLOCK_BOOTTIME */
        size_t others_left;       /* files on it that are no clips */
        struct {
                bool refused; /* clip by clip in this docking */
                bool failed, any, done;
                size_t at, n_found;
                bool *found; /* by clip: the eraser listed it */
        } format;
        size_t erase_waits;       /* confirmations and gate commits of this round under way */

        sd_event_source *decide, *wake;
        DockingPending *pending;
};

/* Takes the device over. */
int docking_new(Bay *bay, HotplugDevice *device, Docking **ret);
/* The device is gone or the daemon ends: kills the worker; what was committed goes on without it. `reason` for the log. */
Docking *docking_end(Docking *d, const char *reason);
/* Decide what to do next, from the loop. */
void docking_kick(Docking *d);
/* `now` is CLOCK_BOOTTIME. */
void docking_facts(const Docking *d, uint64_t now, BayFacts *ret);
LogAbout docking_about(const Docking *d);

/*
 * Hands the batch to the store. When it is committed (or failed), `then` runs with the docking, or with NULL when that
 * has ended, and the clip, which stays alive until then (NULL is allowed).
 */
typedef void (*DockingThen)(Docking *d, Clip *clip, int result);
int docking_commit(Docking *d, StoreBatch *batch, Clip *clip, DockingThen then);
int docking_commit_fact(Docking *d, const Fact *fact, Clip *clip, DockingThen then);
/* The same for a job of the spool: pass the result as userdata with docking_pending_done as SpoolDone. */
int docking_pending_new(Docking *d, Clip *clip, DockingThen then, DockingPending **ret);
void docking_pending_done(int result, void *userdata);
void docking_pending_cancel(DockingPending *p);
/* The docking ends: all that is pending is done without it. */
void docking_pending_outlives(Docking *d);

/* The docking's first facts, and what its device is by them: a camera of some model, or refused. Once they are there it goes on. */
void docking_record(Docking *d);
/* Makes the event sources by which it decides, both off. -errno. */
int docking_decides(Docking *d);
/* Shows on the bay what was decided (docking_show.c). */
void docking_show(Docking *d, const BayDecision *decision, const BayFacts *facts);

/* A fact about this docking, with its ids, bay and the moment filled in. */
Fact docking_fact(const Docking *d, FactKind kind, const Clip *clip);

/* Why its bay shows what it shows, when that is a fault, a refusal or for a person. Takes `text`; NULL: out of memory. */
void docking_set_reason(Docking *d, char *text);
/* A fault that may have been the camera on its way out, and is not on record yet, was one. */
void docking_record_fault(Docking *d);
/* How far the pull under way came is a fact of its own. */
void docking_record_interruption(Docking *d, const char *text);
/* The worker or the camera failed: end the worker, record it, back off. */
void docking_fault(Docking *d, WorkerResult why, const char *text);
/* The database, the disk or memory failed: nothing is the camera's fault; back off all the same. `error` is 0 when `what` says it, too. */
void docking_trouble(Docking *d, int error, const char *what);
/* A person must look at this camera. */
void docking_quarantine(Docking *d, const char *format, ...) _printf_(2, 3);
/* A step ended well. */
void docking_step_done(Docking *d);
/* The worker's session is over: what it said of the camera is asked again. */
void docking_forget_session(Docking *d);
/* The model of a device, or NULL, and its shape. */
const Model *docking_match(const Docking *d, const HotplugDevice *device, UsbShape *ret_shape);
/* A fact with what USB tells of the device that is here. */
void docking_device_fact(const Docking *d, FactKind kind, Fact *ret);

/* Judges its camera by what is on record and what it last told; records what is new in that (docking_health.c). */
void docking_judge(Docking *d);

/* The steps. Each is called with no step under way. */
int docking_spawn(Docking *d, WorkerDone opened);
void docking_identify(Docking *d);
void docking_check(Docking *d);
void docking_list(Docking *d);
void docking_pull(Docking *d);
void docking_verify(Docking *d);
void docking_salvage(Docking *d);
void docking_erase(Docking *d);
void docking_format(Docking *d);
void docking_switch(Docking *d);
void docking_lost(Docking *d); /* may end the docking */
void docking_eject(Docking *d);
void docking_cycle(Docking *d);

/* The device left the bus: true when that was expected, and the docking goes on without it. */
bool docking_device_left(Docking *d);
/* A device is at the bay of a docking without one: true when it was taken over as the camera that was away. */
bool docking_device_came(Docking *d, HotplugDevice *device);
/* docking_rest.c: may its port be switched off: nothing is under way, and nothing is left to do? */
bool docking_may_rest(const Docking *d);
/* It is about to be, and its camera will leave the bus; it was not; it has its power again, and the camera comes back. */
void docking_rest(Docking *d);
void docking_stays(Docking *d);
void docking_wake(Docking *d);
/* The device left the bus, or came to it: true when that is because of its port's power. */
bool docking_rest_left(Docking *d);
bool docking_rest_came(Docking *d, HotplugDevice *device);
/* Asks for the battery's charge, and nothing else. -EBUSY. */
int docking_gauge(Docking *d);

/* docking_flash.c: may its camera be given firmware now, as far as the dock's own work goes? */
bool docking_may_flash(const Docking *d);
void docking_flash_begins(Docking *d, Flash *f);
/* The device left the bus, or came to it: true when that is because of a flash. */
bool docking_flash_left(Docking *d);
bool docking_flash_came(Docking *d, HotplugDevice *device);
/* What its bay shows meanwhile; NULL: nothing. The caller frees it. */
char *docking_flash_text(const Docking *d);
/* How much of it its camera has, 0 to 100, and of which version: good while the docking is; -1: it is given none. */
int docking_flash_percent(const Docking *d, const char **ret_version);
/* A new docking is of a camera in its loader, whose flash did not come to its end: true when it goes on with that. */
bool docking_flash_inherit(Docking *d);
/* Which cameras the one in its loader may be, each with the bay in which it was flashed; NULL: none is known. The caller frees it. */
char *docking_flash_may_be(const Docking *d);
/* The docking is on record: what waited for that may go on. */
void docking_flash_recorded(Docking *d);
/* Its camera said who it is, and that this is its version. */
void docking_flash_told(Docking *d, const char *version);
/* Its session ended while it was being sent into its loader. */
void docking_flash_interrupted(Docking *d, const char *text);
/* The docking ends. */
void docking_flash_over(Docking *d);
/* The flash ended; `trouble` is NULL when it did so well. The docking may be gone afterwards. */
void docking_flash_ended(Docking *d, const char *trouble);
/* What was read before counts for nothing any more: the camera was out of sight (docking_rest.c). */
void docking_forget_readings(Docking *d);

/* How a docking ended whose camera was away. */
const char *docking_away_reason(const Docking *d);
/* The device that came is another camera: ends this docking and begins one of its own. Frees `d`. */
void docking_anew(Docking *d);
/* A new docking may be of a camera that an earlier run sent into its storage mode: 1 when it is. */
int docking_inherit(Docking *d);
void docking_storage_known(Docking *d, const WorkerIdentity *id);
/* Its camera is known by the port alone: nothing is erased. */
bool docking_is_by_port(const Docking *d);
/* Another docking in which a device shows that serial now, or NULL; and what follows from it. */
Docking *docking_twin(Docking *d, const char *serial);
void docking_twins(Docking *d, Docking *other, Camera *camera);

/* Orders: -EBUSY, -ESTALE with a sentence; else `done` is called later. `by` says on whose word. */
int docking_set_owner(Docking *d, const WorkerOwner *owner, const Operator *by, DockingOrderDone done, void *userdata,
                      const char **ret_why);
/* The camera is for this officer: checks it once more, sets its clock and its owner as far as it can hold them, and points at it. */
int docking_checkout(Docking *d, const WorkerOwner *officer, const Operator *by, DockingOrderDone done, void *userdata,
                     const char **ret_why);
/*
 * docking_handout.c: the camera may be taken out as it is. What is under way with it ends where it stands, an erase after the clip that is
 * being erased; nothing is begun any more in this docking. `done` is called when the bay shows it. -ENODEV, -EBUSY, -EPERM with a sentence.
 */
int docking_hand_out(Docking *d, const Operator *by, DockingOrderDone done, void *userdata, const char **ret_why);
/* The order is done once the bay shows it, with this text, and all that was done with the camera is on record. */
void docking_handed_out(Docking *d, const char *text);
/* How far the dock is with the camera, in one sentence. The caller frees it; NULL: out of memory. */
char *docking_handed_out_text(const Docking *d);
/* Clips that were to be erased, and are not: their erase was not begun. */
void docking_drop_licenses(Docking *d);
/* Somebody asked for something that needs the camera: it gets its power for that. */
bool docking_is_ordered(const Docking *d);
/* The camera was checked: true when that was for an order, which goes on with it. */
bool docking_order_checked(Docking *d);
int docking_confirm(Docking *d, const Operator *by, DockingOrderDone done, void *userdata, const char **ret_why);
int docking_order_new(Docking *d, DockingOrder kind, DockingOrderDone done, void *userdata, const char **ret_why);
void docking_order_cancel(Docking *d);
void docking_order_done(Docking *d, DockingOrder kind, int result, const char *text);
/* Begins an order that waited for the camera to be let go. */
void docking_order_begin(Docking *d);
/* The session (-EREMOTEIO), the docking (-ENODEV) or the daemon (-ESHUTDOWN) ended first. */
void docking_order_abort(Docking *d, int result, const char *text);
/* Takes back what was ordered with this userdata: `done` gets -ECANCELED. -EALREADY with a sentence: its camera was begun with. */
int docking_order_withdraw(Docking *d, const void *userdata, const char **ret_why);

/* Who has the camera (docking_issue.c): from the database; its return, into the batch; that it is on its way out of the bay. */
int docking_load_issue(Manager *m, Camera *camera);
int docking_brought_back(Docking *d, StoreBatch *batch);
void docking_camera_left(Docking *d);
/* Records a checkout for the officer, and, when that was written, the camera's owner. Then `then`. */
int docking_record_checkout(Docking *d, const WorkerOwner *officer, const Operator *by, bool written, const char *text, DockingThen then);
/* Its lamps say "take me" until it is taken, or that takes too long. */
void docking_point_at_issued(Docking *d);

/* Used by erase and format: asks the store for the clip's receipt, counting in erase_waits; and what to do when it is void. */
int docking_confirm_receipt(Docking *d, Clip *clip, DockingThen then);
void docking_receipt_is_void(Docking *d, Clip *clip);
/* Is everything on the camera to be erased at once? */
bool docking_formats(const Docking *d);
/* Nothing is being read again. */
void docking_forget_verify(Docking *d);

/* The session, or the docking, ended while it salvaged: what was read of the clip counts for nothing. */
void docking_salvage_abort(Docking *d, const char *why);
/* Used by pull and salvage: seals the part of a clip that was read to its end. */
void docking_seal(Docking *d, Clip *c, const WorkerCopy *copy);
/* Used by pull: reads a few places of a kept part again, from the camera and from the disk, and compares them. */
int docking_sample(Docking *d, Clip *clip);
/* The medium does not give some of the clip's bytes: records which, and has the clip rest before it is tried again. */
void docking_unreadable(Docking *d, Clip *c, const char *text);
/* Does the clip rest? `now` is CLOCK_BOOTTIME. */
bool docking_clip_rests(const Clip *c, uint64_t now);
/* Throws away the clip's part (it is kept aside) so that the next pull begins at 0. */
void docking_start_afresh(Docking *d, Clip *clip, const char *why);
/* The end, good or bad, of an erase by order of a clip that is not stored: its upload may begin. */
void docking_left_unstored(Clip *c);
/* Has the camera's clips, or `only` one, erased by hand. See manager_order_erase(). */
int docking_order_erase(Docking *d, const Clip *only, bool not_stored, const Operator *by, EraseOrderDone done, void *userdata,
                        char **ret_why);
extern const WorkerOps docking_worker_ops;

/* A block came from the camera: docking_pull.c keeps it as a fact or compares it with one. */
void docking_block_read(Docking *d, uint32_t index, uint32_t number, uint32_t length, const Digest *digest);
/* A clip never seen before, into the docking and, as a fact, into the batch. */
int docking_new_clip(Docking *d, const char *path, uint64_t size_bytes, int64_t mtime_unix_sec, uint32_t ordinal, uint32_t flags,
                     uint32_t index, StoreBatch *batch);
/* Takes the clip of this index out of the docking: another one stands for what the camera lists there. */
void docking_detach_index(Docking *d, uint32_t index);
