/* SPDX-License-Identifier: Apache-2.0 */

/* A firmware catalog, a signature and a file of keys of minisign, whatever they say: what is taken is within its bounds. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/catalog.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_catalog(const char *text, size_t size) {
        _cleanup_(catalog_freep) Catalog *c = NULL;
        char key[CATALOG_KEY_SIZE];
        ConfError error = { 0 };
        uint64_t version;

        if (catalog_parse(text, size, &c, &error) < 0) {
                assert(error.text[0]);
                return;
        }
        assert(c->n_images <= CATALOG_IMAGES_MAX && c->keys.n <= MINISIGN_KEYS_MAX);
        assert(catalog_version_of_key(catalog_key(c->version, false, key), &version) == 0 && version == c->version);
        for (size_t i = 0; i < c->n_images; i++) {
                const CatalogImage *image = &c->images[i];

                assert(image->model[0] && image->version[0] && !strchr(image->file, '/') && image->file[0] != '.');
                assert(catalog_find(c, image->model, image->version, &error) == image);
        }
}

static void check_keys(const char *text, size_t size) {
        char again[MINISIGN_KEY_TEXT_SIZE];
        MinisignKeys keys;
        MinisignKey key;

        if (minisign_keys_parse("keys", text, size, &keys, NULL) < 0)
                return;
        assert(keys.n > 0 && keys.n <= MINISIGN_KEYS_MAX);
        assert(minisign_key_from_text(minisign_key_to_text(&keys.keys[0], again), &key) == 0);
        assert(memcmp(&key, &keys.keys[0], sizeof(key)) == 0);
}

static void check_signature(const char *text, size_t size) {
        MinisignSignature s;

        if (minisign_parse(text, size, &s, NULL) == 0)
                assert(strlen(s.comment) < sizeof(s.comment));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        check_catalog((const char *) data, size);
        check_keys((const char *) data, size);
        check_signature((const char *) data, size);
        return 0;
}
