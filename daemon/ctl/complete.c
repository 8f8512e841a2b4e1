/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl complete -- WORD...`: what the last of these words may become, one on a line; the shells' completions ask this. Nothing is
 * printed where the shell knows better (files), and where the dock does not answer.
 */

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/objects.h"
#include "ctl/options.h"
#include "ctl/property.h"
#include "ctl/rollout_list.h"
#include "ctl/words.h"

#define ROWS_MAX 500u
#define CLIPS_MAX 50u

/* ---- What the dock knows ------------------------------------------------------------------------------------------------ */

/* What steers a terminal, or is no one word of a line, cannot be typed like this. */
static void print_word(const char *prefix, const char *word) {
        if (word && *word && text_is_printable(word))
                printf("%s%s\n", prefix, word);
}

typedef struct Cell {
        char *text;
} Cell;

/* One text of each entry of an aa{sv}. */
static int print_column(sd_bus_message *reply, const char *key, const char *prefix) {
        const Property properties[] = { PROPERTY(Cell, key, "text", STRING, text) };
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");

        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0) {
                Cell cell = { 0 };

                r = properties_init(properties, 1, &cell);
                if (r >= 0)
                        r = properties_read(properties, 1, &cell, reply);
                if (r >= 0)
                        print_word(prefix, cell.text);
                properties_clear(properties, 1, &cell);
        }
        return r;
}

static void print_clips(sd_bus *bus, const char *prefix) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        typedef struct Id {
                uint64_t id;
        } Id;
        static const Property properties[] = { PROPERTY(Id, "Id", "id", UINT64, id) };
        int r;

        if (bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListClips", &reply, "sstu", "", "", UINT64_C(0), CLIPS_MAX) != CTL_OK)
                return;
        r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0) {
                Id id = { 0 };

                r = properties_read(properties, 1, &id, reply);
                if (r >= 0)
                        printf("%s%llu\n", prefix, (unsigned long long) id.id);
        }
}

static void print_serials(sd_bus *bus, const char *prefix) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListCameras", &reply, "tu", UINT64_C(0), ROWS_MAX) == CTL_OK)
                (void) print_column(reply, "Serial", prefix);
}

static void print_officers(sd_bus *bus, const char *prefix) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t number;

        if (bus_client_call(bus, DOCK_ROSTER_INTERFACE, "ListOfficers", &reply, "su", "", ROWS_MAX) == CTL_OK &&
            sd_bus_message_read(reply, "t", &number) >= 0)
                (void) print_column(reply, "Id", prefix);
}

static int print_version(void *userdata, const char *path, sd_bus_message *m) {
        static const Property properties[] = { PROPERTY(Cell, "Version", "text", STRING, text) };
        Cell cell = { 0 };
        int r = properties_init(properties, 1, &cell);

        (void) path;
        if (r >= 0)
                r = properties_read(properties, 1, &cell, m);
        if (r >= 0)
                print_word(userdata, cell.text);
        properties_clear(properties, 1, &cell);
        return r;
}

static int print_job(void *userdata, const char *path, sd_bus_message *m) {
        print_word(userdata, path + strlen(DOCK_PATH "/job/"));
        return sd_bus_message_skip(m, "a{sv}");
}

static void print_objects(sd_bus *bus, const char *interface, ObjectTake print, const char *prefix) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (bus_client_call(bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &reply, "") == CTL_OK)
                (void) objects_each(reply, interface, print, (void *) prefix);
}

static void print_bays(sd_bus *bus) {
        _cleanup_(dock_freep) Dock *dock = NULL;

        if (bus_client_load(bus, &dock, NULL) == CTL_OK)
                for (size_t i = 0; i < dock->n_bays; i++)
                        printf("%u\n", dock->bays[i]->number);
}

static void print_rollouts(sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(json_decrefp) json_t *rollouts = NULL;
        const json_t *one;
        size_t i;

        if (bus_client_call(bus, BUS_OBJECT_MANAGER, "GetManagedObjects", &reply, "") == CTL_OK && rollouts_load(reply, &rollouts) >= 0)
                json_array_foreach(rollouts, i, one)
                        print_word("", json_string_value(json_object_get(one, "id")));
}

static void print_kind(const Options *options, WordKind kind, const char *prefix) {
        static const char *const states[] = { "seen",    "copying", "copied",   "uploading", "receipted",
                                              "erasing", "erased",  "conflict", "lost" };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;

        for (size_t i = 0; i < ELEMENTSOF(states) && kind == WORD_CLIP_STATE; i++)
                print_word(prefix, states[i]);
        if (kind == WORD_POOL)
                print_word(prefix, "pool");
        if (kind == WORD_NONE || kind == WORD_FILE || kind == WORD_CLIP_STATE || bus_client_open(options, &bus) != CTL_OK)
                return;
        if (kind == WORD_SERIAL || kind == WORD_POOL)
                print_serials(bus, prefix);
        else if (kind == WORD_CLIP)
                print_clips(bus, prefix);
        else if (kind == WORD_OFFICER)
                print_officers(bus, prefix);
        else if (kind == WORD_VERSION)
                print_objects(bus, DOCK_FIRMWARE_INTERFACE, print_version, prefix);
        else if (kind == WORD_JOB)
                print_objects(bus, DOCK_JOB_INTERFACE, print_job, prefix);
        else if (kind == WORD_BAY)
                print_bays(bus);
        else if (kind == WORD_ROLLOUT)
                print_rollouts(bus);
}

/* ---- Which word it is ------------------------------------------------------------------------------------------------------ */

static void print_option_value(const Options *options, const char *word) {
        static const struct {
                const char *option;
                WordKind kind;
        } kinds[] = { { "--camera=", WORD_SERIAL }, { "--clip=", WORD_CLIP }, { "--state=", WORD_CLIP_STATE } };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strncmp(word, kinds[i].option, strlen(kinds[i].option)) == 0)
                        print_kind(options, kinds[i].kind, kinds[i].option);
}

/* The words of the verb, or what stands at this place behind them. `given` are those before the one that is completed. */
static void print_following(const Options *options, const char *verb, const char *const *given, unsigned n) {
        const Word *table;
        size_t rows;

        table = words(&rows);
        for (size_t i = 0; i < rows; i++) {
                unsigned at = table[i].word ? 1 : 0;

                if (!text_equal(table[i].verb, verb))
                        continue;
                if (at > n)
                        puts(table[i].word);
                else if ((at == 0 || text_equal(table[i].word, given[0])) && n - at < WORDS_MAX)
                        print_kind(options, table[i].then[n - at], "");
        }
}

int verb_complete(const Options *options) {
        const char *given[WORDS_MAX + 2], *verb = NULL, *last = options->n_args > 0 ? options->args[options->n_args - 1] : "";
        Options o = *options;
        unsigned n = 0;

        for (unsigned i = 0; i + 1 < options->n_args; i++) {
                const char *word = options->args[i];

                if (options_word_is_bus(&o, word, options->args[i + 1]) || (options_word_wants_value(word) && i + 2 < options->n_args))
                        i += options_word_wants_value(word);
                else if (*word != '-' && !verb)
                        verb = word;
                else if (*word != '-' && n < ELEMENTSOF(given))
                        given[n++] = word;
        }
        if (*last == '-' && strchr(last, '='))
                print_option_value(&o, last);
        else if (*last == '-')
                options_print_options(verb);
        else if (!verb)
                options_print_verbs();
        else
                print_following(&o, verb, given, n);
        return CTL_OK;
}
