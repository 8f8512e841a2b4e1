/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ambarella.h"

/* A password that the dialect can carry, so that nothing of it could be taken for a part of the command. */
static int check_password(Ambarella *camera, const char *password) {
        const Dialect *d = camera->options.dialect;
        size_t length = strlen(password);
        bool fits = length > 0 && length <= d->password_max && !strpbrk(password, d->password_never);

        for (size_t i = 0; i < length; i++)
                fits = fits && password[i] >= 0x20 && password[i] <= 0x7E;
        if (fits)
                return 0;
        berth_host_log(camera->host, BERTH_LOG_ERR,
                       "the password that the dock's credentials give for this camera is not one of dialect %s: it must have 1 to %zu "
                       "characters of printable ASCII%s%s", d->name, d->password_max, d->password_never[0] ? ", without any of " : "",
                       d->password_never);
        return -EINVAL;
}

static int log_in(Ambarella *camera) {
        const char *password = berth_host_credential(camera->host, "password");
        int r;

        if (!password) {
                berth_host_log(camera->host, BERTH_LOG_ERR,
                               "the dock's credentials have no password for this camera, and it is sent nothing without one");
                return -ENOKEY;
        }
        r = check_password(camera, password);
        return r < 0 ? r : camera->options.dialect->log_in(camera, password);
}

static int find_interface(Ambarella *camera) {
        const Dialect *d = camera->options.dialect;

        for (size_t i = 0; i < berth_host_interfaces(camera->host); i++) {
                berth_usb_interface candidate;

                if (berth_host_interface(camera->host, i, &candidate) < 0)
                        break;
                if (d->fits(&candidate)) {
                        camera->interface = candidate;
                        return 0;
                }
        }
        berth_host_log(camera->host, BERTH_LOG_ERR,
                       "the device does not have %s, so that it does not speak dialect %s; it is sent nothing", d->shape, d->name);
        return -ENOENT;
}

static int open_camera(Ambarella *camera) {
        int r;

        r = find_interface(camera);
        if (r < 0)
                return r;
        r = berth_host_claim(camera->host, camera->interface.number, camera->interface.alternate);
        if (r < 0)
                return r;
        return log_in(camera);
}

static int parse_options(Ambarella *camera, const char *const *options) {
        const char *bad = NULL;
        int r;

        r = ambarella_options_parse(options, &camera->options, &bad);
        if (r < 0 && bad)
                berth_host_log(camera->host, BERTH_LOG_ERR, "the plugin ambarella does not take the option \"%s\"", bad);
        else if (r < 0)
                berth_host_log(camera->host, BERTH_LOG_ERR,
                               "the model does not say which dialect its cameras speak; set plugin.dialect to a, b or c");
        return r;
}

static int amba_open(berth_host *host, const char *const *options, void **ret_state) {
        Ambarella *camera;
        int r;

        camera = calloc(1, sizeof(*camera));
        if (!camera)
                return -ENOMEM;
        camera->host = host;
        r = parse_options(camera, options);
        if (r == 0)
                r = open_camera(camera);
        if (r != 0) {
                free(camera);
                return r;
        }
        *ret_state = camera;
        return 0;
}

static void amba_close(void *state) {
        free(state);
}

/* A camera that shows the password in place of itself must not bring it into records and logs. */
static bool is_secret(Ambarella *camera, const char *text) {
        const char *password = berth_host_credential(camera->host, "password");

        return password && strcmp(password, text) == 0;
}

static int secret_shown(Ambarella *camera) {
        return camera_answered_wrongly(camera, "tell its identity",
                                       "a field of it is the password of its log-in; give it another password");
}

static int amba_identify(void *state, berth_identity *ret) {
        berth_identity identity = { .struct_size = sizeof(identity) };
        Ambarella *camera = state;
        int r;

        r = camera->options.dialect->serial(camera, identity.serial);
        if (r != 0)
                return r;
        if (berth_host_string(camera->host, BERTH_STRING_MANUFACTURER, identity.manufacturer) < 0)
                identity.manufacturer[0] = '\0';
        if (berth_host_string(camera->host, BERTH_STRING_PRODUCT, identity.model) < 0)
                identity.model[0] = '\0';
        if (is_secret(camera, identity.serial) || is_secret(camera, identity.manufacturer) || is_secret(camera, identity.model))
                return secret_shown(camera);
        *ret = identity;
        return 0;
}

/*
 * No dialect has a word for reading the clock, so that its drift stays unknown; see README.md. A camera that will not tell its battery
 * is no worse for it: its footage matters more.
 */
static int amba_health(void *state, berth_health *ret) {
        berth_health health = { .struct_size = sizeof(health) };
        Ambarella *camera = state;
        int r;

        if (camera->options.dialect->battery) {
                r = camera->options.dialect->battery(camera, &health.battery_percent);
                if (r < 0 && r != -ENODATA)
                        return r;
                if (r == 0)
                        health.known |= BERTH_HEALTH_BATTERY;
        }
        *ret = health;
        return 0;
}

static int no_word(Ambarella *camera, const char *what) {
        berth_host_log(camera->host, BERTH_LOG_WARNING, "dialect %s has no command for %s", camera->options.dialect->name, what);
        return -EOPNOTSUPP;
}

static int amba_set_clock(void *state, int64_t unix_sec) {
        Ambarella *camera = state;
        int offset_minutes = camera->options.utc_offset_minutes, r;
        LocalTime time;

        if (!camera->options.dialect->set_clock)
                return no_word(camera, "its clock");
        if (camera->options.local_time)
                offset_minutes = (int) ((berth_host_utc_to_local(unix_sec) - unix_sec) / 60);
        r = local_time_from_unix(unix_sec, offset_minutes, &time);
        if (r < 0) {
                berth_host_log(camera->host, BERTH_LOG_ERR, "the time to be set is not one that a camera can show");
                return r;
        }
        return camera->options.dialect->set_clock(camera, &time);
}

/* Not "no clips": a camera in this mode must never pass for an empty one. */
static int amba_list(void *state) {
        Ambarella *camera = state;

        berth_host_log(camera->host, BERTH_LOG_WARNING, "it is in command mode and shows its footage in storage mode only");
        return -EOPNOTSUPP;
}

static int amba_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        (void) clip;
        (void) offset;
        (void) length;
        return amba_list(state);
}

static int amba_get_owner(void *state, berth_owner *ret) {
        Ambarella *camera = state;
        berth_owner owner;
        int r;

        if (!camera->options.dialect->get_owner)
                return no_word(camera, "whom it is issued to");
        r = camera->options.dialect->get_owner(camera, &owner);
        if (r != 0)
                return r;
        if (is_secret(camera, owner.officer_id) || is_secret(camera, owner.officer_name) || is_secret(camera, owner.unit_id) ||
            is_secret(camera, owner.unit_name))
                return secret_shown(camera);
        *ret = owner;
        return 0;
}

static int amba_set_owner(void *state, const berth_owner *owner) {
        Ambarella *camera = state;

        if (!camera->options.dialect->set_owner)
                return no_word(camera, "whom it is issued to");
        return camera->options.dialect->set_owner(camera, owner);
}

static int amba_enter_storage(void *state) {
        Ambarella *camera = state;

        return camera->options.dialect->enter_storage(camera);
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "ambarella",
        .version = BERTH_VERSION,
        .open = amba_open,
        .close = amba_close,
        .identify = amba_identify,
        .health = amba_health,
        .set_clock = amba_set_clock,
        .list = amba_list,
        .read = amba_read,
        .get_owner = amba_get_owner,
        .set_owner = amba_set_owner,
        .enter_storage = amba_enter_storage,
};
