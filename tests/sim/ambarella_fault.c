/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ambarella_fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const commands[_AMBA_COMMAND_MAX] = {
        [AMBA_PING] = "ping",
        [AMBA_LOG_IN] = "log_in",
        [AMBA_ID] = "id",
        [AMBA_BATTERY] = "battery",
        [AMBA_DATE] = "date",
        [AMBA_TIME] = "time",
        [AMBA_CLOCK] = "clock",
        [AMBA_READ_RECORD] = "read_record",
        [AMBA_WRITE_RECORD] = "write_record",
        [AMBA_STORAGE] = "storage",
        [AMBA_UNKNOWN] = "unknown",
};
DEFINE_STRING_TABLE(amba_command, AmbaCommand, commands)

static const char *const kinds[_AMBA_FAULT_MAX] = {
        [AMBA_FAULT_REFUSE] = "refuse",
        [AMBA_FAULT_SILENT] = "silent",
        [AMBA_FAULT_STALL] = "stall",
        [AMBA_FAULT_SHORT] = "short",
        [AMBA_FAULT_LONG] = "long",
        [AMBA_FAULT_WRONG_MAGIC] = "wrong_magic",
        [AMBA_FAULT_WRONG_COMMAND] = "wrong_command",
        [AMBA_FAULT_PAYLOAD] = "payload",
        [AMBA_FAULT_GARBAGE] = "garbage",
        [AMBA_FAULT_ECHO] = "echo",
};

static AmbaFaultKind kind_from_string(const char *s) {
        for (size_t i = 0; s && i < _AMBA_FAULT_MAX; i++)
                if (text_equal(kinds[i], s))
                        return (AmbaFaultKind) i;
        return _AMBA_FAULT_INVALID;
}

static int take_number(const json_t *args, const char *key, uint64_t otherwise, uint64_t *ret) {
        const json_t *value = json_object_get(args, key);

        if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
                return -EINVAL;
        *ret = value ? (uint64_t) json_integer_value(value) : otherwise;
        return 0;
}

static int take_payload(const json_t *args, AmbaFault *fault) {
        const char *text = json_string_value(json_object_get(args, "text")), *hex = json_string_value(json_object_get(args, "hex"));
        size_t n = text ? strlen(text) : hex ? strlen(hex) / 2 : 0;

        if (n > AMBA_PAYLOAD_MAX)
                return -EINVAL;
        if (text)
                memcpy(fault->payload, text, n);
        for (size_t i = 0; !text && i < n; i++)
                if (sscanf(hex + 2 * i, "%2hhx", &fault->payload[i]) != 1)
                        return -EINVAL;
        fault->payload_size = n;
        return 0;
}

int amba_fault_set(AmbaFaults *faults, const json_t *args, char *why, size_t why_size) {
        const char *name = json_string_value(json_object_get(args, "name"));
        const char *command = json_string_value(json_object_get(args, "command"));
        AmbaFault fault = { .on = true, .command = _AMBA_COMMAND_MAX };
        AmbaFaultKind kind = kind_from_string(name);
        uint64_t length = 0;

        if (text_equal(name, "none")) {
                *faults = (AmbaFaults) {};
                return 0;
        }
        (void) snprintf(why, why_size, "That is not a fault as the head of ambarella_fault.h describes them.");
        if (kind < 0)
                return -EINVAL;
        if (command)
                fault.command = amba_command_from_string(command);
        if (fault.command < 0 || take_number(args, "skip", 0, &fault.skip) < 0 ||
            take_number(args, "count", UINT64_MAX, &fault.count) < 0 || take_number(args, "length", 0, &length) < 0 ||
            take_payload(args, &fault) < 0)
                return -EINVAL;
        fault.has_length = json_object_get(args, "length") != NULL;
        fault.length = (size_t) length;
        faults->faults[kind] = fault;
        return 0;
}

const AmbaFault *amba_fault_strikes(AmbaFaults *faults, AmbaFaultKind kind, AmbaCommand command) {
        AmbaFault *fault = &faults->faults[kind];

        if (!fault->on || fault->count == 0 || (fault->command != _AMBA_COMMAND_MAX && fault->command != command))
                return NULL;
        if (fault->skip > 0) {
                fault->skip--;
                return NULL;
        }
        fault->count--;
        return fault;
}
