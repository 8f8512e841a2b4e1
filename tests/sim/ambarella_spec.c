/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the control socket says about a camera in command mode:
 *
 *   {"cmd": "camera", "type": "ambarella", "name": NAME, "dialect": "a" | "b" | "c", …}
 *
 *   vid, pid, manufacturer, product, serial   of its USB descriptors (4255:0001, no serial)
 *   id                                        dialect A's device id, dialect B's serial in its record
 *   password, user_password                   of the log-in, and of dialect B's role "user"
 *   battery                                   percent
 *   officer_id, officer_name, unit_id, unit_name
 *   record                                    all 100 bytes of dialect B's record, in hex, in place of the texts
 *   class, bulk_in                            of its one interface (255, 0x81)
 *   storage                                   the device that it becomes in storage mode, by name
 *   leave_msec, away_msec                     how soon it leaves the bus then, and for how long
 *   stays                                     it takes that command, and stays as it is
 *
 * {"cmd": "set"} takes the same from `id` on. {"cmd": "state"} tells them, and `log_ins`, `log_ins_refused`, `logged_in`, `clock`
 * (as it was last set) and `commands`, which it got. {"cmd": "fault"}: ambarella_fault.h.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/ambarella.h"

#define VID 0x4255
#define PID 0x0001
#define BATTERY_DEFAULT 80
#define LEAVE_DEFAULT_MSEC 20
#define AWAY_DEFAULT_MSEC 50

const AmbaField amba_fields[5] = {
        { "id", 0, 9 }, { "officer_id", 9, 8 }, { "officer_name", 17, 35 }, { "unit_id", 52, 16 }, { "unit_name", 68, 32 },
};

static int complain(char *why, size_t why_size, const char *key) {
        (void) snprintf(why, why_size, "\"%s\" is not as the head of ambarella_spec.c describes it.", key);
        return -EINVAL;
}

static int take_text(const json_t *args, const char *key, char *ret, size_t size) {
        const json_t *value = json_object_get(args, key);

        if (!value)
                return 0;
        if (!json_is_string(value) || json_string_length(value) >= size)
                return -EINVAL;
        (void) snprintf(ret, size, "%s", json_string_value(value));
        return 0;
}

static int take_number(const json_t *args, const char *key, unsigned max, unsigned *ret) {
        const json_t *value = json_object_get(args, key);

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
                return -EINVAL;
        *ret = (unsigned) json_integer_value(value);
        return 0;
}

static int take_fields(AmbaCamera *camera, const json_t *args) {
        const char *hex = json_string_value(json_object_get(args, "record"));

        for (size_t i = 0; i < ELEMENTSOF(amba_fields); i++) {
                const AmbaField *f = &amba_fields[i];
                const json_t *value = json_object_get(args, f->key);

                if (!value)
                        continue;
                /* Dialect A's id may be longer than what the record has room for. */
                if (!json_is_string(value) || (json_string_length(value) > f->size && (i > 0 || camera->dialect == 'b')))
                        return -EINVAL;
                memset(camera->record + f->at, 0, f->size);
                memcpy(camera->record + f->at, json_string_value(value), MIN2(json_string_length(value), f->size));
        }
        if (hex && strlen(hex) != 2 * sizeof(camera->record))
                return -EINVAL;
        for (size_t i = 0; hex && i < sizeof(camera->record); i++)
                if (sscanf(hex + 2 * i, "%2hhx", &camera->record[i]) != 1)
                        return -EINVAL;
        return 0;
}

static int take_storage(AmbaCamera *camera, const json_t *args) {
        const json_t *value = json_object_get(args, "storage");
        char *name = NULL;

        if (!value)
                return 0;
        if (!json_is_null(value) && (!json_is_string(value) || !(name = strdup(json_string_value(value)))))
                return -EINVAL;
        free(camera->storage);
        camera->storage = name;
        return 0;
}

/* What `set` takes, and the `camera` command too. */
static int take(AmbaCamera *camera, const json_t *args, char *why, size_t why_size) {
        unsigned battery = camera->battery;

        if (take_text(args, "id", camera->id, sizeof(camera->id)) < 0)
                return complain(why, why_size, "id");
        if (take_text(args, "password", camera->password, sizeof(camera->password)) < 0)
                return complain(why, why_size, "password");
        if (take_text(args, "user_password", camera->user_password, sizeof(camera->user_password)) < 0)
                return complain(why, why_size, "user_password");
        if (take_number(args, "battery", UINT8_MAX, &battery) < 0)
                return complain(why, why_size, "battery");
        if (take_number(args, "leave_msec", 3600000, &camera->leave_msec) < 0)
                return complain(why, why_size, "leave_msec");
        if (take_number(args, "away_msec", 3600000, &camera->away_msec) < 0)
                return complain(why, why_size, "away_msec");
        if (take_fields(camera, args) < 0)
                return complain(why, why_size, "record");
        if (take_storage(camera, args) < 0)
                return complain(why, why_size, "storage");
        camera->battery = (uint8_t) battery;
        if (json_object_get(args, "stays"))
                camera->stays = json_is_true(json_object_get(args, "stays"));
        return 0;
}

