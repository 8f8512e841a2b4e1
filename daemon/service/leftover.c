/* SPDX-License-Identifier: Apache-2.0 */
#include "service/leftover.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/wire_import.h"
#include "service/manager_private.h"

typedef struct Leftover {
        Manager *manager;
        uint64_t clip_id;
        char name[SPOOL_NAME_SIZE + sizeof("parts/")], kept[SPOOL_NAME_SIZE];
        const char *why; /* it is kept; else it goes */
        bool removed;
} Leftover;

static void moved(int result, void *userdata) {
        Leftover *l = userdata;

        if (result < 0)
                log_error(NULL, "%s cannot be %s: %s; the next start tries again", l->name, l->removed ? "removed" : "moved to kept/",
                          strerror(-result));
        else if (!l->removed)
                kept_look(l->manager->kept);
        free(l);
}

static void recorded(int result, void *userdata) {
        Leftover *l = userdata;
        Spool *spool = l->manager->spool;

        /* When the daemon ends, the spool is closed by now; the next start looks again. */
        if (result >= 0)
                result = !spool       ? -ESHUTDOWN :
                         l->removed ? spool_remove_part(spool, l->clip_id, moved, l) :
                                      spool_keep_part(spool, l->clip_id, l->kept, moved, l);
        if (result < 0)
                moved(result, l);
}

/* NULL: it is gone on with when its camera comes again. */
static const char *why_left(const ClipRow *row) {
        if (!row)
                return "no clip of its number is on record";
        if (row->state == CLIP_SEEN || row->state == CLIP_COPYING)
                return NULL;
        if (row->state == CLIP_LOST)
                return "its camera lists the clip no more, and this is what was pulled of it";
        return "the clip was pulled afresh, and is whole by now";
}

static void record(Leftover *l, const char *why) {
        Fact fact = { .kind = l->removed ? FACT_PART_REMOVED : FACT_FILE_KEPT, .clip_id = l->clip_id, .text = why };
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        int r;

        r = store_clip(l->manager->store, l->clip_id, &row);
        if (r == -ENOENT)
                fact.clip_id = 0;
        else if (r >= 0)
                fact.camera_id = row->camera_id;
        /* Meanwhile it may be pulled again: then a part is wanted. */
        if (r >= 0 && !why_left(row))
                return free(l);
        fact.file.name = l->name;
        if (!l->removed) {
                spool_name_for_kept(l->manager->spool, l->clip_id, 0, l->kept);
                fact.file.kept = l->kept;
        }
        log_notice(NULL, "%s is %s: %s", l->name, l->removed ? "removed" : "moved to kept/", why);
        manager_moment(l->manager, &fact.at);
        if (r >= 0 || r == -ENOENT)
                r = store_put(l->manager->store, &fact, recorded, l);
        if (r < 0)
                moved(r, l);
}

/* 1: something in it is not in the clip's whole copy, or there is none. */
static void compared(int result, void *userdata) {
        Leftover *l = userdata;

        /* There is none, as almost always. */
        if (result == -ENOENT)
                return free(l);
        if (result < 0 || l->manager->stopping)
                return moved(result < 0 ? result : -ESHUTDOWN, l);
        l->removed = result == 0;
        record(l, l->removed ? "all of its bytes are in the clip's whole copy" : l->why);
}

/* What may go without a look at its bytes: they are where nobody erases them. */
static const char *why_elsewhere(const ClipRow *row) {
        if (row && row->state == CLIP_LOST && strncmp(row->serial, IMPORT_SERIAL_PREFIX, strlen(IMPORT_SERIAL_PREFIX)) == 0)
                return "its import did not come to its end; the folder has the file";
        if (row && row->state == CLIP_LOST && row->partial_of != 0)
                return "it is a copy around what cannot be read that was begun again; the camera has the clip, and nothing erases it";
        return NULL;
}

static int look_at(void *userdata, uint64_t clip_id, const char *name) {
        _cleanup_(clip_row_freep) ClipRow *row = NULL;
        _cleanup_(freep) Leftover *l = NULL;
        Manager *m = userdata;
        const char *why, *elsewhere;
        int r;

        r = store_clip(m->store, clip_id, &row);
        if (r < 0 && r != -ENOENT)
                return r;
        why = why_left(row);
        if (!why)
                return 0;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        *l = (Leftover){ .manager = m, .clip_id = clip_id, .why = why };
        (void) snprintf(l->name, sizeof(l->name), "parts/%s", name);
        elsewhere = why_elsewhere(row);
        l->removed = elsewhere != NULL;
        if (elsewhere) {
                record(TAKE_PTR(l), elsewhere);
                return 0;
        }
        r = spool_compare_part(m->spool, clip_id, compared, l);
        if (r >= 0)
                (void) TAKE_PTR(l);
        return r;
}

void leftover_look(Manager *m, uint64_t clip_id) {
        char name[SPOOL_NAME_SIZE];

        spool_part_name_of(clip_id, name);
        if (!m->stopping && look_at(m, clip_id, name) < 0)
                log_error(NULL, "parts/%s cannot be looked at; the next start tries again", name);
}

int leftover_sweep(Manager *m) {
        return spool_each_part(m->spool, look_at, m);
}
