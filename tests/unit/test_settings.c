/* SPDX-License-Identifier: Apache-2.0 */

/* berthd.conf: what is accepted, and that every mistake is named with its file and line. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macro.h"
#include "service/settings.h"
#include "service/settings_key.h"

static char folder[] = "/tmp/berth-settings-XXXXXX";

static void write_file(const char *name, const char *text) {
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static int load(const char *text, Settings **ret, ConfError *error) {
        char path[256];

        write_file("berthd.conf", text);
        snprintf(path, sizeof(path), "%s/berthd.conf", folder);
        *error = (ConfError){};
        return settings_load(path, ret, error);
}

static void test_settings_have_defaults_and_sort_the_bays(void **state) {
        Settings *s = NULL;
        ConfError error;

        (void) state;
        assert_int_equal(load("[bay 1-1.2]\nnumber = 7\n[bay 1-1.4.1]\nnumber = 2\n", &s, &error), 0);
        assert_int_equal(s->n_bays, 2);
        assert_string_equal(s->bays[0].port_path, "1-1.4.1");
        assert_int_equal(s->bays[1].number, 7);
        assert_string_equal(s->state_dir, "/var/lib/berth");
        assert_string_equal(s->accept, "digest");
        assert_int_equal(s->erase.mode, ERASE_AFTER_RECEIPT);
        settings_free(s);
}

static void test_port_is_known_by_its_bay(void **state) {
        static const struct {
                const char *port, *told;
        } cases[] = {
                { "1-1.4.1", "BERTH_BAY=2\n" }, { "1-1.2", "BERTH_BAY=7\n" },
                { "1-1", "" }, { "1-1.4", "" }, { "usb1", "" }, { "1-1.4.11", "" }, { "1-1.4.1.1", "" },
                { "1", "" }, { "", "" },
        };
        Settings *s = NULL;
        ConfError error;

        (void) state;
        assert_int_equal(load("[bay 1-1.2]\nnumber = 7\n[bay 1-1.4.1]\nnumber = 2\n", &s, &error), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *told = settings_describe_port(s, cases[i].port);

                assert_string_equal(told, cases[i].told);
                free(told);
        }
        settings_free(s);
}

static void test_settings_refuse_every_mistake_with_its_line(void **state) {
        static const struct {
                const char *text, *says;
        } rows[] = {
                { "[dock]\n", "no bay" },
                { "[bay 1-1]\n", "[bay 1-1] has no number" },
                { "[bay 1-1]\nnumber = 0\n", "berthd.conf:2:" },
                { "[bay usb1]\nnumber = 1\n", "is not a USB port path" },
                { "[bay 1-0]\nnumber = 1\n", "is not a USB port path" },
                { "[bay 1-1.1.1.1.1.1.1.1]\nnumber = 1\n", "is not a USB port path" },
                { "[bay 1-1]\nnumber = 1\n[bay 1-2]\nnumber = 1\n", "berthd.conf:4:" },
                { "[bay 1-1]\nnumber = 1\n[bay 1-1]\nnumber = 2\n", "berthd.conf:3: [bay 1-1]: is there twice" },
                { "[bay 1-1]\nnumber = 1\nnumber = 2\n", "berthd.conf:3: [bay 1-1] number: is there twice" },
                { "[bay 1-1]\nnumber = 1\ncolour = red\n", "berthd.conf:3:" },
                { "[bay 1-1]\nnumber = 1\nled = ../../class\n", "not the name of a lamp" },
                { "[bay 1-1]\nnumber = 1\nled = a b c d e\n", "one to 4 lamps" },
                { "[bay 1-1]\nnumber = 1\nled = a\nled = b\n", "berthd.conf:4: [bay 1-1] led: is there twice" },
                { "[lights]\nready = mauve\n", "'mauve' is not a colour" },
                { "[lights]\nready = green disco\n", "berthd.conf:2:" },
                { "[lights]\nparty = green\n", "unknown key; these are empty" },
                { "[dock]\nstate_dir = relative\n", "berthd.conf:2:" },
                { "[dock]\nstatedir = /x\n", "unknown key" },
                { "[dock here]\nname = x\n", "takes no name" },
                { "[shelf]\nx = 1\n", "unknown section" },
                { "[policy]\nerase = sometimes\n", "none of after-receipt, by-hand, never" },
                { "[policy]\nerase = after 14\n", "not a time span" },
                { "[policy]\nerase = after 0s\n", "not between" },
                { "[policy]\naccept = digest,maybe\n", "'maybe' is not a receipt strength" },
                { "[policy]\naccept =\n", "berthd.conf:2:" },
                { "[policy]\nset_clock = perhaps\n", "berthd.conf:2:" },
                { "[policy]\nuploads = 0\n", "berthd.conf:2:" },
                { "[spool]\nreserve = lots\n", "berthd.conf:2:" },
                { "[spool]\nreserve = 1M\n", "berthd.conf:2:" },
                { "[timeouts]\nstall = 1ms\n", "berthd.conf:2:" },
                { "[bay 1-1.4]\nnumber = 1\n[bay 1-1.4.2]\nnumber = 2\n", "[bay 1-1.4.2] is behind the hub at 1-1.4" },
                { "[rack]\nauthorise = perhaps\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[rack]\nauthorize = yes\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[timeouts]\nmin_rate = 2T\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[timeouts]\nbackoff_min = 1h\n[bay 1-1]\nnumber = 1\n", "backoff_min is longer" },
                { "[rack]\nbudget = 0\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[rack]\nbudget = lots\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[hub usb1]\nbudget = 500\n[bay 1-1]\nnumber = 1\n", "is not the USB port path of a hub" },
                { "[hub 1-1]\n[bay 1-1.1]\nnumber = 1\n", "[hub 1-1] has no budget" },
                { "[hub 1-1]\nports = 4\n[bay 1-1.1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[shift]\nwhen = 06:00-14:00\n[bay 1-1]\nnumber = 1\n", "a shift has a name" },
                { "[shift early]\n[bay 1-1]\nnumber = 1\n", "[shift early] does not say when" },
                { "[shift early]\nwhen = Mon 06:00-14:00 or so\n[bay 1-1]\nnumber = 1\n", "'or so' is not understood" },
                { "[charging]\nready = 19\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[charging]\nhold = 101\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[charging]\nhold = 60\n[bay 1-1]\nnumber = 1\n", "no [shift NAME] says when" },
                { "[charging]\nlook_every = 0s\n[bay 1-1]\nnumber = 1\n", "berthd.conf:2:" },
                { "[charging]\nfast = yes\n[bay 1-1]\nnumber = 1\n", "unknown key" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Settings *s = NULL;
                ConfError error;
                int r = load(rows[i].text, &s, &error);

                if (r >= 0 || !strstr(error.text, rows[i].says) || !strstr(error.text, "berthd.conf"))
                        fail_msg("row %zu: %d '%s' does not say '%s'", i, r, error.text, rows[i].says);
                assert_null(s);
        }
}

static void test_settings_of_charging_are_read(void **state) {
        ConfError error;
        Settings *s;

        (void) state;
        assert_int_equal(load("[bay 1-1.1]\nnumber = 1\n[shift early]\nwhen = Mon-Fri 06:00-14:00\n", &s, &error), 0);
        assert_false(settings_switches_ports(s));
        assert_int_equal(s->charge.ready_percent, 90);
        assert_int_equal(s->charge.n_shifts, 1);
        assert_int_equal(s->charge.shifts[0].when.from, 360);
        assert_int_equal(s->charge.shifts[0].when.days, 0x1f);
        (void) settings_free(s);
        assert_int_equal(load("[bay 1-1.1]\nnumber = 1\n[hub 1-1]\nbudget = 900\n[hub 1-2]\nbudget = 1500\n", &s, &error), 0);
        assert_true(settings_switches_ports(s));
        assert_int_equal(s->charge.budget_ma, 0);
        assert_int_equal(s->charge.n_hubs, 2);
        assert_string_equal(s->charge.hubs[1].port_path, "1-2");
        assert_int_equal(s->charge.hubs[1].budget_ma, 1500);
        (void) settings_free(s);
        assert_int_equal(load("[bay 1-1]\nnumber = 1\n[charging]\nhold = 60\nready = 80\n[shift a]\nwhen = 22:00-06:00\n", &s, &error), 0);
        assert_true(settings_switches_ports(s));
        (void) settings_free(s);
        assert_int_equal(load("[rack]\nbudget = 4500\n[bay 1-1]\nnumber = 1\n", &s, &error), 0);
        assert_true(settings_switches_ports(s));
        assert_int_equal(s->charge.budget_ma, 4500);
        (void) settings_free(s);
}

static void test_settings_file_that_is_absent_is_named(void **state) {
        Settings *s = NULL;
        ConfError error = {};

        (void) state;
        assert_int_equal(settings_load("/nonexistent/berthd.conf", &s, &error), -ENOENT);
        assert_non_null(strstr(error.text, "/nonexistent/berthd.conf"));
}

#define SAME(field) assert_true(a->field == b->field)
#define SAME_TEXT(field) assert_string_equal(a->field, b->field)

/* The table of keys says what the parser goes by when nothing is written. */
static void test_defaults_that_are_shown_are_those_that_count(void **state) {
        char text[8192] = "[bay 1-1.1]\nnumber = 1\n";
        Settings *a = NULL, *b = NULL;
        ConfError error;
        const SettingKey *keys;
        size_t n;

        (void) state;
        assert_int_equal(load(text, &a, &error), 0);
        keys = setting_keys(&n);
        for (size_t i = 0; i < n; i++)
                if (keys[i].value[0] && !setting_section_is_named(keys[i].section))
                        snprintf(text + strlen(text), sizeof(text) - strlen(text), "[%s]\n%s = %s\n", keys[i].section, keys[i].key,
                                 keys[i].value);
        assert_int_equal(load(text, &b, &error), 0);
        SAME(status_usec);
        SAME(authorise);
        SAME(charge.budget_ma);
        SAME(charge.ready_percent);
        SAME(charge.hold_percent);
        SAME(charge.look_usec);
        SAME(charge.gauge_usec);
        SAME(reserve_bytes);
        SAME(keep_usec);
        SAME(priority_reserve_bytes);
        SAME(checkpoint_usec);
        SAME(erase.mode);
        SAME(erase.after_usec);
        SAME(set_clock);
        SAME(uploads);
        SAME(store_within_usec);
        SAME(due_after_usec);
        SAME(follow_usec);
        SAME(take_within_usec);
        SAME(mark_best);
        SAME(firmware_usec);
        SAME(health.drift_usec_per_day);
        SAME(health.storage_free_percent);
        SAME(health.medium_errors);
        SAME(health.faulted_dockings);
        SAME(health.battery_wear_percent);
        SAME(health.weak_dockings);
        SAME(health.hot_decidegrees);
        SAME(health.battery_fade_percent);
        SAME(health.drift_trend_usec);
        SAME(health.restarts);
        SAME(bay_health.cameras);
        SAME(bay_health.rests);
        SAME(bay_health.over_currents);
        SAME(charge.temperature.min_decidegrees);
        SAME(charge.temperature.max_decidegrees);
        SAME(min_rate);
        SAME(call_usec);
        SAME(stall_usec);
        SAME(backoff_min_usec);
        SAME(backoff_max_usec);
        SAME(over_current_usec);
        SAME(reconcile_usec);
        SAME_TEXT(state_dir);
        SAME_TEXT(plugin_dir);
        SAME_TEXT(worker);
        SAME_TEXT(models_dir);
        SAME_TEXT(local_models_dir);
        SAME_TEXT(uplink_socket);
        SAME_TEXT(accept);
        SAME_TEXT(firmware_keys);
        for (int i = 0; i < _LIGHT_MAX; i++) {
                SAME(lights[i].red);
                SAME(lights[i].green);
                SAME(lights[i].blue);
                SAME(lights[i].pattern);
        }
        settings_free(a);
        settings_free(b);
}

static int setup(void **state) {
        (void) state;
        return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
        static const char *const names[] = { "berthd.conf", "" };
        char path[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
                (void) remove(path);
        }
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_settings_have_defaults_and_sort_the_bays),
                cmocka_unit_test(test_port_is_known_by_its_bay),
                cmocka_unit_test(test_settings_refuse_every_mistake_with_its_line),
                cmocka_unit_test(test_defaults_that_are_shown_are_those_that_count),
                cmocka_unit_test(test_settings_of_charging_are_read),
                cmocka_unit_test(test_settings_file_that_is_absent_is_named),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
