/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "msc.h"

static int denied(const Msc *msc, const char *path, const char *why) {
        berth_host_log(msc->host, BERTH_LOG_WARNING, "%s is left on the camera: %s", path, why);
        return BERTH_DENIED;
}

static int broken(const Msc *msc, const MscVolume *v, const char *path, int r) {
        berth_host_log(msc->host, BERTH_LOG_ERR, "erasing %s failed: %s", path,
                       fs_why(v->fs)[0] ? fs_why(v->fs) : scsi_error_text(v->unit, r));
        return r;
}

/* The file system says that it is gone. Is what it wrote really there? */
static int look_again(Msc *msc, MscVolume *v, const char *path) {
        int r;

        r = written_check(&v->written, &v->disk);
        if (r != -EIO)
                return r;
        v->distrusted = true;
        berth_host_log(msc->host, BERTH_LOG_ERR, "the card does not keep what is written to it: it is worn out or forged; replace "
                       "it (while erasing %s)", path);
        return r;
}

int msc_erase(void *state, const berth_clip *clip) {
        Msc *msc = state;
        MscFile *file = msc_find(msc, clip->handle);
        MscVolume *v;
        int r;

        if (!file)
                return -EINVAL;
        if (file->erased)
                return BERTH_GONE;
        v = &msc->volumes[file->volume];
        if (v->distrusted)
                return denied(msc, clip->path, "the card does not keep what is written to it");
        written_clear(&v->written);
        r = fs_erase(v->fs, file->fs_handle);
        if (r == FS_DENIED)
                return denied(msc, clip->path, fs_why(v->fs));
        if (r == FS_GONE || r == -ENOENT)
                return BERTH_GONE;
        if (r == -EROFS)
                return denied(msc, clip->path, "the card is write-protected");
        if (r < 0)
                return broken(msc, v, clip->path, r);
        file->erased = true;
        if (msc->extents_of == clip->handle)
                msc->extents_of = 0;
        r = look_again(msc, v, clip->path);
        written_clear(&v->written);
        return r;
}
