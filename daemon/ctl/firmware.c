/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl firmware`: what the dock goes by; with publish, list or show what lies in the store, by way of berth-uplink, which alone has
 * the store's credentials.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "base/catalog.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wire_uplink.h"
#include "ctl/bus_client.h"
#include "ctl/firmware.h"
#include "ctl/json_out.h"
#include "ctl/uplink_client.h"
#include "proof/uplink_socket.h"

#define FIRMWARE_KEY BERTH_SYSCONFDIR "/firmware.pub"
#define CATALOGS WIRE_KEEP_FIRMWARE "/" WIRE_FIRMWARE_CATALOG "/"
#define SIGNATURE_END ".minisig"

static int read_keys(const Options *o, MinisignKeys *ret) {
        const char *path = o->firmware_key ? o->firmware_key : FIRMWARE_KEY;
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        size_t size;
        int r;

        r = fd_read_file(AT_FDCWD, path, MINISIGN_FILE_MAX, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE,
                                "the public key of those who sign firmware, %s, cannot be read: %s (--firmware-key=FILE names another)",
                                path, strerrordesc_np(-r));
        r = minisign_keys_parse(path, text, size, ret, &error);
        return r < 0 ? ctl_fail(CTL_FAILURE, "%s", error.text) : CTL_OK;
}

/* ---- What the store has ------------------------------------------------------------------------------------------------ */

typedef struct Walk {
        sd_bus *bus;
        CatalogChain chain;
        uint64_t wanted; /* ends with this one; 0: with the newest */
        json_t *list;    /* of all, when it is asked for */
        char last_key[CATALOG_KEY_SIZE + 32];
} Walk;

static void walk_done(Walk *w) {
        catalog_chain_done(&w->chain);
        json_decref(w->list);
}

static int note(Walk *w, uint64_t version, const char *trouble) {
        const Catalog *c = w->chain.newest;
        char text[UTC_TEXT_SIZE];
        json_t *one;

        if (!w->list)
                return 0;
        one = trouble ? json_pack("{s:I, s:b, s:s}", "version", (json_int_t) version, "believed", 0, "reason", trouble) :
                        json_pack("{s:I, s:b, s:s, s:b, s:i, s:i}", "version", (json_int_t) version, "believed", 1, "expires",
                                  utc_text(c->expires_usec, text), "expired", clock_wall_usec() >= c->expires_usec, "images",
                                  (int) c->n_images, "keys", (int) c->keys.n);
        return one && json_array_append_new(w->list, one) == 0 ? 0 : -ENOMEM;
}

/* One that is not believed is told of and passed over, as docks do. */
static int take(Walk *w, uint64_t version) {
        _cleanup_(freep) char *text = NULL, *signature = NULL;
        char key[CATALOG_KEY_SIZE];
        ConfError error = { 0 };
        int r;

        r = uplink_socket_fetch(w->bus, catalog_key(version, false, key), &text, &error);
        if (r >= 0)
                r = uplink_socket_fetch(w->bus, catalog_key(version, true, key), &signature, &error);
        if (r >= 0)
                r = catalog_chain_add(&w->chain, version, text, strlen(text), signature, strlen(signature), &error);
        if (r == -ENOMEM || r == -EIO)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : "out of memory");
        if (r < 0 && !w->list)
                (void) ctl_fail(CTL_OK, "version %" PRIu64 " is passed over: %s", version, error.text);
        return note(w, version, r < 0 ? error.text : NULL) < 0 ? ctl_fail(CTL_FAILURE, "out of memory") : CTL_OK;
}

static int take_key(void *userdata, const char *key) {
        Walk *w = userdata;
        uint64_t version;

        (void) snprintf(w->last_key, sizeof(w->last_key), "%s", key);
        if (catalog_version_of_key(key, &version) < 0 || (w->wanted > 0 && version > w->wanted))
                return 0;
        return take(w, version) == CTL_OK ? 0 : -ECANCELED;
}

static int walk(const Options *o, Walk *w, sd_bus *bus) {
        ConfError error = { 0 };
        bool more = true;
        int exit_code = read_keys(o, &w->chain.keys);

        if (exit_code != CTL_OK)
                return exit_code;
        w->bus = bus;
        while (more) {
                int r = uplink_socket_list(bus, CATALOGS, w->last_key, take_key, w, &more, &error);

                if (r == -ECANCELED)
                        return CTL_FAILURE;
                if (r < 0)
                        return ctl_fail(CTL_FAILURE, "the store's firmware cannot be listed: %s", error.text);
        }
        return CTL_OK;
}

/* ---- Publishing -------------------------------------------------------------------------------------------------------- */

static int read_catalog(const char *path, char **ret_text, char **ret_signature) {
        _cleanup_(freep) char *beside = text_format("%s" SIGNATURE_END, path);
        size_t size;
        int r;

        if (!beside)
                return ctl_fail(CTL_FAILURE, "out of memory");
        r = fd_read_file(AT_FDCWD, path, CATALOG_SIZE_MAX, ret_text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerrordesc_np(-r));
        if (strlen(*ret_text) != size)
                return ctl_fail(CTL_FAILURE, "%s is no text", path);
        r = fd_read_file(AT_FDCWD, beside, MINISIGN_FILE_MAX, ret_signature, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s (sign with: minisign -Sm %s)", beside, strerrordesc_np(-r), path);
        return strlen(*ret_signature) == size ? CTL_OK : ctl_fail(CTL_FAILURE, "%s is no text", beside);
}

/* Whichever of the catalog's images this file is: its place, or CATALOG_IMAGES_MAX after saying what is wrong. */
static size_t find_image(const Catalog *c, const char *path, int *ret_fd) {
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        ConfError error = { 0 }, closest = { 0 };
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                (void) ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerrordesc_np(errno));
                return CATALOG_IMAGES_MAX;
        }
        for (size_t i = 0; i < c->n_images; i++) {
                if (catalog_check_image(&c->images[i], fd, &error) >= 0) {
                        *ret_fd = TAKE_FD(fd);
                        return i;
                }
                if ((uint64_t) st.st_size == c->images[i].size_bytes)
                        closest = error;
        }
        (void) ctl_fail(CTL_FAILURE, "%s is none of the catalog's images%s%s", path, closest.text[0] ? ": " : "", closest.text);
        return CATALOG_IMAGES_MAX;
}

static int put_images(const Options *o, const Catalog *c, sd_bus *bus, bool put[static CATALOG_IMAGES_MAX]) {
        for (unsigned a = 2; a < o->n_args; a++) {
                _cleanup_(fd_closep) int fd = -EBADF;
                size_t i = find_image(c, o->args[a], &fd);
                ConfError error = { 0 };
                bool there;

                if (i >= CATALOG_IMAGES_MAX)
                        return CTL_FAILURE;
                if (uplink_socket_put_image(bus, fd, c->images[i].size_bytes, &c->images[i].digest, &there, &error) < 0)
                        return ctl_fail(CTL_FAILURE, "%s cannot be brought to the store: %s", o->args[a], error.text);
                printf("%s: firmware %s for %s %s\n", o->args[a], c->images[i].version, c->images[i].model,
                       there ? "was in the store already" : "is in the store");
                put[i] = true;
        }
        return CTL_OK;
}

static int see_key(void *userdata, const char *key) {
        (void) key;
        *(bool *) userdata = true;
        return 0;
}

/* A catalog never names what a dock could not get. */
static int look_for_others(const Catalog *c, sd_bus *bus, const bool put[static CATALOG_IMAGES_MAX]) {
        for (size_t i = 0; i < c->n_images; i++) {
                bool there = put[i], more;
                char key[CATALOG_KEY_SIZE];
                ConfError error = { 0 };

                if (!there && uplink_socket_list(bus, catalog_image_key(&c->images[i].digest, key), "", see_key, &there, &more, &error) < 0)
                        return ctl_fail(CTL_FAILURE, "the store's images cannot be listed: %s", error.text);
                if (!there)
                        return ctl_fail(CTL_FAILURE, "the image of firmware %s for %s is not in the store: name its file, too",
                                        c->images[i].version, c->images[i].model);
        }
        return CTL_OK;
}

/* The signature first: a dock that sees a catalog finds it. */
static int put_catalog(const Catalog *c, sd_bus *bus, const char *text, const char *signature) {
        char key[CATALOG_KEY_SIZE];
        ConfError error = { 0 };
        int r;

        r = uplink_socket_keep(bus, catalog_key(c->version, true, key), signature, &error);
        if (r >= 0)
                r = uplink_socket_keep(bus, catalog_key(c->version, false, key), text, &error);
        if (r == -EEXIST)
                return ctl_fail(CTL_FAILURE,
                                "another version %" PRIu64 " was published meanwhile: number this one %" PRIu64 " and sign it again",
                                c->version, c->version + 1);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "the catalog cannot be brought to the store: %s", error.text);
        printf("version %" PRIu64 " of the firmware catalog is published: %zu images\n", c->version, c->n_images);
        return CTL_OK;
}

static int publish(const Options *o, sd_bus *bus) {
        _cleanup_(freep) char *text = NULL, *signature = NULL;
        _cleanup_(walk_done) Walk w = { 0 };
        bool put[CATALOG_IMAGES_MAX] = { false };
        ConfError error = { 0 };
        const Catalog *c;
        int exit_code;

        if (o->n_args < 2)
                return ctl_fail(CTL_USAGE, "'firmware publish' is followed by the catalog's file and the files of its images");
        exit_code = read_catalog(o->args[1], &text, &signature);
        /* Both are there once they were read. */
        if (exit_code != CTL_OK || !text || !signature || (exit_code = walk(o, &w, bus)) != CTL_OK)
                return exit_code;
        if (catalog_chain_add(&w.chain, 0, text, strlen(text), signature, strlen(signature), &error) < 0)
                return ctl_fail(CTL_FAILURE, "%s: %s", o->args[1], error.text);
        c = w.chain.newest;
        if (catalog_expired(c, clock_wall_usec(), &error))
                return ctl_fail(CTL_FAILURE, "%s: %s", o->args[1], error.text);
        if ((exit_code = put_images(o, c, bus, put)) != CTL_OK || (exit_code = look_for_others(c, bus, put)) != CTL_OK)
                return exit_code;
        return put_catalog(c, bus, text, signature);
}

/* ---- Showing ----------------------------------------------------------------------------------------------------------- */

static int print_list(const json_t *list) {
        const json_t *one;
        size_t i;

        json_array_foreach(list, i, one) {
                json_int_t version = json_integer_value(json_object_get(one, "version"));
                char safe[512];

                if (json_is_true(json_object_get(one, "believed")))
                        printf("%" JSON_INTEGER_FORMAT "  %" JSON_INTEGER_FORMAT " images, %s %.10s%s\n", version,
                               json_integer_value(json_object_get(one, "images")),
                               json_is_true(json_object_get(one, "expired")) ? "expired on" : "good until",
                               json_string_value(json_object_get(one, "expires")),
                               json_integer_value(json_object_get(one, "keys")) > 0 ? ", other keys from here on" : "");
                else {
                        text_sanitise(json_string_value(json_object_get(one, "reason")), safe, sizeof(safe));
                        printf("%" JSON_INTEGER_FORMAT "  not believed: %s\n", version, safe);
                }
        }
        if (json_array_size(list) == 0)
                printf("There is no firmware catalog in the store.\n");
        return CTL_OK;
}

static int list(const Options *o, sd_bus *bus) {
        _cleanup_(walk_done) Walk w = { .list = json_array() };
        int exit_code;

        if (o->n_args != 1)
                return ctl_fail(CTL_USAGE, "'firmware list' takes nothing more");
        exit_code = w.list ? walk(o, &w, bus) : ctl_fail(CTL_FAILURE, "out of memory");
        if (exit_code != CTL_OK)
                return exit_code;
        return o->json ? json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("firmware-list"), "catalogs", w.list), false) :
                         print_list(w.list);
}

static json_t *json_of_image(const CatalogImage *image) {
        char hex[DIGEST_HEX_SIZE];
        json_t *hardware = json_array();

        for (size_t i = 0; i < image->n_hardware; i++)
                (void) json_array_append_new(hardware, json_string(image->hardware[i]));
        return json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:s}", "model", image->model, "version", image->version, "floor", image->floor,
                         "file", image->file, "hardware", hardware, "size_bytes", (json_int_t) image->size_bytes, "sha256",
                         digest_to_hex(&image->digest, hex));
}

static int show_json(const Catalog *c) {
        char text[UTC_TEXT_SIZE];
        json_t *images = json_array();

        for (size_t i = 0; i < c->n_images; i++)
                (void) json_array_append_new(images, json_of_image(&c->images[i]));
        return json_out(json_pack("{s:s, s:I, s:s, s:s, s:o}", "schema", JSON_SCHEMA("firmware"), "version", (json_int_t) c->version,
                                  "fleet", c->fleet, "expires", utc_text(c->expires_usec, text), "images", images), false);
}

static int show(const Options *o, sd_bus *bus) {
        _cleanup_(walk_done) Walk w = { 0 };
        char hex[DIGEST_HEX_SIZE], size[16];
        ConfError error = { 0 };
        const Catalog *c;
        char *end = NULL;
        int exit_code;

        if (o->n_args == 2)
                w.wanted = strtoull(o->args[1], &end, 10);
        if (o->n_args > 2 || (end && (*end || w.wanted == 0 || w.wanted > CATALOG_VERSION_MAX)))
                return ctl_fail(CTL_USAGE, "'firmware show' takes the number of a version, or nothing for the newest");
        exit_code = walk(o, &w, bus);
        if (exit_code != CTL_OK)
                return exit_code;
        c = w.chain.newest;
        if (!c || (w.wanted > 0 && c->version != w.wanted))
                return ctl_fail(CTL_FAILURE, "there is no such version of the firmware catalog in the store that is believed");
        if (w.wanted == 0 && catalog_expired(c, clock_wall_usec(), &error))
                (void) ctl_fail(CTL_OK, "%s", error.text);
        if (o->json)
                return show_json(c);
        for (size_t i = 0; i < c->n_images; i++)
                printf("%s  %s  %s  %s\n", c->images[i].model, c->images[i].version, text_bytes(c->images[i].size_bytes, size),
                       digest_to_hex(&c->images[i].digest, hex));
        return CTL_OK;
}

int verb_firmware(const Options *o) {
        static const struct {
                const char *name;
                int (*run)(const Options *o, sd_bus *bus);
        } verbs[] = { { "publish", publish }, { "list", list }, { "show", show } };
        const char *what = o->n_args > 0 ? o->args[0] : "";

        if (o->n_args == 0)
                return firmware_dock(o);
        if (text_equal(what, "flash"))
                return firmware_flash(o);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                _cleanup_(bus_unrefp) sd_bus *bus = NULL;
                int exit_code;

                if (!text_equal(what, verbs[i].name))
                        continue;
                exit_code = uplink_client_open(o, &bus);
                return exit_code == CTL_OK ? verbs[i].run(o, bus) : exit_code;
        }
        return ctl_fail(CTL_USAGE, "'firmware' is followed by 'publish CATALOG.json [IMAGE...]', 'list', 'show [VERSION]' or 'flash SERIAL"
                        " VERSION', or by nothing for what the dock has");
}
