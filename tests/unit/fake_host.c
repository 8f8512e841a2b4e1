/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/fake_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

enum StepType { STEP_OUT, STEP_OUT_ERROR, STEP_IN, STEP_IN_EMPTY, STEP_IN_ERROR };

typedef struct Step {
        enum StepType type;
        uint8_t *data; /* NULL: the pattern */
        uint64_t size, done;
        int error;
} Step;

#define STEPS_MAX 512u

FakeCamera fake_camera;
uint64_t fake_delivered;
uint8_t *fake_bytes;
FakeClip fake_clips[FAKE_CLIPS_MAX];
size_t fake_n_clips;
char fake_message[512];

static Step steps[STEPS_MAX];
static size_t n_steps, at;

/* Nothing looks into it. */
struct berth_host {
        int unused;
};

berth_host *fake_host(void) {
        static const berth_usb_interface still_image = {
                .number = 0,
                .class_code = 6,
                .subclass = 1,
                .protocol = 1,
                .bulk_in = FAKE_IN,
                .bulk_out = FAKE_OUT,
                .interrupt_in = 0x83,
                .bulk_in_packet = FAKE_PACKET,
                .bulk_out_packet = FAKE_PACKET,
        };
        static berth_host host;

        for (size_t i = 0; i < n_steps; i++)
                free(steps[i].data);
        n_steps = at = 0;
        fake_camera = (FakeCamera){ .interfaces = &still_image, .n_interfaces = 1, .now_usec = 1000000 };
        fake_delivered = 0;
        if (!fake_bytes)
                fake_bytes = malloc(FAKE_KEPT);
        assert_non_null(fake_bytes);
        fake_n_clips = 0;
        fake_message[0] = '\0';
        return &host;
}

void fake_done(void) {
        if (at != n_steps)
                fail_msg("the script was left at step %zu of %zu", at, n_steps);
}

static Step *step_add(enum StepType type, const void *data, size_t size) {
        Step *s = &steps[n_steps++];

        assert_true(n_steps < STEPS_MAX);
        *s = (Step){ .type = type, .size = size };
        if (data) {
                s->data = malloc(size + 1);
                assert_non_null(s->data);
                memcpy(s->data, data, size);
        }
        return s;
}

static void put(uint8_t *to, size_t width, uint32_t v) {
        for (size_t i = 0; i < width; i++)
                to[i] = (uint8_t) (v >> (8 * i));
}

static void add_container(enum StepType step, uint32_t claimed, uint16_t type, uint16_t code, uint32_t id,
                          const void *data, size_t size) {
        uint8_t *all = malloc(12 + size);

        assert_non_null(all);
        put(all, 4, claimed);
        put(all + 4, 2, type);
        put(all + 6, 2, code);
        put(all + 8, 4, id);
        if (size > 0)
                memcpy(all + 12, data, size);
        step_add(step, all, 12 + size);
        free(all);
}

void fake_command(uint16_t code, uint32_t id, unsigned n, ...) {
        uint8_t params[20];
        va_list ap;

        va_start(ap, n);
        for (unsigned i = 0; i < n; i++)
                put(params + 4 * i, 4, va_arg(ap, uint32_t));
        va_end(ap);
        add_container(STEP_OUT, 12 + 4 * n, 1, code, id, params, (size_t) 4 * n);
}

void fake_data_out(uint16_t code, uint32_t id, const void *data, size_t size) {
        add_container(STEP_OUT, (uint32_t) (12 + size), 2, code, id, data, size);
}

void fake_out(const void *data, size_t size) {
        step_add(STEP_OUT, data ? data : "", size);
}

void fake_in(const void *data, uint64_t size) {
        step_add(STEP_IN, data, data ? (size_t) size : 0)->size = size;
}

void fake_in_empty(void) {
        step_add(STEP_IN_EMPTY, NULL, 0);
}

void fake_in_error(int error) {
        step_add(STEP_IN_ERROR, NULL, 0)->error = error;
}

void fake_out_error(int error) {
        step_add(STEP_OUT_ERROR, NULL, 0)->error = error;
}

void fake_in_endless(void) {
        step_add(STEP_IN, NULL, 0)->size = UINT64_C(1) << 60;
}

void fake_container(uint32_t claimed, uint16_t type, uint16_t code, uint32_t id, const void *data, size_t size) {
        add_container(STEP_IN, claimed, type, code, id, data, size);
}

void fake_data(uint16_t code, uint32_t id, const void *data, size_t size) {
        fake_container((uint32_t) (12 + size), 2, code, id, data, size);
}

void fake_response(uint16_t code, uint32_t id) {
        fake_container(12, 3, code, id, NULL, 0);
}

void fake_response1(uint16_t code, uint32_t id, uint32_t param) {
        uint8_t data[4];

        put(data, 4, param);
        fake_container(16, 3, code, id, data, 4);
}

uint8_t fake_pattern(uint64_t i) {
        return (uint8_t) (i * 31 + i / 251);
}

