/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The simulated mass-storage camera on the control socket.
 *
 *   camera       {"name", "type": "msc", "vid", "pid", "manufacturer", "product", "serial", "speed", "uas": has an alternate setting
 *                for USB Attached SCSI as well, which it does not serve, "units": [UNIT…], or the members of the only UNIT}
 *   UNIT         {"image": file of the machine (none: no medium), "size": bytes, when the medium is larger than the file,
 *                "sector": 512 to 4096, "read_only", "removable" (default true), "device_type" (default 0), "cache": true (writes
 *                reach the file at a flush), "descriptor_sense": true, "scsi_vendor", "scsi_product", "scsi_revision", "unit_serial"
 *                (of the vital product data; without it there are none)}
 *                "flash": file that is the camera's memory (firmware.h), whose version is then its revision, with "firmware_file": path on
 *                the only unit's card of what goes into it at each start, "reader": the program that reads the card
 *   set          {"keeps_old": it does not look for a firmware file, "stays_away": after an eject it is not seen again,
 *                "leaves_at_once": after an eject it is off the bus before it has answered,
 *                "unit": number, default 0, "read_only", "cache", "forgets": takes writes and does not keep them,
 *                "bad": [[first sector, how many]…], "pads": from a bad sector on something else is sent, as much as was asked for,
 *                and only then is it said, "image": another medium, or null for none (a unit attention tells),
 *                "cut_after": so many more sectors get into the file, then the power is gone, as if the cable were out}
 *   fault        see msc_fault.h
 *   state        what was counted: commands by name, sectors and flushes of each unit, resets, power cycles, faults
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/msc.h"

#define ASC_MEDIUM_CHANGED 0x28

MscCamera *msc_camera_free(MscCamera *camera) {
        if (!camera)
                return NULL;
        for (size_t i = 0; i < camera->n_units; i++)
                msc_medium_close(&camera->units[i].medium);
        free(camera);
        return NULL;
}
DEFINE_CLEANUP(MscCamera, msc_camera_free);

static bool flag(const json_t *spec, const char *key, bool otherwise) {
        const json_t *value = json_object_get(spec, key);

        return value ? json_is_true(value) : otherwise;
}

static void take_text(const json_t *spec, const char *key, const char *otherwise, char *ret, size_t size) {
        const char *value = json_string_value(json_object_get(spec, key));

        (void) snprintf(ret, size, "%s", value ?: otherwise);
}

static int take_image(MscUnit *unit, const json_t *spec, char *why, size_t why_size) {
        const char *path = json_string_value(json_object_get(spec, "image"));
        json_int_t size = json_integer_value(json_object_get(spec, "size"));
        json_int_t sector = json_object_get(spec, "sector") ? json_integer_value(json_object_get(spec, "sector")) : 512;
        int r;

        if (sector < 512 || sector > (json_int_t) MSC_SECTOR_MAX || (sector & (sector - 1)) != 0 || size < 0) {
                snprintf(why, why_size, "\"sector\" must be 512, 1024, 2048 or 4096, and \"size\" not negative.");
                return -EINVAL;
        }
        if (!path) {
                msc_medium_close(&unit->medium);
                return 0;
        }
        r = msc_medium_open(&unit->medium, path, (uint64_t) size, (uint32_t) sector);
        if (r < 0)
                snprintf(why, why_size, "The image %s cannot be opened: %s.", path, strerror(-r));
        else if (unit->medium.n_sectors == 0) {
                snprintf(why, why_size, "The image %s is empty.", path);
                r = -EINVAL;
        }
        return r;
}

