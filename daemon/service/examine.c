/* SPDX-License-Identifier: Apache-2.0 */
#include "service/examine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"

typedef struct Waiter Waiter;
struct Waiter {
        Waiter *next;
        ManagerExamined done;
        void *userdata;
};

struct Examine {
        Manager *manager;
        Waiter *waiters; /* of the look that is under way */
        bool looking;
        char problem[640]; /* nothing can be erased */
        char fleet[640];   /* what the dock is to share with others cannot lie there */
};

/* ---- Can anything be erased? --------------------------------------------------------------------------------------- */

static const char *advice(const char *strength) {
        if (text_equal(strength, WIRE_STRENGTH_LOCAL))
                return "let [store] path in uplink.conf name a folder on another disk or machine, or say there same_disk_is_store = yes";
        if (text_equal(strength, WIRE_STRENGTH_SIZE))
                return "set read_back = yes in [store] of uplink.conf, which reads each object again";
        return "add digest to accept";
}

static void judge(const Examine *e, const char *strength, char problem[static sizeof(((Examine *) NULL)->problem)]) {
        const Settings *s = e->manager->settings;

        problem[0] = 0;
        if (!*strength || s->erase.mode == ERASE_NEVER || manager_accepts(e->manager, strength))
                return;
        (void) snprintf(problem, sizeof(e->problem),
                        "nothing can ever be erased from a camera: this store gives '%s' receipts, and [policy] accept in berthd.conf asks "
                        "for %s; %s, or add %s to accept", strength, s->accept, advice(strength), strength);
}

static void take_strength(Examine *e, const char *strength) {
        char problem[sizeof(e->problem)];

        judge(e, strength, problem);
        if (text_equal(problem, e->problem))
                return;
        memcpy(e->problem, problem, sizeof(problem));
        if (problem[0])
                log_error(NULL, "With these settings %s", problem);
        else
                log_notice(NULL, "The store's receipts allow erasing again");
        manager_tell(e->manager);
}

/* ---- Can docks share what they are set up to share? ---------------------------------------------------------------- */

/* The setting that asks for it; NULL: none does. */
static const char *asks_for_fleet(const Manager *m) {
        const Settings *s = m->settings;

        if (s->fleet && s->fleet_key_known)
                return "[dock] fleet_key";
        return catalog_follow_is_on(m->catalog_follow) ? "[firmware] keys" : NULL;
}

static void judge_fleet(const Examine *e, const UplinkReport *report, char ret[static sizeof(((Examine *) NULL)->fleet)]) {
        const char *setting = asks_for_fleet(e->manager);

        ret[0] = 0;
        for (size_t i = 0; i < report->n_points && setting; i++)
                if (text_equal(report->points[i].name, WIRE_POINT_STORE_FLEET))
                        (void) snprintf(ret, sizeof(e->fleet),
                                        "%s in berthd.conf asks for what this store cannot do: %s; use a store of type = s3 or type = dir, "
                                        "or remove the setting", setting, report->points[i].text);
}

static void take_fleet(Examine *e, const UplinkReport *report) {
        char fleet[sizeof(e->fleet)];

        judge_fleet(e, report, fleet);
        if (text_equal(fleet, e->fleet))
                return;
        memcpy(e->fleet, fleet, sizeof(fleet));
        if (fleet[0])
                log_error(NULL, "Settings and store do not go together: %s", fleet);
        else
                log_notice(NULL, "The store can do what the settings ask for again");
        manager_tell(e->manager);
}

/* ---- The look ------------------------------------------------------------------------------------------------------ */

static void tell_all(Examine *e, const ManagerPoint *points, size_t n) {
        Waiter *w = e->waiters;

        e->waiters = NULL;
        while (w) {
                Waiter *next = w->next;

                w->done(w->userdata, points, n);
                free(w);
                w = next;
        }
}

