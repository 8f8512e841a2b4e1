/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "bay/host.h"
#include "bay/outbox.h"

/* The one who held the interface before may be a killed worker that the kernel still takes apart. */
#define CLAIM_PATIENCE_USEC (3 * USEC_PER_SEC)
#define CLAIM_RETRY_NSEC (20 * 1000 * 1000)
#define NO_ROOM_RETRY_NSEC (10 * 1000 * 1000)
#define STRING_BYTES 255
#define LANGUAGE_ENGLISH_US 0x0409

int host_usb_error(berth_host *h, int usb_error) {
        switch (usb_error) {
        case LIBUSB_ERROR_TIMEOUT:
                return -ETIMEDOUT;
        case LIBUSB_ERROR_PIPE:
                return -EPIPE;
        case LIBUSB_ERROR_NO_DEVICE:
                h->unplugged = true;
                return -ENODEV;
        case LIBUSB_ERROR_OVERFLOW:
                return -EOVERFLOW;
        case LIBUSB_ERROR_NO_MEM:
                return -ENOMEM;
        case LIBUSB_ERROR_INVALID_PARAM:
                return -EINVAL;
        case LIBUSB_ERROR_BUSY:
                return -EBUSY;
        case LIBUSB_ERROR_ACCESS:
                return -EACCES;
        case LIBUSB_ERROR_NOT_FOUND:
                return -ENOENT;
        case LIBUSB_ERROR_NOT_SUPPORTED:
                return -EOPNOTSUPP;
        default:
                return -EIO;
        }
}

static int attach(berth_host *h) {
        uint32_t capabilities = 0;
        int r;

        /* No enumeration and no hot-plug: the one device is the descriptor that was handed to this process. */
        r = libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
        if (r == 0)
                r = libusb_init(&h->context);
        if (r == 0)
                r = libusb_wrap_sys_device(h->context, h->usb_fd, &h->device);
        if (r == 0)
                r = libusb_get_device_descriptor(libusb_get_device(h->device), &h->descriptor);
        if (r == 0)
                r = libusb_get_active_config_descriptor(libusb_get_device(h->device), &h->config);
        h->scatters = ioctl(h->usb_fd, USBDEVFS_GET_CAPABILITIES, &capabilities) == 0 &&
                      (capabilities & USBDEVFS_CAP_BULK_SCATTER_GATHER);
        return r == 0 ? 0 : host_usb_error(h, r);
}

int host_attach(berth_host *h) {
        int r;

        if (h->attached)
                return h->config ? 0 : -ENODEV;
        h->attached = true;
        r = attach(h);
        if (r < 0)
                log_error(NULL, "cannot use the inherited USB device: %s", strerror(-r));
        return r;
}

static size_t count_interfaces(const struct libusb_config_descriptor *config) {
        size_t n = 0;

        for (unsigned i = 0; i < config->bNumInterfaces; i++)
                n += (size_t) config->interface[i].num_altsetting;
        return n;
}

size_t berth_host_interfaces(berth_host *h) {
        return host_attach(h) < 0 ? 0 : count_interfaces(h->config);
}

static const struct libusb_interface_descriptor *interface_at(const struct libusb_config_descriptor *config, size_t index) {
        for (unsigned i = 0; i < config->bNumInterfaces; i++) {
                size_t n = (size_t) config->interface[i].num_altsetting;

                if (index < n)
                        return &config->interface[i].altsetting[index];
                index -= n;
        }
        return NULL;
}

static void add_endpoint(berth_usb_interface *u, const struct libusb_endpoint_descriptor *e) {
        unsigned type = e->bmAttributes & LIBUSB_TRANSFER_TYPE_MASK;
        bool in = e->bEndpointAddress & LIBUSB_ENDPOINT_IN;

        if (type == LIBUSB_TRANSFER_TYPE_BULK && in && u->bulk_in == 0) {
                u->bulk_in = e->bEndpointAddress;
                u->bulk_in_packet = e->wMaxPacketSize;
        } else if (type == LIBUSB_TRANSFER_TYPE_BULK && !in && u->bulk_out == 0) {
                u->bulk_out = e->bEndpointAddress;
                u->bulk_out_packet = e->wMaxPacketSize;
        } else if (type == LIBUSB_TRANSFER_TYPE_INTERRUPT && in && u->interrupt_in == 0)
                u->interrupt_in = e->bEndpointAddress;
}

int berth_host_interface(berth_host *h, size_t index, berth_usb_interface *ret) {
        const struct libusb_interface_descriptor *d;
        int r;

        r = host_attach(h);
        if (r < 0)
                return r;
        d = interface_at(h->config, index);
        if (!d)
                return -ENOENT;
        *ret = (berth_usb_interface){
                .number = d->bInterfaceNumber,
                .alternate = d->bAlternateSetting,
                .class_code = d->bInterfaceClass,
                .subclass = d->bInterfaceSubClass,
                .protocol = d->bInterfaceProtocol,
        };
        for (unsigned i = 0; i < d->bNumEndpoints; i++)
                add_endpoint(ret, &d->endpoint[i]);
        return 0;
}

