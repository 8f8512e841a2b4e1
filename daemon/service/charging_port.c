/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a bay's port can be switched, and switching it. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/charging_private.h"
#include "service/docking.h"

/* What does not switch is left alone for so long. */
#define RETRY_USEC (600 * USEC_PER_SEC)
/* A hub that lost its power, or was reset, has all its ports on again, and says nothing of it. */
#define ASSERT_USEC (300 * USEC_PER_SEC)

void seat_load_port(const Charging *c, Seat *seat) {
        _cleanup_(port_row_freep) PortRow *row = NULL;
        const char *port = bay_port_path(seat->bay);
        char hub[HUBPORT_HUB_SIZE];

        seat->measured = seat->switches = false;
        if (store_port(c->manager->store, port, &row) < 0)
                return;
        if (hubport_hub(port, hub) >= 0 && !text_equal(hub, row->hub)) {
                log_notice(&(LogAbout){ .bay = bay_name(seat->bay) }, "The power of this bay was measured on another hub (%s, now %s): "
                           "berthctl bay calibrate %u", row->hub, hub, bay_number(seat->bay));
                return;
        }
        seat->measured = true;
        seat->switches = row->switches && row->returns;
}

void charging_port_measured(Charging *c, const Bay *bay) {
        Seat *seat = charging_seat(c, bay);

        if (!seat)
                return;
        seat_load_port(c, seat);
        charging_kick(c);
}

int charging_switches(const Charging *c, const Bay *bay) {
        const Seat *seat = charging_seat(c, bay);

        return !seat || !seat->measured ? -ENOENT : seat->switches;
}

void charging_leave(Charging *c, const Bay *bay, bool alone) {
        Seat *seat = charging_seat(c, bay);

        if (!seat)
                return;
        seat->alone = alone;
        charging_kick(c);
}

void charging_port_is_on(Charging *c, const Bay *bay) {
        Seat *seat = charging_seat(c, bay);

        if (!seat)
                return;
        seat_advance(c, seat, clock_boottime_usec());
        if (!seat->writing)
                seat->off = false;
        seat->unknown = seat->looking = false;
        charging_kick(c);
}

/* "1-1.4" is a port of "1-1". */
bool hub_has_port(const char *port_path, const char *hub, size_t n) {
        const char *dot = strrchr(port_path, '.');

        return dot && (size_t) (dot - port_path) == n && strncmp(hub, port_path, n) == 0;
}

void charging_hub_came(Charging *c, const char *name) {
        for (size_t i = 0; c && i < c->n; i++)
                if (hub_has_port(bay_port_path(c->seats[i].bay), name, strlen(name)))
                        c->seats[i].assert_usec = 0;
        charging_kick(c);
}

static Seat *seat_at(const Charging *c, const char *port_path) {
        for (size_t i = 0; i < c->n; i++)
                if (text_equal(bay_port_path(c->seats[i].bay), port_path))
                        return &c->seats[i];
        return NULL;
}

static void switch_failed(Seat *seat, int result) {
        log_warning(&(LogAbout){ .bay = bay_name(seat->bay) }, "The power of port %s cannot be switched %s: %s; it is left as it is for "
                    "a while", bay_port_path(seat->bay), seat->wants_on ? "on" : "off", strerror(-result));
        seat->retry_usec = clock_boottime_usec() + RETRY_USEC;
}

/* When a bay that was switched off is to be looked at. Not all at once, all night long. */
static uint64_t look_after(const Charging *c, const Seat *seat) {
        const ChargeSettings *s = &c->manager->settings->charge;
        uint64_t every = seat_may_not_be_charged(seat) ? MIN2(s->look_usec, s->gauge_usec) : s->look_usec;

        return every - (uint64_t) (seat - c->seats) % 16 * (every / 64);
}

static void switched(void *userdata, const char *port_path, int result) {
        Charging *c = userdata;
        Seat *seat = seat_at(c, port_path);
        uint64_t now = clock_boottime_usec();
        Docking *d;

        if (!seat)
                return;
        d = bay_docking(seat->bay);
        seat_advance(c, seat, now);
        seat->writing = false;
        if (result < 0)
                switch_failed(seat, result);
        else if (seat->off != !seat->wants_on) {
                seat->off = !seat->wants_on;
                seat->from_usec = 0;
                seat->look_usec = now + look_after(c, seat);
        }
        seat->assert_usec = now + ASSERT_USEC;
        if (seat->unknown && !seat->off)
                seat->unknown = false;
        if (d && d->resting && result < 0 && !seat->wants_on)
                docking_stays(d);
        if (d && d->resting && result >= 0 && seat->wants_on)
                docking_wake(d);
        charging_kick(c);
}

bool seat_switch(Charging *c, Seat *seat, bool on) {
        int r;

        seat->wants_on = on;
        r = hubport_set(c->manager->hubports, bay_port_path(seat->bay), on, switched, c);
        if (r == -EALREADY)
                return false;
        if (r < 0) {
                switch_failed(seat, r);
                return false;
        }
        seat->writing = true;
        return true;
}

bool seat_may_be_switched(const Charging *c, const Seat *seat, uint64_t now_usec) {
        /* Without a budget all have power, but for those that it would harm. */
        return (c->active || seat_may_not_be_charged(seat)) && seat->measured && seat->switches && !seat->alone &&
               now_usec >= seat->retry_usec;
}

/* A daemon that ended may have left a port without power: nobody else would give it back. Within a budget that is not done at once. */
void seat_find_power(const Charging *c, Seat *seat) {
        const char *port = bay_port_path(seat->bay);
        int r = hubport_is_on(port);

        if (r == 0 && seat_may_be_switched(c, seat, 0)) {
                seat->off = seat->unknown = true;
                return;
        }
        if (r == 0)
                r = hubport_restore(port) < 0 ? -EIO : 0;
        if (r == 0)
                log_notice(NULL, "Port %s was switched off; it has its power again", port);
        else if (r < 0 && r != -ENOENT && r != -EACCES)
                log_warning(NULL, "It cannot be seen whether port %s has power: %s", port, strerror(-r));
}
