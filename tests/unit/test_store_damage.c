/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Thousands of random damages to the state folder's files. Each time the start refuses with a sentence, or what it works with is
 * right: what the start cannot see, the proof beside the work finds; and nothing wrong ever licenses an erase.
 * BERTH_DAMAGES says how many, BERTH_SEED which.
 */

#include "unit/store_rig.h"

#include <stdlib.h>

#include "store/chain_check.h"

#define DAMAGES 2000u
#define STORED 8u /* clips with a receipt */
#define CLIPS 12u
#define FILLERS 400u
#define SIGNATURE 1024u

typedef struct File {
        const char *name;
        uint8_t *bytes;
        size_t size;
} File;

enum { DB, WAL, HEAD, _FILES_MAX };

/* A state folder as it lies on the disk: after an orderly end, or after a kill, with its log. */
typedef struct Snapshot {
        File files[_FILES_MAX];
} Snapshot;

static Snapshot ended, killed;
static char golden[CLIPS + 1][SIGNATURE];

static uint64_t random_state;

/* splitmix64 */
static uint64_t random_below(uint64_t n) {
        uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (z ^ (z >> 31)) % n;
}

/* ---- The folder ---------------------------------------------------------------------------------------------------- */

static File read_file(const Rig *rig, const char *name) {
        _cleanup_(freep) char *path = rig_path(rig, name);
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        File f = { .name = name };
        struct stat st;

        if (fd < 0)
                return f;
        assert_int_equal(fstat(fd, &st), 0);
        f.size = (size_t) st.st_size;
        f.bytes = malloc(f.size + 1);
        assert_non_null(f.bytes);
        assert_int_equal(fd_pread_full(fd, f.bytes, f.size, 0), 0);
        return f;
}

static Snapshot take_snapshot(const Rig *rig) {
        return (Snapshot){ { read_file(rig, "berth.db"), read_file(rig, "berth.db-wal"), read_file(rig, "chain.head") } };
}

static void write_file(const Rig *rig, const File *f) {
        _cleanup_(freep) char *path = rig_path(rig, f->name);
        _cleanup_(fd_closep) int fd = -EBADF;

        (void) unlink(path);
        if (!f->bytes)
                return;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_full(fd, f->bytes, f->size), 0);
}

static void write_snapshot(const Rig *rig, const Snapshot *s) {
        _cleanup_(freep) char *shm = rig_path(rig, "berth.db-shm");

        (void) unlink(shm);
        for (size_t i = 0; i < _FILES_MAX; i++)
                write_file(rig, &s->files[i]);
}

/* ---- Damages ------------------------------------------------------------------------------------------------------- */

static void flip_bits(File *f, uint64_t n) {
        for (uint64_t i = 0; i < n; i++)
                f->bytes[random_below(f->size)] ^= (uint8_t) (1u << random_below(8));
}

static void spoil_sector(File *f) {
        size_t at = (size_t) random_below(f->size) & ~(size_t) 511, n = MIN2((size_t) 512, f->size - at);
        bool zeros = random_below(2) == 0;

        for (size_t i = 0; i < n; i++)
                f->bytes[at + i] = zeros ? 0 : (uint8_t) random_below(256);
}

/* As by a disk that wrote to the wrong place. */
static void misplace_page(File *f) {
        size_t pages = f->size / 4096;

        if (pages >= 2)
                memmove(f->bytes + random_below(pages) * 4096, f->bytes + random_below(pages) * 4096, 4096);
}

static void damage(File *f) {
        switch (random_below(6)) {
        case 0:
        case 1:
                return flip_bits(f, 1);
        case 2:
                return flip_bits(f, 2 + random_below(30));
        case 3:
                return spoil_sector(f);
        case 4:
                return misplace_page(f);
        default:
                f->size = (size_t) random_below(f->size);
        }
}

/* A copy of a snapshot with one file damaged; returns which. */
static const char *write_damaged(const Rig *rig) {
        const Snapshot *from = random_below(3) == 0 ? &killed : &ended;
        Snapshot s = *from;
        uint64_t dice = random_below(10);
        File *f = &s.files[dice == 0 ? HEAD : from == &killed && dice < 7 ? WAL : DB];

        assert_non_null(f->bytes);
        f->bytes = memcpy(malloc(f->size + 1), f->bytes, f->size);
        damage(f);
        write_snapshot(rig, &s);
        free(f->bytes);
        return f->name;
}

/* ---- What is believed ---------------------------------------------------------------------------------------------- */

static void sign(Rig *rig, uint64_t id, char ret[static SIGNATURE]) {
        char digest[DIGEST_HEX_SIZE], receipt[DIGEST_HEX_SIZE], head[DIGEST_HEX_SIZE];
        _cleanup_(clip_row_freep) ClipRow *c = NULL;
        int r = store_clip(rig->store, id, &c);

        if (r < 0)
                (void) snprintf(ret, SIGNATURE, "none: %d", r);
        else
                (void) snprintf(ret, SIGNATURE, "%s %s %s %llu %lld %u %u %d %s %s %s %s %s", c->serial, c->path,
                                clip_state_to_string(c->state), (unsigned long long) c->size_bytes, (long long) c->mtime_unix_sec,
                                c->ordinal, c->flags,
                                c->spool_name != NULL, digest_to_hex(&c->digest, digest), digest_to_hex(&c->head, head),
                                c->object_key ? c->object_key : "", c->strength ? c->strength : "",
                                digest_to_hex(&c->receipt_digest, receipt));
}

