/* SPDX-License-Identifier: Apache-2.0 */

/*
 * org.berth.Dock1.Transfers and org.berth.Dock1.Transfer: see their XML files. What is under way is looked at four times a second at most:
 * of thousands of small clips most come and go between two looks, and nobody is told of each.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "bus/bus_private.h"
#include "bus/transfer_methods.h"
#include "bus/view.h"
#include "service/clip.h"

#define TRANSFER_PATH_SIZE 64u
/* A rate is that of so long, and falls when nothing is told of any more. */
#define RATE_USEC USEC_PER_SEC

/* ---- One ------------------------------------------------------------------------------------------------------------- */

typedef struct TransferView {
        uint64_t clip_id, size_bytes, stored_bytes, bytes_per_sec;
        char *serial, *path, *reason;
        int64_t begun_usec;
        int urgent, while_pulled;
} TransferView;

typedef struct BusTransfer BusTransfer;
struct BusTransfer {
        BusTransfer *next;
        char path[TRANSFER_PATH_SIZE];
        sd_bus_slot *slot;
        TransferView view;
        uint64_t rate_usec, rate_bytes; /* when its rate was last looked at, and how far it was */
        bool seen;                      /* in this look */
};

#define TRANSFER(name, type, kind, member)                                                                        \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusTransfer, view) + offsetof(TransferView, member), SD_BUS_VTABLE_PROPERTY_##kind)

static const sd_bus_vtable transfer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        TRANSFER("ClipId", "t", CONST, clip_id),
        TRANSFER("Serial", "s", CONST, serial),
        TRANSFER("Path", "s", CONST, path),
        TRANSFER("BegunUsec", "x", EMITS_CHANGE, begun_usec),
        TRANSFER("SizeBytes", "t", EMITS_CHANGE, size_bytes),
        TRANSFER("StoredBytes", "t", EMITS_CHANGE, stored_bytes),
        TRANSFER("BytesPerSec", "t", EMITS_CHANGE, bytes_per_sec),
        TRANSFER("WhilePulled", "b", EMITS_CHANGE, while_pulled),
        TRANSFER("Urgent", "b", EMITS_CHANGE, urgent),
        TRANSFER("Reason", "s", EMITS_CHANGE, reason),
        SD_BUS_VTABLE_END,
};

static const ViewMember transfer_members[] = {
        { "ClipId", VIEW_U64, offsetof(TransferView, clip_id) },
        { "Serial", VIEW_TEXT, offsetof(TransferView, serial) },
        { "Path", VIEW_TEXT, offsetof(TransferView, path) },
        { "BegunUsec", VIEW_I64, offsetof(TransferView, begun_usec) },
        { "SizeBytes", VIEW_U64, offsetof(TransferView, size_bytes) },
        { "StoredBytes", VIEW_U64, offsetof(TransferView, stored_bytes) },
        { "BytesPerSec", VIEW_U64, offsetof(TransferView, bytes_per_sec) },
        { "WhilePulled", VIEW_BOOL, offsetof(TransferView, while_pulled) },
        { "Urgent", VIEW_BOOL, offsetof(TransferView, urgent) },
        { "Reason", VIEW_TEXT, offsetof(TransferView, reason) },
};

static BusTransfer *transfer_free(BusTransfer *t) {
        if (!t)
                return NULL;
        sd_bus_slot_unref(t->slot);
        view_clear(transfer_members, ELEMENTSOF(transfer_members), &t->view);
        free(t);
        return NULL;
}
DEFINE_CLEANUP(BusTransfer, transfer_free);

static int transfer_connect(const Bus *b, BusTransfer *t) {
        return b->bus ? sd_bus_add_object_vtable(b->bus, &t->slot, t->path, BUS_TRANSFER_INTERFACE, transfer_vtable, t) : 0;
}

/* What the store has of it may be less after a failure: it is gone on with from there. */
static uint64_t rate_of(BusTransfer *t, const Clip *c, uint64_t now_usec) {
        uint64_t passed = now_usec - t->rate_usec, bytes;

        if (t->rate_usec != 0 && passed < RATE_USEC)
                return t->view.bytes_per_sec;
        bytes = t->rate_usec != 0 && c->stored_bytes > t->rate_bytes ? c->stored_bytes - t->rate_bytes : 0;
        t->rate_usec = now_usec;
        t->rate_bytes = c->stored_bytes;
        return bytes * USEC_PER_SEC / passed;
}

