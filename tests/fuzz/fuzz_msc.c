/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mass-storage camera sends: sense data and partition tables alone, and the whole msc plugin in conversation with a
 * device that does right or wrong, command by command, over a card of which the input says what is on it. The first byte
 * chooses; see tests/fuzz/seeds_msc.py.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <berth/plugin.h>

#include "../plugins/msc/bytes.h"
#include "../plugins/msc/partition.h"
#include "../plugins/msc/sense.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                          \
        do {                                                                                                      \
                if (!(condition))                                                                                 \
                        abort();                                                                                  \
        } while (0)

#define PACKET 64u
#define WRITTEN_MAX 256u
#define COMMANDS_MAX 4000u /* then it is unplugged: an input is not to take minutes */

/* ---- A card made of the input ---- */

/* Sectors, each as number, length and bytes; what is not there is zeros. What is written is kept up to a limit, then forgotten. */
typedef struct Card {
        const uint8_t *patches;
        size_t size;
        uint32_t sector_bytes;
        uint64_t n_sectors;
        struct {
                uint64_t sector;
                uint8_t data[4096];
        } *written;
        size_t n_written;
} Card;

static void card_read(const Card *c, uint64_t sector, uint8_t *ret) {
        const uint8_t *p = c->patches;
        size_t left = c->size;

        memset(ret, 0, c->sector_bytes);
        while (left >= 6) {
                size_t n = get_le16(p + 4) < left - 6 ? get_le16(p + 4) : left - 6;

                /* The last sectors are counted from the end: a backup table lies there whatever the size. */
                if (get_le32(p) == sector || (get_le32(p) >= 0xFFFFFF00u && get_le32(p) == (uint32_t) (sector - c->n_sectors)))
                        memcpy(ret, p + 6, n < c->sector_bytes ? n : c->sector_bytes);
                p += 6 + n;
                left -= 6 + n;
        }
        for (size_t i = 0; i < c->n_written; i++)
                if (c->written[i].sector == sector)
                        memcpy(ret, c->written[i].data, c->sector_bytes);
}

static void card_write(Card *c, uint64_t sector, const uint8_t *data) {
        if (c->n_written == WRITTEN_MAX)
                return;
        c->written[c->n_written].sector = sector;
        memcpy(c->written[c->n_written++].data, data, c->sector_bytes);
}

/* ---- A device made of the input ---- */

enum Wrong {
        RIGHT,
        CHECK_CONDITION,
        STALL_DATA,
        STALL_STATUS,
        PHASE_ERROR,
        WRONG_TAG,
        HALF_THE_DATA,
        SILENT,
        RESIDUE,
        UNPLUG,
        TOO_MUCH_DATA,
        STATUS_FOR_DATA,
        STALL_COMMAND,
        OTHER_DATA,
};

struct berth_host {
        Card card;
        const uint8_t *wrongs;
        size_t n_wrongs;
        unsigned n_units, commands;
        uint64_t now_usec, asked, delivered;

        enum Wrong wrong;
        unsigned detail;
        uint32_t tag, length, sent, received;
        uint8_t cdb[16], sense_key;
        bool busy, stalls, unplugged, status_stalls;
        uint8_t *data; /* of the command under way */
        size_t data_size;
};

static void take_range(const berth_host *h, uint64_t *ret_sector, uint64_t *ret_n) {
        bool wide = h->cdb[0] & 0x80;

        *ret_sector = wide ? get_be64(h->cdb + 2) : get_be32(h->cdb + 2);
        *ret_n = wide ? get_be32(h->cdb + 10) : get_be16(h->cdb + 7);
}

static void answer_bytes(berth_host *h, const void *bytes, size_t size) {
        h->data_size = size < h->length ? size : h->length;
        memcpy(h->data, bytes, h->data_size);
}

