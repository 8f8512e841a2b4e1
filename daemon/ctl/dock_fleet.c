/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl dock enroll|revoke|renew|publish|check`: the fleet's list of docks, for its administrator and for whoever believes it. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fleet.h"
#include "base/text.h"
#include "base/wire_uplink.h"
#include "ctl/bus_client.h"
#include "ctl/dock_fleet.h"
#include "ctl/json_out.h"
#include "ctl/uplink_client.h"
#include "proof/uplink_socket.h"

#define FILE_MAX (1024u * 1024u)
#define YEAR_USEC (366 * 24 * 3600 * (int64_t) USEC_PER_SEC)
#define KEY_USEC (2 * YEAR_USEC)  /* so long a key counts unless something else is said … */
#define LIST_USEC (1 * YEAR_USEC) /* … and a list */

static int read_file(const char *path, char **ret, size_t *ret_size) {
        int r = fd_read_file(AT_FDCWD, path, FILE_MAX, ret, ret_size);
        return r;
}

/* A private key, which signs, or a public one, which is enough to believe. */
static int read_admin(const char *path, SignKey **ret_private, PublicKey *ret_public) {
        char *pem = NULL;
        size_t size = 0;
        if (!path)
                return ctl_fail(CTL_USAGE, "--admin-key=FILE is missing: the administrator's Ed25519 key in PEM");
        int r = read_file(path, &pem, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerror(-r));
        r = ret_private ? sign_key_from_pem(pem, size, ret_private) : public_key_from_pem(pem, size, ret_public);
        if (r < 0 && !ret_private) {
                _cleanup_(sign_key_freep) SignKey *key = NULL;
                r = sign_key_from_pem(pem, size, &key);
                if (r >= 0)
                        *ret_public = *sign_key_public(key);
        }
        explicit_bzero(pem, size);
        free(pem);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s is no Ed25519 key in PEM%s", path, ret_private ? " that can sign" : "");
        if (ret_private)
                *ret_public = *sign_key_public(*ret_private);
        return CTL_OK;
}

int dock_fleet_read(const Options *o, const char *list, Fleet **ret) {
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        PublicKey admin;
        size_t size = 0;
        int exit_code = read_admin(o->admin_key, NULL, &admin);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = read_file(list, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", list, strerror(-r));
        r = fleet_parse(text, size, &admin, o->fleet, 0, ret, &error);
        return r < 0 ? ctl_fail(CTL_FAILURE, "%s: %s", list, error.text) : CTL_OK;
}

/* ---- Signing another list ---------------------------------------------------------------------------------------------- */

/* `text` may be NULL: then the output is left alone. */
static int take_day(const char *option, const char *text, int64_t *ret) {
        _cleanup_(freep) char *day = text ? text_format("%.10sT00:00:00.000000Z", text) : NULL;
        if (text && (!day || strlen(text) != 10 || utc_from_text(day, ret) < 0))
                return ctl_fail(CTL_USAGE, "%s takes a day such as 2028-01-01, not '%s'", option, text);
        return CTL_OK;
}

static int write_list(const Options *o, Fleet *fleet, const SignKey *admin) {
        const char *path = o->args[1], *slash = strrchr(path, '/');
        _cleanup_(freep) char *text = NULL, *folder = slash ? strndup(path, (size_t) (slash - path + 1)) : strdup(".");
        _cleanup_(fd_closep) int dir = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        int64_t expires = clock_wall_usec() + LIST_USEC;
        int exit_code = take_day("--list-expires", o->list_expires, &expires);
        if (exit_code != CTL_OK)
                return exit_code;
        fleet->expires_usec = expires;
        int r = dir < 0 ? -errno : fleet_sign(fleet, admin, clock_wall_usec(), &text);
        if (r >= 0 && text)
                r = fd_replace_file(dir, slash ? slash + 1 : path, text, strlen(text), 0644);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be written: %s", path, strerror(-r));
        printf("%s: list %" PRIu64 " of the fleet %s, %zu keys\n", path, fleet->seq, fleet->id, fleet->n_keys);
        return CTL_OK;
}

static int open_list(const Options *o, bool may_be_new, SignKey **ret_admin, Fleet **ret) {
        PublicKey public;
        int exit_code = read_admin(o->admin_key, ret_admin, &public);
        if (exit_code != CTL_OK)
                return exit_code;
        if (!may_be_new || access(o->args[1], F_OK) == 0)
                return dock_fleet_read(o, o->args[1], ret);
        if (!o->fleet || fleet_new(o->fleet, ret) < 0)
                return ctl_fail(CTL_USAGE, "%s is not there: --fleet=ID names the fleet of a new list, as [dock] fleet does in berthd.conf",
                                o->args[1]);
        return CTL_OK;
}

static int take_dock(const char *dock_id, const char *key, const char *name, const char *fleet, const Options *o, const Fleet *list,
                     FleetKey *ret) {
        /* Whoever enrolls a key vouches for it from its first day on. */
        FleetKey k = { .from_usec = 0 };
        if (!dock_id || strlen(dock_id) != DOCK_ID_SIZE - 1 || public_key_from_hex(key, &k.key) < 0 || !name ||
            strlen(name) > FLEET_NAME_MAX || !text_is_printable(name))
                return ctl_fail(CTL_FAILURE, "that is not what 'berthctl dock show --json' prints on a dock");
        if (fleet && fleet[0] && !text_equal(fleet, list->id))
                return ctl_fail(CTL_FAILURE, "the dock signs for the fleet %s, and this is the list of %s: what it signs would not count",
                                fleet, list->id);
        memcpy(k.dock_id, dock_id, DOCK_ID_SIZE);
        memcpy(k.name, name, strlen(name) + 1);
        k.until_usec = clock_wall_usec() + KEY_USEC;
        int exit_code = take_day("--expires", o->expires, &k.until_usec);
        if (exit_code == CTL_OK)
                *ret = k;
        return exit_code;
}

/* From a file of another dock, or from the daemon of this one. */
static int find_dock(const Options *o, const Fleet *list, FleetKey *ret) {
        _cleanup_(json_decrefp) json_t *j = NULL;
        _cleanup_(dock_freep) Dock *dock = NULL;
        if (o->n_args > 2) {
                j = json_load_file(o->args[2], JSON_REJECT_DUPLICATES, NULL);
                return take_dock(json_string_value(json_object_get(j, "dock_id")), json_string_value(json_object_get(j, "dock_key")),
                                 json_string_value(json_object_get(j, "name")), json_string_value(json_object_get(j, "fleet")), o,
                                 list, ret);
        }
        int exit_code = bus_client_dock(o, &dock);
        if (exit_code != CTL_OK)
                return exit_code;
        const DockManager *m = &dock->manager;
        return take_dock(m->dock_id, m->dock_key, m->dock_name, m->fleet, o, list, ret);
}

int dock_enroll(const Options *options) {
        _cleanup_(sign_key_freep) SignKey *admin = NULL;
        _cleanup_(fleet_freep) Fleet *fleet = NULL;
        FleetKey key;
        if (options->n_args != 2 && options->n_args != 3)
                return ctl_fail(CTL_USAGE, "'dock enroll' takes LIST, and DOCK.json of another dock ('berthctl dock show --json')");
        int exit_code = open_list(options, true, &admin, &fleet);
        if (exit_code == CTL_OK && fleet)
                exit_code = find_dock(options, fleet, &key);
        if (exit_code != CTL_OK || !fleet)
                return exit_code;
        int r = fleet_enroll(fleet, &key);
        if (r == -EEXIST)
                return ctl_fail(CTL_FAILURE, "this key was revoked, or is another dock's: let the dock have another one ('berthctl dock "
                                "rotate-key')");
        return r < 0 ? ctl_fail(CTL_FAILURE, "the list is full: %s", strerror(-r)) : write_list(options, fleet, admin);
}

int dock_revoke(const Options *options) {
        _cleanup_(sign_key_freep) SignKey *admin = NULL;
        _cleanup_(fleet_freep) Fleet *fleet = NULL;
        PublicKey only;
        if (options->n_args != 3 && options->n_args != 4)
                return ctl_fail(CTL_USAGE, "'dock revoke' takes LIST and DOCK-ID, and KEY (in hex) for one of its keys alone");
        if (options->n_args == 4 && public_key_from_hex(options->args[3], &only) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is no public key in hex", options->args[3]);
        int exit_code = open_list(options, false, &admin, &fleet);
        if (exit_code != CTL_OK || !fleet)
                return exit_code;
        if (fleet_revoke(fleet, options->args[2], options->n_args == 4 ? &only : NULL) == 0)
                return ctl_fail(CTL_FAILURE, "the list has no such key of the dock %s", options->args[2]);
        return write_list(options, fleet, admin);
}

/* The same docks in a list of a higher number, that expires later. */
int dock_renew(const Options *options) {
        _cleanup_(sign_key_freep) SignKey *admin = NULL;
        _cleanup_(fleet_freep) Fleet *fleet = NULL;
        if (options->n_args != 2)
                return ctl_fail(CTL_USAGE, "'dock renew' takes LIST");
        int exit_code = open_list(options, false, &admin, &fleet);
        return exit_code != CTL_OK || !fleet ? exit_code : write_list(options, fleet, admin);
}

/* By way of berth-uplink, which alone has the store's credentials. Docks take what they can verify, whoever brought it there. */
int dock_publish(const Options *options) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(freep) char *text = NULL, *key = NULL;
        _cleanup_(fleet_freep) Fleet *fleet = NULL;
        ConfError error = { 0 };
        size_t size = 0;
        if (options->n_args != 2)
                return ctl_fail(CTL_USAGE, "'dock publish' takes LIST");
        int exit_code = dock_fleet_read(options, options->args[1], &fleet);
        if (exit_code != CTL_OK || !fleet)
                return exit_code;
        if (fleet_expired(fleet, clock_wall_usec(), &error) > 0)
                return ctl_fail(CTL_FAILURE, "%s: %s", options->args[1], error.text);
        int r = read_file(options->args[1], &text, &size);
        if (r < 0 || !(key = fleet_list_key(fleet->id, fleet->seq)))
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", options->args[1], strerror(r < 0 ? -r : ENOMEM));
        if (size > WIRE_KEEP_MAX)
                return ctl_fail(CTL_FAILURE, "%s has %zu bytes, and a store takes %u: it has room for some 200 keys", options->args[1],
                                size, WIRE_KEEP_MAX);
        exit_code = uplink_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        r = uplink_socket_keep(bus, key, text, &error);
        if (r == -EEXIST)
                return ctl_fail(CTL_FAILURE, "the store has another list as %s: sign this one anew ('dock renew'), and publish that", key);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "list %" PRIu64 " cannot be brought to the store: %s", fleet->seq, error.text);
        printf("list %" PRIu64 " of the fleet %s is in the store\n", fleet->seq, fleet->id);
        return CTL_OK;
}

/* ---- Believing --------------------------------------------------------------------------------------------------------- */

static bool lies_under(const char *path, const char *key) {
        size_t n = strlen(path), m = strlen(key);
        return n >= m && text_equal(path + n - m, key) && (n == m || path[n - m - 1] == '/');
}

/* A file as it lies in the store: its place is part of what was signed. */
static int check_statement(const Options *o, const Fleet *fleet, const char *path) {
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *text = NULL;
        int64_t at = clock_wall_usec();
        size_t size = 0;
        int r = read_file(path, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerror(-r));
        r = statement_parse(text, size, &s);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s: %s", path, r == -EKEYREJECTED ? "its signature is not that of the key that it names" :
                                                                                  "it is no signed statement");
        (void) utc_from_text(json_string_value(json_object_get(s.object, "time")) ?: "", &at);
        const char *why = fleet_judge(fleet, &s, NULL, NULL, o->after, at);
        if (!why && !lies_under(path, s.about.key))
                why = "it was made for another key in the store, and copied here";
        if (why)
                return ctl_fail(CTL_FAILURE, "%s does not count: %s", path, why);
        printf("%s: %s %" PRIu64 " of the dock %s (%s)\n", path, s.about.type, s.about.seq, s.about.dock,
               fleet_find(fleet, &s.signer)->name);
        return CTL_OK;
}

static void print_keys(const Fleet *fleet) {
        int64_t now = clock_wall_usec();
        char hex[PUBLIC_KEY_HEX_SIZE], from[UTC_TEXT_SIZE], until[UTC_TEXT_SIZE];
        printf("list %" PRIu64 " of the fleet %s%s%.10s\n", fleet->seq, fleet->id, fleet->expires_usec > 0 ? ", until " : "",
               fleet->expires_usec > 0 ? utc_text(fleet->expires_usec, until) : "");
        for (size_t i = 0; i < fleet->n_keys; i++) {
                const FleetKey *k = &fleet->keys[i];
                printf("%s %s %.10s %.10s %-8s %s\n", k->dock_id, public_key_to_hex(&k->key, hex), utc_text(k->from_usec, from),
                       utc_text(k->until_usec, until), k->revoked ? "revoked" : now >= k->until_usec ? "expired" : "counts", k->name);
        }
}

int dock_check(const Options *options) {
        _cleanup_(fleet_freep) Fleet *fleet = NULL;
        if (options->n_args < 2)
                return ctl_fail(CTL_USAGE, "'dock check' takes LIST, and what docks signed, as it lies in the store");
        int exit_code = dock_fleet_read(options, options->args[1], &fleet);
        if (exit_code != CTL_OK || !fleet)
                return exit_code;
        if (options->n_args == 2)
                print_keys(fleet);
        for (unsigned i = 2; i < options->n_args; i++) {
                int one = check_statement(options, fleet, options->args[i]);
                exit_code = one != CTL_OK ? one : exit_code;
        }
        return exit_code;
}
