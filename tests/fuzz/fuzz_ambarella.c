/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a camera in command mode sends: the whole plugin in conversation with a camera that answers whatever the input holds, in each
 * dialect, and the parser of identity records alone. The first byte chooses; see tests/fuzz/seeds_ambarella.py.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/plugin.h>

#include "../plugins/ambarella/record.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition))                                                                                 \
                        abort();                                                                                  \
        } while (0)

/* ---- A camera made of the input ---- */

/*
 * The input is read answer by answer: one byte of flags, one of length, then that many bytes. A flag may ask for dialect B's framing to be
 * filled in, without which nothing would ever come past it.
 */
#define FLAG_FRAME 0x01  /* the magic, and the command that was sent */
#define FLAG_ACCEPT 0x02 /* and the status that accepts */
#define FLAG_STALL 0x04
#define FLAG_SILENT 0x08
#define FLAG_UNPLUG 0x10
#define FLAG_SEND_FAILS 0x20
#define FLAG_ECHO 0x40 /* what was sent, sent back */

#define PASSWORD "Kr0kus"
#define SENT_MAX 128u

struct berth_host {
        const uint8_t *data;
        size_t size;
        uint8_t sent[SENT_MAX];
        size_t sent_size;
        bool waiting; /* for an answer */
};

static ssize_t send_it(berth_host *h, const void *data, size_t length) {
        if (h->size > 0 && (h->data[0] & FLAG_SEND_FAILS)) {
                h->data++;
                h->size--;
                return -EPIPE;
        }
        CHECK(length <= SENT_MAX);
        memcpy(h->sent, data, length);
        h->sent_size = length;
        h->waiting = true;
        return (ssize_t) length;
}

static ssize_t answer(berth_host *h, uint8_t *data, size_t length) {
        uint8_t flags;
        size_t n;

        if (h->size < 2) {
                h->size = 0;
                return -ETIMEDOUT;
        }
        flags = h->data[0];
        n = h->data[1];
        h->data += 2;
        h->size -= 2;
        n = n < h->size ? n : h->size;
        n = n < length ? n : length;
        memcpy(data, h->data, n);
        h->data += n;
        h->size -= n;
        if (flags & FLAG_STALL)
                return -EPIPE;
        if (flags & FLAG_SILENT)
                return -ETIMEDOUT;
        if (flags & FLAG_UNPLUG)
                return -ENODEV;
        if (flags & FLAG_ECHO) {
                n = h->sent_size < length ? h->sent_size : length;
                memcpy(data, h->sent, n);
        }
        if ((flags & FLAG_FRAME) && n >= 9 && h->sent_size >= 9)
                memcpy(data, h->sent, 9);
        if ((flags & FLAG_ACCEPT) && n >= 9)
                data[6] = 0x80;
        return (ssize_t) n;
}

ssize_t berth_host_bulk(berth_host *h, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        CHECK(timeout_msec > 0);
        if (endpoint == 0x01)
                return send_it(h, data, length);
        CHECK(endpoint == 0x81 && length > 0 && length % 64 == 0);
        /* Before the first command nothing is on its way, but for what the input holds back for that. */
        if (!h->waiting)
                return -ETIMEDOUT;
        return answer(h, data, length);
}

int berth_host_control(berth_host *h, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data, uint16_t length,
                       unsigned timeout_msec) {
        (void) request, (void) value;
        CHECK(timeout_msec > 0 && index == 0 && (request_type == 0x40 || request_type == 0xC0));
        return (int) (request_type == 0x40 ? send_it(h, data, length) : answer(h, data, length));
}

int berth_host_clear_halt(berth_host *h, uint8_t endpoint) {
        (void) h, (void) endpoint;
        return 0;
}

int berth_host_claim(berth_host *h, uint8_t interface, uint8_t alternate) {
        (void) h, (void) interface, (void) alternate;
        return 0;
}

size_t berth_host_interfaces(berth_host *h) {
        (void) h;
        return 1;
}

