/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The fleet that the dock is in: its administrator, who signs a catalog of firmware and orders rollouts, and what lies in the store for all
 * its docks. The keys are made once; whoever runs the dock's process is their child.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/catalog.h"
#include "base/minisign.h"
#include "base/text.h"
#include "property/world.h"

#define FLEET "north"
#define FRESH_SEC 60u
#define IMAGE_SIZE 1000u
#define SIGNATURE_TEXT_MAX 512u

/* Of cameras 0, 1 and 2: firmware through a loader, as a file after which it starts anew by itself, as one for when it is put in again. */
static const char *const models[] = { "loader-cam", "file-cam", "hand-cam" };

static const char models_text[] = "[model loader-cam]\ndescription = camera with a loader\ntested = here\nmatch = 1209:bc10\n"
                                  "interface = 06/01/01\nplugin = mtp\nfirmware = dfu\nupdate_mode = loader\nupdate_within = 30s\n"
                                  "battery_floor_percent = 30\n"
                                  "[model loader]\ndescription = its loader\ntested = here\nmatch = 1209:bc20\ninterface = fe/01/02\n"
                                  "plugin = dfu\n"
                                  "[model file-cam]\ndescription = camera that looks for a file\ntested = here\nmatch = 1209:bc11\n"
                                  "interface = 06/01/01\nplugin = mtp\nfootage = *.MP4\nfirmware = file UPDATE/FW.BIN\n"
                                  "update_restart = command\nupdate_within = 30s\nbattery_floor_percent = 30\n"
                                  "[model hand-cam]\ndescription = camera that looks for a file\ntested = here\nmatch = 1209:bc12\n"
                                  "interface = 06/01/01\nplugin = mtp\nfootage = *.MP4\nfirmware = file UPDATE/FW.BIN\n"
                                  "update_restart = hand\nupdate_within = 30s\nbattery_floor_percent = 30\n";

static SignKey *admin, *firmware_key;
static MinisignKey firmware_public;

const char *fleet_model(uint32_t camera) {
        return models[camera % ELEMENTSOF(models)];
}

/* ---- Images ------------------------------------------------------------------------------------------------------------ */

size_t fleet_image(uint32_t camera, uint32_t version, char ret[static 1024], Digest *ret_digest) {
        memset(ret, '.', IMAGE_SIZE);
        (void) snprintf(ret, IMAGE_SIZE, "firmware %u for %s", version, fleet_model(camera));
        if (digest_of(ret, IMAGE_SIZE, ret_digest) < 0)
                abort();
        return IMAGE_SIZE;
}

uint32_t fleet_version_of(uint32_t camera, const Digest *digest) {
        char image[1024];
        Digest d;

        for (uint32_t v = 2; v <= VERSIONS_MAX; v++) {
                (void) fleet_image(camera, v, image, &d);
                if (digest_equal(&d, digest))
                        return v;
        }
        return 0;
}

/* ---- The store --------------------------------------------------------------------------------------------------------- */

static uint32_t place_of(const char *key) {
        uint32_t at = 0;

        while (at < world->n_objects && strcmp(world->objects[at].key, key) < 0)
                at++;
        return at;
}

const char *fleet_object(const char *key) {
        uint32_t at = place_of(key);

        return at < world->n_objects && text_equal(world->objects[at].key, key) ? world->objects[at].text : NULL;
}

SimRollout *fleet_rollout(const char *id) {
        uint32_t n = id[0] == 'r' ? (uint32_t) strtoul(id + 1, NULL, 10) : 0;

        return n >= 1 && n <= world->n_rollouts ? &world->rollouts[n - 1] : NULL;
}

/* More are bad than are borne: whoever lists them, or reads what is closed, from now on must stop. */
static void note_bad(const char *key) {
        char id[8] = "";
        SimRollout *r;

        if (sscanf(key, ROLLOUT_FOLDER "%7[^.].bad/", id) != 1 || !strstr(key, ".bad/"))
                return;
        r = fleet_rollout(id);
        if (r && ++r->bad > r->bad_max && r->stopped_usec == UINT64_MAX)
                r->stopped_usec = world->boottime_usec + (FRESH_SEC + 2) * USEC_PER_SEC;
}

