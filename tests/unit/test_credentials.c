/* SPDX-License-Identifier: Apache-2.0 */

/* The file of cameras' passwords: who may read it, which of them counts, and that none of them is ever in a sentence. */

#include <errno.h>
#include <fcntl.h>
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

#include "base/text.h"
#include "service/credentials.h"

#define SECRET "hunter2-and-more"

static char folder[] = "/tmp/berth-credentials-XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
        (void) close(fd);
}

static Credentials *load(const char *text) {
        Credentials *c = NULL;
        ConfError error = {};

        write_file(text, 0600);
        if (credentials_load(path, false, &c, &error) < 0)
                fail_msg("%s", error.text);
        return c;
}

static void assert_value(const Credentials *c, const char *model, const char *serial, const char *name, const char *expected) {
        _cleanup_(secrets_freep) Secrets *s = NULL;
        const char *found;

        assert_int_equal(credentials_for(c, model, serial, &s), 0);
        found = secrets_find(s, name);
        if (!text_equal(found, expected))
                fail_msg("%s of %s, %s: %s", name, model, serial, found ? found : "nothing");
}

static void test_the_cameras_own_value_comes_before_its_models(void **state) {
        _cleanup_(credentials_freep) Credentials *c =
                        load("# a comment\n[model acme]\npassword = of-model\nuser = admin\n\n[camera SN 1]\npassword = own = it\n");

        (void) state;
        assert_value(c, "acme", "SN 1", "password", "own = it");
        assert_value(c, "acme", "SN 1", "user", "admin");
        assert_value(c, "acme", "SN-2", "password", "of-model");
        assert_value(c, "other", "SN 1", "password", "own = it");
        assert_value(c, "other", "SN-2", "password", NULL);
        assert_value(c, "acme", "SN 1", "pass", NULL);
        assert_value(NULL, "acme", "SN 1", "password", NULL);
}

static void test_file_that_others_may_read_or_change_is_refused(void **state) {
        static const struct {
                mode_t mode;
                bool from_systemd;
                int expected;
        } rows[] = {
                { 0600, false, 0 },       { 0400, false, 0 },      { 0640, false, -EPERM }, { 0604, false, -EPERM },
                { 0620, false, -EPERM },  { 0440, false, -EPERM }, { 0440, true, 0 },       { 0444, true, -EPERM },
                { 0460, true, -EPERM },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(credentials_freep) Credentials *c = NULL;
                ConfError error = {};
                int r;

                write_file("[model acme]\npassword = " SECRET "\n", rows[i].mode);
                r = credentials_load(path, rows[i].from_systemd, &c, &error);
                if (r != rows[i].expected)
                        fail_msg("mode %03o: %d, %s", (unsigned) rows[i].mode, r, error.text);
                if (r < 0 && (!strstr(error.text, path) || !strstr(error.text, "chmod 600")))
                        fail_msg("%s", error.text);
        }
}

static void test_file_of_another_user_is_refused(void **state) {
        Credentials *c = NULL;
        ConfError error = {};

        (void) state;
        write_file("", 0600);
        if (geteuid() != 0)
                return skip();
        assert_int_equal(chown(path, 65534, 0), 0);
        assert_int_equal(credentials_load(path, false, &c, &error), -EPERM);
        assert_non_null(strstr(error.text, "belongs to user 65534"));
        assert_int_equal(chown(path, 0, 0), 0);
}

static void test_what_is_no_file_is_refused(void **state) {
        Credentials *c = NULL;
        ConfError error = {};

        (void) state;
        assert_true(credentials_load("/nonexistent/cameras", false, &c, &error) == -ENOENT && strstr(error.text, "/nonexistent/cameras"));
        assert_int_equal(credentials_load(folder, false, &c, &error), -EINVAL);
        assert_non_null(strstr(error.text, "regular file"));
}

static void test_mistakes_are_named_by_their_line_and_never_by_their_value(void **state) {
        static const struct {
                const char *text;
                unsigned line;
        } bad[] = {
                { "password = " SECRET "\n", 1 },
                { "[site]\npassword = " SECRET "\n", 1 },
                { "[model]\npassword = " SECRET "\n", 1 },
                { "[model a]\n" SECRET "\n", 2 },
                { "[model a]\npassword = " SECRET "\npassword = " SECRET "\n", 3 },
                { "[model a]\npassword =\n", 2 },
                { "[model a]\npassword = \a" SECRET "\n", 2 },
                { "[model a]\npass word = " SECRET "\n", 2 },
                { "[model a]\na-name-that-is-much-longer-than-any = " SECRET "\n", 2 },
                { "[model a]\npassword = x\n[model a]\npassword = " SECRET "\n", 3 },
                { "[model a]\npassword = " SECRET "\xff\n", 2 },
        };
        char where[96];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Credentials *c = NULL;
                ConfError error = {};

                write_file(bad[i].text, 0600);
                (void) snprintf(where, sizeof(where), "%s:%u:", path, bad[i].line);
                if (credentials_load(path, false, &c, &error) >= 0 || !strstr(error.text, where) || strstr(error.text, SECRET))
                        fail_msg("row %zu: %s", i, error.text);
        }
}

static void test_section_of_a_model_that_is_not_there_is_an_error(void **state) {
        _cleanup_(credentials_freep) Credentials *c = load("[model acme]\npassword = x\n[camera any]\npassword = y\n"
                                                              "[model acne]\nuser = z\n");
        static const char text[] = "[model acme]\nmatch = 1234:5678\ninterface = 06/01/01\nplugin = mtp\n";
        _cleanup_(models_freep) Models *models = NULL;
        ConfError error = {};

        (void) state;
        assert_int_equal(models_new(&models), 0);
        assert_int_equal(models_add_text(models, "a.conf", text, strlen(text), MODEL_SHIPPED, &error), 0);
        assert_int_equal(credentials_check(c, models, &error), -EINVAL);
        assert_non_null(strstr(error.text, ":5: [model acne]"));
        assert_int_equal(credentials_check(NULL, models, &error), 0);
}

static void test_secrets_are_blotted_out_wherever_they_stand(void **state) {
        const char *const list[] = { "password=abcd", "user=ad", "pin=1234", NULL };
        char text[] = "abcd, 1234abcd and admin say abc";

        (void) state;
        secrets_redact(list, text);
        assert_string_equal(text, "****, ******** and admin say abc");
        secrets_redact(NULL, text);
}

static int setup(void **state) {
        (void) state;
        if (!mkdtemp(folder))
                return -1;
        (void) snprintf(path, sizeof(path), "%s/cameras", folder);
        return 0;
}

static int teardown(void **state) {
        (void) state;
        (void) unlink(path);
        return rmdir(folder);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_cameras_own_value_comes_before_its_models),
                cmocka_unit_test(test_file_that_others_may_read_or_change_is_refused),
                cmocka_unit_test(test_file_of_another_user_is_refused),
                cmocka_unit_test(test_what_is_no_file_is_refused),
                cmocka_unit_test(test_mistakes_are_named_by_their_line_and_never_by_their_value),
                cmocka_unit_test(test_section_of_a_model_that_is_not_there_is_an_error),
                cmocka_unit_test(test_secrets_are_blotted_out_wherever_they_stand),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
