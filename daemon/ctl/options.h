/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/*
 * Reads the command line. Fills `ret` and *ret_run and returns -1 to go on; else it is the program's exit code: --help
 * and --version have printed, or what is wrong was said.
 */
int options_parse(int argc, char **argv, Options *ret, VerbRun *ret_run);
void options_done(Options *o);

/* For complete.c. Prints all verbs; the options of a verb, of all when it is NULL, those that want a value with "=". */
void options_print_verbs(void);
void options_print_options(const char *verb);
/* Does the next word belong to this one? */
bool options_word_wants_value(const char *word);
/* Says this word which bus is meant? Then it is noted. `next` is the word behind it. */
bool options_word_is_bus(Options *o, const char *word, const char *next);
