/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "disk.h"
#include "scsi_do.h"

/* What a unit says about itself. */

#define INQUIRY_SIZE 36u /* what every unit gives; some break when asked for more */
#define VERSION_SPC2 4u  /* older ones have no vital product data worth the risk of asking */
#define VPD_SIZE 252u
#define VPD_PAGES 0x00
#define VPD_SERIAL 0x80
#define VPD_IDENTIFICATION 0x83
#define MODE_ALL_PAGES 0x3F
#define MODE_SENSE_SIZE 192u

/* Space-padded ASCII, without what is no text. */
static void take_text(const uint8_t *data, size_t size, char *ret, size_t ret_size) {
        size_t n = 0;

        for (size_t i = 0; i < size && n + 1 < ret_size && data[i] != 0; i++)
                ret[n++] = data[i] >= 0x20 && data[i] < 0x7F ? (char) data[i] : '?';
        while (n > 0 && ret[n - 1] == ' ')
                n--;
        ret[n] = '\0';
        n = strspn(ret, " ");
        memmove(ret, ret + n, strlen(ret + n) + 1);
}

const char *scsi_error_text(const ScsiUnit *unit, int error) {
        switch (error) {
        case -ESTALE:
                return "another card may be in it now";
        case -EBUSY:
        case -EAGAIN:
        case -EREMOTEIO:
                return sense_text(&unit->sense);
        default:
                return strerror(-error);
        }
}

int scsi_inquire(ScsiUnit *unit) {
        uint8_t data[INQUIRY_SIZE] = { 0 };
        const ScsiCommand c = {
                .cdb = { 0x12, 0, 0, 0, INQUIRY_SIZE }, .cdb_size = 6,
                .direction = BOT_IN, .size = INQUIRY_SIZE, .receive = data,
        };
        uint32_t moved = 0;
        int r;

        r = scsi_do(unit, &c, &moved);
        if (r < 0)
                return r;
        if (moved < 8)
                return -EBADMSG;
        /* Qualifier 1 and 3: there could be something, or never is. */
        unit->type = (data[0] & 0xE0) != 0 ? 0x1F : data[0] & 0x1F;
        unit->version = data[2] & 0x07;
        take_text(data + 8, 8, unit->vendor, sizeof(unit->vendor));
        take_text(data + 16, 16, unit->product, sizeof(unit->product));
        take_text(data + 32, 4, unit->revision, sizeof(unit->revision));
        return 0;
}

int scsi_test(ScsiUnit *unit) {
        const ScsiCommand c = { .cdb = { 0x00 }, .cdb_size = 6 };

        return scsi_must(unit, &c, NULL);
}

static int ask_capacity16(ScsiUnit *unit, uint64_t *ret_last, uint32_t *ret_bytes) {
        uint8_t data[32] = { 0 };
        const ScsiCommand c = {
                .cdb = { 0x9E, 0x10, [13] = sizeof(data) }, .cdb_size = 16,
                .direction = BOT_IN, .size = sizeof(data), .receive = data,
        };
        uint32_t moved = 0;
        int r;

        r = scsi_must(unit, &c, &moved);
        if (r < 0)
                return r;
        if (moved < 12)
                return -EBADMSG;
        *ret_last = get_be64(data);
        *ret_bytes = get_be32(data + 8);
        return 0;
}

static int ask_capacity(ScsiUnit *unit) {
        uint8_t data[8] = { 0 };
        const ScsiCommand c = {
                .cdb = { 0x25 }, .cdb_size = 10, .direction = BOT_IN, .size = sizeof(data), .receive = data, .exact = true,
        };
        uint64_t last;
        uint32_t bytes;
        int r;

        r = scsi_must(unit, &c, NULL);
        if (r < 0)
                return r;
        last = get_be32(data);
        bytes = get_be32(data + 4);
        if (last == UINT32_MAX) {
                r = ask_capacity16(unit, &last, &bytes);
                if (r < 0)
                        return r;
        }
        if (bytes < DISK_SECTOR_MIN || bytes > DISK_SECTOR_MAX || (bytes & (bytes - 1)) != 0 || last == UINT64_MAX ||
            last + 1 > UINT64_MAX / bytes) {
                berth_host_log(unit->link->host, BERTH_LOG_ERR, "unit %u says that it has sectors of %u bytes: no file system "
                               "that Berth reads has those", unit->lun, (unsigned) bytes);
                return -EMEDIUMTYPE;
        }
        unit->sector_bytes = bytes;
        unit->n_sectors = last + 1;
        return 0;
}

