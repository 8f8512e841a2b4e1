/* SPDX-License-Identifier: Apache-2.0 */

/* Keys, signatures and signed statements: base/sign.c, base/statement.c, base/canonical.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/canonical.h"
#include "base/statement.h"
#include "base/text.h"

/* RFC 8032, 7.1, test 3. */
static const char rfc_secret_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                     "MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3\n"
                                     "-----END PRIVATE KEY-----\n";
static const char rfc_public_hex[] = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
static const unsigned char rfc_message[] = { 0xaf, 0x82 };
static const unsigned char rfc_signature[] = {
        0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6, 0x9c, 0x3a, 0xbe, 0x01, 0xa3, 0x0c, 0xe5, 0x48, 0xa2, 0x84, 0x74,
        0x3a, 0x44, 0x5e, 0x36, 0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac, 0x18, 0xff, 0x9b, 0x53, 0x8d, 0x16, 0xf2, 0x90, 0xae, 0x67, 0xf7, 0x60,
        0x98, 0x4d, 0xc6, 0x59, 0x4a, 0x7c, 0x15, 0xe9, 0x71, 0x6e, 0xd2, 0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a,
};

static void test_published_vector_is_signed_and_verified(void **state) {
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        char hex[PUBLIC_KEY_HEX_SIZE];
        PublicKey public;
        Signature s;

        (void) state;
        assert_int_equal(sign_key_from_pem(rfc_secret_pem, strlen(rfc_secret_pem), &key), 0);
        assert_string_equal(public_key_to_hex(sign_key_public(key), hex), rfc_public_hex);
        assert_int_equal(sign_bytes(key, rfc_message, sizeof(rfc_message), &s), 0);
        assert_memory_equal(s.bytes, rfc_signature, SIGNATURE_SIZE);
        assert_int_equal(public_key_from_hex(rfc_public_hex, &public), 0);
        assert_int_equal(sign_verify(&public, rfc_message, sizeof(rfc_message), &s), 0);
        assert_int_equal(sign_verify(&public, rfc_message, 1, &s), -EKEYREJECTED);
        s.bytes[0] ^= 1;
        assert_int_equal(sign_verify(&public, rfc_message, sizeof(rfc_message), &s), -EKEYREJECTED);
}

static void test_keys_survive_their_pem(void **state) {
        _cleanup_(sign_key_freep) SignKey *key = NULL, *again = NULL;
        _cleanup_(freep) char *private_pem = NULL, *public_pem = NULL;
        PublicKey public;

        (void) state;
        assert_int_equal(sign_key_new(&key), 0);
        assert_int_equal(sign_key_to_pem(key, &private_pem), 0);
        assert_non_null(strstr(private_pem, "-----BEGIN PRIVATE KEY-----"));
        assert_int_equal(sign_key_from_pem(private_pem, strlen(private_pem), &again), 0);
        assert_true(public_key_equal(sign_key_public(key), sign_key_public(again)));
        assert_int_equal(public_key_to_pem(sign_key_public(key), &public_pem), 0);
        assert_int_equal(public_key_from_pem(public_pem, strlen(public_pem), &public), 0);
        assert_true(public_key_equal(sign_key_public(key), &public));
}

static void test_other_keys_are_refused(void **state) {
        static const char ec[] = "-----BEGIN PRIVATE KEY-----\n"
                                 "MC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n" /* X25519 */
                                 "-----END PRIVATE KEY-----\n";
        SignKey *key = NULL;
        PublicKey public;

        (void) state;
        assert_int_equal(sign_key_from_pem(ec, strlen(ec), &key), -ENOTSUP);
        assert_int_equal(sign_key_from_pem("", 0, &key), -EBADMSG);
        assert_int_equal(sign_key_from_pem("x", 1, &key), -EBADMSG);
        assert_int_equal(public_key_from_pem(rfc_secret_pem, strlen(rfc_secret_pem), &public), -EBADMSG);
        assert_int_equal(public_key_from_hex("FC51", &public), -EINVAL);
        assert_int_equal(public_key_from_hex(NULL, &public), -EINVAL);
}

static void test_signature_has_one_spelling(void **state) {
        char text[SIGNATURE_TEXT_SIZE];
        Signature s, again;

        (void) state;
        memcpy(s.bytes, rfc_signature, sizeof(s.bytes));
        assert_int_equal(signature_from_text(signature_to_text(&s, text), &again), 0);
        assert_memory_equal(&s, &again, sizeof(s));
        text[5] = '*';
        assert_int_equal(signature_from_text(text, &again), -EINVAL);
        assert_int_equal(signature_from_text("", &again), -EINVAL);
        (void) signature_to_text(&s, text);
        /* Bits that no byte comes of. */
        text[85] = text[85] == 'h' ? 'g' : (char) (text[85] + 1);
        assert_int_equal(signature_from_text(text, &again), -EINVAL);
}

