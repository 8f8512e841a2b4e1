/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The simulated mass-storage camera as the bus sees it: descriptors, class requests, and the three phases of the bulk-only
 * transport with its thirteen cases (USB Mass Storage Class, Bulk-Only Transport 1.0, chapter 6.7). What the control socket
 * takes is at the head of msc_spec.c, its faults are in msc_fault.h.
 */

#include "sim/msc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

enum {
        ENDPOINT_BULK_IN = 0x81,
        ENDPOINT_BULK_OUT = 0x02,

        REQUEST_RESET = 0xff,
        REQUEST_MAX_LUN = 0xfe,
        TO_INTERFACE = 0x21,
        FROM_INTERFACE = 0xa1,

        CBW_SIZE = 31,
        STATUS_PHASE_ERROR = 2,
        ASC_RESET = 0x29,
};

#define CBW_SIGNATURE UINT32_C(0x43425355)
#define CSW_SIGNATURE UINT32_C(0x53425355)

static uint32_t le32(const uint8_t *p) {
        return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static void put_le32(uint8_t *ret, uint32_t v) {
        for (size_t i = 0; i < 4; i++)
                ret[i] = (uint8_t) (v >> 8 * i);
}

/* ---- states ------------------------------------------------------------------------------------------------- */

static void task_end(MscCamera *camera) {
        free(camera->task.received);
        camera->task = (MscTask) {};
}

static void go_idle(MscCamera *camera) {
        task_end(camera);
        camera->phase = MSC_IDLE;
}

static void raise_attention(MscCamera *camera, uint8_t asc) {
        for (size_t i = 0; i < camera->n_units; i++) {
                camera->units[i].has_attention = true;
                camera->units[i].attention_asc = asc;
        }
}

static void model_power(void *state, int on) {
        MscCamera *camera = state;

        go_idle(camera);
        for (size_t i = 0; i < camera->n_units; i++) {
                msc_medium_forget(&camera->units[i].medium);
                camera->units[i].is_ejected = false;
                if (on) {
                        camera->units[i].medium.is_cut = false;
                        camera->units[i].medium.cut_after = UINT64_MAX;
                }
        }
        if (!on)
                return;
        camera->power_cycles++;
        msc_firmware_apply(camera);
        raise_attention(camera, ASC_RESET);
}

static void model_reset(void *state) {
        MscCamera *camera = state;

        if (camera->phase == MSC_DEAD)
                return;
        go_idle(camera);
        camera->usb_resets++;
        raise_attention(camera, ASC_RESET);
}

/* ---- descriptors -------------------------------------------------------------------------------------------- */

static size_t put_endpoint(uint8_t *p, uint8_t address, uint16_t packet) {
        const uint8_t descriptor[] = { 7, 5, address, 2, (uint8_t) packet, (uint8_t) (packet >> 8), 0 };
        const uint8_t companion[] = { 6, 0x30, 0, 0, 0, 0 };

        memcpy(p, descriptor, sizeof(descriptor));
        if (packet < 1024)
                return sizeof(descriptor);
        memcpy(p + sizeof(descriptor), companion, sizeof(companion));
        return sizeof(descriptor) + sizeof(companion);
}

/* USB Attached SCSI (UAS-3 §5.3): another setting of the interface, with a pipe each for commands, status, data in and data out. */
static size_t put_uas(uint8_t *p, uint16_t packet) {
        static const uint8_t interface[] = { 9, 4, 0, 1, 4, 8, 6, 0x62, 0 };
        static const uint8_t pipes[] = { 0x03, 0x84, 0x85, 0x06 };
        size_t n = sizeof(interface);

        memcpy(p, interface, sizeof(interface));
        for (size_t i = 0; i < sizeof(pipes); i++) {
                const uint8_t usage[] = { 4, 0x24, (uint8_t) (i + 1), 0 };

                n += put_endpoint(p + n, pipes[i], packet);
                memcpy(p + n, usage, sizeof(usage));
                n += sizeof(usage);
        }
        return n;
}

static size_t model_descriptors(void *state, uint8_t *ret, size_t size) {
        static const uint8_t configuration[] = { 9, 2, 0, 0, 1, 1, 0, 0x80, 250 };
        static const uint8_t interface[] = { 9, 4, 0, 0, 2, 8, 6, 0x50, 0 };
        const MscCamera *camera = state;
        uint8_t all[192];
        size_t n = model_device_descriptor(&camera->identity, 0x0100, all);

        memcpy(all + n, configuration, sizeof(configuration));
        n += sizeof(configuration);
        memcpy(all + n, interface, sizeof(interface));
        n += sizeof(interface);
        n += put_endpoint(all + n, ENDPOINT_BULK_IN, camera->packet);
        n += put_endpoint(all + n, ENDPOINT_BULK_OUT, camera->packet);
        if (camera->has_uas)
                n += put_uas(all + n, camera->packet);
        model_finish_configuration(all, n);
        if (camera->packet == 1024) {
                all[3] = 3;
                all[7] = 9;
        }
        n = MIN2(n, size);
        memcpy(ret, all, n);
        return n;
}

static const char *model_string_of(void *state, uint8_t index) {
        const MscCamera *camera = state;

        return model_string(&camera->identity, index);
}

/* ---- control pipe ------------------------------------------------------------------------------------------- */

static int model_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        MscCamera *camera = state;

        if (camera->phase == MSC_DEAD)
                return SIM_NAK;
        if (setup[0] == TO_INTERFACE && setup[1] == REQUEST_RESET && length == 0 && setup[4] == 0) {
                if (camera->phase == MSC_HUNG)
                        return -EPIPE;
                go_idle(camera);
                camera->class_resets++;
                return 0;
        }
        if (setup[0] == FROM_INTERFACE && setup[1] == REQUEST_MAX_LUN && length >= 1 &&
            !msc_fault_is_armed(&camera->faults, MSC_FAULT_NO_MAX_LUN)) {
                data[0] = (uint8_t) (camera->n_units - 1);
                return 1;
        }
        return -EPIPE;
}

