/* SPDX-License-Identifier: Apache-2.0 */

/* berthd's client against the real uplink: receipts, kills, lost connections, hostile clients, a store that comes and goes. */

#include "integration/uplink_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"

#define STORE "same_disk_is_store = yes\n"
#define KILLS_DEFAULT 40u

static Rig *started(const char *extra) {
        Rig *r = rig_new(extra);

        rig_start(r);
        rig_wait_state(r, WIRE_STORE_READY);
        return r;
}

/* ---- The good way -------------------------------------------------------------------------------------------------- */

static void test_clip_is_stored_once_and_confirmed(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 3 * MIB + 17, 1);

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_DIGEST);
        assert_false(r->already_there);
        assert_int_equal(rig_check_store(r), 1);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_DIGEST);
        /* Asked again, as after a lost answer. */
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_true(r->already_there);
        assert_int_equal(rig_check_store(r), 1);
        assert_int_equal(rig_count(r, "tmp"), 0);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_empty_clip_is_stored(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 0, 1);

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_true(r->already_there);
        assert_int_equal(rig_check_store(r), 1);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_manifest_tells_all_of_the_clip(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 1000, 2);
        _cleanup_(freep) char *path = NULL;
        char hex[DIGEST_HEX_SIZE], text[4096] = "";
        json_t *j;
        FILE *f;

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        path = rig_store_path(r, r->manifest_key);
        j = json_load_file(path, 0, NULL);
        assert_non_null(j);
        assert_string_equal(json_string_value(json_object_get(j, "serial")), SERIAL);
        assert_string_equal(json_string_value(json_object_get(j, "path")), CLIP_PATH);
        assert_string_equal(json_string_value(json_object_get(j, "object")), r->object_key);
        assert_string_equal(json_string_value(json_object_get(j, "manifest")), r->manifest_key);
        assert_string_equal(json_string_value(json_object_get(j, "sha256")), digest_to_hex(&clip.digest, hex));
        assert_string_equal(json_string_value(json_object_get(j, "day")), "2023-11-14");
        assert_string_equal(json_string_value(json_object_get(j, "mtime")), "2023-11-14T22:13:20.000000Z");
        json_decref(j);
        /* The facts went in as they came. */
        f = fopen(path, "r");
        assert_non_null(f);
        assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
        fclose(f);
        assert_non_null(strstr(text, "\"facts\": {\"dock\": \"test\", \"n\":  1.50}"));
        fd_close(clip.fd);
        rig_free(r);
}

static void test_progress_is_told_while_a_large_clip_is_sent(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 512 * MIB, 3);

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_true(r->progress > 0);
        assert_true(r->progress_bytes > 0 && r->progress_bytes <= clip.size_bytes);
        fd_close(clip.fd);
        rig_free(r);
}

/* It may stand still for 4 s; it takes longer, and never does. */
static void test_limit_holds_and_is_no_stall(void **state) {
        Rig *r = started(STORE "[uplink]\nstall = 4s\nlimit = 2 MB/s\n");
        Clip clip = rig_clip(r, 16 * MIB, 3);
        uint64_t began = clock_boottime_usec();

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        /* However fast the machine is: what may be sent at once, and the rest at the limit. */
        assert_true(clock_boottime_usec() - began >= 7 * USEC_PER_SEC);
        assert_int_equal(rig_check_store(r), 1);
        fd_close(clip.fd);
        rig_free(r);
}