static void prepare(berth_host *h) {
        uint8_t text[36] = "\0\x80\x05\x02\x1f\0\0\0ACME    Card            1.0 ", sense[18] = { 0x70, 0, h->sense_key, [7] = 10 };
        uint8_t capacity[32] = { 0 };
        uint64_t sector, n;

        h->data_size = 0;
        switch (h->cdb[0]) {
        case 0x12:
                answer_bytes(h, text, sizeof(text));
                break;
        case 0x03:
                answer_bytes(h, sense, sizeof(sense));
                break;
        case 0x1A:
                answer_bytes(h, "\3\0\0\0", 4);
                break;
        case 0x25:
                put_be32(capacity, h->card.n_sectors > UINT32_MAX ? UINT32_MAX : (uint32_t) (h->card.n_sectors - 1));
                put_be32(capacity + 4, h->card.sector_bytes);
                answer_bytes(h, capacity, 8);
                break;
        case 0x9E:
                put_be64(capacity, h->card.n_sectors - 1);
                put_be32(capacity + 8, h->card.sector_bytes);
                answer_bytes(h, capacity, 32);
                break;
        case 0x28:
        case 0x88:
                take_range(h, &sector, &n);
                CHECK(sector < h->card.n_sectors && n <= h->card.n_sectors - sector && n * h->card.sector_bytes == h->length);
                for (uint64_t i = 0; i < n; i++)
                        card_read(&h->card, sector + i, h->data + i * h->card.sector_bytes);
                h->data_size = h->length;
                break;
        case 0x2A:
        case 0x8A:
                take_range(h, &sector, &n);
                CHECK(sector < h->card.n_sectors && n <= h->card.n_sectors - sector && n * h->card.sector_bytes == h->length);
                break;
        default:
                break;
        }
}

static void spoil(berth_host *h) {
        switch (h->wrong) {
        case CHECK_CONDITION:
                h->sense_key = (uint8_t) h->detail;
                /* fall through */
        case STALL_DATA:
                h->data_size = h->data_size / 2 / PACKET * PACKET;
                h->stalls = h->length > 0;
                break;
        case HALF_THE_DATA:
                h->data_size /= 2;
                break;
        case STATUS_FOR_DATA:
                h->data_size = 0;
                break;
        case TOO_MUCH_DATA:
                memset(h->data + h->data_size, 0xEE, PACKET);
                h->data_size += PACKET;
                break;
        case OTHER_DATA:
                memset(h->data, (int) (h->detail * 17), h->data_size);
                break;
        default:
                break;
        }
}

static ssize_t take_command(berth_host *h, const uint8_t *cbw, size_t length) {
        CHECK(length == 31 && get_le32(cbw) == UINT32_C(0x43425355) && cbw[13] < h->n_units && cbw[14] >= 6 && cbw[14] <= 16);
        h->tag = get_le32(cbw + 4);
        h->length = get_le32(cbw + 8);
        memcpy(h->cdb, cbw + 15, sizeof(h->cdb));
        h->wrong = RIGHT;
        h->detail = 0;
        if (h->n_wrongs > 0) {
                h->wrong = (enum Wrong) (*h->wrongs & 15);
                h->detail = *h->wrongs++ >> 4;
                h->n_wrongs--;
        }
        CHECK(h->length <= 8u << 20);
        if (h->wrong == STALL_COMMAND)
                return -EPIPE;
        free(h->data);
        h->data = calloc(1, (size_t) h->length + 2 * PACKET);
        CHECK(h->data);
        h->busy = true;
        h->stalls = false;
        h->status_stalls = h->wrong == STALL_STATUS;
        h->sent = h->received = 0;
        prepare(h);
        spoil(h);
        return (ssize_t) length;
}

static ssize_t take_data(berth_host *h, const uint8_t *data, size_t length) {
        CHECK(length <= h->length - h->received);
        if (h->stalls) {
                h->stalls = false;
                return -EPIPE;
        }
        memcpy(h->data + h->received, data, length);
        h->received += (uint32_t) length;
        if (h->received == h->length) {
                uint64_t sector, n;

                take_range(h, &sector, &n);
                for (uint64_t i = 0; i < n; i++)
                        card_write(&h->card, sector + i, h->data + i * h->card.sector_bytes);
        }
        return (ssize_t) length;
}

static size_t give_status(berth_host *h, uint8_t *ret) {
        uint32_t moved = h->received > h->sent ? h->received : h->sent;

        put_le32(ret, UINT32_C(0x53425355));
        put_le32(ret + 4, h->wrong == WRONG_TAG ? h->tag + 1 : h->tag);
        put_le32(ret + 8, h->wrong == RESIDUE ? h->detail : h->length - (moved < h->length ? moved : h->length));
        ret[12] = h->wrong == PHASE_ERROR ? 2 : h->wrong == CHECK_CONDITION || h->wrong == STALL_DATA;
        h->busy = false;
        return 13;
}

