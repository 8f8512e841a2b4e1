/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/sigv4.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/digest.h"
#include "base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DAY_DIGITS 8

char *sigv4_time(int64_t unix_sec, char ret[static SIGV4_TIME_SIZE]) {
        time_t t = (time_t) unix_sec;
        struct tm tm;

        if (!gmtime_r(&t, &tm) || strftime(ret, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm) != SIGV4_TIME_SIZE - 1)
                memcpy(ret, "19700101T000000Z", SIGV4_TIME_SIZE);
        return ret;
}

/* ---- Encoding ------------------------------------------------------------------------------------------------------ */

static bool is_unreserved(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_' || c == '~';
}

static char *encode(const char *text, bool keep_slash) {
        char *ret = malloc(3 * strlen(text) + 1), *to = ret;

        if (!ret)
                return NULL;
        for (; *text; text++)
                if (is_unreserved(*text) || (keep_slash && *text == '/'))
                        *to++ = *text;
                else
                        to += sprintf(to, "%%%02X", (unsigned) (unsigned char) *text);
        *to = 0;
        return ret;
}

char *sigv4_encode_path(const char *path) {
        return encode(path, true);
}

/* ---- Texts that grow ----------------------------------------------------------------------------------------------- */

typedef struct Text {
        char *data;
        size_t size;
        FILE *file;
} Text;

static int text_open(Text *t) {
        t->file = open_memstream(&t->data, &t->size);
        return t->file ? 0 : -ENOMEM;
}

static int text_take(Text *t, char **ret) {
        bool failed = ferror(t->file) != 0;

        failed |= fclose(TAKE_PTR(t->file)) != 0;
        if (failed)
                return -ENOMEM;
        *ret = TAKE_PTR(t->data);
        return 0;
}

static void text_end(Text *t) {
        if (t->file)
                (void) fclose(t->file);
        free(t->data);
}

/* ---- Query --------------------------------------------------------------------------------------------------------- */

typedef struct Encoded {
        char *name, *value;
} Encoded;

static int compare_encoded(const void *a, const void *b) {
        const Encoded *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r ? r : strcmp(x->value, y->value);
}

int sigv4_query(const Sigv4Pair *pairs, size_t n_pairs, char **ret) {
        Encoded encoded[SIGV4_PAIRS_MAX] = {};
        _cleanup_(text_end) Text text = {};
        int r;

        if (n_pairs > SIGV4_PAIRS_MAX)
                return -EINVAL;
        r = text_open(&text);
        for (size_t i = 0; i < n_pairs && r >= 0; i++) {
                encoded[i] = (Encoded){ .name = encode(pairs[i].name, false), .value = encode(pairs[i].value, false) };
                r = encoded[i].name && encoded[i].value ? 0 : -ENOMEM;
        }
        if (r >= 0) {
                qsort(encoded, n_pairs, sizeof(encoded[0]), compare_encoded);
                for (size_t i = 0; i < n_pairs; i++)
                        (void) fprintf(text.file, "%s%s=%s", i ? "&" : "", encoded[i].name, encoded[i].value);
                r = text_take(&text, ret);
        }
        for (size_t i = 0; i < n_pairs; i++) {
                free(encoded[i].name);
                free(encoded[i].value);
        }
        return r;
}

/* ---- Headers ------------------------------------------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b) {
        return strcmp(((const Sigv4Pair *) a)->name, ((const Sigv4Pair *) b)->name);
}

static int sort_headers(const Sigv4Request *request, Sigv4Pair ret[static SIGV4_PAIRS_MAX]) {
        if (request->n_headers == 0 || request->n_headers > SIGV4_PAIRS_MAX)
                return -EINVAL;
        memcpy(ret, request->headers, request->n_headers * sizeof(*ret));
        qsort(ret, request->n_headers, sizeof(*ret), compare_pairs);
        return 0;
}

/* Without white space at the ends, and with single blanks within. */
static void print_trimmed(FILE *f, const char *value) {
        bool blank = false, any = false;

        for (; *value; value++) {
                if (*value == ' ' || *value == '\t') {
                        blank = any;
                        continue;
                }
                if (blank)
                        (void) fputc(' ', f);
                (void) fputc(*value, f);
                blank = false;
                any = true;
        }
}

static void print_names(FILE *f, const Sigv4Pair *headers, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) fprintf(f, "%s%s", i ? ";" : "", headers[i].name);
}

