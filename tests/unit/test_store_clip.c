/* SPDX-License-Identifier: Apache-2.0 */

/* Clips from seen to erased: what each fact does to the tables, and which are refused. */

#include <berth/plugin.h>

#include "store_rig.h"

static void test_clip_goes_from_seen_to_erased(void **state) {
        Rig *rig = *state;
        Fact copied = rig_copied(1, 1, RIG_SIZE), receipted = rig_receipted(1, RIG_SIZE), erase = rig_erase(1, 1);
        Fact erased = rig_clip_fact(FACT_ERASED, 1, 1), released = rig_clip_fact(FACT_SPOOL_RELEASED, 0, 1);
        _cleanup_(clip_row_freep) ClipRow *seen = NULL, *pulling = NULL, *whole = NULL, *stored = NULL, *gone = NULL;
        BlockRow *blocks;
        Digest digest = rig_digest("whole"), block = rig_digest("block 1");
        size_t n;

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        seen = rig_row(rig, 1);
        assert_int_equal(seen->state, CLIP_SEEN);
        assert_string_equal(seen->serial, "X1");
        assert_string_equal(seen->path, "DCIM/100/A.MP4");
        assert_int_equal(seen->size_bytes, RIG_SIZE);
        assert_int_equal(seen->mtime_unix_sec, 1700000000);
        assert_int_equal(seen->first_docking_id, 1);
        assert_int_equal(seen->last_docking_id, 0);
        assert_true(digest_is_zero(&seen->digest));
        assert_null(seen->spool_name);
        assert_null(seen->object_key);
        assert_null(seen->reason);

        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 2);
        pulling = rig_row(rig, 1);
        assert_int_equal(pulling->state, CLIP_COPYING);
        assert_int_equal(pulling->part_docking_id, 1);
        assert_int_equal(pulling->last_docking_id, 1);
        assert_int_equal(pulling->durable_bytes, 2 * WIRE_BLOCK_SIZE);

        rig_pull_blocks(rig, 1, 1, 2, 3);
        assert_int_equal(store_blocks(rig->store, 1, &blocks, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(blocks[1].number, 1);
        assert_int_equal(blocks[2].length, 5);
        assert_int_equal(blocks[1].docking_id, 1);
        assert_true(digest_equal(&blocks[1].digest, &block));
        free(blocks);
        rig_expect(rig, &copied, 0);
        whole = rig_row(rig, 1);
        assert_int_equal(whole->state, CLIP_COPIED);
        assert_int_equal(whole->part_docking_id, 0);
        assert_int_equal(whole->durable_bytes, 0);
        assert_string_equal(whole->spool_name, "1.clip");
        assert_true(digest_equal(&whole->digest, &digest));

        rig_expect(rig, &receipted, 0);
        stored = rig_row(rig, 1);
        assert_int_equal(stored->state, CLIP_RECEIPTED);
        assert_string_equal(stored->object_key, receipted.receipt.object_key);
        assert_string_equal(stored->manifest_key, receipted.receipt.manifest_key);
        assert_string_equal(stored->strength, "digest");
        assert_int_equal(stored->receipt_size_bytes, RIG_SIZE);
        assert_int_equal(stored->receipt_unix_sec, receipted.receipt.time_unix_sec);
        assert_true(digest_equal(&stored->receipt_digest, &digest));

        rig_expect(rig, &erased, -EINVAL); /* not without its beginning */
        rig_expect(rig, &erase, 0);
        assert_int_equal(rig_state(rig, 1), CLIP_ERASING);
        rig_expect(rig, &erased, 0);
        rig_expect(rig, &released, 0);
        gone = rig_row(rig, 1);
        assert_int_equal(gone->state, CLIP_ERASED);
        assert_null(gone->spool_name);
        assert_int_equal(store_blocks(rig->store, 1, &blocks, &n), 0);
        assert_int_equal(n, 0);
        free(blocks);
}

/* In which state which fact may come: everything else changes nothing. */
static void test_facts_out_of_turn_are_refused(void **state) {
        Rig *rig = *state;
        Fact begun = rig_clip_fact(FACT_PULL_BEGUN, 1, 1), block = rig_block(1, 1, 0, 5, "b"),
             copied = rig_copied(1, 1, RIG_SIZE);
        Fact receipted = rig_receipted(1, RIG_SIZE), erased = rig_clip_fact(FACT_ERASED, 1, 1),
             lost = rig_clip_fact(FACT_CLIP_LOST, 1, 1);
        Fact interrupted = rig_clip_fact(FACT_PULL_INTERRUPTED, 1, 1), failed = rig_clip_fact(FACT_ERASE_FAILED, 1, 1);
        Fact verified = rig_clip_fact(FACT_VERIFIED, 1, 1), released = rig_clip_fact(FACT_SPOOL_RELEASED, 0, 1);
        Fact refused = rig_clip_fact(FACT_STORE_REFUSED, 0, 1), aside = rig_clip_fact(FACT_PART_SET_ASIDE, 0, 1);
        const Fact *at_seen[] = { &block,  &copied,   &receipted, &erased, &interrupted,
                                  &failed, &verified, &released,  &refused };
        const Fact *at_receipted[] = { &begun, &block, &copied, &lost, &interrupted, &erased, &failed, &aside };
        uint64_t events;

        rig_dock(rig, 1);
        rig_expect(rig, &begun, -ENOENT);
        rig_expect(rig, &block, -ENOENT);
        rig_list(rig, 1, 1);
        events = rig_events(rig);
        for (size_t i = 0; i < ELEMENTSOF(at_seen); i++)
                rig_expect(rig, at_seen[i], -EINVAL);
        assert_int_equal(rig_events(rig), events);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 3);
        rig_expect(rig, &copied, 0);
        rig_expect(rig, &receipted, 0);
        events = rig_events(rig);
        for (size_t i = 0; i < ELEMENTSOF(at_receipted); i++)
                rig_expect(rig, at_receipted[i], -EINVAL);
        assert_int_equal(rig_events(rig), events);
        assert_int_equal(rig_state(rig, 1), CLIP_RECEIPTED);
}

