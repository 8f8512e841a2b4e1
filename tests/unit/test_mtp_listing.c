/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's listing of a scripted camera. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/fake_host.h"
#include "unit/mtp_script.h"

static void test_listing_walks_folders_by_handles_alone(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 1, 5);
        script_info(1, 0x3001, 0, 0, "DCIM");
        script_info(5, 0x3000, 7, 0, "notes.txt");
        ask_handles(1);
        IDS(0x1007, 2, 2, 0, 0xFFFFFFFF, 5, 1); /* nonsense among them: twice, none, all, elsewhere, itself */
        script_info(2, 0x300B, 1234, 1, "A.MP4");
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_n_clips, 2);
        assert_string_equal(fake_clips[0].path, "notes.txt");
        assert_string_equal(fake_clips[1].path, "DCIM/A.MP4");
        assert_int_equal(fake_clips[1].clip.size_bytes, 1234);
        assert_int_equal(fake_clips[1].clip.mtime_unix_sec, DATE_UNIX);
        assert_int_equal(fake_clips[1].clip.handle, 2);
        assert_int_equal(fake_clips[1].clip.flags, 0);
        close_camera();
}

static void test_prop_list_saves_asking_for_each_and_leaves_nothing_out(void **state) {
        Dataset d = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 2, 3, 4, 5);
        dataset_u(&d, 4, 2 * PROPS_EACH + 1 + 1);
        props(&d, 2, 0x300B, UINT64_C(6) << 32, 0, "A.MP4");
        props(&d, 3, 0x300B, 17, 0, "B.MP4");
        dataset_prop(&d, 4, 0xDC07, 0xFFFF); /* the third object only by name, the fourth not at all */
        dataset_text(&d, "C.MP4");
        dataset_prop(&d, 3, 0xDC04, 8); /* too late to change what was told */
        dataset_u(&d, 8, 99);
        fake_command(0x9805, id, 5, 0u, 0u, ALL, 0u, 1u);
        answer(0x9805, &d);
        script_info(4, 0x300B, 30, 0, "C.MP4");
        script_info(5, 0x300B, 31, 0, "D.MP4");
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_n_clips, 4);
        assert_true(fake_clips[0].clip.size_bytes == UINT64_C(6) << 32);
        assert_int_equal(fake_clips[1].clip.size_bytes, 17);
        assert_int_equal(fake_clips[1].clip.mtime_unix_sec, DATE_UNIX);
        assert_string_equal(fake_clips[3].path, "D.MP4");
        close_camera();
}

static void test_size_of_all_ones_in_a_prop_list_is_no_size(void **state) {
        Dataset d = { 0 }, size = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 2, 3);
        dataset_u(&d, 4, 2 * PROPS_EACH);
        props(&d, 2, 0x300B, 0xFFFFFFFF, 0, "A.MP4");
        props(&d, 3, 0x300B, 17, 0, "B.MP4");
        fake_command(0x9805, id, 5, 0u, 0u, ALL, 0u, 1u);
        answer(0x9805, &d);
        script_info(2, 0x300B, 0xFFFFFFFF, 0, "A.MP4");
        dataset_u(&size, 8, UINT64_C(5) << 32);
        fake_command(0x9803, id, 2, 2u, 0xDC04u);
        answer(0x9803, &size);
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_n_clips, 2);
        assert_true(fake_clips[1].clip.size_bytes == UINT64_C(5) << 32);
        close_camera();
}

static void test_useless_prop_list_is_asked_for_once(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 1, 2);
        fake_command(0x9805, id, 5, 0u, 0u, ALL, 0u, 1u);
        refuse(0xA808);
        script_info(1, 0x3001, 0, 0, "DCIM");
        script_info(2, 0x300B, 30, 0, "A.MP4");
        ask_handles(1);
        IDS(0x1007, 3, 4);
        script_info(3, 0x300B, 31, 1, "B.MP4");
        script_info(4, 0x300B, 32, 1, "C.MP4");
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_n_clips, 3);
        close_camera();
}

static void test_camera_without_a_root_is_asked_for_everything(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        refuse(0x2006);
        ask_handles(0);
        IDS(0x1007, 2, 1);
        script_info(2, 0x300B, 30, 1, "A.MP4");
        script_info(1, 0x3001, 0, 0, "DCIM");
        ask_handles(1);
        IDS(0x1007, 2);
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_n_clips, 1);
        assert_string_equal(fake_clips[0].path, "DCIM/A.MP4");
        close_camera();
}

