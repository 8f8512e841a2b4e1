/* SPDX-License-Identifier: Apache-2.0 */

/* Plugins that crash, hang, break the ABI or talk to berthd themselves cost their worker, and nothing more. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "integration/worker_rig.h"

/* Makes the call that leads to this callback of the plugin. */
static WorkerResult call(Rig *rig, const char *callback) {
        WorkerCopy copy = {};

        if (text_equal(callback, "identify"))
                return rig_identify(rig);
        if (text_equal(callback, "health"))
                return rig_health(rig);
        if (text_equal(callback, "list"))
                return rig_list(rig);
        if (text_equal(callback, "close"))
                return rig_close(rig);
        if (text_equal(callback, "set_clock"))
                return rig_set_clock(rig, 1);
        if (text_equal(callback, "get_owner"))
                return rig_get_owner(rig);
        if (text_equal(callback, "set_owner"))
                return rig_set_owner(rig, &(WorkerOwner){ (char *) "7", (char *) "A. Officer", (char *) "", (char *) "" });
        if (text_equal(callback, "enter_storage"))
                return rig_enter_storage(rig);
        if (text_equal(callback, "eject"))
                return rig_eject(rig);
        if (text_equal(callback, "format"))
                return rig_format(rig);
        assert_result(rig, rig_list(rig), WORKER_OK);
        if (text_equal(callback, "read"))
                return rig_pull(rig, 0, "a.part", NULL, 0);
        copy.size_bytes = 100;
        (void) digest_of((const char[100]){}, 100, &copy.digest);
        copy.head = copy.tail = copy.digest;
        return rig_erase(rig, "A", &copy, 1);
}

/* Opens `plugin` with one or two options and makes the call. */
static WorkerResult provoke(Rig *rig, const char *plugin, const char *callback, const char *first, const char *second) {
        const char *const options[] = { first, second, NULL };
        WorkerResult result;

        assert_int_equal(rig_spawn(rig, plugin), 0);
        result = rig_open(rig, options);
        if (text_equal(callback, "open") || result != WORKER_OK)
                return result;
        return call(rig, callback);
}

/* Nothing more is told of a worker whose end was told. */
static void assert_told_once(Rig *rig) {
        for (unsigned i = 0; i < 5; i++)
                rig_turn(rig, 2000);
        assert_int_equal(rig->fatal, 1);
        rig_free_worker(rig);
        rig_turn(rig, 2000);
        assert_int_equal(rig->fatal, 1);
}

/* ---- Crashes and silence ---- */

static const char *const callbacks[] = { "open", "identify", "health", "set_clock", "list", "read", "erase", "close",
        "get_owner", "set_owner", "enter_storage", "eject", "format" };

static void test_crash_in_any_callback_is_one_death(void **state) {
        static const char *const ways[] = { "how=segv", "how=abort", "how=exit", "how=stack" };
        static const char *const texts[] = { "signal 11", "signal 6", "status 0", "signal 11" };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(callbacks); i++)
                for (size_t j = 0; j < ELEMENTSOF(ways); j++) {
                        _cleanup_(freep) char *in = text_format("in=%s", callbacks[i]);

                        /* Each way once in each callback would be the same 32 times. */
                        if (j > 0 && (i + j) % 4 != 0)
                                continue;
                        assert_result(rig, provoke(rig, "crash", callbacks[i], in, ways[j]), WORKER_DIED);
                        assert_non_null(strstr(rig->text, texts[j]));
                        assert_told_once(rig);
                }
}

static void test_silence_in_any_callback_ends_at_the_deadline(void **state) {
        Rig *rig = *state;

        rig->call_timeout_usec = rig->stall_timeout_usec = 1500 * USEC_PER_MSEC;
        for (size_t i = 0; i < ELEMENTSOF(callbacks); i++) {
                _cleanup_(freep) char *in = text_format("in=%s", callbacks[i]);

                assert_result(rig, provoke(rig, "crash", callbacks[i], in, i % 2 ? "how=sleep" : "how=spin"), WORKER_STALLED);
                assert_told_once(rig);
        }
}

static void test_saying_to_be_busy_does_not_put_the_end_off_for_ever(void **state) {
        static const char *const where[] = { "identify", "list", "read", "erase", "enter_storage" };
        Rig *rig = *state;

        rig->call_timeout_usec = 3000 * USEC_PER_MSEC;
        rig->stall_timeout_usec = 1500 * USEC_PER_MSEC;
        for (size_t i = 0; i < ELEMENTSOF(where); i++) {
                _cleanup_(freep) char *in = text_format("in=%s", where[i]);

                assert_result(rig, provoke(rig, "crash", where[i], in, "how=alive"), WORKER_STALLED);
                assert_told_once(rig);
        }
}

