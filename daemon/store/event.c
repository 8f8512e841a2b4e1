/* SPDX-License-Identifier: Apache-2.0 */

/* Facts as custody events: the JSON members of each kind. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/writer.h"

typedef struct Builder {
        json_t *object;
        int r; /* the first failure */
} Builder;

static void put(Builder *b, const char *key, json_t *value) {
        /* Texts were checked to be UTF-8 when the fact came in. */
        if (json_object_set_new(b->object, key, value) < 0 && b->r >= 0)
                b->r = -ENOMEM;
}

static void put_text(Builder *b, const char *key, const char *text) {
        if (text && text[0])
                put(b, key, json_string(text));
}

static void put_int(Builder *b, const char *key, int64_t v) {
        put(b, key, json_integer(v));
}

static void put_uint(Builder *b, const char *key, uint64_t v) {
        put(b, key, json_integer((json_int_t) v));
}

static void put_id(Builder *b, const char *key, uint64_t v) {
        if (v != 0)
                put_uint(b, key, v);
}

static void put_bool(Builder *b, const char *key, bool v) {
        put(b, key, json_boolean(v));
}

static void put_hex(Builder *b, const char *key, uint16_t v) {
        char text[5];

        (void) snprintf(text, sizeof(text), "%04x", v);
        put_text(b, key, text);
}

static void put_digest(Builder *b, const char *key, const Digest *d) {
        char hex[DIGEST_HEX_SIZE];

        put_text(b, key, digest_to_hex(d, hex));
}

static void put_camera(Builder *b, const Fact *f) {
        put_text(b, "manufacturer", f->camera.manufacturer);
        put_text(b, "model", f->camera.model);
        put_text(b, "firmware", f->camera.firmware);
        put_text(b, "storage_id", f->camera.storage_id);
        put_text(b, "model_id", f->camera.model_id);
        put_bool(b, "ambiguous", f->camera.ambiguous);
}

static void put_usb(Builder *b, const Fact *f) {
        put_hex(b, "vid", f->usb.vid);
        put_hex(b, "pid", f->usb.pid);
        put_hex(b, "bcd_device", f->usb.bcd_device);
        put_text(b, "usb_serial", f->usb.usb_serial);
        put_text(b, "usb_manufacturer", f->usb.usb_manufacturer);
        put_text(b, "usb_product", f->usb.usb_product);
        if (f->kind == FACT_REFUSED)
                put_text(b, "descriptors", f->usb.descriptors_hex);
        if (f->kind == FACT_RETURNED) {
                put_text(b, "model_id", f->usb.model_id);
                put_bool(b, "storage_mode", f->usb.behind);
        }
}

static void put_owner(Builder *b, const FactOwner *o) {
        put_text(b, "officer_id", o->officer_id);
        put_text(b, "officer_name", o->officer_name);
        put_text(b, "unit_id", o->unit_id);
        put_text(b, "unit_name", o->unit_name);
}

static void put_check(Builder *b, const Fact *f) {
        if (f->check.battery_percent >= 0)
                put_int(b, "battery_percent", f->check.battery_percent);
        if (f->check.storage_known) {
                put_uint(b, "storage_total_bytes", f->check.storage_total_bytes);
                put_uint(b, "storage_free_bytes", f->check.storage_free_bytes);
                put_bool(b, "read_only", f->check.read_only);
        }
        if (f->check.drift_known)
                put_int(b, "drift_usec", f->check.drift_usec);
        if (f->check.temperature_known)
                put_int(b, "temperature_decidegrees", f->check.temperature_decidegrees);
        if (f->check.restarts_known)
                put_int(b, "restarts", f->check.restarts);
        if (f->check.volume_known)
                put_bool(b, "volume_dirty", f->check.volume_dirty);
        put_bool(b, "owner_known", f->check.owner_known);
        if (f->check.owner_known)
                put_owner(b, &f->check.owner);
}

static void put_storage(Builder *b, const Fact *f) {
        put_text(b, "identity", docking_identity_to_string(f->storage.identity));
        put_text(b, "storage_id", f->storage.storage_id);
        put_id(b, "switch_docking_id", f->storage.switch_docking_id);
}

