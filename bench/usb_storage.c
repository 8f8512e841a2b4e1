/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How fast libusb alone brings the sectors of a disk to this machine: READ(10) of 1 MiB each over the bulk-only transport, its data
 * in queued transfers, every byte thrown away, every status looked at. The limit that a pull from a card is compared with.
 *
 *   usb_storage VID:PID BYTES      prints "SECONDS CPU_SECONDS BYTES"
 */

#include <libusb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stopwatch.h"

#define TRANSFERS 4
#define TRANSFER_SIZE (256 * 1024)
#define COMMAND_SIZE (TRANSFERS * TRANSFER_SIZE)
#define SECTOR 512
#define TIMEOUT_MSEC 10000

static struct libusb_transfer *transfers[TRANSFERS];
static int in_flight, failed;

static void LIBUSB_CALL came(struct libusb_transfer *t) {
        in_flight--;
        if (t->status != LIBUSB_TRANSFER_COMPLETED || t->actual_length != TRANSFER_SIZE)
                failed = 1;
}

static void put32(uint8_t *p, uint32_t v) {
        for (int i = 0; i < 4; i++)
                p[i] = (uint8_t) (v >> (8 * i));
}

static int read_once(libusb_device_handle *h, uint32_t tag, uint32_t sector) {
        uint8_t cbw[31] = { 'U', 'S', 'B', 'C', [12] = 0x80, [14] = 10, 0x28 }, csw[512];
        int done = 0;

        put32(cbw + 4, tag);
        put32(cbw + 8, COMMAND_SIZE);
        for (int i = 0; i < 4; i++)
                cbw[17 + i] = (uint8_t) (sector >> (24 - 8 * i));
        cbw[22] = COMMAND_SIZE / SECTOR >> 8;
        cbw[23] = COMMAND_SIZE / SECTOR & 0xff;
        if (libusb_bulk_transfer(h, 0x02, cbw, sizeof(cbw), &done, TIMEOUT_MSEC) != 0)
                return -1;
        for (int i = 0; i < TRANSFERS; i++) {
                if (libusb_submit_transfer(transfers[i]) != 0)
                        return -1;
                in_flight++;
        }
        while (in_flight > 0)
                if (libusb_handle_events(NULL) != 0)
                        return -1;
        if (failed || libusb_bulk_transfer(h, 0x81, csw, sizeof(csw), &done, TIMEOUT_MSEC) != 0)
                return -1;
        return done == 13 && csw[12] == 0 ? 0 : -1;
}

/* After plugging in, the device wants to say that it was reset. */
static int settle(libusb_device_handle *h) {
        uint8_t cbw[31] = { 'U', 'S', 'B', 'C', [14] = 6 }, csw[512];
        int done = 0;

        if (libusb_bulk_transfer(h, 0x02, cbw, sizeof(cbw), &done, TIMEOUT_MSEC) != 0)
                return -1;
        return libusb_bulk_transfer(h, 0x81, csw, sizeof(csw), &done, TIMEOUT_MSEC) == 0 ? 0 : -1;
}

int main(int argc, char **argv) {
        libusb_device_handle *h = NULL;
        unsigned vid, pid;
        uint64_t bytes, done = 0;
        double wall_before, cpu_before;

        if (argc != 3 || sscanf(argv[1], "%x:%x", &vid, &pid) != 2) {
                fputs("usage: usb_storage VID:PID BYTES\n", stderr);
                return 2;
        }
        bytes = strtoull(argv[2], NULL, 10);
        if (libusb_init(NULL) != 0 || !(h = libusb_open_device_with_vid_pid(NULL, (uint16_t) vid, (uint16_t) pid)) ||
            libusb_set_auto_detach_kernel_driver(h, 1) != 0 || libusb_claim_interface(h, 0) != 0 || settle(h) < 0) {
                fputs("usb_storage: the disk cannot be opened\n", stderr);
                return 1;
        }
        for (int i = 0; i < TRANSFERS; i++) {
                transfers[i] = libusb_alloc_transfer(0);
                libusb_fill_bulk_transfer(transfers[i], h, 0x81, malloc(TRANSFER_SIZE), TRANSFER_SIZE, came, NULL, TIMEOUT_MSEC);
        }
        wall_before = wall();
        cpu_before = cpu(RUSAGE_SELF);
        for (uint32_t tag = 1; done + COMMAND_SIZE <= bytes; tag++, done += COMMAND_SIZE)
                if (read_once(h, tag, (uint32_t) (done / SECTOR)) < 0) {
                        fputs("usb_storage: the disk did not give its sectors\n", stderr);
                        return 1;
                }
        printf("%.6f %.6f %llu\n", wall() - wall_before, cpu(RUSAGE_SELF) - cpu_before, (unsigned long long) done);
        return 0;
}
