/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The process of a worker: what it is born with, and how it is ended and reaped. */

#include <signal.h>

#include "service/worker.h"

typedef struct WorkerProcess {
        pid_t pid;
        int pidfd;
        int bus_fd; /* berthd's end of the socketpair */
        int log_fd; /* what the worker prints, for reading, non-blocking */
} WorkerProcess;

/* Opens the node, checks that it is at the bay, and spawns. -ENODEV when it is not. Blocks for the exec alone. */
int worker_process_spawn(const WorkerConfig *config, WorkerProcess *ret);
/*
 * A worker that flashes: with copies of the image and of those to hold as further descriptors (base/wire_flash.h), no connection
 * (ret->bus_fd is negative) and these arguments, argv[0] included. It is not berthd's to end. `config` has its folder as incoming_fd.
 */
int worker_process_spawn_flasher(const WorkerConfig *config, int image_fd, const int *hold_fds, size_t n_hold_fds, char *const argv[],
                                 WorkerProcess *ret);
void worker_process_kill(const WorkerProcess *p);
/* Once the pidfd is readable: reaps. -EAGAIN when it still runs. */
int worker_process_reap(const WorkerProcess *p, siginfo_t *ret);
/* One sentence about how it ended. */
void worker_process_describe(const siginfo_t *info, char *ret, size_t size);
/* Kills and lets the loop reap it when it is dead; takes the pidfd. */
void worker_process_abandon(sd_event *event, WorkerProcess *p);
/* The default check of WorkerConfig. */
int worker_process_check_node(int node_fd, const char *bay);
