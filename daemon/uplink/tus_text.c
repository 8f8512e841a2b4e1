/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/macro.h"
#include "base/text.h"

#define AUTHORITY_MAX 255u
/* RFC 3986 §3.3 and §3.4: what may stand in a path or a query. */
#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:@/?"
#define SCHEME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."

/* ---- Addresses ----------------------------------------------------------------------------------------------------- */

bool tus_key_is_valid(const char *key) {
        size_t n = strlen(key);

        /* "//host" would be another authority. */
        return n > 0 && n < TUS_KEY_SIZE && key[0] == '/' && key[1] != '/' && key[strspn(key, KEY_CHARACTERS)] == 0;
}

/* "https" or "http", whatever its letters' size, as an endpoint of that scheme at this authority. */
static int parse_authority(const char *scheme, size_t scheme_length, const char *authority, size_t length, Endpoint *ret) {
        bool tls = scheme_length == 5 && strncasecmp(scheme, "https", 5) == 0;
        char text[AUTHORITY_MAX + 16];

        if ((!tls && !(scheme_length == 4 && strncasecmp(scheme, "http", 4) == 0)) || length > AUTHORITY_MAX)
                return -EINVAL;
        (void) snprintf(text, sizeof(text), "%s://%.*s", tls ? "https" : "http", (int) length, authority);
        return endpoint_parse(text, ret);
}

int tus_url_parse(const char *text, TusUrl *ret) {
        const char *colon = strstr(text, "://"), *authority = colon ? colon + 3 : NULL;
        size_t length = authority ? strcspn(authority, "/") : 0;
        TusUrl url = {};

        if (!authority || parse_authority(text, (size_t) (colon - text), authority, length, &url.endpoint) < 0)
                return -EINVAL;
        if (strlen(authority + length) >= sizeof(url.path))
                return -EINVAL;
        (void) snprintf(url.path, sizeof(url.path), "%s", authority[length] ? authority + length : "/");
        if (!tus_key_is_valid(url.path) || strchr(url.path, '?'))
                return -EINVAL;
        *ret = url;
        return 0;
}

/* RFC 3986 §5.2.4, for a path that begins with '/'; what follows the path stays. */
static void remove_dot_segments(char *key) {
        size_t end = strcspn(key, "?"), out = 0, in = 0;

        while (in < end) {
                size_t length = 1 + strcspn(key + in + 1, "/?");
                bool last = in + length >= end;

                if (length == 2 && key[in + 1] == '.') {
                        if (last)
                                key[out++] = '/';
                } else if (length == 3 && key[in + 1] == '.' && key[in + 2] == '.') {
                        while (out > 0 && key[--out] != '/')
                                ;
                        if (last)
                                key[out++] = '/';
                } else {
                        memmove(key + out, key + in, length);
                        out += length;
                }
                in += length;
        }
        if (out == 0)
                key[out++] = '/';
        memmove(key + out, key + end, strlen(key + end) + 1);
}

/* What follows scheme and authority in a Location. */
static int resolve_path(const TusUrl *base, const char *reference, char ret[static TUS_KEY_SIZE]) {
        char key[2 * TUS_KEY_SIZE];
        size_t folder = 0;

        if (strlen(reference) >= TUS_KEY_SIZE)
                return -EINVAL;
        if (reference[0] == '?')
                folder = strlen(base->path);
        else if (reference[0] != '/')
                folder = (size_t) (strrchr(base->path, '/') - base->path) + 1;
        (void) snprintf(key, sizeof(key), "%.*s%s", (int) folder, base->path, reference);
        key[strcspn(key, "#")] = 0;
        if (key[strspn(key, KEY_CHARACTERS)] != 0)
                return -EINVAL;
        remove_dot_segments(key);
        if (!tus_key_is_valid(key))
                return -EINVAL;
        memcpy(ret, key, strlen(key) + 1);
        return 0;
}

