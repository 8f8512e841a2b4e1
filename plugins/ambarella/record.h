/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Dialect B's identity record: five texts of fixed length in 100 bytes, the camera's own serial among them. A text ends at
 * the first NUL; a field of 0xFF throughout is one that nobody ever wrote. Its characters are ISO 8859-1: the makers' tools write the
 * number of each character as one byte. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include <berth/plugin.h>

#define RECORD_SIZE 100u

/* -EBADMSG when a field holds what is no text. */
int record_serial(const uint8_t record[static RECORD_SIZE], char ret[static BERTH_TEXT_MAX]);
int record_owner(const uint8_t record[static RECORD_SIZE], berth_owner *ret);
/*
 * Changes the fields whose text is another one than in `owner`, and no other byte. -EOPNOTSUPP for a text that the
 * field cannot hold, with its name and the most characters that it takes: `record` is as it was then.
 */
int record_set_owner(uint8_t record[static RECORD_SIZE], const berth_owner *owner, const char **ret_field, size_t *ret_max);
