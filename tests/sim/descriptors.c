/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/descriptors.h"

#include <errno.h>
#include <string.h>

enum {
        TYPE_DEVICE = 1,
        TYPE_CONFIGURATION = 2,
        TYPE_INTERFACE = 4,
        TYPE_ENDPOINT = 5,
        SIZE_DEVICE = 18,
        SIZE_CONFIGURATION = 9,
        SIZE_INTERFACE = 9,
        SIZE_ENDPOINT = 7,
};

static uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

static void parse_device(Descriptors *d) {
        const uint8_t *p = d->raw;

        d->usb_version = le16(p + 2);
        d->class_code = p[4];
        d->subclass = p[5];
        d->protocol = p[6];
        d->packet_size0 = p[7];
        d->vid = le16(p + 8);
        d->pid = le16(p + 10);
        d->version = le16(p + 12);
        d->string_manufacturer = p[14];
        d->string_product = p[15];
        d->string_serial = p[16];
        d->configurations = p[17];
}

static int parse_interface(Descriptors *d, const uint8_t *p) {
        if (p[0] < SIZE_INTERFACE || p[2] >= INTERFACES_MAX || d->n_interfaces >= INTERFACES_MAX)
                return -EBADMSG;
        d->interfaces[d->n_interfaces++] = (UsbInterface) {
                .number = p[2],
                .alternate = p[3],
                .endpoints = p[4],
                .class_code = p[5],
                .subclass = p[6],
                .protocol = p[7],
                .string = p[8],
        };
        return 0;
}

static int parse_endpoint(Descriptors *d, const uint8_t *p) {
        const UsbInterface *last;

        if (p[0] < SIZE_ENDPOINT || d->n_interfaces == 0 || d->n_endpoints >= ENDPOINTS_MAX || (p[2] & 0x0f) == 0)
                return -EBADMSG;
        last = &d->interfaces[d->n_interfaces - 1];
        d->endpoints[d->n_endpoints++] = (UsbEndpoint) {
                .interface = last->number,
                .alternate = last->alternate,
                .address = p[2],
                .type = p[3] & 3u,
                .packet_size = le16(p + 4) & 0x7ffu,
                .interval = p[6],
        };
        return d->endpoints[d->n_endpoints - 1].packet_size > 0 ? 0 : -EBADMSG;
}

static int parse_configuration(Descriptors *d, const uint8_t *p, size_t size) {
        d->configuration_size = size;
        d->interface_count = p[4];
        d->configuration = p[5];
        d->attributes = p[7];
        d->max_power = p[8];
        for (size_t at = p[0]; at + 2 <= size && p[at] >= 2; at += p[at]) {
                int r = 0;

                if (at + p[at] > size)
                        return -EBADMSG;
                if (p[at + 1] == TYPE_INTERFACE)
                        r = parse_interface(d, p + at);
                else if (p[at + 1] == TYPE_ENDPOINT)
                        r = parse_endpoint(d, p + at);
                if (r < 0)
                        return r;
        }
        return 0;
}

const uint8_t *descriptors_configuration(const Descriptors *d, unsigned index, size_t *ret_size) {
        size_t at = SIZE_DEVICE;

        while (at + SIZE_CONFIGURATION <= d->size && d->raw[at] >= SIZE_CONFIGURATION
               && d->raw[at + 1] == TYPE_CONFIGURATION) {
                size_t size = le16(d->raw + at + 2);

                if (size < SIZE_CONFIGURATION || at + size > d->size)
                        return NULL;
                if (index-- == 0) {
                        *ret_size = size;
                        return d->raw + at;
                }
                at += size;
        }
        return NULL;
}

int descriptors_parse(Descriptors *d) {
        const uint8_t *first;
        size_t size;

        if (d->size < SIZE_DEVICE || d->size > sizeof(d->raw) || d->raw[0] != SIZE_DEVICE || d->raw[1] != TYPE_DEVICE)
                return -EBADMSG;
        d->n_interfaces = d->n_endpoints = 0;
        parse_device(d);
        first = descriptors_configuration(d, 0, &size);
        if (!first)
                return -EBADMSG;
        return parse_configuration(d, first, size);
}

const UsbEndpoint *descriptors_endpoint(const Descriptors *d, uint8_t address,
                                        const uint8_t alternates[static INTERFACES_MAX]) {
        for (size_t i = 0; i < d->n_endpoints; i++)
                if (d->endpoints[i].address == address
                    && d->endpoints[i].alternate == alternates[d->endpoints[i].interface])
                        return &d->endpoints[i];
        return NULL;
}

const UsbInterface *descriptors_interface(const Descriptors *d, unsigned number, unsigned alternate) {
        for (size_t i = 0; i < d->n_interfaces; i++)
                if (d->interfaces[i].number == number && d->interfaces[i].alternate == alternate)
                        return &d->interfaces[i];
        return NULL;
}
