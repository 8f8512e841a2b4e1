/* SPDX-License-Identifier: Apache-2.0 */
/* The structure of MP4, and of fragmented MP4. */
#include "unit/container_file.h"

static void put_ftyp(File *f, const char *brand) {
        begin(f, "ftyp");
        put(f, brand, 4);
        put32(f, 0);
        put(f, "isomiso2avc1mp41", 12);
        end(f);
}

/* A moov with one track, whose only chunk lies at `chunk`. */
static void put_moov(File *f, unsigned version, uint64_t created, uint64_t chunk, bool fragmented) {
        static const char *const path[] = { "trak", "mdia", "minf", "stbl" };
        unsigned width = version == 1 ? 8 : 4;

        begin(f, "moov");
        begin(f, "mvhd");
        put32(f, version << 24);
        put_number(f, created, width);
        put_number(f, created, width);
        put32(f, 1000);
        put_number(f, 12345, width);
        put_hole(f, 80);
        end(f);
        for (size_t i = 0; i < ELEMENTSOF(path); i++)
                begin(f, path[i]);
        begin(f, width == 8 ? "co64" : "stco");
        put32(f, 0);
        put32(f, 1);
        put_number(f, chunk, width);
        end(f);
        for (size_t i = 0; i < ELEMENTSOF(path); i++)
                end(f);
        if (fragmented) {
                begin(f, "mvex");
                end(f);
        }
        end(f);
}

/* An mdat whose size takes 64 bits. */
static void put_mdat(File *f, uint64_t content) {
        put32(f, 1);
        put(f, "mdat", 4);
        put_number(f, content + 16, 8);
        put_hole(f, content);
}

#define CREATED_1904 (UINT64_C(1795598100) + 2082844800)

static File mp4(bool index_first, uint64_t content) {
        File f = file_new(false);

        put_ftyp(&f, "isom");
        if (index_first)
                put_moov(&f, 1, CREATED_1904, 300, false);
        put_mdat(&f, content);
        if (!index_first)
                put_moov(&f, 0, CREATED_1904, 40, false);
        return f;
}

static void test_whole_mp4_is_complete_with_time_and_duration(void **state) {
        (void) state;
        for (int first = 0; first < 2; first++) {
                File f = mp4(first, 1000);
                Container c = look(&f);

                assert_container(c, CONTAINER_MP4, CONTAINER_COMPLETE, "");
                assert_int_equal(c.recorded_unix_sec, 1795598100);
                assert_int_equal(c.duration_msec, 12345);
                file_done(&f);
        }
}

static void test_cut_mp4_is_incomplete_at_every_byte(void **state) {
        (void) state;
        for (int first = 0; first < 2; first++) {
                File f = mp4(first, 100);

                for (uint64_t size = CONTAINER_FIRST; size < f.size; size++)
                        assert_int_equal(look_cut(&f, size).verdict, CONTAINER_INCOMPLETE);
                for (uint64_t size = 0; size < CONTAINER_FIRST; size++)
                        assert_container(look_cut(&f, size), CONTAINER_NONE, CONTAINER_UNCHECKED, "");
                file_done(&f);
        }
}

static void test_reason_names_the_box_and_where_the_file_ends(void **state) {
        File f = file_new(false);
        Container c;

        (void) state;
        put_ftyp(&f, "isom");
        put_hole(&f, 8);
        set_size(&f, 0, 36);
        put32(&f, 4000000);
        put(&f, "mdat", 4);
        put_hole(&f, 1234567 - f.size);
        c = look(&f);
        assert_container(c, CONTAINER_MP4, CONTAINER_INCOMPLETE, "the box mdat at 36 says 4000000 bytes and the file ends at 1234567");
        assert_int_equal(c.offset, 36);
        file_done(&f);
}

static void test_mp4_that_was_never_closed_has_no_moov(void **state) {
        File f = file_new(false);

        (void) state;
        put_ftyp(&f, "qt  ");
        put32(&f, 0); /* to the end of the file */
        put(&f, "mdat", 4);
        put_hole(&f, 5000);
        assert_container(look(&f), CONTAINER_MOV, CONTAINER_INCOMPLETE,
                         "no moov up to the file's end at 5036: the recording was not closed");
        file_done(&f);
}

static void test_reserved_size_that_was_never_written(void **state) {
        File f = file_new(false);

        (void) state;
        put_ftyp(&f, "isom");
        begin(&f, "mdat");
        end(&f);
        put(&f, "\0\0\1\2ab\xff\1 what an encoder gave", 29);
        assert_container(look(&f), CONTAINER_MP4, CONTAINER_INCOMPLETE, "at 36 there is no box");
        file_done(&f);
}

