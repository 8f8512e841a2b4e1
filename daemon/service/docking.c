/* SPDX-License-Identifier: Apache-2.0 */
#include "service/docking.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "core/backoff.h"
#include "service/manager_private.h"

/* ---- What waits for the disk ------------------------------------------------------------------------------- */

struct DockingPending {
        Docking *docking; /* NULL when it has ended */
        DockingPending *next, *prev;
        Clip *clip;
        DockingThen then;
};

static void pending_unlink(DockingPending *p) {
        if (!p->docking)
                return;
        if (p->prev)
                p->prev->next = p->next;
        else
                p->docking->pending = p->next;
        if (p->next)
                p->next->prev = p->prev;
        p->next = p->prev = NULL;
}

int docking_pending_new(Docking *d, Clip *clip, DockingThen then, DockingPending **ret) {
        DockingPending *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (DockingPending){ .docking = d, .clip = clip, .then = then, .next = d ? d->pending : NULL };
        if (p->next)
                p->next->prev = p;
        if (d)
                d->pending = p;
        if (clip)
                clip->pending++;
        *ret = p;
        return 0;
}

void docking_pending_cancel(DockingPending *p) {
        pending_unlink(p);
        if (p->clip)
                p->clip->pending--;
        free(p);
}

void docking_pending_done(int result, void *userdata) {
        DockingPending *p = userdata;
        Docking *docking = p->docking;
        Clip *clip = p->clip;

        pending_unlink(p);
        if (p->then)
                p->then(p->docking, clip, result);
        if (clip) {
                clip->pending--;
                clip_release(clip);
        }
        free(p);
        /* A clip that something was pending for is passed over by every decision: now it counts again. */
        docking_kick(docking);
}

int docking_commit(Docking *d, StoreBatch *batch, Clip *clip, DockingThen then) {
        DockingPending *p;
        int r;

        r = docking_pending_new(d, clip, then, &p);
        if (r < 0) {
                store_batch_free(batch);
                return r;
        }
        r = store_submit(d->manager->store, batch, docking_pending_done, p);
        if (r < 0)
                docking_pending_cancel(p);
        return r;
}

int docking_commit_fact(Docking *d, const Fact *fact, Clip *clip, DockingThen then) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        int r;

        r = store_batch_new(&batch);
        if (r < 0)
                return r;
        r = store_batch_add(batch, fact);
        if (r < 0)
                return r;
        return docking_commit(d, TAKE_PTR(batch), clip, then);
}

Fact docking_fact(const Docking *d, FactKind kind, const Clip *clip) {
        Fact fact = {
                .kind = kind,
                .docking_id = d->id,
                .camera_id = d->camera ? camera_id(d->camera) : 0,
                .clip_id = clip ? clip->id : 0,
                .bay = bay_port_path(d->bay),
        };

        manager_moment(d->manager, &fact.at);
        return fact;
}

LogAbout docking_about(const Docking *d) {
        return (LogAbout){ .bay = bay_name(d->bay), .camera = d->camera ? camera_serial(d->camera) : NULL };
}

/* ---- Deciding ------------------------------------------------------------------------------------------------ */

static void note_earliest(uint64_t *at_usec, uint64_t candidate_usec) {
        if (*at_usec == 0 || candidate_usec < *at_usec)
                *at_usec = candidate_usec;
}

