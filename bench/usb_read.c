/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How fast libusb alone brings one object of a PTP camera to this machine: GetObject, queued bulk transfers, every byte
 * thrown away. The limit that a pull is compared with.
 *
 *   usb_read VID:PID [TRANSFERS]      prints "SECONDS CPU_SECONDS BYTES"
 *
 * TRANSFERS of 256 KiB are in flight, 8 if it is not said.
 */

#include <libusb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stopwatch.h"

#define TRANSFERS 8u
#define TRANSFER_SIZE (256 * 1024)
#define TIMEOUT_MSEC 10000

static uint64_t left, received;
static int in_flight, failed;

static void put32(uint8_t *p, uint32_t v) {
        for (int i = 0; i < 4; i++)
                p[i] = (uint8_t) (v >> (8 * i));
}

static uint32_t get32(const uint8_t *p) {
        return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* One command container (PIMA 15740 annex D.7). */
static int command(libusb_device_handle *h, uint16_t code, uint32_t id, const uint32_t *parameters, uint32_t n) {
        uint8_t c[32];
        int done;

        put32(c, 12 + 4 * n);
        c[4] = 1;
        c[5] = 0;
        c[6] = (uint8_t) code;
        c[7] = (uint8_t) (code >> 8);
        put32(c + 8, id);
        for (uint32_t i = 0; i < n; i++)
                put32(c + 12 + 4 * i, parameters[i]);
        return libusb_bulk_transfer(h, 0x02, c, (int) (12 + 4 * n), &done, TIMEOUT_MSEC);
}

static int receive(libusb_device_handle *h, uint8_t *buffer, int size) {
        int done = 0;

        return libusb_bulk_transfer(h, 0x81, buffer, size, &done, TIMEOUT_MSEC) == 0 ? done : -1;
}

static void LIBUSB_CALL came(struct libusb_transfer *t) {
        in_flight--;
        if (t->status != LIBUSB_TRANSFER_COMPLETED) {
                failed = 1;
                return;
        }
        received += (uint64_t) t->actual_length;
        if (left == 0 || failed)
                return;
        t->length = left < TRANSFER_SIZE ? (int) ((left + 511) / 512 * 512) : TRANSFER_SIZE;
        left -= left < TRANSFER_SIZE ? left : TRANSFER_SIZE;
        if (libusb_submit_transfer(t) == 0)
                in_flight++;
        else
                failed = 1;
}

static int stream(libusb_device_handle *h, unsigned transfers) {
        for (unsigned i = 0; i < transfers && left > 0; i++) {
                struct libusb_transfer *t = libusb_alloc_transfer(0);

                libusb_fill_bulk_transfer(t, h, 0x81, malloc(TRANSFER_SIZE), 0, came, NULL, TIMEOUT_MSEC);
                t->length = left < TRANSFER_SIZE ? (int) ((left + 511) / 512 * 512) : TRANSFER_SIZE;
                left -= left < TRANSFER_SIZE ? left : TRANSFER_SIZE;
                if (libusb_submit_transfer(t) != 0)
                        return -1;
                in_flight++;
        }
        while (in_flight > 0)
                if (libusb_handle_events(NULL) != 0)
                        return -1;
        return failed ? -1 : 0;
}

static int fetch(libusb_device_handle *h, unsigned transfers) {
        static uint8_t buffer[65536];
        const uint32_t session = 1, all[3] = { UINT32_MAX, 0, UINT32_MAX };
        uint32_t handle, length;
        int n;

        if (command(h, 0x1002, 0, &session, 1) != 0 || receive(h, buffer, sizeof(buffer)) < 12)
                return -1;
        if (command(h, 0x1007, 1, all, 3) != 0 || receive(h, buffer, sizeof(buffer)) < 20)
                return -1;
        handle = get32(buffer + 16);
        if (receive(h, buffer, sizeof(buffer)) < 12 || command(h, 0x1009, 2, &handle, 1) != 0)
                return -1;
        n = receive(h, buffer, 512);
        if (n < 12)
                return -1;
        length = get32(buffer);
        received = (uint64_t) n;
        left = length - (uint32_t) n;
        return stream(h, transfers);
}

int main(int argc, char **argv) {
        libusb_device_handle *h = NULL;
        unsigned vid, pid, transfers = TRANSFERS;
        double wall_before, cpu_before;

        if (argc < 2 || argc > 3 || sscanf(argv[1], "%x:%x", &vid, &pid) != 2 ||
            (argc == 3 && (sscanf(argv[2], "%u", &transfers) != 1 || transfers == 0))) {
                fputs("usage: usb_read VID:PID [TRANSFERS]\n", stderr);
                return 2;
        }
        if (libusb_init(NULL) != 0 || !(h = libusb_open_device_with_vid_pid(NULL, (uint16_t) vid, (uint16_t) pid)) ||
            libusb_claim_interface(h, 0) != 0) {
                fputs("usb_read: the camera cannot be opened\n", stderr);
                return 1;
        }
        wall_before = wall();
        cpu_before = cpu(RUSAGE_SELF);
        if (fetch(h, transfers) < 0) {
                fputs("usb_read: the camera did not give its object\n", stderr);
                return 1;
        }
        printf("%.6f %.6f %llu\n", wall() - wall_before, cpu(RUSAGE_SELF) - cpu_before, (unsigned long long) received);
        return 0;
}
