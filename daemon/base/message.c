/* SPDX-License-Identifier: Apache-2.0 */
#include "base/message.h"

#include <stddef.h>

static const struct {
        const char *name, *id;
} messages[_MESSAGE_MAX] = {
        [MESSAGE_CAMERA_DOCKED] = { "camera-docked", "f0d86f0ee3584d1586b16871cebbf205" },
        [MESSAGE_CAMERA_READY] = { "camera-ready", "3f1a78cb61824ad481c4d1d73519e9bd" },
        [MESSAGE_CAMERA_UNDOCKED] = { "camera-undocked", "f3cd84060fda4f65854127afbcc1586a" },
        [MESSAGE_CAMERA_QUARANTINED] = { "camera-quarantined", "ba19496648cf466994591dbb3ca91835" },
        [MESSAGE_CAMERA_OVERDUE] = { "camera-overdue", "da4c7932856f46178ac4e87a2d8ed84d" },
        [MESSAGE_DEVICE_REFUSED] = { "device-refused", "4f8661f273504edf89c58ee7516612fd" },
        [MESSAGE_BAY_FAULT] = { "bay-fault", "50ba0d2fd213405590c9f35b8532486e" },
        [MESSAGE_BAY_OVER_CURRENT] = { "bay-over-current", "ba82eed052c8461ca53d5b9c2a40db30" },
        [MESSAGE_CLIP_STORED] = { "clip-stored", "b00b55e4ca6a49dca8c2237b6b9d243b" },
        [MESSAGE_CLIP_NOT_STORED] = { "clip-not-stored", "0a9df910b033451fb4d2496d5370c833" },
        [MESSAGE_CLIP_ERASED] = { "clip-erased", "ac953e13cad34d3ab400f71ad005a98e" },
        [MESSAGE_CLIP_NOT_ERASED] = { "clip-not-erased", "4a045ac748e34615a3820eb578f06984" },
        [MESSAGE_CLIP_CONFLICT] = { "clip-conflict", "6eba23c126694467a26d2c1d8080da16" },
        [MESSAGE_CLIP_UNREADABLE] = { "clip-unreadable", "320bce8749a44e12b9eee4250d665980" },
        [MESSAGE_STORE_READY] = { "store-ready", "40f27a3649ba4c54bf886e303b111d00" },
        [MESSAGE_STORE_UNREACHABLE] = { "store-unreachable", "83d0a3807e884ee383b49e0aa139e4aa" },
        [MESSAGE_SPOOL_FULL] = { "spool-full", "ee641fe274914d8b98898390a7ffabeb" },
        [MESSAGE_SPOOL_HAS_ROOM] = { "spool-has-room", "4eaf174378754494952e3bdb4c45183d" },
        [MESSAGE_DATABASE_FAILING] = { "database-failing", "5a64c171f1a04260a2757408dcc5eb2a" },
        [MESSAGE_DATABASE_BACK] = { "database-back", "ae90980e26b84e7aad14ef93dd176c72" },
        [MESSAGE_DATABASE_REBUILT] = { "database-rebuilt", "6ed17ab21cc84838b04ff8480c805048" },
        [MESSAGE_CUSTODY_WHOLE] = { "custody-whole", "b23e14e3f2f24ebb9caa9672472e3aee" },
        [MESSAGE_CUSTODY_BROKEN] = { "custody-broken", "76813c27298a494f883c1e49fcccf809" },
        [MESSAGE_CUSTODY_NOT_OURS] = { "custody-not-ours", "39a446677b74450db8b589b26a50ab98" },
        [MESSAGE_FLASH_BEGUN] = { "flash-begun", "a03ff8a45fc7435c92fe30d057da8d05" },
        [MESSAGE_FLASH_SUCCEEDED] = { "flash-succeeded", "75a9afa9da0e4e538912df225637f8d3" },
        [MESSAGE_FLASH_FAILED] = { "flash-failed", "e9ce3fd056784a88b6895e4866dca697" },
        [MESSAGE_ROLLOUT_STOPPED] = { "rollout-stopped", "7760183cdc0b4a688f4dc565c74a8db6" },
        [MESSAGE_STATEMENT_REFUSED] = { "statement-refused", "111a15eb1a4d4b27ae9e91e720adcb92" },
        [MESSAGE_CLOCK_SYNCHRONISED] = { "clock-synchronised", "6915ac55b6d84cc786ca692180f3463a" },
        [MESSAGE_CLOCK_UNSYNCHRONISED] = { "clock-unsynchronised", "0c6a68a8a8ef47b3a95a38393c223d53" },
        [MESSAGE_SETTING_CHANGED] = { "setting-changed", "c52a65faa1c64503a83fc7ec670a67d1" },
        [MESSAGE_SETTINGS_REFUSED] = { "settings-refused", "63f70c96090c4528b11cfcf8f1d1ca70" },
        [MESSAGE_IMPORT_ENDED] = { "import-ended", "052c3ca6d81b4b3095b7f2e3df15bdf9" },
};

const char *message_name(Message message) {
        return message > MESSAGE_NONE && message < _MESSAGE_MAX ? messages[message].name : NULL;
}

const char *message_id(Message message) {
        return message > MESSAGE_NONE && message < _MESSAGE_MAX ? messages[message].id : NULL;
}