void docking_facts(const Docking *d, uint64_t now, BayFacts *ret) {
        const char *store_state = uplink_state(d->manager->uplink, NULL);
        BayFacts f = {
                .occupied = true,
                .refused = d->refused,
                .quarantined = d->quarantined,
                .faults = d->faults,
                .retry_at_usec = d->retry_at_usec,
                .identified = d->identified,
                .checked = d->checked,
                .listed = d->listed,
                .spool_full = d->spool_waits,
                .store_waiting = !text_equal(store_state, WIRE_STORE_READY),
                .worker_busy = d->busy || !d->recorded,
                .switches = d->model && d->model->returns_as.n > 0,
                .behind = d->behind,
                .emptied = d->emptied,
                .ejected = d->ejected,
                .port_power = d->port_power,
                .away = d->away,
                .back_by_usec = d->back_by_usec,
                .lost = d->lost,
                .cycled = d->cycled,
                .resting = d->resting,
                .waking = d->waking,
                .updating = d->updating,
        };

        for (size_t i = 0; i < d->n_clips; i++) {
                const Clip *c = d->clips[i];

                if (c->pending > 0 && c->state == CLIP_COPYING) {
                        f.being_settled++;
                        continue;
                }
                if (clip_policy_at(c, now) > 0)
                        note_earliest(&f.policy_at_usec, clip_policy_at(c, now));
                switch (clip_need(c)) {
                case CLIP_NEED_PULL:
                        if (docking_clip_rests(c, now)) {
                                note_earliest(&f.reread_at_usec, c->reread_at_usec);
                                break;
                        }
                        f.to_pull++;
                        break;
                case CLIP_NEED_VERIFY:
                        if (docking_clip_rests(c, now)) {
                                note_earliest(&f.reread_at_usec, c->reread_at_usec);
                                break;
                        }
                        f.to_verify++;
                        break;
                case CLIP_NEED_SALVAGE:
                        f.to_salvage++;
                        break;
                case CLIP_NEED_RECEIPT:
                        f.awaiting_store++;
                        break;
                case CLIP_NEED_ERASE:
                        if (docking_is_by_port(d))
                                f.held++;
                        else if (d->erase_not_before_usec > now)
                                f.erase_retry_at_usec = d->erase_not_before_usec;
                        else
                                f.erasable++;
                        break;
                default:
                        break;
                }
        }
        f.formats = f.erasable > 0 && f.erase_retry_at_usec == 0 && docking_formats(d);
        *ret = f;
}

/* A clip that only a person can decide about keeps its camera from being issued. */
static const Clip *clip_for_a_person(const Docking *d) {
        for (size_t i = 0; i < d->n_clips; i++)
                if (clip_need(d->clips[i]) == CLIP_NEED_PERSON)
                        return d->clips[i];
        return NULL;
}

static const Clip *clip_that_rests(const Docking *d) {
        uint64_t now = clock_boottime_usec();

        for (size_t i = 0; i < d->n_clips; i++)
                if (docking_clip_rests(d->clips[i], now))
                        return d->clips[i];
        return NULL;
}

/* What whoever stands before the rack can do about it. */
static const char *next_step(const Clip *c) {
        if (c->state == CLIP_CONFLICT)
                return "; put the camera aside: 'berthctl log' tells what disagrees";
        if (c->unreadable == 0)
                return "";
        return c->salvaged ? "; what can be read is kept as a partial copy; putting it in again tries again, else its medium is for a "
                             "specialist"
                           : "; putting it in again tries again, else its medium is for a specialist";
}

static void show_state(Docking *d, const BayDecision *decision, const BayFacts *facts) {
        const Clip *held = clip_for_a_person(d), *resting = clip_that_rests(d);
        _cleanup_(freep) char *text = NULL;

        if (decision->state == BAY_SETTLED && facts->held > 0 && facts->awaiting_store == 0) {
                text = text_format("do not issue: whose footage this is, only the port says, so its clips stay on the camera; when it is "
                                   "certain that this is camera %s: berthctl camera confirm %s", camera_serial(d->camera),
                                   camera_serial(d->camera));
                bay_set_state(d->bay, BAY_QUARANTINED, text);
                return;
        }

        if (decision->state == BAY_PULLING && d->spool_short) {
                bay_set_state(d->bay, BAY_QUARANTINED,
                              "do not issue: the spool is full, and footage is on this camera alone; pulling goes on by itself when space "
                              "returns: 'berthctl status' says whether the store takes footage");
                return;
        }
        if (decision->state == BAY_PULLING && decision->wake_at_usec > 0 && resting) {
                text = text_format("clip %s is tried again: %s", resting->path, resting->reason ?: "bytes of it cannot be read");
                bay_set_state(d->bay, BAY_PULLING, text);
                return;
        }
        if ((decision->state == BAY_READY || decision->state == BAY_SETTLED) && held) {
                if (held->held)
                        text = text_format("do not issue: clip %s is held%s%s and stays on the camera; 'berthctl hold release' ends that",
                                           held->path, held->held_for && *held->held_for ? " for case " : "", held->held_for ?: "");
                else
                        text = text_format("do not issue: clip %s stays on the camera: %s%s", held->path,
                                           held->reason ?: "its receipt is weaker than [policy] accept asks for", next_step(held));
                bay_set_state(d->bay, BAY_QUARANTINED, text);
                return;
        }
        /* Nothing is left to do: what was found out meanwhile counts. It is judged once, before anybody is told that it is ready. */
        if (decision->state == BAY_READY && d->camera && !d->judged_done) {
                d->judged_done = true;
                docking_judge(d);
        }
        if ((decision->state == BAY_READY || decision->state == BAY_SETTLED) && d->camera && *camera_held_back(d->camera)) {
                text = text_format("do not issue: %s", camera_held_back(d->camera));
                bay_set_state(d->bay, BAY_QUARANTINED, text);
                return;
        }
        if (decision->state == BAY_SETTLED) {
                const char *why = NULL, *state = uplink_state(d->manager->uplink, &why);

                if (d->manager->uploads.paused)
                        text = strdup("the footage is safe on the dock; uploads are paused");
                else if (!text_equal(state, WIRE_STORE_READY))
                        text = text_format("the footage is safe on the dock and waits for the store: %s", why && *why ? why : state);
        }
        if (decision->state == BAY_READY && d->camera && camera_issue(d->camera)) {
                const IssueRow *issue = camera_issue(d->camera);

                text = text_format("checked out for %s: take it", issue->officer_name[0] ? issue->officer_name : issue->officer_id);
        }
        bay_set_state(d->bay, decision->state,
                      decision->state == BAY_FAULT || decision->state == BAY_QUARANTINED || decision->state == BAY_REFUSED ?
                                      d->reason :
                                      text);
}

