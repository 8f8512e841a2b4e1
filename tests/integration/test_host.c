/* SPDX-License-Identifier: Apache-2.0 */

/* What a plugin gets from the worker over USB: the berth_host_*() functions against a simulated device. */

#include "integration/sim_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "bay/host.h"
#include "bay/ring.h"

#define TIMEOUT_MSEC 60000u
#define EP_OTHER_SILENT 0x85

/* The host, its device, and a thread that takes what is delivered. */
typedef struct Worker {
        Fixture device; /* its name */
        int node;
        berth_host host;
        Ring *ring;
        pthread_t thread;
        uint8_t *bytes; /* delivered, up to `room` */
        size_t size, room;
        unsigned delay_usec; /* before each run is taken */
        uint64_t told;
} Worker;

static void *take_all(void *userdata) {
        Worker *w = userdata;
        const uint8_t *data;
        size_t size;

        while (ring_peek(w->ring, 1, &data, &size) == 0 && size > 0) {
                if (w->delay_usec > 0)
                        (void) usleep(w->delay_usec);
                assert_true(size <= w->room - w->size);
                memcpy(w->bytes + w->size, data, size);
                w->size += size;
                ring_pass(w->ring, size);
                ring_consume(w->ring, size);
        }
        return NULL;
}

static void on_delivered(void *userdata, uint64_t delivered) {
        Worker *w = userdata;

        w->told = delivered;
}

static int set_up_packets(void **state, unsigned packet_size) {
        static unsigned counter;
        Worker *w = calloc(1, sizeof(Worker));

        assert_non_null(w);
        (void) snprintf(w->device.name, sizeof(w->device.name), "loop-%u", ++counter);
        control("{\"cmd\": \"camera\", \"name\": \"%s\", \"type\": \"loopback\", \"vid\": %d, \"pid\": %d, "
                "\"product\": \"L\u00f6op\", \"serial\": \"%s\", \"packet_size\": %u}", w->device.name, VID, PID, w->device.name,
                packet_size);
        control("{\"cmd\": \"plug\", \"camera\": \"%s\", \"port\": \"" PORT "\"}", w->device.name);
        w->node = open_node(&w->device);
        assert_true(w->node >= 0);
        host_init(&w->host, w->node);
        assert_int_equal(berth_host_claim(&w->host, 0, 0), 0);
        *state = w;
        return 0;
}

static int set_up(void **state) {
        return set_up_packets(state, 512);
}

static int set_up_odd_packets(void **state) {
        return set_up_packets(state, 1000);
}

static int tear_down(void **state) {
        Worker *w = *state;

        for (Pushback *p; (p = w->host.pushback);) {
                w->host.pushback = p->next;
                free(p);
        }
        libusb_free_config_descriptor(w->host.config);
        if (w->host.device)
                libusb_close(w->host.device);
        if (w->host.context)
                libusb_exit(w->host.context);
        fd_close(w->node);
        if (state_of(w->device.name, "docked"))
                control("{\"cmd\": \"unplug\", \"camera\": \"%s\"}", w->device.name);
        free(w->bytes);
        free(w);
        return 0;
}

/* Another program that has the device open, and interface 1 claimed. */
typedef struct Other {
        libusb_context *context;
        libusb_device_handle *handle;
        int node;
} Other;

static void other_open(Other *o, const Worker *w) {
        o->node = open_node(&w->device);
        assert_true(o->node >= 0);
        /* Without a look around: libusb was told so for good when the host was made. */
        assert_int_equal(libusb_init(&o->context), 0);
        assert_int_equal(libusb_wrap_sys_device(o->context, o->node, &o->handle), 0);
        assert_int_equal(libusb_claim_interface(o->handle, 1), 0);
}

static void other_close(Other *o) {
        libusb_close(o->handle);
        libusb_exit(o->context);
        fd_close(o->node);
}