static void put_clip(Builder *b, const Fact *f) {
        put_uint(b, "size_bytes", f->clip.size_bytes);
        if (f->clip.mtime_unix_sec != FACT_UNKNOWN_TIME)
                put_int(b, "mtime_unix_sec", f->clip.mtime_unix_sec);
        put_uint(b, "ordinal", f->clip.ordinal);
        put_uint(b, "flags", f->clip.flags);
        put_id(b, "partial_of", f->clip.partial_of);
}

/* "ranges": [[offset, length], …] */
static void put_unreadable(Builder *b, const Fact *f) {
        json_t *ranges = json_array();

        put_uint(b, "offset_bytes", f->unreadable.offset_bytes);
        put_uint(b, "attempt", f->unreadable.attempt);
        for (size_t i = 0; i < f->unreadable.n_ranges; i++) {
                const ByteRange *range = &f->unreadable.ranges[i];

                if (json_array_append_new(ranges, json_pack("[I, I]", (json_int_t) range->offset, (json_int_t) range->length)) < 0)
                        b->r = -ENOMEM;
        }
        put(b, "ranges", ranges);
}

static void put_container(Builder *b, const Container *c) {
        put_text(b, "container", container_format_to_string(c->format));
        if (c->format == CONTAINER_NONE)
                return;
        put_text(b, "container_state", container_verdict_to_string(c->verdict));
        put_text(b, "container_reason", c->reason);
        if (c->reason[0])
                put_uint(b, "container_offset", c->offset);
        if (c->recorded_unix_sec >= CONTAINER_TIME_MIN)
                put_int(b, "recorded_unix_sec", c->recorded_unix_sec);
        if (c->duration_msec > 0)
                put_uint(b, "duration_msec", c->duration_msec);
}

static void put_copy(Builder *b, const Fact *f) {
        put_digest(b, "digest", &f->copy.digest);
        if (f->kind != FACT_COPIED)
                return;
        put_container(b, &f->copy.container);
        put_uint(b, "size_bytes", f->copy.size_bytes);
        put_digest(b, "head", &f->copy.head);
        put_digest(b, "tail", &f->copy.tail);
        put_text(b, "spool_name", f->copy.spool_name);
        if (!digest_is_zero(&f->copy.note))
                put_digest(b, "note_digest", &f->copy.note);
}

static void put_receipt(Builder *b, const Fact *f) {
        put_text(b, "object_key", f->receipt.object_key);
        put_text(b, "manifest_key", f->receipt.manifest_key);
        put_text(b, "version", f->receipt.version);
        put_text(b, "strength", f->receipt.strength);
        put_uint(b, "size_bytes", f->receipt.size_bytes);
        put_digest(b, "digest", &f->receipt.digest);
        put_int(b, "stored_unix_sec", f->receipt.time_unix_sec);
        put_bool(b, "already_there", f->receipt.already_there);
        put_text(b, "signed_by", f->receipt.signed_by);
        put_id(b, "signed_number", f->receipt.signed_number);
}

static void put_key(Builder *b, const Fact *f) {
        char hex[PUBLIC_KEY_HEX_SIZE];

        put_text(b, "dock_id", f->key.dock_id);
        put_text(b, "public_key", public_key_to_hex(&f->key.public, hex));
        if (f->kind == FACT_KEY_MADE && f->key.numbers_from > 0)
                put_uint(b, "numbers_from", f->key.numbers_from);
}

static void put_import(Builder *b, const Fact *f) {
        put_text(b, "source", f->import.source);
        put_text(b, "folder_id", f->import.folder_id);
        if (f->kind != FACT_IMPORT_ENDED)
                return;
        put_uint(b, "imported", f->import.imported);
        put_uint(b, "recognised", f->import.recognised);
        put_uint(b, "failed", f->import.failed);
}

