/* SPDX-License-Identifier: Apache-2.0 */

/* The bulk-only transport against scripts: its thirteen cases, wrong status wrappers, stalls, silence, recovery. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/msc/bot.h"
#include "unit/fake_host.h"

#define TAG 0x1234u
#define DATA_MAX 200000u

static BotLink the_link;

static BotLink *link_new(void) {
        memset(&the_link, 0, sizeof(the_link));
        the_link.host = fake_host();
        the_link.bulk_in = FAKE_IN;
        the_link.bulk_out = FAKE_OUT;
        the_link.packet_in = FAKE_PACKET;
        the_link.timeout_msec = 1000;
        the_link.tag = TAG - 1;
        return &the_link;
}

static void put_le32(uint8_t *p, uint32_t v) {
        for (int i = 0; i < 4; i++)
                p[i] = (uint8_t) (v >> 8 * i);
}

/* The wrapper that the link must send for expect_command(): the bytes of chapter 5.1, written down anew. */
static void expect_cbw(uint32_t tag, uint32_t size, bool in, uint8_t lun) {
        uint8_t cbw[31] = { 'U', 'S', 'B', 'C' };

        put_le32(cbw + 4, tag);
        put_le32(cbw + 8, size);
        cbw[12] = in ? 0x80 : 0x00;
        cbw[13] = lun;
        cbw[14] = 10;
        cbw[15] = 0x28;
        fake_out(cbw, sizeof(cbw));
}

static void answer_csw(const char *signature, uint32_t tag, uint32_t residue, uint8_t status, size_t size) {
        uint8_t csw[16] = { 0 };

        memcpy(csw, signature, 4);
        put_le32(csw + 4, tag);
        put_le32(csw + 8, residue);
        csw[12] = status;
        fake_in(csw, size);
}

/*
 * One step of the device, in a word:
 *   D100    100 bytes of data        Z  an empty packet        S  bulk IN stalls
 *   O100    it takes 100 bytes       s  bulk OUT stalls
 *   C0:36   a status wrapper with status 0 and residue 36; T, G: the same with another tag, another signature;
 *   N12     12 bytes of a status wrapper
 */
static void play_step(const char *word, uint32_t tag) {
        static uint8_t zeros[DATA_MAX];
        unsigned a = 0, b = 0;

        (void) sscanf(word + 1, "%u:%u", &a, &b);
        switch (word[0]) {
        case 'D':
                fake_in(NULL, a);
                break;
        case 'Z':
                fake_in_empty();
                break;
        case 'S':
                fake_in_error(-EPIPE);
                break;
        case 'O':
                fake_out(zeros, a);
                break;
        case 's':
                fake_out_error(-EPIPE);
                break;
        case 'C':
                answer_csw("USBS", tag, b, (uint8_t) a, 13);
                break;
        case 'T':
                answer_csw("USBS", tag ^ 0x100, b, (uint8_t) a, 13);
                break;
        case 'G':
                answer_csw("USBC", tag, b, (uint8_t) a, 13);
                break;
        case 'N':
                answer_csw("USBS", tag, 0, 0, a);
                break;
        default:
                fail_msg("no step %s", word);
        }
}

static void play(const char *script, uint32_t tag) {
        char words[256], *save = NULL;

        (void) snprintf(words, sizeof(words), "%s", script);
        for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
                play_step(word, tag);
}

static int run(BotLink *link, BotDirection direction, uint32_t size, uint32_t deliver, BotResult *ret) {
        static uint8_t data[DATA_MAX];
        BotCommand c = { .cdb = { 0x28 }, .cdb_size = 10, .direction = direction, .size = size, .deliver = deliver };

        memset(data, 0, sizeof(data));
        if (direction == BOT_OUT)
                c.send = data;
        else
                c.receive = data;
        return bot_command(link, &c, ret);
}

/* Whatever went wrong before, the next command works. */
static void assert_in_step(BotLink *link, const char *name) {
        BotResult result = { .failed = true };

        if (link->dead)
                fail_msg("%s: the link is dead", name);
        expect_cbw(link->tag + 1, 0, false, 0);
        play("C0:0", link->tag + 1);
        assert_int_equal(run(link, BOT_NONE, 0, 0, &result), 0);
        assert_false(result.failed);
        fake_done();
}

typedef struct Case {
        const char *name;
        BotDirection direction;
        uint32_t size;
        const char *script;
        int error;
        bool failed;
        uint32_t moved;
        const char *trace;
} Case;