/* A folder cannot go on with half an object, so nothing is thrown away. */
static void test_order_to_hold_lets_a_put_stand_still(void **state) {
        Rig *r = started(STORE "[uplink]\nlimit = 8 MB/s\n");
        Clip clip = rig_clip(r, 48 * MIB, 3);
        uint64_t held_at = 0;

        (void) state;
        rig_put(r, &clip, CLIP_PATH);
        rig_wait(r, r->progress_bytes > 0);
        uplink_hold(r->client, true);
        /* It shows signs of life all the same: told twice with the same bytes, it stands. */
        for (bool stands = false; !stands;) {
                unsigned told = r->progress;

                held_at = r->progress_bytes;
                rig_wait(r, r->progress > told);
                stands = r->progress_bytes == held_at;
        }
        assert_true(held_at < clip.size_bytes);
        assert_int_equal(r->puts_done, 0);
        uplink_hold(r->client, false);
        rig_wait(r, r->progress_bytes > held_at);
        assert_true(r->progress_bytes < held_at + 32 * MIB);
        rig_wait(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_OK);
        assert_int_equal(rig_check_store(r), 1);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_folder_on_the_spools_disk_is_only_local(void **state) {
        Rig *r = started("");
        Clip clip = rig_clip(r, 1000, 4);

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_LOCAL);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_LOCAL);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_store_that_is_not_read_back_only_counts_bytes(void **state) {
        Rig *r = started(STORE "read_back = no\n");
        Clip clip = rig_clip(r, 1000, 5);

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_SIZE);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_SIZE);
        /* Under other settings a confirmation does what was not done then. */
        rig_end(r, SIGTERM);
        rig_wait_state(r, "disconnected");
        rig_configure(r, STORE);
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_READY);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_DIGEST);
        fd_close(clip.fd);
        rig_free(r);
}

/* ---- What must not be taken ---------------------------------------------------------------------------------------- */

static void flip_byte(int fd, off_t at) {
        char byte;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte = (char) (byte ^ 0x20);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void flip_byte_of(const char *path, off_t at) {
        _cleanup_(fd_closep) int fd = -EBADF;

        assert_int_equal(chmod(path, 0600), 0);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        flip_byte(fd, at);
}

static void test_source_with_other_bytes_is_refused_and_leaves_nothing(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 5 * MIB, 6);

        (void) state;
        flip_byte(clip.fd, 4 * MIB);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_SOURCE);
        clip.size_bytes--;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_SOURCE);
        assert_int_equal(rig_count(r, "objects") + rig_count(r, "manifests") + rig_count(r, "tmp"), 0);
        assert_string_equal(r->state, WIRE_STORE_READY);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_bad_arguments_are_invalid(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 10, 7), folder = clip;

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, "../up.MP4"), UPLINK_INVALID);
        assert_int_equal(rig_put_and_wait(r, &clip, "/etc/passwd"), UPLINK_INVALID);
        folder.fd = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(rig_put_and_wait(r, &folder, CLIP_PATH), UPLINK_INVALID);
        fd_close(folder.fd);
        snprintf(r->object_key, sizeof(r->object_key), "objects/../../x/y");
        snprintf(r->manifest_key, sizeof(r->manifest_key), "manifests/a/b/c");
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_INVALID);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_tampered_object_is_a_conflict_and_stays(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 2 * MIB, 8);
        _cleanup_(freep) char *object = NULL;

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        object = rig_store_path(r, r->object_key);
        flip_byte_of(object, 12345);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_CONFLICT);
        assert_int_equal(rig_count(r, "objects"), 1);
        assert_int_equal(truncate(object, 100), 0);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_CONFLICT);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_CONFLICT);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_lost_object_and_lost_manifest_are_gone(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 2 * MIB, 9);
        _cleanup_(freep) char *object = NULL, *manifest = NULL;

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        object = rig_store_path(r, r->object_key);
        manifest = rig_store_path(r, r->manifest_key);
        assert_int_equal(unlink(object), 0);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_GONE);
        /* The same bytes make its manifest true again. */
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_OK);
        assert_int_equal(unlink(manifest), 0);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_GONE);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_false(r->already_there);
        fd_close(clip.fd);
        rig_free(r);
}

/* ---- Kills and lost connections ------------------------------------------------------------------------------------ */

static void test_killed_at_any_moment_there_is_one_object_with_its_manifest(void **state) {
        const char *wanted = getenv("BERTH_UPLINK_KILLS");
        unsigned rounds = wanted ? (unsigned) strtoul(wanted, NULL, 10) : KILLS_DEFAULT;
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 12 * MIB, 1000);
        uint64_t began = clock_boottime_usec(), whole;

        (void) state;
        assert_int_equal(rig_put_and_wait(r, &clip, "warm/up.MP4"), UPLINK_OK);
        whole = clock_boottime_usec() - began;
        for (unsigned i = 0; i < rounds; i++) {
                unsigned before = r->puts_done;
                char path[64];

                snprintf(path, sizeof(path), "kill/%u.MP4", i);
                rig_put(r, &clip, path);
                /* From before the first byte to after the receipt. */
                rig_turn_for(r, whole * i / rounds);
                rig_end(r, SIGKILL);
                rig_wait(r, r->puts_done > before);
                rig_start(r);
                rig_wait_state(r, "disconnected");
                rig_wait_state(r, WIRE_STORE_READY);
                assert_int_equal(rig_put_and_wait(r, &clip, path), UPLINK_OK);
                assert_int_equal(rig_count(r, "objects"), i + 2);
                assert_int_equal(rig_count(r, "manifests"), i + 2);
                assert_int_equal(rig_count(r, "tmp"), 0);
        }
        assert_int_equal(rig_check_store(r), rounds + 1);
        fd_close(clip.fd);
        rig_free(r);
}