static int add_unit(MscCamera *camera, const json_t *spec, char *why, size_t why_size) {
        MscUnit *unit = &camera->units[camera->n_units];

        if (camera->n_units == MSC_UNITS_MAX) {
                snprintf(why, why_size, "\"units\" must be a list of at most %u.", MSC_UNITS_MAX);
                return -EINVAL;
        }
        camera->n_units++;
        msc_medium_init(&unit->medium);
        unit->type = (uint8_t) json_integer_value(json_object_get(spec, "device_type"));
        unit->is_removable = flag(spec, "removable", true);
        unit->has_descriptor_sense = flag(spec, "descriptor_sense", false);
        unit->medium.is_read_only = flag(spec, "read_only", false);
        unit->medium.has_cache = flag(spec, "cache", false);
        take_text(spec, "scsi_vendor", "Berth", unit->vendor, sizeof(unit->vendor));
        take_text(spec, "scsi_product", "Simulated card", unit->product, sizeof(unit->product));
        take_text(spec, "scsi_revision", "1.0", unit->revision, sizeof(unit->revision));
        take_text(spec, "unit_serial", "", unit->serial, sizeof(unit->serial));
        return take_image(unit, spec, why, why_size);
}

static int take_identity(MscCamera *camera, const json_t *spec, char *why, size_t why_size) {
        json_t *whole = json_pack("{s:i, s:i, s:s, s:s}", "vid", 0x1209, "pid", 0x0008, "manufacturer", "Berth", "product",
                                  "Simulated storage camera");
        int r = -ENOMEM;

        if (whole && json_object_update(whole, (json_t *) spec) == 0)
                r = model_identity(whole, &camera->identity, why, why_size);
        json_decref(whole);
        return r;
}

static int add_units(MscCamera *camera, const json_t *spec, char *why, size_t why_size) {
        const json_t *units = json_object_get(spec, "units");
        int r = 0;

        if (!units)
                return add_unit(camera, spec, why, why_size);
        if (!json_is_array(units) || json_array_size(units) == 0) {
                snprintf(why, why_size, "\"units\" must be a list.");
                return -EINVAL;
        }
        for (size_t i = 0; r == 0 && i < json_array_size(units); i++)
                r = add_unit(camera, json_array_get(units, i), why, why_size);
        return r;
}

int msc_camera_new(SimDevice *device, const json_t *spec, MscCamera **ret, char *why, size_t why_size) {
        _cleanup_(msc_camera_freep) MscCamera *camera = NULL;
        const char *speed = json_string_value(json_object_get(spec, "speed"));
        int r;

        camera = calloc(1, sizeof(*camera));
        if (!camera)
                return -ENOMEM;
        camera->device = device;
        camera->packet = text_equal(speed, "super") ? 1024 : text_equal(speed, "full") ? 64 : 512;
        camera->has_uas = flag(spec, "uas", false);
        take_text(spec, "flash", "", camera->flash, sizeof(camera->flash));
        take_text(spec, "firmware_file", "", camera->firmware_file, sizeof(camera->firmware_file));
        take_text(spec, "reader", "", camera->reader, sizeof(camera->reader));
        take_text(spec, "image", "", camera->card, sizeof(camera->card));
        r = take_identity(camera, spec, why, why_size);
        if (r < 0)
                return r;
        r = add_units(camera, spec, why, why_size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(camera);
        return 0;
}

/* ---- commands ----------------------------------------------------------------------------------------------- */

static int take_bad(MscMedium *medium, const json_t *list, char *why, size_t why_size) {
        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) > MSC_BAD_RANGES_MAX) {
                snprintf(why, why_size, "\"bad\" must be a list of at most %u ranges.", MSC_BAD_RANGES_MAX);
                return -EINVAL;
        }
        medium->n_bad = 0;
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *range = json_array_get(list, i);

                medium->bad[medium->n_bad++] = (MscRange) {
                        (uint64_t) json_integer_value(json_array_get(range, 0)),
                        (uint64_t) json_integer_value(json_array_get(range, 1)),
                };
        }
        return 0;
}

