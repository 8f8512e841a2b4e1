/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A state folder whose database was put back from a backup (`berthctl backup`) has a file that says so, and the custody log is told. */

#include "base/conf.h"
#include "service/manager.h"

/* At the start, before anything is signed. -errno with a sentence. */
int restored_note(Manager *m, ConfError *error);
