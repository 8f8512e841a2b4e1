/* SPDX-License-Identifier: Apache-2.0 */

/* Claims, drivers, faults, hot-plug and port power of the simulated bus as unmodified libusb and libudev see them. */

#include "integration/sim_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/usbdevice_fs.h>

/* ---- claims, settings, drivers ---------------------------------------------------------------------------- */

static void test_second_claim_is_busy_until_the_first_ends(void **state) {
        Fixture *f = *state;
        libusb_device_handle *other = open_loopback(f->usb);

        assert_int_equal(libusb_claim_interface(other, 0), LIBUSB_ERROR_BUSY);
        assert_int_equal(libusb_claim_interface(other, 1), 0);
        assert_int_equal(libusb_claim_interface(f->handle, 1), LIBUSB_ERROR_BUSY);
        assert_int_equal(libusb_release_interface(f->handle, 0), 0);
        assert_int_equal(libusb_claim_interface(other, 0), 0);
        libusb_close(other);
        assert_int_equal(libusb_claim_interface(f->handle, 0), 0);
        assert_int_equal(libusb_claim_interface(f->handle, 7), LIBUSB_ERROR_NOT_FOUND);
}

/* A claim ends with its file at once, although FUSE tells the simulator of a close later than the kernel's usbfs does.
 */
static void test_claim_is_free_as_soon_as_its_file_is_closed(void **state) {
        Fixture *f = *state;
        unsigned interface = 0;

        libusb_close(TAKE_PTR(f->handle));
        for (int i = 0; i < 200; i++) {
                int fd = open_node(f);

                assert_int_equal(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface), 0);
                close(fd);
        }
}

static void test_dead_process_leaves_no_claim_and_no_transfer(void **state) {
        Fixture *f = *state;
        unsigned interface = 0;
        unsigned char data[512];
        char ready;
        int fds[2], n;
        pid_t pid;

        libusb_close(TAKE_PTR(f->handle));
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
                struct usbdevfs_urb urb = {
                        .type = USBDEVFS_URB_TYPE_BULK,
                        .endpoint = EP_ECHO,
                        .buffer = data,
                        .buffer_length = sizeof(data),
                };
                int fd = open_node(f);

                if (ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface) == 0 && ioctl(fd, USBDEVFS_SUBMITURB, &urb) == 0)
                        (void) !write(fds[1], "r", 1);
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        close(fds[1]);
        assert_int_equal(read(fds[0], &ready, 1), 1);
        close(fds[0]);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        f->handle = open_loopback(f->usb);
        assert_int_equal(libusb_claim_interface(f->handle, 0), 0);
        assert_int_equal(bulk(f, EP_OUT, (void *) "mine", 4, &n, DEADLINE_MSEC), 0);
        assert_int_equal(bulk(f, EP_ECHO, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_int_equal(n, 4);
}

static void test_alternate_setting_changes_the_endpoints(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        int n;

        assert_int_equal(libusb_set_interface_alt_setting(f->handle, 0, 1), 0);
        assert_int_equal(libusb_control_transfer(f->handle, 0x81, 10, 0, 0, data, 1, DEADLINE_MSEC), 1);
        assert_int_equal(data[0], 1);
        assert_true(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC) < 0);
        assert_int_equal(libusb_set_interface_alt_setting(f->handle, 0, 0), 0);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_true(libusb_set_interface_alt_setting(f->handle, 0, 5) < 0);
}

static void test_reset_keeps_the_device_and_its_claims_usable(void **state) {
        Fixture *f = *state;
        unsigned char data[512];
        int n;

        assert_int_equal(libusb_reset_device(f->handle), 0);
        assert_int_equal(state_of(f->name, "resets"), 1);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
}

