/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The control channel: one JSON object a line each way. Several clients at once, a thread each. */

#include <jansson.h>

/* Executes one command. A new reference: {"ok": true, …} or {"ok": false, "error": "…"}. */
json_t *control_execute(const json_t *command);
/* Runs the lines of a file (empty ones and those beginning with '#' are skipped). Says what failed; 0 or -errno. */
int control_run_script(FILE *script, const char *name);
/* A listening socket at `path`, or -errno. */
int control_listen(const char *path);
/* Serves it on threads of its own. */
int control_serve(int listen_fd);

/* The client, `berth-sim ctl JSON`: the program's exit code. */
int control_client(const char *line);
