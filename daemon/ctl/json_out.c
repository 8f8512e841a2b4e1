/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/json_out.h"

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/property.h"

int json_out(json_t *document, bool line) {
        _cleanup_(json_decrefp) json_t *owned = document;
        if (!owned)
                return ctl_fail(CTL_FAILURE, "out of memory");
        size_t flags = JSON_ENSURE_ASCII | (line ? JSON_COMPACT : JSON_INDENT(2));
        if (json_dumpf(owned, stdout, flags) < 0 || fputc('\n', stdout) == EOF)
                return ctl_fail(CTL_FAILURE, "cannot write to standard output");
        return CTL_OK;
}

static json_t *of_object(const Property *properties, size_t n, const void *object) {
        _cleanup_(json_decrefp) json_t *json = json_object();
        if (!json || properties_to_json(properties, n, object, json) < 0)
                return NULL;
        return TAKE_PTR(json);
}

json_t *json_of_manager(const DockManager *manager) {
        return of_object(manager_properties, n_manager_properties, manager);
}

json_t *json_of_bay(const DockBay *bay) {
        return of_object(bay_properties, n_bay_properties, bay);
}

json_t *json_of_camera(const Dock *dock, const DockCamera *camera) {
        _cleanup_(json_decrefp) json_t *json = of_object(camera_properties, n_camera_properties, camera);
        const DockBay *bay = dock_find_bay(dock, camera->bay_path);
        if (!json || json_object_set_new(json, "bay", bay ? json_integer(bay->number) : json_null()) < 0)
                return NULL;
        return TAKE_PTR(json);
}