static void check_cases(const Case *cases, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const Case *c = &cases[i];
                BotLink *link = link_new();
                BotResult result = { .moved = 77 };
                int r;

                expect_cbw(TAG, c->size, c->direction == BOT_IN, 0);
                play(c->script, TAG);
                r = run(link, c->direction, c->size, 0, &result);
                if (r != c->error)
                        fail_msg("%s: it returned %d, and not %d", c->name, r, c->error);
                if (strcmp(fake_camera.trace, c->trace) != 0)
                        fail_msg("%s: it did \"%s\", and not \"%s\"", c->name, fake_camera.trace, c->trace);
                if (r == 0 && (result.failed != c->failed || result.moved != c->moved))
                        fail_msg("%s: failed %d, moved %u", c->name, result.failed, (unsigned) result.moved);
                if (r < 0 && result.moved != 77)
                        fail_msg("%s: a failure changed the result", c->name);
                fake_done();
                assert_in_step(link, c->name);
        }
}

#define CHECK_CASES(cases) check_cases(cases, sizeof(cases) / sizeof(cases[0]))

/* Chapter 6.7: what host (H) and device (D) each take for the data phase: none (n), in (i), out (o). */
static void test_all_thirteen_cases_end_as_the_standard_says(void **state) {
        static const Case cases[] = {
                { "1  Hn = Dn", BOT_NONE, 0, "C0:0", 0, false, 0, "" },
                { "1  Hn = Dn, failed", BOT_NONE, 0, "C1:0", 0, true, 0, "" },
                { "2  Hn < Di", BOT_NONE, 0, "C2:0", -EPROTO, false, 0, "Rio" },
                { "2  Hn < Di, halted", BOT_NONE, 0, "S C2:0", -EPROTO, false, 0, "iRio" },
                { "3  Hn < Do", BOT_NONE, 0, "C2:0", -EPROTO, false, 0, "Rio" },
                { "4  Hi > Dn, halted", BOT_IN, 512, "S C1:512", 0, true, 0, "i" },
                { "4  Hi > Dn, empty packet", BOT_IN, 512, "Z C0:512", 0, false, 0, "" },
                { "5  Hi > Di, short packet", BOT_IN, 512, "D100 C0:412", 0, false, 100, "" },
                { "5  Hi > Di, halted", BOT_IN, 1024, "D512 S C0:512", 0, false, 0, "i" }, /* a stall takes its transfer along */
                { "5  Hi > Di, padded", BOT_IN, 512, "D512 C0:412", 0, false, 100, "" },
                { "6  Hi = Di", BOT_IN, 512, "D512 C0:0", 0, false, 512, "" },
                { "6  Hi = Di, odd", BOT_IN, 36, "D36 C0:0", 0, false, 36, "" },
                { "6  Hi = Di, long", BOT_IN, 150016, "D150016 C0:0", 0, false, 150016, "" },
                { "7  Hi < Di", BOT_IN, 512, "D512 C2:0", -EPROTO, false, 0, "Rio" },
                { "8  Hi <> Do", BOT_IN, 512, "S C2:0", -EPROTO, false, 0, "iRio" },
                { "9  Ho > Dn", BOT_OUT, 512, "s C1:512", 0, true, 0, "o" },
                { "9  Ho > Dn, taken", BOT_OUT, 512, "O512 C1:512", 0, true, 0, "" },
                { "10 Ho <> Di", BOT_OUT, 512, "s C2:0", -EPROTO, false, 0, "oRio" },
                { "11 Ho > Do", BOT_OUT, 1024, "O1024 C0:512", 0, false, 512, "" },
                { "12 Ho = Do", BOT_OUT, 1024, "O1024 C0:0", 0, false, 1024, "" },
                { "12 Ho = Do, long", BOT_OUT, 131072, "O65536 O65536 C0:0", 0, false, 131072, "" },
                { "13 Ho < Do", BOT_OUT, 512, "O512 C2:0", -EPROTO, false, 0, "Rio" },
        };

        (void) state;
        CHECK_CASES(cases);
}