/* ---- from the host ------------------------------------------------------------------------------------------ */

/* The data phase as host and device have it: chapter 6.7's cases. */
static void reconcile(MscCamera *camera) {
        MscTask *t = &camera->task;
        MscWay host = t->length == 0 ? MSC_WAY_NONE : t->to_host ? MSC_WAY_IN : MSC_WAY_OUT;

        t->to_send = t->planned;
        if (host == MSC_WAY_NONE) {
                if (t->planned > 0)
                        t->status = STATUS_PHASE_ERROR; /* 2, 3 */
                camera->phase = MSC_STATUS;
        } else if (host == MSC_WAY_IN) {
                if (t->way == MSC_WAY_OUT || t->planned > t->length)
                        t->status = STATUS_PHASE_ERROR; /* 7, 8 */
                t->to_send = t->way == MSC_WAY_IN ? MIN2(t->planned, (uint64_t) t->length) : 0;
                t->stalls_after = t->to_send < t->length && t->to_send % camera->packet == 0; /* 4, 5 */
                camera->phase = t->to_send > 0 ? MSC_DATA_IN : MSC_STALL_IN;
        } else if (t->way == MSC_WAY_OUT && t->planned <= t->length) {
                camera->phase = MSC_DATA_OUT; /* 11, 12 */
        } else {
                if (t->way == MSC_WAY_IN || t->planned > t->length)
                        t->status = STATUS_PHASE_ERROR; /* 10, 13 */
                camera->phase = MSC_STALL_OUT; /* 9 */
        }
}

static void apply_faults(MscCamera *camera) {
        MscTask *t = &camera->task;
        const MscFaults *faults = &camera->faults;
        const MscFault *stall = msc_fault(faults, MSC_FAULT_STALL_DATA), *cut = msc_fault(faults, MSC_FAULT_SHORT_DATA);

        if (msc_fault(faults, MSC_FAULT_SILENT))
                camera->phase = MSC_SILENT;
        if (msc_fault(faults, MSC_FAULT_HANG) || msc_fault(faults, MSC_FAULT_TOO_LARGE))
                camera->phase = MSC_HUNG;
        if (msc_fault(faults, MSC_FAULT_DEAD))
                camera->phase = MSC_DEAD;
        if (msc_fault(faults, MSC_FAULT_CSW_IN_DATA) && camera->phase == MSC_DATA_IN)
                camera->phase = MSC_STATUS;
        if (msc_fault(faults, MSC_FAULT_ENDLESS) && camera->phase == MSC_DATA_IN)
                t->to_send = UINT64_MAX;
        if (stall && camera->phase == MSC_DATA_OUT)
                camera->phase = MSC_STALL_OUT;
        if ((stall || cut) && camera->phase == MSC_DATA_IN) {
                t->to_send = MIN2(t->to_send, stall ? stall->after_bytes : cut->after_bytes);
                t->stalls_after = stall || t->to_send % camera->packet == 0;
                if (t->to_send == 0)
                        camera->phase = MSC_STALL_IN;
        }
        if (stall) {
                t->unit->sense = (MscSense) { .key = 0xb };
                t->status = 1;
        }
        if (msc_fault(faults, MSC_FAULT_STALL_CSW))
                t->csw_stalls = msc_fault(faults, MSC_FAULT_STALL_CSW)->twice ? 2 : 1;
}

