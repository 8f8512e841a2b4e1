/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Erasing all clips of a camera at once, where its model asks for that: under the same license as clip by clip, for every one
 * of them or for none. A fresh worker must list exactly those clips, and the first block and the end of each must be what was read,
 * before it formats. Whatever stands in the way: then clip by clip.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define CONFIRMATIONS_AT_ONCE 16u
#define CAMERA_FLAGS (BERTH_CLIP_SIZE_UNKNOWN | BERTH_CLIP_PROTECTED)
#define ASK_AGAIN_USEC (5 * USEC_PER_SEC)
/* With more clips than that, comparing the listings would hold up the loop. */
#define FORMAT_CLIPS_MAX 4096u
#define EJECTED "the camera is to be taken out"

static void confirm_more(Docking *d);
static void look_at_next(Docking *d);
static void ask_page(Docking *d, uint32_t first);

bool docking_formats(const Docking *d) {
        if (!d->model || d->model->erase != MODEL_ERASE_FORMAT || d->format.refused || d->others_left || d->n_clips > FORMAT_CLIPS_MAX)
                return false;
        /* Nothing else may be on it. */
        for (size_t i = 0; i < d->n_clips; i++) {
                const Clip *c = d->clips[i];

                if (c->on_camera && (clip_need(c) != CLIP_NEED_ERASE || !c->receipt_accepted || c->pending > 0 ||
                                     (c->n_blocks > 0 && !c->blocks)))
                        return false;
        }
        return true;
}

/* ---- What stands in the way ---------------------------------------------------------------------------------------- */

/* Nothing was formatted, and the clips are licensed no more: now one by one, where each has its own reason. */
static void not_formatted(Docking *d, const char *text) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        LogAbout about = docking_about(d);
        int r;

        log_warning(&about, "Not formatted: %s; its clips are erased one by one", text);
        d->format.refused = true;
        d->current = NULL;
        r = store_batch_new(&batch);
        for (size_t i = 0; i < d->n_clips && r >= 0; i++) {
                Fact fact = docking_fact(d, FACT_ERASE_FAILED, d->clips[i]);

                if (!d->clips[i]->erase_licensed)
                        continue;
                d->clips[i]->erase_licensed = false;
                clip_set_state(d->clips[i], CLIP_RECEIPTED, NULL);
                fact.text = text;
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, NULL);
        if (r < 0)
                return docking_trouble(d, r, "that the camera was not formatted cannot be recorded");
        docking_step_done(d);
}

static void later(Docking *d) {
        d->erase_not_before_usec = clock_boottime_usec() + ASK_AGAIN_USEC;
        docking_step_done(d);
}

/* ---- Formatting ---------------------------------------------------------------------------------------------------- */

static void all_erased(Docking *d) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        int r;

        r = store_batch_new(&batch);
        for (size_t i = 0; i < d->n_clips && r >= 0; i++) {
                Fact fact = docking_fact(d, FACT_ERASED, d->clips[i]);

                if (!d->clips[i]->erase_licensed)
                        continue;
                d->clips[i]->erase_licensed = d->clips[i]->on_camera = false;
                clip_set_state(d->clips[i], CLIP_ERASED, NULL);
                fact.text = "the camera was formatted";
                r = store_batch_add(batch, &fact);
        }
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, NULL);
        if (r < 0)
                return docking_trouble(d, r, "that the camera was formatted cannot be recorded");
        d->faults_in_row = 0;
        log_info(&(LogAbout){ .bay = bay_name(d->bay), .camera = camera_serial(d->camera), .message = MESSAGE_CLIP_ERASED },
                 "Formatted: all its clips are erased");
        docking_step_done(d);
}

static void formatted(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result == WORKER_DENIED || result == WORKER_UNSUPPORTED)
                return not_formatted(d, text);
        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        /* Its word is not enough. */
        d->format.done = true;
        ask_page(d, 0);
}

static void format_now(Docking *d) {
        d->current = NULL;
        if (worker_format(d->worker, formatted) < 0)
                docking_trouble(d, -EIO, "the worker cannot be called");
}

/* ---- Is it what was read? ------------------------------------------------------------------------------------------ */

static void looked_at(void *userdata, WorkerResult result, const char *text, const WorkerSample *samples) {
        Docking *d = userdata;
        const Clip *c = d->current;
        bool same = result == WORKER_OK && digest_equal(&samples[0].camera, &c->blocks[0].digest) &&
                    digest_equal(&samples[1].camera, &c->tail);

        if (result != WORKER_OK && result != WORKER_CHANGED && result != WORKER_GONE)
                return docking_fault(d, result, text);
        if (!same)
                return not_formatted(d, "a clip on the camera is not the one that was read");
        look_at_next(d);
}

static void look_at_next(Docking *d) {
        ByteRange places[2];
        uint64_t edge;
        Clip *c;

        if (d->handed_out)
                return not_formatted(d, EJECTED);
        while (d->format.at < d->n_clips && (!d->clips[d->format.at]->erase_licensed || d->clips[d->format.at]->n_blocks == 0))
                d->format.at++;
        if (d->format.at == d->n_clips)
                return format_now(d);
        c = d->current = d->clips[d->format.at++];
        edge = MIN2(c->size_bytes, WIRE_EDGE_SIZE);
        places[0] = (ByteRange){ .length = c->blocks[0].length };
        places[1] = (ByteRange){ .offset = c->size_bytes - edge, .length = edge };
        /* Whose listing tells no size must not have more behind its end. */
        if (c->flags & BERTH_CLIP_SIZE_UNKNOWN)
                places[1].length++;
        d->pull_offset = d->current_bytes = 0;
        if (worker_sample(d->worker, c->index, NULL, places, 2, looked_at) < 0)
                docking_trouble(d, -EIO, "the worker cannot be called");
}

