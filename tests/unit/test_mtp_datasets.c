/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/mtp/datasets.h"
#include "../plugins/mtp/mtp.h"
#include "../plugins/mtp/options.h"
#include "unit/fake_host.h"
#include "unit/mtp_dataset.h"

/* Every prefix of a good dataset is either refused or parsed, and never read past its end (ASan watches the heap). */
static void each_prefix(const Dataset *d, int (*parse)(const void *data, size_t size)) {
        for (size_t n = 0; n < d->size; n++) {
                uint8_t *copy = malloc(n ? n : 1);
                int r;

                assert_non_null(copy);
                memcpy(copy, d->data, n);
                r = parse(copy, n);
                assert_true(r == 0 || r == -EBADMSG);
                free(copy);
        }
}

/* ---- DeviceInfo ---- */

static void device_info_fill(Dataset *d) {
        static const uint16_t operations[] = { 0x1001, 0x1009, 0x9805 }, properties[] = { 0x5001 };

        dataset_u(d, 2, 100);
        dataset_u(d, 4, 6);
        dataset_u(d, 2, 100);
        dataset_text(d, "microsoft.com: 1.0; android.com: 1.0;");
        dataset_u(d, 2, 0);
        dataset_codes(d, operations, 3);
        dataset_codes(d, NULL, 0);
        dataset_codes(d, properties, 1);
        dataset_codes(d, NULL, 0);
        dataset_codes(d, NULL, 0);
        dataset_text(d, "ACME");
        dataset_text(d, "BodyCam 3");
        dataset_text(d, "1.2.3");
        dataset_text(d, "SN-0001");
}

static DeviceInfo device_info;

static int parse_device_info(const void *data, size_t size) {
        return ptp_device_info_parse(data, size, &device_info);
}

static void test_device_info_tells_what_the_camera_can(void **state) {
        Dataset d = { 0 };

        (void) state;
        device_info_fill(&d);
        assert_int_equal(parse_device_info(d.data, d.size), 0);
        assert_true(ptp_device_info_has_operation(&device_info, 0x9805));
        assert_false(ptp_device_info_has_operation(&device_info, 0x100B));
        assert_true(ptp_device_info_has_property(&device_info, 0x5001));
        assert_false(ptp_device_info_has_property(&device_info, 0x1001));
        assert_true(ptp_device_info_is_mtp(&device_info));
        assert_string_equal(device_info.manufacturer.text, "ACME");
        assert_string_equal(device_info.model.text, "BodyCam 3");
        assert_string_equal(device_info.version.text, "1.2.3");
        assert_string_equal(device_info.serial.text, "SN-0001");
        each_prefix(&d, parse_device_info);
}

static void test_device_info_may_leave_out_its_last_strings(void **state) {
        Dataset d = { 0 };

        (void) state;
        device_info_fill(&d);
        /* Without the serial: one byte for the count, and 8 characters with the terminator. */
        assert_int_equal(parse_device_info(d.data, d.size - 17), 0);
        assert_string_equal(device_info.version.text, "1.2.3");
        assert_int_equal(device_info.serial.size, 0);
        assert_int_equal(parse_device_info(d.data, d.size - 1), -EBADMSG);
}

static void test_device_info_with_too_many_codes_is_refused(void **state) {
        static uint16_t codes[DEVICE_CODES_MAX + 1];
        Dataset d = { 0 };

        (void) state;
        dataset_u(&d, 2, 100);
        dataset_u(&d, 4, 0);
        dataset_u(&d, 2, 0);
        dataset_text(&d, "");
        dataset_u(&d, 2, 0);
        dataset_codes(&d, codes, DEVICE_CODES_MAX + 1);
        for (int i = 0; i < 4; i++)
                dataset_codes(&d, NULL, 0);
        assert_int_equal(parse_device_info(d.data, d.size), -EBADMSG);
}

/* ---- StorageInfo, ObjectInfo ---- */

static StorageInfo storage_info;
static ObjectInfo object_info;

static int parse_storage_info(const void *data, size_t size) {
        return ptp_storage_info_parse(data, size, &storage_info);
}

static int parse_object_info(const void *data, size_t size) {
        return ptp_object_info_parse(data, size, &object_info);
}

