/* SPDX-License-Identifier: Apache-2.0 */
#include "service/clip.h"

#include <errno.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "service/docking.h"
#include "service/manager_private.h"

static size_t blocks_of(uint64_t size_bytes) {
        return (size_t) (size_bytes / WIRE_BLOCK_SIZE + (size_bytes % WIRE_BLOCK_SIZE != 0));
}

Clip *manager_clip(Manager *m, uint64_t id) {
        for (Clip *c = m->clips[id % CLIP_BUCKETS]; c; c = c->next_in_hash)
                if (c->id == id)
                        return c;
        return NULL;
}

Clip *clip_free(Clip *c) {
        if (!c)
                return NULL;
        upload_forget(c);
        upload_going(c, false);
        for (Clip **p = &c->manager->clips[c->id % CLIP_BUCKETS]; *p; p = &(*p)->next_in_hash)
                if (*p == c) {
                        *p = c->next_in_hash;
                        break;
                }
        free(c->serial);
        free(c->path);
        free(c->reason);
        free(c->blocks);
        free(c->spool_name);
        free(c->kept_as);
        free(c->object_key);
        free(c->manifest_key);
        free(c->strength);
        free(c->held_for);
        free(c->not_believed);
        upload_vouch_free(c->vouch);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Clip, clip_free);

void clip_release(Clip *c) {
        if (c && !c->docking && !c->queued && !c->uploading && !c->grow.under_way && c->pending == 0)
                clip_free(c);
}

static int copy_string(char **field, const char *value) {
        if (!value)
                return 0;
        *field = strdup(value);
        return *field ? 0 : -ENOMEM;
}

static Clip *clip_link(Manager *m, uint64_t id) {
        Clip *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->manager = m;
        c->id = id;
        c->container = CONTAINER_OF_NOTHING;
        c->next_in_hash = m->clips[id % CLIP_BUCKETS];
        m->clips[id % CLIP_BUCKETS] = c;
        return c;
}

int clip_from_row(Manager *m, const ClipRow *row, Clip **ret) {
        _cleanup_(clip_freep) Clip *c = NULL;

        *ret = manager_clip(m, row->id);
        if (*ret)
                return 0;
        c = clip_link(m, row->id);
        if (!c)
                return -ENOMEM;
        if (copy_string(&c->serial, row->serial) < 0 || copy_string(&c->path, row->path) < 0 ||
            copy_string(&c->reason, row->reason) < 0 || copy_string(&c->spool_name, row->spool_name) < 0 ||
            copy_string(&c->object_key, row->object_key) < 0 || copy_string(&c->manifest_key, row->manifest_key) < 0 ||
            copy_string(&c->strength, row->strength) < 0)
                return -ENOMEM;
        c->camera_id = row->camera_id;
        c->size_bytes = row->size_bytes;
        c->mtime_unix_sec = row->mtime_unix_sec;
        c->ordinal = row->ordinal;
        c->flags = row->flags;
        c->urgent = row->urgent;
        c->seen_unix_sec = row->seen_usec / (int64_t) USEC_PER_SEC;
        c->state = row->state;
        c->part_docking_id = row->part_docking_id;
        c->n_blocks = blocks_of(row->size_bytes);
        c->digest = row->digest;
        c->head = row->head;
        c->tail = row->tail;
        c->receipted = row->object_key != NULL;
        c->receipt_accepted = c->receipted && manager_accepts(m, row->strength);
        c->receipt_digest = row->receipt_digest;
        c->container = row->container;
        c->partial_of = row->partial_of;
        c->salvaged = row->salvaged;
        c->receipted_usec = row->receipted_usec;
        c->receipted_running_usec = row->receipted_running_usec;
        hold_look_up(c);
        *ret = TAKE_PTR(c);
        return 0;
}

int clip_new(Manager *m, uint64_t camera_id, const char *serial, const char *path, uint64_t size_bytes, int64_t mtime_unix_sec,
             uint32_t ordinal, uint32_t flags, Clip **ret) {
        _cleanup_(clip_freep) Clip *c = NULL;

        c = clip_link(m, store_next_id(m->store, STORE_ID_CLIP));
        if (!c)
                return -ENOMEM;
        if (copy_string(&c->serial, serial) < 0 || copy_string(&c->path, path) < 0)
                return -ENOMEM;
        c->camera_id = camera_id;
        c->size_bytes = size_bytes;
        c->mtime_unix_sec = mtime_unix_sec;
        c->ordinal = ordinal;
        c->flags = flags;
        c->seen_unix_sec = clock_wall_usec() / (int64_t) USEC_PER_SEC;
        c->state = CLIP_SEEN;
        c->n_blocks = blocks_of(size_bytes);
        hold_look_up(c);
        *ret = TAKE_PTR(c);
        return 0;
}

void clip_set_state(Clip *c, ClipState state, const char *reason) {
        char *copy = reason ? strdup(reason) : NULL;

        free(c->reason);
        c->reason = copy;
        if (c->state != state) {
                log_debug(&(LogAbout){ .camera = c->serial, .clip = c->path }, "%s -> %s%s%s", clip_state_to_string(c->state),
                          clip_state_to_string(state), reason ? ": " : "", reason ?: "");
                c->state = state;
        }
        if (c->docking)
                bay_changed(c->docking->bay);
}

