/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Wrong answers of a mass-storage camera, asked for on the control socket:
 *
 *   {"cmd": "fault", "camera": NAME, "name": FAULT, "count": N, "skip": N, "command": "READ", …}
 *
 * A fault strikes the commands to which it applies: with this operation code only when one is named (a number, or a name of
 * msc_scsi.c), not the first `skip` of them, and then `count` (without a count: until it is cleared). {"name": FAULT,
 * "clear": true} takes it back, {"name": "none"} all of them.
 *
 *   stall_cbw        the command wrapper is not taken: both endpoints stall until Reset Recovery
 *   stall_data       the data phase stalls after "after_bytes" (default 0); then CSW and sense say "command aborted"
 *   short_data       it ends there with a short packet or a stall, and CSW says that all is well
 *   endless          it goes on and on
 *   csw_in_data      the CSW comes in place of the data
 *   zero_packet      an empty packet between data and CSW
 *   stall_csw        the CSW comes only after a stall; "twice": after no clearing of a halt either
 *   wrong_tag, wrong_signature, wrong_status (7), short_csw (12 bytes), long_csw (14 bytes), phase_error
 *   garbled          the data are inverted, and CSW says phase error
 *   residue          CSW says that "residue" bytes (default: one more than were asked for) did not move
 *   garbage          "length" random bytes (default 300) in place of the CSW
 *   silent           no answer until Reset Recovery
 *   hang             no answer, Bulk-Only Mass Storage Reset stalls: only a reset of the USB device helps
 *   dead             no answer to anything any more, resets included
 *   check            the command fails; sense "key" (default 5), "asc" (0x20), "ascq" (0). As shorthands:
 *                    not_ready (2/04/01), attention (6/29/00), medium_changed (6/28/00), aborted (B/00/00)
 *   too_large        as hang, for a data phase of more than "bytes" (default 65536)
 *   no_max_lun       Get Max LUN stalls
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

typedef enum MscFaultKind {
        MSC_FAULT_STALL_CBW,
        MSC_FAULT_STALL_DATA,
        MSC_FAULT_SHORT_DATA,
        MSC_FAULT_ENDLESS,
        MSC_FAULT_CSW_IN_DATA,
        MSC_FAULT_ZERO_PACKET,
        MSC_FAULT_STALL_CSW,
        MSC_FAULT_WRONG_TAG,
        MSC_FAULT_WRONG_SIGNATURE,
        MSC_FAULT_WRONG_STATUS,
        MSC_FAULT_SHORT_CSW,
        MSC_FAULT_LONG_CSW,
        MSC_FAULT_PHASE_ERROR,
        MSC_FAULT_GARBLED,
        MSC_FAULT_RESIDUE,
        MSC_FAULT_GARBAGE,
        MSC_FAULT_SILENT,
        MSC_FAULT_HANG,
        MSC_FAULT_DEAD,
        MSC_FAULT_CHECK,
        MSC_FAULT_NOT_READY,
        MSC_FAULT_ATTENTION,
        MSC_FAULT_MEDIUM_CHANGED,
        MSC_FAULT_ABORTED,
        MSC_FAULT_TOO_LARGE,
        MSC_FAULT_NO_MAX_LUN,
        _MSC_FAULT_MAX,
        _MSC_FAULT_INVALID = -22, /* -EINVAL */
} MscFaultKind;

typedef struct MscFault {
        bool armed, strikes; /* in the command under way */
        int command;         /* operation code, -1: any */
        uint64_t skip;
        int64_t count; /* what is left; negative: no end */
        uint64_t after_bytes, residue, length, key, asc, ascq, bytes;
        bool has_residue, twice;
} MscFault;

typedef struct MscFaults {
        MscFault faults[_MSC_FAULT_MAX];
        uint64_t seed, struck;
} MscFaults;

/* The JSON of the `fault` command. -EINVAL and `why` when it makes no sense. */
int msc_faults_set(MscFaults *faults, const json_t *args, char *why, size_t why_size);
/* A command begins, with so long a data phase: decides which strike. */
void msc_faults_begin(MscFaults *faults, uint8_t command, uint32_t length);
/* The fault when it strikes in this command, or NULL. */
const MscFault *msc_fault(const MscFaults *faults, MscFaultKind kind);
bool msc_fault_is_armed(const MscFaults *faults, MscFaultKind kind);
json_t *msc_faults_describe(const MscFaults *faults);
