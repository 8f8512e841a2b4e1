/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/export_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/canonical.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "proof/mhl.h"
#include "proof/uplink_socket.h"
#include "store/custody.h"

int export_fail(const Export *x, int r, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(x->error->text, sizeof(x->error->text), format, arguments);
        va_end(arguments);
        return r;
}

int export_put(Export *x, const char *name, const char *text) {
        int r = bundle_text(x->bundle, name, text, strlen(text));

        return r < 0 ? export_fail(x, r, "%s cannot be written: %s", name, strerror(-r)) : 0;
}

/* ---- Checkpoints ----------------------------------------------------------------------------------------------------- */

static int put_signer(Export *x, const PublicKey *key) {
        char hex[PUBLIC_KEY_HEX_SIZE];
        _cleanup_(freep) char *pem = NULL, *name = NULL;
        int r;

        (void) public_key_to_hex(key, hex);
        if (json_object_get(x->signers, hex))
                return 0;
        r = public_key_to_pem(key, &pem);
        name = text_format("keys/%s.pem", hex);
        if (r < 0 || !name || json_object_set_new(x->signers, hex, json_true()) < 0)
                return -ENOMEM;
        return export_put(x, name, pem);
}

static int put_segment(Export *x, uint64_t number, uint64_t from, uint64_t to, const char *expected) {
        _cleanup_(freep) char *text = NULL, *name = text_format("segments/%010" PRIu64 ".sha256", number);
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        char hex[DIGEST_HEX_SIZE];
        size_t size = 0;
        Digest digest;
        FILE *f;
        int r;

        f = name ? open_memstream(&text, &size) : NULL;
        if (!f)
                return -ENOMEM;
        r = db_query(x->proof->db, "SELECT seq, hash FROM custody WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
                     DB_ARGS(DB_INT(from), DB_INT(to)), &row);
        for (; r > 0; r = db_next(row)) {
                if (db_column_digest(row, 1, &digest) < 0)
                        break;
                fprintf(f, "%s  " CUSTODY_EVENT_FILE "\n", digest_to_hex(&digest, hex), db_column_uint(row, 0));
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        if (r < 0)
                return export_fail(x, r, "the custody log cannot be read: %s", db_message(x->proof->db));
        if (digest_of(text, size, &digest) < 0 || !text_equal(digest_to_hex(&digest, hex), expected))
                return export_fail(x, -EBADE, "the events that checkpoint %" PRIu64 " covers are not those that were signed: "
                            "'berthctl custody verify' says what is wrong", number);
        return export_put(x, name, text);
}

static int read_event(Export *x, uint64_t seq, CustodyEvent *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        const void *bytes;
        int r;

        r = db_query(x->proof->db, "SELECT bytes FROM custody WHERE seq = ?1", DB_ARGS(DB_INT(seq)), &row);
        bytes = r > 0 ? sqlite3_column_blob(row, 0) : NULL;
        r = r < 0 ? r : bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), ret) : -EBADE;
        return r < 0 ? export_fail(x, r, "custody event %" PRIu64 " cannot be used: 'berthctl custody verify' says what is wrong", seq) : 0;
}

static int put_statement(Export *x, const Statement *s, const char *folder) {
        _cleanup_(freep) char *name = text_format("%s/%010" PRIu64 ".txt", folder, s->about.seq), *file = statement_file(s);
        int r;

        if (!name || !file)
                return -ENOMEM;
        r = put_signer(x, &s->signer);
        return r < 0 ? r : export_put(x, name, file);
}

static int put_checkpoint(Export *x, uint64_t event_seq) {
        _cleanup_(statement_done) Statement s = { 0 };
        CustodyEvent e = { 0 };
        uint64_t from, head;
        int r;

        r = read_event(x, event_seq, &e);
        if (r < 0)
                return r;
        r = custody_statement(&e, &s);
        custody_event_done(&e);
        if (r < 0)
                return export_fail(x, -EBADE, "the checkpoint in custody event %" PRIu64 " is not signed as it should be", event_seq);
        from = (uint64_t) json_integer_value(json_object_get(s.object, "from_seq"));
        head = (uint64_t) json_integer_value(json_object_get(s.object, "head_seq"));
        r = put_segment(x, s.about.seq, from, head, json_string_value(json_object_get(s.object, "segment")));
        if (r >= 0)
                r = put_statement(x, &s, "checkpoints");
        if (r < 0)
                return r;
        x->covered_to = head;
        x->counts.checkpoints++;
        return 0;
}

/* The first checkpoint over this event, unless it is there already. */
static int cover(Export *x, uint64_t seq) {
        int64_t event_seq = 0;
        int r;

        if (seq <= x->covered_to)
                return 0;
        r = db_number(x->proof->db, "SELECT event_seq FROM statements WHERE type = 'checkpoint' AND head_seq >= ?1 ORDER BY seq LIMIT 1",
                      DB_ARGS(DB_INT(seq)), &event_seq);
        if (r == -ENOENT)
                return export_fail(x, -ENODATA, "custody event %" PRIu64 " is not covered by a signed checkpoint yet: run 'berthctl "
                           "custody checkpoint'", seq);
        if (r < 0)
                return export_fail(x, r, "the checkpoints cannot be read: %s", db_message(x->proof->db));
        return put_checkpoint(x, (uint64_t) event_seq);
}

