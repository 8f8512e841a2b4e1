/* SPDX-License-Identifier: Apache-2.0 */
#include "base/catalog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/json_value.h"
#include "base/measure.h"
#include "base/statement.h"
#include "base/text.h"

#define CATALOG_FOLDER "firmware/catalog/"
#define IMAGE_FOLDER "firmware/images/"
#define CATALOG_END ".json"
#define SIGNATURE_END ".json.minisig"
#define VERSION_DIGITS 10u

static int fail(ConfError *error, const char *format, ...) _printf_(2, 3);
static int fail(ConfError *error, const char *format, ...) {
        char text[sizeof(error->text)];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        conf_fail(error, "the firmware catalog is not as it must be: %s", text);
        return -EBADMSG;
}

/* ---- Members ---------------------------------------------------------------------------------------------------------- */

/* A later member may forbid what this version would allow: none is passed over. */
static int refuse_unknown(json_t *object, const char *const *known, const char *where, ConfError *error) {
        const char *name = json_unknown_member(object, known);

        return !name ? 0 : fail(error, "%s has \"%s\", which this version of Berth does not know", where, name);
}

static int take_text(json_t *object, const char *name, bool optional, char *ret, size_t size, const char *where, ConfError *error) {
        const json_t *value = json_object_get(object, name);

        if (!value && optional) {
                ret[0] = 0;
                return 0;
        }
        if (!json_take_text(value, ret, size))
                return fail(error, "%s: \"%s\" must be a printable text of at most %zu bytes", where, name, size - 1);
        return 0;
}

static int take_number(json_t *object, const char *name, uint64_t max, uint64_t *ret, const char *where, ConfError *error) {
        if (!json_take_number(json_object_get(object, name), 1, max, ret))
                return fail(error, "%s: \"%s\" must be a number from 1 to %" PRIu64, where, name, max);
        return 0;
}

/* ---- Images ------------------------------------------------------------------------------------------------------------ */

static int take_hardware(json_t *object, CatalogImage *image, const char *where, ConfError *error) {
        json_t *list = json_object_get(object, "hardware"), *one;
        size_t i;

        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > CATALOG_HARDWARE_MAX)
                return fail(error, "%s: \"hardware\" must be a list of 1 to %u revisions", where, CATALOG_HARDWARE_MAX);
        json_array_foreach(list, i, one) {
                if (!json_take_text(one, image->hardware[image->n_hardware], CATALOG_TEXT_SIZE))
                        return fail(error, "%s: a revision in \"hardware\" is no short text", where);
                image->n_hardware++;
        }
        return 0;
}

/* It becomes a name on the camera. */
static bool is_file_name(const char *s) {
        return s[0] != '.' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == 0;
}

static int take_image(json_t *object, size_t number, CatalogImage *ret, ConfError *error) {
        static const char *const known[] = { "model", "version", "floor", "file", "hardware", "size", "sha256", NULL };
        CatalogImage image = { .n_hardware = 0 };
        char where[32], hex[DIGEST_HEX_SIZE];
        int r;

        (void) snprintf(where, sizeof(where), "image %zu", number + 1);
        if (!json_is_object(object))
                return fail(error, "%s is no object", where);
        if ((r = refuse_unknown(object, known, where, error)) < 0 ||
            (r = take_text(object, "model", false, image.model, sizeof(image.model), where, error)) < 0 ||
            (r = take_text(object, "version", false, image.version, sizeof(image.version), where, error)) < 0 ||
            (r = take_text(object, "floor", true, image.floor, sizeof(image.floor), where, error)) < 0 ||
            (r = take_text(object, "file", true, image.file, sizeof(image.file), where, error)) < 0 ||
            (r = take_hardware(object, &image, where, error)) < 0 ||
            (r = take_number(object, "size", CATALOG_IMAGE_SIZE_MAX, &image.size_bytes, where, error)) < 0 ||
            (r = take_text(object, "sha256", false, hex, sizeof(hex), where, error)) < 0)
                return r;
        if (digest_from_hex(hex, &image.digest) < 0)
                return fail(error, "%s: \"sha256\" must be 64 hex digits", where);
        if (!is_file_name(image.file))
                return fail(error, "%s: \"file\" must be a plain name of letters, digits, '.', '_' and '-'", where);
        *ret = image;
        return 0;
}

