/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Values of JSON that others wrote, checked where they enter. Each false leaves `ret` as it was. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* A printable text that is not empty, of fewer than `size` bytes. */
bool json_take_text(const json_t *value, char *ret, size_t size);
/* From `min` to `max`, both included. */
bool json_take_number(const json_t *value, uint64_t min, uint64_t max, uint64_t *ret);
/* The name of a member that is none of those (a list ended by NULL); NULL: there is none. */
const char *json_unknown_member(const json_t *object, const char *const *known);