/* ---- Events ---------------------------------------------------------------------------------------------------------- */

/* What index.json will say of the event's clip. */
static int note_clip(Export *x, const CustodyEvent *e, const char *file) {
        bool recovered = text_equal(e->kind, "clip-recovered");
        char id[24];
        json_t *clip;

        if (e->clip_id == 0)
                return 0;
        (void) snprintf(id, sizeof(id), "%" PRIu64, e->clip_id);
        clip = json_object_get(x->clips, id);
        if (!clip) {
                clip = json_pack("{s:I}", "clip_id", (json_int_t) e->clip_id);
                if (!clip || json_object_set_new(x->clips, id, clip) < 0)
                        return -ENOMEM;
        }
        if ((text_equal(e->kind, "clip-seen") || recovered) && (json_object_set(clip, "serial", json_object_get(e->object, "serial")) < 0 ||
                                                 json_object_set(clip, "path", json_object_get(e->object, "path")) < 0))
                return -ENOMEM;
        if ((text_equal(e->kind, "copied") || recovered) && json_object_set_new(clip, "copied", json_string(file)) < 0)
                return -ENOMEM;
        if (text_equal(e->kind, "receipted") && (json_object_set(clip, "object", json_object_get(e->object, "object_key")) < 0 ||
                                                 json_object_set(clip, "manifest_key", json_object_get(e->object, "manifest_key")) < 0))
                return -ENOMEM;
        return 0;
}

static int put_key_event(Export *x, const CustodyEvent *e) {
        const char *dock_id = json_string_value(json_object_get(e->object, "dock_id"));
        _cleanup_(statement_done) Statement s = { 0 };
        PublicKey key;
        int r;

        if (dock_id && strlen(dock_id) == DOCK_ID_SIZE - 1)
                memcpy(x->proof->dock_id, dock_id, DOCK_ID_SIZE);
        if (public_key_from_hex(json_string_value(json_object_get(e->object, "public_key")), &key) < 0)
                return 0;
        r = put_signer(x, &key);
        if (r < 0 || !text_equal(e->kind, "key-rotated"))
                return r;
        r = custody_statement(e, &s);
        return r < 0 ? export_fail(x, -EBADE, "the rotation in custody event %" PRIu64 " is not signed as it should be", e->seq) :
                       put_statement(x, &s, "keys");
}

static int put_event(Export *x, sqlite3_stmt *row) {
        const void *bytes = sqlite3_column_blob(row, 1);
        size_t size = (size_t) sqlite3_column_bytes(row, 1);
        uint64_t seq = db_column_uint(row, 0);
        CustodyEvent e = { 0 };
        char name[40];
        int r;

        r = bytes ? custody_parse(bytes, size, &e) : -EBADE;
        if (r < 0)
                return export_fail(x, r, "custody event %" PRIu64 " is damaged: 'berthctl custody verify' says more", seq);
        /* The newest checkpoint signs what is before it, and itself; no other covers it yet. */
        if (seq > x->signed_to && text_equal(e.kind, "checkpoint")) {
                custody_event_done(&e);
                return 0;
        }
        (void) snprintf(name, sizeof(name), CUSTODY_EVENT_FILE, seq);
        r = bundle_text(x->bundle, name, bytes, size);
        if (r < 0)
                (void) export_fail(x, r, "%s cannot be written: %s", name, strerror(-r));
        if (r >= 0)
                r = note_clip(x, &e, name);
        if (r >= 0 && strncmp(e.kind, "key-", 4) == 0)
                r = put_key_event(x, &e);
        custody_event_done(&e);
        if (r >= 0)
                r = cover(x, seq);
        x->counts.events++;
        return r;
}

#define KEYS " UNION SELECT seq, bytes FROM custody WHERE kind IN ('key-made', 'key-rotated', 'key-replaced') ORDER BY seq"
/* With what happened to its camera in the dockings in which it was seen: who it is, its clock, whom it was issued to. */
#define OF_CLIP                                                                                                                   \
        "SELECT seq, bytes FROM custody WHERE clip_id = ?1"                                                                       \
        " UNION SELECT seq, bytes FROM custody WHERE camera_id = (SELECT camera_id FROM clips WHERE id = ?1) AND clip_id IS NULL" \
        " AND (docking_id IS NULL OR docking_id IN (SELECT docking_id FROM custody WHERE clip_id = ?1))"
#define OF_CAMERA "SELECT seq, bytes FROM custody WHERE camera_id = ?1"
/* Of a clip that is named there, with what proves its content, whenever that was. */
#define WITH_CLIPS(range)                                                                                              \
        "SELECT seq, bytes FROM custody WHERE " range                                                                  \
        " UNION SELECT seq, bytes FROM custody WHERE kind IN ('clip-seen', 'copied', 'clip-recovered', 'receipted')"   \
        " AND clip_id IN (SELECT clip_id FROM custody WHERE " range ")"                                                \
        " AND seq <= (SELECT max(head_seq) FROM statements WHERE type = 'checkpoint')"
