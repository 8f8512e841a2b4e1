/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One clip's way to the store: it is copied and has no receipt, and goes on whether or not its camera is still docked. Which one
 * is next is said in upload_queue.c.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define ROWS_A_READ 256u
/* Whoever classifies footage later goes by this: never by a class with a shorter life. */
#define CLASS_DEFAULT "unclassified"

bool manager_accepts(const Manager *m, const char *strength) {
        const char *list = m->settings->accept;
        size_t n = strength ? strlen(strength) : 0;

        for (const char *p = list; n > 0 && p; p = strchr(p, ',')) {
                p += *p == ',';
                if (strncmp(p, strength, n) == 0 && (p[n] == ',' || p[n] == 0))
                        return true;
        }
        return false;
}

void upload_count_waiting(Clip *c) {
        Manager *m = c->manager;

        m->unstored_clips++;
        m->unstored_bytes += c->size_bytes;
        manager_tell(m);
}

static void count_stored(Clip *c) {
        Manager *m = c->manager;

        m->unstored_clips -= m->unstored_clips > 0;
        m->unstored_bytes -= MIN2(m->unstored_bytes, c->size_bytes);
        manager_tell(m);
}

void upload_conflict(Clip *c, const char *text) {
        bool waited = c->state == CLIP_COPIED || c->state == CLIP_UPLOADING;

        upload_forget(c);
        clip_set_state(c, CLIP_CONFLICT, text);
        if (waited)
                count_stored(c);
}

static Fact clip_fact(const Clip *c, FactKind kind, const char *text) {
        Fact fact = {
                .kind = kind,
                .clip_id = c->id,
                .camera_id = c->camera_id,
                .docking_id = c->docking ? c->docking->id : 0,
                .text = text,
        };

        manager_moment(c->manager, &fact.at);
        return fact;
}

/* Waits for a fact about a clip, whether it is docked or not. */
static int put_fact(Clip *c, const Fact *fact, DockingThen then) {
        DockingPending *p;
        int r;

        r = docking_pending_new(c->docking, c, then, &p);
        if (r < 0)
                return r;
        r = store_put(c->manager->store, fact, docking_pending_done, p);
        if (r < 0)
                docking_pending_cancel(p);
        return r;
}

void upload_try_again(Clip *c, const char *text) {
        clip_set_state(c, CLIP_COPIED, text);
        upload_queue_retry_later(c);
}

static void receipt_recorded(Docking *d, Clip *c, int result) {
        ClockFacts now;

        (void) d;
        /* Meanwhile the camera has shown that nobody can vouch for this copy. */
        if (c->state == CLIP_CONFLICT)
                return;
        if (result < 0) {
                /* The store has it; the next Put finds it there and gives the receipt again. */
                c->receipted = c->receipt_accepted = false;
                upload_try_again(c, "the receipt could not be written to the database");
                return;
        }
        c->receipted = true;
        notary_signed(c->manager->notary);
        if (c->held)
                object_holds_look(c->manager->object_holds);
        c->receipt_accepted = manager_accepts(c->manager, c->strength);
        if (manager_clock_facts(c->manager, &now) >= 0) {
                c->receipted_usec = now.wall_usec;
                c->receipted_running_usec = now.running_usec;
        }
        c->upload_failures = 0;
        c->manager->figures.stored_clips++;
        c->manager->figures.stored_bytes += c->size_bytes;
        clip_set_state(c, c->erased_unstored ? CLIP_ERASED : CLIP_RECEIPTED, NULL);
        count_stored(c);
        docking_kick(c->docking);
        room_start(c->manager);
}

static int put_receipt(Clip *c, const UplinkReceipt *receipt, const StoredClipSigner *signer) {
        Fact fact = clip_fact(c, FACT_RECEIPTED, NULL);
        char *object = strdup(receipt->object_key), *manifest = strdup(receipt->manifest_key), *strength = strdup(receipt->strength);

        if (!object || !manifest || !strength) {
                free(object);
                free(manifest);
                free(strength);
                return -ENOMEM;
        }
        free(c->object_key);
        free(c->manifest_key);
        free(c->strength);
        c->object_key = object;
        c->manifest_key = manifest;
        c->strength = strength;
        c->receipt_digest = receipt->digest;
        fact.receipt.object_key = object;
        fact.receipt.manifest_key = manifest;
        fact.receipt.version = receipt->version;
        fact.receipt.strength = strength;
        fact.receipt.size_bytes = receipt->size_bytes;
        fact.receipt.digest = receipt->digest;
        fact.receipt.time_unix_sec = receipt->time_unix_sec;
        fact.receipt.already_there = receipt->already_there;
        if (signer) {
                fact.receipt.signed_by = signer->dock_id;
                fact.receipt.signed_number = signer->seq;
        }
        return put_fact(c, &fact, receipt_recorded);
}

