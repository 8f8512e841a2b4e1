/* SPDX-License-Identifier: Apache-2.0 */
#include "service/import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wire_import.h"
#include "service/manager_private.h"
#include "service/spool_note.h"
#include "service/worker.h"

#define LEFTOVERS_MAX 500u

struct Import {
        Manager *manager;
        ImportMoved moved;
        ImportDone done;
        void *userdata;
        uint64_t docking_id, camera_id;
        char *serial, *source, *folder_id, *operator_name;
        uint32_t operator_uid;
        int socket, incoming_fd;
        Worker *worker;
        WorkerClip *files; /* as served */
        size_t n_files, at;
        ImportCount count;
        bool ending, stopped, cancelled; /* nothing new is begun; the daemon itself ends; somebody had enough */
        unsigned waits;       /* commits and jobs of the spool under way that come back here */
        char *why;            /* it ends before its end */

        /* The file at `at`. */
        Clip *clip;       /* while it is copied */
        uint64_t read_bytes; /* of it, while it is looked at, … */
        Digest content;      /* … and what they come to */
        bool waits_for_room;
};

static void next_file(Import *i);
static void end_now(Import *i);
static void finish(Import *i, const char *why);

static Fact import_fact(const Import *i, FactKind kind) {
        Fact fact = { .kind = kind, .docking_id = i->docking_id, .camera_id = i->camera_id };

        manager_moment(i->manager, &fact.at);
        return fact;
}

static Fact clip_fact(const Import *i, FactKind kind) {
        Fact fact = import_fact(i, kind);

        fact.clip_id = i->clip->id;
        return fact;
}

static const WorkerClip *file(const Import *i) {
        return &i->files[i->at];
}

/* ---- What waits for the disk ------------------------------------------------------------------------------------------ */

static int submit(Import *i, StoreBatch *batch, StoreDone done) {
        int r = store_submit(i->manager->store, batch, done, i);

        i->waits += r >= 0;
        return r;
}

static int put(Import *i, const Fact *fact, StoreDone done) {
        int r = store_put(i->manager->store, fact, done, i);

        i->waits += r >= 0;
        return r;
}

/* One of those came back. False when the import ends: then nothing follows from it, and `i` may be gone. */
static bool goes_on(Import *i) {
        i->waits--;
        if (!i->ending)
                return true;
        if (i->waits == 0 && !i->stopped)
                end_now(i);
        return false;
}

/* ---- One file's end -------------------------------------------------------------------------------------------------- */

static void drop_clip(Import *i) {
        Clip *c = TAKE_PTR(i->clip);

        if (!c)
                return;
        c->pending--;
        clip_release(c);
}

static void file_recorded(int result, void *userdata) {
        Import *i = userdata;

        if (!goes_on(i))
                return;
        if (result < 0)
                return finish(i, "the database cannot be written");
        i->at++;
        next_file(i);
}

static int lose_clip(Import *i, StoreBatch *batch, const char *why) {
        Fact fact;

        if (!i->clip || i->clip->state == CLIP_COPIED)
                return 0;
        fact = clip_fact(i, FACT_CLIP_LOST);
        fact.text = why;
        clip_set_state(i->clip, CLIP_LOST, why);
        return store_batch_add(batch, &fact);
}

/* This file cannot be imported; the others can. */
static void file_failed(Import *i, const char *why) {
        _cleanup_(freep) char *text = text_format("%s: %s", file(i)->path, why);
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        Fact fact = import_fact(i, FACT_IMPORT_FAILED);
        int r;

        log_error(&(LogAbout){ .camera = i->serial, .clip = file(i)->path }, "Not imported: %s", why);
        i->count.failed++;
        fact.text = text;
        fact.import.source = i->source;
        r = store_batch_new(&batch);
        if (r >= 0)
                r = lose_clip(i, batch, why);
        if (r >= 0)
                r = store_batch_add(batch, &fact);
        drop_clip(i);
        if (r >= 0)
                r = submit(i, TAKE_PTR(batch), file_recorded);
        if (r < 0)
                finish(i, "the database cannot be written");
}

static bool is_the_files_fault(WorkerResult r) {
        return r == WORKER_GONE || r == WORKER_UNREADABLE || r == WORKER_CHANGED || r == WORKER_DENIED || r == WORKER_PREFIX;
}

/* ---- Into the spool -------------------------------------------------------------------------------------------------- */

