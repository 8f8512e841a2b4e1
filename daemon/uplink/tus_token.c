/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tus_token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uplink/secret_file.h"

#define SYSTEMD_NAME "tus"
/* RFC 6750 §2.1. */
#define TOKEN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="

struct TusToken {
        SecretFile file;
        char *token;
};

TusToken *tus_token_free(TusToken *t) {
        if (!t)
                return NULL;
        t->token = secret_forget(t->token);
        secret_file_end(&t->file);
        free(t);
        return NULL;
}

int tus_token_new(const char *path, TusToken **ret) {
        _cleanup_(tus_token_freep) TusToken *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        r = secret_file_init(&t->file, path, SYSTEMD_NAME);
        if (r < 0)
                return r;
        /* A client certificate may be all that the server asks for. */
        if (!path && t->file.path && access(t->file.path, F_OK) < 0)
                secret_file_end(&t->file);
        *ret = TAKE_PTR(t);
        return 0;
}

static int take_file(const SecretFile *f, char *text, size_t size, void *userdata, ConfError *error) {
        TusToken *t = userdata;
        size_t begin = 0, end = size;
        char *fresh;

        while (begin < end && strchr(" \t\r\n", text[begin]))
                begin++;
        while (end > begin && strchr(" \t\r\n", text[end - 1]))
                end--;
        for (size_t i = begin; i < end; i++)
                if (!text[i] || !strchr(TOKEN_CHARACTERS, text[i]))
                        return secret_file_complain(f, error, "holds something else than one bearer token");
        if (begin == end)
                return secret_file_complain(f, error, "is empty");
        fresh = secret_copy(text + begin, end - begin);
        if (!fresh)
                return -ENOMEM;
        (void) secret_forget(t->token);
        t->token = fresh;
        return 0;
}

int tus_token_get(TusToken *t, const char **ret, ConfError *error) {
        int r;

        r = t->file.path ? secret_file_load(&t->file, take_file, t, error) : 0;
        if (r < 0)
                return r;
        *ret = t->token;
        return 0;
}
