/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * May a statement take the place of the one that lies in the store? The store is all that docks share, so that is where it shows that
 * two of them write under one name: a dock whose state folder was copied, or set back.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "uplink/backend.h"

/* What we put last, in this run. */
typedef struct Successor {
        char *key;
        Digest digest; /* of the text */
} Successor;

void successor_end(Successor *s);
/* 0, or -1 after an answer to the task (a replace). `there` is what lies under its key. */
int successor_check(Successor *s, Task *task, const char *there, size_t size);
/* It lies there now. */
void successor_note(Successor *s, const Task *task);
