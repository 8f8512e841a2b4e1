/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "https://store.example:8443", taken apart. */

#include <stdbool.h>

typedef struct S3Endpoint {
        bool tls;
        bool loopback;  /* "localhost", 127.0.0.0/8 or [::1] */
        char host[256]; /* with the port where it is not the scheme's own */
} S3Endpoint;

/* -EINVAL for anything but scheme, host and port. */
int s3_endpoint_parse(const char *text, S3Endpoint *ret);
/* What S3 allows as the name of a bucket; with `virtual_host` also as a label of a host's name, so that TLS certificates fit. */
bool s3_bucket_is_valid(const char *name, bool virtual_host);
/* "" or "…/" of components that are neither empty nor dots, printable. */
bool s3_prefix_is_valid(const char *prefix);
