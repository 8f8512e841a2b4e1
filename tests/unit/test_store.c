/* SPDX-License-Identifier: Apache-2.0 */

/* Facts in, rows out: what each fact does to the tables, and which facts are refused. */

#include <berth/plugin.h>

#include "store_rig.h"

static void expect(Rig *rig, const Fact *fact, int result) {
        int r = rig_put(rig, fact);

        if (r != result)
                print_error("%s: %s instead of %s: %s\n", fact_kind_to_string(fact->kind), strerror(-r),
                            strerror(-result), store_last_refusal(rig->store));
        assert_int_equal(r, result);
}

static void test_every_kind_of_fact_has_a_name_of_its_own(void **state) {
        (void) state;
        for (int i = 0; i < _FACT_KIND_MAX; i++) {
                assert_non_null(fact_kind_to_string((FactKind) i));
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(fact_kind_to_string((FactKind) i), fact_kind_to_string((FactKind) j));
        }
        assert_null(fact_kind_to_string(_FACT_KIND_MAX));
        assert_null(fact_kind_to_string(_FACT_KIND_INVALID));
}

static void test_clip_states_have_names(void **state) {
        (void) state;
        for (int i = 0; i < _CLIP_STATE_MAX; i++)
                assert_int_equal(clip_state_from_string(clip_state_to_string((ClipState) i)), i);
        assert_int_equal(clip_state_from_string("nonsense"), _CLIP_STATE_INVALID);
}

static void test_camera_is_known_by_its_serial(void **state) {
        Rig *rig = *state;
        Fact f = rig_camera(1, "X1"), check = rig_fact(FACT_CHECKED);
        _cleanup_(camera_row_freep) CameraRow *camera = NULL, *again = NULL, *nobody = NULL;

        expect(rig, &f, 0);
        assert_int_equal(store_camera_by_serial(rig->store, "X2", &nobody), -ENOENT);
        assert_null(nobody);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &camera), 0);
        assert_int_equal(camera->id, 1);
        assert_string_equal(camera->model, "Body 2");
        assert_int_equal(camera->battery_percent, -1);
        assert_false(camera->drift_known);
        assert_int_equal(camera->first_seen_usec, f.at.wall_usec);
        assert_int_equal(camera->last_docked_usec, 0);

        f.camera.firmware = "1.1";
        expect(rig, &f, 0);
        rig_dock(rig, 1);
        check.docking_id = 1;
        check.check.battery_percent = 80;
        check.check.drift_known = true;
        check.check.drift_usec = -1500000;
        expect(rig, &check, 0);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &again), 0);
        assert_string_equal(again->firmware, "1.0"); /* rig_dock() saw it again */
        assert_int_equal(again->first_seen_usec, camera->first_seen_usec);
        assert_true(again->last_docked_usec > 0);
        assert_int_equal(again->battery_percent, 80);
        assert_true(again->drift_known);
        assert_int_equal(again->drift_usec, -1500000);
}

static void test_serial_is_never_given_to_another_camera(void **state) {
        Rig *rig = *state;
        Fact f = rig_camera(1, "X1"), other = rig_camera(2, "X1"), renamed = rig_camera(1, "X9"),
             nameless = rig_camera(3, "");

        expect(rig, &f, 0);
        expect(rig, &other, -EEXIST);
        expect(rig, &renamed, -EEXIST);
        expect(rig, &nameless, -EINVAL);
        assert_int_equal(rig_events(rig), 1);
}

static void test_ambiguous_serial_stays_ambiguous(void **state) {
        Rig *rig = *state;
        _cleanup_(camera_row_freep) CameraRow *camera = NULL;
        Fact f = rig_camera(1, "X1");

        f.camera.ambiguous = true;
        expect(rig, &f, 0);
        f.camera.ambiguous = false;
        expect(rig, &f, 0);
        assert_int_equal(store_camera_by_serial(rig->store, "X1", &camera), 0);
        assert_true(camera->ambiguous);
}

