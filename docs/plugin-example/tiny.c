/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A whole camera plugin, for a camera that is made up: docs/plugin-guide.md goes through it line by line.
 *
 *     cc -shared -fPIC -Wall -Wextra -o tiny.so tiny.c
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <berth/plugin.h>

#define TIMEOUT_MSEC 5000u
#define RECORD_SIZE 64
#define NAME_SIZE 48u
/* The camera counts the bytes of one request in 32 bits; a piece that is a multiple of any packet size needs no more care. */
#define PIECE (UINT64_C(4) << 20)

typedef struct Tiny {
        berth_host *host;
        uint8_t bulk_in;
} Tiny;

static int tiny_open(berth_host *host, const char *const *options, void **ret_state) {
        berth_usb_interface interface;
        Tiny *t;
        int r;

        /* A key that we do not know is a mistake of whoever wrote the model's file, and must not be passed over. */
        if (options && options[0])
                return -EINVAL;
        r = berth_host_interface(host, 0, &interface);
        if (r < 0)
                return r;
        if (interface.class_code != 0xff || interface.bulk_in == 0)
                return -ENODEV;
        r = berth_host_claim(host, interface.number, interface.alternate);
        if (r < 0)
                return r;
        t = malloc(sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (Tiny){ .host = host, .bulk_in = interface.bulk_in };
        *ret_state = t;
        return 0;
}

static void tiny_close(void *state) {
        free(state);
}

/* What only the USB descriptors tell. Without a serial the dock cannot tell two cameras apart, and says so. */
static int tiny_identify(void *state, berth_identity *ret) {
        Tiny *t = state;
        int r;

        r = berth_host_string(t->host, BERTH_STRING_SERIAL, ret->serial);
        if (r >= 0)
                r = berth_host_string(t->host, BERTH_STRING_MANUFACTURER, ret->manufacturer);
        if (r >= 0)
                r = berth_host_string(t->host, BERTH_STRING_PRODUCT, ret->model);
        return r;
}

/* A vendor request that must move exactly `length` bytes. */
static int ask(Tiny *t, uint8_t type, uint8_t request, uint16_t file, void *data, uint16_t length) {
        int n = berth_host_control(t->host, type, request, 0, file, data, length, TIMEOUT_MSEC);

        if (n < 0)
                return n;
        return n == length ? 0 : -EIO;
}

static int count_files(Tiny *t, uint32_t *ret) {
        uint32_t n;
        int r = ask(t, 0xc0, 1, 0, &n, sizeof(n));

        if (r < 0)
                return r;
        n = le32toh(n);
        /* What a camera says is never taken for granted: wIndex has 16 bits, and the dock its own limit. */
        if (n > UINT16_MAX || n > BERTH_CLIPS_MAX)
                return -E2BIG;
        *ret = n;
        return 0;
}

typedef struct File {
        uint64_t size;
        int64_t mtime;
        char name[NAME_SIZE + 1];
} File;

static int look_at_file(Tiny *t, uint16_t number, File *ret) {
        uint8_t record[RECORD_SIZE];
        uint64_t size, mtime;
        int r = ask(t, 0xc0, 2, number, record, sizeof(record));

        if (r < 0)
                return r;
        memcpy(&size, record, sizeof(size));
        memcpy(&mtime, record + 8, sizeof(mtime));
        *ret = (File){ .size = le64toh(size), .mtime = (int64_t) le64toh(mtime) };
        memcpy(ret->name, record + 16, NAME_SIZE);
        return 0;
}

static int tiny_list(void *state) {
        Tiny *t = state;
        uint32_t n = 0;
        int r = count_files(t, &n);

        for (uint32_t i = 0; i < n && r >= 0; i++) {
                char path[3 * NAME_SIZE + 1];
                ssize_t length;
                File file;

                r = look_at_file(t, (uint16_t) i, &file);
                if (r < 0)
                        break;
                /* The name is the camera's: it becomes one component of a path, whatever it holds. */
                length = berth_host_escape(file.name, strlen(file.name), path, sizeof(path));
                if (length < 0)
                        return (int) length;
                r = berth_host_clip(t->host, &(berth_clip){ .struct_size = sizeof(berth_clip), .path = path, .size_bytes = file.size,
                                                            .mtime_unix_sec = file.mtime, .handle = i });
        }
        return r;
}

/* The camera's numbers move when something is deleted: a file is what it was listed as, or it is not there. */
static int find(Tiny *t, const berth_clip *clip, uint16_t *ret_number) {
        uint32_t n = 0;
        int r = count_files(t, &n);

        for (uint32_t i = 0; i < n && r >= 0; i++) {
                char path[3 * NAME_SIZE + 1];
                File file;

                r = look_at_file(t, (uint16_t) i, &file);
                if (r >= 0 && berth_host_escape(file.name, strlen(file.name), path, sizeof(path)) >= 0 && strcmp(path, clip->path) == 0 &&
                    file.size == clip->size_bytes && file.mtime == clip->mtime_unix_sec) {
                        *ret_number = (uint16_t) i;
                        return 0;
                }
        }
        return r < 0 ? r : BERTH_GONE;
}

static int tiny_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        uint16_t number = 0;
        Tiny *t = state;
        int r = find(t, clip, &number);

        while (r == 0 && length > 0) {
                uint64_t piece = length < PIECE ? length : PIECE, where = htole64(offset);
                uint32_t size = htole32((uint32_t) piece);
                uint8_t order[12];
                int64_t got;

                memcpy(order, &where, 8);
                memcpy(order + 8, &size, 4);
                r = ask(t, 0x40, 3, number, order, sizeof(order));
                if (r < 0)
                        break;
                /* The bytes go from the endpoint to the disk, and are hashed on their way; we never touch them. */
                got = berth_host_deliver_bulk(t->host, t->bulk_in, piece, TIMEOUT_MSEC);
                if (got < 0)
                        return (int) got;
                if ((uint64_t) got != piece)
                        return -EIO;
                offset += piece;
                length -= piece;
        }
        return r;
}

static int tiny_erase(void *state, const berth_clip *clip) {
        uint16_t number = 0;
        Tiny *t = state;
        int r = find(t, clip, &number);

        /* 0 only because the camera said so; the dock lists again, and sees for itself. */
        return r == 0 ? ask(t, 0x40, 4, number, NULL, 0) : r;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "tiny",
        .version = "1",
        .open = tiny_open,
        .close = tiny_close,
        .identify = tiny_identify,
        .list = tiny_list,
        .read = tiny_read,
        .erase = tiny_erase,
};