static void test_storage_info_tells_space_and_volume(void **state) {
        Dataset d = { 0 };

        (void) state;
        dataset_storage_info(&d, 1, UINT64_C(64) << 30, UINT64_C(5) << 30, "VOL-7");
        assert_int_equal(parse_storage_info(d.data, d.size), 0);
        assert_int_equal(storage_info.access, 1);
        assert_true(storage_info.total_bytes == UINT64_C(64) << 30);
        assert_true(storage_info.free_bytes == UINT64_C(5) << 30);
        assert_string_equal(storage_info.volume.text, "VOL-7");
        each_prefix(&d, parse_storage_info);
}

static void test_object_info_tells_name_size_parent_and_dates(void **state) {
        Dataset d = { 0 };

        (void) state;
        dataset_object_info(&d, 0x10001, 0x300B, 12345, 42, "A.MP4", "20261123T091500");
        assert_int_equal(parse_object_info(d.data, d.size), 0);
        assert_int_equal(object_info.storage, 0x10001);
        assert_int_equal(object_info.format, 0x300B);
        assert_int_equal(object_info.size_bytes, 12345);
        assert_int_equal(object_info.parent, 42);
        assert_string_equal(object_info.name.text, "A.MP4");
        assert_string_equal(object_info.modified.text, "20261123T091500");
        assert_int_equal(object_info.captured.size, 0);
        each_prefix(&d, parse_object_info);
        /* Cameras that end after the name: nothing is known of its dates. */
        assert_int_equal(parse_object_info(d.data, 52 + 1 + 12), 0);
        assert_int_equal(object_info.modified.size, 0);
}

static void test_announced_object_is_what_the_standard_has_it_be(void **state) {
        const ObjectAnnouncement a = { .storage = 0x20001, .parent = 7, .format = 0x3000, .size_bytes = 300000, .name = "FW.BIN" };
        char longest[256] = { 0 };
        uint8_t data[1024];
        size_t size;

        (void) state;
        size = ptp_object_info_put(data, sizeof(data), &a);
        /* Up to the name 52 bytes, the name with its length and its end, and three empty strings. */
        assert_int_equal(size, 52 + 1 + 2 * 7 + 3);
        assert_int_equal(parse_object_info(data, size), 0);
        assert_int_equal(object_info.storage, 0x20001);
        assert_int_equal(object_info.format, 0x3000);
        assert_int_equal(object_info.size_bytes, 300000);
        assert_int_equal(object_info.parent, 7);
        assert_string_equal(object_info.name.text, "FW.BIN");
        assert_int_equal(object_info.modified.size, 0);
        assert_int_equal(ptp_object_info_put(data, size - 1, &a), 0);
        memset(longest, 'n', 255);
        assert_int_equal(ptp_object_info_put(data, sizeof(data), &(const ObjectAnnouncement){ .name = longest }), 0);
}

/* ---- Properties ---- */

static PropertyDesc desc;

static int parse_desc(const void *data, size_t size) {
        return ptp_property_desc_parse(data, size, &desc);
}

