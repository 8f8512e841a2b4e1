/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/fd.h"
#include "base/text.h"

#define FILE_SIZE_MAX 16384u
#define SYSTEMD_NAME "s3"

typedef struct Secrets {
        char *access_key, *secret_key, *token;
} Secrets;

struct S3Credentials {
        char *path; /* NULL: nowhere to look */
        bool from_service_manager;
        bool loaded;
        struct stat seen;
        Secrets secrets;
};

static char *forget(char *secret) {
        if (secret)
                OPENSSL_clear_free(secret, strlen(secret) + 1);
        return NULL;
}

static void secrets_end(Secrets *s) {
        s->access_key = forget(s->access_key);
        s->secret_key = forget(s->secret_key);
        s->token = forget(s->token);
}

S3Credentials *s3_credentials_free(S3Credentials *c) {
        if (!c)
                return NULL;
        secrets_end(&c->secrets);
        free(c->path);
        free(c);
        return NULL;
}

int s3_credentials_new(const char *path, S3Credentials **ret) {
        _cleanup_(s3_credentials_freep) S3Credentials *c = calloc(1, sizeof(*c));
        const char *folder = getenv("CREDENTIALS_DIRECTORY");

        if (!c)
                return -ENOMEM;
        c->from_service_manager = !path;
        if (path)
                c->path = strdup(path);
        else if (folder)
                c->path = text_format("%s/" SYSTEMD_NAME, folder);
        if ((path || folder) && !c->path)
                return -ENOMEM;
        *ret = TAKE_PTR(c);
        return 0;
}

/* ---- The file ------------------------------------------------------------------------------------------------------ */

static int take(const ConfLine *line, void *userdata, ConfError *error) {
        Secrets *s = userdata;
        const struct {
                const char *key;
                char **field;
        } fields[] = {
                { "aws_access_key_id", &s->access_key },
                { "aws_secret_access_key", &s->secret_key },
                { "aws_session_token", &s->token },
        };

        /* Other profiles, and what other clients keep in theirs. */
        if (!text_equal(line->section, "default") || !line->key)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                if (!text_equal(line->key, fields[i].key))
                        continue;
                /* An access key goes into a header as it is. */
                if (!line->value[0] || !text_is_printable(line->value) || strpbrk(line->value, " ,\t"))
                        return conf_error(line, error, "this is no key");
                *fields[i].field = forget(*fields[i].field);
                *fields[i].field = OPENSSL_strdup(line->value);
                return *fields[i].field ? 0 : -ENOMEM;
        }
        return 0;
}

static int complain(const S3Credentials *c, ConfError *error, const char *what) {
        (void) snprintf(error->text, sizeof(error->text), "the credentials file %s %s", c->path, what);
        return -EINVAL;
}

static int read_file(const S3Credentials *c, int fd, const struct stat *st, Secrets *ret, ConfError *error) {
        char text[FILE_SIZE_MAX];
        Secrets s = {};
        int r;

        if (st->st_size > (off_t) sizeof(text))
                return complain(c, error, "is too long to be one");
        r = fd_pread_full(fd, text, (size_t) st->st_size, 0);
        if (r >= 0)
                r = conf_parse_text(c->path, text, (size_t) st->st_size, take, &s, error);
        OPENSSL_cleanse(text, sizeof(text));
        if (r >= 0 && (!s.access_key || !s.secret_key))
                r = complain(c, error, "lacks aws_access_key_id or aws_secret_access_key in its section [default]");
        if (r < 0) {
                secrets_end(&s);
                return r;
        }
        *ret = s;
        return 0;
}

static bool is_unchanged(const S3Credentials *c, const struct stat *st) {
        return c->loaded && st->st_ino == c->seen.st_ino && st->st_dev == c->seen.st_dev && st->st_size == c->seen.st_size &&
               st->st_mtim.tv_sec == c->seen.st_mtim.tv_sec && st->st_mtim.tv_nsec == c->seen.st_mtim.tv_nsec &&
               st->st_ctim.tv_sec == c->seen.st_ctim.tv_sec && st->st_ctim.tv_nsec == c->seen.st_ctim.tv_nsec;
}

static int load(S3Credentials *c, ConfError *error) {
        _cleanup_(fd_closep) int fd = -EBADF;
        Secrets fresh;
        struct stat st;
        int r;

        fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0) {
                (void) snprintf(error->text, sizeof(error->text), "the credentials file %s cannot be read: %s", c->path,
                                strerror(errno));
                return -EINVAL;
        }
        if (is_unchanged(c, &st))
                return 0;
        if (!S_ISREG(st.st_mode))
                return complain(c, error, "is not a file");
        /* systemd's own are readable for the service's user alone, by an access list that shows as the group's bits. */
        if (!c->from_service_manager && (st.st_mode & 077))
                return complain(c, error, "can be read by others: chmod 600 it, and give it to the user berth-uplink");
        r = read_file(c, fd, &st, &fresh, error);
        if (r < 0)
                return r;
        secrets_end(&c->secrets);
        c->secrets = fresh;
        c->seen = st;
        c->loaded = true;
        return 0;
}

int s3_credentials_get(S3Credentials *c, Sigv4Keys *ret, const char **ret_token, ConfError *error) {
        int r;

        if (!c->path) {
                (void) snprintf(error->text, sizeof(error->text),
                                "there are no credentials: name a file with [store] credentials, or hand "
                                "over the credential '" SYSTEMD_NAME "' with LoadCredential=");
                return -ENOENT;
        }
        r = load(c, error);
        if (r < 0)
                return r;
        *ret = (Sigv4Keys){ .access_key = c->secrets.access_key, .secret_key = c->secrets.secret_key };
        *ret_token = c->secrets.token;
        return 0;
}
