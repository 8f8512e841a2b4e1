/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "msc.h"

#define ZEROS_STEP (64u << 10)
#define SCAN_STEP (64u << 10)
#define SCAN_USEC_MAX UINT64_C(60000000) /* for finding out which sectors cannot be read */
#define LARGER_WORTH 4u                  /* so many transfers of the larger size must be ahead */

/* One read() under way. */
typedef struct Reader {
        Msc *msc;
        MscVolume *volume;
        const berth_clip *clip;
        const FsExtents *extents;
        uint64_t at, end; /* in the file */
        uint8_t *scratch; /* SCAN_STEP bytes */
} Reader;

/* Transfers that do not cross a multiple of their own size do not cross a worker's mark either. */
_Static_assert(BERTH_BLOCK_BYTES % SCSI_TRANSFER_MAX == 0, "a transfer could cross a mark");

static uint64_t min_u64(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* Where the byte at `offset` of a data extent lies. */
static uint64_t sector_of(const Reader *rd, const FsExtent *e, uint64_t offset) {
        return rd->volume->first + e->sector + (offset - e->offset_bytes) / rd->volume->disk.sector_bytes;
}

/* ---- What cannot be read ---- */

/* The range of unreadable bytes that is being gathered. */
typedef struct Scan {
        const Reader *reader;
        uint64_t until_usec;
        uint64_t from, to; /* the range so far; empty when from == to */
        unsigned told;
} Scan;

static void scan_tell(Scan *s) {
        if (s->from == s->to)
                return;
        berth_host_unreadable(s->reader->msc->host, s->from, s->to - s->from);
        berth_host_log(s->reader->msc->host, BERTH_LOG_WARNING, "the card cannot read the bytes %" PRIu64 " to %" PRIu64 " of %s",
                       s->from, s->to - 1, s->reader->clip->path);
        s->told++;
        s->from = s->to = 0;
}

static void scan_add(Scan *s, uint64_t from, uint64_t to) {
        if (s->from != s->to && s->to == from) {
                s->to = to;
                return;
        }
        scan_tell(s);
        s->from = from;
        s->to = to;
}

static bool scan_is_over(const Scan *s) {
        return s->told >= BERTH_UNREADABLE_MAX || berth_host_boottime_usec() >= s->until_usec;
}

static bool is_bad_sector(int r) {
        return r == -EIO || r == -EREMOTEIO;
}

/* Halves the run until the sectors stand alone. `bytes` of it are the file's, from `offset` on. */
static int scan_run(Scan *s, uint64_t sector, uint32_t n, uint64_t offset, uint64_t bytes) {
        const MscVolume *v = s->reader->volume;
        uint32_t half = n / 2;
        uint64_t half_bytes = (uint64_t) half * v->disk.sector_bytes;
        int r;

        if (scan_is_over(s))
                return 0;
        r = scsi_read(v->unit, sector, n, s->reader->scratch);
        if (r == 0 || !is_bad_sector(r))
                return r;
        if (n == 1) {
                scan_add(s, offset, offset + bytes);
                return 0;
        }
        r = scan_run(s, sector, half, offset, min_u64(bytes, half_bytes));
        if (r < 0 || bytes <= half_bytes)
                return r;
        return scan_run(s, sector + half, n - half, offset + half_bytes, bytes - half_bytes);
}

static int scan_extent(Scan *s, const FsExtent *e, uint64_t from, uint64_t to) {
        uint32_t sector_bytes = s->reader->volume->disk.sector_bytes;

        if (e->kind == FS_EXTENT_LOST)
                scan_add(s, from, to);
        if (e->kind != FS_EXTENT_DATA)
                return 0;
        from -= (from - e->offset_bytes) % sector_bytes;
        while (from < to && !scan_is_over(s)) {
                uint64_t bytes = min_u64(to - from, SCAN_STEP);
                uint32_t n = (uint32_t) ((bytes + sector_bytes - 1) / sector_bytes);
                int r;

                r = scan_run(s, sector_of(s->reader, e, from), n, from, bytes);
                if (r < 0)
                        return r;
                from += bytes;
        }
        return 0;
}

/*
 * Sectors ahead cannot be read: finds out which, in all that was asked for, so that nobody has to come back for each. The errno
 * that read() returns.
 */
static int tell_unreadable(const Reader *rd) {
        Scan s = { .reader = rd, .until_usec = berth_host_boottime_usec() + SCAN_USEC_MAX };
        int r = 0;

        for (size_t i = fs_extents_find(rd->extents, rd->at); r == 0 && i < rd->extents->n; i++) {
                const FsExtent *e = &rd->extents->items[i];
                uint64_t from = e->offset_bytes > rd->at ? e->offset_bytes : rd->at;

                if (from >= rd->end)
                        break;
                r = scan_extent(&s, e, from, min_u64(e->offset_bytes + e->length_bytes, rd->end));
        }
        scan_tell(&s);
        if (r < 0)
                return r;
        if (s.told == 0)
                berth_host_log(rd->msc->host, BERTH_LOG_WARNING, "the card could not read %s at first, and then could: it is worn "
                               "out", rd->clip->path);
        return -EIO;
}

/* ---- Delivering ---- */

/* Part of one sector: the beginning of a read in the middle of one, or a file's last bytes. */
static int deliver_part(Reader *rd, const FsExtent *e, uint64_t length) {
        uint32_t sector_bytes = rd->volume->disk.sector_bytes;
        uint64_t skip = (rd->at - e->offset_bytes) % sector_bytes, n = min_u64(length, sector_bytes - skip);
        int r;

        r = scsi_read(rd->volume->unit, sector_of(rd, e, rd->at), 1, rd->scratch);
        if (r == 0)
                r = berth_host_deliver(rd->msc->host, rd->scratch + skip, (size_t) n);
        if (r == 0)
                rd->at += n;
        return r;
}

/*
 * Whole sectors. No transfer goes across a multiple of its own size in the file, and so none across a multiple of
 * BERTH_BLOCK_BYTES: what the worker makes durable there has had its good status.
 */
static int deliver_sectors(Reader *rd, const FsExtent *e, uint64_t length) {
        ScsiUnit *unit = rd->volume->unit;
        uint32_t sector_bytes = rd->volume->disk.sector_bytes;
        uint64_t sector = sector_of(rd, e, rd->at), n;
        int r;

        if (length / LARGER_WORTH >= (uint64_t) unit->transfer_bytes * 2) {
                r = scsi_try_larger(unit, sector, length / sector_bytes);
                if (r < 0)
                        return r;
        }
        n = min_u64(length, unit->transfer_bytes - rd->at % unit->transfer_bytes) / sector_bytes;
        r = scsi_deliver(unit, sector, (uint32_t) n);
        if (r == 0)
                rd->at += n * sector_bytes;
        return r;
}

static int deliver_zeros(Reader *rd, uint64_t length) {
        uint64_t n = min_u64(length, ZEROS_STEP);
        int r;

        memset(rd->scratch, 0, (size_t) n);
        r = berth_host_deliver(rd->msc->host, rd->scratch, (size_t) n);
        if (r == 0)
                rd->at += n;
        return r;
}

static int deliver_from(Reader *rd, const FsExtent *e) {
        uint64_t length = min_u64(e->offset_bytes + e->length_bytes, rd->end) - rd->at;
        uint32_t sector_bytes = rd->volume->disk.sector_bytes;

        if (e->kind == FS_EXTENT_LOST)
                return -EIO;
        if (e->kind == FS_EXTENT_ZEROS)
                return deliver_zeros(rd, length);
        if ((rd->at - e->offset_bytes) % sector_bytes != 0 || length < sector_bytes)
                return deliver_part(rd, e, length);
        return deliver_sectors(rd, e, length);
}

static int deliver(Reader *rd) {
        int r;

        /* What the unit has to say by itself it shall say before bytes are delivered that cannot be taken back. */
        r = scsi_test(rd->volume->unit);
        while (r == 0 && rd->at < rd->end) {
                size_t i = fs_extents_find(rd->extents, rd->at);

                r = i < rd->extents->n ? deliver_from(rd, &rd->extents->items[i]) : -EBADMSG;
        }
        return is_bad_sector(r) ? tell_unreadable(rd) : r;
}

/* The extents of the clip that was read last are kept: a clip is read in several calls. */
static int find_extents(Msc *msc, const MscFile *file, uint64_t handle) {
        MscVolume *v = &msc->volumes[file->volume];
        int r;

        if (msc->extents_of == handle)
                return 0;
        fs_extents_clear(&msc->extents);
        msc->extents_of = 0;
        r = fs_extents(v->fs, file->fs_handle, &msc->extents);
        if (r < 0) {
                if (fs_why(v->fs)[0])
                        berth_host_log(msc->host, BERTH_LOG_ERR, "%s", fs_why(v->fs));
                return r;
        }
        msc->extents_of = handle;
        return 0;
}

static int explain(const Reader *rd, int r) {
        if (r == -ESTALE || r == -EAGAIN || r == -EBUSY)
                berth_host_log(rd->msc->host, BERTH_LOG_ERR, "the camera broke off the reading of %s: %s", rd->clip->path,
                               scsi_error_text(rd->volume->unit, r));
        return r;
}

int msc_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        Msc *msc = state;
        const MscFile *file = msc_find(msc, clip->handle);
        Reader rd = { .msc = msc, .clip = clip };
        int r;

        if (!file)
                return -EINVAL;
        if (file->erased)
                return BERTH_GONE;
        r = find_extents(msc, file, clip->handle);
        if (r == -ENOENT)
                return BERTH_GONE;
        if (r < 0)
                return r;
        if (offset > msc->extents.size_bytes || length > msc->extents.size_bytes - offset)
                return -EINVAL;
        rd.volume = &msc->volumes[file->volume];
        rd.extents = &msc->extents;
        rd.at = offset;
        rd.end = offset + length;
        rd.scratch = malloc(SCAN_STEP);
        if (!rd.scratch)
                return -ENOMEM;
        r = explain(&rd, deliver(&rd));
        free(rd.scratch);
        return r;
}
