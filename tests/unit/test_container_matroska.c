/* SPDX-License-Identifier: Apache-2.0 */
/* The structure of Matroska and WebM. */
#include "unit/container_file.h"

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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_matroska_is_complete_and_cut_is_not),
                cmocka_unit_test(test_segment_without_a_size_needs_cues),
                cmocka_unit_test(test_zeroes_where_an_element_should_begin),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
