/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "mtp.h"

/* Is that still the object which list() reported under this handle? */
static int check_same(Mtp *mtp, const MtpObject *listed) {
        MtpObject now;
        PtpString name;
        int r;

        if (listed->from_list)
                r = mtp_ask_props(mtp, listed->handle, &now, &name);
        else
                r = mtp_ask_info(mtp, listed->handle, &now, &name);
        if (r == -ENOENT)
                return BERTH_GONE;
        if (r < 0)
                return r;
        if (now.folder || now.size_known != listed->size_known ||
            (now.size_known && now.size_bytes != listed->size_bytes) || now.mtime_unix_sec != listed->mtime_unix_sec ||
            name.size != listed->name_size || memcmp(name.text, listed->name, name.size) != 0) {
                berth_host_log(mtp->host, BERTH_LOG_ERR, "the camera's object 0x%08x is not the clip any more that "
                               "was listed; it is left alone", (unsigned) listed->handle);
                return BERTH_GONE;
        }
        return 0;
}

int mtp_erase(void *state, const berth_clip *clip) {
        Mtp *mtp = state;
        const MtpObject *listed = NULL;
        int r;

        /* DeleteObject with the handle 0xFFFFFFFF deletes everything: only a file that was listed goes out. */
        if (clip->handle <= UINT32_MAX)
                listed = mtp_objects_find(&mtp->objects, (uint32_t) clip->handle);
        if (!listed || listed->folder)
                return -EINVAL;
        if (!mtp_can(mtp, PTP_DELETE_OBJECT))
                return -EOPNOTSUPP;
        r = check_same(mtp, listed);
        /* Of an empty clip nothing was ever read, so nobody has seen yet that it is. */
        if (r == 0 && listed->size_known && listed->size_bytes == 0)
                r = mtp_read(mtp, clip, 0, 0);
        if (r != 0)
                return r;
        /* With the format, which ISO 15740 §10.5.11 leaves optional: libmtp and libgphoto2 send it, and there are responders
         * that look at it even when it was not sent. */
        r = ptp_do(&mtp->link, PTP_REQUEST(PTP_DELETE_OBJECT, listed->handle, PTP_FORMAT_ANY));
        switch (r) {
        case -ENOENT:
                return BERTH_GONE;
        case -EACCES:
        case -EROFS:
        case -EBUSY:
                return BERTH_DENIED;
        default:
                return r;
        }
}