static void put_recovered(Builder *b, const FactRecovered *c) {
        put_uint(b, "size_bytes", c->size_bytes);
        put_digest(b, "digest", &c->digest);
        put_digest(b, "head", &c->head);
        put_digest(b, "tail", &c->tail);
        put_text(b, "spool_name", c->spool_name);
        if (!digest_is_zero(&c->note))
                put_digest(b, "note_digest", &c->note);
        put_text(b, "manufacturer", c->manufacturer);
        put_text(b, "model", c->model);
        put_text(b, "firmware", c->firmware);
        put_text(b, "storage_id", c->storage_id);
        put_text(b, "model_id", c->model_id);
        if (c->mtime_unix_sec != FACT_UNKNOWN_TIME)
                put_int(b, "mtime_unix_sec", c->mtime_unix_sec);
        put_uint(b, "ordinal", c->ordinal);
        put_uint(b, "flags", c->flags);
}

static void put_recovery(Builder *b, const Fact *f) {
        if (f->kind == FACT_RECOVERY_BEGUN) {
                put_text(b, "kept", f->old.kept);
                if (!f->old.head_known)
                        return;
                put_uint(b, "old_head_seq", f->old.head_seq);
                put_digest(b, "old_head_hash", &f->old.head_hash);
        } else if (f->kind == FACT_FILE_KEPT || f->kind == FACT_PART_REMOVED) {
                put_text(b, "name", f->file.name);
                put_text(b, "kept", f->file.kept);
        } else {
                put_uint(b, "clips_from_spool", f->found.from_spool);
                put_uint(b, "clips_from_store", f->found.from_store);
                put_uint(b, "files_kept", f->found.files_kept);
                put_uint(b, "holds", f->found.holds);
        }
}

static void put_hashed(Builder *b, const Fact *f) {
        put_text(b, "name", f->hashed.name);
        if (f->hashed.missing)
                return put_bool(b, "missing", true);
        put_uint(b, "size_bytes", f->hashed.size_bytes);
        put_digest(b, "digest", &f->hashed.digest);
}

static void put_health(Builder *b, const Fact *f) {
        json_t *findings;

        if (f->kind != FACT_HEALTH) {
                put_text(b, "held_back", f->health.held_back);
                put_text(b, "accepted", f->health.accepted);
                return;
        }
        findings = json_loads(f->health.findings_json ? f->health.findings_json : "[]", 0, NULL);
        if (!findings)
                b->r = -EINVAL;
        else
                put(b, "findings", findings);
}

static void put_digest_of(Builder *b, const char *key, const char *text) {
        Digest digest;

        if (digest_of(text ? text : "", text ? strlen(text) : 0, &digest) < 0)
                b->r = -ENOMEM;
        else
                put_digest(b, key, &digest);
}

/* Of a roster the digest of its JSON: who is in it is no evidence, and people leave. Of the fleet's that of what was signed, too. */
static void put_roster(Builder *b, const Fact *f) {
        put_digest_of(b, "roster_sha256", f->issue.roster_json ? f->issue.roster_json : "[]");
        put_id(b, "roster_number", f->issue.roster_seq);
        if (!f->issue.roster_file)
                return;
        put_text(b, "fleet", f->issue.fleet);
        put_digest_of(b, "signed_sha256", f->issue.roster_file);
}

static void put_issue(Builder *b, const Fact *f) {
        if (f->kind == FACT_ROSTER)
                return put_roster(b, f);
        put_owner(b, &f->issue.owner);
        if (f->kind == FACT_ASSIGNED)
                put_text(b, "assigned", f->issue.serial);
        if (f->kind == FACT_TAKEN && f->issue.due_usec > 0)
                put_int(b, "due_usec", f->issue.due_usec);
        if (f->kind == FACT_BROUGHT_BACK)
                put_int(b, "late_usec", f->issue.late_usec);
}

static void put_power(Builder *b, const Fact *f) {
        char time[UTC_TEXT_SIZE];

        if (f->kind == FACT_PORT_CALIBRATED) {
                put_text(b, "hub", f->port.hub);
                put_text(b, "way", f->port.way);
                put_bool(b, "switches", f->port.switches);
                put_bool(b, "returns", f->port.returns);
                put_uint(b, "back_usec", f->port.back_usec);
        } else if (f->kind == FACT_CHARGED) {
                put_int(b, "from_percent", f->charge.from_percent);
                put_int(b, "to_percent", f->charge.to_percent);
                put_uint(b, "took_usec", f->charge.took_usec);
                put_uint(b, "permille_of_model", f->charge.permille);
                put_uint(b, "measured_permille", f->charge.measured_permille);
        } else if (f->shift.at_usec != 0)
                put_text(b, "at", utc_text(f->shift.at_usec, time));
}

