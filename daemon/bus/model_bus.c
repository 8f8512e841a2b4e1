/* SPDX-License-Identifier: Apache-2.0 */

/* Camera models on the bus: those that the running daemon goes by. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/manager_methods.h"

/* The dictionary under construction; the first failure stays. */
typedef struct Entry {
        sd_bus_message *m;
        int r;
} Entry;

static void put_text(Entry *e, const char *key, const char *text) {
        if (e->r >= 0 && text && *text)
                e->r = sd_bus_message_append(e->m, "{sv}", key, "s", text);
}

static void put_number(Entry *e, const char *key, uint32_t number) {
        if (e->r >= 0 && number > 0)
                e->r = sd_bus_message_append(e->m, "{sv}", key, "u", number);
}

static void open_list(Entry *e, const char *key) {
        if (e->r >= 0)
                e->r = sd_bus_message_open_container(e->m, 'e', "sv");
        if (e->r >= 0)
                e->r = sd_bus_message_append(e->m, "s", key);
        if (e->r >= 0)
                e->r = sd_bus_message_open_container(e->m, 'v', "as");
        if (e->r >= 0)
                e->r = sd_bus_message_open_container(e->m, 'a', "s");
}

static void put_item(Entry *e, const char *text) {
        if (e->r >= 0)
                e->r = sd_bus_message_append(e->m, "s", text);
}

/* The array, the variant, the pair. */
static void close_list(Entry *e) {
        for (unsigned i = 0; i < 3 && e->r >= 0; i++)
                e->r = sd_bus_message_close_container(e->m);
}

static void put_list(Entry *e, const char *key, const ModelList *list) {
        if (list->n == 0)
                return;
        open_list(e, key);
        for (size_t i = 0; i < list->n; i++)
                put_item(e, list->items[i]);
        close_list(e);
}

static void put_classes(Entry *e, const char *key, const ModelClasses *classes) {
        char text[MODEL_TEXT_SIZE];

        if (classes->n == 0)
                return;
        open_list(e, key);
        for (size_t i = 0; i < classes->n; i++)
                put_item(e, usb_class_text(&classes->items[i], text));
        close_list(e);
}

static void put_ids(Entry *e, const Model *m) {
        char text[MODEL_TEXT_SIZE];

        open_list(e, "Match");
        if (m->match_any_id)
                put_item(e, "any");
        for (size_t i = 0; i < m->n_ids; i++) {
                (void) snprintf(text, sizeof(text), "%04x:%04x", m->ids[i].vid, m->ids[i].pid);
                put_item(e, text);
        }
        close_list(e);
}

static void put_curve(Entry *e, const Model *m) {
        char text[MODEL_TEXT_SIZE];

        if (m->n_charge_curve == 0)
                return;
        open_list(e, "ChargeCurve");
        for (size_t i = 0; i < m->n_charge_curve; i++) {
                (void) snprintf(text, sizeof(text), "%u:%u", m->charge_curve[i].percent, m->charge_curve[i].ma);
                put_item(e, text);
        }
        close_list(e);
}

static void put_firmware(Entry *e, const Model *m) {
        _cleanup_(freep) char *text = NULL;

        if (m->firmware != MODEL_FIRMWARE_FILE)
                return put_text(e, "Firmware", model_firmware_to_string(m->firmware));
        text = text_format("file %s", m->firmware_file);
        if (!text)
                e->r = -ENOMEM;
        put_text(e, "Firmware", text);
}

static int append_model(sd_bus_message *reply, const Model *m) {
        char zone[MODEL_TEXT_SIZE], erase[MODEL_TEXT_SIZE];
        Entry e = { .m = reply };

        e.r = sd_bus_message_open_container(reply, 'a', "{sv}");
        put_text(&e, "Id", m->id);
        put_text(&e, "Description", m->description);
        put_text(&e, "Tested", m->tested);
        put_text(&e, "File", m->file);
        if (e.r >= 0)
                e.r = sd_bus_message_append(reply, "{sv}", "Local", "b", (int) (m->source != MODEL_SHIPPED));
        put_text(&e, "Plugin", m->plugin);
        put_list(&e, "Options", &m->options);
        put_list(&e, "ReturnsAs", &m->returns_as);
        put_ids(&e, m);
        put_text(&e, "MatchManufacturer", m->match_manufacturer);
        put_text(&e, "MatchProduct", m->match_product);
        put_text(&e, "MatchSerial", m->match_serial);
        put_classes(&e, "Interfaces", &m->interfaces);
        put_classes(&e, "OtherInterfaces", &m->others);
        put_list(&e, "Footage", &m->footage);
        put_list(&e, "Priority", &m->priority);
        put_list(&e, "CompanionsTaken", &m->companions_taken);
        put_list(&e, "CompanionsIgnored", &m->companions_ignored);
        put_text(&e, "FileTimes", model_zone_text(m, zone));
        put_text(&e, "Erase", model_erase_text(m, erase));
        put_number(&e, "ChargeMa", m->charge_ma);
        put_number(&e, "BatteryMah", m->battery_mah);
        put_number(&e, "BatteryFloorPercent", m->battery_floor_percent);
        put_curve(&e, m);
        put_firmware(&e, m);
        return e.r < 0 ? e.r : sd_bus_message_close_container(reply);
}

int manager_bus_list_models(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Models *models = manager_models((*(Bus **) userdata)->manager);
        int r;

        (void) ret_error;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < models->n && r >= 0; i++)
                r = append_model(reply, models->models[i]);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