static void test_kernel_driver_must_be_detached_first(void **state) {
        Fixture *f = *state;
        libusb_device_handle *keyboard;

        control("{\"cmd\": \"camera\", \"name\": \"keys-%s\", \"type\": \"stranger\", \"vid\": 1133, \"pid\": 49948, "
                "\"class\": 3, "
                "\"subclass\": 1, \"protocol\": 1, \"speed\": \"low\"}",
                f->name);
        control("{\"cmd\": \"plug\", \"camera\": \"keys-%s\", \"port\": \"1-2.2\"}", f->name);
        libusb_close(TAKE_PTR(f->handle));
        libusb_exit(f->usb);
        assert_int_equal(libusb_init(&f->usb), 0);
        keyboard = libusb_open_device_with_vid_pid(f->usb, 1133, 49948);
        assert_non_null(keyboard);
        assert_int_equal(libusb_get_device_speed(libusb_get_device(keyboard)), LIBUSB_SPEED_LOW);
        assert_int_equal(libusb_kernel_driver_active(keyboard, 0), 1);
        assert_int_equal(libusb_claim_interface(keyboard, 0), LIBUSB_ERROR_BUSY);
        assert_int_equal(libusb_detach_kernel_driver(keyboard, 0), 0);
        assert_int_equal(libusb_claim_interface(keyboard, 0), 0);
        assert_int_equal(libusb_release_interface(keyboard, 0), 0);
        assert_int_equal(libusb_attach_kernel_driver(keyboard, 0), 0);
        assert_int_equal(libusb_kernel_driver_active(keyboard, 0), 1);
        libusb_set_auto_detach_kernel_driver(keyboard, 1);
        assert_int_equal(libusb_claim_interface(keyboard, 0), 0);
        libusb_close(keyboard);
        control("{\"cmd\": \"unplug\", \"camera\": \"keys-%s\"}", f->name);
}

static void test_requests_to_a_stranger_are_counted(void **state) {
        Fixture *f = *state;
        libusb_device_handle *stranger;
        char name[48];
        unsigned char data[64];
        int n;

        (void) snprintf(name, sizeof(name), "stranger-%s", f->name);
        control("{\"cmd\": \"camera\", \"name\": \"%s\", \"type\": \"stranger\", \"vid\": 4660, \"pid\": 1, \"class\": "
                "255}",
                name);
        control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"1-2.2\"}", name);
        libusb_close(TAKE_PTR(f->handle));
        libusb_exit(f->usb);
        assert_int_equal(libusb_init(&f->usb), 0);
        assert_int_equal(state_of(name, "opens"), 0);
        stranger = libusb_open_device_with_vid_pid(f->usb, 4660, 1);
        assert_non_null(stranger);
        assert_int_equal(libusb_get_descriptor(stranger, LIBUSB_DT_DEVICE, 0, data, sizeof(data)), 18);
        assert_int_equal(state_of(name, "requests"), 0);
        assert_int_equal(state_of(name, "opens"), 1);
        assert_int_equal(libusb_control_transfer(stranger, 0xc0, 1, 0, 0, data, 8, DEADLINE_MSEC), LIBUSB_ERROR_PIPE);
        assert_int_equal(libusb_claim_interface(stranger, 0), 0);
        assert_int_equal(libusb_bulk_transfer(stranger, 0x81, data, sizeof(data), &n, SHORT_MSEC),
                         LIBUSB_ERROR_TIMEOUT);
        assert_int_equal(state_of(name, "requests"), 2);
        libusb_close(stranger);
        control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", name);
}

static void test_memory_of_all_urbs_is_limited(void **state) {
        Fixture *f = *state;
        const size_t size = 9 << 20;
        struct libusb_transfer *a = libusb_alloc_transfer(0), *b = libusb_alloc_transfer(0);
        unsigned char *data = malloc(size);
        int done = 0, done_b = 0;

        libusb_fill_bulk_transfer(a, f->handle, EP_SILENT, data, (int) size, set_done, &done, 0);
        libusb_fill_bulk_transfer(b, f->handle, EP_SILENT, data, (int) size, set_done, &done_b, 0);
        assert_int_equal(libusb_submit_transfer(a), 0);
        assert_int_equal(libusb_submit_transfer(b), LIBUSB_ERROR_NO_MEM);
        assert_int_equal(libusb_cancel_transfer(a), 0);
        finish(f, &done);
        assert_int_equal(libusb_submit_transfer(b), 0);
        assert_int_equal(libusb_cancel_transfer(b), 0);
        finish(f, &done_b);
        libusb_free_transfer(a);
        libusb_free_transfer(b);
        free(data);
}

