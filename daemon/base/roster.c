/* SPDX-License-Identifier: Apache-2.0 */
#include "base/roster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/statement.h"
#include "base/text.h"

#define COLUMNS_MAX 64u

static const char *const members[] = { "id", "name", "unit_id", "unit_name", "badge", "camera" };

_printf_(2, 3) static int refuse(ConfError *error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(error->text, sizeof(error->text), format, ap);
        va_end(ap);
        return -EINVAL;
}

static const char *word(const json_t *officer, const char *key) {
        const char *s = json_string_value(json_object_get(officer, key));

        return s ? s : "";
}

Officer roster_officer(const json_t *roster, size_t i) {
        const json_t *o = json_array_get(roster, i);

        return (Officer){ word(o, "id"), word(o, "name"), word(o, "unit_id"), word(o, "unit_name"), word(o, "badge"), word(o, "camera") };
}

/* Nobody else has this word under this key: it is noted in `seen`. */
static int check_unique(json_t *seen, const char *what, const char *value, size_t at, ConfError *error) {
        if (!*value)
                return 0;
        if (json_object_get(seen, value))
                return refuse(error, "%s '%s' is there twice: for officers %d and %zu of the list", what, value,
                              (int) json_integer_value(json_object_get(seen, value)), at);
        return json_object_set_new(seen, value, json_integer((json_int_t) at)) < 0 ? -ENOMEM : 0;
}

static int check_words(const json_t *o, size_t at, ConfError *error) {
        for (size_t k = 0; k < ELEMENTSOF(members); k++) {
                const json_t *value = json_object_get(o, members[k]);

                if (value && !json_is_string(value))
                        return refuse(error, "officer %zu of the list: %s is no text", at, members[k]);
                if (strlen(word(o, members[k])) > ROSTER_WORD_MAX || !text_is_printable(word(o, members[k])))
                        return refuse(error, "officer %zu of the list: %s is longer than %u bytes, or not printable", at, members[k],
                                      ROSTER_WORD_MAX);
        }
        return *word(o, "id") ? 0 : refuse(error, "officer %zu of the list has no id", at);
}

int roster_check(const json_t *roster, ConfError *error) {
        json_t *ids = json_object(), *badges = json_object(), *serials = json_object();
        int r = ids && badges && serials ? 0 : -ENOMEM;

        if (!json_is_array(roster))
                r = refuse(error, "a roster is a list of officers");
        else if (json_array_size(roster) > ROSTER_OFFICERS_MAX)
                r = refuse(error, "a roster has at most %u officers", ROSTER_OFFICERS_MAX);
        for (size_t i = 0; i < json_array_size(roster) && r >= 0; i++) {
                const json_t *o = json_array_get(roster, i);

                r = check_words(o, i + 1, error);
                if (r >= 0)
                        r = check_unique(ids, "the id", word(o, "id"), i + 1, error);
                if (r >= 0)
                        r = check_unique(badges, "the badge", word(o, "badge"), i + 1, error);
                if (r >= 0)
                        r = check_unique(serials, "the camera", word(o, "camera"), i + 1, error);
        }
        json_decref(ids);
        json_decref(badges);
        json_decref(serials);
        return r;
}

/* ---- Tables -------------------------------------------------------------------------------------------------------- */

typedef struct Table {
        const char *file, *at, *end;
        char separator;
        unsigned line;
        ConfError *error;
} Table;

/*
 * One field into `ret`. *ret_more: another one follows on the line. A field in quotes may hold separators, and quotes that are doubled;
 * line ends within one belong to nothing that a roster has.
 */
static int next_field(Table *t, char *ret, size_t size, bool *ret_more) {
        bool quoted = t->at < t->end && *t->at == '"';
        size_t n = 0;

        t->at += quoted;
        for (; t->at < t->end; t->at++) {
                if (quoted && *t->at == '"') {
                        if (t->at + 1 == t->end || t->at[1] != '"') {
                                t->at++;
                                break;
                        }
                        t->at++;
                } else if (*t->at == '\n' || *t->at == '\r') {
                        if (quoted)
                                return refuse(t->error, "%s:%u: a quote is not closed", t->file, t->line);
                        break;
                } else if (!quoted && *t->at == t->separator)
                        break;
                if (n + 1 >= size)
                        return refuse(t->error, "%s:%u: a field is longer than %zu bytes", t->file, t->line, size - 1);
                ret[n++] = *t->at;
        }
        ret[n] = 0;
        *ret_more = t->at < t->end && *t->at == t->separator;
        t->at += *ret_more;
        if (!*ret_more && t->at < t->end && *t->at != '\n' && *t->at != '\r')
                return refuse(t->error, "%s:%u: something follows a closing quote", t->file, t->line);
        return 0;
}

static void end_line(Table *t) {
        if (t->at < t->end && *t->at == '\r')
                t->at++;
        if (t->at < t->end && *t->at == '\n')
                t->at++;
        t->line++;
}

/* Which member each column is, -1: none. */
static int read_head(Table *t, int ret_columns[static COLUMNS_MAX], size_t *ret_n) {
        char name[ROSTER_WORD_MAX + 1];
        bool more = true, has_id = false;
        size_t n = 0;

        t->separator = memchr(t->at, ';', strcspn(t->at, "\n")) ? ';' : ',';
        while (more) {
                int r = next_field(t, name, sizeof(name), &more);

                if (r < 0)
                        return r;
                if (n == COLUMNS_MAX)
                        return refuse(t->error, "%s:1: a roster has at most %u columns", t->file, COLUMNS_MAX);
                ret_columns[n] = -1;
                for (size_t k = 0; k < ELEMENTSOF(members); k++)
                        if (text_equal(name, members[k]))
                                ret_columns[n] = (int) k;
                has_id = has_id || ret_columns[n] == 0;
                n++;
        }
        end_line(t);
        *ret_n = n;
        return has_id ? 0 : refuse(t->error, "%s:1: the first line names the columns, and none of them is 'id'; others are name, unit_id, "
                                   "unit_name, badge and camera", t->file);
}