/* Packet by packet, as a transfer on the wire: a short one ends it. */
static ssize_t give(berth_host *h, uint8_t *data, size_t length) {
        size_t moved = 0;

        while (length - moved >= PACKET) {
                size_t n = h->data_size - h->sent;

                if (!h->busy || h->wrong == SILENT)
                        return moved > 0 ? (ssize_t) moved : -ETIMEDOUT;
                if (n == 0 && (h->stalls || h->status_stalls)) {
                        h->stalls ? (h->stalls = false) : (h->status_stalls = false);
                        return -EPIPE;
                }
                if (n == 0)
                        return (ssize_t) (moved + give_status(h, data + moved));
                n = n < PACKET ? n : PACKET;
                memcpy(data + moved, h->data + h->sent, n);
                h->sent += (uint32_t) n;
                moved += n;
                if (n < PACKET)
                        break;
        }
        return (ssize_t) moved;
}

ssize_t berth_host_bulk(berth_host *h, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec) {
        ssize_t n;

        CHECK(timeout_msec > 0);
        h->now_usec += 100;
        if (h->unplugged || h->commands > COMMANDS_MAX || (h->busy && h->wrong == UNPLUG)) {
                h->unplugged = true;
                return -ENODEV;
        }
        if (endpoint == 0x02) {
                h->commands++;
                return h->busy ? take_data(h, data, length) : take_command(h, data, length);
        }
        CHECK(endpoint == 0x81 && length % PACKET == 0);
        n = give(h, data, length);
        if (n == -ETIMEDOUT)
                h->now_usec += timeout_msec * 1000u;
        return n;
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

        CHECK(length > 0 && length % PACKET == 0 && length <= h->asked - h->delivered);
        while (moved < length) {
                uint8_t packet[PACKET];
                ssize_t n = berth_host_bulk(h, endpoint, packet, PACKET, timeout_msec);

                if (n < 0)
                        return n;
                moved += (uint64_t) n;
                h->delivered += (uint64_t) n;
                if ((size_t) n < PACKET)
                        break;
        }
        return (int64_t) moved;
}

void berth_host_unreadable(berth_host *h, uint64_t offset, uint64_t length) {
        CHECK(length > 0 && offset + length >= offset);
        (void) h;
}

int berth_host_control(berth_host *h, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index, void *data,
                       uint16_t length, unsigned timeout_msec) {
        CHECK(timeout_msec > 0 && value == 0 && index == 0);
        if (h->unplugged)
                return -ENODEV;
        if (request == 0xFF) {
                CHECK(request_type == 0x21 && length == 0);
                h->busy = false;
                return h->detail == 15 ? -EPIPE : 0;
        }
        CHECK(request_type == 0xA1 && request == 0xFE && length == 1);
        *(uint8_t *) data = (uint8_t) (h->n_units - 1);
        return 1;
}

int berth_host_clear_halt(berth_host *h, uint8_t endpoint) {
        CHECK(endpoint == 0x81 || endpoint == 0x02);
        return h->unplugged ? -ENODEV : 0;
}

int berth_host_reset(berth_host *h) {
        h->busy = false;
        return h->unplugged ? -ENODEV : 0;
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
        *ret = (berth_usb_interface){ .class_code = 8, .subclass = 6, .protocol = 0x50, .bulk_in = 0x81, .bulk_out = 0x02,
                                      .bulk_in_packet = PACKET, .bulk_out_packet = PACKET };
        return 0;
}

int berth_host_string(berth_host *h, int which, char ret[BERTH_TEXT_MAX]) {
        (void) h, (void) which;
        ret[0] = '\0';
        return 0;
}

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
        char line[1024];
        va_list ap;

        (void) h, (void) level;
        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
}

uint64_t berth_host_boottime_usec(void) {
        static uint64_t now;

        return now += 1000;
}

int64_t berth_host_local_to_utc(int64_t wall_sec) {
        return wall_sec;
}

#define IMAGE_SIZE UINT64_C(70000)

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

/* ---- The conversation ---- */

static void check_text(const char *text) {
        CHECK(text_is_utf8(text, strnlen(text, BERTH_TEXT_MAX)) && text_is_printable(text));
}

#define READ_MAX (4u << 20)

static void use_clip(berth_host *h, void *state, const berth_clip *clip) {
        uint64_t length = clip->size_bytes < READ_MAX ? clip->size_bytes : READ_MAX;
        int r;

        h->delivered = 0;
        h->asked = length;
        r = berth_plugin_entry.read(state, clip, clip->size_bytes - length, length);
        if (r == 0)
                CHECK(h->delivered == length);
        (void) berth_plugin_entry.erase(state, clip);
}

