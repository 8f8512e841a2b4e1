/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fact.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/wire_bay.h"

static const char *const fact_kind_table[_FACT_KIND_MAX] = {
        [FACT_DAEMON_STARTED] = "daemon-started",
        [FACT_DAEMON_STOPPED] = "daemon-stopped",
        [FACT_CAMERA_SEEN] = "camera-seen",
        [FACT_DOCKED] = "docked",
        [FACT_IDENTIFIED] = "identified",
        [FACT_CHECKED] = "checked",
        [FACT_CLOCK_SET] = "clock-set",
        [FACT_UNDOCKED] = "undocked",
        [FACT_SWITCH_BEGUN] = "switch-begun",
        [FACT_LEFT] = "left",
        [FACT_RETURNED] = "returned",
        [FACT_STORAGE_IDENTIFIED] = "storage-identified",
        [FACT_IDENTITY_CONFIRMED] = "identity-confirmed",
        [FACT_EJECTED] = "ejected",
        [FACT_OWNER_SET] = "owner-set",
        [FACT_REFUSED] = "refused",
        [FACT_FAULT] = "fault",
        [FACT_OVER_CURRENT] = "over-current",
        [FACT_QUARANTINED] = "quarantined",
        [FACT_CLIP_SEEN] = "clip-seen",
        [FACT_PULL_BEGUN] = "pull-begun",
        [FACT_PULL_INTERRUPTED] = "pull-interrupted",
        [FACT_PULL_UNREADABLE] = "pull-unreadable",
        [FACT_PART_SET_ASIDE] = "part-set-aside",
        [FACT_BLOCK] = "block",
        [FACT_COPIED] = "copied",
        [FACT_VERIFIED] = "verified",
        [FACT_STORE_REFUSED] = "store-refused",
        [FACT_RECEIPTED] = "receipted",
        [FACT_ERASE_BEGUN] = "erase-begun",
        [FACT_ERASED] = "erased",
        [FACT_ERASE_FAILED] = "erase-failed",
        [FACT_CLIP_LOST] = "clip-lost",
        [FACT_CONFLICT] = "conflict",
        [FACT_SPOOL_RELEASED] = "spool-released",
        [FACT_UPLOADS_PAUSED] = "uploads-paused",
        [FACT_UPLOADS_RESUMED] = "uploads-resumed",
        [FACT_RECOVERY_BEGUN] = "recovery-begun",
        [FACT_CLIP_RECOVERED] = "clip-recovered",
        [FACT_FILE_KEPT] = "file-kept",
        [FACT_PART_REMOVED] = "part-removed",
        [FACT_RECOVERY_DONE] = "recovery-done",
        [FACT_RESTORED] = "restored",
        [FACT_CHAIN_VERIFIED] = "chain-verified",
        [FACT_CHAIN_BROKEN] = "chain-broken",
        [FACT_CLIP_URGENT] = "clip-urgent",
        [FACT_HOLD_SET] = "hold-set",
        [FACT_HOLD_RELEASED] = "hold-released",
        [FACT_ERASE_ORDERED] = "erase-ordered",
        [FACT_IMPORT_BEGUN] = "import-begun",
        [FACT_IMPORT_ENDED] = "import-ended",
        [FACT_IMPORT_RECOGNISED] = "import-recognised",
        [FACT_IMPORT_FAILED] = "import-failed",
        [FACT_CLOCK_STEPPED] = "clock-stepped",
        [FACT_KEY_MADE] = "key-made",
        [FACT_KEY_ROTATED] = "key-rotated",
        [FACT_KEY_REPLACED] = "key-replaced",
        [FACT_CHECKPOINT] = "checkpoint",
        [FACT_STATEMENT_STORED] = "statement-stored",
        [FACT_SETTINGS] = "settings",
        [FACT_STATEMENT_REFUSED] = "statement-refused",
        [FACT_HEALTH] = "health",
        [FACT_HELD_BACK] = "held-back",
        [FACT_LET_GO] = "let-go",
        [FACT_ROSTER] = "roster",
        [FACT_ASSIGNED] = "assigned",
        [FACT_CHECKED_OUT] = "checked-out",
        [FACT_CHECKOUT_ENDED] = "checkout-ended",
        [FACT_TAKEN] = "taken",
        [FACT_OVERDUE] = "overdue",
        [FACT_BROUGHT_BACK] = "brought-back",
        [FACT_PORT_CALIBRATED] = "port-calibrated",
        [FACT_CHARGED] = "charged",
        [FACT_SHIFT_CALLED] = "shift-called",
        [FACT_FLASH_BEGUN] = "flash-begun",
        [FACT_FLASH_SENDING] = "flash-sending",
        [FACT_FLASH_SENT] = "flash-sent",
        [FACT_FLASH_ENDED] = "flash-ended",
        [FACT_CATALOG] = "catalog",
        [FACT_ROLLOUT] = "rollout",
        [FACT_ROLLOUT_BEGUN] = "rollout-begun",
        [FACT_ROLLOUT_ENDED] = "rollout-ended",
        [FACT_ROLLOUT_TOLD] = "rollout-told",
        [FACT_FLEET_LIST] = "fleet-list",
        [FACT_OBJECT_HOLD_ASKED] = "object-hold-asked",
        [FACT_OBJECT_HELD] = "object-held",
        [FACT_OBJECT_LET_GO] = "object-let-go",
        [FACT_FETCH_ORDERED] = "fetch-ordered",
        [FACT_HOLDS_READ] = "holds-read",
        [FACT_FILE_HASHED] = "file-hashed",
        [FACT_EJECT_ORDERED] = "eject-ordered",
};

