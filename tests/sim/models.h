/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the bus's own small models share. */

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define MODEL_STRING_SIZE 127u

typedef struct ModelIdentity {
        uint16_t vid, pid;
        uint8_t class_code, subclass, protocol; /* of the device descriptor */
        char manufacturer[MODEL_STRING_SIZE], product[MODEL_STRING_SIZE], serial[MODEL_STRING_SIZE];
} ModelIdentity;

/* Reads vid, pid (numbers), manufacturer, product, serial of a `camera` command. -EINVAL fills `why`. */
int model_identity(const json_t *spec, ModelIdentity *ret, char *why, size_t why_size);
/* Writes the 18 bytes of a device descriptor with one configuration; returns their number. */
size_t model_device_descriptor(const ModelIdentity *identity, uint16_t version, uint8_t *ret);
/* Sets the total length of the one configuration that follows the device descriptor. */
void model_finish_configuration(uint8_t *raw, size_t size);
/* The string descriptors 1 to 3, or NULL. */
const char *model_string(const ModelIdentity *identity, uint8_t index);
