/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_customer_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/text.h"
#include "uplink/secret_file.h"

#define SYSTEMD_NAME "s3-encryption-key"
#define KEY_SIZE 32u
#define KEY_BASE64_LENGTH 44u
#define MD5_BASE64_SIZE 25u

struct S3CustomerKey {
        SecretFile file;
        char *key;
        char md5[MD5_BASE64_SIZE];
};

S3CustomerKey *s3_customer_key_free(S3CustomerKey *k) {
        if (!k)
                return NULL;
        k->key = secret_forget(k->key);
        secret_file_end(&k->file);
        free(k);
        return NULL;
}

int s3_customer_key_new(const char *path, S3CustomerKey **ret) {
        _cleanup_(s3_customer_key_freep) S3CustomerKey *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        r = secret_file_init(&k->file, path, SYSTEMD_NAME);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

/* -EINVAL unless the text is 32 bytes as base64, in the one way in which they are written. */
static int compute_md5(const char *text, char ret[static MD5_BASE64_SIZE]) {
        unsigned char bytes[KEY_SIZE + 1], again[KEY_BASE64_LENGTH + 1], md5[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        int r = -EINVAL;

        if (EVP_DecodeBlock(bytes, (const unsigned char *) text, (int) KEY_BASE64_LENGTH) == (int) sizeof(bytes)) {
                (void) EVP_EncodeBlock(again, bytes, (int) KEY_SIZE);
                if (memcmp(again, text, KEY_BASE64_LENGTH) == 0)
                        r = EVP_Digest(bytes, KEY_SIZE, md5, &length, EVP_md5(), NULL) == 1 ? 0 : -ENOMEM;
        }
        if (r >= 0)
                (void) EVP_EncodeBlock((unsigned char *) ret, md5, (int) length);
        OPENSSL_cleanse(bytes, sizeof(bytes));
        OPENSSL_cleanse(again, sizeof(again));
        return r;
}

static int take_file(const SecretFile *f, char *text, size_t size, void *userdata, ConfError *error) {
        S3CustomerKey *k = userdata;
        char md5[MD5_BASE64_SIZE];
        char *key;

        if (size > 0 && text[size - 1] == '\n')
                size--;
        if (size != KEY_BASE64_LENGTH || compute_md5(text, md5) < 0)
                return secret_file_complain(f, error, "does not hold 32 bytes as base64 in one line: make it with openssl rand -base64 32");
        key = secret_copy(text, size);
        if (!key)
                return -ENOMEM;
        k->key = secret_forget(k->key);
        k->key = key;
        memcpy(k->md5, md5, sizeof(k->md5));
        return 0;
}

int s3_customer_key_get(S3CustomerKey *k, const char **ret_key, const char **ret_md5, ConfError *error) {
        int r;

        if (!k->file.path) {
                (void) snprintf(error->text, sizeof(error->text),
                                "there is no key for encryption = sse-c: name a file with [store] encryption_key, or hand over the "
                                "credential '" SYSTEMD_NAME "' with LoadCredential=");
                return -ENOENT;
        }
        r = secret_file_load(&k->file, take_file, k, error);
        if (r < 0)
                return r;
        *ret_key = k->key;
        *ret_md5 = k->md5;
        return 0;
}
