/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nodes, requests and transfers of the simulated bus as an unmodified libusb sees them; above a modern host controller
 * and above an old one, which splits large transfers.
 */

#include "integration/sim_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/usbdevice_fs.h>

/* ---- what is there ---------------------------------------------------------------------------------------- */

static void test_device_is_found_at_its_port(void **state) {
        Fixture *f = *state;
        libusb_device *device = libusb_get_device(f->handle);
        struct libusb_device_descriptor d;
        unsigned char text[128];
        uint8_t ports[7];

        assert_int_equal(libusb_get_port_numbers(device, ports, sizeof(ports)), 2);
        assert_int_equal(ports[0], 1);
        assert_int_equal(ports[1], 3);
        assert_int_equal(libusb_get_device_speed(device), LIBUSB_SPEED_HIGH);
        assert_non_null(libusb_get_parent(device));
        assert_int_equal(libusb_get_device_descriptor(device, &d), 0);
        assert_int_equal(d.idVendor, VID);
        assert_int_equal(libusb_get_string_descriptor_ascii(f->handle, d.iSerialNumber, text, sizeof(text)),
                         (int) strlen(f->name));
        assert_string_equal((char *) text, f->name);
        /* "Löop" in UTF-16 */
        assert_int_equal(libusb_get_string_descriptor(f->handle, d.iProduct, 0x0409, text, sizeof(text)), 2 + 2 * 4);
        assert_int_equal(text[4], 0xf6);
}

static void test_each_plug_gets_a_higher_device_number(void **state) {
        Fixture *f = *state;
        long long first = state_of(f->name, "devnum");

        libusb_close(TAKE_PTR(f->handle));
        control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", f->name);
        control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"1-2.7\"}", f->name);
        assert_true(state_of(f->name, "devnum") > first);
        assert_int_equal(access("/sys/bus/usb/devices/1-2.7/serial", R_OK), 0);
        assert_int_equal(access("/sys/bus/usb/devices/" PORT, F_OK), -1);
}

static void test_node_tells_its_port_path(void **state) {
        Fixture *f = *state;
        int fd = open_node(f);
        struct usbdevfs_conninfo_ex ex;
        struct usbdevfs_connectinfo info;
        uint32_t size;

        assert_true(fd >= 0);
        assert_int_equal(ioctl(fd, USBDEVFS_CONNINFO_EX(sizeof(ex)), &ex), 0);
        assert_int_equal(ex.size, sizeof(ex));
        assert_int_equal(ex.busnum, 1);
        assert_int_equal(ex.devnum, state_of(f->name, "devnum"));
        assert_int_equal(ex.num_ports, 2);
        assert_memory_equal(ex.ports, "\1\3", 2);
        assert_int_equal(ex.speed, 3);
        assert_int_equal(ioctl(fd, USBDEVFS_CONNECTINFO, &info), 0);
        assert_int_equal(info.devnum, ex.devnum);
        assert_int_equal(ioctl(fd, USBDEVFS_GET_SPEED), 3);
        /* A shorter struct of an older program gets what fits. */
        assert_int_equal(ioctl(fd, USBDEVFS_CONNINFO_EX(sizeof(size)), &size), 0);
        assert_int_equal(size, sizeof(ex));
        close(fd);
}

/* As a sandboxed worker does: no discovery, one descriptor from its parent. */
static void test_descriptor_can_be_wrapped_without_discovery(void **state) {
        Fixture *f = *state;
        libusb_context *usb;
        libusb_device_handle *handle;
        unsigned char text[64];
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        assert_int_equal(libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY), 0);
        assert_int_equal(libusb_init(&usb), 0);
        assert_int_equal(libusb_wrap_sys_device(usb, fd, &handle), 0);
        assert_int_equal(libusb_claim_interface(handle, 0), 0);
        assert_int_equal(libusb_control_transfer(handle, 0xc0, 1, 0, 0, text, sizeof(text), DEADLINE_MSEC),
                         6 + (int) strlen(f->name));
        libusb_close(handle);
        libusb_exit(usb);
        close(fd);
}

