/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's callbacks against a scripted camera: the conversation is written down container by container. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/fake_host.h"
#include "unit/mtp_dataset.h"

#define OK 0x2001
#define STORAGE 0x10001u
#define ROOT UINT32_C(0xFFFFFFFF)
#define ALL UINT32_C(0xFFFFFFFF)
#define DATE "20261123T091500"
#define DATE_UNIX 1795425300

static const berth_plugin *const plugin = &berth_plugin_entry;
static berth_host *host;
static void *camera;
static uint32_t id; /* of the next transaction */

/* ---- Parts of conversations ---- */

static void answer(uint16_t code, const Dataset *d) {
        fake_data(code, id, d->data, d->size);
        fake_response(OK, id++);
}

static void refuse(uint16_t response) {
        fake_response(response, id++);
}

static void script_device_info(const uint16_t *operations, size_t n, const char *serial) {
        static const uint16_t properties[] = { 0x5001, 0x5011 };
        Dataset d = { 0 };

        dataset_u(&d, 2, 100);
        dataset_u(&d, 4, 6);
        dataset_u(&d, 2, 100);
        dataset_text(&d, "microsoft.com: 1.0;");
        dataset_u(&d, 2, 0);
        dataset_codes(&d, operations, n);
        dataset_codes(&d, NULL, 0);
        dataset_codes(&d, properties, 2);
        dataset_codes(&d, NULL, 0);
        dataset_codes(&d, NULL, 0);
        dataset_text(&d, "ACME");
        dataset_text(&d, "BodyCam 3");
        dataset_text(&d, "1.2.3");
        dataset_text(&d, serial);
        fake_command(0x1001, id, 0);
        answer(0x1001, &d);
}

static const uint16_t full_camera[] = { 0x1001, 0x1007, 0x1008, 0x1009, 0x100B, 0x1014, 0x1016, 0x101B, 0x95C1, 0x9803, 0x9805 };
static const uint16_t plain_camera[] = { 0x1001, 0x1007, 0x1008, 0x1009, 0x100B };

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void open_camera(const uint16_t *operations, size_t n, const char *const *options) {
        host = fake_host();
        id = 1;
        fake_command(0x1002, 0, 1, 1);
        fake_response(OK, 0);
        script_device_info(operations, n, "SN-0001");
        assert_int_equal(plugin->open(host, options, &camera), 0);
        fake_done();
}

static void close_camera(void) {
        fake_command(0x1003, id, 0);
        fake_response(OK, id);
        plugin->close(camera);
        fake_done();
}

static void script_ids(uint16_t code, const uint32_t *ids, size_t n) {
        Dataset d = { 0 };

        dataset_u(&d, 4, n);
        for (size_t i = 0; i < n; i++)
                dataset_u(&d, 4, ids[i]);
        answer(code, &d);
}

#define IDS(code, ...) script_ids(code, (const uint32_t[]){ __VA_ARGS__ }, N(((const uint32_t[]){ __VA_ARGS__ })))

static void script_storages(void) {
        fake_command(0x1004, id, 0);
        IDS(0x1004, STORAGE);
}

static void ask_handles(uint32_t folder) {
        fake_command(0x1007, id, 3, STORAGE, 0u, folder);
}

static void script_info(uint32_t handle, uint16_t format, uint32_t size, uint32_t parent, const char *name) {
        Dataset d = { 0 };

        dataset_object_info(&d, STORAGE, format, size, parent, name, DATE);
        fake_command(0x1008, id, 1, handle);
        answer(0x1008, &d);
}

static void list_one(uint32_t size) {
        script_storages();
        ask_handles(ROOT);
        IDS(0x1007, 5);
        script_info(5, 0x300B, size, 0, "A.MP4");
}

static void props(Dataset *d, uint32_t handle, uint16_t format, uint64_t size, uint32_t parent, const char *name) {
        dataset_prop(d, handle, 0xDC01, 6);
        dataset_u(d, 4, STORAGE);
        dataset_prop(d, handle, 0xDC02, 4);
        dataset_u(d, 2, format);
        dataset_prop(d, handle, 0xDC04, 8);
        dataset_u(d, 8, size);
        dataset_prop(d, handle, 0xDC0B, 6);
        dataset_u(d, 4, parent);
        dataset_prop(d, handle, 0xDC09, 0xFFFF);
        dataset_text(d, DATE);
        dataset_prop(d, handle, 0xDC07, 0xFFFF);
        dataset_text(d, name);
}

#define PROPS_EACH 6

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

/* ---- Listing ---- */

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

/* ---- Reading ---- */

static berth_clip clip_of(uint64_t size) {
        return (berth_clip){ .struct_size = sizeof(berth_clip), .path = "A.MP4", .size_bytes = size, .handle = 5 };
}

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

/* ---- Health ---- */

static void script_battery(uint8_t now) {
        Dataset d = { 0 };

        dataset_u(&d, 2, 0x5001);
        dataset_u(&d, 2, 2);
        dataset_u(&d, 1, 0);
        dataset_u(&d, 1, 100);
        dataset_u(&d, 1, now);
        dataset_u(&d, 1, 1);
        dataset_u(&d, 1, 0);
        dataset_u(&d, 1, 200);
        dataset_u(&d, 1, 1);
        fake_command(0x1014, id, 1, 0x5001u);
        answer(0x1014, &d);
}

