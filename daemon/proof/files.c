/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What lies in the state folder beside the copies: notes, parts of clips that are not pulled whole, files that were set aside, firmware.
 * Each is compared with what the custody log, or a table that it vouches for, has of it. The daemon may be at work meanwhile: what it moves
 * or goes on with while it is looked at is asked for again before anything is said of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fd.h"
#include "base/text.h"
#include "proof/file.h"
#include "store/custody.h"

static void dirp(DIR **dir) {
        if (*dir)
                (void) closedir(*dir);
}

/* The next entry that is none of the two of each folder, or NULL. */
static const char *next_name(DIR *dir) {
        const struct dirent *entry;

        while ((entry = readdir(dir)))
                if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
                        return entry->d_name;
        return NULL;
}

static bool clip_of(const char *name, const char *suffix, uint64_t *ret) {
        char tail[16];

        return sscanf(name, "%" SCNu64 "%15s", ret, tail) == 2 && text_equal(tail, suffix);
}

static bool is_there(int dir_fd, const char *name) {
        return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- Notes ------------------------------------------------------------------------------------------------------------ */

/* The digest that the event of the copy has of its note: 0 when that is of an older Berth, or of a copy without one. */
static int note_digest(Proof *p, uint64_t clip_id, Digest *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent e = { 0 };
        const char *hex;
        const void *bytes;
        int r;

        r = db_query(p->db, "SELECT bytes FROM custody WHERE clip_id = ?1 AND kind IN ('copied', 'clip-recovered')"
                            " ORDER BY seq DESC LIMIT 1", DB_ARGS(DB_INT(clip_id)), &row);
        if (r <= 0)
                return r;
        bytes = sqlite3_column_blob(row, 0);
        /* One that is damaged was told of with the chain. */
        if (!bytes || custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) < 0)
                return 0;
        hex = json_string_value(json_object_get(e.object, "note_digest"));
        r = hex && digest_from_hex(hex, ret) >= 0;
        custody_event_done(&e);
        return r;
}

static int check_notes(Proof *p, int spool) {
        int64_t clip_id = 0;
        int r;

        while ((r = db_number(p->db, "SELECT min(id) FROM clips WHERE spool_name IS NOT NULL AND id > ?1", DB_ARGS(DB_INT(clip_id)),
                              &clip_id)) >= 0) {
                char name[32];
                Digest digest;
                int64_t still = 0;

                r = note_digest(p, (uint64_t) clip_id, &digest);
                if (r < 0)
                        return r;
                (void) snprintf(name, sizeof(name), "%" PRId64 ".json", clip_id);
                /* The copy may be released, and its note with it, meanwhile. */
                if (r == 0 || (!is_there(spool, name) &&
                               (db_number(p->db, "SELECT id FROM clips WHERE id = ?1 AND spool_name IS NOT NULL",
                                          DB_ARGS(DB_INT(clip_id)), &still) < 0)))
                        continue;
                proof_check_file(p, spool, "spool", name, UINT64_MAX, &digest, "the note that was put beside the copy");
        }
        return r == -ENOENT ? 0 : r;
}

/* A note that belongs to no copy, and whatever else is in the spool that is not Berth's. */
static void check_spool_strangers(Proof *p, int spool) {
        _cleanup_(dirp) DIR *dir = proof_open_folder(p, spool, ".");
        const char *name;

        while (dir && (name = next_name(dir))) {
                _cleanup_(freep) char *where = text_format("spool/%s", name);
                char copy[32];
                uint64_t clip_id;
                int64_t n = 0;

                if (!where || proof_name_ends(name, ".clip"))
                        continue;
                if (!clip_of(name, ".json", &clip_id)) {
                        /* A note that is being written, or was when the power failed. */
                        if (!proof_name_ends(name, ".new"))
                                proof_found(p, where, "it is none of the files that Berth puts there");
                        continue;
                }
                (void) snprintf(copy, sizeof(copy), "%" PRIu64 ".clip", clip_id);
                /* First comes the note, then its copy, and then that is on record. */
                if (!is_there(spool, copy) && is_there(spool, name) &&
                    db_number(p->db, "SELECT id FROM clips WHERE id = ?1 AND (spool_name IS NOT NULL OR state = 'copying')",
                              DB_ARGS(DB_INT(clip_id)), &n) < 0)
                        proof_found(p, where, "no clip in the database has a copy to which this note belongs");
        }
}

