/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the bus shows of one object: a plain struct that sd-bus reads the properties from (vtable offsets) and that is
 * compared with a new one to tell which properties changed. So a Get never contradicts the signals.
 */

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

/* The types that a view's members have: as sd-bus reads them without a getter. */
typedef enum ViewKind {
        VIEW_TEXT, /* char *, owned, never NULL */
        VIEW_BOOL, /* int */
        VIEW_U32,
        VIEW_I32,
        VIEW_U64,
        VIEW_I64,
} ViewKind;

typedef struct ViewMember {
        const char *property;
        ViewKind kind;
        size_t offset;
} ViewMember;

#define VIEW_MEMBERS_MAX 48u

/* Progress is announced at most this often for each object. */
#define VIEW_PROGRESS_USEC UINT64_C(250000)

/* Replaces *field by a copy that D-Bus can carry. -ENOMEM. */
int view_text(char **field, const char *text);
void view_clear(const ViewMember *members, size_t n, void *view);
/* Moves `now` into `shown` and announces what differs. */
void view_show(sd_bus *bus, const char *path, const char *interface, const ViewMember *members, size_t n, void *shown,
               void *now, size_t size);
