/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/property.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "ctl/dock.h"


const Property manager_properties[] = {
        PROPERTY(DockManager, "DockName", "name", STRING, dock_name),
        PROPERTY(DockManager, "DockId", "dock_id", STRING, dock_id),
        PROPERTY(DockManager, "DockKey", "dock_key", STRING, dock_key),
        PROPERTY(DockManager, "Fleet", "fleet", STRING, fleet),
        PROPERTY(DockManager, "Version", "version", STRING, version),
        PROPERTY(DockManager, "State", "state", STRING, state),
        PROPERTY(DockManager, "Reason", "reason", STRING, reason),
        PROPERTY(DockManager, "StoreState", "store_state", STRING, store_state),
        PROPERTY(DockManager, "StoreReason", "store_reason", STRING, store_reason),
        PROPERTY(DockManager, "SpoolState", "spool_state", STRING, spool_state),
        PROPERTY(DockManager, "SpoolUsedBytes", "spool_used_bytes", UINT64, spool_used_bytes),
        PROPERTY(DockManager, "SpoolFreeBytes", "spool_free_bytes", UINT64, spool_free_bytes),
        PROPERTY(DockManager, "SpoolHoldsSec", "spool_holds_sec", SPAN, spool_holds_sec),
        PROPERTY(DockManager, "UnstoredClips", "unstored_clips", UINT64, unstored_clips),
        PROPERTY(DockManager, "UnstoredBytes", "unstored_bytes", UINT64, unstored_bytes),
        /* Of the transfers; none of the others has a property of this name. */
        PROPERTY(DockManager, "Paused", "uploads_paused", BOOL, uploads_paused),
        PROPERTY(DockManager, "ClockSynchronised", "clock_synchronised", BOOL, clock_synchronised),
        PROPERTY(DockManager, "ChainState", "chain_state", STRING, chain_state),
        PROPERTY(DockManager, "NextShiftUsec", "next_shift_usec", INT64, next_shift_usec),
};
const size_t n_manager_properties = ELEMENTSOF(manager_properties);

const Property bay_properties[] = {
        PROPERTY(DockBay, "Number", "number", UINT32, number),
        PROPERTY(DockBay, "PortPath", "port_path", STRING, port_path),
        PROPERTY(DockBay, "State", "state", STRING, state),
        PROPERTY(DockBay, "Light", "light", STRING, light),
        PROPERTY(DockBay, "Reason", "reason", STRING, reason),
        PROPERTY(DockBay, "Camera", NULL, OBJECT, camera_path),
        PROPERTY(DockBay, "Serial", "serial", STRING, serial),
        PROPERTY(DockBay, "Model", "model", STRING, model),
        PROPERTY(DockBay, "BatteryPercent", "battery_percent", PERCENT, battery_percent),
        PROPERTY(DockBay, "ClipsTotal", "clips_total", UINT32, clips_total),
        PROPERTY(DockBay, "ClipsCopied", "clips_copied", UINT32, clips_copied),
        PROPERTY(DockBay, "ClipsStored", "clips_stored", UINT32, clips_stored),
        PROPERTY(DockBay, "ClipsErased", "clips_erased", UINT32, clips_erased),
        PROPERTY(DockBay, "BytesTotal", "bytes_total", UINT64, bytes_total),
        PROPERTY(DockBay, "BytesCopied", "bytes_copied", UINT64, bytes_copied),
        PROPERTY(DockBay, "BytesStored", "bytes_stored", UINT64, bytes_stored),
        PROPERTY(DockBay, "CurrentClip", "current_clip", STRING, current_clip),
        PROPERTY(DockBay, "Faults", "faults", UINT32, faults),
        PROPERTY(DockBay, "RetryAtUsec", "retry_at_usec", UINT64, retry_at_usec),
        PROPERTY(DockBay, "Identity", "identity", STRING, identity),
        PROPERTY(DockBay, "Power", "power", BOOL, power),
        PROPERTY(DockBay, "Charge", "charge", STRING, charge),
        PROPERTY(DockBay, "ChargePercent", "charge_percent", PERCENT, charge_percent),
        PROPERTY(DockBay, "MinutesToFull", "minutes_to_full", PERCENT, minutes_to_full),
        PROPERTY(DockBay, "ReadyAtUsec", "ready_at_usec", INT64, ready_at_usec),
        PROPERTY(DockBay, "ReadyInTime", "ready_in_time", BOOL, ready_in_time),
        PROPERTY(DockBay, "FlashPercent", "flash_percent", PERCENT, flash_percent),
        PROPERTY(DockBay, "FlashVersion", "flash_version", STRING, flash_version),
};
const size_t n_bay_properties = ELEMENTSOF(bay_properties);

