/* SPDX-License-Identifier: Apache-2.0 */
#include "bot.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "bytes.h"

#define CBW_SIGNATURE UINT32_C(0x43425355)
#define CSW_SIGNATURE UINT32_C(0x53425355)
#define CBW_SIZE 31u
#define CSW_SIZE 13u

#define CSW_GOOD 0
#define CSW_FAILED 1
#define CSW_PHASE_ERROR 2

#define REQUEST_RESET 0xFF
#define REQUEST_MAX_LUN 0xFE
#define REQUEST_TO_INTERFACE 0x21 /* class, host to device */
#define REQUEST_OF_INTERFACE 0xA1 /* class, device to host */
#define CONTROL_TIMEOUT_MSEC 3000u

#define CLASS_RESETS_MAX 1u /* in a row; then the USB device is reset */
#define TROUBLES_MAX 4u

/* How a data phase went. */
typedef struct DataPhase {
        uint32_t moved;
        uint8_t csw[BOT_PACKET_MAX]; /* what came behind the data */
        size_t csw_size;
        bool has_csw;
        bool beyond; /* a whole packet came in its place */
} DataPhase;

void bot_pause(unsigned msec) {
        (void) poll(NULL, 0, (int) msec);
}

/* ---- Recovery ---- */

static int class_reset(BotLink *link) {
        int r;

        r = berth_host_control(link->host, REQUEST_TO_INTERFACE, REQUEST_RESET, 0, link->interface, NULL, 0,
                               CONTROL_TIMEOUT_MSEC);
        if (r < 0)
                return r;
        r = berth_host_clear_halt(link->host, link->bulk_in);
        if (r < 0)
                return r;
        return berth_host_clear_halt(link->host, link->bulk_out);
}

static int device_reset(BotLink *link) {
        int r;

        r = berth_host_reset(link->host);
        if (r < 0)
                return r;
        link->resets++;
        return 0;
}

int bot_recover(BotLink *link) {
        int r = -EPROTO;

        if (link->dead)
                return -ECONNABORTED;
        berth_host_alive(link->host);
        if (link->troubles < CLASS_RESETS_MAX)
                r = class_reset(link);
        if (r < 0 && r != -ENODEV && link->troubles < TROUBLES_MAX)
                r = device_reset(link);
        link->troubles++;
        if (r < 0)
                link->dead = true;
        return r;
}

int bot_luns(BotLink *link, unsigned *ret) {
        uint8_t max = 0;
        int r;

        r = berth_host_control(link->host, REQUEST_OF_INTERFACE, REQUEST_MAX_LUN, 0, link->interface, &max, 1,
                               CONTROL_TIMEOUT_MSEC);
        if (r == -ENODEV)
                return r;
        /* Some stall it, some answer nothing, some are silent: all of those have one. */
        if (r != 1)
                max = 0;
        if (max >= BOT_LUNS_MAX)
                return -EBADMSG;
        *ret = max + 1u;
        return 0;
}

/* ---- One command ---- */

static ssize_t move(BotLink *link, uint8_t endpoint, void *data, size_t size) {
        return berth_host_bulk(link->host, endpoint, data, size, link->timeout_msec);
}

static int send_cbw(BotLink *link, const BotCommand *c, uint32_t tag) {
        uint8_t cbw[CBW_SIZE] = { 0 };
        ssize_t n;

        put_le32(cbw, CBW_SIGNATURE);
        put_le32(cbw + 4, tag);
        put_le32(cbw + 8, c->size);
        cbw[12] = c->direction == BOT_IN ? 0x80 : 0;
        cbw[13] = c->lun;
        cbw[14] = c->cdb_size;
        memcpy(cbw + 15, c->cdb, c->cdb_size);
        n = move(link, link->bulk_out, cbw, sizeof(cbw));
        /* It does not take a valid wrapper: only Reset Recovery helps (§6.6.1). */
        if (n == -EPIPE)
                return -EPROTO;
        if (n < 0)
                return (int) n;
        return (size_t) n == sizeof(cbw) ? 0 : -ETIMEDOUT;
}

