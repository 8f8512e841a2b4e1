/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define CONF_FILE_MAX (1u * 1024u * 1024u)
#define CONF_FILES_MAX 4096u

void conf_fail(ConfError *error, const char *format, ...) {
        char raw[sizeof(error->text)];
        va_list arguments;

        if (!error)
                return;
        va_start(arguments, format);
        (void) vsnprintf(raw, sizeof(raw), format, arguments);
        va_end(arguments);
        text_sanitise(raw, error->text, sizeof(error->text));
}

int conf_error(const ConfLine *line, ConfError *error, const char *format, ...) {
        const char *space = line->name && line->name[0] ? " " : "";
        char what[sizeof(error->text)];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        conf_fail(error, "%s:%u: [%s%s%s]%s%s: %s", line->file, line->line, line->section, space,
                  line->name ? line->name : "", line->key ? " " : "", line->key ? line->key : "", what);
        return -EINVAL;
}

/* ---- Files ---- */

typedef struct Parser {
        ConfLine line;
        char *section; /* what line.section and line.name point into */
        ConfSink sink;
        void *userdata;
        ConfError *error;
} Parser;

static int syntax_error(Parser *p, const char *what) {
        conf_fail(p->error, "%s:%u: %s", p->line.file, p->line.line, what);
        return -EBADMSG;
}

static bool is_word(const char *s) {
        return s[0] != 0 && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] == 0;
}

/* Cuts white space off both ends, in place. */
static char *trim(char *s) {
        size_t n;

        s += strspn(s, " \t\r");
        n = strlen(s);
        while (n > 0 && strchr(" \t\r", s[n - 1]))
                n--;
        s[n] = 0;
        return s;
}

static int call_sink(Parser *p) {
        ConfError error = { 0 };
        int r;

        r = p->sink(&p->line, p->userdata, &error);
        if (r >= 0)
                return 0;
        if (error.text[0] == 0)
                (void) conf_error(&p->line, &error, "%s", strerror(-r));
        conf_fail(p->error, "%s", error.text);
        return r;
}

static int parse_section(Parser *p, char *text) {
        size_t n = strlen(text);
        char *section, *name;

        if (n < 2 || text[n - 1] != ']')
                return syntax_error(p, "a section's line must end with ']'");
        text[n - 1] = 0;
        section = strdup(trim(text + 1));
        if (!section)
                return syntax_error(p, "out of memory"), -ENOMEM;
        free(p->section);
        p->section = section;
        name = section + strcspn(section, " \t");
        if (*name)
                *name++ = 0;
        if (!is_word(section))
                return syntax_error(p, "a section's name is made of letters, digits, '-', '_' and '.'");
        p->line.section = section;
        p->line.name = trim(name);
        p->line.key = p->line.value = NULL;
        return call_sink(p);
}

static int parse_line(Parser *p, char *text) {
        char *equals;

        text = trim(text);
        if (text[0] == 0 || text[0] == '#' || text[0] == ';')
                return 0;
        if (text[0] == '[')
                return parse_section(p, text);
        equals = strchr(text, '=');
        if (!equals)
                return syntax_error(
                        p, "neither a [section], nor key = value, nor a comment (comments begin with '#' or ';')");
        *equals = 0;
        text = trim(text);
        if (!is_word(text))
                return syntax_error(p, "a key is made of letters, digits, '-', '_' and '.'");
        if (!p->line.section)
                return syntax_error(p, "a setting before the first [section]");
        p->line.key = text;
        p->line.value = trim(equals + 1);
        return call_sink(p);
}

int conf_parse_text(const char *name, const char *text, size_t size, ConfSink sink, void *userdata, ConfError *error) {
        Parser p = { .line.file = name, .sink = sink, .userdata = userdata, .error = error };
        _cleanup_(freep) char *copy = malloc(size + 1);
        char *next;
        int r = 0;

        if (!copy) {
                conf_fail(error, "%s: out of memory", name);
                return -ENOMEM;
        }
        if (size > 0)
                memcpy(copy, text, size);
        copy[size] = 0;
        if (!text_is_utf8(copy, size) || strlen(copy) != size) {
                const char *bad = copy;

                /* The line of the first byte that cannot be. */
                for (p.line.line = 1; text_is_utf8(bad, strcspn(bad, "\n")) && bad[strcspn(bad, "\n")] == '\n';
                     p.line.line++)
                        bad += strcspn(bad, "\n") + 1;
                return syntax_error(&p, "not UTF-8 text");
        }
        for (char *line = copy; line && r >= 0; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = 0;
                p.line.line++;
                r = parse_line(&p, line);
        }
        free(p.section);
        /* It may be a file of passwords. */
        explicit_bzero(copy, size);
        return r < 0 ? r : 0;
}