/* As the worker around a plugin's read() of `asked` bytes. */
static void begin_read(Worker *w, uint64_t asked) {
        free(w->bytes);
        w->room = (size_t) asked;
        w->bytes = malloc(w->room + 1);
        w->size = 0;
        assert_int_equal(ring_new(&w->ring), 0);
        assert_int_equal(pthread_create(&w->thread, NULL, take_all, w), 0);
        host_begin(&w->host);
        w->host.ring = w->ring;
        w->host.asked = asked;
        w->host.delivered = 0;
        w->host.on_delivered = on_delivered;
        w->host.userdata = w;
}

static void end_read(Worker *w) {
        assert_int_equal(host_flush(&w->host), 0);
        w->host.ring = NULL;
        ring_end(w->ring);
        assert_int_equal(pthread_join(w->thread, NULL), 0);
        w->ring = ring_free(w->ring);
}

/* ---- What the device is ---- */

static void test_descriptors_are_the_devices(void **state) {
        uint16_t vid, pid, version;
        char text[BERTH_TEXT_MAX];
        berth_usb_interface u;
        Worker *w = *state;

        berth_host_device_ids(&w->host, &vid, &pid, &version);
        assert_int_equal(vid, VID);
        assert_int_equal(pid, PID);
        assert_int_equal(berth_host_string(&w->host, BERTH_STRING_PRODUCT, text), 0);
        assert_string_equal(text, "Löop");
        assert_int_equal(berth_host_string(&w->host, 99, text), 0);
        assert_string_equal(text, "");
        assert_int_equal(berth_host_interfaces(&w->host), 3);
        assert_int_equal(berth_host_interface(&w->host, 0, &u), 0);
        assert_int_equal(u.bulk_out, EP_OUT);
        assert_int_equal(u.bulk_in, EP_ECHO);
        assert_int_equal(u.interrupt_in, EP_INTERRUPT);
        assert_int_equal(u.bulk_in_packet, 512);
        assert_int_equal(berth_host_interface(&w->host, 3, &u), -ENOENT);
}

static void test_control_transfers_answer_time_out_and_stall(void **state) {
        Worker *w = *state;
        char hello[64];
        int n;

        n = berth_host_control(&w->host, 0xc0, 1, 0, 0, hello, sizeof(hello), TIMEOUT_MSEC);
        assert_true(n > 6);
        assert_memory_equal(hello, "HELLO ", 6);
        assert_int_equal(berth_host_control(&w->host, 0xc0, 99, 0, 0, hello, sizeof(hello), TIMEOUT_MSEC), -EPIPE);
        assert_int_equal(berth_host_control(&w->host, 0xc0, 4, 0, 0, hello, sizeof(hello), SHORT_MSEC), -ETIMEDOUT);
        assert_int_equal(berth_host_control(&w->host, 0xc0, 1, 0, 0, hello, sizeof(hello), 0), -EINVAL);
}

static void test_every_wait_has_a_deadline(void **state) {
        Worker *w = *state;
        char data[512];

        assert_int_equal(berth_host_bulk(&w->host, EP_SILENT, data, sizeof(data), 0), -EINVAL);
        assert_int_equal(berth_host_bulk(&w->host, EP_SILENT, data, sizeof(data), SHORT_MSEC), -ETIMEDOUT);
        assert_int_equal(berth_host_interrupt(&w->host, EP_INTERRUPT, data, 16, SHORT_MSEC), -ETIMEDOUT);
        begin_read(w, 100);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_SILENT, 100, 0), -EINVAL);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_SILENT, 100, SHORT_MSEC), -ETIMEDOUT);
        end_read(w);
        assert_int_equal(w->size, 0);
}

static void *close_later(void *other) {
        (void) usleep(150000);
        other_close(other);
        return NULL;
}

