/* SPDX-License-Identifier: Apache-2.0 */

/* SCSI over the bulk-only transport, against scripts: sense, readiness, sizes, protection, lost writes, growing transfers. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/msc/scsi.h"
#include "unit/fake_host.h"

#define SECTOR 512u

static BotLink the_link;
static uint32_t next_tag;

/* A unit of a thousand sectors that has been started. */
static ScsiUnit unit_new(void) {
        memset(&the_link, 0, sizeof(the_link));
        the_link.host = fake_host();
        the_link.bulk_in = FAKE_IN;
        the_link.bulk_out = FAKE_OUT;
        the_link.packet_in = FAKE_PACKET;
        the_link.timeout_msec = 1000;
        next_tag = 1;
        return (ScsiUnit){
                .link = &the_link,
                .ready_msec = 60,
                .transfer_limit = 1u << 20,
                .transfer_bytes = 64u << 10,
                .sector_bytes = SECTOR,
                .n_sectors = 1000,
                .settled = true,
        };
}

static void put_le32(uint8_t *p, uint32_t v) {
        for (int i = 0; i < 4; i++)
                p[i] = (uint8_t) (v >> 8 * i);
}

/* The unit must get this command; the bytes of the command are given in hex. */
static void expect(const char *cdb, bool in, uint32_t size) {
        uint8_t cbw[31] = { 'U', 'S', 'B', 'C' };
        size_t n = strlen(cdb) / 2;

        put_le32(cbw + 4, next_tag);
        put_le32(cbw + 8, size);
        cbw[12] = in ? 0x80 : 0;
        cbw[14] = (uint8_t) n;
        for (size_t i = 0; i < n; i++) {
                const char digits[3] = { cdb[2 * i], cdb[2 * i + 1] };

                cbw[15 + i] = (uint8_t) strtoul(digits, NULL, 16);
        }
        fake_out(cbw, sizeof(cbw));
}

static void status(uint8_t code, uint32_t residue) {
        uint8_t csw[13] = { 'U', 'S', 'B', 'S' };

        put_le32(csw + 4, next_tag++);
        put_le32(csw + 8, residue);
        csw[12] = code;
        fake_in(csw, sizeof(csw));
}

static void good(const char *cdb) {
        expect(cdb, false, 0);
        status(0, 0);
}

static void good_in(const char *cdb, const void *data, uint32_t size) {
        expect(cdb, true, size);
        fake_in(data, size);
        status(0, 0);
}

/* The last command failed, and the unit says why. */
static void sense(uint8_t key, uint8_t asc, uint8_t ascq) {
        uint8_t data[18] = { 0x70, [2] = key, [7] = 10, [12] = asc, [13] = ascq };

        good_in("030000001200", data, sizeof(data));
}

static void fails(const char *cdb, uint8_t key, uint8_t asc, uint8_t ascq) {
        expect(cdb, false, 0);
        status(1, 0);
        sense(key, asc, ascq);
}

static void fails_in(const char *cdb, uint32_t size, uint8_t key, uint8_t asc, uint8_t ascq) {
        expect(cdb, true, size);
        fake_in_error(-EPIPE);
        status(1, size);
        sense(key, asc, ascq);
}

#define TEST_READY "000000000000"
#define SYNCHRONIZE "35000000000000000000"

/* ---- Sense ---- */

static void test_sense_is_read_in_both_formats(void **state) {
        static const struct {
                const char *data;
                size_t size;
                int r;
                Sense sense;
        } cases[] = {
                { "\x70\0\x03\0\0\0\0\x0a\0\0\0\0\x11\x01\0\0\0\0", 18, 0, { .key = 3, .asc = 0x11, .ascq = 1 } },
                { "\xf0\0\x03\x12\x34\x56\x78\x0a\0\0\0\0\x11\0\0\0\0\0", 18, 0,
                  { .key = 3, .asc = 0x11, .has_sector = true, .sector = 0x12345678 } },
                { "\x71\0\x46", 3, 0, { .key = 6 } },
                { "\x72\x03\x11\x02\0\0\0\x0c\0\x0a\x80\0\0\0\0\x01\0\0\0\x02", 20, 0,
                  { .key = 3, .asc = 0x11, .ascq = 2, .has_sector = true, .sector = UINT64_C(0x100000002) } },
                { "\x72\x02\x3a\0\0\0\0\xff\x05\x01\0\x09", 12, 0, { .key = 2, .asc = 0x3a } },
                { "\x72\x02\x3a\0\0\0\0", 7, -EBADMSG, { 0 } },
                { "\x70\0", 2, -EBADMSG, { 0 } },
                { "\0\0\0\0\0\0\0\0", 8, -EBADMSG, { 0 } },
                { "", 0, -EBADMSG, { 0 } },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Sense s = { 0 };

                assert_int_equal(sense_parse((const uint8_t *) cases[i].data, cases[i].size, &s), cases[i].r);
                assert_int_equal(s.key, cases[i].sense.key);
                assert_int_equal(s.asc, cases[i].sense.asc);
                assert_int_equal(s.ascq, cases[i].sense.ascq);
                assert_int_equal(s.has_sector, cases[i].sense.has_sector);
                assert_int_equal(s.sector, cases[i].sense.sector);
        }
}

