/* SPDX-License-Identifier: Apache-2.0 */
#include "base/statement.h"

#include <errno.h>
#include <string.h>

#include "base/canonical.h"
#include "base/text.h"

void statement_done(Statement *s) {
        json_decref(s->object);
        free(s->text);
        *s = (Statement){ 0 };
}

bool fleet_id_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

        return n > 0 && n < FLEET_ID_SIZE && s[n] == 0;
}

/* The first two lines: what is signed. */
static char *signed_part(const char *text) {
        return text_format(STATEMENT_MAGIC "\n%s\n", text);
}

char *statement_file(const Statement *s) {
        char signature[SIGNATURE_TEXT_SIZE];

        return text_format(STATEMENT_MAGIC "\n%s\n%s\n", s->text, signature_to_text(&s->signature, signature));
}

static int take_about(Statement *s) {
        const json_t *seq = json_object_get(s->object, "seq");
        StatementAbout *a = &s->about;

        a->type = json_string_value(json_object_get(s->object, "type"));
        a->key = json_string_value(json_object_get(s->object, "key"));
        a->fleet = json_string_value(json_object_get(s->object, "fleet"));
        a->dock = json_string_value(json_object_get(s->object, "dock"));
        if (!a->type || !a->key || !a->fleet || !a->dock || !json_is_integer(seq) || json_integer_value(seq) <= 0 ||
            json_integer_value(json_object_get(s->object, "v")) != 1)
                return -EBADE;
        a->seq = (uint64_t) json_integer_value(seq);
        return public_key_from_hex(json_string_value(json_object_get(s->object, "signer")), &s->signer) < 0 ? -EBADE : 0;
}

int statement_make(const SignKey *key, const StatementAbout *about, json_t *members, Statement *ret) {
        _cleanup_(statement_done) Statement s = { .object = json_incref(members) };
        _cleanup_(freep) char *part = NULL;
        char signer[PUBLIC_KEY_HEX_SIZE];
        int r;

        if (json_object_set_new(members, "v", json_integer(1)) < 0 ||
            json_object_set_new(members, "type", json_string(about->type)) < 0 ||
            json_object_set_new(members, "key", json_string(about->key)) < 0 ||
            json_object_set_new(members, "fleet", json_string(about->fleet)) < 0 ||
            json_object_set_new(members, "dock", json_string(about->dock)) < 0 ||
            json_object_set_new(members, "seq", json_integer((json_int_t) about->seq)) < 0 ||
            json_object_set_new(members, "signer", json_string(public_key_to_hex(sign_key_public(key), signer))) < 0)
                return -EINVAL;
        r = take_about(&s);
        if (r < 0)
                return r;
        s.text = canonical_text(members);
        part = s.text ? signed_part(s.text) : NULL;
        if (!part)
                return -ENOMEM;
        if (strlen(part) + SIGNATURE_TEXT_SIZE > STATEMENT_SIZE_MAX)
                return -EFBIG;
        r = sign_bytes(key, part, strlen(part), &s.signature);
        if (r >= 0)
                r = digest_of(s.text, strlen(s.text), &s.hash);
        if (r < 0)
                return r;
        *ret = s;
        s = (Statement){ 0 };
        return 0;
}

int statement_from_parts(const char *text, const char *signature, Statement *ret) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *part = NULL;
        int r;

        if (!text || signature_from_text(signature, &s.signature) < 0)
                return -EBADE;
        r = canonical_parse(text, strlen(text), &s.object);
        if (r >= 0)
                r = take_about(&s);
        if (r < 0)
                return r;
        s.text = strdup(text);
        part = signed_part(text);
        if (!s.text || !part)
                return -ENOMEM;
        r = sign_verify(&s.signer, part, strlen(part), &s.signature);
        if (r >= 0)
                r = digest_of(s.text, strlen(s.text), &s.hash);
        if (r < 0)
                return r;
        *ret = s;
        s = (Statement){ 0 };
        return 0;
}

/* Cuts the next line off: NULL when there is none that is ended. */
static char *take_line(char **rest) {
        char *line = *rest, *end = strchr(line, '\n');

        if (!end)
                return NULL;
        *end = 0;
        *rest = end + 1;
        return line;
}

int statement_parse(const char *file, size_t size, Statement *ret) {
        _cleanup_(freep) char *copy = NULL;
        char *rest, *magic, *text, *signature;

        if (size > STATEMENT_SIZE_MAX || memchr(file, 0, size))
                return -EBADE;
        /* Not strndup(): `file` has no NUL, which AddressSanitizer's strict checks want of it. */
        copy = malloc(size + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, file, size);
        copy[size] = 0;
        rest = copy;
        magic = take_line(&rest);
        text = magic ? take_line(&rest) : NULL;
        signature = text ? take_line(&rest) : NULL;
        if (!signature || *rest || !text_equal(magic, STATEMENT_MAGIC))
                return -EBADE;
        return statement_from_parts(text, signature, ret);
}

const char *statement_mismatch(const Statement *s, const StatementAbout *expected, const PublicKey *signer) {
        if (expected->type && !text_equal(s->about.type, expected->type))
                return "it is of another type";
        if (expected->key && !text_equal(s->about.key, expected->key))
                return "it was made for another key in the store, and copied here";
        if (expected->fleet && !text_equal(s->about.fleet, expected->fleet))
                return "it is of another fleet";
        if (expected->dock && !text_equal(s->about.dock, expected->dock))
                return "it is of another dock";
        if (signer && !public_key_equal(&s->signer, signer))
                return "it was signed by another key";
        if (s->about.seq <= expected->seq)
                return "it is an older one, which was played again";
        return NULL;
}
