/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Locks the process in, after the plugin is loaded and before it is called: the first byte of the camera meets a process that
 * can do nothing but use its descriptors and write files in one folder. Never undone, and never left out.
 */

#include <stdbool.h>

#include "bay/fault.h"

/* Before the plugin is loaded: no new privileges, no capabilities, resource limits. */
int sandbox_prepare(Fault *fault);
/* What the calls may name. */
typedef struct SandboxFds {
        int incoming; /* the one folder */
        int bus;
        int source;            /* the USB node, or … */
        bool source_is_socket; /* … a socket over which files are handed in: base/wire_import.h */
} SandboxFds;

/* Landlock, then the system call filter. */
int sandbox_enter(const SandboxFds *fds, Fault *fault);

/* sandbox_calls.c: the filter alone. 0 or -errno. */
int sandbox_filter_calls(const SandboxFds *fds);