/* Of what somebody signed for the fleet the digest: it lies in the store. */
static void put_firmware(Builder *b, const Fact *f) {
        if (f->kind == FACT_CATALOG) {
                put_uint(b, "catalog", f->catalog.version);
                put_digest_of(b, "catalog_sha256", f->catalog.document);
                return;
        }
        put_text(b, "rollout", f->rollout.id);
        if (f->kind == FACT_ROLLOUT) {
                put_uint(b, "revision", f->rollout.revision);
                put_digest_of(b, "rollout_sha256", f->rollout.statement);
        } else if (f->kind == FACT_ROLLOUT_BEGUN) {
                put_uint(b, "window", f->rollout.window);
                put_uint(b, "place", f->rollout.place);
                put_uint(b, "wave", f->rollout.wave);
        } else
                put_text(b, "outcome", f->rollout.outcome);
}

static void put_flash(Builder *b, const Fact *f) {
        put_id(b, "flash_id", f->flash.id);
        if (f->kind == FACT_FLASH_BEGUN) {
                put_text(b, "version", f->flash.version);
                put_text(b, "from_version", f->flash.from_version);
                put_text(b, "model_id", f->flash.model_id);
                put_text(b, "rollout", f->flash.purpose);
                put_digest(b, "image_digest", &f->flash.digest);
                put_uint(b, "size_bytes", f->flash.size_bytes);
        } else if (f->kind == FACT_FLASH_SENDING)
                put_uint(b, "sending", f->flash.sending);
        else if (f->kind == FACT_FLASH_SENT)
                put_bool(b, "whole", f->flash.whole);
        else {
                put_text(b, "outcome", f->flash.outcome);
                put_text(b, "version", f->flash.came_back);
        }
}

