/* SPDX-License-Identifier: Apache-2.0 */

/* Dialect C: packets of 64 bytes, answers of 10. Storage mode has a request number of its own. */

#include <string.h>

#include "sim/ambarella.h"

enum {
        REQUEST = 0x55,
        REQUEST_STORAGE = 0x50,
        VALUE = 0x0080,
        PACKET = 64,
        ANSWER = 10,
        AT_STATUS = 2,
};

static AmbaCommand command_of(uint8_t request, const uint8_t *packet) {
        static const uint8_t log_in[] = { 0xa1, 0x12, 0x00, 0x12 }, storage[] = { 0xa1, 0x23, 0x00, 0x23 };

        if (request == REQUEST && memcmp(packet, log_in, sizeof(log_in)) == 0)
                return AMBA_LOG_IN;
        if (request == REQUEST_STORAGE && memcmp(packet, storage, sizeof(storage)) == 0)
                return AMBA_STORAGE;
        return AMBA_UNKNOWN;
}

static bool run(AmbaCamera *camera, AmbaCommand command, const uint8_t *packet) {
        char given[PACKET - 4 + 1] = "";

        if (command == AMBA_LOG_IN) {
                memcpy(given, packet + 4, PACKET - 4);
                return amba_log_in(camera, camera->password, given);
        }
        if (command != AMBA_STORAGE || !camera->logged_in || amba_refuses(camera, command))
                return false;
        amba_leave(camera);
        return true;
}

bool amba_c_take(AmbaCamera *camera, uint8_t request, uint16_t value, const uint8_t *data, size_t size) {
        uint8_t answer[ANSWER] = {};
        AmbaCommand command;

        if (value != VALUE || size != PACKET)
                return false;
        command = command_of(request, data);
        amba_note(camera, command);
        if (command == AMBA_UNKNOWN)
                return false;
        memcpy(answer, data, 2);
        answer[AT_STATUS] = run(camera, command, data) ? 1 : 0;
        amba_answer(camera, command, answer, sizeof(answer), data, size, AT_STATUS);
        return true;
}
