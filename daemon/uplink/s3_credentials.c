/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/s3_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "uplink/secret_file.h"

#define SYSTEMD_NAME "s3"

typedef struct Secrets {
        char *access_key, *secret_key, *token;
} Secrets;

struct S3Credentials {
        SecretFile file;
        Secrets secrets;
};

static void secrets_end(Secrets *s) {
        s->access_key = secret_forget(s->access_key);
        s->secret_key = secret_forget(s->secret_key);
        s->token = secret_forget(s->token);
}

S3Credentials *s3_credentials_free(S3Credentials *c) {
        if (!c)
                return NULL;
        secrets_end(&c->secrets);
        secret_file_end(&c->file);
        free(c);
        return NULL;
}

int s3_credentials_new(const char *path, S3Credentials **ret) {
        _cleanup_(s3_credentials_freep) S3Credentials *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = secret_file_init(&c->file, path, SYSTEMD_NAME);
        if (r < 0)
                return r;
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
                *fields[i].field = secret_forget(*fields[i].field);
                *fields[i].field = secret_copy(line->value, strlen(line->value));
                return *fields[i].field ? 0 : -ENOMEM;
        }
        return 0;
}

static int take_file(const SecretFile *f, char *text, size_t size, void *userdata, ConfError *error) {
        S3Credentials *c = userdata;
        Secrets s = {};
        int r;

        r = conf_parse_text(f->path, text, size, take, &s, error);
        if (r >= 0 && (!s.access_key || !s.secret_key))
                r = secret_file_complain(f, error, "lacks aws_access_key_id or aws_secret_access_key in its section [default]");
        if (r < 0) {
                secrets_end(&s);
                return r;
        }
        secrets_end(&c->secrets);
        c->secrets = s;
        return 0;
}

int s3_credentials_get(S3Credentials *c, Sigv4Keys *ret, const char **ret_token, ConfError *error) {
        int r;

        if (!c->file.path) {
                (void) snprintf(error->text, sizeof(error->text),
                                "there are no credentials: name a file with [store] credentials, or hand "
                                "over the credential '" SYSTEMD_NAME "' with LoadCredential=");
                return -ENOENT;
        }
        r = secret_file_load(&c->file, take_file, c, error);
        if (r < 0)
                return r;
        *ret = (Sigv4Keys){ .access_key = c->secrets.access_key, .secret_key = c->secrets.secret_key };
        *ret_token = c->secrets.token;
        return 0;
}
