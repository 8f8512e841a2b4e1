/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ed25519 (RFC 8032) by libcrypto: keys as PKCS#8 and SubjectPublicKeyInfo PEM (RFC 8410), which `openssl pkey` reads and writes.
 * What is signed is a statement (base/statement.h), never bytes that somebody else chose.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define PUBLIC_KEY_SIZE 32u
#define PUBLIC_KEY_HEX_SIZE (2 * PUBLIC_KEY_SIZE + 1) /* with the NUL */
#define SIGNATURE_SIZE 64u
#define SIGNATURE_TEXT_SIZE 89u /* base64, with the NUL */

typedef struct PublicKey {
        uint8_t bytes[PUBLIC_KEY_SIZE];
} PublicKey;

typedef struct Signature {
        uint8_t bytes[SIGNATURE_SIZE];
} Signature;

/* A private key. */
typedef struct SignKey SignKey;

/* A new one. -EIO when libcrypto has no random numbers. */
int sign_key_new(SignKey **ret);
/* -EBADMSG when the text is no unencrypted PEM private key, -ENOTSUP when the key is not Ed25519. */
int sign_key_from_pem(const char *pem, size_t size, SignKey **ret);
/* PKCS#8; the caller makes it zero and frees it. */
int sign_key_to_pem(const SignKey *key, char **ret);
SignKey *sign_key_free(SignKey *key);
DEFINE_CLEANUP(SignKey, sign_key_free);
const PublicKey *sign_key_public(const SignKey *key);

int sign_bytes(const SignKey *key, const void *data, size_t size, Signature *ret);
/* 0; -EKEYREJECTED when the signature is not of this key over these bytes. */
int sign_verify(const PublicKey *key, const void *data, size_t size, const Signature *signature);

bool public_key_equal(const PublicKey *a, const PublicKey *b);
/* Lower-case hex; returns ret. */
char *public_key_to_hex(const PublicKey *key, char ret[static PUBLIC_KEY_HEX_SIZE]);
/* Exactly 64 lower-case hex digits, or -EINVAL. */
int public_key_from_hex(const char *hex, PublicKey *ret);
/* -EBADMSG, -ENOTSUP as for a private key. */
int public_key_from_pem(const char *pem, size_t size, PublicKey *ret);
/* The caller frees. */
int public_key_to_pem(const PublicKey *key, char **ret);

/* Base64 on one line, with padding; returns ret. */
char *signature_to_text(const Signature *s, char ret[static SIGNATURE_TEXT_SIZE]);
/* Exactly that form, or -EINVAL. */
int signature_from_text(const char *text, Signature *ret);
