/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a device claims to be: sysfs `descriptors` (USB 2.0 §9.6), parsed once at the border. Pure. */

#include <stddef.h>
#include <stdint.h>

#define USB_INTERFACES_MAX 32u

typedef struct UsbClass {
        uint8_t class_code, subclass, protocol;
} UsbClass;

typedef struct UsbShape {
        uint16_t vid, pid, bcd_device;
        UsbClass device;
        UsbClass interfaces[USB_INTERFACES_MAX]; /* all configurations, every alternate setting */
        size_t n_interfaces;
} UsbShape;

/* -EBADMSG for what is no device descriptor followed by configurations, or exceeds the limits. */
int usb_shape_parse(const void *descriptors, size_t size, UsbShape *ret);
