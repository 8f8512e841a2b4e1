/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "ctl/json_out.h"
#include "ctl/rack_view.h"
#include "ctl/table.h"

/* A dock whose network is gone must not hold up what the others say. */
#define ANSWER_USEC (60 * USEC_PER_SEC)
#define ANSWER_MAX (64u * 1024u * 1024u)
/* So many ssh at once. */
#define AT_ONCE 16u
/* What the one that asks says before its own errors. */
#define OUR_NAME "berthctl: "

/* What one dock says: its stdout, and its stderr. */
typedef struct Said {
        int fd;
        char *text;
        size_t size;
} Said;

typedef struct Member {
        const char *host;
        pid_t child;
        Said out, err;
        int exit_code;
        bool ended;
} Member;

/* ---- Asking --------------------------------------------------------------------------------------------------------------- */

_Noreturn static void become_member(const Options *options, VerbRun run, const char *host, const int out[2], const int err[2]) {
        Options o = *options;

        /* Whatever becomes of the whole, this one's ssh ends with it. */
        (void) setpgid(0, 0);
        if (dup2(out[1], STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0)
                _exit(CTL_FAILURE);
        o.hosts[0] = host;
        o.n_hosts = 1;
        o.pages = false;
        /* Its table is made of this. */
        o.json = o.json || text_equal(o.verb, "status");
        _exit(ctl_finish(run(&o)));
}

static int begin(const Options *options, VerbRun run, Member *m) {
        int out[2], err[2];

        if (pipe2(out, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(err, O_CLOEXEC) < 0) {
                fd_close(out[0]);
                fd_close(out[1]);
                return -errno;
        }
        m->child = fork();
        if (m->child == 0)
                become_member(options, run, m->host, out, err);
        fd_close(out[1]);
        fd_close(err[1]);
        m->out.fd = out[0];
        m->err.fd = err[0];
        return m->child < 0 ? -EAGAIN : 0;
}

/* At the end of the file, or of what anybody has to say, it is closed. */
static void listen_to(Said *s) {
        char buffer[65536], *grown;
        ssize_t n = read(s->fd, buffer, sizeof(buffer));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        grown = n > 0 && s->size + (size_t) n < ANSWER_MAX ? realloc(s->text, s->size + (size_t) n + 1) : NULL;
        if (!grown) {
                fd_close(s->fd);
                s->fd = -EBADF;
                return;
        }
        s->text = grown;
        memcpy(s->text + s->size, buffer, (size_t) n);
        s->size += (size_t) n;
        s->text[s->size] = 0;
}

static void end(Member *m, bool in_time) {
        int status = 0;

        if (!in_time)
                (void) kill(-m->child, SIGKILL);
        if (m->child > 0)
                (void) waitpid(m->child, &status, 0);
        fd_close(m->out.fd);
        fd_close(m->err.fd);
        m->out.fd = m->err.fd = -EBADF;
        m->exit_code = !in_time ? CTL_UNREACHABLE : WIFEXITED(status) ? WEXITSTATUS(status) : CTL_FAILURE;
        m->ended = true;
}

/* Until the first of these has ended, or the time is over. */
static void serve(Member *members, unsigned n, uint64_t until_usec) {
        struct pollfd fds[2 * AT_ONCE] = { 0 };
        uint64_t now = clock_boottime_usec();
        int wait_msec = now < until_usec ? (int) ((until_usec - now) / USEC_PER_MSEC) + 1 : 0;

        for (unsigned i = 0; i < n; i++) {
                fds[2 * i] = (struct pollfd) { .fd = members[i].out.fd, .events = POLLIN };
                fds[2 * i + 1] = (struct pollfd) { .fd = members[i].err.fd, .events = POLLIN };
        }
        (void) poll(fds, 2 * n, wait_msec);
        for (unsigned i = 0; i < n; i++) {
                if (fds[2 * i].revents)
                        listen_to(&members[i].out);
                if (fds[2 * i + 1].revents)
                        listen_to(&members[i].err);
                if (!members[i].ended && members[i].out.fd < 0 && members[i].err.fd < 0)
                        end(&members[i], true);
                else if (!members[i].ended && clock_boottime_usec() >= until_usec)
                        end(&members[i], false);
        }
}

static bool all_ended(const Member *members, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                if (!members[i].ended)
                        return false;
        return true;
}

static int ask(const Options *options, VerbRun run, Member *members, unsigned n) {
        uint64_t until = clock_boottime_usec() + ANSWER_USEC;

        (void) fflush(stdout);
        for (unsigned i = 0; i < n; i++) {
                int r = begin(options, run, &members[i]);

                if (r < 0)
                        return ctl_fail(CTL_FAILURE, "%s cannot be asked: %s", members[i].host, strerror(-r));
        }
        while (!all_ended(members, n))
                serve(members, n, until);
        return CTL_OK;
}

/* ---- Telling ---------------------------------------------------------------------------------------------------------------- */

/* Each line with whose it is. What a dock prints was made safe for a terminal there. */
static void print_lines(FILE *to, const char *host, int width, const char *text) {
        for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                fprintf(to, "%-*s  %.*s\n", width, host, (int) strcspn(line, "\n"), line);
}

static void print_errors(const Member *members, unsigned n) {
        (void) fflush(stdout);
        for (unsigned i = 0; i < n; i++) {
                const char *text = members[i].err.text;

                for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                        const char *said = strncmp(line, OUR_NAME, strlen(OUR_NAME)) == 0 ? line + strlen(OUR_NAME) : line;

                        (void) ctl_fail(CTL_OK, "%s: %.*s", members[i].host, (int) strcspn(said, "\n"), said);
                }
                if (members[i].exit_code == CTL_UNREACHABLE && (!text || !*text))
                        (void) ctl_fail(CTL_OK, "%s: does not answer", members[i].host);
        }
}

static const char *text_of(const json_t *o, const char *key) {
        const char *text = json_string_value(json_object_get(o, key));

        return text ? text : "";
}

static const char *bytes_of(const json_t *o, const char *key, char ret[static 16]) {
        return text_bytes((unsigned long long) json_integer_value(json_object_get(o, key)), ret);
}

static const Column columns[] = {
        { .title = "HOST", .min_width = 8 },   { .title = "DOCK", .min_width = 6, .drop_rank = 4 },
        { .title = "STATE" },                  { .title = "STORE" },
        { .title = "BAYS", .right = true },    { .title = "READY", .right = true },
        { .title = "TROUBLE", .right = true }, { .title = "NOT STORED", .right = true },
        { .title = "FREE", .right = true },    { .title = "REASON", .min_width = 10, .drop_rank = 5 },
};

static void add_row(Table *table, const Member *m, const json_t *answer) {
        const json_t *dock = json_object_get(answer, "dock"), *bays = json_object_get(answer, "bays"), *bay;
        size_t ready = 0, trouble = 0, i;
        char text[16];

        table_row(table);
        table_cell(table, STYLE_PLAIN, m->host);
        if (!dock) {
                table_cell(table, STYLE_PLAIN, "");
                table_cell(table, STYLE_BAD, m->exit_code == CTL_UNREACHABLE ? "no answer" : "failed");
                return;
        }
        json_array_foreach(bays, i, bay) {
                const char *state = text_of(bay, "state");

                ready += text_equal(state, "ready");
                trouble += text_equal(state, "fault") || text_equal(state, "refused") || text_equal(state, "quarantined");
        }
        table_cell(table, STYLE_PLAIN, text_of(dock, "name"));
        table_cell(table, rack_view_style(text_of(dock, "state")), text_of(dock, "state"));
        table_cell(table, rack_view_style(text_of(dock, "store_state")), text_of(dock, "store_state"));
        table_cellf(table, STYLE_PLAIN, "%zu", json_array_size(bays));
        table_cellf(table, STYLE_PLAIN, "%zu", ready);
        table_cellf(table, trouble > 0 ? STYLE_BAD : STYLE_PLAIN, "%zu", trouble);
        table_cell(table, STYLE_PLAIN, bytes_of(dock, "unstored_bytes", text));
        table_cell(table, STYLE_PLAIN, bytes_of(dock, "spool_free_bytes", text));
        table_cell(table, STYLE_PLAIN, text_of(dock, "reason"));
}

static int print_status(const Member *members, unsigned n) {
        _cleanup_(table_freep) Table *table = NULL;

        if (table_new(columns, ELEMENTSOF(columns), &table) < 0)
                return ctl_fail(CTL_FAILURE, "out of memory");
        for (unsigned i = 0; i < n; i++) {
                _cleanup_(json_decrefp) json_t *answer = members[i].out.text ? json_loads(members[i].out.text, 0, NULL) : NULL;

                add_row(table, &members[i], answer);
        }
        return table_print(table);
}

static int print_json(const Member *members, unsigned n) {
        _cleanup_(json_decrefp) json_t *docks = json_array();

        for (unsigned i = 0; i < n && docks; i++) {
                json_t *answer = members[i].out.text ? json_loads(members[i].out.text, 0, NULL) : NULL;

                if (json_array_append_new(docks, json_pack("{s:s, s:i, s:s?, s:o?}", "host", members[i].host, "exit_code",
                                                           members[i].exit_code, "error",
                                                           members[i].exit_code == CTL_OK ? NULL : members[i].err.text ?: "does not answer",
                                                           "answer", answer)) < 0)
                        return json_out(NULL, false);
        }
        return json_out(json_pack("{s:s, s:O}", "schema", JSON_SCHEMA("fleet"), "docks", docks), false);
}

/* All alike, or partly. */
static int outcome(const Member *members, unsigned n) {
        for (unsigned i = 1; i < n; i++)
                if (members[i].exit_code != members[0].exit_code)
                        return CTL_PARTLY;
        return members[0].exit_code;
}

static int tell(const Options *options, const Member *members, unsigned n) {
        size_t width = 0;

        for (unsigned i = 0; i < n; i++)
                width = MAX2(width, strlen(members[i].host));
        if (options->json)
                return print_json(members, n);
        if (text_equal(options->verb, "status"))
                return print_status(members, n);
        for (unsigned i = 0; i < n; i++)
                print_lines(stdout, members[i].host, (int) MIN2(width, (size_t) 64), members[i].out.text);
        return CTL_OK;
}

int fleet_run(const Options *options, VerbRun run) {
        Member *members = calloc(options->n_hosts, sizeof(*members));
        int exit_code = CTL_OK;

        if (!members)
                return ctl_fail(CTL_FAILURE, "out of memory");
        for (unsigned i = 0; i < options->n_hosts; i++)
                members[i] = (Member) { .host = options->hosts[i], .out.fd = -EBADF, .err.fd = -EBADF };
        for (unsigned i = 0; exit_code == CTL_OK && i < options->n_hosts; i += AT_ONCE)
                exit_code = ask(options, run, members + i, MIN2(AT_ONCE, options->n_hosts - i));
        if (exit_code == CTL_OK)
                exit_code = tell(options, members, options->n_hosts);
        if (exit_code == CTL_OK) {
                print_errors(members, options->n_hosts);
                exit_code = outcome(members, options->n_hosts);
        }
        for (unsigned i = 0; i < options->n_hosts; i++) {
                free(members[i].out.text);
                free(members[i].err.text);
        }
        free(members);
        return exit_code;
}
