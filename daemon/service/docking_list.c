/* SPDX-License-Identifier: Apache-2.0 */

/* Listing: what is on the camera, and which of it is known. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

#define ROWS_A_READ 256u

/* A listed clip with its place among clips of equal path, size and time. */
typedef struct Seen {
        WorkerClip *clip;
        uint32_t ordinal;
        bool matched;
} Seen;

static int compare_key(const char *path_a, uint64_t size_a, int64_t mtime_a, const char *path_b, uint64_t size_b, int64_t mtime_b) {
        int r = strcmp(path_a, path_b);

        if (r != 0)
                return r;
        if (size_a != size_b)
                return size_a < size_b ? -1 : 1;
        return mtime_a < mtime_b ? -1 : mtime_a > mtime_b;
}

static int compare_seen(const void *a, const void *b) {
        const WorkerClip *x = ((const Seen *) a)->clip, *y = ((const Seen *) b)->clip;
        int r = compare_key(x->path, x->size_bytes, x->mtime_unix_sec, y->path, y->size_bytes, y->mtime_unix_sec);

        return r != 0 ? r : x->index < y->index ? -1 : x->index > y->index;
}

static int compare_row(const void *key, const void *element) {
        const ClipRow *row = key;
        const Seen *seen = element;
        int r = compare_key(row->path, row->size_bytes, row->mtime_unix_sec, seen->clip->path, seen->clip->size_bytes,
                            seen->clip->mtime_unix_sec);

        return r != 0 ? r : row->ordinal < seen->ordinal ? -1 : row->ordinal > seen->ordinal;
}

static int compare_index(const void *a, const void *b) {
        const Clip *x = *(Clip *const *) a, *y = *(Clip *const *) b;

        return x->index < y->index ? -1 : x->index > y->index;
}

static Seen *sort_listing(const Listing *l) {
        Seen *seen = calloc(MAX2(l->n, (size_t) 1), sizeof(*seen));

        if (!seen)
                return NULL;
        for (size_t i = 0; i < l->n; i++)
                seen[i].clip = &l->clips[i];
        qsort(seen, l->n, sizeof(*seen), compare_seen);
        for (size_t i = 1; i < l->n; i++) {
                const WorkerClip *a = seen[i - 1].clip, *b = seen[i].clip;

                if (compare_key(a->path, a->size_bytes, a->mtime_unix_sec, b->path, b->size_bytes, b->mtime_unix_sec) == 0)
                        seen[i].ordinal = seen[i - 1].ordinal + 1;
        }
        return seen;
}

static void free_listing(Listing *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->clips[i].path);
        free(l->clips);
        *l = (Listing){};
}

/* Puts a clip into the docking. One that it holds already (the session began anew) only gets its new index. */
static int attach(Docking *d, Clip *c, const WorkerClip *listed) {
        Clip **grown;

        c->index = listed->index;
        c->on_camera = true;
        if (c->docking == d)
                return 0;
        grown = reallocarray(d->clips, d->n_clips + 1, sizeof(Clip *));
        if (!grown)
                return -ENOMEM;
        d->clips = grown;
        d->clips[d->n_clips++] = c;
        c->docking = d;
        return 0;
}

/* A row that the camera lists no more: was it ours to delete, was it never copied, or did somebody else? */
static int row_is_gone(Docking *d, const ClipRow *row, StoreBatch *batch) {
        Fact fact = docking_fact(d, _FACT_KIND_INVALID, NULL);
        Clip *known = manager_clip(d->manager, row->id);

        fact.clip_id = row->id;
        if (row->state == CLIP_ERASING) {
                fact.kind = FACT_ERASED;
                fact.text = "the erase had begun before, and the camera lists the clip no more";
        } else if (row->state == CLIP_SEEN || row->state == CLIP_COPYING) {
                fact.kind = FACT_CLIP_LOST;
                fact.text = "the camera lists the clip no more, and it was not copied whole";
        } else
                return 0;
        if (known)
                clip_set_state(known, fact.kind == FACT_ERASED ? CLIP_ERASED : CLIP_LOST, NULL);
        return store_batch_add(batch, &fact);
}

static int match_rows(Docking *d, Seen *seen, size_t n, StoreBatch *batch) {
        uint64_t after = 0;

        for (;;) {
                ClipRow **rows;
                size_t n_rows;
                int r;

                r = store_clips_on_camera(d->manager->store, camera_id(d->camera), after, ROWS_A_READ, &rows, &n_rows);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n_rows && r >= 0; i++) {
                        Seen *hit = bsearch(rows[i], seen, n, sizeof(*seen), compare_row);
                        Clip *c;

                        after = rows[i]->id;
                        /* Of two rows for one listed clip the newer counts; the older is of content that was replaced. */
                        if (!hit) {
                                r = row_is_gone(d, rows[i], batch);
                                continue;
                        }
                        r = clip_from_row(d->manager, rows[i], &c);
                        if (r < 0)
                                break;
                        if (hit->matched)
                                docking_detach_index(d, hit->clip->index);
                        hit->matched = true;
                        r = attach(d, c, hit->clip);
                }
                clip_rows_free(rows, n_rows);
                if (r < 0)
                        return r;
                if (n_rows < ROWS_A_READ)
                        return 0;
        }
}