/* ---- faults ----------------------------------------------------------------------------------------------- */

static int LIBUSB_CALL note_left(libusb_context *usb, libusb_device *device, libusb_hotplug_event event,
                                 void *userdata) {
        (void) usb;
        (void) device;
        (void) event;
        *(int *) userdata = 1;
        return 0;
}

static void test_unplug_ends_a_waiting_transfer(void **state) {
        Fixture *f = *state;
        struct libusb_transfer *transfer = libusb_alloc_transfer(0);
        unsigned char data[512];
        int done = 0, left = 0, n;

        assert_int_equal(libusb_hotplug_register_callback(f->usb, LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0, VID, PID,
                                                          LIBUSB_HOTPLUG_MATCH_ANY, note_left, &left, NULL), 0);
        libusb_fill_bulk_transfer(transfer, f->handle, EP_SILENT, data, sizeof(data), set_done, &done, DEADLINE_MSEC);
        assert_int_equal(libusb_submit_transfer(transfer), 0);
        control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", f->name);
        finish(f, &done);
        assert_int_equal(transfer->status, LIBUSB_TRANSFER_NO_DEVICE);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), LIBUSB_ERROR_NO_DEVICE);
        assert_int_equal(libusb_control_transfer(f->handle, 0xc0, 1, 0, 0, data, 8, DEADLINE_MSEC),
                         LIBUSB_ERROR_NO_DEVICE);
        finish(f, &left);
        libusb_free_transfer(transfer);
}

static void test_unplugged_file_polls_as_hung_up(void **state) {
        Fixture *f = *state;
        int fd = open_node(f);
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        unsigned char byte;

        assert_int_equal(poll(&p, 1, 0), 0);
        control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", f->name);
        assert_int_equal(poll(&p, 1, DEADLINE_MSEC), 1);
        assert_int_equal(p.revents & (POLLERR | POLLHUP), POLLERR | POLLHUP);
        assert_int_equal(read(fd, &byte, 1), -1);
        assert_int_equal(errno, ENODEV);
        close(fd);
}

static void test_unplug_after_bytes_gives_exactly_those(void **state) {
        Fixture *f = *state;
        unsigned char data[4096];
        int total = 0, n, r;

        control("{\"cmd\": \"unplug_after\", \"camera\": \"%s\", \"bytes\": 10000}", f->name);
        while ((r = bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC)) == 0)
                total += n;
        assert_int_equal(r, LIBUSB_ERROR_NO_DEVICE);
        assert_int_equal(total, 8192);
        assert_int_equal(state_of(f->name, "docked"), 0);
        control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"" PORT "\"}", f->name);
        assert_int_equal(state_of(f->name, "docked"), 1);
}

static void test_corrupt_changes_the_chosen_bytes_only(void **state) {
        Fixture *f = *state;
        unsigned char data[4096];
        int n;

        control("{\"cmd\": \"corrupt\", \"camera\": \"%s\", \"after_bytes\": 5000, \"count\": 3}", f->name);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_pattern(data, sizeof(data), 0);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_pattern(data, 904, 4096);
        for (int i = 904; i < 907; i++)
                assert_int_equal(data[i], (unsigned char) ~((4096 + i) % (int) PATTERN_PERIOD));
        assert_pattern(data + 907, sizeof(data) - 907, 4096 + 907);
}

