/* SPDX-License-Identifier: Apache-2.0 */

/*
 * DfuSe, ST's UM0424: block 0 carries commands, blocks from 2 on go to the address that was set. What the memory is like the alternate
 * setting's string tells: "@Internal Flash  /0x08000000/04*016Kg,01*064Kg": address, then sectors: how many, how large (B, K, M), and
 * a letter whose lowest bits say readable, erasable, writable.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dfu.h"

#define ATTEMPTS 3u
#define SECTORS_MAX 65536u
#define COMMAND_SET_ADDRESS 0x21u
#define COMMAND_ERASE 0x41u
#define FIRST_BLOCK 2u
#define ERASABLE 2u
#define WRITABLE 4u

/* One run of equal sectors. */
typedef struct Sectors {
        uint64_t address, size;
        unsigned n;
        char kind;
} Sectors;

/* Takes the next one off the string; false at its end, or where it is no layout. */
static bool next_sectors(const char **at, uint64_t *address, Sectors *ret) {
        unsigned n, size;
        char unit, kind;
        int used = 0;

        if (sscanf(*at, "%u*%u%c%c%n", &n, &size, &unit, &kind, &used) != 4 || n == 0 || n > SECTORS_MAX || size == 0 || size > 65536)
                return false;
        *ret = (Sectors){ .address = *address, .n = n, .kind = kind,
                          .size = (uint64_t) size * (unit == 'M' ? 1024u * 1024u : unit == 'K' ? 1024u : 1u) };
        *address += ret->n * ret->size;
        *at += used;
        if (**at == ',')
                (*at)++;
        return true;
}

/* Where its sectors begin in the string, and in the memory. */
static const char *layout_begin(const Dfu *d, uint64_t *ret_address) {
        const char *slash = d->layout[0] == '@' ? strchr(d->layout, '/') : NULL;
        unsigned long long address;
        int used = 0;

        if (!slash || sscanf(slash, "/0x%llx/%n", &address, &used) != 1 || used == 0)
                return NULL;
        *ret_address = address;
        return slash + used;
}

static int command(Dfu *d, uint8_t code, uint32_t address) {
        const uint8_t bytes[] = { code, (uint8_t) address, (uint8_t) (address >> 8), (uint8_t) (address >> 16), (uint8_t) (address >> 24) };
        int r;

        r = dfu_send_block(d, 0, bytes, sizeof(bytes));
        if (r < 0 && r != -EPIPE)
                return r;
        return dfu_wait_taken(d);
}

/* All sectors that the image touches; their other bytes are lost, as ST's own tool loses them. */
static int erase(Dfu *d, uint64_t from, uint64_t size) {
        uint64_t address, covered = from;
        const char *at = layout_begin(d, &address);
        Sectors s;

        if (!at) {
                berth_host_log(d->host, BERTH_LOG_ERR, "it does not say what its memory is like ('%s')", d->layout);
                return -EBADMSG;
        }
        while (next_sectors(&at, &address, &s))
                for (unsigned i = 0; i < s.n; i++) {
                        uint64_t begin = s.address + i * s.size, end = begin + s.size;
                        int r;

                        if (end <= from || begin >= from + size)
                                continue;
                        if (begin > covered || !(s.kind & WRITABLE))
                                break;
                        covered = end;
                        r = s.kind & ERASABLE ? command(d, COMMAND_ERASE, (uint32_t) begin) : 0;
                        if (r < 0)
                                return r;
                }
        if (covered < from + size) {
                berth_host_log(d->host, BERTH_LOG_ERR, "the image, %llu bytes at 0x%08llx, does not fit its memory '%s'",
                               (unsigned long long) size, (unsigned long long) from, d->layout);
                return -EFBIG;
        }
        return 0;
}

static int send_image(Dfu *d, uint64_t from, uint64_t size) {
        uint16_t number = 0;
        int r;

        for (uint64_t at = 0; at < size; at += d->transfer_size) {
                size_t n = size - at < d->transfer_size ? (size_t) (size - at) : d->transfer_size;
                ssize_t got = berth_host_image(d->host, at, d->block, n);

                if (got < 0 || (size_t) got != n)
                        return got < 0 ? (int) got : -EIO;
                if (number == 0 || number == DFU_BLOCK_MAX) {
                        r = command(d, COMMAND_SET_ADDRESS, (uint32_t) (from + at));
                        if (r < 0)
                                return r;
                        number = FIRST_BLOCK;
                }
                r = dfu_send_block(d, number++, d->block, n);
                if (r >= 0 || r == -EPIPE)
                        r = dfu_wait_taken(d);
                if (r < 0)
                        return r;
                berth_host_sent(d->host, at + n);
        }
        return 0;
}

/* Before it is started: afterwards it does not answer any more. */
static int read_back(Dfu *d, uint64_t from, uint64_t size) {
        uint8_t *wanted = d->block + d->transfer_size;
        uint16_t number = 0;
        int r;

        for (uint64_t at = 0; at < size;) {
                size_t want = size - at < d->transfer_size ? (size_t) (size - at) : d->transfer_size;
                ssize_t got = berth_host_image(d->host, at, wanted, want);

                if (number == 0 || number == DFU_BLOCK_MAX) {
                        r = dfu_to_idle(d);
                        if (r >= 0)
                                r = command(d, COMMAND_SET_ADDRESS, (uint32_t) (from + at));
                        if (r >= 0)
                                r = dfu_to_idle(d);
                        if (r < 0)
                                return r;
                        number = FIRST_BLOCK;
                }
                r = dfu_read_block(d, number++, d->block, want);
                if (r < 0)
                        return r;
                if ((size_t) r < want || got < 0 || (size_t) got != want || memcmp(d->block, wanted, want) != 0) {
                        berth_host_log(d->host, BERTH_LOG_ERR, "what it has at 0x%08llx is not what it was given",
                                       (unsigned long long) (from + at));
                        return -EREMOTEIO;
                }
                at += want;
        }
        return dfu_to_idle(d);
}

/* §2.4: an empty block has it leave for the address that is set. It may be gone before it says so. */
static int leave(Dfu *d, uint64_t from) {
        DfuStatus s;
        int r;

        r = command(d, COMMAND_SET_ADDRESS, (uint32_t) from);
        if (r >= 0)
                r = dfu_send_block(d, 0, NULL, 0);
        if (r < 0)
                return r;
        r = dfu_get_status(d, &s);
        if (r >= 0 && s.state == DFU_ERROR) {
                berth_host_log(d->host, BERTH_LOG_ERR, "it took the image, and does not accept it: DFU status %u", s.code);
                return -EREMOTEIO;
        }
        return 0;
}

static int once(Dfu *d, uint64_t from, uint64_t size) {
        int r;

        r = dfu_to_idle(d);
        if (r >= 0)
                r = erase(d, from, size);
        if (r >= 0)
                r = send_image(d, from, size);
        if (r >= 0 && (d->attributes & DFU_CAN_UPLOAD) && d->options.read_back)
                r = read_back(d, from, size);
        return r < 0 ? r : leave(d, from);
}

int dfuse_download(Dfu *d, uint64_t size) {
        uint64_t from = d->options.address;
        int r = -EREMOTEIO;

        if (!d->options.address_given && !layout_begin(d, &from)) {
                berth_host_log(d->host, BERTH_LOG_ERR, "where its memory begins is not known; set plugin.address for its model");
                return -EINVAL;
        }
        for (unsigned attempt = 0; attempt < ATTEMPTS && r == -EREMOTEIO; attempt++)
                r = once(d, from, size);
        return r;
}
