/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes PTP datasets for tests, independently of the plugin's own reader and writer. */

#include <stddef.h>
#include <stdint.h>

typedef struct Dataset {
        size_t size;
        uint8_t data[16384];
} Dataset;

/* The lowest `width` bytes of a number, little-endian. */
void dataset_u(Dataset *d, size_t width, uint64_t value);
/* ASCII as a PTP string; "" is the empty one of a single byte. */
void dataset_text(Dataset *d, const char *ascii);
void dataset_codes(Dataset *d, const uint16_t *codes, size_t n);
/* The head of an ObjectPropList's element; its value is to follow. */
void dataset_prop(Dataset *d, uint32_t handle, uint16_t code, uint16_t type);
void dataset_storage_info(Dataset *d, uint16_t access, uint64_t total, uint64_t available, const char *volume);
void dataset_object_info(Dataset *d, uint32_t storage, uint16_t format, uint32_t size, uint32_t parent, const char *name,
                         const char *modified);
