/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A device that nobody asked for: any ids, class and interfaces, nothing behind them. {"type": "stranger", "vid": 1133,
 * "pid": 49948, "manufacturer": …, "product": …, "serial": …, "class": 3, "subclass": 1, "protocol": 1,
 * "interfaces": [{"class": 8, "subclass": 6, "protocol": 80}, …], "device_class": 9, "configurations": 2, "more": "0902…"}. An
 * interface may say its "number" and "alternate"; `more` is hex that follows the first configuration, such as a second one that
 * need not be one. An interface has a bulk or, with class 3, an
 * interrupt endpoint pair as its class has. The bus counts every request that it gets ("requests" in `state`).
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "sim/descriptors.h"
#include "sim/device.h"
#include "sim/models.h"

#define STRANGER_INTERFACES_MAX 40u
#define CLASS_HID 3u

typedef struct Stranger {
        ModelIdentity identity;
        uint8_t raw[DESCRIPTORS_MAX];
        size_t size;
} Stranger;

static uint8_t number_of(const json_t *object, const char *key) {
        return (uint8_t) json_integer_value(json_object_get(object, key));
}

static void append(Stranger *s, const uint8_t *bytes, size_t size) {
        memcpy(s->raw + s->size, bytes, size);
        s->size += size;
}

static void append_interface(Stranger *s, uint8_t index, const json_t *spec) {
        uint8_t number = json_object_get(spec, "number") ? number_of(spec, "number") : index;
        bool hid = number_of(spec, "class") == CLASS_HID;
        const uint8_t interface[] = {
                9,
                4,
                number,
                number_of(spec, "alternate"),
                hid ? 1 : 2,
                number_of(spec, "class"),
                number_of(spec, "subclass"),
                number_of(spec, "protocol"),
                0,
        };
        uint8_t endpoint = (uint8_t) (1 + number % 15);
        const uint8_t interrupt_in[] = { 7, 5, (uint8_t) (0x80 + endpoint), 3, 8, 0, 10 };
        const uint8_t bulk[] = { 7, 5, (uint8_t) (0x80 + endpoint), 2, 0, 2, 0, 7, 5, endpoint, 2, 0, 2, 0 };

        append(s, interface, sizeof(interface));
        if (hid)
                append(s, interrupt_in, sizeof(interrupt_in));
        else
                append(s, bulk, sizeof(bulk));
}

static void append_hex(Stranger *s, const char *hex) {
        unsigned byte;

        for (; hex && s->size < sizeof(s->raw) && sscanf(hex, "%2x", &byte) == 1; hex += 2)
                s->raw[s->size++] = (uint8_t) byte;
}

static void build(Stranger *s, const json_t *spec) {
        const json_t *interfaces = json_object_get(spec, "interfaces");
        size_t n = MIN2(json_array_size(interfaces), STRANGER_INTERFACES_MAX);
        const uint8_t configuration[] = { 9, 2, 0, 0, (uint8_t) (n > 0 ? n : 1), 1, 0, 0x80, 50 };

        s->size = model_device_descriptor(&s->identity, 0, s->raw);
        append(s, configuration, sizeof(configuration));
        if (n == 0)
                append_interface(s, 0, spec);
        for (size_t i = 0; i < n; i++)
                append_interface(s, (uint8_t) i, json_array_get(interfaces, i));
        model_finish_configuration(s->raw, s->size);
        s->raw[4] = number_of(spec, "device_class");
        if (json_object_get(spec, "configurations"))
                s->raw[17] = number_of(spec, "configurations");
        append_hex(s, json_string_value(json_object_get(spec, "more")));
}

static int stranger_create(SimDevice *dev, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        Stranger *s;
        int r;

        (void) dev;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = model_identity(spec, &s->identity, why, why_size);
        if (r < 0) {
                free(s);
                return r;
        }
        build(s, spec);
        *ret_state = s;
        return 0;
}

static void stranger_destroy(void *state) {
        free(state);
}

static size_t stranger_descriptors(void *state, uint8_t *ret, size_t size) {
        const Stranger *s = state;

        memcpy(ret, s->raw, MIN2(size, s->size));
        return s->size;
}

static const char *stranger_string(void *state, uint8_t index) {
        const Stranger *s = state;

        return model_string(&s->identity, index);
}

static int stranger_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        (void) state;
        (void) setup;
        (void) data;
        (void) length;
        return -EPIPE;
}

static int stranger_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        (void) state;
        (void) endpoint;
        (void) data;
        (void) length;
        return SIM_NAK;
}

static int stranger_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        (void) state;
        (void) endpoint;
        (void) data;
        (void) length;
        return SIM_NAK;
}

const SimModel sim_model_stranger = {
        .name = "stranger",
        .create = stranger_create,
        .destroy = stranger_destroy,
        .descriptors = stranger_descriptors,
        .string = stranger_string,
        .control = stranger_control,
        .out = stranger_out,
        .in = stranger_in,
};
