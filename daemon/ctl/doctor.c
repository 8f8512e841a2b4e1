/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl doctor [machine|rack|store]`: is all that the dock depends on as it should be? Each point with what to do. The machine is
 * looked at from here, since most of what can be wrong with it keeps the daemon from starting; rack and store are asked of the daemon.
 */

#include "ctl/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/display.h"
#include "ctl/json_out.h"
#include "ctl/term.h"

typedef struct Verdict {
        const char *name;
        Style style;
        int exit_code;
} Verdict;

/* From the best to the worst. */
static const Verdict verdicts[] = {
        { DOCTOR_OK, STYLE_GOOD, CTL_OK },
        { DOCTOR_NOTE, STYLE_PLAIN, CTL_OK },
        { DOCTOR_WARNING, STYLE_WARN, CTL_WARNING },
        { DOCTOR_FAILED, STYLE_BAD, CTL_FAILURE },
};

/* What a daemon that is newer than we are says is nothing to be silent about. */
static const Verdict *verdict_of(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(verdicts); i++)
                if (text_equal(verdicts[i].name, name))
                        return &verdicts[i];
        return &verdicts[2];
}

static int add_point(json_t *points, const char *name, const char *verdict, const char *text) {
        json_t *point = json_pack("{s:s, s:s, s:s}", "name", name, "verdict", verdict, "text", text);

        return json_array_append_new(points, point) < 0 ? -ENOMEM : 0;
}

int doctor_add(Doctor *d, const char *name, const char *verdict, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = text_vformat(format, ap);
        va_end(ap);
        return text ? add_point(d->points, name, verdict, text) : -ENOMEM;
}

/* ---- What is asked of the daemon ----------------------------------------------------------------------------------- */

static int say_refusal(Doctor *d, const char *name, const sd_bus_error *error, int r) {
        if (bus_client_is_unreachable(error, r))
                d->has_daemon = false;
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                return doctor_add(d, name, DOCTOR_WARNING, "the bus lets nobody but root ask this: run 'sudo berthctl doctor'");
        return doctor_add(d, name, DOCTOR_FAILED, "the daemon could not tell: %s", error->message ? error->message : strerror(-r));
}

static int ask(Doctor *d, const char *name, const char *member) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *point, *verdict, *text;
        int r;

        if (!d->has_daemon)
                return 0;
        r = bus_client_message(d->bus, DOCK_MANAGER_INTERFACE, member, &call);
        if (r < 0)
                return r;
        r = sd_bus_call(d->bus, call, 0, &error, &reply);
        if (r < 0)
                return say_refusal(d, name, &error, r);
        r = sd_bus_message_enter_container(reply, 'a', "(sss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sss)", &point, &verdict, &text)) > 0)
                r = add_point(d->points, point, verdict, text);
        return r;
}

static int ask_rack(Doctor *d) {
        return ask(d, "rack", "ExamineRack");
}

static int ask_store(Doctor *d) {
        return ask(d, "store", "ExamineStore");
}

static int look_for_daemon(Doctor *d) {
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        uid_t uid;
        int r;

        if (!d->bus)
                return doctor_add(d, "daemon", DOCTOR_FAILED, "there is no system bus to ask: 'systemctl status dbus' may tell why");
        r = sd_bus_get_name_creds(d->bus, DOCK_BUS_NAME, SD_BUS_CREDS_EUID, &creds);
        if (r < 0)
                return doctor_add(d, "daemon", DOCTOR_FAILED,
                                  "berthd does not run: 'systemctl status berthd' may tell why, 'systemctl enable --now berthd' starts it");
        d->has_daemon = true;
        if (sd_bus_creds_get_euid(creds, &uid) >= 0 && uid == 0)
                return doctor_add(d, "daemon", DOCTOR_WARNING,
                                  "berthd runs as root: start it by its unit berthd.service, as the user berth");
        return doctor_add(d, "daemon", DOCTOR_OK, "berthd runs");
}

/* ---- What is looked at --------------------------------------------------------------------------------------------- */

typedef struct Check {
        const char *part; /* NULL: of all */
        int (*look)(Doctor *d);
} Check;

static const Check checks[] = {
        { NULL, look_for_daemon },
        { "machine", doctor_users },
        { "machine", doctor_bus_policy },
        { "machine", doctor_udev },
        { "machine", doctor_clock },
        { "machine", doctor_disks },
        { "rack", ask_rack },
        { "rack", doctor_bays },
        { "store", ask_store },
};

static bool is_part(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(checks); i++)
                if (text_equal(checks[i].part, name))
                        return true;
        return false;
}

static int look(Doctor *d, const char *part) {
        int r = bus_client_connect(d->options, &d->bus);

        /* Without a bus there is a machine to look at all the same. */
        if (r < 0)
                d->bus = NULL;
        for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
                if (part && checks[i].part && !text_equal(checks[i].part, part))
                        continue;
                r = checks[i].look(d);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- What comes of it ---------------------------------------------------------------------------------------------- */

static int print_point(const json_t *point, const Look *look) {
        const char *verdict = json_string_value(json_object_get(point, "verdict"));
        const Style style = verdict_of(verdict)->style;
        _cleanup_(freep) char *shown = display_text(verdict, look);
        _cleanup_(freep) char *name = display_text(json_string_value(json_object_get(point, "name")), look);
        _cleanup_(freep) char *text = display_text(json_string_value(json_object_get(point, "text")), look);

        if (!shown || !name || !text)
                return -ENOMEM;
        return printf("%s%-8s%s %-16s %s\n", style_begin(style, look), shown, style_end(style, look), name, text) < 0 ? -EIO : 0;
}

static int print_points(const json_t *points) {
        const json_t *point;
        Look look;
        size_t i;

        term_look(&look);
        json_array_foreach(points, i, point) {
                int r = print_point(point, &look);
                if (r < 0)
                        return ctl_fail(CTL_FAILURE, "cannot print: %s", strerrordesc_np(-r));
        }
        return CTL_OK;
}

static int worst(const json_t *points) {
        const Verdict *found = &verdicts[0];
        const json_t *point;
        size_t i;

        json_array_foreach(points, i, point) {
                const Verdict *v = verdict_of(json_string_value(json_object_get(point, "verdict")));

                found = v > found ? v : found;
        }
        return found->exit_code;
}

int verb_doctor(const Options *options) {
        const char *part = options->n_args > 0 ? options->args[0] : NULL;
        Doctor d = { .options = options };
        int exit_code, r;

        if (part && !is_part(part))
                return ctl_fail(CTL_USAGE, "doctor looks at machine, rack or store, not at '%s'", part);
        d.points = json_array();
        if (!d.points)
                return json_out(NULL, false);
        r = look(&d, part);
        if (r < 0)
                exit_code = ctl_fail(CTL_FAILURE, "cannot look at everything: %s", strerrordesc_np(-r));
        else if (options->json)
                exit_code = json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("doctor"), "points", d.points), false);
        else
                exit_code = print_points(d.points);
        if (exit_code == CTL_OK)
                exit_code = ctl_finish(d.has_daemon ? worst(d.points) : CTL_UNREACHABLE);
        json_decref(d.points);
        sd_bus_flush_close_unref(d.bus);
        return exit_code;
}
