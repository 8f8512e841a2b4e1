/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct Operator {
        uint32_t uid;
        const char *name; /* NULL when this machine knows none */
} Operator;

/* What became of an order to erase by hand. */
typedef struct EraseOrdered {
        size_t ordered; /* clips that will be erased */
        size_t held;    /* clips that are held, and stay */
        size_t unsafe;  /* clips that are not whole on the dock, in conflict, or protected by the camera, and stay */
} EraseOrdered;
typedef void (*EraseOrderDone)(void *userdata, int result, const char *text, const EraseOrdered *ordered);