static void test_camera_with_an_empty_root_is_asked_for_everything_too(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        script_ids(0x1007, NULL, 0);
        ask_handles(0);
        IDS(0x1007, 2);
        script_info(2, 0x300B, 30, 0, "A.MP4");
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_n_clips, 1);
        close_camera();
}

static void test_folder_that_names_no_storage_is_in_the_one_where_it_was_found(void **state) {
        Dataset d = { 0 };

        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 1);
        dataset_object_info(&d, 0, 0x3001, 0, 0, "DCIM", DATE);
        fake_command(0x1008, id, 1, 1u);
        answer(0x1008, &d);
        ask_handles(1);
        IDS(0x1007, 2);
        script_info(2, 0x300B, 30, 1, "A.MP4");
        assert_int_equal(plugin->list(camera), 0);
        assert_string_equal(fake_clips[0].path, "DCIM/A.MP4");
        close_camera();
}

static void test_size_beyond_32_bits_is_asked_for_or_unknown(void **state) {
        Dataset d = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        dataset_u(&d, 8, (UINT64_C(1) << 32) + 5);
        list_one(0xFFFFFFFF);
        fake_command(0x9803, id, 2, 5u, 0xDC04u);
        answer(0x9803, &d);
        assert_int_equal(plugin->list(camera), 0);
        assert_true(fake_clips[0].clip.size_bytes == (UINT64_C(1) << 32) + 5);
        assert_int_equal(fake_clips[0].clip.flags, 0);
        fake_n_clips = 0;
        list_one(0xFFFFFFFF);
        fake_command(0x9803, id, 2, 5u, 0xDC04u);
        refuse(0xA80A);
        assert_int_equal(plugin->list(camera), 0);
        assert_int_equal(fake_clips[0].clip.flags, BERTH_CLIP_SIZE_UNKNOWN);
        close_camera();
}

static void test_camera_without_storage_is_not_an_empty_camera(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        fake_command(0x1004, id, 0);
        script_ids(0x1004, NULL, 0);
        assert_int_equal(plugin->list(camera), -ENOMEDIUM);
        /* A slot without a card is no storage either. */
        fake_command(0x1004, id, 0);
        IDS(0x1004, 0x00010000);
        fake_command(0x1007, id, 3, 0x00010000u, 0u, ROOT);
        refuse(0x2013);
        assert_int_equal(plugin->list(camera), -ENOMEDIUM);
        assert_int_equal(fake_n_clips, 0);
        close_camera();
}

static void test_object_that_cannot_be_described_fails_the_listing(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 2, 3);
        fake_command(0x1008, id, 1, 2u);
        refuse(0x2009); /* deleted meanwhile */
        fake_command(0x1008, id, 1, 3u);
        refuse(0x2002);
        assert_int_equal(plugin->list(camera), -EIO);
        assert_int_equal(fake_n_clips, 0);
        assert_non_null(strstr(fake_message, "0x00000003"));
        close_camera();
}

static void test_list_of_handles_that_is_too_long_is_refused(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        fake_camera.cancel_drops = true;
        script_storages();
        ask_handles(ROOT);
        fake_container(12 + 4 + 4 * 200000, 2, 0x1007, id, NULL, 0);
        id++;
        assert_int_equal(plugin->list(camera), -E2BIG);
        close_camera();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_listing_walks_folders_by_handles_alone),
                cmocka_unit_test(test_prop_list_saves_asking_for_each_and_leaves_nothing_out),
                cmocka_unit_test(test_size_of_all_ones_in_a_prop_list_is_no_size),
                cmocka_unit_test(test_useless_prop_list_is_asked_for_once),
                cmocka_unit_test(test_camera_without_a_root_is_asked_for_everything),
                cmocka_unit_test(test_camera_with_an_empty_root_is_asked_for_everything_too),
                cmocka_unit_test(test_folder_that_names_no_storage_is_in_the_one_where_it_was_found),
                cmocka_unit_test(test_size_beyond_32_bits_is_asked_for_or_unknown),
                cmocka_unit_test(test_camera_without_storage_is_not_an_empty_camera),
                cmocka_unit_test(test_object_that_cannot_be_described_fails_the_listing),
                cmocka_unit_test(test_list_of_handles_that_is_too_long_is_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
