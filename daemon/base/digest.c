/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

struct Hasher {
        EVP_MD_CTX *context;
};

bool digest_equal(const Digest *a, const Digest *b) {
        return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

bool digest_is_zero(const Digest *d) {
        for (size_t i = 0; i < DIGEST_SIZE; i++)
                if (d->bytes[i] != 0)
                        return false;
        return true;
}

char *digest_to_hex(const Digest *d, char ret[static DIGEST_HEX_SIZE]) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                ret[2 * i] = digits[d->bytes[i] >> 4];
                ret[2 * i + 1] = digits[d->bytes[i] & 15];
        }
        ret[2 * DIGEST_SIZE] = 0;
        return ret;
}

static int hex_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -EINVAL;
}

int digest_from_hex(const char *hex, Digest *ret) {
        Digest d;

        if (!hex || strlen(hex) != 2 * DIGEST_SIZE)
                return -EINVAL;
        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                d.bytes[i] = (uint8_t) (high << 4 | low);
        }
        *ret = d;
        return 0;
}

int hasher_new(Hasher **ret) {
        _cleanup_(hasher_freep) Hasher *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->context = EVP_MD_CTX_new();
        if (!h->context)
                return -ENOMEM;
        if (EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) != 1)
                return -EIO;
        *ret = TAKE_PTR(h);
        return 0;
}

Hasher *hasher_free(Hasher *h) {
        if (!h)
                return NULL;
        EVP_MD_CTX_free(h->context);
        free(h);
        return NULL;
}

int hasher_update(Hasher *h, const void *data, size_t size) {
        return EVP_DigestUpdate(h->context, data, size) == 1 ? 0 : -EIO;
}

int hasher_finish(Hasher *h, Digest *ret) {
        Digest d;

        if (EVP_DigestFinal_ex(h->context, d.bytes, NULL) != 1)
                return -EIO;
        if (EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) != 1)
                return -EIO;
        *ret = d;
        return 0;
}

int hasher_peek(const Hasher *h, Digest *ret) {
        EVP_MD_CTX *copy = EVP_MD_CTX_new();
        Digest d;
        bool ok = copy && EVP_MD_CTX_copy_ex(copy, h->context) == 1 && EVP_DigestFinal_ex(copy, d.bytes, NULL) == 1;

        EVP_MD_CTX_free(copy);
        if (!ok)
                return -EIO;
        *ret = d;
        return 0;
}

int digest_of(const void *data, size_t size, Digest *ret) {
        Digest d;

        if (EVP_Digest(data, size, d.bytes, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        *ret = d;
        return 0;
}
