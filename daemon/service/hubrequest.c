/* SPDX-License-Identifier: Apache-2.0 */
#include "service/hubrequest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"

#define TIMEOUT_MSEC 2000u

enum {
        TYPE_FROM_HUB = 0xa0,
        TYPE_FROM_PORT = 0xa3,
        TYPE_TO_PORT = 0x23,

        REQUEST_GET_STATUS = 0,
        REQUEST_CLEAR_FEATURE = 1,
        REQUEST_SET_FEATURE = 3,
        REQUEST_GET_DESCRIPTOR = 6,

        FEATURE_PORT_POWER = 8,
        DESCRIPTOR_HUB = 0x29,
        DESCRIPTOR_SUPERSPEED_HUB = 0x2a,

        STATUS_CONNECTION = 1 << 0,
        STATUS_OVER_CURRENT = 1 << 3,
        STATUS_POWER = 1 << 8,
        STATUS_POWER_SUPERSPEED = 1 << 9,

        SPEED_SUPER = 5000, /* Mbit/s, as sysfs has it */
};

/* A number that the kernel writes of a device. */
static int read_number(int dir_fd, const char *file, unsigned *ret) {
        _cleanup_(fd_closep) int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        char text[16];
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return n < 0 ? -errno : -EIO;
        text[n] = 0;
        *ret = (unsigned) strtoul(text, NULL, 10);
        return 0;
}

int hubrequest_open(const char *hub, bool *ret_superspeed) {
        _cleanup_(fd_closep) int dir = -EBADF;
        unsigned bus, device, speed;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/sys/bus/usb/devices/%.32s", hub);
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        if ((r = read_number(dir, "busnum", &bus)) < 0 || (r = read_number(dir, "devnum", &device)) < 0 ||
            (r = read_number(dir, "speed", &speed)) < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/dev/bus/usb/%03u/%03u", bus, device);
        r = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (r < 0)
                return -errno;
        *ret_superspeed = speed >= SPEED_SUPER;
        return r;
}

static int request(int fd, uint8_t type, uint8_t code, uint16_t value, uint16_t index, void *data, uint16_t length) {
        struct usbdevfs_ctrltransfer transfer = {
                .bRequestType = type,
                .bRequest = code,
                .wValue = value,
                .wIndex = index,
                .wLength = length,
                .timeout = TIMEOUT_MSEC,
                .data = data,
        };
        int r = ioctl(fd, USBDEVFS_CONTROL, &transfer);

        return r < 0 ? -errno : r;
}

int hubrequest_power(int fd, unsigned port, bool on) {
        return request(fd, TYPE_TO_PORT, on ? REQUEST_SET_FEATURE : REQUEST_CLEAR_FEATURE, FEATURE_PORT_POWER, (uint16_t) port, NULL, 0);
}

int hubrequest_status(int fd, bool superspeed, unsigned port, HubStatus *ret) {
        uint8_t bytes[4];
        unsigned status;
        int r = request(fd, TYPE_FROM_PORT, REQUEST_GET_STATUS, 0, (uint16_t) port, bytes, sizeof(bytes));

        if (r < 0)
                return r;
        if (r < (int) sizeof(bytes))
                return -EPROTO;
        status = bytes[0] | (unsigned) bytes[1] << 8;
        *ret = (HubStatus){
                .power = status & (superspeed ? STATUS_POWER_SUPERSPEED : STATUS_POWER),
                .connected = status & STATUS_CONNECTION,
                .over_current = status & STATUS_OVER_CURRENT,
        };
        return 0;
}

/* USB 2.0, 11.23.2.1: the two lowest bits of wHubCharacteristics; only 01 switches each port by itself. */
int hubrequest_says_it_switches(int fd, bool superspeed) {
        uint8_t d[5];
        int r = request(fd, TYPE_FROM_HUB, REQUEST_GET_DESCRIPTOR,
                        (uint16_t) ((superspeed ? DESCRIPTOR_SUPERSPEED_HUB : DESCRIPTOR_HUB) << 8), 0, d, sizeof(d));

        if (r < 0)
                return r;
        return r < (int) sizeof(d) ? -EPROTO : (d[3] & 3) == 1;
}
