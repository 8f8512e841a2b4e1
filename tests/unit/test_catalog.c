/* SPDX-License-Identifier: Apache-2.0 */

/* The firmware catalog and minisign's signatures, made by minisign itself: base/catalog.c, base/minisign.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/catalog.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

extern char **environ;

#define DAY (24 * 3600 * (int64_t) USEC_PER_SEC)
#define IMAGE_TEXT "firmware of a camera"
/* 2027-02-28 */
#define EXPIRES (20877 * DAY)

typedef struct World {
        char dir[64];
        int fd;
        MinisignKeys ours, next;
        char next_text[MINISIGN_KEY_TEXT_SIZE], image_hex[DIGEST_HEX_SIZE];
} World;

/* ---- The tool ---------------------------------------------------------------------------------------------------------- */

static void run_minisign(const World *w, char *const *argv) {
        posix_spawn_file_actions_t actions;
        int status = -1;
        pid_t pid;

        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_addchdir_np(&actions, w->dir), 0);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0), 0);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0), 0);
        assert_int_equal(posix_spawnp(&pid, "minisign", &actions, NULL, argv, environ), 0);
        assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

#define RUN(w, ...) run_minisign((w), (char *const[]){ (char *) "minisign", __VA_ARGS__, NULL })
#define S(text) ((char *) (text))

static void new_key(const World *w, const char *pub, const char *secret, MinisignKeys *ret) {
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        size_t size;

        RUN(w, S("-G"), S("-W"), S("-f"), S("-p"), S(pub), S("-s"), S(secret));
        assert_int_equal(fd_read_file(w->fd, pub, MINISIGN_FILE_MAX, &text, &size), 0);
        assert_int_equal(minisign_keys_parse(pub, text, size, ret, &error), 0);
        assert_int_equal(ret->n, 1);
}

static char *sign(const World *w, const char *text, const char *secret, bool old_kind) {
        size_t size;
        char *ret;

        assert_int_equal(fd_replace_file(w->fd, "c.json", text, strlen(text), 0600), 0);
        RUN(w, S("-S"), S(old_kind ? "-l" : "-H"), S("-s"), S(secret), S("-m"), S("c.json"), S("-t"), S("for the north"));
        assert_int_equal(fd_read_file(w->fd, "c.json.minisig", MINISIGN_FILE_MAX, &ret, &size), 0);
        return ret;
}

static int setup(void **state) {
        World *w = calloc(1, sizeof(*w));
        Digest digest;

        assert_non_null(w);
        (void) strcpy(w->dir, "catalog.XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        w->fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(w->fd >= 0);
        new_key(w, "a.pub", "a.key", &w->ours);
        new_key(w, "b.pub", "b.key", &w->next);
        (void) minisign_key_to_text(&w->next.keys[0], w->next_text);
        assert_int_equal(digest_of(IMAGE_TEXT, strlen(IMAGE_TEXT), &digest), 0);
        (void) digest_to_hex(&digest, w->image_hex);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        fd_close(w->fd);
        free(w);
        return 0;
}

/* ---- Catalogs ---------------------------------------------------------------------------------------------------------- */

static char *make(const World *w, unsigned version, const char *more) {
        char *text = text_format("{\"type\":\"berth-firmware-catalog\",\"v\":1,\"version\":%u,\"expires\":\"2027-02-28\"%s,\"images\":["
                                 "{\"model\":\"cam\",\"version\":\"2.1\",\"floor\":\"1.9\",\"file\":\"FW.BIN\",\"hardware\":[\"B\",\"C\"],"
                                 "\"size\":%zu,\"sha256\":\"%s\"}]}",
                                 version, more, strlen(IMAGE_TEXT), w->image_hex);

        assert_non_null(text);
        return text;
}

static int open_it(const World *w, const char *text, const char *signature, uint64_t last, uint64_t named, Catalog **ret,
                   ConfError *error) {
        const CatalogTrust trust = { .keys = &w->ours, .fleet = "north", .last_version = last, .key_version = named };

        return catalog_open(text, strlen(text), signature, strlen(signature), &trust, ret, error);
}

static void assert_refused(const World *w, const char *text, const char *signature, uint64_t last, uint64_t named, int result,
                           const char *sentence) {
        Catalog *untouched = (Catalog *) (uintptr_t) 1, *c = untouched;
        ConfError error = { 0 };

        assert_int_equal(open_it(w, text, signature, last, named, &c, &error), result);
        assert_ptr_equal(c, untouched);
        if (!strstr(error.text, sentence))
                fail_msg("'%s' does not say '%s'", error.text, sentence);
}

static void test_catalog_signed_by_minisign_is_read(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, ",\"fleet\":\"north\""), *signature = sign(w, text, "a.key", false);
        _cleanup_(catalog_freep) Catalog *c = NULL;
        ConfError error = { 0 };
        const CatalogImage *image;

        assert_int_equal(open_it(w, text, signature, 6, 7, &c, &error), 0);
        assert_int_equal(c->version, 7);
        assert_int_equal(c->expires_usec, EXPIRES);
        assert_false(catalog_expired(c, EXPIRES - 1, &error));
        image = catalog_find(c, "cam", "2.1", &error);
        assert_non_null(image);
        assert_string_equal(image->floor, "1.9");
        assert_string_equal(image->file, "FW.BIN");
        assert_null(catalog_misfit(image, "cam", "C"));
        assert_non_null(catalog_misfit(image, "cam", "A"));
        assert_non_null(catalog_misfit(image, "cam", ""));
        assert_non_null(catalog_misfit(image, "other", "C"));
}

