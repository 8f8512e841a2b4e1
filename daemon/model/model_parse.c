/* SPDX-License-Identifier: Apache-2.0 */

/* The files of cameras.d: which sections there are, and that each is whole. The keys are in model_key.c. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

#define MODELS_MAX 1024u
#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define ID_MAX 64u

int models_new(Models **ret) {
        *ret = calloc(1, sizeof(Models));
        return *ret ? 0 : -ENOMEM;
}

Models *models_free(Models *m) {
        if (!m)
                return NULL;
        for (size_t i = 0; i < m->n; i++)
                model_free(m->models[i]);
        free(m->models);
        free(m);
        return NULL;
}

/* One parse of one source: the model under construction is one of the list already. */
typedef struct Parse {
        Models *models;
        Model *current;
        ModelSource source;
} Parse;

/* A section ends where the next begins, or the file: what it must have is known only then. */
static int finish_model(Parse *p, ConfError *error) {
        Model *m = p->current;
        const char *missing = NULL;

        p->current = NULL;
        if (!m)
                return 0;
        if (!m->match_any_id && m->n_ids == 0)
                missing = "match";
        else if (!m->plugin)
                missing = "plugin";
        else if (m->interfaces.n == 0)
                missing = "interface";
        if (!missing)
                return model_finish(m, error);
        conf_fail(error, "%s:%u: [model %s] has no '%s'; add it", m->file, m->line, m->id, missing);
        return -EINVAL;
}

static Model **find_model(const Models *models, const char *id) {
        for (size_t i = 0; i < models->n; i++)
                if (text_equal(models->models[i]->id, id))
                        return &models->models[i];
        return NULL;
}

static const char *file_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int add_model(Parse *p, Model *m, const ConfLine *line, ConfError *error) {
        Models *models = p->models;
        Model **at = find_model(models, m->id), **grown;

        /* A candidate will lie in the site's folder, beside what is there. */
        if (at && ((*at)->source == p->source || (p->source == MODEL_CANDIDATE && (*at)->source == MODEL_LOCAL)))
                return conf_error(line, error, "the model %s is described twice, here and in %s:%u", m->id, (*at)->file, (*at)->line);
        if (at) {
                model_free(*at);
                *at = m;
                return 0;
        }
        if (models->n >= MODELS_MAX)
                return conf_error(line, error, "more than %u models", MODELS_MAX);
        grown = reallocarray(models->models, models->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        models->models = grown;
        grown[models->n++] = m;
        return 0;
}

static int begin_model(Parse *p, const ConfLine *line, ConfError *error) {
        _cleanup_(model_freep) Model *m = NULL;
        int r;

        r = finish_model(p, error);
        if (r < 0)
                return r;
        if (!line->name[0] || line->name[strspn(line->name, ID_CHARACTERS)] || strlen(line->name) > ID_MAX)
                return conf_error(line, error, "a model needs an id of at most %u lower-case letters, digits and '-', as in [model "
                                  "generic-mtp]", ID_MAX);
        m = calloc(1, sizeof(*m));
        if (!m || !(m->id = strdup(line->name)) || !(m->file = strdup(line->file)))
                return -ENOMEM;
        m->line = line->line;
        m->source = p->source;
        r = add_model(p, m, line, error);
        if (r < 0)
                return r;
        p->current = TAKE_PTR(m);
        return 0;
}

static int parse_line(const ConfLine *line, void *userdata, ConfError *error) {
        Parse *p = userdata;
        int r;

        /* A section does not go on in the next file. */
        if (p->current && !text_equal(p->current->file, line->file)) {
                r = finish_model(p, error);
                if (r < 0)
                        return r;
        }
        if (!text_equal(line->section, "model"))
                return conf_error(line, error, "unknown section; a camera model begins with [model ID]");
        return line->key ? model_parse_key(p->current, line, error) : begin_model(p, line, error);
}

static int finish(Parse *p, int r, ConfError *error) {
        if (r >= 0)
                r = finish_model(p, error);
        if (r == -ENOMEM && error->text[0] == 0)
                conf_fail(error, "out of memory");
        return r < 0 ? r : 0;
}

int models_add_dir(Models *m, const char *dir, ModelSource source, ConfError *error) {
        Parse p = { .models = m, .source = source };

        return finish(&p, conf_parse_dir(dir, parse_line, &p, error), error);
}

int models_add_file(Models *m, const char *path, ModelSource source, ConfError *error) {
        Parse p = { .models = m, .source = source };

        return finish(&p, conf_parse_file(path, parse_line, &p, error), error);
}

int models_add_text(Models *m, const char *name, const char *text, size_t size, ModelSource source, ConfError *error) {
        Parse p = { .models = m, .source = source };

        return finish(&p, conf_parse_text(name, text, size, parse_line, &p, error), error);
}

void models_drop_file(Models *m, const char *name, ModelSource source) {
        size_t n = 0;

        for (size_t i = 0; i < m->n; i++)
                if (m->models[i]->source == source && text_equal(file_name(m->models[i]->file), name))
                        model_free(m->models[i]);
                else
                        m->models[n++] = m->models[i];
        m->n = n;
}

int models_load(const char *shipped_dir, const char *local_dir, Models **ret, ConfError *error) {
        _cleanup_(models_freep) Models *m = NULL;
        int r;

        r = models_new(&m);
        if (r < 0)
                return r;
        r = models_add_dir(m, shipped_dir, MODEL_SHIPPED, error);
        if (r < 0)
                return r;
        r = models_add_dir(m, local_dir, MODEL_LOCAL, error);
        if (r < 0)
                return r;
        r = models_check(m, error);
        if (r < 0)
                return r;
        if (m->n == 0) {
                conf_fail(error, "no camera model is described in %s or %s; install cameras.d or name its folder in [dock] models_dir",
                          shipped_dir, local_dir);
                return -ENOENT;
        }
        *ret = TAKE_PTR(m);
        return 0;
}