static int take_images(json_t *root, Catalog *c, ConfError *error) {
        json_t *list = json_object_get(root, "images"), *one;
        size_t i;
        int r;

        if (!json_is_array(list) || json_array_size(list) > CATALOG_IMAGES_MAX)
                return fail(error, "\"images\" must be a list of at most %u", CATALOG_IMAGES_MAX);
        c->images = calloc(json_array_size(list) + 1, sizeof(*c->images));
        if (!c->images)
                return -ENOMEM;
        json_array_foreach(list, i, one) {
                r = take_image(one, i, &c->images[i], error);
                if (r < 0)
                        return r;
                for (size_t k = 0; k < i; k++)
                        if (text_equal(c->images[k].model, c->images[i].model) && text_equal(c->images[k].version, c->images[i].version))
                                return fail(error, "images %zu and %zu are of the same model and version", k + 1, i + 1);
                c->n_images++;
        }
        return 0;
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

static int take_keys(json_t *root, Catalog *c, ConfError *error) {
        json_t *list = json_object_get(root, "keys"), *one;
        size_t i;

        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > MINISIGN_KEYS_MAX)
                return fail(error, "\"keys\" must be a list of 1 to %u public keys of minisign", MINISIGN_KEYS_MAX);
        json_array_foreach(list, i, one)
                if (minisign_key_from_text(json_string_value(one), &c->keys.keys[c->keys.n++]) < 0)
                        return fail(error, "key %zu is no public key of minisign, which begins with RW", i + 1);
        return 0;
}

static int take_expiry(json_t *root, Catalog *c, ConfError *error) {
        char text[UTC_TEXT_SIZE], whole[UTC_TEXT_SIZE + 32];
        int r;

        r = take_text(root, "expires", false, text, sizeof(text), "it", error);
        if (r < 0)
                return r;
        (void) snprintf(whole, sizeof(whole), strlen(text) == strlen("2026-11-23") ? "%sT00:00:00.000000Z" : "%s", text);
        if (utc_from_text(whole, &c->expires_usec) < 0)
                return fail(error, "\"expires\" must be a day, such as 2027-02-28");
        return 0;
}

static int take_catalog(json_t *root, Catalog *c, ConfError *error) {
        static const char *const known[] = { "type", "v", "fleet", "version", "expires", "keys", "images", NULL };
        int r;

        if (!json_is_object(root) || !text_equal(json_string_value(json_object_get(root, "type")), CATALOG_TYPE))
                return fail(error, "its \"type\" is not \"%s\"", CATALOG_TYPE);
        if (json_integer_value(json_object_get(root, "v")) != 1)
                return fail(error, "its \"v\" is not 1: a later version of Berth wrote it");
        if ((r = refuse_unknown(root, known, "it", error)) < 0 ||
            (r = take_text(root, "fleet", true, c->fleet, sizeof(c->fleet), "it", error)) < 0 ||
            (r = take_number(root, "version", CATALOG_VERSION_MAX, &c->version, "it", error)) < 0 ||
            (r = take_expiry(root, c, error)) < 0 || (r = take_keys(root, c, error)) < 0)
                return r;
        if (c->fleet[0] && !fleet_id_is_valid(c->fleet))
                return fail(error, "\"fleet\" is no name of a fleet");
        return take_images(root, c, error);
}

