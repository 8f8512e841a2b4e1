/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Serves WIRE_BAY_INTERFACE over the inherited socket. */

#include "bay/session.h"

typedef struct Bus Bus;

int bus_new(int fd, Bus **ret);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus, bus_free);
/*
 * Serves until Close or until berthd is gone. `unusable`, when not NULL, is why this worker can do nothing: every call gets it
 * as its answer.
 */
int bus_run(Bus *b, Session *session, const Fault *unusable);
