/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The plan is found by looking ahead: the time until the last due is run through in steps, in each of which a rule says who is
 * powered as far as the budgets reach. A step ends after a slot, or when somebody has enough. Which cameras can be ready is found by
 * adding them one by one, those first that need least; the rule that gets more of them ready is kept. What the first step of that run
 * does is the plan.
 */

#include "core/charge.h"

#include <string.h>

#include "base/macro.h"

#define SLOTS_MAX 96u
#define LOOK_MAX_USEC (UINT64_C(24) * 3600 * USEC_PER_SEC)
/* How many cameras that seem to need too much are tried all the same: one that draws less may fit beside the others. */
#define TRIES_MAX 8u
/* A step is at least this part of a slot. */
#define STEPS_PER_SLOT_MAX 10u

typedef enum Rule {
        RULE_LAXITY,   /* first who can wait least */
        RULE_SHORTEST, /* first who is ready soonest */
        _RULE_MAX,
} Rule;

typedef struct Look {
        const ChargeRack *rack;
        const ChargeBay *bays;
        size_t n;
        uint64_t now_usec, slot_usec, end_usec;
} Look;

/* One run through the time ahead. */
typedef struct Run {
        const Look *look;
        Rule rule;
        uint64_t lead_usec; /* who is held is charged from so long before its due */
        uint64_t at_usec;
        bool chosen[CHARGE_BAYS_MAX];
        uint32_t level[CHARGE_BAYS_MAX];
        uint32_t slot_later[CHARGE_BAYS_MAX]; /* the level of who is on, after a whole slot */
        uint64_t needs_usec[CHARGE_BAYS_MAX]; /* from this level to being ready */
        bool on[CHARGE_BAYS_MAX];
        uint64_t ready_usec[CHARGE_BAYS_MAX];
        uint64_t key[CHARGE_BAYS_MAX];
        uint16_t order[CHARGE_BAYS_MAX]; /* who is asked first in a slot */
        size_t n_order;
        int64_t left_ma, hub_left_ma[CHARGE_HUBS_MAX];
} Run;

const char *charge_why_to_string(ChargeWhy why) {
        static const char *const names[_CHARGE_WHY_MAX] = {
                [CHARGE_EMPTY] = "empty", [CHARGE_IN_USE] = "in-use", [CHARGE_FIXED] = "fixed",     [CHARGE_CHARGING] = "charging",
                [CHARGE_READY] = "ready", [CHARGE_HELD] = "held",     [CHARGE_WAITING] = "waiting", [CHARGE_TOO_WARM] = "too-warm",
                [CHARGE_TOO_COLD] = "too-cold",
        };

        return why < _CHARGE_WHY_MAX ? names[why] : NULL;
}

/* For how long it will not be is not known: it is planned as if that never ended, and anew when it did. */
static bool may_not_be_charged(const ChargeBay *b) {
        return b->temperature == TEMPERATURE_WARM || b->temperature == TEMPERATURE_COLD;
}

/* How long a transfer takes is not known: it is looked at as if it ended with the first step. */
static bool must_be_on(const Run *run, size_t i) {
        const ChargeBay *b = &run->look->bays[i];

        return !b->occupied || !b->switchable || (b->in_use && run->at_usec == run->look->now_usec);
}

static uint64_t usec_to(const ChargeBay *b, uint32_t level, uint32_t to) {
        return battery_msec(b->battery, level, to) * USEC_PER_MSEC;
}

static void set_level(Run *run, size_t i, uint32_t level) {
        const ChargeBay *b = &run->look->bays[i];

        run->level[i] = level;
        run->needs_usec[i] = b->occupied ? usec_to(b, level, b->ready_level) : 0;
}

/* Where charging stops for now. */
static uint32_t stop_level(const Run *run, size_t i) {
        const ChargeBay *b = &run->look->bays[i];

        if (b->hold_level >= b->ready_level)
                return b->ready_level;
        if (b->due_usec == CHARGE_NEVER)
                return b->hold_level;
        /* Who cannot be ready in time gets what it can. */
        if (!run->chosen[i] && b->due_usec <= run->look->end_usec)
                return b->ready_level;
        return run->at_usec + run->lead_usec >= b->due_usec ? b->ready_level : b->hold_level;
}

/* ---- One step ----------------------------------------------------------------------------------------------------- */

