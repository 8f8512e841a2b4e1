/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl job`: what the daemon is at that takes its time, whoever ordered it. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/job.h"
#include "ctl/json_out.h"
#include "ctl/number.h"
#include "ctl/objects.h"
#include "ctl/property.h"
#include "ctl/table.h"

#define JOB_PATH DOCK_PATH "/job"

typedef struct ListedJob {
        uint64_t id, done, total;
        char *kind, *about, *state, *unit, *error, *text;
        uint32_t owner_uid;
        int64_t begun_usec;
        json_t *outcome;
} ListedJob;

static const Property properties[] = {
        PROPERTY(ListedJob, "Id", "id", UINT64, id),
        PROPERTY(ListedJob, "Kind", "kind", STRING, kind),
        PROPERTY(ListedJob, "About", "about", OBJECT, about),
        PROPERTY(ListedJob, "OwnerUid", "owner_uid", UINT32, owner_uid),
        PROPERTY(ListedJob, "BegunUsec", "begun_usec", INT64, begun_usec),
        PROPERTY(ListedJob, "State", "state", STRING, state),
        PROPERTY(ListedJob, "Done", "done", UINT64, done),
        PROPERTY(ListedJob, "Total", "total", UINT64, total),
        PROPERTY(ListedJob, "Unit", "unit", STRING, unit),
        PROPERTY(ListedJob, "Error", "error", STRING, error),
        PROPERTY(ListedJob, "Text", "text", STRING, text),
        PROPERTY(ListedJob, "Outcome", "outcome", OUTCOME, outcome),
};

static const Column columns[] = {
        { .title = "JOB", .right = true },
        { .title = "KIND", .min_width = 8 },
        { .title = "ABOUT", .min_width = 6, .keep_end = true },
        { .title = "USER", .right = true, .drop_rank = 2 },
        { .title = "BEGUN", .drop_rank = 1 },
        { .title = "STATE" },
        { .title = "DONE", .right = true },
        { .title = "TEXT", .min_width = 12, .drop_rank = 3 },
};

/* ---- Reading ----------------------------------------------------------------------------------------------------------- */

typedef struct Jobs {
        ListedJob *jobs;
        size_t n;
} Jobs;

static void jobs_done(Jobs *j) {
        for (size_t i = 0; i < j->n; i++)
                properties_clear(properties, ELEMENTSOF(properties), &j->jobs[i]);
        free(j->jobs);
}

static int take_job(void *userdata, const char *path, sd_bus_message *m) {
        Jobs *j = userdata;
        ListedJob *larger = reallocarray(j->jobs, j->n + 1, sizeof(*larger));
        int r;

        (void) path;
        if (!larger)
                return -ENOMEM;
        j->jobs = larger;
        memset(&larger[j->n], 0, sizeof(*larger));
        r = properties_init(properties, ELEMENTSOF(properties), &larger[j->n++]);
        return r < 0 ? r : properties_read(properties, ELEMENTSOF(properties), &larger[j->n - 1], m);
}

static int compare_jobs(const void *a, const void *b) {
        const ListedJob *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static int load_all(sd_bus *bus, Jobs *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r, exit_code = bus_client_call(bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &reply, "");

        if (exit_code != CTL_OK)
                return exit_code;
        r = objects_each(reply, DOCK_JOB_INTERFACE, take_job, ret);
        if (r < 0)
                return bus_client_report(NULL, r);
        if (ret->n > 1)
                qsort(ret->jobs, ret->n, sizeof(*ret->jobs), compare_jobs);
        return CTL_OK;
}

/* ---- Showing ----------------------------------------------------------------------------------------------------------- */

static json_t *to_json(const ListedJob *job) {
        json_t *object = json_object();

        if (!object || properties_to_json(properties, ELEMENTSOF(properties), job, object) < 0) {
                json_decref(object);
                return NULL;
        }
        return object;
}

static const char *about_of(const ListedJob *job) {
        size_t length = strlen(DOCK_PATH "/");

        return strncmp(job->about, DOCK_PATH "/", length) == 0 ? job->about + length : "dock";
}

static void add_row(Table *table, const ListedJob *job) {
        char text[UTC_TEXT_SIZE];

        table_row(table);
        table_cellf(table, STYLE_PLAIN, "%" PRIu64, job->id);
        table_cell(table, STYLE_PLAIN, job->kind);
        table_cell(table, STYLE_PLAIN, about_of(job));
        table_cellf(table, STYLE_PLAIN, "%u", (unsigned) job->owner_uid);
        table_cellf(table, STYLE_PLAIN, "%.8s", utc_text(job->begun_usec, text) + 11);
        table_cell(table, text_equal(job->state, "failed") ? STYLE_BAD : text_equal(job->state, "running") ? STYLE_BUSY : STYLE_PLAIN,
                   job->state);
        if (job->total > 0)
                table_cellf(table, STYLE_PLAIN, "%d %%", (int) (100 * ((double) MIN2(job->done, job->total) / (double) job->total)));
        else
                table_cell(table, STYLE_PLAIN, "");
        table_cell(table, STYLE_PLAIN, job->text);
}

static int list(const Options *options, sd_bus *bus) {
        _cleanup_(table_freep) Table *table = NULL;
        _cleanup_(json_decrefp) json_t *array = json_array();
        _cleanup_(jobs_done) Jobs jobs = { 0 };
        int r, exit_code = load_all(bus, &jobs);

        if (exit_code != CTL_OK)
                return exit_code;
        r = array ? table_new(columns, ELEMENTSOF(columns), &table) : -ENOMEM;
        for (size_t i = 0; i < jobs.n && r >= 0; i++) {
                add_row(table, &jobs.jobs[i]);
                r = json_array_append_new(array, to_json(&jobs.jobs[i])) < 0 ? -ENOMEM : 0;
        }
        if (r < 0)
                return bus_client_report(NULL, r);
        if (options->json)
                return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("jobs"), "jobs", array), false);
        if (jobs.n == 0) {
                puts("The daemon is at nothing that somebody waits for.");
                return CTL_OK;
        }
        return table_print(table);
}

static void print_outcome(const ListedJob *job) {
        const char *key;
        json_t *value;

        json_object_foreach(job->outcome, key, value) {
                char safe[256];

                text_sanitise(json_is_string(value) ? json_string_value(value) : "", safe, sizeof(safe));
                if (json_is_integer(value))
                        printf("%s: %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
                else
                        printf("%s: %s\n", key, safe);
        }
}

static int print(const ListedJob *job) {
        char text[UTC_TEXT_SIZE], safe[1024];

        text_sanitise(job->text, safe, sizeof(safe));
        printf("Job %" PRIu64 ": %s, about %s, begun %.19s UTC by user %u\n%s%s%s\n", job->id, job->kind, about_of(job),
               utc_text(job->begun_usec, text), (unsigned) job->owner_uid, job->state, safe[0] ? ": " : "", safe);
        if (job->total > 0)
                printf("%" PRIu64 " of %" PRIu64 " %s\n", job->done, job->total, job->unit);
        print_outcome(job);
        return CTL_OK;
}

/* `ended`: the exit code tells what came of it. */
static int show(const Options *options, sd_bus *bus, const char *path, bool ended) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(jobs_done) Jobs jobs = { 0 };
        int exit_code, r;

        r = sd_bus_call_method(bus, DOCK_BUS_NAME, path, BUS_PROPERTIES, "GetAll", &error, &reply, "s", DOCK_JOB_INTERFACE);
        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return ctl_fail(CTL_FAILURE, "there is no job %s; 'berthctl job' lists them", path + strlen(JOB_PATH "/"));
        if (r < 0)
                return bus_client_report(&error, r);
        r = take_job(&jobs, path, reply);
        if (r < 0)
                return bus_client_report(NULL, r);
        exit_code = options->json ? json_out(json_pack("{s:s, s:o}", "schema", JSON_SCHEMA("job"), "job", to_json(jobs.jobs)), false) :
                                    print(jobs.jobs);
        return exit_code == CTL_OK && ended && !text_equal(jobs.jobs->state, "done") ? CTL_FAILURE : exit_code;
}

/* ---- The verb ---------------------------------------------------------------------------------------------------------- */

static int cancel(sd_bus *bus, const char *path) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_message_new_method_call(bus, &call, DOCK_BUS_NAME, path, DOCK_JOB_INTERFACE, "Cancel");

        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = bus_client_send(bus, call, 0, &error, NULL);
        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return ctl_fail(CTL_FAILURE, "there is no job %s; 'berthctl job' lists them", path + strlen(JOB_PATH "/"));
        return r < 0 ? bus_client_report(&error, r) : CTL_OK;
}

int verb_job(const Options *options) {
        const char *what = options->n_args > 0 ? options->args[0] : "list";
        bool lists = text_equal(what, "list"), shows = text_equal(what, "show"), waits = text_equal(what, "wait");
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        char path[sizeof(JOB_PATH) + 24];
        uint64_t number = 0;
        int exit_code;

        if (!lists && !shows && !waits && !text_equal(what, "cancel"))
                return ctl_fail(CTL_USAGE, "'job' is followed by 'list', 'show NUMBER', 'wait NUMBER' or 'cancel NUMBER'");
        if (lists && options->n_args > 1)
                return ctl_fail(CTL_USAGE, "'job list' takes nothing more");
        if (!lists && (options->n_args != 2 || number_parse(options->args[1], 1, INT64_MAX, &number) < 0))
                return ctl_fail(CTL_USAGE, "'job %s' takes the number of one job; 'berthctl job' lists them", what);
        exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK || lists)
                return exit_code == CTL_OK ? list(options, bus) : exit_code;
        (void) snprintf(path, sizeof(path), JOB_PATH "/%" PRIu64, number);
        if (!shows && !waits)
                return cancel(bus, path);
        exit_code = waits ? job_wait(options, bus, path) : CTL_OK;
        return exit_code == CTL_OK ? show(options, bus, path, waits) : exit_code;
}
