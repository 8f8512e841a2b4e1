/* SPDX-License-Identifier: Apache-2.0 */

/* berthd.conf and cameras.d: what is accepted, and that every mistake is named with its file and line. */

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
#include "service/model.h"
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
        assert_int_equal(s->erase, ERASE_AFTER_RECEIPT);
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
                { "[bay 1-1]\nnumber = 1\ncolour = red\n", "berthd.conf:3:" },
                { "[dock]\nstate_dir = relative\n", "berthd.conf:2:" },
                { "[dock]\nstatedir = /x\n", "unknown key" },
                { "[dock here]\nname = x\n", "takes no name" },
                { "[rack]\nx = 1\n", "unknown section" },
                { "[policy]\nerase = sometimes\n", "neither after-receipt nor never" },
                { "[policy]\naccept = digest,maybe\n", "'maybe' is not a receipt strength" },
                { "[policy]\naccept =\n", "berthd.conf:2:" },
                { "[policy]\nset_clock = perhaps\n", "berthd.conf:2:" },
                { "[policy]\nuploads = 0\n", "berthd.conf:2:" },
                { "[spool]\nreserve = lots\n", "berthd.conf:2:" },
                { "[spool]\nreserve = 1M\n", "berthd.conf:2:" },
                { "[timeouts]\nstall = 1ms\n", "berthd.conf:2:" },
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

/* ---- Models ---------------------------------------------------------------------------------------------------- */

static void dir_of(const char *name, char ret[static 256]) {
        snprintf(ret, 256, "%s/%s", folder, name);
        (void) mkdir(ret, 0700);
}

static int load_models(const char *shipped, const char *local, Models **ret, ConfError *error) {
        char a[256], b[256];

        dir_of("shipped", a);
        dir_of("local", b);
        write_file("shipped/a.conf", shipped);
        write_file("local/b.conf", local);
        *error = (ConfError){};
        return models_load(a, b, ret, error);
}

#define MTP "[model generic]\nmatch = any\ninterface = 06/01/01\nplugin = mtp\n"

static UsbShape shape_of(uint16_t vid, uint16_t pid, size_t n, const UsbClass *classes) {
        UsbShape s = { .vid = vid, .pid = pid, .n_interfaces = n };

        memcpy(s.interfaces, classes, n * sizeof(*classes));
        return s;
}

static const UsbClass still_image = { 6, 1, 1 }, keyboard = { 3, 1, 1 };

static void test_model_with_the_exact_id_comes_before_the_generic_one(void **state) {
        UsbShape shape = shape_of(0x1234, 0x5678, 1, &still_image);
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP "[model exact]\nmatch = 1234:5678\ninterface = 06/01/01\nplugin = mtp\n"
                                         "[model named]\nmatch = 1234:5678\nmatch_product = Cam*\ninterface = 06/01/01\nplugin = mtp\n",
                                     "", &m, &error), 0);
        assert_string_equal(models_match(m, &shape, "Other")->id, "exact");
        assert_string_equal(models_match(m, &shape, "Cam 2")->id, "named");
        shape.pid = 1;
        assert_string_equal(models_match(m, &shape, "Cam 2")->id, "generic");
        models_free(m);
}

static void test_device_with_a_surprise_interface_is_a_stranger(void **state) {
        const UsbClass both[] = { still_image, keyboard };
        UsbShape shape = shape_of(1, 1, 2, both), none = shape_of(1, 1, 0, both);
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP, "", &m, &error), 0);
        assert_null(models_match(m, &shape, ""));
        assert_null(models_match(m, &none, ""));
        models_free(m);
}

static void test_local_model_replaces_the_shipped_one(void **state) {
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP, "[model generic]\nmatch = any\ninterface = 06/01/01\nplugin = other\nfootage = DCIM/*.MP4\n"
                                          "plugin.timeout-msec = 500\n", &m, &error), 0);
        assert_int_equal(m->n, 1);
        assert_string_equal(m->models[0]->plugin, "other");
        assert_string_equal(m->models[0]->options[0], "timeout-msec=500");
        assert_null(m->models[0]->options[1]);
        assert_true(model_is_footage(m->models[0], "dcim/100/a.mp4"));
        assert_false(model_is_footage(m->models[0], "LOG.TXT"));
        models_free(m);
}