static void begin_budgets(Run *run) {
        const ChargeRack *rack = run->look->rack;

        run->left_ma = rack->budget_ma > 0 ? rack->budget_ma : INT64_MAX / 2;
        for (size_t h = 0; h < rack->n_hubs && h < CHARGE_HUBS_MAX; h++)
                run->hub_left_ma[h] = rack->hub_budgets_ma[h] > 0 ? rack->hub_budgets_ma[h] : INT64_MAX / 2;
}

static bool has_hub(const Run *run, const ChargeBay *b) {
        return b->hub < run->look->rack->n_hubs && b->hub < CHARGE_HUBS_MAX;
}

/* Powers the bay if the budgets reach, or it must be. What it may draw until the step's end at the latest counts. */
static bool power(Run *run, size_t i, bool must) {
        const ChargeBay *b = &run->look->bays[i];
        uint32_t ma = 0;

        if (b->occupied) {
                run->slot_later[i] = battery_charge(b->battery, run->level[i], run->look->slot_usec / USEC_PER_MSEC, &ma);
                ma += b->use_ma;
        }
        if (!must && (ma > run->left_ma || (has_hub(run, b) && ma > run->hub_left_ma[b->hub])))
                return false;
        run->left_ma -= ma;
        if (has_hub(run, b))
                run->hub_left_ma[b->hub] -= ma;
        return true;
}

/*
 * The smaller, the sooner it is powered. Among those that are wanted at the same time one that is on stays so until another can wait no
 * longer: shared out evenly, power would bring all of them nearly there, and none, if batteries hold a little more than they should.
 */
static uint64_t key_of(const Run *run, size_t i) {
        const ChargeBay *b = &run->look->bays[i];
        uint64_t needs = run->needs_usec[i], stay = 2 * run->look->slot_usec, key;

        if (run->rule == RULE_SHORTEST || b->due_usec == CHARGE_NEVER || !run->chosen[i])
                key = needs + (run->on[i] ? 0 : stay);
        else {
                key = b->due_usec > run->at_usec + needs ? b->due_usec - run->at_usec - needs : 0;
                if (key > stay && !run->on[i])
                        key += LOOK_MAX_USEC;
        }
        /* The others take what is left. */
        return key + (run->chosen[i] ? 0 : UINT64_MAX / 2);
}

/* From one step to the next little changes places. */
static void sort_by_key(Run *run) {
        for (size_t k = 1; k < run->n_order; k++) {
                uint16_t i = run->order[k];
                size_t j = k;

                for (; j > 0 && run->key[run->order[j - 1]] > run->key[i]; j--)
                        run->order[j] = run->order[j - 1];
                run->order[j] = i;
        }
}

static void give_power(Run *run) {
        begin_budgets(run);
        for (size_t i = 0; i < run->look->n; i++)
                if (must_be_on(run, i))
                        run->on[i] = power(run, i, true);
        for (size_t k = 0; k < run->n_order; k++)
                run->key[run->order[k]] = key_of(run, run->order[k]);
        sort_by_key(run);
        for (size_t k = 0; k < run->n_order; k++) {
                size_t i = run->order[k];

                if (!must_be_on(run, i))
                        run->on[i] = run->level[i] < stop_level(run, i) && power(run, i, false);
        }
}

/* When the step ends: somebody has enough, or a held one is to go on; nothing is gained by many small ones. */
static uint64_t step_end(const Run *run) {
        const Look *look = run->look;
        uint64_t end = run->at_usec + look->slot_usec;

        for (size_t i = 0; i < look->n; i++) {
                const ChargeBay *b = &look->bays[i];
                uint32_t stop;

                if (!b->occupied || run->level[i] >= b->ready_level)
                        continue;
                stop = stop_level(run, i);
                if (run->on[i] && run->level[i] < stop)
                        end = MIN2(end, run->at_usec + usec_to(b, run->level[i], stop));
                if (stop < b->ready_level && b->due_usec != CHARGE_NEVER)
                        end = MIN2(end, b->due_usec - run->lead_usec);
        }
        return MAX2(end, run->at_usec + look->slot_usec / STEPS_PER_SLOT_MAX);
}

static void step(Run *run) {
        uint64_t end = step_end(run), usec = end - run->at_usec;

        for (size_t i = 0; i < run->look->n; i++) {
                const ChargeBay *b = &run->look->bays[i];
                uint32_t level;

                if (!run->on[i] || !b->occupied)
                        continue;
                level = usec == run->look->slot_usec ? run->slot_later[i]
                                                     : battery_charge(b->battery, run->level[i], usec / USEC_PER_MSEC, NULL);
                if (run->level[i] < b->ready_level && level >= b->ready_level)
                        run->ready_usec[i] = run->at_usec + run->needs_usec[i];
                set_level(run, i, level);
        }
        run->at_usec = end;
}

