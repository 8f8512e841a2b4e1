/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl metrics`: what Prometheus gets. Once to stdout; with --http as the answer to one request on stdin, which berth-metrics.socket
 * hands over: whoever reads what the network sends has no privilege, one request's life, and no other descriptor.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/metrics.h"
#include "ctl/rollout_list.h"

#define REQUEST_MAX 8192u
/* Who has not sent its request by then, or does not read the answer, is let go of. */
#define HTTP_DEADLINE_SEC 20u
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define CLASSIC_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* ---- What there is ---------------------------------------------------------------------------------------------------- */

/* Figures need an action of polkit that a site may have taken away: the rest is told all the same. */
static void ask_figures(sd_bus *bus, DockFigures **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (bus_client_call(bus, DOCK_MANAGER_INTERFACE, "GetFigures", &reply, "") == CTL_OK && dock_figures_load(reply, ret) < 0)
                (void) ctl_fail(CTL_FAILURE, "the dock's figures cannot be read");
}

/* All of it as text, the caller's. A dock that does not answer is told by berth_up, and is no failure. */
static int compose(const Options *options, MetricsFormat format, char **ret, size_t *ret_size) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *objects = NULL;
        _cleanup_(dock_figures_freep) DockFigures *figures = NULL;
        _cleanup_(json_decrefp) json_t *rollouts = NULL;
        _cleanup_(dock_freep) Dock *dock = NULL;
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        char *text = NULL;
        FILE *to;

        if (bus_client_open(options, &bus) == CTL_OK && bus_client_load(bus, &dock, &objects) == CTL_OK) {
                ask_figures(bus, &figures);
                if (rollouts_load(objects, &rollouts) < 0)
                        (void) ctl_fail(CTL_FAILURE, "the dock's rollouts cannot be read");
        }
        to = open_memstream(&text, ret_size);
        if (!to)
                return -ENOMEM;
        metrics_write(to, format, dock, figures, rollouts);
        if (fclose(to) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

/* ---- HTTP ---------------------------------------------------------------------------------------------------------------- */

/* The header with its empty line; -EBADMSG when there is none, or too much. */
static int read_request(char ret[static REQUEST_MAX + 1]) {
        size_t n = 0;

        while (n < REQUEST_MAX) {
                ssize_t got = read(STDIN_FILENO, ret + n, REQUEST_MAX - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return -EBADMSG;
                n += (size_t) got;
                ret[n] = 0;
                if (strlen(ret) != n)
                        return -EBADMSG;
                if (strstr(ret, "\r\n\r\n"))
                        return 0;
        }
        return -EBADMSG;
}

static int respond(const char *status, const char *type, const char *body, size_t size, bool head) {
        printf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, type, size);
        if (!head)
                (void) fwrite(body, 1, size, stdout);
        return ctl_finish(CTL_OK);
}

static int refuse(const char *status) {
        _cleanup_(freep) char *body = text_format("%s\n", status);

        int exit_code = respond(status, "text/plain; charset=utf-8", body ? body : "", body ? strlen(body) : 0, false);
        char rest[REQUEST_MAX];
        /* What is left unread would make the kernel throw the answer away. */
        (void) shutdown(STDOUT_FILENO, SHUT_WR);
        while (read(STDIN_FILENO, rest, sizeof(rest)) > 0)
                ;
        return exit_code;
}

static bool accepts_openmetrics(const char *request) {
        for (const char *line = strstr(request, "\r\n"); line; line = strstr(line + 2, "\r\n"))
                if (strncasecmp(line + 2, "accept:", strlen("accept:")) == 0) {
                        _cleanup_(freep) char *value = strndup(line + 2, strcspn(line + 2, "\r"));

                        return value && strcasestr(value, "application/openmetrics-text");
                }
        return false;
}

/* Its client is let go of; that is nobody's failure. */
static void on_alarm(int sig) {
        (void) sig;
        _exit(CTL_OK);
}

static int serve(const Options *options) {
        char request[REQUEST_MAX + 1], method[8], path[32], version[16];
        _cleanup_(freep) char *body = NULL;
        size_t size = 0;

        (void) signal(SIGALRM, on_alarm);
        (void) alarm(HTTP_DEADLINE_SEC);
        if (read_request(request) < 0 || sscanf(request, "%7s %31s %15s", method, path, version) != 3 ||
            strncmp(version, "HTTP/1.", strlen("HTTP/1.")) != 0)
                return refuse("400 Bad Request");
        bool head = text_equal(method, "HEAD"), modern = accepts_openmetrics(request);
        if (!head && !text_equal(method, "GET"))
                return refuse("405 Method Not Allowed");
        path[strcspn(path, "?")] = 0;
        if (!text_equal(path, "/metrics"))
                return refuse("404 Not Found");
        if (compose(options, modern ? METRICS_OPENMETRICS : METRICS_CLASSIC, &body, &size) < 0)
                return refuse("503 Service Unavailable");
        return respond("200 OK", modern ? OPENMETRICS_TYPE : CLASSIC_TYPE, body, size, head);
}

int verb_metrics(const Options *options) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;

        if (options->json)
                return ctl_fail(CTL_USAGE, "metrics has a format of its own; 'berthctl status --json' is the dock in JSON");
        if (options->http)
                return serve(options);
        if (compose(options, options->textfile ? METRICS_CLASSIC : METRICS_OPENMETRICS, &text, &size) < 0)
                return ctl_fail(CTL_FAILURE, "out of memory");
        (void) fwrite(text, 1, size, stdout);
        return CTL_OK;
}
