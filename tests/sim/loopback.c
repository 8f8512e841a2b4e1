/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A device for the tests of the bus itself. Interface 0 (vendor specific, alternate settings 0 and 1):
 *   0x01 OUT bulk       keeps what it gets
 *   0x81 IN bulk        gives that back, once; then it NAKs
 *   0x82 IN bulk        endless: byte number n is n % 251
 *   0x83 IN bulk        NAKs for ever
 *   0x84 IN interrupt   NAKs until {"cmd": "interrupt", "text": …} gives it something to say
 * Interface 1 has one bulk IN endpoint 0x85 that NAKs. Vendor requests: IN 1 says "HELLO <name>", OUT 2 keeps its data,
 * IN 3 gives that back, IN 4 never answers; any other stalls. `state` has "halts_cleared", "resets" and "power_cycles".
 * "packet_size" is that of its bulk endpoints (512).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "sim/device.h"
#include "sim/models.h"

#define PATTERN_PERIOD 251u
#define PATTERN_SIZE (PATTERN_PERIOD * 1024u)
#define KEPT_MAX (4u * 1024u * 1024u)
#define CONTROL_MAX 4096u
#define EVENT_MAX 64u
#define DT_ENDPOINT 5 /* USB 2.0, table 9-5 */
#define TYPE_BULK 2   /* table 9-13 */

typedef struct Loopback {
        const SimDevice *device;
        ModelIdentity identity;
        uint16_t packet_size; /* of its bulk endpoints */
        uint8_t *pattern;
        uint64_t position;
        uint8_t *kept;
        size_t kept_size;
        uint8_t control[CONTROL_MAX];
        size_t control_size;
        char event[EVENT_MAX];
        unsigned halts_cleared, resets, power_cycles;
} Loopback;

static void loopback_destroy(void *state) {
        Loopback *l = state;

        free(l->pattern);
        free(l->kept);
        free(l);
}

static int loopback_create(SimDevice *dev, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        const json_t *packet_size = json_object_get(spec, "packet_size");
        Loopback *l;
        int r;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->device = dev;
        l->packet_size = packet_size ? (uint16_t) json_integer_value(packet_size) : 512;
        l->pattern = malloc(PATTERN_SIZE);
        l->kept = malloc(KEPT_MAX);
        r = l->pattern && l->kept ? model_identity(spec, &l->identity, why, why_size) : -ENOMEM;
        if (r < 0) {
                loopback_destroy(l);
                return r;
        }
        for (size_t i = 0; i < PATTERN_SIZE; i++)
                l->pattern[i] = (uint8_t) (i % PATTERN_PERIOD);
        *ret_state = l;
        return 0;
}

static size_t loopback_descriptors(void *state, uint8_t *ret, size_t size) {
        static const uint8_t configuration[] = {
                9, 2, 0, 0, 2, 1, 0, 0x80, 250,
                9, 4, 0, 0, 5, 0xff, 0, 0, 0,
                7, 5, 0x01, 2, 0, 2, 0,
                7, 5, 0x81, 2, 0, 2, 0,
                7, 5, 0x82, 2, 0, 2, 0,
                7, 5, 0x83, 2, 0, 2, 0,
                7, 5, 0x84, 3, 64, 0, 4,
                9, 4, 0, 1, 2, 0xff, 0, 0, 0,
                7, 5, 0x01, 2, 0, 2, 0,
                7, 5, 0x81, 2, 0, 2, 0,
                9, 4, 1, 0, 1, 0xff, 0, 0, 0,
                7, 5, 0x85, 2, 0, 2, 0,
        };
        const Loopback *l = state;
        size_t n = model_device_descriptor(&l->identity, 0x0100, ret);

        if (size < n + sizeof(configuration))
                return 0;
        memcpy(ret + n, configuration, sizeof(configuration));
        for (uint8_t *p = ret + n; p < ret + n + sizeof(configuration); p += p[0])
                if (p[1] == DT_ENDPOINT && p[3] == TYPE_BULK) {
                        p[4] = (uint8_t) l->packet_size;
                        p[5] = (uint8_t) (l->packet_size >> 8);
                }
        model_finish_configuration(ret, n + sizeof(configuration));
        return n + sizeof(configuration);
}