const char *fact_kind_to_string(FactKind kind) {
        return (size_t) kind < ELEMENTSOF(fact_kind_table) ? fact_kind_table[(size_t) kind] : NULL;
}

static const char *const docking_identity_table[_IDENTITY_MAX] = {
        [IDENTITY_OWN] = "own",
        [IDENTITY_PORT] = "port",
        [IDENTITY_OTHER] = "other",
        [IDENTITY_STORAGE] = "storage",
};
DEFINE_STRING_TABLE(docking_identity, DockingIdentity, docking_identity_table)

#define FACT_STRINGS_MAX 11u

static size_t owner_strings(FactOwner *o, const char **ret[static 4]) {
        ret[0] = &o->officer_id;
        ret[1] = &o->officer_name;
        ret[2] = &o->unit_id;
        ret[3] = &o->unit_name;
        return 4;
}

static size_t recovered_strings(FactRecovered *c, const char **ret[static 8]) {
        ret[0] = &c->serial;
        ret[1] = &c->manufacturer;
        ret[2] = &c->model;
        ret[3] = &c->firmware;
        ret[4] = &c->storage_id;
        ret[5] = &c->model_id;
        ret[6] = &c->path;
        ret[7] = &c->spool_name;
        return 8;
}

/* The string members that this kind uses. */
static size_t fact_strings(Fact *f, const char **ret[static FACT_STRINGS_MAX]) {
        size_t n = 0;

        ret[n++] = &f->bay;
        ret[n++] = &f->text;
        ret[n++] = &f->operator_name;
        switch (f->kind) {
        case FACT_CAMERA_SEEN:
                ret[n++] = &f->camera.serial;
                ret[n++] = &f->camera.manufacturer;
                ret[n++] = &f->camera.model;
                ret[n++] = &f->camera.firmware;
                ret[n++] = &f->camera.storage_id;
                ret[n++] = &f->camera.model_id;
                break;
        case FACT_DOCKED:
        case FACT_REFUSED:
                ret[n++] = &f->usb.usb_serial;
                ret[n++] = &f->usb.usb_manufacturer;
                ret[n++] = &f->usb.usb_product;
                ret[n++] = &f->usb.descriptors_hex;
                break;
        case FACT_RETURNED:
                ret[n++] = &f->usb.usb_serial;
                ret[n++] = &f->usb.usb_manufacturer;
                ret[n++] = &f->usb.usb_product;
                ret[n++] = &f->usb.model_id;
                break;
        case FACT_CHECKED:
                n += owner_strings(&f->check.owner, ret + n);
                break;
        case FACT_OWNER_SET:
                n += owner_strings(&f->owner, ret + n);
                break;
        case FACT_SWITCH_BEGUN:
                ret[n++] = &f->change.model_id;
                break;
        case FACT_STORAGE_IDENTIFIED:
                ret[n++] = &f->storage.storage_id;
                break;
        case FACT_CLIP_SEEN:
                ret[n++] = &f->clip.path;
                break;
        case FACT_PULL_BEGUN:
        case FACT_PULL_INTERRUPTED:
        case FACT_PART_SET_ASIDE:
                ret[n++] = &f->pull.part;
                break;
        case FACT_COPIED:
        case FACT_VERIFIED:
                ret[n++] = &f->copy.spool_name;
                break;
        case FACT_CLIP_RECOVERED:
                n += recovered_strings(&f->recovered, ret + n);
                break;
        case FACT_RECOVERY_BEGUN:
                ret[n++] = &f->old.kept;
                break;
        case FACT_FILE_KEPT:
        case FACT_PART_REMOVED:
                ret[n++] = &f->file.name;
                ret[n++] = &f->file.kept;
                break;
        case FACT_FILE_HASHED:
                ret[n++] = &f->hashed.name;
                break;
        case FACT_RECEIPTED:
                ret[n++] = &f->receipt.object_key;
                ret[n++] = &f->receipt.manifest_key;
                ret[n++] = &f->receipt.version;
                ret[n++] = &f->receipt.strength;
                ret[n++] = &f->receipt.signed_by;
                break;
        case FACT_IMPORT_BEGUN:
        case FACT_IMPORT_ENDED:
        case FACT_IMPORT_RECOGNISED:
        case FACT_IMPORT_FAILED:
                ret[n++] = &f->import.source;
                ret[n++] = &f->import.folder_id;
                break;
        case FACT_HOLD_SET:
        case FACT_HOLD_RELEASED:
        case FACT_OBJECT_HOLD_ASKED:
        case FACT_OBJECT_HELD:
        case FACT_OBJECT_LET_GO:
                ret[n++] = &f->hold.case_name;
                ret[n++] = &f->hold.object_key;
                ret[n++] = &f->hold.lock;
                break;
        case FACT_KEY_MADE:
        case FACT_KEY_ROTATED:
        case FACT_KEY_REPLACED:
                ret[n++] = &f->key.dock_id;
                break;
        case FACT_PORT_CALIBRATED:
                ret[n++] = &f->port.hub;
                ret[n++] = &f->port.way;
                break;
        case FACT_FLASH_BEGUN:
        case FACT_FLASH_SENDING:
        case FACT_FLASH_SENT:
        case FACT_FLASH_ENDED:
                ret[n++] = &f->flash.version;
                ret[n++] = &f->flash.from_version;
                ret[n++] = &f->flash.model_id;
                ret[n++] = &f->flash.purpose;
                ret[n++] = &f->flash.outcome;
                ret[n++] = &f->flash.came_back;
                break;
        case FACT_STATEMENT_STORED:
        case FACT_STATEMENT_REFUSED:
                ret[n++] = &f->statement.key;
                break;
        case FACT_HEALTH:
        case FACT_HELD_BACK:
        case FACT_LET_GO:
                ret[n++] = &f->health.findings_json;
                ret[n++] = &f->health.held_back;
                ret[n++] = &f->health.accepted;
                break;
        case FACT_ROSTER:
        case FACT_ASSIGNED:
        case FACT_CHECKED_OUT:
        case FACT_CHECKOUT_ENDED:
        case FACT_TAKEN:
        case FACT_OVERDUE:
        case FACT_BROUGHT_BACK:
                ret[n++] = &f->issue.roster_json;
                ret[n++] = &f->issue.roster_file;
                ret[n++] = &f->issue.fleet;
                ret[n++] = &f->issue.serial;
                n += owner_strings(&f->issue.owner, ret + n);
                break;
        case FACT_CATALOG:
                ret[n++] = &f->catalog.document;
                ret[n++] = &f->catalog.keys;
                ret[n++] = &f->catalog.root;
                break;
        case FACT_FLEET_LIST:
                ret[n++] = &f->fleet_list.fleet;
                ret[n++] = &f->fleet_list.admin;
                ret[n++] = &f->fleet_list.document;
                break;
        case FACT_ROLLOUT:
        case FACT_ROLLOUT_BEGUN:
        case FACT_ROLLOUT_ENDED:
        case FACT_ROLLOUT_TOLD:
                ret[n++] = &f->rollout.id;
                ret[n++] = &f->rollout.statement;
                ret[n++] = &f->rollout.outcome;
                break;
        default:
                break;
        }
        return n;
}