static void test_claim_waits_for_a_worker_that_is_going_away(void **state) {
        Worker *w = *state;
        pthread_t thread;
        Other other;

        other_open(&other, w);
        assert_int_equal(pthread_create(&thread, NULL, close_later, &other), 0);
        assert_int_equal(berth_host_claim(&w->host, 1, 0), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- Queued transfers ---- */

static void test_bulk_data_is_delivered_whole_and_in_order(void **state) {
        static const size_t sizes[] = { 1, 511, 512, 513, RING_RUN_MAX, RING_RUN_MAX + 1, RING_SIZE, RING_SIZE + 1,
                                        20u * 1024 * 1024 + 77 };
        Worker *w = *state;
        size_t position = 0;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                /* The last packet is whole, whatever of it was asked for; the rest is the next reader's. */
                size_t whole = (sizes[i] + 511) / 512 * 512;
                uint8_t rest[512];

                begin_read(w, sizes[i]);
                assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, sizes[i], TIMEOUT_MSEC), sizes[i]);
                end_read(w);
                assert_int_equal(w->size, sizes[i]);
                assert_int_equal(w->told, sizes[i]);
                assert_pattern(w->bytes, w->size, position);
                if (whole > sizes[i]) {
                        assert_int_equal(berth_host_bulk(&w->host, EP_PATTERN, rest, sizeof(rest), TIMEOUT_MSEC), whole - sizes[i]);
                        assert_pattern(rest, whole - sizes[i], position + sizes[i]);
                }
                position += whole;
        }
}

/* Whoever made the device wrote the number, and no bus checks it. */
static void test_transfers_of_odd_packets_keep_within_the_ring(void **state) {
        const size_t size = 3 * RING_SIZE + 77;
        Worker *w = *state;

        assert_int_equal(host_packet_size(&w->host, EP_PATTERN), 1000);
        begin_read(w, size);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, size, TIMEOUT_MSEC), size);
        end_read(w);
        assert_int_equal(w->size, size);
        assert_pattern(w->bytes, size, 0);
}

static void test_what_is_left_of_a_packet_is_delivered_first(void **state) {
        Worker *w = *state;

        begin_read(w, 3000);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 1000, TIMEOUT_MSEC), 1000);
        /* 24 bytes are left: a short packet, after which the data has ended. */
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 10, TIMEOUT_MSEC), 10);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 1000, TIMEOUT_MSEC), 14);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 1024, TIMEOUT_MSEC), 1024);
        end_read(w);
        assert_int_equal(w->size, 2048);
        assert_pattern(w->bytes, w->size, 0);
}

static void test_copied_and_queued_bytes_keep_their_order(void **state) {
        uint8_t head[300];
        Worker *w = *state;

        begin_read(w, 1000000);
        for (size_t i = 0; i < sizeof(head); i++)
                head[i] = (uint8_t) (200 - i);
        assert_int_equal(berth_host_deliver(&w->host, head, sizeof(head)), 0);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 512 * 1000, TIMEOUT_MSEC), 512 * 1000);
        assert_int_equal(berth_host_deliver(&w->host, head, sizeof(head)), 0);
        end_read(w);
        assert_int_equal(w->size, 600 + 512 * 1000);
        assert_memory_equal(w->bytes, head, sizeof(head));
        assert_pattern(w->bytes + 300, 512 * 1000, 0);
        assert_memory_equal(w->bytes + 300 + 512 * 1000, head, sizeof(head));
}

static void test_short_packet_ends_the_data_early(void **state) {
        static uint8_t data[300000];
        Worker *w = *state;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i % 253);
        assert_int_equal(berth_host_bulk(&w->host, EP_OUT, data, sizeof(data), TIMEOUT_MSEC), sizeof(data));
        begin_read(w, 4000000);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_ECHO, 4000000, TIMEOUT_MSEC), sizeof(data));
        end_read(w);
        assert_int_equal(w->size, sizeof(data));
        assert_memory_equal(w->bytes, data, sizeof(data));
        /* Nothing waits there any more that could swallow what comes next. */
        assert_int_equal(berth_host_bulk(&w->host, EP_OUT, "next", 4, TIMEOUT_MSEC), 4);
        assert_int_equal(berth_host_bulk(&w->host, EP_ECHO, data, 512, TIMEOUT_MSEC), 4);
        assert_memory_equal(data, "next", 4);
}

static void test_more_than_was_asked_for_is_never_delivered(void **state) {
        Worker *w = *state;

        begin_read(w, 1000);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 1001, TIMEOUT_MSEC), -EOVERFLOW);
        assert_int_equal(w->host.breach, HOST_OVERFLOW);
        end_read(w);
        assert_int_equal(w->size, 0);
}

