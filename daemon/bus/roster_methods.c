/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of org.berth.Dock1.Roster: officers and their cameras. */

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/roster.h"
#include "base/text.h"
#include "bus/bus_private.h"
#include "bus/caller.h"
#include "bus/error.h"
#include "bus/job.h"
#include "bus/roster_methods.h"
#include "service/roster.h"
#include "service/roster_follow.h"

#define ROWS_DEFAULT 100u
#define ROWS_MAX 500u
#define SOURCE_MAX_BYTES 1000u

static Manager *manager_of(void *userdata) {
        return (*(Bus **) userdata)->manager;
}

static size_t rows_wanted(uint32_t max) {
        return max == 0 ? ROWS_DEFAULT : MIN2(max, ROWS_MAX);
}

static int unreadable(sd_bus_error *ret_error, int r) {
        return sd_bus_error_setf(ret_error, BUS_E_FAILED, "The dock's database could not be read: %s.", strerror(-r));
}

static int given(sd_bus_message *m, int r, sd_bus_error *ret_error) {
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return error_set(ret_error, r, "The order could not be given: %s.", strerror(-r));
}

static bool is_word(const char *s) {
        return strlen(s) <= ROSTER_WORD_MAX && text_is_printable(s);
}

static int check_word(const char *name, const char *s, sd_bus_error *ret_error) {
        if (is_word(s))
                return 0;
        return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "%s: it is printable and at most %u bytes long.", name,
                                 ROSTER_WORD_MAX);
}

/* ---- The roster ---------------------------------------------------------------------------------------------------- */

static int put(json_t *officer, const char *key, const char *value) {
        return *value ? json_object_set_new(officer, key, json_string(value)) : 0;
}

/* a(ssssss) into JSON. */
static int read_officers(sd_bus_message *m, json_t *roster) {
        const char *id, *name, *unit_id, *unit_name, *badge, *serial;
        int r = sd_bus_message_enter_container(m, 'a', "(ssssss)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(ssssss)", &id, &name, &unit_id, &unit_name, &badge, &serial)) > 0) {
                json_t *o = json_object();

                if (!o || put(o, "id", id) < 0 || put(o, "name", name) < 0 || put(o, "unit_id", unit_id) < 0 ||
                    put(o, "unit_name", unit_name) < 0 || put(o, "badge", badge) < 0 || put(o, "camera", serial) < 0 ||
                    json_array_append(roster, o) < 0)
                        r = -ENOMEM;
                json_decref(o);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_roster(sd_bus_message *m, const char **ret_source, json_t *roster, sd_bus_error *ret_error) {
        ConfError error = { 0 };
        int r;

        r = sd_bus_message_read(m, "s", ret_source);
        if (r >= 0)
                r = read_officers(m, roster);
        if (r < 0)
                return r;
        if (strlen(*ret_source) > SOURCE_MAX_BYTES || !text_is_printable(*ret_source))
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "source: it is printable and shorter.");
        r = roster_check(roster, &error);
        return r < 0 ? sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "officers: %s.", error.text[0] ? error.text : strerror(-r)) : 0;
}

int roster_bus_import_officers(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        json_t *roster = json_array();
        const char *source;
        Operator by;
        Caller caller;
        int r;

        r = roster ? read_roster(m, &source, roster, ret_error) : -ENOMEM;
        if (r >= 0)
                r = caller_get(m, &caller, ret_error);
        if (r >= 0) {
                by = caller_operator(&caller);
                r = given(m, roster_import(manager_roster(manager_of(userdata)), roster, source, &by, caller_answer, sd_bus_message_ref(m)),
                          ret_error);
        }
        json_decref(roster);
        return r;
}

static void published(void *userdata, int result, const char *text) {
        job_end(userdata, result < 0 ? JOB_FAILED : JOB_DONE, result < 0 ? error_name(result) : NULL,
                result < 0 ? text && *text ? text : strerror(-result) : "the store has it", NULL, 0);
}

