/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "base/fd.h"
#include "base/text.h"

#define LOG_LINE_MAX 4096u

/* Set once by log_init(), before there are threads. */
static const char *log_name = "berth";
static int log_level = LOG_INFO;
static bool log_journal;
static bool log_terminal;

static int level_from_string(const char *s) {
        static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (text_equal(s, names[i]) || (s[0] == (char) ('0' + i) && s[1] == 0))
                        return (int) i;
        return text_equal(s, "error") ? LOG_ERR : -EINVAL;
}

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/*
 * systemd.exec(5): $JOURNAL_STREAM is "device:inode" of the journal's socket. Our stderr may be another file by now.
 * Where the journal's other socket cannot be reached, sd_journal_sendv() would drop the line and call it sent.
 */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0 ||
            access(JOURNAL_SOCKET, W_OK) < 0)
                return false;
        return st.st_dev == (dev_t) device && st.st_ino == (ino_t) inode;
}

void log_init(const char *name) {
        const char *level = getenv("BERTH_LOG");
        int l = level ? level_from_string(level) : LOG_INFO;

        log_name = name;
        log_level = l < 0 ? LOG_INFO : l;
        log_journal = stderr_is_journal();
        log_terminal = isatty(STDERR_FILENO) == 1;
        if (l < 0)
                log_warning(NULL, "BERTH_LOG=%s is no log level (0 to 7, or a name such as debug): using info", level);
}

typedef struct Field {
        char text[512];
} Field;

static void add_field(struct iovec *io, size_t *n, Field *field, const char *name, const char *value) {
        int length;

        if (!value)
                return;
        length = snprintf(field->text, sizeof(field->text), "%s=%s", name, value);
        io[(*n)++] = (struct iovec){ field->text, MIN2((size_t) MAX2(length, 0), sizeof(field->text) - 1) };
}

static int send_to_journal(int priority, const LogAbout *about, const char *line) {
        char message[LOG_LINE_MAX + sizeof("MESSAGE=")];
        Field level, name, bay, camera, clip, message_field, id;
        char number[2] = { (char) ('0' + (priority & LOG_PRIMASK)), 0 };
        struct iovec io[8];
        size_t n = 0;

        (void) snprintf(message, sizeof(message), "MESSAGE=%s", line);
        io[n++] = (struct iovec){ message, strlen(message) };
        add_field(io, &n, &level, "PRIORITY", number);
        add_field(io, &n, &name, "SYSLOG_IDENTIFIER", log_name);
        if (about) {
                add_field(io, &n, &bay, "BERTH_BAY", about->bay);
                add_field(io, &n, &camera, "BERTH_CAMERA", about->camera);
                add_field(io, &n, &clip, "BERTH_CLIP", about->clip);
                add_field(io, &n, &message_field, "BERTH_MESSAGE", message_name(about->message));
                add_field(io, &n, &id, "MESSAGE_ID", message_id(about->message));
        }
        return sd_journal_sendv(io, (int) n);
}

static void send_to_stderr(int priority, const char *line) {
        char text[LOG_LINE_MAX + 64];
        int n;

        /* One write, so that lines of several processes on one stderr do not mix. */
        if (log_terminal)
                n = snprintf(text, sizeof(text), "%s: %s\n", log_name, line);
        else
                n = snprintf(text, sizeof(text), "<%d>%s: %s\n", priority & LOG_PRIMASK, log_name, line);
        if (n > 0)
                (void) fd_write_full(STDERR_FILENO, text, MIN2((size_t) n, sizeof(text) - 1));
}

static void prefix(char *line, size_t size, size_t *at, const char *what, const char *value) {
        int n;

        if (!value || *at >= size)
                return;
        n = snprintf(line + *at, size - *at, "%s %s: ", what, value);
        *at = MIN2(*at + (size_t) MAX2(n, 0), size - 1);
}

void log_full(int priority, const LogAbout *about, const char *format, ...) {
        char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
        int saved = errno;
        va_list arguments;
        size_t at = 0;

        if ((priority & LOG_PRIMASK) > log_level)
                return;
        if (about) {
                prefix(raw, sizeof(raw), &at, "bay", about->bay);
                prefix(raw, sizeof(raw), &at, "camera", about->camera);
                prefix(raw, sizeof(raw), &at, "clip", about->clip);
        }
        va_start(arguments, format);
        errno = saved; /* for %m */
        (void) vsnprintf(raw + at, sizeof(raw) - at, format, arguments);
        va_end(arguments);
        /* Whatever a camera got into the text must not steer a terminal or forge a line. */
        text_sanitise(raw, line, sizeof(line));
        if (!log_journal || send_to_journal(priority, about, line) < 0)
                send_to_stderr(priority, line);
        errno = saved;
}
