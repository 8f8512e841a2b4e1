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

static void test_settings_file_that_is_absent_is_named(void **state) {
        Settings *s = NULL;
        ConfError error = {};

        (void) state;
        assert_int_equal(settings_load("/nonexistent/berthd.conf", &s, &error), -ENOENT);
        assert_non_null(strstr(error.text, "/nonexistent/berthd.conf"));
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
                cmocka_unit_test(test_settings_refuse_every_mistake_with_its_line),
                cmocka_unit_test(test_settings_file_that_is_absent_is_named),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
