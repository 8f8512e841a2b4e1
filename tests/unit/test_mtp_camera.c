/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's callbacks against a scripted camera: opening it, reading its clips, erasing them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/fake_host.h"
#include "unit/mtp_script.h"

/* ---- Opening ---- */

static void test_unknown_option_is_refused_before_the_camera_is_touched(void **state) {
        const char *const options[] = { "no-such-thing=1", NULL };

        (void) state;
        host = fake_host();
        assert_int_equal(plugin->open(host, options, &camera), -EINVAL);
        assert_int_equal(fake_camera.claims, 0);
        assert_non_null(strstr(fake_message, "no-such-thing=1"));
}

static void test_still_image_interface_is_chosen_among_others(void **state) {
        static const berth_usb_interface others[] = {
                { .number = 1, .class_code = 6, .subclass = 1, .protocol = 1, .bulk_in = FAKE_IN, .bulk_out = FAKE_OUT,
                  .bulk_in_packet = 512, .bulk_out_packet = 512 },
                { .number = 0, .class_code = 255, .bulk_in = 0x85, .bulk_out = 0x06, .interrupt_in = 0x87,
                  .bulk_in_packet = 512, .bulk_out_packet = 512 },
        };

        (void) state;
        host = fake_host();
        id = 1;
        fake_camera.interfaces = others;
        fake_camera.n_interfaces = 2;
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        script_device_info(plain_camera, N(plain_camera), "");
        assert_int_equal(plugin->open(host, NULL, &camera), 0);
        assert_int_equal(fake_camera.claims, 1);
        close_camera();
}

static void test_camera_without_a_fit_interface_is_refused(void **state) {
        static const berth_usb_interface bad[] = {
                { .class_code = 6, .subclass = 1, .protocol = 1, .bulk_in = FAKE_IN, .bulk_in_packet = 512 },
                { .class_code = 6, .subclass = 1, .protocol = 1, .bulk_in = FAKE_IN, .bulk_out = FAKE_OUT, .bulk_out_packet = 512 },
                { .class_code = 6, .subclass = 1, .protocol = 1, .bulk_in = FAKE_IN, .bulk_out = FAKE_OUT,
                  .bulk_in_packet = 1025, .bulk_out_packet = 512 },
                { .class_code = 8, .bulk_in = FAKE_IN, .bulk_out = FAKE_OUT, .bulk_in_packet = 512, .bulk_out_packet = 512 },
                { .class_code = 255, .bulk_in = FAKE_IN, .bulk_out = FAKE_OUT, .bulk_in_packet = 512, .bulk_out_packet = 512 },
        };

        (void) state;
        host = fake_host();
        fake_camera.interfaces = bad;
        fake_camera.n_interfaces = N(bad);
        assert_int_equal(plugin->open(host, NULL, &camera), -ENOENT);
        assert_int_equal(fake_camera.claims, 0);
}

static void test_nonsense_for_a_device_info_closes_the_session_again(void **state) {
        (void) state;
        host = fake_host();
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        fake_command(0x1001, 1, 0);
        fake_data(0x1001, 1, "nonsense", 8);
        fake_response(OK, 1);
        fake_command(0x1003, 2, 0);
        fake_response(OK, 2);
        assert_int_equal(plugin->open(host, NULL, &camera), -EBADMSG);
        fake_done();
}

static void test_identity_falls_back_to_the_usb_serial(void **state) {
        berth_identity who = { 0 };
        Dataset d = { 0 };

        (void) state;
        host = fake_host();
        id = 1;
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        script_device_info(plain_camera, N(plain_camera), "");
        assert_int_equal(plugin->open(host, NULL, &camera), 0);
        script_storages();
        dataset_storage_info(&d, 0, 100, 50, "VOL-7");
        fake_command(0x1005, id, 1, STORAGE);
        answer(0x1005, &d);
        assert_int_equal(plugin->identify(camera, &who), 0);
        assert_string_equal(who.manufacturer, "ACME");
        assert_string_equal(who.model, "BodyCam 3");
        assert_string_equal(who.firmware, "1.2.3");
        assert_string_equal(who.serial, "usb-string-3");
        assert_string_equal(who.storage_id, "VOL-7");
        close_camera();
}

/* ---- Reading ---- */

