/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The events that somebody looks for in the journal. Each has a name, which is also its field BERTH_MESSAGE=, and a MESSAGE_ID= that never
 * changes; systemd/catalog/berth.catalog explains them to whoever reads by `journalctl -x`, berth-messages(7) lists them.
 */

typedef enum Message {
        MESSAGE_NONE, /* a line as any other */
        MESSAGE_CAMERA_DOCKED,
        MESSAGE_CAMERA_READY,
        MESSAGE_CAMERA_UNDOCKED,
        MESSAGE_CAMERA_QUARANTINED,
        MESSAGE_CAMERA_OVERDUE,
        MESSAGE_DEVICE_REFUSED,
        MESSAGE_BAY_FAULT,
        MESSAGE_BAY_OVER_CURRENT,
        MESSAGE_CLIP_STORED,
        MESSAGE_CLIP_NOT_STORED,
        MESSAGE_CLIP_ERASED,
        MESSAGE_CLIP_NOT_ERASED,
        MESSAGE_CLIP_CONFLICT,
        MESSAGE_CLIP_UNREADABLE,
        MESSAGE_STORE_READY,
        MESSAGE_STORE_UNREACHABLE,
        MESSAGE_SPOOL_FULL,
        MESSAGE_SPOOL_HAS_ROOM,
        MESSAGE_DATABASE_FAILING,
        MESSAGE_DATABASE_BACK,
        MESSAGE_DATABASE_REBUILT,
        MESSAGE_CUSTODY_WHOLE,
        MESSAGE_CUSTODY_BROKEN,
        MESSAGE_CUSTODY_NOT_OURS,
        MESSAGE_FLASH_BEGUN,
        MESSAGE_FLASH_SUCCEEDED,
        MESSAGE_FLASH_FAILED,
        MESSAGE_ROLLOUT_STOPPED,
        MESSAGE_STATEMENT_REFUSED,
        MESSAGE_CLOCK_SYNCHRONISED,
        MESSAGE_CLOCK_UNSYNCHRONISED,
        MESSAGE_SETTING_CHANGED,
        MESSAGE_SETTINGS_REFUSED,
        MESSAGE_IMPORT_ENDED,
        _MESSAGE_MAX,
} Message;

/* "camera-docked", and 32 hex digits; NULL for MESSAGE_NONE. */
const char *message_name(Message message);
const char *message_id(Message message);
