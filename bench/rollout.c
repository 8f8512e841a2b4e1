/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A firmware rolled out to a simulated fleet: every dock decides by core/rollout.c alone, and sees nothing but the store. Docks go
 * offline, power goes in the middle of a flash, and the firmware is bad on a share of the cameras.
 *
 *   rollout [DOCKS [CAMERAS_PER_DOCK [SEED]]]
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "core/rollout.h"
#include "results.h"

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define BEGIN (20000 * DAY)
#define END (BEGIN + 40 * DAY)
#define WINDOWS_MAX 4000u
/* Docks flash at night by their own clocks. */
#define NIGHT_BEGINS (20 * HOUR)
#define NIGHT_USEC (10 * HOUR)
/* One dock in twenty is away at any time. */
#define AWAY_USEC (8 * HOUR)
#define THERE_USEC (152 * HOUR)
#define ANSWER_USEC (200 * USEC_PER_MSEC)
#define KEYS_PER_PAGE 1000u
/* To the store, for each camera over the whole rollout. */
#define REQUESTS_MAX 5u
/* In a smaller fleet the windows, which somebody must close, count for more than the cameras. */
#define REQUESTS_FLEET 100000u
/* How many places of a window are tried. */
#define TRIES 4u

typedef struct Dock {
        RolloutCounts counts;
        uint64_t changes_usec; /* when it goes away, or comes back */
        uint64_t known;        /* the windows that were closed when it last read a sum */
        bool away;
        uint8_t zone;
} Dock;

typedef struct Unit {
        RolloutCamera camera;
        uint32_t place, tries;
        bool flashing, well, returns;
} Unit;

/* One of a window's places: its wave, and what came of it. */
typedef enum Outcome { FREE, TAKEN, WELL, BAD } Outcome;
typedef struct Place {
        uint8_t wave, outcome;
} Place;

typedef struct Event {
        uint64_t usec;
        uint32_t unit;
} Event;

static struct {
        RolloutPlan plan;
        Dock *docks;
        Unit *units;
        Event *heap;
        size_t n_docks, n_units, n_events;
        uint32_t bad_chance; /* in ROLLOUT_SHARES */

        /* The store. */
        Place *windows[WINDOWS_MAX];
        RolloutTally closed[ROLLOUT_WAVES_MAX];
        uint64_t n_closed, bad;
        bool stopped;

        /* Figures. */
        uint64_t requests, flashed, well, under_way, most_under_way, stop_usec, late, under_way_then, share_usec, late_share, wrong,
                all_bad, all_well, done_usec;
} fleet;

static uint64_t random_state;
static uint64_t random64(void) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state * UINT64_C(2685821657736338717);
}

static uint64_t up_to(uint64_t n) {
        return random64() % n;
}

/* ---- Events ------------------------------------------------------------------------------------------------------- */

static void push(uint64_t usec, uint32_t unit) {
        size_t i = fleet.n_events++;

        for (; i > 0 && fleet.heap[(i - 1) / 2].usec > usec; i = (i - 1) / 2)
                fleet.heap[i] = fleet.heap[(i - 1) / 2];
        fleet.heap[i] = (Event){ usec, unit };
}

static Event pop(void) {
        Event first = fleet.heap[0], last = fleet.heap[--fleet.n_events];
        size_t i = 0, child;

        for (; (child = 2 * i + 1) < fleet.n_events; i = child) {
                if (child + 1 < fleet.n_events && fleet.heap[child + 1].usec < fleet.heap[child].usec)
                        child++;
                if (fleet.heap[child].usec >= last.usec)
                        break;
                fleet.heap[i] = fleet.heap[child];
        }
        fleet.heap[i] = last;
        return first;
}

/* ---- Docks -------------------------------------------------------------------------------------------------------- */

static bool is_away(Dock *d, uint64_t now, uint64_t *ret_back) {
        while (d->changes_usec <= now) {
                d->away = !d->away;
                d->changes_usec += 1 + up_to(2 * (d->away ? AWAY_USEC : THERE_USEC));
        }
        *ret_back = d->changes_usec;
        return d->away;
}

/* The night that is now or comes next. */
static void night(const Dock *d, uint64_t now, uint64_t *ret_begins, uint64_t *ret_ends) {
        uint64_t local = (now + d->zone * HOUR) % DAY, into = (local + DAY - NIGHT_BEGINS) % DAY;

        *ret_begins = into < NIGHT_USEC ? now - into : now + DAY - into;
        *ret_ends = *ret_begins + NIGHT_USEC;
}

/* ---- The store ---------------------------------------------------------------------------------------------------- */

