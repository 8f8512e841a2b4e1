/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_names.h"

#include <string.h>

#include "base/text.h"

#define PREFIX_MAX 256u
#define BUCKET_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-."

bool s3_bucket_is_valid(const char *name, bool virtual_host) {
        size_t n = strlen(name);

        if (n < 3 || n > 63 || name[strspn(name, BUCKET_CHARACTERS)] != 0)
                return false;
        if (name[0] == '-' || name[0] == '.' || name[n - 1] == '-' || name[n - 1] == '.' || strstr(name, ".."))
                return false;
        return !virtual_host || !strchr(name, '.');
}

bool s3_prefix_is_valid(const char *prefix) {
        size_t n = strlen(prefix);

        if (n == 0)
                return true;
        if (n > PREFIX_MAX || prefix[n - 1] != '/' || !text_is_printable(prefix))
                return false;
        for (const char *part = prefix; *part; part += strcspn(part, "/") + 1) {
                size_t length = strcspn(part, "/");

                if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && strncmp(part, "..", 2) == 0))
                        return false;
        }
        return true;
}