static int view_transfer(BusTransfer *t, const Clip *c, uint64_t now_usec, TransferView *v) {
        int r;

        *v = (TransferView){
                .clip_id = c->id,
                .begun_usec = c->going_since_usec,
                .size_bytes = c->size_bytes,
                .stored_bytes = c->stored_bytes,
                .bytes_per_sec = rate_of(t, c, now_usec),
                .while_pulled = c->grow.under_way,
                .urgent = c->urgent,
        };
        if ((r = view_text(&v->serial, c->serial)) < 0 || (r = view_text(&v->path, c->path)) < 0)
                return r;
        return view_text(&v->reason, transfer_reason(c));
}

static int transfer_show(const Bus *b, BusTransfer *t, const Clip *c, uint64_t now_usec) {
        TransferView now;
        int r = view_transfer(t, c, now_usec, &now);

        if (r >= 0)
                view_show(t->slot ? b->bus : NULL, t->path, BUS_TRANSFER_INTERFACE, transfer_members, ELEMENTSOF(transfer_members),
                          &t->view, &now, sizeof(now));
        view_clear(transfer_members, ELEMENTSOF(transfer_members), &now);
        return r;
}

/* ---- All of them ----------------------------------------------------------------------------------------------------- */

typedef struct TransfersView {
        int paused;
        uint32_t at_once, under_way;
        uint64_t waiting, bytes_per_sec;
} TransfersView;

struct BusTransfers {
        Bus *bus; /* first: what its methods get */
        sd_bus_slot *slot;
        TransfersView view;
        bool changed;
        uint64_t looked_usec;
        BusTransfer *first;
};

#define TRANSFERS(name, type, member)                                                                             \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(BusTransfers, view) + offsetof(TransfersView, member),         \
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ListTransfers", SD_BUS_ARGS("t", after_id, "u", max), SD_BUS_RESULT("aa{sv}", transfers),
                                transfer_bus_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, transfer_bus_pause, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, transfer_bus_resume, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SendNow", SD_BUS_ARGS("t", clip_id), SD_BUS_NO_RESULT, transfer_bus_send_now, SD_BUS_VTABLE_UNPRIVILEGED),
        TRANSFERS("Paused", "b", paused),
        TRANSFERS("AtOnce", "u", at_once),
        TRANSFERS("UnderWay", "u", under_way),
        TRANSFERS("Waiting", "t", waiting),
        TRANSFERS("BytesPerSec", "t", bytes_per_sec),
        SD_BUS_VTABLE_END,
};

static const ViewMember members[] = {
        { "Paused", VIEW_BOOL, offsetof(TransfersView, paused) },
        { "AtOnce", VIEW_U32, offsetof(TransfersView, at_once) },
        { "UnderWay", VIEW_U32, offsetof(TransfersView, under_way) },
        { "Waiting", VIEW_U64, offsetof(TransfersView, waiting) },
        { "BytesPerSec", VIEW_U64, offsetof(TransfersView, bytes_per_sec) },
};

static BusTransfer *find(const BusTransfers *o, uint64_t id) {
        for (BusTransfer *t = o->first; t; t = t->next)
                if (t->view.clip_id == id)
                        return t;
        return NULL;
}

static int add(const Bus *b, const Clip *c, uint64_t now_usec) {
        _cleanup_(transfer_freep) BusTransfer *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        snprintf(t->path, sizeof(t->path), BUS_TRANSFER_PATH "/%" PRIu64, c->id);
        r = transfer_show(b, t, c, now_usec);
        if (r >= 0)
                r = transfer_connect(b, t);
        if (r < 0)
                return r;
        if (b->bus && sd_bus_emit_object_added(b->bus, t->path) < 0)
                log_debug(NULL, "%s cannot be announced", t->path);
        t->seen = true;
        t->next = b->transfers->first;
        b->transfers->first = TAKE_PTR(t);
        return 0;
}

