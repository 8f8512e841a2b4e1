/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Wrong answers, asked for on the control socket:
 *
 *   {"cmd": "fault", "camera": NAME, "name": FAULT, "command": COMMAND, "skip": N, "count": N, …}
 *
 * A fault strikes the answers to the named command (ping, log_in, id, battery, date, time, clock, read_record, write_record, storage;
 * all when none is named), not the first `skip` of them, and then `count` of them (without a count: until it is cleared). {"name": "none"}
 * takes all faults back.
 *
 *   refuse         the camera says no
 *   silent         no answer at all
 *   stall          in place of the answer
 *   short          the answer has "length" bytes only (default: one less)
 *   long           it is "length" bytes longer (default 64)
 *   wrong_magic    its first bytes are inverted
 *   wrong_command  it says that it answers another command
 *   payload        the part that is not framing is "hex", or "text"
 *   garbage        bytes that mean nothing, as many as the answer has
 *   echo           what was asked, sent back
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

typedef enum AmbaCommand {
        AMBA_PING,
        AMBA_LOG_IN,
        AMBA_ID,
        AMBA_BATTERY,
        AMBA_DATE,
        AMBA_TIME,
        AMBA_CLOCK,
        AMBA_READ_RECORD,
        AMBA_WRITE_RECORD,
        AMBA_STORAGE,
        AMBA_UNKNOWN,
        _AMBA_COMMAND_MAX,
        _AMBA_COMMAND_INVALID = -22,
} AmbaCommand;
const char *amba_command_to_string(AmbaCommand c);
AmbaCommand amba_command_from_string(const char *s);

typedef enum AmbaFaultKind {
        AMBA_FAULT_REFUSE,
        AMBA_FAULT_SILENT,
        AMBA_FAULT_STALL,
        AMBA_FAULT_SHORT,
        AMBA_FAULT_LONG,
        AMBA_FAULT_WRONG_MAGIC,
        AMBA_FAULT_WRONG_COMMAND,
        AMBA_FAULT_PAYLOAD,
        AMBA_FAULT_GARBAGE,
        AMBA_FAULT_ECHO,
        _AMBA_FAULT_MAX,
        _AMBA_FAULT_INVALID = -22,
} AmbaFaultKind;

#define AMBA_PAYLOAD_MAX 128u

typedef struct AmbaFault {
        bool on;
        AmbaCommand command; /* _AMBA_COMMAND_MAX: any */
        uint64_t skip, count;
        size_t length;
        bool has_length;
        uint8_t payload[AMBA_PAYLOAD_MAX];
        size_t payload_size;
} AmbaFault;

typedef struct AmbaFaults {
        AmbaFault faults[_AMBA_FAULT_MAX];
} AmbaFaults;

int amba_fault_set(AmbaFaults *faults, const json_t *args, char *why, size_t why_size);
/* The fault, counted, when it strikes this answer; else NULL. */
const AmbaFault *amba_fault_strikes(AmbaFaults *faults, AmbaFaultKind kind, AmbaCommand command);
