/* SPDX-License-Identifier: Apache-2.0 */

/* What a file on a camera is, by its path. */

#include <fnmatch.h>
#include <strings.h>

#include "model/model.h"

static bool any_matches(const ModelList *patterns, const char *path) {
        for (size_t i = 0; i < patterns->n; i++)
                if (fnmatch(patterns->items[i], path, FNM_CASEFOLD) == 0)
                        return true;
        return false;
}

ModelFile model_file(const Model *model, const char *path) {
        /* What the dock put there is no footage. */
        if (model->firmware_file && strcasecmp(model->firmware_file, path) == 0)
                return MODEL_FILE_NONE;
        /* Companions first: a model that calls every file footage can then still name what is none. */
        if (any_matches(&model->companions_ignored, path))
                return MODEL_FILE_NONE;
        if (any_matches(&model->companions_taken, path))
                return MODEL_FILE_COMPANION;
        if (model->footage.n > 0 && !any_matches(&model->footage, path))
                return MODEL_FILE_NONE;
        return any_matches(&model->priority, path) ? MODEL_FILE_PRIORITY : MODEL_FILE_FOOTAGE;
}
