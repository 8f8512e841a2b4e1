/* SPDX-License-Identifier: Apache-2.0 */

/* How much is written before a sync, on disks that are functions. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bay/sync_batch.h"

#define GIB_OF_BLOCKS ((unsigned) (GIB / SYNC_BATCH_SHORT))

typedef struct Disk {
        uint64_t sync_usec;          /* of any sync */
        uint64_t sync_usec_per_mib;  /* beyond it */
        uint64_t hidden_usec;        /* of each sync, behind what the ring takes meanwhile */
        uint64_t write_usec_per_mib; /* the slowest of camera, hash and disk */
        unsigned noise_percent;      /* of each batch, by turns */
} Disk;

static uint64_t usec_of(const Disk *d, uint64_t bytes, unsigned turn) {
        static const int noise[] = { 0, 1, -1, 1, 0, -1, -1, 1, 1, -1, 0 };
        uint64_t mib = bytes / MIB, sync = d->sync_usec + mib * d->sync_usec_per_mib;
        uint64_t usec = mib * d->write_usec_per_mib + (sync > d->hidden_usec ? sync - d->hidden_usec : 0);

        return usec + (uint64_t) ((int64_t) (usec * d->noise_percent / 100) * noise[turn % ELEMENTSOF(noise)]);
}

static void write_gib(SyncBatch *b, const Disk *d, unsigned gib, uint64_t *ret_usec) {
        unsigned turn = 0;
        uint64_t bytes = 0, usec = 0;

        while (bytes < gib * GIB) {
                uint64_t size = sync_batch_bytes(b), took = usec_of(d, size, turn++);

                sync_batch_note(b, size, took);
                bytes += size;
                usec += took;
        }
        if (ret_usec)
                *ret_usec = usec;
}

/* What the whole takes when no other length was ever tried. */
static uint64_t usec_always(const Disk *d, uint64_t size, unsigned gib) {
        uint64_t usec = 0;
        unsigned turn = 0;

        for (uint64_t bytes = 0; bytes < gib * GIB; bytes += size)
                usec += usec_of(d, size, turn++);
        return usec;
}

static const Disk cached = { .sync_usec = 500, .sync_usec_per_mib = 550, .hidden_usec = 6000, .write_usec_per_mib = 900 };
static const Disk turning = { .sync_usec = 30000, .write_usec_per_mib = 7000, .hidden_usec = 6000 };
static const Disk any = { .write_usec_per_mib = 20000, .sync_usec = 3000, .hidden_usec = 3000, .noise_percent = 8 };

static void test_a_disk_with_a_cache_has_short_batches(void **state) {
        SyncBatch b = {};
        uint64_t usec;

        (void) state;
        assert_int_equal(sync_batch_bytes(&b), SYNC_BATCH_SHORT);
        write_gib(&b, &cached, 8, &usec);
        assert_false(b.is_long);
        /* What the trials cost. */
        assert_true(usec * 100 < usec_always(&cached, SYNC_BATCH_SHORT, 8) * 105);
}

static void test_a_disk_whose_syncs_take_long_has_long_batches(void **state) {
        SyncBatch b = {};
        uint64_t usec;

        (void) state;
        write_gib(&b, &turning, 1, NULL);
        assert_true(b.is_long);
        write_gib(&b, &turning, 8, &usec);
        assert_true(b.is_long);
        assert_true(usec * 100 < usec_always(&turning, SYNC_BATCH_LONG, 8) * 105);
        assert_true(usec * 100 < usec_always(&turning, SYNC_BATCH_SHORT, 8) * 80);
}

/* A slow camera, and a machine that does other things as well. */
static void test_where_it_makes_no_difference_short_ones_stay(void **state) {
        SyncBatch b = {};

        (void) state;
        for (unsigned i = 0; i < 64; i++) {
                write_gib(&b, &any, 1, NULL);
                assert_false(b.is_long);
        }
}

static void test_a_disk_that_changes_is_followed(void **state) {
        SyncBatch b = {};

        (void) state;
        for (unsigned i = 0; i < 4; i++) {
                write_gib(&b, &turning, 2, NULL);
                assert_true(b.is_long);
                write_gib(&b, &cached, 2, NULL);
                assert_false(b.is_long);
        }
}

/* One window of the cached disk was slow by chance, just before the other length was tried. */
static void test_a_mistake_is_soon_undone(void **state) {
        SyncBatch b = {};
        uint64_t bytes = 0;

        (void) state;
        for (unsigned i = 0; i < GIB_OF_BLOCKS && !b.trying; i++)
                sync_batch_note(&b, SYNC_BATCH_SHORT, 10 * usec_of(&cached, SYNC_BATCH_SHORT, 0));
        sync_batch_note(&b, SYNC_BATCH_LONG, usec_of(&cached, SYNC_BATCH_LONG, 0));
        assert_true(b.is_long);
        for (; b.is_long && bytes <= GIB; bytes += sync_batch_bytes(&b))
                sync_batch_note(&b, sync_batch_bytes(&b), usec_of(&cached, sync_batch_bytes(&b), 0));
        assert_true(bytes <= 512 * MIB);
}

/* The last sync of a clip is of less than a batch, and a slow camera's are by the time. */
static void test_syncs_of_less_than_a_batch_count_by_their_bytes(void **state) {
        SyncBatch b = {};

        (void) state;
        for (unsigned i = 0; i < 4 * GIB_OF_BLOCKS; i++)
                sync_batch_note(&b, 3 * MIB, usec_of(&turning, 3 * MIB, i));
        assert_false(b.is_long);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_disk_with_a_cache_has_short_batches),
                cmocka_unit_test(test_a_disk_whose_syncs_take_long_has_long_batches),
                cmocka_unit_test(test_where_it_makes_no_difference_short_ones_stay),
                cmocka_unit_test(test_a_disk_that_changes_is_followed),
                cmocka_unit_test(test_a_mistake_is_soon_undone),
                cmocka_unit_test(test_syncs_of_less_than_a_batch_count_by_their_bytes),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