void upload_take_receipt(Clip *c, const UplinkReceipt *receipt, const StoredClipSigner *signer) {
        free(c->not_believed);
        c->not_believed = NULL;
        if (put_receipt(c, receipt, signer) < 0)
                upload_try_again(c, "out of memory for the receipt");
}

static void record_refusal(Clip *c, FactKind kind, const char *text) {
        Fact fact = clip_fact(c, kind, text);

        (void) put_fact(c, &fact, NULL);
        log_error(&(LogAbout){ .camera = c->serial, .clip = c->path,
                               .message = kind == FACT_CONFLICT ? MESSAGE_CLIP_CONFLICT : MESSAGE_CLIP_NOT_STORED },
                  "%s: %s", kind == FACT_CONFLICT ? "Conflict" : "Not stored", text);
}

void upload_not_believed(Clip *c, const char *text) {
        if (!text_equal(c->not_believed, text))
                record_refusal(c, FACT_STORE_REFUSED, text);
        free(c->not_believed);
        c->not_believed = strdup(text);
        upload_try_again(c, text);
}

static void bad_copy_moved(Docking *d, Clip *c, int result) {
        if (result < 0)
                log_error(&(LogAbout){ .camera = c->serial, .clip = c->path }, "Its bad spool copy cannot be moved to kept/: %s",
                          strerror(-result));
        kept_look(c->manager->kept);
        docking_kick(d);
}

/* When the daemon ends, or cannot, the next start finds a file that is no copy's, and makes it a part that nobody goes on with. */
static void bad_copy_recorded(Docking *d, Clip *c, int result) {
        DockingPending *p;

        if (result < 0 || !c->manager->spool || docking_pending_new(d, c, bad_copy_moved, &p) < 0)
                return;
        if (spool_set_sealed_aside(c->manager->spool, c->id, c->kept_as, docking_pending_done, p) < 0)
                docking_pending_cancel(p);
}

/* The spool's bytes are not those that were read from the camera: the disk lied. The camera is asked again. */
void upload_bad_copy(Clip *c, const char *text) {
        Fact fact = clip_fact(c, FACT_PART_SET_ASIDE, text);
        char name[SPOOL_NAME_SIZE];

        count_stored(c);
        spool_name_for_kept(c->manager->spool, c->id, fact.docking_id, name);
        free(c->kept_as);
        c->kept_as = strdup(name);
        if (!c->kept_as)
                return;
        log_error(&(LogAbout){ .camera = c->serial, .clip = c->path },
                  "The spool copy is damaged (%s); it is kept as kept/%s and the clip is pulled again", text, name);
        fact.pull.part = name;
        free(c->spool_name);
        c->spool_name = NULL;
        clip_drop_blocks(c);
        c->part_docking_id = 0;
        c->part_here = c->sampled = c->copied_here = c->verified_here = false;
        clip_set_state(c, CLIP_SEEN, text);
        (void) put_fact(c, &fact, bad_copy_recorded);
}

void upload_answered(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Manager *m = userdata;
        Clip *c = cookie;

        upload_queue_ended(c, answer);
        if (c->state == CLIP_CONFLICT)
                return docking_kick(c->docking);
        switch (answer->result) {
        case UPLINK_OK:
                if (!upload_vouch_needed(c, answer->receipt))
                        upload_vouch_take_own(c, answer->receipt);
                else if (upload_vouch_begin(c, answer->receipt) < 0)
                        upload_try_again(c, "the store cannot be asked who put the clip there");
                break;
        case UPLINK_SOURCE:
                upload_bad_copy(c, answer->text);
                break;
        case UPLINK_CONFLICT:
                record_refusal(c, FACT_CONFLICT, answer->text);
                upload_conflict(c, answer->text);
                break;
        case UPLINK_INVALID:
                record_refusal(c, FACT_STORE_REFUSED, answer->text);
                upload_try_again(c, answer->text);
                break;
        case UPLINK_BUSY:
        case UPLINK_STOPPED:
                /* Nothing is wrong with this clip: the queue waits as a whole. */
                clip_set_state(c, CLIP_COPIED, answer->text);
                upload_enqueue(c);
                break;
        default:
                upload_try_again(c, answer->text);
                break;
        }
        docking_kick(c->docking);
        clip_release(c);
        upload_pump(m);
}

