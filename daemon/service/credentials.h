/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What cameras ask for before they talk: passwords of a site's models and cameras, from one file that nobody else may read. The
 * values are in no log line, error, property or core dump; berth-cameras(5) describes the file.
 */

#include "base/conf.h"
#include "base/macro.h"
#include "base/secret.h"
#include "model/model.h"

#define CREDENTIALS_SECTIONS_MAX 1024u

typedef struct Credentials Credentials;

/*
 * Reads the file. -EPERM when others could read or change it; errors name file, line and key, never a value. systemd's own copy
 * (`from_systemd`) may be readable for the service's group, by which systemd lets the service in.
 */
int credentials_load(const char *path, bool from_systemd, Credentials **ret, ConfError *error);
Credentials *credentials_free(Credentials *c);
DEFINE_CLEANUP(Credentials, credentials_free);
/* Does every section name a model that there is? -EINVAL with file and line. */
int credentials_check(const Credentials *c, const Models *models, ConfError *error);
/*
 * A copy of what counts for this camera: its own section first, then its model's. `c` may be NULL; *ret is NULL when there is
 * nothing. -ENOMEM.
 */
int credentials_for(const Credentials *c, const char *model_id, const char *serial, Secrets **ret);