static void test_no_wrong_status_wrapper_is_believed(void **state) {
        static const Case cases[] = {
                { "another tag", BOT_NONE, 0, "T0:0", -EBADMSG, false, 0, "Rio" },
                { "another signature", BOT_NONE, 0, "G0:0", -EBADMSG, false, 0, "Rio" },
                { "12 bytes", BOT_NONE, 0, "N12", -EBADMSG, false, 0, "Rio" },
                { "14 bytes", BOT_NONE, 0, "N14", -EBADMSG, false, 0, "Rio" },
                { "a status of 3", BOT_NONE, 0, "C3:0", -EBADMSG, false, 0, "Rio" },
                { "more residue than data", BOT_IN, 512, "D512 C0:513", -EBADMSG, false, 0, "Rio" },
                { "more residue than no data", BOT_NONE, 0, "C0:1", -EBADMSG, false, 0, "Rio" },
                { "a whole packet in place of it", BOT_IN, 512, "D512 D512 C0:0", -EBADMSG, false, 0, "Rio" },
                { "two empty packets", BOT_NONE, 0, "Z Z", -EBADMSG, false, 0, "Rio" },
                { "two stalls", BOT_NONE, 0, "S S", -EPROTO, false, 0, "iRio" },
                { "more data than asked for", BOT_IN, 36, "D40", -EOVERFLOW, false, 0, "Rio" },
                { "silence", BOT_NONE, 0, "", -ETIMEDOUT, false, 0, "Rio" },
                { "silence after the data", BOT_IN, 512, "D512", -ETIMEDOUT, false, 0, "Rio" },
        };

        (void) state;
        CHECK_CASES(cases);
}

static void test_what_devices_do_beside_the_standard_is_understood(void **state) {
        static const Case cases[] = {
                { "an empty packet behind full ones", BOT_IN, 512, "D512 Z C0:0", 0, false, 512, "" },
                { "the status in place of the data", BOT_IN, 512, "C1:512", 0, true, 0, "" },
                { "a halt and then an empty packet", BOT_NONE, 0, "S Z C0:0", 0, false, 0, "i" },
                { "a failure that fills up the transfer", BOT_IN, 512, "D512 D512 C1:512", 0, true, 0, "" },
                { "data of which nothing is said to be missing", BOT_IN, 255, "D36 C0:0", 0, false, 36, "" },
        };

        (void) state;
        CHECK_CASES(cases);
}

static void test_device_that_halts_before_each_status_is_read_apart(void **state) {
        BotLink *link = link_new();
        BotResult result = { 0 };

        (void) state;
        expect_cbw(TAG, 512, true, 0);
        play("D512 S C0:0", TAG);
        assert_int_equal(run(link, BOT_IN, 512, 0, &result), 0);
        assert_int_equal(result.moved, 0);
        expect_cbw(TAG + 1, 512, true, 0);
        play("D512", TAG + 1);
        fake_in_error(-EPIPE);
        play("C0:0", TAG + 1);
        assert_int_equal(run(link, BOT_IN, 512, 0, &result), 0);
        assert_int_equal(result.moved, 512);
        assert_string_equal(fake_camera.trace, "ii");
        assert_in_step(link, "halted");
}

static void test_wrapper_that_is_not_taken_leads_to_reset_recovery(void **state) {
        BotLink *link = link_new();
        BotResult result;

        (void) state;
        fake_out_error(-EPIPE);
        assert_int_equal(run(link, BOT_IN, 512, 0, &result), -EPROTO);
        assert_string_equal(fake_camera.trace, "Rio");
        assert_in_step(link, "stalled wrapper");
}

static void test_recovery_that_does_not_help_resets_the_device_and_then_gives_up(void **state) {
        BotLink *link = link_new();
        BotResult result;
        int r = 0;

        (void) state;
        for (unsigned i = 0; i < 10 && !link->dead; i++) {
                expect_cbw(link->tag + 1, 0, false, 0);
                r = run(link, BOT_NONE, 0, 0, &result);
                assert_int_equal(r, -ETIMEDOUT);
        }
        assert_true(link->dead);
        assert_string_equal(fake_camera.trace, "RioUUU");
        assert_int_equal(run(link, BOT_NONE, 0, 0, &result), -ECONNABORTED);
        fake_done();
}

static void test_class_reset_that_is_refused_becomes_a_reset_of_the_device(void **state) {
        BotLink *link = link_new();
        BotResult result;

        (void) state;
        fake_camera.no_reset = true;
        expect_cbw(TAG, 0, false, 0);
        play("C2:0", TAG);
        assert_int_equal(run(link, BOT_NONE, 0, 0, &result), -EPROTO);
        assert_string_equal(fake_camera.trace, "RU");
        assert_int_equal(link->resets, 1);
        assert_in_step(link, "device reset");
        /* And one that does not come back ends it. */
        fake_camera.device_reset = -ENODEV;
        expect_cbw(link->tag + 1, 0, false, 0);
        play("C2:0", link->tag + 1);
        assert_int_equal(run(link, BOT_NONE, 0, 0, &result), -ENODEV);
        assert_true(link->dead);
}

