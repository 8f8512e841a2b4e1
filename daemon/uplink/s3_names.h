/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names of buckets and prefixes, checked. */

#include <stdbool.h>

/* What S3 allows as the name of a bucket; with `virtual_host` also as a label of a host's name, so that TLS certificates fit. */
bool s3_bucket_is_valid(const char *name, bool virtual_host);
/* "" or "…/" of components that are neither empty nor dots, printable. */
bool s3_prefix_is_valid(const char *prefix);