int sigv4_canonical_request(const Sigv4Request *request, char **ret) {
        _cleanup_(text_end) Text text = {};
        Sigv4Pair headers[SIGV4_PAIRS_MAX];
        int r;

        r = sort_headers(request, headers);
        if (r < 0)
                return r;
        r = text_open(&text);
        if (r < 0)
                return r;
        (void) fprintf(text.file, "%s\n%s\n%s\n", request->method, request->path, request->query);
        for (size_t i = 0; i < request->n_headers; i++) {
                (void) fprintf(text.file, "%s:", headers[i].name);
                print_trimmed(text.file, headers[i].value);
                (void) fputc('\n', text.file);
        }
        (void) fputc('\n', text.file);
        print_names(text.file, headers, request->n_headers);
        (void) fprintf(text.file, "\n%s", request->payload_hash);
        return text_take(&text, ret);
}

/* ---- Signing ------------------------------------------------------------------------------------------------------- */

static int hmac(const void *key, size_t key_size, const char *text, uint8_t ret[static DIGEST_SIZE]) {
        unsigned size = DIGEST_SIZE;

        return HMAC(EVP_sha256(), key, (int) key_size, (const unsigned char *) text, strlen(text), ret, &size) ? 0 : -EIO;
}

static int derive_key(const Sigv4Request *request, const char *day, const Sigv4Keys *keys, uint8_t ret[static DIGEST_SIZE]) {
        const char *steps[] = { day, request->region, request->service, "aws4_request" };
        char *secret = text_format("AWS4%s", keys->secret_key);
        uint8_t before[DIGEST_SIZE];
        int r;

        if (!secret)
                return -ENOMEM;
        r = hmac(secret, strlen(secret), steps[0], ret);
        for (size_t i = 1; i < ELEMENTSOF(steps) && r >= 0; i++) {
                memcpy(before, ret, sizeof(before));
                r = hmac(before, sizeof(before), steps[i], ret);
        }
        OPENSSL_cleanse(before, sizeof(before));
        OPENSSL_cleanse(secret, strlen(secret));
        free(secret);
        return r;
}

static int signature(const Sigv4Request *request, const char *day, const char *scope, const Sigv4Keys *keys,
                     char ret[static DIGEST_HEX_SIZE]) {
        _cleanup_(freep) char *canonical = NULL;
        _cleanup_(freep) char *to_sign = NULL;
        char hex[DIGEST_HEX_SIZE];
        uint8_t key[DIGEST_SIZE];
        Digest digest;
        int r;

        r = sigv4_canonical_request(request, &canonical);
        if (r < 0)
                return r;
        r = digest_of(canonical, strlen(canonical), &digest);
        if (r < 0)
                return r;
        to_sign = text_format(ALGORITHM "\n%s\n%s\n%s", request->time, scope, digest_to_hex(&digest, hex));
        if (!to_sign)
                return -ENOMEM;
        r = derive_key(request, day, keys, key);
        if (r >= 0)
                r = hmac(key, sizeof(key), to_sign, digest.bytes);
        OPENSSL_cleanse(key, sizeof(key));
        if (r < 0)
                return r;
        (void) digest_to_hex(&digest, ret);
        return 0;
}

int sigv4_sign(const Sigv4Request *request, const Sigv4Keys *keys, char **ret) {
        _cleanup_(text_end) Text text = {};
        Sigv4Pair headers[SIGV4_PAIRS_MAX];
        _cleanup_(freep) char *scope = NULL;
        char hex[DIGEST_HEX_SIZE], day[DAY_DIGITS + 1];
        int r;

        if (strlen(request->time) != SIGV4_TIME_SIZE - 1)
                return -EINVAL;
        r = sort_headers(request, headers);
        if (r < 0)
                return r;
        memcpy(day, request->time, DAY_DIGITS);
        day[DAY_DIGITS] = 0;
        scope = text_format("%s/%s/%s/aws4_request", day, request->region, request->service);
        if (!scope)
                return -ENOMEM;
        r = signature(request, day, scope, keys, hex);
        if (r >= 0)
                r = text_open(&text);
        if (r < 0)
                return r;
        (void) fprintf(text.file, ALGORITHM " Credential=%s/%s, SignedHeaders=", keys->access_key, scope);
        print_names(text.file, headers, request->n_headers);
        (void) fprintf(text.file, ", Signature=%s", hex);
        return text_take(&text, ret);
}
