/* SPDX-License-Identifier: Apache-2.0 */

/* Which model a device is of. */

#include <errno.h>
#include <fnmatch.h>

#include "model/model.h"

static bool class_equal(const UsbClass *a, const UsbClass *b) {
        return a->class_code == b->class_code && a->subclass == b->subclass && a->protocol == b->protocol;
}

static bool class_in(const ModelClasses *classes, const UsbClass *class) {
        for (size_t i = 0; i < classes->n; i++)
                if (class_equal(&classes->items[i], class))
                        return true;
        return false;
}

bool model_needs_interface(const Model *m, const UsbClass *class) {
        return class_in(&m->interfaces, class);
}

bool model_leaves_by_interface(const Model *m, const UsbClass *class) {
        static const UsbClass run_time = { 0xfe, 0x01, 0x01 };

        return m->update_mode && class_equal(class, &run_time) && (class_in(&m->others, class) || class_in(&m->interfaces, class));
}

/*
 * A device with one interface more than the model knows is another device: it is refused as a whole. So is one that has nothing
 * for the plugin to work with.
 */
static bool interfaces_fit(const Model *model, const UsbShape *shape) {
        bool useful = false;

        for (size_t i = 0; i < shape->n_interfaces; i++) {
                if (model_needs_interface(model, &shape->interfaces[i]))
                        useful = true;
                else if (!class_in(&model->others, &shape->interfaces[i]))
                        return false;
        }
        return useful;
}

static bool id_fits(const Model *model, const UsbShape *shape) {
        if (model->match_any_id)
                return true;
        for (size_t i = 0; i < model->n_ids; i++)
                if (model->ids[i].vid == shape->vid && model->ids[i].pid == shape->pid)
                        return true;
        return false;
}

static bool word_fits(const char *pattern, const char *word) {
        return !pattern || fnmatch(pattern, word ?: "", 0) == 0;
}

/* models_check() sees to it that two models of one rank never fit the same device. */
static int rank_of(const Model *m) {
        return (m->match_any_id ? 0 : 4) + !!m->match_manufacturer + !!m->match_product + !!m->match_serial;
}

const Model *models_match(const Models *m, const UsbShape *shape, const UsbWords *words) {
        const Model *best = NULL;

        /* Descriptors that do not hold together are nobody's. */
        if (shape->problem)
                return NULL;
        for (size_t i = 0; i < m->n; i++) {
                const Model *model = m->models[i];

                if (!id_fits(model, shape) || !word_fits(model->match_manufacturer, words->manufacturer) ||
                    !word_fits(model->match_product, words->product) || !word_fits(model->match_serial, words->serial) ||
                    !interfaces_fit(model, shape))
                        continue;
                if (!best || rank_of(model) > rank_of(best))
                        best = model;
        }
        return best;
}

/* ---- Ambiguity ------------------------------------------------------------------------------------------------- */

static bool ids_overlap(const Model *a, const Model *b) {
        if (a->match_any_id || b->match_any_id)
                return a->match_any_id && b->match_any_id;
        for (size_t i = 0; i < a->n_ids; i++)
                for (size_t k = 0; k < b->n_ids; k++)
                        if (a->ids[i].vid == b->ids[k].vid && a->ids[i].pid == b->ids[k].pid)
                                return true;
        return false;
}

static bool words_overlap(const char *a, const char *b) {
        return !a || !b || glob_overlaps(a, b);
}

/* Does a device exist whose interfaces fit both? One useful to each, and each of them known to both, is enough. */
static bool interfaces_overlap(const Model *a, const Model *b) {
        bool a_served = false, b_served = false;

        for (size_t i = 0; i < a->interfaces.n; i++)
                a_served = a_served || class_in(&b->interfaces, &a->interfaces.items[i]) || class_in(&b->others, &a->interfaces.items[i]);
        for (size_t i = 0; i < b->interfaces.n; i++)
                b_served = b_served || class_in(&a->interfaces, &b->interfaces.items[i]) || class_in(&a->others, &b->interfaces.items[i]);
        return a_served && b_served;
}

static bool models_overlap(const Model *a, const Model *b) {
        return rank_of(a) == rank_of(b) && ids_overlap(a, b) && interfaces_overlap(a, b) &&
               words_overlap(a->match_manufacturer, b->match_manufacturer) && words_overlap(a->match_product, b->match_product) &&
               words_overlap(a->match_serial, b->match_serial);
}

int models_check(const Models *m, ConfError *error) {
        int r;

        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < i; k++) {
                        const Model *a = m->models[k], *b = m->models[i];

                        if (!models_overlap(a, b))
                                continue;
                        /* The later description is the one that its author is looking at. */
                        if (a->source > b->source) {
                                const Model *swap = a;

                                a = b;
                                b = swap;
                        }
                        (void) conf_fail(error, "%s:%u: [model %s] and [model %s] (%s:%u) could both be the same device; tell them "
                                         "apart by match, match_product, match_manufacturer, match_serial or interface",
                                         b->file, b->line, b->id, a->id, a->file, a->line);
                        return -EEXIST;
                }
        r = models_check_returns(m, error);
        return r < 0 ? r : models_check_update(m, error);
}
