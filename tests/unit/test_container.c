/* SPDX-License-Identifier: Apache-2.0 */

/* The structure check of containers: bay/container*.c over small files made here, whole, broken and cut. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "bay/container.h"

/* ---- Files of boxes ------------------------------------------------------------------------------------------------ */

typedef struct File {
        int fd;
        uint64_t size;
        uint64_t open[8]; /* boxes whose size is not written yet */
        unsigned depth;
        bool little; /* RIFF */
} File;

static File file_new(bool little) {
        File f = { .fd = memfd_create("container", MFD_CLOEXEC), .little = little };

        assert_true(f.fd >= 0);
        return f;
}

static void file_done(File *f) {
        fd_close(f->fd);
}

static void put(File *f, const void *data, size_t n) {
        assert_int_equal(fd_pwrite_full(f->fd, data, n, f->size), 0);
        f->size += n;
}

static void put_number(File *f, uint64_t v, unsigned bytes) {
        uint8_t p[8];

        for (unsigned i = 0; i < bytes; i++)
                p[f->little ? i : bytes - 1 - i] = (uint8_t) (v >> (8 * i));
        put(f, p, bytes);
}

static void put32(File *f, uint32_t v) {
        put_number(f, v, 4);
}

/* A hole, as large as footage is. */
static void put_hole(File *f, uint64_t n) {
        f->size += n;
        assert_int_equal(ftruncate(f->fd, (off_t) f->size), 0);
}

static void begin(File *f, const char *code) {
        f->open[f->depth++] = f->size;
        if (!f->little)
                put32(f, 0);
        put(f, code, 4);
        if (f->little)
                put32(f, 0);
}

static void set_size(File *f, uint64_t at, uint32_t size) {
        File at_size = { .fd = f->fd, .size = at + (f->little ? 4 : 0), .little = f->little };

        put32(&at_size, size);
}

static void end(File *f) {
        uint64_t at = f->open[--f->depth];

        set_size(f, at, (uint32_t) (f->size - at - (f->little ? 8 : 0)));
        if (f->little && f->size % 2 == 1)
                put(f, "", 1);
}

static Container look(const File *f) {
        Container c;

        container_look(f->fd, f->size, NULL, &c);
        assert_true(strlen(c.reason) < sizeof(c.reason));
        if (c.verdict == CONTAINER_INCOMPLETE)
                assert_true(c.reason[0] && c.offset <= f->size);
        return c;
}

static Container look_cut(const File *f, uint64_t size) {
        File cut = *f;

        cut.size = size;
        return look(&cut);
}

static void assert_container(Container c, ContainerFormat format, ContainerVerdict verdict, const char *reason) {
        assert_string_equal(container_format_to_string(c.format), container_format_to_string(format));
        assert_string_equal(c.reason, reason);
        assert_string_equal(container_verdict_to_string(c.verdict), container_verdict_to_string(verdict));
}

/* ---- MP4 ----------------------------------------------------------------------------------------------------------- */

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

/* ---- AVI ----------------------------------------------------------------------------------------------------------- */

static void put_avih(File *f, uint32_t flags) {
        begin(f, "avih");
        put32(f, 40000); /* 25 frames a second */
        put_hole(f, 8);
        put32(f, flags);
        put32(f, 250);
        put_hole(f, 36);
        end(f);
}

static void put_super_index(File *f, uint64_t at) {
        begin(f, "indx");
        put_number(f, 4, 2);
        put_number(f, 0, 2);
        put32(f, 1);
        put_hole(f, 16);
        put_number(f, at, 8);
        put_hole(f, 8);
        put_hole(f, 64); /* room for more */
        end(f);
}

static File avi(uint32_t flags, bool index, uint64_t super_index_at, const char *code, const char *date) {
        File f = file_new(true);

        begin(&f, "RIFF");
        put(&f, "AVI ", 4);
        begin(&f, "LIST");
        put(&f, "hdrl", 4);
        put_avih(&f, flags);
        begin(&f, "LIST");
        put(&f, "strl", 4);
        if (super_index_at > 0)
                put_super_index(&f, super_index_at);
        end(&f);
        if (date) {
                begin(&f, code);
                put(&f, date, strlen(date));
                end(&f);
        }
        end(&f);
        begin(&f, "LIST");
        put(&f, "movi", 4);
        put_hole(&f, 3000);
        end(&f);
        if (index) {
                begin(&f, "idx1");
                put_hole(&f, 160);
                end(&f);
        }
        end(&f);
        return f;
}

