/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/authority.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "bus/actions.h"
#include "bus/bus_private.h"
#include "bus/caller.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_INTERACTIVE 1u
/* Rules of a site may take polkit a few seconds. */
#define ANSWER_USEC (10 * USEC_PER_SEC)
/* Somebody types a password. */
#define DIALOG_USEC (120 * USEC_PER_SEC)
/* Who floods the dock with calls waits, and leaves room for the others. */
#define QUERIES_MAX 256u
#define QUERIES_OF_USER_MAX 16u
#define OUR_INTERFACES BUS_NAME "."

typedef enum Verdict { VERDICT_AWAITED, VERDICT_ALLOWED, VERDICT_REFUSED } Verdict;

/* A call that waits for polkit's word. */
typedef struct Query {
        struct Query *next;
        Authority *authority;
        sd_bus_message *call;
        sd_bus_slot *slot;
        Caller caller;
        Action action;
        uint64_t number; /* by which polkit knows it */
        Verdict verdict;
        char *why;
} Query;

struct Authority {
        const Bus *of;
        sd_bus *bus;
        sd_bus_slot *filter;
        Query *queries;
        uint64_t numbers;
};

/* ---- What waits ---------------------------------------------------------------------------------------------------- */

static void query_free(Query *q) {
        sd_bus_slot_unref(q->slot);
        sd_bus_message_unref(q->call);
        free(q->why);
        free(q);
}

static void query_take_off(Query *q) {
        for (Query **p = &q->authority->queries; *p; p = &(*p)->next)
                if (*p == q) {
                        *p = q->next;
                        return;
                }
}

static Query *query_of(const Authority *a, const sd_bus_message *m) {
        for (Query *q = a->queries; q; q = q->next)
                if (q->call == m)
                        return q;
        return NULL;
}

static bool has_room(const Authority *a, uint32_t uid) {
        size_t n = 0, of_user = 0;

        for (const Query *q = a->queries; q; q = q->next) {
                n++;
                of_user += q->caller.uid == uid;
        }
        return n < QUERIES_MAX && of_user < QUERIES_OF_USER_MAX;
}

static int refuse(const Query *q, const char *why, sd_bus_error *error) {
        if (q->action != ACTION_VIEW)
                log_info(NULL, "User %u%s%s may not call %s: %s", (unsigned) q->caller.uid, q->caller.name[0] ? " " : "", q->caller.name,
                         sd_bus_message_get_member(q->call), why);
        return sd_bus_error_setf(error, BUS_E_NOT_AUTHORISED, "User %u may not do this (%s): %s.", (unsigned) q->caller.uid,
                                 action_to_string(q->action), why);
}

/* ---- polkit's answer ----------------------------------------------------------------------------------------------- */

/* It may still show a dialog for nobody. */
static void query_cancel(const Query *q) {
        char id[32];

        snprintf(id, sizeof(id), "%llu", (unsigned long long) q->number);
        (void) sd_bus_call_method_async(q->authority->bus, NULL, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CancelCheckAuthorization",
                                        NULL, NULL, "s", id);
}

/* Verdict, and the sentence's end when it is refused. */
static Verdict judge(sd_bus_message *answer, const Query *q, char **ret_why) {
        const sd_bus_error *e = sd_bus_message_get_error(answer);
        int allowed = 0, challenge = 0, r;

        *ret_why = NULL;
        /*
         * polkit is not installed, or the bus would have started it: then no rule of the site's says otherwise, and what the policy is
         * shipped with counts, by which everybody looks. A polkit that is installed and fails may have such a rule: then nobody does.
         */
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) && q->action == ACTION_VIEW)
                return VERDICT_ALLOWED;
        if (e) {
                if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) || sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT)) {
                        query_cancel(q);
                        *ret_why = text_format("polkit gave no answer in time; call as root");
                } else if (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                           sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                        *ret_why = text_format("polkit, which would know, is not there; call as root, or install polkitd");
                else
                        *ret_why = text_format("polkit cannot say, '%s'; call as root", e->message ? e->message : e->name);
                return VERDICT_REFUSED;
        }
        r = sd_bus_message_enter_container(answer, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(answer, "bb", &allowed, &challenge);
        if (r >= 0 && allowed)
                return VERDICT_ALLOWED;
        if (r < 0)
                *ret_why = text_format("polkit's answer cannot be read; call as root");
        else if (challenge)
                *ret_why = text_format("an administrator's password is needed; call berthctl at a terminal, or as root");
        else
                *ret_why = text_format("polkit allows it to others; call as root");
        return VERDICT_REFUSED;
}

