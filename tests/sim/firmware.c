/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define HEADER_MAX 256

static bool payload_is(FILE *file, size_t size, const char *hex) {
        _cleanup_(freep) char *payload = malloc(size + 1);
        char found[DIGEST_HEX_SIZE];
        Digest digest;

        if (!payload || fread(payload, 1, size, file) != size || digest_of(payload, size, &digest) < 0)
                return false;
        return text_equal(digest_to_hex(&digest, found), hex);
}

bool firmware_boots(const char *path, char ret_version[static FIRMWARE_VERSION_SIZE]) {
        char line[HEADER_MAX], version[FIRMWARE_VERSION_SIZE], hex[DIGEST_HEX_SIZE];
        FILE *file = path ? fopen(path, "re") : NULL;
        size_t size;
        bool boots;

        if (!file)
                return false;
        boots = fgets(line, sizeof(line), file) && sscanf(line, "BERTH-SIM-FIRMWARE %64s %zu %64s", version, &size, hex) == 3 &&
                size <= FIRMWARE_MAX && payload_is(file, size, hex);
        (void) fclose(file);
        if (boots)
                memcpy(ret_version, version, sizeof(version));
        return boots;
}

bool firmware_replace(const char *path, const void *data, size_t size) {
        _cleanup_(freep) char *new = text_format("%s.new", path);
        char version[FIRMWARE_VERSION_SIZE];
        FILE *file = new ? fopen(new, "we") : NULL;
        bool written;

        if (!file)
                return false;
        written = fwrite(data, 1, size, file) == size;
        written &= fclose(file) == 0;
        if (written && firmware_boots(new, version))
                return rename(new, path) == 0;
        (void) remove(new);
        return false;
}
