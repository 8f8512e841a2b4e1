/* SPDX-License-Identifier: Apache-2.0 */

/* An operator's word that a camera may be issued in spite of what was found out about it: service/docking_health.c. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "service/manager_private.h"

typedef struct Release {
        Manager *manager;
        char *serial;
        HealthStanding now;
        ManagerDone done;
        void *userdata;
} Release;

static Release *release_free(Release *r) {
        if (r)
                free(r->serial);
        free(r);
        return NULL;
}
DEFINE_CLEANUP(Release, release_free);

static void recorded(int result, void *userdata) {
        _cleanup_(release_freep) Release *o = userdata;
        Camera *camera = manager_camera_by_serial(o->manager, o->serial);
        _cleanup_(freep) char *text = NULL;

        if (result < 0)
                text = text_format("the order could not be recorded, and is not carried out: %s", store_last_refusal(o->manager->store));
        else {
                log_notice(&(LogAbout){ .camera = o->serial }, "Released: it may be issued in spite of what was found out about it");
                if (camera)
                        (void) camera_set_health(camera, camera_findings(camera), o->now, "");
                manager_kick_bays(o->manager);
        }
        o->done(o->userdata, result, text);
}

static int submit(Release *o, const CameraRow *row, const char *reason, const Operator *by) {
        char held_back[HEALTH_CODES_SIZE], accepted[HEALTH_CODES_SIZE];
        Fact fact = {
                .kind = FACT_LET_GO,
                .camera_id = row->id,
                .text = reason[0] ? reason : NULL,
                .by_operator = true,
                .operator_uid = by->uid,
                .operator_name = by->name,
        };

        fact.health.held_back = health_codes_to_text(health_codes_from_text(row->held_back), held_back);
        fact.health.accepted = health_codes_to_text(o->now.accepted, accepted);
        manager_moment(o->manager, &fact.at);
        return store_put(o->manager->store, &fact, recorded, o);
}

int manager_release_camera(Manager *m, const char *serial, const char *reason, const Operator *by, ManagerDone done, void *userdata) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        _cleanup_(release_freep) Release *o = NULL;
        HealthStanding before;
        int r;

        r = store_camera_by_serial(m->store, serial, &row);
        if (r < 0)
                return r == -ENOENT ? -ENODEV : r;
        before = (HealthStanding){ health_codes_from_text(row->held_back), health_codes_from_text(row->accepted) };
        if (before.quarantined == 0)
                return -EALREADY;
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        *o = (Release){ .manager = m, .now = health_released(before), .done = done, .userdata = userdata };
        o->serial = strdup(serial);
        if (!o->serial)
                return -ENOMEM;
        r = submit(o, row, reason, by);
        if (r >= 0)
                (void) TAKE_PTR(o);
        return r;
}
