/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Locks the process in, after the plugin is loaded and before it is called: the first byte of the camera meets a process that
 * can do nothing but use its descriptors and write files in one folder. Never undone, and never left out.
 */

#include "bay/fault.h"

/* Before the plugin is loaded: no new privileges, no capabilities, resource limits. */
int sandbox_prepare(Fault *fault);
/* Landlock, then the system call filter. `incoming_fd` is the one folder; `usb_fd` and `bus_fd` are what their calls may name. */
int sandbox_enter(int incoming_fd, int usb_fd, int bus_fd, Fault *fault);

/* sandbox_calls.c: the filter alone. 0 or -errno. */
int sandbox_filter_calls(int usb_fd, int bus_fd);