static void converse(berth_host *h) {
        static const char *const options[] = { "ready-msec=0", "timeout-msec=100", "erase-dirty=yes", NULL };
        berth_identity who;
        berth_health health;
        void *state;

        if (berth_plugin_entry.open(h, options, &state) < 0)
                return;
        if (berth_plugin_entry.identify(state, &who) == 0) {
                check_text(who.manufacturer);
                check_text(who.model);
                check_text(who.serial);
                check_text(who.firmware);
                check_text(who.storage_id);
        }
        if (berth_plugin_entry.health(state, &health) == 0 && (health.known & BERTH_HEALTH_STORAGE))
                CHECK(health.storage_free_bytes <= health.storage_total_bytes);
        n_clips = 0;
        (void) berth_plugin_entry.list(state);
        for (size_t i = 0; i < n_clips; i++)
                use_clip(h, state, &clips[i]);
        (void) berth_plugin_entry.drop(state, "UPDATE/FW.BIN", IMAGE_SIZE);
        (void) berth_plugin_entry.restart(state);
        berth_plugin_entry.close(state);
}

/* How many commands go wrong and how, the number of units, what a sector has, and how many there are; then the card. */
static void use_device(const uint8_t *data, size_t size) {
        berth_host h = { 0 };

        if (size < 1 || size - 1 < (size_t) data[0] + 7)
                return;
        h.wrongs = data + 1;
        h.n_wrongs = data[0];
        data += 1 + h.n_wrongs;
        size -= 1 + h.n_wrongs;
        h.n_units = data[0] % 3 + 1u;
        h.card.sector_bytes = 512u << data[1] % 4;
        h.card.n_sectors = ((uint64_t) get_le32(data + 2) + 1) << data[6] % 8;
        h.card.patches = data + 7;
        h.card.size = size - 7;
        h.card.written = calloc(WRITTEN_MAX, sizeof(h.card.written[0]));
        CHECK(h.card.written);
        converse(&h);
        free(h.card.written);
        free(h.data);
}

/* ---- Parsers alone ---- */

static int disk_read(void *userdata, uint64_t sector, uint32_t n, void *ret) {
        const Card *c = userdata;

        CHECK(sector < c->n_sectors && n <= c->n_sectors - sector);
        for (uint32_t i = 0; i < n; i++)
                card_read(c, sector + i, (uint8_t *) ret + (size_t) i * c->sector_bytes);
        return 0;
}

static void use_table(const uint8_t *data, size_t size) {
        Partitions found = { .n = 0 };
        const char *why = NULL;
        Card card;
        Disk disk;
        int r;

        if (size < 6)
                return;
        card = (Card){ .sector_bytes = 512u << data[0] % 4, .n_sectors = ((uint64_t) get_le32(data + 1) + 1) << data[5] % 8,
                       .patches = data + 6, .size = size - 6 };
        disk = (Disk){ .userdata = &card, .sector_bytes = card.sector_bytes, .n_sectors = card.n_sectors, .read = disk_read };
        r = partitions_read(&disk, &found, &why);
        CHECK(why && found.n <= PARTITIONS_MAX);
        for (size_t i = 0; r == 0 && i < found.n; i++) {
                const Partition *p = &found.items[i];

                CHECK(p->n_sectors > 0 && p->sector < card.n_sectors && p->n_sectors <= card.n_sectors - p->sector);
                for (size_t k = 0; k < i; k++)
                        CHECK(p->sector >= found.items[k].sector + found.items[k].n_sectors ||
                              found.items[k].sector >= p->sector + p->n_sectors);
        }
}

static void use_sense(const uint8_t *data, size_t size) {
        Sense sense;

        if (sense_parse(data, size, &sense) < 0)
                return;
        CHECK(sense_error(&sense) <= 0 && sense_text(&sense)[0] != '\0');
        (void) sense_is_reset(&sense);
        (void) sense_wants_start(&sense);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        switch (data[0]) {
        case 0:
                use_sense(data + 1, size - 1);
                break;
        case 1:
                use_table(data + 1, size - 1);
                break;
        case 2:
                use_device(data + 1, size - 1);
                break;
        default:
                return -1;
        }
        return 0;
}
