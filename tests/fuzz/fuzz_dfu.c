/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A firmware loader that says whatever the input holds, and an image that is whatever it holds: the dfu plugin must come to an end,
 * and read nothing past either. First byte: bit 0 is the run-time mode, in which nothing may be sent; then the length of the image
 * (two bytes), the image, and what the loader answers, one byte of length before each.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <berth/plugin.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition))                                                                                 \
                        abort();                                                                                  \
        } while (0)

#define TO_INTERFACE 0x21
#define FROM_INTERFACE 0xa1
#define DNLOAD 1
#define GETSTATUS 3
#define STALL 255
#define UNPLUG 254
/* An input of so many requests has no end of its own any more. */
#define REQUESTS_MAX 20000u

struct berth_host {
        const uint8_t *data, *image;
        size_t size, image_size;
        uint64_t now_usec;
        unsigned requests;
        bool runtime;
};

/* Time passes only as the plugin waits for it. */
static berth_host *waiting;
int nanosleep(const struct timespec *time, struct timespec *left) {
        (void) left;
        waiting->now_usec += (uint64_t) time->tv_sec * 1000000 + (uint64_t) time->tv_nsec / 1000;
        return 0;
}

static int answer(berth_host *h, uint8_t *data, uint16_t length) {
        size_t n;

        if (h->size == 0 || ++h->requests > REQUESTS_MAX)
                return -ENODEV;
        n = h->data[0];
        h->data++;
        h->size--;
        if (n == STALL)
                return -EPIPE;
        if (n == UNPLUG)
                return -ENODEV;
        n = n < h->size ? n : h->size;
        n = n < length ? n : length;
        memcpy(data, h->data, n);
        h->data += n;
        h->size -= n;
        return (int) n;
}

int berth_host_control(berth_host *h, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data, uint16_t length,
                       unsigned timeout_msec) {
        uint8_t none[1];
        int r;

        (void) value, (void) index;
        CHECK(timeout_msec > 0);
        if (request_type & 0x80)
                return answer(h, data, length);
        CHECK(!h->runtime || request != DNLOAD);
        r = answer(h, none, 0);
        return r < 0 ? r : length;
}

int berth_host_reset(berth_host *h) {
        return h->size % 2 ? 0 : -ENODEV;
}

int berth_host_claim(berth_host *h, uint8_t interface, uint8_t alternate) {
        (void) h, (void) interface, (void) alternate;
        return 0;
}

int berth_host_interface(berth_host *h, size_t index, berth_usb_interface *ret) {
        *ret = (berth_usb_interface){ .class_code = 0xfe, .subclass = 1, .protocol = h->runtime ? 1 : 2 };
        return index == 0 ? 0 : -ENOENT;
}

void berth_host_device_ids(berth_host *h, uint16_t *ret_vid, uint16_t *ret_pid, uint16_t *ret_bcd_device) {
        (void) h;
        *ret_vid = 0x1209;
        *ret_pid = 0xbc12;
        *ret_bcd_device = 0x0100;
}

int berth_host_string(berth_host *h, int which, char ret[BERTH_TEXT_MAX]) {
        (void) h, (void) which;
        ret[0] = '\0';
        return 0;
}

ssize_t berth_host_image(berth_host *h, uint64_t offset, void *data, size_t length) {
        size_t n = offset < h->image_size ? h->image_size - (size_t) offset : 0;

        n = n < length ? n : length;
        if (n > 0)
                memcpy(data, h->image + offset, n);
        return (ssize_t) n;
}

void berth_host_sent(berth_host *h, uint64_t bytes) {
        (void) h;
        (void) bytes;
}

void berth_host_log(berth_host *h, int level, const char *format, ...) {
        char line[1024];
        va_list ap;

        (void) h, (void) level;
        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
}

uint64_t berth_host_boottime_usec(void) {
        return waiting->now_usec += 1000;
}

void berth_host_alive(berth_host *h) {
        (void) h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const options[] = { "read-back=yes", NULL };
        berth_host host = { 0 };
        void *state;

        if (size < 3)
                return 0;
        host.runtime = data[0] & 1;
        host.image_size = (size_t) (data[1] | data[2] << 8) % (size - 2);
        host.image = data + 3;
        host.data = data + 3 + host.image_size;
        host.size = size - 3 - host.image_size;
        waiting = &host;
        if (berth_plugin_entry.open(&host, options, &state) < 0)
                return 0;
        if (host.runtime)
                (void) berth_plugin_entry.enter_update(state);
        else
                (void) berth_plugin_entry.flash(state, host.image_size);
        berth_plugin_entry.close(state);
        return 0;
}