static void test_read_only_file_cannot_command(void **state) {
        Fixture *f = *state;
        struct usbdevfs_connectinfo info;
        unsigned char descriptor[18];
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/dev/bus/usb/%03lld/%03lld", state_of(f->name, "busnum"),
                        state_of(f->name, "devnum"));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, descriptor, sizeof(descriptor)), sizeof(descriptor));
        assert_int_equal(descriptor[8] | descriptor[9] << 8, VID);
        assert_int_equal(ioctl(fd, USBDEVFS_CONNECTINFO, &info), -1);
        assert_int_equal(errno, EPERM);
        close(fd);
}

/* ---- control ---------------------------------------------------------------------------------------------- */

static void test_control_moves_data_both_ways_and_stalls(void **state) {
        Fixture *f = *state;
        unsigned char text[64] = "remember me", back[64];

        assert_int_equal(libusb_control_transfer(f->handle, 0x40, 2, 0, 0, text, 11, DEADLINE_MSEC), 11);
        assert_int_equal(libusb_control_transfer(f->handle, 0xc0, 3, 0, 0, back, sizeof(back), DEADLINE_MSEC), 11);
        assert_memory_equal(back, "remember me", 11);
        assert_int_equal(libusb_control_transfer(f->handle, 0xc0, 99, 0, 0, back, sizeof(back), DEADLINE_MSEC),
                         LIBUSB_ERROR_PIPE);
        assert_int_equal(libusb_control_transfer(f->handle, 0xc0, 3, 0, 0, back, 4, DEADLINE_MSEC), 4);
}

static void test_control_without_answer_times_out(void **state) {
        Fixture *f = *state;
        unsigned char data[8];

        assert_int_equal(libusb_control_transfer(f->handle, 0xc0, 4, 0, 0, data, sizeof(data), SHORT_MSEC),
                         LIBUSB_ERROR_TIMEOUT);
        assert_true(libusb_control_transfer(f->handle, 0xc0, 1, 0, 0, data, sizeof(data), DEADLINE_MSEC) > 0);
}

static void test_standard_requests_are_answered(void **state) {
        Fixture *f = *state;
        unsigned char data[256];
        int configuration;

        assert_int_equal(libusb_get_configuration(f->handle, &configuration), 0);
        assert_int_equal(configuration, 1);
        assert_int_equal(libusb_get_descriptor(f->handle, LIBUSB_DT_DEVICE, 0, data, sizeof(data)), 18);
        assert_true(libusb_get_descriptor(f->handle, LIBUSB_DT_CONFIG, 0, data, sizeof(data)) > 18);
        assert_int_equal(libusb_control_transfer(f->handle, 0x80, 0, 0, 0, data, 2, DEADLINE_MSEC), 2);
        assert_int_equal(libusb_control_transfer(f->handle, 0x82, 0, 0, EP_ECHO, data, 2, DEADLINE_MSEC), 2);
        assert_int_equal(data[0], 0);
        assert_int_equal(libusb_get_descriptor(f->handle, 6, 0, data, sizeof(data)), LIBUSB_ERROR_PIPE);
}

/* ---- bulk and interrupt ----------------------------------------------------------------------------------- */

