/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The simulated PTP camera as the bus sees it: descriptors, class requests, endpoints and the containers on them.
 * What the control socket takes is at the head of ptp_spec.c, its faults are in ptp_fault.h, clips' bytes in content.h.
 */

#include "sim/ptp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/firmware.h"

enum {
        ENDPOINT_BULK_IN = 0x81,
        ENDPOINT_BULK_OUT = 0x02,
        ENDPOINT_INTERRUPT_IN = 0x83,

        STRING_MANUFACTURER = 1,
        STRING_PRODUCT = 2,
        STRING_SERIAL = 3,
        STRING_INTERFACE = 4,

        /* USB still image class 1.0, chapter 5.2. */
        REQUEST_CANCEL = 0x64,
        REQUEST_EXTENDED_EVENT = 0x65,
        REQUEST_RESET = 0x66,
        REQUEST_STATUS = 0x67,
        TO_INTERFACE = 0x21,
        FROM_INTERFACE = 0xa1,
        INTERFACE_DFU = 1,
        DFU_DETACH = 0,
        DFU_GETSTATUS = 3,
        CANCELLATION_CODE = 0x4001,
        CANCEL_SIZE = 6,
};

static const uint16_t packet_sizes[] = { [PTP_SPEED_FULL] = 64, [PTP_SPEED_HIGH] = 512, [PTP_SPEED_SUPER] = 1024 };
/* What a host may send in one data phase; the rest is dropped and the answer is Store_Full. */
#define RECEIVED_MAX CONTENT_MEMORY_MAX

static uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p) {
        return le16(p) | (uint32_t) le16(p + 2) << 16;
}

static void put_le(uint8_t *ret, uint32_t v, size_t size) {
        for (size_t i = 0; i < size; i++)
                ret[i] = (uint8_t) (v >> 8 * i);
}

int64_t ptp_clock_usec(const PtpCamera *camera) {
        return clock_wall_usec() + camera->clock_offset_usec;
}

char *ptp_date(const PtpCamera *camera, int64_t unix_sec, char ret[static PTP_DATE_SIZE]) {
        return ptp_date_format(unix_sec, camera->date_zone, camera->zone_minutes, ret);
}

/* ---- states ----------------------------------------------------------------------------------------------- */

void ptp_transaction_end(PtpCamera *camera) {
        ptp_writer_done(&camera->transaction.received);
        ptp_writer_done(&camera->transaction.dataset);
        camera->transaction = (PtpTransaction) {};
        camera->phase = PTP_PHASE_IDLE;
}

void ptp_close_session(PtpCamera *camera) {
        camera->session = 0;
        ptp_forget_announced(camera);
}

static void start_afresh(PtpCamera *camera) {
        ptp_transaction_end(camera);
        ptp_close_session(camera);
        camera->in_stalled = false;
        camera->cancelled = false;
        camera->n_events = 0;
        camera->last_event = (PtpPendingEvent) {};
}

/* What it says of its version is what its memory boots. */
static bool load_firmware(PtpCamera *camera) {
        char version[FIRMWARE_VERSION_SIZE], *copy;

        if (!firmware_boots(camera->flash, version) || !(copy = strdup(version)))
                return false;
        free(camera->firmware);
        camera->firmware = copy;
        return true;
}

/* Its file goes into its memory when it boots from it, and from the card in any case. */
static void apply_file(PtpCamera *camera) {
        PtpObject *file = camera->firmware_file[0] ? ptp_clip_find(&camera->card, camera->firmware_file, 0) : NULL;
        uint64_t size = file ? content_size(file->content) : 0;
        _cleanup_(freep) uint8_t *data = size > 0 && size <= FIRMWARE_MAX ? malloc(size) : NULL;

        if (!file)
                return;
        if (!camera->keeps_old && data && content_read(file->content, 0, data, size) >= 0)
                (void) firmware_replace(camera->flash, data, size);
        ptp_object_remove(&camera->card, file);
}

