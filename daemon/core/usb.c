/* SPDX-License-Identifier: Apache-2.0 */
#include "core/usb.h"

#include <errno.h>
#include <string.h>

enum { DT_DEVICE = 1, DT_CONFIG = 2, DT_INTERFACE = 4, DEVICE_SIZE = 18, CONFIG_SIZE = 9, INTERFACE_SIZE = 9 };

static uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

int usb_shape_parse(const void *descriptors, size_t size, UsbShape *ret) {
        const uint8_t *p = descriptors;
        UsbShape shape = {};

        if (size < DEVICE_SIZE || p[0] < DEVICE_SIZE || p[1] != DT_DEVICE)
                return -EBADMSG;
        shape.vid = le16(p + 8);
        shape.pid = le16(p + 10);
        shape.bcd_device = le16(p + 12);
        shape.device = (UsbClass){ p[4], p[5], p[6] };

        for (size_t at = p[0]; at < size; at += p[at]) {
                if (size - at < 2 || p[at] < 2 || p[at] > size - at)
                        return -EBADMSG;
                if (p[at + 1] != DT_INTERFACE)
                        continue;
                if (p[at] < INTERFACE_SIZE || shape.n_interfaces == USB_INTERFACES_MAX)
                        return -EBADMSG;
                shape.interfaces[shape.n_interfaces++] = (UsbClass){ p[at + 5], p[at + 6], p[at + 7] };
        }
        *ret = shape;
        return 0;
}
