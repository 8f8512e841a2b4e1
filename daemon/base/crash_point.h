/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Named places where a test can have the machine fail: before, between and after the steps that make something durable, or gone.
 *
 *     CRASH_POINT("part-synced");              what has just happened
 *     CRASH_POINT_OF("facts-committed", kind); the same step, done for various things: a text that tells which
 *
 * Nothing of it is in a program that is built without CRASH_POINTS=1. With it, every name is in the program's section "crash_points",
 * where tests/crash/matrix.py finds them all: a point that the matrix does not reach fails it. A name is lower case with hyphens.
 * The file that the environment's BERTH_CRASH_POINTS names (struct CrashFile) says at which point to end, by SIGKILL, and takes
 * down each point that was passed. Workers are given that variable, and no other.
 */

#ifdef BERTH_CRASH_POINTS

#define CRASH_POINT_OF(name, of)                                                                                       \
        do {                                                                                                           \
                static const char crash_point_name[] __attribute__((section("crash_points"), used, aligned(1))) = name;  \
                crash_point_pass(crash_point_name, of);                                                                \
        } while (0)
#define CRASH_POINT(name) CRASH_POINT_OF(name, NULL)
#define CRASH_POINT_ENVIRONMENT crash_point_environment()

/* Async-signal-safe, and allowed in the worker's sandbox: it touches memory, and kills its own process. */
void crash_point_pass(const char *name, const char *of);
/* "BERTH_CRASH_POINTS=…", or NULL. The caller must not free it. */
char *crash_point_environment(void);

#else

/* `of` is compiled, and never evaluated. */
#define CRASH_POINT_OF(name, of)           \
        do {                               \
                if (0)                     \
                        (void) (of);       \
        } while (0)
#define CRASH_POINT(name) do { } while (0)
#define CRASH_POINT_ENVIRONMENT NULL

#endif