static void test_cameras_are_paged_by_id(void **state) {
        Rig *rig = *state;
        CameraRow **rows;
        size_t n;

        for (uint64_t i = 1; i <= 5; i++) {
                char serial[8];
                Fact f;

                (void) snprintf(serial, sizeof(serial), "X%u", (unsigned) i);
                f = rig_camera(i, serial);
                expect(rig, &f, 0);
        }
        assert_int_equal(store_cameras(rig->store, 2, 2, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(rows[0]->id, 3);
        assert_int_equal(rows[1]->id, 4);
        camera_rows_free(rows, n);
        assert_int_equal(store_cameras(rig->store, 5, 2, &rows, &n), 0);
        assert_int_equal(n, 0);
        camera_rows_free(rows, n);
}

static void test_docking_is_of_one_camera_and_ends_once(void **state) {
        Rig *rig = *state;
        Fact camera = rig_camera(2, "X2"), other = rig_identified(1, 2), nobody = rig_identified(1, 9),
             again = rig_docked(1);
        Fact undocked = rig_fact(FACT_UNDOCKED), nowhere = rig_docked(2), unknown = rig_fact(FACT_FAULT);

        rig_dock(rig, 1);
        expect(rig, &camera, 0);
        expect(rig, &other, -EINVAL);
        expect(rig, &nobody, -EINVAL);
        expect(rig, &again, -EINVAL);
        nowhere.bay = NULL;
        expect(rig, &nowhere, -EINVAL);
        undocked.docking_id = 1;
        expect(rig, &undocked, 0);
        expect(rig, &undocked, -EINVAL);
        other = rig_identified(1, 1);
        expect(rig, &other, -EINVAL);
        unknown.docking_id = 77;
        expect(rig, &unknown, -ENOENT);
}

static void test_restart_ends_the_dockings_of_the_last_run(void **state) {
        Rig *rig = *state;
        Fact started = rig_fact(FACT_DAEMON_STARTED), undocked = rig_fact(FACT_UNDOCKED);
        EventRow **events;
        size_t n;

        rig_dock(rig, 1);
        started.text = "0.1";
        expect(rig, &started, 0);
        undocked.docking_id = 1;
        expect(rig, &undocked, -EINVAL);
        assert_int_equal(store_events_last(rig->store, 0, 0, 1, &events, &n), 0);
        assert_non_null(strstr(events[0]->bytes, "\"ended_dockings\":[1]"));
        assert_non_null(strstr(events[0]->bytes, "\"version\":\"0.1\""));
        event_rows_free(events, n);
}

static void test_refused_devices_are_read_newest_first(void **state) {
        Rig *rig = *state;
        RefusedRow **rows;
        size_t n;

        for (uint16_t i = 1; i <= 3; i++) {
                Fact f = rig_fact(FACT_REFUSED);

                f.bay = "1-1.4";
                f.text = "no model fits";
                f.usb.vid = i;
                f.usb.pid = 0xffff;
                f.usb.usb_product = "Mouse";
                f.usb.descriptors_hex = "12010002";
                expect(rig, &f, 0);
        }
        assert_int_equal(store_refused(rig->store, 0, 2, &rows, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(rows[0]->vid, 3);
        assert_int_equal(rows[0]->pid, 0xffff);
        assert_string_equal(rows[0]->bay, "1-1.4");
        assert_string_equal(rows[0]->usb_product, "Mouse");
        assert_string_equal(rows[0]->usb_serial, "");
        assert_string_equal(rows[0]->descriptors_hex, "12010002");
        assert_string_equal(rows[0]->reason, "no model fits");
        assert_int_equal(rows[1]->vid, 2);
        refused_rows_free(rows, n);
        assert_int_equal(store_refused(rig->store, 2, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->vid, 1);
        refused_rows_free(rows, n);
}

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
        expect(rig, &copied, 0);
        whole = rig_row(rig, 1);
        assert_int_equal(whole->state, CLIP_COPIED);
        assert_int_equal(whole->part_docking_id, 0);
        assert_int_equal(whole->durable_bytes, 0);
        assert_string_equal(whole->spool_name, "1.clip");
        assert_true(digest_equal(&whole->digest, &digest));

        expect(rig, &receipted, 0);
        stored = rig_row(rig, 1);
        assert_int_equal(stored->state, CLIP_RECEIPTED);
        assert_string_equal(stored->object_key, receipted.receipt.object_key);
        assert_string_equal(stored->manifest_key, receipted.receipt.manifest_key);
        assert_string_equal(stored->strength, "digest");
        assert_int_equal(stored->receipt_size_bytes, RIG_SIZE);
        assert_int_equal(stored->receipt_unix_sec, receipted.receipt.time_unix_sec);
        assert_true(digest_equal(&stored->receipt_digest, &digest));

        expect(rig, &erased, -EINVAL); /* not without its beginning */
        expect(rig, &erase, 0);
        assert_int_equal(rig_state(rig, 1), CLIP_ERASING);
        expect(rig, &erased, 0);
        expect(rig, &released, 0);
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
        expect(rig, &begun, -ENOENT);
        expect(rig, &block, -ENOENT);
        rig_list(rig, 1, 1);
        events = rig_events(rig);
        for (size_t i = 0; i < ELEMENTSOF(at_seen); i++)
                expect(rig, at_seen[i], -EINVAL);
        assert_int_equal(rig_events(rig), events);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 3);
        expect(rig, &copied, 0);
        expect(rig, &receipted, 0);
        events = rig_events(rig);
        for (size_t i = 0; i < ELEMENTSOF(at_receipted); i++)
                expect(rig, at_receipted[i], -EINVAL);
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
        expect(rig, &too_far, -EINVAL);
        between.pull.offset_bytes = WIRE_BLOCK_SIZE + 1;
        expect(rig, &between, -EINVAL);
        kept = rig_row(rig, 1);
        assert_int_equal(kept->durable_bytes, 2 * WIRE_BLOCK_SIZE);
        rig_begin_pull(rig, 2, 1, WIRE_BLOCK_SIZE); /* the second block is read again */
        row = rig_row(rig, 1);
        assert_int_equal(row->durable_bytes, WIRE_BLOCK_SIZE);
        assert_int_equal(row->part_docking_id, 2);
        expect(rig, &skips, -EINVAL);
        expect(rig, &stale, -EINVAL); /* of the docking that is over */
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
        expect(rig, &same, 0);
        expect(rig, &other, -EKEYREJECTED);
        expect(rig, &shorter, -EKEYREJECTED);
        expect(rig, &beyond, -EKEYREJECTED);
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
        expect(rig, &copied, -EINVAL);
        rig_pull_blocks(rig, 1, 1, 2, 3);
        expect(rig, &larger, -EINVAL);
        nameless.copy.spool_name = NULL;
        expect(rig, &nameless, -EINVAL);
        other.copy.digest = rig_digest("else");
        expect(rig, &other, -EINVAL);
        expect(rig, &copied, 0);
}

static void test_size_of_an_unknown_size_is_what_was_copied(void **state) {
        Rig *rig = *state;
        Fact seen = rig_clip(1, 1, "A.MP4", 0), copied = rig_copied(1, 1, 5), block = rig_block(1, 1, 0, 5, "whole");
        StoreTotals totals;
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        seen.clip.flags = BERTH_CLIP_SIZE_UNKNOWN;
        expect(rig, &seen, 0);
        rig_begin_pull(rig, 1, 1, 0);
        expect(rig, &block, 0);
        expect(rig, &copied, 0);
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

                expect(rig, &verified, -EKEYREJECTED);
                f = rig_block(2, 1, i, i == 2 ? 5 : (uint32_t) WIRE_BLOCK_SIZE, contents[i]);
                f.block.from_camera_only = true;
                expect(rig, &f, 0);
        }
        expect(rig, &other, -EKEYREJECTED);
        expect(rig, &verified, 0);
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

                        expect(rig, &verified, -EKEYREJECTED);
                        f.block.from_camera_only = true;
                        expect(rig, &f, 0);
                }
                expect(rig, &verified, docking == 2 ? -EKEYREJECTED : 0);
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
        expect(rig, &digest, -EKEYREJECTED);
        expect(rig, &size, -EKEYREJECTED);
        keyless.receipt.object_key = NULL;
        expect(rig, &keyless, -EINVAL);
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
        expect(rig, &refused, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_COPIED); /* to be uploaded again from the spool */
        assert_null(row->object_key);
        assert_string_equal(row->reason, "not there any more");
        expect(rig, &receipted, 0);
        expect(rig, &released, 0);
        expect(rig, &refused, 0);
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
        expect(rig, &aside, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_SEEN);
        assert_null(row->spool_name);
        rig_begin_pull(rig, 1, 1, 0);
        rig_pull_blocks(rig, 1, 1, 0, 3);
        expect(rig, &copied, 0);
}

static void test_conflict_is_for_ever(void **state) {
        Rig *rig = *state;
        Fact conflict = rig_clip_fact(FACT_CONFLICT, 1, 1), receipted = rig_receipted(1, RIG_SIZE),
             erase = rig_erase(1, 1);
        _cleanup_(clip_row_freep) ClipRow *row = NULL;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        conflict.text = "the digests disagree";
        expect(rig, &conflict, 0);
        expect(rig, &receipted, -EINVAL);
        expect(rig, &erase, -EKEYREJECTED);
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
        expect(rig, &erase, 0);
        failed.text = "write protected";
        expect(rig, &failed, 0);
        row = rig_row(rig, 1);
        assert_int_equal(row->state, CLIP_RECEIPTED);
        assert_string_equal(row->reason, "write protected");
        expect(rig, &erase, 0);
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
                expect(rig, &f, -EINVAL);
        }
        f = rig_clip(1, 1, "a", (uint64_t) INT64_MAX + 1);
        expect(rig, &f, -ERANGE);
        f = rig_clip(1, 0, "a", 1);
        expect(rig, &f, -EINVAL);
        f = rig_block(1, 1, WIRE_BLOCKS_MAX, 1, "b");
        expect(rig, &f, -ERANGE);
        f = rig_block(1, 1, 0, (uint32_t) WIRE_BLOCK_SIZE + 1, "b");
        expect(rig, &f, -ERANGE);
        f = rig_fact(FACT_FAULT);
        f.at.wall_usec = INT64_MAX;
        expect(rig, &f, -ERANGE);
        assert_non_null(long_text);
        memset(long_text, 'a', FACT_TEXT_MAX + 1);
        long_text[FACT_TEXT_MAX + 1] = 0;
        f = rig_fact(FACT_FAULT);
        f.text = long_text;
        expect(rig, &f, -EMSGSIZE);
        f.text = long_text + 1;
        expect(rig, &f, 0);
        f.text = "\xc3";
        expect(rig, &f, -EINVAL);
        f.kind = _FACT_KIND_MAX;
        expect(rig, &f, -EINVAL);
        free(long_text);
}