/* An administrator may well make a configuration file a symlink: it is followed, unlike everything of fd.h. */
static int read_conf(const char *path, char **ret, size_t *ret_size) {
        _cleanup_(fd_closep) int fd = -EBADF;
        _cleanup_(freep) char *text = malloc(CONF_FILE_MAX + 1);
        size_t size = 0;

        if (!text)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        for (;;) {
                ssize_t n = read(fd, text + size, CONF_FILE_MAX + 1 - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > CONF_FILE_MAX)
                        return -EFBIG;
        }
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

int conf_parse_file(const char *path, ConfSink sink, void *userdata, ConfError *error) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        r = read_conf(path, &text, &size);
        if (r < 0) {
                conf_fail(error, "%s: cannot be read: %s", path, strerror(-r));
                return r;
        }
        return conf_parse_text(path, text, size, sink, userdata, error);
}

static int is_conf(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 5 && text_equal(entry->d_name + n - 5, ".conf");
}

static int by_name(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

int conf_parse_dir(const char *dir, ConfSink sink, void *userdata, ConfError *error) {
        struct dirent **entries = NULL;
        int n, r = 0;

        n = scandir(dir, &entries, is_conf, by_name);
        if (n < 0) {
                r = -errno;
                if (r == -ENOENT)
                        return 0;
                conf_fail(error, "%s: cannot be read: %s", dir, strerror(-r));
                return r;
        }
        if (n > (int) CONF_FILES_MAX) {
                conf_fail(error, "%s: more than %u configuration files", dir, CONF_FILES_MAX);
                r = -E2BIG;
        }
        for (int i = 0; i < n; i++) {
                if (r >= 0) {
                        _cleanup_(freep) char *path = text_format("%s/%s", dir, entries[i]->d_name);

                        r = path ? conf_parse_file(path, sink, userdata, error) : -ENOMEM;
                        if (!path)
                                conf_fail(error, "%s: out of memory", dir);
                }
                free(entries[i]);
        }
        free(entries);
        return r < 0 ? r : 0;
}

/* ---- Values ---- */

int conf_bool(const ConfLine *line, bool *ret, ConfError *error) {
        static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (text_equal(line->value, yes[i]) || text_equal(line->value, no[i])) {
                        *ret = text_equal(line->value, yes[i]);
                        return 0;
                }
        }
        return conf_error(line, error, "'%s' is neither yes nor no", line->value);
}

/* Decimal digits up to the first other character. -EINVAL without digits, -ERANGE when too large. */
static int parse_digits(const char *s, uint64_t *ret, const char **ret_end) {
        uint64_t v = 0;

        if (*s < '0' || *s > '9')
                return -EINVAL;
        for (; *s >= '0' && *s <= '9'; s++)
                if (__builtin_mul_overflow(v, UINT64_C(10), &v) || __builtin_add_overflow(v, (uint64_t) (*s - '0'), &v))
                        return -ERANGE;
        *ret = v;
        *ret_end = s;
        return 0;
}

int conf_uint(const ConfLine *line, uint64_t min, uint64_t max, uint64_t *ret, ConfError *error) {
        const char *end = NULL;
        uint64_t v = 0;
        int r;

        r = parse_digits(line->value, &v, &end);
        if (r == -EINVAL || (r >= 0 && *end))
                return conf_error(line, error, "'%s' is not a whole number", line->value);
        if (r < 0 || v < min || v > max)
                return conf_error(line, error, "%s is not between %llu and %llu", line->value, (unsigned long long) min,
                                  (unsigned long long) max);
        *ret = v;
        return 0;
}

