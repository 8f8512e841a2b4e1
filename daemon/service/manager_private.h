/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The manager's inside, for the service layer only. */

#include "core/retention.h"
#include "core/upload.h"
#include "service/catalog_follow.h"
#include "service/charging.h"
#include "service/clocksync.h"
#include "service/credentials.h"
#include "service/dock_status.h"
#include "service/examine.h"
#include "service/flash.h"
#include "service/fleet_docks.h"
#include "service/fleet_follow.h"
#include "service/hotplug.h"
#include "service/hubport.h"
#include "service/image.h"
#include "base/stored_clip.h"
#include "service/fetch.h"
#include "service/import.h"
#include "service/inhibit.h"
#include "service/manager.h"
#include "service/notary.h"
#include "service/object_hold.h"
#include "service/hold_replay.h"
#include "service/kept.h"
#include "service/roster.h"
#include "service/roster_follow.h"
#include "service/spool.h"
#include "service/uplink.h"
#include "store/chain_check.h"

#define CLIP_BUCKETS 4096u

/* What fairness among cameras needs to know of one. */
typedef struct UploadCamera {
        uint64_t id;
        unsigned under_way;
        uint64_t turn;
} UploadCamera;

/* Clips that wait for the store, in the order in which they came; the others are on their way. */
typedef struct UploadQueue {
        Clip *first, *last;
        uint64_t n_waiting;
        Clip *first_going, *last_going;
        unsigned under_way; /* of whole clips */
        unsigned growing;   /* of clips that are still pulled; of these … */
        unsigned stopping;  /* … told to end */
        bool paused;
        UploadPace pace;
        UploadCamera *cameras;
        size_t n_cameras;
        uint64_t turns;
} UploadQueue;

struct Manager {
        sd_event *event;
        Settings *settings;
        Models *models;
        Credentials *credentials; /* NULL: none */
        Store *store;
        Spool *spool;
        Uplink *uplink;
        Hotplug *hotplug;
        Hubports *hubports;
        Lamps *lamps;
        Charging *charging;
        ClockSync *clock;
        Inhibit *inhibit;
        ChainCheck *chain_check; /* NULL once it is done */
        ChainState chain_state;
        char chain_text[512]; /* what is wrong with it; "" */
        Notary *notary;
        ObjectHolds *object_holds;
        KeptFiles *kept;
        HoldReplay *hold_replay;
        bool put_back; /* this start is the first from a backup */
        DockStatus *status;
        Roster *roster;
        RosterFollow *roster_follow;
        FleetFollow *fleet_follow;
        FleetDocks *fleet_docks;
        CatalogFollow *catalog_follow;
        Images *images;
        Rollouts *rollouts;
        Examine *examine;
        Flashes *flashes;

        Bay *bays;
        Camera *cameras;
        Clip *clips[CLIP_BUCKETS];

        UploadQueue uploads;
        uint64_t unstored_clips, unstored_bytes;
        Figures figures;
        sd_event_source *upload_timer, *spool_timer;
        bool spool_full, looking, started, stopping;
        uint64_t flow_at_usec, spool_holds_sec; /* when it was looked at, and what came out: core/outlook.h */
        unsigned releasing; /* spool copies on their way out */
        bool recording_step;
        Import *import; /* under way, or NULL */
        Fetch *fetches; /* under way */
        bool said_failing; /* of the database */
        ClockFacts clock_facts; /* as of the last look */

        const ManagerObserver *observer;
        void *observer_userdata;
};

/* Something changed that the bus shows: of the dock, of a bay, of a camera. The observer is told. */
void manager_tell(Manager *m);
void manager_tell_bay(Manager *m, Bay *bay);
void manager_tell_transfers(Manager *m);
void manager_tell_camera(Manager *m, Camera *camera, bool added);

/* "now", with what is known of the clock. */
void manager_moment(const Manager *m, Moment *ret);
/*
 * Room for that much more in the spool, beyond the reserve, and beyond what is kept for priority footage unless it is such? Starts
 * making room when there is not.
 */
bool manager_has_room(Manager *m, uint64_t bytes, bool priority);
/* Asks all bays to decide again. */
void manager_kick_bays(Manager *m);
Bay *manager_bay_at(Manager *m, const char *port_path);