static bool is_csw(const uint8_t *data, size_t size, uint32_t tag) {
        return size == CSW_SIZE && get_le32(data) == CSW_SIGNATURE && get_le32(data + 4) == tag;
}

/* A halted endpoint ends a data phase; the status follows (§6.7). */
static int end_by_stall(BotLink *link, uint8_t endpoint) {
        return berth_host_clear_halt(link->host, endpoint);
}

static void keep_csw(DataPhase *p, const uint8_t *data, size_t size) {
        memcpy(p->csw, data, size);
        p->csw_size = size;
        p->has_csw = true;
}

/* Straight into the clip. 1: the data phase is over. */
static int data_deliver(BotLink *link, const BotCommand *c, DataPhase *p) {
        int64_t n;
        int r;

        n = berth_host_deliver_bulk(link->host, link->bulk_in, c->deliver, link->timeout_msec);
        if (n == -EPIPE) {
                r = end_by_stall(link, link->bulk_in);
                return r < 0 ? r : 1;
        }
        if (n < 0)
                return (int) n;
        if ((uint64_t) n > c->deliver)
                return -EIO;
        p->moved += (uint32_t) n;
        return (uint64_t) n < c->deliver;
}

/*
 * One transfer into memory. When the rest of the data fills its packets, the status, which is always a short packet, ends
 * the same transfer: that saves a round trip. 1: the data phase is over.
 */
static int data_step(BotLink *link, const BotCommand *c, uint32_t tag, DataPhase *p) {
        uint32_t left = c->size - p->moved, step = left < BOT_STEP_MAX ? left : BOT_STEP_MAX;
        uint32_t kept = p->moved - c->deliver, got;
        size_t packet = link->packet_in, want = (step + packet - 1) / packet * packet;
        bool status_too = step == left && step == want && !link->status_apart;
        ssize_t n;
        int r;

        if (status_too)
                want += packet;
        n = move(link, link->bulk_in, link->buffer, want);
        if (n == -EPIPE) {
                /* What came before the stall is lost to us: a device that stalls before each status is read another way. */
                link->status_apart |= status_too;
                r = end_by_stall(link, link->bulk_in);
                return r < 0 ? r : 1;
        }
        if (n < 0)
                return (int) n;
        if ((size_t) n > want || ((size_t) n > step && !status_too))
                return -EOVERFLOW;
        /* Some devices that have no data send the status in its place. */
        if (is_csw(link->buffer, (size_t) n, tag)) {
                keep_csw(p, link->buffer, (size_t) n);
                return 1;
        }
        got = (size_t) n < step ? (uint32_t) n : step;
        if (c->receive)
                memcpy((uint8_t *) c->receive + kept, link->buffer, got);
        p->moved += got;
        p->beyond = (size_t) n > step && (size_t) n == want;
        if ((size_t) n > step && !p->beyond)
                keep_csw(p, link->buffer + step, (size_t) n - step);
        return (size_t) n < want;
}

static int data_in(BotLink *link, const BotCommand *c, uint32_t tag, DataPhase *p) {
        int r = 0;

        if (c->deliver > 0)
                r = data_deliver(link, c, p);
        while (r == 0 && p->moved < c->size)
                r = data_step(link, c, tag, p);
        return r < 0 ? r : 0;
}

static int data_out(BotLink *link, const BotCommand *c, DataPhase *p) {
        while (p->moved < c->size) {
                uint32_t left = c->size - p->moved, step = left < BOT_STEP_MAX ? left : BOT_STEP_MAX;
                ssize_t n;

                memcpy(link->buffer, (const uint8_t *) c->send + p->moved, step);
                n = move(link, link->bulk_out, link->buffer, step);
                if (n == -EPIPE)
                        return end_by_stall(link, link->bulk_out);
                if (n < 0)
                        return (int) n;
                if ((size_t) n != step)
                        return -ETIMEDOUT;
                p->moved += step;
        }
        return 0;
}

