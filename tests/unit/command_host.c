/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/command_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Step {
        bool control, in;
        uint8_t request;
        uint16_t value;
        size_t asked; /* 0: does not matter */
        int error;
        size_t size;
        uint8_t data[256];
} Step;

#define STEPS_MAX 64u

CommandCamera command_camera;
static Step steps[STEPS_MAX];
static size_t n_steps, at;

/* Nothing looks into it. */
struct berth_host {
        int unused;
};

berth_host *command_host(void) {
        static berth_host host;

        n_steps = at = 0;
        command_camera = (CommandCamera){
                .interface = { .class_code = 0xFF, .subclass = 0xFF, .bulk_in = 0x81, .bulk_out = 0x01, .bulk_in_packet = 512,
                               .bulk_out_packet = 512 },
                .serial = "USB-7",
                .password = "S3cret",
        };
        return &host;
}

void command_done(void) {
        if (at != n_steps)
                fail_msg("the script was left at step %zu of %zu", at, n_steps);
        if (command_camera.password && *command_camera.password && strstr(command_camera.log, command_camera.password))
                fail_msg("the password was logged: %s", command_camera.log);
}

static void add(Step step, const void *data, size_t size) {
        assert_true(n_steps < STEPS_MAX && size <= sizeof(step.data));
        step.size = size;
        if (size > 0)
                memcpy(step.data, data, size);
        steps[n_steps++] = step;
}

void bulk_out(const void *data, size_t size) {
        add((Step){ 0 }, data, size);
}

void bulk_out_error(int error) {
        add((Step){ .error = error }, NULL, 0);
}

void bulk_in(const void *data, size_t size) {
        add((Step){ .in = true }, data, size);
}

void bulk_in_error(int error) {
        add((Step){ .in = true, .error = error }, NULL, 0);
}

void control_out(uint8_t request, uint16_t value, const void *data, size_t size) {
        add((Step){ .control = true, .request = request, .value = value }, data, size);
}

void control_out_error(uint8_t request, uint16_t value, int error) {
        add((Step){ .control = true, .request = request, .value = value, .error = error }, NULL, 0);
}

void control_in(uint8_t request, uint16_t value, size_t asked, const void *data, size_t size) {
        add((Step){ .control = true, .in = true, .request = request, .value = value, .asked = asked }, data, size);
}

void control_in_error(uint8_t request, uint16_t value, int error) {
        add((Step){ .control = true, .in = true, .request = request, .value = value, .error = error }, NULL, 0);
}

/* ---- The host ---- */

static const Step *take(bool control, bool in) {
        const Step *s = &steps[at];

        command_camera.transfers++;
        if (at == n_steps || s->control != control || s->in != in)
                fail_msg("step %zu of %zu: the plugin %s by %s transfer, which was not expected", at, n_steps, in ? "reads" : "sends",
                         control ? "control" : "bulk");
        at++;
        return s;
}

static int play(const Step *s, void *data, size_t length) {
        if (s->error < 0)
                return s->error;
        if (s->in) {
                assert_true(s->size <= length);
                memcpy(data, s->data, s->size);
        } else {
                assert_int_equal(length, s->size);
                assert_memory_equal(data, s->data, length);
        }
        return (int) s->size;
}

ssize_t berth_host_bulk(berth_host *host, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        bool in = endpoint & 0x80;

        (void) host;
        assert_int_not_equal(timeout_msec, 0);
        assert_int_equal(endpoint, in ? command_camera.interface.bulk_in : command_camera.interface.bulk_out);
        /* Anything else could overrun. */
        if (in)
                assert_int_equal(length % command_camera.interface.bulk_in_packet, 0);
        return play(take(false, in), data, length);
}

int berth_host_control(berth_host *host, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data,
                       uint16_t length, unsigned timeout_msec) {
        bool in = request_type & 0x80;
        const Step *s;

        (void) host;
        assert_int_not_equal(timeout_msec, 0);
        assert_int_equal(request_type, in ? 0xC0 : 0x40);
        assert_int_equal(index, 0);
        s = take(true, in);
        assert_int_equal(request, s->request);
        assert_int_equal(value, s->value);
        if (s->asked > 0)
                assert_int_equal(length, s->asked);
        return play(s, data, length);
}

int berth_host_clear_halt(berth_host *host, uint8_t endpoint) {
        (void) host, (void) endpoint;
        return 0;
}

int berth_host_reset(berth_host *host) {
        (void) host;
        fail_msg("the plugin resets the device");
        return -EIO;
}

int berth_host_claim(berth_host *host, uint8_t interface, uint8_t alternate) {
        (void) host, (void) alternate;
        assert_int_equal(interface, command_camera.interface.number);
        command_camera.claims++;
        return command_camera.claim;
}

size_t berth_host_interfaces(berth_host *host) {
        (void) host;
        return 1;
}

int berth_host_interface(berth_host *host, size_t index, berth_usb_interface *ret) {
        (void) host;
        if (index > 0)
                return -ENOENT;
        *ret = command_camera.interface;
        return 0;
}

int berth_host_string(berth_host *host, int which, char ret[BERTH_TEXT_MAX]) {
        const char *text = which == BERTH_STRING_MANUFACTURER ? "Acme" : which == BERTH_STRING_PRODUCT ? "BC-1" : command_camera.serial;

        (void) host;
        ret[0] = '\0';
        if (!text)
                return -EPIPE;
        (void) snprintf(ret, BERTH_TEXT_MAX, "%s", text);
        return 0;
}

const char *berth_host_credential(berth_host *host, const char *name) {
        (void) host;
        return strcmp(name, "password") == 0 ? command_camera.password : strcmp(name, "user") == 0 ? command_camera.user : NULL;
}

int64_t berth_host_utc_to_local(int64_t unix_sec) {
        return unix_sec + command_camera.zone_minutes * INT64_C(60);
}

int berth_host_clip(berth_host *host, const berth_clip *clip) {
        (void) host, (void) clip;
        fail_msg("the plugin reports a clip");
        return -EINVAL;
}

void berth_host_log(berth_host *host, int level, const char *format, ...) {
        size_t used = strlen(command_camera.log);
        char line[512];
        va_list ap;

        (void) host;
        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        (void) snprintf(command_camera.log + used, sizeof(command_camera.log) - used, "%s\n", line);
        if (level <= BERTH_LOG_WARNING)
                (void) snprintf(command_camera.message, sizeof(command_camera.message), "%s", line);
}