/* 0 when all is as it was. */
static uint64_t first_wrong(Rig *rig) {
        char now[SIGNATURE];

        for (uint64_t id = 1; id <= CLIPS; id++) {
                sign(rig, id, now);
                if (!text_equal(now, golden[id]))
                        return id;
        }
        return 0;
}

static void judge_refusal(const Rig *rig, int r, const char *file) {
        bool named = strstr(rig->error.text, "berth.db") || strstr(rig->error.text, "chain.head");

        if (!named || r == -ENOMEM)
                print_error("%s damaged: %d: '%s'\n", file, r, rig->error.text);
        assert_true(named);
        assert_true(r != -ENOMEM);
}

static void try_erase(Rig *rig, uint64_t id) {
        Fact erase = rig_erase(1, id);
        char now[SIGNATURE];

        sign(rig, id, now);
        /* Whoever erases has read the clip's row first; one that cannot be read is no clip to erase. */
        if (strncmp(now, "none: ", 6) == 0)
                return;
        if (rig_put(rig, &erase) < 0)
                return;
        if (!text_equal(now, golden[id]))
                print_error("erased with\n  %s\ninstead of\n  %s\n", now, golden[id]);
        assert_string_equal(now, golden[id]);
}

typedef struct Counts {
        unsigned refused, whole, found;
} Counts;

static void one_damage(Rig *rig, Counts *counts) {
        const char *file = write_damaged(rig);
        ConfError error = { 0 };
        uint64_t wrong;
        int r;

        rig->error.text[0] = 0;
        r = rig_open(rig);
        if (r < 0) {
                judge_refusal(rig, r, file);
                counts->refused++;
                return;
        }
        r = chain_check_now(rig->store, &error);
        wrong = first_wrong(rig);
        if (r >= 0 && wrong != 0) {
                char now[SIGNATURE];

                sign(rig, wrong, now);
                print_error("%s damaged: believed of clip %llu\n  %s\ninstead of\n  %s\nin %s\n", file, (unsigned long long) wrong, now,
                            golden[wrong], rig->dir);
        }
        assert_true(r < 0 || wrong == 0);
        assert_true(r >= 0 || error.text[0] != 0);
        counts->whole += r >= 0;
        counts->found += r < 0;
        try_erase(rig, 1 + random_below(STORED));
        rig_close(rig);
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
        const char *text = getenv(name);

        return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static void test_no_damage_is_believed_and_none_is_passed_over(void **state) {
        uint64_t seed = number_from("BERTH_SEED", 1), n = number_from("BERTH_DAMAGES", DAMAGES);
        Counts counts = { 0 };

        for (uint64_t i = 0; i < n; i++) {
                random_state = seed * 1000003 + i;
                one_damage(*state, &counts);
        }
        print_message("# %u damages were refused at the start, %u found by the proof of the chain, %u made no difference\n",
                      counts.refused, counts.found, counts.whole);
        assert_true(counts.refused > 0 && counts.found > 0 && counts.whole > 0);
}

static void test_snapshots_themselves_are_whole(void **state) {
        const Snapshot *const snapshots[] = { &ended, &killed };
        Rig *rig = *state;

        for (size_t i = 0; i < ELEMENTSOF(snapshots); i++) {
                ConfError error = { 0 };

                write_snapshot(rig, snapshots[i]);
                assert_int_equal(rig_open(rig), 0);
                assert_int_equal(chain_check_now(rig->store, &error), 0);
                assert_int_equal(first_wrong(rig), 0);
                rig_close(rig);
        }
}

/* ---- Setup --------------------------------------------------------------------------------------------------------- */

static void fill(Rig *rig) {
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        unsigned next = rig->completions + 1;

        assert_int_equal(store_batch_new(&batch), 0);
        for (unsigned i = 0; i < FILLERS; i++) {
                Fact f = rig_fact(FACT_FAULT);

                f.bay = "1-1.1";
                f.text = "nothing in particular";
                assert_int_equal(store_batch_add(batch, &f), 0);
        }
        assert_int_equal(store_submit(rig->store, TAKE_PTR(batch), rig_done, rig), 0);
        rig_wait(rig, next);
}

static int setup(void **state) {
        Rig *rig;

        /* No disk is asked to keep these: that is for other tests. */
        if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 1) < 0)
                return -1;
        if (rig_setup(state) < 0)
                return -1;
        rig = *state;
        rig_dock(rig, 1);
        for (uint64_t id = 1; id <= STORED; id++)
                rig_store_clip(rig, 1, id);
        fill(rig);
        for (uint64_t id = STORED + 1; id <= CLIPS; id++)
                rig_copy(rig, 1, id);
        for (uint64_t id = 1; id <= CLIPS; id++)
                sign(rig, id, golden[id]);
        killed = take_snapshot(rig);
        rig_close(rig);
        ended = take_snapshot(rig);
        return killed.files[WAL].size > 0 && !ended.files[WAL].bytes ? 0 : -1;
}

static int teardown(void **state) {
        for (size_t i = 0; i < _FILES_MAX; i++) {
                free(ended.files[i].bytes);
                free(killed.files[i].bytes);
        }
        return rig_teardown(state);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_snapshots_themselves_are_whole),
                cmocka_unit_test(test_no_damage_is_believed_and_none_is_passed_over),
        };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, setup, teardown);
}
