/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "mtp.h"

/* FormatStore (ISO 15740 §10.5.15), in the file system that the camera likes. */
static int format_one(Mtp *mtp, uint32_t id) {
        StorageInfo info;
        int r;

        r = mtp_storage_info(mtp, id, &info);
        if (r == MTP_STORAGE_EMPTY)
                return 0;
        if (r < 0)
                return r;
        berth_host_alive(mtp->host);
        r = ptp_do(&mtp->link, PTP_REQUEST(PTP_FORMAT_STORE, id, PTP_FORMAT_ANY));
        return r == -EACCES || r == -EROFS || r == -EBUSY ? BERTH_DENIED : r;
}

int mtp_format(void *state) {
        uint32_t *ids = NULL;
        Mtp *mtp = state;
        size_t n = 0;
        int r;

        if (!mtp_can(mtp, PTP_FORMAT_STORE))
                return -EOPNOTSUPP;
        r = mtp_storages(mtp, &ids, &n);
        for (size_t i = 0; i < n && r == 0; i++)
                r = format_one(mtp, ids[i]);
        free(ids);
        return r;
}
