/* SPDX-License-Identifier: Apache-2.0 */

/* A firmware file onto the camera's card. */

#include <errno.h>
#include <string.h>

#include "msc.h"

static int refuse(const Msc *msc, int answer, const char *why) {
        berth_host_log(msc->host, BERTH_LOG_ERR, "the firmware file cannot be put on the card: %s", why);
        return answer;
}

static int pass_over(void *userdata, const FsFile *file) {
        (void) userdata;
        (void) file;
        return 0;
}

static int walk(Msc *msc, MscVolume *v) {
        char name[MSC_NAME_SIZE];
        int r;

        r = fs_walk(v->fs, pass_over, NULL);
        if (r < 0)
                berth_host_log(msc->host, BERTH_LOG_ERR, "%s cannot be listed: %s", msc_volume_name(v, name),
                               fs_why(v->fs)[0] ? fs_why(v->fs) : scsi_error_text(v->unit, r));
        /* What could not be read of it forbids what follows. */
        return r < 0 ? r : 0;
}

/* The volume that has most of the path; of equals the first. */
static int find_volume(Msc *msc, const char *path, MscVolume **ret) {
        MscVolume *best = NULL;
        size_t depth = 0;

        for (size_t i = 0; i < msc->n_volumes; i++) {
                MscVolume *v = &msc->volumes[i];
                int r;

                if (v->disk.read_only)
                        continue;
                r = walk(msc, v);
                if (r < 0)
                        return r;
                if (!best || fs_depth_found(v->fs, path) > depth) {
                        best = v;
                        depth = fs_depth_found(v->fs, path);
                }
        }
        if (!best)
                return refuse(msc, BERTH_DENIED, "it is write-protected");
        *ret = best;
        return 0;
}

/* What is before it was written. */
static int read_image(void *userdata, uint64_t offset, void *ret, size_t length) {
        ssize_t n = berth_host_image(userdata, offset, ret, length);

        berth_host_sent(userdata, offset);
        return n == (ssize_t) length ? 0 : n < 0 ? (int) n : -ENODATA;
}

int msc_drop(void *state, const char *path, uint64_t size_bytes) {
        FsSource source = { .size_bytes = size_bytes, .read = read_image };
        Msc *msc = state;
        MscVolume *v = NULL;
        int r;

        source.userdata = msc->host;
        r = msc_mount(msc);
        if (r == 0)
                r = find_volume(msc, path, &v);
        if (r != 0)
                return r;
        written_clear(&v->written);
        r = fs_create(v->fs, path, &source);
        if (r == 0)
                berth_host_sent(msc->host, size_bytes);
        if (r == 0 && (r = written_check(&v->written, &v->disk)) == -EIO)
                (void) refuse(msc, r, "it does not keep what is written to it: it is worn out or forged; replace it");
        else if (r != 0)
                (void) refuse(msc, r, fs_why(v->fs)[0] ? fs_why(v->fs) : scsi_error_text(v->unit, r));
        written_clear(&v->written);
        return r == FS_DENIED || r == -EROFS ? BERTH_DENIED : r;
}