static void test_slow_camera_delivers_at_its_pace(void **state) {
        Fixture *f = *state;
        struct timespec a, b;
        unsigned char data[1024];
        double seconds;
        int n;

        control("{\"cmd\": \"slow\", \"camera\": \"%s\", \"bytes_per_sec\": 50000}", f->name);
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < 6; i++)
                assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        clock_gettime(CLOCK_MONOTONIC, &b);
        seconds = (double) (b.tv_sec - a.tv_sec) + (double) (b.tv_nsec - a.tv_nsec) / 1e9;
        /* The first is free, five are paced: about 0.1 s. A lower limit holds on the busiest machine. */
        assert_true(seconds > 0.09);
        control("{\"cmd\": \"slow\", \"camera\": \"%s\", \"bytes_per_sec\": 0}", f->name);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
}

static void test_camera_that_slows_down_in_the_middle_is_fast_before(void **state) {
        Fixture *f = *state;
        unsigned char data[1024];
        int n;

        control("{\"cmd\": \"slow\", \"camera\": \"%s\", \"bytes_per_sec\": 1, \"after_bytes\": 3000}", f->name);
        for (int i = 0; i < 3; i++)
                assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, 100), LIBUSB_ERROR_TIMEOUT);
        control("{\"cmd\": \"slow\", \"camera\": \"%s\", \"bytes_per_sec\": 0}", f->name);
        assert_int_equal(bulk(f, EP_PATTERN, data, sizeof(data), &n, DEADLINE_MSEC), 0);
}

/* ---- udev and power --------------------------------------------------------------------------------------- */

static struct udev_device *next_event(struct udev_monitor *monitor, const char *action, const char *sysname) {
        struct pollfd p = { .fd = udev_monitor_get_fd(monitor), .events = POLLIN };

        for (;;) {
                struct udev_device *device;

                assert_int_equal(poll(&p, 1, DEADLINE_MSEC), 1);
                device = udev_monitor_receive_device(monitor);
                if (device && strcmp(udev_device_get_action(device), action) == 0
                    && strcmp(udev_device_get_sysname(device), sysname) == 0)
                        return device;
                udev_device_unref(device);
        }
}

static void assert_property(struct udev_device *device, const char *key, const char *value) {
        const char *is = udev_device_get_property_value(device, key);

        if (!is || strcmp(is, value) != 0)
                fail_msg("%s is %s, not %s", key, is ? is : "missing", value);
}

static void test_udev_monitor_sees_plug_and_unplug(void **state) {
        Fixture *f = *state;
        struct udev *udev = udev_new();
        struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, "udev");
        struct udev_device *device;
        char number[8];

        assert_int_equal(udev_monitor_filter_add_match_subsystem_devtype(monitor, "usb", "usb_device"), 0);
        assert_int_equal(udev_monitor_enable_receiving(monitor), 0);
        control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", f->name);
        device = next_event(monitor, "remove", "1-1.3");
        assert_property(device, "ID_SERIAL_SHORT", f->name);
        udev_device_unref(device);

        control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"1-2.4\"}", f->name);
        device = next_event(monitor, "add", "1-2.4");
        assert_property(device, "ID_SERIAL_SHORT", f->name);
        assert_property(device, "ID_VENDOR_ID", "1209");
        assert_property(device, "ID_MODEL_ID", "bc01");
        assert_property(device, "ID_USB_INTERFACES", ":ff0000:");
        assert_property(device, "PRODUCT", "1209/bc01/100");
        assert_property(device, "BUSNUM", "001");
        (void) snprintf(number, sizeof(number), "%03lld", state_of(f->name, "devnum"));
        assert_property(device, "DEVNUM", number);
        assert_string_equal(udev_device_get_sysattr_value(device, "serial"), f->name);
        assert_string_equal(udev_device_get_sysattr_value(device, "devpath"), "2.4");
        assert_int_equal(access(udev_device_get_devnode(device), R_OK | W_OK), 0);
        udev_device_unref(device);
        udev_device_unref(next_event(monitor, "bind", "1-2.4"));
        udev_monitor_unref(monitor);
        udev_unref(udev);
}

