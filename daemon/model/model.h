/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Camera models: data from cameras.d, which says what a device is, who speaks to it, and what its files are. Read by berthd,
 * which acts on them, and by berthctl, which checks them. berth-cameras(5) describes every key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/battery.h"
#include "base/conf.h"
#include "base/macro.h"
#include "model/usb.h"

/* Whose description counts: a later one replaces an earlier one of the same id. */
typedef enum ModelSource {
        MODEL_SHIPPED,
        MODEL_LOCAL,     /* the site's */
        MODEL_CANDIDATE, /* a file that is only being checked, as if it lay in the site's folder */
        _MODEL_SOURCE_MAX,
} ModelSource;

/* The zone in which the camera's clock runs and its files are dated, where the protocol does not name one. */
typedef enum ModelZone {
        MODEL_ZONE_UTC,
        MODEL_ZONE_LOCAL, /* the dock's own, summer time included */
        MODEL_ZONE_FIXED,
        _MODEL_ZONE_MAX,
} ModelZone;

typedef enum ModelErase {
        MODEL_ERASE_RECEIPTED, /* clip by clip */
        MODEL_ERASE_NEVER,
        MODEL_ERASE_AFTER,     /* Model.erase_after_usec after the receipt */
        MODEL_ERASE_BY_HAND,
        MODEL_ERASE_FORMAT,    /* all at once when all are receipted, where the site allows that; else clip by clip */
        _MODEL_ERASE_MAX,
        _MODEL_ERASE_INVALID = -22,
} ModelErase;
/* "after" for MODEL_ERASE_AFTER, whose time is not in it: model_erase_text() has it. */
const char *model_erase_to_string(ModelErase e);

#define MODEL_ERASE_AFTER_MAX_USEC (10 * 365 * 86400 * USEC_PER_SEC)

typedef enum ModelFirmware {
        MODEL_FIRMWARE_NONE,
        MODEL_FIRMWARE_DFU,
        MODEL_FIRMWARE_FILE, /* dropped on the camera */
        _MODEL_FIRMWARE_MAX,
} ModelFirmware;

/* How a camera with a firmware file comes to look for it. */
typedef enum ModelRestart {
        MODEL_RESTART_COMMAND, /* it is told to */
        MODEL_RESTART_POWER,   /* its port is switched off and on */
        MODEL_RESTART_HAND,    /* somebody takes it out and puts it in again */
        _MODEL_RESTART_MAX,
} ModelRestart;

typedef struct ModelId {
        uint16_t vid, pid;
} ModelId;

/* Strings, ended by NULL. */
typedef struct ModelList {
        char **items;
        size_t n;
} ModelList;

typedef struct ModelClasses {
        UsbClass *items;
        size_t n;
} ModelClasses;

typedef struct Model {
        char *id; /* "generic-mtp" */
        char *description;
        char *tested; /* how far, in plain words */
        char *file;   /* where it is described, and on which line it begins */
        unsigned line;
        ModelSource source;
        uint32_t keys_given; /* which of the keys that stand once (model_key.c) */

        bool match_any_id;
        ModelId *ids; /* when not match_any_id */
        size_t n_ids;
        char *match_manufacturer, *match_product, *match_serial; /* globs over the device's strings, or NULL */
        ModelClasses interfaces; /* what the plugin works with */
        ModelClasses others;     /* what the device may have beside: known, never touched */

        char *plugin;      /* "mtp" */
        ModelList options; /* "key=value" */
        ModelList returns_as; /* ids of the models that it may be after a change of mode: its footage is there */
        uint64_t returns_within_usec; /* 0: the default */

        ModelList footage;  /* globs over clip paths; none: every file */
        ModelList priority; /* globs: which footage goes first */
        ModelList companions_taken, companions_ignored; /* globs */
        ModelZone zone;
        int zone_minutes; /* ahead of UTC, for MODEL_ZONE_FIXED */
        ModelErase erase;
        uint64_t erase_after_usec; /* MODEL_ERASE_AFTER */

        uint32_t charge_ma, battery_mah; /* 0: not known */
        uint8_t battery_floor_percent;
        ChargePoint charge_curve[BATTERY_POINTS_MAX]; /* rising percent */
        size_t n_charge_curve;
        ModelFirmware firmware;
        char *hardware;      /* the revision that cameras of this model have, as the catalog calls it; NULL: not known */
        char *firmware_file; /* relative path on the camera, for MODEL_FIRMWARE_FILE */
        char *update_mode;   /* id of the model that it is while it takes firmware, for MODEL_FIRMWARE_DFU; or NULL */
        uint64_t update_within_usec; /* 0: the default */
        ModelRestart update_restart; /* for MODEL_FIRMWARE_FILE */
        bool update_restart_given;
} Model;

typedef struct Models {
        Model **models;
        size_t n;
} Models;

/* ---- Reading: model_parse.c, model_key.c -------------------------------------------------------------------------- */

