/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "msc.h"

static uint64_t add_bytes(uint64_t sum, uint64_t more) {
        return more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
}

static int add_volume(const Msc *msc, const MscVolume *v, berth_health *health, bool *free_known) {
        char name[MSC_NAME_SIZE];
        FsInfo info = { 0 };
        int r;

        r = fs_info(v->fs, &info);
        if (r < 0)
                return r;
        health->storage_total_bytes = add_bytes(health->storage_total_bytes, info.total_bytes);
        if (info.free_bytes == FS_BYTES_UNKNOWN)
                *free_known = false;
        else
                health->storage_free_bytes = add_bytes(health->storage_free_bytes, info.free_bytes);
        if (v->unit->read_only)
                health->read_only = 1;
        if (info.dirty || info.failing) {
                health->volume_dirty = 1;
                berth_host_log(msc->host, BERTH_LOG_WARNING, "%s was %s", msc_volume_name(v, name), info.failing
                               ? "marked as having sectors that fail"
                               : "not left cleanly: somebody pulled the cable or the power");
        }
        return 0;
}

int msc_health(void *state, berth_health *ret) {
        berth_health health = { .struct_size = sizeof(health) };
        bool free_known = true;
        Msc *msc = state;
        int r;

        r = msc_mount(msc);
        for (size_t i = 0; r == 0 && i < msc->n_volumes; i++)
                r = add_volume(msc, &msc->volumes[i], &health, &free_known);
        if (msc->link.dead || r == -ENODEV)
                return r < 0 ? r : -EPROTO;
        /* A card that cannot be read shows when its clips are listed. */
        if (r < 0)
                berth_host_log(msc->host, BERTH_LOG_DEBUG, "the camera's storage tells nothing: %s", strerror(-r));
        else {
                health.known |= BERTH_HEALTH_VOLUME;
                if (free_known && health.storage_free_bytes <= health.storage_total_bytes)
                        health.known |= BERTH_HEALTH_STORAGE;
        }
        *ret = health;
        return 0;
}
