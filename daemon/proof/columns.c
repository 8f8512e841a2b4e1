/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Columns whose value is made from more than one custody event, or from what an event is beside its members: its time, its docking. Each
 * query gives a row's name, and then pairs: what the column says, by whose name it is told, and what it should say by the events.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "proof/proof.h"

/* An event's member; of one that is damaged, which is told of with the chain, none has. */
#define OF(c, member) "json_extract(CASE WHEN json_valid(CAST(" c ".bytes AS TEXT)) THEN CAST(" c ".bytes AS TEXT) ELSE '{}' END," \
        " '$." member "')"
#define J(member) OF("c", member)
#define TEXT_OF(member) "ifnull(" J(member) ", '')"
/* What the newest of these kinds says of a camera `k`, a clip `l`. */
#define OF_CAMERA(what, kinds) "(SELECT " what " FROM custody c WHERE c.camera_id = k.id AND " kinds " ORDER BY c.seq DESC LIMIT 1)"
#define OF_CLIP(what, kinds) "(SELECT " what " FROM custody c WHERE c.clip_id = l.id AND " kinds " ORDER BY c.seq DESC LIMIT 1)"
#define FIRST_OF_CAMERA(what, kinds) "(SELECT " what " FROM custody c WHERE c.camera_id = k.id AND " kinds " ORDER BY c.seq LIMIT 1)"
#define SEQ_OF_CLIP(kinds) "ifnull(" OF_CLIP("c.seq", kinds) ", 0)"
#define KIND(kind) "c.kind = '" kind "'"

/* A time in an event, as microseconds since 1970. */
#define USEC_OF(member) "strftime('%s', substr(" J(member) ", 1, 19)) * 1000000 + substr(" J(member) ", 21, 6)"

/* In its storage mode a camera tells neither battery nor clock: what it told before stands. */
#define BEHIND                                                                                                                     \
        "ifnull((SELECT " OF("x", "storage_mode") " FROM custody x WHERE x.camera_id = c.camera_id AND x.docking_id = c.docking_id" \
        " AND x.seq < c.seq AND x.kind = 'returned' ORDER BY x.seq DESC LIMIT 1), 0)"
#define CHECKED KIND("checked") " AND NOT " BEHIND
/* What its storage mode is recognised by: as somebody vouched for it, or as it was seen first. */
#define VOUCHED KIND("identity-confirmed") " AND " TEXT_OF("storage_id") " <> ''"
#define BY_PORT KIND("storage-identified") " AND " TEXT_OF("identity") " = 'port' AND " TEXT_OF("storage_id") " <> ''"
#define HEALTH "c.kind IN ('held-back', 'let-go')"
/* Whose it is, is said by whoever was told last; that it is nobody's, by what was set, or by a check that was answered. */
#define NAMES(c) "(" TEXT_OF("officer_id") " || " TEXT_OF("officer_name") " || " TEXT_OF("unit_id") " || " TEXT_OF("unit_name") " <> '')"
#define TELLS_OWNER                                                                                                                 \
        "(c.kind = 'owner-set' OR (c.kind = 'checked' AND (" J("owner_known") " = 1 OR " NAMES(c) ") AND NOT " BEHIND ")"           \
        " OR (c.kind IN ('checked-out', 'taken') AND " TEXT_OF("officer_id") " <> ''))"
#define OWNER(member) "ifnull(" OF_CAMERA(TEXT_OF(member), TELLS_OWNER) ", '')"
#define GOES_WRONG "('pull-unreadable', 'store-refused', 'erase-failed', 'clip-lost', 'conflict')"
#define SETS_REASON "(c.kind IN ('copied', 'receipted', 'erase-begun', 'erased') OR c.kind IN " GOES_WRONG ")"
#define READS "c.kind IN ('pull-begun', 'copied', 'verified')"
#define VOIDED KIND("store-refused") " AND " J("receipt_void") " = 1"
#define NO_PART "(c.kind IN ('copied', 'part-set-aside') OR (" VOIDED "))"
#define RECEIPT_STANDS SEQ_OF_CLIP(KIND("receipted")) " > " SEQ_OF_CLIP(VOIDED)

