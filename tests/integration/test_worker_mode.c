/* SPDX-License-Identifier: Apache-2.0 */

/* What berthd asks of a camera beyond its footage: owner, change of mode, eject, format; and the credentials that open it. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "integration/worker_rig.h"

#define PASSWORD "s3cret-of-the-site"

static const char *const locked[] = { "serial=SN-7", "password=" PASSWORD, NULL };

static void start(Rig *rig, const char *const *options) {
        assert_int_equal(rig_spawn(rig, "command"), 0);
        assert_result(rig, rig_open(rig, options), WORKER_OK);
}

static void test_credentials_reach_the_plugin_and_only_by_their_name(void **state) {
        static const char *const right[] = { "user=admin", "password=" PASSWORD, NULL };
        static const char *const other[] = { "passwords=" PASSWORD, "pass=" PASSWORD, NULL };
        Rig *rig = *state;

        rig->credentials = right;
        start(rig, locked);
        assert_result(rig, rig_identify(rig), WORKER_OK);
        assert_string_equal(rig->identity.serial, "SN-7");
        rig->credentials = other;
        assert_int_equal(rig_spawn(rig, "command"), 0);
        assert_result(rig, rig_open(rig, locked), WORKER_DENIED);
}

/* The plugin of this test logs the password that it got: neither the log nor the error may have it. */
static void test_credential_that_a_plugin_logs_is_blotted_out(void **state) {
        static const char *const wrong[] = { "password=guess-" PASSWORD, NULL };
        _cleanup_(freep) char *log = NULL;
        Rig *rig = *state;
        int real, file;

        real = dup(STDERR_FILENO);
        file = open("log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(real >= 0 && file >= 0);
        assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
        rig->credentials = wrong;
        (void) rig_spawn(rig, "command");
        (void) rig_open(rig, locked);
        (void) rig_close(rig);
        rig_free_worker(rig);
        assert_int_equal(dup2(real, STDERR_FILENO), STDERR_FILENO);
        fd_close(real);
        fd_close(file);
        assert_true(fd_read_file(AT_FDCWD, "log", MIB, &log, NULL) >= 0);
        assert_non_null(strstr(log, "the password '*****"));
        assert_null(strstr(log, PASSWORD));
        assert_null(strstr(rig->text, PASSWORD));
}

static void test_too_many_credentials_are_refused_by_the_worker(void **state) {
        static const char *const many[] = { "a=1", "b=1", "c=1", "d=1", "e=1", "f=1", "g=1", "h=1", "i=1", "j=1", "k=1", "l=1", "m=1",
                "n=1", "o=1", "p=1", "q=1", NULL };
        static const char *const twice[] = { "a=1", "a=2", NULL };
        static const char *const nameless[] = { "=1", NULL };
        static const char *const *const bad[] = { many, twice, nameless };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                rig->credentials = bad[i];
                assert_int_equal(rig_spawn(rig, "command"), 0);
                assert_result(rig, rig_open(rig, locked), WORKER_LIMIT);
        }
}

/* Bytes of `needle` in memory that the worker may read and write. */
static unsigned count_in_memory(pid_t pid, const char *needle) {
        _cleanup_(freep) char *maps_path = text_format("/proc/%d/maps", (int) pid);
        _cleanup_(freep) char *mem_path = text_format("/proc/%d/mem", (int) pid);
        _cleanup_(fd_closep) int mem = open(mem_path, O_RDONLY | O_CLOEXEC);
        _cleanup_(freep) char *maps = NULL;
        unsigned found = 0;

        assert_true(mem >= 0);
        assert_true(fd_read_file(AT_FDCWD, maps_path, MIB, &maps, NULL) >= 0);
        for (char *line = maps, *end; line && *line; line = end ? end + 1 : NULL) {
                unsigned long from, to;
                char mode[5] = "";

                end = strchr(line, '\n');
                if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[1] != 'w' || to - from > 256 * MIB)
                        continue;
                for (unsigned long at = from; at < to; at += MIB) {
                        /* With an overlap, so that none is missed at an edge. */
                        size_t size = MIN2((size_t) (to - at), (size_t) (MIB + strlen(needle)));
                        _cleanup_(freep) char *piece = malloc(size);
                        ssize_t n = pread(mem, piece, size, (off_t) at);

                        if (n > 0 && memmem(piece, (size_t) n, needle, strlen(needle)))
                                found++;
                }
        }
        return found;
}