static json_t *camera_facts(const Clip *c, const CameraRow *camera) {
        return json_pack("{s:s, s:s, s:s, s:s, s:s}", "serial", c->serial, "manufacturer", camera ? camera->manufacturer : "", "model",
                         camera ? camera->model : "", "firmware", camera ? camera->firmware : "", "model_id",
                         camera ? camera->model_id : "");
}

static json_t *clock_facts(const CopyEvidence *e) {
        return json_pack("{s:o, s:b}", "drift_usec", e->drift_known ? json_integer(e->drift_usec) : json_null(), "dock_synchronised",
                         (int) e->dock_synchronised);
}

/* Who took it from another dock of the fleet, as that one tells; what it does not tell of them this dock's roster has. */
static json_t *fleet_officer_facts(const Clip *c, const CopyEvidence *e) {
        _cleanup_(officer_row_freep) OfficerRow *officer = NULL;
        const char *id = NULL;
        const FleetDock *dock = fleet_docks_taken(c->manager->fleet_docks, c->serial, e->copied_usec, &id);

        if (!dock)
                return json_null();
        /* One that this roster does not know any more has a number, and no name. */
        (void) store_officer(c->manager->store, id, &officer);
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "name", officer ? officer->name : "", "unit_id",
                         officer ? officer->unit_id : "", "unit_name", officer ? officer->unit_name : "", "by", "fleet", "dock", dock->id);
}

/* Whose camera it was when it was docked; null when nobody is known. */
static json_t *officer_facts(const Clip *c, const CopyEvidence *e) {
        if (!e->officer_id)
                return fleet_officer_facts(c, e);
        return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", e->officer_id, "name", e->officer_name, "unit_id", e->unit_id, "unit_name",
                         e->unit_name, "by", e->officer_by_roster ? "roster" : "camera");
}

static json_t *custody_facts(const CopyEvidence *e) {
        char hex[DIGEST_HEX_SIZE];

        return json_pack("{s:I, s:s}", "seq", (json_int_t) e->seq, "sha256", digest_to_hex(&e->hash, hex));
}

