/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Logging: to the journal with fields when stderr is the journal's, else one line on stderr
 * ("<6>bay 3: camera X1: …" without the level when stderr is a terminal). Libraries (store/, core/) do not log.
 */

#include <syslog.h>

#include "base/macro.h"
#include "base/message.h"

/*
 * What the line is about: each may be NULL. Becomes BERTH_BAY=, BERTH_CAMERA=, BERTH_CLIP= and the line's prefix; and which event it is,
 * for the journal alone: BERTH_MESSAGE= and MESSAGE_ID=.
 */
typedef struct LogAbout {
        const char *bay;
        const char *camera;
        const char *clip;
        Message message;
} LogAbout;

/* `name` is the program's, kept by reference. Level from $BERTH_LOG (a number or "debug", "info", …), else info. */
void log_init(const char *name);
void log_full(int priority, const LogAbout *about, const char *format, ...) _printf_(3, 4);

#define log_message(priority, id, ...) log_full(priority, &(LogAbout){ .message = (id) }, __VA_ARGS__)
#define log_error(about, ...) log_full(LOG_ERR, about, __VA_ARGS__)
#define log_warning(about, ...) log_full(LOG_WARNING, about, __VA_ARGS__)
#define log_notice(about, ...) log_full(LOG_NOTICE, about, __VA_ARGS__)
#define log_info(about, ...) log_full(LOG_INFO, about, __VA_ARGS__)
#define log_debug(about, ...) log_full(LOG_DEBUG, about, __VA_ARGS__)