static void test_bulk_comes_back_as_a_short_packet(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        int n;

        assert_int_equal(bulk(f, EP_OUT, (void *) "ping-pong!", 10, &n, DEADLINE_MSEC), 0);
        assert_int_equal(n, 10);
        assert_int_equal(bulk(f, EP_ECHO, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_int_equal(n, 10);
        assert_memory_equal(data, "ping-pong!", 10);
}

static void test_large_bulk_is_whole_and_in_order(void **state) {
        static const int sizes[] = { 512, 16384, 16384 + 512, 131072, 1048576 };
        Fixture *f = *state;
        unsigned char *data = malloc(1048576);
        size_t position = 0;
        int n;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                assert_int_equal(bulk(f, EP_PATTERN, data, sizes[i], &n, DEADLINE_MSEC), 0);
                assert_int_equal(n, sizes[i]);
                assert_pattern(data, (size_t) n, position);
                position += (size_t) n;
        }
        /* Out and back in: the end comes as a short packet in the middle of a large read. */
        for (int i = 0; i < 300000; i++)
                data[i] = (unsigned char) ((unsigned) i % PATTERN_PERIOD);
        assert_int_equal(bulk(f, EP_OUT, data, 300000, &n, DEADLINE_MSEC), 0);
        assert_int_equal(n, 300000);
        memset(data, 0xee, 1048576);
        assert_int_equal(bulk(f, EP_ECHO, data, 1048576, &n, DEADLINE_MSEC), 0);
        assert_int_equal(n, 300000);
        assert_pattern(data, 300000, 0);
        assert_int_equal(data[300000], 0xee);
        free(data);
}

static void test_silent_endpoint_waits_until_the_timeout(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        int n;

        assert_int_equal(bulk(f, EP_SILENT, data, sizeof(data), &n, SHORT_MSEC), LIBUSB_ERROR_TIMEOUT);
        assert_int_equal(n, 0);
        /* What comes after the discarded transfer is not lost. */
        assert_int_equal(bulk(f, EP_ECHO, data, sizeof(data), &n, SHORT_MSEC), LIBUSB_ERROR_TIMEOUT);
        assert_int_equal(bulk(f, EP_OUT, (void *) "late", 4, &n, DEADLINE_MSEC), 0);
        assert_int_equal(bulk(f, EP_ECHO, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_int_equal(n, 4);
}

static void test_waiting_transfer_gets_what_comes_later(void **state) {
        Fixture *f = *state;
        struct libusb_transfer *transfer = libusb_alloc_transfer(0);
        unsigned char data[512];
        int done = 0, n;

        libusb_fill_bulk_transfer(transfer, f->handle, EP_ECHO, data, sizeof(data), set_done, &done, DEADLINE_MSEC);
        assert_int_equal(libusb_submit_transfer(transfer), 0);
        assert_int_equal(bulk(f, EP_OUT, (void *) "now", 3, &n, DEADLINE_MSEC), 0);
        finish(f, &done);
        assert_int_equal(transfer->status, LIBUSB_TRANSFER_COMPLETED);
        assert_int_equal(transfer->actual_length, 3);
        libusb_free_transfer(transfer);
}

static void test_short_transfer_is_an_error_when_asked_so(void **state) {
        Fixture *f = *state;
        struct libusb_transfer *transfer = libusb_alloc_transfer(0);
        unsigned char *data = malloc(65536);
        int done = 0, n;

        assert_int_equal(bulk(f, EP_OUT, data, 1000, &n, DEADLINE_MSEC), 0);
        libusb_fill_bulk_transfer(transfer, f->handle, EP_ECHO, data, 65536, set_done, &done, DEADLINE_MSEC);
        transfer->flags = LIBUSB_TRANSFER_SHORT_NOT_OK;
        assert_int_equal(libusb_submit_transfer(transfer), 0);
        finish(f, &done);
        assert_int_equal(transfer->status, LIBUSB_TRANSFER_ERROR);
        assert_int_equal(transfer->actual_length, 1000);
        libusb_free_transfer(transfer);
        free(data);
}

static void test_interrupt_endpoint_reports_an_event(void **state) {
        Fixture *f = *state;
        struct libusb_transfer *transfer = libusb_alloc_transfer(0);
        unsigned char data[64];
        int done = 0;

        libusb_fill_interrupt_transfer(transfer, f->handle, EP_INTERRUPT, data, sizeof(data), set_done, &done,
                                       DEADLINE_MSEC);
        assert_int_equal(libusb_submit_transfer(transfer), 0);
        control("{\"cmd\": \"interrupt\", \"camera\": \"%s\", \"text\": \"button\"}", f->name);
        finish(f, &done);
        assert_int_equal(transfer->status, LIBUSB_TRANSFER_COMPLETED);
        assert_int_equal(transfer->actual_length, 6);
        assert_memory_equal(data, "button", 6);
        libusb_free_transfer(transfer);
}

static void test_cancelled_transfer_ends_as_cancelled(void **state) {
        Fixture *f = *state;
        struct libusb_transfer *transfer = libusb_alloc_transfer(0);
        unsigned char data[512];
        int done = 0;

        libusb_fill_bulk_transfer(transfer, f->handle, EP_SILENT, data, sizeof(data), set_done, &done, 0);
        assert_int_equal(libusb_submit_transfer(transfer), 0);
        assert_int_equal(libusb_cancel_transfer(transfer), 0);
        finish(f, &done);
        assert_int_equal(transfer->status, LIBUSB_TRANSFER_CANCELLED);
        libusb_free_transfer(transfer);
}

static void test_stalled_endpoint_works_after_clear_halt(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        int n;

        control("{\"cmd\": \"stall\", \"camera\": \"%s\", \"endpoint\": %d}", f->name, EP_PATTERN);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), LIBUSB_ERROR_PIPE);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), LIBUSB_ERROR_PIPE);
        assert_int_equal(libusb_control_transfer(f->handle, 0x82, 0, 0, EP_PATTERN, data, 2, DEADLINE_MSEC), 2);
        assert_int_equal(data[0], 1);
        assert_int_equal(libusb_clear_halt(f->handle, EP_PATTERN), 0);
        assert_int_equal(state_of(f->name, "halts_cleared"), 1);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_pattern(data, sizeof(data), 0);
}

