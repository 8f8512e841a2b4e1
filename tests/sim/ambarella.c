/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ambarella.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

enum {
        BULK_OUT = 0x01,
        BULK_IN = 0x81,
        VENDOR_OUT = 0x40,
        VENDOR_IN = 0xc0,
        REQUEST_RECEIVE = 0x55,
        B_VALUE_RECEIVE = 0,
        C_VALUE = 0x0080,
};

void amba_note(AmbaCamera *camera, AmbaCommand command) {
        if (camera->n_history < AMBA_HISTORY_MAX)
                camera->history[camera->n_history++] = command;
}

bool amba_refuses(AmbaCamera *camera, AmbaCommand command) {
        return amba_fault_strikes(&camera->faults, AMBA_FAULT_REFUSE, command) != NULL;
}

bool amba_log_in(AmbaCamera *camera, const char *password, const char *given) {
        camera->logged_in = strcmp(password, given) == 0 && !amba_refuses(camera, AMBA_LOG_IN);
        if (camera->logged_in)
                camera->log_ins++;
        else
                camera->log_ins_refused++;
        return camera->logged_in;
}

/* What the faults about its bytes make of an answer that is ready. */
static void spoil(AmbaCamera *camera, AmbaCommand command, const void *request, size_t request_size, size_t payload_at) {
        AmbaFaults *all = &camera->faults;
        const AmbaFault *fault;

        if (amba_fault_strikes(all, AMBA_FAULT_ECHO, command)) {
                camera->answer_size = MIN2(request_size, AMBA_ANSWER_MAX);
                memcpy(camera->answer, request, camera->answer_size);
        }
        if ((fault = amba_fault_strikes(all, AMBA_FAULT_PAYLOAD, command))) {
                memcpy(camera->answer + payload_at, fault->payload, fault->payload_size);
                camera->answer_size = MAX2(camera->answer_size, payload_at + fault->payload_size);
                if (payload_at == 0)
                        camera->answer_size = fault->payload_size;
        }
        if (amba_fault_strikes(all, AMBA_FAULT_GARBAGE, command))
                for (size_t i = 0; i < camera->answer_size; i++)
                        camera->answer[i] = (uint8_t) (i * 151 + 131);
        if (amba_fault_strikes(all, AMBA_FAULT_WRONG_MAGIC, command))
                for (size_t i = 0; i < MIN2(camera->answer_size, (size_t) 4); i++)
                        camera->answer[i] ^= 0xff;
        if (amba_fault_strikes(all, AMBA_FAULT_WRONG_COMMAND, command))
                camera->answer[camera->dialect == 'a' ? 1 : 7] ^= 0x01;
        if ((fault = amba_fault_strikes(all, AMBA_FAULT_LONG, command))) {
                size_t size = MIN2(camera->answer_size + (fault->has_length ? fault->length : 64), (size_t) AMBA_ANSWER_MAX);

                memset(camera->answer + camera->answer_size, '#', size - camera->answer_size);
                camera->answer_size = size;
        }
        if ((fault = amba_fault_strikes(all, AMBA_FAULT_SHORT, command)) && camera->answer_size > 0)
                camera->answer_size = fault->has_length ? MIN2(fault->length, camera->answer_size) : camera->answer_size - 1;
}

void amba_answer(AmbaCamera *camera, AmbaCommand command, const void *data, size_t size, const void *request, size_t request_size,
                 size_t payload_at) {
        camera->answer_size = MIN2(size, (size_t) AMBA_ANSWER_MAX);
        memcpy(camera->answer, data, camera->answer_size);
        camera->stalls = amba_fault_strikes(&camera->faults, AMBA_FAULT_STALL, command) != NULL;
        camera->has_answer = !camera->stalls && !amba_fault_strikes(&camera->faults, AMBA_FAULT_SILENT, command);
        spoil(camera, command, request, request_size, payload_at);
}

void amba_leave(AmbaCamera *camera) {
        camera->logged_in = false;
        if (!camera->stays)
                sim_device_become(camera->device, camera->storage, camera->leave_msec, camera->away_msec);
}

static int give_answer(AmbaCamera *camera, uint8_t *data, size_t length) {
        size_t n = MIN2(camera->answer_size, length);

        if (camera->stalls) {
                camera->stalls = false;
                return -EPIPE;
        }
        if (!camera->has_answer)
                return SIM_NAK;
        camera->has_answer = false;
        memcpy(data, camera->answer, n);
        return (int) n;
}

static int model_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        uint16_t value = (uint16_t) (setup[2] | setup[3] << 8), index = (uint16_t) (setup[4] | setup[5] << 8);
        AmbaCamera *camera = state;
        bool taken = false;

        if (camera->dialect == 'a' || index != 0)
                return -EPIPE;
        if (setup[0] == VENDOR_IN)
                return setup[1] == REQUEST_RECEIVE && value == (camera->dialect == 'b' ? B_VALUE_RECEIVE : C_VALUE)
                               ? give_answer(camera, data, length)
                               : -EPIPE;
        if (setup[0] == VENDOR_OUT)
                taken = camera->dialect == 'b' ? amba_b_take(camera, setup[1], value, data, length)
                                               : amba_c_take(camera, setup[1], value, data, length);
        return taken ? (int) length : -EPIPE;
}

static int model_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        AmbaCamera *camera = state;

        if (endpoint != BULK_OUT || camera->dialect != 'a')
                return -EPIPE;
        return amba_a_take(camera, data, length) ? (int) length : -EPIPE;
}

static int model_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        AmbaCamera *camera = state;

        if (endpoint != BULK_IN || camera->dialect != 'a')
                return -EPIPE;
        return give_answer(camera, data, length);
}

static void model_power(void *state, int on) {
        AmbaCamera *camera = state;

        (void) on;
        camera->logged_in = camera->has_answer = camera->stalls = false;
}

static size_t model_descriptors(void *state, uint8_t *ret, size_t size) {
        const AmbaCamera *camera = state;

        memcpy(ret, camera->descriptors, MIN2(size, camera->descriptors_size));
        return camera->descriptors_size;
}

static const char *model_string_of(void *state, uint8_t index) {
        const AmbaCamera *camera = state;

        return model_string(&camera->identity, index);
}

static int model_create(SimDevice *device, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        AmbaCamera *camera;
        int r;

        r = amba_camera_new(device, spec, &camera, why, why_size);
        if (r >= 0)
                *ret_state = camera;
        return r;
}

static void model_destroy(void *state) {
        amba_camera_free(state);
}

static int model_command(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        return amba_command(state, name, args, ret_answer, why, why_size);
}

static void model_battery(void *state, unsigned percent) {
        AmbaCamera *camera = state;

        camera->battery = (uint8_t) percent;
}

const SimModel sim_model_ambarella = {
        .name = "ambarella",
        .create = model_create,
        .destroy = model_destroy,
        .descriptors = model_descriptors,
        .string = model_string_of,
        .control = model_control,
        .out = model_out,
        .in = model_in,
        .power = model_power,
        .battery = model_battery,
        .command = model_command,
};
