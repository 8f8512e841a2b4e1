/* SPDX-License-Identifier: Apache-2.0 */

/* SHA-256 and its text: base/digest.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/digest.h"

/* FIPS 180-4's examples, and the empty message. */
static const struct {
        const char *message, *hex;
} known[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void test_digest_of_known_messages(void **state) {
        char hex[DIGEST_HEX_SIZE];
        Digest d;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                assert_int_equal(digest_of(known[i].message, strlen(known[i].message), &d), 0);
                assert_string_equal(digest_to_hex(&d, hex), known[i].hex);
        }
}

static void test_hasher_in_pieces_gives_the_same_and_can_be_used_again(void **state) {
        _cleanup_(hasher_freep) Hasher *h = NULL;
        Digest whole, pieces;

        (void) state;
        assert_int_equal(hasher_new(&h), 0);
        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                const char *m = known[i].message;

                for (const char *p = m; *p; p++)
                        assert_int_equal(hasher_update(h, p, 1), 0);
                assert_int_equal(hasher_finish(h, &pieces), 0);
                assert_int_equal(digest_of(m, strlen(m), &whole), 0);
                assert_true(digest_equal(&whole, &pieces));
        }
}

static void test_hash_that_was_looked_at_goes_on(void **state) {
        _cleanup_(hasher_freep) Hasher *h = NULL;
        const char *m = known[2].message;
        Digest whole, so_far;

        (void) state;
        assert_int_equal(hasher_new(&h), 0);
        for (size_t i = 0; m[i]; i++) {
                assert_int_equal(hasher_peek(h, &so_far), 0);
                assert_int_equal(digest_of(m, i, &whole), 0);
                assert_true(digest_equal(&whole, &so_far));
                assert_int_equal(hasher_update(h, m + i, 1), 0);
        }
        assert_int_equal(hasher_finish(h, &so_far), 0);
        assert_int_equal(digest_of(m, strlen(m), &whole), 0);
        assert_true(digest_equal(&whole, &so_far));
}

static void test_hex_is_exactly_64_digits(void **state) {
        static const char *const bad[] = {
                "",
                "e3",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
                "g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85 ",
        };
        Digest d = { { 1, 2, 3 } };
        const Digest before = d;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(digest_from_hex(bad[i], &d), -EINVAL);
                assert_true(digest_equal(&d, &before));
        }
        assert_int_equal(digest_from_hex(NULL, &d), -EINVAL);
}

static void test_hex_round_trip(void **state) {
        char hex[DIGEST_HEX_SIZE];
        Digest d, upper;

        (void) state;
        assert_int_equal(digest_from_hex(known[1].hex, &d), 0);
        assert_string_equal(digest_to_hex(&d, hex), known[1].hex);
        for (char *c = hex; *c; c++)
                if (*c >= 'a')
                        *c = (char) (*c - 'a' + 'A');
        assert_int_equal(digest_from_hex(hex, &upper), 0);
        assert_true(digest_equal(&d, &upper));
}

static void test_zero_and_equal_look_at_every_byte(void **state) {
        (void) state;
        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                Digest zero = { { 0 } }, one = { { 0 } };

                one.bytes[i] = 1;
                assert_true(digest_is_zero(&zero));
                assert_false(digest_is_zero(&one));
                assert_false(digest_equal(&zero, &one));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_digest_of_known_messages),
                cmocka_unit_test(test_hasher_in_pieces_gives_the_same_and_can_be_used_again),
                cmocka_unit_test(test_hash_that_was_looked_at_goes_on),
                cmocka_unit_test(test_hex_is_exactly_64_digits),
                cmocka_unit_test(test_hex_round_trip),
                cmocka_unit_test(test_zero_and_equal_look_at_every_byte),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