static void test_whole_avi_is_complete_and_cut_is_not(void **state) {
        File f = avi(0x10, true, 0, "IDIT", "Wed Nov 25 09:15:00 2026\n");
        Container c = look(&f);

        (void) state;
        assert_container(c, CONTAINER_AVI, CONTAINER_COMPLETE, "");
        assert_int_equal(c.recorded_unix_sec, 1795598100);
        assert_int_equal(c.duration_msec, 10000);
        for (uint64_t size = CONTAINER_FIRST; size < f.size; size += size < 400 ? 1 : 37)
                assert_int_equal(look_cut(&f, size).verdict, CONTAINER_INCOMPLETE);
        assert_non_null(strstr(look_cut(&f, 2000).reason, "the chunk movi at"));
        file_done(&f);
}

static void test_avi_without_the_index_that_its_header_promises(void **state) {
        File f = avi(0x10, false, 0, NULL, NULL);
        Container c = look(&f);

        (void) state;
        assert_int_equal(c.verdict, CONTAINER_INCOMPLETE);
        assert_memory_equal(c.reason, "no idx1", 7);
        file_done(&f);
        f = avi(0, false, 0, NULL, NULL);
        assert_container(look(&f), CONTAINER_AVI, CONTAINER_COMPLETE, "");
        file_done(&f);
}

static void test_avi_whose_sizes_were_never_written(void **state) {
        File f = avi(0x10, true, 0, "ICRD", "2026-11-25T10:15:00+01:00");
        Container c;

        (void) state;
        set_size(&f, 0, 0);
        c = look(&f);
        assert_container(c, CONTAINER_AVI, CONTAINER_INCOMPLETE, "the RIFF at 0 has no size: the recording was not closed");
        assert_int_equal(c.recorded_unix_sec, 1795598100);
        file_done(&f);
}

static void test_avi_that_lost_a_whole_riff(void **state) {
        File f = avi(0x10, false, 6000, NULL, NULL);
        uint64_t first = f.size;

        (void) state;
        begin(&f, "RIFF");
        put(&f, "AVIX", 4);
        begin(&f, "LIST");
        put(&f, "movi", 4);
        put_hole(&f, 4000);
        end(&f);
        end(&f);
        assert_container(look(&f), CONTAINER_AVI, CONTAINER_COMPLETE, "");
        assert_non_null(strstr(look_cut(&f, first).reason, "an index of a stream lies at 6000"));
        assert_non_null(strstr(look_cut(&f, f.size - 1).reason, "the chunk movi at"));
        file_done(&f);
}

/* ---- Matroska ------------------------------------------------------------------------------------------------------ */

/* An element with a size of 8 bytes. `size` UINT64_MAX: unknown. Returns where its content begins. */
static uint64_t put_element(File *f, uint32_t id, uint64_t size) {
        put_number(f, id, id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1);
        put_number(f, size == UINT64_MAX ? UINT64_C(0x01ffffffffffffff) : UINT64_C(1) << 56 | size, 8);
        return f->size;
}

typedef enum { CLOSED, OPEN_WITH_CUES, OPEN } MkvEnd;

