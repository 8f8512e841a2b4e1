/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Docks follow the fleet's firmware catalog (base/catalog.h): what lies in the store is read one after the other from where it ended
 * before, and counts when it is signed by one of the keys that are believed. What the dock goes by is on record, so that no older one
 * ever counts again.
 */

#include "base/catalog.h"
#include "service/manager.h"

typedef struct CatalogFollow CatalogFollow;

/* -EBADMSG with a sentence when the file of the keys is none, or what is on record is damaged. */
int catalog_follow_new(Manager *m, CatalogFollow **ret, ConfError *error);
CatalogFollow *catalog_follow_free(CatalogFollow *f);
DEFINE_CLEANUP(CatalogFollow, catalog_follow_free);
/* Does it, at all? Not without a key. */
bool catalog_follow_is_on(const CatalogFollow *f);
/* What the dock goes by; NULL: nothing yet. Valid until the loop turns. */
const Catalog *catalog_follow_newest(const CatalogFollow *f);
/*
 * What is wrong: that it has expired, or why the last thing that was found in the store does not count; "" when nothing is. Returns
 * `ret`.
 */
const char *catalog_follow_trouble(const CatalogFollow *f, ConfError *ret);
/* The image by which a camera of that model gets that version: NULL with a sentence, also when the catalog has expired. */
const CatalogImage *catalog_follow_image(const CatalogFollow *f, const char *model, const char *version, ConfError *error);
