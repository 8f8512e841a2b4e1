/* SPDX-License-Identifier: Apache-2.0 */

/* cameras.d: what a model file may say, which device and which file a model fits, and that every mistake is named. */

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
#include "base/text.h"
#include "model/model.h"

static char folder[] = "/tmp/berth-model-XXXXXX";

static void write_file(const char *name, const char *text) {
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

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
#define EXACT(id, more) "[model " id "]\nmatch = 1234:5678\ninterface = 06/01/01\nplugin = mtp\n" more

/* One model of that text, by itself. */
static Models *model_of(const char *text) {
        Models *m = NULL;
        ConfError error = {};

        assert_int_equal(models_new(&m), 0);
        if (models_add_text(m, "a.conf", text, strlen(text), MODEL_SHIPPED, &error) < 0)
                fail_msg("%s", error.text);
        return m;
}

static UsbShape shape_of(uint16_t vid, uint16_t pid, size_t n, const UsbClass *classes) {
        UsbShape s = { .vid = vid, .pid = pid, .n_interfaces = n };

        memcpy(s.interfaces, classes, n * sizeof(*classes));
        return s;
}

static const UsbClass still_image = { 6, 1, 1 }, keyboard = { 3, 1, 1 };

static const char *id_of(const Models *m, const UsbShape *shape, const char *manufacturer, const char *product, const char *serial) {
        const Model *model = models_match(m, shape, &(UsbWords){ manufacturer, product, serial });

        return model ? model->id : "none";
}

/* ---- Matching -------------------------------------------------------------------------------------------------- */

static void test_model_with_the_exact_id_comes_before_the_generic_one(void **state) {
        UsbShape shape = shape_of(0x1234, 0x5678, 1, &still_image);
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP EXACT("exact", "match = 1234:9999\n") EXACT("named", "match_product = Cam*\n")
                                     EXACT("numbered", "match_product = Cam*\nmatch_serial = 7???\nmatch_manufacturer = ACME\n"),
                                     "", &m, &error), 0);
        assert_string_equal(id_of(m, &shape, "", "Other", NULL), "exact");
        assert_string_equal(id_of(m, &shape, "", "Cam 2", NULL), "named");
        assert_string_equal(id_of(m, &shape, "ACME", "Cam 2", "7123"), "numbered");
        assert_string_equal(id_of(m, &shape, "ACME", "Cam 2", "8123"), "named");
        shape.pid = 0x9999;
        assert_string_equal(id_of(m, &shape, "", "Cam 2", NULL), "exact");
        shape.pid = 1;
        assert_string_equal(id_of(m, &shape, "", "Cam 2", NULL), "generic");
        models_free(m);
}

static void test_device_with_a_surprise_interface_is_a_stranger(void **state) {
        const UsbClass both[] = { still_image, keyboard };
        UsbShape shape = shape_of(1, 1, 2, both), none = shape_of(1, 1, 0, both);
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP, "", &m, &error), 0);
        assert_string_equal(id_of(m, &shape, "", "", ""), "none");
        assert_string_equal(id_of(m, &none, "", "", ""), "none");
        models_free(m);
}

static void test_device_whose_descriptors_lie_fits_no_model(void **state) {
        UsbShape shape = shape_of(1, 1, 1, &still_image);
        Models *m = model_of(MTP);

        (void) state;
        assert_string_equal(id_of(m, &shape, "", "", ""), "generic");
        shape.problem = "a descriptor of its has no length";
        assert_string_equal(id_of(m, &shape, "", "", ""), "none");
        models_free(m);
}

static void test_an_interface_that_is_only_known_does_not_make_a_camera(void **state) {
        const UsbClass both[] = { still_image, keyboard };
        UsbShape with = shape_of(0x1234, 0x5678, 2, both), only = shape_of(0x1234, 0x5678, 1, &keyboard);
        Models *m = model_of(EXACT("x", "other_interface = 03/01/01\n"));

        (void) state;
        assert_string_equal(id_of(m, &with, "", "", ""), "x");
        assert_string_equal(id_of(m, &only, "", "", ""), "none");
        assert_true(model_needs_interface(m->models[0], &still_image));
        assert_false(model_needs_interface(m->models[0], &keyboard));
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
        assert_int_equal(m->models[0]->source, MODEL_LOCAL);
        assert_string_equal(m->models[0]->options.items[0], "timeout-msec=500");
        assert_null(m->models[0]->options.items[1]);
        models_free(m);
}