static int build(AmbaCamera *camera, const json_t *spec, char *why, size_t why_size) {
        unsigned class_code = 0xff, bulk_in = 0x81;

        if (take_number(spec, "class", UINT8_MAX, &class_code) < 0 || take_number(spec, "bulk_in", UINT8_MAX, &bulk_in) < 0)
                return complain(why, why_size, "class");
        const uint8_t rest[] = {
                9, 2, 0, 0, 1, 1, 0, 0xc0, 250,
                9, 4, 0, 0, 2, (uint8_t) class_code, 0, 0, 0,
                7, 5, (uint8_t) bulk_in, 2, 0, 2, 0,
                7, 5, 0x01, 2, 0, 2, 0,
        };

        camera->descriptors_size = model_device_descriptor(&camera->identity, 0, camera->descriptors);
        memcpy(camera->descriptors + camera->descriptors_size, rest, sizeof(rest));
        camera->descriptors_size += sizeof(rest);
        model_finish_configuration(camera->descriptors, camera->descriptors_size);
        return 0;
}

static int take_identity(AmbaCamera *camera, const json_t *spec, char *why, size_t why_size) {
        const char *dialect = json_string_value(json_object_get(spec, "dialect"));
        json_t *whole;
        int r;

        if (!dialect || strlen(dialect) != 1 || !strchr("abc", dialect[0]))
                return complain(why, why_size, "dialect");
        camera->dialect = dialect[0];
        whole = json_pack("{s:i, s:i, s:s, s:o}", "vid", VID, "pid", PID, "manufacturer", "Ambarella", "product",
                          json_sprintf("Simulated camera, dialect %c", dialect[0] - 'a' + 'A'));
        if (!whole)
                return -ENOMEM;
        json_object_update(whole, (json_t *) spec);
        r = model_identity(whole, &camera->identity, why, why_size);
        json_decref(whole);
        return r;
}

int amba_camera_new(SimDevice *device, const json_t *spec, AmbaCamera **ret, char *why, size_t why_size) {
        AmbaCamera *camera = calloc(1, sizeof(*camera));
        int r;

        if (!camera)
                return -ENOMEM;
        camera->device = device;
        camera->battery = BATTERY_DEFAULT;
        camera->leave_msec = LEAVE_DEFAULT_MSEC;
        camera->away_msec = AWAY_DEFAULT_MSEC;
        r = take_identity(camera, spec, why, why_size);
        if (r >= 0)
                r = take(camera, spec, why, why_size);
        if (r >= 0)
                r = build(camera, spec, why, why_size);
        if (r < 0) {
                amba_camera_free(camera);
                return r;
        }
        *ret = camera;
        return 0;
}

AmbaCamera *amba_camera_free(AmbaCamera *camera) {
        if (!camera)
                return NULL;
        free(camera->storage);
        free(camera);
        return NULL;
}

static json_t *state(const AmbaCamera *camera) {
        json_t *o = json_pack("{s:s%, s:i, s:i, s:i, s:b, s:s}", "dialect", &camera->dialect, (size_t) 1, "battery", camera->battery,
                              "log_ins", (int) camera->log_ins, "log_ins_refused", (int) camera->log_ins_refused, "logged_in",
                              camera->logged_in, "clock", camera->clock);
        json_t *commands = json_array();
        char hex[2 * AMBA_RECORD_SIZE + 1];

        for (size_t i = 0; i < camera->n_history; i++)
                json_array_append_new(commands, json_string(amba_command_to_string(camera->history[i])));
        json_object_set_new(o, "commands", commands);
        for (size_t i = 0; i < AMBA_RECORD_SIZE; i++)
                (void) snprintf(hex + 2 * i, 3, "%02x", camera->record[i]);
        json_object_set_new(o, "record", json_string(hex));
        json_object_set_new(o, "id", json_string(camera->id));
        json_object_set_new(o, "storage", camera->storage ? json_string(camera->storage) : json_null());
        return o;
}

int amba_command(AmbaCamera *camera, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        if (text_equal(name, "state")) {
                *ret_answer = state(camera);
                return 0;
        }
        if (text_equal(name, "set"))
                return take(camera, args, why, why_size);
        if (text_equal(name, "fault"))
                return amba_fault_set(&camera->faults, args, why, why_size);
        (void) snprintf(why, why_size, "The ambarella model has no command \"%s\".", name);
        return -EINVAL;
}
