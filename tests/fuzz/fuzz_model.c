/* SPDX-License-Identifier: Apache-2.0 */

/* Camera models: any text is either read or refused with one sentence; what was read can be checked, matched and asked. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const Models *models) {
        static const UsbClass classes[] = { { 6, 1, 1 }, { 8, 6, 80 } };
        UsbShape shape = { .vid = 0x1234, .pid = 0x5678, .n_interfaces = 2, .interfaces = { classes[0], classes[1] } };

        for (size_t i = 0; i < models->n; i++) {
                const Model *m = models->models[i];
                char zone[MODEL_TEXT_SIZE];

                assert(m->id[0] && m->plugin && m->interfaces.n > 0 && (m->match_any_id || m->n_ids > 0));
                assert(model_erase_to_string(m->erase) && model_firmware_to_string(m->firmware));
                assert(model_zone_text(m, zone)[0]);
                assert((m->firmware == MODEL_FIRMWARE_FILE) == (m->firmware_file != NULL));
                (void) model_file(m, "DCIM/100MEDIA/A_IMP.MP4");
                (void) model_file(m, m->id);
                shape.vid = m->n_ids > 0 ? m->ids[0].vid : 1;
                shape.pid = m->n_ids > 0 ? m->ids[0].pid : 1;
                shape.interfaces[0] = shape.interfaces[1] = m->interfaces.items[0];
                (void) models_match(models, &shape, &(UsbWords){ m->match_manufacturer, m->match_product, m->match_serial });
                if (m->match_product && m->match_serial)
                        assert(glob_overlaps(m->match_product, m->match_serial) == glob_overlaps(m->match_serial, m->match_product));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size ? size : 1);
        Models *models = NULL;
        ConfError error = {};
        int r;

        assert(text && models_new(&models) == 0);
        memcpy(text, data, size);
        r = models_add_text(models, "fuzz.conf", text, size, MODEL_LOCAL, &error);
        if (r < 0) {
                assert(strncmp(error.text, "fuzz.conf:", 10) == 0);
                assert(text_is_printable(error.text));
        } else {
                (void) models_check(models, &error);
                use(models);
        }
        models_free(models);
        free(text);
        return 0;
}