/* ---- Files ----------------------------------------------------------------------------------------------------- */

static void test_files_are_told_apart_by_their_paths(void **state) {
        static const struct {
                const char *path;
                ModelFile is;
        } rows[] = {
                { "DCIM/100/A001.MP4", MODEL_FILE_FOOTAGE },
                { "dcim/100/a001.mp4", MODEL_FILE_FOOTAGE },
                { "DCIM/100/A002_IMP.MP4", MODEL_FILE_PRIORITY },
                { "DCIM/100/a002_imp.mp4", MODEL_FILE_PRIORITY },
                { "DCIM/SOS/A003.MP4", MODEL_FILE_PRIORITY },
                { "SOS/A003.MP4", MODEL_FILE_PRIORITY },
                { "DCIM/NOSOS/A003.MP4", MODEL_FILE_FOOTAGE },
                { "DCIM/SOS.MP4", MODEL_FILE_FOOTAGE },
                { "DCIM/100/A001.GPX", MODEL_FILE_COMPANION },
                { "DCIM/SOS/A001.GPX", MODEL_FILE_COMPANION },
                { "DCIM/100/A001.THM", MODEL_FILE_NONE },
                { "LOG/SYSTEM.LOG", MODEL_FILE_NONE },
                { "DCIM/100/A_low.mp4", MODEL_FILE_NONE },
        };
        Models *m = model_of(EXACT("x", "footage = *.mp4\npriority = *_IMP*\npriority_folder = SOS/\ncompanion = *.gpx take\n"
                                        "companion = *.thm   ignore\ncompanion = *_low.mp4 ignore\n"));

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (model_file(m->models[0], rows[i].path) != rows[i].is)
                        fail_msg("%s is %d", rows[i].path, model_file(m->models[0], rows[i].path));
        models_free(m);
}

static void test_without_footage_patterns_every_file_is_footage(void **state) {
        Models *m = model_of(EXACT("x", "companion = *.log ignore\n"));

        (void) state;
        assert_int_equal(model_file(m->models[0], "any/thing"), MODEL_FILE_FOOTAGE);
        assert_int_equal(model_file(m->models[0], "any/thing.LOG"), MODEL_FILE_NONE);
        models_free(m);
}

/* ---- What is only data ------------------------------------------------------------------------------------------- */

static void test_every_key_is_read(void **state) {
        Models *m = model_of(EXACT("x", "description = A\ntested = B\nfile_times = -03:30\nerase = format\ncharge_ma = 900\n"
                                        "battery_mah = 2800\nbattery_floor_percent = 40\ncharge_curve = 0:900 80:900 100:50\n"
                                        "firmware = file UPDATE/fw.bin\n"));
        const Model *x = m->models[0];
        char zone[MODEL_TEXT_SIZE];

        (void) state;
        assert_string_equal(x->description, "A");
        assert_string_equal(x->tested, "B");
        assert_string_equal(x->file, "a.conf");
        assert_int_equal(x->line, 1);
        assert_string_equal(model_zone_text(x, zone), "-03:30");
        assert_int_equal(x->zone_minutes, -210);
        assert_int_equal(x->erase, MODEL_ERASE_FORMAT);
        assert_int_equal(x->charge_ma, 900);
        assert_int_equal(x->battery_mah, 2800);
        assert_int_equal(x->battery_floor_percent, 40);
        assert_int_equal(x->n_charge_curve, 3);
        assert_int_equal(x->charge_curve[2].percent, 100);
        assert_int_equal(x->charge_curve[2].ma, 50);
        assert_int_equal(x->firmware, MODEL_FIRMWARE_FILE);
        assert_string_equal(x->firmware_file, "UPDATE/fw.bin");
        assert_string_equal(x->options.items[0], "utc-offset-minutes=-210");
        models_free(m);
        m = model_of(EXACT("x", "file_times = local\n"));
        assert_string_equal(m->models[0]->options.items[0], "utc-offset-minutes=local");
        models_free(m);
}