static void close_done(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK) {
                LogAbout about = docking_about(d);

                /* Everything that was read is committed: a camera that leaves badly loses nothing. */
                log_debug(&about, "The camera did not let go cleanly: %s", text);
        }
        d->worker = worker_free(d->worker);
        docking_step_done(d);
}

static void docking_close(Docking *d) {
        if (!d->worker)
                return;
        d->busy = true;
        if (worker_close(d->worker, close_done) < 0)
                close_done(d, WORKER_DIED, "it could not be asked");
}

static void record(Docking *d);

static bool step_reads(BayStep step) {
        return step == BAY_STEP_CHECK || step == BAY_STEP_LIST || step == BAY_STEP_PULL || step == BAY_STEP_VERIFY ||
               step == BAY_STEP_SALVAGE || step == BAY_STEP_SWITCH;
}

/* Whether its port may be switched is for charging to know when it changes, and not at each step. */
static void tell_charging(Docking *d) {
        bool idle = docking_may_rest(d);

        if (idle != d->idle)
                charging_kick(d->manager->charging);
        d->idle = idle;
}

static int on_decide(sd_event_source *source, void *userdata) {
        Docking *d = userdata;
        uint64_t now = clock_boottime_usec();
        BayDecision decision;
        BayFacts facts;

        (void) source;
        if (!d->recorded && !d->recording && d->retry_at_usec <= now)
                record(d);
        docking_order_begin(d);
        docking_facts(d, now, &facts);
        decision = bay_next(&facts, now);
        if (decision.state != BAY_FAULT)
                d->retry_at_usec = 0;
        show_state(d, &decision, &facts);
        if (decision.wake_at_usec > 0) {
                (void) sd_event_source_set_time(d->wake, decision.wake_at_usec);
                (void) sd_event_source_set_enabled(d->wake, SD_EVENT_ONESHOT);
        }
        if (step_reads(decision.step) && (!d->worker || d->worker_erases)) {
                /* The reader was let go and something is to be read after all: a session begins anew. */
                docking_forget_session(d);
                docking_kick(d);
                return 0;
        }
        tell_charging(d);
        switch (decision.step) {
        case BAY_STEP_IDENTIFY:
                docking_identify(d);
                break;
        case BAY_STEP_CHECK:
                docking_check(d);
                break;
        case BAY_STEP_LIST:
                docking_list(d);
                break;
        case BAY_STEP_PULL:
                docking_pull(d);
                break;
        case BAY_STEP_VERIFY:
                docking_verify(d);
                break;
        case BAY_STEP_SALVAGE:
                docking_salvage(d);
                break;
        case BAY_STEP_CLOSE:
                docking_close(d);
                break;
        case BAY_STEP_ERASE:
                docking_erase(d);
                break;
        case BAY_STEP_FORMAT:
                docking_format(d);
                break;
        case BAY_STEP_SWITCH:
                docking_switch(d);
                break;
        case BAY_STEP_LOST:
                docking_lost(d); /* it may be gone */
                break;
        case BAY_STEP_EJECT:
                docking_eject(d);
                break;
        case BAY_STEP_CYCLE:
                docking_cycle(d);
                break;
        default:
                break;
        }
        return 0;
}