static bool is_old(void) {
        const char *controller = getenv("BERTH_SIM_CONTROLLER");

        return controller && strcmp(controller, "old") == 0;
}

static void test_slow_camera_is_not_a_silent_one(void **state) {
        const size_t size = 300000;
        Worker *w = *state;

        /*
         * A whole transfer takes three times the deadline where there are large ones. (The simulated bus moves each at once, when its
         * time has come; so only the many small ones of the old controller show bytes before.)
         */
        control("{\"cmd\": \"slow\", \"camera\": \"%s\", \"bytes_per_sec\": 50000}", w->device.name);
        begin_read(w, size);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, size, is_old() ? 1600 : TIMEOUT_MSEC), size);
        end_read(w);
        assert_int_equal(w->size, size);
        assert_pattern(w->bytes, w->size, 0);
}

static void test_slow_disk_holds_the_camera_back_and_loses_nothing(void **state) {
        const size_t size = 24u * 1024 * 1024;
        Worker *w = *state;

        w->delay_usec = 3000;
        begin_read(w, size);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, size, TIMEOUT_MSEC), size);
        end_read(w);
        assert_int_equal(w->size, size);
        assert_pattern(w->bytes, w->size, 0);
}

static void test_failing_disk_ends_the_delivery_with_its_reason(void **state) {
        Worker *w = *state;

        begin_read(w, 100000000);
        assert_int_equal(ring_fail(w->ring, -ENOSPC), -ENOSPC);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 100000000, TIMEOUT_MSEC), -ENOSPC);
        w->host.ring = NULL;
        assert_int_equal(pthread_join(w->thread, NULL), 0);
        w->ring = ring_free(w->ring);
}

static void test_stall_is_told_and_can_be_cleared(void **state) {
        Worker *w = *state;
        char data[512];

        control("{\"cmd\": \"stall\", \"camera\": \"%s\", \"endpoint\": %d}", w->device.name, EP_PATTERN);
        begin_read(w, 1000000);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 1000000, TIMEOUT_MSEC), -EPIPE);
        assert_int_equal(berth_host_bulk(&w->host, EP_PATTERN, data, sizeof(data), TIMEOUT_MSEC), -EPIPE);
        assert_int_equal(berth_host_clear_halt(&w->host, EP_PATTERN), 0);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 512, TIMEOUT_MSEC), 512);
        end_read(w);
}

static void test_unplug_in_the_middle_is_no_device(void **state) {
        Worker *w = *state;

        control("{\"cmd\": \"unplug_after\", \"camera\": \"%s\", \"bytes\": 3000000}", w->device.name);
        begin_read(w, 100000000);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, 100000000, TIMEOUT_MSEC), -ENODEV);
        end_read(w);
        assert_true(w->host.unplugged);
        assert_true(w->size <= 3000000);
        assert_pattern(w->bytes, w->size, 0);
}

/* All users of usbfs share a few MiB: with many bays there may be nearly nothing left. Transfers of another device hold all there is. */
typedef struct Hogs {
        Other other;
        struct libusb_transfer *transfers[1024];
        int done[1024], n;
        uint8_t memory[16 * 1024];
} Hogs;

/* How many more bulk transfers of this process the kernel has memory for. */
static unsigned room_for_transfers = UINT_MAX;

int __real_libusb_bulk_transfer(libusb_device_handle *device, unsigned char endpoint, unsigned char *data, int length, int *moved,
                                unsigned timeout);
int __wrap_libusb_bulk_transfer(libusb_device_handle *device, unsigned char endpoint, unsigned char *data, int length, int *moved,
                                unsigned timeout);
int __wrap_libusb_bulk_transfer(libusb_device_handle *device, unsigned char endpoint, unsigned char *data, int length, int *moved,
                                unsigned timeout) {
        if (room_for_transfers == 0)
                return LIBUSB_ERROR_NO_MEM;
        room_for_transfers -= room_for_transfers < UINT_MAX;
        return __real_libusb_bulk_transfer(device, endpoint, data, length, moved, timeout);
}