static void touch(const char *path) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        fd_close(fd);
}

static void test_transfer_ends_with_its_connection(void **state) {
        Rig *r = rig_new(STORE);
        _cleanup_(freep) char *hang = rig_hang_file(r);
        Clip clip = rig_clip(r, 1000, 11);

        (void) state;
        r->preload = "hang_fsync";
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_READY);
        touch(hang);
        rig_put(r, &clip, CLIP_PATH);
        rig_wait(r, rig_count(r, "tmp") > 0);
        rig_connect(r);
        /* The new connection is answered: the end of the old one is known. */
        rig_wait_state(r, WIRE_STORE_READY);
        assert_int_equal(unlink(hang), 0);
        rig_wait(r, rig_count(r, "tmp") == 0);
        assert_int_equal(rig_count(r, "objects") + rig_count(r, "manifests"), 0);
        assert_int_equal(r->puts_done, 0);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_put_without_a_connection_fails_at_a_later_turn(void **state) {
        Rig *r = rig_new(STORE);
        Clip clip = rig_clip(r, 10, 12);

        (void) state;
        assert_string_equal(r->state, "disconnected");
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_UNAVAILABLE);
        /* It comes later, and is found. */
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_READY);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        rig_end(r, SIGTERM);
        rig_wait_state(r, "disconnected");
        assert_int_equal(access(r->socket, F_OK), -1);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_forgotten_call_never_calls_back(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 4 * MIB, 13);

        (void) state;
        rig_put(r, &clip, CLIP_PATH);
        uplink_forget(r->client, r);
        assert_int_equal(rig_put_and_wait(r, &clip, "other.MP4"), UPLINK_OK);
        rig_wait(r, rig_count(r, "manifests") == 2);
        /* Its answer came, too, before this one's. */
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_true(r->already_there);
        assert_int_equal(r->puts_done, 2);
        fd_close(clip.fd);
        rig_free(r);
}

/* ---- The store comes and goes -------------------------------------------------------------------------------------- */

static void test_missing_folder_is_told_and_recovers_by_itself(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 1000, 14);
        char away[128];

        (void) state;
        snprintf(away, sizeof(away), "%s.away", r->store);
        assert_int_equal(rename(r->store, away), 0);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_UNAVAILABLE);
        rig_wait_state(r, WIRE_STORE_MISSING);
        assert_non_null(strstr(r->reason, r->store));
        /* What an unmounted mount point looks like. */
        assert_int_equal(mkdir(r->store, 0755), 0);
        rig_end(r, SIGTERM);
        rig_wait_state(r, "disconnected");
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_MISSING);
        assert_non_null(strstr(r->reason, "is empty, but held the store"));
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_UNAVAILABLE);
        assert_int_equal(rmdir(r->store), 0);
        assert_int_equal(rename(away, r->store), 0);
        rig_wait_state(r, WIRE_STORE_READY);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        fd_close(clip.fd);
        rig_free(r);
}

static void test_folder_with_other_things_is_no_store(void **state) {
        Rig *r = rig_new(STORE);
        _cleanup_(freep) char *path = rig_store_path(r, "letter.txt");

        (void) state;
        touch(path);
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_MISSING);
        assert_non_null(strstr(r->reason, "not empty"));
        rig_free(r);
}

