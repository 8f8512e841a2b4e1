/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

int fleet_new(const char *id, Fleet **ret) {
        Fleet *f;

        if (!fleet_id_is_valid(id))
                return -EINVAL;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        (void) snprintf(f->id, sizeof(f->id), "%s", id);
        *ret = f;
        return 0;
}

Fleet *fleet_free(Fleet *f) {
        if (!f)
                return NULL;
        free(f->keys);
        free(f);
        return NULL;
}

const FleetKey *fleet_find(const Fleet *f, const PublicKey *key) {
        for (size_t i = 0; i < f->n_keys; i++)
                if (public_key_equal(&f->keys[i].key, key))
                        return &f->keys[i];
        return NULL;
}

int fleet_enroll(Fleet *f, const FleetKey *key) {
        FleetKey *there = (FleetKey *) fleet_find(f, &key->key), *grown;

        if (there && (there->revoked || !text_equal(there->dock_id, key->dock_id)))
                return -EEXIST;
        if (there) {
                *there = *key;
                return 0;
        }
        if (f->n_keys >= FLEET_KEYS_MAX)
                return -E2BIG;
        grown = reallocarray(f->keys, f->n_keys + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        f->keys = grown;
        grown[f->n_keys++] = *key;
        return 0;
}

size_t fleet_revoke(Fleet *f, const char *dock_id, const PublicKey *only) {
        size_t n = 0;

        for (size_t i = 0; i < f->n_keys; i++) {
                FleetKey *k = &f->keys[i];

                if (!text_equal(k->dock_id, dock_id) || (only && !public_key_equal(&k->key, only)))
                        continue;
                k->revoked = true;
                n++;
        }
        return n;
}

/* ---- As text -------------------------------------------------------------------------------------------------------- */

static json_t *key_to_json(const FleetKey *k) {
        char hex[PUBLIC_KEY_HEX_SIZE], from[UTC_TEXT_SIZE], until[UTC_TEXT_SIZE];

        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "dock_id", k->dock_id, "name", k->name, "public_key",
                         public_key_to_hex(&k->key, hex), "from", utc_text(k->from_usec, from), "until", utc_text(k->until_usec, until),
                         "revoked", (int) k->revoked);
}

char *fleet_list_key(const char *id, uint64_t seq) {
        return text_format("fleet/%s/%010" PRIu64, id, seq);
}

int fleet_list_number(const char *key, const char *id, uint64_t *ret) {
        size_t n = strlen(id);
        uint64_t seq = 0;

        if (strncmp(key, "fleet/", 6) != 0 || strncmp(key + 6, id, n) != 0 || key[6 + n] != '/' || strlen(key + 7 + n) != 10 ||
            strspn(key + 7 + n, "0123456789") != 10)
                return -EINVAL;
        for (const char *p = key + 7 + n; *p; p++)
                seq = seq * 10 + (uint64_t) (*p - '0');
        *ret = seq;
        return seq > 0 ? 0 : -EINVAL;
}

int fleet_expired(const Fleet *f, int64_t now_usec, ConfError *error) {
        char text[UTC_TEXT_SIZE];

        if (f->expires_usec == 0 || now_usec < f->expires_usec)
                return 0;
        conf_fail(error, "the fleet's list of docks number %" PRIu64 " expired on %.10s, and no newer one came: sign one "
                         "('berthctl dock renew') and publish it, or find out who keeps it from this dock", f->seq,
                         utc_text(f->expires_usec, text));
        return 1;
}

int fleet_sign(Fleet *f, const SignKey *admin, int64_t now_usec, char **ret) {
        _cleanup_(freep) char *key = fleet_list_key(f->id, f->seq + 1);
        const StatementAbout about = { STATEMENT_FLEET_LIST, key, f->id, "", f->seq + 1 };
        _cleanup_(json_decrefp) json_t *members = NULL, *docks = json_array();
        _cleanup_(statement_done) Statement s = { 0 };
        char time[UTC_TEXT_SIZE], expires[UTC_TEXT_SIZE], *file;
        int r;

        if (!key || !docks)
                return -ENOMEM;
        for (size_t i = 0; i < f->n_keys; i++)
                if (json_array_append_new(docks, key_to_json(&f->keys[i])) < 0)
                        return -ENOMEM;
        members = json_pack("{s:s, s:O, s:s*}", "time", utc_text(now_usec, time), "docks", docks, "expires",
                            f->expires_usec > 0 ? utc_text(f->expires_usec, expires) : NULL);
        if (!members)
                return -ENOMEM;
        r = statement_make(admin, &about, members, &s);
        if (r < 0)
                return r;
        file = statement_file(&s);
        if (!file)
                return -ENOMEM;
        f->seq++;
        f->admin = *sign_key_public(admin);
        *ret = file;
        return 0;
}