/* ---- Parts ------------------------------------------------------------------------------------------------------------ */

/* Is the block still the one that was read of it, and the clip still pulled? 1, 0. */
static int block_stands(Proof *p, uint64_t clip_id, uint64_t number, const Digest *digest) {
        int64_t n = 0;

        return db_number(p->db, "SELECT 1 FROM blocks b JOIN clips c ON c.id = b.clip_id WHERE b.clip_id = ?1 AND b.number = ?2"
                                " AND b.digest = ?3 AND c.state = 'copying'",
                         DB_ARGS(DB_INT(clip_id), DB_INT(number), DB_DIGEST(digest)), &n) >= 0;
}

/* The next block of a clip that is being pulled: 1, or 0 at the end. */
static int next_block(Proof *p, uint64_t clip_id, int64_t after, uint64_t *ret_number, uint64_t *ret_length, Digest *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(p->db, "SELECT b.number, b.length, b.digest FROM blocks b JOIN clips c ON c.id = b.clip_id WHERE b.clip_id = ?1"
                            " AND c.state = 'copying' AND b.number > ?2 ORDER BY b.number LIMIT 1",
                     DB_ARGS(DB_INT(clip_id), DB_INT(after)), &row);
        if (r <= 0)
                return r;
        *ret_number = db_column_uint(row, 0);
        *ret_length = db_column_uint(row, 1);
        r = db_column_digest(row, 2, ret);
        return r < 0 ? r : 1;
}

/* Up to the end of each block: how much of it is on record grows while it is pulled, and what comes after is nobody's evidence yet. */
static int check_part(Proof *p, int dir_fd, const char *folder, const char *name, uint64_t clip_id) {
        _cleanup_(freep) char *where = text_format("%s/%s", folder, name);
        _cleanup_(fd_closep) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        uint64_t number, length, from = 0;
        int64_t after = -1;
        Digest digest, is;
        int r;

        if (!where || hasher_new(&hasher) < 0)
                return -ENOMEM;
        /* It was taken away to be gone on with. */
        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0) {
                proof_found(p, where, "the file cannot be opened: %s", strerror(errno));
                return 0;
        }
        p->counts.spool_files++;
        while ((r = next_block(p, clip_id, after, &number, &length, &digest)) > 0) {
                int k = proof_hash_more(p, fd, from, length, hasher);

                if (k >= 0)
                        k = hasher_peek(hasher, &is);
                /* What was hashed before may be of a part that was begun afresh meanwhile. */
                if (k >= 0 && !digest_equal(&is, &digest))
                        k = proof_hash_file(p, fd, 0, from + length, &is);
                if (k < 0 || !digest_equal(&is, &digest)) {
                        if (is_there(dir_fd, name) && block_stands(p, clip_id, number, &digest))
                                proof_found(p, where, k == -ENODATA ? "it ends within block %" PRIu64 ", which was read whole" :
                                              k < 0         ? "block %" PRIu64 " of it cannot be read" :
                                                              "block %" PRIu64 " of it is not what was read from the camera", number);
                        return 0;
                }
                from += length;
                after = (int64_t) number;
        }
        return r;
}

/* A part that is being pulled, or that waits for its camera. Of others nothing is expected: see leftover.h. */
static int check_parts_in(Proof *p, int dir_fd, const char *folder, const char *shown) {
        _cleanup_(dirp) DIR *dir = proof_open_folder(p, dir_fd, folder);
        const char *name;
        int r = 0;

        while (dir && r >= 0 && (name = next_name(dir))) {
                uint64_t clip_id;

                if (clip_of(name, ".part", &clip_id))
                        r = check_part(p, dirfd(dir), shown, name, clip_id);
        }
        return r;
}

