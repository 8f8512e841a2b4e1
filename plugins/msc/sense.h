/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a logical unit says about a command that failed (SPC-4 §4.5): fixed and descriptor format. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        SENSE_NO_SENSE = 0x0,
        SENSE_RECOVERED = 0x1,
        SENSE_NOT_READY = 0x2,
        SENSE_MEDIUM_ERROR = 0x3,
        SENSE_HARDWARE_ERROR = 0x4,
        SENSE_ILLEGAL_REQUEST = 0x5,
        SENSE_UNIT_ATTENTION = 0x6,
        SENSE_DATA_PROTECT = 0x7,
        SENSE_BLANK_CHECK = 0x8,
        SENSE_ABORTED_COMMAND = 0xB,
};

typedef struct Sense {
        uint8_t key, asc, ascq;
        bool has_sector; /* it names the first sector that fails */
        uint64_t sector;
} Sense;

/* -EBADMSG when it is neither format, or too short to name a key. Pure, as all of these. */
int sense_parse(const uint8_t *data, size_t size, Sense *ret);
/*
 * As errno: -EIO for a sector that cannot be read or written, -ENOMEDIUM, -EROFS and -EACCES (protected), -EOPNOTSUPP (command
 * unknown), -EINVAL (refused as it is), -ERANGE (past the end), -EAGAIN (not ready, may become so), -EBUSY (not ready), -ESTALE
 * (the medium may be another one), -EREMOTEIO for whatever else is broken; 0 for "recovered".
 */
int sense_error(const Sense *sense);
/* A few words for a person, such as "medium error". */
const char *sense_text(const Sense *sense);
/* Was the unit reset, or has it been switched on, since the last command? */
bool sense_is_reset(const Sense *sense);
/* Not ready, and told that it wants to be started. */
bool sense_wants_start(const Sense *sense);
