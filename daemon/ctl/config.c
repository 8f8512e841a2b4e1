/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl config show`: the settings of berthd and berth-uplink as they are written; `berthctl reload`: the daemon reads them anew. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/daemon_program.h"
#include "ctl/json_out.h"
#include "ctl/table.h"

#define WAIT_USEC (60 * USEC_PER_SEC)

/* ---- config show ----------------------------------------------------------------------------------------------------- */

/* A daemon knows its keys and their defaults, `--show`. It says what is wrong with a file itself. */
static int ask_program(const char *name, const char *file, json_t **ret) {
        char beside[PATH_MAX];
        const char *daemon = daemon_program(name, beside);
        json_t *answer;
        int pipe_fds[2], status = 0;
        pid_t child;
        FILE *from;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return ctl_fail(CTL_FAILURE, "cannot make a pipe: %s", strerror(errno));
        (void) fflush(stdout);
        child = fork();
        if (child == 0) {
                (void) dup2(pipe_fds[1], STDOUT_FILENO);
                if (file)
                        (void) execl(daemon, daemon, "--show", "--config", file, (char *) NULL);
                else
                        (void) execl(daemon, daemon, "--show", (char *) NULL);
                _exit(127);
        }
        fd_close(pipe_fds[1]);
        from = child > 0 ? fdopen(pipe_fds[0], "r") : NULL;
        if (!from) {
                fd_close(pipe_fds[0]);
                return ctl_fail(CTL_FAILURE, "%s cannot be run: %s", daemon, strerror(errno));
        }
        answer = json_loadf(from, 0, NULL);
        (void) fclose(from);
        (void) waitpid(child, &status, 0);
        if (answer && status == 0) {
                *ret = answer;
                return CTL_OK;
        }
        json_decref(answer);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                return ctl_fail(CTL_FAILURE, "%s cannot be run", daemon);
        return CTL_FAILURE;
}

static const char *text_of(const json_t *setting, const char *key) {
        return json_string_value(json_object_get(setting, key));
}

static int print_settings(const json_t *settings, bool with_origin) {
        static const Column columns[] = {
                { .title = "SETTING" },
                { .title = "VALUE", .min_width = 12 },
                { .title = "FROM", .min_width = 12, .keep_end = true },
        };
        _cleanup_(table_freep) Table *table = NULL;
        const json_t *setting;
        size_t i;

        if (table_new(columns, with_origin ? 3 : 2, &table) < 0)
                return bus_client_report(NULL, -ENOMEM);
        json_array_foreach(settings, i, setting) {
                const char *origin = text_of(setting, "origin");
                Style style = origin ? STYLE_PLAIN : STYLE_DIM;

                table_row(table);
                table_cell(table, style, text_of(setting, "key"));
                table_cell(table, style, text_of(setting, "value"));
                if (with_origin)
                        table_cell(table, style, origin ? origin : "default");
        }
        return table_print(table);
}

/* Beside berthd's own, in one list: no section is in both files. */
static int add_uplink(const char *file, json_t *answer) {
        _cleanup_(json_decrefp) json_t *uplink = NULL;
        int exit_code = ask_program("berth-uplink", file, &uplink);

        if (exit_code != CTL_OK)
                return exit_code;
        if (json_object_set(answer, "uplink_file", json_object_get(uplink, "file")) < 0 ||
            json_array_extend(json_object_get(answer, "settings"), json_object_get(uplink, "settings")) < 0)
                return bus_client_report(NULL, -ENOMEM);
        return CTL_OK;
}

int verb_config(const Options *options) {
        _cleanup_(json_decrefp) json_t *answer = NULL;
        int exit_code, uplink;

        if (options->n_args < 1 || !text_equal(options->args[0], "show"))
                return ctl_fail(CTL_USAGE, "config is followed by 'show [FILE [UPLINK-FILE]]'");
        exit_code = ask_program("berthd", options->n_args > 1 ? options->args[1] : NULL, &answer);
        if (exit_code != CTL_OK)
                return exit_code;
        /* What is wrong with one file keeps nobody from the other's settings. */
        uplink = options->n_args == 2 ? CTL_OK : add_uplink(options->n_args > 2 ? options->args[2] : NULL, answer);
        if (options->json)
                exit_code = json_out(TAKE_PTR(answer), false);
        else
                exit_code = print_settings(json_object_get(answer, "settings"), options->origin);
        return exit_code != CTL_OK ? exit_code : uplink;
}

/* ---- reload ------------------------------------------------------------------------------------------------------------ */

/* One string, or none: NULL. It lives as long as the message. */
static int read_maybe(sd_bus_message *m, const char **ret) {
        int r;

        *ret = NULL;
        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r >= 0)
                r = sd_bus_message_read(m, "s", ret);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

typedef struct Change {
        const char *key, *before, *after;
        int now;
} Change;

static int read_change(sd_bus_message *m, Change *c) {
        int r = sd_bus_message_enter_container(m, 'r', "sasasb");

        if (r <= 0)
                return r;
        if ((r = sd_bus_message_read(m, "s", &c->key)) < 0 || (r = read_maybe(m, &c->before)) < 0 || (r = read_maybe(m, &c->after)) < 0 ||
            (r = sd_bus_message_read(m, "b", &c->now)) < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                return r;
        return 1;
}

static void print_value(const char *sign, const Change *c, const char *value) {
        char safe[1024];

        if (!value)
                return;
        text_sanitise(value, safe, sizeof(safe));
        printf("%s %s = %s%s\n", sign, c->key, safe, *sign == '+' && !c->now ? "    (from the next start on)" : "");
}

/* As a diff. What is not written any more falls back to its default. */
static void print_change(const Change *c) {
        print_value("-", c, c->before);
        print_value("+", c, c->after);
        if (!c->after && !c->now)
                printf("  %s has its default from the next start on\n", c->key);
}

static int take_changes(sd_bus_message *reply, json_t *list) {
        Change c;
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, 'a', "(sasasb)");

        while (r >= 0 && (r = read_change(reply, &c)) > 0) {
                n++;
                if (list && json_array_append_new(list, json_pack("{s:s, s:s?, s:s?, s:b}", "key", c.key, "before", c.before, "after",
                                                                  c.after, "now", c.now)) < 0)
                        return -ENOMEM;
                if (!list)
                        print_change(&c);
        }
        if (r >= 0 && n == 0 && !list)
                puts("Nothing has changed.");
        return r;
}

int verb_reload(const Options *options) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(json_decrefp) json_t *list = options->json ? json_array() : NULL;
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int exit_code = bus_client_open(options, &bus), r;

        if (exit_code != CTL_OK)
                return exit_code;
        r = bus_client_message(bus, DOCK_MANAGER_INTERFACE, "Reload", &call);
        if (r >= 0)
                r = bus_client_send(bus, call, WAIT_USEC, &error, &reply);
        if (r < 0)
                return bus_client_report(&error, r);
        r = take_changes(reply, list);
        if (r < 0)
                return bus_client_report(NULL, r);
        return list ? json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("reload"), "changes", list), false) : CTL_OK;
}