#define OF_EVENTS WITH_CLIPS("seq BETWEEN ?1 AND ?2")
#define OF_TIME WITH_CLIPS("wall_usec >= ?1 AND wall_usec < ?2")

static int select_events(Export *x, sqlite3_stmt **ret) {
        const ExportRequest *q = x->request;
        int64_t camera = 0;
        Db *db = x->proof->db;
        int r;

        if (q->clip_id != 0)
                return db_query(db, OF_CLIP KEYS, DB_ARGS(DB_INT(q->clip_id)), ret);
        if (q->to_seq != 0)
                return db_query(db, OF_EVENTS KEYS, DB_ARGS(DB_INT(q->from_seq), DB_INT(q->to_seq)), ret);
        if (!q->serial)
                return db_query(db, OF_TIME KEYS, DB_ARGS(DB_INT(q->from_usec), DB_INT(q->to_usec)), ret);
        r = db_number(db, "SELECT id FROM cameras WHERE serial = ?1", DB_ARGS(DB_TEXT(q->serial)), &camera);
        return r < 0 ? r : db_query(db, OF_CAMERA KEYS, DB_ARGS(DB_INT(camera)), ret);
}

/* Is there anything but the keys? */
static int check_there_is_something(Export *x) {
        const ExportRequest *q = x->request;
        int64_t n = 0;
        int r = 0;

        if (q->clip_id != 0) {
                r = db_number(x->proof->db, "SELECT count(*) FROM custody WHERE clip_id = ?1", DB_ARGS(DB_INT(q->clip_id)), &n);
                if (r >= 0 && n == 0)
                        return export_fail(x, -ENOENT, "the dock knows no clip %" PRIu64, q->clip_id);
        } else if (q->serial) {
                r = db_number(x->proof->db, "SELECT count(*) FROM cameras WHERE serial = ?1", DB_ARGS(DB_TEXT(q->serial)), &n);
                if (r >= 0 && n == 0)
                        return export_fail(x, -ENOENT, "the dock never saw a camera of the serial '%s'", q->serial);
        }
        return r;
}

static int put_events(Export *x) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int64_t head = 0;
        int r;

        r = db_number(x->proof->db, "SELECT max(head_seq) FROM statements WHERE type = 'checkpoint'", DB_NO_ARGS, &head);
        x->signed_to = (uint64_t) head;
        if (r >= 0 || r == -ENOENT)
                r = select_events(x, &row);
        for (; r > 0; r = db_next(row)) {
                int k = put_event(x, row);

                if (k < 0)
                        return k;
        }
        return r < 0 ? export_fail(x, r, "the custody log cannot be read: %s", db_message(x->proof->db)) : 0;
}

/* ---- All of it -------------------------------------------------------------------------------------------------------- */

static int put_index(Export *x) {
        _cleanup_(json_decrefp) json_t *list = json_array(), *index = NULL;
        _cleanup_(freep) char *text = NULL;
        char time[UTC_TEXT_SIZE];
        const char *id;
        json_t *clip;

        json_object_foreach(x->clips, id, clip)
                if (json_array_append(list, clip) < 0)
                        return -ENOMEM;
        index = json_pack("{s:s, s:s, s:s, s:O}", "berth_export", "1", "made", utc_text(x->bundle->now_unix_sec * 1000000, time), "tool",
                          "Berth " BERTH_VERSION, "clips", list);
        text = index ? json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
        return text ? export_put(x, "index.json", text) : -ENOMEM;
}

static int put_all(Export *x) {
        int r;

        if ((r = check_there_is_something(x)) < 0 || (r = put_events(x)) < 0 || (r = export_clips(x)) < 0 || (r = put_index(x)) < 0 ||
            (r = export_put(x, "HOW-TO-VERIFY.txt", export_howto)) < 0)
                return r;
        r = mhl_write(x->bundle, "export");
        if (r >= 0)
                r = bundle_finish(x->bundle);
        return r < 0 ? export_fail(x, r, "the export cannot be written: %s", strerror(-r)) : 0;
}

int proof_export(Proof *p, const ExportRequest *request, Bundle *b, ExportCounts *ret, ConfError *error) {
        Export x = { .proof = p, .request = request, .bundle = b, .error = error, .clips = json_object(), .signers = json_object() };
        int r = 0;

        error->text[0] = 0;
        if (!x.clips || !x.signers)
                r = -ENOMEM;
        if (r >= 0 && request->socket_path) {
                r = uplink_socket_connect(request->socket_path, &x.uplink);
                if (r < 0)
                        (void) export_fail(&x, r, "berth-uplink cannot be reached at %.200s, so that there are no manifests (--no-store "
                                           "leaves them out): %s", request->socket_path, strerror(-r));
        }
        if (r >= 0)
                r = put_all(&x);
        sd_bus_close_unref(x.uplink);
        json_decref(x.clips);
        json_decref(x.signers);
        if (r < 0)
                return r;
        *ret = x.counts;
        return 0;
}
