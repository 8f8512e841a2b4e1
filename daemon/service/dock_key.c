/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dock_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"

#define KEY_FILE "dock.key"
#define NEW_FILE "dock.key.new"
#define ID_FILE "dock.id"
#define CREDENTIAL "dock-key"
#define OLD_CREDENTIAL "dock-key-old"
#define PEM_MAX 4096u

struct DockKeys {
        int dir;
        char *path; /* of the state folder, for sentences */
        bool credential;
        SignKey *now, *next;
        SignKey *retired; /* the store's thread may still be looking at it */
};

DockKeys *dock_keys_free(DockKeys *k) {
        if (!k)
                return NULL;
        sign_key_free(k->now);
        sign_key_free(k->next);
        sign_key_free(k->retired);
        fd_close(k->dir);
        free(k->path);
        free(k);
        return NULL;
}

const SignKey *dock_keys_now(const DockKeys *k) {
        return k->now;
}

const SignKey *dock_keys_next(const DockKeys *k) {
        return k->next;
}

/* ---- Files -------------------------------------------------------------------------------------------------------- */

/* A key that others can read signs for them, too. systemd guards its own copies. */
static int check_guard(int dir, const char *place, const char *name, bool from_systemd, ConfError *error) {
        struct stat st;

        if (fstatat(dir, name, &st, from_systemd ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return conf_fail(error, "%s/%s is not a regular file; the dock's key is read from one", place, name), -EINVAL;
        if (!from_systemd && (st.st_uid != geteuid() || (st.st_mode & 0077) != 0))
                return conf_fail(error, "%s/%s must belong to berthd's user and have mode 600: whoever read it can sign in the dock's "
                                 "name; correct that, start berthd, and run 'berthctl dock rotate-key'", place, name), -EPERM;
        return 0;
}

/* -ENOENT without a sentence when it is not there. */
static int read_key(int dir, const char *place, const char *name, bool from_systemd, SignKey **ret, ConfError *error) {
        size_t size = 0;
        char *pem = NULL;
        int r;

        r = check_guard(dir, place, name, from_systemd, error);
        if (r >= 0)
                r = fd_read_file(dir, name, PEM_MAX, &pem, &size);
        if (r >= 0) {
                r = sign_key_from_pem(pem, size, ret);
                explicit_bzero(pem, size);
        }
        free(pem);
        if (r == -EBADMSG || r == -ENOTSUP || r == -EFBIG)
                conf_fail(error, "%s/%s is no unencrypted Ed25519 private key in PEM (openssl genpkey -algorithm ed25519): restore it",
                          place, name);
        else if (r < 0 && r != -ENOENT && !error->text[0])
                conf_fail(error, "%s/%s cannot be read: %s", place, name, strerror(-r));
        return r;
}

static int write_key(int dir, const char *name, const SignKey *key) {
        char *pem = NULL;
        int r;

        r = sign_key_to_pem(key, &pem);
        if (r < 0)
                return r;
        r = fd_replace_file(dir, name, pem, strlen(pem), 0600);
        explicit_bzero(pem, strlen(pem));
        free(pem);
        return r;
}

static int read_credential(const char *name, SignKey **ret, ConfError *error) {
        const char *place = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_(fd_closep) int dir = -EBADF;

        if (!place)
                return -ENOENT;
        dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir < 0 ? -errno : read_key(dir, place, name, true, ret, error);
}

static int remove_file(DockKeys *k, const char *name) {
        int r;

        CRASH_POINT("key-remove-begins");
        if (unlinkat(k->dir, name, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        CRASH_POINT("key-removed");
        r = fd_sync_dir(k->dir);
        CRASH_POINT("key-removal-synced");
        return r;
}

/* ---- At the start ------------------------------------------------------------------------------------------------- */

static bool is_known(const SignKey *key, const DockKey *known) {
        return key && known && public_key_equal(sign_key_public(key), &known->public);
}

static int make_first(DockKeys *k, ConfError *error) {
        int r;

        r = sign_key_new(&k->now);
        if (r >= 0)
                r = write_key(k->dir, KEY_FILE, k->now);
        if (r < 0)
                return conf_fail(error, "The dock's key cannot be written to %s/" KEY_FILE ": %s", k->path, strerror(-r)), r;
        log_notice(NULL, "The dock has a key of its own now: %s/" KEY_FILE, k->path);
        return 0;
}

/* A rotation that was cut short: the log tells whether it counts. */
static int settle_new(DockKeys *k, const DockKey *known, ConfError *error) {
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        int r;

        r = read_key(k->dir, k->path, NEW_FILE, false, &key, error);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (!is_known(key, known))
                r = remove_file(k, NEW_FILE);
        else {
                r = write_key(k->dir, KEY_FILE, key);
                if (r >= 0)
                        r = remove_file(k, NEW_FILE);
        }
        return r < 0 ? conf_fail(error, "%s/" NEW_FILE " cannot be put into its place: %s", k->path, strerror(-r)), r : 0;
}

static int missing(const DockKeys *k, ConfError *error) {
        return conf_fail(error, "%s/" KEY_FILE " is missing, and the custody log knows of one: restore it, or give it to "
                         "berthd as the credential " CREDENTIAL "; if it is lost, 'berthd --replace-key' makes another one "
                         "and records that", k->path), -ENOKEY;
}

static int unknown(const DockKeys *k, ConfError *error) {
        return conf_fail(error, "the dock's key in %s is another one than the custody log knows: put the old one back, "
                         "or beside the new one as the credential " OLD_CREDENTIAL ", so that it signs that; if it is lost, "
                         "'berthd --replace-key' records that",
                         k->credential ? "the credential " CREDENTIAL : k->path), -EKEYREJECTED;
}

/* The credential, when there is one, is the key; the one in the state folder, or a second credential, may be what it follows. */
static int load(DockKeys *k, const DockKey *known, ConfError *error) {
        _cleanup_(sign_key_freep) SignKey *key = NULL, *old = NULL, *own = NULL;
        int r;

        if ((r = read_credential(CREDENTIAL, &key, error)) < 0 && r != -ENOENT)
                return r;
        k->credential = key != NULL;
        if ((r = read_credential(OLD_CREDENTIAL, &old, error)) < 0 && r != -ENOENT)
                return r;
        if ((r = read_key(k->dir, k->path, KEY_FILE, false, &own, error)) < 0 && r != -ENOENT)
                return r;
        if (!key)
                key = TAKE_PTR(own);
        if (!key)
                return known ? missing(k, error) : make_first(k, error);
        if (!known || is_known(key, known)) {
                k->now = TAKE_PTR(key);
                return 0;
        }
        k->next = TAKE_PTR(key);
        k->now = is_known(old, known) ? TAKE_PTR(old) : is_known(own, known) ? TAKE_PTR(own) : NULL;
        return k->now ? 0 : unknown(k, error);
}

int dock_keys_open(const char *state_dir, const DockKey *known, DockKeys **ret, ConfError *error) {
        _cleanup_(dock_keys_freep) DockKeys *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        k->path = strdup(state_dir);
        if (!k->path)
                return -ENOMEM;
        if (k->dir < 0)
                return conf_fail(error, "the state folder %s cannot be opened: %s", state_dir, strerror(errno)), -errno;
        r = settle_new(k, known, error);
        if (r >= 0)
                r = load(k, known, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

/* ---- A change ----------------------------------------------------------------------------------------------------- */

int dock_keys_prepare(DockKeys *k) {
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        int r;

        if (k->credential)
                return -EPERM;
        if (k->next)
                return -EALREADY;
        r = sign_key_new(&key);
        if (r >= 0)
                r = write_key(k->dir, NEW_FILE, key);
        if (r < 0)
                return r;
        k->next = TAKE_PTR(key);
        return 0;
}

int dock_keys_taken_over(DockKeys *k) {
        int r = 0;

        if (!k->next)
                return 0;
        if (!k->credential) {
                r = write_key(k->dir, KEY_FILE, k->next);
                if (r >= 0)
                        r = remove_file(k, NEW_FILE);
        }
        /* Whatever became of the files: the log says that it is the key. What is left of them is settled at the next start. */
        sign_key_free(k->retired);
        k->retired = k->now;
        k->now = TAKE_PTR(k->next);
        return r;
}

int dock_keys_give_up(DockKeys *k) {
        sign_key_free(k->retired);
        k->retired = TAKE_PTR(k->next);
        return k->credential ? 0 : remove_file(k, NEW_FILE);
}

/* ---- Whose it is -------------------------------------------------------------------------------------------------- */

int dock_keys_recall_id(const DockKeys *k, char ret[static DOCK_ID_SIZE]) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        r = fd_read_file(k->dir, ID_FILE, DOCK_ID_SIZE, &text, &size);
        if (r == -EFBIG)
                return -EBADMSG;
        if (r < 0)
                return r;
        if (size != DOCK_ID_SIZE || text[DOCK_ID_SIZE - 1] != '\n' || strspn(text, "0123456789abcdef") != DOCK_ID_SIZE - 1)
                return -EBADMSG;
        memcpy(ret, text, DOCK_ID_SIZE - 1);
        ret[DOCK_ID_SIZE - 1] = 0;
        return 0;
}

int dock_keys_remember_id(const DockKeys *k, const char *dock_id) {
        char line[DOCK_ID_SIZE + 1], there[DOCK_ID_SIZE];
        int n;

        if (dock_keys_recall_id(k, there) >= 0 && text_equal(there, dock_id))
                return 0;
        n = snprintf(line, sizeof(line), "%s\n", dock_id);
        return fd_replace_file(k->dir, ID_FILE, line, (size_t) n, 0600);
}

int dock_keys_find(const char *state_dir, bool make, SignKey **ret, ConfError *error) {
        _cleanup_(fd_closep) int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(sign_key_freep) SignKey *key = NULL;
        int r;

        if (dir < 0)
                return conf_fail(error, "the state folder %s cannot be opened: %s", state_dir, strerror(errno)), -errno;
        r = read_credential(CREDENTIAL, &key, error);
        if (r == -ENOENT)
                r = read_key(dir, state_dir, KEY_FILE, false, &key, error);
        if (r == -ENOENT && make) {
                r = sign_key_new(&key);
                if (r >= 0)
                        r = write_key(dir, KEY_FILE, key);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(key);
        return 0;
}
