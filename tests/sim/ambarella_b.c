/* SPDX-License-Identifier: Apache-2.0 */

/* Dialect B: frames of 9 bytes and a payload, whose length is the command's; the answer has the same length. */

#include <stdio.h>
#include <string.h>

#include "sim/ambarella.h"

enum {
        REQUEST = 0x55,
        VALUE = 0x00aa,
        HEADER = 9,
        AT_STATUS = 6,
        ACCEPTED = 0x80,
        NUMBER_USER_LOG_IN = 0x11,
};

static const struct {
        uint8_t number;
        AmbaCommand command;
        size_t size;
} commands[] = {
        { 0x20, AMBA_PING, 5 },     { 0x10, AMBA_LOG_IN, 6 },         { NUMBER_USER_LOG_IN, AMBA_LOG_IN, 6 },    { 0x70, AMBA_BATTERY, 1 },
        { 0x41, AMBA_CLOCK, 7 },    { 0x30, AMBA_READ_RECORD, 100 }, { 0x31, AMBA_WRITE_RECORD, 100 }, { 0x51, AMBA_STORAGE, 0 },
};

static AmbaCommand command_of(const uint8_t *frame, size_t size) {
        static const uint8_t magic[] = { 0xa1, 0xb2, 0xc3, 0xd4, 0x00, 0xe1, 0x00 };

        if (size < HEADER || memcmp(frame, magic, sizeof(magic)) != 0 || frame[8] != 0)
                return AMBA_UNKNOWN;
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
                if (commands[i].number == frame[7] && HEADER + commands[i].size == size)
                        return commands[i].command;
        return AMBA_UNKNOWN;
}

static bool log_in(AmbaCamera *camera, const uint8_t *frame) {
        char given[7] = "";

        memcpy(given, frame + HEADER, 6);
        return amba_log_in(camera, frame[7] == NUMBER_USER_LOG_IN ? camera->user_password : camera->password, given);
}

/* Fills the payload of the answer, which holds that of the request. */
static bool run(AmbaCamera *camera, AmbaCommand command, const uint8_t *frame, uint8_t *payload) {
        if (command == AMBA_LOG_IN)
                return log_in(camera, frame);
        if (amba_refuses(camera, command) || (command != AMBA_PING && !camera->logged_in))
                return false;
        switch (command) {
        case AMBA_PING:
                memcpy(payload, "ABCDE", 5);
                return true;
        case AMBA_BATTERY:
                payload[0] = camera->battery;
                return true;
        case AMBA_CLOCK:
                (void) snprintf(camera->clock, sizeof(camera->clock), "%04u-%02u-%02u %02u:%02u:%02u",
                                (unsigned) (payload[0] << 8 | payload[1]) % 10000u, payload[2] % 100u, payload[3] % 100u, payload[4] % 100u,
                                payload[5] % 100u, payload[6] % 100u);
                return true;
        case AMBA_READ_RECORD:
                memcpy(payload, camera->record, sizeof(camera->record));
                return true;
        case AMBA_WRITE_RECORD:
                memcpy(camera->record, payload, sizeof(camera->record));
                return true;
        case AMBA_STORAGE:
                amba_leave(camera);
                return true;
        default:
                return false;
        }
}

bool amba_b_take(AmbaCamera *camera, uint8_t request, uint16_t value, const uint8_t *data, size_t size) {
        uint8_t answer[HEADER + AMBA_RECORD_SIZE] = {};
        AmbaCommand command;

        if (request != REQUEST || value != VALUE || size < HEADER || size > sizeof(answer))
                return false;
        command = command_of(data, size);
        amba_note(camera, command);
        if (command == AMBA_UNKNOWN)
                return false;
        memcpy(answer, data, size);
        if (command == AMBA_LOG_IN)
                memset(answer + HEADER, 0, size - HEADER);
        answer[AT_STATUS] = run(camera, command, data, answer + HEADER) ? ACCEPTED : 0;
        amba_answer(camera, command, answer, size, data, size, HEADER);
        return true;
}
