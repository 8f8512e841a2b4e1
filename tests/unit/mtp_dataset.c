/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/mtp_dataset.h"

#include <assert.h>
#include <string.h>

void dataset_u(Dataset *d, size_t width, uint64_t value) {
        assert(d->size + width <= sizeof(d->data));
        for (size_t i = 0; i < width; i++)
                d->data[d->size++] = (uint8_t) (value >> (8 * i));
}

void dataset_text(Dataset *d, const char *ascii) {
        size_t n = strlen(ascii);

        if (n == 0) {
                dataset_u(d, 1, 0);
                return;
        }
        dataset_u(d, 1, n + 1);
        for (size_t i = 0; i <= n; i++)
                dataset_u(d, 2, (uint8_t) ascii[i]);
}

void dataset_codes(Dataset *d, const uint16_t *codes, size_t n) {
        dataset_u(d, 4, n);
        for (size_t i = 0; i < n; i++)
                dataset_u(d, 2, codes[i]);
}

void dataset_prop(Dataset *d, uint32_t handle, uint16_t code, uint16_t type) {
        dataset_u(d, 4, handle);
        dataset_u(d, 2, code);
        dataset_u(d, 2, type);
}

void dataset_storage_info(Dataset *d, uint16_t access, uint64_t total, uint64_t available, const char *volume) {
        dataset_u(d, 2, 4);
        dataset_u(d, 2, 2);
        dataset_u(d, 2, access);
        dataset_u(d, 8, total);
        dataset_u(d, 8, available);
        dataset_u(d, 4, 0xFFFFFFFF);
        dataset_text(d, "SD card");
        dataset_text(d, volume);
}

void dataset_object_info(Dataset *d, uint32_t storage, uint16_t format, uint32_t size, uint32_t parent, const char *name,
                         const char *modified) {
        dataset_u(d, 4, storage);
        dataset_u(d, 2, format);
        dataset_u(d, 2, 0);
        dataset_u(d, 4, size);
        dataset_u(d, 2, 0);
        for (int i = 0; i < 6; i++)
                dataset_u(d, 4, 0);
        dataset_u(d, 4, parent);
        dataset_u(d, 2, format == 0x3001);
        dataset_u(d, 4, 0);
        dataset_u(d, 4, 0);
        dataset_text(d, name);
        dataset_text(d, "");
        dataset_text(d, modified);
        dataset_text(d, "");
}