static int take_cbw(MscCamera *camera, const uint8_t *data, size_t length) {
        MscTask *t = &camera->task;

        task_end(camera);
        if (length != CBW_SIZE || le32(data) != CBW_SIGNATURE || data[13] >= camera->n_units || data[14] < 1 || data[14] > 16) {
                camera->protocol_errors++;
                camera->phase = MSC_BROKEN;
                return -EPIPE;
        }
        t->tag = le32(data + 4);
        t->length = le32(data + 8);
        t->to_host = data[12] & 0x80;
        t->unit = &camera->units[data[13]];
        t->cdb_size = data[14];
        memcpy(t->cdb, data + 15, t->cdb_size);
        camera->command_counts[t->cdb[0]]++;
        msc_faults_begin(&camera->faults, t->cdb[0], t->length);
        if (msc_fault(&camera->faults, MSC_FAULT_STALL_CBW)) {
                camera->phase = MSC_BROKEN;
                return -EPIPE;
        }
        camera->phase = MSC_IDLE;
        msc_scsi_begin(camera);
        if (camera->phase == MSC_DEAD)
                return -ESHUTDOWN;
        reconcile(camera);
        apply_faults(camera);
        return CBW_SIZE;
}

static int take_data(MscCamera *camera, const uint8_t *data, size_t length) {
        MscTask *t = &camera->task;
        int r = 0;

        if (t->length > MSC_RECEIVED_MAX || length > t->length - t->received_size) {
                camera->protocol_errors++;
                camera->phase = MSC_BROKEN;
                return -EPIPE;
        }
        if (!t->received)
                t->received = malloc(t->length);
        if (!t->received)
                return -EPIPE;
        memcpy(t->received + t->received_size, data, length);
        t->received_size += length;
        t->moved = MIN2((uint64_t) t->received_size, t->planned);
        if (t->received_size == t->length) {
                r = msc_scsi_received(camera);
                camera->phase = MSC_STATUS;
        }
        return r == -ESHUTDOWN ? r : (int) length;
}

static int model_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        MscCamera *camera = state;

        if (endpoint != ENDPOINT_BULK_OUT)
                return -EPIPE;
        switch (camera->phase) {
        case MSC_IDLE:
                return take_cbw(camera, data, length);
        case MSC_DATA_OUT:
                return take_data(camera, data, length);
        case MSC_STALL_OUT:
                camera->phase = MSC_STATUS;
                return -EPIPE;
        case MSC_BROKEN:
                return -EPIPE;
        default:
                return SIM_NAK;
        }
}

/* ---- to the host -------------------------------------------------------------------------------------------- */

static size_t make_garbage(MscCamera *camera, uint8_t *data, size_t length, size_t wanted) {
        size_t n = MIN2(wanted, length);

        for (size_t i = 0; i < n; i++) {
                camera->faults.seed = camera->faults.seed * UINT64_C(6364136223846793005) + 1442695040888963407;
                data[i] = (uint8_t) (camera->faults.seed >> 56);
        }
        return n;
}

