/* SPDX-License-Identifier: Apache-2.0 */

/* The methods' actions: the table, the contract in the XML files, and what polkit is told, say the same. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "bus/actions.h"
#include "bus/bus_private.h"

static const char *const nouns[] = { "Manager", "Bay", "Camera", "Job", "Roster", "Transfers" };

static FILE *open_source(const char *path) {
        _cleanup_(freep) char *full = text_format("%s/%s", getenv("BERTH_SRC"), path);
        FILE *f = fopen(full, "re");

        assert_non_null(f);
        return f;
}

/* The value between the quotes after `key`, into `ret`. */
static bool quoted(const char *line, const char *key, char ret[static 128]) {
        const char *from = strstr(line, key), *end;

        if (!from)
                return false;
        from += strlen(key);
        end = strchr(from, '"');
        assert_non_null(end);
        assert_true(end - from < 128);
        memcpy(ret, from, (size_t) (end - from));
        ret[end - from] = 0;
        return true;
}

/* Number of methods that an interface's file has, each with the action that the table says. */
static size_t check_interface(const char *noun) {
        _cleanup_(freep) char *path = text_format("daemon/bus/" BUS_NAME ".%s.xml", noun);
        _cleanup_(freep) char *interface = text_format(BUS_NAME ".%s", noun);
        char line[512], method[128] = "", action[128];
        FILE *f = open_source(path);
        size_t n = 0;

        while (fgets(line, sizeof(line), f)) {
                if (quoted(line, "<method name=\"", method)) {
                        Action a = action_of(interface, method);

                        if (a < 0)
                                fail_msg("%s.%s has no action: bus/actions.c", interface, method);
                        assert_int_equal(action_of(NULL, method), a);
                        assert_non_null(fgets(line, sizeof(line), f));
                        if (!quoted(line, "<annotation name=\"org.berth.Dock1.Action\" value=\"", action) ||
                            strcmp(action, action_to_string(a)) != 0)
                                fail_msg("%s: the first line of %s does not say that its action is %s", path, method, action_to_string(a));
                        n++;
                }
        }
        (void) fclose(f);
        return n;
}

static void test_each_method_of_the_contract_has_its_action_and_no_other_is_named(void **state) {
        size_t n_rows, n = 0;
        const ActionRow *rows = action_rows(&n_rows);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(nouns); i++)
                n += check_interface(nouns[i]);
        assert_int_equal(n, n_rows);
        for (size_t i = 0; i < n_rows; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(rows[i].member, rows[k].member) == 0)
                                fail_msg("two methods are called %s; a call need not say which interface it means", rows[i].member);
}

static void test_each_action_is_known_to_polkit_and_owned_by_the_daemon(void **state) {
        size_t n = 0, owned = 0;
        char line[512], id[128];
        FILE *f = open_source("systemd/polkit/org.berth.Dock1.policy");

        (void) state;
        while (fgets(line, sizeof(line), f)) {
                if (quoted(line, "<action id=\"", id)) {
                        assert_true(n < _ACTION_MAX);
                        assert_string_equal(id, action_to_string((Action) n));
                        n++;
                }
                owned += strstr(line, "policykit.owner\">unix-user:berth<") != NULL;
        }
        (void) fclose(f);
        assert_int_equal(n, _ACTION_MAX);
        assert_int_equal(owned, _ACTION_MAX);
}

static void test_what_is_no_method_has_no_action(void **state) {
        (void) state;
        assert_true(action_of(BUS_MANAGER_INTERFACE, "Locate") < 0);
        assert_true(action_of(NULL, "Destroy") < 0);
        assert_int_equal(action_of(BUS_MANAGER_INTERFACE, "EraseClip"), ACTION_EVIDENCE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_method_of_the_contract_has_its_action_and_no_other_is_named),
                cmocka_unit_test(test_each_action_is_known_to_polkit_and_owned_by_the_daemon),
                cmocka_unit_test(test_what_is_no_method_has_no_action),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