static Place *place_of(const Unit *u) {
        uint64_t window = rollout_window(&fleet.plan, u->camera.turn_usec);

        if (!fleet.windows[window])
                fleet.windows[window] = calloc(rollout_places(&fleet.plan), sizeof(Place));
        if (!fleet.windows[window])
                exit(EXIT_FAILURE);
        return &fleet.windows[window][u->place];
}

/* An observer who saw every outcome at once could stop here. */
static void watch(uint64_t now) {
        RolloutCounts all = { .tallies = { { .well = fleet.all_well, .bad = fleet.all_bad } } };

        if (fleet.stop_usec == 0 && (fleet.stopped || fleet.bad > fleet.plan.bad_max)) {
                fleet.stop_usec = now;
                fleet.under_way_then = fleet.under_way;
        }
        if (fleet.share_usec == 0 && rollout_is_stopped(&fleet.plan, &all))
                fleet.share_usec = now;
}

static void put_outcome(Place *p, bool well, uint64_t now) {
        fleet.requests++;
        fleet.all_well += well;
        fleet.all_bad += !well;
        if (p->outcome == TAKEN) {
                p->outcome = well ? WELL : BAD;
                fleet.bad += !well;
        }
        watch(now);
}

static void close_window(uint64_t window, uint64_t now) {
        RolloutCounts counts = {};
        uint32_t seen[4] = {};

        for (uint32_t i = 0; fleet.windows[window] && i < rollout_places(&fleet.plan); i++) {
                Place *p = &fleet.windows[window][i];

                seen[p->outcome]++;
                if (p->outcome == TAKEN) {
                        p->outcome = BAD;
                        fleet.bad++;
                        fleet.requests += 2; /* the place's object is read, and the outcome put */
                }
                fleet.closed[p->wave].well += p->outcome == WELL;
                fleet.closed[p->wave].bad += p->outcome == BAD;
        }
        /* Started, well and bad are listed, and the sum is put. */
        fleet.requests += 1 + (seen[TAKEN] + seen[WELL] + seen[BAD]) / KEYS_PER_PAGE + 1 + seen[WELL] / KEYS_PER_PAGE + 1 +
                          seen[BAD] / KEYS_PER_PAGE + 1;
        free(fleet.windows[window]);
        fleet.windows[window] = NULL;
        fleet.n_closed++;
        memcpy(counts.tallies, fleet.closed, sizeof(counts.tallies));
        if (!fleet.stopped && rollout_is_stopped(&fleet.plan, &counts)) {
                fleet.stopped = true;
                fleet.requests++;
        }
        watch(now);
}

static void read_state(Dock *d, uint64_t now) {
        /* What came after the last one that it knows is listed, and the newest read when there is one (rollout_state.c). */
        fleet.requests += d->known < fleet.n_closed ? 2 : 1;
        while (rollout_is_closer(&fleet.plan, fleet.n_closed, now, (uint32_t) random64()))
                close_window(fleet.n_closed, now);
        d->known = fleet.n_closed;
        memcpy(d->counts.tallies, fleet.closed, sizeof(fleet.closed));
        d->counts.stopped = fleet.stopped;
        d->counts.state_usec = now;
}

static void read_bad(Dock *d, uint64_t now) {
        fleet.requests++;
        d->counts.bad = MIN2(fleet.bad, (uint64_t) fleet.plan.bad_max + 1);
        d->counts.stopped = fleet.stopped;
        d->counts.bad_usec = now;
}

/* ---- Cameras ------------------------------------------------------------------------------------------------------ */

static void flash(Unit *u, uint32_t unit, uint64_t now) {
        u->camera.begun = u->flashing = true;
        u->well = up_to(ROLLOUT_SHARES) >= fleet.bad_chance;
        u->returns = u->well || up_to(2) == 0;
        fleet.flashed++;
        fleet.under_way++;
        fleet.most_under_way = MAX2(fleet.most_under_way, fleet.under_way);
        fleet.late += fleet.stop_usec > 0;
        fleet.wrong += fleet.stop_usec > 0 && fleet.docks[unit % fleet.n_docks].counts.bad_usec > fleet.stop_usec;
        fleet.late_share += fleet.share_usec > 0;
        /* One that does not come back is given up when its time is over. */
        push(now + (u->returns ? 3 * MINUTE + up_to(12 * MINUTE) : fleet.plan.flash_usec - MINUTE), unit);
}

static void end_flash(Unit *u, Dock *d, uint32_t unit, uint64_t now) {
        uint64_t back;

        if (u->flashing) {
                fleet.under_way--;
                u->flashing = false;
                if (u->well) {
                        u->camera.has_version = true;
                        fleet.well++;
                        if (fleet.well == fleet.n_units * 99 / 100)
                                fleet.done_usec = now;
                }
        }
        if (is_away(d, now, &back))
                push(back, unit);
        else
                put_outcome(place_of(u), u->well, now);
}

