/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi_do.h"

#include <errno.h>
#include <string.h>

#define SENSE_SIZE 18u /* what every unit gives; some break when asked for more */
#define TRANSPORT_TRIES 3u
#define ATTENTIONS_MAX 8u
#define ABORTS_MAX 3u
#define PAUSE_MIN_MSEC 20u
#define PAUSE_MAX_MSEC 500u

static int run(ScsiUnit *unit, const ScsiCommand *c, BotResult *ret) {
        BotCommand command = {
                .lun = unit->lun,
                .cdb_size = c->cdb_size,
                .direction = c->direction,
                .size = c->size,
                .send = c->send,
                .receive = c->receive,
                .deliver = c->deliver,
        };
        int r;

        memcpy(command.cdb, c->cdb, sizeof(command.cdb));
        r = bot_command(unit->link, &command, ret);
        if (unit->resets != unit->link->resets && unit->unflushed)
                unit->lost_writes = true;
        unit->resets = unit->link->resets;
        return r;
}

/* Why the last command failed. 0 with the sense in unit->sense. */
static int ask_sense(ScsiUnit *unit) {
        uint8_t data[SENSE_SIZE] = { 0 };
        const ScsiCommand c = {
                .cdb = { 0x03, 0, 0, 0, SENSE_SIZE }, .cdb_size = 6, .direction = BOT_IN, .size = SENSE_SIZE, .receive = data,
        };
        BotResult result = { 0 };
        int r;

        r = run(unit, &c, &result);
        if (r < 0)
                return r;
        if (result.failed)
                return -EBADMSG;
        return sense_parse(data, result.moved, &unit->sense);
}

static int start_motor(ScsiUnit *unit) {
        const ScsiCommand c = { .cdb = { 0x1B, 0, 0, 0, 0x01 }, .cdb_size = 6 };
        BotResult result = { 0 };

        return run(unit, &c, &result);
}

/* How often what was met, in one command. */
typedef struct Patience {
        uint64_t until_usec;
        unsigned pause_msec, broken, attentions, aborts;
        bool started;
} Patience;

static int wait_ready(ScsiUnit *unit, Patience *p) {
        int r;

        if (sense_wants_start(&unit->sense) && !p->started) {
                p->started = true;
                r = start_motor(unit);
                if (r < 0)
                        return r;
        }
        if (berth_host_boottime_usec() >= p->until_usec)
                return -EBUSY;
        berth_host_alive(unit->link->host);
        bot_pause(p->pause_msec);
        p->pause_msec = p->pause_msec < PAUSE_MAX_MSEC / 2 ? p->pause_msec * 2 : PAUSE_MAX_MSEC;
        return 1;
}

/* A unit attention says what happened, and not that the command is wrong. */
static int note_attention(ScsiUnit *unit, Patience *p) {
        if (sense_is_reset(&unit->sense) && unit->unflushed)
                unit->lost_writes = true;
        if (sense_error(&unit->sense) == -ESTALE && unit->settled) {
                unit->changed = true;
                return -ESTALE;
        }
        return p->attentions++ < ATTENTIONS_MAX ? 1 : -EREMOTEIO;
}

/* What a failed command means: 1 to try again, 0 that it did work, or an error. */
static int judge(ScsiUnit *unit, Patience *p, bool once) {
        int r;

        r = ask_sense(unit);
        if (r < 0)
                return r;
        switch (unit->sense.key) {
        case SENSE_UNIT_ATTENTION:
                r = note_attention(unit, p);
                return r == 1 && once ? -EAGAIN : r;
        case SENSE_NOT_READY:
                r = sense_error(&unit->sense);
                return r == -EAGAIN && !once ? wait_ready(unit, p) : r;
        case SENSE_NO_SENSE:
        case SENSE_ABORTED_COMMAND:
                return !once && p->aborts++ < ABORTS_MAX ? 1 : -EREMOTEIO;
        default:
                return sense_error(&unit->sense);
        }
}

static bool may_go_on(const ScsiUnit *unit) {
        return !unit->changed || !unit->settled;
}

int scsi_do(ScsiUnit *unit, const ScsiCommand *command, uint32_t *ret_moved) {
        Patience p = {
                .until_usec = berth_host_boottime_usec() + (uint64_t) unit->ready_msec * 1000,
                .pause_msec = PAUSE_MIN_MSEC,
        };
        BotResult result = { 0 };
        int r;

        for (;;) {
                if (!may_go_on(unit))
                        return -ESTALE;
                r = run(unit, command, &result);
                if (r == -ENODEV || (r < 0 && (unit->link->dead || command->once || ++p.broken >= TRANSPORT_TRIES)))
                        return r;
                if (r < 0)
                        continue;
                r = result.failed ? judge(unit, &p, command->once) : 0;
                if (r == 1)
                        continue;
                if (r != 0)
                        return r;
                if (!command->exact || result.moved == command->size)
                        break;
                /* It says that all is well, and moved less than it was asked for. */
                if (command->once || ++p.broken >= TRANSPORT_TRIES)
                        return -EBADMSG;
        }
        if (ret_moved)
                *ret_moved = result.moved;
        return 0;
}

int scsi_must(ScsiUnit *unit, const ScsiCommand *command, uint32_t *ret_moved) {
        int r = scsi_do(unit, command, ret_moved);

        return r == -EOPNOTSUPP || r == -EINVAL || r == -ERANGE ? -EPROTO : r;
}
