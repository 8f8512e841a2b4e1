/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl roster`, `assign`, `checkout`: officers and their cameras. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/roster.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/job.h"
#include "ctl/json_out.h"
#include "ctl/list.h"
#include "ctl/property.h"
#include "ctl/table.h"

#define FILE_MAX (1024u * 1024u)

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

typedef struct ListedOfficer {
        char *id, *name, *unit_id, *unit_name, *badge, *serial;
} ListedOfficer;

static const Property officer_properties[] = {
        PROPERTY(ListedOfficer, "Id", "id", STRING, id),
        PROPERTY(ListedOfficer, "Name", "name", STRING, name),
        PROPERTY(ListedOfficer, "UnitId", "unit_id", STRING, unit_id),
        PROPERTY(ListedOfficer, "UnitName", "unit_name", STRING, unit_name),
        PROPERTY(ListedOfficer, "Badge", "badge", STRING, badge),
        PROPERTY(ListedOfficer, "Serial", "serial", MAYBE, serial),
};

static const Column officer_columns[] = {
        { .title = "OFFICER", .min_width = 6 },
        { .title = "NAME", .min_width = 8 },
        { .title = "UNIT", .min_width = 6, .drop_rank = 1 },
        { .title = "BADGE", .min_width = 6, .drop_rank = 2 },
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
};

static void add_officer(Table *table, const void *entry, void *userdata) {
        const ListedOfficer *o = entry;
        (void) userdata;
        table_row(table);
        table_cell(table, STYLE_PLAIN, o->id);
        table_cell(table, STYLE_PLAIN, o->name);
        table_cell(table, STYLE_PLAIN, *o->unit_name ? o->unit_name : o->unit_id);
        table_cell(table, STYLE_PLAIN, o->badge);
        table_cell(table, STYLE_PLAIN, o->serial ? o->serial : "pool");
}

typedef struct ListedIssue {
        uint64_t id;
        char *serial, *officer_id, *officer_name, *unit_id, *unit_name;
        int64_t ordered_usec, taken_usec, due_usec, ended_usec;
        bool overdue;
} ListedIssue;

static const Property issue_properties[] = {
        PROPERTY(ListedIssue, "Id", "id", UINT64, id),
        PROPERTY(ListedIssue, "Serial", "serial", STRING, serial),
        PROPERTY(ListedIssue, "OfficerId", "officer_id", MAYBE, officer_id),
        PROPERTY(ListedIssue, "OfficerName", "officer_name", MAYBE, officer_name),
        PROPERTY(ListedIssue, "UnitId", "unit_id", MAYBE, unit_id),
        PROPERTY(ListedIssue, "UnitName", "unit_name", MAYBE, unit_name),
        PROPERTY(ListedIssue, "OrderedUsec", "ordered_usec", TIME, ordered_usec),
        PROPERTY(ListedIssue, "TakenUsec", "taken_usec", TIME, taken_usec),
        PROPERTY(ListedIssue, "DueUsec", "due_usec", TIME, due_usec),
        PROPERTY(ListedIssue, "EndedUsec", "ended_usec", TIME, ended_usec),
        PROPERTY(ListedIssue, "Overdue", "overdue", BOOL, overdue),
};

static const Column issue_columns[] = {
        { .title = "CAMERA", .min_width = 8, .keep_end = true },
        { .title = "OFFICER", .min_width = 8 },
        { .title = "TAKEN" },
        { .title = "DUE", .drop_rank = 1 },
        { .title = "BACK" },
        { .title = "LATE", .right = true },
};

static void add_issue(Table *table, const void *entry, void *userdata) {
        const ListedIssue *i = entry;
        int64_t end = i->ended_usec != PROPERTY_TIME_UNKNOWN ? i->ended_usec : clock_wall_usec(), late = 0;
        bool taken = i->taken_usec != PROPERTY_TIME_UNKNOWN;
        (void) userdata;
        table_row(table);
        table_cell(table, STYLE_PLAIN, i->serial);
        table_cell(table, STYLE_PLAIN, i->officer_name ? i->officer_name : i->officer_id ? i->officer_id : "nobody known");
        table_time(table, i->taken_usec, i->ended_usec == PROPERTY_TIME_UNKNOWN ? "waits in its bay" : "not taken");
        table_time(table, i->due_usec, "");
        table_time(table, taken ? i->ended_usec : PROPERTY_TIME_UNKNOWN, taken ? "not yet" : "");
        if (taken && i->due_usec != PROPERTY_TIME_UNKNOWN && end > i->due_usec)
                late = (end - i->due_usec) / (60 * (int64_t) USEC_PER_SEC);
        if (late > 0)
                table_cellf(table, STYLE_BAD, "%lld:%02lld", (long long) (late / 60), (long long) (late % 60));
        else
                table_cell(table, STYLE_PLAIN, "");
}

static int list_officers(const Options *options, sd_bus *bus) {
        static const ListKind kind = { officer_properties, ELEMENTSOF(officer_properties), sizeof(ListedOfficer),
                                       officer_columns,    ELEMENTSOF(officer_columns),    add_officer };
        _cleanup_(list_done) List list = { 0 };
        uint64_t number = 0;
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r < 0)
                return bus_client_report(NULL, r);
        int exit_code = list_read_pages(&list, bus, DOCK_ROSTER_INTERFACE, "ListOfficers", &number);
        if (exit_code != CTL_OK)
                return exit_code;
        if (options->json)
                return json_out(json_pack("{s:s, s:I, s:O}", "schema", JSON_SCHEMA("roster"), "number", (json_int_t) number, "officers",
                                          list.array), false);
        return list_print(&list, JSON_SCHEMA("roster"), "officers", "The roster is empty; 'berthctl roster import FILE.csv' fills it.");
}

static int list_issues(const Options *options, sd_bus *bus) {
        static const ListKind kind = { issue_properties, ELEMENTSOF(issue_properties), sizeof(ListedIssue),
                                       issue_columns,    ELEMENTSOF(issue_columns),    add_issue };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(list_done) List list = { 0 };
        int r = list_begin(&kind, options->json, NULL, &list);
        if (r < 0)
                return bus_client_report(NULL, r);
        int exit_code = bus_client_call(bus, DOCK_ROSTER_INTERFACE, "ListIssues", &reply, "btu", 0, options->before,
                                        (uint32_t) (options->max_given ? options->max : 0));
        if (exit_code != CTL_OK)
                return exit_code;
        r = list_read(&list, reply, NULL);
        if (r < 0)
                return bus_client_report(NULL, r);
        return list_print(&list, JSON_SCHEMA("issues"), "issues", "No camera was ever issued.");
}

/* ---- Orders -------------------------------------------------------------------------------------------------------- */

static int append_officers(sd_bus_message *call, const json_t *roster) {
        int r = sd_bus_message_open_container(call, 'a', "(ssssss)");
        for (size_t i = 0; i < json_array_size(roster) && r >= 0; i++) {
                Officer o = roster_officer(roster, i);
                r = sd_bus_message_append(call, "(ssssss)", o.id, o.name, o.unit_id, o.unit_name, o.badge, o.serial);
        }
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int send_roster(const Options *options, const char *source, const json_t *roster) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = bus_client_message(bus, DOCK_ROSTER_INTERFACE, "ImportOfficers", &call);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", source);
        if (r >= 0)
                r = append_officers(call, roster);
        if (r < 0)
                return bus_client_report(NULL, r);
        r = bus_client_send(bus, call, 0, &error, NULL);
        if (r < 0)
                return bus_client_report(&error, r);
        printf("%zu officers\n", json_array_size(roster));
        return CTL_OK;
}

static int import(const Options *options, const char *path) {
        _cleanup_(json_decrefp) json_t *roster = NULL;
        _cleanup_(freep) char *text = NULL;
        const char *slash = strrchr(path, '/');
        ConfError error = { 0 };
        size_t size = 0;
        int r = fd_read_file(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerror(-r));
        r = roster_from_csv(path, text, size, &roster, &error);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r));
        return send_roster(options, slash ? slash + 1 : path, roster);
}

/* ---- The fleet's --------------------------------------------------------------------------------------------------- */

static int read_admin(const char *path, SignKey **ret) {
        char *pem = NULL;
        size_t size = 0;
        if (!path)
                return ctl_fail(CTL_USAGE, "--admin-key=FILE is missing: the administrator's Ed25519 key in PEM");
        int r = fd_read_file(AT_FDCWD, path, FILE_MAX, &pem, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerror(-r));
        r = sign_key_from_pem(pem, size, ret);
        explicit_bzero(pem, size);
        free(pem);
        return r < 0 ? ctl_fail(CTL_FAILURE, "%s is no Ed25519 key in PEM that can sign", path) : CTL_OK;
}

static int write_file(const char *path, const char *text) {
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *folder = slash ? strndup(path, (size_t) (slash - path + 1)) : strdup(".");
        _cleanup_(fd_closep) int dir = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        return dir < 0 ? -errno : fd_replace_file(dir, slash ? slash + 1 : path, text, strlen(text), 0644);
}

static int sign(const Options *options, const char *table, const char *path) {
        _cleanup_(sign_key_freep) SignKey *admin = NULL;
        _cleanup_(json_decrefp) json_t *roster = NULL;
        _cleanup_(freep) char *text = NULL, *file = NULL;
        char hex[PUBLIC_KEY_HEX_SIZE];
        ConfError error = { 0 };
        size_t size = 0;
        int exit_code = read_admin(options->admin_key, &admin);
        if (exit_code != CTL_OK)
                return exit_code;
        if (!options->fleet || !options->after_given)
                return ctl_fail(CTL_USAGE, "'roster sign' needs --fleet=ID, and --after=NUMBER of the roster before, 0 for the first");
        int r = fd_read_file(AT_FDCWD, table, FILE_MAX, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", table, strerror(-r));
        r = roster_from_csv(table, text, size, &roster, &error);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s", error.text[0] ? error.text : strerror(-r));
        r = roster_sign(admin, options->fleet, options->after + 1, clock_wall_usec(), roster, &file);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be signed: %s", table, r == -E2BIG ? "it has too many officers for one roster" :
                                r == -EINVAL ? "--fleet is no id of a fleet" : strerror(-r));
        r = write_file(path, file);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be written: %s", path, strerror(-r));
        printf("%s: roster %llu of the fleet %s, %zu officers; docks believe it by fleet_key = %s\n", path,
               (unsigned long long) options->after + 1, options->fleet, json_array_size(roster),
               public_key_to_hex(sign_key_public(admin), hex));
        return CTL_OK;
}

/* A method of one string that answers with a job. */
static int run(const Options *options, const char *method, const char *text, JobTell tell) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = bus_client_message(bus, DOCK_ROSTER_INTERFACE, method, &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", text);
        if (r < 0)
                return bus_client_report(NULL, r);
        return job_run(options, bus, &(JobOrder){ .call = call, .tell = tell, .userdata = (void *) options });
}

static int published(void *userdata, const JobEnd *end) {
        (void) userdata;
        (void) end;
        return CTL_OK;
}

static int publish(const Options *options, const char *path) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r = fd_read_file(AT_FDCWD, path, ROSTER_FILE_MAX, &text, &size);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "%s cannot be read: %s", path, strerror(-r));
        if (!text_is_utf8(text, size) || memchr(text, 0, size))
                return ctl_fail(CTL_FAILURE, "%s is no signed roster", path);
        return run(options, "Publish", text, published);
}

static int order(const Options *options, const char *method, const char *first, const char *second) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        return second ? bus_client_call(bus, DOCK_ROSTER_INTERFACE, method, &reply, "ss", first, second) :
                        bus_client_call(bus, DOCK_ROSTER_INTERFACE, method, &reply, "s", first);
}

int verb_roster(const Options *options) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        const char *what = options->n_args > 0 ? options->args[0] : "list";
        if (text_equal(what, "import"))
                return options->n_args == 2 ? import(options, options->args[1]) :
                                              ctl_fail(CTL_USAGE, "'roster import' takes one FILE.csv");
        if (text_equal(what, "sign"))
                return options->n_args == 3 ? sign(options, options->args[1], options->args[2]) :
                                              ctl_fail(CTL_USAGE, "'roster sign' takes FILE.csv and the file that is to be written");
        if (text_equal(what, "publish"))
                return options->n_args == 2 ? publish(options, options->args[1]) :
                                              ctl_fail(CTL_USAGE, "'roster publish' takes one file that 'roster sign' wrote");
        if (text_equal(what, "cancel"))
                return options->n_args == 2 ? order(options, "CancelCheckout", options->args[1], NULL) :
                                              ctl_fail(CTL_USAGE, "'roster cancel' takes the SERIAL of a camera that waits in its bay");
        if (options->n_args > 1 || (!text_equal(what, "list") && !text_equal(what, "issues")))
                return ctl_fail(CTL_USAGE, "'roster' is followed by 'list', 'issues', 'import', 'sign', 'publish' or 'cancel'");
        int exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        return text_equal(what, "list") ? list_officers(options, bus) : list_issues(options, bus);
}

int verb_assign(const Options *options) {
        if (options->n_args != 2)
                return ctl_fail(CTL_USAGE, "'assign' takes OFFICER and SERIAL, or 'pool' in place of a serial");
        return order(options, "Assign", options->args[0], text_equal(options->args[1], "pool") ? "" : options->args[1]);
}

static int checked_out(void *userdata, const JobEnd *end) {
        const Options *options = userdata;
        const char *serial = job_end_text(end, "Serial");
        char safe[256];
        text_sanitise(serial, safe, sizeof(safe));
        if (options->json)
                return json_out(json_pack("{s:s, s:s, s:I}", "schema", JSON_SCHEMA("checkout"), "serial", serial, "bay",
                                          (json_int_t) job_end_number(end, "Bay")), false);
        printf("Bay %llu: camera %s\n", (unsigned long long) job_end_number(end, "Bay"), safe);
        return CTL_OK;
}

int verb_checkout(const Options *options) {
        if (options->n_args != 1)
                return ctl_fail(CTL_USAGE, "'checkout' takes one OFFICER, by id or badge");
        return run(options, "Checkout", options->args[0], checked_out);
}