void docking_kick(Docking *d) {
        if (d)
                (void) sd_event_source_set_enabled(d->decide, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        docking_kick(userdata);
        return 0;
}

void docking_step_done(Docking *d) {
        upload_pull_ended(d->current);
        d->busy = false;
        d->current = NULL;
        docking_kick(d);
}

/* ---- What goes wrong ----------------------------------------------------------------------------------------- */

static void set_reason(Docking *d, char *text) {
        free(d->reason);
        d->reason = text;
}

void docking_forget_session(Docking *d) {
        docking_order_abort(d, d->reason ? d->reason : "the camera's session ended");
        docking_flash_interrupted(d, d->reason ? d->reason : "the camera's session ended");
        docking_salvage_abort(d, "the camera's session ended");
        upload_pull_ended(d->current);
        d->worker = worker_free(d->worker);
        d->identified = d->checked = d->listed = d->busy = d->sending = false;
        d->current = NULL;
        d->judged_done = false;
        d->erase_waits = 0;
        for (size_t i = 0; i < d->n_clips; i++) {
                d->clips[i]->erase_licensed = false;
                docking_left_unstored(d->clips[i]);
        }
}

static void back_off(Docking *d) {
        const Settings *s = d->manager->settings;

        d->faults++;
        d->faults_in_row++;
        d->retry_at_usec = clock_boottime_usec() + backoff_usec(d->faults_in_row, s->backoff_min_usec, s->backoff_max_usec);
}

/* How far the pull came is a fact of its own: the next one goes on from there. */
static void record_interruption(Docking *d, const char *text) {
        Fact fact;

        if (!d->current || d->current->state != CLIP_COPYING || d->verify_blocks)
                return;
        fact = docking_fact(d, FACT_PULL_INTERRUPTED, d->current);
        fact.text = text;
        fact.pull.offset_bytes = clip_kept_blocks(d->current) * WIRE_BLOCK_SIZE;
        (void) docking_commit_fact(d, &fact, d->current, NULL);
}

void docking_fault(Docking *d, WorkerResult why, const char *text) {
        Fact fact = docking_fact(d, FACT_FAULT, d->current);
        LogAbout about = docking_about(d);
        char *reason;

        if (why == WORKER_UNPLUGGED) {
                /* The removal is on its way; until it is here, look again soon. */
                reason = text_format("the camera does not answer any more: %s", text);
        } else
                reason = text_format("%s: %s", worker_result_to_string(why), text);
        record_interruption(d, text);
        if (d->current && why != WORKER_UNPLUGGED) {
                d->current->failures++;
                /* It is a person's from now on, who wants to know why. */
                if (d->current->failures >= CLIP_FAILURES_MAX)
                        clip_set_state(d->current, d->current->state, text);
        }
        set_reason(d, reason);
        fact.text = d->reason;
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        docking_forget_session(d);
        back_off(d);
        log_warning(&about, "Fault %u in this docking: %s; trying again in %" PRIu64 " s", d->faults, d->reason ?: text,
                    (d->retry_at_usec - clock_boottime_usec()) / USEC_PER_SEC);
        docking_kick(d);
}

void docking_trouble(Docking *d, int error, const char *what) {
        set_reason(d, text_format("%s: %s", what, strerror(error < 0 ? -error : error)));
        docking_forget_session(d);
        back_off(d);
        docking_kick(d);
}

void docking_quarantine(Docking *d, const char *format, ...) {
        Fact fact = docking_fact(d, FACT_QUARANTINED, NULL);
        char *reason = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&reason, format, ap) < 0)
                reason = NULL;
        va_end(ap);
        set_reason(d, reason);
        fact.text = reason;
        (void) docking_commit_fact(d, &fact, NULL, NULL);
        d->quarantined = true;
        docking_forget_session(d);
        docking_kick(d);
}

/* ---- Beginning and end --------------------------------------------------------------------------------------- */

