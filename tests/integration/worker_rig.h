/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * service/worker.c on a loop of its own, against real berth-bay processes, called as if it could block. Every wait ends at a
 * deadline, with a message.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "service/worker.h"

#define RIG_BLOCKS_MAX 64u

typedef struct RigBlock {
        uint32_t clip, number, length;
        Digest digest;
} RigBlock;

typedef struct Rig {
        sd_event *event;
        Worker *worker;
        const char *executable; /* "berth-bay" when NULL, in $BERTH_BUILD */
        const char *node, *bay; /* a real node, which is then checked; NULL: any file will do */
        uint64_t call_timeout_usec, stall_timeout_usec;
        const char *const *credentials; /* for rig_open(); NULL: none */
        char folder[64]; /* the incoming folder */
        int incoming_fd;

        bool waiting;
        WorkerResult result; /* of the last call */
        char text[512];
        unsigned deaths;     /* calls of on_dead */
        unsigned fatal;      /* verdicts after which the worker is dead, by call or by on_dead */

        /* What the last call brought. */
        WorkerIdentity identity; /* copies */
        WorkerOwner owner;       /* the same */
        WorkerHealth health;
        WorkerCopy copy;
        WorkerClip *clips; /* of all pages */
        size_t n_clips;
        bool more;
        RigBlock blocks[RIG_BLOCKS_MAX];
        WorkerSample samples[WIRE_SAMPLES_MAX];
        size_t n_samples;
        size_t n_blocks;
        uint64_t progress;
        /* Called at each block, when set. */
        void (*on_block)(struct Rig *rig);
} Rig;

void rig_init(Rig *rig);
void rig_done(Rig *rig);
/* Spawns with $BERTH_BUILD/tests/plugins/NAME.so, or an absolute path. */
int rig_spawn(Rig *rig, const char *plugin);
void rig_free_worker(Rig *rig);
/* Runs the loop until the outstanding call ended, or, with no call, until the worker is reported dead. */
WorkerResult rig_wait(Rig *rig);
/* One turn of the loop, at most `usec` long. */
void rig_turn(Rig *rig, uint64_t usec);

/* Each ends with rig_wait(). */
WorkerResult rig_open(Rig *rig, const char *const *options);
WorkerResult rig_identify(Rig *rig);
WorkerResult rig_health(Rig *rig);
WorkerResult rig_set_clock(Rig *rig, int64_t unix_sec);
WorkerResult rig_get_owner(Rig *rig);
WorkerResult rig_set_owner(Rig *rig, const WorkerOwner *owner);
WorkerResult rig_enter_storage(Rig *rig);
WorkerResult rig_eject(Rig *rig);
WorkerResult rig_format(Rig *rig);
WorkerResult rig_list(Rig *rig);
WorkerResult rig_pull(Rig *rig, uint32_t clip, const char *part, const Digest *kept, size_t n_kept);
WorkerResult rig_verify(Rig *rig, uint32_t clip, size_t n_blocks);
/* `part` may be NULL. */
WorkerResult rig_sample(Rig *rig, uint32_t clip, const char *part, const ByteRange *places, size_t n);
WorkerResult rig_erase(Rig *rig, const char *path, const WorkerCopy *copy, int64_t mtime);
WorkerResult rig_close(Rig *rig);
/* Begins a pull without waiting. */
void rig_pull_begin(Rig *rig, uint32_t clip, const char *part, const Digest *kept, size_t n_kept);

/* Spawns and opens a plugin with options up to NULL, and lists; fails the test when something fails. */
#define rig_start(rig, plugin, ...) rig_start_with(rig, plugin, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
void rig_start_with(Rig *rig, const char *plugin, const char *const *options);

#define assert_result(rig, expression, expected)                                                                  \
        do {                                                                                                      \
                WorkerResult _result = (expression);                                                              \
                if (_result != (expected))                                                                        \
                        fail_msg("%s: expected %s, got %s: %s", #expression, worker_result_to_string(expected),   \
                                 worker_result_to_string(_result), (rig)->text);                                  \
        } while (0)
bool rig_copies_equal(const WorkerCopy *a, const WorkerCopy *b);
/* What the memory plugin's clip must give. */
void rig_expected(uint64_t seed, uint64_t size, WorkerCopy *ret);
/* Digest of [offset, offset + length) of it. */
Digest rig_expected_range(uint64_t seed, uint64_t offset, uint64_t length);
/* Of it from its start to the end of each block; returns how many those are. */
size_t rig_expected_blocks(uint64_t seed, uint64_t size, Digest ret[static RIG_BLOCKS_MAX]);
/* Does the part hold that content and nothing else? */
bool rig_part_is(const Rig *rig, const char *part, uint64_t seed, uint64_t size);
/* The process of the worker, which runs. */
pid_t rig_pid(const Rig *rig);
void rig_signal(const Rig *rig, int signal);
/* As main() of a test: one fixture of a Rig for each test, named by its function. */
#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)
int rig_set_up(void **state);
int rig_tear_down(void **state);
#define rig_main(tests) (rig_begin(), cmocka_run_group_tests(tests, NULL, NULL))
void rig_begin(void);
