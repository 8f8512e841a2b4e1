/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/settings.h"

#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"
#include "uplink/endpoint.h"
#include "uplink/s3.h"
#include "uplink/s3_names.h"
#include "uplink/tus_text.h"

/* Whatever the type of the store. */
#define PART_SIZE_MIN (1 * MIB)

UplinkSettings *uplink_settings_free(UplinkSettings *s) {
        if (!s)
                return NULL;
        free(s->socket);
        free(s->state_dir);
        free(s->path);
        free(s->mount_point);
        free(s->endpoint);
        free(s->region);
        free(s->bucket);
        free(s->prefix);
        free(s->credentials);
        free(s->storage_class);
        free(s->encryption);
        free(s->encryption_key);
        free(s->kms_key);
        free(s->tags);
        free(s->lock_mode);
        free(s->ca_file);
        free(s->client_certificate);
        free(s->client_key);
        free(s->proxy);
        free(s->url);
        json_decref(s->written);
        free(s);
        return NULL;
}

typedef struct Reader {
        UplinkSettings *s;
        bool read_back_given;
} Reader;

static int parse_peer_user(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        const struct passwd *user;

        errno = 0;
        user = getpwnam(line->value);
        if (!user)
                return conf_error(line, error, "there is no user '%s' on this machine", line->value);
        s->peer_known = true;
        s->peer_uid = user->pw_uid;
        s->peer_gid = user->pw_gid;
        return 0;
}

static int parse_socket(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        struct sockaddr_un address;
        int r;

        r = conf_path(line, &s->socket, error);
        if (r < 0)
                return r;
        /* Room for the name under which it is made first. */
        if (strlen(s->socket) + strlen(".new") >= sizeof(address.sun_path))
                return conf_error(line, error, "a socket's path may have %zu bytes at most",
                                  sizeof(address.sun_path) - strlen(".new") - 1);
        return 0;
}

static int parse_limit(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        const char *word = "";

        if (s->n_limits == PACE_RULES_MAX)
                return conf_error(line, error, "more than %u limits", PACE_RULES_MAX);
        if (pace_rule_parse(line->value, &s->limits[s->n_limits], &word) < 0)
                return conf_error(line, error,
                                  "'%s' is not understood; a limit is days, hours and a rate, as in Mon-Fri 08:00-18:00 20 Mbit/s",
                                  word);
        s->n_limits++;
        return 0;
}

static int parse_uplink(UplinkSettings *s, const ConfLine *line, ConfError *error) {
        uint64_t u;
        int r;

        if (text_equal(line->key, "socket"))
                return parse_socket(s, line, error);
        if (text_equal(line->key, "peer_user"))
                return parse_peer_user(s, line, error);
        if (text_equal(line->key, "state_dir"))
                return conf_path(line, &s->state_dir, error);
        if (text_equal(line->key, "stall"))
                return conf_span(line, USEC_PER_SEC, 3600 * USEC_PER_SEC, &s->stall_usec, error);
        if (text_equal(line->key, "limit"))
                return parse_limit(s, line, error);
        if (text_equal(line->key, "transfers")) {
                r = conf_uint(line, 1, 64, &u, error);
                if (r < 0)
                        return r;
                s->transfers = (unsigned) u;
                return 0;
        }
        return conf_error(line, error, "unknown key");
}

/* ---- [store] ------------------------------------------------------------------------------------------------------- */

static const char *const type_names[_STORE_TYPE_MAX] = { [STORE_DIR] = "dir", [STORE_S3] = "s3", [STORE_TUS] = "tus" };

static int parse_type(Reader *r, const ConfLine *line, ConfError *error) {
        for (StoreType type = STORE_DIR; type < _STORE_TYPE_MAX; type++)
                if (text_equal(line->value, type_names[type])) {
                        r->s->type = type;
                        return 0;
                }
        return conf_error(line, error, "'%s' is no kind of store that this Berth has; it has: dir, s3, tus", line->value);
}