static int key_from_json(const json_t *j, FleetKey *ret) {
        const char *dock = json_string_value(json_object_get(j, "dock_id")), *name = json_string_value(json_object_get(j, "name"));
        const char *from = json_string_value(json_object_get(j, "from")), *until = json_string_value(json_object_get(j, "until"));
        const json_t *revoked = json_object_get(j, "revoked");
        FleetKey k = { 0 };

        if (!dock || strlen(dock) != DOCK_ID_SIZE - 1 || !name || strlen(name) > FLEET_NAME_MAX || !text_is_printable(name) || !from ||
            !until || !json_is_boolean(revoked) || utc_from_text(from, &k.from_usec) < 0 || utc_from_text(until, &k.until_usec) < 0 ||
            public_key_from_hex(json_string_value(json_object_get(j, "public_key")), &k.key) < 0)
                return -EBADE;
        memcpy(k.dock_id, dock, DOCK_ID_SIZE);
        memcpy(k.name, name, strlen(name) + 1);
        k.revoked = json_is_true(revoked);
        *ret = k;
        return 0;
}

static int take_keys(const Statement *s, Fleet *f) {
        const json_t *docks = json_object_get(s->object, "docks"), *expires = json_object_get(s->object, "expires");
        size_t n = json_array_size(docks);

        if (expires && (utc_from_text(json_string_value(expires) ? json_string_value(expires) : "", &f->expires_usec) < 0 ||
                        f->expires_usec <= 0))
                return -EBADE;
        if (!json_is_array(docks) || n > FLEET_KEYS_MAX)
                return -EBADE;
        f->keys = n > 0 ? calloc(n, sizeof(*f->keys)) : NULL;
        if (n > 0 && !f->keys)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                FleetKey k;

                if (key_from_json(json_array_get(docks, i), &k) < 0 || fleet_find(f, &k.key))
                        return -EBADE;
                f->keys[f->n_keys++] = k;
        }
        return 0;
}

int fleet_parse(const char *file, size_t size, const PublicKey *admin, const char *id, uint64_t last_seq, Fleet **ret, ConfError *error) {
        const StatementAbout expected = { .type = STATEMENT_FLEET_LIST, .fleet = id, .dock = "", .seq = last_seq };
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(fleet_freep) Fleet *f = NULL;
        _cleanup_(freep) char *key = NULL;
        const char *why;
        int r;

        r = statement_parse(file, size, &s);
        if (r < 0)
                return conf_fail(error, "%s", r == -EKEYREJECTED ? "the list's signature is not that of the key that it names" :
                                                                   "this is no signed list of docks"), r;
        why = statement_mismatch(&s, &expected, admin);
        if (why)
                return conf_fail(error, "the list of docks does not count: %s", why), -EKEYREJECTED;
        r = fleet_new(s.about.fleet, &f);
        key = fleet_list_key(s.about.fleet, s.about.seq);
        if (r >= 0 && !key)
                r = -ENOMEM;
        if (r >= 0)
                r = text_equal(s.about.key, key) ? take_keys(&s, f) : -EBADE;
        if (r < 0)
                return conf_fail(error, "the list of docks is signed, and cannot be read: %s", strerror(-r)), r == -EINVAL ? -EBADE : r;
        f->seq = s.about.seq;
        f->admin = s.signer;
        *ret = TAKE_PTR(f);
        return 0;
}

/* ---- Judging -------------------------------------------------------------------------------------------------------- */

const char *fleet_judge(const Fleet *f, const Statement *s, const char *type, const char *store_key, uint64_t last_seq, int64_t at_usec) {
        const FleetKey *k = fleet_find(f, &s->signer);
        StatementAbout expected = { .type = type, .key = store_key, .fleet = f->id, .seq = last_seq };

        if (!k)
                return "it was signed by a key that is not in the fleet's list";
        if (k->revoked)
                return "it was signed by a key that was revoked";
        if (at_usec < k->from_usec)
                return "it was signed by a key that did not count yet";
        if (at_usec >= k->until_usec)
                return "it was signed by a key that had expired";
        expected.dock = k->dock_id;
        return statement_mismatch(s, &expected, NULL);
}
