/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <berth/plugin.h>

/* A folder that somebody serves (base/wire_import.h), as if it were a camera: it is listed and read, and never written. */
extern const berth_plugin folder_plugin;