static int parse_read_back(Reader *r, const ConfLine *line, ConfError *error) {
        r->read_back_given = true;
        return conf_bool(line, &r->s->read_back, error);
}

static int parse_endpoint(Reader *r, const ConfLine *line, ConfError *error) {
        Endpoint endpoint;

        if (endpoint_parse(line->value, &endpoint) < 0)
                return conf_error(line, error, "'%s' is not https://HOST or https://HOST:PORT", line->value);
        return conf_string(line, &r->s->endpoint, error);
}

static int parse_url(Reader *r, const ConfLine *line, ConfError *error) {
        TusUrl url;

        if (tus_url_parse(line->value, &url) < 0)
                return conf_error(line, error, "'%s' is not https://HOST/PATH/ or https://HOST:PORT/PATH/", line->value);
        return conf_string(line, &r->s->url, error);
}

static int parse_style(Reader *r, const ConfLine *line, ConfError *error) {
        if (!text_equal(line->value, "path") && !text_equal(line->value, "virtual-host"))
                return conf_error(line, error, "'%s' is neither path nor virtual-host", line->value);
        r->s->virtual_host = text_equal(line->value, "virtual-host");
        return 0;
}

static int parse_prefix(Reader *r, const ConfLine *line, ConfError *error) {
        size_t n = strlen(line->value);
        char *prefix = text_format("%s%s", line->value, n > 0 && line->value[n - 1] != '/' ? "/" : "");

        if (!prefix)
                return -ENOMEM;
        if (!s3_prefix_is_valid(prefix)) {
                free(prefix);
                return conf_error(line, error, "'%s' is not a prefix such as docks/north-gate", line->value);
        }
        free(r->s->prefix);
        r->s->prefix = prefix;
        return 0;
}

static int parse_lock_mode(Reader *r, const ConfLine *line, ConfError *error) {
        const char *mode = text_equal(line->value, "governance")   ? "GOVERNANCE"
                           : text_equal(line->value, "compliance") ? "COMPLIANCE"
                                                                   : NULL;

        if (!mode)
                return conf_error(line, error, "'%s' is neither governance nor compliance", line->value);
        free(r->s->lock_mode);
        r->s->lock_mode = strdup(mode);
        return r->s->lock_mode ? 0 : -ENOMEM;
}

static int parse_retention(Reader *r, const ConfLine *line, ConfError *error) {
        uint64_t usec;
        int k;

        k = conf_span(line, 60 * USEC_PER_SEC, 100 * 366 * UINT64_C(86400) * USEC_PER_SEC, &usec, error);
        if (k >= 0)
                r->s->retention_sec = usec / USEC_PER_SEC;
        return k;
}

static int parse_part_size(Reader *r, const ConfLine *line, ConfError *error) {
        return conf_bytes(line, PART_SIZE_MIN, S3_PART_SIZE_MAX, &r->s->part_size_bytes, error);
}

static int parse_encryption(Reader *r, const ConfLine *line, ConfError *error) {
        r->s->customer_key = text_equal(line->value, "sse-c");
        if (!r->s->customer_key && !text_equal(line->value, "AES256") && !text_equal(line->value, "aws:kms"))
                return conf_error(line, error, "'%s' is neither AES256 nor aws:kms nor sse-c", line->value);
        return conf_string(line, &r->s->encryption, error);
}

typedef struct StoreKey {
        const char *name;
        unsigned types; /* which have it */
        int (*parse)(Reader *r, const ConfLine *line, ConfError *error);
        /* When there is no function of its own: */
        int (*parse_text)(const ConfLine *line, char **ret, ConfError *error);
        size_t offset; /* of a char *, or of a bool when there is no parse_text either */
} StoreKey;