/* What the clip is as a file, and when it says that it was recorded; null for what is no container. */
static json_t *container_facts(const Container *c) {
        char recorded[UTC_TEXT_SIZE];
        json_t *j;
        int r = 0;

        if (c->format == CONTAINER_NONE)
                return json_null();
        j = json_pack("{s:s, s:s}", "format", container_format_to_string(c->format), "state", container_verdict_to_string(c->verdict));
        if (c->reason[0]) {
                r |= json_object_set_new(j, "reason", json_string(c->reason));
                r |= json_object_set_new(j, "offset", json_integer((json_int_t) c->offset));
        }
        if (c->recorded_unix_sec != CONTAINER_TIME_UNKNOWN)
                r |= json_object_set_new(j, "recorded", json_string(utc_text(c->recorded_unix_sec * (int64_t) USEC_PER_SEC, recorded)));
        if (c->duration_msec > 0)
                r |= json_object_set_new(j, "duration_msec", json_integer((json_int_t) c->duration_msec));
        if (r < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

/* Of what could be read of a clip: which clip, and which bytes are missing and stand as zeros; null for a whole one. */
static json_t *partial_facts(const Clip *c) {
        _cleanup_(freep) ByteRange *ranges = NULL;
        json_t *missing = json_array();
        size_t n = 0;
        int r = 0;

        if (c->partial_of == 0) {
                json_decref(missing);
                return json_null();
        }
        if (store_unreadable(c->manager->store, c->id, &ranges, &n) < 0 || n == 0)
                r = -1;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = json_array_append_new(missing, json_pack("[I, I]", (json_int_t) ranges[i].offset, (json_int_t) ranges[i].length));
        if (r < 0) {
                json_decref(missing);
                return NULL;
        }
        return json_pack("{s:I, s:o}", "of_clip_id", (json_int_t) c->partial_of, "missing", missing);
}

/* What a stranger should know beside digest and size, from the store's manifest alone. */
int upload_manifest_facts(Clip *c, char **ret) {
        _cleanup_(camera_row_freep) CameraRow *camera = NULL;
        _cleanup_(copy_evidence_done) CopyEvidence evidence = {};
        char seen[UTC_TEXT_SIZE];
        json_t *facts;
        char *text;
        int r;

        (void) store_camera_by_serial(c->manager->store, c->serial, &camera);
        r = store_copy_evidence(c->manager->store, c->id, &evidence);
        if (r < 0)
                return r == -ENOENT ? -EBADMSG : r;
        facts = json_pack("{s:s, s:s, s:b, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "class", CLASS_DEFAULT,
                          "kind", c->flags & CLIP_FLAG_COMPANION ? "companion" : "footage",
                          "priority", (int) ((c->flags & CLIP_FLAG_PRIORITY) != 0),
                          "dock", c->manager->settings->name, "clip_id", (json_int_t) c->id,
                          "first_seen", utc_text(c->seen_unix_sec * (int64_t) USEC_PER_SEC, seen),
                          "camera", camera_facts(c, camera), "officer", officer_facts(c, &evidence),
                          "clock", clock_facts(&evidence), "custody", custody_facts(&evidence),
                          "container", container_facts(&c->container), "partial", partial_facts(c));
        r = facts ? upload_vouch_sign(c, facts) : -ENOMEM;
        text = r >= 0 ? json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(facts);
        if (!text)
                return r < 0 ? r : -ENOMEM;
        *ret = text;
        return 0;
}

int upload_begin(Clip *c) {
        _cleanup_(fd_closep) int fd = -EBADF;
        _cleanup_(freep) char *facts = NULL;
        UplinkPut put;
        int r;

        r = upload_manifest_facts(c, &facts);
        if (r < 0)
                return r;
        fd = spool_open_sealed(c->manager->spool, c->spool_name);
        if (fd < 0)
                return fd;
        put = (UplinkPut){
                .clip_id = c->id,
                .fd = fd,
                .serial = c->serial,
                .path = c->path,
                .docked_unix_sec = c->seen_unix_sec,
                .mtime_unix_sec = c->mtime_unix_sec,
                .size_bytes = c->size_bytes,
                .digest = c->digest,
                .facts_json = facts,
        };
        r = uplink_put(c->manager->uplink, &put, upload_answered, c);
        if (r < 0)
                return r;
        upload_queue_begun(c);
        return 0;
}

static void on_uplink_state(void *userdata, const char *state, const char *reason) {
        Manager *m = userdata;

        if (text_equal(state, WIRE_STORE_READY))
                log_message(LOG_INFO, MESSAGE_STORE_READY, "The store is ready");
        else if (text_equal(state, WIRE_STORE_PAUSED))
                log_info(NULL, "Uploads pause: %s", reason);
        else
                log_message(LOG_WARNING, MESSAGE_STORE_UNREACHABLE, "The store takes nothing now (%s): %s", state,
                            reason && *reason ? reason : "no reason given");
        upload_queue_retry_now(m);
        manager_tell(m);
        manager_kick_bays(m);
        upload_pump(m);
        if (text_equal(state, WIRE_STORE_READY)) {
                notary_store_ready(m->notary);
                hold_replay_look(m->hold_replay);
                object_holds_look(m->object_holds);
                examine_store_ready(m->examine);
                dock_status_store_ready(m->status);
        }
}

static void on_uplink_progress(void *userdata, uint64_t clip_id, uint64_t bytes) {
        Clip *c = manager_clip(userdata, clip_id);

        if (!c || (!c->uploading && !c->grow.under_way))
                return;
        upload_grow_progress(c, bytes);
        c->stored_bytes = MIN2(bytes, c->size_bytes);
        manager_tell_transfers(c->manager);
        if (c->docking)
                bay_changed(c->docking->bay);
}

const UplinkOps upload_uplink_ops = {
        .on_state = on_uplink_state,
        .on_progress = on_uplink_progress,
};

int upload_load_unstored(Manager *m) {
        uint64_t after = 0;

        for (;;) {
                ClipRow **rows;
                size_t n;
                int r;

                r = store_clips_unstored(m->store, after, ROWS_A_READ, &rows, &n);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n && r >= 0; i++) {
                        Clip *c;

                        after = rows[i]->id;
                        r = clip_from_row(m, rows[i], &c);
                        if (r < 0)
                                break;
                        upload_count_waiting(c);
                        upload_enqueue(c);
                }
                clip_rows_free(rows, n);
                if (r < 0 || n < ROWS_A_READ)
                        return r;
        }
}