int tus_location(const TusUrl *base, const char *location, char ret[static TUS_KEY_SIZE]) {
        size_t scheme = strspn(location, SCHEME_CHARACTERS), length;
        const char *scheme_text = base->endpoint.tls ? "https" : "http", *rest = location, *path;
        bool absolute = scheme > 0 && strncmp(location + scheme, ":", 1) == 0;
        Endpoint there;
        char root[TUS_KEY_SIZE + 1];

        if (location[0] == 0 || location[0] == '#')
                return -EINVAL;
        if (absolute) {
                scheme_text = location;
                rest = location + scheme + 1;
        } else
                scheme = strlen(scheme_text);
        if (strncmp(rest, "//", 2) != 0)
                return absolute ? -EINVAL : resolve_path(base, rest, ret);
        rest += 2;
        length = strcspn(rest, "/?#");
        if (parse_authority(scheme_text, scheme, rest, length, &there) < 0)
                return absolute && strncasecmp(scheme_text, "http", 4) != 0 ? -EXDEV : -EINVAL;
        if (strcasecmp(there.host, base->endpoint.host) != 0)
                return -EXDEV;
        path = rest + length;
        if (strlen(path) >= TUS_KEY_SIZE)
                return -EINVAL;
        (void) snprintf(root, sizeof(root), "%s%s", path[0] == '/' ? "" : "/", path);
        return resolve_path(base, root, ret);
}

/* ---- Lists and numbers --------------------------------------------------------------------------------------------- */

bool tus_list_has(const char *list, const char *item) {
        size_t wanted = strlen(item);

        for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
                const char *begin = at + strspn(at, " \t");
                size_t n = strcspn(begin, ", \t");

                if (n == wanted && strncmp(begin, item, n) == 0)
                        return true;
        }
        return false;
}

int tus_number(const char *text, uint64_t *ret) {
        size_t digits = strspn(text, "0123456789");
        unsigned long long value;

        if (digits == 0 || digits > 19 || text[digits] != 0)
                return -EINVAL;
        value = strtoull(text, NULL, 10);
        if (value > INT64_MAX)
                return -EINVAL;
        *ret = value;
        return 0;
}

/* ---- Metadata ------------------------------------------------------------------------------------------------------ */

int tus_metadata_add(char **metadata, const char *key, const char *value) {
        size_t n = strlen(value);
        _cleanup_(freep) char *base64 = n < (size_t) INT32_MAX / 2 ? malloc((n + 2) / 3 * 4 + 1) : NULL;
        char *longer;

        if (!base64)
                return -ENOMEM;
        base64[0] = 0;
        (void) EVP_EncodeBlock((unsigned char *) base64, (const unsigned char *) value, (int) n);
        longer = text_format("%s%s%s%s%s", *metadata ? *metadata : "", *metadata ? "," : "", key, n > 0 ? " " : "", base64);
        if (!longer)
                return -ENOMEM;
        free(*metadata);
        *metadata = longer;
        return 0;
}

static int decode(const char *base64, size_t length, char *ret, size_t size) {
        char text[TUS_METADATA_SIZE];
        size_t padding = 0;
        int n;

        if (length % 4 != 0 || length > sizeof(text))
                return -EBADMSG;
        while (padding < 2 && padding < length && base64[length - 1 - padding] == '=')
                padding++;
        /* What OpenSSL would skip or take for padding elsewhere. */
        if (strspn(base64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") < length - padding)
                return -EBADMSG;
        n = EVP_DecodeBlock((unsigned char *) text, (const unsigned char *) base64, (int) length);
        if (n < (int) padding || (size_t) n - padding >= size || memchr(text, 0, (size_t) n - padding))
                return -EBADMSG;
        memcpy(ret, text, (size_t) n - padding);
        ret[(size_t) n - padding] = 0;
        return 0;
}

int tus_metadata_find(const char *metadata, const char *key, char *ret, size_t size) {
        size_t wanted = strlen(key);

        for (const char *at = metadata; *at; at += strcspn(at, ","), at += *at == ',') {
                const char *begin = at + strspn(at, " "), *value;
                size_t n = strcspn(begin, " ,");

                if (n != wanted || strncmp(begin, key, n) != 0)
                        continue;
                value = begin + n + strspn(begin + n, " ");
                return decode(value, strcspn(value, " ,"), ret, size);
        }
        return -ENOENT;
}