const Property camera_properties[] = {
        PROPERTY(DockCamera, "Serial", "serial", STRING, serial),
        PROPERTY(DockCamera, "Manufacturer", "manufacturer", STRING, manufacturer),
        PROPERTY(DockCamera, "Model", "model", STRING, model),
        PROPERTY(DockCamera, "Firmware", "firmware", STRING, firmware),
        PROPERTY(DockCamera, "ModelId", "model_id", STRING, model_id),
        PROPERTY(DockCamera, "BatteryPercent", "battery_percent", PERCENT, battery_percent),
        PROPERTY(DockCamera, "Bay", NULL, OBJECT, bay_path),
        PROPERTY(DockCamera, "ClockDriftUsec", "clock_drift_usec", INT64, clock_drift_usec),
        PROPERTY(DockCamera, "ClockDriftKnown", "clock_drift_known", BOOL, clock_drift_known),
        PROPERTY(DockCamera, "TemperatureDecidegrees", "temperature_decidegrees", INT64, temperature_decidegrees),
        PROPERTY(DockCamera, "TemperatureKnown", "temperature_known", BOOL, temperature_known),
        PROPERTY(DockCamera, "LastDockedUsec", "last_docked_usec", UINT64, last_docked_usec),
        PROPERTY(DockCamera, "Ambiguous", "ambiguous", BOOL, ambiguous),
        PROPERTY(DockCamera, "OfficerId", "officer_id", STRING, officer_id),
        PROPERTY(DockCamera, "OfficerName", "officer_name", STRING, officer_name),
        PROPERTY(DockCamera, "UnitId", "unit_id", STRING, unit_id),
        PROPERTY(DockCamera, "UnitName", "unit_name", STRING, unit_name),
        PROPERTY(DockCamera, "Health", "health", STRING, health),
        PROPERTY(DockCamera, "HeldBack", "held_back", STRING, held_back),
};
const size_t n_camera_properties = ELEMENTSOF(camera_properties);

static const char *const signature[_PROPERTY_KIND_MAX] = {
        [PROPERTY_STRING] = "s", [PROPERTY_MAYBE] = "s",  [PROPERTY_OBJECT] = "o",  [PROPERTY_BOOL] = "b",
        [PROPERTY_UINT32] = "u", [PROPERTY_UINT64] = "t", [PROPERTY_COUNT] = "t",   [PROPERTY_INT64] = "x", [PROPERTY_TIME] = "x",
        [PROPERTY_SPAN] = "x",   [PROPERTY_PERCENT] = "i", [PROPERTY_RANGES] = "a(tt)", [PROPERTY_LIST] = "as",
        [PROPERTY_TALLY] = "a{st}", [PROPERTY_OUTCOME] = "a{sv}",
};

static void list_free(char **list) {
        for (size_t i = 0; list && list[i]; i++)
                free(list[i]);
        free(list);
}

static bool is_json(PropertyKind kind) {
        return kind == PROPERTY_RANGES || kind == PROPERTY_TALLY || kind == PROPERTY_OUTCOME;
}

static bool is_text(PropertyKind kind) {
        return kind == PROPERTY_STRING || kind == PROPERTY_OBJECT || kind == PROPERTY_MAYBE;
}

