/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signatures as the well-known tool minisign makes them: Ed25519 over the BLAKE2b-512 of a file ("ED"), and once more over that signature
 * and a trusted comment. Only reading and checking: the secret key stays with the tool.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/sign.h"

#define MINISIGN_ID_SIZE 8u
#define MINISIGN_ID_HEX_SIZE (2 * MINISIGN_ID_SIZE + 1)
#define MINISIGN_COMMENT_SIZE 1025u /* with the NUL */
#define MINISIGN_KEY_TEXT_SIZE 57u  /* "RW…", with the NUL */
#define MINISIGN_KEYS_MAX 8u
#define MINISIGN_FILE_MAX 4096u     /* bytes of a signature or a public key's file */

typedef struct MinisignKey {
        uint8_t id[MINISIGN_ID_SIZE];
        PublicKey key;
} MinisignKey;

typedef struct MinisignKeys {
        MinisignKey keys[MINISIGN_KEYS_MAX];
        size_t n;
} MinisignKeys;

typedef struct MinisignSignature {
        uint8_t id[MINISIGN_ID_SIZE];
        Signature signature, global;
        char comment[MINISIGN_COMMENT_SIZE]; /* the trusted one: minisign's own has tabs, so it is sanitised before it is shown */
} MinisignSignature;

/* The 56 characters of a public key: -EINVAL. */
int minisign_key_from_text(const char *text, MinisignKey *ret);
char *minisign_key_to_text(const MinisignKey *key, char ret[static MINISIGN_KEY_TEXT_SIZE]);
/* As minisign prints it; returns ret. */
char *minisign_id_to_hex(const uint8_t id[static MINISIGN_ID_SIZE], char ret[static MINISIGN_ID_HEX_SIZE]);
/*
 * The keys of a file: one a line, as minisign writes it, with comments. -EBADMSG with a sentence that begins with `name`, also when there
 * is none, or more than MINISIGN_KEYS_MAX.
 */
int minisign_keys_parse(const char *name, const char *text, size_t size, MinisignKeys *ret, ConfError *error);

/* A .minisig: -EBADMSG when it is none, -ENOTSUP when it is of the old kind that is not over a hash; with a sentence. */
int minisign_parse(const char *text, size_t size, MinisignSignature *ret, ConfError *error);
/*
 * Is it over these bytes, and by one of these keys? 0; -EKEYREJECTED with a sentence: by another key, over something else, or with a
 * trusted comment that was changed. *ret_by, which may be NULL, is the key.
 */
int minisign_verify(const MinisignSignature *s, const void *data, size_t size, const MinisignKeys *keys, const MinisignKey **ret_by,
                    ConfError *error);
