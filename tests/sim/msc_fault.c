/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/msc_fault.h"

#include <errno.h>
#include <stdio.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/msc.h"

static const char *const kinds[] = {
        [MSC_FAULT_STALL_CBW] = "stall_cbw",
        [MSC_FAULT_STALL_DATA] = "stall_data",
        [MSC_FAULT_SHORT_DATA] = "short_data",
        [MSC_FAULT_ENDLESS] = "endless",
        [MSC_FAULT_CSW_IN_DATA] = "csw_in_data",
        [MSC_FAULT_ZERO_PACKET] = "zero_packet",
        [MSC_FAULT_STALL_CSW] = "stall_csw",
        [MSC_FAULT_WRONG_TAG] = "wrong_tag",
        [MSC_FAULT_WRONG_SIGNATURE] = "wrong_signature",
        [MSC_FAULT_WRONG_STATUS] = "wrong_status",
        [MSC_FAULT_SHORT_CSW] = "short_csw",
        [MSC_FAULT_LONG_CSW] = "long_csw",
        [MSC_FAULT_PHASE_ERROR] = "phase_error",
        [MSC_FAULT_GARBLED] = "garbled",
        [MSC_FAULT_RESIDUE] = "residue",
        [MSC_FAULT_GARBAGE] = "garbage",
        [MSC_FAULT_SILENT] = "silent",
        [MSC_FAULT_HANG] = "hang",
        [MSC_FAULT_DEAD] = "dead",
        [MSC_FAULT_CHECK] = "check",
        [MSC_FAULT_NOT_READY] = "not_ready",
        [MSC_FAULT_ATTENTION] = "attention",
        [MSC_FAULT_MEDIUM_CHANGED] = "medium_changed",
        [MSC_FAULT_ABORTED] = "aborted",
        [MSC_FAULT_TOO_LARGE] = "too_large",
        [MSC_FAULT_NO_MAX_LUN] = "no_max_lun",
};

static MscFaultKind kind_of(const char *name) {
        for (size_t i = 0; name && i < ELEMENTSOF(kinds); i++)
                if (text_equal(kinds[i], name))
                        return (MscFaultKind) i;
        return _MSC_FAULT_INVALID;
}

static int take_number(const json_t *args, const char *key, uint64_t *ret, char *why, size_t why_size) {
        const json_t *value = json_object_get(args, key);

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < 0) {
                snprintf(why, why_size, "\"%s\" must be a whole number that is not negative.", key);
                return -EINVAL;
        }
        *ret = (uint64_t) json_integer_value(value);
        return 0;
}

static int take_command(const json_t *value, int *ret, char *why, size_t why_size) {
        if (!value)
                return 0;
        *ret = json_is_integer(value) ? (int) (json_integer_value(value) & 0xff) : msc_command_code(json_string_value(value));
        if (*ret >= 0)
                return 0;
        snprintf(why, why_size, "\"command\" must be a SCSI operation code, or a name such as \"READ\".");
        return -EINVAL;
}

int msc_faults_set(MscFaults *faults, const json_t *args, char *why, size_t why_size) {
        const char *name = json_string_value(json_object_get(args, "name"));
        MscFaultKind kind = kind_of(name);
        MscFault fault = { .armed = true, .command = -1, .length = 300, .key = 5, .asc = 0x20, .bytes = 64 * KIB };
        uint64_t count = UINT64_MAX;
        struct {
                const char *key;
                uint64_t *value;
        } numbers[] = {
                { "skip", &fault.skip },       { "count", &count },   { "after_bytes", &fault.after_bytes },
                { "length", &fault.length },   { "key", &fault.key }, { "residue", &fault.residue },
                { "asc", &fault.asc },         { "ascq", &fault.ascq }, { "bytes", &fault.bytes },
        };

        if (name && text_equal(name, "none")) {
                for (size_t i = 0; i < _MSC_FAULT_MAX; i++)
                        faults->faults[i] = (MscFault) {};
                return 0;
        }
        if (kind < 0) {
                snprintf(why, why_size, "\"name\" must be a fault of a mass-storage camera; \"%.60s\" is none.", name ?: "");
                return -EINVAL;
        }
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (take_number(args, numbers[i].key, numbers[i].value, why, why_size) < 0)
                        return -EINVAL;
        if (take_command(json_object_get(args, "command"), &fault.command, why, why_size) < 0)
                return -EINVAL;
        fault.count = (int64_t) count;
        fault.has_residue = json_object_get(args, "residue");
        fault.twice = json_is_true(json_object_get(args, "twice"));
        faults->faults[kind] = json_is_true(json_object_get(args, "clear")) ? (MscFault) {} : fault;
        return 0;
}

void msc_faults_begin(MscFaults *faults, uint8_t command, uint32_t length) {
        for (size_t i = 0; i < _MSC_FAULT_MAX; i++) {
                MscFault *fault = &faults->faults[i];

                fault->strikes = false;
                if (!fault->armed || fault->count == 0 || (fault->command >= 0 && fault->command != msc_command_family(command)))
                        continue;
                if (i == MSC_FAULT_TOO_LARGE && length <= fault->bytes)
                        continue;
                if (fault->skip > 0) {
                        fault->skip--;
                        continue;
                }
                fault->strikes = true;
                faults->struck++;
                if (fault->count > 0 && --fault->count == 0)
                        fault->armed = false;
        }
}

const MscFault *msc_fault(const MscFaults *faults, MscFaultKind kind) {
        return faults->faults[kind].strikes ? &faults->faults[kind] : NULL;
}

bool msc_fault_is_armed(const MscFaults *faults, MscFaultKind kind) {
        return faults->faults[kind].armed;
}

json_t *msc_faults_describe(const MscFaults *faults) {
        json_t *answer = json_object();

        for (size_t i = 0; answer && i < _MSC_FAULT_MAX; i++)
                if (faults->faults[i].armed)
                        json_object_set_new(answer, kinds[i], json_integer(faults->faults[i].count));
        return answer;
}