#define FILED "firmware = file UPDATE/FW.BIN\n"

static void test_firmware_file_has_the_images_name_in_the_models_folder(void **state) {
        Models *m = model_of(EXACT("x", FILED "update_restart = hand\nupdate_within = 10min\n"));
        const Model *x = m->models[0];
        char *own = model_firmware_path(x, ""), *named = model_firmware_path(x, "V2.BIN");

        (void) state;
        assert_true(model_takes_firmware(x));
        assert_string_equal(model_restart_to_string(x->update_restart), "hand");
        assert_string_equal(own, "UPDATE/FW.BIN");
        assert_string_equal(named, "UPDATE/V2.BIN");
        /* It is never taken for footage, although every other file is. */
        assert_int_equal(model_file(x, "update/fw.bin"), MODEL_FILE_NONE);
        assert_int_equal(model_file(x, "UPDATE/OTHER.BIN"), MODEL_FILE_FOOTAGE);
        free(own);
        free(named);
        models_free(m);
}

static void test_what_a_model_does_not_say_is_the_careful_choice(void **state) {
        Models *m = model_of(MTP);
        const Model *x = m->models[0];
        char zone[MODEL_TEXT_SIZE];

        (void) state;
        assert_string_equal(model_zone_text(x, zone), "utc");
        assert_string_equal(model_erase_to_string(x->erase), "receipted");
        assert_string_equal(model_firmware_to_string(x->firmware), "none");
        assert_int_equal(x->charge_ma, 0);
        models_free(m);
}

/* ---- Mistakes -------------------------------------------------------------------------------------------------- */

/* The later would win, and nobody would see that the earlier says something else. */
static void test_key_that_stands_once_is_refused_twice(void **state) {
        static const char *const lines[] = {
                "match_manufacturer = a", "match_product = a", "match_serial = a", "plugin = mtp", "returns_within = 20s",
                "file_times = utc", "erase = never", "charge_ma = 500", "battery_mah = 900", "battery_floor_percent = 30",
                "charge_curve = 0:900 100:50", "firmware = dfu", "description = a", "tested = a",
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_(models_freep) Models *models = NULL;
                _cleanup_(freep) char *text = text_format("[model x]\n%s\n%s\n", lines[i], lines[i]);
                ConfError error = {};

                assert_int_equal(models_new(&models), 0);
                assert_int_equal(models_add_text(models, "a.conf", text, strlen(text), MODEL_CANDIDATE, &error), -EINVAL);
                assert_non_null(strstr(error.text, "a.conf:3: [model x]"));
                assert_non_null(strstr(error.text, "is there twice"));
        }
}

