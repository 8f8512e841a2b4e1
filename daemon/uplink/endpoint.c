/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789"

static bool is_loopback(const char *host, size_t n) {
        return (n == 9 && strncmp(host, "localhost", n) == 0) ||
               (n > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n) ||
               (n == 5 && strncmp(host, "[::1]", n) == 0);
}

/* How long the host at the beginning of `text` is; 0: there is none. */
static size_t host_length(const char *text) {
        size_t n;

        if (text[0] == '[') {
                n = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
                return n > 2 && text[n] == ']' ? n + 1 : 0;
        }
        return strspn(text, NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ-.");
}

int endpoint_parse(const char *text, Endpoint *ret) {
        Endpoint e = { .tls = strncmp(text, "https://", 8) == 0 };
        unsigned long port = e.tls ? 443 : 80;
        const char *host = text + (e.tls ? 8 : 7), *rest;
        size_t n;

        if (!e.tls && strncmp(text, "http://", 7) != 0)
                return -EINVAL;
        n = host_length(host);
        rest = host + n;
        if (*rest == ':') {
                size_t digits = strspn(rest + 1, "0123456789");

                port = digits > 0 && digits <= 5 ? strtoul(rest + 1, NULL, 10) : 0;
                rest += 1 + digits;
        }
        if (*rest == '/')
                rest++;
        if (n == 0 || n > 240 || port == 0 || port > 65535 || *rest)
                return -EINVAL;
        e.loopback = is_loopback(host, n);
        if (port == (e.tls ? 443UL : 80UL))
                (void) snprintf(e.host, sizeof(e.host), "%.*s", (int) n, host);
        else
                (void) snprintf(e.host, sizeof(e.host), "%.*s:%lu", (int) n, host, port);
        *ret = e;
        return 0;
}