static void test_model_mistakes_are_named(void **state) {
        static const struct {
                const char *text, *says;
        } rows[] = {
                { "", "no camera model" },
                { "[model x]\nplugin = mtp\ninterface = 06/01/01\n", "no 'match'" },
                { "[model x]\nmatch = any\ninterface = 06/01/01\n", "no 'plugin'" },
                { "[model x]\nmatch = any\nplugin = mtp\n", "no 'interface'" },
                { "[model x]\nmatch = 12345678\n", "a.conf:2:" },
                { "[model x]\nmatch = 1234:56789\n", "a.conf:2:" },
                { "[model x]\ninterface = 6\n", "a.conf:2:" },
                { "[model x]\nplugin = ../../evil\n", "a.conf:2:" },
                { "[model X!]\n", "a.conf:1:" },
                { "[model]\n", "a.conf:1:" },
                { MTP MTP, "described twice" },
                { "[camera x]\n", "unknown section" },
                { "[model x]\nwings = 2\n", "unknown key" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ConfError error;
                Models *m = NULL;
                int r = load_models(rows[i].text, "", &m, &error);

                if (r >= 0 || !strstr(error.text, rows[i].says))
                        fail_msg("row %zu: %d '%s' does not say '%s'", i, r, error.text, rows[i].says);
        }
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------- */

static const uint8_t camera[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x34, 0x12, 0x78, 0x56, 0x10, 0x01, 1, 2, 3, 1,
                                  9,  2, 39, 0, 1, 1, 0, 0xc0, 50,
                                  9,  4, 0, 0, 3, 6, 1, 1, 0,
                                  7,  5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0, 7, 5, 0x83, 3, 8, 0, 10 };

static void test_descriptors_are_parsed(void **state) {
        UsbShape s;

        (void) state;
        assert_int_equal(usb_shape_parse(camera, sizeof(camera), &s), 0);
        assert_int_equal(s.vid, 0x1234);
        assert_int_equal(s.pid, 0x5678);
        assert_int_equal(s.bcd_device, 0x0110);
        assert_int_equal(s.n_interfaces, 1);
        assert_int_equal(s.interfaces[0].class_code, 6);
}

static void test_broken_descriptors_are_refused_and_never_overread(void **state) {
        UsbShape s;

        (void) state;
        for (size_t n = 0; n < sizeof(camera); n++) {
                uint8_t *copy = malloc(n ? n : 1);

                memcpy(copy, camera, n);
                (void) usb_shape_parse(copy, n, &s);
                if (n < 18)
                        assert_int_equal(usb_shape_parse(copy, n, &s), -EBADMSG);
                free(copy);
        }
        for (size_t at = 0; at < sizeof(camera); at++)
                for (unsigned value = 0; value < 256; value += 5) {
                        uint8_t *copy = malloc(sizeof(camera));

                        memcpy(copy, camera, sizeof(camera));
                        copy[at] = (uint8_t) value;
                        (void) usb_shape_parse(copy, sizeof(camera), &s);
                        free(copy);
                }
}

static int setup(void **state) {
        (void) state;
        return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
        static const char *const names[] = { "berthd.conf", "shipped/a.conf", "local/b.conf", "shipped", "local", "" };
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
                cmocka_unit_test(test_model_with_the_exact_id_comes_before_the_generic_one),
                cmocka_unit_test(test_device_with_a_surprise_interface_is_a_stranger),
                cmocka_unit_test(test_local_model_replaces_the_shipped_one),
                cmocka_unit_test(test_model_mistakes_are_named),
                cmocka_unit_test(test_descriptors_are_parsed),
                cmocka_unit_test(test_broken_descriptors_are_refused_and_never_overread),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
