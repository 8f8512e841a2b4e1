/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The dock's copies of firmware images, in the state folder's firmware/, each under its SHA-256. One is got from the store when it is
 * asked for the first time; whoever asks gets it only after all its bytes were read here and were those of the catalog.
 */

#include "base/catalog.h"
#include "service/manager.h"

typedef struct Images Images;

int images_new(Manager *m, Images **ret);
/* What was asked for is not answered any more. */
Images *images_free(Images *i);
DEFINE_CLEANUP(Images, images_free);
/* Once, perhaps before images_get() returns: 0 with a descriptor for reading that is the receiver's, or -errno with a sentence. */
typedef void (*ImageDone)(void *userdata, int result, int fd, const char *text);
/* -ENOMEM: then it is not called. */
int images_get(Images *i, const CatalogImage *image, ImageDone done, void *userdata);
/* Is there a copy? Nobody has looked into it yet. */
bool images_has(const Images *i, const CatalogImage *image);
/* Rises whenever there is a copy more, or one less: then manager_changed is told, too. */
uint64_t images_revision(const Images *i);
/* No callback with this userdata will run any more. */
void images_forget(Images *i, const void *userdata);