static void script_object(uint16_t code, size_t size) {
        fake_container((uint32_t) (12 + size), 2, code, id, NULL, 0);
        fake_in(NULL, size);
        fake_response(OK, id++);
}

static int read_clip(uint64_t size, uint64_t offset, uint64_t length) {
        berth_clip clip = clip_of(size);

        fake_delivered = 0;
        return plugin->read(camera, &clip, offset, length);
}

static void test_last_chunk_asks_for_one_byte_too_many(void **state) {
        const char *const options[] = { "chunk-kib=64", NULL };

        (void) state;
        open_camera(full_camera, N(full_camera), options);
        fake_command(0x95C1, id, 4, 5u, 0u, 0u, 65536u);
        script_object(0x95C1, 65536);
        fake_command(0x95C1, id, 4, 5u, 65536u, 0u, 1001u);
        script_object(0x95C1, 1000);
        assert_int_equal(read_clip(66536, 0, 66536), 0);
        assert_int_equal(fake_delivered, 66536);
        /* Not in the middle of the clip. */
        fake_command(0x95C1, id, 4, 5u, 100u, 0u, 50u);
        script_object(0x95C1, 50);
        assert_int_equal(read_clip(66536, 100, 50), 0);
        close_camera();
}

static void test_camera_that_holds_more_than_it_listed_is_caught(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x95C1, id, 4, 5u, 0u, 0u, 1001u);
        script_object(0x95C1, 1001);
        assert_int_equal(read_clip(1000, 0, 1000), -EBADMSG);
        assert_true(fake_delivered <= 1000);
        assert_non_null(strstr(fake_message, "holds more"));
        close_camera();
}

static void test_camera_that_holds_less_than_it_listed_is_caught(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x95C1, id, 4, 5u, 0u, 0u, 1001u);
        script_object(0x95C1, 600);
        fake_command(0x95C1, id, 4, 5u, 600u, 0u, 401u);
        script_object(0x95C1, 0);
        assert_int_equal(read_clip(1000, 0, 1000), -EBADMSG);
        close_camera();
}

static void test_camera_that_refuses_the_byte_too_many_is_not_asked_again(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x95C1, id, 4, 5u, 0u, 0u, 1001u);
        refuse(0x201D);
        for (int i = 0; i < 2; i++) {
                fake_command(0x95C1, id, 4, 5u, 0u, 0u, 1000u);
                script_object(0x95C1, 1000);
                assert_int_equal(read_clip(1000, 0, 1000), 0);
                assert_int_equal(fake_delivered, 1000);
        }
        close_camera();
}

static void test_offsets_beyond_4_gib_use_both_halves(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x95C1, id, 4, 5u, 7u, 2u, 100u);
        script_object(0x95C1, 100);
        assert_int_equal(read_clip(UINT64_C(5) << 32, (UINT64_C(2) << 32) + 7, 100), 0);
        close_camera();
}

static void test_way_of_reading_follows_what_the_camera_offers(void **state) {
        static const uint16_t partial32[] = { 0x1009, 0x101B };
        const char *const no64[] = { "no-partial64=yes", NULL }, *const none[] = { "no-partial=yes", NULL };

        (void) state;
        open_camera(partial32, N(partial32), NULL);
        fake_command(0x101B, id, 3, 5u, 10u, 20u);
        script_object(0x101B, 20);
        assert_int_equal(read_clip(1000, 10, 20), 0);
        /* Beyond 32 bits only the whole object is left. */
        fake_camera.cancel_drops = true;
        fake_command(0x1009, id, 1, 5u);
        fake_container(UINT32_MAX, 2, 0x1009, id, NULL, 0);
        fake_in(NULL, UINT64_C(5) << 30);
        id++;
        assert_int_equal(read_clip(UINT64_C(5) << 30, UINT64_C(9) << 29, 20), 0);
        assert_int_equal(fake_delivered, 20);
        assert_int_equal(fake_bytes[0], fake_pattern(UINT64_C(9) << 29));
        assert_int_equal(fake_camera.cancels, 1);
        close_camera();

        open_camera(full_camera, N(full_camera), no64);
        fake_command(0x101B, id, 3, 5u, 0u, 21u);
        script_object(0x101B, 20);
        assert_int_equal(read_clip(20, 0, 20), 0);
        close_camera();

        open_camera(full_camera, N(full_camera), none);
        fake_command(0x1009, id, 1, 5u);
        script_object(0x1009, 20);
        assert_int_equal(read_clip(20, 0, 20), 0);
        close_camera();
}

