/* SPDX-License-Identifier: Apache-2.0 */
#include "base/minisign.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/text.h"

#define KEY_SIZE (2 + MINISIGN_ID_SIZE + PUBLIC_KEY_SIZE)
#define BLOB_SIZE (2 + MINISIGN_ID_SIZE + SIGNATURE_SIZE)
#define HASH_SIZE 64u
#define BASE64_MAX 104u /* of the largest, a signature with its key's id */
#define UNTRUSTED "untrusted comment: "
#define TRUSTED "trusted comment: "

/* ---- Base64 ---------------------------------------------------------------------------------------------------------- */

/* Exactly the canonical form of `size` bytes, or -EINVAL. */
static int from_base64(const char *text, size_t length, void *ret, size_t size) {
        unsigned char raw[BASE64_MAX];
        char again[BASE64_MAX + 1];

        if (length != 4 * ((size + 2) / 3) || length > BASE64_MAX)
                return -EINVAL;
        if (EVP_DecodeBlock(raw, (const unsigned char *) text, (int) length) < (int) size) {
                ERR_clear_error();
                return -EINVAL;
        }
        (void) EVP_EncodeBlock((unsigned char *) again, raw, (int) size);
        if (memcmp(again, text, length) != 0)
                return -EINVAL;
        memcpy(ret, raw, size);
        return 0;
}

/* ---- Keys ------------------------------------------------------------------------------------------------------------ */

static int key_from_base64(const char *text, size_t length, MinisignKey *ret) {
        uint8_t raw[KEY_SIZE];
        MinisignKey k;

        if (from_base64(text, length, raw, sizeof(raw)) < 0 || memcmp(raw, "Ed", 2) != 0)
                return -EINVAL;
        memcpy(k.id, raw + 2, MINISIGN_ID_SIZE);
        memcpy(k.key.bytes, raw + 2 + MINISIGN_ID_SIZE, PUBLIC_KEY_SIZE);
        *ret = k;
        return 0;
}

int minisign_key_from_text(const char *text, MinisignKey *ret) {
        return text ? key_from_base64(text, strnlen(text, BASE64_MAX + 1), ret) : -EINVAL;
}

char *minisign_key_to_text(const MinisignKey *key, char ret[static MINISIGN_KEY_TEXT_SIZE]) {
        uint8_t raw[KEY_SIZE] = { 'E', 'd' };

        memcpy(raw + 2, key->id, MINISIGN_ID_SIZE);
        memcpy(raw + 2 + MINISIGN_ID_SIZE, key->key.bytes, PUBLIC_KEY_SIZE);
        (void) EVP_EncodeBlock((unsigned char *) ret, raw, KEY_SIZE);
        return ret;
}

/* A number, the lowest byte first. */
char *minisign_id_to_hex(const uint8_t id[static MINISIGN_ID_SIZE], char ret[static MINISIGN_ID_HEX_SIZE]) {
        static const char digits[] = "0123456789ABCDEF";

        for (size_t i = 0; i < MINISIGN_ID_SIZE; i++) {
                ret[2 * i] = digits[id[MINISIGN_ID_SIZE - 1 - i] >> 4];
                ret[2 * i + 1] = digits[id[MINISIGN_ID_SIZE - 1 - i] & 15];
        }
        ret[2 * MINISIGN_ID_SIZE] = 0;
        return ret;
}

/* The line at *at, without its end, and moves on. NULL past the last. */
static const char *next_line(const char **at, const char *end, size_t *ret_length) {
        const char *line = *at, *stop;

        if (line >= end)
                return NULL;
        stop = memchr(line, '\n', (size_t) (end - line));
        *at = stop ? stop + 1 : end;
        *ret_length = (size_t) ((stop ? stop : end) - line);
        if (*ret_length > 0 && line[*ret_length - 1] == '\r')
                (*ret_length)--;
        return line;
}

int minisign_keys_parse(const char *name, const char *text, size_t size, MinisignKeys *ret, ConfError *error) {
        const char *at = text, *end = text + size, *line;
        MinisignKeys keys = { .n = 0 };
        unsigned number = 0;
        size_t length;

        while ((line = next_line(&at, end, &length))) {
                number++;
                if (length == 0 || line[0] == '#' || (length >= strlen(UNTRUSTED) && memcmp(line, UNTRUSTED, strlen(UNTRUSTED)) == 0))
                        continue;
                if (keys.n == MINISIGN_KEYS_MAX) {
                        conf_fail(error, "%s:%u: more than %u keys", name, number, MINISIGN_KEYS_MAX);
                        return -EBADMSG;
                }
                if (key_from_base64(line, length, &keys.keys[keys.n]) < 0) {
                        conf_fail(error, "%s:%u: this is no public key of minisign, which begins with RW", name, number);
                        return -EBADMSG;
                }
                keys.n++;
        }
        if (keys.n == 0) {
                conf_fail(error, "%s: there is no public key of minisign in it", name);
                return -EBADMSG;
        }
        *ret = keys;
        return 0;
}