static void check_query(Rig *rig, const char *serial, ClipState state, uint64_t before, size_t max,
                        const char *expected) {
        char found[256] = "";
        ClipRow **rows;
        size_t n;

        assert_int_equal(store_clips_query(rig->store, serial, state, before, max, &rows, &n), 0);
        for (size_t i = 0; i < n; i++) {
                size_t at = strlen(found);

                (void) snprintf(found + at, sizeof(found) - at, "%s%u", i ? " " : "", (unsigned) rows[i]->id);
        }
        clip_rows_free(rows, n);
        assert_string_equal(found, expected);
}

static void test_clips_are_found_by_camera_and_state(void **state) {
        Rig *rig = *state;
        Fact camera = rig_camera(2, "X2"), lost = rig_clip_fact(FACT_CLIP_LOST, 1, 3);
        ClipRow **rows;
        size_t n;

        rig_dock(rig, 1);
        expect(rig, &camera, 0);
        for (uint64_t i = 1; i <= 6; i++) {
                Fact f = rig_clip(1, i, "A.MP4", i);

                f.camera_id = i % 2 ? 1 : 2;
                expect(rig, &f, 0);
        }
        expect(rig, &lost, 0);
        check_query(rig, NULL, _CLIP_STATE_INVALID, 0, 99, "6 5 4 3 2 1");
        check_query(rig, NULL, _CLIP_STATE_INVALID, 5, 2, "4 3");
        check_query(rig, "X1", _CLIP_STATE_INVALID, 0, 99, "5 3 1");
        check_query(rig, "X1", CLIP_SEEN, 0, 99, "5 1");
        check_query(rig, "X2", CLIP_SEEN, 6, 1, "4");
        check_query(rig, NULL, CLIP_LOST, 0, 99, "3");
        check_query(rig, NULL, CLIP_UPLOADING, 0, 99, "");
        check_query(rig, "X9", _CLIP_STATE_INVALID, 0, 99, "");
        assert_int_equal(store_clips_query(rig->store, NULL, _CLIP_STATE_MAX, 0, 9, &rows, &n), -EINVAL);
        assert_int_equal(store_clips_on_camera(rig->store, 1, 1, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 5); /* 3 is lost */
        clip_rows_free(rows, n);
        assert_int_equal(store_clips_unstored(rig->store, 0, 9, &rows, &n), 0);
        assert_int_equal(n, 0);
        clip_rows_free(rows, n);
}

static void test_releasable_clips_are_receipted_and_in_the_spool(void **state) {
        Rig *rig = *state;
        Fact released = rig_clip_fact(FACT_SPOOL_RELEASED, 0, 2);
        ClipRow **rows;
        size_t n;

        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_store_clip(rig, 1, 2);
        rig_store_clip(rig, 1, 3);
        rig_list(rig, 1, 4);
        assert_int_equal(store_clips_releasable(rig->store, 1, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 2);
        clip_rows_free(rows, n);
        expect(rig, &released, 0);
        assert_int_equal(store_clips_releasable(rig->store, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 3);
        clip_rows_free(rows, n);
}

static void test_totals_add_up(void **state) {
        Rig *rig = *state;
        StoreTotals totals;
        ClipRow **rows;
        size_t n;

        assert_int_equal(store_totals(rig->store, &totals), 0);
        assert_int_equal(totals.events, 0);
        assert_true(digest_is_zero(&totals.chain_head));
        rig_dock(rig, 1);
        rig_copy(rig, 1, 1);
        rig_store_clip(rig, 1, 2);
        rig_list(rig, 1, 3);
        assert_int_equal(store_totals(rig->store, &totals), 0);
        for (int i = 0; i < _CLIP_STATE_MAX; i++)
                assert_int_equal(totals.clips_by_state[i],
                                 i == CLIP_SEEN || i == CLIP_COPIED || i == CLIP_RECEIPTED ? 1 : 0);
        assert_int_equal(totals.unstored_bytes, RIG_SIZE);
        assert_int_equal(totals.events, 3 + 3 + 4 + 1);
        assert_false(digest_is_zero(&totals.chain_head));
        assert_int_equal(store_clips_unstored(rig->store, 0, 9, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(rows[0]->id, 1);
        clip_rows_free(rows, n);
}

static void test_oldest_unstored_is_the_first_that_was_seen(void **state) {
        Fact old = rig_clip(1, 1, "DCIM/OLD.MP4", RIG_SIZE), new = rig_clip(1, 2, "DCIM/NEW.MP4", RIG_SIZE);
        Rig *rig = *state;
        ClipRow *clip = NULL;
        CameraRow **cameras;
        StoreTotals totals;
        size_t n;

        assert_int_equal(store_oldest_unstored(rig->store, &clip), -ENOENT);
        rig_dock(rig, 1);
        expect(rig, &old, 0);
        expect(rig, &new, 0);
        rig_store_clip(rig, 1, 3);
        assert_int_equal(store_oldest_unstored(rig->store, &clip), 0);
        assert_string_equal(clip->path, "DCIM/OLD.MP4");
        (void) clip_row_free(clip);
        assert_int_equal(store_totals(rig->store, &totals), 0);
        assert_int_equal(totals.bytes_by_state[CLIP_SEEN], 2 * RIG_SIZE);
        assert_int_equal(totals.bytes_by_state[CLIP_RECEIPTED], RIG_SIZE);
        assert_int_equal(store_cameras_by_docking(rig->store, 9, &cameras, &n), 0);
        assert_int_equal(n, 1);
        camera_rows_free(cameras, n);
}

static void test_flow_is_what_came_since_then(void **state) {
        Rig *rig = *state;
        Fact old = rig_clip(1, 1, "DCIM/OLD.MP4", 7 * RIG_SIZE), new = rig_clip(1, 2, "DCIM/NEW.MP4", 3 * RIG_SIZE);
        StoreFlow flow;

        old.at.wall_usec -= INT64_C(3600) * 1000000;
        rig_dock(rig, 1);
        expect(rig, &old, 0);
        expect(rig, &new, 0);
        rig_store_clip(rig, 1, 3);
        assert_int_equal(store_flow(rig->store, new.at.wall_usec, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 4 * RIG_SIZE);
        assert_true(flow.since_wall_usec == new.at.wall_usec);
        assert_int_equal(flow.releasable_bytes, RIG_SIZE);
        assert_int_equal(store_flow(rig->store, old.at.wall_usec, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 11 * RIG_SIZE);
        assert_int_equal(store_flow(rig->store, INT64_MAX, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 0);
        /* What came while the clock was ahead did not come in that time, as far as anybody knows. */
        assert_int_equal(store_flow(rig->store, old.at.wall_usec, old.at.wall_usec, &flow), 0);
        assert_int_equal(flow.seen_bytes, 7 * RIG_SIZE);
}

/* The daemon's loop waits for it: a clock that was years ahead, or a database of years with such times, must not hold it up. */
static void test_flow_looks_at_so_many_clips_at_most(void **state) {
        Rig *rig = *state;
        StoreFlow flow;

        rig_dock(rig, 1);
        rig_spoil(rig, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500) INSERT INTO clips"
                       " (id, camera_id, path, size_bytes, mtime_unix_sec, ordinal, flags, state, first_docking_id, last_docking_id,"
                       " seen_usec) SELECT i, 1, i || '.MP4', 2, 0, i, 0, 'seen', 1, 0, 1000 * i FROM n");
        assert_int_equal(store_flow(rig->store, 0, INT64_MAX, &flow), 0);
        assert_int_equal(flow.seen_bytes, 2 * STORE_FLOW_MAX);
        assert_true(flow.since_wall_usec == 1000 * (10500 - STORE_FLOW_MAX + 1));
        assert_int_equal(store_flow(rig->store, 0, 5, &flow), 0);
        assert_int_equal(flow.seen_bytes, 0);
        assert_true(flow.since_wall_usec == 5);
}

static void test_evidence_of_a_copy_is_its_event_and_the_check_of_its_docking(void **state) {
        Rig *rig = *state;
        Fact check = rig_fact(FACT_CHECKED), later;
        CopyEvidence e;
        EventRow **events;
        size_t n;

        rig_dock(rig, 1);
        assert_int_equal(store_copy_evidence(rig->store, 1, &e), -ENOENT);
        check.docking_id = 1;
        check.camera_id = 1;
        check.at.synchronised = true;
        check.check.battery_percent = -1;
        check.check.drift_known = true;
        check.check.drift_usec = -90000000;
        check.check.owner_known = true;
        check.check.owner = (FactOwner){ "P-1", "A. Officer", "D12", "" };
        expect(rig, &check, 0);
        /* In its storage mode a camera tells neither. */
        later = check;
        later.check.drift_known = later.check.owner_known = later.at.synchronised = false;
        expect(rig, &later, 0);
        rig_copy(rig, 1, 1);
        /* Back in command mode its clock was set. */
        later = check;
        later.check.drift_usec = 7;
        later.check.owner.officer_id = "P-2";
        expect(rig, &later, 0);
        later.docking_id = 2;
        later.check.drift_usec = 5;
        rig_undock(rig, 1);
        rig_dock(rig, 2);
        expect(rig, &later, 0);
        assert_int_equal(store_copy_evidence(rig->store, 1, &e), 0);
        assert_true(e.drift_known && e.dock_synchronised);
        assert_int_equal(e.drift_usec, -90000000);
        assert_string_equal(e.officer_id, "P-1");
        assert_string_equal(e.officer_name, "A. Officer");
        assert_string_equal(e.unit_id, "D12");
        assert_string_equal(e.unit_name, "");
        assert_int_equal(store_events(rig->store, e.seq - 1, 0, 1, 1, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_true(events[0]->seq == e.seq && digest_equal(&events[0]->hash, &e.hash));
        assert_non_null(strstr(events[0]->bytes, "\"event\":\"copied\""));
        event_rows_free(events, n);
        copy_evidence_done(&e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kind_of_fact_has_a_name_of_its_own),
                cmocka_unit_test(test_clip_states_have_names),
                TEST(test_oldest_unstored_is_the_first_that_was_seen),
                TEST(test_camera_is_known_by_its_serial),
                TEST(test_serial_is_never_given_to_another_camera),
                TEST(test_ambiguous_serial_stays_ambiguous),
                TEST(test_cameras_are_paged_by_id),
                TEST(test_docking_is_of_one_camera_and_ends_once),
                TEST(test_restart_ends_the_dockings_of_the_last_run),
                TEST(test_refused_devices_are_read_newest_first),
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
                TEST(test_clips_are_found_by_camera_and_state),
                TEST(test_releasable_clips_are_receipted_and_in_the_spool),
                TEST(test_flow_looks_at_so_many_clips_at_most),
                TEST(test_flow_is_what_came_since_then),
                TEST(test_evidence_of_a_copy_is_its_event_and_the_check_of_its_docking),
                TEST(test_totals_add_up),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