static int check_incoming(Proof *p) {
        _cleanup_(dirp) DIR *dir = proof_open_folder(p, p->dir, "incoming");
        const char *name;
        int r = 0;

        while (dir && r >= 0 && (name = next_name(dir))) {
                _cleanup_(freep) char *shown = text_format("incoming/%s", name);

                r = shown ? check_parts_in(p, dirfd(dir), name, shown) : -ENOMEM;
        }
        return r;
}

static bool part_is_anywhere(Proof *p, uint64_t clip_id, uint64_t docking_id) {
        char parts[64], incoming[64];

        (void) snprintf(parts, sizeof(parts), "parts/%" PRIu64 ".part", clip_id);
        (void) snprintf(incoming, sizeof(incoming), "incoming/%" PRIu64 "/%" PRIu64 ".part", docking_id, clip_id);
        /* From one to the other while it is looked for: then it is in the first by now. */
        return is_there(p->dir, parts) || is_there(p->dir, incoming) || is_there(p->dir, parts);
}

/* Clips of which blocks are on record, and that are not whole, have a part. */
static int check_missing_parts(Proof *p) {
        int64_t clip_id = 0, docking_id, still;
        int r;

        while ((r = db_number(p->db, "SELECT min(c.id) FROM clips c WHERE c.state = 'copying' AND c.id > ?1 AND EXISTS"
                                     " (SELECT 1 FROM blocks b WHERE b.clip_id = c.id)", DB_ARGS(DB_INT(clip_id)), &clip_id)) >= 0) {
                char where[64];

                docking_id = 0;
                (void) db_number(p->db, "SELECT part_docking_id FROM clips WHERE id = ?1", DB_ARGS(DB_INT(clip_id)), &docking_id);
                if (part_is_anywhere(p, (uint64_t) clip_id, (uint64_t) docking_id) ||
                    db_number(p->db, "SELECT 1 FROM clips c WHERE c.id = ?1 AND c.state = 'copying' AND c.part_docking_id = ?2 AND EXISTS"
                                     " (SELECT 1 FROM blocks b WHERE b.clip_id = c.id)", DB_ARGS(DB_INT(clip_id), DB_INT(docking_id)),
                              &still) < 0)
                        continue;
                /* Sealed a moment ago. */
                (void) snprintf(where, sizeof(where), "spool/%" PRId64 ".clip", clip_id);
                if (is_there(p->dir, where))
                        continue;
                (void) snprintf(where, sizeof(where), "parts/%" PRId64 ".part", clip_id);
                proof_found(p, where, "the file is missing, and blocks of it are on record");
        }
        return r == -ENOENT ? 0 : r;
}

/* ---- Set aside -------------------------------------------------------------------------------------------------------- */

static int check_kept_file(Proof *p, const char *path, uint64_t size, const Digest *digest) {
        _cleanup_(freep) char *folder = strdup(path);
        char *slash = folder ? strchr(folder, '/') : NULL;
        _cleanup_(fd_closep) int dir = -EBADF;

        if (!slash)
                return folder ? 0 : -ENOMEM;
        *slash = 0;
        dir = openat(p->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir < 0)
                proof_found(p, path, "its folder cannot be opened: %s", strerror(errno));
        else
                proof_check_file(p, dir, folder, slash + 1, size, digest, "the file that was set aside");
        return 0;
}

/* Those whose digest is on record; the others are read as soon as they lie there. */
static int check_kept(Proof *p) {
        _cleanup_(freep) char *after = strdup("");

        for (;;) {
                _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
                char *name = NULL;
                uint64_t size;
                Digest digest;
                int r;

                r = after ? db_query(p->db, "SELECT name, size_bytes, digest FROM kept_files WHERE digest IS NOT NULL AND name > ?1"
                                            " ORDER BY name LIMIT 1", DB_ARGS(DB_TEXT(after)), &row) : -ENOMEM;
                if (r <= 0)
                        return r;
                r = db_column_text(row, 0, &name);
                if (r < 0)
                        return r;
                free(after);
                after = name;
                size = db_column_uint(row, 1);
                if (db_column_digest(row, 2, &digest) < 0)
                        continue; /* said of the table */
                db_resetp(&row);
                r = check_kept_file(p, after, size, &digest);
                if (r < 0)
                        return r;
        }
}

