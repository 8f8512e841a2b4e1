/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A pager between stdout and the terminal, as systemctl has it: $BERTH_PAGER, else $PAGER, else less. With elevated privileges it is less
 * alone, and without commands of its own, unless BERTH_PAGERSECURE=0.
 */

#include "ctl/ctl.h"

/* Nothing happens where stdout is no terminal. How the terminal looks is remembered: term_look() goes on to say so. */
void pager_open(void);
/* Waits until it has been read. */
void pager_close(void);
/* Then a pipe that breaks is somebody who has seen enough. */
bool pager_is_open(void);