static bool holds_descriptors(const Fact *f) {
        return f->kind == FACT_DOCKED || f->kind == FACT_REFUSED;
}

static bool fits(uint64_t v) {
        return v <= INT64_MAX;
}

/* Numbers that neither SQLite nor canonical JSON could hold. */
static bool fact_numbers_fit(const Fact *f) {
        if (!fits(f->docking_id) || !fits(f->camera_id) || !fits(f->clip_id) || !fits(f->at.boottime_usec))
                return false;
        switch (f->kind) {
        case FACT_CHECKED:
                return fits(f->check.storage_total_bytes) && fits(f->check.storage_free_bytes);
        case FACT_SWITCH_BEGUN:
                return fits(f->change.until_boottime_usec);
        case FACT_STORAGE_IDENTIFIED:
                return fits(f->storage.switch_docking_id) && docking_identity_to_string(f->storage.identity);
        case FACT_CLIP_SEEN:
                return fits(f->clip.size_bytes);
        case FACT_PULL_BEGUN:
        case FACT_PULL_INTERRUPTED:
        case FACT_PART_SET_ASIDE:
                return fits(f->pull.offset_bytes);
        case FACT_PULL_UNREADABLE:
                return fits(f->unreadable.offset_bytes) && f->unreadable.n_ranges > 0 && f->unreadable.n_ranges <= FACT_RANGES_MAX &&
                       ranges_are_settled(f->unreadable.ranges, f->unreadable.n_ranges, INT64_MAX);
        case FACT_BLOCK:
                return f->block.number < WIRE_BLOCKS_MAX && f->block.length > 0 && f->block.length <= WIRE_BLOCK_SIZE;
        case FACT_COPIED:
        case FACT_VERIFIED:
                return fits(f->copy.size_bytes) && fits(f->copy.container.offset) && fits(f->copy.container.duration_msec);
        case FACT_RECEIPTED:
                return fits(f->receipt.size_bytes) && fits(f->receipt.signed_number);
        case FACT_CLIP_RECOVERED:
                return fits(f->recovered.size_bytes) && f->recovered.n_blocks <= WIRE_BLOCKS_MAX;
        case FACT_FILE_HASHED:
                return fits(f->hashed.size_bytes);
        case FACT_PORT_CALIBRATED:
                return fits(f->port.back_usec);
        case FACT_CHARGED:
                return fits(f->charge.took_usec);
        case FACT_FLASH_BEGUN:
        case FACT_FLASH_SENDING:
        case FACT_FLASH_SENT:
        case FACT_FLASH_ENDED:
                return fits(f->flash.id) && fits(f->flash.size_bytes) && fits(f->flash.until_usec);
        case FACT_CATALOG:
                return fits(f->catalog.version);
        case FACT_FLEET_LIST:
                return fits(f->fleet_list.seq);
        case FACT_ROLLOUT:
        case FACT_ROLLOUT_BEGUN:
        case FACT_ROLLOUT_ENDED:
                return fits(f->rollout.revision) && fits(f->rollout.window);
        case FACT_RECOVERY_BEGUN:
                return fits(f->old.head_seq);
        case FACT_KEY_MADE:
        case FACT_RESTORED:
                return f->key.numbers_from < INT64_MAX;
        default:
                return true;
        }
}

