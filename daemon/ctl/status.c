/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl status`: the dock in a few lines, then its bays. */

#include <errno.h>
#include <stdio.h>

#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/rack_view.h"
#include "ctl/term.h"

static int append_all(json_t *bays, json_t *cameras, const Dock *dock) {
        for (size_t i = 0; i < dock->n_bays; i++)
                if (json_array_append_new(bays, json_of_bay(dock->bays[i])) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < dock->n_cameras; i++)
                if (json_array_append_new(cameras, json_of_camera(dock, dock->cameras[i])) < 0)
                        return -ENOMEM;
        return 0;
}

static int print_json(const Dock *dock) {
        _cleanup_(json_decrefp) json_t *bays = json_array();
        _cleanup_(json_decrefp) json_t *cameras = json_array();
        if (!bays || !cameras || append_all(bays, cameras, dock) < 0)
                return json_out(NULL, false);
        return json_out(json_pack("{s:s, s:o, s:O, s:O}", "schema", JSON_SCHEMA("status"), "dock",
                                  json_of_manager(&dock->manager), "bays", bays, "cameras", cameras), false);
}

int verb_status(const Options *options) {
        _cleanup_(dock_freep) Dock *dock = NULL;
        int exit_code = bus_client_dock(options, &dock);
        if (exit_code != CTL_OK)
                return exit_code;
        if (options->json)
                return print_json(dock);

        Look look;
        Lines lines = { 0 };
        term_look(&look);
        int r = rack_view_summary(dock, &look, &lines);
        if (r >= 0)
                r = rack_view_status(dock, &look, &lines);
        for (size_t i = 0; i < lines.n && r >= 0; i++)
                if (puts(lines.lines[i]) == EOF)
                        r = -errno;
        lines_clear(&lines);
        return r < 0 ? ctl_fail(CTL_FAILURE, "cannot print: %s", strerrordesc_np(-r)) : CTL_OK;
}