static void test_pull_goes_on_only_where_blocks_are_known(void **state) {
        Rig *rig = *state;
        Fact too_far = rig_clip_fact(FACT_PULL_BEGUN, 2, 1), between = rig_clip_fact(FACT_PULL_BEGUN, 2, 1);
        Fact skips = rig_block(2, 1, 2, 5, "whole"), stale = rig_block(1, 1, 1, 5, "block 1");
        _cleanup_(clip_row_freep) ClipRow *kept = NULL, *row = NULL, *afresh = NULL;

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 2);
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        too_far.pull.offset_bytes = 3 * WIRE_BLOCK_SIZE;
        rig_expect(rig, &too_far, -EINVAL);
        between.pull.offset_bytes = WIRE_BLOCK_SIZE + 1;
        rig_expect(rig, &between, -EINVAL);
        kept = rig_row(rig, 1);
        assert_int_equal(kept->durable_bytes, 2 * WIRE_BLOCK_SIZE);
        rig_begin_pull(rig, 2, 1, WIRE_BLOCK_SIZE); /* the second block is read again */
        row = rig_row(rig, 1);
        assert_int_equal(row->durable_bytes, WIRE_BLOCK_SIZE);
        assert_int_equal(row->part_docking_id, 2);
        rig_expect(rig, &skips, -EINVAL);
        rig_expect(rig, &stale, -EINVAL); /* of the docking that is over */
        rig_pull_blocks(rig, 2, 1, 1, 3);
        rig_begin_pull(rig, 2, 1, 0);
        afresh = rig_row(rig, 1);
        assert_int_equal(afresh->durable_bytes, 0);
}