#define FIELD(member) offsetof(UplinkSettings, member)
#define DIR (1u << STORE_DIR)
#define S3 (1u << STORE_S3)
#define TUS (1u << STORE_TUS)
#define ALL (DIR | S3 | TUS)
static const StoreKey store_keys[] = {
        { "type", ALL, parse_type, NULL, 0 },
        { "read_back", ALL, parse_read_back, NULL, 0 },
        { "path", DIR, NULL, conf_path, FIELD(path) },
        { "mount_point", DIR, NULL, conf_path, FIELD(mount_point) },
        { "create", DIR, NULL, NULL, FIELD(create) },
        { "same_disk_is_store", DIR, NULL, NULL, FIELD(same_disk_is_store) },
        { "endpoint", S3, parse_endpoint, NULL, 0 },
        { "region", S3, NULL, conf_string, FIELD(region) },
        { "bucket", S3, NULL, conf_string, FIELD(bucket) },
        { "prefix", S3, parse_prefix, NULL, 0 },
        { "style", S3, parse_style, NULL, 0 },
        { "credentials", S3 | TUS, NULL, conf_path, FIELD(credentials) },
        { "plain_http", S3 | TUS, NULL, NULL, FIELD(plain_http) },
        { "sole_writer", S3, NULL, NULL, FIELD(sole_writer) },
        { "content_md5", S3, NULL, NULL, FIELD(content_md5) },
        { "part_size", S3 | TUS, parse_part_size, NULL, 0 },
        { "storage_class", S3, NULL, conf_string, FIELD(storage_class) },
        { "encryption", S3, parse_encryption, NULL, 0 },
        { "encryption_key", S3, NULL, conf_path, FIELD(encryption_key) },
        { "kms_key", S3, NULL, conf_string, FIELD(kms_key) },
        { "tags", S3, NULL, conf_string, FIELD(tags) },
        { "retention_mode", S3, parse_lock_mode, NULL, 0 },
        { "retention", S3, parse_retention, NULL, 0 },
        { "legal_hold", S3, NULL, NULL, FIELD(legal_hold) },
        { "ca_file", S3 | TUS, NULL, conf_path, FIELD(ca_file) },
        { "client_certificate", S3 | TUS, NULL, conf_path, FIELD(client_certificate) },
        { "client_key", S3 | TUS, NULL, conf_path, FIELD(client_key) },
        { "proxy", S3 | TUS, NULL, conf_string, FIELD(proxy) },
        { "url", TUS, parse_url, NULL, 0 },
};

static int parse_store(Reader *r, const ConfLine *line, ConfError *error) {
        for (size_t i = 0; i < ELEMENTSOF(store_keys); i++) {
                const StoreKey *key = &store_keys[i];
                void *field = (char *) r->s + key->offset;

                if (!text_equal(line->key, key->name))
                        continue;
                if (key->parse)
                        return key->parse(r, line, error);
                return key->parse_text ? key->parse_text(line, field, error) : conf_bool(line, field, error);
        }
        return conf_error(line, error, "unknown key");
}

static int parse_section(Reader *r, const ConfLine *line, ConfError *error) {
        if (line->name[0])
                return conf_error(line, error, "section [%s] takes no name", line->section);
        if (text_equal(line->section, "uplink"))
                return line->key ? parse_uplink(r->s, line, error) : 0;
        if (text_equal(line->section, "store"))
                return line->key ? parse_store(r, line, error) : 0;
        return conf_error(line, error, "unknown section");
}

static int parse_line(const ConfLine *line, void *userdata, ConfError *error) {
        Reader *reader = userdata;
        int r = parse_section(reader, line, error);

        return r < 0 || !line->key ? r : uplink_settings_note(reader->s, line);
}

/* ---- What no single line can be blamed for ------------------------------------------------------------------------- */

/* Where a key of [store] stands, as "file:line"; NULL: nowhere. */
static const char *origin_of(const Reader *r, const char *name) {
        const json_t *setting;
        size_t i;

        json_array_foreach(r->s->written, i, setting) {
                const char *key = json_string_value(json_object_get(setting, "key"));

                if (key && strncmp(key, "store.", 6) == 0 && text_equal(key + 6, name))
                        return json_string_value(json_object_get(setting, "origin"));
        }
        return NULL;
}