/* The status wrapper, with what is to be wrong in it; the command is over. */
static int give_csw(MscCamera *camera, uint8_t *data, size_t length) {
        const MscFaults *faults = &camera->faults;
        MscTask *t = &camera->task;
        uint8_t csw[MSC_CSW_SIZE + 1] = {};
        uint64_t residue = t->length - MIN2(t->moved, (uint64_t) t->length);
        size_t size = MSC_CSW_SIZE;
        const MscFault *fault;

        if (t->csw_stalls > 0) {
                t->csw_stalls--;
                return -EPIPE;
        }
        fault = msc_fault(faults, MSC_FAULT_RESIDUE);
        if (fault)
                residue = fault->has_residue ? fault->residue : (uint64_t) t->length + 1;
        if (msc_fault(faults, MSC_FAULT_SHORT_DATA))
                residue = 0;
        put_le32(csw, msc_fault(faults, MSC_FAULT_WRONG_SIGNATURE) ? CBW_SIGNATURE : CSW_SIGNATURE);
        put_le32(csw + 4, msc_fault(faults, MSC_FAULT_WRONG_TAG) ? t->tag ^ 1 : t->tag);
        put_le32(csw + 8, (uint32_t) residue);
        csw[12] = t->status;
        if (msc_fault(faults, MSC_FAULT_PHASE_ERROR) || msc_fault(faults, MSC_FAULT_GARBLED))
                csw[12] = STATUS_PHASE_ERROR;
        if (msc_fault(faults, MSC_FAULT_WRONG_STATUS))
                csw[12] = 7;
        if (msc_fault(faults, MSC_FAULT_SHORT_CSW))
                size--;
        if (msc_fault(faults, MSC_FAULT_LONG_CSW))
                size++;
        fault = msc_fault(faults, MSC_FAULT_GARBAGE);
        size = MIN2(size, length);
        if (fault)
                size = make_garbage(camera, data, length, (size_t) fault->length);
        else
                memcpy(data, csw, size);
        go_idle(camera);
        return (int) size;
}

static int fill_data(MscCamera *camera, uint8_t *data, size_t n) {
        MscTask *t = &camera->task;
        size_t real = (size_t) MIN2((uint64_t) n, t->planned - MIN2(t->planned, t->moved));
        int r;

        memset(data + real, 0xee, n - real);
        if (!t->has_range) {
                memcpy(data, t->answer + MIN2(t->moved, (uint64_t) MSC_ANSWER_MAX), real);
                return 0;
        }
        camera->bytes_read += real;
        r = msc_medium_read(&t->unit->medium, t->range_sector * t->unit->medium.sector_bytes + t->moved, data, real);
        for (size_t i = 0; t->unit->medium.pads && i < real; i++)
                if (t->moved + i >= t->good_bytes)
                        data[i] = 0xee;
        for (size_t i = 0; msc_fault(&camera->faults, MSC_FAULT_GARBLED) && i < real; i++)
                data[i] ^= 0xff;
        return r;
}

static int give_data(MscCamera *camera, uint8_t *data, size_t length) {
        MscTask *t = &camera->task;
        size_t n = (size_t) MIN2(t->to_send - t->moved, (uint64_t) length);
        int r;

        r = fill_data(camera, data, n);
        if (r < 0)
                return -EPIPE;
        t->moved += n;
        if (t->moved < t->to_send)
                return (int) n;
        if (t->stalls_after) {
                camera->phase = MSC_STALL_IN;
                return (int) n;
        }
        camera->phase = msc_fault(&camera->faults, MSC_FAULT_ZERO_PACKET) ? MSC_ZERO_PACKET : MSC_STATUS;
        /* A transfer that is longer than the data goes on with the next packet, which is the status. */
        if (camera->phase == MSC_STATUS && n % camera->packet == 0 && length - n >= camera->packet && t->csw_stalls == 0) {
                r = give_csw(camera, data + n, length - n);
                return r < 0 ? r : (int) n + r;
        }
        return (int) n;
}

static int model_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        MscCamera *camera = state;

        if (endpoint != ENDPOINT_BULK_IN)
                return -EPIPE;
        switch (camera->phase) {
        case MSC_DATA_IN:
                return give_data(camera, data, length);
        case MSC_STALL_IN:
                camera->phase = MSC_STATUS;
                return -EPIPE;
        case MSC_ZERO_PACKET:
                camera->phase = MSC_STATUS;
                return 0;
        case MSC_STATUS:
                return give_csw(camera, data, length);
        case MSC_BROKEN:
                return -EPIPE;
        default:
                return SIM_NAK;
        }
}

/* ---- the model ---------------------------------------------------------------------------------------------- */

static int model_create(SimDevice *device, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        MscCamera *camera;
        int r;

        r = msc_camera_new(device, spec, &camera, why, why_size);
        if (r < 0)
                return r;
        *ret_state = camera;
        return 0;
}

static void model_destroy(void *state) {
        MscCamera *camera = state;

        task_end(camera);
        msc_camera_free(camera);
}

static int model_command(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        return msc_control_command(state, name, args, ret_answer, why, why_size);
}

const SimModel sim_model_msc = {
        .name = "msc",
        .create = model_create,
        .destroy = model_destroy,
        .descriptors = model_descriptors,
        .string = model_string_of,
        .control = model_control,
        .out = model_out,
        .in = model_in,
        .power = model_power,
        .reset = model_reset,
        .command = model_command,
};
