/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "uplink/tus_private.h"

#define RECORDS_FOLDER "tus"
#define KEPT_FOLDER "tus-kept"

typedef struct TusBackend {
        Backend backend; /* first */
        TusStore store;
} TusBackend;

static TusStore *store_of(Backend *b) {
        return &((TusBackend *) b)->store;
}

static int tus_begin(Backend *b, Task *task) {
        switch (task->kind) {
        case TASK_PUT:
                return tus_put_begin(store_of(b), task);
        case TASK_CONFIRM:
        case TASK_VERIFY:
        case TASK_GET_CLIP:
                return tus_confirm_begin(store_of(b), task);
        case TASK_REPLACE:
                return tus_replace_begin(store_of(b), task);
        case TASK_LIST:
        case TASK_PUT_IMAGE:
        case TASK_GET_IMAGE:
                return tus_nameless_begin(store_of(b), task);
        case TASK_LOCK:
                return tus_lock_begin(store_of(b), task);
        case TASK_KEEP:
                return tus_keep_begin(store_of(b), task);
        case TASK_FETCH:
                return tus_fetch_begin(store_of(b), task);
        default:
                return tus_probe_begin(store_of(b), task);
        }
}

static void tus_cancel(Backend *b, Task *task) {
        (void) b;
        if (task->backend_data)
                op_cancel(task->backend_data);
}

static void tus_told(Backend *b, Task *task) {
        (void) b;
        if (task->backend_data)
                tus_grow_told(task->backend_data);
}

static Backend *tus_backend_free(Backend *b) {
        TusStore *s = store_of(b);

        s->http = http_free(s->http);
        op_lanes_end(&s->lanes);
        s->token = tus_token_free(s->token);
        fd_close(s->records);
        fd_close(s->kept);
        sd_event_unref(s->event);
        free(s->origin);
        free(s->name);
        free(b);
        return NULL;
}

static void tus_backend_freep(TusBackend **b) {
        if (*b)
                (void) tus_backend_free(&(*b)->backend);
}

static const BackendOps tus_ops = {
        .name = "tus",
        .resumes = true,
        .begin = tus_begin,
        .cancel = tus_cancel,
        .told = tus_told,
        .free = tus_backend_free,
};

/* ---- Making -------------------------------------------------------------------------------------------------------- */

static int name_places(TusStore *s, const char *url) {
        int r;

        r = tus_url_parse(url, &s->url);
        if (r < 0)
                return r;
        s->origin = text_format("%s://%s", s->url.endpoint.tls ? "https" : "http", s->url.endpoint.host);
        s->name = text_format("tus at %s", url);
        return s->origin && s->name ? 0 : -ENOMEM;
}

static int open_records(TusStore *s, const char *state_dir) {
        _cleanup_(fd_closep) int dir = -EBADF;

        if (!state_dir)
                return 0;
        dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        s->records = fd_open_dir(dir, RECORDS_FOLDER, 0700);
        s->kept = fd_open_dir(dir, KEPT_FOLDER, 0700);
        return s->records < 0 ? s->records : s->kept < 0 ? s->kept : 0;
}

int tus_backend_new(sd_event *event, const TusSettings *settings, unsigned puts_at_once, Backend **ret) {
        _cleanup_(tus_backend_freep) TusBackend *b = calloc(1, sizeof(*b));
        const HttpSettings http = {
                .ca_file = settings->ca_file,
                .client_certificate = settings->client_certificate,
                .client_key = settings->client_key,
                .proxy = settings->proxy,
                /* Before the transfer as a whole is taken for dead. */
                .stall_usec = settings->stall_usec / 2,
        };
        TusStore *s;
        int r;

        if (!b)
                return -ENOMEM;
        b->backend.ops = &tus_ops;
        s = &b->store;
        s->records = s->kept = -EBADF;
        s->event = sd_event_ref(event);
        s->read_back = settings->read_back;
        s->part_size_bytes = settings->part_size_bytes;
        if ((r = name_places(s, settings->url)) < 0 || (r = open_records(s, settings->state_dir)) < 0 ||
            (r = tus_token_new(settings->credentials, &s->token)) < 0 ||
            (r = op_lanes_start(&s->lanes, event, puts_at_once + 1)) < 0 || (r = http_new(event, &http, &s->http)) < 0)
                return r;
        *ret = &TAKE_PTR(b)->backend;
        return 0;
}
