/* SPDX-License-Identifier: Apache-2.0 */

/* The operations of the simulated PTP camera, and its sessions (ISO 15740 chapter 10, MTP 1.1 appendix D and E). */

#include "sim/ptp.h"

#include <string.h>

#define WRONG_ID_DISTANCE 0x1000u
#define GARBAGE_MAX 4096u
#define GARBAGE_DEFAULT 300u
/* What the fault session_already_open leaves behind, as a host that died would. */
#define LEFTOVER_SESSION UINT32_C(0x5e55)

static PtpResponse open_session(PtpCamera *camera, PtpTransaction *t) {
        if (ptp_fault_take(&camera->faults, PTP_FAULT_SESSION_ALREADY_OPEN) && camera->session == 0)
                camera->session = LEFTOVER_SESSION;
        if (camera->session != 0) {
                t->answers[0] = camera->session;
                t->n_answers = 1;
                return PTP_SESSION_ALREADY_OPEN;
        }
        if (t->parameters[0] == 0)
                return PTP_INVALID_PARAMETER;
        camera->session = t->parameters[0];
        camera->counters.sessions++;
        return PTP_OK;
}

static PtpResponse close_session(PtpCamera *camera, PtpTransaction *t) {
        (void) t;
        ptp_close_session(camera);
        return PTP_OK;
}

/* A camera that looks for a firmware file restarts in earnest. */
static PtpResponse reset_device(PtpCamera *camera, PtpTransaction *t) {
        (void) t;
        ptp_close_session(camera);
        if (camera->firmware_file[0])
                sim_device_become(camera->device, camera->stays_away ? NULL : sim_device_name(camera->device), 20, 30);
        return PTP_OK;
}

#define GIVES PTP_OPERATION_GIVES_DATA
#define TAKES PTP_OPERATION_TAKES_DATA
#define MTP PTP_OPERATION_IS_MTP
#define ANDROID PTP_OPERATION_IS_ANDROID
#define ANYTIME PTP_OPERATION_NO_SESSION

const PtpOperation ptp_operations[] = {
        { 0x1001, "GetDeviceInfo", ptp_get_device_info, GIVES | ANYTIME },
        { 0x1002, "OpenSession", open_session, ANYTIME },
        { 0x1003, "CloseSession", close_session, 0 },
        { 0x1004, "GetStorageIDs", ptp_get_storage_ids, GIVES },
        { 0x1005, "GetStorageInfo", ptp_get_storage_info, GIVES },
        { 0x1006, "GetNumObjects", ptp_get_num_objects, 0 },
        { 0x1007, "GetObjectHandles", ptp_get_object_handles, GIVES },
        { 0x1008, "GetObjectInfo", ptp_get_object_info, GIVES },
        { 0x1009, "GetObject", ptp_get_object, GIVES },
        { 0x100a, "GetThumb", ptp_get_thumb, GIVES },
        { 0x100b, "DeleteObject", ptp_delete_object, 0 },
        { 0x100c, "SendObjectInfo", ptp_send_object_info, TAKES },
        { 0x100d, "SendObject", ptp_send_object, TAKES },
        { 0x100f, "FormatStore", ptp_format_store, 0 },
        { 0x1010, "ResetDevice", reset_device, 0 },
        { 0x1014, "GetDevicePropDesc", ptp_get_device_prop_desc, GIVES },
        { 0x1015, "GetDevicePropValue", ptp_get_device_prop_value, GIVES },
        { 0x1016, "SetDevicePropValue", ptp_set_device_prop_value, TAKES },
        { 0x101b, "GetPartialObject", ptp_get_partial_object, GIVES },
        { 0x95c1, "GetPartialObject64", ptp_get_partial_object64, GIVES | ANDROID },
        { 0x9801, "GetObjectPropsSupported", ptp_get_object_props_supported, GIVES | MTP },
        { 0x9802, "GetObjectPropDesc", ptp_get_object_prop_desc, GIVES | MTP },
        { 0x9803, "GetObjectPropValue", ptp_get_object_prop_value, GIVES | MTP },
        { 0x9805, "GetObjectPropList", ptp_get_object_prop_list, GIVES | MTP },
};
const size_t ptp_n_operations = ELEMENTSOF(ptp_operations);
static_assert(ELEMENTSOF(ptp_operations) <= PTP_OPERATIONS_MAX, "operation_counts is too small");

bool ptp_operation_is_supported(const PtpCamera *camera, const PtpOperation *operation) {
        static const struct {
                uint16_t code;
                PtpFaultKind fault;
        } deniable[] = {
                { 0x101b, PTP_FAULT_NO_PARTIAL },
                { 0x95c1, PTP_FAULT_NO_PARTIAL64 },
                { 0x9805, PTP_FAULT_NO_PROP_LIST },
        };

        if ((operation->flags & MTP && !camera->is_mtp) || (operation->flags & ANDROID && !camera->is_android))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(deniable); i++)
                if (deniable[i].code == operation->code && ptp_fault_is_armed(&camera->faults, deniable[i].fault))
                        return false;
        return true;
}

const PtpOperation *ptp_operation_find(const PtpCamera *camera, uint16_t code) {
        for (size_t i = 0; i < ptp_n_operations; i++)
                if (ptp_operations[i].code == code)
                        return ptp_operation_is_supported(camera, &ptp_operations[i]) ? &ptp_operations[i] : NULL;
        return NULL;
}