static void model_power(void *state, int on) {
        PtpCamera *camera = state;

        start_afresh(camera);
        if (!on)
                return;
        (void) ptp_card_power_on(&camera->card);
        apply_file(camera);
        if (camera->flash[0] && !load_firmware(camera))
                sim_device_become(camera->device, camera->loader, 0, 0);
}

static void model_reset(void *state) {
        start_afresh(state);
}

static void model_clear_halt(void *state, uint8_t endpoint) {
        PtpCamera *camera = state;

        if (endpoint == ENDPOINT_BULK_IN)
                camera->in_stalled = false;
}

/* ---- descriptors ------------------------------------------------------------------------------------------ */

static size_t put_endpoint(uint8_t *p, uint8_t address, uint8_t type, uint16_t packet, uint8_t interval, bool is_super_speed) {
        const uint8_t descriptor[] = { 7, 5, address, type, (uint8_t) packet, (uint8_t) (packet >> 8), interval };
        const uint8_t companion[] = { 6, 0x30, 0, 0, 0, 0 };

        memcpy(p, descriptor, sizeof(descriptor));
        if (!is_super_speed)
                return sizeof(descriptor);
        memcpy(p + sizeof(descriptor), companion, sizeof(companion));
        return sizeof(descriptor) + sizeof(companion);
}

static size_t model_descriptors(void *state, uint8_t *ret, size_t size) {
        const PtpCamera *camera = state;
        bool super = camera->speed == PTP_SPEED_SUPER;
        uint8_t device[] = { 18, 1, 0, super ? 3 : 2, 0, 0, 0, super ? 9 : 64, 0, 0, 0, 0, 0, 1,
                             STRING_MANUFACTURER, STRING_PRODUCT, camera->serial[0] != 0 ? STRING_SERIAL : 0, 1 };
        uint8_t configuration[] = { 9, 2, 0, 0, 1, 1, 0, 0x80, super ? 62 : 250 };
        const uint8_t interface[] = { 9, 4, 0, 0, 3, 6, 1, 1, STRING_INTERFACE };
        /* USB DFU 1.1 §4.1: run-time mode; downloads, and detaches by itself. */
        const uint8_t dfu[] = { 9, 4, INTERFACE_DFU, 0, 0, 0xfe, 1, 1, 0, 9, 0x21, 0x09, 0xe8, 0x03, 0, 4, 0x10, 0x01 };
        uint8_t all[128];
        size_t n = sizeof(device) + sizeof(configuration);
        uint16_t packet = packet_sizes[camera->speed];

        put_le(device + 8, camera->vid, 2);
        put_le(device + 10, camera->pid, 2);
        memcpy(all, device, sizeof(device));
        memcpy(all + n, interface, sizeof(interface));
        n += sizeof(interface);
        n += put_endpoint(all + n, ENDPOINT_BULK_IN, 2, packet, 0, super);
        n += put_endpoint(all + n, ENDPOINT_BULK_OUT, 2, packet, 0, super);
        n += put_endpoint(all + n, ENDPOINT_INTERRUPT_IN, 3, 32, 6, super);
        if (camera->loader[0]) {
                memcpy(all + n, dfu, sizeof(dfu));
                n += sizeof(dfu);
                configuration[4] = 2;
        }
        put_le(configuration + 2, (uint32_t) (n - sizeof(device)), 2);
        memcpy(all + sizeof(device), configuration, sizeof(configuration));
        n = MIN2(n, size);
        memcpy(ret, all, n);
        return n;
}

static const char *model_string(void *state, uint8_t index) {
        const PtpCamera *camera = state;

        switch (index) {
        case STRING_MANUFACTURER:
                return camera->manufacturer;
        case STRING_PRODUCT:
                return camera->product;
        case STRING_SERIAL:
                return camera->serial;
        case STRING_INTERFACE:
                return camera->is_mtp ? "MTP" : "PTP";
        default:
                return NULL;
        }
}

/* ---- control pipe ----------------------------------------------------------------------------------------- */

static int request_cancel(PtpCamera *camera, const uint8_t *data, size_t length) {
        if (length != CANCEL_SIZE || le16(data) != CANCELLATION_CODE)
                return -EPIPE;
        if (camera->phase != PTP_PHASE_IDLE && camera->transaction.id == le32(data + 2)) {
                ptp_transaction_end(camera);
                camera->cancelled = true;
        }
        camera->counters.cancels++;
        return (int) length;
}