static void test_claim_binds_and_unbinds_the_interface(void **state) {
        Fixture *f = *state;
        struct udev *udev = udev_new();
        struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, "udev");
        struct udev_device *device;

        assert_int_equal(udev_monitor_enable_receiving(monitor), 0);
        assert_int_equal(libusb_claim_interface(f->handle, 1), 0);
        device = next_event(monitor, "bind", "1-1.3:1.1");
        assert_property(device, "DRIVER", "usbfs");
        assert_string_equal(udev_device_get_driver(device), "usbfs");
        udev_device_unref(device);
        assert_int_equal(libusb_release_interface(f->handle, 1), 0);
        udev_device_unref(next_event(monitor, "unbind", "1-1.3:1.1"));
        assert_int_equal(access("/sys/bus/usb/devices/1-1.3:1.1/driver", F_OK), -1);
        udev_monitor_unref(monitor);
        udev_unref(udev);
}

static void write_disable(const char *text) {
        int fd = open("/sys/bus/usb/devices/1-1:1.0/1-1-port3/disable", O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        close(fd);
}

/* The write has taken effect when it returns, as in the kernel. */
static void test_disable_of_a_port_takes_the_device_away_and_back(void **state) {
        Fixture *f = *state;
        long long power_cycles = state_of(f->name, "power_cycles");

        write_disable("1\n");
        assert_int_equal(access("/sys/bus/usb/devices/" PORT, F_OK), -1);
        assert_int_equal(state_of(f->name, "docked"), 0);
        write_disable("0\n");
        assert_int_equal(access("/sys/bus/usb/devices/" PORT, F_OK), 0);
        assert_int_equal(state_of(f->name, "power_cycles"), power_cycles + 1);
}

static void test_hub_request_switches_a_port(void **state) {
        Fixture *f = *state;
        struct udev *udev = udev_new();
        struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, "udev");
        libusb_device *hub_device = libusb_get_parent(libusb_get_device(f->handle));
        libusb_device_handle *hub;
        unsigned char status[4];

        assert_int_equal(udev_monitor_enable_receiving(monitor), 0);
        assert_int_equal(libusb_open(hub_device, &hub), 0);
        assert_int_equal(libusb_control_transfer(hub, 0xa3, 0, 0, 3, status, sizeof(status), DEADLINE_MSEC), 4);
        assert_int_equal(status[0] | status[1] << 8, 0x503);
        assert_int_equal(libusb_control_transfer(hub, 0x23, 1, 8, 3, NULL, 0, DEADLINE_MSEC), 0);
        udev_device_unref(next_event(monitor, "remove", PORT));
        assert_int_equal(libusb_control_transfer(hub, 0xa3, 0, 0, 3, status, sizeof(status), DEADLINE_MSEC), 4);
        assert_int_equal(status[0] | status[1] << 8, 0);
        assert_int_equal(libusb_control_transfer(hub, 0x23, 3, 8, 3, NULL, 0, DEADLINE_MSEC), 0);
        udev_device_unref(next_event(monitor, "add", PORT));
        libusb_close(hub);
        udev_monitor_unref(monitor);
        udev_unref(udev);
}

static void test_hub_that_loses_power_takes_its_devices_along(void **state) {
        Fixture *f = *state;
        struct udev *udev = udev_new();
        struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, "udev");

        assert_int_equal(udev_monitor_enable_receiving(monitor), 0);
        control("{\"cmd\": \"port\", \"port\": \"1-1\", \"power\": \"off\"}");
        assert_int_equal(state_of(f->name, "docked"), 0);
        assert_int_equal(access("/sys/bus/usb/devices/1-1", F_OK), -1);
        /* Devices go before the hub that they hang from, and come after it. */
        udev_device_unref(next_event(monitor, "remove", PORT));
        udev_device_unref(next_event(monitor, "remove", "1-1"));
        control("{\"cmd\": \"port\", \"port\": \"1-1\", \"power\": \"on\"}");
        assert_int_equal(state_of(f->name, "docked"), 1);
        udev_device_unref(next_event(monitor, "add", "1-1"));
        udev_device_unref(next_event(monitor, "add", PORT));
        /* Its ports can still be switched. */
        write_disable("1");
        assert_int_equal(state_of(f->name, "docked"), 0);
        write_disable("0");
        assert_int_equal(state_of(f->name, "docked"), 1);
        udev_monitor_unref(monitor);
        udev_unref(udev);
}

