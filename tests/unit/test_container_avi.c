/* SPDX-License-Identifier: Apache-2.0 */
/* The structure of AVI. */
#include "unit/container_file.h"

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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_avi_is_complete_and_cut_is_not),
                cmocka_unit_test(test_avi_without_the_index_that_its_header_promises),
                cmocka_unit_test(test_avi_whose_sizes_were_never_written),
                cmocka_unit_test(test_avi_that_lost_a_whole_riff),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