static int complain(const Reader *r, const char *file, const char *name, ConfError *error, const char *what) {
        const char *origin = origin_of(r, name);

        conf_fail(error, "%s: [store] %s: %s", origin ? origin : file, name, what);
        return -EINVAL;
}

static int lacks(const char *file, const char *what, ConfError *error) {
        (void) snprintf(error->text, sizeof(error->text), "%s: [store] lacks %s", file, what);
        return -EINVAL;
}

static bool is_beneath(const char *path, const char *folder) {
        size_t n = strlen(folder);

        while (n > 0 && folder[n - 1] == '/')
                n--;
        return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int check_dir(const Reader *r, const char *file, ConfError *error) {
        const UplinkSettings *s = r->s;

        if (!s->path)
                return lacks(file, "path (path = /srv/berth)", error);
        if (s->mount_point && !is_beneath(s->path, s->mount_point)) {
                (void) snprintf(error->text, sizeof(error->text), "%s: [store] path %s is not beneath [store] mount_point %s",
                                file, s->path, s->mount_point);
                return -EINVAL;
        }
        return 0;
}

static int check_client_key(const Reader *r, const char *file, ConfError *error) {
        if (r->s->client_key && !r->s->client_certificate)
                return complain(r, file, "client_key", error, "goes with client_certificate only");
        return 0;
}

static int check_s3(const Reader *r, const char *file, ConfError *error) {
        const UplinkSettings *s = r->s;
        Endpoint endpoint;

        if (!s->endpoint)
                return lacks(file, "endpoint (endpoint = https://s3.example)", error);
        if (!s->bucket)
                return lacks(file, "bucket", error);
        if (!s3_bucket_is_valid(s->bucket, s->virtual_host))
                return complain(r, file, "bucket", error,
                                s->virtual_host ? "is not a name of 3 to 63 small letters, digits and '-', as part of a host's name must be"
                                                : "is not a bucket's name of 3 to 63 small letters, digits, '-' and '.'");
        if (endpoint_parse(s->endpoint, &endpoint) < 0)
                return complain(r, file, "endpoint", error, "is not https://HOST or https://HOST:PORT");
        if (!endpoint.tls && !endpoint.loopback && !s->plain_http)
                return complain(r, file, "endpoint", error,
                                "footage would go over the network unencrypted: use https://, or say plain_http = yes");
        if (s->kms_key && !text_equal(s->encryption, "aws:kms"))
                return complain(r, file, "kms_key", error, "goes with encryption = aws:kms only");
        if (s->encryption_key && !s->customer_key)
                return complain(r, file, "encryption_key", error, "goes with encryption = sse-c only");
        if (s->customer_key && !endpoint.tls && !endpoint.loopback)
                return complain(r, file, "encryption", error, "with sse-c the key goes with each request: it takes an https:// endpoint");
        if ((s->lock_mode != NULL) != (s->retention_sec > 0))
                return complain(r, file, s->lock_mode ? "retention_mode" : "retention", error,
                                "retention_mode and retention go together");
        if (s->part_size_bytes > 0 && s->part_size_bytes < S3_PART_SIZE_MIN)
                return complain(r, file, "part_size", error, "S3 takes no parts smaller than 5M");
        return check_client_key(r, file, error);
}

static int check_tus(const Reader *r, const char *file, ConfError *error) {
        const UplinkSettings *s = r->s;
        TusUrl url;

        if (!s->url)
                return lacks(file, "url (url = https://tus.example/files/)", error);
        if (tus_url_parse(s->url, &url) >= 0 && !url.endpoint.tls && !url.endpoint.loopback && !s->plain_http)
                return complain(r, file, "url", error,
                                "footage would go over the network unencrypted: use https://, or say plain_http = yes");
        return check_client_key(r, file, error);
}

/*
 * What a tus server has not, whatever it is asked for: it names each upload itself, knows no conditions, lists nothing, and keeps
 * things as long as it likes.
 */
static const struct {
        const char *key, *what;
} not_with_tus[] = {
        { "bucket", "a tus server has no buckets: what it keeps, and where, is its own matter; url says where uploads are created" },
        { "prefix", "a tus server names its uploads itself, so there are no keys to begin with a prefix" },
        { "sole_writer", "a tus server names its uploads itself: docks never meet there, so a clip that another dock stored is not "
                         "recognised, and there are no manifests that only one can put, no status objects and no rollouts" },
        { "retention_mode", "a tus server cannot be told how long to keep what it takes" },
        { "retention", "a tus server cannot be told how long to keep what it takes" },
        { "legal_hold", "a tus server cannot be told to hold what it takes" },
        { "storage_class", "a tus server has no classes of storage" },
        { "encryption", "a tus server cannot be told how to encrypt what it takes" },
        { "encryption_key", "a tus server cannot be told how to encrypt what it takes" },
        { "kms_key", "a tus server cannot be told how to encrypt what it takes" },
        { "tags", "a tus server has no tags" },
};

static const char *why_not(const Reader *r, const StoreKey *key, char *text, size_t size) {
        for (size_t i = 0; i < ELEMENTSOF(not_with_tus) && r->s->type == STORE_TUS; i++)
                if (text_equal(not_with_tus[i].key, key->name))
                        return not_with_tus[i].what;
        (void) snprintf(text, size, "is not for type = %s", type_names[r->s->type]);
        for (StoreType type = STORE_DIR; type < _STORE_TYPE_MAX; type++)
                if (key->types == 1u << type)
                        (void) snprintf(text, size, "is of type = %s only", type_names[type]);
        return text;
}

static int check_whole(const Reader *r, const char *file, ConfError *error) {
        char text[64];

        if (r->s->type == STORE_NONE)
                return lacks(file, "type (type = dir, type = s3 or type = tus)", error);
        for (size_t i = 0; i < ELEMENTSOF(store_keys); i++)
                if (origin_of(r, store_keys[i].name) && !(store_keys[i].types & (1u << r->s->type)))
                        return complain(r, file, store_keys[i].name, error,
                                        why_not(r, &store_keys[i], text, sizeof(text)));
        switch (r->s->type) {
        case STORE_DIR:
                return check_dir(r, file, error);
        case STORE_S3:
                return check_s3(r, file, error);
        default:
                return check_tus(r, file, error);
        }
}

static int fill_defaults(UplinkSettings *s) {
        const char *state = getenv("STATE_DIRECTORY");

        if (!s->socket && !(s->socket = strdup(UPLINK_DEFAULT_SOCKET)))
                return -ENOMEM;
        if ((!s->region && !(s->region = strdup("us-east-1"))) || (!s->prefix && !(s->prefix = strdup(""))))
                return -ENOMEM;
        /* From systemd: StateDirectory= in the unit. */
        if (!s->state_dir && state && state[0] == '/' && !strchr(state, ':') && !(s->state_dir = strdup(state)))
                return -ENOMEM;
        return 0;
}

int uplink_settings_load(const char *path, UplinkSettings **ret, ConfError *error) {
        _cleanup_(uplink_settings_freep) UplinkSettings *s = calloc(1, sizeof(*s));
        _cleanup_(freep) char *dropins = text_format("%s.d", path);
        Reader reader = { .s = s };
        int r;

        if (!s || !dropins || !(s->written = json_array()))
                return -ENOMEM;
        s->transfers = 8;
        s->stall_usec = 60 * USEC_PER_SEC;
        s->create = true;
        r = conf_parse_file(path, parse_line, &reader, error);
        if (r >= 0)
                r = conf_parse_dir(dropins, parse_line, &reader, error);
        if (r < 0)
                return r;
        r = fill_defaults(s);
        if (r < 0)
                return r;
        r = check_whole(&reader, path, error);
        if (r < 0)
                return r;
        /* A folder cannot check anything by itself; a store can, and reading back from it costs the link all of it once more. */
        if (!reader.read_back_given)
                s->read_back = s->type == STORE_DIR;
        *ret = TAKE_PTR(s);
        return 0;
}