/* ---- many at once ----------------------------------------------------------------------------------------- */

#define MANY 12

static void *read_much(void *userdata) {
        int fd = open(userdata, O_RDWR | O_CLOEXEC);
        unsigned char *data = malloc(65536);
        struct usbdevfs_bulktransfer b = { .ep = EP_PATTERN, .len = 65536, .timeout = DEADLINE_MSEC, .data = data };
        size_t position = 0;

        for (int i = 0; fd >= 0 && i < 64 && ioctl(fd, USBDEVFS_BULK, &b) == 65536; i++)
                for (size_t k = 0; k < 65536; k += 509, position = (size_t) (i + 1) * 65536)
                        if (data[k] != ((size_t) i * 65536 + k) % PATTERN_PERIOD)
                                return (void *) "wrong byte";
        free(data);
        close(fd);
        return position == 64 * 65536 ? NULL : (void *) "ended early";
}

/* ---- authorisation ---------------------------------------------------------------------------------------- */

#define DEVICES "/sys/bus/usb/devices/"

static void write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        close(fd);
}

static bool exists(const char *path) {
        return access(path, F_OK) == 0;
}

static void test_interface_is_claimed_only_when_it_is_authorised(void **state) {
        Fixture *f = *state;

        assert_int_equal(libusb_release_interface(f->handle, 0), 0);
        write_file(DEVICES PORT ":1.0/authorized", "0");
        assert_int_equal(libusb_claim_interface(f->handle, 0), LIBUSB_ERROR_NO_DEVICE);
        write_file(DEVICES PORT ":1.0/authorized", "1");
        assert_int_equal(libusb_claim_interface(f->handle, 0), 0);
        /* It is taken away with the claim on it. */
        write_file(DEVICES PORT ":1.0/authorized", "0");
        assert_int_equal(libusb_release_interface(f->handle, 0), LIBUSB_ERROR_OTHER);
        write_file(DEVICES PORT ":1.0/authorized", "1");
        assert_int_equal(libusb_claim_interface(f->handle, 0), 0);
}

static void test_controller_that_authorises_nothing_binds_no_driver(void **state) {
        (void) state;
        control("{\"cmd\": \"camera\", \"name\": \"auth\", \"type\": \"stranger\", \"vid\": 1, \"pid\": 2, \"interfaces\": "
                "[{\"class\": 3, \"subclass\": 1, \"protocol\": 1}]}");
        write_file(DEVICES "usb1/interface_authorized_default", "0");
        control("{\"cmd\": \"plug\", \"camera\": \"auth\", \"port\": \"1-1.5\"}");
        write_file(DEVICES "usb1/interface_authorized_default", "1");
        assert_false(exists(DEVICES "1-1.5:1.0/driver"));
        /* A probe finds nothing to bind, and to authorise is not yet to probe. */
        write_file("/sys/bus/usb/drivers_probe", "1-1.5:1.0");
        assert_false(exists(DEVICES "1-1.5:1.0/driver"));
        write_file(DEVICES "1-1.5:1.0/authorized", "1");
        assert_false(exists(DEVICES "1-1.5:1.0/driver"));
        write_file("/sys/bus/usb/drivers_probe", "1-1.5:1.0");
        assert_true(exists(DEVICES "1-1.5:1.0/driver"));
        control("{\"cmd\": \"unplug\", \"camera\": \"auth\"}");
}