static bool fact_container_is_valid(const Fact *f) {
        const Container *c = &f->copy.container;

        if (f->kind != FACT_COPIED)
                return true;
        return container_format_to_string(c->format) && container_verdict_to_string(c->verdict) &&
               memchr(c->reason, 0, sizeof(c->reason)) && text_is_utf8(c->reason, strlen(c->reason));
}

static bool time_fits(int64_t wall_usec) {
        char text[UTC_TEXT_SIZE];
        int64_t again;

        return utc_from_text(utc_text(wall_usec, text), &again) >= 0 && again == wall_usec;
}

void fact_done(Fact *f) {
        const char **strings[FACT_STRINGS_MAX];
        size_t n = fact_strings(f, strings);

        for (size_t i = 0; i < n; i++) {
                free((char *) *strings[i]);
                *strings[i] = NULL;
        }
        if (f->kind == FACT_PULL_UNREADABLE) {
                free((ByteRange *) f->unreadable.ranges);
                f->unreadable.ranges = NULL;
        }
        if (f->kind == FACT_CLIP_RECOVERED) {
                free((Digest *) f->recovered.blocks);
                f->recovered.blocks = NULL;
        }
}

static int copy_ranges(const Fact *f, Fact *copy) {
        size_t size = f->unreadable.n_ranges * sizeof(ByteRange);
        ByteRange *ranges = malloc(size);

        if (!ranges)
                return -ENOMEM;
        memcpy(ranges, f->unreadable.ranges, size);
        copy->unreadable.ranges = ranges;
        return 0;
}