static void test_battery_level_becomes_percent(void **state) {
        static const struct {
                PropertyForm form;
                int64_t now, min, max;
                int r, percent;
        } cases[] = {
                { PROPERTY_FORM_NONE, 55, 0, 0, 0, 55 },
                { PROPERTY_FORM_NONE, 101, 0, 0, -EINVAL, 0 },
                { PROPERTY_FORM_NONE, -1, 0, 0, -EINVAL, 0 },
                { PROPERTY_FORM_RANGE, 50, 0, 100, 0, 50 },
                { PROPERTY_FORM_RANGE, 128, 0, 255, 0, 50 },
                { PROPERTY_FORM_RANGE, 1, 1, 5, 0, 0 },
                { PROPERTY_FORM_RANGE, 5, 1, 5, 0, 100 },
                { PROPERTY_FORM_RANGE, 6, 1, 5, -EINVAL, 0 },
                { PROPERTY_FORM_RANGE, 40, 0, 0, 0, 40 }, /* a range of nothing says nothing */
                { PROPERTY_FORM_RANGE, INT64_MAX, INT64_MIN, INT64_MAX, 0, 100 },
                { PROPERTY_FORM_ENUM, 20, 20, 100, 0, 20 },
                { PROPERTY_FORM_ENUM, 2, 0, 3, 0, 66 },
                { PROPERTY_FORM_ENUM, 4, 0, 3, -EINVAL, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                PropertyDesc d = {
                        .form = cases[i].form,
                        .min = cases[i].min,
                        .max = cases[i].max,
                        .current.number = cases[i].now,
                };
                uint8_t percent = 0;

                assert_int_equal(mtp_battery_percent(&d, &percent), cases[i].r);
                assert_int_equal(percent, cases[i].percent);
        }
        desc = (PropertyDesc){ .current.is_text = true };
        assert_int_equal(mtp_battery_percent(&desc, &(uint8_t){ 0 }), -EINVAL);
}

static void test_temperature_in_each_unit(void **state) {
        static const struct {
                int64_t told;
                MtpUnit unit;
                int r;
                int32_t decidegrees;
        } cases[] = {
                { 21, MTP_CELSIUS, 0, 210 },       { -7, MTP_CELSIUS, 0, -70 },          { 215, MTP_DECICELSIUS, 0, 215 },
                { 21500, MTP_MILLICELSIUS, 0, 215 }, { 2732, MTP_DECIKELVIN, 0, 0 },     { 0, MTP_DECIKELVIN, 0, -2732 },
                { INT64_MAX, MTP_CELSIUS, -EINVAL, 0 }, { INT64_MIN, MTP_DECIKELVIN, -EINVAL, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int32_t decidegrees = 0;

                assert_int_equal(mtp_temperature(cases[i].told, cases[i].unit, &decidegrees), cases[i].r);
                assert_int_equal(decidegrees, cases[i].decidegrees);
        }
}

static void test_property_forms_of_all_number_types(void **state) {
        static const size_t widths[] = { 1, 1, 2, 2, 4, 4, 8, 8 };

        (void) state;
        for (unsigned type = 1; type <= 8; type++)
                for (unsigned form = 0; form <= 2; form++) {
                        bool is_signed = type % 2 == 1;
                        int64_t low = is_signed ? -2 : 3;
                        Dataset d = { 0 };
                        size_t w = widths[type - 1];

                        dataset_u(&d, 2, 0x5001);
                        dataset_u(&d, 2, type);
                        dataset_u(&d, 1, 1);
                        dataset_u(&d, w, 0);
                        dataset_u(&d, w, (uint64_t) low);
                        dataset_u(&d, 1, form);
                        if (form == 1) {
                                dataset_u(&d, w, (uint64_t) low);
                                dataset_u(&d, w, 100);
                                dataset_u(&d, w, 1);
                        } else if (form == 2) {
                                dataset_u(&d, 2, 3);
                                dataset_u(&d, w, 50);
                                dataset_u(&d, w, 100);
                                dataset_u(&d, w, (uint64_t) low);
                        }
                        assert_int_equal(parse_desc(d.data, d.size), 0);
                        assert_true(desc.current.number == low);
                        assert_true(desc.writable);
                        assert_int_equal(desc.form, form);
                        if (form > 0) {
                                assert_true(desc.min == low);
                                assert_true(desc.max == 100);
                        }
                        each_prefix(&d, parse_desc);
                }
}

static void test_property_of_text(void **state) {
        Dataset d = { 0 };

        (void) state;
        dataset_u(&d, 2, 0x5011);
        dataset_u(&d, 2, 0xFFFF);
        dataset_u(&d, 1, 0);
        dataset_text(&d, "");
        dataset_text(&d, "20261123T091500");
        dataset_u(&d, 1, 0);
        assert_int_equal(parse_desc(d.data, d.size), 0);
        assert_true(desc.current.is_text);
        assert_false(desc.writable);
        assert_string_equal(desc.current.text.text, "20261123T091500");
        each_prefix(&d, parse_desc);
}

static void test_property_of_unknown_type_is_refused(void **state) {
        static const unsigned types[] = { 0, 11, 0x4000, 0x400B, 0x8001, 0xFFFE };

        (void) state;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                Dataset d = { 0 };

                dataset_u(&d, 2, 0x5001);
                dataset_u(&d, 2, types[i]);
                dataset_u(&d, 1, 0);
                for (int j = 0; j < 64; j++)
                        dataset_u(&d, 1, 0);
                assert_int_equal(parse_desc(d.data, d.size), -EBADMSG);
        }
}

/* ---- ObjectPropList ---- */

static size_t n_props;
static ObjectProp last_prop;

static int count_prop(void *userdata, const ObjectProp *prop) {
        (void) userdata;
        last_prop = *prop;
        n_props++;
        return prop->handle == 0xDEAD ? -ECANCELED : 0;
}

static int parse_list(const void *data, size_t size) {
        n_props = 0;
        return ptp_object_prop_list_parse(data, size, count_prop, NULL);
}

static void test_prop_list_passes_over_what_it_does_not_keep(void **state) {
        Dataset d = { 0 };

        (void) state;
        dataset_u(&d, 4, 5);
        dataset_prop(&d, 9, 0xDC04, 8);
        dataset_u(&d, 8, UINT64_C(6) << 32);
        dataset_prop(&d, 9, 0xDC41, 10); /* the 128-bit unique id */
        dataset_u(&d, 8, 1);
        dataset_u(&d, 8, 2);
        dataset_prop(&d, 9, 0xDC86, 0x4002); /* an array of bytes */
        dataset_u(&d, 4, 3);
        dataset_u(&d, 3, 0);
        dataset_prop(&d, 9, 0xDC87, 0x400A); /* an empty array */
        dataset_u(&d, 4, 0);
        dataset_prop(&d, 10, 0xDC07, 0xFFFF);
        dataset_text(&d, "B.MP4");
        assert_int_equal(parse_list(d.data, d.size), 0);
        assert_int_equal(n_props, 2);
        assert_int_equal(last_prop.handle, 10);
        assert_true(last_prop.value.is_text);
        assert_string_equal(last_prop.value.text.text, "B.MP4");
        each_prefix(&d, parse_list);
}

static void test_prop_list_that_claims_billions_ends_with_its_bytes(void **state) {
        Dataset d = { 0 };

        (void) state;
        dataset_u(&d, 4, 0xFFFFFFFF);
        dataset_prop(&d, 9, 0xDC0B, 6);
        dataset_u(&d, 4, 1);
        assert_int_equal(parse_list(d.data, d.size), -EBADMSG);
        assert_int_equal(n_props, 1);
}

static void test_prop_list_ends_when_the_reader_says_so(void **state) {
        Dataset d = { 0 };

        (void) state;
        dataset_u(&d, 4, 2);
        for (int i = 0; i < 2; i++) {
                dataset_prop(&d, 0xDEAD, 0xDC0B, 6);
                dataset_u(&d, 4, 1);
        }
        assert_int_equal(parse_list(d.data, d.size), -ECANCELED);
        assert_int_equal(n_props, 1);
}

/* ---- Arrays of ids ---- */

static void test_id_arrays_are_bounded(void **state) {
        uint32_t *ids = NULL;
        Dataset d = { 0 };
        size_t n = 99;

        (void) state;
        dataset_u(&d, 4, 2);
        dataset_u(&d, 4, 0x10001);
        dataset_u(&d, 4, 0x20001);
        assert_int_equal(ptp_id_array_parse(d.data, d.size, 1, &ids, &n), -E2BIG);
        assert_int_equal(ptp_id_array_parse(d.data, d.size - 1, 2, &ids, &n), -EBADMSG);
        assert_int_equal(ptp_id_array_parse(d.data, 3, 2, &ids, &n), -EBADMSG);
        assert_int_equal(n, 99);
        assert_null(ids);
        assert_int_equal(ptp_id_array_parse(d.data, d.size, 2, &ids, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(ids[1], 0x20001);
        free(ids);
        assert_int_equal(ptp_id_array_parse("\0\0\0\0", 4, 2, &ids, &n), 0);
        assert_int_equal(n, 0);
}

/* ---- Options ---- */

static void test_options_are_taken_and_bad_ones_named(void **state) {
        static const char *const good[] = { "timeout-msec=5000", "busy-msec=0",       "chunk-kib=64",
                                            "interface=3",       "no-partial=yes",    "utc-offset-minutes=-300",
                                            "no-prop-list=yes",  "no-partial64=yes",  "no-cancel=yes",
                                            "no-cancel=no",      "temperature-property=D405",
                                            "temperature-unit=decikelvin", "restarts-property=d406", NULL };
        static const char *const bad[] = { "timeout-msec=99",   "timeout-msec=",     "timeout-msec=5000s", "timeout-msec",
                                           "interface=256",     "interface=-1",      "no-partial=1",    "no-partial=",
                                           "chunk-kib=1048577", "unknown=1",         "=1",              "",
                                           "timeout-mse=5000",  "busy-msec= 5",      "chunk-kib=0x100", "no-partial6=yes",
                                           "temperature-property=0xd405", "temperature-property=d40", "restarts-property=0000",
                                           "temperature-unit=kelvin", "busy-msec=99999999999999999999" };
        const char *why = NULL;
        MtpOptions o;

        (void) state;
        assert_int_equal(mtp_options_parse(NULL, &o, &why), 0);
        assert_int_equal(o.interface, -1);
        assert_false(o.no_partial || o.no_partial64 || o.no_prop_list || o.no_cancel);
        assert_int_equal(mtp_options_parse(good, &o, &why), 0);
        assert_int_equal(o.timeout_msec, 5000);
        assert_int_equal(o.busy_msec, 0);
        assert_int_equal(o.chunk_bytes, 65536);
        assert_int_equal(o.interface, 3);
        assert_int_equal(o.utc_offset_minutes, -300);
        assert_true(o.temperature_property == 0xd405 && o.temperature_unit == MTP_DECIKELVIN && o.restarts_property == 0xd406);
        assert_true(o.no_partial && o.no_partial64 && o.no_prop_list && !o.no_cancel);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                const char *const options[] = { "timeout-msec=5000", bad[i], NULL };

                assert_int_equal(mtp_options_parse(options, &o, &why), -EINVAL);
                assert_ptr_equal(why, bad[i]);
        }
}

/* ---- The table of objects ---- */

static void add(MtpObjects *objects, uint32_t handle, uint32_t parent, uint32_t found_in, bool folder, const char *name) {
        MtpObject o = { .handle = handle, .parent = parent, .found_in = found_in, .folder = folder };

        assert_int_equal(mtp_objects_add(objects, &o, name, strlen(name)), 0);
}

static void assert_path(const MtpObjects *objects, uint32_t handle, const char *expect) {
        char path[BERTH_PATH_MAX];

        assert_int_equal(mtp_objects_path(objects, mtp_objects_find(objects, handle), path, sizeof(path)), strlen(expect));
        assert_string_equal(path, expect);
}

static void test_paths_follow_parents_and_survive_lies(void **state) {
        MtpObjects objects = { 0 };

        (void) state;
        add(&objects, 1, 0, 0, true, "DCIM");
        add(&objects, 2, 1, 1, true, "100");
        add(&objects, 3, 2, 2, false, "A.MP4");
        assert_path(&objects, 3, "DCIM/100/A.MP4");
        /* A camera that leaves ParentObject empty, or names one that nobody knows. */
        add(&objects, 4, 0, 2, false, "B.MP4");
        assert_path(&objects, 4, "DCIM/100/B.MP4");
        add(&objects, 5, 0xFFFF, 2, false, "C.MP4");
        assert_path(&objects, 5, "DCIM/100/C.MP4");
        /* A parent that is no folder. */
        add(&objects, 6, 3, 1, false, "D.MP4");
        assert_path(&objects, 6, "DCIM/D.MP4");
        /* Its own parent; and two that are each other's. */
        add(&objects, 7, 7, 7, true, "self");
        assert_path(&objects, 7, "self");
        add(&objects, 8, 9, 9, true, "x");
        add(&objects, 9, 8, 8, true, "y");
        add(&objects, 10, 9, 9, false, "E.MP4");
        assert_path(&objects, 10, "x/y/E.MP4");
        /* Names that are no path components. */
        add(&objects, 11, 1, 1, false, "a/../b");
        assert_path(&objects, 11, "DCIM/a%2F..%2Fb");
        add(&objects, 12, 1, 1, false, "..");
        assert_path(&objects, 12, "DCIM/%2E.");
        add(&objects, 13, 1, 1, false, "");
        assert_path(&objects, 13, "DCIM/%00");
        mtp_objects_clear(&objects);
}

static void test_path_is_cut_at_the_depth_limit_and_refused_when_too_long(void **state) {
        MtpObjects objects = { 0 };
        char path[BERTH_PATH_MAX], name[201];

        (void) state;
        for (uint32_t i = 1; i <= 200; i++)
                add(&objects, i, i - 1, i - 1, true, "d");
        assert_int_equal(mtp_objects_path(&objects, mtp_objects_find(&objects, 200), path, sizeof(path)),
                         2 * OBJECTS_DEPTH_MAX + 1);
        memset(name, 'n', 200);
        name[200] = '\0';
        for (uint32_t i = 1001; i <= 1030; i++)
                add(&objects, i, i - 1, i - 1, true, name);
        assert_int_equal(mtp_objects_path(&objects, mtp_objects_find(&objects, 1030), path, sizeof(path)), -ENAMETOOLONG);
        assert_true(mtp_objects_path(&objects, mtp_objects_find(&objects, 1020), path, sizeof(path)) > 0);
        mtp_objects_clear(&objects);
}

static void test_table_finds_each_of_many_objects_and_keeps_its_limits(void **state) {
        MtpObjects objects = { 0 };
        MtpObject o = { 0 };

        (void) state;
        assert_null(mtp_objects_find(&objects, 1));
        for (uint32_t i = 0; i < OBJECTS_MAX; i++) {
                o.handle = i * 2654435769u + 1;
                assert_int_equal(mtp_objects_add(&objects, &o, NULL, 0), 0);
        }
        for (uint32_t i = 0; i < OBJECTS_MAX; i++)
                assert_int_equal(mtp_objects_find(&objects, i * 2654435769u + 1)->handle, i * 2654435769u + 1);
        assert_null(mtp_objects_find(&objects, 2));
        o.handle = 1;
        assert_int_equal(mtp_objects_add(&objects, &o, NULL, 0), -EEXIST);
        o.handle = 2;
        assert_int_equal(mtp_objects_add(&objects, &o, NULL, 0), -E2BIG);
        mtp_objects_clear(&objects);
        o.handle = 0;
        assert_int_equal(mtp_objects_add(&objects, &o, "x", 1), -EINVAL);
        o.handle = UINT32_MAX;
        assert_int_equal(mtp_objects_add(&objects, &o, "x", 1), -EINVAL);
        o.handle = 1;
        assert_int_equal(mtp_objects_add(&objects, &o, "x", OBJECTS_NAMES_MAX + 1), -E2BIG);
        mtp_objects_clear(&objects);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_device_info_tells_what_the_camera_can),
                cmocka_unit_test(test_device_info_may_leave_out_its_last_strings),
                cmocka_unit_test(test_device_info_with_too_many_codes_is_refused),
                cmocka_unit_test(test_storage_info_tells_space_and_volume),
                cmocka_unit_test(test_object_info_tells_name_size_parent_and_dates),
                cmocka_unit_test(test_announced_object_is_what_the_standard_has_it_be),
                cmocka_unit_test(test_battery_level_becomes_percent),
                cmocka_unit_test(test_temperature_in_each_unit),
                cmocka_unit_test(test_property_forms_of_all_number_types),
                cmocka_unit_test(test_property_of_text),
                cmocka_unit_test(test_property_of_unknown_type_is_refused),
                cmocka_unit_test(test_prop_list_passes_over_what_it_does_not_keep),
                cmocka_unit_test(test_prop_list_that_claims_billions_ends_with_its_bytes),
                cmocka_unit_test(test_prop_list_ends_when_the_reader_says_so),
                cmocka_unit_test(test_id_arrays_are_bounded),
                cmocka_unit_test(test_options_are_taken_and_bad_ones_named),
                cmocka_unit_test(test_paths_follow_parents_and_survive_lies),
                cmocka_unit_test(test_path_is_cut_at_the_depth_limit_and_refused_when_too_long),
                cmocka_unit_test(test_table_finds_each_of_many_objects_and_keeps_its_limits),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