/* The licensed clip that is listed so, and was not found before. */
static Clip *find_licensed(Docking *d, const WorkerClip *listed) {
        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];

                if (c->erase_licensed && !d->format.found[i] && c->size_bytes == listed->size_bytes &&
                    c->mtime_unix_sec == listed->mtime_unix_sec && ((c->flags ^ listed->flags) & CAMERA_FLAGS) == 0 &&
                    text_equal(c->path, listed->path)) {
                        d->format.found[i] = true;
                        d->format.n_found++;
                        return c;
                }
        }
        return NULL;
}

static size_t count_licensed(const Docking *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_clips; i++)
                n += d->clips[i]->erase_licensed;
        return n;
}

static void page_known(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more) {
        Docking *d = userdata;

        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        if (d->format.done)
                return n > 0 ? not_formatted(d, "the camera says that it formatted its storage, and still lists files") : all_erased(d);
        for (size_t i = 0; i < n; i++) {
                Clip *c = find_licensed(d, &clips[i]);

                if (!c)
                        return not_formatted(d, "the camera lists a file that no receipt covers");
                c->index = clips[i].index;
        }
        if (more && n > 0)
                return ask_page(d, clips[n - 1].index + 1);
        if (d->format.n_found != count_licensed(d))
                return not_formatted(d, "the camera does not list all of its clips any more");
        d->format.at = 0;
        look_at_next(d);
}

static void ask_page(Docking *d, uint32_t first) {
        if (worker_list(d->worker, first, page_known) < 0)
                docking_trouble(d, -EIO, "the worker cannot be called");
}

static void opened(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        free(d->format.found);
        d->format.found = calloc(MAX2(d->n_clips, (size_t) 1), sizeof(bool));
        d->format.n_found = 0;
        d->format.done = false;
        if (!d->format.found)
                return docking_trouble(d, -ENOMEM, "the camera's clips cannot be held in memory");
        ask_page(d, 0);
}

static void start_worker(void *userdata, WorkerResult result, const char *text) {
        Docking *d = userdata;

        (void) result;
        (void) text;
        d->worker = worker_free(d->worker);
        if (d->handed_out)
                return not_formatted(d, EJECTED);
        if (docking_spawn(d, opened) >= 0)
                d->worker_erases = true;
}

/* ---- License ------------------------------------------------------------------------------------------------------- */

static void gate_answered(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d)
                return;
        if (result == -EKEYREJECTED)
                return not_formatted(d, store_last_refusal(d->manager->store));
        if (result < 0)
                return later(d);
        for (size_t i = 0; i < d->n_clips; i++)
                if (d->clips[i]->on_camera) {
                        d->clips[i]->erase_licensed = true;
                        clip_set_state(d->clips[i], CLIP_ERASING, NULL);
                }
        if (!d->worker || worker_close(d->worker, start_worker) < 0)
                start_worker(d, WORKER_OK, NULL);
}

/* One batch: the store begins the erase of all of them, or of none. */
static void ask_gate(Docking *d) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        int r;

        r = store_batch_new(&batch);
        for (size_t i = 0; i < d->n_clips && r >= 0; i++) {
                Fact fact = docking_fact(d, FACT_ERASE_BEGUN, d->clips[i]);

                fact.text = d->manager->settings->accept;
                if (d->clips[i]->on_camera)
                        r = store_batch_add(batch, &fact);
        }
        if (r >= 0)
                r = docking_commit(d, TAKE_PTR(batch), NULL, gate_answered);
        if (r < 0)
                later(d);
}

static void confirmed(Docking *d, Clip *c, int result) {
        if (!d)
                return;
        d->erase_waits--;
        if (result == -ENOENT)
                docking_receipt_is_void(d, c);
        d->format.failed |= result < 0;
        if (d->erase_waits > 0)
                return;
        if (d->format.failed || d->handed_out)
                return later(d);
        confirm_more(d);
}

static void confirm_more(Docking *d) {
        /* Counts as one wait itself, so that an answer that comes at once does not end the round before it was begun. */
        d->erase_waits = 1;
        for (unsigned asked = 0; d->format.at < d->n_clips && asked < CONFIRMATIONS_AT_ONCE; d->format.at++) {
                Clip *c = d->clips[d->format.at];

                if (!c->on_camera)
                        continue;
                asked++;
                d->format.any = true;
                if (docking_confirm_receipt(d, c, confirmed) < 0)
                        d->format.failed = true;
        }
        if (--d->erase_waits > 0)
                return;
        if (d->format.failed || !d->format.any)
                return later(d);
        if (d->format.at < d->n_clips)
                return confirm_more(d);
        ask_gate(d);
}

void docking_format(Docking *d) {
        d->busy = true;
        d->format.at = 0;
        d->format.failed = d->format.any = false;
        confirm_more(d);
}