static void test_model_mistakes_are_named(void **state) {
        static const struct {
                const char *text, *says;
        } rows[] = {
                { "", "no camera model" },
                { "[model x]\nplugin = mtp\ninterface = 06/01/01\n", "a.conf:1: [model x] has no 'match'" },
                { "[model x]\nmatch = any\ninterface = 06/01/01\n", "no 'plugin'" },
                { "[model x]\nmatch = any\nplugin = mtp\n", "no 'interface'" },
                { "[model x]\nmatch = 12345678\n", "a.conf:2:" },
                { "[model x]\nmatch = 1234:56789\n", "a.conf:2:" },
                { "[model x]\nmatch = 12 4:5678\n", "a.conf:2:" },
                { "[model x]\nmatch = 1234:5678\nmatch = 1234:5678\n", "a.conf:3: [model x] match: 1234:5678 is there twice" },
                { "[model x]\nmatch = any\nmatch = 1234:5678\n", "a.conf:3:" },
                { "[model x]\nmatch = 1234:5678\nmatch = any\n", "a.conf:3:" },
                { "[model x]\nmatch_product = a\nmatch_product = b\n", "a.conf:3:" },
                { "[model x]\nupdate_restart = never\n", "none of command, power and hand" },
                { EXACT("x", "firmware = dfu\nupdate_restart = hand\n"), "which is for cameras with 'firmware = file PATH'" },
                { "[model x]\ninterface = 6\n", "a.conf:2:" },
                { "[model x]\ninterface = 06/01/1g\n", "a.conf:2:" },
                { "[model x]\nplugin = ../../evil\n", "a.conf:2:" },
                { "[model x]\nplugin.a = 1\nplugin.a = 2\n", "a.conf:3: [model x] plugin.a: is there twice" },
                { "[model x]\npriority_folder = /SOS\n", "a.conf:2:" },
                { "[model x]\npriority_folder = S*S\n", "a.conf:2:" },
                { "[model x]\npriority_folder = /\n", "a.conf:2:" },
                { "[model x]\ncompanion = *.gpx\n", "'take' or 'ignore'" },
                { "[model x]\ncompanion = take\n", "a.conf:2:" },
                { EXACT("x", "file_times = +02:00\nplugin.utc-offset-minutes = 60\n"), "a.conf:1: [model x]: file_times and" },
                { "[model x]\nfile_times = +2:00\n", "a.conf:2:" },
                { "[model x]\nfile_times = +15:00\n", "14 hours" },
                { "[model x]\nfile_times = +02:60\n", "a.conf:2:" },
                { "[model x]\nfile_times = Europe/Oslo\n", "a.conf:2:" },
                { "[model x]\nerase = always\n", "none of receipted, never, by-hand, format" },
                { "[model x]\ncharge_ma = 0\n", "a.conf:2:" },
                { "[model x]\nbattery_floor_percent = 101\n", "a.conf:2:" },
                { "[model x]\ncharge_curve = 0:900\n", "two points" },
                { "[model x]\ncharge_curve = 50:900 50:800\n", "do not rise" },
                { "[model x]\ncharge_curve = 0:900 101:800\n", "a.conf:2:" },
                { "[model x]\ncharge_curve = 0:900, 50:800\n", "a.conf:2:" },
                { "[model x]\nfirmware = file ../x\n", "a.conf:2:" },
                { "[model x]\nfirmware = file /x\n", "a.conf:2:" },
                { "[model x]\nfirmware = magic\n", "a.conf:2:" },
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

static void test_a_section_does_not_go_on_in_the_next_file(void **state) {
        char dir[256];
        ConfError error = {};
        Models *m = NULL;

        (void) state;
        dir_of("two", dir);
        write_file("two/a.conf", "[model x]\nmatch = any\n");
        write_file("two/b.conf", MTP);
        assert_int_equal(models_new(&m), 0);
        assert_int_equal(models_add_dir(m, dir, MODEL_LOCAL, &error), -EINVAL);
        assert_non_null(strstr(error.text, "two/a.conf:1: [model x] has no 'plugin'"));
        models_free(m);
}

static void test_one_id_in_two_files_of_one_folder_is_an_error(void **state) {
        char dir[256];
        ConfError error = {};
        Models *m = NULL;

        (void) state;
        dir_of("two", dir);
        write_file("two/a.conf", MTP);
        write_file("two/b.conf", MTP);
        assert_int_equal(models_new(&m), 0);
        assert_int_equal(models_add_dir(m, dir, MODEL_LOCAL, &error), -EINVAL);
        assert_non_null(strstr(error.text, "two/b.conf:1:"));
        assert_non_null(strstr(error.text, "two/a.conf:1"));
        models_free(m);
}

static void test_a_candidate_takes_its_files_place(void **state) {
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP, EXACT("mine", "") EXACT("old", "match_product = x\n"), &m, &error), 0);
        models_drop_file(m, "b.conf", MODEL_LOCAL);
        assert_int_equal(m->n, 1);
        write_file("b.conf", EXACT("mine", ""));
        {
                char path[256];

                snprintf(path, sizeof(path), "%s/b.conf", folder);
                assert_int_equal(models_add_file(m, path, MODEL_CANDIDATE, &error), 0);
        }
        assert_int_equal(m->n, 2);
        models_free(m);
}

