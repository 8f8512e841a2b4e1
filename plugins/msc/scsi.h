/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One logical unit: the commands of SPC and SBC that reading and erasing footage need, with what a unit may say in
 * between (it was reset, it is not ready yet, another medium is in it).
 */

#include "bot.h"
#include "sense.h"

#define SCSI_TYPE_DISK 0x00
#define SCSI_TYPE_SIMPLIFIED_DISK 0x0E /* RBC */
#define SCSI_TRANSFER_MIN (16u << 10)
#define SCSI_TRANSFER_MAX (8u << 20)

typedef struct ScsiUnit {
        BotLink *link;
        uint8_t lun;
        unsigned ready_msec;      /* how long it may be not ready */
        bool no_mode_sense;
        uint32_t transfer_limit;  /* bytes of one READ, a power of two */

        uint8_t type, version;
        char vendor[9], product[17], revision[5]; /* printable ASCII */

        bool settled;             /* scsi_start() has seen it ready: from then on another medium is news */
        bool changed;             /* the medium may be another one: nothing goes on but a new start */
        bool read_only;
        bool no_flush;            /* it knows no SYNCHRONIZE CACHE: it has no cache */
        bool unflushed;           /* written, and not on the medium yet */
        bool lost_writes;         /* it was reset then: what it had cached may be gone */
        uint64_t resets;          /* of the link, when last looked */
        uint32_t transfer_bytes;  /* so much at once was tried */
        uint32_t sector_bytes;
        uint64_t n_sectors;
        Sense sense;              /* of the last command that failed */
} ScsiUnit;

/* What an errno of these functions means, in a few words. */
const char *scsi_error_text(const ScsiUnit *unit, int error);
/* INQUIRY: what it is. -EINVAL or -EOPNOTSUPP when the device refuses, as it does for a unit that it does not have. */
int scsi_inquire(ScsiUnit *unit);
/*
 * Waits until it is ready, then asks for its size and its write protection. -ENOMEDIUM when there is nothing in it, -EBUSY
 * when it does not become ready, -EMEDIUMTYPE for sectors of a size that no file system has.
 */
int scsi_start(ScsiUnit *unit);
/* Gets unit attentions out of the way of a read whose bytes cannot be taken back. 0, or why it is not ready. */
int scsi_test(ScsiUnit *unit);
/*
 * A serial number from VPD page 0x80, else an identification from page 0x83; "" when it offers neither. Fails only with the link.
 */
int scsi_serial(ScsiUnit *unit, char *ret, size_t size);

/* Into memory, of any length. -EIO: a sector that cannot be read is among them. */
int scsi_read(ScsiUnit *unit, uint64_t sector, uint32_t n, void *ret);
/*
 * Delivers `n` sectors, at most transfer_bytes of them, into the clip that is being read: the last few of their bytes only after
 * the status was good. A failure may have delivered the others, and is not tried again.
 */
int scsi_deliver(ScsiUnit *unit, uint64_t sector, uint32_t n);
/* Tries on memory whether the unit reads more at once, and raises transfer_bytes when it does. `n` sectors are there for it. */
int scsi_try_larger(ScsiUnit *unit, uint64_t sector, uint64_t n);
int scsi_write(ScsiUnit *unit, uint64_t sector, uint32_t n, const void *data);
int scsi_flush(ScsiUnit *unit);
/* Lets go of the medium. */
int scsi_eject(ScsiUnit *unit);
