/* SPDX-License-Identifier: Apache-2.0 */

/* What the descriptors say: DFU 1.1 §4.1 (run-time mode), §4.2 (DFU mode). berth_host has no class descriptors, so they are asked for. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dfu.h"

#define CLASS_APPLICATION 0xfeu
#define SUBCLASS_DFU 1u
#define PROTOCOL_RUNTIME 1u
#define PROTOCOL_DFU 2u

#define FROM_DEVICE 0x80u
#define GET_DESCRIPTOR 6u
#define DESCRIPTOR_CONFIGURATION 2u
#define DESCRIPTOR_STRING 3u
#define DESCRIPTOR_INTERFACE 4u
#define DESCRIPTOR_DFU 0x21u
#define TIMEOUT_MSEC 5000u
#define CONFIGURATION_MAX 4096u
#define ENGLISH 0x0409u
#define TRANSFER_DEFAULT 64u
#define DETACH_MAX_MSEC 1000u

bool dfu_is_dfuse(const Dfu *d) {
        return d->version == DFU_VERSION_DFUSE;
}

static int choose_interface(Dfu *d) {
        berth_usb_interface i;

        for (size_t n = 0; berth_host_interface(d->host, n, &i) == 0; n++) {
                if (i.class_code != CLASS_APPLICATION || i.subclass != SUBCLASS_DFU || (i.protocol != PROTOCOL_RUNTIME &&
                                                                                        i.protocol != PROTOCOL_DFU))
                        continue;
                if (i.protocol == PROTOCOL_DFU && d->options.alternate >= 0 && i.alternate != d->options.alternate)
                        continue;
                d->interface = i.number;
                d->alternate = i.alternate;
                d->is_runtime = i.protocol == PROTOCOL_RUNTIME;
                return 0;
        }
        berth_host_log(d->host, BERTH_LOG_ERR, "the camera has no interface for firmware updates%s",
                       d->options.alternate >= 0 ? " with that alternate setting" : "");
        return -ENODEV;
}

/* The string of an interface, which only DfuSe has a use for, as ASCII. */
static void read_layout(Dfu *d, uint8_t index) {
        uint8_t raw[255];
        size_t n = 0;
        int r;

        if (index == 0)
                return;
        r = berth_host_control(d->host, FROM_DEVICE, GET_DESCRIPTOR, (uint16_t) (DESCRIPTOR_STRING << 8 | index), ENGLISH, raw, sizeof(raw),
                               TIMEOUT_MSEC);
        if (r < 2 || raw[1] != DESCRIPTOR_STRING)
                return;
        for (int i = 2; i + 1 < r && i + 1 < raw[0]; i += 2)
                d->layout[n++] = raw[i + 1] == 0 && raw[i] >= 0x20 && raw[i] < 0x7f ? (char) raw[i] : '?';
        d->layout[n] = 0;
}

/* The functional descriptor follows the interface's, in any of its alternate settings. */
static bool take_descriptors(Dfu *d, const uint8_t *p, size_t size, uint8_t *ret_string) {
        bool within = false, found = false;

        for (size_t at = 0; at + 2 <= size && p[at] >= 2 && at + p[at] <= size; at += p[at]) {
                const uint8_t *q = p + at;

                if (q[1] == DESCRIPTOR_INTERFACE && q[0] >= 9) {
                        within = q[2] == d->interface;
                        if (within && q[3] == d->alternate)
                                *ret_string = q[8];
                } else if (q[1] == DESCRIPTOR_DFU && q[0] >= 7 && within && !found) {
                        d->attributes = q[2];
                        d->detach_msec = (uint16_t) (q[3] | q[4] << 8);
                        d->transfer_size = (uint16_t) (q[5] | q[6] << 8);
                        d->version = (uint16_t) (q[0] >= 9 ? q[7] | q[8] << 8 : 0x0100);
                        found = true;
                }
        }
        return found;
}

static int read_configuration(Dfu *d) {
        uint8_t *raw = malloc(CONFIGURATION_MAX), string = 0;
        bool found;
        int r;

        if (!raw)
                return -ENOMEM;
        r = berth_host_control(d->host, FROM_DEVICE, GET_DESCRIPTOR, DESCRIPTOR_CONFIGURATION << 8, 0, raw, CONFIGURATION_MAX,
                               TIMEOUT_MSEC);
        found = r > 0 && take_descriptors(d, raw, (size_t) r, &string);
        free(raw);
        if (r < 0)
                return r;
        /* Old loaders have none: then what every one can is assumed. */
        if (!found) {
                d->attributes = DFU_CAN_DOWNLOAD;
                d->transfer_size = TRANSFER_DEFAULT;
                d->version = 0x0100;
        }
        read_layout(d, string);
        return 0;
}

int dfu_find(Dfu *d) {
        int r;

        r = choose_interface(d);
        if (r >= 0)
                r = read_configuration(d);
        if (r < 0)
                return r;
        if (d->options.transfer_size > 0)
                d->transfer_size = (uint16_t) d->options.transfer_size;
        if (d->transfer_size < 8) {
                berth_host_log(d->host, BERTH_LOG_ERR, "it says that it takes blocks of %u bytes", d->transfer_size);
                return -EBADMSG;
        }
        if (d->detach_msec == 0 || d->detach_msec > DETACH_MAX_MSEC)
                d->detach_msec = DETACH_MAX_MSEC;
        d->block = malloc(2 * (size_t) d->transfer_size);
        if (!d->block)
                return -ENOMEM;
        return berth_host_claim(d->host, d->interface, d->alternate);
}
