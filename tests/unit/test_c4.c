/* SPDX-License-Identifier: Apache-2.0 */

/* C4 ids: proof/c4.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/evp.h>

#include "base/macro.h"
#include "proof/c4.h"

static void check(const char *text, const char *expected) {
        uint8_t sha512[SHA512_SIZE];
        char id[C4_SIZE];

        assert_int_equal(EVP_Digest(text, strlen(text), sha512, NULL, EVP_sha512(), NULL), 1);
        assert_string_equal(c4_from_sha512(sha512, id), expected);
}

static void test_published_ids_of_texts(void **state) {
        (void) state;
        check("", "c459dsjfscH38cYeXXYogktxf4Cd9ibshE3BHUo6a58hBXmRQdZrAkZzsWcbWtDg5oQstpDuni4Hirj75GEmTc1sFT");
        check("alfa", "c43zYcLni5LF9rR4Lg4B8h3Jp8SBwjcnyyeh4bc6gTPHndKuKdjUWx1kJPYhZxYt3zV6tQXpDs2shPsPYjgG81wZM1");
}

static void test_published_ids_of_extremes(void **state) {
        uint8_t sha512[SHA512_SIZE];
        char id[C4_SIZE];

        (void) state;
        memset(sha512, 0xff, sizeof(sha512));
        assert_string_equal(c4_from_sha512(sha512, id),
                            "c467rpwLCuS5DGA8KGZXKsVQ7dnPb9goRLoKfgGbLfQg9WoLUgNY77E2jT11fem3coV9nAkguBACzrU1iyZM4B8roQ");
        memset(sha512, 0, sizeof(sha512));
        assert_string_equal(c4_from_sha512(sha512, id),
                            "c41111111111111111111111111111111111111111111111111111111111111111111111111111111111111111");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_published_ids_of_texts),
                cmocka_unit_test(test_published_ids_of_extremes),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
