/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The file of a clip that is to be put, and the sentences for one that is not what was promised. All fill the task's answer. */

#include "uplink/backend.h"

/* Has it the size that was promised? 0, or -1. */
int source_check(Task *task);
/* It cannot be read: negative errno; -ENODATA when it ends too early. */
void source_failed(Task *task, int error);
/* It has another digest than was promised. */
void source_differs(Task *task, const Digest *found);

/*
 * Which of the dock's clips it is, whatever it holds: a line of printable characters. The caller frees. -EINVAL for a name that no store
 * can have.
 */
int source_name(const PutRequest *request, const char *day, char **ret);

/*
 * For a backend's thread: hands a range of it on, chunk by chunk, as the disk has it, and shows signs of life. Negative: what `take`
 * returned, -ECANCELED when the task was cancelled, or what source_failed() takes.
 */
typedef int (*SourceTake)(void *userdata, const void *data, size_t size);
int source_read(Task *task, uint64_t offset, uint64_t size_bytes, SourceTake take, void *userdata);