static const struct {
        const char *table, *sql;
} pairs[] = {
        { "dockings",
          "WITH b AS MATERIALIZED (SELECT c.docking_id AS d, " J("boot") " AS boot, " J("boottime_usec") " AS since, c.wall_usec AS wall,"
          "  max(c.seq) FROM custody c WHERE c.kind IN ('docked', 'import-begun') AND c.docking_id IS NOT NULL GROUP BY 1),"
          " k AS MATERIALIZED (SELECT docking_id AS d, camera_id AS camera, max(seq) FROM custody WHERE kind IN"
          "  ('identified', 'storage-identified', 'identity-confirmed', 'import-begun') AND docking_id IS NOT NULL GROUP BY 1),"
          " e AS MATERIALIZED (SELECT d, wall, reason, min(seq) FROM (SELECT c.docking_id AS d, c.wall_usec AS wall, " TEXT_OF("reason")
          "  AS reason, c.seq FROM custody c WHERE c.kind IN ('undocked', 'import-ended') UNION ALL"
          "  SELECT j.value, c.wall_usec, 'the daemon was restarted', c.seq FROM custody c, json_each(" J("ended_dockings") ") j"
          "  WHERE c.kind = 'daemon-started') WHERE d IS NOT NULL GROUP BY 1),"
          " i AS MATERIALIZED (SELECT c.docking_id AS d, CASE c.kind WHEN 'returned' THEN 'port' WHEN 'identity-confirmed' THEN 'storage'"
          "  ELSE " J("identity") " END AS identity, CASE c.kind WHEN 'returned' THEN '' ELSE " TEXT_OF("storage_id") " END AS behind,"
          "  max(c.seq) AS seq FROM custody c WHERE c.docking_id IS NOT NULL AND (c.kind IN ('storage-identified', 'identity-confirmed') OR"
          "  (c.kind = 'returned' AND " J("storage_mode") " = 1)) GROUP BY 1)"
          " SELECT r.id, r.camera_id, k.camera, r.boot_id, b.boot, r.docked_boottime_usec, b.since, r.docked_usec, b.wall,"
          " r.undocked_usec, e.wall, r.end_reason, ifnull(e.reason, ''), r.behind_id, ifnull(i.behind, ''), r.identity,"
          " CASE WHEN i.identity = 'port' AND i.behind <> '' AND EXISTS (SELECT 1 FROM custody c WHERE c.camera_id = k.camera"
          "  AND c.seq > i.seq AND (c.kind = 'identity-confirmed' OR (c.kind = 'storage-identified' AND " J("identity") " = 'storage'))"
          "  AND " J("storage_id") " = i.behind) THEN 'storage' ELSE ifnull(i.identity, 'own') END"
          " FROM dockings r LEFT JOIN b ON b.d = r.id LEFT JOIN k ON k.d = r.id LEFT JOIN e ON e.d = r.id LEFT JOIN i ON i.d = r.id" },
        { "checks",
          "SELECT r.event_seq, r.event_seq, c.seq, r.camera_id, c.camera_id, r.docking_id, ifnull(c.docking_id, 0), r.wall_usec,"
          " c.wall_usec,"
          " r.battery_percent, CASE WHEN " BEHIND " THEN -1 ELSE ifnull(" J("battery_percent") ", -1) END,"
          " r.drift_usec, CASE WHEN " J("synchronised") " THEN " J("drift_usec") " END,"
          " r.restarts, " J("restarts") ", r.since_set_usec, CASE WHEN " J("synchronised") " AND " J("drift_usec") " IS NOT NULL THEN"
          "  c.wall_usec - (SELECT x.wall_usec FROM custody x WHERE x.camera_id = c.camera_id AND x.kind = 'clock-set' AND "
          OF("x", "\"set\"") " = 1 AND x.seq < c.seq ORDER BY x.seq DESC LIMIT 1) END,"
          " r.storage_total_bytes, " J("storage_total_bytes") ", r.storage_free_bytes, " J("storage_free_bytes") ","
          " r.storage_id, ifnull((SELECT " OF("x", "storage_id") " FROM custody x WHERE x.camera_id = c.camera_id AND x.seq < c.seq"
          "  AND x.kind IN ('camera-seen', 'clip-recovered') ORDER BY x.seq DESC LIMIT 1), '')"
          " FROM checks r LEFT JOIN custody c ON c.seq = r.event_seq AND c.kind = 'checked'" },
        { "charges",
          "SELECT r.event_seq, r.camera_id, c.camera_id, r.docking_id, ifnull(c.docking_id, 0), r.wall_usec, c.wall_usec,"
          " r.from_percent, " J("from_percent") ", r.to_percent, " J("to_percent") ","
          " r.permille, ifnull(" J("measured_permille") ", " J("permille_of_model") ")"
          " FROM charges r LEFT JOIN custody c ON c.seq = r.event_seq AND c.kind = 'charged' UNION ALL"
          " SELECT seq, NULL, seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM custody WHERE kind = 'charged'"
          "  AND seq NOT IN (SELECT event_seq FROM charges)" },
        { "faults", "SELECT r.event_seq, r.camera_id, ifnull(c.camera_id, 0), r.wall_usec, c.wall_usec FROM faults r"
                    " LEFT JOIN custody c ON c.seq = r.event_seq" },
        { "refused", "SELECT r.id, r.refused_usec, c.wall_usec FROM refused r LEFT JOIN custody c ON c.seq = r.id" },
        { "holds", "SELECT r.id, r.since_usec, c.wall_usec FROM holds r LEFT JOIN custody c ON c.seq = r.id" },
        /* An issue's own events are those of its camera from its first to the next one's first. */
        { "issues",
          "WITH i AS (SELECT *, ifnull((SELECT min(n.id) FROM issues n WHERE n.camera_id = issues.camera_id AND n.id > issues.id),"
          "  9223372036854775807) AS next FROM issues)"
          " SELECT i.id, i.due_usec, ifnull((SELECT " J("due_usec") " FROM custody c WHERE c.camera_id = i.camera_id AND c.kind = 'taken'"
          "  AND c.seq >= i.id AND c.seq < i.next), 0),"
          " i.overdue, EXISTS (SELECT 1 FROM custody c WHERE c.camera_id = i.camera_id AND c.kind = 'overdue' AND c.seq > i.id"
          "  AND c.seq < i.next),"
          " i.ended_usec, ifnull((SELECT c.wall_usec FROM custody c WHERE c.camera_id = i.camera_id AND c.seq > i.id AND c.seq < i.next"
          "  AND c.kind IN ('checkout-ended', 'brought-back') ORDER BY c.seq LIMIT 1), 0) FROM i" },
        { "cameras",
          "SELECT k.id, k.first_seen_usec, ifnull(" FIRST_OF_CAMERA("CASE c.kind WHEN 'camera-seen' THEN c.wall_usec END",
          "c.kind IN ('camera-seen', 'clip-recovered')") ", k.first_seen_usec),"
          " k.last_docked_usec, ifnull(" OF_CAMERA("c.wall_usec", KIND("identified")) ", 0),"
          " k.battery_percent, ifnull(" OF_CAMERA(J("battery_percent"), CHECKED) ", -1),"
          " k.drift_usec, " OF_CAMERA(J("drift_usec"), CHECKED) ","
          " k.findings, ifnull(" OF_CAMERA(J("findings"), KIND("health")) ", '[]'),"
          " k.held_back, ifnull(" OF_CAMERA("CASE c.kind WHEN 'held-back' THEN " J("held_back") " END", HEALTH) ", ''),"
          " k.held_back_reason, ifnull(" OF_CAMERA("CASE c.kind WHEN 'held-back' THEN " J("reason") " END", HEALTH) ", ''),"
          " k.accepted, ifnull(" OF_CAMERA(J("accepted"), HEALTH) ", ''),"
          " k.clock_set_usec, ifnull(" OF_CAMERA("c.wall_usec", KIND("clock-set") " AND " J("\"set\"") " = 1") ", 0),"
          " k.charge_permille, ifnull(" OF_CAMERA(J("permille_of_model"), KIND("charged")) ", 1000),"
          " k.behind_id, ifnull(ifnull(" OF_CAMERA(J("storage_id"), VOUCHED) ", " FIRST_OF_CAMERA(J("storage_id"), BY_PORT) "), ''),"
          " k.behind_docking_id, ifnull(ifnull(" OF_CAMERA("c.docking_id", VOUCHED) ", " FIRST_OF_CAMERA(J("switch_docking_id"), BY_PORT)
          "), 0),"
          " k.behind_confirmed, EXISTS (SELECT 1 FROM custody c WHERE c.camera_id = k.id AND (" VOUCHED " OR (" KIND("storage-identified")
          " AND " J("identity") " = 'storage')))"
          " FROM cameras k" },
        /* An older Berth did not say of a check whether it was answered: what it left empty may be so. */
        { "cameras",
          "SELECT k.id, k.officer_id, " OWNER("officer_id") ", k.officer_name, " OWNER("officer_name") ", k.unit_id, " OWNER("unit_id")
          ", k.unit_name, " OWNER("unit_name") " FROM cameras k WHERE k.officer_id || k.officer_name || k.unit_id || k.unit_name <> ''"
          " OR NOT EXISTS (SELECT 1 FROM custody c WHERE c.camera_id = k.id AND c.kind = 'checked' AND " J("owner_known") " IS NULL"
          "  AND c.seq > ifnull(" OF_CAMERA("c.seq", TELLS_OWNER) ", 0))" },
        { "clips",
          "SELECT l.id, l.seen_usec, ifnull(" OF_CLIP("c.wall_usec", KIND("clip-seen")) ", l.seen_usec),"
          " l.last_docking_id, ifnull(" OF_CLIP("c.docking_id", READS) ", 0),"
          " l.part_docking_id, CASE WHEN " SEQ_OF_CLIP(KIND("pull-begun")) " > " SEQ_OF_CLIP(NO_PART)
          " THEN " OF_CLIP("c.docking_id", KIND("pull-begun")) " ELSE 0 END,"
          " l.urgent, EXISTS (SELECT 1 FROM custody c WHERE c.clip_id = l.id AND c.kind = 'clip-urgent'),"
          " l.order_docking_id, ifnull(" OF_CLIP("c.docking_id", KIND("erase-ordered")) ", 0),"
          " l.order_not_stored, ifnull(" OF_CLIP(J("not_stored"), KIND("erase-ordered")) ", 0),"
          " l.receipted_running_usec IS NULL AS receipted_running_usec, l.receipted_usec IS NULL,"
          /* One that an older Berth had is by the store's clock. */
          " l.receipted_usec, CASE WHEN " RECEIPT_STANDS " THEN CASE l.receipted_usec WHEN 1000000 * " OF_CLIP(J("stored_unix_sec"),
          KIND("receipted")) " THEN l.receipted_usec ELSE " OF_CLIP("c.wall_usec", KIND("receipted")) " END END,"
          " l.reason, CASE WHEN l.reason IS NULL OR l.reason IN ('', 'erased from its camera by order, before the store had it') OR EXISTS"
          "  (SELECT 1 FROM custody c WHERE c.clip_id = l.id AND " J("reason") " = l.reason) THEN l.reason END"
          " FROM clips l" },
        /* What went wrong last is said, until something went well. */
        { "clips",
          "SELECT l.id, ifnull(l.reason, '') AS reason, CASE WHEN " OF_CLIP("c.kind", SETS_REASON) " IN " GOES_WRONG " THEN "
          OF_CLIP(TEXT_OF("reason"), SETS_REASON) " ELSE ifnull(l.reason, '') END FROM clips l" },
        { "clips",
          "SELECT l.id, l.container_state, CASE WHEN l.container = 'none' THEN 'unchecked' WHEN l.container IS NOT NULL THEN "
          OF_CLIP(J("container_state"), KIND("copied")) " END,"
          " l.container_reason, iif(l.container IS NULL, NULL, " OF_CLIP(J("container_reason"), KIND("copied")) "),"
          " l.container_offset, iif(l.container IS NULL, 0, ifnull(" OF_CLIP(J("container_offset"), KIND("copied")) ", 0)),"
          " l.recorded_unix_sec, iif(l.container IS NULL, NULL, " OF_CLIP(J("recorded_unix_sec"), KIND("copied")) "),"
          " l.duration_msec, iif(l.container IS NULL, 0, ifnull(" OF_CLIP(J("duration_msec"), KIND("copied")) ", 0)),"
          " l.erased_unstored, EXISTS (SELECT 1 FROM custody e WHERE e.clip_id = l.id AND e.kind = 'erased' AND "
          SEQ_OF_CLIP("c.seq < e.seq AND " KIND("receipted")) " <= " SEQ_OF_CLIP("c.seq < e.seq AND " VOIDED) ")"
          " FROM clips l" },
        { "clip_totals", "SELECT t.state, t.clips, (SELECT count(*) FROM clips WHERE state = t.state),"
                         " t.bytes, (SELECT ifnull(sum(size_bytes), 0) FROM clips WHERE state = t.state) FROM clip_totals t UNION ALL"
                         " SELECT 'of ' || (8 - count(*)) || ' states', NULL, 0, NULL, 0 FROM clip_totals WHERE state IN"
                         " ('seen', 'copying', 'copied', 'receipted', 'erasing', 'erased', 'conflict', 'lost') HAVING count(*) <> 8" },
        { "blocks", "SELECT l.id, sum(b.length) AS length, l.size_bytes, sum(b.docking_id NOT IN (SELECT id FROM dockings UNION SELECT 0))"
                    " AS docking_id, 0 FROM blocks b JOIN clips l ON l.id = b.clip_id WHERE l.digest IS NOT NULL GROUP BY l.id" },
        { "switches",
          "WITH s AS MATERIALIZED (SELECT " J("bay") " AS bay, c.camera_id AS camera, c.docking_id AS docking, " J("model_id") " AS model, "
          J("boot") " AS boot, " J("boottime_usec") " AS begun, " J("until_boottime_usec") " AS until, max(c.seq) AS seq FROM custody c"
          " WHERE c.kind = 'switch-begun' GROUP BY 1),"
          " o AS MATERIALIZED (SELECT " J("bay") " AS bay, max(c.seq) AS seq FROM custody c WHERE c.kind = 'ejected' GROUP BY 1)"
          " SELECT r.bay, r.bay, s.bay, r.camera_id, s.camera, r.docking_id, s.docking, r.model_id, s.model, r.boot_id, s.boot,"
          " r.begun_boottime_usec, s.begun, r.until_boottime_usec, s.until, r.ejected, ifnull(o.seq > s.seq, 0)"
          " FROM switches r LEFT JOIN s ON s.bay = r.bay LEFT JOIN o ON o.bay = r.bay"
          /* One that neither came to its end nor was given up. */
          " UNION ALL SELECT s.bay, NULL, s.bay, NULL, s.camera, NULL, s.docking, NULL, s.model, NULL, s.boot, NULL, s.begun, NULL,"
          " s.until, 0, 0 FROM s WHERE s.bay NOT IN (SELECT bay FROM switches) AND NOT EXISTS (SELECT 1 FROM custody c WHERE c.seq > s.seq"
          "  AND ((c.kind = 'returned' AND " J("bay") " = s.bay AND NOT ifnull(" J("storage_mode") ", 0)) OR (c.kind = 'undocked'"
          "  AND c.docking_id IN (SELECT id FROM dockings d WHERE d.bay = s.bay)) OR (c.kind = 'daemon-started'"
          "  AND " J("ended_dockings") " IS NOT NULL)))" },
        { "orders",
          "WITH o AS MATERIALIZED (SELECT 'uploads-paused' AS what, CASE c.kind WHEN 'uploads-paused' THEN c.wall_usec END AS since,"
          " max(c.seq) FROM custody c WHERE c.kind IN ('uploads-paused', 'uploads-resumed') UNION ALL"
          " SELECT 'shift', " USEC_OF("at") ", max(c.seq) FROM custody c WHERE c.kind = 'shift-called')"
          " SELECT ifnull(o.what, r.what), r.what, CASE WHEN o.since IS NOT NULL THEN o.what END, r.since_usec, o.since"
          " FROM orders r LEFT JOIN o ON o.what = r.what UNION ALL"
          " SELECT o.what, NULL, o.what, NULL, o.since FROM o WHERE o.since IS NOT NULL AND o.what NOT IN (SELECT what FROM orders)" },
        { "ports",
          "WITH p AS MATERIALIZED (SELECT " J("bay") " AS bay, " J("hub") " AS hub, " J("way") " AS way, " J("switches") " AS switches, "
          J("returns") " AS returns, " J("back_usec") " AS back, c.wall_usec AS wall, max(c.seq) FROM custody c"
          " WHERE c.kind = 'port-calibrated' GROUP BY 1)"
          " SELECT r.bay, r.bay, p.bay, r.hub, p.hub, r.way, p.way, r.switches, p.switches, r.returns, p.returns, r.back_usec, p.back,"
          " r.at_usec, p.wall FROM ports r LEFT JOIN p ON p.bay = r.bay UNION ALL"
          " SELECT bay, NULL, bay, NULL, hub, NULL, way, 0, 0, 0, 0, 0, 0, 0, 0 FROM p WHERE bay NOT IN (SELECT bay FROM ports)" },
        { "catalog",
          "WITH e AS MATERIALIZED (SELECT c.seq AS seq, " J("catalog") " AS version, c.wall_usec AS wall FROM custody c WHERE c.kind ="
          " 'catalog'"
          "  ORDER BY c.seq DESC LIMIT 1)"
          " SELECT 1, r.id, iif(e.seq IS NULL, NULL, 1), r.version, e.version, r.since_usec, e.wall FROM catalog r LEFT JOIN e UNION ALL"
          " SELECT 1, NULL, 1, NULL, version, NULL, wall FROM e WHERE NOT EXISTS (SELECT 1 FROM catalog)" },
        { "roster",
          "WITH e AS MATERIALIZED (SELECT c.seq AS seq, ifnull(" J("roster_number") ", 0) AS number, " TEXT_OF("reason") " AS source,"
          "  c.wall_usec AS wall FROM custody c WHERE c.kind = 'roster' ORDER BY c.seq DESC LIMIT 1)"
          " SELECT 1, r.id, iif(e.seq IS NULL, NULL, 1), r.seq, e.number, r.source, e.source, r.since_usec, e.wall FROM roster r LEFT"
          " JOIN e"
          " UNION ALL SELECT 1, NULL, 1, NULL, number, NULL, source, NULL, wall FROM e WHERE NOT EXISTS (SELECT 1 FROM roster)" },
        { "rollouts",
          "WITH e AS MATERIALIZED (SELECT " J("rollout") " AS id, " J("revision") " AS revision, c.wall_usec AS wall, max(c.seq)"
          "  FROM custody c WHERE c.kind = 'rollout' GROUP BY 1)"
          " SELECT r.id, r.id, e.id, r.revision, e.revision, r.since_usec, e.wall FROM rollouts r LEFT JOIN e ON e.id = r.id UNION ALL"
          " SELECT id, NULL, id, NULL, revision, NULL, wall FROM e WHERE id NOT IN (SELECT id FROM rollouts)" },
        { "rollout_cameras",
          "WITH b AS MATERIALIZED (SELECT " J("rollout") " AS id, c.camera_id AS camera, " J("\"window\"") " AS window, " J("place")
          "  AS place, " J("wave") " AS wave, c.wall_usec AS wall, max(c.seq) FROM custody c WHERE c.kind = 'rollout-begun' GROUP BY 1, 2),"
          " e AS MATERIALIZED (SELECT " J("rollout") " AS id, c.camera_id AS camera, " TEXT_OF("outcome") " AS outcome, c.seq AS seq"
          "  FROM custody c WHERE c.kind = 'rollout-ended')"
          " SELECT r.rollout || ', camera ' || r.camera_id, r.rollout, b.id, r.camera_id, b.camera, r.\"window\", b.\"window\","
          " r.place, b.place, r.wave, b.wave, r.begun_usec, b.wall, r.outcome, ifnull((SELECT e.outcome FROM e WHERE e.id = r.rollout"
          "  AND e.camera = r.camera_id ORDER BY e.outcome = 'ok' DESC, e.seq DESC LIMIT 1), '')"
          " FROM rollout_cameras r LEFT JOIN b ON b.id = r.rollout AND b.camera = r.camera_id UNION ALL"
          " SELECT id || ', camera ' || camera, NULL, id, NULL, camera, 0, 0, 0, 0, 0, 0, 0, 0, '', '' FROM b WHERE NOT EXISTS"
          "  (SELECT 1 FROM rollout_cameras r WHERE b.id = r.rollout AND b.camera = r.camera_id)" },
        { "flashes",
          "WITH e AS MATERIALIZED (SELECT " J("flash_id") " AS id, c.kind AS kind, c.seq AS seq, c.camera_id AS camera, c.docking_id AS"
          " docking,"
          "  c.wall_usec AS wall, " J("bay") " AS bay, " J("model_id") " AS model, " TEXT_OF("version") " AS version, "
          TEXT_OF("from_version") " AS before, " J("image_digest") " AS digest, " J("size_bytes") " AS size, " TEXT_OF("rollout")
          "  AS rollout, " J("boot") " AS boot, " J("whole") " AS whole, " TEXT_OF("outcome") " AS outcome, " TEXT_OF("reason") " AS reason"
          "  FROM custody c WHERE c.kind IN ('flash-begun', 'flash-sending', 'flash-sent', 'flash-ended'))"
          " SELECT r.id, r.id, b.id, r.camera_id, b.camera, r.docking_id, b.docking, r.bay, b.bay, r.model_id, b.model, r.version,"
          " b.version,"
          " r.from_version, b.before, lower(hex(r.digest)) AS digest, b.digest, r.size_bytes, b.size, r.purpose, b.rollout,"
          " r.begun_usec, b.wall, r.sendings, (SELECT count(*) FROM e WHERE e.id = r.id AND e.kind = 'flash-sending'),"
          " r.transfer, ifnull((SELECT iif(e.kind = 'flash-sending', 'sending', iif(e.whole, 'sent', 'cut-short')) FROM e WHERE e.id = r.id"
          "  AND e.kind IN ('flash-sending', 'flash-sent') ORDER BY e.seq DESC LIMIT 1), ''),"
          " r.boot_id, (SELECT e.boot FROM e WHERE e.id = r.id AND e.kind <> 'flash-ended' ORDER BY e.seq DESC LIMIT 1),"
          " r.outcome, ifnull((SELECT e.outcome FROM e WHERE e.id = r.id AND e.kind IN ('flash-sending', 'flash-ended') ORDER BY e.seq DESC"
          "  LIMIT 1), ''),"
          " r.came_back, ifnull((SELECT e.version FROM e WHERE e.id = r.id AND e.kind = 'flash-ended' ORDER BY e.seq DESC LIMIT 1), ''),"
          " r.text, ifnull((SELECT e.reason FROM e WHERE e.id = r.id AND e.kind IN ('flash-sent', 'flash-ended') ORDER BY e.seq DESC"
          "  LIMIT 1), ''),"
          " r.ended_usec, ifnull((SELECT e.wall FROM e WHERE e.id = r.id AND e.kind = 'flash-ended' ORDER BY e.seq DESC LIMIT 1), 0)"
          " FROM flashes r LEFT JOIN e b ON b.id = r.id AND b.kind = 'flash-begun'" },
        { "flashes", "SELECT " J("flash_id") ", NULL AS id, " J("flash_id") " FROM custody c WHERE c.kind = 'flash-begun' AND"
        " " J("flash_id")
                     " NOT IN (SELECT id FROM flashes)" },
        { "checks", "SELECT c.seq, NULL AS event_seq, c.seq FROM custody c WHERE c.kind = 'checked' AND c.seq NOT IN (SELECT event_seq"
        " FROM checks)" },
        { "object_holds",
          "WITH e AS MATERIALIZED (SELECT c.clip_id AS clip, c.kind AS kind, " J("object_key") " AS object, " J("lock") " AS lock,"
          "  max(c.seq) AS seq FROM custody c WHERE c.kind IN ('object-hold-asked', 'object-held', 'object-let-go') GROUP BY 1, 3)"
          " SELECT r.clip_id, r.event_seq, e.seq, r.object_key, e.object, r.lock, e.lock FROM object_holds r LEFT JOIN e"
          "  ON e.clip = r.clip_id AND e.object = r.object_key AND e.kind <> 'object-let-go' UNION ALL"
          " SELECT clip, NULL, seq, NULL, object, NULL, lock FROM e WHERE kind <> 'object-let-go' AND NOT EXISTS"
          "  (SELECT 1 FROM object_holds o WHERE o.clip_id = e.clip AND o.object_key = e.object)" },
        { "restorations",
          "SELECT r.event_seq, r.event_seq, c.seq, r.holds_after, " J("holds_after") ", r.holds_upto, " J("numbers_from") ", r.holds_read,"
          " EXISTS (SELECT 1 FROM custody x WHERE x.kind = 'holds-read' AND x.seq > r.event_seq) FROM restorations r LEFT JOIN custody c"
          " ON c.seq = r.event_seq AND c.kind = 'restored' UNION ALL SELECT c.seq, NULL, c.seq, 0, 0, 0, 0, 0, 0 FROM custody c"
          " WHERE c.kind = 'restored' AND " J("holds_after") " IS NOT NULL AND c.seq NOT IN (SELECT event_seq FROM restorations)" },
        /* Each from the event on that tells of it, but for one that was not there when it was to be read. */
        { "kept_files",
          "WITH n AS MATERIALIZED (SELECT name, min(seq) AS seq FROM (SELECT 'kept/' || " J("part") " AS name, c.seq AS seq FROM custody c"
          "  WHERE c.kind = 'part-set-aside' UNION ALL SELECT 'kept/' || " J("part") " || '.json', c.seq FROM custody c"
          "  WHERE c.kind = 'part-set-aside' AND " J("note_kept") " = 1 UNION ALL SELECT 'kept/' || " J("kept") ", c.seq FROM custody c"
          "  WHERE c.kind = 'file-kept' UNION ALL SELECT " J("kept") " || '/' || f.column1, c.seq FROM custody c,"
          "  (VALUES ('berth.db'), ('berth.db-wal'), ('chain.head')) f WHERE c.kind = 'recovery-begun' AND " TEXT_OF("kept") " <> '')"
          "  WHERE name IS NOT NULL GROUP BY 1),"
          " h AS MATERIALIZED (SELECT " J("name") " AS name, " J("size_bytes") " AS size, " J("digest") " AS digest, " J("missing")
          "  AS missing, max(c.seq) AS seq FROM custody c WHERE c.kind = 'file-hashed' GROUP BY 1)"
          " SELECT r.name, r.name, n.name, r.event_seq, n.seq, r.size_bytes, h.size,"
          "  CASE WHEN r.digest IS NOT NULL THEN lower(hex(r.digest)) END AS digest, h.digest"
          " FROM kept_files r LEFT JOIN n ON n.name = r.name LEFT JOIN h ON h.name = r.name UNION ALL"
          " SELECT n.name, NULL, n.name, NULL, n.seq, NULL, h.size, NULL, h.digest FROM n LEFT JOIN h ON h.name = n.name"
          "  WHERE h.missing IS NULL AND n.name NOT IN (SELECT name FROM kept_files)" },
        /* An id that is given out again would be two things. */
        { "ids", "SELECT i.which, i.next > CASE i.which WHEN 'camera' THEN (SELECT ifnull(max(id), 0) FROM cameras)"
                 " WHEN 'docking' THEN (SELECT ifnull(max(id), 0) FROM dockings) ELSE (SELECT ifnull(max(id), 0) FROM clips) END AS next, 1"
                 " FROM ids i UNION ALL SELECT w.which, NULL, 1 FROM (SELECT 'camera' AS which UNION SELECT 'docking' UNION SELECT"
                 " 'clip') w"
                 " WHERE w.which NOT IN (SELECT which FROM ids)" },
};

