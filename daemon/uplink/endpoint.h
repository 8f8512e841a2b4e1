/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "https://store.example:8443", taken apart. */

#include <stdbool.h>

typedef struct Endpoint {
        bool tls;
        bool loopback;  /* "localhost", 127.0.0.0/8 or [::1] */
        char host[256]; /* with the port where it is not the scheme's own */
} Endpoint;

/* -EINVAL for anything but scheme, host and port. */
int endpoint_parse(const char *text, Endpoint *ret);
