/* SPDX-License-Identifier: Apache-2.0 */
#include "service/catalog_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define CATALOGS WIRE_KEEP_FIRMWARE "/" WIRE_FIRMWARE_CATALOG "/"
#define KEYS_TEXT_SIZE (MINISIGN_KEYS_MAX * MINISIGN_KEY_TEXT_SIZE + 1)
/* Catalogs are read in turn: of a list so many are kept in mind. */
#define AT_ONCE 100u

struct CatalogFollow {
        Manager *manager;
        sd_event_source *timer;
        bool on, busy, expiry_told;
        char root[KEYS_TEXT_SIZE]; /* the keys of the dock's own file */
        CatalogChain chain;
        Catalog *newest; /* on record, as are: */
        uint64_t recorded_version;
        MinisignKeys recorded_keys;
        /* Of this look: */
        uint64_t versions[AT_ONCE], listed_version;
        size_t n, at;
        bool more;
        char *text, *taken; /* of the one that is being read; of the newest that was believed */
        ConfError refused; /* why one that lies there does not count, as long as none after it does */
        uint64_t refused_version;
};

static void read_next(CatalogFollow *f);

static char *keys_to_text(const MinisignKeys *keys, char ret[static KEYS_TEXT_SIZE]) {
        char text[MINISIGN_KEY_TEXT_SIZE];
        size_t at = 0;

        ret[0] = 0;
        for (size_t i = 0; i < keys->n; i++)
                at += (size_t) snprintf(ret + at, KEYS_TEXT_SIZE - at, "%s\n", minisign_key_to_text(&keys->keys[i], text));
        return ret;
}

bool catalog_follow_is_on(const CatalogFollow *f) {
        return f->on;
}

const Catalog *catalog_follow_newest(const CatalogFollow *f) {
        return f->newest;
}

const char *catalog_follow_trouble(const CatalogFollow *f, ConfError *ret) {
        ret->text[0] = 0;
        if (f->newest && catalog_expired(f->newest, clock_wall_usec(), ret))
                return ret->text;
        *ret = f->refused;
        return ret->text;
}

const CatalogImage *catalog_follow_image(const CatalogFollow *f, const char *model, const char *version, ConfError *error) {
        if (!f->newest) {
                conf_fail(error, "%s", f->refused.text[0] ? f->refused.text : !f->on ?
                          "the dock has no key by which it believes firmware: keys in [firmware] of berthd.conf" :
                          "the dock has not found a firmware catalog in the store yet");
                return NULL;
        }
        return catalog_expired(f->newest, clock_wall_usec(), error) ? NULL : catalog_find(f->newest, model, version, error);
}

static void look_again(CatalogFollow *f, uint64_t after_usec) {
        (void) timer_in(f->timer, after_usec);
}

static void end_look(CatalogFollow *f, uint64_t after_usec) {
        f->busy = false;
        free(f->text);
        free(f->taken);
        f->text = f->taken = NULL;
        look_again(f, after_usec);
}

/* Nobody newer has come for too long: told once, and on the bus as long as it is so. */
static void tell_expiry(CatalogFollow *f) {
        ConfError error = { 0 };
        bool expired = f->newest && catalog_expired(f->newest, clock_wall_usec(), &error);

        if (expired && !f->expiry_told)
                log_error(NULL, "No camera is flashed: %s", error.text);
        if (expired != f->expiry_told) {
                f->expiry_told = expired;
                manager_tell(f->manager);
        }
}

/* ---- On record ------------------------------------------------------------------------------------------------------ */

static void recorded(int result, void *userdata) {
        CatalogFollow *f = userdata;

        if (result >= 0) {
                f->newest = catalog_free(f->newest);
                f->newest = TAKE_PTR(f->chain.newest);
                f->recorded_version = f->newest->version;
                f->recorded_keys = f->chain.keys;
                log_notice(NULL, "Version %" PRIu64 " of the fleet's firmware catalog is in force: %zu images", f->newest->version,
                           f->newest->n_images);
                tell_expiry(f);
                manager_tell(f->manager);
        } else {
                log_error(NULL, "Version %" PRIu64 " of the fleet's firmware catalog is not taken: %s", f->chain.last_version,
                          store_last_refusal(f->manager->store));
                f->chain.last_version = f->recorded_version;
                f->chain.keys = f->recorded_keys;
        }
        end_look(f, f->manager->settings->firmware_usec);
}

