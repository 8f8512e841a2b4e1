/* SPDX-License-Identifier: Apache-2.0 */

/* Who came back from a change of mode: core/return.c, by tables. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/return.h"

#define BEGUN UINT64_C(1000)
#define UNTIL UINT64_C(2000)

static const struct {
        const char *promise;
        ReturnTiming timing;
        bool expected;
} timings[] = {
        { "the named model within the window", { true, true, BEGUN, UNTIL, 1500 }, true },
        { "at its very end", { true, true, BEGUN, UNTIL, UNTIL }, true },
        { "too late", { true, true, BEGUN, UNTIL, UNTIL + 1 }, false },
        { "a device that was there before", { true, true, BEGUN, UNTIL, BEGUN - 1 }, false },
        { "another model", { true, false, BEGUN, UNTIL, 1500 }, false },
        { "times of another boot", { false, true, BEGUN, UNTIL, 1500 }, false },
};

static void test_only_the_named_model_in_time_is_taken_for_the_camera(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(timings); i++)
                if (return_is_in_time(&timings[i].timing) != timings[i].expected)
                        fail_msg("%s", timings[i].promise);
}

static const struct {
        const char *promise;
        ReturnFacts facts;
        ReturnVerdict expected;
} verdicts[] = {
        { "the first time only the port speaks for it", { "VOL-A1", "", false, false, false }, RETURN_BY_PORT },
        { "the recorded storage, confirmed", { "VOL-A1", "VOL-A1", true, false, false }, RETURN_RECOGNISED },
        { "confirmed in this very change", { "VOL-A1", "VOL-A1", true, true, false }, RETURN_RECOGNISED },
        { "the second time it confirms itself", { "VOL-A1", "VOL-A1", false, false, false }, RETURN_RECOGNISED },
        { "but a record is not its own witness", { "VOL-A1", "VOL-A1", false, true, false }, RETURN_BY_PORT },
        { "a camera swapped during the change", { "VOL-B2", "VOL-A1", true, false, false }, RETURN_OTHER },
        { "swapped before anybody confirmed", { "VOL-B2", "VOL-A1", false, false, false }, RETURN_OTHER },
        { "the first time, with another camera's storage", { "VOL-B2", "", false, false, true }, RETURN_OTHER },
        { "another camera's storage", { "VOL-B2", "VOL-A1", true, false, true }, RETURN_OTHER },
        { "an id that two cameras show tells neither", { "VOL-A1", "VOL-A1", true, false, true }, RETURN_BY_PORT },
        { "no id at all", { "", "", false, false, false }, RETURN_BY_PORT },
        { "no id, where one is recorded", { "", "VOL-A1", true, false, false }, RETURN_BY_PORT },
        { "a placeholder, recorded as it may be", { "00000000", "00000000", true, false, false }, RETURN_BY_PORT },
};

static void test_verdict_needs_a_recorded_storage_that_tells_the_camera_from_others(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(verdicts); i++)
                if (return_verdict(&verdicts[i].facts) != verdicts[i].expected)
                        fail_msg("%s: got %d", verdicts[i].promise, (int) return_verdict(&verdicts[i].facts));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_the_named_model_in_time_is_taken_for_the_camera),
                cmocka_unit_test(test_verdict_needs_a_recorded_storage_that_tells_the_camera_from_others),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
