/* SPDX-License-Identifier: Apache-2.0 */

/* Who has the docking's camera: it is checked out, leaves its bay, and is brought back. Which one an officer gets: roster.c. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/issue.h"
#include "service/docking.h"
#include "service/manager_private.h"

int docking_load_issue(Manager *m, Camera *camera) {
        IssueRow *issue = NULL;
        int r = store_issue_open(m->store, camera_id(camera), &issue);

        if (r < 0 && r != -ENOENT)
                return r;
        camera_set_issue(camera, issue);
        return 0;
}

static FactOwner owner_of_issue(const IssueRow *issue) {
        return (FactOwner){ issue->officer_id, issue->officer_name, issue->unit_id, issue->unit_name };
}

static int issue_new(const Camera *camera, const FactOwner *officer, int64_t ordered_usec, IssueRow **ret) {
        _cleanup_(issue_row_freep) IssueRow *issue = calloc(1, sizeof(*issue));

        if (!issue)
                return -ENOMEM;
        issue->camera_id = camera_id(camera);
        issue->ordered_usec = ordered_usec;
        issue->serial = strdup(camera_serial(camera));
        issue->officer_id = strdup(officer->officer_id ?: "");
        issue->officer_name = strdup(officer->officer_name ?: "");
        issue->unit_id = strdup(officer->unit_id ?: "");
        issue->unit_name = strdup(officer->unit_name ?: "");
        if (!issue->serial || !issue->officer_id || !issue->officer_name || !issue->unit_id || !issue->unit_name)
                return -ENOMEM;
        *ret = TAKE_PTR(issue);
        return 0;
}

/* ---- Back ---------------------------------------------------------------------------------------------------------- */

int docking_brought_back(Docking *d, StoreBatch *batch) {
        const IssueRow *issue = camera_issue(d->camera);
        Fact fact = docking_fact(d, FACT_BROUGHT_BACK, NULL);
        LogAbout about = docking_about(d);
        int r;

        if (!issue)
                return 0;
        /* Still waiting for its officer: the daemon was restarted meanwhile. */
        if (issue->taken_usec == 0) {
                docking_point_at_issued(d);
                return 0;
        }
        fact.issue.owner = owner_of_issue(issue);
        fact.issue.late_usec = issue_late_usec(issue->due_usec, fact.at.wall_usec);
        r = store_batch_add(batch, &fact);
        if (r < 0)
                return r;
        if (fact.issue.late_usec > 0)
                log_notice(&about, "Brought back by %s, %" PRId64 " min late", issue->officer_id[0] ? issue->officer_id : "nobody known",
                           fact.issue.late_usec / (60 * (int64_t) USEC_PER_SEC));
        camera_set_issue(d->camera, NULL);
        return 0;
}

/* ---- Checked out --------------------------------------------------------------------------------------------------- */

void docking_point_at_issued(Docking *d) {
        (void) bay_point_at(d->bay, d->manager->settings->take_within_usec);
}

int docking_record_checkout(Docking *d, const WorkerOwner *officer, const Operator *by, bool written, const char *text, DockingThen then) {
        const FactOwner owner = { officer->officer_id, officer->officer_name, officer->unit_id, officer->unit_name };
        Fact set = docking_fact(d, FACT_OWNER_SET, NULL), out = docking_fact(d, FACT_CHECKED_OUT, NULL);
        _cleanup_(store_batch_freep) StoreBatch *batch = NULL;
        IssueRow *issue;
        int r;

        set.owner = out.issue.owner = owner;
        set.by_operator = out.by_operator = true;
        set.operator_uid = out.operator_uid = by->uid;
        set.operator_name = out.operator_name = by->name;
        out.text = text;
        r = store_batch_new(&batch);
        if (r >= 0 && written)
                r = store_batch_add(batch, &set);
        if (r >= 0)
                r = store_batch_add(batch, &out);
        if (r >= 0)
                r = camera_set_owner(d->camera, officer);
        if (r >= 0)
                r = issue_new(d->camera, &owner, out.at.wall_usec, &issue);
        if (r < 0)
                return r;
        /* From now on, so that whoever is quick with the camera is not taken for somebody else. */
        camera_set_issue(d->camera, issue);
        return docking_commit(d, TAKE_PTR(batch), NULL, then);
}

/* ---- Taken --------------------------------------------------------------------------------------------------------- */

/* Nobody checked it out. It has an owner all the same when the roster gives it to somebody; a dock without a roster issues nothing. */
static int taken_without_checkout(Docking *d, IssueRow **ret, const char **ret_text) {
        _cleanup_(officer_row_freep) OfficerRow *officer = NULL;
        FactOwner owner = { "", "", "", "" };
        uint64_t seq;
        int r;

        r = store_roster(d->manager->store, &seq);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = store_officer_of_camera(d->manager->store, camera_serial(d->camera), &officer);
        if (r < 0 && r != -ENOENT)
                return r;
        if (officer)
                owner = (FactOwner){ officer->id, officer->name, officer->unit_id, officer->unit_name };
        *ret_text = officer ? "taken without a checkout; by the roster it is this officer's" : "taken without a checkout, by nobody known";
        return issue_new(d->camera, &owner, 0, ret);
}

static int record_taken(Docking *d, const IssueRow *open) {
        Fact fact = docking_fact(d, FACT_TAKEN, NULL);
        uint64_t due_after = d->manager->settings->due_after_usec;
        IssueRow *issue = NULL;
        int r;

        if (open)
                r = issue_new(d->camera, &(FactOwner){ open->officer_id, open->officer_name, open->unit_id, open->unit_name },
                              open->ordered_usec, &issue);
        else
                r = taken_without_checkout(d, &issue, &fact.text);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        issue->taken_usec = fact.at.wall_usec;
        issue->due_usec = due_after > 0 ? fact.at.wall_usec + (int64_t) due_after : 0;
        fact.issue.owner = owner_of_issue(issue);
        fact.issue.due_usec = issue->due_usec;
        r = docking_commit_fact(d, &fact, NULL, NULL);
        camera_set_issue(d->camera, issue);
        roster_look(d->manager->roster);
        return r;
}

void docking_camera_left(Docking *d) {
        const IssueRow *issue = d->camera ? camera_issue(d->camera) : NULL;
        LogAbout about = docking_about(d);
        int r;

        /* Its port drew too much, and lost its power: it is still there. */
        if (d->resting && !d->waking)
                return;
        if (!d->camera || d->manager->stopping || d->quarantined || camera_is_ambiguous(d->camera) || (issue && issue->taken_usec > 0))
                return;
        (void) bay_point_at(d->bay, 0);
        r = record_taken(d, issue);
        if (r < 0)
                log_error(&about, "Who took the camera cannot be recorded: %s", strerror(-r));
}
