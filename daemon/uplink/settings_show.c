/* SPDX-License-Identifier: Apache-2.0 */

/* uplink.conf as it is shown: `berth-uplink --show`, which `berthctl config show` asks. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "uplink/settings.h"

#define DIR (1u << STORE_DIR)
#define S3 (1u << STORE_S3)
#define TUS (1u << STORE_TUS)
#define ALL (DIR | S3 | TUS)

typedef struct ShownKey {
        const char *key;
        unsigned types;    /* of stores, that have it */
        const char *value; /* when it is not written; "": nothing, or what the store or the unit says */
} ShownKey;

/* In the order of berth-uplink.conf(5). */
static const ShownKey keys[] = {
        { "store.type", ALL, "" },
        { "store.read_back", DIR, "yes" },
        { "store.read_back", S3 | TUS, "no" },
        { "store.path", DIR, "" },
        { "store.mount_point", DIR, "" },
        { "store.create", DIR, "yes" },
        { "store.same_disk_is_store", DIR, "no" },
        { "store.endpoint", S3, "" },
        { "store.bucket", S3, "" },
        { "store.prefix", S3, "" },
        { "store.region", S3, "us-east-1" },
        { "store.style", S3, "path" },
        { "store.url", TUS, "" },
        { "store.credentials", S3 | TUS, "" },
        { "store.part_size", S3 | TUS, "" },
        { "store.storage_class", S3, "" },
        { "store.encryption", S3, "" },
        { "store.kms_key", S3, "" },
        { "store.tags", S3, "" },
        { "store.encryption_key", S3, "" },
        { "store.retention_mode", S3, "" },
        { "store.retention", S3, "" },
        { "store.legal_hold", S3, "no" },
        { "store.content_md5", S3, "no" },
        { "store.sole_writer", S3, "no" },
        { "store.ca_file", S3 | TUS, "" },
        { "store.client_certificate", S3 | TUS, "" },
        { "store.client_key", S3 | TUS, "" },
        { "store.proxy", S3 | TUS, "" },
        { "store.plain_http", S3 | TUS, "no" },
        { "uplink.peer_user", ALL, "" },
        { "uplink.transfers", ALL, "8" },
        { "uplink.stall", ALL, "1min" },
        { "uplink.limit", ALL, "" },
        { "uplink.socket", ALL, UPLINK_DEFAULT_SOCKET },
        { "uplink.state_dir", ALL, "" },
};

/* "http://user:password@proxy" without who and how. The caller's. */
static char *without_password(const char *value) {
        const char *at = strrchr(value, '@'), *scheme = strstr(value, "://");
        const char *begin = scheme && scheme < at ? scheme + 3 : value;

        return at ? text_format("%.*s***%s", (int) (begin - value), value, at) : strdup(value);
}

int uplink_settings_note(UplinkSettings *s, const ConfLine *line) {
        _cleanup_(freep) char *key = text_format("%s.%s", line->section, line->key);
        _cleanup_(freep) char *origin = text_format("%s:%u", line->file, line->line);
        _cleanup_(freep) char *value = without_password(line->value);
        size_t i = json_array_size(s->written);

        if (!key || !origin || !value)
                return -ENOMEM;
        /* A limit may be given several times; any other key is what it was written as last. */
        while (i-- > 0 && !text_equal(key, "uplink.limit"))
                if (text_equal(json_string_value(json_object_get(json_array_get(s->written, i), "key")), key))
                        (void) json_array_remove(s->written, i);
        return json_array_append_new(s->written, json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "origin", origin)) < 0 ? -ENOMEM
                                                                                                                               : 0;
}

static int add(json_t *list, const char *key, const char *value, const char *origin) {
        return json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:b}", "key", key, "value", value, "origin", origin, "reload", 0));
}

static int add_key(json_t *list, const UplinkSettings *s, const ShownKey *k) {
        const json_t *setting;
        bool found = false;
        size_t i;

        json_array_foreach(s->written, i, setting) {
                const char *value = json_string_value(json_object_get(setting, "value"));

                if (!text_equal(json_string_value(json_object_get(setting, "key")), k->key))
                        continue;
                found = true;
                if (add(list, k->key, value, json_string_value(json_object_get(setting, "origin"))) < 0)
                        return -ENOMEM;
        }
        return found ? 0 : add(list, k->key, k->value, NULL);
}

char *uplink_settings_show(const UplinkSettings *s, const char *path) {
        _cleanup_(json_decrefp) json_t *list = json_array(), *all = NULL;

        if (!list)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if ((keys[i].types & (1u << s->type)) && add_key(list, s, &keys[i]) < 0)
                        return NULL;
        all = json_pack("{s:s, s:s, s:O}", "schema", "org.berth.ctl.config/1", "file", path, "settings", list);
        return all ? json_dumps(all, JSON_ENSURE_ASCII | JSON_INDENT(2)) : NULL;
}
