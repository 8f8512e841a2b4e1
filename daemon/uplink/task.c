/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/backend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

void report_point(StoreReport *report, const char *name, const char *verdict, const char *format, ...) {
        StorePoint *point = &report->points[MIN2(report->n_points, WIRE_POINTS_MAX - 1)];
        va_list ap;

        *point = (StorePoint){ .name = name, .verdict = verdict };
        va_start(ap, format);
        (void) vsnprintf(point->text, sizeof(point->text), format, ap);
        va_end(ap);
        report->n_points = MIN2(report->n_points + 1, (size_t) WIRE_POINTS_MAX);
}

void report_clock(StoreReport *report, int64_t theirs_unix_sec) {
        report->clock_known = true;
        report->ahead_sec = theirs_unix_sec - clock_wall_usec() / (int64_t) USEC_PER_SEC;
}

int answer_fail(Answer *answer, const char *error, const char *state, const char *format, ...) {
        char raw[sizeof(answer->text)];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(raw, sizeof(raw), format, arguments);
        va_end(arguments);
        answer->error = error;
        answer->state = state;
        text_sanitise(raw, answer->text, sizeof(answer->text));
        return -1;
}

Task *task_new(TaskKind kind, void (*done)(Task *task), void *userdata) {
        Task *task = calloc(1, sizeof(*task));

        if (!task)
                return NULL;
        task->kind = kind;
        task->done = done;
        task->userdata = userdata;
        if (kind == TASK_PUT)
                task->put.source_fd = -EBADF;
        else if (kind == TASK_PUT_IMAGE || kind == TASK_GET_IMAGE)
                task->image.fd = -EBADF;
        else if (kind == TASK_GET_CLIP)
                task->confirm.fd = -EBADF;
        return task;
}

Task *task_free(Task *task) {
        if (!task)
                return NULL;
        if (task->kind == TASK_PUT) {
                fd_close(task->put.source_fd);
                free(task->put.serial);
                free(task->put.path);
                free(task->put.facts_json);
        } else if (task->kind == TASK_KEEP || task->kind == TASK_REPLACE) {
                free(task->keep.key);
                free(task->keep.text);
        } else if (task->kind == TASK_FETCH)
                free(task->fetch.key);
        else if (task->kind == TASK_LIST) {
                free(task->list.prefix);
                free(task->list.after);
        } else if (task->kind == TASK_PUT_IMAGE || task->kind == TASK_GET_IMAGE)
                fd_close(task->image.fd);
        else if (task->kind == TASK_LOCK) {
                free(task->lock.object_key);
                free(task->lock.manifest_key);
                free(task->lock.version);
        } else if (task->kind == TASK_CONFIRM || task->kind == TASK_VERIFY || task->kind == TASK_GET_CLIP) {
                if (task->kind == TASK_GET_CLIP)
                        fd_close(task->confirm.fd);
                free(task->confirm.object_key);
                free(task->confirm.manifest_key);
        }
        free(task->receipt.object_key);
        free(task->receipt.manifest_key);
        free(task->receipt.version);
        free(task->text);
        for (size_t i = 0; i < task->n_keys; i++)
                free(task->keys[i]);
        free(task->keys);
        free(task);
        return NULL;
}

int task_take_bytes(Task *task, const void *data, size_t size, uint64_t at) {
        ConfirmRequest *get = &task->confirm;
        int r;

        if (task->kind != TASK_GET_CLIP)
                return 0;
        /* More than there should be is the store's fault, and need not fill the disk. */
        if (at > get->size_bytes || size > get->size_bytes - at)
                return 0;
        r = fd_pwrite_full(get->fd, data, size, at);
        if (r < 0) {
                get->write_error = -r;
                return r;
        }
        atomic_store(&task->stored_bytes, at + size);
        return 0;
}

bool task_fail_file(Task *task) {
        if (task->kind != TASK_GET_CLIP || task->confirm.write_error == 0)
                return false;
        (void) answer_fail(&task->answer, WIRE_UPLINK_E_SOURCE, NULL, "the file that the clip is to be written to cannot be written: %s",
                           strerror(task->confirm.write_error));
        return true;
}

int task_take_text(Task *task, const char *text, size_t size) {
        char *copy;

        if (memchr(text, 0, size) || !text_is_utf8(text, size))
                return -EBADMSG;
        copy = strndup(text, size);
        if (!copy)
                return -ENOMEM;
        free(task->text);
        task->text = copy;
        return 0;
}

int task_has_no_lock(Task *task, const char *why) {
        if (task_take_text(task, why, strlen(why)) < 0)
                return answer_fail(&task->answer, WIRE_UPLINK_E_UNAVAILABLE, NULL, "the uplink is out of memory"), 0;
        task->locked = WIRE_LOCK_NONE;
        return 0;
}

size_t task_wait_pace(Task *task, size_t want) {
        while (!atomic_load(&task->cancelled)) {
                uint64_t wait = 0;
                size_t n = pace_take(task->pace, want, clock_boottime_usec(), clock_wall_usec(), &wait);
                struct timespec pause;

                if (n > 0)
                        return n;
                /* Short enough to notice that nobody wants it any more. */
                wait = MIN2(wait, 100 * USEC_PER_MSEC);
                pause = (struct timespec){ .tv_nsec = (long) (wait * 1000) };
                (void) nanosleep(&pause, NULL);
                atomic_fetch_add(&task->activity, 1);
        }
        return 0;
}

int task_take_key(Task *task, const char *key) {
        char **keys;

        if (task->n_keys >= task->list.max) {
                task->more = true;
                return 1;
        }
        keys = reallocarray(task->keys, task->n_keys + 2, sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        task->keys = keys;
        keys[task->n_keys] = strdup(key);
        if (!keys[task->n_keys])
                return -ENOMEM;
        keys[++task->n_keys] = NULL;
        return 0;
}
