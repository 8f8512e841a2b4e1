/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who says that a clip is in the store? Each dock signs, in the manifest itself, what it put there (base/stored_clip.h). A clip whose
 * manifest lay there already counts as stored only when this dock signed that, or a dock of the fleet's list did; the uplink has read the
 * object and compared its digest before. What is not believed stays on camera and dock, and is on record; it is asked for again.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/layout.h"
#include "base/stored_clip.h"
#include "base/text.h"
#include "service/docking.h"
#include "service/manager_private.h"

/* One that is not believed is asked for again when the fleet's list changes, and so often. */
#define AGAIN_USEC (3600 * USEC_PER_SEC)

struct UploadVouch {
        UplinkReceipt receipt; /* owns its texts */
};

UploadVouch *upload_vouch_free(UploadVouch *v) {
        if (!v)
                return NULL;
        free(v->receipt.object_key);
        free(v->receipt.manifest_key);
        free(v->receipt.version);
        free(v->receipt.strength);
        free(v);
        return NULL;
}

/* ---- Our own ------------------------------------------------------------------------------------------------------- */

static int manifest_name(const Clip *c, char **ret) {
        char day[11];
        int r;

        r = layout_day(c->mtime_unix_sec, c->seen_unix_sec, day);
        return r < 0 ? r : layout_manifest_key(c->serial, day, c->path, &c->digest, ret);
}

int upload_vouch_sign(Clip *c, json_t *facts) {
        const StoredClip clip = { c->serial, c->path, c->mtime_unix_sec, c->size_bytes, c->digest };
        _cleanup_(freep) char *key = NULL, *file = NULL;
        uint64_t number;
        int r;

        if (!c->manager->notary)
                return 0;
        number = notary_next_number(c->manager->notary);
        r = manifest_name(c, &key);
        if (r >= 0)
                r = notary_sign(c->manager->notary, STATEMENT_STORED_CLIP, key, number,
                                stored_clip_members(&clip, facts, clock_wall_usec()), &file);
        if (r < 0)
                return r;
        c->signed_number = number;
        return json_object_set_new(facts, "signed", json_string(file)) < 0 ? -ENOMEM : 0;
}

void upload_vouch_take_own(Clip *c, const UplinkReceipt *receipt) {
        StoredClipSigner own = { .seq = c->signed_number };

        if (c->manager->notary)
                (void) snprintf(own.dock_id, sizeof(own.dock_id), "%s", notary_dock_id(c->manager->notary));
        upload_take_receipt(c, receipt, own.dock_id[0] && own.seq > 0 && !receipt->already_there ? &own : NULL);
}

/* ---- What lay there ------------------------------------------------------------------------------------------------ */

/* A manifest that is whole, and of other footage than the uplink compared, does not vouch for this clip. */
static bool is_of(const char *text, const Clip *c) {
        json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        const char *sha256 = json_string_value(json_object_get(j, "sha256"));
        char hex[DIGEST_HEX_SIZE];
        bool same;

        same = text_equal(sha256, digest_to_hex(&c->digest, hex)) &&
               text_equal(json_string_value(json_object_get(j, "serial")), c->serial) &&
               text_equal(json_string_value(json_object_get(j, "path")), c->path) &&
               json_integer_value(json_object_get(j, "size")) == (json_int_t) c->size_bytes;
        json_decref(j);
        return same;
}

static int judge(const Clip *c, const char *key, const char *text, const char **ret_why, StoredClipSigner *ret_signer) {
        const Manager *m = c->manager;
        _cleanup_(freep) PublicKey *own = NULL;
        StoredClipTrust trust = {
                .list = fleet_follow_list(m->fleet_follow),
                .dock_id = notary_dock_id(m->notary),
                .now_usec = clock_wall_usec(),
        };
        StoredClipSigner known = { 0 };
        int verdict;

        verdict = store_receipt_signer(m->store, c->id, known.dock_id, &known.seq);
        if (verdict < 0)
                return verdict;
        trust.known = &known;
        verdict = store_dock_keys(m->store, &own, &trust.n_own_keys);
        if (verdict < 0)
                return verdict;
        trust.own_keys = own;
        verdict = stored_clip_judge(text, strlen(text), key, &trust, ret_why, ret_signer);
        if ((verdict == STORED_CLIP_OURS || verdict == STORED_CLIP_FLEETS) && !is_of(text, c)) {
                *ret_why = "it is of another clip";
                verdict = STORED_CLIP_REFUSED;
        }
        return verdict;
}

static void refuse(Clip *c, const UploadVouch *v, const char *why) {
        char text[FACT_TEXT_MAX / 2];

        (void) snprintf(text, sizeof(text), "the manifest %s, which lay in the store already, does not count: %s; nothing is erased: "
                        "enroll the dock that stored it and publish the fleet's list ('berthctl dock enroll', 'publish'), or find out who "
                        "put it there", v->receipt.manifest_key, why);
        upload_not_believed(c, text);
        c->retry_at_usec = clock_boottime_usec() + AGAIN_USEC;
}

static void decide(Clip *c, const UploadVouch *v, const UplinkAnswer *answer) {
        StoredClipSigner signer;
        const char *why = NULL;
        int r;

        /* Meanwhile it may have turned out that nobody can vouch for this copy. */
        if (c->state == CLIP_CONFLICT)
                return;
        if (answer->result != UPLINK_OK)
                return upload_try_again(c, answer->text);
        r = judge(c, v->receipt.manifest_key, answer->text, &why, &signer);
        if (r < 0)
                upload_try_again(c, "what was signed of the clip in the store could not be judged");
        else if (r == STORED_CLIP_OURS || r == STORED_CLIP_FLEETS)
                upload_take_receipt(c, &v->receipt, &signer);
        else
                refuse(c, v, why);
}

static void on_manifest(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Manager *m = userdata;
        Clip *c = cookie;
        UploadVouch *v = c->vouch;

        c->vouch = NULL;
        c->pending--;
        decide(c, v, answer);
        (void) upload_vouch_free(v);
        docking_kick(c->docking);
        clip_release(c);
        upload_pump(m);
}

/* On a server that names what it takes (tus) a dock finds only what it put there itself. */
bool upload_vouch_needed(const Clip *c, const UplinkReceipt *receipt) {
        return receipt->already_there && c->manager->notary && !c->manager->settings->believe_all &&
               strncmp(receipt->manifest_key, LAYOUT_MANIFESTS "/", strlen(LAYOUT_MANIFESTS "/")) == 0;
}

int upload_vouch_begin(Clip *c, const UplinkReceipt *receipt) {
        UploadVouch *v = calloc(1, sizeof(*v));
        int r = -ENOMEM;

        if (!v)
                return r;
        v->receipt = *receipt;
        v->receipt.object_key = strdup(receipt->object_key);
        v->receipt.manifest_key = strdup(receipt->manifest_key);
        v->receipt.version = receipt->version ? strdup(receipt->version) : NULL;
        v->receipt.strength = strdup(receipt->strength);
        if (v->receipt.object_key && v->receipt.manifest_key && v->receipt.strength && (!receipt->version || v->receipt.version))
                r = uplink_fetch(c->manager->uplink, receipt->manifest_key, on_manifest, c);
        if (r < 0) {
                (void) upload_vouch_free(v);
                return r;
        }
        c->vouch = v;
        c->pending++;
        return 0;
}