/* ---- Signatures ------------------------------------------------------------------------------------------------------ */

static int not_a_signature(ConfError *error, const char *why) {
        conf_fail(error, "the signature is not as minisign writes it: %s", why);
        return -EBADMSG;
}

static int take_comment(const char *line, size_t length, MinisignSignature *s, ConfError *error) {
        if (!line || length < strlen(TRUSTED) || memcmp(line, TRUSTED, strlen(TRUSTED)) != 0)
                return not_a_signature(error, "there is no trusted comment");
        line += strlen(TRUSTED);
        length -= strlen(TRUSTED);
        if (length >= sizeof(s->comment) || memchr(line, 0, length))
                return not_a_signature(error, "its trusted comment is too long, or no text");
        memcpy(s->comment, line, length);
        s->comment[length] = 0;
        return 0;
}

int minisign_parse(const char *text, size_t size, MinisignSignature *ret, ConfError *error) {
        const char *at = text, *end = text + size, *line;
        uint8_t blob[BLOB_SIZE];
        MinisignSignature s = { 0 };
        size_t length = 0;
        int r;

        if (size > MINISIGN_FILE_MAX)
                return not_a_signature(error, "it is too long");
        line = next_line(&at, end, &length);
        if (!line || length < strlen(UNTRUSTED) || memcmp(line, UNTRUSTED, strlen(UNTRUSTED)) != 0)
                return not_a_signature(error, "it does not begin with an untrusted comment");
        line = next_line(&at, end, &length);
        if (!line || from_base64(line, length, blob, sizeof(blob)) < 0)
                return not_a_signature(error, "its second line is no signature");
        if (memcmp(blob, "Ed", 2) == 0) {
                conf_fail(error, "the signature is of minisign's old kind, which is not over a hash: sign again without -l");
                return -ENOTSUP;
        }
        if (memcmp(blob, "ED", 2) != 0)
                return not_a_signature(error, "it is of a kind that is not known");
        memcpy(s.id, blob + 2, MINISIGN_ID_SIZE);
        memcpy(s.signature.bytes, blob + 2 + MINISIGN_ID_SIZE, SIGNATURE_SIZE);
        line = next_line(&at, end, &length);
        r = take_comment(line, length, &s, error);
        if (r < 0)
                return r;
        line = next_line(&at, end, &length);
        if (!line || from_base64(line, length, s.global.bytes, SIGNATURE_SIZE) < 0)
                return not_a_signature(error, "its last line is no signature");
        if (at != end)
                return not_a_signature(error, "something comes after its last line");
        *ret = s;
        return 0;
}

static int verify_by(const MinisignSignature *s, const void *data, size_t size, const MinisignKey *key, ConfError *error) {
        uint8_t hash[EVP_MAX_MD_SIZE], whole[SIGNATURE_SIZE + MINISIGN_COMMENT_SIZE];
        size_t length = strlen(s->comment);
        unsigned n = 0;
        int r;

        if (EVP_Digest(data, size, hash, &n, EVP_blake2b512(), NULL) != 1 || n != HASH_SIZE) {
                ERR_clear_error();
                return -EIO;
        }
        r = sign_verify(&key->key, hash, HASH_SIZE, &s->signature);
        if (r == -EKEYREJECTED)
                conf_fail(error, "the signature is not over these bytes: they were changed or cut off after they were signed");
        if (r < 0)
                return r;
        memcpy(whole, s->signature.bytes, SIGNATURE_SIZE);
        memcpy(whole + SIGNATURE_SIZE, s->comment, length);
        r = sign_verify(&key->key, whole, SIGNATURE_SIZE + length, &s->global);
        if (r == -EKEYREJECTED)
                conf_fail(error, "the trusted comment of the signature was changed");
        return r;
}

int minisign_verify(const MinisignSignature *s, const void *data, size_t size, const MinisignKeys *keys, const MinisignKey **ret_by,
                    ConfError *error) {
        char id[MINISIGN_ID_HEX_SIZE];
        int r = -ENOKEY;

        for (size_t i = 0; i < keys->n && r != 0; i++) {
                if (memcmp(keys->keys[i].id, s->id, MINISIGN_ID_SIZE) != 0)
                        continue;
                r = verify_by(s, data, size, &keys->keys[i], error);
                if (r == 0 && ret_by)
                        *ret_by = &keys->keys[i];
        }
        if (r == -ENOKEY) {
                conf_fail(error, "it is signed with the key %s, which is not believed here", minisign_id_to_hex(s->id, id));
                r = -EKEYREJECTED;
        }
        return r;
}
