/* SPDX-License-Identifier: Apache-2.0 */

/* Names that a camera made up: whatever their bytes, what comes out is a safe path component, and safe to print. */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_escape(const char *name, size_t size) {
        size_t room = 3 * size + 8;
        char *escaped = malloc(room), *small = malloc(8);
        ssize_t n = text_escape_name(name, size, escaped, room);

        assert(escaped && small);
        assert(n > 0 && (size_t) n == strlen(escaped));
        assert(text_path_is_valid(escaped) && !strchr(escaped, '/'));
        assert(text_is_utf8(escaped, (size_t) n) && text_is_printable(escaped));
        n = text_escape_name(name, size, small, 8);
        assert(n == -ENAMETOOLONG || (n > 0 && n < 8 && (size_t) n == strlen(small)));
        free(small);
        free(escaped);
}

static void check_sanitise(const char *name, size_t size) {
        char *text = malloc(size + 1), safe[64];

        assert(text);
        memcpy(text, name, size);
        text[size] = 0;
        text_sanitise(text, safe, sizeof(safe));
        assert(strlen(safe) < sizeof(safe) && text_is_printable(safe));
        if (text_path_is_valid(text))
                assert(text[0] != '/' && text_is_printable(text));
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *name = malloc(size ? size : 1);

        assert(name);
        if (size > 1024)
                size = 1024;
        memcpy(name, data, size);
        check_escape(name, size);
        check_sanitise(name, size);
        free(name);
        return 0;
}