bool fleet_keep(const char *key, const char *text) {
        uint32_t at = place_of(key);
        Object *o = &world->objects[at];

        if (at < world->n_objects && text_equal(o->key, key))
                return false;
        if (world->n_objects == OBJECTS_MAX || strlen(text) >= sizeof(o->text))
                world_fail("the store is full");
        memmove(o + 1, o, (world->n_objects - at) * sizeof(*o));
        (void) snprintf(o->key, sizeof(o->key), "%s", key);
        (void) snprintf(o->text, sizeof(o->text), "%s", text);
        world->n_objects++;
        note_bad(key);
        return true;
}

/* ---- The administrator ------------------------------------------------------------------------------------------------- */

/* As minisign does: over the BLAKE2b-512 of the text, and once more over that and the comment. */
static void sign_as_minisign(const char *text, char ret[static SIGNATURE_TEXT_MAX]) {
        static const char comment[] = "for tests";
        uint8_t hash[64], line[2 + MINISIGN_ID_SIZE + SIGNATURE_SIZE] = "ED", whole[SIGNATURE_SIZE + sizeof(comment)];
        char of_text[128], of_all[128];
        Signature s, all;

        if (EVP_Digest(text, strlen(text), hash, NULL, EVP_blake2b512(), NULL) != 1 || sign_bytes(firmware_key, hash, sizeof(hash), &s) < 0)
                abort();
        memcpy(line + 2, firmware_public.id, MINISIGN_ID_SIZE);
        memcpy(line + 2 + MINISIGN_ID_SIZE, s.bytes, SIGNATURE_SIZE);
        memcpy(whole, s.bytes, SIGNATURE_SIZE);
        memcpy(whole + SIGNATURE_SIZE, comment, sizeof(comment));
        if (sign_bytes(firmware_key, whole, sizeof(whole) - 1, &all) < 0)
                abort();
        (void) EVP_EncodeBlock((unsigned char *) of_text, line, sizeof(line));
        (void) EVP_EncodeBlock((unsigned char *) of_all, all.bytes, SIGNATURE_SIZE);
        (void) snprintf(ret, SIGNATURE_TEXT_MAX, "untrusted comment: a test\n%s\ntrusted comment: %s\n%s\n", of_text, comment, of_all);
}

static void put_catalog(void) {
        char text[sizeof(((Object *) NULL)->text)], signature[SIGNATURE_TEXT_MAX], image[1024], hex[DIGEST_HEX_SIZE], key[CATALOG_KEY_SIZE];
        size_t n = (size_t) snprintf(text, sizeof(text), "{\"type\":\"" CATALOG_TYPE "\",\"v\":1,\"version\":1,\"expires\":\"2199-12-31\","
                                                         "\"images\":[");
        Digest d;

        for (uint32_t camera = 0; camera < ELEMENTSOF(models); camera++)
                for (uint32_t v = 2; v <= VERSIONS_MAX && n < sizeof(text); v++) {
                        size_t size = fleet_image(camera, v, image, &d);

                        n += (size_t) snprintf(text + n, sizeof(text) - n,
                                               "%s{\"model\":\"%s\",\"version\":\"%u\",\"size\":%zu,\"sha256\":\"%s\"}",
                                               camera + v > 2 ? "," : "", fleet_model(camera), v, size, digest_to_hex(&d, hex));
                }
        if (n + 3 >= sizeof(text))
                abort();
        (void) snprintf(text + n, sizeof(text) - n, "]}");
        sign_as_minisign(text, signature);
        (void) fleet_keep(catalog_key(1, false, key), text);
        (void) fleet_keep(catalog_key(1, true, key), signature);
}