static void test_recording_time_that_cannot_be_is_unknown(void **state) {
        static const struct {
                unsigned version;
                uint64_t created;
        } cases[] = {
                { 0, 0 }, { 0, 1 }, { 0, 1795598100 /* since 1970, misunderstood */ }, { 0, 2082844800 }, { 0, UINT32_MAX },
                { 1, 0 }, { 1, UINT64_MAX }, { 1, INT64_MAX }, { 1, CREATED_1904 * 1000 }, { 2, CREATED_1904 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                File f = file_new(false);
                int64_t told;

                put_ftyp(&f, "isom");
                put_moov(&f, cases[i].version, cases[i].created, 40, false);
                put_mdat(&f, 10);
                told = look(&f).recorded_unix_sec;
                /* The largest number of 32 bits is a day in 2040. */
                assert_true(told == CONTAINER_TIME_UNKNOWN || (cases[i].created == UINT32_MAX && told == 2212122495));
                file_done(&f);
        }
}

static void test_compressed_index_is_an_index(void **state) {
        File f = file_new(false);

        (void) state;
        put_ftyp(&f, "qt  ");
        begin(&f, "mdat");
        put_hole(&f, 100);
        end(&f);
        begin(&f, "moov");
        begin(&f, "cmov");
        put_hole(&f, 50);
        end(&f);
        end(&f);
        assert_container(look(&f), CONTAINER_MOV, CONTAINER_COMPLETE, "");
        assert_int_equal(look_cut(&f, f.size - 1).verdict, CONTAINER_INCOMPLETE);
        file_done(&f);
}

static void test_chunk_behind_the_end_of_the_file(void **state) {
        File f = file_new(false);

        (void) state;
        put_ftyp(&f, "isom");
        put_moov(&f, 0, CREATED_1904, 10000, false);
        put32(&f, 0);
        put(&f, "mdat", 4);
        put_hole(&f, 10);
        assert_int_equal(look(&f).verdict, CONTAINER_INCOMPLETE);
        assert_non_null(strstr(look(&f).reason, "the last chunk of a track lies at 10000"));
        put_hole(&f, 10000);
        assert_container(look(&f), CONTAINER_MP4, CONTAINER_COMPLETE, "");
        file_done(&f);
}

static void test_box_that_is_larger_than_its_parent(void **state) {
        File f = mp4(false, 10);

        (void) state;
        /* The track: five headers and a list of one chunk before the end. */
        set_size(&f, f.size - 52, 5000);
        assert_int_equal(look(&f).verdict, CONTAINER_INCOMPLETE);
        assert_non_null(strstr(look(&f).reason, "the box trak at"));
        file_done(&f);
}

static void test_zeroes_behind_an_index_are_room_that_was_reserved(void **state) {
        File f = mp4(true, 100);

        (void) state;
        put_hole(&f, 4096);
        assert_container(look(&f), CONTAINER_MP4, CONTAINER_COMPLETE, "");
        assert_container(look_cut(&f, f.size - 4096 + 3), CONTAINER_MP4, CONTAINER_COMPLETE, "");
        file_done(&f);
}

static void test_pictures_and_other_bytes_are_no_container(void **state) {
        static const char *const others[] = { "\xff\xd8\xff\xe0 this is a JPEG picture", "....heic but not at that place",
                                              "GPS;52.5;13.4;2026", "RIFF....WAVEfmt " };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                File f = file_new(false);

                put(&f, others[i], strlen(others[i]));
                assert_container(look(&f), CONTAINER_NONE, CONTAINER_UNCHECKED, "");
                file_done(&f);
        }
        File f = file_new(false);
        put_ftyp(&f, "heic");
        assert_container(look(&f), CONTAINER_NONE, CONTAINER_UNCHECKED, "");
        file_done(&f);
}

/* ---- Fragments ----------------------------------------------------------------------------------------------------- */

static void put_fragments(File *f, unsigned n, uint64_t content) {
        for (unsigned i = 0; i < n; i++) {
                begin(f, "moof");
                put_hole(f, 8);
                end(f);
                begin(f, "mdat");
                put_hole(f, content);
                end(f);
        }
}

static void put_mfra(File *f) {
        begin(f, "mfra");
        put_hole(f, 20);
        begin(f, "mfro");
        put32(f, 0);
        put32(f, 44);
        end(f);
        end(f);
}

static File fragmented(unsigned n, uint64_t content) {
        File f = file_new(false);

        put_ftyp(&f, "isom");
        put_moov(&f, 0, CREATED_1904, 0, true);
        put_fragments(&f, n, content);
        return f;
}

