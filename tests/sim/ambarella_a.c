/* SPDX-License-Identifier: Apache-2.0 */

/* Dialect A: "@Xyz;LENGTH;ARGUMENT;#" in one packet, answered by "@Xyz;…;#". What is not understood is answered "@ERR;#". */

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim/ambarella.h"

#define LINE_MAX_SIZE 128u /* the width in sscanf() below is one less */

static AmbaCommand command_of(const char *name) {
        static const struct {
                const char *name;
                AmbaCommand command;
        } names[] = {
                { "@Ver", AMBA_LOG_IN }, { "@Gdv", AMBA_ID },       { "@Sdt", AMBA_DATE },
                { "@Stm", AMBA_TIME },   { "@ATH", AMBA_STORAGE },
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (text_equal(names[i].name, name))
                        return names[i].command;
        return AMBA_UNKNOWN;
}

/* "20261125" becomes "2026-11-25", "18300500" "18:30:05". */
static bool set_clock(AmbaCamera *camera, AmbaCommand command, const char *argument) {
        unsigned a, b, c;
        char part[16];

        if (command == AMBA_DATE && sscanf(argument, "%4u%2u%2u", &a, &b, &c) == 3 && strlen(argument) == 8) {
                (void) snprintf(part, sizeof(part), "%04u-%02u-%02u", a % 10000, b % 100, c % 100);
                (void) snprintf(camera->clock, sizeof(camera->clock), "%s", part);
                return true;
        }
        if (command == AMBA_TIME && sscanf(argument, "%2u%2u%2u", &a, &b, &c) == 3 && strlen(argument) == 8) {
                (void) snprintf(part, sizeof(part), " %02u:%02u:%02u", a % 100, b % 100, c % 100);
                (void) snprintf(camera->clock + strcspn(camera->clock, " "), sizeof(part), "%s", part);
                return true;
        }
        return false;
}

static bool run(AmbaCamera *camera, AmbaCommand command, const char *argument) {
        if (command == AMBA_LOG_IN)
                return amba_log_in(camera, camera->password, argument);
        if (!camera->logged_in || amba_refuses(camera, command))
                return false;
        if (command == AMBA_STORAGE)
                amba_leave(camera);
        return command == AMBA_DATE || command == AMBA_TIME ? set_clock(camera, command, argument) : command != AMBA_UNKNOWN;
}

bool amba_a_take(AmbaCamera *camera, const uint8_t *data, size_t size) {
        char line[LINE_MAX_SIZE] = "", answer[LINE_MAX_SIZE + AMBA_TEXT_SIZE], name[8] = "", argument[LINE_MAX_SIZE] = "", end = 0;
        AmbaCommand command = AMBA_UNKNOWN;
        unsigned length = 0;

        if (size >= sizeof(line))
                return false;
        memcpy(line, data, size);
        if (sscanf(line, "%4[^;];%5u;%127[^;];%c", name, &length, argument, &end) == 4 && end == '#')
                command = command_of(name);
        amba_note(camera, command);
        /* The time's argument is longer than its length says, and the cameras take it. */
        if (command == AMBA_LOG_IN && length != strlen(argument))
                command = AMBA_UNKNOWN;
        if (!run(camera, command, argument))
                (void) snprintf(answer, sizeof(answer), command == AMBA_LOG_IN ? "@Ver;NO;#" : "@ERR;#");
        else if (command == AMBA_ID)
                (void) snprintf(answer, sizeof(answer), "@Gdv;%zu;%s;#", strlen(camera->id), camera->id);
        else
                (void) snprintf(answer, sizeof(answer), "%s;OK;#", name);
        amba_answer(camera, command, answer, strlen(answer), line, size, 0);
        return true;
}
