/* SPDX-License-Identifier: Apache-2.0 */

/* The suffix of a firmware file: DFU 1.1, appendix B. */

#include <errno.h>
#include <string.h>

#include "dfu.h"

#define CONTAINER "DfuSe\001"
#define SUFFIX_SIZE 16u
#define ANY 0xffffu
#define CHUNK 4096u

/* CRC-32 of IEEE 802.3, without the last inversion, as the suffix has it. */
static uint32_t crc_update(uint32_t crc, const uint8_t *data, size_t size) {
        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
        return crc;
}

static int read_whole(Dfu *d, uint64_t offset, void *data, size_t size) {
        ssize_t n = berth_host_image(d->host, offset, data, size);

        return n < 0 ? (int) n : (size_t) n == size ? 0 : -EIO;
}

static int checksum(Dfu *d, uint64_t size, uint32_t *ret) {
        uint32_t crc = UINT32_MAX;
        uint8_t chunk[CHUNK];

        for (uint64_t at = 0; at < size;) {
                size_t n = size - at < CHUNK ? (size_t) (size - at) : CHUNK;
                int r = read_whole(d, at, chunk, n);

                if (r < 0)
                        return r;
                crc = crc_update(crc, chunk, n);
                at += n;
        }
        *ret = crc;
        return 0;
}

static uint16_t le16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

static bool fits(uint16_t wanted, uint16_t have) {
        return wanted == ANY || wanted == have;
}

/* ST's container (UM0391) has a head of its own, and may hold images for several memories: to a camera it is no firmware. */
static int refuse_container(Dfu *d, uint64_t size) {
        uint8_t head[sizeof(CONTAINER) - 1];
        int r;

        if (size < sizeof(head))
                return 0;
        r = read_whole(d, 0, head, sizeof(head));
        if (r < 0 || memcmp(head, CONTAINER, sizeof(head)) != 0)
                return r;
        berth_host_log(d->host, BERTH_LOG_ERR, "the image is a DfuSe container; publish the bare image that is in it, and name its address "
                       "in the loader's model (plugin.address)");
        return -EBADMSG;
}

int dfu_check_suffix(Dfu *d, uint64_t size, uint64_t *ret_size) {
        uint8_t s[SUFFIX_SIZE] = {};
        uint32_t crc;
        int r;

        r = refuse_container(d, size);
        if (r >= 0 && size >= SUFFIX_SIZE)
                r = read_whole(d, size - SUFFIX_SIZE, s, sizeof(s));
        if (r < 0)
                return r;
        if (s[8] != 'U' || s[9] != 'F' || s[10] != 'D') {
                if (d->options.suffix_needed) {
                        berth_host_log(d->host, BERTH_LOG_ERR, "the image has no DFU suffix, and the model asks for one");
                        return -EBADMSG;
                }
                *ret_size = size;
                return 0;
        }
        r = checksum(d, size - 4, &crc);
        if (r < 0)
                return r;
        if (s[11] < SUFFIX_SIZE || s[11] > size || crc != ((uint32_t) le16(s + 12) | (uint32_t) le16(s + 14) << 16)) {
                berth_host_log(d->host, BERTH_LOG_ERR, "the image's DFU suffix has a wrong checksum or length");
                return -EBADMSG;
        }
        if (!fits(le16(s + 4), d->vid) || !fits(le16(s + 2), d->pid)) {
                berth_host_log(d->host, BERTH_LOG_ERR, "the image's DFU suffix is for the device %04x:%04x, and this is %04x:%04x",
                               le16(s + 4),
                               le16(s + 2), d->vid, d->pid);
                return -EBADMSG;
        }
        *ret_size = size - s[11];
        return 0;
}
