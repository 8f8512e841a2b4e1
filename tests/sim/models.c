/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/models.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEVICE_DESCRIPTOR_SIZE 18u

static int take_id(const json_t *spec, const char *key, uint16_t *ret) {
        const json_t *value = json_object_get(spec, key);

        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT16_MAX)
                return -EINVAL;
        *ret = (uint16_t) json_integer_value(value);
        return 0;
}

static int take_text(const json_t *spec, const char *key, char ret[static MODEL_STRING_SIZE]) {
        const json_t *value = json_object_get(spec, key);

        if (value && (!json_is_string(value) || json_string_length(value) >= MODEL_STRING_SIZE))
                return -EINVAL;
        (void) snprintf(ret, MODEL_STRING_SIZE, "%s", value ? json_string_value(value) : "");
        return 0;
}

int model_identity(const json_t *spec, ModelIdentity *ret, char *why, size_t why_size) {
        ModelIdentity identity = {};

        if (take_id(spec, "vid", &identity.vid) < 0 || take_id(spec, "pid", &identity.pid) < 0) {
                (void) snprintf(why, why_size, "\"vid\" and \"pid\" must be numbers from 0 to 65535.");
                return -EINVAL;
        }
        if (take_text(spec, "manufacturer", identity.manufacturer) < 0
            || take_text(spec, "product", identity.product) < 0 || take_text(spec, "serial", identity.serial) < 0) {
                (void) snprintf(why, why_size,
                                "\"manufacturer\", \"product\" and \"serial\" must be strings below %u bytes.",
                                MODEL_STRING_SIZE);
                return -EINVAL;
        }
        *ret = identity;
        return 0;
}

size_t model_device_descriptor(const ModelIdentity *identity, uint16_t version, uint8_t *ret) {
        const uint8_t d[DEVICE_DESCRIPTOR_SIZE] = {
                DEVICE_DESCRIPTOR_SIZE,
                1,
                0x00,
                0x02,
                identity->class_code,
                identity->subclass,
                identity->protocol,
                64,
                (uint8_t) identity->vid,
                (uint8_t) (identity->vid >> 8),
                (uint8_t) identity->pid,
                (uint8_t) (identity->pid >> 8),
                (uint8_t) version,
                (uint8_t) (version >> 8),
                identity->manufacturer[0] ? 1 : 0,
                identity->product[0] ? 2 : 0,
                identity->serial[0] ? 3 : 0,
                1,
        };

        memcpy(ret, d, sizeof(d));
        return sizeof(d);
}

void model_finish_configuration(uint8_t *raw, size_t size) {
        size_t total = size - DEVICE_DESCRIPTOR_SIZE;

        raw[DEVICE_DESCRIPTOR_SIZE + 2] = (uint8_t) total;
        raw[DEVICE_DESCRIPTOR_SIZE + 3] = (uint8_t) (total >> 8);
}

const char *model_string(const ModelIdentity *identity, uint8_t index) {
        const char *const strings[] = { NULL, identity->manufacturer, identity->product, identity->serial };

        return index >= 1 && index <= 3 && strings[index][0] ? strings[index] : NULL;
}