int properties_init(const Property *properties, size_t n, void *object) {
        for (size_t i = 0; i < n; i++) {
                void *member = (char *) object + properties[i].offset;
                if (properties[i].kind == PROPERTY_PERCENT)
                        *(int32_t *) member = -1;
                if (properties[i].kind == PROPERTY_SPAN)
                        *(int64_t *) member = -1;
                if (properties[i].kind == PROPERTY_COUNT)
                        *(uint64_t *) member = UINT64_MAX;
                if (properties[i].kind == PROPERTY_TIME)
                        *(int64_t *) member = PROPERTY_TIME_UNKNOWN;
                if (!is_text(properties[i].kind) || properties[i].kind == PROPERTY_MAYBE)
                        continue;
                *(char **) member = strdup("");
                if (!*(char **) member)
                        return -ENOMEM;
        }
        return 0;
}

void properties_clear(const Property *properties, size_t n, void *object) {
        for (size_t i = 0; i < n; i++) {
                void *at = (char *) object + properties[i].offset;
                if (is_text(properties[i].kind)) {
                        free(*(char **) at);
                        *(char **) at = NULL;
                } else if (is_json(properties[i].kind)) {
                        json_decref(*(json_t **) at);
                        *(json_t **) at = NULL;
                } else if (properties[i].kind == PROPERTY_LIST) {
                        list_free(*(char ***) at);
                        *(char ***) at = NULL;
                }
        }
}

/* a(tt) as [[offset, length], …]. */
static int read_ranges(sd_bus_message *m, json_t **ret) {
        _cleanup_(json_decrefp) json_t *array = json_array();
        uint64_t offset, length;
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "(tt)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(tt)", &offset, &length)) > 0)
                if (json_array_append_new(array, json_pack("[I, I]", (json_int_t) MIN2(offset, (uint64_t) INT64_MAX),
                                                           (json_int_t) MIN2(length, (uint64_t) INT64_MAX))) < 0)
                        return -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        json_decref(*ret);
        *ret = TAKE_PTR(array);
        return 0;
}

/* a{st} as an object. */
static int read_tally(sd_bus_message *m, json_t **ret) {
        _cleanup_(json_decrefp) json_t *object = json_object();
        const char *key;
        uint64_t value;
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{st}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{st}", &key, &value)) > 0)
                if (json_object_set_new(object, key, json_integer((json_int_t) MIN2(value, (uint64_t) INT64_MAX))) < 0)
                        return -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        json_decref(*ret);
        *ret = TAKE_PTR(object);
        return 0;
}

/* One value of an outcome; what is neither a text nor a number is passed over. */
static int read_outcome_value(sd_bus_message *m, const char *name, json_t *object) {
        char key[64];
        size_t i = 0;
        const char *contents, *text;
        uint64_t number;
        json_t *value;
        int r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!text_equal(contents, "s") && !text_equal(contents, "t"))
                return sd_bus_message_skip(m, "v");
        if (text_equal(contents, "s")) {
                r = sd_bus_message_read(m, "v", "s", &text);
                value = r < 0 ? NULL : json_string(text);
        } else {
                r = sd_bus_message_read(m, "v", "t", &number);
                value = r < 0 ? NULL : json_integer((json_int_t) MIN2(number, (uint64_t) INT64_MAX));
        }
        for (; name[i] && i + 1 < sizeof(key); i++)
                key[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char) (name[i] - 'A' + 'a') : name[i];
        key[i] = 0;
        return r < 0 ? r : json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int read_outcome(sd_bus_message *m, json_t **ret) {
        _cleanup_(json_decrefp) json_t *object = json_object();
        const char *name;
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &name);
                if (r >= 0)
                        r = read_outcome_value(m, name, object);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        json_decref(*ret);
        *ret = TAKE_PTR(object);
        return 0;
}

