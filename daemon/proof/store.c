/* SPDX-License-Identifier: Apache-2.0 */

/* The store's side of the evidence, by way of berth-uplink, which alone has its keys. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/fd.h"
#include "base/layout.h"
#include "base/stored_clip.h"
#include "base/text.h"
#include "base/wire_digest.h"
#include "base/wire_uplink.h"
#include "proof/archive.h"
#include "proof/proof.h"
#include "proof/published.h"
#include "proof/uplink_socket.h"
#include "store/custody.h"

/* A large object is read whole by the uplink, which watches its store. */
#define VERIFY_USEC (24 * 3600 * USEC_PER_SEC)

static void bus_errorp(sd_bus_error *e) {
        sd_bus_error_free(e);
}

static void messagep(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

static void busp(sd_bus **bus) {
        sd_bus_close_unref(*bus);
}

/* ---- Statements ------------------------------------------------------------------------------------------------------ */

static void compare_statement(Proof *p, sd_bus *bus, const Statement *s, const char *state) {
        _cleanup_(freep) char *ours = statement_file(s), *theirs = NULL;
        _cleanup_(freep) char *where = text_format("store: %s", s->about.key);
        ConfError error = { 0 };
        int r;

        if (!ours || !where)
                return;
        r = uplink_socket_fetch(bus, s->about.key, &theirs, &error);
        /* What still waits for the store need not be there. */
        if (r == -ENOENT && text_equal(state, "waiting"))
                return;
        p->counts.stored_statements++;
        if (r == -ENOENT)
                proof_found(p, where, "it is gone");
        else if (r < 0)
                proof_found(p, where, "it cannot be read: %s", error.text);
        else if (!text_equal(ours, theirs))
                proof_found(p, where, "the store has another text than the custody log");
}

static int compare_statements(Proof *p, sd_bus *bus) {
        uint64_t after = 0;

        for (;;) {
                _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
                _cleanup_(statement_done) Statement s = { 0 };
                CustodyEvent e = { 0 };
                char state[16];
                const void *bytes;
                int r;

                r = db_query(p->db, "SELECT s.event_seq, c.bytes, s.state FROM statements s JOIN custody c ON c.seq = s.event_seq"
                                    " WHERE s.event_seq > ?1 ORDER BY s.event_seq LIMIT 1", DB_ARGS(DB_INT(after)), &row);
                if (r <= 0)
                        return r;
                after = db_column_uint(row, 0);
                (void) snprintf(state, sizeof(state), "%s", (const char *) sqlite3_column_text(row, 2));
                bytes = sqlite3_column_blob(row, 1);
                r = bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 1), &e) : -EBADE;
                db_resetp(&row);
                if (r >= 0)
                        r = custody_statement(&e, &s);
                custody_event_done(&e);
                /* One that is damaged was told of with the chain. */
                if (r >= 0)
                        compare_statement(p, bus, &s, state);
                proof_progress(p, "checkpoints in the store", p->counts.stored_statements, p->counts.checkpoints);
        }
}

/* A checkpoint that the store has and the log does not: the log was cut, or set back. */
static void look_beyond(Proof *p, sd_bus *bus) {
        _cleanup_(freep) char *key = text_format("checkpoints/%s/%010" PRIu64, p->dock_id, p->last_checkpoint + 1);
        _cleanup_(freep) char *where = key ? text_format("store: %s", key) : NULL;
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };

        if (where && uplink_socket_fetch(bus, key, &text, &error) >= 0)
                proof_found(p, where, "the store has a checkpoint that the custody log does not know: the log was cut off or set back");
}

/* ---- Clips ----------------------------------------------------------------------------------------------------------- */

/* All that the dock had, as the log tells; the caller frees. How many, or negative. */
static int own_keys(Proof *p, PublicKey **ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        _cleanup_(freep) PublicKey *keys = NULL;
        int n = 0, r;

        r = db_query(p->db, "SELECT bytes FROM custody WHERE kind IN ('key-made', 'key-rotated', 'key-replaced') ORDER BY seq", DB_NO_ARGS,
                     &row);
        for (; r > 0; r = db_next(row)) {
                const void *bytes = sqlite3_column_blob(row, 0);
                CustodyEvent e = { 0 };
                PublicKey *grown = reallocarray(keys, (size_t) n + 1, sizeof(*keys));

                if (!grown)
                        return -ENOMEM;
                keys = grown;
                /* One that is damaged was told of with the chain. */
                if (!bytes || custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) < 0)
                        continue;
                n += public_key_from_hex(json_string_value(json_object_get(e.object, "public_key")), &keys[n]) >= 0;
                custody_event_done(&e);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(keys);
        return n;
}

/* Who signed the manifest that the newest receipt was given for, as the log tells; empty when it does not. */
static void known_signer(Proof *p, uint64_t clip_id, StoredClipSigner *ret) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent e = { 0 };
        const char *dock;
        const void *bytes;

        if (db_query(p->db, "SELECT bytes FROM custody WHERE clip_id = ?1 AND kind = 'receipted' ORDER BY seq DESC LIMIT 1",
                     DB_ARGS(DB_INT(clip_id)), &row) <= 0)
                return;
        bytes = sqlite3_column_blob(row, 0);
        /* One that is damaged was told of with the chain. */
        if (!bytes || custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) < 0)
                return;
        dock = json_string_value(json_object_get(e.object, "signed_by"));
        if (dock && strlen(dock) == DOCK_ID_SIZE - 1) {
                memcpy(ret->dock_id, dock, DOCK_ID_SIZE);
                ret->seq = (uint64_t) json_integer_value(json_object_get(e.object, "signed_number"));
        }
        custody_event_done(&e);
}