/* No plugin option here: those are no secret, and would be found. */
static void test_credentials_have_one_place_in_the_worker(void **state) {
        static const char *const credentials[] = { "password=zq9-unlikely-8rj", NULL };
        static const char *const options[] = { "serial=SN-7", NULL };
        char needle[] = "zq8-unlikely-8rj";
        Rig *rig = *state;

        rig->credentials = credentials;
        start(rig, options);
        needle[2]++; /* so that it is nowhere else as it stands */
        /* A call is let go of after its answer: the next answer tells that it is. */
        assert_result(rig, rig_identify(rig), WORKER_OK);
        assert_int_equal(count_in_memory(rig_pid(rig), needle), 1);
        assert_result(rig, rig_open(rig, options), WORKER_PLUGIN);
        assert_result(rig, rig_identify(rig), WORKER_OK);
        assert_int_equal(count_in_memory(rig_pid(rig), needle), 1);
}

static void test_owner_is_written_and_read_back(void **state) {
        static const char *const options[] = { "owner=P-1", NULL };
        WorkerOwner owner = { (char *) "P-1042", (char *) "Ólafur Jónsson", (char *) "U-9", (char *) "Night" };
        Rig *rig = *state;

        start(rig, options);
        assert_result(rig, rig_get_owner(rig), WORKER_OK);
        assert_string_equal(rig->owner.officer_id, "P-1");
        assert_string_equal(rig->owner.unit_name, "");
        assert_result(rig, rig_set_owner(rig, &owner), WORKER_OK);
        assert_result(rig, rig_get_owner(rig), WORKER_OK);
        assert_string_equal(rig->owner.officer_id, "P-1042");
        assert_string_equal(rig->owner.officer_name, "Ólafur Jónsson");
        assert_string_equal(rig->owner.unit_id, "U-9");
        assert_string_equal(rig->owner.unit_name, "Night");
}

static void test_health_tells_a_dirty_volume(void **state) {
        Rig *rig = *state;

        start(rig, locked + 2);
        assert_result(rig, rig_health(rig), WORKER_OK);
        assert_true(rig->health.volume_known && rig->health.volume_dirty);
        assert_int_equal(rig->health.battery_percent, 77);
        assert_false(rig->health.storage_known);
}

static void test_nothing_but_close_follows_a_change_of_mode(void **state) {
        Rig *rig = *state;

        for (unsigned i = 0; i < 2; i++) {
                start(rig, locked + 2);
                assert_result(rig, i ? rig_enter_storage(rig) : rig_eject(rig), WORKER_OK);
                assert_result(rig, rig_identify(rig), WORKER_PLUGIN);
                assert_result(rig, rig_list(rig), WORKER_PLUGIN);
                assert_result(rig, rig_get_owner(rig), WORKER_PLUGIN);
                assert_result(rig, rig_enter_storage(rig), WORKER_PLUGIN);
                assert_result(rig, rig_close(rig), WORKER_OK);
        }
}

static void test_camera_that_refuses_to_change_goes_on(void **state) {
        static const char *const options[] = { "enter=denied", NULL };
        Rig *rig = *state;

        start(rig, options);
        assert_result(rig, rig_enter_storage(rig), WORKER_DENIED);
        assert_result(rig, rig_identify(rig), WORKER_OK);
}

static void test_what_a_plugin_cannot_is_said(void **state) {
        Rig *rig = *state;

        assert_int_equal(rig_spawn(rig, "memory"), 0);
        assert_result(rig, rig_open(rig, locked + 2), WORKER_OK);
        assert_result(rig, rig_get_owner(rig), WORKER_UNSUPPORTED);
        assert_result(rig, rig_enter_storage(rig), WORKER_UNSUPPORTED);
        assert_result(rig, rig_eject(rig), WORKER_UNSUPPORTED);
        assert_result(rig, rig_format(rig), WORKER_UNSUPPORTED);
        assert_result(rig, rig_identify(rig), WORKER_OK);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_credentials_reach_the_plugin_and_only_by_their_name),
                RIG_TEST(test_credential_that_a_plugin_logs_is_blotted_out),
                RIG_TEST(test_too_many_credentials_are_refused_by_the_worker),
                RIG_TEST(test_credentials_have_one_place_in_the_worker),
                RIG_TEST(test_owner_is_written_and_read_back),
                RIG_TEST(test_health_tells_a_dirty_volume),
                RIG_TEST(test_nothing_but_close_follows_a_change_of_mode),
                RIG_TEST(test_camera_that_refuses_to_change_goes_on),
                RIG_TEST(test_what_a_plugin_cannot_is_said),
        };

        return rig_main(tests);
}