static void test_fragments_are_whole_one_by_one(void **state) {
        File f = fragmented(3, 1000), cut;
        uint64_t last;

        (void) state;
        assert_container(look(&f), CONTAINER_MP4, CONTAINER_COMPLETE, "");
        last = f.size - 1008;
        assert_non_null(strstr(look_cut(&f, last).reason, "has no mdat"));
        assert_int_equal(look_cut(&f, last).offset, last - 16);
        assert_int_equal(look_cut(&f, f.size - 1).verdict, CONTAINER_INCOMPLETE);
        cut = f;
        put_hole(&cut, 512);
        assert_non_null(strstr(look(&cut).reason, "there are zeroes where a box should begin"));
        file_done(&f);
        f = fragmented(0, 0);
        assert_non_null(strstr(look(&f).reason, "there is an index and no footage"));
        file_done(&f);
}

static void test_tens_of_thousands_of_fragments_are_followed_within_the_bounds(void **state) {
        File f = fragmented(40000, 30000);
        Container c;
        Look l;

        (void) state;
        look_init(&l, f.fd, f.size, NULL);
        container_look_through(&l, &c);
        assert_container(c, CONTAINER_MP4, CONTAINER_COMPLETE, "");
        assert_true(l.bytes <= LOOK_BYTES_MAX);
        file_done(&f);
}

static void test_more_fragments_than_that_are_complete_only_when_the_recorder_said_so(void **state) {
        File f = fragmented(LOOK_BYTES_MAX / 16, 10);
        Container c;
        Look l;

        (void) state;
        look_init(&l, f.fd, f.size, NULL);
        container_look_through(&l, &c);
        assert_container(c, CONTAINER_MP4, CONTAINER_UNCHECKED, "not followed to its end: it has more parts than Berth looks at");
        assert_int_equal(c.recorded_unix_sec, 1795598100);
        assert_true(l.bytes <= LOOK_BYTES_MAX);
        put_mfra(&f);
        assert_container(look(&f), CONTAINER_MP4, CONTAINER_COMPLETE, "");
        file_done(&f);
}

static unsigned signs_of_life;
static void on_alive(void) {
        signs_of_life++;
}

static void test_long_look_gives_signs_of_life_and_ends(void **state) {
        File f = fragmented(5000, 10);
        Container c;
        Look l;

        (void) state;
        look_init(&l, f.fd, f.size, on_alive);
        container_look_through(&l, &c);
        assert_true(signs_of_life >= 30);
        look_init(&l, f.fd, f.size, on_alive);
        l.give_up_usec = 0;
        container_look_through(&l, &c);
        assert_int_equal(c.verdict, CONTAINER_UNCHECKED);
        assert_true(l.reads < 300);
        file_done(&f);
}

static void test_large_file_costs_a_few_small_reads(void **state) {
        (void) state;
        for (int first = 0; first < 2; first++) {
                File f = mp4(first, 4 * GIB);
                Container c;
                Look l;

                look_init(&l, f.fd, f.size, NULL);
                container_look_through(&l, &c);
                assert_container(c, CONTAINER_MP4, CONTAINER_COMPLETE, "");
                assert_true(l.bytes < 1024 && l.reads < 50);
                file_done(&f);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_mp4_is_complete_with_time_and_duration),
                cmocka_unit_test(test_cut_mp4_is_incomplete_at_every_byte),
                cmocka_unit_test(test_reason_names_the_box_and_where_the_file_ends),
                cmocka_unit_test(test_mp4_that_was_never_closed_has_no_moov),
                cmocka_unit_test(test_reserved_size_that_was_never_written),
                cmocka_unit_test(test_recording_time_that_cannot_be_is_unknown),
                cmocka_unit_test(test_compressed_index_is_an_index),
                cmocka_unit_test(test_chunk_behind_the_end_of_the_file),
                cmocka_unit_test(test_box_that_is_larger_than_its_parent),
                cmocka_unit_test(test_zeroes_behind_an_index_are_room_that_was_reserved),
                cmocka_unit_test(test_pictures_and_other_bytes_are_no_container),
                cmocka_unit_test(test_fragments_are_whole_one_by_one),
                cmocka_unit_test(test_tens_of_thousands_of_fragments_are_followed_within_the_bounds),
                cmocka_unit_test(test_more_fragments_than_that_are_complete_only_when_the_recorder_said_so),
                cmocka_unit_test(test_long_look_gives_signs_of_life_and_ends),
                cmocka_unit_test(test_large_file_costs_a_few_small_reads),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