static void test_block_read_again_must_be_the_one_that_is_kept(void **state) {
        Rig *rig = *state;
        Fact same = rig_block(2, 1, 1, (uint32_t) WIRE_BLOCK_SIZE, "block 1"),
             other = rig_block(2, 1, 1, (uint32_t) WIRE_BLOCK_SIZE, "else");
        Fact shorter = rig_block(2, 1, 2, 4, "whole"), beyond = rig_block(2, 1, 3, 5, "block 3");
        BlockRow *blocks;
        size_t n;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        same.block.from_camera_only = other.block.from_camera_only = shorter.block.from_camera_only =
                beyond.block.from_camera_only = true;
        rig_expect(rig, &same, 0);
        rig_expect(rig, &other, -EKEYREJECTED);
        rig_expect(rig, &shorter, -EKEYREJECTED);
        rig_expect(rig, &beyond, -EKEYREJECTED);
        assert_int_equal(store_blocks(rig->store, 1, &blocks, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(blocks[0].docking_id, 1);
        assert_int_equal(blocks[1].docking_id, 2);
        assert_int_equal(blocks[2].docking_id, 1);
        free(blocks);
}

static void test_clip_is_copied_only_when_its_blocks_add_up_and_come_to_its_digest(void **state) {
        Rig *rig = *state;
        Fact copied = rig_copied(1, 1, RIG_SIZE), larger = rig_copied(1, 1, RIG_SIZE + 1),
             nameless = rig_copied(1, 1, RIG_SIZE), other = rig_copied(1, 1, RIG_SIZE);

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 2);
        rig_expect(rig, &copied, -EINVAL);
        rig_pull_blocks(rig, 1, 1, 2, 3);
        rig_expect(rig, &larger, -EINVAL);
        nameless.copy.spool_name = NULL;
        rig_expect(rig, &nameless, -EINVAL);
        other.copy.digest = rig_digest("else");
        rig_expect(rig, &other, -EINVAL);
        rig_expect(rig, &copied, 0);
}

static void test_size_of_an_unknown_size_is_what_was_copied(void **state) {
        Rig *rig = *state;
        Fact seen = rig_clip(1, 1, "A.MP4", 0), copied = rig_copied(1, 1, 5), block = rig_block(1, 1, 0, 5, "whole");
        StoreTotals totals;
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        seen.clip.flags = BERTH_CLIP_SIZE_UNKNOWN;
        rig_expect(rig, &seen, 0);
        rig_begin_pull(rig, 1, 1, 0);
        rig_expect(rig, &block, 0);
        rig_expect(rig, &copied, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->size_bytes, 5);
        assert_int_equal(store_totals(rig->store, &totals), 0);
        assert_int_equal(totals.unstored_bytes, 5);
}

static void test_verified_needs_every_block_read_in_this_docking(void **state) {
        Rig *rig = *state;
        Fact verified = rig_clip_fact(FACT_VERIFIED, 2, 1), other = verified;
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        verified.copy.digest = rig_digest("whole");
        other.copy.digest = rig_digest("else");
        for (uint32_t i = 0; i < 3; i++) {
                static const char *const contents[] = { "block 0", "block 1", "whole" };
                Fact f;

                rig_expect(rig, &verified, -EKEYREJECTED);
                f = rig_block(2, 1, i, i == 2 ? 5 : (uint32_t) WIRE_BLOCK_SIZE, contents[i]);
                f.block.from_camera_only = true;
                rig_expect(rig, &f, 0);
        }
        rig_expect(rig, &other, -EKEYREJECTED);
        rig_expect(rig, &verified, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->last_docking_id, 2);
}

/* As of a copy that an older Berth made: nothing is known of its blocks but what they come to. */
static void test_copy_without_blocks_is_verified_by_its_digest(void **state) {
        static const char *const last[] = { "else", "whole" };
        Rig *rig = *state;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_undock(rig, 1);
        for (uint64_t docking = 2; docking < 4; docking++) {
                const char *const contents[] = { "one", "two", last[docking - 2] };
                Fact verified = rig_clip_fact(FACT_VERIFIED, docking, 1);

                rig_spoil(rig, "DELETE FROM blocks");
                rig_dock(rig, docking);
                verified.copy.digest = rig_digest("whole");
                for (uint32_t i = 0; i < 3; i++) {
                        Fact f = rig_block(docking, 1, i, i == 2 ? 5 : (uint32_t) WIRE_BLOCK_SIZE, contents[i]);

                        rig_expect(rig, &verified, -EKEYREJECTED);
                        f.block.from_camera_only = true;
                        rig_expect(rig, &f, 0);
                }
                rig_expect(rig, &verified, docking == 2 ? -EKEYREJECTED : 0);
                rig_undock(rig, docking);
        }
}

static void test_receipt_for_other_content_is_refused(void **state) {
        Rig *rig = *state;
        Fact digest = rig_receipted(1, RIG_SIZE), size = rig_receipted(1, RIG_SIZE - 1),
             keyless = rig_receipted(1, RIG_SIZE);

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        digest.receipt.digest = rig_digest("else");
        rig_expect(rig, &digest, -EKEYREJECTED);
        rig_expect(rig, &size, -EKEYREJECTED);
        keyless.receipt.object_key = NULL;
        rig_expect(rig, &keyless, -EINVAL);
        assert_int_equal(rig_state(rig, 1), CLIP_COPIED);
}

static void test_void_receipt_asks_for_the_clip_again(void **state) {
        Rig *rig = *state;
        Fact refused = rig_clip_fact(FACT_STORE_REFUSED, 0, 1), receipted = rig_receipted(1, RIG_SIZE);
        Fact released = rig_clip_fact(FACT_SPOOL_RELEASED, 0, 1);
        _cleanup_(clip_row_freep) ClipRow *row = NULL, *again = NULL;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        refused.text = "not there any more";
        rig_expect(rig, &refused, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_COPIED); /* to be uploaded again from the spool */
        assert_null(row->object_key);
        assert_string_equal(row->reason, "not there any more");
        rig_expect(rig, &receipted, 0);
        rig_expect(rig, &released, 0);
        rig_expect(rig, &refused, 0);
        again = rig_row(rig, 1);
        assert_int_equal(again->state, CLIP_SEEN); /* to be pulled again: neither the spool nor the store has it */
        assert_true(digest_is_zero(&again->digest));
}

static void test_damaged_spool_copy_is_pulled_again(void **state) {
        Rig *rig = *state;
        Fact aside = rig_clip_fact(FACT_PART_SET_ASIDE, 0, 1), copied = rig_copied(1, 1, RIG_SIZE);
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        aside.text = "the spool file was damaged";
        aside.pull.part = "1.bad";
        rig_expect(rig, &aside, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_SEEN);
        assert_null(row->spool_name);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 3);
        rig_expect(rig, &copied, 0);
}

