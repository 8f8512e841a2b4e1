/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "bytes.h"
#include "scsi_do.h"

/* Sectors, in and out. */

#define CDB10_SECTORS_MAX 0xFFFFu
#define TAIL_MAX (4096u + BOT_PACKET_MAX)

/* READ or WRITE of 10 or of 16 bytes, as the sector's number needs. */
static void fill_cdb(ScsiCommand *c, uint8_t code10, uint8_t code16, uint64_t sector, uint32_t n) {
        if (sector + n <= UINT64_C(0x100000000) && n <= CDB10_SECTORS_MAX) {
                c->cdb[0] = code10;
                put_be32(c->cdb + 2, (uint32_t) sector);
                put_be16(c->cdb + 7, (uint16_t) n);
                c->cdb_size = 10;
        } else {
                c->cdb[0] = code16;
                put_be64(c->cdb + 2, sector);
                put_be32(c->cdb + 10, n);
                c->cdb_size = 16;
        }
}

static int check_range(const ScsiUnit *unit, uint64_t sector, uint64_t n) {
        return sector > unit->n_sectors || n > unit->n_sectors - sector ? -EINVAL : 0;
}

static int read_once(ScsiUnit *unit, uint64_t sector, uint32_t n, void *ret) {
        ScsiCommand c = { .direction = BOT_IN, .size = n * unit->sector_bytes, .receive = ret, .exact = true };

        fill_cdb(&c, 0x28, 0x88, sector, n);
        return scsi_must(unit, &c, NULL);
}

int scsi_read(ScsiUnit *unit, uint64_t sector, uint32_t n, void *ret) {
        uint32_t most = (unit->transfer_bytes < BOT_STEP_MAX ? unit->transfer_bytes : BOT_STEP_MAX) / unit->sector_bytes;
        int r;

        r = check_range(unit, sector, n);
        for (uint32_t done = 0; r == 0 && done < n;) {
                uint32_t step = n - done < most ? n - done : most;

                berth_host_alive(unit->link->host);
                r = read_once(unit, sector + done, step, (uint8_t *) ret + (size_t) done * unit->sector_bytes);
                done += step;
        }
        return r;
}

int scsi_try_larger(ScsiUnit *unit, uint64_t sector, uint64_t n) {
        uint32_t larger = unit->transfer_bytes * 2;
        int r;

        if (larger > unit->transfer_limit || n < larger / unit->sector_bytes || check_range(unit, sector, n) < 0)
                return 0;
        ScsiCommand c = { .direction = BOT_IN, .size = larger, .exact = true, .once = true };
        fill_cdb(&c, 0x28, 0x88, sector, larger / unit->sector_bytes);
        r = scsi_do(unit, &c, NULL);
        if (r == 0) {
                unit->transfer_bytes = larger;
                return 0;
        }
        if (r == -ENODEV || r == -ESTALE || unit->link->dead)
                return r;
        /* A sector that cannot be read says nothing about the size. */
        if (r != -EIO) {
                unit->transfer_limit = unit->transfer_bytes;
                berth_host_log(unit->link->host, BERTH_LOG_INFO, "the device does not read %u KiB at once; it goes on with %u",
                               larger >> 10, unit->transfer_bytes >> 10);
        }
        /* What was done to bring it back it will want to tell before anything else. */
        return scsi_test(unit);
}

int scsi_deliver(ScsiUnit *unit, uint64_t sector, uint32_t n) {
        ScsiCommand c = { .direction = BOT_IN, .size = n * unit->sector_bytes, .exact = true };
        uint32_t packet = (uint32_t) unit->link->packet_in, tail = unit->sector_bytes > packet ? unit->sector_bytes : packet;
        uint8_t held[TAIL_MAX];
        int r;

        r = check_range(unit, sector, n);
        if (r < 0)
                return r;
        fill_cdb(&c, 0x28, 0x88, sector, n);
        if (c.size > tail)
                c.deliver = (c.size - tail) / packet * packet;
        c.receive = held;
        c.once = c.deliver > 0;
        r = scsi_must(unit, &c, NULL);
        if (r < 0)
                return r;
        return berth_host_deliver(unit->link->host, held, c.size - c.deliver);
}

int scsi_write(ScsiUnit *unit, uint64_t sector, uint32_t n, const void *data) {
        uint32_t most = (unit->transfer_bytes < BOT_STEP_MAX ? unit->transfer_bytes : BOT_STEP_MAX) / unit->sector_bytes;
        int r;

        r = check_range(unit, sector, n);
        for (uint32_t done = 0; r == 0 && done < n;) {
                uint32_t step = n - done < most ? n - done : most;
                ScsiCommand c = {
                        .direction = BOT_OUT, .size = step * unit->sector_bytes,
                        .send = (const uint8_t *) data + (size_t) done * unit->sector_bytes, .exact = true,
                };

                if (unit->lost_writes)
                        return -EREMOTEIO;
                berth_host_alive(unit->link->host);
                fill_cdb(&c, 0x2A, 0x8A, sector + done, step);
                r = scsi_must(unit, &c, NULL);
                unit->unflushed = true;
                done += step;
        }
        /* It was reset in between and took this one afterwards: the order is broken. */
        return r == 0 && unit->lost_writes ? -EREMOTEIO : r;
}

int scsi_flush(ScsiUnit *unit) {
        const ScsiCommand c = { .cdb = { 0x35 }, .cdb_size = 10 };
        int r = 0;

        if (!unit->no_flush)
                r = scsi_do(unit, &c, NULL);
        if (r == -EOPNOTSUPP) {
                unit->no_flush = true;
                r = 0;
        }
        if (r < 0)
                return r == -EINVAL ? -EPROTO : r;
        if (unit->lost_writes)
                return -EREMOTEIO;
        unit->unflushed = false;
        return 0;
}

int scsi_eject(ScsiUnit *unit) {
        const ScsiCommand allow = { .cdb = { 0x1E }, .cdb_size = 6, .once = true };
        const ScsiCommand stop = { .cdb = { 0x1B, 0, 0, 0, 0x02 }, .cdb_size = 6 };
        int r;

        r = scsi_flush(unit);
        if (r < 0)
                return r;
        /* Not every unit knows how to be kept shut. */
        r = scsi_do(unit, &allow, NULL);
        if (r == -ENODEV || unit->link->dead)
                return r;
        unit->settled = false;
        return scsi_do(unit, &stop, NULL);
}