/*
 * Is the manifest as this dock signed it? What another dock signed counts by the list of its fleet, which was asked when the clip was found
 * in the store; what nobody signed is of an older Berth.
 */
static void judge_manifest(Proof *p, const char *where, uint64_t clip_id, const char *key, const char *text) {
        _cleanup_(freep) PublicKey *keys = NULL;
        StoredClipSigner signer = { 0 };
        StoredClipSigner known = { 0 };
        StoredClipTrust trust = { .dock_id = p->dock_id, .known = &known };
        const char *why = NULL;
        int n, verdict;

        n = own_keys(p, &keys);
        if (n < 0)
                return proof_found(p, where, "its manifest could not be judged: %s", strerror(-n));
        trust.own_keys = keys;
        trust.n_own_keys = (size_t) n;
        known_signer(p, clip_id, &known);
        verdict = stored_clip_judge(text, strlen(text), key, &trust, &why, &signer);
        if (verdict == STORED_CLIP_REFUSED && (!signer.dock_id[0] || text_equal(signer.dock_id, p->dock_id)))
                proof_found(p, where, "its manifest is not as this dock signed it: %s", why);
        else if (verdict == STORED_CLIP_UNSIGNED && known.dock_id[0])
                proof_found(p, where, "its manifest was signed by the dock %s when the receipt was given, and %s now", known.dock_id, why);
        else if (verdict >= 0 && known.dock_id[0] && !text_equal(signer.dock_id, known.dock_id))
                proof_found(p, where, "its manifest was signed by the dock %s when the receipt was given, and is by the dock %s now",
                            known.dock_id, signer.dock_id);
        else if (verdict >= 0 && known.dock_id[0] && signer.seq < known.seq)
                proof_found(p, where, "its manifest is an older one than that which the receipt was given for");
}

static void verify_object(Proof *p, sd_bus *bus, uint64_t clip_id, const char *object, const char *manifest, uint64_t size,
                          const Digest *digest) {
        _cleanup_(bus_errorp) sd_bus_error failure = SD_BUS_ERROR_NULL;
        _cleanup_(messagep) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(freep) char *where = text_format("store: %s (clip %" PRIu64 ")", object, clip_id);
        _cleanup_(freep) char *text = NULL;
        ConfError error = { 0 };
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Verify");
        if (r >= 0)
                r = sd_bus_message_append(m, "sst", object, manifest, size);
        if (r >= 0)
                r = wire_append_digest(m, digest);
        if (r >= 0)
                r = sd_bus_call(bus, m, VERIFY_USEC, &failure, &reply);
        p->counts.stored_clips++;
        if (!where)
                return;
        if (r < 0)
                return proof_found(p, where, "%s", failure.message ? failure.message : strerror(-r));
        /* A server that names what it takes (tus) compares its manifest with what the dock put. */
        if (!p->has_key || strncmp(manifest, LAYOUT_MANIFESTS "/", strlen(LAYOUT_MANIFESTS "/")) != 0)
                return;
        r = uplink_socket_fetch(bus, manifest, &text, &error);
        if (r < 0)
                proof_found(p, where, "its manifest cannot be read: %s", error.text);
        else
                judge_manifest(p, where, clip_id, manifest, text);
}

static int verify_objects(Proof *p, sd_bus *bus) {
        uint64_t after = 0;

        for (;;) {
                _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
                _cleanup_(freep) char *object = NULL, *manifest = NULL;
                Digest digest = { 0 };
                uint64_t size;
                int r;

                r = db_query(p->db, "SELECT clip_id, object_key, manifest_key, size_bytes, digest FROM receipts WHERE clip_id > ?1"
                                    " ORDER BY clip_id LIMIT 1", DB_ARGS(DB_INT(after)), &row);
                if (r <= 0)
                        return r;
                after = db_column_uint(row, 0);
                size = db_column_uint(row, 3);
                if (db_column_text(row, 1, &object) < 0 || db_column_text(row, 2, &manifest) < 0 || db_column_digest(row, 4, &digest) < 0)
                        continue;
                db_resetp(&row);
                verify_object(p, bus, after, object, manifest, size, &digest);
                proof_progress(p, "clips in the store", p->counts.stored_clips, 0);
        }
}

int proof_store(Proof *p, const char *socket_path) {
        _cleanup_(busp) sd_bus *bus = NULL;
        int r;

        r = uplink_socket_connect(socket_path, &bus);
        if (r < 0) {
                proof_found(p, "store", "berth-uplink cannot be reached at %s, so that nothing of the store was looked at: %s", socket_path,
                            strerror(-r));
                return r;
        }
        if (p->has_key) {
                r = compare_statements(p, bus);
                look_beyond(p, bus);
                if (r >= 0)
                        r = proof_archived(p, bus);
        }
        if (r >= 0)
                r = proof_published(p, bus);
        if (r >= 0)
                r = verify_objects(p, bus);
        if (r < 0)
                proof_found(p, "berth.db", "what the store should have cannot be read: %s", db_message(p->db));
        return r;
}
