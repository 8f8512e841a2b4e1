/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The camera of the plugin author's guide (docs/plugin-guide.md), which is made up: one vendor interface, a bulk endpoint 0x81 IN, and
 * vendor requests. Numbers are little-endian.
 *   IN 1                  how many files it has: 4 bytes
 *   IN 2, wIndex file     one of them, 64 bytes: size (8), seconds since 1970 (8), name (48, padded with NUL)
 *   OUT 3, wIndex file    12 bytes, offset (8) and length (4): these bytes come next at the bulk endpoint
 *   OUT 4, wIndex file    deletes it; the files after it move up
 * {"type": "tiny", "vid", "pid", "manufacturer", "product", "serial", "files": [{"name", "mtime", "size", "seed"}, …]}; `state` has
 * "files": their names and SHA-256.
 */

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "sim/content.h"
#include "sim/device.h"
#include "sim/models.h"

#define FILES_MAX 64u
#define NAME_SIZE 48u
#define RECORD_SIZE 64u

typedef struct TinyFile {
        char name[NAME_SIZE];
        int64_t mtime;
        Content *content;
} TinyFile;

typedef struct Tiny {
        ModelIdentity identity;
        TinyFile files[FILES_MAX];
        size_t n;
        const TinyFile *reading;
        uint64_t offset, left;
} Tiny;

static void tiny_destroy(void *state) {
        Tiny *t = state;

        for (size_t i = 0; i < t->n; i++)
                content_free(t->files[i].content);
        free(t);
}

static int take_files(Tiny *t, const json_t *files, char *why, size_t why_size) {
        const json_t *file;
        size_t i;

        json_array_foreach(files, i, file) {
                const char *name = json_string_value(json_object_get(file, "name"));
                int r;

                if (!name || strlen(name) > NAME_SIZE || t->n == FILES_MAX) {
                        (void) snprintf(why, why_size, "\"files\" are at most %u, each with a name of at most %u bytes.", FILES_MAX,
                                        NAME_SIZE);
                        return -EINVAL;
                }
                memcpy(t->files[t->n].name, name, MIN2(strlen(name), sizeof(t->files[t->n].name)));
                t->files[t->n].mtime = json_integer_value(json_object_get(file, "mtime"));
                r = content_from_json(file, i, &t->files[t->n].content, why, why_size);
                if (r < 0)
                        return r;
                t->n++;
        }
        return 0;
}

static int tiny_create(SimDevice *dev, const json_t *spec, void **ret_state, char *why, size_t why_size) {
        Tiny *t = calloc(1, sizeof(*t));
        int r;

        (void) dev;
        if (!t)
                return -ENOMEM;
        r = model_identity(spec, &t->identity, why, why_size);
        if (r >= 0)
                r = take_files(t, json_object_get(spec, "files"), why, why_size);
        if (r < 0) {
                tiny_destroy(t);
                return r;
        }
        *ret_state = t;
        return 0;
}

static size_t tiny_descriptors(void *state, uint8_t *ret, size_t size) {
        static const uint8_t configuration[] = {
                9, 2, 0, 0, 1, 1, 0, 0x80, 250,
                9, 4, 0, 0, 1, 0xff, 0x74, 0x01, 0,
                7, 5, 0x81, 2, 0, 2, 0,
        };
        const Tiny *t = state;
        size_t n = model_device_descriptor(&t->identity, 0x0100, ret);

        if (size < n + sizeof(configuration))
                return 0;
        memcpy(ret + n, configuration, sizeof(configuration));
        model_finish_configuration(ret, n + sizeof(configuration));
        return n + sizeof(configuration);
}

static const char *tiny_string(void *state, uint8_t index) {
        const Tiny *t = state;

        return model_string(&t->identity, index);
}

static int give_record(const TinyFile *f, uint8_t *data, size_t length) {
        uint64_t size = htole64(content_size(f->content)), mtime = htole64((uint64_t) f->mtime);
        uint8_t record[RECORD_SIZE] = { 0 };

        memcpy(record, &size, 8);
        memcpy(record + 8, &mtime, 8);
        memcpy(record + 16, f->name, NAME_SIZE);
        memcpy(data, record, MIN2(length, sizeof(record)));
        return (int) MIN2(length, sizeof(record));
}

static int begin_reading(Tiny *t, const TinyFile *f, const uint8_t *data, size_t length) {
        uint64_t offset;
        uint32_t n;

        if (length != 12)
                return -EPIPE;
        memcpy(&offset, data, 8);
        memcpy(&n, data + 8, 4);
        t->reading = f;
        t->offset = le64toh(offset);
        t->left = le32toh(n);
        return t->offset > content_size(f->content) || t->left > content_size(f->content) - t->offset ? -EPIPE : 12;
}

static int delete_file(Tiny *t, size_t i) {
        content_free(t->files[i].content);
        memmove(t->files + i, t->files + i + 1, (--t->n - i) * sizeof(*t->files));
        t->files[t->n] = (TinyFile) { 0 };
        return 0;
}

static int tiny_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        Tiny *t = state;
        size_t i = (size_t) setup[4] | (size_t) setup[5] << 8;
        uint32_t n = htole32((uint32_t) t->n);

        if (setup[0] == 0xc0 && setup[1] == 1) {
                memcpy(data, &n, MIN2(length, sizeof(n)));
                return (int) MIN2(length, sizeof(n));
        }
        if (i >= t->n)
                return -EPIPE;
        switch (setup[0] << 8 | setup[1]) {
        case 0xc002:
                return give_record(&t->files[i], data, length);
        case 0x4003:
                return begin_reading(t, &t->files[i], data, length);
        case 0x4004:
                return delete_file(t, i);
        default:
                return -EPIPE;
        }
}

static int tiny_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        Tiny *t = state;
        size_t n = (size_t) MIN2((uint64_t) length, t->left);

        (void) endpoint;
        if (n == 0 || content_read(t->reading->content, t->offset, data, n) < 0)
                return SIM_NAK;
        t->offset += n;
        t->left -= n;
        return (int) n;
}

static int tiny_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        (void) state, (void) endpoint, (void) data, (void) length;
        return -EPIPE;
}

static int tiny_command(void *state, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        json_t *files = json_object();
        Tiny *t = state;

        (void) args;
        if (strcmp(name, "state") != 0) {
                json_decref(files);
                (void) snprintf(why, why_size, "The tiny model has no command \"%s\".", name);
                return -EINVAL;
        }
        for (size_t i = 0; i < t->n && files; i++) {
                char digest[DIGEST_HEX_SIZE], text[NAME_SIZE + 1] = "";

                memcpy(text, t->files[i].name, NAME_SIZE);
                if (content_digest(t->files[i].content, digest) >= 0)
                        (void) json_object_set_new(files, text, json_string(digest));
        }
        *ret_answer = json_pack("{s:o}", "files", files);
        return *ret_answer ? 0 : -ENOMEM;
}

const SimModel sim_model_tiny = {
        .name = "tiny",
        .create = tiny_create,
        .destroy = tiny_destroy,
        .descriptors = tiny_descriptors,
        .string = tiny_string,
        .control = tiny_control,
        .out = tiny_out,
        .in = tiny_in,
        .command = tiny_command,
};