static int cannot_be_cancelled(void *operation, const Operator *by, const char **ret_why) {
        (void) operation;
        (void) by;
        *ret_why = "the store is being given it";
        return -EALREADY;
}

int roster_bus_publish(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        static const JobKind kind = { .name = "publish", .unit = "", .action = ACTION_SETTINGS, .cancel = cannot_be_cancelled };
        Bus *b = *(Bus **) userdata;
        ConfError error = { 0 };
        const char *statement;
        Job *job;
        int r;

        r = sd_bus_message_read(m, "s", &statement);
        if (r < 0)
                return r;
        if (strlen(statement) > ROSTER_FILE_MAX)
                return sd_bus_error_setf(ret_error, BUS_E_INVALID_ARGUMENT, "statement: it has %u bytes at most.", ROSTER_FILE_MAX);
        r = job_new(b, m, &kind, BUS_ROSTER_PATH, &job, ret_error);
        if (r < 0)
                return r;
        r = roster_publish(manager_roster_follow(b->manager), statement, published, job, &error);
        if (r >= 0)
                return job_answer(job, NULL);
        job_drop(job);
        return error_set(ret_error, r, "It is not published: %s.", error.text[0] ? error.text : strerror(-r));
}

static void assigned(void *userdata, int result, const char *text) {
        sd_bus_message *m = userdata;

        if (result != -ENOENT)
                return caller_answer(m, result, text);
        (void) sd_bus_reply_method_errorf(m, BUS_E_NO_SUCH_OFFICER, "%s.", text);
        sd_bus_message_unref(m);
}