static int request_status(PtpCamera *camera, uint8_t *data, size_t length) {
        uint8_t answer[8] = {};
        size_t size = 4;
        uint16_t code = PTP_OK;

        if (camera->in_stalled) {
                code = PTP_TRANSACTION_CANCELLED;
                put_le(answer + 4, ENDPOINT_BULK_IN, 4);
                size = 8;
        } else if (camera->cancelled) {
                /* Busy with it the first time, as cameras are; the host asks until it is over. */
                code = PTP_DEVICE_BUSY;
                camera->cancelled = false;
        }
        put_le(answer, (uint32_t) size, 2);
        put_le(answer + 2, code, 2);
        size = MIN2(size, length);
        memcpy(data, answer, size);
        return (int) size;
}

/* Code, transaction, number of parameters, and each of them after its size. */
static int request_extended_event(const PtpCamera *camera, uint8_t *data, size_t length) {
        const PtpPendingEvent *event = &camera->last_event;
        uint8_t answer[14];
        size_t size = MIN2(sizeof(answer), length);

        if (event->code == 0)
                return -EPIPE;
        put_le(answer, event->code, 2);
        put_le(answer + 2, event->transaction, 4);
        put_le(answer + 6, 1, 2);
        put_le(answer + 8, 4, 2);
        put_le(answer + 10, event->parameter, 4);
        memcpy(data, answer, size);
        return (int) size;
}

/* DFU 1.1 §5.1: the device leaves the bus by itself, and comes back as its loader. */
static int control_dfu(PtpCamera *camera, const uint8_t setup[8], uint8_t *data, size_t length) {
        const uint8_t status[] = { 0, 0, 0, 0, 0, 0 };

        if (!camera->loader[0])
                return -EPIPE;
        if (setup[0] == TO_INTERFACE && setup[1] == DFU_DETACH) {
                sim_device_become(camera->device, camera->loader, 5, 20);
                return 0;
        }
        if (setup[0] == FROM_INTERFACE && setup[1] == DFU_GETSTATUS && length >= sizeof(status)) {
                memcpy(data, status, sizeof(status));
                return sizeof(status);
        }
        return -EPIPE;
}

static int model_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        PtpCamera *camera = state;

        if (le16(setup + 4) == INTERFACE_DFU)
                return control_dfu(camera, setup, data, length);
        if (le16(setup + 4) != 0) /* the interface */
                return -EPIPE;
        if (setup[0] == TO_INTERFACE && setup[1] == REQUEST_CANCEL)
                return request_cancel(camera, data, length);
        if (setup[0] == TO_INTERFACE && setup[1] == REQUEST_RESET) {
                start_afresh(camera);
                camera->counters.resets++;
                return 0;
        }
        if (setup[0] == FROM_INTERFACE && setup[1] == REQUEST_STATUS)
                return request_status(camera, data, length);
        if (setup[0] == FROM_INTERFACE && setup[1] == REQUEST_EXTENDED_EVENT)
                return request_extended_event(camera, data, length);
        return -EPIPE;
}

/* ---- from the host ---------------------------------------------------------------------------------------- */

static int host_error(PtpCamera *camera) {
        camera->counters.protocol_errors++;
        ptp_transaction_end(camera);
        return -EPIPE;
}

static int take_command(PtpCamera *camera, const uint8_t *data, size_t length) {
        PtpTransaction *t = &camera->transaction;

        if (length < PTP_HEADER_SIZE || length > PTP_HEADER_SIZE + PTP_PARAMETERS_MAX * sizeof(uint32_t) || length % 4 != 0 ||
            le32(data) != length || le16(data + 4) != PTP_CONTAINER_COMMAND)
                return host_error(camera);
        ptp_transaction_end(camera);
        t->code = le16(data + 6);
        t->id = le32(data + 8);
        for (size_t at = PTP_HEADER_SIZE; at < length; at += sizeof(uint32_t))
                t->parameters[(at - PTP_HEADER_SIZE) / sizeof(uint32_t)] = le32(data + at);
        t->operation = ptp_operation_find(camera, t->code);
        if (t->operation)
                camera->operation_counts[t->operation - ptp_operations]++;
        ptp_faults_begin(&camera->faults, t->code);
        if (t->operation && t->operation->flags & PTP_OPERATION_TAKES_DATA)
                camera->phase = PTP_PHASE_DATA_OUT;
        else
                ptp_dispatch(camera);
        return (int) length;
}

