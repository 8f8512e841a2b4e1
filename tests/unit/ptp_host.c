/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAYLOAD_MAX (256 * MIB)

/* What the bus provides to a model. */
void sim_device_kick(SimDevice *device) {
        (void) device;
}

const char *sim_device_name(const SimDevice *device) {
        (void) device;
        return "test";
}

/* An allocation that worked. */
static void *must(void *memory) {
        if (!memory)
                abort();
        return memory;
}

static json_t *parse(const char *text) {
        char *copy = must(strdup(text));
        json_error_t error;
        json_t *object;

        for (char *p = copy; *p; p++)
                if (*p == '\'')
                        *p = '"';
        object = json_loads(copy, 0, &error);
        if (!object)
                print_error("%s: %s\n", copy, error.text);
        free(copy);
        assert_non_null(object);
        return object;
}

Host *host_new(const char *spec) {
        Host *host = must(calloc(1, sizeof(*host)));
        json_t *json = parse(spec);
        char why[256] = "";
        int r;

        host->next_id = 1;
        host->urb_size = 16 * KIB;
        r = sim_model_ptp.create(NULL, json, &host->camera, why, sizeof(why));
        json_decref(json);
        if (r < 0)
                print_error("%s\n", why);
        assert_int_equal(r, 0);
        sim_model_ptp.power(host->camera, 1);
        return host;
}

Host *host_free(Host *host) {
        if (!host)
                return NULL;
        sim_model_ptp.destroy(host->camera);
        free(host);
        return NULL;
}

Host *host_in_session(const char *spec) {
        Host *host = host_new(spec);

        assert_int_equal(host_call(host, 0x1002, 1), PTP_OK);
        return host;
}

void host_power_cycle(Host *host) {
        sim_model_ptp.power(host->camera, 0);
        sim_model_ptp.power(host->camera, 1);
}

json_t *host_control(Host *host, const char *name, const char *args) {
        json_t *json = parse(args), *answer = NULL;
        char why[256] = "";
        int r;

        r = sim_model_ptp.command(host->camera, name, json, &answer, why, sizeof(why));
        json_decref(json);
        if (r < 0)
                print_error("%s\n", why);
        assert_int_equal(r, 0);
        return answer;
}

void host_fault(Host *host, const char *args) {
        json_decref(host_control(host, "fault", args));
}

json_int_t host_state(Host *host, const char *key) {
        json_t *state = host_control(host, "state", "{}");
        json_int_t value = json_integer_value(json_object_get(state, key));

        assert_true(json_is_integer(json_object_get(state, key)));
        json_decref(state);
        return value;
}

static void put32(uint8_t *p, uint32_t v) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t) (v >> 8 * i);
}

static void put_header(uint8_t *p, uint32_t length, uint16_t type, uint16_t code, uint32_t id) {
        put32(p, length);
        put32(p + 4, type | (uint32_t) code << 16);
        put32(p + 8, id);
}

int host_command(Host *host, uint16_t code, const uint32_t *parameters, unsigned n) {
        uint8_t container[PTP_HEADER_SIZE + 4 * PTP_PARAMETERS_MAX];
        size_t size = PTP_HEADER_SIZE + 4 * n;

        put_header(container, (uint32_t) size, PTP_CONTAINER_COMMAND, code, ++host->next_id);
        for (unsigned i = 0; i < n; i++)
                put32(container + PTP_HEADER_SIZE + 4 * i, parameters[i]);
        return sim_model_ptp.out(host->camera, PTP_OUT, container, size);
}

int host_read(Host *host, uint8_t *ret, size_t size) {
        return sim_model_ptp.in(host->camera, PTP_IN, ret, size);
}

/* One container, up to the short packet: its bytes in a new buffer. */
static uint8_t *read_container(Host *host, size_t *ret_size) {
        uint8_t *data = NULL;
        size_t size = 0;
        int n;

        do {
                assert_true(size < PAYLOAD_MAX);
                data = must(realloc(data, size + host->urb_size));
                n = host_read(host, data + size, host->urb_size);
                assert_true(n >= 0);
                size += (size_t) n;
        } while ((size_t) n == host->urb_size);
        *ret_size = size;
        return data;
}

