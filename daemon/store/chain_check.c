/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chain_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jobs.h"
#include "base/text.h"
#include "store/custody.h"
#include "store/facts_check.h"
#include "store/store_private.h"

/* A step takes some tens of milliseconds; the rest after it is so many times longer, so that the work goes on undisturbed. */
#define STEP_EVENTS 500u
#define REST_TIMES 3u
/* A reader that is turned away, as while the log is folded, asks again; by then it has waited for a moment already. */
#define BUSY_MAX 100u

struct ChainCheck {
        JobThread *thread;
        sd_event_source *rest;
        const char *db_path; /* the store's */
        ChainHead goal;      /* the head when the store was opened */
        ChainCheckDone done;
        void *userdata;

        /* The thread's, while a step runs. */
        Db *db;
        CustodyWalk walk;
        FactsCheck facts;
        uint64_t step_usec;
        unsigned busy;
        bool begun;
        char why[256];
};

static const char *const chain_state_table[_CHAIN_STATE_MAX] = {
        [CHAIN_CHECKING] = "checking",
        [CHAIN_WHOLE] = "whole",
        [CHAIN_BROKEN] = "broken",
        [CHAIN_UNCHECKED] = "unchecked",
};

const char *chain_state_to_string(ChainState s) {
        return chain_state_table[s];
}

/* Every page and every index: an index that lies hides rows from whoever asks by it. */
static int check_pages(ChainCheck *c) {
        _cleanup_(db_resetp) sqlite3_stmt *row = NULL;
        const char *text;
        int r;

        r = db_query(c->db, "PRAGMA integrity_check(1)", DB_NO_ARGS, &row);
        if (r < 0)
                return r;
        text = r > 0 ? (const char *) sqlite3_column_text(row, 0) : NULL;
        if (text_equal(text, "ok"))
                return 0;
        (void) snprintf(c->why, sizeof(c->why), "%s", text ? text : "it cannot be checked");
        return -EBADMSG;
}

static int walk_step(ChainCheck *c, size_t max) {
        int r;

        if (!c->begun) {
                r = custody_walk_begin(&c->walk, c->db, 1);
                if (r < 0)
                        return r;
                c->facts.db = c->db;
                c->begun = true;
        }
        r = custody_walk(&c->walk, max, c->goal.seq, facts_check_visit, &c->facts);
        if (r != 0)
                return r;
        if (c->walk.at.seq == c->goal.seq && digest_equal(&c->walk.at.hash, &c->goal.hash))
                return check_pages(c);
        c->walk.bad_seq = MIN2(c->walk.at.seq + 1, c->goal.seq);
        return -EBADE;
}

static int open_and_step(ChainCheck *c) {
        int r;

        if (!c->db) {
                r = db_open(c->db_path, DB_READ, &c->db);
                if (r < 0)
                        return r;
        }
        return walk_step(c, STEP_EVENTS);
}

/* On the thread: more than 0 when there is more to do. */
static int step(void *job) {
        ChainCheck *c = job;
        uint64_t begun = clock_boottime_usec();
        int r;

        r = open_and_step(c);
        if (r == -EBUSY && ++c->busy <= BUSY_MAX)
                r = 1;
        else if (r > 0)
                c->busy = 0;
        if (r < 0 && r != -EBADE && r != -EUCLEAN && !c->why[0])
                (void) snprintf(c->why, sizeof(c->why), "%s", c->db ? db_message(c->db) : strerror(-r));
        c->step_usec = clock_boottime_usec() - begun;
        return r;
}

/* What came of it, in a sentence. */
static ChainState conclude(const ChainCheck *c, int result, char *text, size_t size) {
        static const char advice[] = "stop berthd, keep a copy of the state folder, and restore berth.db and chain.head from a backup";

        switch (result) {
        case 0:
                (void) snprintf(text, size, "the custody chain is whole from event 1 to event %" PRIu64, c->goal.seq);
                return CHAIN_WHOLE;
        case -EBADE:
                (void) snprintf(text, size,
                                "the custody chain is broken at event %" PRIu64 ": %s was changed by something other than Berth; %s",
                                c->walk.bad_seq, c->db_path, advice);
                return CHAIN_BROKEN;
        case -EUCLEAN:
                (void) snprintf(text, size, "%s: %s was changed by something other than Berth; %s", c->facts.why, c->db_path, advice);
                return CHAIN_BROKEN;
        case -EBADMSG:
                (void) snprintf(text, size, "%s is damaged (%s, after custody event %" PRIu64 "): %s", c->db_path, c->why, c->walk.at.seq,
                                advice);
                return CHAIN_BROKEN;
        default:
                (void) snprintf(text, size, "the custody chain could be read up to event %" PRIu64 " only (%s): see to the disk",
                                c->walk.at.seq, c->why);
                return CHAIN_UNCHECKED;
        }
}

static void finish(ChainCheck *c, int result) {
        char text[512];
        ChainState state = conclude(c, result, text, sizeof(text));

        c->done(c->userdata, state, text);
}

int chain_check_now(Store *store, ConfError *error) {
        ChainCheck c = { .db_path = store->dir.db_path, .goal = store->opened, .db = store->reader };
        int r;

        while ((r = walk_step(&c, STEP_EVENTS)) > 0)
                ;
        if (r == 0)
                return 0;
        if (!c.why[0])
                (void) snprintf(c.why, sizeof(c.why), "%s", db_message(c.db));
        (void) conclude(&c, r, error->text, sizeof(error->text));
        return r == -EUCLEAN ? -EBADE : r;
}

static void step_done(void *job, int result) {
        ChainCheck *c = job;

        /* It is being freed: see there. */
        if (!c->rest)
                return;
        if (result <= 0)
                return finish(c, result);
        if (sd_event_source_set_time(c->rest, clock_boottime_usec() + c->step_usec * REST_TIMES) < 0 ||
            sd_event_source_set_enabled(c->rest, SD_EVENT_ONESHOT) < 0)
                finish(c, -ENOMEM);
}

static int on_rested(sd_event_source *source, uint64_t usec, void *userdata) {
        ChainCheck *c = userdata;
        int r;

        (void) source;
        (void) usec;
        r = job_thread_submit(c->thread, step, step_done, c);
        if (r < 0)
                finish(c, r);
        return 0;
}

int chain_check_start(sd_event *event, Store *store, ChainCheckDone done, void *userdata, ChainCheck **ret) {
        _cleanup_(chain_check_freep) ChainCheck *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->db_path = store->dir.db_path;
        c->goal = store->opened;
        c->done = done;
        c->userdata = userdata;
        r = sd_event_add_time(event, &c->rest, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_rested, c);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(c->rest, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        r = job_thread_new(event, "berth-chain", &c->thread);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

ChainCheck *chain_check_free(ChainCheck *c) {
        if (!c)
                return NULL;
        c->rest = sd_event_source_disable_unref(c->rest);
        c->thread = job_thread_free(c->thread);
        c->db = db_close(c->db);
        free(c);
        return NULL;
}
