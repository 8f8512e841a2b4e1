/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/owner.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "base/digest.h"

int owner_find(char ret[static OWNER_SIZE]) {
        static const sd_id128_t application = SD_ID128_MAKE(5b, 0e, 2c, 9a, 61, 7d, 4f, 3e, 8a, 94, 1d, c3, 70, 25, ee, 8b);
        char text[SD_ID128_STRING_MAX], host[256] = "", hex[DIGEST_HEX_SIZE];
        sd_id128_t id;
        Digest digest;
        int r;

        if (sd_id128_get_machine_app_specific(application, &id) >= 0)
                (void) sd_id128_to_string(id, text);
        else {
                /* A machine without an id, such as a container. */
                if (gethostname(host, sizeof(host) - 1) < 0)
                        return -errno;
                r = digest_of(host, strlen(host), &digest);
                if (r < 0)
                        return r;
                memcpy(text, digest_to_hex(&digest, hex), OWNER_SIZE - 1);
        }
        memcpy(ret, text, OWNER_SIZE - 1);
        ret[OWNER_SIZE - 1] = 0;
        return 0;
}