int roster_bus_assign(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *officer, *serial;
        Operator by;
        Caller caller;
        int r;

        r = sd_bus_message_read(m, "ss", &officer, &serial);
        if (r < 0)
                return r;
        if ((r = check_word("officer", officer, ret_error)) < 0 || (r = check_word("serial", serial, ret_error)) < 0 ||
            (r = caller_get(m, &caller, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        return given(m, roster_assign(manager_roster(manager_of(userdata)), officer, serial, &by, assigned, sd_bus_message_ref(m)),
                     ret_error);
}

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return text && *text ? sd_bus_message_append(m, "{sv}", key, "s", text) : 0;
}

static int append_officer(sd_bus_message *m, const OfficerRow *o) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r < 0 || (r = append_text(m, "Id", o->id)) < 0 || (r = append_text(m, "Name", o->name)) < 0 ||
            (r = append_text(m, "UnitId", o->unit_id)) < 0 || (r = append_text(m, "UnitName", o->unit_name)) < 0 ||
            (r = append_text(m, "Badge", o->badge)) < 0 || (r = append_text(m, "Serial", o->serial)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

int roster_bus_list_officers(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        OfficerRow **rows = NULL;
        const char *after;
        uint64_t seq = 0;
        uint32_t max;
        size_t n = 0;
        int r;

        r = sd_bus_message_read(m, "su", &after, &max);
        if (r < 0)
                return r;
        r = store_roster(manager_store(manager_of(userdata)), &seq);
        if (r >= 0)
                r = store_officers(manager_store(manager_of(userdata)), after, rows_wanted(max), &rows, &n);
        if (r < 0)
                return unreadable(ret_error, r);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", seq);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_officer(reply, rows[i]);
        officer_rows_free(rows, n);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

/* ---- Checkout ------------------------------------------------------------------------------------------------------ */

static const char *checkout_error(int r) {
        return r == -ENOENT ? BUS_E_NO_SUCH_OFFICER : r == -EAGAIN ? BUS_E_NO_CAMERA : error_name(r);
}

static void checked_out(void *userdata, int result, const char *text, const char *serial, unsigned bay) {
        if (result >= 0) {
                const JobValue values[] = { { .name = "Serial", .text = serial }, { .name = "Bay", .number = bay } };
                _cleanup_(freep) char *where = text_format("it waits in bay %u", bay);

                return job_end(userdata, JOB_DONE, NULL, where ?: "", values, ELEMENTSOF(values));
        }
        job_end(userdata, result == -ECANCELED ? JOB_CANCELLED : JOB_FAILED, result == -ECANCELED ? NULL : checkout_error(result),
                text && *text ? text : strerror(-result), NULL, 0);
}

static int withdraw(void *operation, const Operator *by, const char **ret_why) {
        (void) by;
        return roster_checkout_withdraw(operation, ret_why);
}

int roster_bus_checkout(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        static const JobKind kind = { .name = "checkout", .unit = "", .action = ACTION_OPERATE, .cancel = withdraw };
        Bus *b = *(Bus **) userdata;
        const char *officer, *why = NULL;
        Checkout *checkout;
        Operator by;
        Caller caller;
        Job *job;
        int r;

        r = sd_bus_message_read(m, "s", &officer);
        if (r < 0)
                return r;
        if ((r = check_word("officer", officer, ret_error)) < 0 || (r = caller_get(m, &caller, ret_error)) < 0 ||
            (r = job_new(b, m, &kind, BUS_ROSTER_PATH, &job, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        r = roster_checkout(manager_roster(b->manager), officer, &by, checked_out, job, &checkout, &why);
        if (r >= 0)
                return job_answer(job, checkout);
        job_drop(job);
        return sd_bus_error_setf(ret_error, checkout_error(r), "Nothing is checked out for '%s': %s.", officer, why);
}

int roster_bus_cancel_checkout(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *serial;
        Operator by;
        Caller caller;
        int r;

        r = sd_bus_message_read(m, "s", &serial);
        if (r < 0 || (r = caller_get(m, &caller, ret_error)) < 0)
                return r;
        by = caller_operator(&caller);
        r = roster_cancel(manager_roster(manager_of(userdata)), serial, &by, caller_answer, sd_bus_message_ref(m));
        if (r != -ENODEV)
                return given(m, r, ret_error);
        sd_bus_message_unref(m);
        return sd_bus_error_set(ret_error, BUS_E_NOT_FOUND, "No camera of this serial waits in a bay for its officer.");
}

/* ---- Who has which ------------------------------------------------------------------------------------------------- */

static int append_issue(sd_bus_message *m, const IssueRow *i) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "Id", "t", i->id, "Serial", "s", i->serial, "Overdue", "b", (int) i->overdue);
        if (r < 0 || (r = append_text(m, "OfficerId", i->officer_id)) < 0 || (r = append_text(m, "OfficerName", i->officer_name)) < 0 ||
            (r = append_text(m, "UnitId", i->unit_id)) < 0 || (r = append_text(m, "UnitName", i->unit_name)) < 0 ||
            (i->ordered_usec > 0 && (r = sd_bus_message_append(m, "{sv}", "OrderedUsec", "x", i->ordered_usec)) < 0) ||
            (i->taken_usec > 0 && (r = sd_bus_message_append(m, "{sv}", "TakenUsec", "x", i->taken_usec)) < 0) ||
            (i->due_usec > 0 && (r = sd_bus_message_append(m, "{sv}", "DueUsec", "x", i->due_usec)) < 0) ||
            (i->ended_usec > 0 && (r = sd_bus_message_append(m, "{sv}", "EndedUsec", "x", i->ended_usec)) < 0))
                return r;
        return sd_bus_message_close_container(m);
}

int roster_bus_list_issues(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Store *store = manager_store(manager_of(userdata));
        IssueRow **rows = NULL;
        uint64_t from;
        int open, r;
        uint32_t max;
        size_t n = 0;

        r = sd_bus_message_read(m, "btu", &open, &from, &max);
        if (r < 0)
                return r;
        if (from > INT64_MAX)
                return sd_bus_error_set(ret_error, BUS_E_INVALID_ARGUMENT, "from_id: it is larger than any.");
        r = open ? store_issues_open(store, from, rows_wanted(max), &rows, &n) : store_issues(store, 0, from, rows_wanted(max), &rows, &n);
        if (r < 0)
                return unreadable(ret_error, r);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_issue(reply, rows[i]);
        issue_rows_free(rows, n);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
