/* SPDX-License-Identifier: Apache-2.0 */

/* Which small texts there are (ListObjectsV2): the store lists in the order of the keys' bytes, all that was put before it was asked. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "uplink/s3_private.h"

static void release(S3Op *op) {
        s3_op_fini(op);
        free(op);
}

/* A store that lists something else, or in another order, is not believed. */
static int take_key(void *userdata, const char *key) {
        S3Op *op = userdata;
        Task *task = op->task;
        size_t prefix = strlen(op->store->prefix);
        LayoutSmallKey whole;

        if (strncmp(key, op->store->prefix, prefix) != 0 || strncmp(key + prefix, task->list.prefix, strlen(task->list.prefix)) != 0)
                return -EBADMSG;
        key += prefix;
        if (strcmp(key, task->n_keys > 0 ? task->keys[task->n_keys - 1] : task->list.after) <= 0)
                return -EBADMSG;
        if (layout_parse_prefix(key, &whole) < 0)
                return 0;
        return task_take_key(task, key) < 0 ? -ENOMEM : 0;
}

static void on_listed(S3Op *op, const S3Result *result) {
        bool truncated = false;
        int r;

        if (result->outcome != S3_OK)
                return s3_op_fail(op, result, "listing small texts");
        r = s3_xml_keys(result->answer->body, result->answer->body_size, take_key, op, &truncated);
        if (r < 0)
                return s3_op_fail_errno(op, r, "reading a list of small texts");
        op->task->more |= truncated;
        s3_op_end(op);
}

static void ask(S3Op *op) {
        const ListRequest *list = &op->task->list;
        _cleanup_(freep) char *prefix = text_format("%s%s", op->store->prefix, list->prefix);
        _cleanup_(freep) char *after = text_format("%s%s", op->store->prefix, list->after);
        S3Call *call = s3_call_new(op, "GET", NULL);

        /* Never a list of something else for want of memory. */
        if (!prefix || !after) {
                (void) s3_call_free(call);
                return s3_op_fail_errno(op, ENOMEM, "listing small texts");
        }
        s3_call_query(call, "list-type", "2");
        s3_call_query(call, "prefix", prefix);
        if (list->after[0])
                s3_call_query(call, "start-after", after);
        s3_call_query_uint(call, "max-keys", list->max);
        s3_call_send(op, call, on_listed);
}

int s3_list_begin(S3Store *store, Task *task) {
        S3Op *op = calloc(1, sizeof(*op));
        LayoutSmallKey prefix;
        int r;

        r = op ? s3_op_init(op, store, task, release) : -ENOMEM;
        if (r < 0) {
                free(op);
                return r;
        }
        if (layout_parse_prefix(task->list.prefix, &prefix) < 0) {
                (void) answer_fail(&task->answer, WIRE_UPLINK_E_INVALID, NULL, "%s is no folder of small texts", task->list.prefix);
                s3_op_end(op);
        } else
                ask(op);
        return 0;
}
