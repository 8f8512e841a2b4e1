/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Parts that nobody will go on with: the clip was pulled afresh and is whole by now, its camera lists it no more, or nobody knows it. They
 * are looked at when the clip's copy is on record, and all of them at each start. One whose bytes are elsewhere is removed, any other is
 * moved to kept/; the custody log says so first. A part of a clip that is not whole is never touched, however long its camera is gone: it
 * is all that there is of that footage.
 */

#include <stdint.h>

typedef struct Manager Manager;

/* A clip's copy is on record: what an earlier docking left of it, where it was not gone on with, is looked at. */
void leftover_look(Manager *m, uint64_t clip_id);
/* Begins it; the rest happens on the loop and the spool's thread. -errno when parts/ cannot be read. */
int leftover_sweep(Manager *m);
