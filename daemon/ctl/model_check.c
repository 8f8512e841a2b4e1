/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl model check FILE…`: would the daemon take these files into its folder of models? Read by the daemon's own parser,
 * beside the models that are installed; no daemon needs to run.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/udev_rules.h"
#include "model/model.h"

#define LINE_SIZE 4096u

static const char *file_name(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

/* ---- udev ------------------------------------------------------------------------------------------------------- */

typedef struct Rules {
        bool any;    /* rules that make cameras were found: there is something to say */
        bool *given; /* by a rule, for each id of the model */
} Rules;

/* Is the word one of those that a rule's comparison of this key allows, as in {idProduct}=="0001|0002"? */
static bool rule_allows(const char *line, const char *key, const char *word) {
        const char *p = strstr(line, key);
        size_t n = strlen(word);
        for (p = p ? p + strlen(key) : NULL; p && *p && *p != '"'; p += *p == '|') {
                size_t length = strcspn(p, "|\"");
                if (length == n && strncasecmp(p, word, n) == 0)
                        return true;
                p += length;
        }
        return false;
}

/* A line of a rules file that makes a device a camera. */
static void look_at_line(const char *line, const Model *m, Rules *rules) {
        if (line[strspn(line, " \t")] == '#' || !strstr(line, "ENV{BERTH_CAMERA}=\"1\""))
                return;
        rules->any = true;
        for (size_t i = 0; i < m->n_ids; i++) {
                const UsbClass *c = m->interfaces.items;
                char vendor[8], product[8], interface[16];
                (void) snprintf(vendor, sizeof(vendor), "%04x", m->ids[i].vid);
                (void) snprintf(product, sizeof(product), "%04x", m->ids[i].pid);
                (void) snprintf(interface, sizeof(interface), ":%02x%02x%02x:", c->class_code, c->subclass, c->protocol);
                /* By its ids, or like every device that has this one interface. */
                if (strstr(line, "{idVendor}") ?
                            rule_allows(line, "{idVendor}==\"", vendor) && rule_allows(line, "{idProduct}==\"", product) :
                            m->interfaces.n == 1 && m->others.n == 0 && rule_allows(line, "{ID_USB_INTERFACES}==\"", interface))
                        rules->given[i] = true;
        }
}

static void look_at_file(const char *path, const Model *m, Rules *rules) {
        FILE *f = fopen(path, "re");
        char line[LINE_SIZE];
        if (!f)
                return;
        while (fgets(line, sizeof(line), f))
                look_at_line(line, m, rules);
        (void) fclose(f);
}

static void look_at_dir(const char *dir, const Model *m, Rules *rules) {
        DIR *d = opendir(dir);
        if (!d)
                return;
        for (struct dirent *entry; (entry = readdir(d));) {
                size_t n = strlen(entry->d_name);
                if (n < 6 || !text_equal(entry->d_name + n - 6, ".rules"))
                        continue;
                _cleanup_(freep) char *path = text_format("%s/%s", dir, entry->d_name);
                if (path)
                        look_at_file(path, m, rules);
        }
        (void) closedir(d);
}

/* Without a rule the daemon may match the device, and cannot open it. */
static void warn_of_udev(const Options *options, const Model *m) {
        _cleanup_(freep) bool *given = calloc(m->n_ids ? m->n_ids : 1, sizeof(bool));
        Rules rules = { .given = given };
        if (!given)
                return;
        if (options->rules_dir)
                look_at_dir(options->rules_dir, m, &rules);
        for (size_t i = 0; !options->rules_dir && udev_rules_dirs[i]; i++)
                look_at_dir(udev_rules_dirs[i], m, &rules);
        for (size_t i = 0; rules.any && i < m->n_ids; i++)
                if (!given[i])
                        fprintf(stderr,
                                "%s:%u: warning: [model %s] no udev rule gives %04x:%04x to the group berth; add to "
                                "/etc/udev/rules.d/67-berth-local.rules:\n"
                                "  SUBSYSTEM==\"usb\", ENV{DEVTYPE}==\"usb_device\", ATTR{idVendor}==\"%04x\", ATTR{idProduct}==\"%04x\", "
                                "ENV{BERTH_CAMERA}=\"1\"\n",
                                m->file, m->line, m->id, m->ids[i].vid, m->ids[i].pid, m->ids[i].vid, m->ids[i].pid);
}

/* The daemon passes over it in silence. */
static void warn_of_name(const char *path) {
        size_t n = strlen(path);
        if (n < 5 || !text_equal(path + n - 5, ".conf"))
                fprintf(stderr, "%s: warning: the daemon reads files whose names end in .conf\n", path);
}

/* ---- The check ---------------------------------------------------------------------------------------------------- */

static int fail(const ConfError *error, int r) {
        return ctl_fail(CTL_FAILURE, "%s", error->text[0] ? error->text : strerror(-r));
}

/* What is installed, without the files that the checked ones would replace. */
static int load_installed(const Options *options, Models *models) {
        ConfError error = { 0 };
        int r = models_add_dir(models, options->models_dir ? options->models_dir : BERTH_DATADIR "/cameras.d", MODEL_SHIPPED, &error);
        if (r >= 0)
                r = models_add_dir(models, options->local_models_dir ? options->local_models_dir : BERTH_SYSCONFDIR "/cameras.d",
                                   MODEL_LOCAL, &error);
        /* One that is to be replaced may be the one that is broken. */
        for (unsigned i = 0; i < options->n_args && r < 0; i++)
                if (strstr(error.text, file_name(options->args[i])))
                        return CTL_OK;
        if (r < 0)
                return fail(&error, r);
        for (unsigned i = 0; i < options->n_args; i++)
                models_drop_file(models, file_name(options->args[i]), MODEL_LOCAL);
        return CTL_OK;
}

static int add_candidates(const Options *options, Models *models) {
        int exit_code = CTL_OK;
        for (unsigned i = 0; i < options->n_args; i++) {
                ConfError error = { 0 };
                int r = models_add_file(models, options->args[i], MODEL_CANDIDATE, &error);
                if (r < 0)
                        exit_code = fail(&error, r);
        }
        return exit_code;
}

static void report(const Options *options, const Models *models) {
        for (unsigned i = 0; i < options->n_args; i++) {
                size_t n = 0;
                for (size_t k = 0; k < models->n; k++)
                        n += models->models[k]->source == MODEL_CANDIDATE && text_equal(models->models[k]->file, options->args[i]);
                printf("%s: %zu model%s, nothing wrong\n", options->args[i], n, n == 1 ? "" : "s");
        }
}

int model_check(const Options *options) {
        _cleanup_(models_freep) Models *models = NULL;
        ConfError error = { 0 };
        if (options->n_args == 0)
                return ctl_fail(CTL_USAGE, "'model check' takes the model files to check");
        if (models_new(&models) < 0)
                return ctl_fail(CTL_FAILURE, "out of memory");
        int exit_code = load_installed(options, models);
        if (exit_code == CTL_OK)
                exit_code = add_candidates(options, models);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = models_check(models, &error);
        if (r < 0)
                return fail(&error, r);
        report(options, models);
        for (unsigned i = 0; i < options->n_args; i++)
                warn_of_name(options->args[i]);
        for (size_t i = 0; i < models->n; i++)
                if (models->models[i]->source == MODEL_CANDIDATE)
                        warn_of_udev(options, models->models[i]);
        return CTL_OK;
}
