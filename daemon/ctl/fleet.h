/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/*
 * Runs a verb for each of several hosts at once, and prints what all say: `status` as one table with a row for each dock, other verbs'
 * lines with the dock's name before them, JSON as one document. Those that do not answer are named. A CtlExit; CTL_PARTLY when some failed.
 */
int fleet_run(const Options *options, VerbRun run);