static void test_forged_and_truncated_catalogs_are_refused(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, ""), *signature = sign(w, text, "a.key", false), *forged = strdup(text);
        _cleanup_(freep) char *comment = strdup(signature), *cut = strdup(text);

        memcpy(strstr(forged, "\"2.1\""), "\"2.2\"", 5);
        assert_refused(w, forged, signature, 0, 0, -EKEYREJECTED, "changed or cut off");
        cut[strlen(cut) - 1] = 0;
        assert_refused(w, cut, signature, 0, 0, -EKEYREJECTED, "changed or cut off");
        memcpy(strstr(comment, "north"), "south", 5);
        assert_refused(w, text, comment, 0, 0, -EKEYREJECTED, "trusted comment of the signature was changed");
}

static void test_another_key_is_not_believed(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, ""), *signature = sign(w, text, "b.key", false), *old = sign(w, text, "a.key", true);
        char id[MINISIGN_ID_HEX_SIZE], sentence[64];

        (void) snprintf(sentence, sizeof(sentence), "the key %s", minisign_id_to_hex(w->next.keys[0].id, id));
        assert_refused(w, text, signature, 0, 0, -EKEYREJECTED, sentence);
        assert_refused(w, text, old, 0, 0, -ENOTSUP, "old kind");
}

static void test_catalog_is_not_played_again(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, ""), *signature = sign(w, text, "a.key", false);
        _cleanup_(freep) char *south = make(w, 7, ",\"fleet\":\"south\""), *of_south = sign(w, south, "a.key", false);

        assert_refused(w, text, signature, 7, 0, -ESTALE, "not newer than version 7");
        assert_refused(w, text, signature, 8, 0, -ESTALE, "not newer than version 8");
        assert_refused(w, text, signature, 6, 9, -EXDEV, "under the name of version 9");
        assert_refused(w, south, of_south, 6, 7, -EXDEV, "for the fleet south");
}

static void test_frozen_catalog_is_noticed(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, "");
        _cleanup_(catalog_freep) Catalog *c = NULL;
        ConfError error = { 0 };

        assert_int_equal(catalog_parse(text, strlen(text), &c, &error), 0);
        assert_true(catalog_expired(c, EXPIRES, &error));
        assert_non_null(strstr(error.text, "expired on 2027-02-28"));
}

static void test_keys_rotate_by_a_catalog(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *more = text_format(",\"keys\":[\"%s\"]", w->next_text), *text = make(w, 7, more);
        _cleanup_(freep) char *signature = sign(w, text, "a.key", false), *later = make(w, 8, "");
        _cleanup_(freep) char *by_next = sign(w, later, "b.key", false), *by_old = sign(w, later, "a.key", false);
        _cleanup_(catalog_freep) Catalog *c = NULL, *d = NULL;
        ConfError error = { 0 };
        CatalogTrust trust;

        assert_int_equal(open_it(w, text, signature, 6, 7, &c, &error), 0);
        assert_int_equal(c->keys.n, 1);
        trust = (CatalogTrust){ .keys = &c->keys, .fleet = "", .last_version = 7, .key_version = 8 };
        assert_int_equal(catalog_open(later, strlen(later), by_old, strlen(by_old), &trust, &d, &error), -EKEYREJECTED);
        assert_int_equal(catalog_open(later, strlen(later), by_next, strlen(by_next), &trust, &d, &error), 0);
}

static void test_wrong_model_and_wrong_image_are_refused(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, "");
        _cleanup_(catalog_freep) Catalog *c = NULL;
        _cleanup_(fd_closep) int fd = -EBADF;
        ConfError error = { 0 };

        assert_int_equal(catalog_parse(text, strlen(text), &c, &error), 0);
        assert_null(catalog_find(c, "other", "2.1", &error));
        assert_non_null(strstr(error.text, "for the model cam, not for other"));
        assert_null(catalog_find(c, "cam", "3", &error));
        assert_non_null(strstr(error.text, "is not in version 7"));

        fd = openat(w->fd, "image", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fd_pwrite_full(fd, IMAGE_TEXT, strlen(IMAGE_TEXT), 0), 0);
        assert_int_equal(catalog_check_image(&c->images[0], fd, &error), 0);
        assert_int_equal(fd_pwrite_full(fd, "F", 1, 0), 0);
        assert_int_equal(catalog_check_image(&c->images[0], fd, &error), -EBADMSG);
        assert_non_null(strstr(error.text, "not the SHA-256"));
        assert_int_equal(ftruncate(fd, 3), 0);
        assert_int_equal(catalog_check_image(&c->images[0], fd, &error), -EBADMSG);
        assert_non_null(strstr(error.text, "has 3 bytes"));
}

