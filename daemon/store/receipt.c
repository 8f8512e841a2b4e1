/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "store/custody.h"
#include "store/store_private.h"
#include "store/writer.h"

/* The store's proof. It counts only for the very content that was copied. A newer one takes the older one's place. */
int receipt_apply(Writer *w, const Fact *f) {
        ClipNow clip;
        int r;

        r = clip_now(w, f->clip_id, &clip);
        if (r < 0)
                return r;
        if (!f->receipt.object_key || !f->receipt.object_key[0] || !f->receipt.strength || !f->receipt.strength[0])
                return writer_refuse(w, -EINVAL, "a receipt names its object and its strength");
        if (f->receipt.size_bytes != clip.size_bytes || !digest_equal(&f->receipt.digest, &clip.digest))
                return writer_refuse(w, -EKEYREJECTED,
                                     "the receipt of clip %" PRIu64 " is for other content than was copied",
                                     f->clip_id);
        r = db_run(w->db,
                   "INSERT OR REPLACE INTO receipts (clip_id, object_key, manifest_key, version, strength,"
                   " size_bytes, digest,"
                   " time_unix_sec, already_there) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                   DB_ARGS(DB_INT(f->clip_id), DB_TEXT(f->receipt.object_key), DB_TEXT(f->receipt.manifest_key),
                           DB_TEXT(f->receipt.version), DB_TEXT(f->receipt.strength), DB_INT(f->receipt.size_bytes),
                           DB_DIGEST(&f->receipt.digest), DB_INT(f->receipt.time_unix_sec),
                           DB_INT(f->receipt.already_there)));
        return r < 0 ? writer_check(w, r) : notary_sign_receipt(w, f);
}

int store_receipt_signer(Store *s, uint64_t clip_id, char ret_dock_id[static DOCK_ID_SIZE], uint64_t *ret_number) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        CustodyEvent e = { 0 };
        const void *bytes;
        const char *dock;
        int r;

        ret_dock_id[0] = 0;
        *ret_number = 0;
        r = db_query(s->reader, "SELECT bytes FROM custody WHERE clip_id = ?1 AND kind = 'receipted' ORDER BY seq DESC LIMIT 1",
                     DB_ARGS(DB_INT(clip_id)), &row);
        if (r <= 0)
                return r;
        bytes = sqlite3_column_blob(row, 0);
        r = bytes ? custody_parse(bytes, (size_t) sqlite3_column_bytes(row, 0), &e) : -EBADE;
        if (r < 0)
                return r;
        dock = json_string_value(json_object_get(e.object, "signed_by"));
        if (dock && strlen(dock) == DOCK_ID_SIZE - 1) {
                memcpy(ret_dock_id, dock, DOCK_ID_SIZE);
                *ret_number = (uint64_t) json_integer_value(json_object_get(e.object, "signed_number"));
        }
        custody_event_done(&e);
        return 0;
}