static void test_saying_to_be_busy_puts_off_the_end_of_a_silence(void **state) {
        uint64_t begun;
        Rig *rig = *state;

        rig->call_timeout_usec = 5000 * USEC_PER_MSEC;
        rig->stall_timeout_usec = 2000 * USEC_PER_MSEC;
        assert_int_equal(rig_spawn(rig, "crash"), 0);
        assert_result(rig, rig_open(rig, (const char *const[]){ "in=list", "how=alive", NULL }), WORKER_OK);
        begun = clock_boottime_usec();
        assert_result(rig, rig_list(rig), WORKER_STALLED);
        assert_true(clock_boottime_usec() - begun >= 5000 * USEC_PER_MSEC);
}

/* ---- Broken rules ---- */

typedef struct Rule {
        const char *what, *callback;
        WorkerResult expected;
} Rule;

static void test_each_broken_rule_has_its_answer(void **state) {
        static const Rule rules[] = {
                { "open_code", "open", WORKER_PLUGIN },
                { "open_gone", "open", WORKER_PLUGIN },
                { "open_errno", "open", WORKER_PLUGIN },
                { "serial_endless", "identify", WORKER_PLUGIN },
                { "serial_bytes", "identify", WORKER_PLUGIN },
                { "deliver_in_identify", "identify", WORKER_PLUGIN },
                { "path_empty", "list", WORKER_PLUGIN },
                { "path_absolute", "list", WORKER_PLUGIN },
                { "path_dotdot", "list", WORKER_PLUGIN },
                { "path_dot", "list", WORKER_PLUGIN },
                { "path_double", "list", WORKER_PLUGIN },
                { "path_control", "list", WORKER_PLUGIN },
                { "path_bytes", "list", WORKER_PLUGIN },
                { "path_long", "list", WORKER_PLUGIN },
                { "path_null", "list", WORKER_PLUGIN },
                { "flags", "list", WORKER_PLUGIN },
                { "struct_size", "list", WORKER_PLUGIN },
                { "list_code", "list", WORKER_PLUGIN },
                { "too_many", "list", WORKER_LIMIT },
                { "too_long", "list", WORKER_LIMIT },
                { "over", "read", WORKER_CAMERA },
                { "over_later", "read", WORKER_CAMERA },
                { "over_bulk", "read", WORKER_CAMERA },
                { "short", "read", WORKER_CAMERA },
                { "nothing", "read", WORKER_CAMERA },
                { "clip_in_read", "read", WORKER_PLUGIN },
                { "read_code", "read", WORKER_PLUGIN },
                { "owner_endless", "get_owner", WORKER_PLUGIN },
                { "owner_bytes", "get_owner", WORKER_PLUGIN },
                { "owner_code", "get_owner", WORKER_PLUGIN },
                { "enter_code", "enter_storage", WORKER_PLUGIN },
                { "enter_errno", "enter_storage", WORKER_PLUGIN },
                { "clip_in_format", "format", WORKER_PLUGIN },
                { "none", "set_owner", WORKER_UNSUPPORTED },
                { "none", "eject", WORKER_UNSUPPORTED },
        };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                _cleanup_(freep) char *what = text_format("what=%s", rules[i].what);

                if (provoke(rig, "garbage", rules[i].callback, what, NULL) != rules[i].expected)
                        fail_msg("%s: expected %s, got %s: %s", rules[i].what, worker_result_to_string(rules[i].expected),
                                 worker_result_to_string(rig->result), rig->text);
                assert_true(text_is_printable(rig->text) && rig->text[0]);
        }
}

static void test_impossible_health_counts_as_unknown(void **state) {
        Rig *rig = *state;

        assert_result(rig, provoke(rig, "garbage", "health", "what=battery", NULL), WORKER_OK);
        assert_int_equal(rig->health.battery_percent, -1);
        assert_result(rig, provoke(rig, "garbage", "health", "what=free", NULL), WORKER_OK);
        assert_false(rig->health.storage_known);
}

static void test_control_characters_of_a_serial_reach_nobody(void **state) {
        Rig *rig = *state;

        assert_result(rig, provoke(rig, "garbage", "identify", "what=serial_control", NULL), WORKER_OK);
        assert_string_equal(rig->identity.serial, "A?[2JB");
}

static void test_unfit_plugins_are_refused_with_a_reason(void **state) {
        static const struct {
                const char *plugin, *reason;
        } unfit[] = {
                { "abi_version", "ABI 2" },
                { "abi_size", "struct_size" },
                { "abi_callback", "read()" },
                { "abi_symbol", "berth_plugin_entry" },
                { "abi_undefined", "berth_host_of_tomorrow" },
        };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(unfit); i++) {
                assert_result(rig, provoke(rig, unfit[i].plugin, "open", NULL, NULL), WORKER_PLUGIN);
                assert_non_null(strstr(rig->text, unfit[i].reason));
                /* The worker is not dead: it answers everything with that. */
                assert_int_equal(rig->deaths, 0);
        }
        assert_result(rig, provoke(rig, "abi_newer", "list", NULL, NULL), WORKER_OK);
}

