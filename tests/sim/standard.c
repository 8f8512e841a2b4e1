/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of USB 2.0 chapter 9 that the bus answers for every device. */

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "sim/urb.h"

enum {
        REQUEST_TYPE_MASK = 0x60,
        RECIPIENT_MASK = 0x1f,
        RECIPIENT_DEVICE = 0,
        RECIPIENT_INTERFACE = 1,
        RECIPIENT_ENDPOINT = 2,

        GET_STATUS = 0,
        CLEAR_FEATURE = 1,
        SET_FEATURE = 3,
        GET_DESCRIPTOR = 6,
        GET_CONFIGURATION = 8,
        SET_CONFIGURATION = 9,
        GET_INTERFACE = 10,
        SET_INTERFACE = 11,

        FEATURE_ENDPOINT_HALT = 0,
        FEATURE_REMOTE_WAKEUP = 1,

        DESCRIPTOR_DEVICE = 1,
        DESCRIPTOR_CONFIGURATION = 2,
        DESCRIPTOR_STRING = 3,

        STRING_UNITS_MAX = 126,
};

static int give(uint8_t *data, size_t length, const void *answer, size_t size) {
        size_t n = MIN2(length, size);

        memcpy(data, answer, n);
        return (int) n;
}

/* One code point of UTF-8, U+FFFD for what is none. */
static uint32_t next_code_point(const char **text) {
        const unsigned char *p = (const unsigned char *) *text;
        unsigned following = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
        uint32_t c = following == 0 ? *p : *p & (0x3fu >> following);

        p++;
        if (following == 0 && c >= 0x80)
                c = 0xfffd;
        for (; following > 0; following--, p++) {
                if ((*p & 0xc0) != 0x80) {
                        c = 0xfffd;
                        break;
                }
                c = c << 6 | (*p & 0x3f);
        }
        *text = (const char *) p;
        return c;
}

static size_t put_unit(uint8_t *p, uint32_t unit) {
        p[0] = (uint8_t) unit;
        p[1] = (uint8_t) (unit >> 8);
        return 2;
}

/* UTF-16, in units of which a code point takes one or two. */
static size_t put_code_point(uint8_t *p, uint32_t c) {
        if (c <= 0xffff)
                return put_unit(p, c);
        (void) put_unit(p, 0xd800 + ((c - 0x10000) >> 10 & 0x3ff));
        return 2 + put_unit(p + 2, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static int give_string(Node *node, uint8_t index, uint8_t *data, size_t length) {
        static const uint8_t languages[] = { 4, DESCRIPTOR_STRING, 0x09, 0x04 }; /* English (United States) */
        uint8_t answer[2 + 2 * STRING_UNITS_MAX] = { 0, DESCRIPTOR_STRING };
        const char *text;
        size_t size = 2;

        if (index == 0)
                return give(data, length, languages, sizeof(languages));
        text = node->device->model->string(node->device->state, index);
        if (!text)
                return -EPIPE;
        while (*text && size + 4 <= sizeof(answer))
                size += put_code_point(answer + size, next_code_point(&text));
        answer[0] = (uint8_t) size;
        return give(data, length, answer, size);
}

static int give_descriptor(Node *node, uint8_t type, uint8_t index, uint8_t *data, size_t length) {
        const Descriptors *d = &node->descriptors;
        const uint8_t *configuration;
        size_t size;

        switch (type) {
        case DESCRIPTOR_DEVICE:
                return give(data, length, d->raw, d->raw[0]);
        case DESCRIPTOR_CONFIGURATION:
                configuration = descriptors_configuration(d, index, &size);
                return configuration ? give(data, length, configuration, size) : -EPIPE;
        case DESCRIPTOR_STRING:
                return give_string(node, index, data, length);
        default:
                return -EPIPE;
        }
}

static int request_device(Node *node, uint8_t request, uint16_t value, uint8_t *data, size_t length) {
        const uint8_t status[] = { node->descriptors.attributes >> 6 & 1, 0 };

        switch (request) {
        case GET_STATUS:
                return give(data, length, status, sizeof(status));
        case CLEAR_FEATURE:
        case SET_FEATURE:
                return value == FEATURE_REMOTE_WAKEUP ? 0 : -EPIPE;
        case GET_CONFIGURATION:
                return give(data, length, &node->descriptors.configuration, 1);
        case SET_CONFIGURATION:
                if (value != node->descriptors.configuration)
                        return -EPIPE;
                node_reset_endpoints(node);
                memset(node->alternates, 0, sizeof(node->alternates));
                if (node->device->model->reset)
                        node->device->model->reset(node->device->state);
                return 0;
        default:
                return -EPIPE;
        }
}

static int request_interface(Node *node, uint8_t request, uint16_t value, uint16_t index, uint8_t *data,
                             size_t length) {
        const uint8_t status[2] = {};

        if (index >= INTERFACES_MAX || !descriptors_interface(&node->descriptors, index, 0))
                return -EPIPE;
        switch (request) {
        case GET_STATUS:
                return give(data, length, status, sizeof(status));
        case GET_INTERFACE:
                return give(data, length, &node->alternates[index], 1);
        case SET_INTERFACE:
                if (!descriptors_interface(&node->descriptors, index, value))
                        return -EPIPE;
                node->alternates[index] = (uint8_t) value;
                for (size_t i = 0; i < node->descriptors.n_endpoints; i++)
                        if (node->descriptors.endpoints[i].interface == index)
                                node_clear_halt(node, node->descriptors.endpoints[i].address);
                return 0;
        default:
                return -EPIPE;
        }
}

static int request_endpoint(Node *node, uint8_t request, uint16_t value, uint8_t address, uint8_t *data,
                            size_t length) {
        Endpoint *endpoint = &node->endpoints[endpoint_slot(address)];
        const uint8_t status[] = { endpoint->halted, 0 };

        if ((address & 0x0f) != 0 && !descriptors_endpoint(&node->descriptors, address, node->alternates))
                return -EPIPE;
        switch (request) {
        case GET_STATUS:
                return give(data, length, status, sizeof(status));
        case CLEAR_FEATURE:
                if (value != FEATURE_ENDPOINT_HALT)
                        return -EPIPE;
                node_clear_halt(node, address);
                return 0;
        case SET_FEATURE:
                if (value != FEATURE_ENDPOINT_HALT)
                        return -EPIPE;
                endpoint->halted = true;
                return 0;
        default:
                return -EPIPE;
        }
}

int node_control(Node *node, const uint8_t setup[8], uint8_t *data, size_t length) {
        SimDevice *device = node->device;
        uint8_t type = setup[0] & REQUEST_TYPE_MASK, recipient = setup[0] & RECIPIENT_MASK;
        uint16_t value = (uint16_t) (setup[2] | setup[3] << 8), index = (uint16_t) (setup[4] | setup[5] << 8);

        if (type == 0 && recipient == RECIPIENT_DEVICE && setup[1] == GET_DESCRIPTOR)
                return give_descriptor(node, setup[3], setup[2], data, length);
        if (type != 0)
                return device->model->control(device->state, setup, data, length);
        if (recipient == RECIPIENT_DEVICE)
                return request_device(node, setup[1], value, data, length);
        if (recipient == RECIPIENT_INTERFACE)
                return request_interface(node, setup[1], value, index, data, length);
        if (recipient == RECIPIENT_ENDPOINT)
                return request_endpoint(node, setup[1], value, (uint8_t) index, data, length);
        return -EPIPE;
}
