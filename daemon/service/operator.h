/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

typedef struct Operator {
        uint32_t uid;
        const char *name; /* NULL when this machine knows none */
} Operator;