static void test_hanging_store_blocks_neither_answers_nor_the_end(void **state) {
        Rig *r = rig_new(STORE "[uplink]\nstall = 5s\n");
        _cleanup_(freep) char *hang = rig_hang_file(r);
        Clip clip = rig_clip(r, 1000, 17);

        (void) state;
        r->preload = "hang_fsync";
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_READY);
        touch(hang);
        /* Its transfer hangs; its answer does not. */
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_UNAVAILABLE);
        assert_non_null(strstr(r->text, "no sign of life"));
        rig_wait_state(r, WIRE_STORE_ERROR);
        assert_int_equal(rig_put_and_wait(r, &clip, "other.MP4"), UPLINK_UNAVAILABLE);
        assert_int_equal(rig_confirm_and_wait(r, &clip), UPLINK_UNAVAILABLE);
        assert_int_equal(unlink(hang), 0);
        rig_wait_state(r, WIRE_STORE_READY);
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        assert_int_equal(rig_check_store(r), 1);
        /* The end waits for nobody who hangs for ever. */
        touch(hang);
        rig_put(r, &clip, "last.MP4");
        rig_wait(r, rig_count(r, "tmp") > 0);
        rig_end(r, SIGTERM);
        assert_int_equal(rig_check_store(r), 1);
        fd_close(clip.fd);
        rig_free(r);
}

static int run_program(const Rig *r, const char *option, char *ret_said, size_t size) {
        char command[1024];
        size_t n;
        FILE *f;

        snprintf(command, sizeof(command), "%s --config %s %s 2>&1", rig_program(), r->config, option);
        f = popen(command, "r"); /* NOLINT(cert-env33-c): the test's own words */
        assert_non_null(f);
        n = fread(ret_said, 1, size - 1, f);
        ret_said[n] = 0;
        return pclose(f);
}

static void test_store_is_begun_on_request_where_it_is_not_by_itself(void **state) {
        Rig *r = rig_new(STORE "create = no\n");
        char said[1024];

        (void) state;
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_MISSING);
        assert_non_null(strstr(r->reason, "--create-store"));
        assert_int_equal(run_program(r, "--create-store", said, sizeof(said)), 0);
        assert_non_null(strstr(said, "is the store"));
        rig_wait_state(r, WIRE_STORE_READY);
        rig_free(r);
}

static void test_socket_of_a_living_uplink_is_not_taken(void **state) {
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 1000, 15);
        char said[1024];

        (void) state;
        assert_int_not_equal(run_program(r, "", said, sizeof(said)), 0);
        assert_non_null(strstr(said, "another berth-uplink listens there"));
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        /* A killed one's is. */
        rig_end(r, SIGKILL);
        assert_int_equal(access(r->socket, F_OK), 0);
        rig_wait_state(r, "disconnected");
        rig_start(r);
        rig_wait_state(r, WIRE_STORE_READY);
        fd_close(clip.fd);
        rig_free(r);
}

/* ---- Hostile clients ----------------------------------------------------------------------------------------------- */

static int connect_raw(const Rig *r) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", r->socket);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return fd;
}

/* Until the other side ends the connection. */
static bool is_hung_up(int fd) {
        struct timeval limit = { .tv_sec = WAIT_SEC };
        char buffer[4096];
        ssize_t n;

        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
                return false;
        do
                n = read(fd, buffer, sizeof(buffer));
        while (n > 0);
        return n == 0 || errno == ECONNRESET;
}

static void test_garbage_costs_its_own_connection_only(void **state) {
        static const struct {
                const char *bytes;
                size_t size;
        } garbage[] = {
                { "GET / HTTP/1.1\r\n\r\n", 18 },
                { "\000AUTH NONSENSE\r\n", 16 },
                { "\000AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nxxxxxxxxxxxxxxxxxxxxxxxx", 53 },
        };
        Rig *r = started(STORE);
        Clip clip = rig_clip(r, 1000, 16);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(garbage); i++) {
                int fd = connect_raw(r);

                assert_true(fd >= 0);
                assert_int_equal(write(fd, garbage[i].bytes, garbage[i].size), garbage[i].size);
                (void) shutdown(fd, SHUT_WR);
                assert_true(is_hung_up(fd));
                fd_close(fd);
        }
        assert_int_equal(rig_put_and_wait(r, &clip, CLIP_PATH), UPLINK_OK);
        fd_close(clip.fd);
        rig_free(r);
}

