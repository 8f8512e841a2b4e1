/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl doctor`: is all that the dock depends on as it should be? Each point with what to do. */

#include <errno.h>
#include <stdio.h>
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
        { "ok", STYLE_GOOD, CTL_OK },
        { "note", STYLE_PLAIN, CTL_OK },
        { "warning", STYLE_WARN, CTL_WARNING },
        { "failed", STYLE_BAD, CTL_FAILURE },
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

/* ---- What is looked at --------------------------------------------------------------------------------------------- */

/* Adds its points: a CtlExit. */
typedef int (*Check)(sd_bus *bus, json_t *points);

static int check_store(sd_bus *bus, json_t *points) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name, *verdict, *text;
        int exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ExamineStore", &reply, "");
        if (exit_code != CTL_OK)
                return exit_code;
        int r = sd_bus_message_enter_container(reply, 'a', "(sss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sss)", &name, &verdict, &text)) > 0)
                r = add_point(points, name, verdict, text);
        return r < 0 ? bus_client_report(NULL, r) : CTL_OK;
}

static const Check checks[] = {
        check_store,
};

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
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(json_decrefp) json_t *points = json_array();
        int exit_code = bus_client_open(options, &bus);

        if (!points)
                return json_out(NULL, false);
        for (size_t i = 0; i < ELEMENTSOF(checks) && exit_code == CTL_OK; i++)
                exit_code = checks[i](bus, points);
        if (exit_code != CTL_OK)
                return exit_code;
        exit_code = options->json ? json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("doctor"), "points", points), false)
                                  : print_points(points);
        return exit_code != CTL_OK ? exit_code : ctl_finish(worst(points));
}