static void test_empty_clip_is_asked_for_and_must_be_empty(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x1009, id, 1, 5u);
        script_object(0x1009, 0);
        assert_int_equal(read_clip(0, 0, 0), 0);
        fake_command(0x1009, id, 1, 5u);
        fake_container(13, 2, 0x1009, id, "x", 1);
        fake_response(OK, id++);
        assert_int_equal(read_clip(0, 0, 0), -EBADMSG);
        assert_int_equal(fake_delivered, 0);
        close_camera();
}

static void test_clip_of_unknown_size_is_read_to_its_end(void **state) {
        berth_clip clip = clip_of(0);

        (void) state;
        clip.flags = BERTH_CLIP_SIZE_UNKNOWN;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x1009, id, 1, 5u);
        fake_container(UINT32_MAX, 2, 0x1009, id, "0123456789", 10);
        fake_response(OK, id++);
        assert_int_equal(plugin->read(camera, &clip, 0, UINT64_MAX), 0);
        assert_int_equal(fake_delivered, 10);
        /* Going on behind an end that has moved is no end. */
        fake_delivered = 0;
        fake_command(0x1009, id, 1, 5u);
        fake_container(UINT32_MAX, 2, 0x1009, id, "0123456789", 10);
        fake_response(OK, id++);
        assert_int_equal(plugin->read(camera, &clip, 11, UINT64_MAX), -EBADMSG);
        assert_int_equal(fake_delivered, 0);
        close_camera();
}

static void test_clip_that_went_away_is_gone(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x95C1, id, 4, 5u, 0u, 0u, 1001u);
        refuse(0x2009);
        assert_int_equal(read_clip(1000, 0, 1000), BERTH_GONE);
        close_camera();
}

static void test_reads_outside_the_clip_are_refused_unasked(void **state) {
        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        assert_int_equal(read_clip(1000, 1001, 0), -EINVAL);
        assert_int_equal(read_clip(1000, 1, 1000), -EINVAL);
        assert_int_equal(read_clip(1000, 1000, 0), 0);
        close_camera();
}

/* ---- Erasing ---- */

static int erase_clip(uint64_t handle) {
        berth_clip clip = clip_of(1000);

        clip.handle = handle;
        return plugin->erase(camera, &clip);
}

static void test_erase_looks_again_and_deletes_that_one_object(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        list_one(1000);
        assert_int_equal(plugin->list(camera), 0);
        script_info(5, 0x300B, 1000, 0, "A.MP4");
        fake_command(0x100B, id, 2, 5u, 0u);
        refuse(OK);
        assert_int_equal(erase_clip(5), 0);
        close_camera();
}

static void test_erase_leaves_another_object_under_the_handle_alone(void **state) {
        static const struct {
                uint16_t format;
                uint32_t size;
                const char *name, *modified;
        } cases[] = {
                { 0x300B, 1001, "A.MP4", DATE },
                { 0x300B, 1000, "B.MP4", DATE },
                { 0x3001, 1000, "A.MP4", DATE },
                { 0x300B, 1000, "A.MP4", "20261123T091501" },
        };

        (void) state;
        for (size_t i = 0; i < N(cases); i++) {
                Dataset d = { 0 };

                open_camera(plain_camera, N(plain_camera), NULL);
                list_one(1000);
                assert_int_equal(plugin->list(camera), 0);
                dataset_object_info(&d, STORAGE, cases[i].format, cases[i].size, 0, cases[i].name, cases[i].modified);
                fake_command(0x1008, id, 1, 5u);
                answer(0x1008, &d);
                assert_int_equal(erase_clip(5), BERTH_GONE);
                close_camera();
        }
}

