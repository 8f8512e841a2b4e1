/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PTP camera sends: each parser of the mtp plugin alone, and the whole plugin in conversation with a camera
 * that says whatever the input holds. The first byte chooses; see tests/fuzz/seeds_ptp.py.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <berth/plugin.h>

#include "../plugins/mtp/datasets.h"
#include "../plugins/mtp/mtp.h"
#include "../plugins/mtp/ptp_date.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition))                                                                                 \
                        abort();                                                                                  \
        } while (0)

/* ---- A camera made of the input ---- */

/*
 * The input is read packet by packet: one byte of flags, two of length, then that many bytes. Without the right
 * transaction id and type nothing would ever come past the container layer, so flags may ask to have them filled in.
 */
#define FLAG_ANSWER 0x01 /* make it a response to the last command */
#define FLAG_DATA 0x02   /* make it the data of the last command */
#define FLAG_STALL 0x04
#define FLAG_SILENT 0x08
#define FLAG_UNPLUG 0x10

#define PACKET 64u

struct berth_host {
        const uint8_t *data;
        size_t size;
        uint8_t command[PTP_HEADER_SIZE];
        uint64_t now_usec, asked, delivered;
        bool ended;
};

static size_t take_packet(berth_host *h, uint8_t *ret, uint8_t *ret_flags) {
        size_t n;

        if (h->size < 3) {
                h->size = 0;
                h->ended = true;
                return 0;
        }
        *ret_flags = h->data[0];
        n = (size_t) (h->data[1] | h->data[2] << 8) % (PACKET + 1);
        h->data += 3;
        h->size -= 3;
        n = n < h->size ? n : h->size;
        memcpy(ret, h->data, n);
        h->data += n;
        h->size -= n;
        if ((*ret_flags & (FLAG_ANSWER | FLAG_DATA)) && n >= PTP_HEADER_SIZE) {
                memcpy(ret + 8, h->command + 8, 4);
                ret[4] = *ret_flags & FLAG_DATA ? PTP_DATA : PTP_RESPONSE;
                ret[5] = 0;
                if (*ret_flags & FLAG_DATA)
                        memcpy(ret + 6, h->command + 6, 2);
        }
        return n;
}

static ssize_t read_in(berth_host *h, uint8_t *data, size_t length, unsigned timeout_msec) {
        size_t moved = 0;

        CHECK(timeout_msec > 0 && length % PACKET == 0);
        while (length - moved >= PACKET) {
                uint8_t flags = 0, packet[PACKET];
                size_t n = take_packet(h, packet, &flags);

                h->now_usec += 50;
                if (h->ended || (flags & FLAG_SILENT)) {
                        h->now_usec += timeout_msec * 1000u;
                        return moved > 0 ? (ssize_t) moved : -ETIMEDOUT;
                }
                if (flags & FLAG_STALL)
                        return -EPIPE;
                if (flags & FLAG_UNPLUG)
                        return -ENODEV;
                memcpy(data + moved, packet, n);
                moved += n;
                if (n < PACKET)
                        break;
        }
        return (ssize_t) moved;
}

ssize_t berth_host_bulk(berth_host *h, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        if (endpoint == 0x81)
                return read_in(h, data, length, timeout_msec);
        if (length >= PTP_HEADER_SIZE)
                memcpy(h->command, data, PTP_HEADER_SIZE);
        return (ssize_t) length;
}

int berth_host_deliver(berth_host *h, const void *data, size_t length) {
        static volatile uint8_t sink;

        CHECK(length <= h->asked - h->delivered);
        for (size_t i = 0; i < length; i++)
                sink = ((const uint8_t *) data)[i];
        (void) sink;
        h->delivered += length;
        return 0;
}

