/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/*
 * Reads the command line. Fills `ret` and *ret_run and returns -1 to go on; else it is the program's exit code: --help
 * and --version have printed, or what is wrong was said.
 */
int options_parse(int argc, char **argv, Options *ret, VerbRun *ret_run);
void options_done(Options *o);
