/* SPDX-License-Identifier: Apache-2.0 */

/* The errors of org.berth.Dock1: what the floors below answer has a name, and each name is explained where the contract is. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "bus/error.h"

static void test_each_number_means_one_error(void **state) {
        static const struct {
                int number;
                const char *name;
        } means[] = {
                { EINVAL, "InvalidArgument" }, { ENOENT, "NotFound" },      { ESRCH, "NotFound" },         { ENODEV, "NotDocked" },
                { EBUSY, "Busy" },             { EAGAIN, "Busy" },          { EPERM, "NotAllowed" },       { EOPNOTSUPP, "NotSupported" },
                { EREMOTEIO, "CameraFailed" }, { EROFS, "Held" },           { ESTALE, "TooLate" },         { EALREADY, "TooLate" },
                { EEXIST, "Conflict" },        { ENOSPC, "NoSpace" },       { EDQUOT, "NoSpace" },         { EKEYREJECTED, "NotBelieved" },
                { EHOSTUNREACH, "StoreAway" }, { ESHUTDOWN, "Stopping" },   { ENOMEM, "Failed" },          { EIO, "Failed" },
                { EACCES, "Failed" },          { ECANCELED, "Failed" },
        };
        size_t n, numbered = 0, known = 0;
        const ErrorRow *rows = error_rows(&n);

        (void) state;
        for (size_t i = 0; i < n; i++)
                numbered += rows[i].number != 0;
        for (size_t i = 0; i < ELEMENTSOF(means); i++) {
                _cleanup_(freep) char *name = text_format("org.berth.Dock1.Error.%s", means[i].name);

                assert_string_equal(error_name(-means[i].number), name);
                known += !text_equal(means[i].name, "Failed");
        }
        assert_int_equal(known, numbered);
}

/* "      org.berth.Dock1.Error.NAME   what it means" */
static void test_each_error_is_explained_and_no_other_is(void **state) {
        _cleanup_(freep) char *path = text_format("%s/daemon/bus/org.berth.Dock1.Manager.xml", getenv("BERTH_SRC"));
        FILE *f = fopen(path, "re");
        char line[512], name[128];
        size_t n, explained = 0, named = 0;
        const ErrorRow *rows = error_rows(&n);

        (void) state;
        assert_non_null(f);
        while (fgets(line, sizeof(line), f)) {
                bool found = false;

                if (sscanf(line, " org.berth.Dock1.Error.%99s", name) != 1)
                        continue;
                for (size_t i = 0; i < n; i++)
                        found |= text_equal(rows[i].name + strlen("org.berth.Dock1.Error."), name);
                if (!found)
                        fail_msg("%s is explained, and no method answers with it: bus/error.c", name);
                explained++;
        }
        (void) fclose(f);
        for (size_t i = 0; i < n; i++) {
                bool before = false;

                for (size_t k = 0; k < i; k++)
                        before |= text_equal(rows[k].name, rows[i].name);
                named += !before;
        }
        assert_int_equal(explained, named);
}

static void test_an_error_carries_its_sentence(void **state) {
        sd_bus_error error = SD_BUS_ERROR_NULL;

        (void) state;
        assert_true(error_set(&error, -ENOSPC, "Bay %u: %s.", 7u, strerror(ENOSPC)) < 0);
        assert_string_equal(error.name, "org.berth.Dock1.Error.NoSpace");
        assert_string_equal(error.message, "Bay 7: No space left on device.");
        sd_bus_error_free(&error);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_number_means_one_error),
                cmocka_unit_test(test_each_error_is_explained_and_no_other_is),
                cmocka_unit_test(test_an_error_carries_its_sentence),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