void fleet_begin(void) {
        if (!admin) {
                if (sign_key_new(&admin) < 0 || sign_key_new(&firmware_key) < 0)
                        abort();
                firmware_public = (MinisignKey){ .id = "testing", .key = *sign_key_public(firmware_key) };
        }
        world->fleet = true;
        for (uint32_t i = 0; i < CAMERAS; i++) {
                world->cameras[i].firmware = 1;
                world->cameras[i].had = 1u << 1;
        }
        put_catalog();
}

static void write_file(const char *folder, const char *name, const char *text) {
        _cleanup_(freep) char *path = text_format("%s/%s", folder, name);
        FILE *f = fopen(path, "we");

        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                world_fail("%s cannot be written", path);
}

void fleet_write_files(const char *folder, FILE *conf) {
        char key[MINISIGN_KEY_TEXT_SIZE], hex[PUBLIC_KEY_HEX_SIZE];
        _cleanup_(freep) char *text = text_format("untrusted comment: a test\n%s\n", minisign_key_to_text(&firmware_public, key));

        write_file(folder, "models.d/flash.conf", models_text);
        write_file(folder, "firmware.pub", text);
        (void) fprintf(conf, "[dock]\nfleet = " FLEET "\nfleet_key = %s\n[firmware]\nkeys = %s/firmware.pub\nfollow_every = 1min\n",
                       public_key_to_hex(sign_key_public(admin), hex), folder);
}

static void put_plan(uint32_t number, const char *state) {
        SimRollout *r = &world->rollouts[number];
        char id[ROLLOUT_ID_SIZE], version[4], key[ROLLOUT_KEY_SIZE];
        _cleanup_(rollout_order_freep) RolloutOrder *order = NULL;
        _cleanup_(freep) char *file = NULL;
        ConfError error = {};
        json_t *said;

        (void) snprintf(id, sizeof(id), "r%u", number + 1);
        (void) snprintf(version, sizeof(version), "%u", number + 2);
        said = json_pack("{s:s, s:s, s:s, s:[s, s, s], s:s, s:[{s:[s], s:i, s:i}], s:i, s:i, s:i, s:i, s:i}", "id", id, "fleet", FLEET,
                         "version", version, "models", models[0], models[1], models[2], "begin", "2024-01-01", "waves", "named", "SN-0",
                         "of_10000", (int) ROLLOUT_SHARES, "cameras", (int) CAMERAS, "bad_max", (int) r->bad_max, "under_way_max", 8,
                         "flash_seconds", 20, "fresh_seconds", (int) FRESH_SEC, "docks", 1);
        if (!said || rollout_order_parse(said, state, &order, &error) < 0 ||
            rollout_order_sign(admin, order, ++r->revision, state, INT64_C(1750000000) * (int64_t) USEC_PER_SEC, &file) < 0)
                world_fail("no plan can be made: %s", error.text);
        json_decref(said);
        (void) fleet_keep(rollout_plan_key(id, r->revision, key), file);
        r->off_usec = text_equal(state, "running") ? UINT64_MAX : world->boottime_usec + (FRESH_SEC + 2) * USEC_PER_SEC;
        r->aborted = text_equal(state, "aborted");
}

void fleet_order(uint32_t a, uint32_t b) {
        SimRollout *r = world->n_rollouts > 0 ? &world->rollouts[world->n_rollouts - 1] : NULL;

        if (!world->store_up)
                return;
        if ((!r || r->aborted || a % 4 == 0) && world->n_rollouts + 1 < VERSIONS_MAX) {
                world->rollouts[world->n_rollouts] = (SimRollout){ .bad_max = b % 3, .off_usec = UINT64_MAX, .stopped_usec = UINT64_MAX };
                return put_plan(world->n_rollouts++, "running");
        }
        if (r && !r->aborted)
                put_plan(world->n_rollouts - 1, a % 16 == 15 ? "aborted" : r->off_usec == UINT64_MAX ? "paused" : "running");
}
