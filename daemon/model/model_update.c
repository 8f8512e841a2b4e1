/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How firmware gets into a camera, as another device, its loader, or as a file on its storage: which model that is, how it comes to
 * restart, and how long it may be away.
 */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

#define WITHIN_MIN_USEC USEC_PER_SEC
#define WITHIN_MAX_USEC (3600 * USEC_PER_SEC)

static const char *const restarts[_MODEL_RESTART_MAX] = {
        [MODEL_RESTART_COMMAND] = "command",
        [MODEL_RESTART_POWER] = "power",
        [MODEL_RESTART_HAND] = "hand",
};

const char *model_restart_to_string(ModelRestart r) {
        return (size_t) r < ELEMENTSOF(restarts) ? restarts[r] : NULL;
}

static int parse_restart(Model *m, const ConfLine *line, ConfError *error) {
        for (size_t i = 0; i < ELEMENTSOF(restarts); i++)
                if (text_equal(line->value, restarts[i])) {
                        m->update_restart = (ModelRestart) i;
                        m->update_restart_given = true;
                        return 0;
                }
        return conf_error(line, error, "'%s' is none of command, power and hand", line->value);
}

bool model_takes_firmware(const Model *m) {
        return m->update_mode || m->firmware == MODEL_FIRMWARE_FILE;
}

char *model_firmware_path(const Model *m, const char *name) {
        const char *slash = strrchr(m->firmware_file, '/');

        if (!name || !*name)
                return strdup(m->firmware_file);
        return text_format("%.*s%s", slash ? (int) (slash + 1 - m->firmware_file) : 0, m->firmware_file, name);
}

int model_parse_update(Model *m, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "update_mode")) {
                if (text_equal(line->value, m->id))
                        return conf_error(line, error, "a camera in its loader is another model than this one");
                return conf_string(line, &m->update_mode, error);
        }
        if (text_equal(line->key, "update_restart"))
                return parse_restart(m, line, error);
        if (text_equal(line->key, "update_within"))
                return conf_span(line, WITHIN_MIN_USEC, WITHIN_MAX_USEC, &m->update_within_usec, error);
        return -ENOENT;
}

uint64_t model_update_within_usec(const Model *m) {
        return m->update_within_usec > 0 ? m->update_within_usec : MODEL_UPDATE_WITHIN_USEC;
}

bool models_is_update_mode(const Models *models, const char *id) {
        for (size_t i = 0; i < models->n; i++)
                if (models->models[i]->update_mode && text_equal(models->models[i]->update_mode, id))
                        return true;
        return false;
}

int models_check_update(const Models *models, ConfError *error) {
        for (size_t i = 0; i < models->n; i++) {
                const Model *m = models->models[i], *target;

                if (m->update_restart_given && m->firmware != MODEL_FIRMWARE_FILE)
                        return conf_fail(error, "%s:%u: [model %s] has an update_restart, which is for cameras with 'firmware = file PATH'",
                                         m->file, m->line, m->id),
                               -EINVAL;
                if (!m->update_mode) {
                        if (m->update_within_usec == 0 || m->firmware == MODEL_FIRMWARE_FILE)
                                continue;
                        return conf_fail(error, "%s:%u: [model %s] has an update_within, but no update_mode; add it", m->file, m->line,
                                         m->id),
                               -EINVAL;
                }
                target = models_find(models, m->update_mode);
                if (target && m->firmware == MODEL_FIRMWARE_DFU && !target->update_mode)
                        continue;
                conf_fail(error, "%s:%u: [model %s] update_mode: %s", m->file, m->line, m->id,
                          !target                             ? "there is no such model; describe it, or take the line away" :
                          m->firmware != MODEL_FIRMWARE_DFU ? "it is for cameras with 'firmware = dfu'" :
                                                                "the model that it names has an update_mode itself; a loader must not");
                return -EINVAL;
        }
        return 0;
}
