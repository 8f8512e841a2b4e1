/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uplink/http_time.h"

static void test_dates_and_waits_are_read(void **state) {
        int64_t at = 7;

        (void) state;
        assert_int_equal(http_parse_date("Sun, 06 Nov 1994 08:49:37 GMT", &at), 0);
        assert_int_equal(at, 784111777);
        at = 7;
        assert_int_equal(http_parse_date("Sun, 06 Nix 1994 08:49:37 GMT", &at), -EINVAL);
        assert_int_equal(http_parse_date("Sun, 06 Nov 1994 28:49:37 GMT", &at), -EINVAL);
        assert_int_equal(http_parse_date("784111777", &at), -EINVAL);
        assert_int_equal(at, 7);
        assert_int_equal(http_retry_after_sec("12", 0), 12);
        assert_int_equal(http_retry_after_sec("Sun, 06 Nov 1994 08:49:37 GMT", 784111700), 77);
        assert_int_equal(http_retry_after_sec("Sun, 06 Nov 1994 08:49:37 GMT", 784111800), 0);
        assert_int_equal(http_retry_after_sec("-3", 0), 0);
        assert_int_equal(http_retry_after_sec("99999999999999999999", 0), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dates_and_waits_are_read),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
