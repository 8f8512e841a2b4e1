/* SPDX-License-Identifier: Apache-2.0 */

/* What became of the tasks: the answers to the calls, and news on the way. */

#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire_digest.h"
#include "uplink/connection_private.h"

static int reply_receipt(sd_bus_message *m, const Task *task) {
        const Receipt *receipt = &task->receipt;
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ssst", receipt->object_key, receipt->manifest_key,
                                          receipt->version ? receipt->version : "",
                                          task->put.size_bytes);
        if (r >= 0)
                r = wire_append_digest(reply, &task->put.digest);
        if (r >= 0)
                r = sd_bus_message_append(reply, "sxb", receipt->strength, receipt->time_unix_sec, (int) receipt->already_there);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int reply_keys(sd_bus_message *m, const Task *task) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, task->keys);
        if (r >= 0)
                r = sd_bus_message_append(reply, "b", (int) task->more);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int reply_error(sd_bus_message *m, const Answer *answer) {
        const sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(answer->error, answer->text);
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_error(m, &reply, &error);
        if (r >= 0 && text_equal(answer->error, WIRE_UPLINK_E_BUSY))
                r = sd_bus_message_append(reply, "t", answer->retry_after_sec);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static void log_put(const Task *task) {
        const LogAbout about = { .camera = task->put.serial, .clip = task->put.path,
                                 .message = task->answer.error ? MESSAGE_CLIP_NOT_STORED : MESSAGE_CLIP_STORED };
        static const char *const passing[] = { WIRE_UPLINK_E_UNAVAILABLE, WIRE_UPLINK_E_BUSY, WIRE_UPLINK_E_STOPPED, WIRE_UPLINK_E_WHOLE };

        if (!task->put.serial)
                return;
        for (size_t i = 0; i < ELEMENTSOF(passing); i++)
                if (text_equal(task->answer.error, passing[i]))
                        return;
        if (task->answer.error)
                log_error(&about, "Not stored: %s", task->answer.text);
        else
                log_info(&about, "%s as %s", task->receipt.already_there ? "Was stored already" : "Stored", task->receipt.object_key);
}

static void on_transfer_done(void *owner, void *cookie, Task *task) {
        sd_bus_message *m = cookie;
        int r;

        (void) owner;
        CRASH_POINT_OF("answer-begins", sd_bus_message_get_member(m));
        if (task->kind == TASK_PUT)
                log_put(task);
        if (task->answer.error)
                r = reply_error(m, &task->answer);
        else if (task->kind == TASK_PUT)
                r = reply_receipt(m, task);
        else if (task->kind == TASK_LIST)
                r = reply_keys(m, task);
        else if (task->kind == TASK_LOCK)
                r = sd_bus_reply_method_return(m, "ss", task->locked, task->text ? task->text : "");
        else if (task->kind == TASK_REPLACE || task->kind == TASK_GET_IMAGE)
                r = sd_bus_reply_method_return(m, "");
        else if (task->kind == TASK_KEEP || task->kind == TASK_PUT_IMAGE)
                r = sd_bus_reply_method_return(m, "b", (int) task->already_there);
        else
                r = sd_bus_reply_method_return(m, "s", task->kind == TASK_FETCH ? task->text : task->strength);
        if (r < 0)
                log_debug(NULL, "An answer cannot be sent: %s", strerror(-r));
        CRASH_POINT_OF("answered", sd_bus_message_get_member(m));
        sd_bus_message_unref(m);
}

static void on_transfer_drop(void *cookie) {
        sd_bus_message_unref(cookie);
}

static void on_transfer_progress(void *owner, uint64_t clip_id, uint64_t bytes) {
        const Connection *c = owner;

        (void) sd_bus_emit_signal(c->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "tt", clip_id, bytes);
}

const TransferOps server_transfer_ops = {
        .done = on_transfer_done,
        .drop = on_transfer_drop,
        .progress = on_transfer_progress,
};