/* A clip of gigabytes is filled by the period. */
static void fill_pattern(uint64_t from, uint8_t *to, size_t n) {
        enum { PERIOD = 251 * 256 };
        static uint8_t period[PERIOD];

        if (period[1] == 0)
                for (size_t i = 0; i < PERIOD; i++)
                        period[i] = fake_pattern(i);
        while (n > 0) {
                size_t place = from % PERIOD, run = MIN2(n, PERIOD - place);

                memcpy(to, period + place, run);
                from += run;
                to += run;
                n -= run;
        }
}

/* ---- The host ---- */

static Step *head(void) {
        return at < n_steps ? &steps[at] : NULL;
}

static void fill(const Step *s, uint8_t *to, size_t n) {
        if (s->data)
                memcpy(to, s->data + s->done, n);
        else
                fill_pattern(s->done, to, n);
}

static ssize_t read_in(uint8_t *data, size_t length, unsigned timeout_msec) {
        size_t moved = 0;

        assert_int_equal(length % FAKE_PACKET, 0);
        while (moved < length) {
                Step *s = head();
                size_t n;

                if (!s || s->type == STEP_OUT || s->type == STEP_OUT_ERROR) {
                        fake_camera.now_usec += (uint64_t) timeout_msec * 1000;
                        return moved > 0 ? (ssize_t) moved : -ETIMEDOUT;
                }
                if (s->type != STEP_IN) {
                        at++;
                        return s->type == STEP_IN_ERROR ? s->error : (ssize_t) moved;
                }
                n = s->size - s->done < length - moved ? (size_t) (s->size - s->done) : length - moved;
                fill(s, data + moved, n);
                moved += n;
                s->done += n;
                if (s->done < s->size)
                        break;
                at++;
                if (s->size % FAKE_PACKET != 0)
                        break;
        }
        fake_camera.now_usec += 100 + moved / 40;
        return (ssize_t) moved;
}

static ssize_t write_out(const uint8_t *data, size_t length) {
        Step *s = head();

        if (s && s->type == STEP_OUT_ERROR) {
                at++;
                return s->error;
        }
        if (!s || s->type != STEP_OUT)
                fail_msg("step %zu of %zu: %zu bytes were sent, and nothing was expected", at, n_steps, length);
        else {
                assert_int_equal(length, s->size);
                assert_memory_equal(data, s->data, length);
        }
        at++;
        return (ssize_t) length;
}

ssize_t berth_host_bulk(berth_host *host, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        (void) host;
        assert_int_not_equal(timeout_msec, 0);
        if (endpoint == FAKE_IN)
                return read_in(data, length, timeout_msec);
        assert_int_equal(endpoint, FAKE_OUT);
        return write_out(data, length);
}

static void keep(const uint8_t *data, uint64_t n) {
        if (fake_delivered < FAKE_KEPT)
                memcpy(fake_bytes + fake_delivered, data,
                       n < FAKE_KEPT - fake_delivered ? (size_t) n : (size_t) (FAKE_KEPT - fake_delivered));
        fake_delivered += n;
}

int berth_host_deliver(berth_host *host, const void *data, size_t length) {
        (void) host;
        if (fake_camera.deliver < 0)
                return fake_camera.deliver;
        keep(data, length);
        return 0;
}

int64_t berth_host_deliver_bulk(berth_host *host, uint8_t endpoint, uint64_t length, unsigned timeout_msec) {
        uint64_t moved = 0;

        (void) host;
        assert_int_equal(endpoint, FAKE_IN);
        assert_int_not_equal(timeout_msec, 0);
        if (fake_camera.deliver < 0)
                return fake_camera.deliver;
        while (moved < length) {
                Step *s = head();
                uint64_t n, left = length - moved;

                if (!s || s->type == STEP_OUT || s->type == STEP_OUT_ERROR)
                        return -ETIMEDOUT;
                if (s->type != STEP_IN) {
                        at++;
                        return s->type == STEP_IN_ERROR ? s->error : (int64_t) moved;
                }
                n = s->size - s->done < left ? s->size - s->done : left;
                /* What nobody looks at need not be made. */
                if (fake_delivered < FAKE_KEPT) {
                        uint8_t some[4096];

                        n = n < sizeof(some) ? n : sizeof(some);
                        fill(s, some, (size_t) n);
                        keep(some, n);
                } else
                        fake_delivered += n;
                moved += n;
                s->done += n;
                if (s->done < s->size)
                        continue;
                at++;
                if (s->size % FAKE_PACKET != 0)
                        break;
        }
        return (int64_t) moved;
}

static int cancel(const uint8_t *data, uint16_t length) {
        if (!data || length != 6)
                return -EPIPE;
        assert_int_equal(data[0] | data[1] << 8, 0x4001);
        fake_camera.cancels++;
        fake_camera.cancelled = (uint32_t) data[2] | (uint32_t) data[3] << 8 | (uint32_t) data[4] << 16 |
                                (uint32_t) data[5] << 24;
        while (fake_camera.cancel_drops && at < n_steps && steps[at].type != STEP_OUT && steps[at].type != STEP_OUT_ERROR)
                at++;
        return 6;
}

