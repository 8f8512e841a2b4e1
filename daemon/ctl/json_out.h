/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What --json prints (the schema is in berthctl(1)). Keys are only ever added to a schema of one number. All text is
 * escaped to ASCII, so that nothing a camera says reaches a terminal as it is.
 */

#include <jansson.h>

#include "ctl/dock.h"

#define JSON_SCHEMA(verb) "org.berth.ctl." verb "/1"

/* Prints one document and releases it (NULL is "out of memory"): a CtlExit. `line`: on one line. */
int json_out(json_t *document, bool line);

/* New references, NULL when out of memory. */
json_t *json_of_manager(const DockManager *manager);
json_t *json_of_bay(const DockBay *bay);
/* The dock tells in which bay the camera is. */
json_t *json_of_camera(const Dock *dock, const DockCamera *camera);