static const StatementAbout about = { STATEMENT_CHECKPOINT, "checkpoints/d1/0000000007", "north", "d1", 7 };

static void make(SignKey **key, Statement *ret) {
        json_t *members = json_pack("{s:s, s:i}", "head_hash", "00", "head_seq", 12);

        assert_int_equal(sign_key_from_pem(rfc_secret_pem, strlen(rfc_secret_pem), key), 0);
        assert_int_equal(statement_make(*key, &about, members, ret), 0);
        json_decref(members);
}

static void test_statement_reads_back(void **state) {
        _cleanup_(statement_done) Statement s = { 0 }, again = { 0 };
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        _cleanup_(freep) char *file = NULL;

        (void) state;
        make(&key, &s);
        file = statement_file(&s);
        assert_int_equal(statement_parse(file, strlen(file), &again), 0);
        assert_string_equal(again.text, s.text);
        assert_true(digest_equal(&again.hash, &s.hash));
        assert_null(statement_mismatch(&again, &(StatementAbout){ about.type, about.key, "north", "d1", 6 },
                                       sign_key_public(key)));
        assert_int_equal(json_integer_value(json_object_get(again.object, "head_seq")), 12);
}

static void test_no_byte_of_a_statement_can_be_changed(void **state) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        _cleanup_(freep) char *file = NULL;
        size_t size;

        (void) state;
        make(&key, &s);
        file = statement_file(&s);
        size = strlen(file);
        for (size_t i = 0; i < size; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        Statement other = { 0 };
                        int r;

                        file[i] = (char) (file[i] ^ (1 << bit));
                        r = statement_parse(file, size, &other);
                        if (r != -EBADE && r != -EKEYREJECTED)
                                fail_msg("byte %zu bit %u: %d", i, bit, r);
                        file[i] = (char) (file[i] ^ (1 << bit));
                }
        for (size_t i = 0; i < size; i++) {
                Statement other = { 0 };

                assert_int_equal(statement_parse(file, i, &other), -EBADE);
        }
}

static void test_what_a_statement_is_about_is_compared(void **state) {
        _cleanup_(sign_key_freep) SignKey *key = NULL, *other = NULL;
        _cleanup_(statement_done) Statement s = { 0 };
        StatementAbout expected;

        (void) state;
        make(&key, &s);
        assert_int_equal(sign_key_new(&other), 0);
        expected = (StatementAbout){ .type = STATEMENT_KEY_ROTATION };
        assert_non_null(strstr(statement_mismatch(&s, &expected, NULL), "another type"));
        expected = (StatementAbout){ .key = "checkpoints/d1/0000000008" };
        assert_non_null(strstr(statement_mismatch(&s, &expected, NULL), "another key in the store"));
        expected = (StatementAbout){ .fleet = "" };
        assert_non_null(strstr(statement_mismatch(&s, &expected, NULL), "another fleet"));
        expected = (StatementAbout){ .dock = "d2" };
        assert_non_null(strstr(statement_mismatch(&s, &expected, NULL), "another dock"));
        expected = (StatementAbout){ .seq = 7 };
        assert_non_null(strstr(statement_mismatch(&s, &expected, NULL), "older"));
        expected = (StatementAbout){ .seq = 6 };
        assert_non_null(strstr(statement_mismatch(&s, &expected, sign_key_public(other)), "another key"));
        assert_null(statement_mismatch(&s, &expected, sign_key_public(key)));
}

static void test_canonical_text_has_one_spelling(void **state) {
        static const char *const bad[] = { "",    "x",  "[]", " {}", "{} ", "{\"b\":1,\"a\":1}", "{\"a\":1,\"a\":1}", "{\"a\": 1}",
                                           "{\"a\":1}\n" };
        json_t *object = NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(canonical_parse(bad[i], strlen(bad[i]), &object), -EBADE);
        assert_int_equal(canonical_parse("{\"a\":1,\"b\":[2]}", 15, &object), 0);
        json_decref(object);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_published_vector_is_signed_and_verified),
                cmocka_unit_test(test_keys_survive_their_pem),
                cmocka_unit_test(test_other_keys_are_refused),
                cmocka_unit_test(test_signature_has_one_spelling),
                cmocka_unit_test(test_statement_reads_back),
                cmocka_unit_test(test_no_byte_of_a_statement_can_be_changed),
                cmocka_unit_test(test_what_a_statement_is_about_is_compared),
                cmocka_unit_test(test_canonical_text_has_one_spelling),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