static void take_answer(Host *host, uint16_t code, Reply *ret) {
        Reply reply = {};
        uint8_t *container;
        size_t size;

        container = read_container(host, &size);
        assert_true(size >= PTP_HEADER_SIZE);
        if (le16(container + 4) == PTP_CONTAINER_DATA) {
                assert_int_equal(le16(container + 6), code);
                assert_int_equal(le32(container + 8), host->next_id);
                reply.declared = le32(container);
                reply.size = size - PTP_HEADER_SIZE;
                memmove(container, container + PTP_HEADER_SIZE, reply.size);
                reply.data = container;
                container = read_container(host, &size);
        }
        assert_int_equal(le32(container), size);
        assert_int_equal(le16(container + 4), PTP_CONTAINER_RESPONSE);
        assert_int_equal(le32(container + 8), host->next_id);
        reply.response = (PtpResponse) le16(container + 6);
        reply.n_parameters = (unsigned) (size - PTP_HEADER_SIZE) / 4;
        for (unsigned i = 0; i < reply.n_parameters; i++)
                reply.parameters[i] = le32(container + PTP_HEADER_SIZE + 4 * i);
        free(container);
        *ret = reply;
}

void host_run(Host *host, uint16_t code, const uint32_t *parameters, unsigned n, Reply *ret) {
        assert_int_equal(host_command(host, code, parameters, n), PTP_HEADER_SIZE + 4 * n);
        take_answer(host, code, ret);
}

void host_run_with_data(Host *host, uint16_t code, const uint32_t *parameters, unsigned n, const void *data, size_t size, Reply *ret) {
        size_t total = PTP_HEADER_SIZE + size;
        uint8_t *container = must(malloc(total));

        put_header(container, (uint32_t) total, PTP_CONTAINER_DATA, code, host->next_id + 1);
        if (size > 0)
                memcpy(container + PTP_HEADER_SIZE, data, size);
        assert_int_equal(host_command(host, code, parameters, n), PTP_HEADER_SIZE + 4 * n);
        /* As hosts do: the first packet by itself, the rest in large transfers, an empty packet at the end of whole ones. */
        for (size_t at = 0; at < total;) {
                size_t part = MIN2(total - at, at == 0 ? (size_t) 512 : host->urb_size);

                assert_int_equal(sim_model_ptp.out(host->camera, PTP_OUT, container + at, part), part);
                at += part;
        }
        if (total % 512 == 0)
                assert_int_equal(sim_model_ptp.out(host->camera, PTP_OUT, container, 0), 0);
        free(container);
        take_answer(host, code, ret);
}

void reply_done(Reply *reply) {
        free(reply->data);
        reply->data = NULL;
}

uint32_t handle_of(Host *host, uint32_t storage, uint32_t format, uint32_t parent, uint32_t nth, uint32_t *ret_n) {
        uint32_t handle = 0;
        Reply reply;

        assert_int_equal(host_get(host, &reply, 0x1007, storage, format, parent), PTP_OK);
        assert_true(reply.size >= 4 && reply.size == 4 + 4 * (size_t) le32(reply.data));
        if (nth < le32(reply.data))
                handle = le32(reply.data + 4 + 4 * nth);
        if (ret_n)
                *ret_n = le32(reply.data);
        reply_done(&reply);
        return handle;
}

uint32_t count_of(Host *host, uint32_t storage, uint32_t format, uint32_t parent) {
        uint32_t n;

        (void) handle_of(host, storage, format, parent, 0, &n);
        return n;
}

uint32_t clip(Host *host, uint32_t nth) {
        uint32_t n;

        (void) handle_of(host, ALL, 0, 0, 0, &n);
        for (uint32_t i = 0; i < n; i++) {
                uint32_t handle = handle_of(host, ALL, 0, 0, i, NULL);
                Reply reply;
                bool is_folder;

                assert_int_equal(host_get(host, &reply, 0x1008, handle), PTP_OK);
                is_folder = le16(reply.data + 4) == 0x3001;
                reply_done(&reply);
                if (!is_folder && nth-- == 0)
                        return handle;
        }
        fail_msg("there is no such clip");
        return 0;
}

PtpText name_of(Host *host, uint32_t handle) {
        PtpReader reader;
        PtpText name;
        Reply reply;

        assert_int_equal(host_get(host, &reply, 0x1008, handle), PTP_OK);
        reader = (PtpReader) { .data = reply.data, .size = reply.size, .at = 52 };
        ptp_get_text(&reader, &name);
        assert_false(reader.failed);
        reply_done(&reply);
        return name;
}

void assert_seeded(uint64_t seed, uint64_t offset, const uint8_t *data, size_t size) {
        Content *content;
        uint8_t *wanted = must(malloc(size + 1));

        assert_int_equal(content_new_seed(seed, offset + size, &content), 0);
        assert_int_equal(content_read(content, offset, wanted, size), 0);
        assert_memory_equal(data, wanted, size);
        content_free(content);
        free(wanted);
}

/* Nothing comes in its place: there is no bus. */
void sim_device_become(SimDevice *dev, const char *name, unsigned leave_msec, unsigned away_msec) {
        (void) dev;
        (void) name;
        (void) leave_msec;
        (void) away_msec;
}
