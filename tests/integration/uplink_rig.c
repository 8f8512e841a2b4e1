/* SPDX-License-Identifier: Apache-2.0 */
#include "integration/uplink_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

#define CHUNK 65536u

/* ---- The client's callbacks ---------------------------------------------------------------------------------------- */

static void on_state(void *userdata, const char *state, const char *reason) {
        Rig *r = userdata;

        snprintf(r->state, sizeof(r->state), "%s", state);
        snprintf(r->reason, sizeof(r->reason), "%s", reason ? reason : "");
}

static void on_progress(void *userdata, uint64_t clip_id, uint64_t bytes) {
        Rig *r = userdata;

        assert_int_equal(clip_id, CLIP_ID);
        r->progress++;
        r->progress_bytes = bytes;
}

static void take_answer(Rig *r, const UplinkAnswer *answer) {
        r->result = answer->result;
        snprintf(r->text, sizeof(r->text), "%s: %s", uplink_result_to_string(answer->result), answer->text ? answer->text : "");
        snprintf(r->strength, sizeof(r->strength), "%s", answer->strength ? answer->strength : "");
}

static void on_put(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rig *r = userdata;

        assert_ptr_equal(cookie, r);
        r->puts_done++;
        take_answer(r, answer);
        if (answer->result != UPLINK_OK) {
                assert_true(answer->text && answer->text[0]);
                assert_null(answer->receipt);
                return;
        }
        snprintf(r->object_key, sizeof(r->object_key), "%s", answer->receipt->object_key);
        snprintf(r->manifest_key, sizeof(r->manifest_key), "%s", answer->receipt->manifest_key);
        r->already_there = answer->receipt->already_there;
}

static void on_confirm(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rig *r = userdata;

        assert_ptr_equal(cookie, r);
        r->confirms_done++;
        take_answer(r, answer);
}

/* ---- Program and client -------------------------------------------------------------------------------------------- */

void rig_configure(const Rig *r, const char *extra) {
        FILE *f = fopen(r->config, "w");

        assert_non_null(f);
        fprintf(f, "[uplink]\nsocket = %s\nstate_dir = %s\n[store]\ntype = dir\npath = %s\n%s", r->socket, r->folder, r->store,
                extra);
        assert_int_equal(fclose(f), 0);
}

static const char *build_folder(void) {
        const char *build = getenv("BERTH_BUILD");

        return build ? build : "build";
}

const char *rig_program(void) {
        static char program[512];

        snprintf(program, sizeof(program), "%s/berth-uplink", build_folder());
        return program;
}

char *rig_hang_file(const Rig *r) {
        char *path = text_format("%s/hang", r->folder);

        assert_non_null(path);
        return path;
}

static void set_preload(const Rig *r) {
        _cleanup_(freep) char *hang = rig_hang_file(r);
        _cleanup_(freep) char *object = text_format("%s/tests/preload/%s.so", build_folder(), r->preload);
        const char *asan = getenv("ASAN_OPTIONS");
        _cleanup_(freep) char *options = text_format("%s:verify_asan_link_order=0", asan ? asan : "");

        if (!object || !options || setenv("LD_PRELOAD", object, 1) < 0 || setenv("BERTH_HANG_FILE", hang, 1) < 0 ||
            setenv("ASAN_OPTIONS", options, 1) < 0)
                _exit(127);
}

void rig_connect(Rig *r) {
        static const UplinkOps ops = { .on_state = on_state, .on_progress = on_progress };

        r->client = uplink_free(r->client);
        assert_int_equal(uplink_new(r->event, r->socket, &ops, r, &r->client), 0);
        snprintf(r->state, sizeof(r->state), "%s", uplink_state(r->client, NULL));
}

Rig *rig_new(const char *extra) {
        const char *scratch = getenv("TMPDIR");
        Rig *r = calloc(1, sizeof(*r));

        assert_non_null(r);
        snprintf(r->folder, sizeof(r->folder), "%s/uplink-XXXXXX", scratch && strlen(scratch) < 40 ? scratch : "/tmp");
        assert_non_null(mkdtemp(r->folder));
        snprintf(r->store, sizeof(r->store), "%s/store", r->folder);
        snprintf(r->socket, sizeof(r->socket), "%s/socket", r->folder);
        snprintf(r->config, sizeof(r->config), "%s/uplink.conf", r->folder);
        assert_int_equal(mkdir(r->store, 0755), 0);
        rig_configure(r, extra);
        assert_true(sd_event_new(&r->event) >= 0);
        rig_connect(r);
        return r;
}

void rig_start(Rig *r) {
        const char *program = rig_program();

        assert_int_equal(r->pid, 0);
        r->pid = fork();
        assert_true(r->pid >= 0);
        if (r->pid == 0) {
                /* A test that fails leaves nothing running. */
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (r->preload)
                        set_preload(r);
                execl(program, program, "--config", r->config, NULL);
                _exit(127);
        }
}