/* "03/01/01 (a keyboard), 08/06/50 (a disk)": what a model file would have to allow. */
static void interfaces_to_text(const UsbShape *shape, char *ret, size_t size) {
        size_t n = 0;

        (void) snprintf(ret, size, "(none)");
        for (size_t i = 0; i < shape->n_interfaces && n + 64 < size; i++) {
                const char *word = usb_class_word(&shape->interfaces[i]);
                char class[MODEL_TEXT_SIZE];

                n += (size_t) snprintf(ret + n, size - n, "%s%s%s%s%s", i ? ", " : "", usb_class_text(&shape->interfaces[i], class),
                                       word ? " (" : "", word ?: "", word ? ")" : "");
        }
}

/* Why a device is refused, in one sentence. */
static char *refusal(const Docking *d) {
        const UsbShape *s = &d->shape;
        const char *product = d->device->usb_product;
        char interfaces[1024];

        if (s->problem)
                return text_format("the descriptors of the device %04x:%04x '%s' do not hold together: %s; take it out", s->vid, s->pid,
                                   product, s->problem);
        if (d->stray_loader)
                return text_format("a camera that waits for firmware, %04x:%04x '%s', is in the bay, and no flash in this bay is on "
                                   "record; put it into the bay where it was flashed, or have its maker's tool finish it", s->vid,
                                   s->pid, product);
        if (s->device.class_code == USB_CLASS_HUB)
                return text_format("a hub, %04x:%04x '%s', is in the bay; take it out: what is plugged into it is not looked at", s->vid,
                                   s->pid, product);
        interfaces_to_text(s, interfaces, sizeof(interfaces));
        return text_format("no camera model fits the device %04x:%04x '%s' with the interfaces %s; take it out, or describe its model in "
                           "%s", s->vid, s->pid, product, interfaces, d->manager->settings->local_models_dir);
}

static void descriptors_to_hex(const Docking *d, char *ret_hex, size_t size) {
        ret_hex[0] = 0;
        for (size_t i = 0; i < d->device->n_descriptors && (i + 1) * 2 < size; i++)
                snprintf(ret_hex + i * 2, 3, "%02x", d->device->descriptors[i]);
}

const Model *docking_match(const Docking *d, const HotplugDevice *device, UsbShape *ret_shape) {
        if (usb_shape_parse(device->descriptors, device->n_descriptors, ret_shape) < 0)
                *ret_shape = (UsbShape){ .problem = "it has no device descriptor" };
        return models_match(d->manager->models, ret_shape,
                            &(UsbWords){ device->usb_manufacturer, device->usb_product, device->usb_serial });
}

void docking_device_fact(const Docking *d, FactKind kind, Fact *ret) {
        *ret = docking_fact(d, kind, NULL);
        ret->usb.vid = d->shape.vid;
        ret->usb.pid = d->shape.pid;
        ret->usb.bcd_device = d->shape.bcd_device;
        ret->usb.usb_serial = d->device->usb_serial;
        ret->usb.usb_manufacturer = d->device->usb_manufacturer;
        ret->usb.usb_product = d->device->usb_product;
        ret->usb.descriptors_hex = "";
        ret->usb.model_id = d->model ? d->model->id : NULL;
        ret->usb.behind = d->behind;
}

static void recorded(Docking *d, Clip *clip, int result);

static void record(Docking *d) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        char hex[(HOTPLUG_DESCRIPTORS_MAX + 1) * 2 + 1];
        Fact fact;
        int r;

        d->model = docking_match(d, d->device, &d->shape);
        if (store_batch_new(&batch) < 0)
                return docking_trouble(d, -ENOMEM, "the docking cannot be recorded");
        if (d->model && !d->flash && !docking_flash_inherit(d) && models_is_update_mode(d->manager->models, d->model->id)) {
                d->stray_loader = true;
                d->model = NULL;
        }
        if (d->model && !d->behind && !d->flash) {
                r = docking_inherit(d);
                if (r < 0)
                        return docking_trouble(d, r, "a change of mode at this bay cannot be looked up in the database");
        }
        docking_device_fact(d, FACT_DOCKED, &fact);
        r = store_batch_add(batch, &fact);
        if (r >= 0 && d->behind) {
                docking_device_fact(d, FACT_RETURNED, &fact);
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0 && !d->model) {
                descriptors_to_hex(d, hex, sizeof(hex));
                set_reason(d, refusal(d));
                d->refused = true;
                fact.kind = FACT_REFUSED;
                fact.text = d->reason;
                fact.usb.descriptors_hex = hex;
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, recorded);
        if (r < 0)
                return docking_trouble(d, r, "the docking cannot be recorded");
        d->recording = true;
}