int conf_int(const ConfLine *line, int64_t min, int64_t max, int64_t *ret, ConfError *error) {
        bool negative = line->value[0] == '-';
        const char *end = NULL;
        uint64_t v = 0;
        int64_t value;
        int r;

        r = parse_digits(line->value + negative, &v, &end);
        if (r == -EINVAL || (r >= 0 && *end))
                return conf_error(line, error, "'%s' is not a whole number", line->value);
        value = r < 0 || v > INT64_MAX ? INT64_MAX : (int64_t) v;
        value = negative ? -value : value;
        if (value < min || value > max)
                return conf_error(line, error, "%s is not between %lld and %lld", line->value, (long long) min, (long long) max);
        *ret = value;
        return 0;
}

typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

/* A number and one of the units, without a space between: -EINVAL, -ERANGE. */
static int parse_with_unit(const char *s, const Unit *units, size_t n_units, uint64_t *ret) {
        const char *end = NULL;
        uint64_t v = 0;
        int r;

        r = parse_digits(s, &v, &end);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_units; i++)
                if (text_equal(end, units[i].name))
                        return __builtin_mul_overflow(v, units[i].factor, ret) ? -ERANGE : 0;
        return -EINVAL;
}

int conf_bytes(const ConfLine *line, uint64_t min, uint64_t max, uint64_t *ret, ConfError *error) {
        static const Unit units[] = {
                { "", 1 }, { "K", KIB }, { "M", MIB }, { "G", GIB }, { "T", KIB * GIB },
        };
        char low[16], high[16];
        uint64_t v = 0;
        int r;

        r = parse_with_unit(line->value, units, ELEMENTSOF(units), &v);
        if (r == -EINVAL)
                return conf_error(line, error, "'%s' is not a size such as 512M or 40G", line->value);
        if (r < 0 || v < min || v > max)
                return conf_error(line, error, "%s is not between %s and %s", line->value, text_bytes(min, low),
                                  text_bytes(max, high));
        *ret = v;
        return 0;
}

static const Unit span_units[] = {
        { "d", 86400 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC }, { "min", 60 * USEC_PER_SEC },
        { "s", USEC_PER_SEC },         { "ms", USEC_PER_MSEC },      { "us", 1 },
};

/* In the largest unit that divides it: "5min". */
static const char *span_text(uint64_t usec, char ret[static 32]) {
        size_t i = 0;

        while (i + 1 < ELEMENTSOF(span_units) && (usec == 0 || usec % span_units[i].factor != 0))
                i++;
        (void) snprintf(ret, 32, "%llu%s", (unsigned long long) (usec / span_units[i].factor), span_units[i].name);
        return ret;
}

int conf_span(const ConfLine *line, uint64_t min_usec, uint64_t max_usec, uint64_t *ret_usec, ConfError *error) {
        char low[32], high[32];
        uint64_t v = 0;
        int r;

        r = parse_with_unit(line->value, span_units, ELEMENTSOF(span_units), &v);
        if (r == -EINVAL)
                return conf_error(line, error, "'%s' is not a time span with a unit such as 250ms, 30s, 5min or 2h",
                                  line->value);
        if (r < 0 || v < min_usec || v > max_usec)
                return conf_error(line, error, "%s is not between %s and %s", line->value, span_text(min_usec, low),
                                  span_text(max_usec, high));
        *ret_usec = v;
        return 0;
}

int conf_string(const ConfLine *line, char **ret, ConfError *error) {
        char *copy;

        if (line->value[0] == 0)
                return conf_error(line, error, "must not be empty");
        if (!text_is_printable(line->value))
                return conf_error(line, error, "holds a control character");
        copy = strdup(line->value);
        if (!copy)
                return conf_error(line, error, "out of memory"), -ENOMEM;
        free(*ret);
        *ret = copy;
        return 0;
}

int conf_path(const ConfLine *line, char **ret, ConfError *error) {
        const char *v = line->value;

        if (v[0] != '/')
                return conf_error(line, error, "'%s' is not an absolute path", v);
        if (strlen(v) >= PATH_MAX)
                return conf_error(line, error, "the path is too long");
        for (const char *p = v; *p; p += strcspn(p, "/")) {
                p += strspn(p, "/");
                if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0))
                        return conf_error(line, error, "'%s' holds '..'", v);
        }
        return conf_string(line, ret, error);
}
