/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The keys of berthd.conf, as text: for whoever shows the settings, or asks what a change of one takes. */

#include <stdbool.h>
#include <stddef.h>

typedef struct SettingKey {
        const char *section, *key;
        const char *value; /* when it is not written; "": nothing */
        bool now;          /* a reload brings a change of it into force; else a restart */
} SettingKey;

/* In the order of berthd.conf(5). Those of [bay PORT], [hub PORT] and [shift NAME] are of each such section. */
const SettingKey *setting_keys(size_t *ret_n);
/* Of "section.key", or "section NAME.key". NULL when there is none. */
const SettingKey *setting_key_of(const char *key);
bool setting_section_is_named(const char *section);