int berth_host_interface(berth_host *h, size_t index, berth_usb_interface *ret) {
        (void) h, (void) index;
        *ret = (berth_usb_interface){ .class_code = 0xFF, .bulk_in = 0x81, .bulk_out = 0x01, .bulk_in_packet = 64, .bulk_out_packet = 64 };
        return 0;
}

int berth_host_string(berth_host *h, int which, char ret[BERTH_TEXT_MAX]) {
        (void) h, (void) which;
        ret[0] = '\0';
        return 0;
}

const char *berth_host_credential(berth_host *h, const char *name) {
        (void) h;
        return strcmp(name, "password") == 0 ? PASSWORD : NULL;
}

int64_t berth_host_utc_to_local(int64_t unix_sec) {
        return unix_sec;
}

int berth_host_clip(berth_host *h, const berth_clip *clip) {
        (void) h, (void) clip;
        abort();
}

void berth_host_log(berth_host *h, int level, const char *format, ...) {
        char line[1024];
        va_list ap;

        (void) h, (void) level;
        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        CHECK(!strstr(line, PASSWORD) && text_is_printable(line));
}

static void check_text(const char *text) {
        CHECK(text_is_utf8(text, strnlen(text, BERTH_TEXT_MAX)) && text_is_printable(text) && strcmp(text, PASSWORD) != 0);
}

static void check_owner(const berth_owner *owner) {
        check_text(owner->officer_id);
        check_text(owner->officer_name);
        check_text(owner->unit_id);
        check_text(owner->unit_name);
}

static void converse(const uint8_t *data, size_t size, const char *dialect) {
        const char *const options[] = { dialect, NULL };
        berth_host host = { .data = data, .size = size };
        berth_owner owner = { .struct_size = sizeof(owner) };
        berth_health health;
        berth_identity who;
        void *state;

        if (berth_plugin_entry.open(&host, options, &state) != 0)
                return;
        if (berth_plugin_entry.identify(state, &who) == 0)
                check_text(who.serial);
        if (berth_plugin_entry.health(state, &health) == 0 && (health.known & BERTH_HEALTH_BATTERY))
                CHECK(health.battery_percent <= 100);
        (void) berth_plugin_entry.set_clock(state, 1795425300);
        if (berth_plugin_entry.get_owner(state, &owner) == 0)
                check_owner(&owner);
        (void) snprintf(owner.officer_id, BERTH_TEXT_MAX, "7031");
        (void) berth_plugin_entry.set_owner(state, &owner);
        CHECK(berth_plugin_entry.list(state) == -EOPNOTSUPP);
        (void) berth_plugin_entry.enter_storage(state);
        berth_plugin_entry.close(state);
}

/* What is read and written back is the same, and leaves what it does not know as it was. */
static void records(const uint8_t *data, size_t size) {
        uint8_t record[RECORD_SIZE] = { 0 }, again[RECORD_SIZE];
        char serial[BERTH_TEXT_MAX];
        const char *field;
        berth_owner owner;
        size_t max;

        memcpy(record, data, size < RECORD_SIZE ? size : RECORD_SIZE);
        if (record_serial(record, serial) == 0)
                CHECK(text_is_printable(serial));
        if (record_owner(record, &owner) < 0)
                return;
        CHECK(text_is_printable(owner.officer_name) && text_is_printable(owner.unit_name));
        memcpy(again, record, sizeof(again));
        CHECK(record_set_owner(again, &owner, &field, &max) == 0 && memcmp(again, record, sizeof(again)) == 0);
        (void) snprintf(owner.unit_id, BERTH_TEXT_MAX, "D12");
        CHECK(record_set_owner(again, &owner, &field, &max) == 0);
        CHECK(memcmp(again, record, 52) == 0 && memcmp(again + 68, record + 68, 32) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        switch (data[0]) {
        case 'a':
                converse(data + 1, size - 1, "dialect=a");
                break;
        case 'b':
                converse(data + 1, size - 1, "dialect=b");
                break;
        case 'c':
                converse(data + 1, size - 1, "dialect=c");
                break;
        case 'r':
                records(data + 1, size - 1);
                break;
        default:
                return -1;
        }
        return 0;
}