static void copy_recorded(int result, void *userdata) {
        Import *i = userdata;
        Clip *c = i->clip;
        char name[SPOOL_NAME_SIZE];

        if (result >= 0) {
                spool_name_of(c->id, name);
                free(c->spool_name);
                c->spool_name = strdup(name);
                clip_set_state(c, CLIP_COPIED, NULL);
                upload_count_waiting(c);
                upload_enqueue(c);
                i->count.imported++;
                drop_clip(i);
        }
        file_recorded(result, i);
}

static void sealed(int result, void *userdata) {
        Import *i = userdata;
        Clip *c = i->clip;
        char name[SPOOL_NAME_SIZE];
        Fact fact = c->copy_fact;

        spool_name_of(c->id, name);
        fact.copy.spool_name = name;
        manager_moment(i->manager, &fact.at);
        /* What is in the spool is recorded even when the import ends. */
        if (result >= 0)
                result = put(i, &fact, copy_recorded);
        if (goes_on(i) && result < 0)
                finish(i, "a file that was read cannot be moved into the spool and recorded");
}

static int seal(Import *i) {
        _cleanup_(freep) char *note = NULL;
        Clip *c = i->clip;
        char empty[] = "", model[] = "folder";
        const SpoolNote whose = {
                .clip_id = c->id, .camera_id = c->camera_id, .docking_id = i->docking_id,
                .serial = c->serial, .manufacturer = empty, .model = model, .firmware = empty, .storage_id = empty, .model_id = empty,
                .path = c->path, .size_bytes = c->size_bytes, .mtime_unix_sec = c->mtime_unix_sec,
                .digest = c->digest, .head = c->head, .tail = c->tail,
                .seen_usec = c->seen_unix_sec * (int64_t) USEC_PER_SEC, .sealed_usec = clock_wall_usec(),
        };
        int r;

        r = spool_note_compose(&whose, &note);
        if (r >= 0)
                r = digest_of(note, strlen(note), &c->copy_fact.copy.note);
        if (r >= 0)
                r = spool_seal(i->manager->spool, c->id, i->docking_id, note, sealed, i);
        i->waits += r >= 0;
        return r;
}

/* It was read twice: what came the second time must be what came first, or the reader does not give the file as it is. */
static bool copy_agrees(const Clip *c, const WorkerCopy *copy, const Digest *content) {
        uint64_t sum = 0;

        if (copy->size_bytes != c->size_bytes || (c->n_blocks > 0 && !clip_ends_with(c, content)))
                return false;
        for (size_t n = 0; n < c->n_blocks; n++) {
                if (!c->blocks[n].known)
                        return false;
                sum += c->blocks[n].length;
        }
        return sum == copy->size_bytes && digest_equal(&copy->digest, content);
}

static void pulled(void *userdata, WorkerResult result, const char *text, const WorkerCopy *copy) {
        Import *i = userdata;
        Clip *c = i->clip;

        if (is_the_files_fault(result))
                return file_failed(i, text);
        if (result != WORKER_OK)
                return finish(i, text);
        if (!copy_agrees(c, copy, &i->content))
                return file_failed(i, "it was read twice, and its content was not the same");
        c->digest = copy->digest;
        c->head = copy->head;
        c->tail = copy->tail;
        c->container = copy->container;
        c->copy_fact = clip_fact(i, FACT_COPIED);
        c->copy_fact.copy.size_bytes = copy->size_bytes;
        c->copy_fact.copy.digest = copy->digest;
        c->copy_fact.copy.head = copy->head;
        c->copy_fact.copy.tail = copy->tail;
        c->copy_fact.copy.container = copy->container;
        spool_note_written(i->manager->spool, copy->size_bytes);
        if (seal(i) < 0)
                finish(i, "a file that was read cannot be moved into the spool");
}

static void pull_begun(int result, void *userdata) {
        char part[SPOOL_NAME_SIZE];
        Import *i = userdata;

        if (!goes_on(i))
                return;
        if (result < 0)
                return finish(i, "the database cannot be written");
        spool_part_name_of(i->clip->id, part);
        if (worker_pull(i->worker, file(i)->index, part, 0, NULL, 0, pulled) < 0)
                finish(i, "the worker cannot be called");
}