int64_t berth_host_deliver_bulk(berth_host *h, uint8_t endpoint, uint64_t length, unsigned timeout_msec) {
        uint64_t moved = 0;

        CHECK(endpoint == 0x81 && length > 0 && length % PACKET == 0);
        CHECK(length <= h->asked - h->delivered);
        while (moved < length) {
                uint8_t packet[PACKET];
                ssize_t n = read_in(h, packet, PACKET, timeout_msec);

                if (n < 0)
                        return n;
                moved += (uint64_t) n;
                if ((size_t) n < PACKET)
                        break;
        }
        h->delivered += moved;
        return (int64_t) moved;
}

int berth_host_control(berth_host *h, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data,
                       uint16_t length, unsigned timeout_msec) {
        (void) request_type, (void) value, (void) index;
        h->now_usec += 50;
        CHECK(timeout_msec > 0);
        if (request != 0x67)
                return length;
        if (h->size == 0 || length < 4)
                return -EPIPE;
        /* Never "busy": the plugin would really wait. */
        memset(data, h->data[0] & 0x7F, 4);
        return h->data[0] % 5;
}

int berth_host_clear_halt(berth_host *h, uint8_t endpoint) {
        (void) endpoint;
        return h->ended ? -ENODEV : 0;
}

int berth_host_reset(berth_host *h) {
        return h->size % 2 ? 0 : -ENODEV;
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
        *ret = (berth_usb_interface){ .class_code = 6, .subclass = 1, .protocol = 1, .bulk_in = 0x81, .bulk_out = 0x02,
                                      .bulk_in_packet = PACKET, .bulk_out_packet = PACKET };
        return 0;
}

int berth_host_string(berth_host *h, int which, char ret[BERTH_TEXT_MAX]) {
        (void) h, (void) which;
        ret[0] = '\0';
        return 0;
}

#define IMAGE_SIZE UINT64_C(70000) /* of more than one piece */
#define CLIPS_KEPT 4u
static berth_clip clips[CLIPS_KEPT];
static size_t n_clips;

int berth_host_clip(berth_host *h, const berth_clip *clip) {
        (void) h;
        CHECK(text_path_is_valid(clip->path));
        if (n_clips < CLIPS_KEPT) {
                clips[n_clips] = *clip;
                clips[n_clips++].path = "clip";
        }
        return 0;
}

ssize_t berth_host_escape(const void *name, size_t length, char *ret, size_t ret_size) {
        return text_escape_name(name, length, ret, ret_size);
}

void berth_host_log(berth_host *h, int level, const char *format, ...) {
        (void) h, (void) level, (void) format;
}

/* A zone that is an hour ahead of UTC, always. */
int64_t berth_host_local_to_utc(int64_t wall_sec) {
        return wall_sec - 3600;
}

int64_t berth_host_utc_to_local(int64_t unix_sec) {
        return unix_sec + 3600;
}

uint64_t berth_host_boottime_usec(void) {
        static uint64_t now;

        return now += 1000;
}

ssize_t berth_host_image(berth_host *h, uint64_t offset, void *data, size_t length) {
        (void) h;
        CHECK(offset + length <= IMAGE_SIZE);
        memset(data, 'F', length);
        return (ssize_t) length;
}

void berth_host_sent(berth_host *h, uint64_t bytes) {
        (void) h;
        (void) bytes;
}

void berth_host_alive(berth_host *h) {
        (void) h;
}

static void check_text(const char *text) {
        CHECK(text_is_utf8(text, strnlen(text, BERTH_TEXT_MAX)) && text_is_printable(text));
}

