/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker's messages, parsed at the border into validated structs. -EBADMSG, with a sentence in `why`, for whatever breaks the
 * contract of base/wire_bay.h; the message was framed by service/peer.c.
 */

#include <berth/plugin.h>
#include <systemd/sd-bus.h>

#include "service/worker.h"

#define WORKER_TEXT_MAX 512u

typedef struct WorkerWhy {
        char text[WORKER_TEXT_MAX];
} WorkerWhy;

int worker_why(WorkerWhy *why, const char *format, ...) _printf_(2, 3);

/* The result of an error reply, and its sentence made safe; -EBADMSG for a name that no worker may use. */
int answer_error(const sd_bus_error *error, WorkerResult *ret, WorkerWhy *why);

typedef struct WorkerUnreadable {
        ByteRange ranges[BERTH_UNREADABLE_MAX];
        size_t n;
} WorkerUnreadable;
/* What follows the sentence of WIRE_BAY_E_UNREADABLE; the clip has `size` bytes. */
int answer_unreadable(sd_bus_message *m, uint64_t size, WorkerUnreadable *ret, WorkerWhy *why);

int answer_open(sd_bus_message *m, WorkerWhy *why);
/* The strings belong to the message. */
int answer_identity(sd_bus_message *m, WorkerIdentity *ret, WorkerWhy *why);
int answer_owner(sd_bus_message *m, WorkerOwner *ret, WorkerWhy *why);
int answer_health(sd_bus_message *m, WorkerHealth *ret, WorkerWhy *why);

typedef struct WorkerPage {
        WorkerClip clips[WIRE_PAGE_CLIPS]; /* paths belong to the message */
        size_t n;
        bool more;
} WorkerPage;
int answer_page(sd_bus_message *m, uint32_t first, WorkerPage *ret, WorkerWhy *why);
int answer_copy(sd_bus_message *m, WorkerCopy *ret, WorkerWhy *why);
/* The same of Salvage: with the ranges that are missing, of which there may be none. */
int answer_salvage(sd_bus_message *m, uint64_t size, WorkerCopy *ret, WorkerUnreadable *ret_missing, WorkerWhy *why);
/* Exactly n of them. */
int answer_samples(sd_bus_message *m, size_t n, WorkerSample ret[static WIRE_SAMPLES_MAX], WorkerWhy *why);
int answer_nothing(sd_bus_message *m, WorkerWhy *why);

typedef struct WorkerBlock {
        uint32_t clip, number, length;
        Digest digest;
} WorkerBlock;
int signal_block(sd_bus_message *m, WorkerBlock *ret, WorkerWhy *why);
int signal_progress(sd_bus_message *m, uint32_t *ret_clip, uint64_t *ret_bytes, WorkerWhy *why);