static void hogs_begin(Hogs *hogs, Worker *w, unsigned timeout_msec) {
        int r = 0;

        *hogs = (Hogs){ .n = 0 };
        other_open(&hogs->other, w);
        while (r == 0) {
                struct libusb_transfer *t = libusb_alloc_transfer(0);

                assert_in_range(hogs->n, 0, ELEMENTSOF(hogs->transfers) - 1);
                assert_non_null(t);
                hogs->transfers[hogs->n] = t;
                libusb_fill_bulk_transfer(t, hogs->other.handle, EP_OTHER_SILENT, hogs->memory, sizeof(hogs->memory), set_done,
                                          &hogs->done[hogs->n], timeout_msec);
                r = libusb_submit_transfer(t);
                if (r == 0)
                        hogs->n++;
                else
                        libusb_free_transfer(t);
        }
        assert_true(hogs->n >= 100);
}

/* Lets the transfers that hold the memory reach their deadline. */
static void *hogs_end(void *userdata) {
        Hogs *hogs = userdata;

        for (int i = 0; i < hogs->n; i++)
                while (!hogs->done[i])
                        (void) libusb_handle_events_completed(hogs->other.context, &hogs->done[i]);
        return NULL;
}

/* The youngest of them let go of it. */
static void hogs_give_back(Hogs *hogs, int n) {
        for (int i = hogs->n - n; i < hogs->n; i++)
                assert_int_equal(libusb_cancel_transfer(hogs->transfers[i]), 0);
        for (int i = hogs->n - n; i < hogs->n; i++) {
                while (!hogs->done[i])
                        assert_int_equal(libusb_handle_events_completed(hogs->other.context, &hogs->done[i]), 0);
                libusb_free_transfer(hogs->transfers[i]);
        }
        hogs->n -= n;
}

static void test_transfers_make_do_with_little_kernel_memory(void **state) {
        const size_t size = 4u * 1024 * 1024;
        static Hogs hogs;
        Worker *w = *state;

        hogs_begin(&hogs, w, 0);
        hogs_give_back(&hogs, 6);
        begin_read(w, size);
        assert_int_equal(berth_host_deliver_bulk(&w->host, EP_PATTERN, size, TIMEOUT_MSEC), size);
        end_read(w);
        assert_pattern(w->bytes, w->size, 0);
        hogs_give_back(&hogs, hogs.n);
        other_close(&hogs.other);
}