static void recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d)
                return;
        d->recording = false;
        if (result < 0) {
                /* A docking that is not on record does not go on; it is written again after the back-off. */
                docking_trouble(d, result, "the database cannot be written");
                return;
        }
        d->recorded = true;
        docking_flash_recorded(d);
        docking_kick(d);
}

int docking_new(Bay *bay, HotplugDevice *device, Docking **ret) {
        Manager *m = bay_manager(bay);
        Docking *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        d->manager = m;
        d->bay = bay;
        d->id = store_next_id(m->store, STORE_ID_DOCKING);
        d->docked_wall_usec = clock_wall_usec();
        d->incoming_fd = -EBADF;
        r = sd_event_add_defer(m->event, &d->decide, on_decide, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->decide, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(m->event, &d->wake, CLOCK_BOOTTIME, 0, USEC_PER_MSEC * 20, on_wake, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->wake, SD_EVENT_OFF);
        if (r < 0) {
                docking_end(d, NULL);
                return r;
        }
        d->device = device;
        *ret = d;
        docking_kick(d);
        return 0;
}

static void leave_clips(Docking *d) {
        Clip **clips = d->clips;
        size_t n = d->n_clips;

        d->clips = NULL;
        d->n_clips = 0;
        for (size_t i = 0; i < n; i++) {
                Clip *c = clips[i];

                c->docking = NULL;
                c->on_camera = c->erase_licensed = false;
                c->part_here = c->sampled = c->copied_here = c->verified_here = false;
                c->failures = c->unreadable = 0;
                c->salvaged = false; /* the database knows */
                c->erase_order = CLIP_NO_ORDER;
                c->leaving_unstored = false;
                if (c->state == CLIP_ERASING && !c->receipted)
                        clip_set_state(c, CLIP_COPIED, "its camera left while it was being erased by order");
                c->reread_at_usec = 0;
                clip_drop_blocks(c);
                clip_release(c);
        }
        free(clips);
}

Docking *docking_end(Docking *d, const char *reason) {
        if (!d)
                return NULL;
        docking_order_abort(d, reason ? reason : "the docking ended");
        docking_salvage_abort(d, reason ? reason : "the docking ended");
        if (reason && (d->device || d->away || d->resting || d->updating)) {
                Fact fact = docking_fact(d, FACT_UNDOCKED, NULL);
                LogAbout about = docking_about(d);
                bool early = d->camera && bay_state(d->bay) != BAY_READY && bay_state(d->bay) != BAY_SETTLED;

                record_interruption(d, reason);
                fact.end.stays = d->manager->stopping;
                fact.text = early ? text_format("%s while %s", reason, bay_state_to_string(bay_state(d->bay))) : strdup(reason);
                /* After what is still on its way to the disk: the store keeps the order. */
                if (d->recorded || d->recording)
                        (void) docking_commit_fact(d, &fact, NULL, NULL);
                log_full(early ? LOG_NOTICE : LOG_INFO, &about, "undocked: %s", fact.text ?: reason);
                free((char *) fact.text);
                docking_camera_left(d);
        }
        docking_flash_over(d);
        upload_pull_ended(d->current);
        d->worker = worker_free(d->worker);
        for (DockingPending *p = d->pending, *next; p; p = next) {
                next = p->next;
                p->docking = NULL;
                p->next = p->prev = NULL;
        }
        leave_clips(d);
        upload_pump(d->manager);
        fd_close(d->incoming_fd);
        if (d->incoming_fd >= 0)
                (void) spool_end_docking(d->manager->spool, d->id);
        if (d->camera && camera_bay(d->camera) == d->bay)
                camera_set_bay(d->camera, NULL);
        for (size_t i = 0; i < d->listing.n; i++)
                free(d->listing.clips[i].path);
        free(d->listing.clips);
        free(d->verify_blocks);
        free(d->format.found);
        free(d->reason);
        hotplug_device_free(d->device);
        sd_event_source_disable_unref(d->decide);
        sd_event_source_disable_unref(d->wake);
        free(d);
        return NULL;
}
