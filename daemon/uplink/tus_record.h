/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What we know of a clip's way into a tus server: a small file for each clip, in our state folder. A server names uploads itself and
 * lists none, so what is not written here is not found again: the file is there, synced, before the server hears of the clip, and
 * has the name of an upload before bytes go into it. It stays for a month after the clip is stored, so that a clip that is brought
 * once more is not sent once more. Lines of JSON, each synced before the next step. Everything here blocks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/macro.h"
#include "uplink/journal.h"
#include "uplink/tus_text.h"

#define TUS_RECORD_NAME_SIZE JOURNAL_NAME_SIZE
#define TUS_PIECES_MAX 10000u

/*
 * What a record must be of to be gone on with. One whose digest is not known yet, of a clip that is uploaded while it is pulled, has a
 * name of its own until tus_record_seal().
 */
typedef struct TusRecordKey {
        const char *store; /* the path of its address: a host may get another name */
        const char *name;  /* the manifest's, which names clip and digest; while that is not known, source_name() */
        uint64_t size_bytes;
        Digest digest;
        bool digest_unknown;
        bool alone; /* nothing else may ever have this name */
} TusRecordKey;

/* What is sent from the beginning of a piece to its end, and nothing else. */
typedef struct TusRecordPiece {
        bool known;
        Digest digest;
} TusRecordPiece;

typedef struct TusRecord {
        int dir, fd; /* -EBADF when nothing is kept */
        char file[TUS_RECORD_NAME_SIZE];
        char *object; /* the object's name, for people */
        char *name;   /* what it is of, as the key says: where it is found */
        bool content_known;
        Digest content;
        uint64_t size_bytes, part_size_bytes;
        unsigned n_pieces;      /* at least one */
        TusRecordPiece *pieces; /* … of the upload */
        char upload[TUS_KEY_SIZE]; /* "": there is none (any more) */
        int64_t expires_unix_sec;  /* of the unfinished upload; 0: never, as far as the server says */
        bool deferred;             /* it was begun without a length */
        bool with_checks;          /* its pieces are sent with their digests, to a server that refuses wrong ones */
        uint64_t checked_bytes;    /* from the beginning on, the server checked the digest of each of these */
        bool doubtful;             /* some that come after them went in unchecked */
        /* Once all of the object is there. */
        char manifest[TUS_KEY_SIZE]; /* "": there is none */
        int64_t stored_unix_sec;
        bool digest_known, read_back; /* as the manifest says */
        bool done;                    /* the manifest is there, too */
} TusRecord;

/*
 * Goes on with the record that is there, or makes one with this object name and part size. `dir` (borrowed) is negative when nothing
 * is to be kept. -EBUSY when another transfer of this clip is still under way, -EEXIST when something else has a name that it must have
 * alone.
 */
int tus_record_open(int dir, const TusRecordKey *key, const char *object, uint64_t part_size_bytes, TusRecord **ret);
/* The file stays. */
TusRecord *tus_record_free(TusRecord *r);
DEFINE_CLEANUP(TusRecord, tus_record_free);
/* … but makes none: 1 when it is there, else 0. */
int tus_record_reopen(int dir, const TusRecordKey *key, TusRecord **ret);

typedef struct TusUpload {
        const char *key;
        int64_t expires_unix_sec;
        bool deferred, with_checks;
} TusUpload;
/* A new upload without bytes. Forgets all that comes after it. */
int tus_record_set_upload(TusRecord *r, const TusUpload *upload);
/* There is none any more. */
int tus_record_forget_upload(TusRecord *r);
/* That piece, of which nothing is sent yet, will have that digest. They count from 0. */
int tus_record_set_piece(TusRecord *r, unsigned number, const Digest *digest);
int tus_record_set_checked(TusRecord *r, uint64_t bytes);
int tus_record_set_doubtful(TusRecord *r);
int tus_record_set_manifest(TusRecord *r, const char *manifest, int64_t stored_unix_sec, bool digest_known, bool read_back);
int tus_record_set_done(TusRecord *r);
/* The digest is known now: it takes the place of whatever has that name. */
int tus_record_seal(TusRecord *r, const char *name, const Digest *digest);
/* Nobody goes on with it: tus_record_find_old() finds it when it is old. */
int tus_record_set_aside(TusRecord *r);
int tus_record_remove(TusRecord *r);
/* The upload of what has that name and is done: 1, or 0 when there is none. */
int tus_record_find(int dir, const char *store, const char *name, char ret[static TUS_KEY_SIZE]);

/* A record that is not needed any more. */
typedef struct TusOld {
        char file[TUS_RECORD_NAME_SIZE];
        char upload[TUS_KEY_SIZE], manifest[TUS_KEY_SIZE]; /* of an unfinished one: to be ended; else "" */
} TusOld;
/*
 * One of this store whose file is older than `unfinished_before` and not done, or older than `done_before`: 1, or 0 when there is
 * none.
 */
int tus_record_find_old(int dir, const char *store, int64_t unfinished_before, int64_t done_before, TusOld *ret);
int tus_record_remove_old(int dir, const TusOld *old);