static void test_stall_ends_a_transfer_that_waits(void **state) {
        Fixture *f = *state;
        struct libusb_transfer *transfer = libusb_alloc_transfer(0);
        unsigned char *data = malloc(65536);
        int done = 0;

        libusb_fill_bulk_transfer(transfer, f->handle, EP_SILENT, data, 65536, set_done, &done, DEADLINE_MSEC);
        assert_int_equal(libusb_submit_transfer(transfer), 0);
        control("{\"cmd\": \"stall\", \"camera\": \"%s\", \"endpoint\": %d}", f->name, EP_SILENT);
        finish(f, &done);
        assert_int_equal(transfer->status, LIBUSB_TRANSFER_STALL);
        libusb_free_transfer(transfer);
        free(data);
}

/* ---- synchronous ioctls ----------------------------------------------------------------------------------- */

static void test_synchronous_ioctls_work_like_urbs(void **state) {
        Fixture *f = *state;
        unsigned char data[1024];
        struct usbdevfs_ctrltransfer hello = {
                .bRequestType = 0xc0, .bRequest = 1, .wLength = 64, .timeout = DEADLINE_MSEC, .data = data,
        };
        struct usbdevfs_ctrltransfer silent = {
                .bRequestType = 0xc0, .bRequest = 4, .wLength = 8, .timeout = SHORT_MSEC, .data = data
        };
        struct usbdevfs_bulktransfer pattern = {
                .ep = EP_PATTERN, .len = sizeof(data), .timeout = DEADLINE_MSEC, .data = data
        };
        struct usbdevfs_bulktransfer nothing = {
                .ep = EP_SILENT, .len = sizeof(data), .timeout = SHORT_MSEC, .data = data
        };
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        assert_int_equal(ioctl(fd, USBDEVFS_CONTROL, &hello), 6 + (int) strlen(f->name));
        assert_memory_equal(data, "HELLO loop", 10);
        assert_int_equal(ioctl(fd, USBDEVFS_CONTROL, &silent), -1);
        assert_int_equal(errno, ETIMEDOUT);
        assert_int_equal(ioctl(fd, USBDEVFS_BULK, &pattern), sizeof(data));
        assert_pattern(data, sizeof(data), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_BULK, &nothing), -1);
        assert_int_equal(errno, ETIMEDOUT);
        close(fd);
}

static void nothing_to_do(int signal_number) {
        (void) signal_number;
}

static void test_blocking_reap_ends_with_an_urb_or_a_signal(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        struct usbdevfs_urb urb = {
                .type = USBDEVFS_URB_TYPE_BULK, .endpoint = EP_ECHO, .buffer = data, .buffer_length = sizeof(data),
        };
        struct sigaction handler = { .sa_handler = nothing_to_do };
        /* Again and again: the first one may come before the call that it is to end has begun. */
        struct itimerspec soon = { .it_value.tv_nsec = SHORT_MSEC * 1000000L, .it_interval.tv_nsec = SHORT_MSEC * 1000000L },
                          never = { 0 };
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
        struct usbdevfs_bulktransfer nothing = { .ep = EP_SILENT, .len = sizeof(data), .data = data };
        unsigned interface = 0;
        void *reaped = NULL;
        timer_t timer;
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        assert_int_equal(sigaction(SIGUSR1, &handler, NULL), 0);
        assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, &urb), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_REAPURBNDELAY, &reaped), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_REAPURB, &reaped), -1);
        assert_int_equal(errno, EINTR);
        assert_int_equal(ioctl(fd, USBDEVFS_BULK, &nothing), -1);
        assert_int_equal(errno, EINTR);
        assert_int_equal(timer_settime(timer, 0, &never, NULL), 0);
        /* An URB that is not there cannot be discarded; this one can, and is reaped as such. */
        assert_int_equal(ioctl(fd, USBDEVFS_DISCARDURB, &nothing), -1);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(ioctl(fd, USBDEVFS_DISCARDURB, &urb), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_REAPURB, &reaped), 0);
        assert_ptr_equal(reaped, &urb);
        assert_int_equal(urb.status, -ENOENT);
        timer_delete(timer);
        close(fd);
}