static void test_empty_clip_is_erased_only_when_it_is_empty(void **state) {
        berth_clip clip = clip_of(0);

        (void) state;
        for (int lies = 0; lies < 2; lies++) {
                open_camera(plain_camera, N(plain_camera), NULL);
                list_one(0);
                assert_int_equal(plugin->list(camera), 0);
                script_info(5, 0x300B, 0, 0, "A.MP4");
                fake_command(0x1009, id, 1, 5u);
                if (lies) {
                        fake_container(13, 2, 0x1009, id, "x", 1);
                        fake_response(OK, id++);
                } else {
                        script_object(0x1009, 0);
                        fake_command(0x100B, id, 2, 5u, 0u);
                        refuse(OK);
                }
                assert_int_equal(plugin->erase(camera, &clip), lies ? -EBADMSG : 0);
                close_camera();
        }
}

static void test_erase_never_sends_a_handle_that_was_not_listed(void **state) {
        static const uint64_t handles[] = { 0, 6, UINT32_MAX, (UINT64_C(1) << 32) + 5, UINT64_MAX, 1 };

        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        assert_int_equal(erase_clip(5), -EINVAL); /* nothing was listed yet */
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 5, 1);
        script_info(5, 0x300B, 1000, 0, "A.MP4");
        script_info(1, 0x3001, 0, 0, "DCIM"); /* a folder takes everything in it along */
        ask_handles(1);
        script_ids(0x1007, NULL, 0);
        assert_int_equal(plugin->list(camera), 0);
        for (size_t i = 0; i < N(handles); i++)
                assert_int_equal(erase_clip(handles[i]), -EINVAL);
        close_camera();
}

static void test_answers_to_an_erase_are_passed_on(void **state) {
        static const struct {
                uint16_t response;
                int r;
        } cases[] = { { 0x2009, BERTH_GONE },   { 0x200D, BERTH_DENIED }, { 0x200E, BERTH_DENIED },
                      { 0x200F, BERTH_DENIED }, { 0x2012, -EIO },         { 0x2002, -EIO } };

        (void) state;
        for (size_t i = 0; i < N(cases); i++) {
                open_camera(plain_camera, N(plain_camera), NULL);
                list_one(1000);
                assert_int_equal(plugin->list(camera), 0);
                script_info(5, 0x300B, 1000, 0, "A.MP4");
                fake_command(0x100B, id, 2, 5u, 0u);
                refuse(cases[i].response);
                assert_int_equal(erase_clip(5), cases[i].r);
                close_camera();
        }
}

static void test_erase_of_what_is_gone_already_says_so(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        list_one(1000);
        assert_int_equal(plugin->list(camera), 0);
        fake_command(0x1008, id, 1, 5u);
        refuse(0x2009);
        assert_int_equal(erase_clip(5), BERTH_GONE);
        close_camera();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unknown_option_is_refused_before_the_camera_is_touched),
                cmocka_unit_test(test_still_image_interface_is_chosen_among_others),
                cmocka_unit_test(test_camera_without_a_fit_interface_is_refused),
                cmocka_unit_test(test_nonsense_for_a_device_info_closes_the_session_again),
                cmocka_unit_test(test_identity_falls_back_to_the_usb_serial),
                cmocka_unit_test(test_last_chunk_asks_for_one_byte_too_many),
                cmocka_unit_test(test_camera_that_holds_more_than_it_listed_is_caught),
                cmocka_unit_test(test_camera_that_holds_less_than_it_listed_is_caught),
                cmocka_unit_test(test_camera_that_refuses_the_byte_too_many_is_not_asked_again),
                cmocka_unit_test(test_offsets_beyond_4_gib_use_both_halves),
                cmocka_unit_test(test_way_of_reading_follows_what_the_camera_offers),
                cmocka_unit_test(test_empty_clip_is_asked_for_and_must_be_empty),
                cmocka_unit_test(test_clip_of_unknown_size_is_read_to_its_end),
                cmocka_unit_test(test_clip_that_went_away_is_gone),
                cmocka_unit_test(test_reads_outside_the_clip_are_refused_unasked),
                cmocka_unit_test(test_erase_looks_again_and_deletes_that_one_object),
                cmocka_unit_test(test_erase_leaves_another_object_under_the_handle_alone),
                cmocka_unit_test(test_empty_clip_is_erased_only_when_it_is_empty),
                cmocka_unit_test(test_erase_never_sends_a_handle_that_was_not_listed),
                cmocka_unit_test(test_answers_to_an_erase_are_passed_on),
                cmocka_unit_test(test_erase_of_what_is_gone_already_says_so),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
