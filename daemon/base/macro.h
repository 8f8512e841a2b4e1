/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_check_ __attribute__((warn_unused_result))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN2(a, b) ((a) < (b) ? (a) : (b))
#define MAX2(a, b) ((a) > (b) ? (a) : (b))

/* Moves a pointer (or another value) out of a variable, leaving it empty, so that scope-exit does not release it. */
#define TAKE_GENERIC(var, empty)                                                                                  \
        ({                                                                                                        \
                typeof(var) *_pvar = &(var);                                                                      \
                typeof(var) _var = *_pvar;                                                                        \
                *_pvar = (empty);                                                                                 \
                _var;                                                                                             \
        })
#define TAKE_PTR(p) TAKE_GENERIC(p, NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, -EBADF)

/* Defines foop() for _cleanup_(foop) from foo(T *), which takes NULL and returns whatever. */
#define DEFINE_CLEANUP(type, func)                                                                                \
        static inline void func##p(type **p) {                                                                    \
                if (*p)                                                                                           \
                        (void) func(*p);                                                                          \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