static int copy_file(Import *i) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        const WorkerClip *f = file(i);
        Fact seen, begun;
        int r;

        r = clip_new(i->manager, i->camera_id, i->serial, f->path, f->size_bytes, f->mtime_unix_sec, 0, 0, &i->clip);
        if (r < 0)
                return r;
        i->clip->pending++;
        i->clip->state = CLIP_COPYING;
        seen = clip_fact(i, FACT_CLIP_SEEN);
        seen.clip.path = f->path;
        seen.clip.size_bytes = f->size_bytes;
        seen.clip.mtime_unix_sec = f->mtime_unix_sec;
        begun = clip_fact(i, FACT_PULL_BEGUN);
        if ((r = store_batch_new(&batch)) < 0 || (r = store_batch_add(batch, &seen)) < 0 || (r = store_batch_add(batch, &begun)) < 0)
                return r;
        return submit(i, TAKE_PTR(batch), pull_begun);
}

/* ---- Is it known? ---------------------------------------------------------------------------------------------------- */

static void recognised(Import *i, uint64_t clip_id) {
        Fact fact = { .kind = FACT_IMPORT_RECOGNISED, .clip_id = clip_id, .docking_id = i->docking_id, .text = file(i)->path };

        manager_moment(i->manager, &fact.at);
        fact.import.source = i->source;
        i->count.recognised++;
        if (put(i, &fact, file_recorded) < 0)
                finish(i, "the database cannot be written");
}

static void judge(Import *i) {
        uint64_t known = 0;
        int r;

        r = store_clip_by_content(i->manager->store, &i->content, file(i)->size_bytes, &known);
        if (r >= 0)
                return recognised(i, known);
        if (r != -ENOENT)
                return finish(i, "the database cannot be read");
        i->waits_for_room = !manager_has_room(i->manager, file(i)->size_bytes, false);
        if (!i->waits_for_room && copy_file(i) < 0)
                finish(i, "a file cannot be recorded");
}

static void looked(void *userdata, WorkerResult result, const char *text) {
        Import *i = userdata;

        if (is_the_files_fault(result))
                return file_failed(i, text);
        if (result != WORKER_OK)
                return finish(i, text);
        if (i->read_bytes != file(i)->size_bytes)
                return finish(i, "the worker called a reading complete that is not");
        judge(i);
}

static void next_file(Import *i) {
        size_t n;

        if (i->ending)
                return;
        i->moved(i->userdata, i->at, i->n_files);
        if (i->at == i->n_files)
                return finish(i, NULL);
        n = (size_t) (file(i)->size_bytes / WIRE_BLOCK_SIZE + (file(i)->size_bytes % WIRE_BLOCK_SIZE != 0));
        if (n > WIRE_BLOCKS_MAX)
                return file_failed(i, "it is larger than any file that Berth accepts");
        i->read_bytes = 0;
        /* Of an empty one no block comes. */
        if (digest_of("", 0, &i->content) < 0)
                return finish(i, "out of memory");
        if (worker_verify(i->worker, file(i)->index, n, looked) < 0)
                finish(i, "the worker cannot be called");
}

void import_kick(Manager *m) {
        Import *i = m->import;

        if (i && i->waits_for_room && !i->ending)
                judge(i);
}

/* ---- The worker ------------------------------------------------------------------------------------------------------ */

static void on_dead(void *userdata, WorkerResult why, const char *text) {
        (void) why;
        finish(userdata, text);
}

static void on_block(void *userdata, uint32_t index, uint32_t number, uint32_t length, const Digest *digest) {
        Import *i = userdata;
        Fact fact;

        (void) index;
        if (i->ending)
                return;
        if (!i->clip) {
                i->read_bytes += length;
                i->content = *digest;
                return;
        }
        fact = clip_fact(i, FACT_BLOCK);
        fact.block.number = number;
        fact.block.length = length;
        fact.block.digest = *digest;
        if (clip_note_block(i->clip, number, length, digest) < 0 || store_put(i->manager->store, &fact, NULL, NULL) < 0)
                finish(i, "a block of a file cannot be recorded");
}

static void on_progress(void *userdata, uint32_t clip, uint64_t bytes) {
        (void) userdata;
        (void) clip;
        (void) bytes;
}

static const WorkerOps worker_ops = { .on_dead = on_dead, .on_block = on_block, .on_progress = on_progress };

