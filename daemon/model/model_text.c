/* SPDX-License-Identifier: Apache-2.0 */

/* What a model says, as words for people: the same that its file has. */

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "model/model.h"

static const char *const erase_table[_MODEL_ERASE_MAX] = {
        [MODEL_ERASE_RECEIPTED] = "receipted",
        [MODEL_ERASE_NEVER] = "never",
        [MODEL_ERASE_FORMAT] = "format",
        [MODEL_ERASE_AFTER] = "after",
        [MODEL_ERASE_BY_HAND] = "by-hand",
};

const char *model_erase_to_string(ModelErase e) {
        return (size_t) e < ELEMENTSOF(erase_table) ? erase_table[(size_t) e] : NULL;
}

const char *model_erase_text(const Model *m, char ret[static MODEL_TEXT_SIZE]) {
        static const uint64_t day_usec = 86400 * USEC_PER_SEC;
        uint64_t sec = m->erase_after_usec / USEC_PER_SEC;

        if (m->erase != MODEL_ERASE_AFTER)
                return model_erase_to_string(m->erase);
        if (m->erase_after_usec % day_usec == 0)
                (void) snprintf(ret, MODEL_TEXT_SIZE, "after %llud", (unsigned long long) (m->erase_after_usec / day_usec));
        else
                (void) snprintf(ret, MODEL_TEXT_SIZE, "after %llus", (unsigned long long) sec);
        return ret;
}

static const char *const firmware_table[_MODEL_FIRMWARE_MAX] = {
        [MODEL_FIRMWARE_NONE] = "none",
        [MODEL_FIRMWARE_DFU] = "dfu",
        [MODEL_FIRMWARE_FILE] = "file",
};

const char *model_firmware_to_string(ModelFirmware f) {
        return (size_t) f < ELEMENTSOF(firmware_table) ? firmware_table[(size_t) f] : NULL;
}

const char *model_zone_text(const Model *m, char ret[static MODEL_TEXT_SIZE]) {
        unsigned minutes = (unsigned) abs(m->zone_minutes);

        if (m->zone == MODEL_ZONE_FIXED)
                (void) snprintf(ret, MODEL_TEXT_SIZE, "%c%02u:%02u", m->zone_minutes < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
        else
                (void) snprintf(ret, MODEL_TEXT_SIZE, "%s", m->zone == MODEL_ZONE_LOCAL ? "local" : "utc");
        return ret;
}

const char *usb_class_text(const UsbClass *c, char ret[static MODEL_TEXT_SIZE]) {
        (void) snprintf(ret, MODEL_TEXT_SIZE, "%02x/%02x/%02x", c->class_code, c->subclass, c->protocol);
        return ret;
}