void docking_detach_index(Docking *d, uint32_t index) {
        for (size_t i = 0; i < d->n_clips; i++) {
                Clip *c = d->clips[i];

                if (!c->on_camera || c->index != index)
                        continue;
                c->docking = NULL;
                c->on_camera = false;
                clip_drop_blocks(c);
                d->clips[i] = d->clips[--d->n_clips];
                clip_release(c);
                return;
        }
}

int docking_new_clip(Docking *d, const char *path, uint64_t size_bytes, int64_t mtime_unix_sec, uint32_t ordinal, uint32_t flags,
                     uint32_t index, StoreBatch *batch) {
        const WorkerClip listed = { .index = index };
        Clip *c;
        Fact fact;
        int r;

        r = clip_new(d->manager, camera_id(d->camera), camera_serial(d->camera), path, size_bytes, mtime_unix_sec, ordinal, flags,
                     &c);
        if (r < 0)
                return r;
        r = attach(d, c, &listed);
        if (r < 0) {
                clip_free(c);
                return r;
        }
        fact = docking_fact(d, FACT_CLIP_SEEN, c);
        fact.clip.path = c->path;
        fact.clip.size_bytes = c->size_bytes;
        fact.clip.mtime_unix_sec = c->mtime_unix_sec;
        fact.clip.ordinal = c->ordinal;
        fact.clip.flags = c->flags;
        return store_batch_add(batch, &fact);
}

static void listing_recorded(Docking *d, Clip *clip, int result) {
        (void) clip;
        if (!d || !d->worker)
                return;
        if (result < 0)
                return docking_trouble(d, result, "the database cannot be written");
        d->listed = true;
        docking_step_done(d);
}

static void listing_complete(Docking *d) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        _cleanup_(freep) Seen *seen = sort_listing(&d->listing);
        LogAbout about = docking_about(d);
        int r = 0;

        if (!seen || store_batch_new(&batch) < 0)
                return docking_trouble(d, -ENOMEM, "the camera's clips cannot be held in memory");
        for (size_t i = 0; i < d->n_clips; i++)
                d->clips[i]->on_camera = false;
        r = match_rows(d, seen, d->listing.n, batch);
        for (size_t i = 0; i < d->listing.n && r >= 0; i++)
                if (!seen[i].matched) {
                        const WorkerClip *l = seen[i].clip;

                        r = docking_new_clip(d, l->path, l->size_bytes, l->mtime_unix_sec, seen[i].ordinal, l->flags, l->index, batch);
                }
        if (r < 0)
                return docking_trouble(d, r, "the camera's clips cannot be looked up or recorded");
        if (d->n_clips > 0)
                qsort(d->clips, d->n_clips, sizeof(Clip *), compare_index);
        log_info(&about, "%zu clips on the camera, %zu other files left alone", d->listing.n, d->listing.skipped);
        d->others_left = d->listing.skipped;
        free_listing(&d->listing);
        r = docking_commit(d, TAKE_PTR(batch), NULL, listing_recorded);
        if (r < 0)
                docking_trouble(d, r, "the camera's clips cannot be recorded");
}

static void page_known(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more);

static void ask_page(Docking *d, uint32_t first) {
        int r;

        r = worker_list(d->worker, first, page_known);
        if (r < 0)
                docking_trouble(d, r, "the worker cannot be called");
}

static int take_clip(Docking *d, const WorkerClip *c) {
        ModelFile is = model_file(d->model, c->path);
        Listing *l = &d->listing;
        WorkerClip *grown;

        if (is == MODEL_FILE_NONE) {
                l->skipped++;
                return 0;
        }
        grown = reallocarray(l->clips, l->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        l->clips = grown;
        grown[l->n] = *c;
        grown[l->n].path = strdup(c->path);
        if (!grown[l->n].path)
                return -ENOMEM;
        grown[l->n].flags |= is == MODEL_FILE_PRIORITY ? CLIP_FLAG_PRIORITY : is == MODEL_FILE_COMPANION ? CLIP_FLAG_COMPANION : 0;
        l->n++;
        return 0;
}

static void page_known(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more) {
        Docking *d = userdata;
        int r;

        if (result != WORKER_OK)
                return docking_fault(d, result, text);
        for (size_t i = 0; i < n; i++) {
                r = take_clip(d, &clips[i]);
                if (r < 0)
                        return docking_trouble(d, r, "the camera's clips cannot be held in memory");
        }
        if (more && n > 0)
                return ask_page(d, clips[n - 1].index + 1);
        listing_complete(d);
}

void docking_list(Docking *d) {
        d->busy = true;
        free_listing(&d->listing);
        ask_page(d, 0);
}
