/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file with the secrets by which a store knows this dock: one of the admin's, which nobody else may read and which is read anew
 * whenever it changed, or a credential that the service manager hands over (LoadCredential=). What it holds is never logged.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/conf.h"

typedef struct SecretFile {
        char *path; /* NULL: nowhere to look */
        bool from_service_manager, loaded;
        struct stat seen;
} SecretFile;

/* Takes what was read: 0, or negative with a sentence. The text is wiped afterwards. */
typedef int (*SecretSink)(const SecretFile *f, char *text, size_t size, void *userdata, ConfError *error);

/* `path` NULL: the credential of that name. -ENOMEM. */
int secret_file_init(SecretFile *f, const char *path, const char *credential);
void secret_file_end(SecretFile *f);
/* Calls the sink when there is something new; 0 also when there is not. Negative with a sentence: nothing new was taken. */
int secret_file_load(SecretFile *f, SecretSink sink, void *userdata, ConfError *error);
/* Fills the sentence "the credentials file … WHAT" and returns -EINVAL. */
int secret_file_complain(const SecretFile *f, ConfError *error, const char *what);
/* A copy that secret_forget() wipes; NULL when out of memory. */
char *secret_copy(const char *text, size_t size);
/* Wipes and frees; returns NULL. */
char *secret_forget(char *secret);
