/* SPDX-License-Identifier: Apache-2.0 */
#include "service/settings_key.h"

#include <string.h>

#include "base/macro.h"
#include "base/text.h"

/* What is not brought into force by a reload: what threads, descriptors and objects were made from at the start. */
static const SettingKey keys[] = {
        { "bay", "number", "", false },
        { "bay", "charge_rank", "100", false },
        { "bay", "led", "", false },
        { "lights", "empty", "off", true },
        { "lights", "busy", "blue blink", true },
        { "lights", "charging", "#ff6000", true },
        { "lights", "ready", "green", true },
        { "lights", "take", "green fast", true },
        { "lights", "keep", "red", true },
        { "lights", "fault", "red fast", true },
        { "dock", "name", "", false },
        { "dock", "status_every", "5min", false },
        { "dock", "fleet", "", false },
        { "dock", "fleet_key", "", false },
        { "dock", "state_dir", "/var/lib/berth", false },
        { "dock", "plugin_dir", BERTH_LIBDIR "/plugins", false },
        { "dock", "worker", BERTH_LIBDIR "/berth-bay", false },
        { "dock", "models_dir", BERTH_DATADIR "/cameras.d", false },
        { "dock", "local_models_dir", "/etc/berth/cameras.d", false },
        { "dock", "uplink_socket", "/run/berth-uplink/uplink.sock", false },
        { "dock", "credentials", "", false },
        { "rack", "authorise", "no", false },
        { "rack", "budget", "", false },
        { "hub", "budget", "", false },
        { "shift", "when", "", true },
        { "charging", "ready", "90", true },
        { "charging", "hold", "100", false },
        { "charging", "look_every", "1h", true },
        { "charging", "gauge_every", "10min", true },
        { "charging", "min_celsius", "0", true },
        { "charging", "max_celsius", "45", true },
        { "spool", "reserve", "1G", false },
        { "spool", "keep", "0s", true },
        { "spool", "priority_reserve", "4G", true },
        { "custody", "checkpoint_every", "10min", true },
        { "policy", "erase", "after-receipt", true },
        { "policy", "accept", "digest", true },
        { "policy", "believe", "signed", true },
        { "policy", "set_clock", "yes", true },
        { "policy", "uploads", "8", false },
        { "policy", "store_within", "1d", true },
        { "roster", "due_after", "14h", true },
        { "roster", "follow_every", "5min", false },
        { "roster", "mark_best", "no", true },
        { "roster", "take_within", "10min", true },
        { "firmware", "keys", BERTH_SYSCONFDIR "/firmware.pub", false },
        { "firmware", "follow_every", "5min", false },
        { "firmware", "pinned", "", true },
        { "health", "clock_per_day", "10s", true },
        { "health", "storage_free_percent", "10", true },
        { "health", "medium_errors", "3", true },
        { "health", "faulted_dockings", "4", true },
        { "health", "weak_dockings", "3", true },
        { "health", "battery_wear_percent", "30", true },
        { "health", "hot_celsius", "60", true },
        { "health", "battery_fade_percent", "5", true },
        { "health", "clock_trend", "2s", true },
        { "health", "restarts", "5", true },
        { "health", "bay_cameras", "2", true },
        { "health", "bay_rests", "3", true },
        { "health", "bay_over_currents", "1", true },
        { "health", "firmware", "", true },
        { "timeouts", "call", "1min", true },
        { "timeouts", "stall", "15s", true },
        { "timeouts", "min_rate", "16K", true },
        { "timeouts", "backoff_min", "2s", true },
        { "timeouts", "backoff_max", "5min", true },
        { "timeouts", "over_current", "1min", true },
        { "timeouts", "reconcile", "30s", false },
        { "timeouts", "store_late", "20min", true },
};

const SettingKey *setting_keys(size_t *ret_n) {
        *ret_n = ELEMENTSOF(keys);
        return keys;
}

bool setting_section_is_named(const char *section) {
        return text_equal(section, "bay") || text_equal(section, "hub") || text_equal(section, "shift");
}

const SettingKey *setting_key_of(const char *key) {
        const char *dot = strrchr(key, '.');
        size_t n = strcspn(key, " .");

        for (size_t i = 0; i < ELEMENTSOF(keys) && dot; i++)
                if (strlen(keys[i].section) == n && strncmp(keys[i].section, key, n) == 0 && text_equal(keys[i].key, dot + 1))
                        return &keys[i];
        return NULL;
}