static PtpResponse run(PtpCamera *camera, PtpTransaction *t) {
        const PtpFault *fault;

        fault = ptp_fault_take(&camera->faults, PTP_FAULT_RESPONSE);
        if (fault)
                return fault->code ? (PtpResponse) fault->code : PTP_GENERAL_ERROR;
        if (ptp_fault_take(&camera->faults, PTP_FAULT_BUSY))
                return PTP_DEVICE_BUSY;
        if (!t->operation)
                return PTP_OPERATION_NOT_SUPPORTED;
        if (camera->session == 0 && !(t->operation->flags & ANYTIME))
                return PTP_SESSION_NOT_OPEN;
        return t->operation->run(camera, t);
}

static void put_le(uint8_t *ret, uint64_t v, size_t size) {
        for (size_t i = 0; i < size; i++)
                ret[i] = (uint8_t) (v >> 8 * i);
}

/* Faults that strike a data phase of its own size. */
static void spoil_data(PtpCamera *camera, PtpTransaction *t) {
        PtpFaults *faults = &camera->faults;
        const PtpFault *fault;

        fault = ptp_fault_take(faults, PTP_FAULT_STALL_DATA);
        if (fault) {
                t->cut_at = fault->after_bytes;
                t->cut_by_stall = true;
        }
        fault = ptp_fault_take(faults, PTP_FAULT_CANCEL_DATA);
        if (fault) {
                t->cut_at = fault->after_bytes;
                t->cut_by_stall = false;
        }
        fault = ptp_fault_take(faults, PTP_FAULT_ENDLESS);
        if (fault && fault->has_length)
                put_le(t->header, fault->length, 4);
        t->endless = fault;
}

/* `length` is the container's, with this header. */
static void make_header(PtpCamera *camera, PtpContainer type, uint16_t code, uint64_t length, uint8_t ret[static PTP_HEADER_SIZE]) {
        PtpFaults *faults = &camera->faults;
        uint32_t id = camera->transaction.id;
        uint64_t said_type = type;
        const PtpFault *fault;

        length = MIN2(length, (uint64_t) PTP_LENGTH_UNKNOWN);
        fault = ptp_fault_take(faults, PTP_FAULT_SHORT_CONTAINER);
        if (fault)
                length += (uint64_t) (fault->has_delta ? fault->delta : -4);
        fault = ptp_fault_take(faults, PTP_FAULT_WRONG_CONTAINER_TYPE);
        if (fault)
                said_type = fault->type ? fault->type : PTP_CONTAINER_EVENT;
        if (ptp_fault_take(faults, PTP_FAULT_WRONG_TRANSACTION_ID))
                id += WRONG_ID_DISTANCE;
        put_le(ret, length, 4);
        put_le(ret + 4, said_type, 2);
        put_le(ret + 6, code, 2);
        put_le(ret + 8, id, 4);
}

void ptp_respond(PtpCamera *camera) {
        PtpTransaction *t = &camera->transaction;

        t->answer_size = PTP_HEADER_SIZE + sizeof(uint32_t) * t->n_answers;
        make_header(camera, PTP_CONTAINER_RESPONSE, (uint16_t) t->response, t->answer_size, t->answer);
        for (unsigned i = 0; i < t->n_answers; i++)
                put_le(t->answer + PTP_HEADER_SIZE + sizeof(uint32_t) * i, t->answers[i], sizeof(uint32_t));
        camera->phase = PTP_PHASE_RESPONSE;
}

/* Random bytes, and nothing more. */
static void send_garbage(PtpCamera *camera, const PtpFault *fault) {
        PtpTransaction *t = &camera->transaction;
        uint8_t bytes[GARBAGE_MAX];
        Content *noise;

        ptp_writer_done(&t->dataset);
        t->object = 0;
        t->header_size = 0;
        t->payload_size = fault->has_length ? MIN2(fault->length, (uint64_t) sizeof(bytes)) : GARBAGE_DEFAULT;
        if (content_new_seed(++camera->faults.seed, sizeof(bytes), &noise) == 0) {
                if (content_read(noise, 0, bytes, sizeof(bytes)) == 0)
                        ptp_put_bytes(&t->dataset, bytes, (size_t) t->payload_size);
                content_free(noise);
        }
        t->payload_size = t->dataset.size;
        camera->phase = PTP_PHASE_DATA_IN;
}

void ptp_dispatch(PtpCamera *camera) {
        PtpTransaction *t = &camera->transaction;
        const PtpFault *fault;

        t->cut_at = UINT64_MAX;
        t->response = run(camera, t);
        if (t->dataset.failed)
                t->response = PTP_GENERAL_ERROR;
        if (ptp_fault_take(&camera->faults, PTP_FAULT_SILENT)) {
                ptp_transaction_end(camera);
                return;
        }
        fault = ptp_fault_take(&camera->faults, PTP_FAULT_GARBAGE);
        if (fault) {
                send_garbage(camera, fault);
                return;
        }
        if (t->response != PTP_OK || !(t->operation->flags & GIVES)) {
                ptp_respond(camera);
                return;
        }
        if (t->object == 0)
                t->payload_size = t->dataset.size;
        fault = t->object == 0 ? ptp_fault_take(&camera->faults, PTP_FAULT_TRUNCATED_DATASET) : NULL;
        if (fault)
                t->payload_size = MIN2(t->payload_size, fault->has_length ? fault->length : t->payload_size / 2);
        t->header_size = PTP_HEADER_SIZE;
        make_header(camera, PTP_CONTAINER_DATA, t->code, PTP_HEADER_SIZE + t->payload_size, t->header);
        spoil_data(camera, t);
        camera->phase = PTP_PHASE_DATA_IN;
}