int clip_set_size(Clip *c, uint64_t size_bytes) {
        size_t n = blocks_of(size_bytes);
        ClipBlock *grown;

        if (c->blocks && n > 0) {
                grown = reallocarray(c->blocks, n, sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                for (size_t i = c->n_blocks; i < n; i++)
                        grown[i] = (ClipBlock){};
                c->blocks = grown;
        }
        c->size_bytes = size_bytes;
        c->n_blocks = n;
        return 0;
}

static int need_blocks(Clip *c, size_t n) {
        ClipBlock *grown;

        if (n > WIRE_BLOCKS_MAX)
                return -EFBIG;
        if (c->blocks && n <= c->n_blocks)
                return 0;
        n = MAX2(n, c->n_blocks);
        grown = reallocarray(c->blocks, MAX2(n, (size_t) 1), sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        for (size_t i = c->blocks ? c->n_blocks : 0; i < n; i++)
                grown[i] = (ClipBlock){};
        c->blocks = grown;
        c->n_blocks = n;
        return 0;
}

int clip_note_block(Clip *c, uint32_t number, uint32_t length, const Digest *digest) {
        ClipBlock *b;
        int r;

        r = need_blocks(c, (size_t) number + 1);
        if (r < 0)
                return r;
        b = &c->blocks[number];
        if (!b->read_here)
                c->n_read_here++;
        *b = (ClipBlock){ .digest = *digest, .length = length, .known = true, .read_here = true };
        return 0;
}

int clip_load_blocks(Clip *c) {
        _cleanup_(freep) BlockRow *rows = NULL;
        size_t n;
        int r;

        r = store_blocks(c->manager->store, c->id, &rows, &n);
        if (r < 0)
                return r;
        clip_drop_blocks(c);
        r = need_blocks(c, n > 0 ? (size_t) rows[n - 1].number + 1 : 0);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                bool here = c->docking && rows[i].docking_id == c->docking->id;

                c->blocks[rows[i].number] =
                                (ClipBlock){ .digest = rows[i].digest, .length = rows[i].length, .known = true, .read_here = here };
                c->n_read_here += here;
        }
        return 0;
}

void clip_drop_blocks(Clip *c) {
        free(c->blocks);
        c->blocks = NULL;
        c->n_read_here = 0;
}

uint32_t clip_kept_blocks(const Clip *c) {
        uint32_t n = 0;

        if (!c->blocks)
                return 0;
        while (n < c->n_blocks && c->blocks[n].known && c->blocks[n].length == WIRE_BLOCK_SIZE)
                n++;
        /* The last, shorter block would have ended the clip: it is read again. A clip of whole blocks keeps one to read. */
        return n == c->n_blocks && n > 0 ? n - 1 : n;
}

bool clip_ends_with(const Clip *c, const Digest *digest) {
        const ClipBlock *last = c->blocks ? &c->blocks[c->n_blocks - 1] : NULL;

        return last && last->known && digest_equal(&last->digest, digest);
}

ErasePolicy clip_erase_policy(const Clip *c) {
        const Model *model = c->docking ? c->docking->model : NULL;
        ErasePolicy of_model = { .mode = ERASE_AFTER_RECEIPT };

        if (model && model->erase == MODEL_ERASE_NEVER)
                of_model.mode = ERASE_NEVER;
        else if (model && model->erase == MODEL_ERASE_BY_HAND)
                of_model.mode = ERASE_BY_HAND;
        else if (model && model->erase == MODEL_ERASE_AFTER)
                of_model = (ErasePolicy){ .mode = ERASE_AFTER_TIME, .after_usec = model->erase_after_usec };
        return erase_policy_join(c->manager->settings->erase, of_model);
}

static bool policy_allows(const Clip *c, uint64_t *ret_wait_usec) {
        const EraseFacts facts = {
                .policy = clip_erase_policy(c),
                .ordered = c->erase_order != CLIP_NO_ORDER,
                .receipted = c->receipted && c->receipt_accepted,
                .receipted_wall_usec = c->receipted_usec,
                .receipted_running_usec = c->receipted_running_usec,
        };

        return erase_policy_allows(&facts, &c->manager->clock_facts, ret_wait_usec);
}

uint64_t clip_policy_at(const Clip *c, uint64_t now_usec) {
        uint64_t wait;

        return c->on_camera && !policy_allows(c, &wait) && wait > 0 ? now_usec + wait : 0;
}

void clip_facts(const Clip *c, ClipFacts *ret) {
        uint64_t wait;


        *ret = (ClipFacts){
                .on_camera = c->on_camera,
                .copied = c->state == CLIP_COPIED || c->state == CLIP_UPLOADING || c->state == CLIP_RECEIPTED ||
                          c->state == CLIP_ERASING,
                .conflict = c->state == CLIP_CONFLICT,
                .protected_by_camera = (c->flags & BERTH_CLIP_PROTECTED) != 0,
                .receipted = c->receipted,
                .receipt_accepted = c->receipt_accepted,
                /* An empty clip has no block to read; that it was there, and empty, must be known of this docking all the same. */
                .blocks = MAX2(c->n_blocks, (size_t) 1),
                .blocks_read_here = c->n_blocks > 0 ? c->n_read_here : c->copied_here || c->verified_here,
                .erase_allowed = proof_allows_erase(c->manager) && policy_allows(c, &wait),
                .unstored_ordered = c->erase_order == CLIP_ORDERED_UNSTORED,
                .uploading = c->uploading || c->vouch,
                .failures = c->failures,
                .unreadable = c->unreadable,
                .held = c->held,
                .salvaged = c->salvaged,
                .medium_fails = c->docking && c->docking->unreadable >= CLIP_MEDIUM_FAILS,
        };
}

ClipNeed clip_need(const Clip *c) {
        ClipFacts facts;

        clip_facts(c, &facts);
        return clip_next(&facts);
}