static int take_files(Import *i, const WorkerClip *clips, size_t n) {
        WorkerClip *grown = reallocarray(i->files, i->n_files + n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        i->files = grown;
        for (size_t k = 0; k < n; k++) {
                grown[i->n_files] = clips[k];
                grown[i->n_files].path = strdup(clips[k].path);
                if (!grown[i->n_files].path)
                        return -ENOMEM;
                i->n_files++;
        }
        return 0;
}

static void page_known(void *userdata, WorkerResult result, const char *text, const WorkerClip *clips, size_t n, bool more) {
        Import *i = userdata;

        if (result != WORKER_OK)
                return finish(i, text);
        if (take_files(i, clips, n) < 0)
                return finish(i, "out of memory");
        if (more && n > 0) {
                if (worker_list(i->worker, clips[n - 1].index + 1, page_known) < 0)
                        finish(i, "the worker cannot be called");
                return;
        }
        log_info(&(LogAbout){ .camera = i->serial }, "Importing %zu files from %s", i->n_files, i->source);
        next_file(i);
}

static void opened(void *userdata, WorkerResult result, const char *text) {
        Import *i = userdata;

        if (result != WORKER_OK)
                return finish(i, text);
        if (worker_list(i->worker, 0, page_known) < 0)
                finish(i, "the worker cannot be called");
}

static void worker_trouble(Import *i, int error) {
        _cleanup_(freep) char *text = text_format("the worker %s cannot be started: %s", i->manager->settings->worker, strerror(-error));

        finish(i, text ?: "the worker cannot be started");
}

static void begun(int result, void *userdata) {
        static const char *const none[] = { NULL };
        Import *i = userdata;
        const Settings *s = i->manager->settings;
        WorkerConfig config;
        int r;

        if (!goes_on(i))
                return;
        if (result < 0)
                return finish(i, "the database cannot be written");
        i->incoming_fd = spool_open_incoming(i->manager->spool, i->docking_id);
        if (i->incoming_fd < 0)
                return finish(i, "no folder can be made for the import in incoming/");
        config = (WorkerConfig){
                .executable = s->worker,
                .source_fd = i->socket,
                .bay = "import",
                .incoming_fd = i->incoming_fd,
                .call_timeout_usec = s->call_usec,
                .stall_timeout_usec = s->stall_usec,
        };
        room_wake(i->manager);
        r = worker_spawn(i->manager->event, &config, &worker_ops, i, &i->worker);
        /* berthctl sees the worker's end as the end of the connection. */
        i->socket = fd_close(i->socket);
        if (r >= 0)
                r = worker_open(i->worker, "folder", none, none, opened);
        if (r < 0)
                worker_trouble(i, r);
}

int import_cancel(Import *i, const Operator *by) {
        _cleanup_(freep) char *why = NULL;

        if (i->ending)
                return -EALREADY;
        why = text_format("it was cancelled by user %u%s%s", (unsigned) by->uid, by->name ? " " : "", by->name ?: "");
        i->cancelled = true;
        finish(i, why ?: "it was cancelled");
        return 0;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------------ */

void import_stop(Import *i) {
        Fact fact;

        if (!i || i->stopped)
                return;
        i->stopped = true;
        i->worker = worker_free(i->worker);
        if (i->ending)
                return;
        i->ending = true;
        fact = import_fact(i, FACT_IMPORT_ENDED);
        fact.text = "the daemon ended";
        fact.import.source = i->source;
        fact.import.imported = i->count.imported;
        fact.import.recognised = i->count.recognised;
        fact.import.failed = i->count.failed;
        (void) store_put(i->manager->store, &fact, NULL, NULL);
}

Import *import_free(Import *i) {
        if (!i)
                return NULL;
        worker_free(i->worker);
        if (i->clip)
                i->clip->pending--;
        for (size_t k = 0; k < i->n_files; k++)
                free(i->files[k].path);
        free(i->files);
        fd_close(i->socket);
        fd_close(i->incoming_fd);
        free(i->serial);
        free(i->source);
        free(i->folder_id);
        free(i->operator_name);
        free(i->why);
        free(i);
        return NULL;
}
DEFINE_CLEANUP(Import, import_free);

static void ended(int result, void *userdata) {
        Import *i = userdata;

        if (i->stopped)
                return;
        i->manager->import = NULL;
        if (result < 0)
                i->done(i->userdata, result, "the import's end could not be recorded", &i->count);
        else
                i->done(i->userdata, i->cancelled ? -ECANCELED : i->why ? -EIO : 0, i->why, &i->count);
        if (i->incoming_fd >= 0)
                (void) spool_end_docking(i->manager->spool, i->docking_id);
        drop_clip(i);
        import_free(i);
}

static int give_end(Import *i) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        Fact fact = import_fact(i, FACT_IMPORT_ENDED);
        int r;

        fact.text = i->why;
        fact.import.source = i->source;
        fact.import.imported = i->count.imported;
        fact.import.recognised = i->count.recognised;
        fact.import.failed = i->count.failed;
        r = store_batch_new(&batch);
        if (r >= 0)
                r = lose_clip(i, batch, "the import ended before it was copied");
        if (r >= 0)
                r = store_batch_add(batch, &fact);
        return r < 0 ? r : store_submit(i->manager->store, TAKE_PTR(batch), ended, i);
}

static void end_now(Import *i) {
        int r = give_end(i);

        if (r < 0)
                ended(r, i);
}

/* `why` when it ends before its end. What is under way to the disk comes back first. */
static void finish(Import *i, const char *why) {
        if (i->ending)
                return;
        i->ending = true;
        i->why = why ? strdup(why) : NULL;
        log_full(why && !i->cancelled ? LOG_ERR : LOG_NOTICE, &(LogAbout){ .camera = i->serial, .message = MESSAGE_IMPORT_ENDED },
                 "Import of %s: %zu files imported, %zu recognised, %zu failed%s%s", i->source, i->count.imported, i->count.recognised,
                 i->count.failed, why ? "; it ended early: " : "", why ?: "");
        i->worker = worker_free(i->worker);
        if (i->waits == 0)
                end_now(i);
}

/* Files that an import was copying when the dock went down are read again: what is known of them ends here. */
static int lose_leftovers(Import *i, StoreBatch *batch) {
        static const ClipState states[] = { CLIP_SEEN, CLIP_COPYING };
        int r = 0;

        for (size_t s = 0; s < ELEMENTSOF(states) && r >= 0; s++) {
                ClipRow **rows;
                size_t n;

                r = store_clips_query(i->manager->store, i->serial, states[s], 0, LEFTOVERS_MAX, &rows, &n);
                if (r < 0)
                        return r;
                for (size_t k = 0; k < n && r >= 0; k++) {
                        Fact fact = { .kind = FACT_CLIP_LOST, .clip_id = rows[k]->id, .text = "its import did not come to its end" };

                        manager_moment(i->manager, &fact.at);
                        r = store_batch_add(batch, &fact);
                }
                clip_rows_free(rows, n);
        }
        return r;
}

static int record_begin(Import *i) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        Fact camera = import_fact(i, FACT_CAMERA_SEEN), begin = import_fact(i, FACT_IMPORT_BEGUN);
        int r;

        camera.docking_id = 0;
        camera.camera.serial = i->serial;
        camera.camera.model = "folder";
        camera.camera.manufacturer = camera.camera.firmware = camera.camera.storage_id = camera.camera.model_id = "";
        begin.by_operator = true;
        begin.operator_uid = i->operator_uid;
        begin.operator_name = i->operator_name;
        begin.import.source = i->source;
        begin.import.folder_id = i->folder_id;
        r = store_batch_new(&batch);
        if (r >= 0)
                r = lose_leftovers(i, batch);
        if (r < 0 || (r = store_batch_add(batch, &camera)) < 0 || (r = store_batch_add(batch, &begin)) < 0)
                return r;
        return submit(i, TAKE_PTR(batch), begun);
}