static void draw(Unit *u, const Dock *d, uint32_t unit, uint64_t now) {
        uint64_t begins, ends;

        night(d, now, &begins, &ends);
        u->camera.placed = false;
        if (begins > now) {
                u->camera.turn_usec = 0;
                push(begins + up_to(10 * MINUTE), unit);
                return;
        }
        if (rollout_draw(&fleet.plan, &d->counts, u->camera.wave, now, ends, random64(), &u->camera.turn_usec, &u->place))
                push(u->camera.turn_usec + up_to(MINUTE), unit);
        else {
                u->camera.turn_usec = 0;
                push(ends + 14 * HOUR + up_to(10 * MINUTE), unit);
        }
}

static void take_place(Unit *u, uint32_t unit, uint64_t now) {
        Place *p = place_of(u);

        /* Where somebody else was first, whose it is was looked at. */
        fleet.requests += p->outcome == FREE ? 1 : 2;
        if (p->outcome == FREE) {
                *p = (Place){ .wave = (uint8_t) u->camera.wave, .outcome = TAKEN };
                fleet.requests++; /* the camera's own object, so that it is flashed once */
                u->camera.placed = true;
        } else if (u->tries++ % TRIES == TRIES - 1)
                u->camera.turn_usec = 0;
        else
                u->place = (uint32_t) up_to(rollout_places(&fleet.plan));
        push(now + ANSWER_USEC, unit);
}

/* When the place's window is closed by the time that its dock is back, what it puts is no news: a place is given back by nobody. */
static void act(uint32_t unit, uint64_t now) {
        Unit *u = &fleet.units[unit];
        Dock *d = &fleet.docks[unit % fleet.n_docks];
        uint64_t until, back;

        if (u->camera.begun) {
                if (rollout_window_closes_usec(&fleet.plan, rollout_window(&fleet.plan, u->camera.turn_usec)) > now || u->flashing)
                        end_flash(u, d, unit, now);
                return;
        }
        if (is_away(d, now, &back)) {
                push(back + up_to(MINUTE), unit);
                return;
        }
        for (;;)
                switch (rollout_next(&fleet.plan, &d->counts, &u->camera, now, &until)) {
                case ROLLOUT_READ_STATE:
                        read_state(d, now);
                        break;
                case ROLLOUT_READ_BAD:
                        read_bad(d, now);
                        push(now + ANSWER_USEC, unit);
                        return;
                case ROLLOUT_DRAW:
                        draw(u, d, unit, now);
                        return;
                case ROLLOUT_TAKE_PLACE:
                        take_place(u, unit, now);
                        return;
                case ROLLOUT_FLASH:
                        flash(u, unit, now);
                        return;
                case ROLLOUT_WAITS_START:
                case ROLLOUT_WAITS_WAVE:
                case ROLLOUT_WAITS_TURN:
                        push(until + (until > u->camera.turn_usec ? up_to(10 * MINUTE) : 0), unit);
                        return;
                default:
                        return; /* done, or stopped for good */
                }
}

/* ---- Figures ------------------------------------------------------------------------------------------------------ */

static void begin(uint32_t bad_chance, uint64_t seed) {
        RolloutPlan *p = &fleet.plan;
        const uint32_t shares[] = { 50, 500, 2500, ROLLOUT_SHARES };

        random_state = seed * 2 + 1;
        for (size_t w = 0; w < WINDOWS_MAX; w++)
                free(fleet.windows[w]);
        memset(fleet.windows, 0, sizeof(fleet.windows));
        memset(fleet.closed, 0, sizeof(fleet.closed));
        fleet.bad_chance = bad_chance;
        fleet.n_closed = fleet.bad = fleet.requests = fleet.flashed = fleet.well = fleet.under_way = fleet.most_under_way = 0;
        fleet.stop_usec = fleet.late = fleet.under_way_then = fleet.share_usec = fleet.late_share = fleet.wrong = fleet.done_usec = 0;
        fleet.all_bad = fleet.all_well = fleet.n_events = 0;
        fleet.stopped = false;
        *p = (RolloutPlan){ .id = "bench", .n_waves = ELEMENTSOF(shares), .opens_share = 8500, .bad_share = 200, .bad_share_least = 500,
                            .begin_usec = BEGIN, .flash_usec = 20 * MINUTE, .fresh_usec = 4 * HOUR, .spread = 12 };
        for (size_t w = 0; w < p->n_waves; w++)
                p->waves[w] = (RolloutWave){ .share = shares[w], .start_usec = BEGIN + w * DAY };
        p->docks = (uint32_t) fleet.n_docks;
        p->under_way_max = MAX2((uint32_t) fleet.n_units / 40, 4u);
        /* What goes with the power of a dock is bad, too: one in a thousand flashes of so many. */
        p->bad_max = MAX2((uint32_t) fleet.n_units / 100, 20u);
        for (size_t d = 0; d < fleet.n_docks; d++)
                fleet.docks[d] = (Dock){ .changes_usec = BEGIN + up_to(2 * THERE_USEC), .zone = (uint8_t) up_to(4) };
        for (uint32_t i = 0; i < fleet.n_units; i++) {
                char serial[24];

                (void) snprintf(serial, sizeof(serial), "SN-%u-%llu", i, (unsigned long long) seed);
                fleet.units[i] = (Unit){};
                if (rollout_wave(p, serial, &fleet.units[i].camera.wave) < 0)
                        exit(EXIT_FAILURE);
                p->waves[fleet.units[i].camera.wave].cameras++;
                push(BEGIN + up_to(HOUR), i);
        }
}

