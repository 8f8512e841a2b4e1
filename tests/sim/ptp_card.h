/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The storages of a simulated camera, and the objects on them: clips and the folders that their paths make. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "sim/content.h"
#include "sim/ptp_wire.h"

#define PTP_STORAGES_MAX 4u
#define PTP_OBJECTS_MAX 200000u
#define PTP_NO_OBJECT UINT32_MAX
#define PTP_ROOT UINT32_MAX /* as the index of a parent */

/* ISO 15740 chapter 6.2, MTP 1.1 appendix A. */
#define PTP_FORMAT_UNDEFINED 0x3000u
#define PTP_FORMAT_ASSOCIATION 0x3001u

typedef struct PtpObject {
        PtpText name;
        char *path;       /* as it was defined, or made from the names */
        Content *content; /* NULL: a folder */
        int64_t mtime_sec;
        uint32_t handle; /* of this power-cycle */
        uint32_t parent; /* index, or PTP_ROOT */
        uint32_t unique; /* stays the same for ever */
        unsigned storage;
        uint16_t format;
        bool is_protected;
        bool gone;
} PtpObject;

typedef struct PtpStorage {
        char *label;
        uint64_t total_bytes;
        bool is_read_only;
} PtpStorage;

typedef struct PtpCard {
        PtpStorage storages[PTP_STORAGES_MAX];
        unsigned n_storages;
        PtpObject *objects;
        uint32_t n_objects, capacity;
        uint32_t *by_handle; /* [handle - 1]: index */
        uint32_t n_handles, handle_capacity;
        uint32_t power_cycles;
        uint32_t next_unique;
} PtpCard;

void ptp_card_done(PtpCard *card);
/* New handles for what is there: what was one object's handle is then another's. */
int ptp_card_power_on(PtpCard *card);

static inline uint32_t ptp_storage_id(unsigned storage) {
        return (uint32_t) (storage + 1) << 16 | 1;
}
/* Its number, or -1. */
int ptp_storage_find(const PtpCard *card, uint32_t id);
uint64_t ptp_storage_used(const PtpCard *card, unsigned storage);

/* NULL when there is none (any more). Valid until an object is added. */
PtpObject *ptp_object_find(const PtpCard *card, uint32_t handle);
uint32_t ptp_object_index(const PtpCard *card, const PtpObject *object);
/* The handle of its folder, 0 at the root. */
uint32_t ptp_object_parent_handle(const PtpCard *card, const PtpObject *object);
/* Adds an object; `content` is taken over on success. -ENOSPC when there are too many. */
int ptp_object_add(PtpCard *card, const PtpObject *model, uint32_t *ret_index);
/* It is gone, and so is all beneath it. */
void ptp_object_remove(PtpCard *card, PtpObject *object);
/* What is left of it: the clip of this path, the `nth` (from 0) of that path; folders are not found. */
PtpObject *ptp_clip_find(const PtpCard *card, const char *path, uint64_t nth);

/* From the JSON of a clip, making its folders. On error returns -errno and fills `why`. */
int ptp_clip_add(PtpCard *card, const json_t *clip, unsigned storage, uint32_t *ret_index, char *why, size_t why_size);
/* The JSON of `change_clip`. */
int ptp_clip_change(PtpObject *object, const json_t *change, char *why, size_t why_size);
/* The format by the end of the name. */
uint16_t ptp_format_of(const PtpText *name);
