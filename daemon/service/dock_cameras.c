/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dock_cameras.h"

#include <errno.h>
#include <string.h>

#include "base/dock_report.h"
#include "base/text.h"
#include "service/manager_private.h"

/* A status is small, and so is what it has room for. */
#define CAMERAS_MAX 256u
#define CAMERAS_SIZE_MAX (36u * 1024u)
#define ISSUES_A_READ 256u

typedef struct Listing {
        Manager *manager;
        json_t *cameras;
        size_t size;
        uint64_t left_out;
} Listing;

static int add(Listing *l, const CameraRow *row, const IssueRow *issue) {
        Camera *camera = manager_camera_by_serial(l->manager, row->serial);
        UnstoredRow unstored = { 0 };
        json_t *entry;
        char *text;
        int r;

        r = store_unstored(l->manager->store, row->id, &unstored);
        if (r < 0)
                return r;
        entry = reported_camera_to_json(&(ReportedCamera){
                .serial = row->serial,
                .last_docked_usec = row->last_docked_usec,
                .bay = camera && camera_bay(camera) ? bay_number(camera_bay(camera)) : 0,
                .out = issue,
                .officer_id = issue ? issue->officer_id : NULL,
                .taken_usec = issue ? issue->taken_usec : 0,
                .due_usec = issue ? issue->due_usec : 0,
                .overdue = issue && issue->overdue,
                .unstored_on_camera = unstored.clips_on_camera,
                .unstored_on_dock = unstored.clips - unstored.clips_on_camera,
                .on_camera_since_usec = unstored.oldest_on_camera_usec,
                .on_dock_since_usec = unstored.oldest_on_dock_usec,
        });
        text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
        if (!text) {
                json_decref(entry);
                return -ENOMEM;
        }
        r = 0;
        if (l->size + strlen(text) + 1 > CAMERAS_SIZE_MAX) {
                l->left_out++;
                json_decref(entry);
        } else {
                l->size += strlen(text) + 1;
                r = json_array_append_new(l->cameras, entry) < 0 ? -ENOMEM : 0;
        }
        free(text);
        return r;
}

/* A reader for the issues that began with somebody taking the camera and did not end; takes no row over. */
typedef int (*OutDone)(void *userdata, const IssueRow *issue);

static int each_that_is_out(Manager *m, OutDone done, void *userdata) {
        uint64_t after = 0;

        for (;;) {
                IssueRow **rows;
                size_t n;
                int r = store_issues_open(m->store, after, ISSUES_A_READ, &rows, &n);

                if (r < 0)
                        return r;
                for (size_t i = 0; i < n && r >= 0; i++) {
                        after = rows[i]->id;
                        if (rows[i]->taken_usec > 0)
                                r = done(userdata, rows[i]);
                }
                issue_rows_free(rows, n);
                if (r < 0 || n < ISSUES_A_READ)
                        return r;
        }
}

static int add_out(void *userdata, const IssueRow *issue) {
        _cleanup_(camera_row_freep) CameraRow *row = NULL;
        Listing *l = userdata;
        int r;

        r = store_camera(l->manager->store, issue->camera_id, &row);
        return r < 0 ? r : add(l, row, issue);
}

/* Somebody took it: it is told of already. */
static int is_out(Manager *m, const CameraRow *row) {
        _cleanup_(issue_row_freep) IssueRow *issue = NULL;
        int r = store_issue_open(m->store, row->id, &issue);

        return r == -ENOENT ? 0 : r < 0 ? r : issue->taken_usec > 0;
}

static int add_others(Listing *l) {
        CameraRow **rows = NULL;
        size_t n = 0;
        int r;

        r = store_cameras_by_docking(l->manager->store, CAMERAS_MAX, &rows, &n);
        for (size_t i = 0; i < n && r >= 0; i++) {
                r = is_out(l->manager, rows[i]);
                if (r == 0)
                        r = add(l, rows[i], NULL);
        }
        camera_rows_free(rows, n);
        return r;
}

int dock_cameras_add(Manager *m, json_t *status) {
        Listing l = { .manager = m, .cameras = json_array() };
        int r;

        if (!l.cameras || json_object_set_new(status, "cameras", l.cameras) < 0)
                return -ENOMEM;
        r = each_that_is_out(m, add_out, &l);
        if (r >= 0)
                r = add_others(&l);
        if (r < 0)
                return r;
        return json_object_set_new(status, "cameras_left_out", json_integer((json_int_t) l.left_out)) < 0 ? -ENOMEM : 0;
}

static int count_overdue(void *userdata, const IssueRow *issue) {
        *(uint64_t *) userdata += issue->overdue;
        return 0;
}

int dock_cameras_overdue(Manager *m, uint64_t *ret) {
        uint64_t n = 0;
        int r = each_that_is_out(m, count_overdue, &n);

        if (r >= 0)
                *ret = n;
        return r;
}