static void test_transfer_waits_until_the_kernel_has_memory_for_it(void **state) {
        static uint8_t data[64 * 1024];
        static Hogs hogs;
        Worker *w = *state;
        pthread_t thread;
        int moved;

        hogs_begin(&hogs, w, 2000);
        /* Without patience. */
        assert_int_equal(libusb_bulk_transfer(w->host.device, EP_PATTERN, data, sizeof(data), &moved, TIMEOUT_MSEC), LIBUSB_ERROR_NO_MEM);
        assert_int_equal(pthread_create(&thread, NULL, hogs_end, &hogs), 0);
        assert_int_equal(berth_host_bulk(&w->host, EP_PATTERN, data, sizeof(data), TIMEOUT_MSEC), sizeof(data));
        assert_pattern(data, sizeof(data), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        for (int i = 0; i < hogs.n; i++)
                libusb_free_transfer(hogs.transfers[i]);
        other_close(&hogs.other);
}

/* Where the host controller takes no scattered buffers a longer transfer is several, and there may be room for one of them only. */
static void test_transfer_needs_no_more_room_than_the_host_controller_takes_at_once(void **state) {
        static uint8_t data[64 * 1024];
        static Hogs hogs;
        Worker *w = *state;

        hogs_begin(&hogs, w, 0);
        hogs_give_back(&hogs, w->host.scatters ? 6 : 1);
        assert_int_equal(berth_host_bulk(&w->host, EP_PATTERN, data, sizeof(data), TIMEOUT_MSEC), sizeof(data));
        assert_pattern(data, sizeof(data), 0);
        hogs_give_back(&hogs, hogs.n);
        other_close(&hogs.other);
}

/* Then the camera has seen a part of it: no error that says that it saw nothing. */
static void test_transfer_that_finds_no_room_for_its_rest_returns_what_it_moved(void **state) {
        static uint8_t data[64 * 1024];
        Worker *w = *state;

        room_for_transfers = 1;
        assert_int_equal(berth_host_bulk(&w->host, EP_PATTERN, data, sizeof(data), 50), w->host.scatters ? 64 * 1024 : 16 * 1024);
        assert_pattern(data, 16 * 1024, 0);
        room_for_transfers = 0;
        assert_int_equal(berth_host_bulk(&w->host, EP_PATTERN, data, sizeof(data), 50), -ENOMEM);
        room_for_transfers = UINT_MAX;
}

static void test_credential_is_found_by_its_whole_name(void **state) {
        static const char *const credentials[] = { "password=a=b", "password2=", NULL };
        Worker *w = *state;

        assert_null(berth_host_credential(&w->host, "password"));
        w->host.credentials = credentials;
        assert_string_equal(berth_host_credential(&w->host, "password"), "a=b");
        assert_string_equal(berth_host_credential(&w->host, "password2"), "");
        assert_null(berth_host_credential(&w->host, "pass"));
        assert_null(berth_host_credential(&w->host, "user"));
}

static void test_unreadable_ranges_are_kept_for_one_read(void **state) {
        Worker *w = *state;

        begin_read(w, 1);
        berth_host_unreadable(&w->host, 512, 1024);
        berth_host_unreadable(&w->host, 512, 0);          /* nothing */
        berth_host_unreadable(&w->host, UINT64_MAX, 512); /* past the end of everything */
        assert_int_equal(w->host.n_unreadable, 1);
        assert_true(w->host.unreadable[0].offset == 512 && w->host.unreadable[0].length == 1024);
        for (unsigned i = 0; i < 2 * BERTH_UNREADABLE_MAX; i++)
                berth_host_unreadable(&w->host, i, 1);
        assert_int_equal(w->host.n_unreadable, BERTH_UNREADABLE_MAX);
        assert_int_equal(w->host.breach, HOST_FINE);
        end_read(w);
        berth_host_unreadable(&w->host, 0, 1);
        assert_int_equal(w->host.breach, HOST_MISPLACED);
        host_begin(&w->host);
        assert_int_equal(w->host.n_unreadable, 0);
}

static int run(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_descriptors_are_the_devices),
                TEST(test_control_transfers_answer_time_out_and_stall),
                TEST(test_every_wait_has_a_deadline),
                TEST(test_claim_waits_for_a_worker_that_is_going_away),
                TEST(test_bulk_data_is_delivered_whole_and_in_order),
                cmocka_unit_test_setup_teardown(test_transfers_of_odd_packets_keep_within_the_ring, set_up_odd_packets, tear_down),
                TEST(test_what_is_left_of_a_packet_is_delivered_first),
                TEST(test_copied_and_queued_bytes_keep_their_order),
                TEST(test_short_packet_ends_the_data_early),
                TEST(test_more_than_was_asked_for_is_never_delivered),
                TEST(test_slow_camera_is_not_a_silent_one),
                TEST(test_slow_disk_holds_the_camera_back_and_loses_nothing),
                TEST(test_failing_disk_ends_the_delivery_with_its_reason),
                TEST(test_stall_is_told_and_can_be_cleared),
                TEST(test_unplug_in_the_middle_is_no_device),
                TEST(test_transfers_make_do_with_little_kernel_memory),
                TEST(test_transfer_waits_until_the_kernel_has_memory_for_it),
                TEST(test_transfer_needs_no_more_room_than_the_host_controller_takes_at_once),
                TEST(test_transfer_that_finds_no_room_for_its_rest_returns_what_it_moved),
                TEST(test_credential_is_found_by_its_whole_name),
                TEST(test_unreadable_ranges_are_kept_for_one_read),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        if (getenv("BERTH_TEST"))
                cmocka_set_test_filter(getenv("BERTH_TEST"));
        return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv) {
        static const char *const controllers[] = { "modern", "old", NULL };

        (void) argc;
        return run_simulated(argv, controllers, run);
}
