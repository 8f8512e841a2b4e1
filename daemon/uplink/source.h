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
