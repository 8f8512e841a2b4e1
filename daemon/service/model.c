/* SPDX-License-Identifier: Apache-2.0 */
#include "service/model.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define MODELS_MAX 1024u
#define LIST_MAX 64u

static Model *model_free(Model *m) {
        if (!m)
                return NULL;
        free(m->id);
        free(m->description);
        free(m->tested);
        free(m->plugin);
        free(m->match_product);
        free(m->interfaces);
        for (size_t i = 0; i < m->n_footage; i++)
                free(m->footage[i]);
        free(m->footage);
        for (size_t i = 0; i < m->n_options; i++)
                free(m->options[i]);
        free(m->options);
        free(m);
        return NULL;
}
DEFINE_CLEANUP(Model, model_free);

Models *models_free(Models *m) {
        if (!m)
                return NULL;
        for (size_t i = 0; i < m->n; i++)
                model_free(m->models[i]);
        free(m->models);
        free(m);
        return NULL;
}

/* One parse of one folder: the model under construction is the last of the list. */
typedef struct Parse {
        Models *models;
        Model *current;
        char where[256]; /* file and line at which the current section began */
        bool local, matched;
        ConfError *error;
} Parse;

static int append_string(const ConfLine *line, char ***list, size_t *n, const char *value, ConfError *error) {
        char **grown;

        if (*n >= LIST_MAX)
                return conf_error(line, error, "more than %u of them", LIST_MAX);
        /* One more than needed, so that the list ends with NULL. */
        grown = reallocarray(*list, *n + 2, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        *list = grown;
        grown[*n] = strdup(value);
        grown[*n + 1] = NULL;
        if (!grown[*n])
                return -ENOMEM;
        (*n)++;
        return 0;
}

/* "06/01/01" */
static int parse_class(const ConfLine *line, Model *m, ConfError *error) {
        UsbClass *grown, c = {};
        char tail;

        if (sscanf(line->value, "%2hhx/%2hhx/%2hhx%c", &c.class_code, &c.subclass, &c.protocol, &tail) != 3)
                return conf_error(line, error, "'%s' is not class/subclass/protocol in hex, such as 06/01/01", line->value);
        if (m->n_interfaces >= LIST_MAX)
                return conf_error(line, error, "more than %u of them", LIST_MAX);
        grown = reallocarray(m->interfaces, m->n_interfaces + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        m->interfaces = grown;
        grown[m->n_interfaces++] = c;
        return 0;
}

/* "any", or "1234:abcd" */
static int parse_match(Parse *p, const ConfLine *line, ConfError *error) {
        Model *m = p->current;
        char tail;

        p->matched = true;
        if (text_equal(line->value, "any")) {
                m->match_any_id = true;
                return 0;
        }
        if (strlen(line->value) != 9 || sscanf(line->value, "%4hx:%4hx%c", &m->vid, &m->pid, &tail) != 2)
                return conf_error(line, error, "'%s' is neither 'any' nor vendor:product in hex, such as 4255:0001", line->value);
        return 0;
}

/* A plugin's name becomes a file name: one plain word. */
static int parse_plugin(Model *m, const ConfLine *line, ConfError *error) {
        if (line->value[strspn(line->value, "abcdefghijklmnopqrstuvwxyz0123456789-")] || !line->value[0])
                return conf_error(line, error, "'%s' is not a plugin's name (lower-case letters, digits, '-')", line->value);
        return conf_string(line, &m->plugin, error);
}

static int parse_key(Parse *p, const ConfLine *line, ConfError *error) {
        Model *m = p->current;

        if (text_equal(line->key, "description"))
                return conf_string(line, &m->description, error);
        if (text_equal(line->key, "tested"))
                return conf_string(line, &m->tested, error);
        if (text_equal(line->key, "plugin"))
                return parse_plugin(m, line, error);
        if (text_equal(line->key, "match"))
                return parse_match(p, line, error);
        if (text_equal(line->key, "match_product"))
                return conf_string(line, &m->match_product, error);
        if (text_equal(line->key, "interface"))
                return parse_class(line, m, error);
        if (text_equal(line->key, "footage"))
                return append_string(line, &m->footage, &m->n_footage, line->value, error);
        if (strncmp(line->key, "plugin.", 7) == 0 && line->key[7]) {
                _cleanup_(freep) char *option = text_format("%s=%s", line->key + 7, line->value);

                if (!option)
                        return -ENOMEM;
                return append_string(line, &m->options, &m->n_options, option, error);
        }
        return conf_error(line, error, "unknown key");
}

/* A section ends where the next begins, or the folder: what it must have is known only then. */
static int finish_model(Parse *p) {
        const Model *m = p->current;
        const char *missing = NULL;

        if (!m)
                return 0;
        if (!p->matched)
                missing = "match";
        else if (!m->plugin)
                missing = "plugin";
        else if (m->n_interfaces == 0)
                missing = "interface";
        if (missing) {
                snprintf(p->error->text, sizeof(p->error->text), "%s: [model %s] has no '%s'; add it", p->where, m->id, missing);
                return -EINVAL;
        }
        p->current = NULL;
        return 0;
}

static int find_model(const Models *models, const char *id) {
        for (size_t i = 0; i < models->n; i++)
                if (text_equal(models->models[i]->id, id))
                        return (int) i;
        return -1;
}

static int begin_model(Parse *p, const ConfLine *line, ConfError *error) {
        _cleanup_(model_freep) Model *m = NULL;
        Model **grown;
        int at, r;

        r = finish_model(p);
        if (r < 0)
                return r;
        if (!line->name[0] || line->name[strspn(line->name, "abcdefghijklmnopqrstuvwxyz0123456789-")])
                return conf_error(line, error, "a model needs an id of lower-case letters, digits and '-', as in [model generic-mtp]");
        at = find_model(p->models, line->name);
        if (at >= 0 && p->models->models[at]->local == p->local)
                return conf_error(line, error, "the model %s is described twice", line->name);
        m = calloc(1, sizeof(*m));
        if (!m || !(m->id = strdup(line->name)))
                return -ENOMEM;
        m->local = p->local;
        if (at >= 0) {
                model_free(p->models->models[at]);
                p->models->models[at] = m;
        } else {
                if (p->models->n >= MODELS_MAX)
                        return conf_error(line, error, "more than %u models", MODELS_MAX);
                grown = reallocarray(p->models->models, p->models->n + 1, sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                p->models->models = grown;
                grown[p->models->n++] = m;
        }
        snprintf(p->where, sizeof(p->where), "%s:%u", line->file, line->line);
        p->matched = false;
        p->current = TAKE_PTR(m);
        return 0;
}

static int parse_line(const ConfLine *line, void *userdata, ConfError *error) {
        Parse *p = userdata;

        if (!text_equal(line->section, "model"))
                return conf_error(line, error, "unknown section; a camera model begins with [model ID]");
        if (!line->key)
                return begin_model(p, line, error);
        if (!p->current)
                return conf_error(line, error, "this key stands outside of a [model ID] section");
        return parse_key(p, line, error);
}

static int load_dir(Models *models, const char *dir, bool local, ConfError *error) {
        Parse p = { .models = models, .local = local, .error = error };
        int r;

        r = conf_parse_dir(dir, parse_line, &p, error);
        if (r < 0)
                return r;
        return finish_model(&p);
}

int models_load(const char *shipped_dir, const char *local_dir, Models **ret, ConfError *error) {
        _cleanup_(models_freep) Models *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        r = load_dir(m, shipped_dir, false, error);
        if (r < 0)
                return r;
        r = load_dir(m, local_dir, true, error);
        if (r < 0)
                return r;
        if (m->n == 0) {
                snprintf(error->text, sizeof(error->text),
                         "no camera model is described in %s or %s; install cameras.d or name its folder in [dock] models_dir",
                         shipped_dir, local_dir);
                return -ENOENT;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

static bool class_equal(const UsbClass *a, const UsbClass *b) {
        return a->class_code == b->class_code && a->subclass == b->subclass && a->protocol == b->protocol;
}

/* A device with one interface more than the model knows is another device: it is refused as a whole. */
static bool interfaces_fit(const Model *model, const UsbShape *shape) {
        if (shape->n_interfaces == 0)
                return false;
        for (size_t i = 0; i < shape->n_interfaces; i++) {
                bool known = false;

                for (size_t k = 0; k < model->n_interfaces && !known; k++)
                        known = class_equal(&shape->interfaces[i], &model->interfaces[k]);
                if (!known)
                        return false;
        }
        return true;
}

const Model *models_match(const Models *m, const UsbShape *shape, const char *product) {
        const Model *best = NULL;
        int best_rank = -1;

        for (size_t i = 0; i < m->n; i++) {
                const Model *model = m->models[i];
                int rank = (model->match_any_id ? 0 : 2) + (model->match_product ? 1 : 0);

                if (!model->match_any_id && (model->vid != shape->vid || model->pid != shape->pid))
                        continue;
                if (model->match_product && fnmatch(model->match_product, product ?: "", 0) != 0)
                        continue;
                if (!interfaces_fit(model, shape) || rank <= best_rank)
                        continue;
                best = model;
                best_rank = rank;
        }
        return best;
}

bool model_is_footage(const Model *model, const char *path) {
        if (model->n_footage == 0)
                return true;
        for (size_t i = 0; i < model->n_footage; i++)
                if (fnmatch(model->footage[i], path, FNM_CASEFOLD) == 0)
                        return true;
        return false;
}
