/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msc.h"
#include "partition.h"

/* From units to volumes: what is in them, how it is divided, and which file system is on each part. */

/* ---- A part of a unit as a disk ---- */

static int check_range(const MscVolume *v, uint64_t sector, uint32_t n) {
        return sector > v->disk.n_sectors || n > v->disk.n_sectors - sector ? -EINVAL : 0;
}

static int volume_read(void *userdata, uint64_t sector, uint32_t n, void *ret) {
        MscVolume *v = userdata;
        int r;

        r = check_range(v, sector, n);
        if (r == 0)
                r = scsi_read(v->unit, v->first + sector, n, ret);
        /* Whatever the unit calls it: these sectors it does not give. */
        return r == -EREMOTEIO ? -EIO : r;
}

static int volume_write(void *userdata, uint64_t sector, uint32_t n, const void *data) {
        MscVolume *v = userdata;
        int r;

        r = check_range(v, sector, n);
        if (r == 0 && v->unit->read_only)
                r = -EROFS;
        if (r == 0)
                r = written_note(&v->written, &v->disk, sector, n, data);
        if (r == 0)
                r = scsi_write(v->unit, v->first + sector, n, data);
        return r == -EACCES ? -EROFS : r;
}

static int volume_flush(void *userdata) {
        MscVolume *v = userdata;

        return scsi_flush(v->unit);
}

static void volume_init(MscVolume *v, ScsiUnit *unit, unsigned partition, uint64_t first, uint64_t n_sectors) {
        *v = (MscVolume){
                .unit = unit,
                .partition = partition,
                .first = first,
                .disk = {
                        .userdata = v,
                        .sector_bytes = unit->sector_bytes,
                        .n_sectors = n_sectors,
                        .read_only = unit->read_only,
                        .read = volume_read,
                        .write = volume_write,
                        .flush = volume_flush,
                },
        };
}

const char *msc_volume_name(const MscVolume *v, char ret[static MSC_NAME_SIZE]) {
        if (v->partition == 0)
                (void) snprintf(ret, MSC_NAME_SIZE, "unit %u", v->unit->lun);
        else
                (void) snprintf(ret, MSC_NAME_SIZE, "partition %u of unit %u", v->partition, v->unit->lun);
        return ret;
}

/* ---- Finding them ---- */

/* One partition. 0 also for one that holds something else, and nothing that a camera would write footage to. */
static int mount_partition(Msc *msc, ScsiUnit *unit, const Partition *p) {
        const FsOptions options = {
                .utc_offset_minutes = msc->options.utc_offset_minutes,
                .to_utc = msc->options.local_time ? berth_host_local_to_utc : NULL,
                .erase_dirty = msc->options.erase_dirty,
        };
        char why[FS_WHY_MAX] = "", name[MSC_NAME_SIZE];
        MscVolume *v;
        int r;

        if (msc->n_volumes == MSC_VOLUMES_MAX)
                return -E2BIG;
        v = &msc->volumes[msc->n_volumes];
        volume_init(v, unit, p->number, p->sector, p->n_sectors);
        r = fs_open(&v->disk, &options, &v->fs, why);
        if (r == 0) {
                msc->n_volumes++;
                return 0;
        }
        if (r == -EMEDIUMTYPE && !p->may_hold_files) {
                berth_host_log(msc->host, BERTH_LOG_INFO, "%s has no file system that a camera writes footage to; it is left "
                               "alone", msc_volume_name(v, name));
                return 0;
        }
        berth_host_log(msc->host, BERTH_LOG_ERR, "%s cannot be read as a file system: %s", msc_volume_name(v, name),
                       why[0] ? why : strerror(-r));
        return r;
}

/* 0, also for a unit without a medium; *ret_medium says which. */
static int mount_unit(Msc *msc, ScsiUnit *unit, bool *ret_medium) {
        const char *why = NULL;
        Partitions partitions;
        MscVolume whole;
        size_t before = msc->n_volumes;
        int r;

        r = scsi_start(unit);
        if (r == -ENOMEDIUM)
                return 0;
        if (r < 0) {
                berth_host_log(msc->host, BERTH_LOG_ERR, "unit %u does not become ready: %s", unit->lun,
                               scsi_error_text(unit, r));
                return r;
        }
        *ret_medium = true;
        volume_init(&whole, unit, 0, 0, unit->n_sectors);
        r = partitions_read(&whole.disk, &partitions, &why);
        if (r < 0) {
                berth_host_log(msc->host, BERTH_LOG_ERR, "the medium in unit %u cannot be used: %s (%s)", unit->lun, why,
                               scsi_error_text(unit, r));
                return r;
        }
        for (size_t i = 0; r == 0 && i < partitions.n; i++)
                r = mount_partition(msc, unit, &partitions.items[i]);
        if (r == 0 && msc->n_volumes == before) {
                berth_host_log(msc->host, BERTH_LOG_ERR, "the medium in unit %u has no FAT or exFAT file system", unit->lun);
                return -EMEDIUMTYPE;
        }
        return r;
}

int msc_mount(Msc *msc) {
        bool medium = false;
        int r = 0;

        if (msc->mounted)
                return 0;
        msc_unmount(msc);
        for (unsigned i = 0; r == 0 && i < msc->n_units; i++)
                r = mount_unit(msc, &msc->units[i], &medium);
        if (r == 0 && !medium) {
                /* A camera without its card must not pass for an empty one. */
                berth_host_log(msc->host, BERTH_LOG_ERR, "there is no card in the camera");
                r = -ENOMEDIUM;
        }
        if (r < 0) {
                msc_unmount(msc);
                return r;
        }
        msc->mounted = true;
        return 0;
}

void msc_unmount(Msc *msc) {
        for (size_t i = 0; i < msc->n_volumes; i++) {
                msc->volumes[i].fs = fs_close(msc->volumes[i].fs);
                written_clear(&msc->volumes[i].written);
        }
        msc->n_volumes = 0;
        msc->mounted = false;
        fs_extents_clear(&msc->extents);
        msc->extents_of = 0;
        free(msc->files);
        msc->files = NULL;
        msc->n_files = msc->room_files = 0;
}