static int command_set(MscCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        json_int_t number = json_integer_value(json_object_get(args, "unit"));
        MscUnit *unit;
        int r;

        (void) ret_answer;
        if (number < 0 || (size_t) number >= camera->n_units) {
                snprintf(why, why_size, "\"unit\" must be the number of a unit.");
                return -EINVAL;
        }
        unit = &camera->units[number];
        camera->keeps_old = flag(args, "keeps_old", camera->keeps_old);
        camera->stays_away = flag(args, "stays_away", camera->stays_away);
        camera->leaves_at_once = flag(args, "leaves_at_once", camera->leaves_at_once);
        unit->medium.is_read_only = flag(args, "read_only", unit->medium.is_read_only);
        unit->medium.has_cache = flag(args, "cache", unit->medium.has_cache);
        unit->medium.forgets = flag(args, "forgets", unit->medium.forgets);
        unit->medium.pads = flag(args, "pads", unit->medium.pads);
        if (json_is_integer(json_object_get(args, "cut_after")))
                unit->medium.cut_after = (uint64_t) json_integer_value(json_object_get(args, "cut_after"));
        r = take_bad(&unit->medium, json_object_get(args, "bad"), why, why_size);
        if (r == 0 && json_object_get(args, "image")) {
                r = take_image(unit, args, why, why_size);
                unit->has_attention = true;
                unit->attention_asc = ASC_MEDIUM_CHANGED;
                unit->is_ejected = false;
        }
        return r;
}

static int command_fault(MscCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        (void) ret_answer;
        return msc_faults_set(&camera->faults, args, why, why_size);
}

static json_t *describe_units(const MscCamera *camera) {
        json_t *units = json_array();

        for (size_t i = 0; units && i < camera->n_units; i++) {
                const MscUnit *unit = &camera->units[i];

                json_array_append_new(units, json_pack("{s:I, s:I, s:I, s:I, s:b, s:b}", "sectors", (json_int_t) unit->medium.n_sectors,
                                                       "read", (json_int_t) unit->medium.sectors_read, "written",
                                                       (json_int_t) unit->medium.sectors_written, "flushes",
                                                       (json_int_t) unit->medium.flushes, "ejected", unit->is_ejected, "cut",
                                                       unit->medium.is_cut));
        }
        return units;
}

static json_t *describe_commands(const MscCamera *camera) {
        json_t *commands = json_object();

        for (unsigned code = 0; commands && code < 256; code++) {
                char other[8];
                const char *name = msc_command_name((uint8_t) code);

                (void) snprintf(other, sizeof(other), "0x%02x", code);
                if (camera->command_counts[code] > 0)
                        json_object_set_new(commands, name ?: other, json_integer((json_int_t) camera->command_counts[code]));
        }
        return commands;
}

static int command_state(MscCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        json_t *state = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "class_resets", (json_int_t) camera->class_resets, "usb_resets",
                                  (json_int_t) camera->usb_resets, "power_cycles", (json_int_t) camera->power_cycles,
                                  "protocol_errors", (json_int_t) camera->protocol_errors, "faults_struck",
                                  (json_int_t) camera->faults.struck, "bytes_read", (json_int_t) camera->bytes_read);

        (void) args;
        (void) why;
        (void) why_size;
        if (!state)
                return -ENOMEM;
        json_object_set_new(state, "units", describe_units(camera));
        json_object_set_new(state, "commands", describe_commands(camera));
        json_object_set_new(state, "faults", msc_faults_describe(&camera->faults));
        *ret_answer = state;
        return 0;
}

int msc_control_command(MscCamera *camera, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size) {
        static const struct {
                const char *name;
                int (*run)(MscCamera *camera, const json_t *args, json_t **ret_answer, char *why, size_t why_size);
        } commands[] = { { "set", command_set }, { "fault", command_fault }, { "state", command_state } };

        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (text_equal(commands[i].name, name))
                        return commands[i].run(camera, args, ret_answer, why, why_size);
        snprintf(why, why_size, "A mass-storage camera has no command \"%.60s\".", name);
        return -EOPNOTSUPP;
}