/* The last point: it is ours. */
static void add_policy(const Examine *e, bool known, ManagerPoint *ret) {
        ret->name = "erase-policy";
        if (e->manager->settings->erase.mode == ERASE_NEVER) {
                ret->verdict = WIRE_VERDICT_NOTE;
                ret->text = "[policy] erase is never: cameras are not emptied by this dock";
        } else if (e->problem[0]) {
                ret->verdict = WIRE_VERDICT_FAILED;
                ret->text = e->problem;
        } else if (known) {
                ret->verdict = WIRE_VERDICT_OK;
                ret->text = "the store's receipts allow erasing";
        } else {
                ret->verdict = WIRE_VERDICT_NOTE;
                ret->text = "whether the store's receipts allow erasing is known when the store has been looked at";
        }
}

/* Ours, too: what is said of the fleet's docks. */
static bool add_fleet(const Examine *e, ConfError *trouble, ManagerPoint *ret) {
        const Fleet *list = fleet_follow_list(e->manager->fleet_follow);

        (void) fleet_follow_trouble(e->manager->fleet_follow, trouble);
        if (!list && !trouble->text[0])
                return false;
        *ret = trouble->text[0] ?
                (ManagerPoint){ "fleet-list", WIRE_VERDICT_FAILED, trouble->text } :
                (ManagerPoint){ "fleet-list", WIRE_VERDICT_OK, "the fleet's list of docks is in force, and has this dock's key" };
        return true;
}

static void on_examined(void *userdata, void *cookie, const UplinkAnswer *answer) {
        const UplinkReport *report = answer->report;
        ManagerPoint points[WIRE_POINTS_MAX + 2];
        Examine *e = cookie;
        ConfError trouble;
        size_t n = 0;

        (void) userdata;
        e->looking = false;
        if (answer->result == UPLINK_OK) {
                take_strength(e, report->strength);
                /* A store that is not well at the moment has told nothing. */
                if (*report->strength)
                        take_fleet(e, report);
                for (; n < report->n_points; n++)
                        points[n] = e->fleet[0] && text_equal(report->points[n].name, WIRE_POINT_STORE_FLEET) ?
                                (ManagerPoint){ WIRE_POINT_STORE_FLEET, WIRE_VERDICT_FAILED, e->fleet } :
                                (ManagerPoint){ report->points[n].name, report->points[n].verdict, report->points[n].text };
        } else
                points[n++] = (ManagerPoint){ WIRE_POINT_STORE, WIRE_VERDICT_FAILED, answer->text };
        add_policy(e, answer->result == UPLINK_OK && *report->strength, &points[n++]);
        n += add_fleet(e, &trouble, &points[n]);
        tell_all(e, points, n);
}

static int look(Examine *e) {
        _cleanup_(freep) char *path = text_format("%s/spool", e->manager->settings->state_dir);
        _cleanup_(fd_closep) int fd = -EBADF;
        int r;

        if (e->looking)
                return 0;
        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = uplink_examine(e->manager->uplink, fd, on_examined, e);
        e->looking = r >= 0;
        return r;
}

void examine_store_ready(Examine *e) {
        int r = e ? look(e) : 0;

        if (r < 0)
                log_debug(NULL, "The store cannot be examined: %s", strerror(-r));
}

const char *examine_problem(const Examine *e) {
        if (!e)
                return "";
        return e->problem[0] ? e->problem : e->fleet;
}

int manager_examine(Manager *m, ManagerExamined done, void *userdata) {
        Waiter *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        r = look(m->examine);
        if (r < 0) {
                free(w);
                return r;
        }
        *w = (Waiter){ .next = m->examine->waiters, .done = done, .userdata = userdata };
        m->examine->waiters = w;
        return 0;
}

int examine_new(Manager *m, Examine **ret) {
        Examine *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        e->manager = m;
        *ret = e;
        return 0;
}

Examine *examine_free(Examine *e) {
        if (!e)
                return NULL;
        tell_all(e, NULL, 0);
        free(e);
        return NULL;
}