/* Reads the status wrapper unless it came already. Once each: a halt before it (§6.7.2), an empty packet behind the data. */
static int receive_csw(BotLink *link, DataPhase *p) {
        bool halted = false, empty = false;

        while (!p->has_csw) {
                ssize_t n = move(link, link->bulk_in, link->buffer, link->packet_in);

                if (n == -EPIPE && !halted) {
                        int r = berth_host_clear_halt(link->host, link->bulk_in);

                        if (r < 0)
                                return r;
                        halted = true;
                } else if (n == 0 && !empty)
                        empty = true;
                else if (n < 0)
                        return n == -EPIPE ? -EPROTO : (int) n;
                else
                        keep_csw(p, link->buffer, (size_t) n < sizeof(p->csw) ? (size_t) n : sizeof(p->csw));
        }
        return 0;
}

/* §6.3: valid (size, signature, tag), and meaningful (status, residue). */
static int check_csw(BotLink *link, const BotCommand *c, uint32_t tag, const DataPhase *p, BotResult *ret) {
        uint32_t residue, said;
        uint8_t status;

        if (!is_csw(p->csw, p->csw_size, tag))
                return -EBADMSG;
        residue = get_le32(p->csw + 8);
        status = p->csw[12];
        if (status == CSW_PHASE_ERROR)
                return -EPROTO;
        /* Who fails may fill up what was asked for, and QEMU's disk fills up the whole transfer. Nobody else has more data. */
        if (status > CSW_PHASE_ERROR || (p->beyond && status != CSW_FAILED))
                return -EBADMSG;
        if (link->ignore_residue)
                residue = 0;
        if (residue > c->size)
                return -EBADMSG;
        said = c->size - residue;
        *ret = (BotResult){ .failed = status == CSW_FAILED, .moved = p->moved < said ? p->moved : said };
        return 0;
}

/* Short data and a residue of what was sent nevertheless: INQUIRY always moves all of its 36 bytes. */
static void learn_residue(BotLink *link, const BotCommand *c, const DataPhase *p, BotResult *result) {
        if (c->cdb[0] != 0x12 || c->cdb[1] != 0 || c->size != 36 || result->failed || p->moved != c->size ||
            result->moved == c->size)
                return;
        link->ignore_residue = true;
        result->moved = c->size;
        berth_host_log(link->host, BERTH_LOG_DEBUG, "the device's residues mean nothing and are not looked at");
}

static int exchange(BotLink *link, const BotCommand *c, uint32_t tag, BotResult *ret) {
        DataPhase p;
        int r;

        p.moved = 0;
        p.csw_size = 0;
        p.has_csw = p.beyond = false;
        r = send_cbw(link, c, tag);
        if (r < 0)
                return r;
        if (c->size > 0 && c->direction == BOT_IN)
                r = data_in(link, c, tag, &p);
        else if (c->size > 0)
                r = data_out(link, c, &p);
        if (r < 0)
                return r;
        r = receive_csw(link, &p);
        if (r < 0)
                return r;
        r = check_csw(link, c, tag, &p, ret);
        if (r == 0)
                learn_residue(link, c, &p, ret);
        return r;
}

int bot_command(BotLink *link, const BotCommand *command, BotResult *ret) {
        uint32_t tag = ++link->tag;
        BotResult result = { 0 };
        int r;

        if (link->dead)
                return -ECONNABORTED;
        r = exchange(link, command, tag, &result);
        if (r == -ENODEV) {
                link->dead = true;
                return r;
        }
        if (r < 0) {
                berth_host_log(link->host, BERTH_LOG_DEBUG, "command 0x%02x (tag %u) failed: %s", (unsigned) command->cdb[0],
                               (unsigned) tag, strerror(-r));
                return bot_recover(link) == -ENODEV ? -ENODEV : r;
        }
        link->troubles = 0;
        *ret = result;
        return 0;
}