static bool is_same(sqlite3_stmt *row, int a, int b) {
        const void *x, *y;
        int size;

        if (sqlite3_column_type(row, a) == SQLITE_NULL || sqlite3_column_type(row, b) == SQLITE_NULL)
                return sqlite3_column_type(row, a) == sqlite3_column_type(row, b);
        /* Each as it was written: what is a number in one is one in the other. */
        x = sqlite3_column_text(row, a);
        y = sqlite3_column_text(row, b);
        size = sqlite3_column_bytes(row, a);
        return size == sqlite3_column_bytes(row, b) && x && y && memcmp(x, y, (size_t) size) == 0;
}

static int compare_pairs(Proof *p, const char *table, const char *sql) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        int r;

        r = db_query(p->db, sql, DB_NO_ARGS, &row);
        for (; r > 0; r = db_next(row)) {
                const char *name = (const char *) sqlite3_column_text(row, 0);
                char where[160];

                (void) snprintf(where, sizeof(where), "%s, row %.100s", table, name ? name : "?");
                if (++p->counts.rows % 1000 == 0)
                        proof_progress(p, "rows", p->counts.rows, 0);
                for (int i = 1; i + 1 < sqlite3_column_count(row); i += 2)
                        if (!is_same(row, i, i + 1))
                                proof_found(p, where, "the column %s says something else than the custody"
                                " events", sqlite3_column_name(row, i));
        }
        return r;
}

int proof_columns(Proof *p) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(pairs) && r >= 0; i++)
                r = compare_pairs(p, pairs[i].table, pairs[i].sql);
        return r;
}