static void check_kept_strangers(Proof *p, const char *folder) {
        _cleanup_(dirp) DIR *dir = proof_open_folder(p, p->dir, folder);
        const char *name;

        while (dir && (name = next_name(dir))) {
                _cleanup_(freep) char *path = text_format("%s/%s", folder, name);
                int64_t n = 0;

                /* What SQLite keeps beside a database for its readers is made anew by whoever opens it. */
                if (path && proof_name_ends(path, ".json")) {
                        /* Of an older Berth, which did not tell of a note. */
                        path[strlen(path) - strlen(".json")] = 0;
                        if (db_number(p->db, "SELECT 1 FROM kept_files WHERE name = ?1", DB_ARGS(DB_TEXT(path)), &n) >= 0)
                                continue;
                        path[strlen(path)] = '.';
                }
                if (path && !proof_name_ends(name, ".db-shm") &&
                    db_number(p->db, "SELECT 1 FROM kept_files WHERE name = ?1", DB_ARGS(DB_TEXT(path)), &n) < 0)
                        proof_found(p, path, "no custody event tells that it was set aside");
        }
}

/* What was set aside before the database was lost, or when it was made anew and that was cut short, the lost one told of, or nobody. */
static void check_set_aside(Proof *p) {
        _cleanup_(dirp) DIR *dir = p->counts.recoveries > 0 ? NULL : proof_open_folder(p, p->dir, ".");
        const char *name;

        while (dir && (name = next_name(dir)))
                if (text_equal(name, "kept") || strncmp(name, "damaged-", strlen("damaged-")) == 0)
                        check_kept_strangers(p, name);
}

/* ---- Firmware --------------------------------------------------------------------------------------------------------- */

/* Images go by their digests. */
static void check_images(Proof *p) {
        _cleanup_(dirp) DIR *dir = proof_open_folder(p, p->dir, "firmware");
        const char *name;

        while (dir && (name = next_name(dir))) {
                Digest digest;

                if (digest_from_hex(name, &digest) >= 0 && is_there(dirfd(dir), name))
                        proof_check_file(p, dirfd(dir), "firmware", name, UINT64_MAX, &digest, "the image that its name says");
        }
}

/* What cameras are given now. */
static void check_flashes(Proof *p) {
        _cleanup_(dirp) DIR *dir = proof_open_folder(p, p->dir, "flash");
        const char *name;

        while (dir && (name = next_name(dir))) {
                _cleanup_(freep) char *folder = text_format("flash/%s", name);
                _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
                _cleanup_(fd_closep) int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                uint64_t size, id;
                Digest digest;

                if (!folder || fd < 0 || sscanf(name, "%" SCNu64, &id) != 1 || !is_there(fd, "image"))
                        continue;
                if (db_query(p->db, "SELECT size_bytes, digest FROM flashes WHERE id = ?1", DB_ARGS(DB_INT(id)), &row) <= 0 ||
                    db_column_digest(row, 1, &digest) < 0)
                        continue;
                size = db_column_uint(row, 0);
                if (is_there(fd, "image"))
                        proof_check_file(p, fd, folder, "image", size, &digest, "the firmware that the camera is to get");
        }
}

int proof_files(Proof *p) {
        _cleanup_(fd_closep) int spool = openat(p->dir, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int r;

        r = spool < 0 ? 0 : check_notes(p, spool);
        if (spool >= 0)
                check_spool_strangers(p, spool);
        if (r >= 0)
                r = check_parts_in(p, p->dir, "parts", "parts");
        if (r >= 0)
                r = check_incoming(p);
        if (r >= 0)
                r = check_missing_parts(p);
        if (r >= 0)
                r = check_kept(p);
        check_set_aside(p);
        check_images(p);
        check_flashes(p);
        if (r < 0)
                proof_found(p, "berth.db", "what the state folder's files should be cannot be read: %s", db_message(p->db));
        return r;
}
