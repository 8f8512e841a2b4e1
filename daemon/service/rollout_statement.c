/* SPDX-License-Identifier: Apache-2.0 */

/* What docks say of a rollout in the store, each signed by the one that says it. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/rollout_private.h"

int rollout_keep(Rollout *r, const char *type, const char *key, uint64_t seq, json_t *members, UplinkKeepDone done, void *cookie) {
        Manager *m = r->all->manager;
        _cleanup_(freep) char *file = NULL;
        char time[UTC_TEXT_SIZE];
        int result;

        if (!members || json_object_set_new(members, "time", json_string(utc_text(clock_wall_usec(), time))) < 0) {
                json_decref(members);
                return -ENOMEM;
        }
        result = notary_sign(m->notary, type, key, seq, members, &file);
        return result < 0 ? result : uplink_keep(m->uplink, key, file, done, cookie);
}

/*
 * By the list of the fleet's docks, at the time that the statement names; NULL, or why it does not count. What this dock signed itself
 * counts anyway, and before there is a list each dock of the fleet is believed that signs at all.
 */
static const char *judge_signer(const Rollout *r, const Statement *s, const char *type, const char *key, uint64_t last_seq) {
        const Manager *m = r->all->manager;
        const Fleet *list = fleet_follow_list(m->fleet_follow);
        StatementAbout expected = { .type = type, .key = key, .fleet = r->order->fleet, .seq = last_seq };
        const char *time = json_string_value(json_object_get(s->object, "time"));
        const FleetKey *listed = list ? fleet_find(list, &s->signer) : NULL;
        int64_t now = clock_wall_usec(), at = now;

        if (public_key_equal(&s->signer, notary_public_key(m->notary)) && !(listed && listed->revoked)) {
                expected.dock = notary_dock_id(m->notary);
                return statement_mismatch(s, &expected, NULL);
        }
        if (!list)
                return statement_mismatch(s, &expected, NULL);
        if (fleet_expired(list, now, &(ConfError){ 0 }) > 0)
                return "the list of the fleet's docks, by which it would count, has expired";
        if (time && utc_from_text(time, &at) < 0)
                return "when it was signed cannot be read";
        return fleet_judge(list, s, type, key, last_seq, at);
}

json_t *rollout_open_statement(const Rollout *r, const char *file, const char *type, const char *key, uint64_t last_seq,
                               const char **ret_why) {
        _cleanup_(statement_done) Statement s = { 0 };
        int result;

        result = statement_parse(file, strlen(file), &s);
        if (result < 0)
                *ret_why = result == -EKEYREJECTED ? "its signature is not that of the key that it names" : "it is no signed statement";
        else
                *ret_why = judge_signer(r, &s, type, key, last_seq);
        return *ret_why ? NULL : json_incref(s.object);
}

void rollout_does_not_count(const Rollout *r, const char *key, const char *why, const char *so) {
        log_message(LOG_ERR, MESSAGE_STATEMENT_REFUSED,
                    "Rollout %s: %s in the store does not count: %s; %s: see 'berthctl dock enroll', or find out who put it there", r->id,
                    key, why, so);
}
