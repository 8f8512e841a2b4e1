/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/redir_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/timer.h"

#define DEVICES_MAX 8u

enum {
        REQUEST_TYPE_MASK = 0x60,
        RECIPIENT_MASK = 0x1f,
        RECIPIENT_ENDPOINT = 2,
        GET_STATUS = 0,
        CLEAR_FEATURE = 1,
        SET_FEATURE = 3,
        GET_DESCRIPTOR = 6,
        DESCRIPTOR_DEVICE = 1,
        DESCRIPTOR_CONFIGURATION = 2,
        DESCRIPTOR_STRING = 3,
        STRING_UNITS_MAX = 126,
};

static const SimModel *const models[] = { &sim_model_ptp, &sim_model_msc, &sim_model_ambarella, &sim_model_dfu };
static SimDevice *devices[DEVICES_MAX];
static size_t n_devices;

/* ---- What there is ---- */

static const SimModel *find_model(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(models); i++)
                if (text_equal(models[i]->name, name))
                        return models[i];
        return NULL;
}

SimDevice *device_by_name(const char *name) {
        for (size_t i = 0; i < n_devices; i++)
                if (text_equal(devices[i]->name, name))
                        return devices[i];
        return NULL;
}

SimDevice *device_from_json(const char *text) {
        json_t *spec = json_loads(text, 0, NULL);
        const char *name = json_string_value(json_object_get(spec, "name"));
        const SimModel *model = find_model(json_string_value(json_object_get(spec, "type")));
        SimDevice *device = NULL;
        char why[512] = "it needs a name, a type and few others beside it";

        if (name && model && n_devices < DEVICES_MAX)
                device = calloc(1, sizeof(*device));
        if (device) {
                device->name = strdup(name);
                device->model = model;
                if (device->name && model->create(device, spec, &device->state, why, sizeof(why)) >= 0)
                        devices[n_devices++] = device;
                else
                        device = NULL;
        }
        if (!device)
                fprintf(stderr, "%s: %s\n", text, why);
        json_decref(spec);
        return device;
}

uint64_t sim_now_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

void device_command(const char *line) {
        json_t *spec = json_loads(line, 0, NULL), *answer = NULL;
        const char *name = json_string_value(json_object_get(spec, "camera"));
        const char *command = json_string_value(json_object_get(spec, "cmd"));
        SimDevice *device = name ? device_by_name(name) : NULL;
        char why[512] = "it needs the name of a camera, and a command that this one knows";

        if (!command || !device || !device->model->command ||
            device->model->command(device->state, command, spec, &answer, why, sizeof(why)) < 0)
                fprintf(stderr, "%s: %s\n", line, why);
        json_decref(answer);
        json_decref(spec);
}

int device_power_up(SimDevice *device) {
        if (device->model->power)
                device->model->power(device->state, 1);
        device->configuration = 0;
        device->leaving = false;
        memset(device->alternates, 0, sizeof(device->alternates));
        memset(device->halted, 0, sizeof(device->halted));
        device->descriptors.size = device->model->descriptors(device->state, device->descriptors.raw,
                                                              sizeof(device->descriptors.raw));
        return descriptors_parse(&device->descriptors);
}

/* ---- What a model asks of its bus ---- */

const char *sim_device_name(const SimDevice *device) {
        return device->name;
}

/* The server asks all models again whenever anything happens. */
void sim_device_kick(SimDevice *device) {
        (void) device;
}

void sim_device_become(SimDevice *device, const char *name, unsigned leave_msec, unsigned away_msec) {
        free(device->become);
        device->become = name ? strdup(name) : NULL;
        device->leaving = true;
        device->leave_usec = sim_now_usec() + leave_msec * USEC_PER_MSEC;
        device->return_usec = device->leave_usec + away_msec * USEC_PER_MSEC;
}

bool sim_device_go_home(SimDevice *device, unsigned leave_msec, unsigned away_msec) {
        if (!device->home)
                return false;
        sim_device_become(device, device->home->name, leave_msec, away_msec);
        return true;
}

