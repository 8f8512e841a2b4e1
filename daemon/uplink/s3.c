/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "uplink/owner.h"
#include "uplink/s3_private.h"

#define RECORDS_FOLDER "uploads"

typedef struct S3Backend {
        Backend backend; /* first */
        S3Store store;
} S3Backend;

static S3Store *store_of(Backend *b) {
        return &((S3Backend *) b)->store;
}

static int s3_begin(Backend *b, Task *task) {
        switch (task->kind) {
        case TASK_PUT:
                return s3_put_begin(store_of(b), task);
        case TASK_CONFIRM:
        case TASK_VERIFY:
        case TASK_GET_CLIP:
                return s3_confirm_begin(store_of(b), task);
        case TASK_KEEP:
                return s3_keep_begin(store_of(b), task);
        case TASK_REPLACE:
                return s3_replace_begin(store_of(b), task);
        case TASK_FETCH:
                return s3_fetch_begin(store_of(b), task);
        case TASK_LIST:
                return s3_list_begin(store_of(b), task);
        case TASK_PUT_IMAGE:
                return s3_put_image_begin(store_of(b), task);
        case TASK_GET_IMAGE:
                return s3_get_image_begin(store_of(b), task);
        case TASK_LOCK:
                return s3_legal_hold_begin(store_of(b), task);
        default:
                return s3_probe_begin(store_of(b), task);
        }
}

static void s3_cancel(Backend *b, Task *task) {
        (void) b;
        if (task->backend_data)
                s3_op_cancel(task->backend_data);
}

static void s3_told(Backend *b, Task *task) {
        (void) b;
        if (task->backend_data)
                s3_grow_told(task->backend_data);
}

static Backend *s3_backend_free(Backend *b) {
        S3Store *s = store_of(b);

        s->http = http_free(s->http);
        op_lanes_end(&s->lanes);
        s->credentials = s3_credentials_free(s->credentials);
        s->customer_key = s3_customer_key_free(s->customer_key);
        fd_close(s->records);
        sd_event_unref(s->event);
        free(s->host);
        free(s->path);
        free(s->name);
        free(s->place);
        free(s->region);
        free(s->prefix);
        free(s->storage_class);
        free(s->encryption);
        free(s->kms_key);
        free(s->tags);
        free(s->lock_mode);
        successor_end(&s->successor);
        free(b);
        return NULL;
}

static void s3_backend_freep(S3Backend **b) {
        if (*b)
                (void) s3_backend_free(&(*b)->backend);
}

static const BackendOps s3_ops = {
        .name = "s3",
        .resumes = true,
        .begin = s3_begin,
        .cancel = s3_cancel,
        .told = s3_told,
        .free = s3_backend_free,
};

/* ---- Making -------------------------------------------------------------------------------------------------------- */

static int copy_strings(S3Store *s, const S3Settings *settings) {
        const struct {
                const char *from;
                char **to;
        } strings[] = {
                { settings->region, &s->region },
                { settings->prefix, &s->prefix },
                { settings->storage_class, &s->storage_class },
                { settings->encryption, &s->encryption },
                { settings->kms_key, &s->kms_key },
                { settings->tags, &s->tags },
                { settings->lock_mode, &s->lock_mode },
        };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                if (strings[i].from && !(*strings[i].to = strdup(strings[i].from)))
                        return -ENOMEM;
        return 0;
}

static int name_places(S3Store *s, const S3Settings *settings) {
        int r;

        r = endpoint_parse(settings->endpoint, &s->endpoint);
        if (r < 0)
                return r;
        s->host =
                settings->virtual_host ? text_format("%s.%s", settings->bucket, s->endpoint.host) : strdup(s->endpoint.host);
        s->path = settings->virtual_host ? strdup("/") : text_format("/%s/", settings->bucket);
        s->name = text_format("s3://%s/%s at %s", settings->bucket, settings->prefix, settings->endpoint);
        s->place = text_format("%s/%s", settings->bucket, settings->prefix);
        return s->host && s->path && s->name && s->place ? 0 : -ENOMEM;
}

static int open_records(S3Store *s, const char *state_dir) {
        _cleanup_(fd_closep) int dir = -EBADF;

        if (!state_dir)
                return 0;
        dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        s->records = fd_open_dir(dir, RECORDS_FOLDER, 0700);
        return s->records < 0 ? s->records : 0;
}

int s3_backend_new(sd_event *event, const S3Settings *settings, unsigned puts_at_once, Backend **ret) {
        _cleanup_(s3_backend_freep) S3Backend *b = calloc(1, sizeof(*b));
        const HttpSettings http = {
                .ca_file = settings->ca_file,
                .client_certificate = settings->client_certificate,
                .client_key = settings->client_key,
                .proxy = settings->proxy,
                /* Before the transfer as a whole is taken for dead. */
                .stall_usec = settings->stall_usec / 2,
        };
        S3Store *s;
        int r;

        if (!b)
                return -ENOMEM;
        b->backend.ops = &s3_ops;
        s = &b->store;
        s->records = -EBADF;
        s->event = sd_event_ref(event);
        s->read_back = settings->read_back;
        s->sole_writer = settings->sole_writer;
        s->content_md5 = settings->content_md5;
        s->legal_hold = settings->legal_hold;
        s->part_size_bytes = settings->part_size_bytes;
        s->retention_sec = settings->retention_sec;
        if ((r = copy_strings(s, settings)) < 0 || (r = name_places(s, settings)) < 0 || (r = owner_find(s->owner)) < 0 ||
            (r = open_records(s, settings->state_dir)) < 0 ||
            (r = s3_credentials_new(settings->credentials, &s->credentials)) < 0 ||
            (settings->customer_key && (r = s3_customer_key_new(settings->encryption_key, &s->customer_key)) < 0) ||
            (r = op_lanes_start(&s->lanes, event, puts_at_once + 1)) < 0 || (r = http_new(event, &http, &s->http)) < 0)
                return r;
        *ret = &TAKE_PTR(b)->backend;
        return 0;
}
