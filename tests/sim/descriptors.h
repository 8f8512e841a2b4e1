/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A device's descriptors as one blob (device, then configurations) and what the bus needs to know of them. */

#include <stddef.h>
#include <stdint.h>

#define DESCRIPTORS_MAX 4096u
#define INTERFACES_MAX 32u /* interface numbers are below this; alternate settings count one each */
#define ENDPOINTS_MAX 64u

#define ENDPOINT_IN 0x80u
#define ENDPOINT_TYPE_ISOCHRONOUS 1u
#define ENDPOINT_TYPE_BULK 2u
#define ENDPOINT_TYPE_INTERRUPT 3u

typedef struct UsbInterface {
        uint8_t number, alternate, endpoints, class_code, subclass, protocol, string;
} UsbInterface;

typedef struct UsbEndpoint {
        uint8_t interface, alternate, address, type;
        uint16_t packet_size;
        uint8_t interval; /* bInterval */
} UsbEndpoint;

typedef struct Descriptors {
        uint8_t raw[DESCRIPTORS_MAX];
        size_t size;
        uint16_t usb_version, vid, pid, version;
        uint8_t class_code, subclass, protocol, packet_size0;
        uint8_t string_manufacturer, string_product, string_serial, configurations;
        /* the first configuration, which is the active one */
        size_t configuration_size;
        uint8_t configuration, interface_count, attributes, max_power;
        UsbInterface interfaces[INTERFACES_MAX];
        size_t n_interfaces;
        UsbEndpoint endpoints[ENDPOINTS_MAX];
        size_t n_endpoints;
} Descriptors;

/* Reads `raw` and `size`, fills the rest. -EBADMSG when they are not the descriptors of a device. */
int descriptors_parse(Descriptors *d);
/* The endpoint with this address in that alternate setting of its interface, or NULL. */
const UsbEndpoint *descriptors_endpoint(const Descriptors *d, uint8_t address,
                                        const uint8_t alternates[static INTERFACES_MAX]);
/* Interface `number` in its alternate setting, or NULL. */
const UsbInterface *descriptors_interface(const Descriptors *d, unsigned number, unsigned alternate);
/* The size of the configuration descriptor number `index` (from 0) and where it begins, or NULL. */
const uint8_t *descriptors_configuration(const Descriptors *d, unsigned index, size_t *ret_size);