static void remove_unseen(const Bus *b) {
        for (BusTransfer **p = &b->transfers->first; *p;) {
                BusTransfer *t = *p;

                if (t->seen) {
                        t->seen = false;
                        p = &t->next;
                        continue;
                }
                if (b->bus && t->slot && sd_bus_emit_object_removed(b->bus, t->path) < 0)
                        log_debug(NULL, "%s cannot be announced as gone", t->path);
                *p = t->next;
                transfer_free(t);
        }
}

/* Brings the objects up to date. */
static int look(const Bus *b, uint64_t now_usec) {
        int failed = 0;

        for (const Clip *c = manager_first_transfer(b->manager); c; c = c->next_going) {
                BusTransfer *t = find(b->transfers, c->id);
                int r;

                if (t)
                        t->seen = true;
                r = t ? transfer_show(b, t, c, now_usec) : add(b, c, now_usec);
                if (r < 0)
                        failed = r;
        }
        remove_unseen(b);
        return failed;
}

static void view_all(const BusTransfers *o, bool due, TransfersView *ret) {
        UploadStatus status;

        manager_upload_status(o->bus->manager, &status);
        *ret = o->view;
        ret->paused = manager_uploads_are_paused(o->bus->manager);
        ret->at_once = status.at_once;
        if (!due)
                return;
        ret->under_way = status.under_way;
        ret->waiting = status.waiting;
        ret->bytes_per_sec = 0;
        for (const BusTransfer *t = o->first; t; t = t->next)
                ret->bytes_per_sec += t->view.bytes_per_sec;
}

int transfer_bus_show_all(Bus *b, uint64_t now_usec, uint64_t *wake_usec) {
        BusTransfers *o = b->transfers;
        /* That nothing moves any more nobody tells. */
        bool stale = o->first && now_usec - o->looked_usec >= RATE_USEC, due;
        TransfersView now;
        int r = 0;

        if (!o->changed && !stale) {
                if (o->first)
                        *wake_usec = MIN2(*wake_usec, o->looked_usec + RATE_USEC);
                return 0;
        }
        due = now_usec - o->looked_usec >= VIEW_PROGRESS_USEC;
        if (due) {
                o->looked_usec = now_usec;
                o->changed = false;
                r = look(b, now_usec);
        }
        if (!due)
                *wake_usec = MIN2(*wake_usec, o->looked_usec + VIEW_PROGRESS_USEC);
        else if (o->first)
                *wake_usec = MIN2(*wake_usec, o->looked_usec + RATE_USEC);
        o->changed |= r < 0;
        view_all(o, due, &now);
        view_show(b->bus, BUS_TRANSFER_PATH, BUS_TRANSFERS_INTERFACE, members, ELEMENTSOF(members), &o->view, &now, sizeof(now));
        return r;
}

void transfer_bus_changed(Bus *b) {
        b->transfers->changed = true;
        bus_wake(b);
}

int transfer_bus_new(Bus *b) {
        b->transfers = calloc(1, sizeof(*b->transfers));
        if (!b->transfers)
                return -ENOMEM;
        *b->transfers = (BusTransfers){ .bus = b, .changed = true };
        view_all(b->transfers, true, &b->transfers->view);
        return 0;
}

void transfer_bus_free(Bus *b) {
        if (!b->transfers)
                return;
        while (b->transfers->first) {
                BusTransfer *t = b->transfers->first;

                b->transfers->first = t->next;
                transfer_free(t);
        }
        sd_bus_slot_unref(b->transfers->slot);
        free(b->transfers);
        b->transfers = NULL;
}

int transfer_bus_connect_all(Bus *b) {
        int r = sd_bus_add_object_vtable(b->bus, &b->transfers->slot, BUS_TRANSFER_PATH, BUS_TRANSFERS_INTERFACE, vtable, b->transfers);

        for (BusTransfer *t = b->transfers->first; t && r >= 0; t = t->next)
                r = transfer_connect(b, t);
        return r;
}

void transfer_bus_disconnect_all(Bus *b) {
        if (!b->transfers)
                return;
        for (BusTransfer *t = b->transfers->first; t; t = t->next)
                t->slot = sd_bus_slot_unref(t->slot);
        b->transfers->slot = sd_bus_slot_unref(b->transfers->slot);
}
