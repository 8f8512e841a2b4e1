/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One command, tried again where that is right. Only scsi*.c use it. */

#include "scsi.h"

typedef struct ScsiCommand {
        uint8_t cdb[BOT_CDB_MAX];
        uint8_t cdb_size;
        BotDirection direction;
        uint32_t size, deliver;
        const void *send;
        void *receive;
        bool exact; /* fewer bytes than `size` are a failure */
        bool once;  /* a failure is not tried again */
} ScsiCommand;

/*
 * 0; the meaning of its sense (sense_error() of unit->sense, -EBUSY when it is not ready at the deadline); or the errors of
 * bot_command(). `ret_moved` may be NULL.
 */
int scsi_do(ScsiUnit *unit, const ScsiCommand *command, uint32_t *ret_moved);
/* The same for what every unit must know how to do: a refusal is the unit's fault, -EPROTO. */
int scsi_must(ScsiUnit *unit, const ScsiCommand *command, uint32_t *ret_moved);