/* ---- Floods ---- */

/* Kilobytes of memory of this process, of a kind that /proc/self/status names. */
static unsigned long memory_kib(const char *kind) {
        _cleanup_(freep) char *path = text_format("/proc/%d/status", (int) getpid());
        _cleanup_(freep) char *text = NULL;
        const char *at;

        assert_true(fd_read_file(AT_FDCWD, path, 65536, &text, NULL) >= 0);
        at = strstr(text, kind);
        assert_non_null(at);
        return strtoul(at + strlen(kind) + 1, NULL, 10);
}

static unsigned count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        (void) closedir(dir);
        return n;
}

static void test_flood_of_any_kind_is_exactly_one_breach(void **state) {
        static const char *const floods[] = { "raw", "alive", "block", "unknown", "big", "huge", "fields", "reply", "call",
                "malformed", "auth" };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(floods); i++) {
                _cleanup_(freep) char *how = text_format("how=%s", floods[i]);

                if (provoke(rig, "flood", "list", how, NULL) != WORKER_BREACH)
                        fail_msg("%s: got %s: %s", floods[i], worker_result_to_string(rig->result), rig->text);
                assert_told_once(rig);
        }
}

static void test_message_of_128_mib_does_not_grow_the_daemon(void **state) {
        unsigned long before;
        Rig *rig = *state;

        /* Everything that is used once is warm. */
        assert_result(rig, provoke(rig, "flood", "list", "how=none", NULL), WORKER_OK);
        before = memory_kib("VmHWM:");
        assert_result(rig, provoke(rig, "flood", "list", "how=big", NULL), WORKER_BREACH);
        assert_non_null(strstr(rig->text, "134217"));
        assert_told_once(rig);
        assert_true(memory_kib("VmHWM:") < before + 4096);
}

static void test_descriptors_that_a_worker_sends_are_not_taken(void **state) {
        unsigned before;
        Rig *rig = *state;

        assert_result(rig, provoke(rig, "flood", "identify", "how=none", NULL), WORKER_OK);
        before = count_fds();
        assert_result(rig, provoke(rig, "flood", "list", "how=fds", NULL), WORKER_OK);
        assert_int_equal(count_fds(), before);
}

static void test_plugin_that_prints_without_end_is_cut_short(void **state) {
        _cleanup_(freep) char *text = NULL;
        Rig *rig = *state;
        unsigned lines = 0;
        int real, file;

        real = dup(STDERR_FILENO);
        file = open("log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(real >= 0 && file >= 0);
        assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
        (void) provoke(rig, "flood", "list", "how=lines", NULL);
        rig_free_worker(rig);
        assert_int_equal(dup2(real, STDERR_FILENO), STDERR_FILENO);
        fd_close(real);
        fd_close(file);
        assert_result(rig, rig->result, WORKER_OK);
        assert_true(fd_read_file(AT_FDCWD, "log", 16 * MIB, &text, NULL) >= 0);
        for (const char *at = text; (at = strchr(at, '\n')); at++)
                lines++;
        assert_in_range(lines, 200, 1000);
        assert_non_null(strstr(text, "lines were dropped"));
        assert_non_null(strstr(text, "bay 1-1.1"));
}

static void test_worker_that_hangs_up_is_dead(void **state) {
        Rig *rig = *state;

        assert_result(rig, provoke(rig, "flood", "list", "how=shut", NULL), WORKER_DIED);
        assert_non_null(strstr(rig->text, "closed its connection"));
        assert_told_once(rig);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_crash_in_any_callback_is_one_death),
                RIG_TEST(test_silence_in_any_callback_ends_at_the_deadline),
                RIG_TEST(test_saying_to_be_busy_does_not_put_the_end_off_for_ever),
                RIG_TEST(test_saying_to_be_busy_puts_off_the_end_of_a_silence),
                RIG_TEST(test_each_broken_rule_has_its_answer),
                RIG_TEST(test_impossible_health_counts_as_unknown),
                RIG_TEST(test_control_characters_of_a_serial_reach_nobody),
                RIG_TEST(test_unfit_plugins_are_refused_with_a_reason),
                RIG_TEST(test_flood_of_any_kind_is_exactly_one_breach),
                RIG_TEST(test_message_of_128_mib_does_not_grow_the_daemon),
                RIG_TEST(test_descriptors_that_a_worker_sends_are_not_taken),
                RIG_TEST(test_plugin_that_prints_without_end_is_cut_short),
                RIG_TEST(test_worker_that_hangs_up_is_dead),
        };

        return rig_main(tests);
}