static void script_clock(const char *now, unsigned writable) {
        Dataset d = { 0 };

        dataset_u(&d, 2, 0x5011);
        dataset_u(&d, 2, 0xFFFF);
        dataset_u(&d, 1, writable);
        dataset_text(&d, "");
        dataset_text(&d, now);
        dataset_u(&d, 1, 0);
        fake_command(0x1014, id, 1, 0x5011u);
        answer(0x1014, &d);
}

static void test_health_tells_battery_clock_and_storage(void **state) {
        const char *const options[] = { "utc-offset-minutes=60", NULL };
        berth_health health = { 0 };
        Dataset d = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), options);
        script_battery(150);
        script_clock(DATE, 1);
        script_storages();
        dataset_storage_info(&d, 1, 1000, 400, "");
        fake_command(0x1005, id, 1, STORAGE);
        answer(0x1005, &d);
        assert_int_equal(plugin->health(camera, &health), 0);
        assert_int_equal(health.known, BERTH_HEALTH_BATTERY | BERTH_HEALTH_CLOCK | BERTH_HEALTH_STORAGE);
        assert_int_equal(health.battery_percent, 75);
        assert_true(health.clock_unix_sec == DATE_UNIX - 3600);
        assert_true(health.clock_boottime_usec > 0 && health.clock_boottime_usec <= fake_camera.now_usec);
        assert_int_equal(health.storage_total_bytes, 1000);
        assert_int_equal(health.storage_free_bytes, 400);
        assert_int_equal(health.read_only, 1);
        close_camera();
}

static void test_clock_in_the_docks_zone_is_converted_both_ways(void **state) {
        const char *const options[] = { "utc-offset-minutes=local", NULL };
        berth_health health = { 0 };
        Dataset d = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), options);
        script_battery(150);
        script_clock(DATE, 1);
        fake_command(0x1004, id, 0), refuse(0x2005);
        assert_true(plugin->health(camera, &health) == 0 && health.clock_unix_sec == DATE_UNIX - 3600);
        script_clock(DATE, 1);
        dataset_text(&d, DATE);
        fake_command(0x1016, id, 1, 0x5011u);
        fake_data_out(0x1016, id, d.data, d.size);
        fake_response(OK, id++);
        assert_int_equal(plugin->set_clock(camera, DATE_UNIX - 3600), 0);
        close_camera();
}

static void test_health_leaves_out_what_the_camera_says_badly(void **state) {
        berth_health health = { 0 };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        fake_command(0x1014, id, 1, 0x5001u);
        fake_data(0x1014, id, "??", 2);
        fake_response(OK, id++);
        script_clock("00000000T000000", 1);
        script_storages();
        fake_command(0x1005, id, 1, STORAGE);
        refuse(0x2002);
        assert_int_equal(plugin->health(camera, &health), 0);
        assert_int_equal(health.known, 0);
        close_camera();
}

static void test_health_of_a_camera_that_says_nothing(void **state) {
        berth_health health = { 0 };

        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        fake_command(0x1004, id, 0);
        refuse(0x2005);
        assert_int_equal(plugin->health(camera, &health), 0);
        assert_int_equal(health.known, 0);
        close_camera();
}

static void test_clock_is_set_in_the_cameras_own_form(void **state) {
        static const char *const now[] = { DATE, DATE "Z" }, *const written[] = { "20261123T091500", "20261123T091500Z" };

        (void) state;
        open_camera(full_camera, N(full_camera), NULL);
        for (size_t i = 0; i < 2; i++) {
                Dataset d = { 0 };

                script_clock(now[i], 1);
                dataset_text(&d, written[i]);
                fake_command(0x1016, id, 1, 0x5011u);
                fake_data_out(0x1016, id, d.data, d.size);
                fake_response(OK, id++);
                assert_int_equal(plugin->set_clock(camera, DATE_UNIX), 0);
        }
        script_clock(DATE, 0);
        assert_int_equal(plugin->set_clock(camera, DATE_UNIX), -EOPNOTSUPP);
        close_camera();
}

static void test_clock_of_a_camera_that_has_none_cannot_be_set(void **state) {
        (void) state;
        open_camera(plain_camera, N(plain_camera), NULL);
        assert_int_equal(plugin->set_clock(camera, DATE_UNIX), -EOPNOTSUPP);
        close_camera();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unknown_option_is_refused_before_the_camera_is_touched),
                cmocka_unit_test(test_still_image_interface_is_chosen_among_others),
                cmocka_unit_test(test_camera_without_a_fit_interface_is_refused),
                cmocka_unit_test(test_nonsense_for_a_device_info_closes_the_session_again),
                cmocka_unit_test(test_identity_falls_back_to_the_usb_serial),
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
                cmocka_unit_test(test_health_tells_battery_clock_and_storage),
                cmocka_unit_test(test_clock_in_the_docks_zone_is_converted_both_ways),
                cmocka_unit_test(test_health_leaves_out_what_the_camera_says_badly),
                cmocka_unit_test(test_health_of_a_camera_that_says_nothing),
                cmocka_unit_test(test_clock_is_set_in_the_cameras_own_form),
                cmocka_unit_test(test_clock_of_a_camera_that_has_none_cannot_be_set),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