static void put_own_members(Builder *b, const Fact *f) {
        switch (f->kind) {
        case FACT_FLEET_LIST:
                put_text(b, "fleet", f->fleet_list.fleet);
                put_text(b, "admin", f->fleet_list.admin);
                put_uint(b, "list", f->fleet_list.seq);
                put_digest_of(b, "list_sha256", f->fleet_list.document);
                break;
        case FACT_CATALOG:
        case FACT_ROLLOUT:
        case FACT_ROLLOUT_BEGUN:
        case FACT_ROLLOUT_ENDED:
                put_firmware(b, f);
                break;
        case FACT_ROSTER:
        case FACT_ASSIGNED:
        case FACT_CHECKED_OUT:
        case FACT_CHECKOUT_ENDED:
        case FACT_TAKEN:
        case FACT_OVERDUE:
        case FACT_BROUGHT_BACK:
                put_issue(b, f);
                break;
        case FACT_HEALTH:
        case FACT_HELD_BACK:
        case FACT_LET_GO:
                put_health(b, f);
                break;
        case FACT_CAMERA_SEEN:
                put_camera(b, f);
                break;
        case FACT_DOCKED:
        case FACT_REFUSED:
        case FACT_RETURNED:
                put_usb(b, f);
                break;
        case FACT_SWITCH_BEGUN:
                put_uint(b, "until_boottime_usec", f->change.until_boottime_usec);
                put_text(b, "model_id", f->change.model_id);
                break;
        case FACT_STORAGE_IDENTIFIED:
                put_storage(b, f);
                break;
        case FACT_OWNER_SET:
                put_owner(b, &f->owner);
                break;
        case FACT_CHECKED:
                put_check(b, f);
                break;
        case FACT_CLOCK_SET:
                put_bool(b, "set", f->clock.set);
                if (f->clock.set)
                        put_int(b, "to_unix_sec", f->clock.to_unix_sec);
                break;
        case FACT_CLIP_SEEN:
                put_clip(b, f);
                break;
        case FACT_PULL_BEGUN:
        case FACT_PULL_INTERRUPTED:
        case FACT_PART_SET_ASIDE:
                put_uint(b, "offset_bytes", f->pull.offset_bytes);
                put_text(b, "part", f->pull.part);
                break;
        case FACT_PULL_UNREADABLE:
                put_unreadable(b, f);
                break;
        case FACT_COPIED:
        case FACT_VERIFIED:
                put_copy(b, f);
                break;
        case FACT_RECEIPTED:
                put_receipt(b, f);
                break;
        case FACT_HOLD_SET:
        case FACT_HOLD_RELEASED:
                put_text(b, "case", f->hold.case_name);
                break;
        case FACT_OBJECT_HOLD_ASKED:
        case FACT_OBJECT_HELD:
        case FACT_OBJECT_LET_GO:
                put_text(b, "object_key", f->hold.object_key);
                put_text(b, "lock", f->hold.lock);
                break;
        case FACT_ERASE_ORDERED:
                put_bool(b, "not_stored", f->order.not_stored);
                break;
        case FACT_IMPORT_BEGUN:
        case FACT_IMPORT_ENDED:
        case FACT_IMPORT_RECOGNISED:
        case FACT_IMPORT_FAILED:
                put_import(b, f);
                break;
        case FACT_PORT_CALIBRATED:
        case FACT_CHARGED:
        case FACT_SHIFT_CALLED:
                put_power(b, f);
                break;
        case FACT_FLASH_BEGUN:
        case FACT_FLASH_SENDING:
        case FACT_FLASH_SENT:
        case FACT_FLASH_ENDED:
                put_flash(b, f);
                break;
        case FACT_CLOCK_STEPPED:
                put_int(b, "step_usec", f->step.step_usec);
                break;
        case FACT_KEY_MADE:
        case FACT_KEY_ROTATED:
        case FACT_KEY_REPLACED:
                put_key(b, f);
                break;
        case FACT_RESTORED:
                put_uint(b, "numbers_from", f->key.numbers_from);
                break;
        case FACT_STATEMENT_REFUSED:
                put_text(b, "statement_key", f->statement.key);
                break;
        case FACT_CLIP_RECOVERED:
                put_recovered(b, &f->recovered);
                break;
        case FACT_RECOVERY_BEGUN:
        case FACT_FILE_KEPT:
        case FACT_PART_REMOVED:
        case FACT_RECOVERY_DONE:
                put_recovery(b, f);
                break;
        case FACT_FILE_HASHED:
                put_hashed(b, f);
                break;
        default:
                break;
        }
}

static const char *text_key(FactKind kind) {
        switch (kind) {
        case FACT_DAEMON_STARTED:
                return "version";
        case FACT_ERASE_BEGUN:
                return "accepted_strengths";
        default:
                return "reason";
        }
}

int event_new(Writer *w, const Fact *f, const Subject *s, json_t **ret) {
        char time[UTC_TEXT_SIZE];
        Builder b = { .object = json_object() };

        if (!b.object)
                return -ENOMEM;
        put_text(&b, "event", fact_kind_to_string(f->kind));
        put_text(&b, "time", utc_text(f->at.wall_usec, time));
        put_text(&b, "boot", f->at.boot_id);
        put_uint(&b, "boottime_usec", f->at.boottime_usec);
        put_bool(&b, "synchronised", f->at.synchronised);
        put_id(&b, "docking_id", s->docking_id);
        put_id(&b, "camera_id", s->camera_id);
        put_id(&b, "clip_id", s->clip_id);
        put_text(&b, "bay", s->bay);
        put_text(&b, "serial", s->serial);
        put_text(&b, "path", s->path);
        if (f->kind != FACT_SETTINGS)
                put_text(&b, text_key(f->kind), f->text);
        if (f->by_operator) {
                put_uint(&b, "operator_uid", f->operator_uid);
                put_text(&b, "operator", f->operator_name);
        }
        put_own_members(&b, f);
        if (w->extra && json_object_update(b.object, w->extra) < 0 && b.r >= 0)
                b.r = -ENOMEM;
        if (b.r < 0) {
                json_decref(b.object);
                return b.r;
        }
        *ret = b.object;
        return 0;
}
