/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever a tus server says in its headers: an address leads nowhere else, and metadata is text or nothing. */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "uplink/tus_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_location(const char *text) {
        char key[TUS_KEY_SIZE], again[TUS_KEY_SIZE];
        TusUrl base;

        assert(tus_url_parse("https://tus.example:8443/files/", &base) == 0);
        if (tus_location(&base, text, key) < 0)
                return;
        assert(key[0] == '/' && key[1] != '/' && tus_key_is_valid(key) && !strstr(key, "#"));
        /* What was taken means the same when it is said once more. */
        assert(tus_location(&base, key, again) == 0 && strcmp(key, again) == 0);
}

static void check_metadata(const char *text) {
        _cleanup_(freep) char *again = NULL;
        char value[256], back[256];

        if (tus_metadata_find(text, "sha256", value, sizeof(value)) < 0)
                return;
        assert(strlen(value) < sizeof(value));
        assert(tus_metadata_add(&again, "sha256", value) == 0);
        assert(tus_metadata_find(again, "sha256", back, sizeof(back)) == 0 && strcmp(value, back) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = malloc(size + 1);
        uint64_t number;
        TusUrl url;

        assert(text);
        memcpy(text, data, size);
        text[size] = 0;
        check_location(text);
        check_metadata(text);
        if (tus_url_parse(text, &url) == 0)
                assert(tus_key_is_valid(url.path) && !strchr(url.path, '?'));
        if (tus_number(text, &number) == 0)
                assert(number <= INT64_MAX);
        (void) tus_list_has(text, "creation");
        return 0;
}
