/* SPDX-License-Identifier: Apache-2.0 */

/* What a bay's lamps say, and how settings say it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/light.h"
#include "service/lamp.h"

static void test_every_state_has_its_light(void **state) {
        static const struct {
                BayState bay;
                Light light, pointed_at;
        } rows[] = {
                { BAY_EMPTY, LIGHT_EMPTY, LIGHT_TAKE },     { BAY_IDENTIFYING, LIGHT_BUSY, LIGHT_TAKE },
                { BAY_SWITCHING, LIGHT_BUSY, LIGHT_TAKE },  { BAY_CHECKING, LIGHT_BUSY, LIGHT_TAKE },
                { BAY_PULLING, LIGHT_BUSY, LIGHT_TAKE },    { BAY_SETTLED, LIGHT_BUSY, LIGHT_TAKE },
                { BAY_UPDATING, LIGHT_BUSY, LIGHT_TAKE },   { BAY_READY, LIGHT_READY, LIGHT_TAKE },
                { BAY_REFUSED, LIGHT_KEEP, LIGHT_KEEP },    { BAY_QUARANTINED, LIGHT_KEEP, LIGHT_KEEP },
                { BAY_FAULT, LIGHT_FAULT, LIGHT_TAKE },      { BAY_EJECTED, LIGHT_TAKE, LIGHT_TAKE },
        };
        (void) state;

        assert_int_equal(ELEMENTSOF(rows), _BAY_STATE_MAX);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(rows[i].bay, i);
                assert_int_equal(light_of(&(LightFacts){ .state = rows[i].bay, .battery_percent = -1 }), rows[i].light);
                assert_int_equal(light_of(&(LightFacts){ .state = rows[i].bay, .pointed_at = true }), rows[i].pointed_at);
        }
}

static void test_ready_with_too_little_charge_is_charging(void **state) {
        LightFacts f = { .state = BAY_READY, .battery_percent = 59, .battery_floor_percent = 60 };
        (void) state;

        assert_int_equal(light_of(&f), LIGHT_CHARGING);
        f.battery_percent = 60;
        assert_int_equal(light_of(&f), LIGHT_READY);
        f.battery_percent = -1;
        assert_int_equal(light_of(&f), LIGHT_READY);
        f.battery_percent = 10;
        f.state = BAY_FAULT;
        assert_int_equal(light_of(&f), LIGHT_FAULT);
}

static void test_best_camera_is_told_to_be_taken_only_when_it_may_be(void **state) {
        (void) state;

        for (BayState s = 0; s < _BAY_STATE_MAX; s++) {
                const LightFacts plain = { .state = s, .battery_percent = -1 }, best = { .state = s, .battery_percent = -1, .best = true };

                assert_int_equal(light_of(&best), s == BAY_READY ? LIGHT_TAKE : light_of(&plain));
        }
        assert_int_equal(light_of(&(LightFacts){ .state = BAY_READY, .best = true, .battery_percent = 5, .battery_floor_percent = 6 }),
                         LIGHT_CHARGING);
}

static void test_lights_have_names(void **state) {
        (void) state;
        for (Light l = 0; l < _LIGHT_MAX; l++)
                assert_int_equal(light_from_string(light_to_string(l)), l);
        assert_int_equal(light_from_string("disco"), _LIGHT_INVALID);
        assert_null(light_to_string(_LIGHT_MAX));
}

static void test_looks_are_parsed(void **state) {
        static const char *const wrong[] = { "", "disco", "green disco", "#12345", "#1234567", "#12345g", "blink", " green" };
        LampLook look;
        (void) state;

        assert_int_equal(lamp_look_parse("off", &look), 0);
        assert_int_equal(look.red + look.green + look.blue + (int) look.pattern, 0);
        assert_int_equal(lamp_look_parse("green", &look), 0);
        assert_int_equal(look.green, 255);
        assert_int_equal(look.pattern, LAMP_STEADY);
        assert_int_equal(lamp_look_parse("#0A80ff blink", &look), 0);
        assert_int_equal(look.red, 10);
        assert_int_equal(look.green, 128);
        assert_int_equal(look.blue, 255);
        assert_int_equal(look.pattern, LAMP_BLINK);
        assert_int_equal(lamp_look_parse("red   fast", &look), 0);
        assert_int_equal(look.pattern, LAMP_FAST);
        look.green = 77;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(lamp_look_parse(wrong[i], &look), -22);
        assert_int_equal(look.green, 77);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_state_has_its_light),
                cmocka_unit_test(test_ready_with_too_little_charge_is_charging),
                cmocka_unit_test(test_best_camera_is_told_to_be_taken_only_when_it_may_be),
                cmocka_unit_test(test_lights_have_names),
                cmocka_unit_test(test_looks_are_parsed),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