/* Exits 0 when the uplink hangs up on a user that is neither root, nor its own, nor peer_user. */
static void be_a_stranger(const Rig *r, const struct passwd *user) {
        int fd;

        (void) alarm(2 * WAIT_SEC);
        if (setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
                _exit(1);
        fd = connect_raw(r);
        _exit(fd >= 0 && is_hung_up(fd) ? 0 : 2);
}

static void test_stranger_is_not_served(void **state) {
        const struct passwd *nobody = getpwnam("nobody");
        int status;
        pid_t pid;
        Rig *r;

        (void) state;
        if (geteuid() != 0 || !nobody)
                skip();
        r = started(STORE);
        assert_int_equal(chmod(r->folder, 0755), 0);
        assert_int_equal(chmod(r->socket, 0666), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                be_a_stranger(r, nobody);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_string_equal(r->state, WIRE_STORE_READY);
        rig_free(r);
}

/* ---- Configuration ------------------------------------------------------------------------------------------------- */

static void refused_with(const Rig *r, const char *config, const char *expected) {
        FILE *f = fopen(r->config, "w");
        char said[1024];

        assert_non_null(f);
        fputs(config, f);
        fclose(f);
        assert_int_not_equal(run_program(r, "", said, sizeof(said)), 0);
        if (!strstr(said, expected))
                fail_msg("expected '%s' in: %s", expected, said);
}

static void test_bad_configuration_names_the_line_and_nothing_starts(void **state) {
        Rig *r = rig_new(STORE);

        (void) state;
        refused_with(r, "[store]\ntype = dir\npath = relative\n", "uplink.conf:3: [store] path: 'relative' is not an absolute path");
        refused_with(r, "[store]\ntype = floppy\n", "uplink.conf:2: [store] type: 'floppy'");
        refused_with(r, "[store]\ntype = dir\n", "lacks path");
        refused_with(r, "[store]\npath = /srv\n", "lacks type");
        refused_with(r, "[store]\nread_back = maybe\n", "uplink.conf:2: [store] read_back: 'maybe'");
        refused_with(r, "[uplink]\npeer_user = nobody-at-all\n", "there is no user 'nobody-at-all'");
        refused_with(r, "[uplink]\ntransfers = 0\n", "not between 1 and 64");
        refused_with(r, "[store]\nspeed = 3\n", "unknown key");
        refused_with(r, "[upkeep]\n", "unknown section");
        refused_with(r, "[store]\ntype = dir\npath = /srv/a\nmount_point = /srv/b\n", "not beneath");
        rig_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clip_is_stored_once_and_confirmed),
                cmocka_unit_test(test_empty_clip_is_stored),
                cmocka_unit_test(test_manifest_tells_all_of_the_clip),
                cmocka_unit_test(test_progress_is_told_while_a_large_clip_is_sent),
                cmocka_unit_test(test_limit_holds_and_is_no_stall),
                cmocka_unit_test(test_order_to_hold_lets_a_put_stand_still),
                cmocka_unit_test(test_folder_on_the_spools_disk_is_only_local),
                cmocka_unit_test(test_store_that_is_not_read_back_only_counts_bytes),
                cmocka_unit_test(test_source_with_other_bytes_is_refused_and_leaves_nothing),
                cmocka_unit_test(test_bad_arguments_are_invalid),
                cmocka_unit_test(test_tampered_object_is_a_conflict_and_stays),
                cmocka_unit_test(test_lost_object_and_lost_manifest_are_gone),
                cmocka_unit_test(test_killed_at_any_moment_there_is_one_object_with_its_manifest),
                cmocka_unit_test(test_transfer_ends_with_its_connection),
                cmocka_unit_test(test_put_without_a_connection_fails_at_a_later_turn),
                cmocka_unit_test(test_forgotten_call_never_calls_back),
                cmocka_unit_test(test_missing_folder_is_told_and_recovers_by_itself),
                cmocka_unit_test(test_folder_with_other_things_is_no_store),
                cmocka_unit_test(test_hanging_store_blocks_neither_answers_nor_the_end),
                cmocka_unit_test(test_store_is_begun_on_request_where_it_is_not_by_itself),
                cmocka_unit_test(test_socket_of_a_living_uplink_is_not_taken),
                cmocka_unit_test(test_garbage_costs_its_own_connection_only),
                cmocka_unit_test(test_stranger_is_not_served),
                cmocka_unit_test(test_bad_configuration_names_the_line_and_nothing_starts),
        };

        log_init("test_uplink");
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