static void test_unplugged_is_told_at_once_and_nothing_more_is_sent(void **state) {
        BotLink *link = link_new();
        BotResult result;

        (void) state;
        expect_cbw(TAG, 512, true, 0);
        fake_in_error(-ENODEV);
        assert_int_equal(run(link, BOT_IN, 512, 0, &result), -ENODEV);
        assert_string_equal(fake_camera.trace, "");
        assert_int_equal(run(link, BOT_IN, 512, 0, &result), -ECONNABORTED);
        fake_done();
}

static void test_delivered_data_keep_their_last_packets_until_the_status_came(void **state) {
        BotLink *link = link_new();
        BotResult result = { 0 };

        (void) state;
        expect_cbw(TAG, 65536, true, 0);
        play("D65536 C0:0", TAG);
        assert_int_equal(run(link, BOT_IN, 65536, 65536 - 512, &result), 0);
        assert_int_equal(fake_delivered, 65536 - 512);
        assert_int_equal(result.moved, 65536);
        for (size_t i = 0; i < 65536 - 512; i += 509)
                assert_int_equal(fake_bytes[i], fake_pattern(i));
        assert_in_step(link, "delivered");
}

static void test_delivery_that_ends_early_is_counted_by_what_came(void **state) {
        static const struct {
                const char *script, *trace;
                uint32_t moved;
        } cases[] = {
                { "D1536 S C1:64000", "i", 0 }, /* nobody can say how much of it was delivered */
                { "D1000 C0:64536", "", 1000 },
                { "S C1:65536", "i", 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                BotLink *link = link_new();
                BotResult result = { 0 };

                expect_cbw(TAG, 65536, true, 0);
                play(cases[i].script, TAG);
                assert_int_equal(run(link, BOT_IN, 65536, 65536 - 512, &result), 0);
                assert_true(result.moved <= cases[i].moved);
                assert_string_equal(fake_camera.trace, cases[i].trace);
                assert_in_step(link, cases[i].script);
        }
}

static void test_residues_that_mean_nothing_are_found_out_by_inquiry(void **state) {
        BotLink *link = link_new();
        BotCommand c = { .cdb = { 0x12, 0, 0, 0, 36 }, .cdb_size = 6, .direction = BOT_IN, .size = 36 };
        BotResult result = { 0 };
        uint8_t cbw[31] = { 'U', 'S', 'B', 'C', 0x34, 0x12, 0, 0, 36, 0, 0, 0, 0x80, 0, 6, 0x12, 0, 0, 0, 36 };

        (void) state;
        fake_out(cbw, sizeof(cbw));
        play("D36 C0:36", TAG);
        assert_int_equal(bot_command(link, &c, &result), 0);
        assert_int_equal(result.moved, 36);
        assert_true(link->ignore_residue);
        expect_cbw(TAG + 1, 512, true, 0);
        play("D512 C0:900", TAG + 1);
        assert_int_equal(run(link, BOT_IN, 512, 0, &result), 0);
        assert_int_equal(result.moved, 512);
        fake_done();
}

static void test_number_of_units_is_asked_and_bounded(void **state) {
        static const struct {
                int answer, r;
                unsigned n;
        } cases[] = { { 0, 0, 1 }, { 3, 0, 4 }, { 15, 0, 16 }, { 16, -EBADMSG, 0 }, { 255, -EBADMSG, 0 }, { -EPIPE, 0, 1 },
                      { -ETIMEDOUT, 0, 1 }, { -ENODEV, -ENODEV, 0 } };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                BotLink *link = link_new();
                unsigned n = 0;

                fake_camera.max_lun = cases[i].answer;
                assert_int_equal(bot_luns(link, &n), cases[i].r);
                assert_int_equal(n, cases[i].n);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_thirteen_cases_end_as_the_standard_says),
                cmocka_unit_test(test_no_wrong_status_wrapper_is_believed),
                cmocka_unit_test(test_what_devices_do_beside_the_standard_is_understood),
                cmocka_unit_test(test_device_that_halts_before_each_status_is_read_apart),
                cmocka_unit_test(test_wrapper_that_is_not_taken_leads_to_reset_recovery),
                cmocka_unit_test(test_recovery_that_does_not_help_resets_the_device_and_then_gives_up),
                cmocka_unit_test(test_class_reset_that_is_refused_becomes_a_reset_of_the_device),
                cmocka_unit_test(test_unplugged_is_told_at_once_and_nothing_more_is_sent),
                cmocka_unit_test(test_delivered_data_keep_their_last_packets_until_the_status_came),
                cmocka_unit_test(test_delivery_that_ends_early_is_counted_by_what_came),
                cmocka_unit_test(test_residues_that_mean_nothing_are_found_out_by_inquiry),
                cmocka_unit_test(test_number_of_units_is_asked_and_bounded),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