/* upload_queue.c */
void upload_queue_init(UploadQueue *q, unsigned most);
void upload_queue_done(UploadQueue *q);
void upload_enqueue(Clip *clip);
void upload_forget(Clip *clip);
/* Whether it is on its way to the store; also to tell that something about that changed. */
void upload_going(Clip *clip, bool goes);
/* Nobody vouches for its copy: it waits for the store no longer, and an answer about it that is still to come changes nothing. */
void upload_conflict(Clip *clip, const char *text);
/* Starts what may be started. */
void upload_pump(Manager *m);
/* An upload is under way from here on; it has ended. */
void upload_queue_begun(Clip *clip);
void upload_queue_ended(Clip *clip, const UplinkAnswer *answer);
/* The store asked for less. */
void upload_queue_slow_down(Manager *m, const UplinkAnswer *answer);
/* What the order goes by. */
void upload_facts(Clip *clip, int64_t now_unix_sec, UploadFacts *ret);
/* Back into the queue, after a back-off of its own; all back-offs end. */
void upload_queue_retry_later(Clip *clip);
void upload_queue_retry_now(Manager *m);
/* From the database. */
int upload_orders_load(Manager *m);

/* upload.c */
/* Hands the clip to the uplink. -ENOENT when its spool copy is not there, -EBADMSG when the custody log knows of no copy. */
int upload_begin(Clip *clip);
/* One more clip waits for the store, counted until its receipt or its conflict. */
void upload_count_waiting(Clip *clip);
/* How an upload of a whole clip ended: an UplinkPutDone. */
void upload_answered(void *userdata, void *cookie, const UplinkAnswer *answer);
/* What the manifest says beside digest and size; the caller frees. -EBADMSG as above. */
int upload_manifest_facts(Clip *clip, char **ret);
/* upload_vouch.c: adds to these facts, under `signed`, what the dock signs of the clip and of all of them. */
int upload_vouch_sign(Clip *clip, json_t *facts);
/* A receipt that nobody has to be asked about: where this dock put the manifest just now, it signed that. */
void upload_vouch_take_own(Clip *clip, const UplinkReceipt *receipt);
/* Lay the clip there already, and is it to be asked who put it there? */
bool upload_vouch_needed(const Clip *clip, const UplinkReceipt *receipt);
/* Asks the store, and goes on with the receipt or without. */
int upload_vouch_begin(Clip *clip, const UplinkReceipt *receipt);
UploadVouch *upload_vouch_free(UploadVouch *v);
/* What becomes of a clip whose upload was answered; the caller kicks its docking, and releases it. */
/* `signer`: of the manifest; NULL when nobody knows. */
void upload_take_receipt(Clip *clip, const UplinkReceipt *receipt, const StoredClipSigner *signer);
void upload_try_again(Clip *clip, const char *text);
/* It is on record once, and tried again. */
void upload_not_believed(Clip *clip, const char *text);
/* The spool's copy is not what was read from the camera. */
void upload_bad_copy(Clip *clip, const char *text);
int upload_load_unstored(Manager *m);
extern const UplinkOps upload_uplink_ops;
/* Does the site's policy accept a receipt of this strength? */
bool manager_accepts(const Manager *m, const char *strength);

/* proof.c */
int proof_start(Manager *m);
/* May anything be erased, as far as the custody chain is concerned? */
bool proof_allows_erase(const Manager *m);

/* age.c */
int manager_clock_facts(Manager *m, ClockFacts *ret);
/* Puts on record that the dock's clock was stepped. */
void age_watch_clock(Manager *m);

/* hold.c */
typedef struct HoldOf {
        uint64_t clip_id, camera_id; /* clip_id 0: all of the camera */
        const char *case_name, *reason;
} HoldOf;
/* Asks the database whether the clip is held. */
void hold_look_up(Clip *c);
/* … and of all that are in memory, as what is held is known anew. */
void holds_look_up_all(Manager *m);

/* upload_grow.c: uploads of clips that are still being pulled */
/* The pull goes on behind so many bytes, all of which are on record. */
void upload_pull_begun(Clip *clip, uint64_t offset_bytes);
/* Hands a block fact of the pull to the store. */
int upload_put_block(Clip *clip, const Fact *fact);
/* It ended early; may be called for any clip, and for NULL. */
void upload_pull_ended(Clip *clip);
/* What was pulled is thrown away. */
void upload_pull_begins_afresh(Clip *clip);
/* It is whole, and becomes a copy, or does not; the copy is on record. */
void upload_pull_sealing(Clip *clip);
void upload_seal_failed(Clip *clip);
void upload_copied(Clip *clip);
void upload_grow_progress(Clip *clip, uint64_t bytes);
/* Begins and ends such uploads, so that no more than `allowed` are under way altogether, none while whole clips wait. */
void upload_grow_pump(Manager *m, unsigned allowed, bool others_wait, uint64_t now, uint64_t *ret_wake);

/* room.c */
void room_start(Manager *m);
/* Somebody is about to write to the spool, which may not have been looked at for a while. */
void room_wake(Manager *m);
int room_on_timer(sd_event_source *source, uint64_t usec, void *userdata);
