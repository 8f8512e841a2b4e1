/* SPDX-License-Identifier: Apache-2.0 */

/* How the store is, and what an admin is told of it. */

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "uplink/connection_private.h"

/* So far apart clocks do no harm; stores that check signatures refuse at a quarter of an hour. */
#define CLOCK_APART_SEC 60

/* What is wrong with the store comes first; a pause is not. */
static const char *state_of(const Server *s, const char **ret_text) {
        const char *state = probe_state(s->probe, ret_text);

        if (!s->pause[0] || !text_equal(state, WIRE_STORE_READY))
                return state;
        *ret_text = s->pause;
        return WIRE_STORE_PAUSED;
}

int connection_get_state(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Connection *c = userdata;
        const char *text, *state = state_of(c->server, &text);

        (void) error;
        return sd_bus_reply_method_return(m, "ss", state, text);
}

static int append_point(sd_bus_message *m, const char *name, const char *verdict, const char *text) {
        return sd_bus_message_append(m, "(sss)", name, verdict, text);
}

static int append_state(sd_bus_message *m, const Server *s) {
        const char *text, *state = probe_state(s->probe, &text);

        if (probe_is_ready(s->probe))
                return append_point(m, WIRE_POINT_STORE, WIRE_VERDICT_OK, "the store answers, takes these credentials, and is ready");
        return append_point(m, WIRE_POINT_STORE, WIRE_VERDICT_FAILED, *text ? text : state);
}

static int append_clock(sd_bus_message *m, const StoreReport *report) {
        int64_t apart = report->ahead_sec < 0 ? -report->ahead_sec : report->ahead_sec;
        char text[256];

        if (!report->clock_known)
                return 0;
        if (apart <= CLOCK_APART_SEC)
                return append_point(m, WIRE_POINT_STORE_CLOCK, WIRE_VERDICT_OK, "the store's clock and the dock's agree");
        (void) snprintf(text, sizeof(text),
                        "the store's clock is %" PRId64 " s %s the dock's: set the one right that is wrong, and keep both synchronised; "
                        "from 900 s on, stores refuse what is signed",
                        apart, report->ahead_sec < 0 ? "behind" : "ahead of");
        return append_point(m, WIRE_POINT_STORE_CLOCK, WIRE_VERDICT_WARNING, text);
}

static int append_report(sd_bus_message *m, const Server *s, uint64_t spool_device) {
        const StoreReport *report = probe_report_of(s->probe);
        const char *strength = report->strength;
        int r;

        if (report->strength_there && report->device == spool_device)
                strength = report->strength_there;
        r = sd_bus_message_append(m, "s", strength ? strength : "");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sss)");
        if (r >= 0)
                r = append_state(m, s);
        if (r >= 0)
                r = append_clock(m, report);
        for (size_t i = 0; i < report->n_points && r >= 0; i++)
                r = append_point(m, report->points[i].name, report->points[i].verdict, report->points[i].text);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int connection_examine(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Connection *c = userdata;
        sd_bus_message *reply = NULL;
        struct stat st;
        int spool, r;

        (void) error;
        r = sd_bus_message_read(m, "h", &spool);
        if (r < 0)
                return r;
        if (fstat(spool, &st) < 0 || !S_ISDIR(st.st_mode))
                return connection_refuse(m, "the spool is a folder");
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_report(reply, c->server, st.st_dev);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static void tell_state(const Connection *c) {
        const char *text, *state = state_of(c->server, &text);

        (void) sd_bus_emit_signal(c->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "StateChanged", "ss", state, text);
}

void server_tell_state(Server *s) {
        const Connection *c;

        TAILQ_FOREACH(c, &s->connections, list)
                tell_state(c);
}

void server_set_pause(Server *s, const char *text) {
        (void) snprintf(s->pause, sizeof(s->pause), "%s", text ? text : "");
        server_tell_state(s);
}
