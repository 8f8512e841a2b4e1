/* SPDX-License-Identifier: Apache-2.0 */

/* Cameras that show their footage only as another device: as which, and within what time. */

#include <errno.h>

#include "base/text.h"
#include "model/model.h"

#define WITHIN_MIN_USEC USEC_PER_SEC
#define WITHIN_MAX_USEC (600 * USEC_PER_SEC)

int model_parse_returns(Model *m, const ConfLine *line, ConfError *error) {
        if (text_equal(line->key, "returns_as")) {
                if (text_equal(line->value, m->id))
                        return conf_error(line, error, "a camera that changes its mode comes back as another model than this one");
                if (model_returns_as(m, line->value))
                        return conf_error(line, error, "%s is there twice", line->value);
                return model_list_append(line, &m->returns_as, line->value, error);
        }
        if (text_equal(line->key, "returns_within"))
                return conf_span(line, WITHIN_MIN_USEC, WITHIN_MAX_USEC, &m->returns_within_usec, error);
        return -ENOENT;
}

bool model_returns_as(const Model *m, const char *id) {
        for (size_t i = 0; i < m->returns_as.n; i++)
                if (text_equal(m->returns_as.items[i], id))
                        return true;
        return false;
}

const Model *models_find(const Models *m, const char *id) {
        for (size_t i = 0; i < m->n; i++)
                if (text_equal(m->models[i]->id, id))
                        return m->models[i];
        return NULL;
}

static int check_target(const Models *models, const Model *m, const char *id, ConfError *error) {
        const Model *target = models_find(models, id);

        if (!target)
                conf_fail(error, "%s:%u: [model %s] returns_as: there is no model '%s'; describe it, or take the line away", m->file,
                          m->line, m->id, id);
        else if (target->returns_as.n > 0)
                conf_fail(error, "%s:%u: [model %s] returns_as: the model %s (%s:%u) has a returns_as itself; the one that holds the "
                          "footage must not", m->file, m->line, m->id, id, target->file, target->line);
        else
                return 0;
        return -EINVAL;
}

int models_check_returns(const Models *models, ConfError *error) {
        for (size_t i = 0; i < models->n; i++) {
                const Model *m = models->models[i];

                if (m->returns_within_usec > 0 && m->returns_as.n == 0) {
                        conf_fail(error, "%s:%u: [model %s] has a returns_within, but no returns_as; add it", m->file, m->line, m->id);
                        return -EINVAL;
                }
                for (size_t k = 0; k < m->returns_as.n; k++) {
                        int r = check_target(models, m, m->returns_as.items[k], error);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

uint64_t model_returns_within_usec(const Model *m) {
        return m->returns_within_usec > 0 ? m->returns_within_usec : MODEL_RETURNS_WITHIN_USEC;
}