/* Returns whether nobody was flashed who could have seen the stop, and the fleet's limit and that of requests held. */
static bool run(uint32_t bad_chance, uint64_t seed) {
        struct timespec from, to;
        char what[80];
        bool holds;

        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        begin(bad_chance, seed);
        while (fleet.n_events > 0 && fleet.heap[0].usec < END) {
                Event e = pop();

                act(e.unit, e.usec);
        }
        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        printf("bad %6.2f %%: flashed %8llu, well %8llu, most under way %6llu of %u", bad_chance / 100.0,
               (unsigned long long) fleet.flashed, (unsigned long long) fleet.well, (unsigned long long) fleet.most_under_way,
               fleet.plan.under_way_max);
        if (fleet.done_usec > 0)
                printf("; 99 %% after %.1f days", (double) (fleet.done_usec - BEGIN) / (double) DAY);
        if (fleet.stop_usec > 0)
                printf("; stop decided after %.2f days with %llu under way, begun after it %llu (%llu that could see it)",
                       (double) (fleet.stop_usec - BEGIN) / (double) DAY, (unsigned long long) fleet.under_way_then,
                       (unsigned long long) fleet.late, (unsigned long long) fleet.wrong);
        if (fleet.share_usec > 0)
                printf("; %llu after one who sees every outcome at once could have", (unsigned long long) fleet.late_share);
        printf("; %.2f requests a camera; %.1f s CPU\n", (double) fleet.requests / (double) fleet.n_units,
               (double) (to.tv_sec - from.tv_sec) + (double) (to.tv_nsec - from.tv_nsec) / 1e9);
        (void) snprintf(what, sizeof(what), "%u.%02u %% bad images: requests to the store", bad_chance / 100, bad_chance % 100);
        results_add("rollout", what, (double) fleet.requests / (double) fleet.n_units, "a camera", "<= 5");
        (void) snprintf(what, sizeof(what), "%u.%02u %% bad images: begun when the stop could be seen", bad_chance / 100,
                        bad_chance % 100);
        results_add("rollout", what, (double) fleet.wrong, "flashes", "<= 0");
        holds = fleet.wrong == 0 && fleet.most_under_way <= fleet.plan.under_way_max &&
                (fleet.n_units < REQUESTS_FLEET || fleet.requests <= REQUESTS_MAX * fleet.n_units);
        return holds;
}

int main(int argc, char **argv) {
        const uint32_t chances[] = { 0, 50, 300, 1000, 5000, ROLLOUT_SHARES };
        size_t per_dock = argc > 2 ? (size_t) atoi(argv[2]) : 100;
        uint64_t seed = argc > 3 ? (uint64_t) atoll(argv[3]) : 1;
        bool good = true;

        fleet.n_docks = argc > 1 ? (size_t) atoi(argv[1]) : 10000;
        fleet.n_units = fleet.n_docks * per_dock;
        fleet.docks = calloc(fleet.n_docks, sizeof(Dock));
        fleet.units = calloc(fleet.n_units, sizeof(Unit));
        fleet.heap = calloc(fleet.n_units + 1, sizeof(Event));
        if (!fleet.docks || !fleet.units || !fleet.heap)
                return EXIT_FAILURE;
        printf("%zu docks, %zu cameras; waves of 0.5, 4.5, 20 and 75 %%, nights of 10 hours in 4 zones, docks away 5 %% of the time\n",
               fleet.n_docks, fleet.n_units);
        for (size_t i = 0; i < ELEMENTSOF(chances); i++)
                good = run(chances[i], seed + i) && good;
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