static void test_a_candidate_beside_a_local_file_of_the_same_model_is_an_error(void **state) {
        static const char text[] = EXACT("mine", "");
        ConfError error;
        Models *m = NULL;

        (void) state;
        assert_int_equal(load_models(MTP, text, &m, &error), 0);
        assert_int_equal(models_add_text(m, "other.conf", text, sizeof(text) - 1, MODEL_CANDIDATE, &error), -EINVAL);
        assert_non_null(strstr(error.text, "described twice"));
        models_free(m);
}

static void test_models_that_could_be_one_device_are_an_error(void **state) {
        static const struct {
                const char *text;
                bool ambiguous;
        } rows[] = {
                { EXACT("a", "") EXACT("b", ""), true },
                { EXACT("a", "match_product = Cam*\n") EXACT("b", ""), false }, /* the one with more patterns wins */
                { EXACT("a", "match_product = Cam*\n") EXACT("b", "match_product = *2\n"), true },
                { EXACT("a", "match_product = Cam*\n") EXACT("b", "match_product = Rec*\n"), false },
                { EXACT("a", "match_product = Cam*\n") EXACT("b", "match_serial = 7*\n"), true },
                { EXACT("a", "match_product = Cam A\nmatch_serial = 7*\n") EXACT("b", "match_product = Cam B\nmatch_serial = 7*\n"),
                  false },
                { EXACT("a", "") "[model b]\nmatch = 1234:5679\ninterface = 06/01/01\nplugin = mtp\n", false },
                { EXACT("a", "") "[model b]\nmatch = 1:2\n", true /* malformed, an error as well */ },
                { EXACT("a", "") "[model b]\nmatch = 1111:2222\nmatch = 1234:5678\ninterface = 06/01/01\nplugin = mtp\n", true },
                { EXACT("a", "") "[model b]\nmatch = 1234:5678\ninterface = 08/06/50\nplugin = mtp\n", false },
                { EXACT("a", "") "[model b]\nmatch = 1234:5678\ninterface = 08/06/50\nother_interface = 06/01/01\nplugin = mtp\n", false },
                { EXACT("a", "other_interface = 08/06/50\n") "[model b]\nmatch = 1234:5678\ninterface = 08/06/50\n"
                  "other_interface = 06/01/01\nplugin = mtp\n", true },
                { MTP "[model b]\nmatch = any\ninterface = 06/01/01\ninterface = 08/06/50\nplugin = mtp\n", true },
                { MTP "[model b]\nmatch = any\ninterface = 08/06/50\nplugin = mtp\n", false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ConfError error;
                Models *m = NULL;
                int r = load_models(rows[i].text, "", &m, &error);

                if (rows[i].ambiguous != (r < 0))
                        fail_msg("row %zu: %d '%s'", i, r, error.text);
                models_free(m);
        }
}

static void test_overlap_of_patterns_is_seen(void **state) {
        static const struct {
                const char *a, *b;
                bool overlap;
        } rows[] = {
                { "", "", true },       { "a", "", false },      { "*", "", true },        { "a*", "*b", true },
                { "a*", "b*", false },  { "a?c", "abc", true },  { "a?c", "abbc", false }, { "*x*", "*y*", true },
                { "[ab]c", "bc", true }, { "\\*", "a", false },  { "\\*", "*", true },     { "*a", "*b", false },
                { "a*b*c", "a??c", true }, { "a[", "a[", true }, { "Cam 1", "Cam 2", false }, { "***", "x", true },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (glob_overlaps(rows[i].a, rows[i].b) != rows[i].overlap)
                        fail_msg("%s and %s", rows[i].a, rows[i].b);
                if (glob_overlaps(rows[i].b, rows[i].a) != rows[i].overlap)
                        fail_msg("%s and %s", rows[i].b, rows[i].a);
        }
}

static int setup(void **state) {
        (void) state;
        return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
        static const char *const names[] = { "shipped/a.conf", "local/b.conf", "two/a.conf", "two/b.conf", "b.conf",
                                             "shipped", "local", "two", "" };
        char path[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
                (void) remove(path);
        }
        return 0;
}

/* ---- Coming back as another device ------------------------------------------------------------------------------- */

#define STORAGE(id, pid) "[model " id "]\nmatch = 1234:" pid "\ninterface = 08/06/50\nplugin = msc\n"

static void test_a_camera_may_come_back_as_one_of_the_named_models(void **state) {
        Models *m = NULL;
        ConfError error;
        const Model *command;

        (void) state;
        /* The named models may be described later, and elsewhere. */
        if (load_models(EXACT("command", "returns_as = disk\nreturns_as = disk-2\nreturns_within = 45s\n"),
                        STORAGE("disk", "0001") STORAGE("disk-2", "0002"), &m, &error) < 0)
                fail_msg("%s", error.text);
        command = models_find(m, "command");
        assert_non_null(command);
        assert_true(model_returns_as(command, "disk") && model_returns_as(command, "disk-2"));
        assert_false(model_returns_as(command, "command"));
        assert_int_equal(model_returns_within_usec(command), 45 * USEC_PER_SEC);
        assert_int_equal(model_returns_within_usec(models_find(m, "disk")), 30 * USEC_PER_SEC);
        assert_null(models_find(m, "nobody"));
        models_free(m);
}

static void test_mistakes_about_coming_back_are_named(void **state) {
        static const struct {
                const char *text, *reason;
        } bad[] = {
                { EXACT("command", "returns_as = disk\n"), "a.conf:1: [model command] returns_as: there is no model 'disk'" },
                { EXACT("command", "returns_as = command\n"), "another model than this one" },
                { EXACT("command", "returns_as = disk\nreturns_as = disk\n") STORAGE("disk", "0001"), "twice" },
                { EXACT("command", "returns_within = 30s\n"), "no returns_as" },
                { EXACT("command", "returns_as = disk\nreturns_within = 0s\n") STORAGE("disk", "0001"), "between 1s and 10min" },
                { EXACT("command", "returns_as = disk\n") STORAGE("disk", "0001") "returns_as = end\n" STORAGE("end", "0002"),
                  "has a returns_as itself" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Models *m = NULL;
                ConfError error;

                if (load_models(bad[i].text, "", &m, &error) >= 0 || !strstr(error.text, bad[i].reason))
                        fail_msg("%s: %s", bad[i].reason, error.text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_model_with_the_exact_id_comes_before_the_generic_one),
                cmocka_unit_test(test_device_with_a_surprise_interface_is_a_stranger),
                cmocka_unit_test(test_device_whose_descriptors_lie_fits_no_model),
                cmocka_unit_test(test_an_interface_that_is_only_known_does_not_make_a_camera),
                cmocka_unit_test(test_local_model_replaces_the_shipped_one),
                cmocka_unit_test(test_files_are_told_apart_by_their_paths),
                cmocka_unit_test(test_without_footage_patterns_every_file_is_footage),
                cmocka_unit_test(test_every_key_is_read),
                cmocka_unit_test(test_firmware_file_has_the_images_name_in_the_models_folder),
                cmocka_unit_test(test_what_a_model_does_not_say_is_the_careful_choice),
                cmocka_unit_test(test_key_that_stands_once_is_refused_twice),
                cmocka_unit_test(test_model_mistakes_are_named),
                cmocka_unit_test(test_a_section_does_not_go_on_in_the_next_file),
                cmocka_unit_test(test_one_id_in_two_files_of_one_folder_is_an_error),
                cmocka_unit_test(test_a_candidate_takes_its_files_place),
                cmocka_unit_test(test_a_candidate_beside_a_local_file_of_the_same_model_is_an_error),
                cmocka_unit_test(test_models_that_could_be_one_device_are_an_error),
                cmocka_unit_test(test_overlap_of_patterns_is_seen),
                cmocka_unit_test(test_a_camera_may_come_back_as_one_of_the_named_models),
                cmocka_unit_test(test_mistakes_about_coming_back_are_named),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
