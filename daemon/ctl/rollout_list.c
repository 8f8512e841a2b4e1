/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/rollout_list.h"

#include <errno.h>

#include "base/text.h"
#include "ctl/dock.h"
#include "ctl/objects.h"

static int take_cameras(sd_bus_message *m, json_t *cameras) {
        const char *serial, *state, *code, *why;
        uint32_t wave;
        int r = sd_bus_message_enter_container(m, 'a', "(susss)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(susss)", &serial, &wave, &state, &code, &why)) > 0)
                (void) json_array_append_new(cameras, json_pack("{s:s, s:I, s:s, s:s, s:s}", "serial", serial, "wave", (json_int_t) wave,
                                                                "state", state, "code", code, "why", why));
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int take_waves(sd_bus_message *m, json_t *waves) {
        uint32_t wave, cameras;
        uint64_t ok, bad;
        int r = sd_bus_message_enter_container(m, 'a', "(uutt)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(uutt)", &wave, &cameras, &ok, &bad)) > 0)
                (void) json_array_append_new(waves, json_pack("{s:I, s:I, s:I, s:I}", "wave", (json_int_t) wave, "cameras",
                                                              (json_int_t) cameras, "ok", (json_int_t) ok, "bad", (json_int_t) bad));
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* One property of the rollout's interface; texts become JSON at once. */
static int take_property(const char *name, sd_bus_message *m, json_t *one) {
        static const char *const texts[][2] = { { "Version", "version" }, { "State", "state" }, { "Trouble", "trouble" } };
        const char *text;
        uint64_t revision;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (text_equal(texts[i][0], name)) {
                        r = sd_bus_message_read(m, "v", "s", &text);
                        return r < 0 ? r : json_object_set_new(one, texts[i][1], json_string(text));
                }
        if (text_equal(name, "Revision")) {
                r = sd_bus_message_read(m, "v", "t", &revision);
                return r < 0 ? r : json_object_set_new(one, "revision", json_integer((json_int_t) revision));
        }
        if (!text_equal(name, "Waves") && !text_equal(name, "Cameras"))
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_enter_container(m, 'v', text_equal(name, "Waves") ? "a(uutt)" : "a(susss)");
        if (r >= 0)
                r = text_equal(name, "Waves") ? take_waves(m, json_object_get(one, "waves")) :
                                                take_cameras(m, json_object_get(one, "cameras"));
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int take_rollout(void *userdata, const char *path, sd_bus_message *m) {
        json_t *rollouts = userdata, *one = NULL;
        const char *name;
        char *id = NULL;
        int r = sd_bus_path_decode(path, DOCK_PATH "/rollout", &id);

        if (r <= 0)
                return r < 0 ? r : sd_bus_message_skip(m, "a{sv}");
        one = json_pack("{s:s, s:[], s:[]}", "id", id, "waves", "cameras");
        free(id);
        r = one ? sd_bus_message_enter_container(m, 'a', "{sv}") : -ENOMEM;
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = take_property(name, m, one);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_decref(one);
                return r;
        }
        return json_array_append_new(rollouts, one) < 0 ? -ENOMEM : 0;
}

int rollouts_load(sd_bus_message *reply, json_t **ret) {
        _cleanup_(json_decrefp) json_t *rollouts = json_array();
        int r = rollouts ? objects_each(reply, DOCK_ROLLOUT_INTERFACE, take_rollout, rollouts) : -ENOMEM;

        if (r < 0)
                return r;
        *ret = TAKE_PTR(rollouts);
        return 0;
}
