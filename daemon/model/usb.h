/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a device claims to be: sysfs `descriptors` (USB 2.0 §9.6), parsed once at the border. Pure. */

#include <stddef.h>
#include <stdint.h>

#define USB_INTERFACES_MAX 32u
#define USB_CLASS_HUB 0x09

typedef struct UsbClass {
        uint8_t class_code, subclass, protocol;
} UsbClass;

typedef struct UsbShape {
        uint16_t vid, pid, bcd_device;
        UsbClass device;
        UsbClass interfaces[USB_INTERFACES_MAX]; /* all configurations, every alternate setting */
        size_t n_interfaces;
        const char *problem; /* how the descriptors lie or are broken, in words; NULL when they hold together */
} UsbShape;

/*
 * -EBADMSG when not even a device descriptor is there. What follows it must be as many configurations as it says, each exactly
 * as long as it says and made of whole descriptors: or a device could show one set of interfaces here and another to the
 * kernel. Else `problem` says what is wrong, and the interfaces are those up to there.
 */
int usb_shape_parse(const void *descriptors, size_t size, UsbShape *ret);

/* What a class is to people: "a keyboard", "a network adapter"; NULL for one that says nothing. */
const char *usb_class_word(const UsbClass *c);