static void record(CatalogFollow *f) {
        Fact fact = { .kind = FACT_CATALOG, .text = "from the store, signed by a key that the dock believes" };
        char keys[KEYS_TEXT_SIZE];

        fact.catalog.document = f->taken;
        fact.catalog.keys = keys_to_text(&f->chain.keys, keys);
        fact.catalog.root = f->root;
        fact.catalog.version = f->chain.last_version;
        manager_moment(f->manager, &fact.at);
        if (store_put(f->manager->store, &fact, recorded, f) < 0)
                end_look(f, f->manager->settings->firmware_usec);
}

/* ---- Reading -------------------------------------------------------------------------------------------------------- */

static int list(CatalogFollow *f);

static void all_read(CatalogFollow *f) {
        if (f->more && list(f) >= 0)
                return;
        tell_expiry(f);
        if (f->taken)
                return record(f);
        end_look(f, f->manager->settings->firmware_usec);
}

/* The store could not be asked: what was believed so far counts, and the rest is asked for again. */
static void interrupted(CatalogFollow *f, const UplinkAnswer *answer) {
        log_debug(NULL, "The store was not asked for the fleet's firmware catalog: %s", answer->text);
        f->more = false;
        f->n = f->at;
        all_read(f);
}

/* It is passed over: the next one may be good. */
static void refuse(CatalogFollow *f, uint64_t version, const char *why) {
        log_full(f->refused_version == version && text_equal(f->refused.text, why) ? LOG_DEBUG : LOG_ERR,
                 &(LogAbout){ .message = MESSAGE_STATEMENT_REFUSED },
                 "What lies in the store as version %" PRIu64 " of the firmware catalog is not taken: %s", version, why);
        f->refused_version = version;
        conf_fail(&f->refused, "%s", why);
        manager_tell(f->manager);
        read_next(f);
}

static void on_signature(void *userdata, void *cookie, const UplinkAnswer *answer) {
        CatalogFollow *f = cookie;
        uint64_t version = f->versions[f->at++];
        ConfError error = { 0 };
        int r;

        (void) userdata;
        if (answer->result == UPLINK_GONE)
                return refuse(f, version, "the firmware catalog is not believed: it has no signature");
        if (answer->result != UPLINK_OK)
                return interrupted(f, answer);
        r = catalog_chain_add(&f->chain, version, f->text, strlen(f->text), answer->text, strlen(answer->text), &error);
        if (r < 0)
                return refuse(f, version, error.text[0] ? error.text : strerror(-r));
        free(f->taken);
        f->taken = TAKE_PTR(f->text);
        f->refused.text[0] = 0;
        f->refused_version = 0;
        read_next(f);
}

static void on_text(void *userdata, void *cookie, const UplinkAnswer *answer) {
        char key[CATALOG_KEY_SIZE];
        CatalogFollow *f = cookie;
        uint64_t version = f->versions[f->at];

        (void) userdata;
        free(f->text);
        f->text = answer->result == UPLINK_OK ? strdup(answer->text) : NULL;
        if (answer->result == UPLINK_INVALID) {
                f->at++;
                return refuse(f, version, "the firmware catalog is no text");
        }
        if (!f->text)
                return interrupted(f, answer);
        if (uplink_fetch(f->manager->uplink, catalog_key(version, true, key), on_signature, f) < 0)
                end_look(f, f->manager->settings->firmware_usec);
}

static void read_next(CatalogFollow *f) {
        char key[CATALOG_KEY_SIZE];

        if (f->at == f->n)
                return all_read(f);
        if (uplink_fetch(f->manager->uplink, catalog_key(f->versions[f->at], false, key), on_text, f) < 0)
                end_look(f, f->manager->settings->firmware_usec);
}