static int take_data(PtpCamera *camera, const uint8_t *data, size_t length) {
        PtpTransaction *t = &camera->transaction;
        size_t taken = length, room;
        bool is_short = length == 0 || length % packet_sizes[camera->speed] != 0;

        if (!t->header_seen) {
                if (length < PTP_HEADER_SIZE || le16(data + 4) != PTP_CONTAINER_DATA || le16(data + 6) != t->code ||
                    le32(data + 8) != t->id || le32(data) < PTP_HEADER_SIZE)
                        return host_error(camera);
                t->header_seen = true;
                t->expected = le32(data) == PTP_LENGTH_UNKNOWN ? UINT64_MAX : le32(data) - PTP_HEADER_SIZE;
                data += PTP_HEADER_SIZE;
                length -= PTP_HEADER_SIZE;
        }
        t->arrived += length;
        room = RECEIVED_MAX - MIN2(RECEIVED_MAX, t->received.size);
        if (length > room)
                t->overflowed = true;
        ptp_put_bytes(&t->received, data, MIN2(length, room));
        if (t->arrived > t->expected)
                return host_error(camera);
        if (t->arrived == t->expected || (is_short && t->expected == UINT64_MAX))
                ptp_dispatch(camera);
        else if (is_short && taken > PTP_HEADER_SIZE)
                return host_error(camera);
        return (int) taken;
}

static int model_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        PtpCamera *camera = state;

        if (endpoint != ENDPOINT_BULK_OUT)
                return -EPIPE;
        /* The packet that ends a data phase of whole packets; the phase is over by its length already. */
        if (length == 0 && camera->phase != PTP_PHASE_DATA_OUT)
                return 0;
        switch (camera->phase) {
        case PTP_PHASE_IDLE:
                return take_command(camera, data, length);
        case PTP_PHASE_DATA_OUT:
                return take_data(camera, data, length);
        default:
                return SIM_NAK; /* the host has to fetch its answer first */
        }
}

/* ---- to the host ------------------------------------------------------------------------------------------ */

void ptp_send_event(PtpCamera *camera, PtpEvent code, uint32_t transaction, uint32_t parameter) {
        PtpPendingEvent event = { (uint16_t) code, transaction, parameter };

        if (camera->session == 0 || camera->n_events == PTP_EVENTS_MAX)
                return;
        camera->events[camera->n_events++] = event;
        camera->last_event = event;
}

static int give_event(PtpCamera *camera, uint8_t *data, size_t length) {
        uint8_t container[PTP_HEADER_SIZE + sizeof(uint32_t)];
        size_t size = MIN2(sizeof(container), length);

        if (camera->n_events == 0)
                return SIM_NAK;
        put_le(container, sizeof(container), 4);
        put_le(container + 4, PTP_CONTAINER_EVENT, 2);
        put_le(container + 6, camera->events[0].code, 2);
        put_le(container + 8, camera->events[0].transaction, 4);
        put_le(container + 12, camera->events[0].parameter, 4);
        camera->n_events--;
        memmove(camera->events, camera->events + 1, camera->n_events * sizeof(camera->events[0]));
        memcpy(data, container, size);
        return (int) size;
}