/* ---- usbfs itself, where libusb would hide what it answers ----------------------------------------------------- */

static void reap(int fd, const struct usbdevfs_urb *urb, int status, int actual) {
        void *reaped = NULL;

        assert_int_equal(ioctl(fd, USBDEVFS_REAPURBNDELAY, &reaped), 0);
        assert_ptr_equal(reaped, urb);
        assert_int_equal(urb->status, status);
        assert_int_equal(urb->actual_length, actual);
}

/* A transfer in URBs that ends within the second: the rest is cancelled and reads nothing of the next transfer. */
static void test_short_end_cancels_what_continues_the_transfer(void **state) {
        static unsigned char data[4][1024];
        Fixture *f = *state;
        struct usbdevfs_urb urbs[4] = {};
        unsigned interface = 0;
        struct usbdevfs_bulktransfer out = { .ep = EP_OUT, .len = 1500, .timeout = DEADLINE_MSEC, .data = data };
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        assert_int_equal(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface), 0);
        for (int i = 0; i < 4; i++) {
                urbs[i].type = USBDEVFS_URB_TYPE_BULK;
                urbs[i].endpoint = EP_ECHO;
                urbs[i].buffer = data[i];
                urbs[i].buffer_length = sizeof(data[i]);
                urbs[i].flags = USBDEVFS_URB_SHORT_NOT_OK | (i > 0 ? USBDEVFS_URB_BULK_CONTINUATION : 0);
        }
        for (int i = 0; i < 3; i++)
                assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, &urbs[i]), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_BULK, &out), 1500);
        reap(fd, &urbs[0], 0, 1024);
        reap(fd, &urbs[1], -EREMOTEIO, 476);
        reap(fd, &urbs[2], -ECONNRESET, 0);
        /* One that comes too late is refused, until a new transfer begins. */
        assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, &urbs[3]), -1);
        assert_int_equal(errno, EREMOTEIO);
        urbs[3].flags = 0;
        assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, &urbs[3]), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_BULK, &out), 1500);
        reap(fd, &urbs[3], 0, 1024);
        close(fd);
}

static void test_pending_urbs_of_an_unplugged_device_can_be_reaped(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        struct usbdevfs_urb urb = {
                .type = USBDEVFS_URB_TYPE_BULK, .endpoint = EP_SILENT, .buffer = data, .buffer_length = sizeof(data),
        };
        unsigned interface = 0;
        void *reaped;
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        assert_int_equal(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, &urb), 0);
        control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", f->name);
        assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, &urb), -1);
        assert_int_equal(errno, ENODEV);
        reap(fd, &urb, -ESHUTDOWN, 0);
        assert_int_equal(ioctl(fd, USBDEVFS_REAPURBNDELAY, &reaped), -1);
        assert_int_equal(errno, ENODEV);
        assert_int_equal(ioctl(fd, USBDEVFS_REAPURB, &reaped), -1);
        assert_int_equal(errno, ENODEV);
        close(fd);
}

static void test_more_data_than_asked_for_overflows(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        int n;

        assert_int_equal(bulk(f, EP_PATTERN, data, 100, &n, DEADLINE_MSEC), LIBUSB_ERROR_OVERFLOW);
}

static void test_dropped_privileges_stay_dropped(void **state) {
        Fixture *f = *state;
        uint32_t allowed = 1u << 1, everything = UINT32_MAX, capabilities = 0;
        unsigned zero = 0, one = 1;
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        assert_int_equal(ioctl(fd, USBDEVFS_GET_CAPABILITIES, &capabilities), 0);
        assert_true(capabilities & USBDEVFS_CAP_DROP_PRIVILEGES);
        assert_false(capabilities & USBDEVFS_CAP_MMAP);
        assert_int_equal(ioctl(fd, USBDEVFS_DROP_PRIVILEGES, &allowed), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_DROP_PRIVILEGES, &everything), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &zero), -1);
        assert_int_equal(errno, EACCES);
        assert_int_equal(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &one), 0);
        assert_int_equal(ioctl(fd, USBDEVFS_RESET), -1);
        assert_int_equal(errno, EACCES);
        close(fd);
}