/* ---- A run -------------------------------------------------------------------------------------------------------- */

/* Who is on now says nothing about who can be ready, or two of a kind could take turns without end; it counts for the order. */
static void begin_run(Run *run, bool with_the_others) {
        const Look *look = run->look;

        run->n_order = 0;
        run->at_usec = look->now_usec;
        for (size_t i = 0; i < look->n; i++) {
                const ChargeBay *b = &look->bays[i];

                set_level(run, i, b->level);
                run->on[i] = b->on && with_the_others && !may_not_be_charged(b);
                run->ready_usec[i] = b->occupied && b->level >= b->ready_level ? look->now_usec : CHARGE_NEVER;
                if (b->occupied && !may_not_be_charged(b) && (run->chosen[i] || with_the_others))
                        run->order[run->n_order++] = (uint16_t) i;
        }
}

/* Somebody chosen cannot be ready any more. */
static bool is_lost(const Run *run) {
        for (size_t k = 0; k < run->n_order; k++) {
                size_t i = run->order[k];
                const ChargeBay *b = &run->look->bays[i];

                if (run->chosen[i] && run->ready_usec[i] == CHARGE_NEVER &&
                    run->at_usec + run->needs_usec[i] > b->due_usec)
                        return true;
        }
        return false;
}

/* Are all chosen ready in time? */
static bool try_run(Run *run) {
        begin_run(run, false);
        while (run->at_usec < run->look->end_usec) {
                if (is_lost(run))
                        return false;
                give_power(run);
                step(run);
        }
        return !is_lost(run);
}

/* ---- Who can be ready --------------------------------------------------------------------------------------------- */

typedef struct Candidate {
        uint16_t bay, rank;
        uint64_t needs_usec;
} Candidate;

static bool goes_before(const Candidate *a, const Candidate *b) {
        if (a->rank != b->rank)
                return a->rank < b->rank;
        return a->needs_usec != b->needs_usec ? a->needs_usec < b->needs_usec : a->bay < b->bay;
}

/* Those that need power to be ready, and could be if they were alone. */
static size_t find_candidates(const Look *look, Candidate *ret) {
        size_t n = 0;

        for (size_t i = 0; i < look->n; i++) {
                const ChargeBay *b = &look->bays[i];
                Candidate c = { .bay = (uint16_t) i, .rank = b->rank };
                size_t j;

                if (!b->occupied || may_not_be_charged(b) || b->level >= b->ready_level || b->due_usec == CHARGE_NEVER ||
                    b->due_usec > look->end_usec)
                        continue;
                c.needs_usec = usec_to(b, b->level, b->ready_level);
                if (look->now_usec + c.needs_usec > b->due_usec)
                        continue;
                for (j = n++; j > 0 && goes_before(&c, &ret[j - 1]); j--)
                        ret[j] = ret[j - 1];
                ret[j] = c;
        }
        return n;
}

static bool try_first(Run *run, const Candidate *candidates, size_t n) {
        memset(run->chosen, 0, sizeof(run->chosen));
        for (size_t k = 0; k < n; k++)
                run->chosen[candidates[k].bay] = true;
        return try_run(run);
}

/* Leaves in run->chosen who can be ready; returns how many. */
static size_t choose(Run *run, const Candidate *candidates, size_t n) {
        size_t low = 0, high = n, chosen;
        unsigned tries = 0;

        if (try_first(run, candidates, n))
                return n;
        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (try_first(run, candidates, middle))
                        low = middle;
                else
                        high = middle;
        }
        (void) try_first(run, candidates, low);
        chosen = low;
        for (size_t k = low; k < n && tries < TRIES_MAX; k++) {
                run->chosen[candidates[k].bay] = true;
                if (try_run(run))
                        chosen++;
                else {
                        run->chosen[candidates[k].bay] = false;
                        tries++;
                }
        }
        return chosen;
}

/* Does `a` choose better than `b`: more of the most wanted, or as many of them and more of the next? */
static bool is_better(const Run *a, const Run *b, const Candidate *candidates, size_t n) {
        for (size_t from = 0, to; from < n; from = to) {
                size_t of_a = 0, of_b = 0;

                for (to = from; to < n && candidates[to].rank == candidates[from].rank; to++) {
                        of_a += a->chosen[candidates[to].bay];
                        of_b += b->chosen[candidates[to].bay];
                }
                if (of_a != of_b)
                        return of_a > of_b;
        }
        return false;
}

