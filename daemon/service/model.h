/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Camera models: data from cameras.d, which says what a device is, who speaks to it and where its footage lies. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/macro.h"
#include "core/usb.h"

typedef struct Model {
        char *id;     /* "generic-mtp" */
        char *description;
        char *tested; /* how far, in plain words */
        char *plugin; /* "mtp" */
        bool match_any_id;
        uint16_t vid, pid; /* when not match_any_id */
        char *match_product; /* glob over the product string, or NULL */
        UsbClass *interfaces; /* every interface of the device must be one of these */
        size_t n_interfaces;
        char **footage; /* globs over clip paths, '*' spans folders, case does not count; none: every file */
        size_t n_footage;
        char **options; /* "key=value" for the plugin, ended by NULL */
        size_t n_options;
        bool local; /* from the site's folder */
} Model;

typedef struct Models {
        Model **models;
        size_t n;
} Models;

/* Reads both folders; a local model of the same id replaces the shipped one. */
int models_load(const char *shipped_dir, const char *local_dir, Models **ret, ConfError *error);
Models *models_free(Models *m);
DEFINE_CLEANUP(Models, models_free);

/* The most specific model that fits (an exact VID:PID before a class), or NULL. `product` may be NULL. */
const Model *models_match(const Models *m, const UsbShape *shape, const char *product);
bool model_is_footage(const Model *model, const char *path);