void rig_end(Rig *r, int signal) {
        int status;

        assert_int_equal(kill(r->pid, signal), 0);
        assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
        r->pid = 0;
        if (signal == SIGTERM)
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

void rig_free(Rig *r) {
        if (r->pid > 0)
                rig_end(r, SIGTERM);
        uplink_free(r->client);
        sd_event_unref(r->event);
        assert_int_equal(nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(r);
}

uint64_t rig_deadline(void) {
        return clock_boottime_usec() + WAIT_SEC * USEC_PER_SEC;
}

void rig_turn(Rig *r, uint64_t deadline, const char *awaited) {
        assert_true(sd_event_run(r->event, 20 * USEC_PER_MSEC) >= 0);
        if (clock_boottime_usec() > deadline)
                fail_msg("waited in vain for %s; the store is %s: %s; last answer: %s", awaited, r->state, r->reason, r->text);
}

void rig_wait_state(Rig *r, const char *state) {
        rig_wait(r, text_equal(r->state, state));
}

void rig_turn_for(Rig *r, uint64_t usec) {
        uint64_t end = clock_boottime_usec() + usec, now;

        while ((now = clock_boottime_usec()) < end)
                assert_true(sd_event_run(r->event, end - now) >= 0);
}

/* ---- Clips --------------------------------------------------------------------------------------------------------- */

Clip rig_clip(const Rig *r, uint64_t size_bytes, uint64_t seed) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        uint64_t chunk[CHUNK / sizeof(uint64_t)];
        Clip clip = { .size_bytes = size_bytes };
        char path[128];

        snprintf(path, sizeof(path), "%s/spool", r->folder);
        (void) unlink(path);
        clip.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(clip.fd >= 0);
        assert_int_equal(hasher_new(&hasher), 0);
        for (uint64_t at = 0; at < size_bytes; at += CHUNK) {
                size_t n = size_bytes - at < CHUNK ? (size_t) (size_bytes - at) : CHUNK;

                for (size_t i = 0; i < ELEMENTSOF(chunk); i++) {
                        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                        chunk[i] = seed;
                }
                assert_int_equal(fd_write_full(clip.fd, chunk, n), 0);
                assert_int_equal(hasher_update(hasher, chunk, n), 0);
        }
        assert_int_equal(hasher_finish(hasher, &clip.digest), 0);
        return clip;
}

void rig_put(Rig *r, const Clip *clip, const char *path) {
        UplinkPut put = {
                .clip_id = CLIP_ID,
                .fd = clip->fd,
                .serial = SERIAL,
                .path = path,
                .docked_unix_sec = MTIME + 86400,
                .mtime_unix_sec = MTIME,
                .size_bytes = clip->size_bytes,
                .digest = clip->digest,
                .facts_json = "{\"dock\": \"test\", \"n\":  1.50}",
        };

        assert_int_equal(uplink_put(r->client, &put, on_put, r), 0);
}

UplinkResult rig_put_and_wait(Rig *r, const Clip *clip, const char *path) {
        unsigned before = r->puts_done;

        rig_put(r, clip, path);
        assert_int_equal(r->puts_done, before);
        rig_wait(r, r->puts_done > before);
        return r->result;
}

UplinkResult rig_confirm_and_wait(Rig *r, const Clip *clip) {
        unsigned before = r->confirms_done;

        assert_int_equal(uplink_confirm(r->client, r->object_key, r->manifest_key, clip->size_bytes, &clip->digest, on_confirm, r), 0);
        assert_int_equal(r->confirms_done, before);
        rig_wait(r, r->confirms_done > before);
        return r->result;
}

/* ---- The store ----------------------------------------------------------------------------------------------------- */

/* nftw() takes no userdata. */
static unsigned counted;
static const Rig *checked;

char *rig_store_path(const Rig *r, const char *key) {
        char *path = text_format("%s/%s", r->store, key);

        assert_non_null(path);
        return path;
}

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) path;
        (void) ftw;
        counted += type == FTW_F && S_ISREG(st->st_mode);
        return 0;
}

unsigned rig_count(const Rig *r, const char *below) {
        _cleanup_(freep) char *path = rig_store_path(r, below);

        counted = 0;
        if (nftw(path, count_one, 16, FTW_PHYS) < 0)
                assert_int_equal(errno, ENOENT);
        return counted;
}

static void check_object(const char *path, uint64_t size_bytes, const char *sha256) {
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        char buffer[CHUNK], hex[DIGEST_HEX_SIZE];
        uint64_t size = 0;
        Digest digest;
        ssize_t n;

        if (fd < 0)
                fail_msg("a manifest names %s, which is not there", path);
        assert_int_equal(hasher_new(&hasher), 0);
        while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
                assert_int_equal(hasher_update(hasher, buffer, (size_t) n), 0);
                size += (uint64_t) n;
        }
        assert_int_equal(n, 0);
        assert_int_equal(hasher_finish(hasher, &digest), 0);
        assert_int_equal(size, size_bytes);
        assert_string_equal(digest_to_hex(&digest, hex), sha256);
}

static int check_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        _cleanup_(freep) char *object = NULL;
        json_t *j;

        (void) ftw;
        if (type != FTW_F || !S_ISREG(st->st_mode))
                return 0;
        j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(j);
        object = rig_store_path(checked, json_string_value(json_object_get(j, "object")));
        check_object(object, (uint64_t) json_integer_value(json_object_get(j, "size")),
                     json_string_value(json_object_get(j, "sha256")));
        json_decref(j);
        counted++;
        return 0;
}

unsigned rig_check_store(const Rig *r) {
        _cleanup_(freep) char *manifests = rig_store_path(r, "manifests");
        unsigned n;

        counted = 0;
        checked = r;
        assert_int_equal(nftw(manifests, check_one, 16, FTW_PHYS), 0);
        n = counted;
        assert_int_equal(rig_count(r, "objects"), n);
        return n;
}