static void test_hub_without_its_driver_has_no_ports(void **state) {
        (void) state;
        control("{\"cmd\": \"camera\", \"name\": \"behind\", \"type\": \"stranger\", \"vid\": 1, \"pid\": 2}");
        control("{\"cmd\": \"plug\", \"camera\": \"behind\", \"port\": \"1-2.1\"}");
        assert_true(exists(DEVICES "1-2.1"));
        write_file(DEVICES "1-2:1.0/authorized", "0");
        assert_false(exists(DEVICES "1-2.1"));
        assert_false(exists(DEVICES "1-2:1.0/1-2-port1"));
        write_file(DEVICES "1-2:1.0/authorized", "1");
        assert_false(exists(DEVICES "1-2.1"));
        write_file("/sys/bus/usb/drivers_probe", "1-2:1.0");
        assert_true(exists(DEVICES "1-2.1"));
        assert_true(exists(DEVICES "1-2:1.0/1-2-port1/disable"));
        control("{\"cmd\": \"unplug\", \"camera\": \"behind\"}");
}

static void test_many_devices_work_side_by_side(void **state) {
        pthread_t threads[MANY];
        char paths[MANY][64], name[32];
        void *result;

        (void) state;
        for (int i = 0; i < MANY; i++) {
                (void) snprintf(name, sizeof(name), "many-%d", i);
                control("{\"cmd\": \"camera\", \"name\": \"%s\", \"type\": \"loopback\", \"vid\": %d, \"pid\": 2}",
                        name, VID);
                control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"1-%d.%d\"}", name, 1 + i / 7, 1 + i % 7);
                (void) snprintf(paths[i], sizeof(paths[i]), "/dev/bus/usb/001/%03lld", state_of(name, "devnum"));
        }
        for (int i = 0; i < MANY; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, read_much, paths[i]), 0);
        for (int i = 0; i < MANY; i++) {
                assert_int_equal(pthread_join(threads[i], &result), 0);
                if (result)
                        fail_msg("device %d: %s", i, (const char *) result);
        }
        for (int i = 0; i < MANY; i++)
                control("{\"cmd\": \"unplug\", \"camera\": \"many-%d\"}", i);
}

static int run_group(void) {
        const struct CMUnitTest tests[] = {
                FIXTURE_TEST(test_second_claim_is_busy_until_the_first_ends),
                FIXTURE_TEST(test_claim_is_free_as_soon_as_its_file_is_closed),
                FIXTURE_TEST(test_dead_process_leaves_no_claim_and_no_transfer),
                FIXTURE_TEST(test_alternate_setting_changes_the_endpoints),
                FIXTURE_TEST(test_reset_keeps_the_device_and_its_claims_usable),
                FIXTURE_TEST(test_kernel_driver_must_be_detached_first),
                FIXTURE_TEST(test_requests_to_a_stranger_are_counted),
                FIXTURE_TEST(test_memory_of_all_urbs_is_limited),
                FIXTURE_TEST(test_unplug_ends_a_waiting_transfer),
                FIXTURE_TEST(test_unplugged_file_polls_as_hung_up),
                FIXTURE_TEST(test_unplug_after_bytes_gives_exactly_those),
                FIXTURE_TEST(test_corrupt_changes_the_chosen_bytes_only),
                FIXTURE_TEST(test_slow_camera_delivers_at_its_pace),
                FIXTURE_TEST(test_camera_that_slows_down_in_the_middle_is_fast_before),
                FIXTURE_TEST(test_udev_monitor_sees_plug_and_unplug),
                FIXTURE_TEST(test_claim_binds_and_unbinds_the_interface),
                FIXTURE_TEST(test_disable_of_a_port_takes_the_device_away_and_back),
                FIXTURE_TEST(test_hub_request_switches_a_port),
                FIXTURE_TEST(test_hub_that_loses_power_takes_its_devices_along),
                FIXTURE_TEST(test_interface_is_claimed_only_when_it_is_authorised),
                cmocka_unit_test(test_controller_that_authorises_nothing_binds_no_driver),
                cmocka_unit_test(test_hub_without_its_driver_has_no_ports),
                cmocka_unit_test(test_many_devices_work_side_by_side),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests_name(getenv("BERTH_SIM_CONTROLLER"), tests, NULL, NULL);
}

int main(int argc, char **argv) {
        static const char *const controllers[] = { "modern", NULL };

        (void) argc;
        return run_simulated(argv, controllers, run_group);
}