static void test_sense_has_the_right_meaning(void **state) {
        static const struct {
                Sense sense;
                int error;
        } cases[] = {
                { { .key = 1, .asc = 0x17 }, 0 },           { { .key = 2, .asc = 0x3a }, -ENOMEDIUM },
                { { .key = 2, .asc = 4, .ascq = 1 }, -EAGAIN }, { { .key = 2, .asc = 4, .ascq = 3 }, -EBUSY },
                { { .key = 3, .asc = 0x11 }, -EIO },        { { .key = 4 }, -EREMOTEIO },
                { { .key = 5, .asc = 0x20 }, -EOPNOTSUPP }, { { .key = 5, .asc = 0x21 }, -ERANGE },
                { { .key = 5, .asc = 0x24 }, -EINVAL },     { { .key = 6, .asc = 0x28 }, -ESTALE },
                { { .key = 6, .asc = 0x29 }, -EAGAIN },     { { .key = 7, .asc = 0x27 }, -EROFS },
                { { .key = 7 }, -EACCES },                  { { .key = 8 }, -EIO },
                { { .key = 0xb }, -EREMOTEIO },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(sense_error(&cases[i].sense), cases[i].error);
}

/* ---- What a unit says about itself ---- */

static void test_inquiry_makes_text_of_whatever_it_gets(void **state) {
        ScsiUnit unit = unit_new();
        uint8_t data[36] = { 0x00, 0x80, 0x02, 0x02, 31 };

        (void) state;
        memcpy(data + 8, "  ACME  B\x01""dy\xff""am 2       1.0 ", 28);
        good_in("120000002400", data, sizeof(data));
        assert_int_equal(scsi_inquire(&unit), 0);
        assert_int_equal(unit.type, SCSI_TYPE_DISK);
        assert_string_equal(unit.vendor, "ACME");
        assert_string_equal(unit.product, "B?dy?am 2");
        assert_string_equal(unit.revision, "1.0");
        fake_done();
}

static void start_asks(const char *capacity, size_t size, const char *capacity16) {
        good(TEST_READY);
        good_in("25000000000000000000", capacity, (uint32_t) size);
        if (capacity16)
                good_in("9e100000000000000000000000200000", capacity16, 32);
}

static void test_size_is_asked_by_as_many_bits_as_it_needs(void **state) {
        static const struct {
                const char *ten, *sixteen;
                int r;
                uint64_t n;
                uint32_t bytes;
        } cases[] = {
                { "\0\0\x03\xe7\0\0\x02\0", NULL, 0, 1000, 512 },
                { "\0\0\x03\xe7\0\0\x10\0", NULL, 0, 1000, 4096 },
                { "\xff\xff\xff\xff\0\0\x02\0", "\0\0\0\x01\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 0,
                  UINT64_C(0x100000001), 512 },
                { "\0\0\x03\xe7\0\0\x02\x08", NULL, -EMEDIUMTYPE, 0, 0 },
                { "\0\0\x03\xe7\0\0\0\0", NULL, -EMEDIUMTYPE, 0, 0 },
                { "\0\0\x03\xe7\0\0\x20\0", NULL, -EMEDIUMTYPE, 0, 0 },
                { "\xff\xff\xff\xff\0\0\x02\0", "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                  -EMEDIUMTYPE, 0, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                ScsiUnit unit = unit_new();

                unit.no_mode_sense = true;
                start_asks(cases[i].ten, 8, cases[i].sixteen);
                assert_int_equal(scsi_start(&unit), cases[i].r);
                if (cases[i].r == 0) {
                        assert_int_equal(unit.n_sectors, cases[i].n);
                        assert_int_equal(unit.sector_bytes, cases[i].bytes);
                }
                fake_done();
        }
}

static void test_write_protection_is_found_by_whichever_form_the_unit_knows(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        start_asks("\0\0\x03\xe7\0\0\x02\0", 8, NULL);
        fails_in("1a003f00c000", 192, 5, 0x24, 0);
        expect("1a000000c000", true, 192);
        fake_in("\x03\0\x80\0", 4);
        status(0, 188);
        assert_int_equal(scsi_start(&unit), 0);
        assert_true(unit.read_only);
        fake_done();

        unit = unit_new();
        start_asks("\0\0\x03\xe7\0\0\x02\0", 8, NULL);
        fails_in("1a003f00c000", 192, 5, 0x20, 0);
        fails_in("1a000000c000", 192, 5, 0x20, 0);
        expect("5a003f0000000000c000", true, 192);
        fake_in("\0\x06\0\0\0\0\0\0", 8);
        status(0, 184);
        assert_int_equal(scsi_start(&unit), 0);
        assert_false(unit.read_only);
        fake_done();
}

static void test_serial_is_asked_only_where_it_is_offered(void **state) {
        ScsiUnit unit = unit_new();
        char serial[64];

        (void) state;
        /* An old unit is not even asked. */
        unit.version = 2;
        assert_int_equal(scsi_serial(&unit, serial, sizeof(serial)), 0);
        assert_string_equal(serial, "");
        unit.version = 5;
        expect("12010000fc00", true, 252);
        fake_in("\0\0\0\x02\0\x80", 6);
        status(0, 246);
        expect("12018000fc00", true, 252);
        fake_in("\0\x80\0\x06 SN-7 ", 10);
        status(0, 242);
        assert_int_equal(scsi_serial(&unit, serial, sizeof(serial)), 0);
        assert_string_equal(serial, "SN-7");
        expect("12010000fc00", true, 252);
        fake_in("\0\0\0\x02\0\x83", 6);
        status(0, 246);
        expect("12018300fc00", true, 252);
        fake_in("\0\x83\0\x0c\x01\x03\0\x08\x50\x01\x02\x03\x04\x05\x06\x07", 16);
        status(0, 236);
        assert_int_equal(scsi_serial(&unit, serial, sizeof(serial)), 0);
        assert_string_equal(serial, "5001020304050607");
        fake_done();
}

/* ---- Ready or not ---- */

static void test_unit_that_becomes_ready_is_waited_for(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        fails(TEST_READY, 6, 0x29, 0);
        fails(TEST_READY, 6, 0x28, 0);
        fails(TEST_READY, 2, 0x04, 0x01);
        fails(TEST_READY, 2, 0x04, 0x02);
        good("1b0000000100");
        unit.settled = false;
        good(TEST_READY);
        assert_int_equal(scsi_test(&unit), 0);
        fake_done();
}

static void test_unit_that_does_not_become_ready_is_given_up_at_the_deadline(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        unit.ready_msec = 3;
        for (unsigned i = 0; i < 8; i++)
                fails(TEST_READY, 2, 0x04, 0x01);
        assert_int_equal(scsi_test(&unit), -EBUSY);
}

static void test_unit_without_a_medium_is_told_at_once(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        fails(TEST_READY, 2, 0x3a, 0);
        assert_int_equal(scsi_start(&unit), -ENOMEDIUM);
        fake_done();
}

static void test_another_medium_ends_everything_until_a_new_start(void **state) {
        ScsiUnit unit = unit_new();
        uint8_t data[SECTOR];

        (void) state;
        fails_in("28000000000500000100", SECTOR, 6, 0x28, 0);
        assert_int_equal(scsi_read(&unit, 5, 1, data), -ESTALE);
        assert_int_equal(scsi_read(&unit, 5, 1, data), -ESTALE);
        assert_int_equal(scsi_write(&unit, 5, 1, data), -ESTALE);
        fake_done();
        unit.no_mode_sense = true;
        start_asks("\0\0\x03\xe7\0\0\x02\0", 8, NULL);
        assert_int_equal(scsi_start(&unit), 0);
        good_in("28000000000500000100", NULL, SECTOR);
        assert_int_equal(scsi_read(&unit, 5, 1, data), 0);
        fake_done();
}

static void test_endless_attentions_and_aborts_end(void **state) {
        static const uint8_t keys[] = { 6, 0xb, 0 };
        uint8_t data[SECTOR];

        (void) state;
        for (size_t k = 0; k < sizeof(keys); k++) {
                ScsiUnit unit = unit_new();

                for (unsigned i = 0; i < 20; i++)
                        fails_in("28000000000500000100", SECTOR, keys[k], keys[k] == 6 ? 0x2a : 0, 0);
                assert_int_equal(scsi_read(&unit, 5, 1, data), -EREMOTEIO);
        }
}

/* ---- Sectors ---- */

static void test_reads_are_as_wide_as_the_sector_number_needs(void **state) {
        ScsiUnit unit = unit_new();
        uint8_t data[2 * SECTOR];

        (void) state;
        unit.n_sectors = UINT64_C(0x200000000);
        good_in("2800fffffffe00000200", NULL, sizeof(data));
        assert_int_equal(scsi_read(&unit, 0xfffffffe, 2, data), 0);
        good_in("88000000000100000000000000020000", NULL, sizeof(data));
        assert_int_equal(scsi_read(&unit, UINT64_C(0x100000000), 2, data), 0);
        good_in("880000000000ffffffff000000020000", NULL, sizeof(data));
        assert_int_equal(scsi_read(&unit, UINT64_C(0xffffffff), 2, data), 0);
        assert_int_equal(scsi_read(&unit, unit.n_sectors - 1, 2, data), -EINVAL);
        assert_int_equal(scsi_read(&unit, UINT64_MAX, 2, data), -EINVAL);
        fake_done();
}

static void test_read_that_brings_less_than_it_says_fails(void **state) {
        ScsiUnit unit = unit_new();
        uint8_t data[SECTOR];

        (void) state;
        for (unsigned i = 0; i < 3; i++) {
                expect("28000000000500000100", true, SECTOR);
                fake_in(NULL, 100);
                status(0, 0);
        }
        assert_int_equal(scsi_read(&unit, 5, 1, data), -EBADMSG);
        fake_done();
        for (unsigned i = 0; i < 3; i++) {
                expect("28000000000500000100", true, SECTOR);
                fake_in(NULL, SECTOR);
                status(0, 1);
        }
        assert_int_equal(scsi_read(&unit, 5, 1, data), -EBADMSG);
        fake_done();
}

static void test_transport_failure_is_tried_again_and_then_told(void **state) {
        ScsiUnit unit = unit_new();
        uint8_t data[SECTOR];

        (void) state;
        expect("28000000000500000100", true, SECTOR);
        fake_in(NULL, SECTOR);
        status(2, 0);
        good_in("28000000000500000100", NULL, SECTOR);
        assert_int_equal(scsi_read(&unit, 5, 1, data), 0);
        assert_string_equal(fake_camera.trace, "Rio");
        for (unsigned i = 0; i < 3; i++) {
                expect("28000000000500000100", true, SECTOR);
                fake_in(NULL, SECTOR);
                status(2, 0);
        }
        assert_int_equal(scsi_read(&unit, 5, 1, data), -EPROTO);
        fake_done();
}

static void test_delivered_bytes_are_never_delivered_twice(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        /* All 16 sectors came, and the status says that they are worth nothing. */
        expect("28000000000500001000", true, 16 * SECTOR);
        fake_in(NULL, 16 * SECTOR);
        status(1, 16 * SECTOR);
        sense(0xb, 0, 0);
        assert_int_equal(scsi_deliver(&unit, 5, 16), -EREMOTEIO);
        assert_int_equal(fake_delivered, 15 * SECTOR);
        fake_done();
        /* One sector is kept back as a whole, so it can be asked for again. */
        unit = unit_new();
        fails_in("28000000000500000100", SECTOR, 0xb, 0, 0);
        good_in("28000000000500000100", NULL, SECTOR);
        assert_int_equal(scsi_deliver(&unit, 5, 1), 0);
        assert_int_equal(fake_delivered, SECTOR);
        fake_done();
}

static void test_larger_transfers_are_tried_before_a_clip_depends_on_them(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        good_in("28000000000000010000", NULL, 128 << 10);
        assert_int_equal(scsi_try_larger(&unit, 0, 1000), 0);
        assert_int_equal(unit.transfer_bytes, 128 << 10);
        /* It says that it could not: so it stays, and is not asked again. */
        expect("28000000000000020000", true, 256 << 10);
        fake_in_error(-EPIPE);
        status(2, 0);
        good(TEST_READY);
        assert_int_equal(scsi_try_larger(&unit, 0, 1000), 0);
        assert_int_equal(scsi_try_larger(&unit, 0, 1000), 0);
        assert_int_equal(unit.transfer_bytes, 128 << 10);
        assert_int_equal(fake_delivered, 0);
        fake_done();
        /* A bad sector says nothing about sizes. */
        unit = unit_new();
        fails_in("28000000000000010000", 128 << 10, 3, 0x11, 0);
        good(TEST_READY);
        assert_int_equal(scsi_try_larger(&unit, 0, 1000), 0);
        assert_int_equal(unit.transfer_limit, 1 << 20);
        fake_done();
}

/* ---- Writes ---- */

static void write_sector(ScsiUnit *unit, int r) {
        static const uint8_t data[SECTOR];

        assert_int_equal(scsi_write(unit, 5, 1, data), r);
}

static void expect_write(void) {
        static const uint8_t data[SECTOR];

        expect("2a000000000500000100", false, SECTOR);
        fake_out(data, sizeof(data));
}

static void test_writes_that_a_reset_may_have_lost_end_the_writing(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        /* A reset before the first write costs nothing. */
        expect_write();
        status(1, SECTOR);
        sense(6, 0x29, 0);
        expect_write();
        status(0, 0);
        write_sector(&unit, 0);
        /* One between a write and its flush may have emptied a cache. */
        fails(SYNCHRONIZE, 6, 0x29, 0);
        good(SYNCHRONIZE);
        assert_int_equal(scsi_flush(&unit), -EREMOTEIO);
        write_sector(&unit, -EREMOTEIO);
        fake_done();

        unit = unit_new();
        expect_write();
        status(0, 0);
        write_sector(&unit, 0);
        good(SYNCHRONIZE);
        assert_int_equal(scsi_flush(&unit), 0);
        fails(SYNCHRONIZE, 6, 0x29, 0);
        good(SYNCHRONIZE);
        assert_int_equal(scsi_flush(&unit), 0);
        fake_done();
}

static void test_unit_without_a_cache_is_asked_once(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        fails(SYNCHRONIZE, 5, 0x20, 0);
        assert_int_equal(scsi_flush(&unit), 0);
        assert_int_equal(scsi_flush(&unit), 0);
        fake_done();
}

static void test_write_protection_is_told_as_that(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        expect("2a000000000500000100", false, SECTOR);
        fake_out_error(-EPIPE);
        status(1, SECTOR);
        sense(7, 0x27, 0);
        write_sector(&unit, -EROFS);
        fake_done();
}

static void test_eject_flushes_lets_go_and_stops(void **state) {
        ScsiUnit unit = unit_new();

        (void) state;
        good(SYNCHRONIZE);
        fails("1e0000000000", 5, 0x20, 0);
        good("1b0000000200");
        assert_int_equal(scsi_eject(&unit), 0);
        fake_done();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sense_is_read_in_both_formats),
                cmocka_unit_test(test_sense_has_the_right_meaning),
                cmocka_unit_test(test_inquiry_makes_text_of_whatever_it_gets),
                cmocka_unit_test(test_size_is_asked_by_as_many_bits_as_it_needs),
                cmocka_unit_test(test_write_protection_is_found_by_whichever_form_the_unit_knows),
                cmocka_unit_test(test_serial_is_asked_only_where_it_is_offered),
                cmocka_unit_test(test_unit_that_becomes_ready_is_waited_for),
                cmocka_unit_test(test_unit_that_does_not_become_ready_is_given_up_at_the_deadline),
                cmocka_unit_test(test_unit_without_a_medium_is_told_at_once),
                cmocka_unit_test(test_another_medium_ends_everything_until_a_new_start),
                cmocka_unit_test(test_endless_attentions_and_aborts_end),
                cmocka_unit_test(test_reads_are_as_wide_as_the_sector_number_needs),
                cmocka_unit_test(test_read_that_brings_less_than_it_says_fails),
                cmocka_unit_test(test_transport_failure_is_tried_again_and_then_told),
                cmocka_unit_test(test_delivered_bytes_are_never_delivered_twice),
                cmocka_unit_test(test_larger_transfers_are_tried_before_a_clip_depends_on_them),
                cmocka_unit_test(test_writes_that_a_reset_may_have_lost_end_the_writing),
                cmocka_unit_test(test_unit_without_a_cache_is_asked_once),
                cmocka_unit_test(test_write_protection_is_told_as_that),
                cmocka_unit_test(test_eject_flushes_lets_go_and_stops),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
