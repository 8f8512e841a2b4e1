/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The datasets of ISO 15740 clause 5.5 and MTP 1.1 that the plugin reads, each parsed at once from the payload of a
 * data phase. All of it pure. 0, or -EBADMSG when the bytes are not that dataset; *ret is then undefined.
 * Cameras leave out trailing strings that they have nothing to say for: what is missing there is empty.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ptp_wire.h"

#define DEVICE_CODES_MAX 1024u /* operations, and properties, that one camera may name */

typedef struct DeviceInfo {
        uint32_t vendor_extension;
        PtpString vendor_text;
        uint16_t operations[DEVICE_CODES_MAX];
        size_t n_operations;
        uint16_t properties[DEVICE_CODES_MAX];
        size_t n_properties;
        PtpString manufacturer, model, version, serial;
} DeviceInfo;

int ptp_device_info_parse(const void *data, size_t size, DeviceInfo *ret);
bool ptp_device_info_has_operation(const DeviceInfo *info, uint16_t code);
bool ptp_device_info_has_property(const DeviceInfo *info, uint16_t code);
/* Does the camera speak MTP, so that codes of the vendor range mean what MTP and its Android extension say? */
bool ptp_device_info_is_mtp(const DeviceInfo *info);

typedef struct StorageInfo {
        uint16_t access;
        uint64_t total_bytes, free_bytes; /* UINT64_MAX: the camera does not say */
        PtpString volume;
} StorageInfo;

int ptp_storage_info_parse(const void *data, size_t size, StorageInfo *ret);

typedef struct ObjectInfo {
        uint32_t storage;
        uint16_t format, protection;
        uint32_t size_bytes; /* PTP_LENGTH_UNKNOWN: ask for the object property */
        uint32_t parent;
        PtpString name, captured, modified;
} ObjectInfo;

int ptp_object_info_parse(const void *data, size_t size, ObjectInfo *ret);

/* What a host says of an object that it is about to send. */
typedef struct ObjectAnnouncement {
        uint32_t storage, parent;
        uint16_t format, association; /* the latter is 0 for a file */
        uint32_t size_bytes;
        const char *name; /* ASCII */
} ObjectAnnouncement;
/* The dataset's size, 0 when the name does not fit. */
size_t ptp_object_info_put(uint8_t *to, size_t size, const ObjectAnnouncement *a);

/* A device property: what it is now, and which values it may take. Numbers of more than 64 bits are not kept. */
typedef enum PropertyForm {
        PROPERTY_FORM_NONE,
        PROPERTY_FORM_RANGE,
        PROPERTY_FORM_ENUM,
} PropertyForm;

typedef struct PropertyValue {
        bool is_text;
        int64_t number;
        PtpString text;
} PropertyValue;

typedef struct PropertyDesc {
        uint16_t code, type;
        bool writable;
        PropertyValue current;
        PropertyForm form;
        int64_t min, max; /* of the range, or of the enumeration */
} PropertyDesc;

int ptp_property_desc_parse(const void *data, size_t size, PropertyDesc *ret);
/* The bare value, as GetDevicePropValue and GetObjectPropValue answer it. */
int ptp_property_value_parse(const void *data, size_t size, uint16_t type, PropertyValue *ret);

/* One element of an ObjectPropList. Arrays and 128-bit numbers are passed over and not reported. */
typedef struct ObjectProp {
        uint32_t handle;
        uint16_t code;
        PropertyValue value;
} ObjectProp;

/* Called for each element in order; a negative return ends the parse and is returned. */
typedef int (*ObjectPropSink)(void *userdata, const ObjectProp *prop);

int ptp_object_prop_list_parse(const void *data, size_t size, ObjectPropSink sink, void *userdata);

/* Storage ids or object handles: a new array in *ret (NULL when empty), to be freed. -E2BIG for more than `max`. */
int ptp_id_array_parse(const void *data, size_t size, size_t max, uint32_t **ret, size_t *ret_n);
