/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who calls a method that changes something. */

#include <stdint.h>

#include <systemd/sd-bus.h>

#include "service/manager.h"

#define CALLER_NAME_SIZE 64u

typedef struct Caller {
        uint32_t uid;
        char name[CALLER_NAME_SIZE]; /* "" when /etc/passwd has none */
} Caller;

/* When the bus cannot say who it is, an error is set. Whether they may is known already: see bus/authority.h. */
int caller_get(sd_bus_message *m, Caller *ret, sd_bus_error *error);
/* The strings belong to the caller. */
Operator caller_operator(const Caller *c);
/* Answers the call that gave an order (a sd_bus_message *) and lets go of it: 0, or why it was not carried out. */
void caller_answer(void *userdata, int result, const char *text);
