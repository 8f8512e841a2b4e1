/* SPDX-License-Identifier: Apache-2.0 */
#include "service/clocksync.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/timer.h"

/* timedate1 sends no signal for this property. */
#define ASK_EVERY_USEC (30 * USEC_PER_SEC)

struct ClockSync {
        sd_bus *bus;
        sd_bus_slot *call;
        sd_event_source *timer;
        void (*changed)(void *userdata);
        void *userdata;
        bool synchronised;
};

static void set(ClockSync *c, bool synchronised) {
        if (c->synchronised == synchronised)
                return;
        c->synchronised = synchronised;
        if (synchronised)
                log_message(LOG_INFO, MESSAGE_CLOCK_SYNCHRONISED, "The dock's clock is synchronised");
        else
                log_message(LOG_WARNING, MESSAGE_CLOCK_UNSYNCHRONISED,
                            "The dock's clock is not known to be synchronised; cameras' clocks are left as they are");
        c->changed(c->userdata);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        ClockSync *c = userdata;
        int synchronised = 0;

        (void) ret_error;
        c->call = sd_bus_slot_unref(c->call);
        /* No answer is no knowledge: a dock without timedated has no proof that its clock is right. */
        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_enter_container(m, 'v', "b") < 0 ||
            sd_bus_message_read(m, "b", &synchronised) < 0)
                synchronised = 0;
        set(c, synchronised);
        return 0;
}

static void ask(ClockSync *c) {
        int r;

        if (!c->bus || c->call)
                return;
        r = sd_bus_call_method_async(c->bus, &c->call, "org.freedesktop.timedate1", "/org/freedesktop/timedate1",
                                     "org.freedesktop.DBus.Properties", "Get", on_answer, c, "ss", "org.freedesktop.timedate1",
                                     "NTPSynchronized");
        if (r < 0)
                set(c, false);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        ClockSync *c = userdata;

        (void) usec;
        ask(c);
        return timer_in(source, ASK_EVERY_USEC);
}

int clocksync_new(sd_event *event, void (*changed)(void *userdata), void *userdata, ClockSync **ret) {
        _cleanup_(clocksync_freep) ClockSync *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->changed = changed;
        c->userdata = userdata;
        r = sd_event_add_time(event, &c->timer, CLOCK_BOOTTIME, clock_boottime_usec() + ASK_EVERY_USEC, USEC_PER_SEC, on_timer, c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

ClockSync *clocksync_free(ClockSync *c) {
        if (!c)
                return NULL;
        sd_bus_slot_unref(c->call);
        sd_bus_unref(c->bus);
        sd_event_source_unref(c->timer);
        free(c);
        return NULL;
}

void clocksync_set_bus(ClockSync *c, sd_bus *bus) {
        c->call = sd_bus_slot_unref(c->call);
        sd_bus_unref(c->bus);
        c->bus = bus ? sd_bus_ref(bus) : NULL;
        if (bus)
                ask(c);
        else
                c->synchronised = false;
}

bool clocksync_is_synchronised(const ClockSync *c) {
        return c->synchronised;
}