size_t host_packet_size(berth_host *h, uint8_t endpoint) {
        const struct libusb_interface_descriptor *d;

        for (size_t index = 0; (d = interface_at(h->config, index)); index++)
                for (unsigned i = 0; i < d->bNumEndpoints; i++)
                        if (d->endpoint[i].bEndpointAddress == endpoint)
                                return d->endpoint[i].wMaxPacketSize;
        return 0;
}

void berth_host_device_ids(berth_host *h, uint16_t *ret_vid, uint16_t *ret_pid, uint16_t *ret_bcd_device) {
        (void) host_attach(h);
        *ret_vid = h->descriptor.idVendor;
        *ret_pid = h->descriptor.idProduct;
        *ret_bcd_device = h->descriptor.bcdDevice;
}

static size_t put_utf8(uint32_t c, char ret[static 4]) {
        if (c < 0x80) {
                ret[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                ret[0] = (char) (0xc0 | c >> 6);
                ret[1] = (char) (0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                ret[0] = (char) (0xe0 | c >> 12);
                ret[1] = (char) (0x80 | (c >> 6 & 0x3f));
                ret[2] = (char) (0x80 | (c & 0x3f));
                return 3;
        }
        ret[0] = (char) (0xf0 | c >> 18);
        ret[1] = (char) (0x80 | (c >> 12 & 0x3f));
        ret[2] = (char) (0x80 | (c >> 6 & 0x3f));
        ret[3] = (char) (0x80 | (c & 0x3f));
        return 4;
}

/* UTF-16LE to UTF-8; a lone surrogate becomes U+FFFD. Cut at a character when it is too long. */
static void from_utf16(const uint8_t *p, size_t size, char ret[static BERTH_TEXT_MAX]) {
        size_t at = 0;

        for (size_t i = 0; i + 1 < size; i += 2) {
                uint32_t c = (uint32_t) (p[i] | p[i + 1] << 8);
                char encoded[4];
                size_t n;

                if (c >= 0xd800 && c < 0xdc00 && i + 3 < size && (p[i + 3] & 0xfc) == 0xdc) {
                        c = 0x10000 + ((c & 0x3ff) << 10) + (uint32_t) ((p[i + 2] | p[i + 3] << 8) & 0x3ff);
                        i += 2;
                } else if (c >= 0xd800 && c < 0xe000)
                        c = 0xfffd;
                if (c == 0)
                        break;
                n = put_utf8(c, encoded);
                if (at + n >= BERTH_TEXT_MAX)
                        break;
                memcpy(ret + at, encoded, n);
                at += n;
        }
        ret[at] = 0;
}

int berth_host_string(berth_host *h, int which, char ret[BERTH_TEXT_MAX]) {
        uint8_t raw[STRING_BYTES], index;
        int r;

        ret[0] = 0;
        r = host_attach(h);
        if (r < 0)
                return r;
        index = which == BERTH_STRING_MANUFACTURER ? h->descriptor.iManufacturer
                : which == BERTH_STRING_PRODUCT    ? h->descriptor.iProduct
                : which == BERTH_STRING_SERIAL     ? h->descriptor.iSerialNumber
                                                   : 0;
        if (index == 0)
                return 0;
        r = libusb_get_string_descriptor(h->device, index, LANGUAGE_ENGLISH_US, raw, sizeof(raw));
        if (r < 0)
                return host_usb_error(h, r);
        /* USB 2.0 §9.6.7: bLength, bDescriptorType, UTF-16LE. */
        if (r < 2 || raw[1] != LIBUSB_DT_STRING || raw[0] < 2)
                return -EBADMSG;
        from_utf16(raw + 2, (size_t) MIN2(r, (int) raw[0]) - 2, ret);
        return 0;
}

int berth_host_claim(berth_host *h, uint8_t interface, uint8_t alternate) {
        uint64_t until = clock_boottime_usec() + CLAIM_PATIENCE_USEC;
        int r;

        r = host_attach(h);
        if (r < 0)
                return r;
        (void) libusb_set_auto_detach_kernel_driver(h->device, 1);
        for (;;) {
                r = libusb_claim_interface(h->device, interface);
                if (r != LIBUSB_ERROR_BUSY || clock_boottime_usec() >= until)
                        break;
                (void) nanosleep(&(struct timespec){ .tv_nsec = CLAIM_RETRY_NSEC }, NULL);
        }
        /* Alternate setting 0 is what a configured interface has; some cameras stall the request for it. */
        if (r == 0 && alternate != 0)
                r = libusb_set_interface_alt_setting(h->device, interface, alternate);
        return r == 0 ? 0 : host_usb_error(h, r);
}

/*
 * The kernel lends the buffers of all cameras out of one pot (usbcore.usbfs_memory_mb). While that is empty nothing was sent, and the
 * device knows nothing of it: true, after a pause, when the transfer is to be tried again as it was.
 */
static bool wait_for_room(int usb_error, uint64_t until_usec) {
        if (usb_error != LIBUSB_ERROR_NO_MEM || clock_boottime_usec() >= until_usec)
                return false;
        outbox_alive();
        (void) nanosleep(&(struct timespec){ .tv_nsec = NO_ROOM_RETRY_NSEC }, NULL);
        return true;
}

int berth_host_control(berth_host *h, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data,
                       uint16_t length, unsigned timeout_msec) {
        uint64_t until = clock_boottime_usec() + timeout_msec * USEC_PER_MSEC;
        int r;

        if (timeout_msec == 0)
                return -EINVAL;
        r = host_attach(h);
        if (r < 0)
                return r;
        do
                r = libusb_control_transfer(h->device, request_type, request, value, index, data, length, timeout_msec);
        while (wait_for_room(r, until));
        return r >= 0 ? r : host_usb_error(h, r);
}

static ssize_t from_pushback(berth_host *h, uint8_t endpoint, void *data, size_t length) {
        Pushback *p = host_pushback_take(h, endpoint);
        size_t n;

        if (!p)
                return -EAGAIN;
        n = MIN2(p->size, length);
        memcpy(data, p->data, n);
        /* As a device would overrun a buffer that is too short for its packet. */
        if (p->size > length) {
                free(p);
                return -EOVERFLOW;
        }
        free(p);
        return (ssize_t) n;
}

/*
 * What is transferred at once. Where the host controller takes no scattered buffers libusb cuts a longer transfer into pieces of 16 KiB.
 * When there is room for the first of them and not for the next one it makes an error of all, and what has come is lost.
 */
static size_t piece_size(berth_host *h, uint8_t endpoint, size_t length) {
        size_t packet = host_packet_size(h, endpoint);

        return h->scatters || packet == 0 || packet > RING_PACKET_MAX ? length : RING_PACKET_MAX / packet * packet;
}

/* Returns libusb's error; *ret_moved also counts what was transferred before it. */
static int move_bulk(berth_host *h, uint8_t endpoint, uint8_t *data, size_t length, unsigned timeout_msec, size_t *ret_moved) {
        const uint64_t until = clock_boottime_usec() + timeout_msec * USEC_PER_MSEC;
        const size_t piece = piece_size(h, endpoint, length);
        bool goes_on;
        int r;

        *ret_moved = 0;
        do {
                size_t n = MIN2(length - *ret_moved, piece);
                int moved = 0;

                /* All the time for each: the camera is not to answer for a wait for room. */
                r = libusb_bulk_transfer(h->device, endpoint, data + *ret_moved, (int) n, &moved, timeout_msec);
                *ret_moved += (size_t) moved;
                /* A short packet ends the data. */
                goes_on = r == 0 ? (size_t) moved == n && *ret_moved < length : wait_for_room(r, until);
        } while (goes_on);
        return r;
}

ssize_t berth_host_bulk(berth_host *h, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        size_t moved;
        ssize_t n;
        int r;

        if (timeout_msec == 0 || length > INT32_MAX)
                return -EINVAL;
        r = host_attach(h);
        if (r < 0)
                return r;
        if (endpoint & LIBUSB_ENDPOINT_IN) {
                n = from_pushback(h, endpoint, data, length);
                if (n != -EAGAIN)
                        return n;
        }
        CRASH_POINT_OF("usb-bulk-begins", endpoint & LIBUSB_ENDPOINT_IN ? "in" : "out");
        r = move_bulk(h, endpoint, data, length, timeout_msec, &moved);
        if (r == 0 || ((r == LIBUSB_ERROR_TIMEOUT || r == LIBUSB_ERROR_NO_MEM) && moved > 0))
                return (ssize_t) moved;
        return host_usb_error(h, r);
}

ssize_t berth_host_interrupt(berth_host *h, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        uint64_t until = clock_boottime_usec() + timeout_msec * USEC_PER_MSEC;
        int r, moved = 0;

        if (timeout_msec == 0 || length > INT32_MAX)
                return -EINVAL;
        r = host_attach(h);
        if (r < 0)
                return r;
        do
                r = libusb_interrupt_transfer(h->device, endpoint, data, (int) length, &moved, timeout_msec);
        while (wait_for_room(r, until));
        if (r == 0 || (r == LIBUSB_ERROR_TIMEOUT && moved > 0))
                return moved;
        return host_usb_error(h, r);
}

int berth_host_clear_halt(berth_host *h, uint8_t endpoint) {
        int r;

        r = host_attach(h);
        if (r < 0)
                return r;
        host_pushback_drop(h, endpoint);
        r = libusb_clear_halt(h->device, endpoint);
        return r == 0 ? 0 : host_usb_error(h, r);
}

int berth_host_reset(berth_host *h) {
        int r;

        r = host_attach(h);
        if (r < 0)
                return r;
        for (Pushback *p; (p = h->pushback);) {
                h->pushback = p->next;
                free(p);
        }
        r = libusb_reset_device(h->device);
        /* "The device is another one now": its descriptors changed, so the kernel takes it as newly plugged in. */
        if (r == LIBUSB_ERROR_NOT_FOUND) {
                h->unplugged = true;
                return -ENODEV;
        }
        return r == 0 ? 0 : host_usb_error(h, r);
}