/* ---- Requests of USB 2.0 chapter 9 ---- */

static int give(uint8_t *data, size_t length, const void *answer, size_t size) {
        size_t n = MIN2(length, size);

        memcpy(data, answer, n);
        return (int) n;
}

/* ASCII is all that the cameras of these tests are called by. */
static int give_string(const SimDevice *device, uint8_t index, uint8_t *data, size_t length) {
        static const uint8_t languages[] = { 4, DESCRIPTOR_STRING, 0x09, 0x04 }; /* English (United States) */
        uint8_t answer[2 + 2 * STRING_UNITS_MAX] = { 0, DESCRIPTOR_STRING };
        const char *text = index > 0 ? device->model->string(device->state, index) : NULL;
        size_t n;

        if (index == 0)
                return give(data, length, languages, sizeof(languages));
        if (!text)
                return -EPIPE;
        n = MIN2(strlen(text), (size_t) STRING_UNITS_MAX);
        for (size_t i = 0; i < n; i++)
                answer[2 + 2 * i] = (uint8_t) text[i];
        answer[0] = (uint8_t) (2 + 2 * n);
        return give(data, length, answer, answer[0]);
}

static int give_descriptor(const SimDevice *device, uint8_t type, uint8_t index, uint8_t *data, size_t length) {
        const Descriptors *d = &device->descriptors;
        const uint8_t *configuration;
        size_t size;

        if (type == DESCRIPTOR_DEVICE)
                return give(data, length, d->raw, d->raw[0]);
        if (type == DESCRIPTOR_STRING)
                return give_string(device, index, data, length);
        configuration = type == DESCRIPTOR_CONFIGURATION ? descriptors_configuration(d, index, &size) : NULL;
        return configuration ? give(data, length, configuration, size) : -EPIPE;
}

static void clear_halt(SimDevice *device, uint8_t endpoint) {
        device->halted[endpoint] = false;
        if (device->model->clear_halt)
                device->model->clear_halt(device->state, endpoint);
}

static int standard(SimDevice *device, const uint8_t setup[8], uint8_t *data, size_t length) {
        const bool to_endpoint = (setup[0] & RECIPIENT_MASK) == RECIPIENT_ENDPOINT;
        const uint8_t status[2] = { to_endpoint && device->halted[setup[4]], 0 };

        switch (setup[1]) {
        case GET_STATUS:
                return give(data, length, status, sizeof(status));
        case GET_DESCRIPTOR:
                return give_descriptor(device, setup[3], setup[2], data, length);
        case CLEAR_FEATURE:
                if (to_endpoint)
                        clear_halt(device, setup[4]);
                return 0;
        case SET_FEATURE:
                if (to_endpoint)
                        device->halted[setup[4]] = true;
                return 0;
        default:
                return -EPIPE;
        }
}

int device_control(SimDevice *device, const uint8_t setup[8], uint8_t *data, size_t length) {
        if ((setup[0] & REQUEST_TYPE_MASK) == 0)
                return standard(device, setup, data, length);
        return device->model->control ? device->model->control(device->state, setup, data, length) : -EPIPE;
}

static void clear_all_halts(SimDevice *device) {
        for (size_t i = 0; i < device->descriptors.n_endpoints; i++)
                clear_halt(device, device->descriptors.endpoints[i].address);
}

void device_set_configuration(SimDevice *device, uint8_t configuration) {
        device->configuration = configuration;
        memset(device->alternates, 0, sizeof(device->alternates));
        clear_all_halts(device);
}

void device_set_alternate(SimDevice *device, uint8_t interface, uint8_t alternate) {
        if (interface < INTERFACES_MAX)
                device->alternates[interface] = alternate;
        clear_all_halts(device);
}

void device_reset(SimDevice *device) {
        device_set_configuration(device, 0);
        if (device->model->reset)
                device->model->reset(device->state);
}