/* ---- Holding ------------------------------------------------------------------------------------------------------ */

/* How late may charging begin for those that are held? With a quarter and a slot to spare, since batteries are not as they say. */
static void find_lead(Run *run) {
        const Look *look = run->look;
        uint64_t low = 0, high = (look->end_usec - look->now_usec) / look->slot_usec + 1;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;

                run->lead_usec = middle * look->slot_usec;
                if (try_run(run))
                        high = middle;
                else
                        low = middle + 1;
        }
        run->lead_usec = (low + low / 4 + 1) * look->slot_usec;
}

/* ---- The plan ----------------------------------------------------------------------------------------------------- */

static void make_look(Look *look) {
        uint64_t last_usec = look->now_usec;

        for (size_t i = 0; i < look->n; i++)
                if (look->bays[i].occupied && look->bays[i].due_usec != CHARGE_NEVER)
                        last_usec = MAX2(last_usec, MIN2(look->bays[i].due_usec, look->now_usec + LOOK_MAX_USEC));
        look->slot_usec = MAX2(look->rack->slot_usec, USEC_PER_SEC);
        if ((last_usec - look->now_usec) / look->slot_usec >= SLOTS_MAX)
                look->slot_usec = (last_usec - look->now_usec) / SLOTS_MAX + 1;
        look->end_usec = MAX2(last_usec, look->now_usec + look->slot_usec);
}

static ChargeWhy why_of(const Run *run, size_t i) {
        const ChargeBay *b = &run->look->bays[i];

        if (!b->occupied)
                return CHARGE_EMPTY;
        if (b->in_use)
                return CHARGE_IN_USE;
        if (!b->switchable)
                return CHARGE_FIXED;
        if (may_not_be_charged(b))
                return b->temperature == TEMPERATURE_WARM ? CHARGE_TOO_WARM : CHARGE_TOO_COLD;
        if (b->level >= b->ready_level)
                return CHARGE_READY;
        return b->level >= stop_level(run, i) ? CHARGE_HELD : CHARGE_WAITING;
}

/* Runs through the time once more, with all, and takes down what the first step does. */
static uint64_t take_down(Run *run, ChargeOrder *orders, bool *ret_over_budget) {
        const Look *look = run->look;
        uint64_t until;

        begin_run(run, true);
        give_power(run);
        *ret_over_budget = run->left_ma < 0;
        for (size_t h = 0; h < look->rack->n_hubs && h < CHARGE_HUBS_MAX; h++)
                *ret_over_budget = *ret_over_budget || run->hub_left_ma[h] < 0;
        for (size_t i = 0; i < look->n; i++) {
                ChargeWhy why = why_of(run, i);

                orders[i] = (ChargeOrder){ .on = run->on[i], .why = run->on[i] && why > CHARGE_FIXED ? CHARGE_CHARGING : why };
        }
        step(run);
        until = run->at_usec;
        while (run->at_usec < look->end_usec) {
                give_power(run);
                step(run);
        }
        for (size_t i = 0; i < look->n; i++)
                orders[i].ready_usec = run->ready_usec[i];
        return until;
}

uint64_t charge_plan(const ChargeRack *rack, const ChargeBay *bays, size_t n, uint64_t now_usec, ChargeOrder *orders,
                     bool *ret_over_budget) {
        Look look = { .rack = rack, .bays = bays, .n = MIN2(n, (size_t) CHARGE_BAYS_MAX), .now_usec = now_usec };
        Candidate candidates[CHARGE_BAYS_MAX];
        Run runs[_RULE_MAX];
        Run *best = &runs[0];
        size_t n_candidates;

        make_look(&look);
        n_candidates = find_candidates(&look, candidates);
        for (Rule rule = 0; rule < _RULE_MAX; rule++) {
                Run *run = &runs[rule];

                *run = (Run){ .look = &look, .rule = rule, .lead_usec = look.end_usec - look.now_usec };
                if (choose(run, candidates, n_candidates) == n_candidates) {
                        best = run;
                        break;
                }
                if (rule > 0 && is_better(run, best, candidates, n_candidates))
                        best = run;
        }
        find_lead(best);
        return take_down(best, orders, ret_over_budget);
}