int models_new(Models **ret);
Models *models_free(Models *m);
DEFINE_CLEANUP(Models, models_free);
/* Add what a folder, a file or a text describes. Twice the same id in one source is an error. */
int models_add_dir(Models *m, const char *dir, ModelSource source, ConfError *error);
int models_add_file(Models *m, const char *path, ModelSource source, ConfError *error);
int models_add_text(Models *m, const char *name, const char *text, size_t size, ModelSource source, ConfError *error);
/* Takes away what a file of this name (without its folder) describes in that source: a candidate stands in its place. */
void models_drop_file(Models *m, const char *name, ModelSource source);
/* Both folders, checked as a whole. -ENOENT when there is no model at all. */
int models_load(const char *shipped_dir, const char *local_dir, Models **ret, ConfError *error);

/* One line of a section, and its end, for the parser. */
int model_parse_key(Model *m, const ConfLine *line, ConfError *error);
int model_finish(Model *m, ConfError *error);
int model_list_append(const ConfLine *line, ModelList *list, const char *value, ConfError *error);
Model *model_free(Model *m);
DEFINE_CLEANUP(Model, model_free);

/* ---- Matching: model_match.c, model_overlap.c --------------------------------------------------------------------- */

/* The strings of a device, each NULL or "" when it has none. */
typedef struct UsbWords {
        const char *manufacturer, *product, *serial;
} UsbWords;

/* The most specific model that fits (an exact VID:PID before a class, then the one with more patterns), or NULL. */
const Model *models_match(const Models *m, const UsbShape *shape, const UsbWords *words);
/* Is this interface one that the plugin works with? */
bool model_needs_interface(const Model *m, const UsbClass *class);
/* Is it the one by which the camera is sent into its loader: DFU in its run-time mode (DFU 1.1, table 4.1)? */
bool model_leaves_by_interface(const Model *m, const UsbClass *class);
/* Could one device fit two models equally well (-EEXIST with both named)? Does each returns_as name a model (-EINVAL)? */
int models_check(const Models *m, ConfError *error);
/* Is there a text that matches both patterns? At worst says so although there is none. */
bool glob_overlaps(const char *a, const char *b);

/* ---- Cameras that come back as another device: model_returns.c ---------------------------------------------------- */

#define MODEL_RETURNS_WITHIN_USEC (30 * USEC_PER_SEC)
/* -ENOENT for a key that is not about that. */
int model_parse_returns(Model *m, const ConfLine *line, ConfError *error);
bool model_returns_as(const Model *m, const char *id);
uint64_t model_returns_within_usec(const Model *m);
/* By its id, or NULL. */
const Model *models_find(const Models *m, const char *id);
int models_check_returns(const Models *m, ConfError *error);

/* ---- How firmware gets into a camera: model_update.c ---------------------------------------------------------------- */

#define MODEL_UPDATE_WITHIN_USEC (120 * USEC_PER_SEC)
/* -ENOENT for a key that is not about that. */
int model_parse_update(Model *m, const ConfLine *line, ConfError *error);
/* How long it may be away: on its way to its loader, and on its way back with what it got. */
uint64_t model_update_within_usec(const Model *m);
/* Is it the loader of some camera? */
bool models_is_update_mode(const Models *m, const char *id);
int models_check_update(const Models *m, ConfError *error);
/* Has it a way to get firmware? */
bool model_takes_firmware(const Model *m);
/*
 * The path of its firmware file on the camera, for MODEL_FIRMWARE_FILE: its own, or with `name` (NULL, "": none), which the image is to
 * have, in the same folder. The caller frees it; NULL: out of memory.
 */
char *model_firmware_path(const Model *m, const char *name);
const char *model_restart_to_string(ModelRestart r);

/* ---- Files: model_file.c ------------------------------------------------------------------------------------------ */

typedef enum ModelFile {
        MODEL_FILE_NONE,      /* left alone on the camera */
        MODEL_FILE_FOOTAGE,
        MODEL_FILE_PRIORITY,  /* footage that goes first */
        MODEL_FILE_COMPANION, /* taken along: a track, a log, a thumbnail */
} ModelFile;

/* What a file on the camera is. Patterns: '*' spans folders, case does not count. */
ModelFile model_file(const Model *model, const char *path);

/* ---- Words: model_text.c ------------------------------------------------------------------------------------------ */

#define MODEL_TEXT_SIZE 32u
/* "utc", "local", "+02:00" */
const char *model_zone_text(const Model *m, char ret[static MODEL_TEXT_SIZE]);
/* "06/01/01" */
/* "receipted", "after 14d" … as the file has it, but for the unit of a time. */
const char *model_erase_text(const Model *m, char ret[static MODEL_TEXT_SIZE]);
const char *usb_class_text(const UsbClass *c, char ret[static MODEL_TEXT_SIZE]);
/* "none", "dfu", "file" */
const char *model_firmware_to_string(ModelFirmware f);