static int camera_of(Import *i) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        int r;

        r = store_camera_by_serial(i->manager->store, i->serial, &row);
        if (r < 0 && r != -ENOENT)
                return r;
        i->camera_id = r == -ENOENT ? store_next_id(i->manager->store, STORE_ID_CAMERA) : row->id;
        i->docking_id = store_next_id(i->manager->store, STORE_ID_DOCKING);
        return i->camera_id > 0 && i->docking_id > 0 ? 0 : -EIO;
}

int manager_import(Manager *m, const ImportOrder *order, const Operator *by, ImportMoved moved, ImportDone done, void *userdata,
                   Import **ret) {
        _cleanup_(import_freep) Import *i = NULL;
        int r;

        if (m->import)
                return -EBUSY;
        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        *i = (Import){ .manager = m, .moved = moved, .done = done, .userdata = userdata, .operator_uid = by->uid, .incoming_fd = -EBADF,
                        .ending = true };
        i->socket = fcntl(order->socket, F_DUPFD_CLOEXEC, 0);
        if (i->socket < 0)
                return -errno;
        i->serial = text_format(IMPORT_SERIAL_PREFIX "%s", order->name);
        i->source = strdup(order->source);
        i->folder_id = strdup(order->folder_id);
        i->operator_name = by->name ? strdup(by->name) : NULL;
        if (!i->serial || !i->source || !i->folder_id || (by->name && !i->operator_name))
                return -ENOMEM;
        r = camera_of(i);
        if (r >= 0)
                r = record_begin(i);
        if (r < 0)
                return r;
        i->ending = false;
        *ret = i;
        m->import = TAKE_PTR(i);
        return 0;
}