static int copy_blocks(const Fact *f, Fact *copy) {
        size_t size = f->recovered.n_blocks * sizeof(Digest);
        Digest *blocks = malloc(MAX2(size, sizeof(Digest)));

        if (!blocks)
                return -ENOMEM;
        if (size > 0)
                memcpy(blocks, f->recovered.blocks, size);
        copy->recovered.blocks = blocks;
        return 0;
}

/* What a fact points to beside its strings. */
static int copy_arrays(const Fact *f, Fact *copy) {
        switch (f->kind) {
        case FACT_PULL_UNREADABLE:
                return copy_ranges(f, copy);
        case FACT_CLIP_RECOVERED:
                return copy_blocks(f, copy);
        default:
                return 0;
        }
}

int fact_copy(const Fact *f, Fact *ret) {
        const char **strings[FACT_STRINGS_MAX];
        Fact copy = *f;
        size_t n, i;
        int r = 0;

        if (!fact_kind_to_string(f->kind) || !fact_container_is_valid(f))
                return -EINVAL;
        if (!fact_numbers_fit(f) || !time_fits(f->at.wall_usec))
                return -ERANGE;
        copy.at.boot_id[BOOT_ID_SIZE - 1] = 0;
        r = copy_arrays(f, &copy);
        if (r < 0)
                return r;
        n = fact_strings(&copy, strings);
        for (i = 0; i < n && r >= 0; i++) {
                bool large = (holds_descriptors(f) && strings[i] == &copy.usb.descriptors_hex) ||
                             (f->kind == FACT_SETTINGS && strings[i] == &copy.text) ||
                             (f->kind == FACT_ROSTER && strings[i] == &copy.issue.roster_json) ||
                             (f->kind == FACT_ROSTER && strings[i] == &copy.issue.roster_file) ||
                             (f->kind == FACT_FLEET_LIST && strings[i] == &copy.fleet_list.document) ||
                             (f->kind == FACT_CATALOG && strings[i] == &copy.catalog.document) ||
                             (f->kind == FACT_ROLLOUT && strings[i] == &copy.rollout.statement);
                size_t max = large ? FACT_DESCRIPTORS_MAX : FACT_TEXT_MAX;
                const char *s = *strings[i];

                if (!s)
                        continue;
                *strings[i] = NULL;
                if (strnlen(s, max + 1) > max)
                        r = -EMSGSIZE;
                else if (!text_is_utf8(s, strlen(s)))
                        r = -EINVAL;
                else {
                        *strings[i] = strdup(s);
                        if (!*strings[i])
                                r = -ENOMEM;
                }
        }
        if (r < 0) {
                /* What was not reached still belongs to the caller. */
                for (; i < n; i++)
                        *strings[i] = NULL;
                fact_done(&copy);
                return r;
        }
        *ret = copy;
        return 0;
}
