/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random sequences of events against berthd's real core, store and service floors, with simulated cameras, workers, store and time; what
 * was promised is checked after each event. usage: sequences [--seed N] [--seconds N] [--events N] [--unshortened] [--keep]
 *        sequences --replay "EVENT;EVENT…" [--keep]
 *
 * The dock runs in a child process, which a crash ends wherever it is; the next child goes on with the same folder and the same world. At
 * the end of a sequence all trouble ends, the cameras are put in once more, and everything must come to its end: no clip is stuck. A
 * sequence that breaks a promise is made shorter as long as it still does, and printed so that --replay takes it.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "property/play.h"

#define SHRINK_SEC 120
#define SEQUENCE_MAX 5000u

typedef struct Options {
        uint64_t seed;
        unsigned long sequences; /* 0: as many as there is time for */
        unsigned long seconds, events;
        const char *replay;
        bool keep, unshortened;
} Options;

static unsigned long long played_events, played_sequences, crashes, recorded, erased, flashed, flash_trouble, rollouts;

/* ---- Chance ------------------------------------------------------------------------------------------------------------ */

static uint64_t state;

static uint32_t chance(uint32_t below) {
        /* xorshift64*: the same on every machine. */
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return (uint32_t) ((state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static Event make_event(void) {
        static const struct {
                EventKind kind;
                uint32_t weight;
        } weights[] = {
                { EVENT_ANSWER, 560 }, { EVENT_TROUBLE, 60 }, { EVENT_DIE, 6 },   { EVENT_PLUG, 50 },   { EVENT_UNPLUG, 14 },
                { EVENT_RECORD, 40 },  { EVENT_CHANGE, 12 },   { EVENT_STORE, 8 }, { EVENT_TIME, 70 },   { EVENT_CRASH, 8 },
                { EVENT_CRASH_IN, 12 }, { EVENT_STOP, 4 },    { EVENT_PAUSE, 4 }, { EVENT_NOW, 8 },     { EVENT_HOLD, 20 },
                { EVENT_LOSE, 3 },     { EVENT_ROT, 3 },      { EVENT_CLOCK, 3 },
                { EVENT_PULL_OUT, 8 },  { EVENT_RELEASE, 4 }, { EVENT_ERASE, 5 }, { EVENT_IMPORT, 5 },
                { EVENT_ROOM, 5 },     { EVENT_HOLD_LATE, 8 }, { EVENT_CHANGE_AWAY, 8 },
                { EVENT_FLASH, 20 },   { EVENT_ROLLOUT, 10 },  { EVENT_BATTERY, 6 }, { EVENT_EJECT, 8 }, { EVENT_CALM, 20 },
        };
        Event e = { .a = chance(1000), .b = chance(100), .hurry = chance(4) == 0 };
        uint32_t sum = 0, at;

        for (size_t i = 0; i < ELEMENTSOF(weights); i++)
                sum += weights[i].weight;
        at = chance(sum);
        for (size_t i = 0; i < ELEMENTSOF(weights); i++) {
                e.kind = weights[i].kind;
                if (at < weights[i].weight)
                        break;
                at -= weights[i].weight;
        }
        return e;
}

/* ---- Playing ----------------------------------------------------------------------------------------------------------- */

static void describe_end(int status) {
        if (world->failure[0])
                return;
        if (WIFSIGNALED(status))
                (void) snprintf(world->failure, sizeof(world->failure), "the dock was ended by signal %d at event %u%s", WTERMSIG(status),
                                world->next_event, WTERMSIG(status) == SIGALRM ? ": it hangs" : "");
        else
                (void) snprintf(world->failure, sizeof(world->failure), "the dock ended with status %d at event %u", WEXITSTATUS(status),
                                world->next_event);
}

/* Whether all promises were kept; else world->failure says which was not. */
static bool play(const Event *events, size_t n, const char *folder) {
        char command[600];

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        if (system(command) != 0 || mkdir(folder, 0700) < 0)
                abort();
        world_begin();
        played_sequences++;
        for (;;) {
                int status;
                pid_t child = fork();

                if (child == 0)
                        play_dock(events, n, folder);
                if (child < 0 || waitpid(child, &status, 0) != child)
                        abort();
                if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                        break;
                world->crash_in = 0;
                if (WIFEXITED(status) && (WEXITSTATUS(status) == STATUS_CRASHED || WEXITSTATUS(status) == STATUS_STOPPED)) {
                        crashes += WEXITSTATUS(status) == STATUS_CRASHED;
                        continue;
                }
                describe_end(status);
                break;
        }
        played_events += world->next_event;
        recorded += world->n_contents;
        flashed += world->flashed;
        flash_trouble += world->flash_trouble;
        rollouts += world->n_rollouts;
        for (uint32_t i = 0; i < world->n_contents; i++)
                erased += world->contents[i].erased;
        return world->failure[0] == 0;
}

/* ---- Making it shorter ------------------------------------------------------------------------------------------------- */

static bool fails(const Event *events, size_t n, const char *folder) {
        return !play(events, n, folder);
}

/* Delta debugging: leaves out ever smaller pieces as long as it still fails. Returns how many are left. */
static size_t shrink(Event *events, size_t n, const char *folder) {
        static Event fewer[SEQUENCE_MAX];
        time_t end = time(NULL) + SHRINK_SEC;

        for (size_t piece = n / 2; piece > 0 && time(NULL) < end;) {
                bool shorter = false;

                for (size_t at = 0; at < n && time(NULL) < end;) {
                        size_t left_out = MIN2(piece, n - at);

                        memcpy(fewer, events, at * sizeof(*events));
                        memcpy(fewer + at, events + at + left_out, (n - at - left_out) * sizeof(*events));
                        if (fails(fewer, n - left_out, folder)) {
                                n -= left_out;
                                memcpy(events, fewer, n * sizeof(*events));
                                shorter = true;
                        } else
                                at += left_out;
                }
                if (!shorter || piece > n)
                        piece /= 2;
        }
        return n;
}

static void print_sequence(const Event *events, size_t n) {
        printf("# --replay \"");
        for (size_t i = 0; i < n; i++) {
                char text[EVENT_TEXT_SIZE];

                printf("%s%s", i ? ";" : "", event_to_text(&events[i], text));
        }
        printf("\"\n");
}

static int report(Event *events, const Options *o, uint64_t seed, const char *folder) {
        char first[FAILURE_SIZE];
        size_t n = o->events;

        (void) snprintf(first, sizeof(first), "%s", world->failure);
        printf("# seed %" PRIu64 ", %zu events: %s\n", seed, n, first);
        (void) fflush(stdout);
        if (o->unshortened) {
                printf("not ok 1 - every promise is kept\n");
                return 1;
        }
        /* What came after the broken promise does not matter, unless only the end showed it. */
        n = shrink(events, MIN2(n, (size_t) world->next_event), folder);
        printf("not ok 1 - every promise is kept\n# after %zu events: ", n);
        /* Threads make what happens in a crash a little uncertain. */
        for (unsigned tries = 0; tries < 5 && !fails(events, n, folder); tries++)
                ;
        printf("%s\n", world->failure[0] ? world->failure : "(not every time)");
        print_sequence(events, n);
        return 1;
}

/* ---- The program ------------------------------------------------------------------------------------------------------- */

static bool parse(int argc, char **argv, Options *o) {
        static const struct option options[] = {
                { "seed", required_argument, NULL, 's' },   { "seconds", required_argument, NULL, 't' },
                { "events", required_argument, NULL, 'n' }, { "replay", required_argument, NULL, 'r' },
                { "keep", no_argument, NULL, 'k' },         { "unshortened", no_argument, NULL, 'u' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (c == 's')
                        o->seed = strtoull(optarg, NULL, 10);
                else if (c == 't')
                        o->seconds = strtoul(optarg, NULL, 10);
                else if (c == 'n')
                        o->events = MIN2(strtoul(optarg, NULL, 10), (unsigned long) SEQUENCE_MAX);
                else if (c == 'r')
                        o->replay = optarg;
                else if (c == 'k')
                        o->keep = true;
                else if (c == 'u')
                        o->unshortened = true;
                else
                        return false;
        }
        return optind == argc;
}

static int replay(const Options *o, const char *folder) {
        static Event events[SEQUENCE_MAX];
        size_t n = 0;
        char *text = strdup(o->replay), *rest = text;

        for (char *word = NULL; (word = strsep(&rest, ";")) && n < SEQUENCE_MAX; n++)
                if (word[0] && !event_from_text(word, &events[n])) {
                        (void) fprintf(stderr, "\"%s\" is no event\n", word);
                        return 2;
                }
        free(text);
        if (play(events, n, folder))
                printf("ok 1 - every promise is kept\n");
        else
                printf("not ok 1 - every promise is kept\n# %s\n", world->failure);
        return world->failure[0] != 0;
}

static int random_sequences(const Options *o, const char *folder) {
        static Event events[SEQUENCE_MAX];
        time_t end = time(NULL) + (time_t) o->seconds;
        uint64_t seed = o->seed;

        do {
                /* Each sequence from a seed of its own, which alone makes it again. */
                state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
                for (size_t i = 0; i < o->events; i++)
                        events[i] = make_event();
                if (!play(events, o->events, folder))
                        return report(events, o, seed, folder);
                seed++;
        } while (o->sequences > 0 ? played_sequences < o->sequences : time(NULL) < end);
        printf("# %llu events in %llu sequences, %llu crashes, %llu recordings, %llu of them erased, %llu cameras flashed and %llu flashes "
               "broken off, %llu rollouts; seeds %" PRIu64 " to %" PRIu64 "\n",
               played_events, played_sequences, crashes, recorded, erased, flashed, flash_trouble, rollouts, o->seed, seed - 1);
        printf("ok 1 - every promise is kept\n");
        return 0;
}

int main(int argc, char **argv) {
        const char *seed = getenv("PROPERTY_SEED");
        Options o = { .seconds = strtoul(getenv("PROPERTY_SECONDS") ?: "20", NULL, 10), .events = 600,
                      .sequences = strtoul(getenv("PROPERTY_SEQUENCES") ?: "0", NULL, 10) };
        char root[] = "/dev/shm/berth-property-XXXXXX", folder[sizeof(root) + 8], command[600];
        int status;

        if (seed)
                o.seed = strtoull(seed, NULL, 10);
        else if (getrandom(&o.seed, sizeof(uint32_t), 0) < 0)
                return 2;
        if (!parse(argc, argv, &o))
                return 2;
        world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        /* In memory: what is synced is not what is tested here. */
        if (world == MAP_FAILED || !mkdtemp(root))
                return 2;
        (void) snprintf(folder, sizeof(folder), "%s/dock", root);
        printf("1..1\n");
        (void) fflush(stdout);
        status = o.replay ? replay(&o, folder) : random_sequences(&o, folder);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", root);
        if (!o.keep && system(command) != 0)
                return 2;
        if (o.keep)
                printf("# %s\n", folder);
        return status;
}
