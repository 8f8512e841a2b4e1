/* SPDX-License-Identifier: Apache-2.0 */

/* Where a camera is that several docks know of. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/whereabouts.h"

#define NOW (INT64_C(1000) * 1000000)

static void test_camera_is_out_only_while_no_dock_saw_it_since(void **state) {
        static const struct {
                Sighting s[3];
                size_t n, last, out_from;
                bool out, overdue;
        } cases[] = {
                { { { 10, false, false, 0, 0, 0, 0, 0, 0 } }, 1, 0, 0, false, false },
                { { { 10, true, false, 20, 0, 0, 0, 0, 0 } }, 1, 0, 0, true, false },
                { { { 10, true, true, 20, 30, 0, 0, 0, 0 } }, 1, 0, 0, true, true },
                /* back at another one; whatever the first one still says */
                { { { 10, true, true, 20, 30, 0, 0, 0, 0 }, { 25, false, false, 0, 0, 0, 0, 0, 0 } }, 2, 1, 0, false, false },
                /* seen there before it was taken here */
                { { { 10, true, true, 20, 30, 0, 0, 0, 0 }, { 15, false, false, 0, 0, 0, 0, 0, 0 } }, 2, 1, 0, true, true },
                /* taken again from there: that is what counts */
                { { { 10, true, true, 20, 30, 0, 0, 0, 0 }, { 25, true, false, 40, 0, 0, 0, 0, 0 }, { 5, true, true, 6, 7, 0, 0, 0, 0 } },
                  3, 1, 1, true, false },
                /* the dock that has it on record says nothing any more */
                { { { 10, true, false, 20, NOW - WHEREABOUTS_PATIENCE_USEC, 0, 0, 0, 0 } }, 1, 0, 0, true, true },
                { { { 10, true, false, 20, NOW - WHEREABOUTS_PATIENCE_USEC + 1, 0, 0, 0, 0 } }, 1, 0, 0, true, false },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Whereabouts w;

                whereabouts_of(cases[i].s, cases[i].n, NOW, &w);
                if (w.last != cases[i].last || w.out != cases[i].out || w.overdue != cases[i].overdue ||
                    (w.out && w.out_from != cases[i].out_from))
                        fail_msg("case %zu: last %zu, out %d from %zu, overdue %d", i, w.last, w.out, w.out_from, w.overdue);
        }
}

static void test_what_is_on_the_camera_only_the_last_dock_knows(void **state) {
        const Sighting s[] = {
                { .last_docked_usec = 10, .unstored_on_camera = 3, .on_camera_since_usec = 1, .unstored_on_dock = 2,
                  .on_dock_since_usec = 7 },
                { .last_docked_usec = 20, .unstored_on_camera = 1, .on_camera_since_usec = 9 },
        };
        Whereabouts w;
        (void) state;

        whereabouts_of(s, 2, NOW, &w);
        assert_int_equal(w.unstored_clips, 3);
        assert_int_equal(w.unstored_since_usec, 7);
        whereabouts_of(s, 1, NOW, &w);
        assert_int_equal(w.unstored_clips, 5);
        assert_int_equal(w.unstored_since_usec, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_camera_is_out_only_while_no_dock_saw_it_since),
                cmocka_unit_test(test_what_is_on_the_camera_only_the_last_dock_knows),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
