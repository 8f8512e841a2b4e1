/* SPDX-License-Identifier: Apache-2.0 */

/* A shared object that is no plugin. */

#include <berth/plugin.h>

extern const char something_else[];
const char something_else[] = "not a plugin";
