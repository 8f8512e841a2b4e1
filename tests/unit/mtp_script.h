/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parts of a PTP camera's conversations with the plugin, which a test writes down container by container before they happen. */

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "berth/plugin.h"
#include "unit/mtp_dataset.h"

#define OK 0x2001
#define STORAGE 0x10001u
#define ROOT UINT32_C(0xFFFFFFFF)
#define ALL UINT32_C(0xFFFFFFFF)
#define DATE "20261123T091500"
#define DATE_UNIX 1795425300
#define N ELEMENTSOF

extern const berth_plugin *const plugin;
extern berth_host *host;
extern void *camera;
extern uint32_t id; /* of the next transaction */

/* Operations of one that has all of MTP that the plugin uses, and of one with the least. */
extern const uint16_t full_camera[11], plain_camera[5];

/* The data of a transaction, and that it went well; or that it did not. */
void answer(uint16_t code, const Dataset *d);
void refuse(uint16_t response);
void script_device_info(const uint16_t *operations, size_t n, const char *serial);
void open_camera(const uint16_t *operations, size_t n, const char *const *options);
void close_camera(void);
void script_storages(void);
void ask_handles(uint32_t folder);
void script_info(uint32_t handle, uint16_t format, uint32_t size, uint32_t parent, const char *name);
/* A list of ids as data. */
void script_ids(uint16_t code, const uint32_t *ids, size_t n);
#define IDS(code, ...) script_ids(code, (const uint32_t[]){ __VA_ARGS__ }, N(((const uint32_t[]){ __VA_ARGS__ })))
/* All of the listing of a camera with one clip, whose handle is 5. */
void list_one(uint32_t size);
/* What the plugin is told of that clip later. */
berth_clip clip_of(uint64_t size);
/* An object's elements of an ObjectPropList: PROPS_EACH of them. */
void props(Dataset *d, uint32_t handle, uint16_t format, uint64_t size, uint32_t parent, const char *name);
#define PROPS_EACH 6