static int status(uint8_t *data) {
        fake_camera.statuses++;
        if (fake_camera.no_status)
                return -EPIPE;
        put(data, 2, 4);
        put(data + 2, 2, fake_camera.busy > 0 ? 0x2019 : 0x2001);
        if (fake_camera.busy > 0)
                fake_camera.busy--;
        return 4;
}

static void trace(char what) {
        size_t n = strlen(fake_camera.trace);

        if (n + 1 < sizeof(fake_camera.trace))
                fake_camera.trace[n] = what;
}

/* The two requests of the mass-storage class. */
static int storage_request(uint8_t request, uint8_t *data, uint16_t length) {
        if (request == 0xFF) {
                assert_int_equal(length, 0);
                trace('R');
                return fake_camera.no_reset ? -EPIPE : 0;
        }
        assert_int_equal(length, 1);
        if (fake_camera.max_lun < 0)
                return fake_camera.max_lun;
        data[0] = (uint8_t) fake_camera.max_lun;
        return 1;
}

int berth_host_control(berth_host *host, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data,
                       uint16_t length, unsigned timeout_msec) {
        (void) host;
        assert_int_not_equal(timeout_msec, 0);
        assert_int_equal(value, 0);
        assert_int_equal(index, fake_camera.interfaces[0].number);
        assert_int_equal(request_type, request == 0x67 || request == 0xFE ? 0xA1 : 0x21);
        if (request == 0xFE || request == 0xFF)
                return storage_request(request, data, length);
        if (request == 0x64)
                return cancel(data, length);
        if (request == 0x67)
                return status(data);
        assert_int_equal(request, 0x66);
        fake_camera.class_resets++;
        if (fake_camera.no_reset)
                return -EPIPE;
        return 0;
}

int berth_host_clear_halt(berth_host *host, uint8_t endpoint) {
        (void) host;
        trace(endpoint == FAKE_IN ? 'i' : 'o');
        fake_camera.halts_cleared++;
        return 0;
}

int berth_host_reset(berth_host *host) {
        (void) host;
        trace('U');
        fake_camera.device_resets++;
        return fake_camera.device_reset;
}

int berth_host_claim(berth_host *host, uint8_t interface, uint8_t alternate) {
        (void) host;
        (void) alternate;
        assert_int_equal(interface, fake_camera.interfaces[0].number);
        fake_camera.claims++;
        return 0;
}

size_t berth_host_interfaces(berth_host *host) {
        (void) host;
        return fake_camera.n_interfaces;
}

int berth_host_interface(berth_host *host, size_t index, berth_usb_interface *ret) {
        (void) host;
        if (index >= fake_camera.n_interfaces)
                return -ENOENT;
        *ret = fake_camera.interfaces[index];
        return 0;
}

int berth_host_string(berth_host *host, int which, char ret[BERTH_TEXT_MAX]) {
        (void) host;
        (void) snprintf(ret, BERTH_TEXT_MAX, "usb-string-%d", which);
        return 0;
}

int berth_host_clip(berth_host *host, const berth_clip *clip) {
        (void) host;
        assert_true(text_path_is_valid(clip->path));
        if (fake_n_clips == FAKE_CLIPS_MAX)
                return -E2BIG;
        fake_clips[fake_n_clips].clip = *clip;
        (void) snprintf(fake_clips[fake_n_clips].path, BERTH_PATH_MAX, "%s", clip->path);
        fake_clips[fake_n_clips].clip.path = fake_clips[fake_n_clips].path;
        fake_n_clips++;
        return 0;
}

ssize_t berth_host_escape(const void *name, size_t length, char *ret, size_t ret_size) {
        return text_escape_name(name, length, ret, ret_size);
}

void berth_host_log(berth_host *host, int level, const char *format, ...) {
        va_list ap;

        (void) host;
        if (level > BERTH_LOG_WARNING)
                return;
        va_start(ap, format);
        (void) vsnprintf(fake_message, sizeof(fake_message), format, ap);
        va_end(ap);
}

/* A zone that is an hour ahead of UTC, always. */
int64_t berth_host_local_to_utc(int64_t wall_sec) {
        return wall_sec - 3600;
}

int64_t berth_host_utc_to_local(int64_t unix_sec) {
        return unix_sec + 3600;
}

uint64_t berth_host_boottime_usec(void) {
        fake_camera.now_usec += 1000;
        return fake_camera.now_usec;
}

/* An image of the pattern. */
ssize_t berth_host_image(berth_host *host, uint64_t offset, void *data, size_t length) {
        (void) host;
        fill_pattern(offset, data, length);
        return (ssize_t) length;
}

void berth_host_sent(berth_host *host, uint64_t bytes) {
        (void) host;
        (void) bytes;
}

void berth_host_alive(berth_host *host) {
        (void) host;
}
