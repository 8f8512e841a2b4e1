/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who is asked for an administrator's password when polkit wants one: pkttyagent, at this terminal. */

#include <stdbool.h>

/* Whether somebody sits here who could be asked: a terminal, and not root. */
bool agent_may_ask(void);
/* Starts it, once, and waits for it to be ready, a few seconds at most. Without pkttyagent polkit says no, and that is reported then. */
void agent_start(void);
