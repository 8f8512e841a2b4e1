/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ptp_fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sim/ptp.h"

static const char *const kinds[_PTP_FAULT_MAX] = {
        [PTP_FAULT_WRONG_TRANSACTION_ID] = "wrong_transaction_id",
        [PTP_FAULT_WRONG_CONTAINER_TYPE] = "wrong_container_type",
        [PTP_FAULT_SHORT_CONTAINER] = "short_container",
        [PTP_FAULT_SILENT] = "silent",
        [PTP_FAULT_ENDLESS] = "endless",
        [PTP_FAULT_SIZE_LIE] = "size_lie",
        [PTP_FAULT_GARBAGE] = "garbage",
        [PTP_FAULT_STALL_DATA] = "stall_data",
        [PTP_FAULT_CANCEL_DATA] = "cancel_data",
        [PTP_FAULT_TRUNCATED_DATASET] = "truncated_dataset",
        [PTP_FAULT_HUGE_HANDLE_LIST] = "huge_handle_list",
        [PTP_FAULT_NO_PARTIAL] = "no_partial",
        [PTP_FAULT_NO_PARTIAL64] = "no_partial64",
        [PTP_FAULT_NO_PROP_LIST] = "no_prop_list",
        [PTP_FAULT_DELETE_LIES] = "delete_lies",
        [PTP_FAULT_DELETE_DENIED] = "delete_denied",
        [PTP_FAULT_BUSY] = "busy",
        [PTP_FAULT_SESSION_ALREADY_OPEN] = "session_already_open",
        [PTP_FAULT_RESPONSE] = "response",
};

DEFINE_STRING_TABLE(ptp_fault_kind, PtpFaultKind, kinds);

static void fault_clear(PtpFault *fault) {
        free(fault->path);
        *fault = (PtpFault) {};
}

void ptp_faults_clear(PtpFaults *faults) {
        for (size_t i = 0; i < _PTP_FAULT_MAX; i++)
                fault_clear(&faults->faults[i]);
}

/* 0, 1 when it is there, or -EINVAL. */
static int number(const json_t *args, const char *key, uint64_t *ret, char *why, size_t why_size) {
        const json_t *value = json_object_get(args, key);

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < 0) {
                snprintf(why, why_size, "\"%s\" must be a whole number that is not negative.", key);
                return -EINVAL;
        }
        *ret = (uint64_t) json_integer_value(value);
        return 1;
}

static int operation_code(const json_t *value, uint16_t *ret, char *why, size_t why_size) {
        if (!value)
                return 0;
        if (json_is_integer(value)) {
                *ret = (uint16_t) json_integer_value(value);
                return 0;
        }
        for (size_t i = 0; i < ptp_n_operations; i++)
                if (json_is_string(value) && text_equal(ptp_operations[i].name, json_string_value(value))) {
                        *ret = ptp_operations[i].code;
                        return 0;
                }
        snprintf(why, why_size, "\"operation\" must be the name or the code of a PTP operation, such as \"GetObject\".");
        return -EINVAL;
}

/* The numbers that the kinds take. */
static int fault_options(const json_t *args, PtpFault *fault, char *why, size_t why_size) {
        struct {
                const char *key;
                uint64_t *value;
        } options[] = {
                { "skip", &fault->skip },       { "length", &fault->length }, { "size", &fault->size },
                { "after_bytes", &fault->after_bytes }, { "handles", &fault->handles }, { "claim", &fault->claim },
                { "code", &fault->code },       { "type", &fault->type },
        };
        const json_t *delta = json_object_get(args, "delta");

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (number(args, options[i].key, options[i].value, why, why_size) < 0)
                        return -EINVAL;
        if (delta && !json_is_integer(delta)) {
                snprintf(why, why_size, "\"delta\" must be a whole number.");
                return -EINVAL;
        }
        fault->delta = json_integer_value(delta);
        fault->has_delta = delta;
        fault->has_length = json_object_get(args, "length");
        fault->has_size = json_object_get(args, "size");
        return 0;
}

int ptp_faults_set(PtpFaults *faults, const json_t *args, char *why, size_t why_size) {
        const char *name = json_string_value(json_object_get(args, "name"));
        const char *path = json_string_value(json_object_get(args, "path"));
        PtpFaultKind kind = ptp_fault_kind_from_string(name);
        PtpFault fault = { .armed = true, .count = -1 };
        uint64_t count;
        int r;

        if (name && text_equal(name, "none")) {
                ptp_faults_clear(faults);
                return 0;
        }
        if (kind < 0) {
                snprintf(why, why_size, "\"name\" must be a fault of a PTP camera; \"%.60s\" is none.", name ?: "");
                return -EINVAL;
        }
        if (json_is_true(json_object_get(args, "clear"))) {
                fault_clear(&faults->faults[kind]);
                return 0;
        }
        r = number(args, "count", &count, why, why_size);
        if (r < 0)
                return r;
        if (r > 0)
                fault.count = (int64_t) count;
        r = operation_code(json_object_get(args, "operation"), &fault.operation, why, why_size);
        if (r < 0)
                return r;
        r = fault_options(args, &fault, why, why_size);
        if (r < 0)
                return r;
        if (path) {
                fault.path = strdup(path);
                if (!fault.path)
                        return -ENOMEM;
        }
        fault_clear(&faults->faults[kind]);
        faults->faults[kind] = fault;
        return 0;
}

void ptp_faults_begin(PtpFaults *faults, uint16_t operation) {
        for (size_t i = 0; i < _PTP_FAULT_MAX; i++) {
                PtpFault *fault = &faults->faults[i];

                if (fault->verdict == PTP_FAULT_STRIKES && fault->count > 0 && --fault->count == 0)
                        fault->armed = false;
                fault->verdict = PTP_FAULT_UNASKED;
        }
        faults->operation = operation;
}

const PtpFault *ptp_fault_take(PtpFaults *faults, PtpFaultKind kind) {
        PtpFault *fault = &faults->faults[kind];

        if (!fault->armed || (fault->operation != 0 && fault->operation != faults->operation))
                return NULL;
        if (fault->verdict == PTP_FAULT_UNASKED) {
                if (fault->count == 0)
                        return NULL;
                if (fault->skip > 0) {
                        fault->skip--;
                        fault->verdict = PTP_FAULT_PASSES;
                } else {
                        fault->verdict = PTP_FAULT_STRIKES;
                        faults->struck++;
                }
        }
        return fault->verdict == PTP_FAULT_STRIKES ? fault : NULL;
}

bool ptp_fault_is_armed(const PtpFaults *faults, PtpFaultKind kind) {
        return faults->faults[kind].armed;
}

json_t *ptp_faults_describe(const PtpFaults *faults) {
        json_t *answer = json_object();

        for (PtpFaultKind kind = 0; answer && kind < _PTP_FAULT_MAX; kind++) {
                const PtpFault *fault = &faults->faults[kind];

                if (fault->armed)
                        json_object_set_new(answer, ptp_fault_kind_to_string(kind), json_integer(fault->count));
        }
        return answer;
}