static int read_value(const Property *p, void *object, sd_bus_message *m) {
        void *member = (char *) object + p->offset;
        if (is_text(p->kind)) {
                const char *text;
                int r = sd_bus_message_read_basic(m, *signature[p->kind], &text);
                if (r < 0)
                        return r;
                char *copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
                free(*(char **) member);
                *(char **) member = copy;
                return 0;
        }
        if (p->kind == PROPERTY_LIST) {
                char **list = NULL;
                int r = sd_bus_message_read_strv(m, &list);
                if (r < 0)
                        return r;
                list_free(*(char ***) member);
                *(char ***) member = list;
                return 0;
        }
        if (p->kind == PROPERTY_BOOL) {
                int value;
                int r = sd_bus_message_read_basic(m, SD_BUS_TYPE_BOOLEAN, &value);
                if (r < 0)
                        return r;
                *(bool *) member = value;
                return 0;
        }
        if (p->kind == PROPERTY_RANGES)
                return read_ranges(m, member);
        if (p->kind == PROPERTY_TALLY)
                return read_tally(m, member);
        if (p->kind == PROPERTY_OUTCOME)
                return read_outcome(m, member);
        return sd_bus_message_read_basic(m, *signature[p->kind], member);
}

static int read_variant(const Property *properties, size_t n, void *object, const char *name, sd_bus_message *m) {
        for (size_t i = 0; i < n; i++) {
                const char *type = signature[properties[i].kind];
                const char *contents;
                if (!text_equal(properties[i].name, name))
                        continue;
                int r = sd_bus_message_peek_type(m, NULL, &contents);
                if (r < 0)
                        return r;
                if (!text_equal(contents, type))
                        break;
                r = sd_bus_message_enter_container(m, SD_BUS_TYPE_VARIANT, type);
                if (r < 0)
                        return r;
                r = read_value(&properties[i], object, m);
                return r < 0 ? r : sd_bus_message_exit_container(m);
        }
        return sd_bus_message_skip(m, "v");
}

int properties_read(const Property *properties, size_t n, void *object, sd_bus_message *m) {
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                const char *name;
                r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &name);
                if (r < 0)
                        return r;
                r = read_variant(properties, n, object, name, m);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static json_t *list_to_json(char *const *list) {
        json_t *array = json_array();
        for (size_t i = 0; array && list && list[i]; i++)
                if (json_array_append_new(array, json_string(list[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

static json_t *value_to_json(const Property *p, const void *object) {
        const void *member = (const char *) object + p->offset;
        switch (p->kind) {
        case PROPERTY_STRING:
        case PROPERTY_OBJECT:
                return json_string(*(char *const *) member);
        case PROPERTY_MAYBE:
                return *(char *const *) member ? json_string(*(char *const *) member) : json_null();
        case PROPERTY_LIST:
                return list_to_json(*(char **const *) member);
        case PROPERTY_BOOL:
                return json_boolean(*(const bool *) member);
        case PROPERTY_UINT32:
                return json_integer(*(const uint32_t *) member);
        case PROPERTY_COUNT:
                if (*(const uint64_t *) member == UINT64_MAX)
                        return json_null();
                /* fall through */
        case PROPERTY_UINT64:
                return json_integer((json_int_t) MIN2(*(const uint64_t *) member, (uint64_t) INT64_MAX));
        case PROPERTY_INT64:
                return json_integer(*(const int64_t *) member);
        case PROPERTY_TIME:
                return *(const int64_t *) member == PROPERTY_TIME_UNKNOWN ? json_null()
                                                                          : json_integer(*(const int64_t *) member);
        case PROPERTY_SPAN:
                return *(const int64_t *) member < 0 ? json_null() : json_integer(*(const int64_t *) member);
        case PROPERTY_PERCENT:
                return *(const int32_t *) member < 0 ? json_null() : json_integer(*(const int32_t *) member);
        case PROPERTY_RANGES:
        case PROPERTY_TALLY:
        case PROPERTY_OUTCOME:
                return *(json_t *const *) member ? json_incref(*(json_t *const *) member) : json_null();
        case _PROPERTY_KIND_MAX:
                break;
        }
        return NULL;
}

int properties_to_json(const Property *properties, size_t n, const void *object, json_t *json) {
        for (size_t i = 0; i < n; i++)
                if (properties[i].json &&
                    json_object_set_new(json, properties[i].json, value_to_json(&properties[i], object)) < 0)
                        return -ENOMEM;
        return 0;
}
