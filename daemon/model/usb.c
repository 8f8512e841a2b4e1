/* SPDX-License-Identifier: Apache-2.0 */
#include "model/usb.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

enum { DT_DEVICE = 1, DT_CONFIG = 2, DT_INTERFACE = 4, DEVICE_SIZE = 18, CONFIG_SIZE = 9, INTERFACE_SIZE = 9 };

static uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

/* The descriptors of one configuration, after its own: all of them whole, none of another level. */
static const char *parse_configuration(const uint8_t *p, size_t size, UsbShape *shape) {
        for (size_t at = 0; at < size; at += p[at]) {
                if (size - at < 2 || p[at] < 2)
                        return "a descriptor of its has no length";
                if (p[at] > size - at)
                        return "a descriptor of its is longer than the configuration that it is in";
                if (p[at + 1] == DT_DEVICE || p[at + 1] == DT_CONFIG)
                        return "a configuration of its holds another one";
                if (p[at + 1] != DT_INTERFACE)
                        continue;
                if (p[at] < INTERFACE_SIZE)
                        return "an interface descriptor of its is too short";
                if (shape->n_interfaces == USB_INTERFACES_MAX)
                        return "it has more interfaces and settings of them than any camera";
                shape->interfaces[shape->n_interfaces++] = (UsbClass){ p[at + 5], p[at + 6], p[at + 7] };
        }
        return NULL;
}

static const char *parse_configurations(const uint8_t *p, size_t size, unsigned count, UsbShape *shape) {
        const char *problem;

        for (size_t at = 0; at < size; count--) {
                size_t length;

                if (count == 0)
                        return "it has more configurations than it says, or they are longer";
                if (size - at < CONFIG_SIZE || p[at] < CONFIG_SIZE || p[at + 1] != DT_CONFIG)
                        return "a configuration of its does not begin where it should";
                length = le16(p + at + 2);
                if (length < p[at] || length > size - at)
                        return "a configuration of its is not as long as it says";
                problem = parse_configuration(p + at + p[at], length - p[at], shape);
                if (problem)
                        return problem;
                at += length;
        }
        return count > 0 ? "it has fewer configurations than it says" : NULL;
}

int usb_shape_parse(const void *descriptors, size_t size, UsbShape *ret) {
        const uint8_t *p = descriptors;
        UsbShape shape = {};

        if (size < DEVICE_SIZE || p[0] != DEVICE_SIZE || p[1] != DT_DEVICE)
                return -EBADMSG;
        shape.vid = le16(p + 8);
        shape.pid = le16(p + 10);
        shape.bcd_device = le16(p + 12);
        shape.device = (UsbClass){ p[4], p[5], p[6] };
        shape.problem = parse_configurations(p + DEVICE_SIZE, size - DEVICE_SIZE, p[17], &shape);
        *ret = shape;
        return 0;
}

const char *usb_class_word(const UsbClass *c) {
        static const struct {
                uint8_t class_code;
                int subclass, protocol; /* -1: any */
                const char *word;
        } words[] = {
                { 0x03, 1, 1, "a keyboard" },         { 0x03, 1, 2, "a mouse" },          { 0x03, -1, -1, "an input device" },
                { 0x01, -1, -1, "a sound device" },   { 0x02, -1, -1, "a modem or network adapter" },
                { 0x0a, -1, -1, "a modem or network adapter" },                           { 0x06, 1, 1, "a PTP or MTP camera" },
                { 0x07, -1, -1, "a printer" },        { 0x08, -1, -1, "a disk" },         { 0x09, -1, -1, "a hub" },
                { 0x0b, -1, -1, "a card reader for smart cards" },                        { 0x0e, -1, -1, "a webcam" },
                { 0xe0, -1, -1, "a wireless adapter" },                                   { 0xfe, 1, -1, "a firmware loader (DFU)" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (words[i].class_code == c->class_code && (words[i].subclass < 0 || words[i].subclass == c->subclass) &&
                    (words[i].protocol < 0 || words[i].protocol == c->protocol))
                        return words[i].word;
        return NULL;
}