static void test_conflict_is_for_ever(void **state) {
        Rig *rig = *state;
        Fact conflict = rig_clip_fact(FACT_CONFLICT, 1, 1), receipted = rig_receipted(1, RIG_SIZE),
             erase = rig_erase(1, 1);
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        conflict.text = "the digests disagree";
        rig_expect(rig, &conflict, 0);
        rig_expect(rig, &receipted, -EINVAL);
        rig_expect(rig, &erase, -EKEYREJECTED);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_CONFLICT);
        assert_string_equal(row->reason, "the digests disagree");
}

static void test_failed_erase_leaves_the_receipt(void **state) {
        Rig *rig = *state;
        Fact erase = rig_erase(1, 1), failed = rig_clip_fact(FACT_ERASE_FAILED, 1, 1);
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        rig_store_clip(rig, 1, 1);
        rig_expect(rig, &erase, 0);
        failed.text = "write protected";
        rig_expect(rig, &failed, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_RECEIPTED);
        assert_string_equal(row->reason, "write protected");
        rig_expect(rig, &erase, 0);
}

static void test_same_identity_may_be_another_clip(void **state) {
        Rig *rig = *state;
        ClipRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_list(rig, 1, 1);
        rig_list(rig, 1, 2);
        assert_int_equal(store_clips_on_camera(rig->store, 1, 0, 9, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(rows[0]->id, 1);
        assert_int_equal(rows[1]->id, 2);
        clip_rows_free(rows, n);
}

static void test_strangers_paths_and_numbers_are_refused(void **state) {
        static const char *const paths[] = { "", "/a", "a/../b", "a//b", ".", "a\nb", "\xff" };
        Rig *rig = *state;
        char *long_text = malloc(FACT_TEXT_MAX + 2);
        Fact f;

        rig_dock(rig, 1);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                f = rig_clip(1, 1, paths[i], 1);
                rig_expect(rig, &f, -EINVAL);
        }
        f = rig_clip(1, 1, "a", (uint64_t) INT64_MAX + 1);
        rig_expect(rig, &f, -ERANGE);
        f = rig_clip(1, 0, "a", 1);
        rig_expect(rig, &f, -EINVAL);
        f = rig_block(1, 1, WIRE_BLOCKS_MAX, 1, "b");
        rig_expect(rig, &f, -ERANGE);
        f = rig_block(1, 1, 0, (uint32_t) WIRE_BLOCK_SIZE + 1, "b");
        rig_expect(rig, &f, -ERANGE);
        f = rig_fact(FACT_FAULT);
        f.at.wall_usec = INT64_MAX;
        rig_expect(rig, &f, -ERANGE);
        assert_non_null(long_text);
        memset(long_text, 'a', FACT_TEXT_MAX + 1);
        long_text[FACT_TEXT_MAX + 1] = 0;
        f = rig_fact(FACT_FAULT);
        f.text = long_text;
        rig_expect(rig, &f, -EMSGSIZE);
        f.text = long_text + 1;
        rig_expect(rig, &f, 0);
        f.text = "\xc3";
        rig_expect(rig, &f, -EINVAL);
        f.kind = _FACT_KIND_MAX;
        rig_expect(rig, &f, -EINVAL);
        free(long_text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_clip_goes_from_seen_to_erased),
                TEST(test_facts_out_of_turn_are_refused),
                TEST(test_pull_goes_on_only_where_blocks_are_known),
                TEST(test_block_read_again_must_be_the_one_that_is_kept),
                TEST(test_clip_is_copied_only_when_its_blocks_add_up_and_come_to_its_digest),
                TEST(test_size_of_an_unknown_size_is_what_was_copied),
                TEST(test_verified_needs_every_block_read_in_this_docking),
                TEST(test_copy_without_blocks_is_verified_by_its_digest),
                TEST(test_receipt_for_other_content_is_refused),
                TEST(test_void_receipt_asks_for_the_clip_again),
                TEST(test_damaged_spool_copy_is_pulled_again),
                TEST(test_conflict_is_for_ever),
                TEST(test_failed_erase_leaves_the_receipt),
                TEST(test_same_identity_may_be_another_clip),
                TEST(test_strangers_paths_and_numbers_are_refused),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
