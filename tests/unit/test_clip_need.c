/* SPDX-License-Identifier: Apache-2.0 */

/* What a clip needs next, and which of its kept blocks are read again: core/clip.c, core/serial.c, core/backoff.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "core/backoff.h"
#include "core/clip.h"
#include "core/serial.h"

#define ON .on_camera = true, .erase_allowed = true
#define COPY ON, .copied = true, .blocks = 3
#define READ COPY, .blocks_read_here = 3
#define RECEIPT READ, .receipted = true

static const struct {
        const char *promise;
        ClipFacts facts;
        ClipNeed need;
} rows[] = {
        { "what was never copied is pulled", { ON }, CLIP_NEED_PULL },
        { "what was read in another docking is read again before an erase", { COPY }, CLIP_NEED_VERIFY },
        { "one block missing is enough", { COPY, .blocks_read_here = 2 }, CLIP_NEED_VERIFY },
        { "a receipt of an earlier docking does not spare that", { COPY, .receipted = true, .receipt_accepted = true }, CLIP_NEED_VERIFY },
        { "what is read waits for its receipt", { READ }, CLIP_NEED_RECEIPT },
        { "a receipt that is accepted licenses", { RECEIPT, .receipt_accepted = true }, CLIP_NEED_ERASE },
        { "a receipt too weak does not", { RECEIPT }, CLIP_NEED_PERSON },
        { "an empty clip has no blocks to read", { ON, .copied = true, .receipted = true, .receipt_accepted = true }, CLIP_NEED_ERASE },
        { "a conflict is never erased", { RECEIPT, .receipt_accepted = true, .conflict = true }, CLIP_NEED_PERSON },
        { "a conflict is not pulled again", { ON, .conflict = true }, CLIP_NEED_PERSON },
        { "a clip that failed too often waits for a person", { ON, .failures = CLIP_FAILURES_MAX }, CLIP_NEED_PERSON },
        { "once less is tried again", { ON, .failures = CLIP_FAILURES_MAX - 1 }, CLIP_NEED_PULL },
        { "a clip with unreadable bytes is tried again", { ON, .unreadable = CLIP_UNREADABLE_MAX - 1 }, CLIP_NEED_PULL },
        { "but not for ever: then what can be read is kept", { ON, .unreadable = CLIP_UNREADABLE_MAX }, CLIP_NEED_SALVAGE },
        { "after which it is a person's", { ON, .unreadable = CLIP_UNREADABLE_MAX, .salvaged = true }, CLIP_NEED_PERSON },
        { "what is kept in part does not license", { ON, .salvaged = true, .receipted = true, .receipt_accepted = true }, CLIP_NEED_PULL },
        { "a conflict is not read around", { ON, .unreadable = CLIP_UNREADABLE_MAX, .conflict = true }, CLIP_NEED_PERSON },
        { "a held clip stays", { RECEIPT, .receipt_accepted = true, .held = true }, CLIP_NEED_PERSON },
        { "but goes to the store", { READ, .held = true }, CLIP_NEED_RECEIPT },
        { "a held clip stays even when its erase was ordered", { READ, .held = true, .unstored_ordered = true }, CLIP_NEED_RECEIPT },
        { "an order to erase what is not stored is one", { READ, .unstored_ordered = true }, CLIP_NEED_ERASE },
        { "but waits for an upload that is under way", { READ, .unstored_ordered = true, .uploading = true }, CLIP_NEED_RECEIPT },
        { "and for what was not read in this docking", { COPY, .unstored_ordered = true }, CLIP_NEED_VERIFY },
        { "also when it was to be read again", { COPY, .unreadable = CLIP_UNREADABLE_MAX }, CLIP_NEED_PERSON },
        { "on a medium that fails as a whole each clip gets one try", { ON, .unreadable = 1, .medium_fails = true }, CLIP_NEED_SALVAGE },
        { "but that one it gets", { ON, .medium_fails = true }, CLIP_NEED_PULL },
        { "unreadable bytes are not counted with other failures",
          { ON, .unreadable = CLIP_UNREADABLE_MAX - 1, .failures = CLIP_FAILURES_MAX - 1 },
          CLIP_NEED_PULL },
        { "without erasing nothing is read twice", { .on_camera = true, .copied = true, .blocks = 3 }, CLIP_NEED_RECEIPT },
        { "and a stored clip is at rest", { .on_camera = true, .copied = true, .receipted = true, .blocks = 3 }, CLIP_NEED_NOTHING },
        { "a protected clip is never erased", { RECEIPT, .receipt_accepted = true, .protected_by_camera = true }, CLIP_NEED_NOTHING },
        { "a copy whose camera left still goes to the store", { .copied = true, .blocks = 3 }, CLIP_NEED_RECEIPT },
        { "an erased clip needs nothing", { .copied = true, .receipted = true }, CLIP_NEED_NOTHING },
        { "a clip whose camera left half pulled waits", {}, CLIP_NEED_NOTHING },
};

static void test_clip_needs_what_its_facts_ask_for(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (clip_next(&rows[i].facts) != rows[i].need)
                        fail_msg("%s: got %d", rows[i].promise, (int) clip_next(&rows[i].facts));
}

static void test_clip_is_not_erased_without_all_of_its_license(void **state) {
        (void) state;
        for (unsigned bits = 0; bits < 1u << 9; bits++) {
                ClipFacts f = {
                        .on_camera = bits & 1,
                        .copied = bits & 2,
                        .conflict = bits & 4,
                        .protected_by_camera = bits & 8,
                        .receipted = bits & 16,
                        .receipt_accepted = bits & 32,
                        .erase_allowed = bits & 64,
                        .blocks = 5,
                        .blocks_read_here = bits & 128 ? 5 : 4,
                        .failures = bits & 256 ? CLIP_FAILURES_MAX : 0,
                };

                if (clip_next(&f) == CLIP_NEED_ERASE)
                        assert_true(f.on_camera && f.copied && !f.conflict && !f.protected_by_camera && f.receipted && f.receipt_accepted &&
                                    f.erase_allowed && f.blocks_read_here == f.blocks && f.failures == 0);
        }
}

static void test_what_matters_most_is_pulled_first(void **state) {
        /* Each before all that follow it. */
        static const struct {
                uint32_t flags, index;
        } order[] = {
                { CLIP_FLAG_PRIORITY, 5 }, { CLIP_FLAG_PRIORITY | 3, 9 }, { 0, 0 }, { 1, 2 }, { 0, 7 },
                { CLIP_FLAG_COMPANION, 1 }, { CLIP_FLAG_COMPANION | CLIP_FLAG_PRIORITY, 4 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                for (size_t k = 0; k < ELEMENTSOF(order); k++)
                        assert_int_equal(clip_compare_pull(order[i].flags, order[i].index, order[k].flags, order[k].index),
                                         i < k ? -1 : i > k);
}

static void test_samples_hold_the_first_and_the_last_block_and_never_repeat(void **state) {
        static const uint32_t kept[] = { 0, 1, 2, 5, 6, 7, 8, 13, 100, 4125, 131072 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(kept); i++)
                for (uint64_t seed = 0; seed < 50; seed++) {
                        uint32_t sample[CLIP_SAMPLE_MAX];
                        size_t n = clip_sample_blocks(kept[i], seed, sample);

                        assert_int_equal(n, MIN2(kept[i], CLIP_SAMPLE_MAX));
                        for (size_t k = 0; k < n; k++) {
                                assert_true(sample[k] < kept[i]);
                                assert_true(k == 0 || sample[k] > sample[k - 1]);
                        }
                        if (n > 0) {
                                assert_int_equal(sample[0], 0);
                                assert_int_equal(sample[n - 1], kept[i] - 1);
                        }
                }
}

static void test_samples_differ_from_seed_to_seed(void **state) {
        uint32_t a[CLIP_SAMPLE_MAX], b[CLIP_SAMPLE_MAX];

        (void) state;
        clip_sample_blocks(4000, 1, a);
        clip_sample_blocks(4000, 2, b);
        assert_memory_not_equal(a, b, sizeof(a));
}

static void test_placeholder_serials_are_not_identities(void **state) {
        static const char *const bad[] = { "", " ", "0", "00000000", "FFFFFFFF", "ffff", "none", "N/A", "0123456789ABCDEF",
                "12345678", "----" };
        static const char *const good[] = { "X1", "00000001", "BC-2231", "0001", "A0123456789" };

        (void) state;
        assert_non_null(serial_problem(NULL));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (!serial_problem(bad[i]))
                        fail_msg("'%s' passed for a serial", bad[i]);
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (serial_problem(good[i]))
                        fail_msg("'%s' did not pass for a serial", good[i]);
}

static void test_backoff_doubles_up_to_its_limit(void **state) {
        static const uint64_t expected[] = { 0, 2, 4, 8, 16, 30, 30 };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(expected); i++)
                assert_int_equal(backoff_usec(i, 2, 30), expected[i]);
        assert_int_equal(backoff_usec(UINT32_MAX, 1, UINT64_MAX), UINT64_MAX);
        assert_int_equal(backoff_usec(3, 50, 30), 30);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clip_needs_what_its_facts_ask_for),
                cmocka_unit_test(test_clip_is_not_erased_without_all_of_its_license),
                cmocka_unit_test(test_what_matters_most_is_pulled_first),
                cmocka_unit_test(test_samples_hold_the_first_and_the_last_block_and_never_repeat),
                cmocka_unit_test(test_samples_differ_from_seed_to_seed),
                cmocka_unit_test(test_placeholder_serials_are_not_identities),
                cmocka_unit_test(test_backoff_doubles_up_to_its_limit),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
