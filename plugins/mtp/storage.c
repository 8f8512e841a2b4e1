/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "mtp.h"

bool mtp_storage_is_slot(uint32_t id) {
        return (id & 0xFFFF) == 0;
}

int mtp_storages(Mtp *mtp, uint32_t **ret_ids, size_t *ret_n) {
        uint32_t *ids = NULL;
        uint8_t *data = NULL;
        size_t size, n;
        int r;

        r = ptp_receive(&mtp->link, PTP_REQUEST(PTP_GET_STORAGE_IDS), DATASET_MAX, &data, &size);
        if (r < 0)
                return r;
        r = ptp_id_array_parse(data, size, STORAGES_MAX, &ids, &n);
        free(data);
        if (r < 0)
                return r;
        if (n == 0)
                return -ENOMEDIUM;
        *ret_ids = ids;
        *ret_n = n;
        return 0;
}

int mtp_storage_info(Mtp *mtp, uint32_t id, StorageInfo *ret) {
        uint8_t *data = NULL;
        size_t size;
        int r;

        r = ptp_receive(&mtp->link, PTP_REQUEST(PTP_GET_STORAGE_INFO, id), DATASET_MAX, &data, &size);
        if (r == -ENOMEDIUM && mtp_storage_is_slot(id))
                return MTP_STORAGE_EMPTY;
        if (r < 0)
                return r;
        r = ptp_storage_info_parse(data, size, ret);
        free(data);
        return r;
}
