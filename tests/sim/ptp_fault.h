/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Wrong answers, asked for on the control socket:
 *
 *   {"cmd": "fault", "camera": NAME, "name": FAULT, "count": N, "skip": N, "operation": "GetObject", …}
 *
 * A fault strikes the transactions to which it applies: of the named operation only when one is named, not the first
 * `skip` of them, and then `count` of them (without a count: until it is cleared). {"name": FAULT, "clear": true} takes
 * it back, {"name": "none"} all of them.
 *
 *   wrong_transaction_id  the data and response headers carry another id
 *   wrong_container_type  … and here another type: "type" (default: an event's)
 *   short_container       the length fields are off by "delta" (default -4)
 *   silent                no answer at all
 *   endless               the data phase never ends; "length": what its header says (default: the true length)
 *   size_lie              sizes told are off by "delta" (default 4096), or are "size"; "path": of this clip only
 *   garbage               "length" random bytes (default 300) in place of the answer
 *   stall_data            bulk IN stalls when "after_bytes" (default 0) of the data phase were sent
 *   cancel_data           the camera itself breaks off a data phase there, says so in an event and in the response
 *   truncated_dataset     a dataset ends after "length" bytes (default: half of it)
 *   huge_handle_list      GetObjectHandles gives "handles" (default 1000000), and says that it gives "claim" (the same)
 *   no_partial            GetPartialObject is neither listed nor understood
 *   no_partial64          the same for GetPartialObject64
 *   no_prop_list          the same for GetObjectPropList
 *   delete_lies           DeleteObject says that it worked
 *   delete_denied         DeleteObject says "code" (default: Access_Denied)
 *   busy                  any operation answers Device_Busy
 *   session_already_open  OpenSession says so, whatever is true
 *   response              any operation answers "code" (default: General_Error)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

typedef enum PtpFaultKind {
        PTP_FAULT_WRONG_TRANSACTION_ID,
        PTP_FAULT_WRONG_CONTAINER_TYPE,
        PTP_FAULT_SHORT_CONTAINER,
        PTP_FAULT_SILENT,
        PTP_FAULT_ENDLESS,
        PTP_FAULT_SIZE_LIE,
        PTP_FAULT_GARBAGE,
        PTP_FAULT_STALL_DATA,
        PTP_FAULT_CANCEL_DATA,
        PTP_FAULT_TRUNCATED_DATASET,
        PTP_FAULT_HUGE_HANDLE_LIST,
        PTP_FAULT_NO_PARTIAL,
        PTP_FAULT_NO_PARTIAL64,
        PTP_FAULT_NO_PROP_LIST,
        PTP_FAULT_DELETE_LIES,
        PTP_FAULT_DELETE_DENIED,
        PTP_FAULT_BUSY,
        PTP_FAULT_SESSION_ALREADY_OPEN,
        PTP_FAULT_RESPONSE,
        _PTP_FAULT_MAX,
        _PTP_FAULT_INVALID = -22, /* -EINVAL */
} PtpFaultKind;

/* In the transaction under way. */
typedef enum PtpFaultVerdict {
        PTP_FAULT_UNASKED,
        PTP_FAULT_STRIKES,
        PTP_FAULT_PASSES,
} PtpFaultVerdict;

typedef struct PtpFault {
        bool armed;
        PtpFaultVerdict verdict;
        uint16_t operation; /* 0: any */
        uint64_t skip;
        int64_t count; /* what is left; negative: no end */
        /* What the kinds take; zero and false when not named. */
        int64_t delta;
        uint64_t length, size, after_bytes, handles, claim, code, type;
        bool has_delta, has_length, has_size;
        char *path;
} PtpFault;

typedef struct PtpFaults {
        PtpFault faults[_PTP_FAULT_MAX];
        uint16_t operation; /* of the transaction under way */
        uint64_t seed;      /* of what is random */
        uint64_t struck;    /* how often one did */
} PtpFaults;

const char *ptp_fault_kind_to_string(PtpFaultKind kind);
PtpFaultKind ptp_fault_kind_from_string(const char *name);

/* The JSON of the `fault` command. -EINVAL and `why` when it makes no sense. */
int ptp_faults_set(PtpFaults *faults, const json_t *args, char *why, size_t why_size);
void ptp_faults_clear(PtpFaults *faults);
/* A transaction begins: counts what struck in the last one. */
void ptp_faults_begin(PtpFaults *faults, uint16_t operation);
/* The fault when it is to strike in this transaction (it counts then), or NULL. */
const PtpFault *ptp_fault_take(PtpFaults *faults, PtpFaultKind kind);
/* The same for what lasts: armed or not, counting nothing. */
bool ptp_fault_is_armed(const PtpFaults *faults, PtpFaultKind kind);
/* {"name": count, …} of those that are armed; -1: without end. */
json_t *ptp_faults_describe(const PtpFaults *faults);