static File mkv(const char *doctype, MkvEnd how) {
        File f = file_new(false);
        double duration = 12345;
        uint64_t bits, segment;

        put_element(&f, 0x1a45dfa3, 10 + strlen(doctype));
        put_element(&f, 0x4282, strlen(doctype));
        put(&f, doctype, strlen(doctype));
        segment = put_element(&f, 0x18538067, how == CLOSED ? 0 : UINT64_MAX);
        put_element(&f, 0x1549a966, 36);
        put_element(&f, 0x4489, 8);
        memcpy(&bits, &duration, sizeof(bits));
        put_number(&f, bits, 8);
        put_element(&f, 0x4461, 8);
        put_number(&f, UINT64_C(817290900) * 1000000000, 8);
        for (int i = 0; i < 3; i++) {
                put_element(&f, 0x1f43b675, how == CLOSED ? 109 : UINT64_MAX);
                put_element(&f, 0xa3, 100);
                put_hole(&f, 100);
        }
        if (how != OPEN) {
                put_element(&f, 0x1c53bb6b, 20);
                put_hole(&f, 20);
        }
        if (how == CLOSED) {
                File at = { .fd = f.fd, .size = segment - 8 };

                put_number(&at, UINT64_C(1) << 56 | (f.size - segment), 8);
        }
        return f;
}

static void test_whole_matroska_is_complete_and_cut_is_not(void **state) {
        File f = mkv("matroska", CLOSED);
        Container c = look(&f);

        (void) state;
        assert_container(c, CONTAINER_MATROSKA, CONTAINER_COMPLETE, "");
        assert_int_equal(c.recorded_unix_sec, 1795598100);
        assert_int_equal(c.duration_msec, 12345);
        for (uint64_t size = CONTAINER_FIRST; size < f.size; size++)
                assert_int_equal(look_cut(&f, size).verdict, CONTAINER_INCOMPLETE);
        file_done(&f);
}

static void test_segment_without_a_size_needs_cues(void **state) {
        File f = mkv("webm", OPEN_WITH_CUES);

        (void) state;
        assert_container(look(&f), CONTAINER_WEBM, CONTAINER_COMPLETE, "");
        file_done(&f);
        f = mkv("webm", OPEN);
        assert_container(look(&f), CONTAINER_WEBM, CONTAINER_INCOMPLETE,
                         "the Segment at 26 has no size and no Cues: the recording was not closed");
        file_done(&f);
}

static void test_zeroes_where_an_element_should_begin(void **state) {
        File f = mkv("matroska", OPEN);

        (void) state;
        put_hole(&f, 512);
        assert_non_null(strstr(look(&f).reason, "there is no element"));
        file_done(&f);
}

/* ---- Dates --------------------------------------------------------------------------------------------------------- */

static void test_dates_as_people_write_them(void **state) {
        static const char *const same[] = {
                "Wed Nov 25 09:15:00 2026", "WED NOV 25 09:15:00 2026\n", "2026-11-25 09:15:00", "2026-11-25T09:15:00Z",
                "2026-11-25T10:15:00+01:00", "2026-11-25T04:15:00-0500", "2026:11:25 09:15:00", "2026/11/25/ 09:15",
                "2026.11.25 09:15:00.75", " 2026-11-25 9:15 ",
        };
        static const char *const none[] = {
                "", "yesterday", "2026", "2026-11", "2026-13-01", "2026-02-30", "26-11-25", "2026-11-25 25:00",
                "2026-11-25 09:15:00 PST",
                "2026-11-25 09:15:00+99:00", "Wed Nov 25 2026", "Wed Foo 25 09:15:00 2026",
                "2026-11-25 09:15:00\001", "0000-00-00 00:00:00",
        };
        int64_t t = 0;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(same); i++) {
                assert_int_equal(container_date(same[i], &t), 0);
                assert_int_equal(t, 1795598100);
        }
        assert_int_equal(container_date("2026-11-25", &t), 0);
        assert_int_equal(t, 1795598100 - 9 * 3600 - 15 * 60);
        for (size_t i = 0; i < ELEMENTSOF(none); i++)
                assert_true(container_date(none[i], &t) < 0);
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
                cmocka_unit_test(test_whole_avi_is_complete_and_cut_is_not),
                cmocka_unit_test(test_avi_without_the_index_that_its_header_promises),
                cmocka_unit_test(test_avi_whose_sizes_were_never_written),
                cmocka_unit_test(test_avi_that_lost_a_whole_riff),
                cmocka_unit_test(test_whole_matroska_is_complete_and_cut_is_not),
                cmocka_unit_test(test_segment_without_a_size_needs_cues),
                cmocka_unit_test(test_zeroes_where_an_element_should_begin),
                cmocka_unit_test(test_dates_as_people_write_them),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
