/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * USB Mass Storage Class, Bulk-Only Transport 1.0: one command wrapper out, perhaps data, one status wrapper in. Whatever
 * goes wrong, the link is afterwards in step again (Reset Recovery, §5.3.4, at last a reset of the USB device), or dead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/plugin.h>

#define BOT_PACKET_MAX 1024u       /* wMaxPacketSize of a SuperSpeed bulk endpoint */
#define BOT_STEP_MAX (64u << 10)   /* of one USB transfer into memory */
#define BOT_LUNS_MAX 16u           /* §3.2: bMaxLUN is at most 15 */
#define BOT_CDB_MAX 16u

typedef struct BotLink {
        berth_host *host;
        uint8_t interface, bulk_in, bulk_out;
        size_t packet_in;
        unsigned timeout_msec; /* how long the device may stay silent */
        bool ignore_residue;   /* what it says there means nothing */

        bool status_apart;     /* data and status are not read by one transfer */
        uint32_t tag;
        unsigned troubles;  /* recoveries since the last command that ended well */
        uint64_t resets;    /* of the USB device: what it had cached may be gone */
        bool dead;          /* could not be brought back in step: nothing more is sent */
        uint8_t buffer[BOT_STEP_MAX + BOT_PACKET_MAX];
} BotLink;

typedef enum BotDirection {
        BOT_NONE,
        BOT_IN,
        BOT_OUT,
} BotDirection;

typedef struct BotCommand {
        uint8_t lun;
        uint8_t cdb[BOT_CDB_MAX];
        uint8_t cdb_size;
        BotDirection direction;
        uint32_t size; /* of the data phase */
        const void *send; /* BOT_OUT */
        void *receive;    /* BOT_IN: room for `size` bytes; NULL: they are thrown away */
        /*
         * BOT_IN: so many of the `size` bytes, whole packets, go straight into the clip that is being read, and the others
         * into `receive`. Bytes that went there cannot be taken back whatever the status says.
         */
        uint32_t deliver;
} BotCommand;

typedef struct BotResult {
        bool failed;    /* CSW status 1: ask for sense */
        uint32_t moved; /* bytes of the data phase that count, by the host's count and by the residue */
} BotResult;

/*
 * 0 when a valid and meaningful status came (§6.3). -EPROTO (phase error, or the device stalls where it must not),
 * -EBADMSG (nonsense in place of a status), -ETIMEDOUT, -EOVERFLOW, -EIO, -ENODEV; and the errors of
 * berth_host_deliver_bulk(). After such an error nothing is under way any more. -ECONNABORTED: the link is dead.
 */
int bot_command(BotLink *link, const BotCommand *command, BotResult *ret);
/* Reset Recovery, or a reset of the USB device when the link has had trouble before. 0 or the link is dead. */
int bot_recover(BotLink *link);
/* The number of logical units, at least 1: a device that stalls the request has one (§3.2). */
int bot_luns(BotLink *link, unsigned *ret);

/* Milliseconds to wait without using the device. */
void bot_pause(unsigned msec);
