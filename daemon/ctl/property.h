/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a bus interface's properties become the members of a struct and the keys of a JSON object. */

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "base/macro.h"

typedef enum PropertyKind {
        PROPERTY_STRING,
        PROPERTY_MAYBE,   /* a string that may be left out: null in JSON, NULL in the struct */
        PROPERTY_LIST,    /* strings, ended by NULL; NULL in the struct when left out: an empty array in JSON */
        PROPERTY_OBJECT,  /* an object path; left out of the JSON: paths are the bus's business */
        PROPERTY_BOOL,
        PROPERTY_UINT32,
        PROPERTY_UINT64,
        PROPERTY_COUNT,   /* t, UINT64_MAX when left out: null in JSON */
        PROPERTY_INT64,
        PROPERTY_TIME,    /* x, PROPERTY_TIME_UNKNOWN when left out: null in JSON */
        PROPERTY_SPAN,    /* x, seconds; -1 unknown: null in JSON */
        PROPERTY_PERCENT, /* i, -1 unknown: null in JSON */
        PROPERTY_RANGES,  /* a(tt), kept as JSON: [[offset, length], …]; NULL in the struct and null in JSON when left out */
        PROPERTY_TALLY,   /* a{st}, kept as a JSON object; NULL in the struct and null in JSON when left out */
        PROPERTY_OUTCOME, /* a{sv} of texts and numbers, kept as a JSON object with its keys in small letters; null likewise */
        _PROPERTY_KIND_MAX,
} PropertyKind;

#define PROPERTY_TIME_UNKNOWN INT64_MIN

typedef struct Property {
        const char *name;
        const char *json;
        PropertyKind kind;
        size_t offset;
} Property;

#define PROPERTY(type, name, json, kind, member)                                                                  \
        { name, json, PROPERTY_##kind, offsetof(type, member) }

extern const Property manager_properties[], bay_properties[], camera_properties[];
extern const size_t n_manager_properties, n_bay_properties, n_camera_properties;

/* Makes every string member "", and what may be left out unknown. -ENOMEM. */
int properties_init(const Property *properties, size_t n, void *object);
void properties_clear(const Property *properties, size_t n, void *object);
/* Reads an a{sv}: what is not in the table, or not of its type, is passed over. -ENOMEM, -EBADMSG. */
int properties_read(const Property *properties, size_t n, void *object, sd_bus_message *m);
/* Sets the keys in `json`. -ENOMEM. */
int properties_to_json(const Property *properties, size_t n, const void *object, json_t *json);
