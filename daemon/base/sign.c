/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

struct SignKey {
        EVP_PKEY *pkey;
        PublicKey public;
};

static void pkey_freep(EVP_PKEY **p) {
        EVP_PKEY_free(*p);
}

static void bio_freep(BIO **b) {
        (void) BIO_free(*b);
}

static void md_freep(EVP_MD_CTX **c) {
        EVP_MD_CTX_free(*c);
}

/* ---- Keys --------------------------------------------------------------------------------------------------------- */

/* Takes the key. */
static int wrap(EVP_PKEY *pkey, SignKey **ret) {
        _cleanup_(pkey_freep) EVP_PKEY *owned = pkey;
        size_t size = PUBLIC_KEY_SIZE;
        SignKey *key;

        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED25519)
                return -ENOTSUP;
        key = calloc(1, sizeof(*key));
        if (!key)
                return -ENOMEM;
        if (EVP_PKEY_get_raw_public_key(pkey, key->public.bytes, &size) != 1 || size != PUBLIC_KEY_SIZE) {
                free(key);
                return -EBADMSG;
        }
        key->pkey = TAKE_PTR(owned);
        *ret = key;
        return 0;
}

int sign_key_new(SignKey **ret) {
        EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

        return pkey ? wrap(pkey, ret) : -EIO;
}

/* A PEM that wants a password gets none, rather than asking the terminal for it. */
static int no_password(char *buffer, int size, int writing, void *userdata) {
        (void) buffer;
        (void) size;
        (void) writing;
        (void) userdata;
        return -1;
}

int sign_key_from_pem(const char *pem, size_t size, SignKey **ret) {
        _cleanup_(bio_freep) BIO *bio = NULL;
        EVP_PKEY *pkey;

        if (size > INT32_MAX)
                return -EBADMSG;
        bio = BIO_new_mem_buf(pem, (int) size);
        if (!bio)
                return -ENOMEM;
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        if (!pkey) {
                ERR_clear_error();
                return -EBADMSG;
        }
        return wrap(pkey, ret);
}

static int take_text(BIO *bio, char **ret) {
        char *data = NULL, *text;
        long size = BIO_get_mem_data(bio, &data);

        if (size <= 0)
                return -EIO;
        /* A BIO's memory does not end with a NUL. */
        text = malloc((size_t) size + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, data, (size_t) size);
        text[size] = 0;
        *ret = text;
        return 0;
}

int sign_key_to_pem(const SignKey *key, char **ret) {
        _cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_secmem());

        if (!bio)
                return -ENOMEM;
        if (PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
                return -EIO;
        return take_text(bio, ret);
}

SignKey *sign_key_free(SignKey *key) {
        if (!key)
                return NULL;
        EVP_PKEY_free(key->pkey);
        free(key);
        return NULL;
}

const PublicKey *sign_key_public(const SignKey *key) {
        return &key->public;
}

/* ---- Signatures --------------------------------------------------------------------------------------------------- */

int sign_bytes(const SignKey *key, const void *data, size_t size, Signature *ret) {
        _cleanup_(md_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        size_t length = SIGNATURE_SIZE;
        Signature s;

        if (!context)
                return -ENOMEM;
        if (EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey) != 1 ||
            EVP_DigestSign(context, s.bytes, &length, data, size) != 1 || length != SIGNATURE_SIZE)
                return -EIO;
        *ret = s;
        return 0;
}

int sign_verify(const PublicKey *key, const void *data, size_t size, const Signature *signature) {
        _cleanup_(pkey_freep) EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, PUBLIC_KEY_SIZE);
        _cleanup_(md_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        int r;

        if (!pkey || !context)
                return -ENOMEM;
        if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) != 1)
                return -EIO;
        r = EVP_DigestVerify(context, signature->bytes, SIGNATURE_SIZE, data, size);
        ERR_clear_error();
        return r == 1 ? 0 : -EKEYREJECTED;
}

/* ---- Public keys -------------------------------------------------------------------------------------------------- */

bool public_key_equal(const PublicKey *a, const PublicKey *b) {
        return memcmp(a->bytes, b->bytes, PUBLIC_KEY_SIZE) == 0;
}

char *public_key_to_hex(const PublicKey *key, char ret[static PUBLIC_KEY_HEX_SIZE]) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < PUBLIC_KEY_SIZE; i++) {
                ret[2 * i] = digits[key->bytes[i] >> 4];
                ret[2 * i + 1] = digits[key->bytes[i] & 15];
        }
        ret[2 * PUBLIC_KEY_SIZE] = 0;
        return ret;
}

int public_key_from_hex(const char *hex, PublicKey *ret) {
        static const char digits[] = "0123456789abcdef";
        PublicKey key;

        if (!hex || strlen(hex) != 2 * PUBLIC_KEY_SIZE || strspn(hex, digits) != 2 * PUBLIC_KEY_SIZE)
                return -EINVAL;
        for (size_t i = 0; i < PUBLIC_KEY_SIZE; i++)
                key.bytes[i] = (uint8_t) ((strchr(digits, hex[2 * i]) - digits) << 4 | (strchr(digits, hex[2 * i + 1]) - digits));
        *ret = key;
        return 0;
}

int public_key_from_pem(const char *pem, size_t size, PublicKey *ret) {
        _cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
        _cleanup_(bio_freep) BIO *bio = NULL;
        size_t length = PUBLIC_KEY_SIZE;
        PublicKey key;

        if (size > INT32_MAX)
                return -EBADMSG;
        bio = BIO_new_mem_buf(pem, (int) size);
        if (!bio)
                return -ENOMEM;
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
        if (!pkey) {
                ERR_clear_error();
                return -EBADMSG;
        }
        if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED25519)
                return -ENOTSUP;
        if (EVP_PKEY_get_raw_public_key(pkey, key.bytes, &length) != 1 || length != PUBLIC_KEY_SIZE)
                return -EBADMSG;
        *ret = key;
        return 0;
}

int public_key_to_pem(const PublicKey *key, char **ret) {
        _cleanup_(pkey_freep) EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, PUBLIC_KEY_SIZE);
        _cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());

        if (!pkey || !bio)
                return -ENOMEM;
        if (PEM_write_bio_PUBKEY(bio, pkey) != 1)
                return -EIO;
        return take_text(bio, ret);
}

/* ---- Signatures as text ------------------------------------------------------------------------------------------- */

char *signature_to_text(const Signature *s, char ret[static SIGNATURE_TEXT_SIZE]) {
        (void) EVP_EncodeBlock((unsigned char *) ret, s->bytes, SIGNATURE_SIZE);
        return ret;
}

int signature_from_text(const char *text, Signature *ret) {
        unsigned char raw[SIGNATURE_SIZE + 2]; /* libcrypto counts the padding */
        char again[SIGNATURE_TEXT_SIZE];
        Signature s;

        if (!text || strlen(text) != SIGNATURE_TEXT_SIZE - 1 ||
            EVP_DecodeBlock(raw, (const unsigned char *) text, SIGNATURE_TEXT_SIZE - 1) != SIGNATURE_SIZE + 2) {
                ERR_clear_error();
                return -EINVAL;
        }
        memcpy(s.bytes, raw, SIGNATURE_SIZE);
        if (strcmp(signature_to_text(&s, again), text) != 0)
                return -EINVAL;
        *ret = s;
        return 0;
}