int catalog_parse(const char *text, size_t size, Catalog **ret, ConfError *error) {
        _cleanup_(json_decrefp) json_t *root = NULL;
        _cleanup_(catalog_freep) Catalog *c = NULL;
        json_error_t problem;
        int r;

        if (size > CATALOG_SIZE_MAX)
                return fail(error, "it has more than %u bytes", CATALOG_SIZE_MAX);
        root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
        if (!root)
                return fail(error, "line %d: %s", problem.line, problem.text);
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        r = take_catalog(root, c, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

Catalog *catalog_free(Catalog *c) {
        if (!c)
                return NULL;
        free(c->images);
        free(c);
        return NULL;
}

/* ---- Trust -------------------------------------------------------------------------------------------------------------- */

static int measure(const Catalog *c, const CatalogTrust *trust, ConfError *error) {
        if (trust->key_version > 0 && c->version != trust->key_version) {
                conf_fail(error, "version %" PRIu64 " of the firmware catalog lies in the store under the name of version %" PRIu64,
                          c->version, trust->key_version);
                return -EXDEV;
        }
        if (c->version <= trust->last_version) {
                conf_fail(error, "version %" PRIu64 " of the firmware catalog is not newer than version %" PRIu64 ", which was seen before:"
                          " somebody plays an old one again", c->version, trust->last_version);
                return -ESTALE;
        }
        if (c->fleet[0] && trust->fleet && !text_equal(c->fleet, trust->fleet)) {
                conf_fail(error, "version %" PRIu64 " of the firmware catalog is for the fleet %s, and this dock is of %s", c->version,
                          c->fleet, trust->fleet[0] ? trust->fleet : "none");
                return -EXDEV;
        }
        return 0;
}

int catalog_open(const char *text, size_t size, const char *signature, size_t signature_size, const CatalogTrust *trust, Catalog **ret,
                 ConfError *error) {
        _cleanup_(catalog_freep) Catalog *c = NULL;
        MinisignSignature s;
        ConfError why = { 0 };
        int r;

        if (size > CATALOG_SIZE_MAX)
                return fail(error, "it has more than %u bytes", CATALOG_SIZE_MAX);
        r = minisign_parse(signature, signature_size, &s, &why);
        if (r >= 0)
                r = minisign_verify(&s, text, size, trust->keys, NULL, &why);
        if (r < 0) {
                conf_fail(error, "the firmware catalog is not believed: %s", why.text[0] ? why.text : strerrordesc_np(-r));
                return r;
        }
        r = catalog_parse(text, size, &c, error);
        if (r >= 0)
                r = measure(c, trust, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int catalog_chain_add(CatalogChain *chain, uint64_t version, const char *text, size_t size, const char *signature, size_t signature_size,
                      ConfError *error) {
        const CatalogTrust trust = {
                .keys = &chain->keys, .fleet = chain->fleet, .last_version = chain->last_version, .key_version = version
        };
        Catalog *c;
        int r;

        r = catalog_open(text, size, signature, signature_size, &trust, &c, error);
        if (r < 0)
                return r;
        chain->newest = catalog_free(chain->newest);
        chain->newest = c;
        chain->last_version = c->version;
        if (c->keys.n > 0)
                chain->keys = c->keys;
        return 0;
}

void catalog_chain_done(CatalogChain *chain) {
        chain->newest = catalog_free(chain->newest);
}

bool catalog_expired(const Catalog *c, int64_t now_usec, ConfError *error) {
        char text[UTC_TEXT_SIZE];

        if (now_usec < c->expires_usec)
                return false;
        conf_fail(error, "version %" PRIu64 " of the firmware catalog expired on %.10s and there is no newer one: sign and publish another,"
                  " or find out who keeps it from this dock", c->version, utc_text(c->expires_usec, text));
        return true;
}

/* ---- Use ---------------------------------------------------------------------------------------------------------------- */

const CatalogImage *catalog_find(const Catalog *c, const char *model, const char *version, ConfError *error) {
        const CatalogImage *other = NULL;

        for (size_t i = 0; i < c->n_images; i++) {
                const CatalogImage *image = &c->images[i];

                if (!text_equal(image->version, version))
                        continue;
                if (text_equal(image->model, model))
                        return image;
                other = image;
        }
        if (other)
                conf_fail(error, "firmware %s is in the catalog for the model %s, not for %s", version, other->model, model);
        else
                conf_fail(error, "firmware %s for the model %s is not in version %" PRIu64 " of the catalog", version, model, c->version);
        return NULL;
}

const char *catalog_misfit(const CatalogImage *image, const char *model, const char *hardware) {
        if (!text_equal(image->model, model))
                return "the firmware is for another model";
        if (image->n_hardware == 0)
                return NULL;
        if (!hardware || !hardware[0])
                return "the camera does not tell its hardware revision, and the firmware fits some alone";
        for (size_t i = 0; i < image->n_hardware; i++)
                if (text_equal(image->hardware[i], hardware))
                        return NULL;
        return "the firmware does not fit the camera's hardware revision";
}

int catalog_check_image(const CatalogImage *image, int fd, ConfError *error) {
        Digest digest;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size != image->size_bytes) {
                conf_fail(error, "the firmware %s for %s has %" PRIu64 " bytes, and %" PRIu64 " by the catalog: it was cut off or changed",
                          image->version, image->model, (uint64_t) st.st_size, image->size_bytes);
                return -EBADMSG;
        }
        r = measure_digest(fd, image->size_bytes, &digest);
        if (r < 0 && r != -ENODATA)
                return r;
        if (r >= 0 && digest_equal(&digest, &image->digest))
                return 0;
        conf_fail(error, "the firmware %s for %s has not the SHA-256 that the catalog says: it was changed", image->version, image->model);
        return -EBADMSG;
}

/* ---- Names -------------------------------------------------------------------------------------------------------------- */

char *catalog_key(uint64_t version, bool signature, char ret[static CATALOG_KEY_SIZE]) {
        (void) snprintf(ret, CATALOG_KEY_SIZE, CATALOG_FOLDER "%0*" PRIu64 "%s", (int) VERSION_DIGITS, version,
                        signature ? SIGNATURE_END : CATALOG_END);
        return ret;
}

char *catalog_image_key(const Digest *digest, char ret[static CATALOG_KEY_SIZE]) {
        char hex[DIGEST_HEX_SIZE];

        (void) snprintf(ret, CATALOG_KEY_SIZE, IMAGE_FOLDER "%s", digest_to_hex(digest, hex));
        return ret;
}

int catalog_version_of_key(const char *key, uint64_t *ret) {
        const char *digits = key + strlen(CATALOG_FOLDER);
        uint64_t n = 0;

        if (strncmp(key, CATALOG_FOLDER, strlen(CATALOG_FOLDER)) != 0 || strlen(digits) != VERSION_DIGITS + strlen(CATALOG_END) ||
            strspn(digits, "0123456789") != VERSION_DIGITS || !text_equal(digits + VERSION_DIGITS, CATALOG_END))
                return -EINVAL;
        for (size_t i = 0; i < VERSION_DIGITS; i++)
                n = n * 10 + (uint64_t) (digits[i] - '0');
        if (n == 0)
                return -EINVAL;
        *ret = n;
        return 0;
}