/* Bytes of the payload; false when the object is not there (any more). */
static bool fill_payload(const PtpCamera *camera, uint64_t at, uint8_t *data, size_t size) {
        const PtpTransaction *t = &camera->transaction;
        size_t real = (size_t) MIN2((uint64_t) size, t->payload_size - MIN2(at, t->payload_size));
        const PtpObject *object;

        memset(data + real, 0xee, size - real); /* what an endless data phase goes on with */
        if (real == 0)
                return true;
        if (t->object == 0) {
                memcpy(data, t->dataset.data + at, real);
                return true;
        }
        object = ptp_object_find(&camera->card, t->object);
        return object && content_read(object->content, t->object_offset + at, data, real) >= 0;
}

/* The camera breaks off its data phase: a short packet, an event, and the response says so. */
static void break_off(PtpCamera *camera, PtpResponse response) {
        camera->transaction.response = response;
        camera->transaction.n_answers = 0;
        ptp_send_event(camera, PTP_EVENT_CANCEL_TRANSACTION, camera->transaction.id, 0);
        ptp_respond(camera);
}

static void data_phase_end(PtpCamera *camera) {
        if (camera->transaction.header_size == 0)
                ptp_transaction_end(camera);
        else
                ptp_respond(camera);
}

static int give_data(PtpCamera *camera, uint8_t *data, size_t length) {
        PtpTransaction *t = &camera->transaction;
        uint64_t total = t->endless ? UINT64_MAX : t->header_size + t->payload_size;
        size_t n = (size_t) MIN2(total - t->sent, (uint64_t) length), header = 0;
        bool is_cut = t->cut_at - MIN2(t->cut_at, t->sent) < length && t->cut_at < total;

        if (is_cut && t->cut_by_stall) {
                ptp_transaction_end(camera);
                camera->in_stalled = true;
                return -EPIPE;
        }
        if (is_cut)
                n = (size_t) (t->cut_at - t->sent);
        if (t->sent < t->header_size) {
                header = MIN2(n, (size_t) (t->header_size - t->sent));
                memcpy(data, t->header + t->sent, header);
        }
        if (n > header && !fill_payload(camera, t->sent + header - t->header_size, data + header, n - header)) {
                break_off(camera, PTP_INCOMPLETE_TRANSFER);
                return (int) header;
        }
        t->sent += n;
        camera->counters.bytes_sent += n;
        if (is_cut)
                break_off(camera, PTP_TRANSACTION_CANCELLED);
        else if (n < length)
                /* Ended by a packet that is short, or empty when the data fills whole packets. */
                data_phase_end(camera);
        return (int) n;
}

static int give_response(PtpCamera *camera, uint8_t *data, size_t length) {
        const PtpTransaction *t = &camera->transaction;
        size_t size = MIN2(t->answer_size, length);

        memcpy(data, t->answer, size);
        camera->counters.bytes_sent += size;
        ptp_transaction_end(camera);
        return (int) size;
}

static int model_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        PtpCamera *camera = state;

        if (endpoint == ENDPOINT_INTERRUPT_IN)
                return give_event(camera, data, length);
        if (endpoint != ENDPOINT_BULK_IN || camera->in_stalled)
                return -EPIPE;
        if (camera->phase == PTP_PHASE_DATA_IN)
                return give_data(camera, data, length);
        if (camera->phase == PTP_PHASE_RESPONSE)
                return give_response(camera, data, length);
        return SIM_NAK;
}

/* ---- the model -------------------------------------------------------------------------------------------- */

static int model_create(SimDevice *device, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        PtpCamera *camera;
        int r;

        r = ptp_camera_new(device, spec, &camera, why, why_size);
        if (r < 0)
                return r;
        *ret_state = camera;
        return 0;
}

static void model_destroy(void *state) {
        ptp_camera_free(state);
}

static int model_command(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        return ptp_command(state, name, args, ret_answer, why, why_size);
}

static void model_battery(void *state, unsigned percent) {
        PtpCamera *camera = state;

        camera->battery_percent = percent;
}

const SimModel sim_model_ptp = {
        .name = "ptp",
        .create = model_create,
        .destroy = model_destroy,
        .descriptors = model_descriptors,
        .string = model_string,
        .control = model_control,
        .out = model_out,
        .in = model_in,
        .power = model_power,
        .battery = model_battery,
        .clear_halt = model_clear_halt,
        .reset = model_reset,
        .command = model_command,
};