static void test_bad_requests_are_refused_as_by_the_kernel(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        struct usbdevfs_urb no_endpoint = { .type = USBDEVFS_URB_TYPE_BULK, .endpoint = 0x8e, .buffer = data };
        struct usbdevfs_urb isochronous = { .type = USBDEVFS_URB_TYPE_ISO, .endpoint = EP_ECHO, .buffer = data };
        struct usbdevfs_urb short_setup = { .type = USBDEVFS_URB_TYPE_CONTROL, .buffer = data, .buffer_length = 7 };
        struct usbdevfs_urb nowhere = { .type = USBDEVFS_URB_TYPE_BULK, .endpoint = EP_OUT, .buffer_length = 512 };
        const struct {
                struct usbdevfs_urb *urb;
                int error;
        } cases[] = {
                { &no_endpoint, ENOENT },
                { &isochronous, EINVAL },
                { &short_setup, EINVAL },
                { &nowhere, EFAULT },
        };
        int fd;

        libusb_close(TAKE_PTR(f->handle));
        fd = open_node(f);
        nowhere.buffer = (void *) 8;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, cases[i].urb), -1);
                assert_int_equal(errno, cases[i].error);
        }
        assert_int_equal(ioctl(fd, USBDEVFS_SUBMITURB, 8), -1);
        assert_int_equal(errno, EFAULT);
        assert_int_equal(ioctl(fd, _IO('U', 99)), -1);
        assert_int_equal(errno, ENOTTY);
        close(fd);
}

static int run_group(void) {
        const struct CMUnitTest tests[] = {
                FIXTURE_TEST(test_device_is_found_at_its_port),
                FIXTURE_TEST(test_each_plug_gets_a_higher_device_number),
                FIXTURE_TEST(test_node_tells_its_port_path),
                FIXTURE_TEST(test_read_only_file_cannot_command),
                FIXTURE_TEST(test_control_moves_data_both_ways_and_stalls),
                FIXTURE_TEST(test_control_without_answer_times_out),
                FIXTURE_TEST(test_standard_requests_are_answered),
                FIXTURE_TEST(test_bulk_comes_back_as_a_short_packet),
                FIXTURE_TEST(test_large_bulk_is_whole_and_in_order),
                FIXTURE_TEST(test_silent_endpoint_waits_until_the_timeout),
                FIXTURE_TEST(test_waiting_transfer_gets_what_comes_later),
                FIXTURE_TEST(test_short_transfer_is_an_error_when_asked_so),
                FIXTURE_TEST(test_interrupt_endpoint_reports_an_event),
                FIXTURE_TEST(test_cancelled_transfer_ends_as_cancelled),
                FIXTURE_TEST(test_stalled_endpoint_works_after_clear_halt),
                FIXTURE_TEST(test_stall_ends_a_transfer_that_waits),
                FIXTURE_TEST(test_synchronous_ioctls_work_like_urbs),
                FIXTURE_TEST(test_blocking_reap_ends_with_an_urb_or_a_signal),
                FIXTURE_TEST(test_short_end_cancels_what_continues_the_transfer),
                FIXTURE_TEST(test_pending_urbs_of_an_unplugged_device_can_be_reaped),
                FIXTURE_TEST(test_more_data_than_asked_for_overflows),
                FIXTURE_TEST(test_dropped_privileges_stay_dropped),
                FIXTURE_TEST(test_bad_requests_are_refused_as_by_the_kernel),
                /* Last, because the option holds for the whole process. */
                FIXTURE_TEST(test_descriptor_can_be_wrapped_without_discovery),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests_name(getenv("BERTH_SIM_CONTROLLER"), tests, NULL, NULL);
}

int main(int argc, char **argv) {
        static const char *const controllers[] = { "modern", "old", NULL };

        (void) argc;
        return run_simulated(argv, controllers, run_group);
}