static void on_listed(void *userdata, void *cookie, const UplinkAnswer *answer, const UplinkKeys *keys) {
        CatalogFollow *f = cookie;
        uint64_t version;

        (void) userdata;
        f->n = f->at = 0;
        f->more = false;
        if (answer->result != UPLINK_OK || !keys)
                return interrupted(f, answer);
        for (size_t i = 0; i < keys->n; i++) {
                if (catalog_version_of_key(keys->keys[i], &version) < 0)
                        continue;
                if (f->n == AT_ONCE) {
                        f->more = true;
                        break;
                }
                f->versions[f->n++] = f->listed_version = version;
        }
        f->more = f->n > 0 && (f->more || keys->more);
        /* What does not count any more is not told any more. */
        if (f->listed_version == f->recorded_version && f->refused.text[0]) {
                f->refused.text[0] = 0;
                f->refused_version = 0;
                manager_tell(f->manager);
        }
        read_next(f);
}

/* Between a catalog and its signature: both of the last one are passed over. */
static int list(CatalogFollow *f) {
        char after[CATALOG_KEY_SIZE];

        return uplink_list(f->manager->uplink, CATALOGS, f->listed_version > 0 ? catalog_key(f->listed_version, true, after) : "",
                           WIRE_LIST_MAX, on_listed, f);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        CatalogFollow *f = userdata;
        int r = -EAGAIN;

        (void) source;
        (void) usec;
        if (f->busy || f->manager->stopping)
                return 0;
        f->listed_version = f->recorded_version;
        if (text_equal(manager_store_state(f->manager, NULL), WIRE_STORE_READY))
                r = list(f);
        f->busy = r >= 0;
        if (r < 0) {
                tell_expiry(f);
                look_again(f, MIN2(f->manager->settings->firmware_usec, 10 * USEC_PER_SEC));
        }
        return 0;
}

/* ---- Beginning and end ---------------------------------------------------------------------------------------------- */

/* The keys of the dock's own file. 0: there is none, and none was asked for. */
static int read_root(CatalogFollow *f, ConfError *error) {
        const Settings *s = f->manager->settings;
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = fd_read_file(AT_FDCWD, s->firmware_keys, MINISIGN_FILE_MAX, &text, &size);
        if (r == -ENOENT && !s->firmware_keys_given)
                return 0;
        if (r < 0) {
                conf_fail(error, "The public keys of those who sign firmware, %s, cannot be read: %s", s->firmware_keys,
                          strerrordesc_np(-r));
                return r;
        }
        r = minisign_keys_parse(s->firmware_keys, text, size, &f->chain.keys, error);
        if (r < 0)
                return r;
        (void) keys_to_text(&f->chain.keys, f->root);
        f->recorded_keys = f->chain.keys;
        return 1;
}

/* Where it ended before. Whoever changes the dock's own file of keys begins with those anew, but never with an older catalog. */
static int read_record(CatalogFollow *f, ConfError *error) {
        _cleanup_(catalog_row_freep) CatalogRow *row = NULL;
        MinisignKeys keys;
        int r;

        r = store_catalog(f->manager->store, &row);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = catalog_parse(row->document, strlen(row->document), &f->newest, error);
        if (r >= 0 && text_equal(row->root, f->root)) {
                r = minisign_keys_parse("the keys on record", row->keys, strlen(row->keys), &keys, error);
                if (r >= 0)
                        f->chain.keys = keys;
        }
        if (r < 0)
                return r;
        f->chain.last_version = f->recorded_version = row->version;
        f->recorded_keys = f->chain.keys;
        return 0;
}

int catalog_follow_new(Manager *m, CatalogFollow **ret, ConfError *error) {
        _cleanup_(catalog_follow_freep) CatalogFollow *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->manager = m;
        f->chain.fleet = m->settings->fleet ?: "";
        if (m->settings->firmware_usec > 0 && (r = read_root(f, error)) != 0) {
                if (r < 0 || (r = read_record(f, error)) < 0)
                        return r;
                f->on = true;
                r = sd_event_add_time(m->event, &f->timer, CLOCK_BOOTTIME, clock_boottime_usec() + USEC_PER_SEC, USEC_PER_SEC / 10,
                                      on_timer, f);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

CatalogFollow *catalog_follow_free(CatalogFollow *f) {
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->timer);
        catalog_chain_done(&f->chain);
        f->newest = catalog_free(f->newest);
        free(f->text);
        free(f->taken);
        free(f);
        return NULL;
}