static void test_hostile_catalogs_are_refused(void **state) {
        static const struct {
                const char *from, *to, *sentence;
        } changes[] = {
                { "\"v\":1", "\"v\":2", "later version of Berth" },
                { "\"v\":1", "\"v\":1,\"v\":1", "duplicate" },
                { "\"v\":1", "\"v\":1,\"only\":1", "does not know" },
                { "\"version\":7", "\"version\":0", "a number from 1" },
                { "\"version\":7", "\"version\":-1", "a number from 1" },
                { "\"version\":7", "\"version\":\"7\"", "a number from 1" },
                { "\"version\":7", "\"version\":99999999999", "a number from 1" },
                { "2027-02-28", "2027-02-30", "must be a day" },
                { "2027-02-28", "soon", "must be a day" },
                { "\"file\":\"FW.BIN\"", "\"file\":\"../FW\"", "plain name" },
                { "\"file\":\"FW.BIN\"", "\"file\":\"a/b\"", "plain name" },
                { "\"model\":\"cam\"", "\"model\":\"c\\u0000m\"", "not allowed" },
                { "\"model\":\"cam\"", "\"model\":\"c\\u001bm\"", "printable" },
                { "\"hardware\":[\"B\",\"C\"]", "\"hardware\":[]", "1 to 16" },
                { "\"hardware\":[\"B\",\"C\"]", "\"hardware\":[3]", "no short text" },
                { "\"size\":20", "\"size\":20000000000", "a number from 1" },
                { "\"sha256\":\"", "\"sha256\":\"zz", "sha256" },
                { "\"images\":[", "\"images\":[[],", "image 1 is no object" },
        };
        const World *w = *state;

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                _cleanup_(freep) char *text = make(w, 7, ""), *changed = NULL;
                const char *at = strstr(text, changes[i].from);
                Catalog *c = NULL;
                ConfError error = { 0 };

                assert_non_null(at);
                changed = text_format("%.*s%s%s", (int) (at - text), text, changes[i].to, at + strlen(changes[i].from));
                assert_non_null(changed);
                assert_int_equal(catalog_parse(changed, strlen(changed), &c, &error), -EBADMSG);
                assert_null(c);
                if (!strstr(error.text, changes[i].sentence))
                        fail_msg("%s: '%s'", changes[i].to, error.text);
        }
}

static void test_hostile_signatures_are_refused(void **state) {
        const World *w = *state;
        _cleanup_(freep) char *text = make(w, 7, ""), *signature = sign(w, text, "a.key", false);
        _cleanup_(freep) char *longer = text_format("%smore\n", signature);
        MinisignSignature s;
        ConfError error = { 0 };
        MinisignKeys keys;

        /* Cut off anywhere, but for the end of the last line. */
        for (size_t n = 0; n + 1 < strlen(signature); n++)
                assert_true(minisign_parse(signature, n, &s, &error) < 0);
        assert_int_equal(minisign_parse(longer, strlen(longer), &s, &error), -EBADMSG);
        assert_int_equal(minisign_keys_parse("k", "", 0, &keys, &error), -EBADMSG);
        assert_int_equal(minisign_keys_parse("k", "RWQ\n", 4, &keys, &error), -EBADMSG);
        assert_string_equal(error.text, "k:1: this is no public key of minisign, which begins with RW");
}

static void test_names_in_the_store(void **state) {
        char key[CATALOG_KEY_SIZE];
        uint64_t version = 0;

        (void) state;
        assert_string_equal(catalog_key(12, true, key), "firmware/catalog/0000000012.json.minisig");
        assert_int_equal(catalog_version_of_key(key, &version), -EINVAL);
        assert_string_equal(catalog_key(12, false, key), "firmware/catalog/0000000012.json");
        assert_int_equal(catalog_version_of_key(key, &version), 0);
        assert_int_equal(version, 12);
        assert_int_equal(catalog_version_of_key("firmware/catalog/0000000000.json", &version), -EINVAL);
        assert_int_equal(catalog_version_of_key("firmware/catalog/+000000012.json", &version), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_catalog_signed_by_minisign_is_read),
                cmocka_unit_test(test_forged_and_truncated_catalogs_are_refused),
                cmocka_unit_test(test_another_key_is_not_believed),
                cmocka_unit_test(test_catalog_is_not_played_again),
                cmocka_unit_test(test_frozen_catalog_is_noticed),
                cmocka_unit_test(test_keys_rotate_by_a_catalog),
                cmocka_unit_test(test_wrong_model_and_wrong_image_are_refused),
                cmocka_unit_test(test_hostile_catalogs_are_refused),
                cmocka_unit_test(test_hostile_signatures_are_refused),
                cmocka_unit_test(test_names_in_the_store),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
