/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of the simulated bus share: the control socket, and a loopback device (tests/sim/loopback.c) that is
 * plugged in, open and claimed. Failures end the running test.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libusb.h>

#include "base/macro.h"

#define VID 0x1209
#define PID 0xbc01
#define PORT "1-1.3"
#define DEADLINE_MSEC 60000u
#define SHORT_MSEC 30u
#define PATTERN_PERIOD 251u

/* The endpoints of the loopback device. */
enum {
        EP_OUT = 0x01,
        EP_ECHO = 0x81,
        EP_PATTERN = 0x82,
        EP_SILENT = 0x83,
        EP_INTERRUPT = 0x84,
};

typedef struct Fixture {
        char name[32];
        libusb_context *usb;
        libusb_device_handle *handle;
} Fixture;

int fixture_setup(void **state);
int fixture_teardown(void **state);
#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* One command of the control socket, which must succeed. */
void control(const char *format, ...) _printf_(1, 2);
/* A number or boolean of a camera's `state`. */
long long state_of(const char *camera, const char *key);
/* Opens the fixture's node, or a loopback device anew. */
int open_node(const Fixture *f);
libusb_device_handle *open_loopback(libusb_context *usb);
/* libusb_bulk_transfer() on the fixture's device. */
int bulk(Fixture *f, unsigned char endpoint, void *data, int length, int *ret, unsigned timeout_msec);
/* EP_PATTERN's bytes from `position` on. */
void assert_pattern(const unsigned char *data, size_t size, size_t position);
/* A transfer's callback that sets the int at its user data, and the wait for it. */
void LIBUSB_CALL set_done(struct libusb_transfer *transfer);
void finish(Fixture *f, int *done);

/*
 * The whole of main(): runs the tests inside of the simulator; outside of it, runs this program inside, once above each
 * of the controllers ("modern", "old", NULL ends).
 */
int run_simulated(char **argv, const char *const *controllers, int (*run)(void));
