/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/watch_lines.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/json_out.h"
#include "ctl/term.h"

static int out_of_memory(void) {
        return ctl_fail(CTL_FAILURE, "out of memory");
}

static const char *const change_names[_WATCH_CHANGE_MAX] = {
        [WATCH_DAEMON_BACK] = "daemon-back", [WATCH_DAEMON_GONE] = "daemon-gone",
        [WATCH_DOCK] = "dock",               [WATCH_BAY] = "bay",
        [WATCH_BAY_REMOVED] = "bay-removed", [WATCH_CAMERA] = "camera",
        [WATCH_CAMERA_REMOVED] = "camera-removed",
};

int watch_print_json(WatchChange change, const Dock *dock, const DockBay *bay, const DockCamera *camera) {
        char time[UTC_TEXT_SIZE];
        _cleanup_(json_decrefp) json_t *json = json_pack("{s:s, s:s, s:s}", "schema", JSON_SCHEMA("change"), "time",
                                                         utc_text(clock_wall_usec(), time), "change",
                                                         change_names[change]);
        int r = json ? 0 : -1;
        if (r == 0 && change == WATCH_DOCK)
                r = json_object_set_new(json, "dock", json_of_manager(&dock->manager));
        if (r == 0 && bay)
                r = json_object_set_new(json, "bay", json_of_bay(bay));
        if (r == 0 && camera)
                r = json_object_set_new(json, "camera", json_of_camera(dock, camera));
        if (r < 0)
                return out_of_memory();
        int exit_code = json_out(TAKE_PTR(json), true);
        return exit_code == CTL_OK ? ctl_finish(CTL_OK) : exit_code;
}

int watch_print_line(char *text) {
        _cleanup_(freep) char *raw = text;
        char time[UTC_TEXT_SIZE];
        Look look;
        term_look(&look);
        _cleanup_(freep) char *safe = raw ? display_text(raw, &look) : NULL;
        if (!safe)
                return out_of_memory();
        utc_text(clock_wall_usec(), time);
        /* Whole seconds are what people read. */
        printf("%.19sZ %s\n", time, safe);
        return ctl_finish(CTL_OK);
}

/* Whether `now` differs from *told, which it then becomes. Takes `now`. */
static bool is_news(char *now, char **told) {
        if (*told && text_equal(now, *told)) {
                free(now);
                return false;
        }
        free(*told);
        *told = now;
        return true;
}

static char *bay_line(const DockBay *b) {
        char *line = NULL;
        size_t size = 0;
        char bytes[16];
        FILE *f = open_memstream(&line, &size);
        if (!f)
                return NULL;

        fprintf(f, "bay %u %s", b->number, b->state);
        if (*b->serial)
                fprintf(f, ": camera %s", b->serial);
        if (*b->serial && *b->model)
                fprintf(f, " (%s)", b->model);
        if (*b->serial && b->battery_percent >= 0)
                fprintf(f, ", battery %d%%", b->battery_percent);
        if (*b->serial && b->clips_total > 0)
                fprintf(f, ", %u of %u clips copied, %u stored, %u erased, %s", b->clips_copied, b->clips_total,
                        b->clips_stored, b->clips_erased, text_bytes(b->bytes_total, bytes));
        if (*b->reason)
                fprintf(f, ": %s", b->reason);
        if (fclose(f) != 0) {
                free(line);
                return NULL;
        }
        return line;
}

int watch_tell_bay(DockBay *bay) {
        /* A line feed cannot be in any of these, so it separates them. */
        char *now = text_format("%s\n%s\n%s", bay->state, bay->reason, bay->serial);
        if (!now)
                return out_of_memory();
        bool first = !bay->told;
        if (!is_news(now, &bay->told))
                return CTL_OK;
        /* That a bay is empty is no news at the start. */
        if (first && text_equal(bay->state, "empty") && !*bay->reason)
                return CTL_OK;
        return watch_print_line(bay_line(bay));
}

int watch_tell_dock(const DockManager *m, char **told) {
        char *now = text_format("dock %s %s%s%s; store %s%s%s; spool %s%s", m->dock_name, m->state,
                                *m->reason ? ": " : "", m->reason, m->store_state, *m->store_reason ? ": " : "",
                                m->store_reason, m->spool_state,
                                m->clock_synchronised ? "" : "; clock not known to be synchronised");
        if (!now)
                return out_of_memory();
        return is_news(now, told) ? watch_print_line(strdup(*told)) : CTL_OK;
}
