/* SPDX-License-Identifier: Apache-2.0 */
#include "service/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define FILE_MAX (256u * 1024u)

typedef struct Section {
        bool of_camera; /* else of a model */
        char *name;
        unsigned line;
        Secrets *secrets;
} Section;

struct Credentials {
        char *path;
        Section *sections;
        size_t n;
};

Credentials *credentials_free(Credentials *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n; i++) {
                free(c->sections[i].name);
                secrets_free(c->sections[i].secrets);
        }
        free(c->sections);
        free(c->path);
        free(c);
        return NULL;
}

static const Section *find(const Credentials *c, bool of_camera, const char *name) {
        for (size_t i = 0; c && i < c->n; i++)
                if (c->sections[i].of_camera == of_camera && text_equal(c->sections[i].name, name))
                        return &c->sections[i];
        return NULL;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static int begin_section(Credentials *c, const ConfLine *line, ConfError *error) {
        bool of_camera = text_equal(line->section, "camera");
        Section *grown;

        if (!of_camera && !text_equal(line->section, "model"))
                return conf_error(line, error, "unknown section; there are [model ID] and [camera SERIAL]");
        if (!line->name[0])
                return conf_error(line, error, "says of no one: write [model ID] or [camera SERIAL]");
        if (find(c, of_camera, line->name))
                return conf_error(line, error, "is there twice");
        if (c->n == CREDENTIALS_SECTIONS_MAX)
                return conf_error(line, error, "more than %u sections", CREDENTIALS_SECTIONS_MAX);
        grown = reallocarray(c->sections, c->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        c->sections = grown;
        grown[c->n] = (Section){ .of_camera = of_camera, .name = strdup(line->name), .line = line->line };
        if (!grown[c->n].name)
                return -ENOMEM;
        return secrets_new(&grown[c->n++].secrets);
}

static int take_value(Credentials *c, const ConfLine *line, ConfError *error) {
        char name_value[SECRET_NAME_MAX + 1 + SECRET_VALUE_MAX + 1];
        size_t key = strlen(line->key), value = strlen(line->value);
        int r;

        if (key > SECRET_NAME_MAX || value > SECRET_VALUE_MAX || value == 0)
                return conf_error(line, error, "a name has 1 to %u bytes, a value 1 to %u", SECRET_NAME_MAX, SECRET_VALUE_MAX);
        (void) snprintf(name_value, sizeof(name_value), "%s=%s", line->key, line->value);
        r = secrets_add(c->sections[c->n - 1].secrets, name_value);
        explicit_bzero(name_value, sizeof(name_value));
        if (r == -EEXIST)
                return conf_error(line, error, "is there twice");
        if (r == -E2BIG)
                return conf_error(line, error, "more than %u values in one section", SECRETS_MAX);
        if (r == -EINVAL)
                return conf_error(line, error, "its value holds a control character");
        return r;
}

static int parse_line(const ConfLine *line, void *userdata, ConfError *error) {
        return line->key ? take_value(userdata, line, error) : begin_section(userdata, line, error);
}

/* Secrets that others can read are none, and that others can write open the cameras to them. */
static int check_guard(const char *path, const struct stat *st, bool from_systemd, ConfError *error) {
        unsigned others = from_systemd ? S_IRWXO | S_IWGRP : S_IRWXO | S_IRWXG;

        if (!S_ISREG(st->st_mode))
                return conf_fail(error, "%s is not a regular file; the credentials of cameras are read from one", path), -EINVAL;
        if (st->st_uid != 0 && st->st_uid != geteuid())
                return conf_fail(error, "%s belongs to user %u: whoever can change it opens the cameras; run 'chown root %s'", path,
                                 (unsigned) st->st_uid, path), -EPERM;
        if (st->st_mode & others)
                return conf_fail(error, "%s has the mode %03o, so that others can read or change the cameras' passwords: run "
                                 "'chmod 600 %s', and give the cameras other passwords if somebody may have read it", path,
                                 (unsigned) (st->st_mode & 0777), path), -EPERM;
        return 0;
}

/* Into memory of its own, which the caller makes zero. */
static int read_whole(int fd, char *text, size_t *ret_size) {
        size_t size = 0;

        while (size <= FILE_MAX) {
                ssize_t n = read(fd, text + size, FILE_MAX + 1 - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0) {
                        *ret_size = size;
                        return 0;
                }
                size += (size_t) n;
        }
        return -EFBIG;
}

static int parse_file(Credentials *c, int fd, ConfError *error) {
        char *text = malloc(FILE_MAX + 1);
        size_t size = 0;
        int r;

        if (!text)
                return -ENOMEM;
        r = read_whole(fd, text, &size);
        if (r < 0)
                conf_fail(error, "%s cannot be read: %s", c->path, strerror(-r));
        else
                r = conf_parse_text(c->path, text, size, parse_line, c, error);
        explicit_bzero(text, FILE_MAX + 1);
        free(text);
        return r;
}

int credentials_load(const char *path, bool from_systemd, Credentials **ret, ConfError *error) {
        _cleanup_(credentials_freep) Credentials *c = calloc(1, sizeof(*c));
        _cleanup_(fd_closep) int fd = -EBADF;
        struct stat st;
        int r;

        if (!c || !(c->path = strdup(path)))
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
        if (r == -EACCES)
                return conf_fail(error, "%s cannot be read by berthd's user: let systemd hand it over, as berthd.service does by "
                                 "LoadCredential=cameras:FILE", path), r;
        if (r < 0)
                return conf_fail(error, "%s cannot be read: %s", path, strerror(-r)), r;
        r = check_guard(path, &st, from_systemd, error);
        if (r >= 0)
                r = parse_file(c, fd, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int credentials_check(const Credentials *c, const Models *models, ConfError *error) {
        for (size_t i = 0; c && i < c->n; i++)
                if (!c->sections[i].of_camera && !models_find(models, c->sections[i].name))
                        return conf_fail(error, "%s:%u: [model %s]: there is no such model in the dock's folders of models; correct "
                                         "its id, or take the section out", c->path, c->sections[i].line, c->sections[i].name), -EINVAL;
        return 0;
}

/* ---- Using ------------------------------------------------------------------------------------------------------- */

static int add_all(Secrets *to, const Section *from) {
        const char *const *list = secrets_list(from ? from->secrets : NULL);

        for (; *list; list++) {
                int r = secrets_add(to, *list);

                /* What is there already is of the camera itself, or there are more than a worker takes. */
                if (r < 0 && r != -EEXIST && r != -E2BIG)
                        return r;
        }
        return 0;
}

int credentials_for(const Credentials *c, const char *model_id, const char *serial, Secrets **ret) {
        const Section *own = find(c, true, serial), *model = find(c, false, model_id);
        _cleanup_(secrets_freep) Secrets *s = NULL;
        int r;

        if (!own && !model) {
                *ret = NULL;
                return 0;
        }
        r = secrets_new(&s);
        if (r >= 0)
                r = add_all(s, own);
        if (r >= 0)
                r = add_all(s, model);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