static void converse(const uint8_t *data, size_t size, const char *mode) {
        const char *const options[] = { "busy-msec=0", mode, NULL };
        berth_host host = { .data = data, .size = size };
        berth_identity who;
        berth_health health;
        void *state;

        if (berth_plugin_entry.open(&host, options, &state) < 0)
                return;
        if (berth_plugin_entry.identify(state, &who) == 0) {
                check_text(who.manufacturer);
                check_text(who.serial);
                check_text(who.storage_id);
        }
        if (berth_plugin_entry.health(state, &health) == 0 && (health.known & BERTH_HEALTH_BATTERY))
                CHECK(health.battery_percent <= 100);
        (void) berth_plugin_entry.set_clock(state, 1795425300);
        n_clips = 0;
        (void) berth_plugin_entry.list(state);
        for (size_t i = 0; i < n_clips; i++) {
                bool known = !(clips[i].flags & BERTH_CLIP_SIZE_UNKNOWN);
                int r;

                host.delivered = 0;
                host.asked = known ? clips[i].size_bytes : UINT64_MAX;
                r = berth_plugin_entry.read(state, &clips[i], 0, host.asked);
                if (r == 0 && known)
                        CHECK(host.delivered == host.asked);
                (void) berth_plugin_entry.erase(state, &clips[i]);
        }
        if (berth_plugin_entry.drop(state, "UPDATE/FW.BIN", IMAGE_SIZE) == 0)
                (void) berth_plugin_entry.restart(state);
        berth_plugin_entry.close(state);
}

/* ---- The parsers alone ---- */

static void parse_device_info(const uint8_t *data, size_t size) {
        static DeviceInfo info;
        char text[BERTH_TEXT_MAX];

        if (ptp_device_info_parse(data, size, &info) < 0)
                return;
        ptp_string_to_text(&info.serial, text, sizeof(text));
        check_text(text);
        (void) ptp_device_info_is_mtp(&info);
}

static void parse_infos(const uint8_t *data, size_t size) {
        StorageInfo storage;
        ObjectInfo object;
        char name[BERTH_PATH_MAX];
        ssize_t n;

        (void) ptp_storage_info_parse(data, size, &storage);
        if (ptp_object_info_parse(data, size, &object) < 0)
                return;
        n = berth_host_escape(object.name.text, object.name.size, name, sizeof(name));
        CHECK(n > 0 && text_path_is_valid(name));
}

static void parse_property(const uint8_t *data, size_t size) {
        PropertyDesc desc;
        PropertyValue value;
        uint8_t percent;

        if (ptp_property_desc_parse(data, size, &desc) == 0 && mtp_battery_percent(&desc, &percent) == 0)
                CHECK(percent <= 100);
        if (size > 2)
                (void) ptp_property_value_parse(data + 2, size - 2, (uint16_t) (data[0] | data[1] << 8), &value);
}

static int on_prop(void *userdata, const ObjectProp *prop) {
        (void) userdata;
        return prop->handle == 0x0BADBEEF ? -ECANCELED : 0;
}

static void parse_lists(const uint8_t *data, size_t size) {
        uint32_t *ids = NULL;
        size_t n;

        (void) ptp_object_prop_list_parse(data, size, on_prop, NULL);
        if (ptp_id_array_parse(data, size, 1024, &ids, &n) == 0)
                free(ids);
}

static void parse_date(const uint8_t *data, size_t size) {
        char text[PTP_DATE_SIZE];
        PtpDate date, again;

        if (ptp_date_parse((const char *) data, size, 0, &date) < 0 || ptp_date_format(date.unix_sec, 0, true, text) < 0)
                return;
        CHECK(ptp_date_parse(text, strlen(text), 0, &again) == 0 && again.unix_sec == date.unix_sec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        switch (data[0]) {
        case 0:
                parse_device_info(data + 1, size - 1);
                break;
        case 1:
                parse_infos(data + 1, size - 1);
                break;
        case 2:
                parse_property(data + 1, size - 1);
                break;
        case 3:
                parse_lists(data + 1, size - 1);
                break;
        case 4:
                parse_date(data + 1, size - 1);
                break;
        case 5:
                converse(data + 1, size - 1, "no-partial=no");
                break;
        case 6:
                converse(data + 1, size - 1, "no-partial=yes");
                break;
        case 7:
                converse(data + 1, size - 1, "no-cancel=yes");
                break;
        default:
                return -1;
        }
        return 0;
}
