/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A camera in its command mode, as far as a dock sees it; it sends nothing to the device. Options:
 *   serial=TEXT        instead of the USB serial
 *   password=TEXT      open() answers BERTH_DENIED unless the credential of that name is this, and tells the log which it got
 *   owner=TEXT         the officer's id
 *   drift=SECONDS      of its clock
 *   enter=denied|error how enter_storage() ends, else 0
 *   mute=yes           its clock can be set and not read, and what it holds as its owner is no text
 *   forgetful          what set_owner() writes is not what get_owner() reads
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <berth/plugin.h>

typedef struct Command {
        berth_host *host;
        char serial[BERTH_TEXT_MAX], enter[16];
        berth_owner owner;
        long drift_sec;
        int forgetful, mute;
} Command;

static Command command;

static int check_password(berth_host *host, const char *expected) {
        const char *given = berth_host_credential(host, "password");

        if (given && strcmp(given, expected) == 0)
                return 0;
        /* What no plugin may do, so that a test sees what the host makes of it. */
        berth_host_log(host, BERTH_LOG_WARNING, "the password '%s' is wrong", given ? given : "(none)");
        return BERTH_DENIED;
}

static int command_open(berth_host *host, const char *const *options, void **ret_state) {
        Command *c = &command;
        int r = 0;

        *c = (Command){ .host = host, .owner.struct_size = sizeof(berth_owner) };
        (void) berth_host_string(host, BERTH_STRING_SERIAL, c->serial);
        for (; *options && r == 0; options++)
                if (strncmp(*options, "serial=", 7) == 0)
                        (void) snprintf(c->serial, sizeof(c->serial), "%s", *options + 7);
                else if (strncmp(*options, "password=", 9) == 0)
                        r = check_password(host, *options + 9);
                else if (strncmp(*options, "owner=", 6) == 0)
                        (void) snprintf(c->owner.officer_id, sizeof(c->owner.officer_id), "%s", *options + 6);
                else if (strncmp(*options, "drift=", 6) == 0)
                        c->drift_sec = strtol(*options + 6, NULL, 10);
                else if (strncmp(*options, "enter=", 6) == 0)
                        (void) snprintf(c->enter, sizeof(c->enter), "%s", *options + 6);
                else if (strcmp(*options, "mute=yes") == 0)
                        c->mute = 1;
                else if (strcmp(*options, "forgetful=yes") == 0)
                        c->forgetful = 1;
                else
                        r = -EINVAL;
        *ret_state = c;
        return r;
}

static void command_close(void *state) {
        (void) state;
}

static int command_identify(void *state, berth_identity *ret) {
        const Command *c = state;

        (void) snprintf(ret->serial, sizeof(ret->serial), "%s", c->serial);
        (void) snprintf(ret->model, sizeof(ret->model), "Commander");
        return 0;
}

static int command_health(void *state, berth_health *ret) {
        const Command *c = state;

        ret->known = BERTH_HEALTH_BATTERY | BERTH_HEALTH_VOLUME | (c->mute ? 0 : BERTH_HEALTH_CLOCK);
        ret->battery_percent = 77;
        ret->clock_boottime_usec = berth_host_boottime_usec();
        ret->clock_unix_sec = time(NULL) + c->drift_sec;
        ret->volume_dirty = 1;
        return 0;
}

static int command_set_clock(void *state, int64_t unix_sec) {
        (void) state;
        (void) unix_sec;
        return 0;
}

static int command_list(void *state) {
        (void) state;
        return 0;
}

static int command_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        (void) state;
        (void) clip;
        (void) offset;
        (void) length;
        return -EOPNOTSUPP;
}

static int command_get_owner(void *state, berth_owner *ret) {
        const Command *c = state;

        if (c->mute)
                return -EBADMSG;
        *ret = c->owner;
        return 0;
}

static int command_set_owner(void *state, const berth_owner *owner) {
        Command *c = state;

        if (c->forgetful)
                return BERTH_DENIED;
        c->owner = *owner;
        return 0;
}

static int command_enter_storage(void *state) {
        const Command *c = state;

        return strcmp(c->enter, "denied") == 0 ? BERTH_DENIED : strcmp(c->enter, "error") == 0 ? -EIO : 0;
}

static int command_eject(void *state) {
        (void) state;
        return 0;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "command",
        .version = "1.0",
        .open = command_open,
        .close = command_close,
        .identify = command_identify,
        .health = command_health,
        .set_clock = command_set_clock,
        .list = command_list,
        .read = command_read,
        .get_owner = command_get_owner,
        .set_owner = command_set_owner,
        .enter_storage = command_enter_storage,
        .eject = command_eject,
};
