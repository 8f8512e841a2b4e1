/* SPDX-License-Identifier: Apache-2.0 */

/* Settings files: any text is either read or refused with one sentence that names the place. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refused(int r, const ConfError *error) {
        if (r >= 0)
                return;
        assert(strncmp(error->text, "fuzz.conf:", 10) == 0);
        assert(text_is_printable(error->text));
}

/* Reads each value as everything that a value can be. */
static int sink(const ConfLine *line, void *userdata, ConfError *error) {
        ConfError e = {};
        uint64_t u = 0;
        bool b;

        (void) userdata;
        (void) error;
        assert(line->line > 0 && line->section && line->section[0] && line->name);
        if (!line->key)
                return 0;
        assert(line->key[0] && line->value);
        refused(conf_bool(line, &b, &e), &e);
        refused(conf_uint(line, 3, 300, &u, &e), &e);
        refused(conf_bytes(line, 0, UINT64_C(1) << 50, &u, &e), &e);
        refused(conf_span(line, 1000, UINT64_C(86400000000), &u, &e), &e);
        for (int path = 0; path < 2; path++) {
                char *text = NULL;
                int r = path ? conf_path(line, &text, &e) : conf_string(line, &text, &e);

                refused(r, &e);
                if (r >= 0)
                        assert(text && text[0] && text_is_printable(text) && (!path || text[0] == '/'));
                free(text);
        }
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size ? size : 1);
        ConfError error = {};

        assert(text);
        memcpy(text, data, size);
        refused(conf_parse_text("fuzz.conf", text, size, sink, NULL, &error), &error);
        free(text);
        return 0;
}
