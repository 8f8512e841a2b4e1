/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The names of things in a store (docs/store-layout.md), pure.
 *
 *   objects/<camera>/<day>/<name>.<16 random hex digits>
 *   manifests/<camera>/<day>/<name>.<first 16 hex digits of the SHA-256>.json
 *   checkpoints/, custody/, keys/, receipts/, each <dock>/<number>   what docks signed
 *   firmware/catalog/<version>, firmware/images/<SHA-256>  base/catalog.h
 *
 * <camera> is the serial and <name> the clip's whole path on the camera, each as one component: letters, digits, '_', '-' and '.'
 * stand for themselves, "~~" for '/', "~" and two upper-case hex digits for any other byte and for a '.' that would begin or end
 * it. What is longer than 120 bytes is cut to "<beginning>~h<first 16 hex digits of the SHA-256 of the text><extension>".
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"

#define LAYOUT_COMPONENT_MAX 120u
#define LAYOUT_COMPONENT_SIZE (LAYOUT_COMPONENT_MAX + 1)
#define LAYOUT_KEY_MAX 512u
#define LAYOUT_OBJECTS "objects"
#define LAYOUT_MANIFESTS "manifests"

/* One safe path component; -EINVAL for an empty text, or -EIO. */
int layout_component(const char *text, char ret[static LAYOUT_COMPONENT_SIZE]);
/* "2026-11-23": the clip's own day, or the docking's when the clip has none that a calendar knows. -EINVAL when neither has. */
int layout_day(int64_t mtime_unix_sec, int64_t docked_unix_sec, char ret[static 11]);
/* The caller frees. */
int layout_object_key(const char *serial, const char *day, const char *path, uint64_t random, char **ret);
/* Is it a key of that clip's objects, whatever its random digits? */
bool layout_object_is_of(const char *key, const char *serial, const char *day, const char *path);
int layout_manifest_key(const char *serial, const char *day, const char *path, const Digest *digest, char **ret);
/* What the keys of all manifests of clips of that name begin with, whatever they hold: "manifests/<camera>/<day>/<name>.". */
int layout_manifest_prefix(const char *serial, const char *day, const char *path, char **ret);

/* A key taken apart, safe to be opened component by component. */
typedef struct LayoutKey {
        char parts[4][LAYOUT_COMPONENT_MAX + 32];
} LayoutKey;
/* -EINVAL for anything that is no key beneath `top` (LAYOUT_OBJECTS or LAYOUT_MANIFESTS). */
int layout_parse_key(const char *key, const char *top, LayoutKey *ret);

/* A key of a small text that is kept for good. */
typedef struct LayoutSmallKey {
        char parts[3][LAYOUT_COMPONENT_MAX + 32];
} LayoutSmallKey;
/* -EINVAL for anything that is no key beneath WIRE_KEEP_*. */
int layout_parse_small_key(const char *key, LayoutSmallKey *ret);
/* The folders of a prefix that is listed, beneath either; parts[2] is how the names begin and may be "": -EINVAL. */
int layout_parse_prefix(const char *prefix, LayoutSmallKey *ret);
/* The same for keys of what is replaced, beneath WIRE_REPLACE_*. */
int layout_parse_replaced_key(const char *key, LayoutSmallKey *ret);