/* One of the forms of MODE SENSE; the byte with the write protection in *ret. */
static int mode_sense(ScsiUnit *unit, bool ten, uint8_t page, uint8_t *ret) {
        uint8_t data[MODE_SENSE_SIZE] = { 0 };
        const ScsiCommand c = {
                .cdb = { ten ? 0x5A : 0x1A, 0, page, 0, ten ? 0 : MODE_SENSE_SIZE, [8] = ten ? MODE_SENSE_SIZE : 0 },
                .cdb_size = ten ? 10 : 6, .direction = BOT_IN, .size = MODE_SENSE_SIZE, .receive = data,
        };
        uint32_t moved = 0;
        int r;

        r = scsi_do(unit, &c, &moved);
        if (r < 0)
                return r;
        if (moved < (ten ? 8u : 4u))
                return -EBADMSG;
        *ret = data[ten ? 3 : 2];
        return 0;
}

/* A unit that does not tell is taken for writable: then its refusal of the first write says it. */
static int ask_protection(ScsiUnit *unit) {
        static const struct {
                bool ten;
                uint8_t page;
        } forms[] = { { false, MODE_ALL_PAGES }, { false, 0 }, { true, MODE_ALL_PAGES } };
        uint8_t byte = 0;
        int r = -EOPNOTSUPP;

        unit->read_only = false;
        for (size_t i = 0; !unit->no_mode_sense && r < 0 && i < sizeof(forms) / sizeof(forms[0]); i++) {
                r = mode_sense(unit, forms[i].ten, forms[i].page, &byte);
                if (r == -ENODEV || unit->link->dead)
                        return r;
        }
        if (r == 0)
                unit->read_only = byte & 0x80;
        return 0;
}

int scsi_start(ScsiUnit *unit) {
        int r;

        unit->settled = unit->changed = unit->unflushed = unit->lost_writes = false;
        unit->resets = unit->link->resets;
        r = scsi_test(unit);
        if (r < 0)
                return r;
        r = ask_capacity(unit);
        if (r < 0)
                return r;
        r = ask_protection(unit);
        if (r < 0)
                return r;
        if (unit->transfer_bytes == 0)
                unit->transfer_bytes = unit->transfer_limit < BOT_STEP_MAX ? unit->transfer_limit : BOT_STEP_MAX;
        unit->settled = true;
        return 0;
}

/* ---- Vital product data ---- */

static int ask_vpd(ScsiUnit *unit, uint8_t page, uint8_t ret[static VPD_SIZE], size_t *ret_size) {
        const ScsiCommand c = {
                .cdb = { 0x12, 0x01, page, 0, VPD_SIZE }, .cdb_size = 6,
                .direction = BOT_IN, .size = VPD_SIZE, .receive = ret, .once = true,
        };
        uint32_t moved = 0;
        size_t size;
        int r;

        r = scsi_do(unit, &c, &moved);
        if (r < 0)
                return r;
        /* A unit that does not know vital product data may answer with the plain INQUIRY. */
        if (moved < 4 || ret[1] != page)
                return -EBADMSG;
        size = 4 + (size_t) get_be16(ret + 2);
        *ret_size = size < moved ? size : moved;
        return 0;
}

static bool offers(const uint8_t *pages, size_t size, uint8_t page) {
        return size > 4 && memchr(pages + 4, page, size - 4);
}

/* Designation descriptors (SPC-4 §7.8.6): the first one of the unit itself that identifies it in the world. */
static void take_designator(const uint8_t *data, size_t size, char *ret, size_t ret_size) {
        static const char hex[] = "0123456789abcdef";

        for (size_t at = 4; size - at >= 4 && size - at - 4 >= data[at + 3]; at += 4 + (size_t) data[at + 3]) {
                unsigned code_set = data[at] & 0x0F, association = data[at + 1] >> 4 & 3, type = data[at + 1] & 0x0F;
                size_t n = data[at + 3];

                if (association != 0 || type < 1 || type > 3 || n == 0)
                        continue;
                if (code_set != 1) {
                        take_text(data + at + 4, n, ret, ret_size);
                        return;
                }
                for (size_t i = 0; i < n && 2 * i + 2 < ret_size; i++) {
                        ret[2 * i] = hex[data[at + 4 + i] >> 4];
                        ret[2 * i + 1] = hex[data[at + 4 + i] & 15];
                        ret[2 * i + 2] = '\0';
                }
                return;
        }
}

int scsi_serial(ScsiUnit *unit, char *ret, size_t size) {
        uint8_t pages[VPD_SIZE] = { 0 }, data[VPD_SIZE] = { 0 };
        size_t n_pages = 0, n = 0;
        int r;

        ret[0] = '\0';
        if (unit->version < VERSION_SPC2)
                return 0;
        r = ask_vpd(unit, VPD_PAGES, pages, &n_pages);
        if (r == 0 && offers(pages, n_pages, VPD_SERIAL)) {
                r = ask_vpd(unit, VPD_SERIAL, data, &n);
                if (r == 0)
                        take_text(data + 4, n - 4, ret, size);
        }
        if (r == 0 && ret[0] == '\0' && offers(pages, n_pages, VPD_IDENTIFICATION)) {
                r = ask_vpd(unit, VPD_IDENTIFICATION, data, &n);
                if (r == 0)
                        take_designator(data, n, ret, size);
        }
        return r == -ENODEV || unit->link->dead ? r : 0;
}
