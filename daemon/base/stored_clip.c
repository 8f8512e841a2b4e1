/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stored_clip.h"

#include <string.h>

#include "base/canonical.h"
#include "base/clock.h"
#include "base/text.h"

/* utc_text() has four digits of a year. */
#define LAST_SEC INT64_C(253402300799)

/* As the manifest has it. */
static json_t *time_member(int64_t unix_sec) {
        char text[UTC_TEXT_SIZE];

        return unix_sec < 0 || unix_sec > LAST_SEC ? json_null() : json_string(utc_text(unix_sec * (int64_t) USEC_PER_SEC, text));
}

/* The digest of these facts' canonical text: what is signed of them. */
static int facts_digest(const json_t *facts, char ret[static DIGEST_HEX_SIZE]) {
        _cleanup_(freep) char *text = canonical_text(facts);
        Digest digest;
        int r;

        r = text ? digest_of(text, strlen(text), &digest) : -ENOMEM;
        if (r >= 0)
                (void) digest_to_hex(&digest, ret);
        return r;
}

json_t *stored_clip_members(const StoredClip *clip, const json_t *facts, int64_t now_usec) {
        char sha256[DIGEST_HEX_SIZE], of_facts[DIGEST_HEX_SIZE], time[UTC_TEXT_SIZE];

        if (facts_digest(facts, of_facts) < 0)
                return NULL;
        return json_pack("{s:i, s:s, s:s, s:o, s:I, s:s, s:s, s:s}", "version", MANIFEST_VERSION, "serial", clip->serial, "path",
                         clip->path, "mtime", time_member(clip->mtime_unix_sec), "size", (json_int_t) clip->size_bytes, "sha256",
                         digest_to_hex(&clip->digest, sha256), "facts", of_facts, "time", utc_text(now_usec, time));
}

/* ---- Judging -------------------------------------------------------------------------------------------------------- */

/* Which members of the manifest the statement has, too, and what is said of one that differs. */
static const struct {
        const char *name, *why;
} members[] = {
        { "version", "its version is not the one that was signed" },
        { "serial", "its camera is not the one that was signed" },
        { "path", "its path is not the one that was signed" },
        { "mtime", "its clip's time is not the one that was signed" },
        { "size", "its size is not the one that was signed" },
        { "sha256", "its digest is not the one that was signed" },
};

static int compare(const json_t *manifest, json_t *facts, const Statement *s, const char **ret_why) {
        const char *of_facts = json_string_value(json_object_get(s->object, "facts"));
        char hex[DIGEST_HEX_SIZE];
        int r;

        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const json_t *there = json_object_get(manifest, members[i].name), *signed_one = json_object_get(s->object, members[i].name);

                if (!there || !signed_one || !json_equal(there, signed_one)) {
                        *ret_why = members[i].why;
                        return 0;
                }
        }
        if (json_object_del(facts, "signed") < 0)
                return -ENOMEM;
        r = facts_digest(facts, hex);
        if (r >= 0 && !text_equal(of_facts, hex))
                *ret_why = "its facts are not those that were signed";
        return r;
}

static bool is_own_key(const StoredClipTrust *t, const PublicKey *key) {
        for (size_t i = 0; i < t->n_own_keys; i++)
                if (public_key_equal(&t->own_keys[i], key))
                        return true;
        return false;
}

/* An older statement of that dock about the same clip, put back in place of the newer one, is no word of it any more. */
static uint64_t last_number(const Statement *s, const StoredClipTrust *t) {
        return t->known && t->known->seq > 0 && text_equal(t->known->dock_id, s->about.dock) ? t->known->seq - 1 : 0;
}

/* NULL when the signer counts, or why not. */
static const char *judge_signer(const Statement *s, const char *key, int64_t at_usec, const StoredClipTrust *t) {
        const StatementAbout own = { STATEMENT_STORED_CLIP, key, NULL, t->dock_id, last_number(s, t) };
        const FleetKey *listed = t->list ? fleet_find(t->list, &s->signer) : NULL;

        if (is_own_key(t, &s->signer))
                /* A key that was stolen is revoked, and signs for this dock no more either. */
                return listed && listed->revoked ? "it was signed by a key that was revoked" : statement_mismatch(s, &own, NULL);
        if (!t->list)
                return text_equal(s->about.dock, t->dock_id) ?
                        "it was signed in this dock's name by a key that is none of its own" :
                        "another dock signed it, and this dock goes by no list of its fleet's docks";
        if (fleet_expired(t->list, t->now_usec, &(ConfError){ 0 }) > 0)
                return "the list of the fleet's docks, by which it would count, has expired";
        return fleet_judge(t->list, s, STATEMENT_STORED_CLIP, key, last_number(s, t), at_usec);
}

/* Takes what the statement says of its signer. */
static int take_signer(const Statement *s, StoredClipSigner *ret) {
        const char *time = json_string_value(json_object_get(s->object, "time"));

        if (!time || utc_from_text(time, &ret->at_usec) < 0 || strlen(s->about.dock) >= sizeof(ret->dock_id))
                return -EBADE;
        memcpy(ret->dock_id, s->about.dock, strlen(s->about.dock) + 1);
        ret->seq = s->about.seq;
        return 0;
}

static int judge(const json_t *manifest, const char *key, const StoredClipTrust *t, const char **ret_why, StoredClipSigner *ret_signer) {
        json_t *facts = json_object_get(manifest, "facts");
        const char *file = json_string_value(json_object_get(facts, "signed"));
        const char *name = json_string_value(json_object_get(manifest, "manifest"));
        _cleanup_(statement_done) Statement s = { 0 };
        int r;

        if (!json_object_get(facts, "signed")) {
                *ret_why = "no dock signed it";
                return STORED_CLIP_UNSIGNED;
        }
        r = file ? statement_parse(file, strlen(file), &s) : -EBADE;
        if (r == -ENOMEM)
                return r;
        if (r >= 0)
                r = take_signer(&s, ret_signer);
        if (r < 0)
                *ret_why = r == -EKEYREJECTED ? "its signature is not that of the key that it names" :
                                                "what was signed in it cannot be read";
        else if (!name || (key && !text_equal(name, key)))
                *ret_why = "it was made for another key in the store, and copied here";
        else
                *ret_why = judge_signer(&s, name, ret_signer->at_usec, t);
        if (!*ret_why)
                r = compare(manifest, facts, &s, ret_why);
        if (!*ret_why && r < 0)
                return r;
        if (*ret_why)
                return STORED_CLIP_REFUSED;
        return text_equal(s.about.dock, t->dock_id) ? STORED_CLIP_OURS : STORED_CLIP_FLEETS;
}

int stored_clip_judge(const char *manifest, size_t size, const char *key, const StoredClipTrust *trust, const char **ret_why,
                      StoredClipSigner *ret_signer) {
        _cleanup_(json_decrefp) json_t *j = json_loadb(manifest, size, JSON_REJECT_DUPLICATES, NULL);
        StoredClipSigner signer = { 0 };
        const char *why = NULL;
        int verdict;

        if (json_is_object(j))
                verdict = judge(j, key, trust, &why, &signer);
        else {
                why = "it is no manifest";
                verdict = STORED_CLIP_REFUSED;
        }
        if (verdict < 0)
                return verdict;
        *ret_why = why;
        if (ret_signer)
                *ret_signer = signer;
        return verdict;
}
