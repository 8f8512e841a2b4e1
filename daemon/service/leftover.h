/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Parts that nobody will go on with: the clip was pulled afresh and is whole by now, its camera lists it no more, or nobody knows it. At
 * each start they are looked at. One whose bytes are elsewhere is removed, any other is moved to kept/; the custody log says so first.
 */

typedef struct Manager Manager;

/* Begins it; the rest happens on the loop and the spool's thread. -errno when parts/ cannot be read. */
int leftover_sweep(Manager *m);