static int read_row(Table *t, const int *columns, size_t n_columns, json_t *roster) {
        char field[ROSTER_WORD_MAX + 1];
        json_t *o = json_object();
        bool more = true, any = false;
        size_t n = 0;
        int r = o ? 0 : -ENOMEM;

        for (; more && r >= 0; n++) {
                r = next_field(t, field, sizeof(field), &more);
                any = any || field[0];
                if (r >= 0 && n < n_columns && columns[n] >= 0 && field[0] &&
                    json_object_set_new(o, members[columns[n]], json_string(field)) < 0)
                        r = refuse(t->error, "%s:%u: the %s is not UTF-8", t->file, t->line, members[columns[n]]);
        }
        if (r >= 0 && any && n > n_columns)
                r = refuse(t->error, "%s:%u: there are %zu fields, and %zu columns", t->file, t->line, n, n_columns);
        if (r >= 0 && any && !*word(o, "id"))
                r = refuse(t->error, "%s:%u: the id is empty", t->file, t->line);
        if (r >= 0 && any && json_array_append(roster, o) < 0)
                r = -ENOMEM;
        json_decref(o);
        end_line(t);
        return r;
}

int roster_from_csv(const char *file, const char *text, size_t size, json_t **ret, ConfError *error) {
        Table t = { .file = file, .at = text, .end = text + size, .line = 1, .error = error };
        int columns[COLUMNS_MAX], r;
        ConfError why = { 0 };
        size_t n = 0;
        json_t *roster;

        if (memchr(text, 0, size))
                return refuse(error, "%s: this is no text", file);
        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                t.at += 3;
        r = read_head(&t, columns, &n);
        if (r < 0)
                return r;
        roster = json_array();
        r = roster ? 0 : -ENOMEM;
        while (r >= 0 && t.at < t.end)
                r = read_row(&t, columns, n, roster);
        if (r >= 0) {
                r = roster_check(roster, &why);
                if (r == -EINVAL)
                        r = refuse(error, "%s: %.400s", file, why.text);
        }
        if (r < 0) {
                json_decref(roster);
                return r;
        }
        *ret = roster;
        return 0;
}

/* ---- The fleet's ---------------------------------------------------------------------------------------------------- */

char *roster_key(const char *fleet, uint64_t number) {
        return text_format("roster/%s/%010" PRIu64, fleet, number);
}

int roster_sign(const SignKey *admin, const char *fleet, uint64_t number, int64_t now_usec, const json_t *roster, char **ret) {
        _cleanup_(freep) char *key = roster_key(fleet, number), *file = NULL;
        const StatementAbout about = { STATEMENT_ROSTER, key, fleet, "", number };
        _cleanup_(statement_done) Statement s = { 0 };
        char time[UTC_TEXT_SIZE];
        json_t *said;
        int r;

        if (!fleet_id_is_valid(fleet))
                return -EINVAL;
        said = json_pack("{s:s, s:O}", "time", utc_text(now_usec, time), "officers", roster);
        r = key && said ? statement_make(admin, &about, said, &s) : -ENOMEM;
        json_decref(said);
        if (r < 0)
                return r;
        file = statement_file(&s);
        if (!file)
                return -ENOMEM;
        if (strlen(file) > ROSTER_FILE_MAX)
                return -E2BIG;
        *ret = TAKE_PTR(file);
        return 0;
}

static int reject(ConfError *error, int r, const char *why) {
        (void) refuse(error, "%s", why);
        return r;
}

int roster_parse(const char *file, size_t size, const PublicKey *admin, const char *fleet, uint64_t number, uint64_t last_number,
                 json_t **ret, uint64_t *ret_number, ConfError *error) {
        StatementAbout expected = { .type = STATEMENT_ROSTER, .fleet = fleet, .dock = "", .seq = last_number };
        _cleanup_(statement_done) Statement s = { 0 };
        _cleanup_(freep) char *key = NULL, *own = NULL;
        ConfError what = { 0 };
        const char *why;
        int r;

        r = statement_parse(file, size, &s);
        if (r < 0)
                return reject(error, r == -EKEYREJECTED ? r : -EBADE, r == -EKEYREJECTED ?
                              "the roster's signature is not that of the key that it names" : "this is no signed roster");
        own = roster_key(s.about.fleet, s.about.seq);
        key = number > 0 ? roster_key(fleet, number) : own ? strdup(own) : NULL;
        if (!key || !own)
                return -ENOMEM;
        expected.key = key;
        why = statement_mismatch(&s, &expected, admin);
        if (why || !text_equal(s.about.key, own))
                return refuse(error, "the roster does not count: %s", why ? why : "its name does not have its number"), -EKEYREJECTED;
        if (roster_check(json_object_get(s.object, "officers"), &what) < 0)
                return refuse(error, "the roster is signed, and %.400s", what.text), -EBADE;
        *ret = json_incref(json_object_get(s.object, "officers"));
        *ret_number = s.about.seq;
        return 0;
}