/* The call comes again from the beginning, and finds the verdict: its object may have gone meanwhile. */
static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error) {
        Query *q = userdata;
        int r;

        (void) ret_error;
        q->verdict = judge(answer, q, &q->why);
        r = sd_bus_message_rewind(q->call, true);
        if (r >= 0)
                r = sd_bus_enqueue_for_read(q->authority->bus, q->call);
        if (r < 0) {
                (void) sd_bus_reply_method_errorf(q->call, BUS_E_FAILED, "The call could not be gone on with: %s.", strerror(-r));
                query_take_off(q);
                query_free(q);
        }
        return 1;
}

/* ---- The question -------------------------------------------------------------------------------------------------- */

static int send_question(Query *q) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(q->call) > 0;
        char id[32];
        int r;

        snprintf(id, sizeof(id), "%llu", (unsigned long long) q->number);
        r = sd_bus_message_new_method_call(q->authority->bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", sd_bus_message_get_sender(q->call),
                                          action_to_string(q->action), 0, interactive ? POLKIT_INTERACTIVE : 0u, id);
        if (r >= 0)
                r = sd_bus_call_async(q->authority->bus, &q->slot, m, on_answer, q, interactive ? DIALOG_USEC : ANSWER_USEC);
        return r;
}

static int ask(Authority *a, sd_bus_message *call, const Caller *caller, Action action, sd_bus_error *error) {
        Query *q;
        int r;

        if (!has_room(a, caller->uid))
                return sd_bus_error_setf(error, BUS_E_BUSY, "Too many calls of user %u wait for polkit; try again later.",
                                         (unsigned) caller->uid);
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (Query) { .authority = a, .call = sd_bus_message_ref(call), .caller = *caller, .action = action, .number = ++a->numbers };
        r = send_question(q);
        if (r < 0) {
                query_free(q);
                return r;
        }
        q->next = a->queries;
        a->queries = q;
        return 1;
}

/* 0: it goes on to its object. */
static int conclude(Query *q, sd_bus_error *error) {
        int r = q->verdict == VERDICT_ALLOWED ? 0 : refuse(q, q->why ? q->why : strerror(ENOMEM), error);

        query_take_off(q);
        query_free(q);
        return r;
}

/* Standard interfaces show what there is, and are not asked about: none of ours has a property that can be set. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *interface = sd_bus_message_get_interface(m);
        Authority *a = userdata;
        Caller caller;
        bool own;
        Action action;
        Query *q;
        int r;

        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0 ||
            (interface && strncmp(interface, OUR_INTERFACES, strlen(OUR_INTERFACES)) != 0))
                return 0;
        q = query_of(a, m);
        if (q)
                return conclude(q, error);
        r = caller_get(m, &caller, error);
        if (r < 0 || caller.uid == 0 || caller.uid == geteuid())
                return r;
        action = action_of(interface, sd_bus_message_get_member(m));
        if (action == ACTION_OF_JOB) {
                action = job_bus_action(a->of, sd_bus_message_get_path(m), caller.uid, &own);
                /* Where there is no job sd-bus says so. */
                if (own || action < 0)
                        return 0;
        }
        if (action < 0)
                return sd_bus_error_setf(error, BUS_E_NOT_AUTHORISED, "The dock has no method %s that user %u may call.",
                                         sd_bus_message_get_member(m), (unsigned) caller.uid);
        return ask(a, m, &caller, action, error);
}

/* ---- Beginning and end --------------------------------------------------------------------------------------------- */

int authority_new(const Bus *b, Authority **ret) {
        Authority *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->of = b;
        *ret = a;
        return 0;
}

int authority_connect(Authority *a, sd_bus *bus) {
        a->bus = bus;
        return sd_bus_add_filter(bus, &a->filter, on_message, a);
}

void authority_disconnect(Authority *a) {
        while (a->queries) {
                Query *q = a->queries;

                a->queries = q->next;
                query_free(q);
        }
        a->filter = sd_bus_slot_unref(a->filter);
        a->bus = NULL;
}

Authority *authority_free(Authority *a) {
        if (!a)
                return NULL;
        authority_disconnect(a);
        free(a);
        return NULL;
}
