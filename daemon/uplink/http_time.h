/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Times in HTTP headers, pure. */

#include <stdint.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), whatever the locale; -EINVAL. */
int http_parse_date(const char *text, int64_t *ret_unix_sec);
/* The value of Retry-After (RFC 9110 §10.2.3) in seconds from `now`; 0 when it is none. */
uint64_t http_retry_after_sec(const char *value, int64_t now_unix_sec);