static const char *loopback_string(void *state, uint8_t index) {
        const Loopback *l = state;

        return model_string(&l->identity, index);
}

static int loopback_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        Loopback *l = state;
        char text[128];
        size_t n;

        switch (setup[0] << 8 | setup[1]) {
        case 0xc001:
                n = (size_t) snprintf(text, sizeof(text), "HELLO %s", sim_device_name(l->device));
                n = MIN2(n, length);
                memcpy(data, text, n);
                return (int) n;
        case 0x4002:
                l->control_size = MIN2(length, CONTROL_MAX);
                memcpy(l->control, data, l->control_size);
                return (int) l->control_size;
        case 0xc003:
                n = MIN2(length, l->control_size);
                memcpy(data, l->control, n);
                return (int) n;
        case 0xc004:
                return SIM_NAK;
        default:
                return -EPIPE;
        }
}

static int loopback_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        Loopback *l = state;

        (void) endpoint;
        if (length > KEPT_MAX - l->kept_size)
                return SIM_NAK;
        memcpy(l->kept + l->kept_size, data, length);
        l->kept_size += length;
        return (int) length;
}

static int give_kept(Loopback *l, uint8_t *data, size_t length) {
        size_t n = MIN2(length, l->kept_size);

        if (n == 0)
                return SIM_NAK;
        memcpy(data, l->kept, n);
        memmove(l->kept, l->kept + n, l->kept_size - n);
        l->kept_size -= n;
        return (int) n;
}

static int give_pattern(Loopback *l, uint8_t *data, size_t length) {
        size_t phase = l->position % PATTERN_PERIOD;

        for (size_t done = 0; done < length;) {
                size_t n = MIN2(length - done, PATTERN_SIZE - PATTERN_PERIOD - phase);

                n -= n < length - done ? (phase + n) % PATTERN_PERIOD : 0;
                memcpy(data + done, l->pattern + phase, n);
                done += n;
                phase = (phase + n) % PATTERN_PERIOD;
        }
        l->position += length;
        return (int) length;
}

static int loopback_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        Loopback *l = state;
        size_t n;

        switch (endpoint) {
        case 0x81:
                return give_kept(l, data, length);
        case 0x82:
                return give_pattern(l, data, length);
        case 0x84:
                n = MIN2(length, strlen(l->event));
                memcpy(data, l->event, n);
                l->event[0] = '\0';
                return n > 0 ? (int) n : SIM_NAK;
        default:
                return SIM_NAK;
        }
}

static void loopback_power(void *state, int on) {
        Loopback *l = state;

        l->kept_size = 0;
        l->position = 0;
        l->power_cycles += on ? 1 : 0;
}

static void loopback_clear_halt(void *state, uint8_t endpoint) {
        Loopback *l = state;

        (void) endpoint;
        l->halts_cleared++;
}

static void loopback_reset(void *state) {
        Loopback *l = state;

        l->kept_size = 0;
        l->resets++;
}

static int loopback_command(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why,
                            size_t why_size) {
        Loopback *l = state;

        if (strcmp(name, "state") == 0) {
                *ret_answer = json_pack("{s:i, s:i, s:i}", "halts_cleared", (int) l->halts_cleared, "resets",
                                        (int) l->resets, "power_cycles", (int) l->power_cycles);
                return *ret_answer ? 0 : -ENOMEM;
        }
        if (strcmp(name, "interrupt") == 0) {
                (void) snprintf(l->event, sizeof(l->event), "%s",
                                json_string_value(json_object_get(args, "text")) ?: "");
                return 0;
        }
        (void) snprintf(why, why_size, "The loopback model has no command \"%s\".", name);
        return -EINVAL;
}

const SimModel sim_model_loopback = {
        .name = "loopback",
        .create = loopback_create,
        .destroy = loopback_destroy,
        .descriptors = loopback_descriptors,
        .string = loopback_string,
        .control = loopback_control,
        .out = loopback_out,
        .in = loopback_in,
        .power = loopback_power,
        .clear_halt = loopback_clear_halt,
        .reset = loopback_reset,
        .command = loopback_command,
};
