/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "uplink/listen.h"
#include "uplink/manifest.h"

#define SERIAL_MAX 255u
#define KEY_MAX 1024u

typedef struct Connection {
        TAILQ_ENTRY(Connection) list;
        Server *server;
        sd_bus *bus;
        bool holds; /* it wants nothing to be sent */
} Connection;
TAILQ_HEAD(ConnectionList, Connection);

struct Server {
        sd_event *event;
        int fd;
        char *own_path; /* NULL when the socket is the service manager's */
        dev_t own_device;
        ino_t own_inode;
        bool peer_known;
        uid_t peer_uid;
        sd_event_source *accept;
        Transfers *transfers;
        Probe *probe;
        char pause[256]; /* why nothing is sent by the schedule, or "" */
        struct ConnectionList connections;
        unsigned n_connections;
};

/* One connection's wish is enough; as a rule there is one. */
static void hold(Connection *c, bool held) {
        const Connection *other;
        bool any = false;

        c->holds = held;
        TAILQ_FOREACH(other, &c->server->connections, list)
                any |= other->holds;
        transfers_hold(c->server->transfers, TRANSFER_HOLD_ORDER, any);
}

static Connection *connection_free(Connection *c) {
        if (!c)
                return NULL;
        transfers_forget(c->server->transfers, c);
        hold(c, false);
        TAILQ_REMOVE(&c->server->connections, c, list);
        c->server->n_connections--;
        if (c->bus) {
                sd_bus_close(c->bus);
                sd_bus_unref(c->bus);
        }
        free(c);
        return NULL;
}

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

static int refuse(sd_bus_message *m, const char *format, ...) _printf_(2, 3);
static int refuse(sd_bus_message *m, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        return sd_bus_reply_method_errorf(m, WIRE_UPLINK_E_INVALID, "%s", text ? text : "the arguments cannot be taken");
}

static int read_digest(sd_bus_message *m, Digest *ret) {
        const void *bytes;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, 'y', &bytes, &size);
        if (r < 0)
                return r;
        if (size != DIGEST_SIZE)
                return -EINVAL;
        memcpy(ret->bytes, bytes, size);
        return 0;
}

/* A call that cannot be served now is answered, everything else is queued: 1. */
static int enqueue(Connection *c, sd_bus_message *m, Task *task) {
        _cleanup_(task_freep) Task *taken = task;
        const char *text, *state = probe_state(c->server->probe, &text);
        int r;

        if (!probe_is_ready(c->server->probe))
                return sd_bus_reply_method_errorf(
                        m, text_equal(state, WIRE_STORE_FULL) ? WIRE_UPLINK_E_FULL : WIRE_UPLINK_E_UNAVAILABLE, "%s", text);
        r = transfers_add(c->server->transfers, TAKE_PTR(taken), c, m);
        if (r == -EBUSY)
                return sd_bus_reply_method_errorf(m, WIRE_UPLINK_E_UNAVAILABLE, "%u calls wait already", TRANSFERS_WAITING_MAX);
        if (r < 0)
                return sd_bus_reply_method_errorf(m, WIRE_UPLINK_E_UNAVAILABLE, "the uplink is out of memory");
        (void) sd_bus_message_ref(m);
        CRASH_POINT_OF("request-taken", sd_bus_message_get_member(m));
        return 1;
}

static int take_source(PutRequest *put, int fd) {
        struct stat st;
        int flags;

        put->source_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (put->source_fd < 0) {
                put->source_fd = -EBADF;
                return -errno;
        }
        flags = fcntl(put->source_fd, F_GETFL);
        if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH))
                return -EINVAL;
        return fstat(put->source_fd, &st) < 0 || !S_ISREG(st.st_mode) ? -EINVAL : 0;
}

static const char *check_put(const PutRequest *put) {
        size_t serial = strlen(put->serial);

        if (serial == 0 || serial > SERIAL_MAX || !text_is_printable(put->serial))
                return "the camera's serial is empty, too long, or holds control characters";
        if (!text_path_is_valid(put->path))
                return "the clip's path is not a relative path without '.' and '..'";
        if (put->size_bytes > INT64_MAX)
                return "the size is larger than any file";
        if (manifest_check_facts(put->facts_json) < 0)
                return "the facts are not one JSON object of at most 64 KiB";
        return NULL;
}

/* What Put and Grow begin with. The descriptor stays the message's. */
static int read_clip(sd_bus_message *m, PutRequest *put, int *ret_fd) {
        const char *serial, *path;
        int r;

        r = sd_bus_message_read(m, "thsxsxt", &put->clip_id, ret_fd, &serial, &put->docked_unix_sec, &path, &put->mtime_unix_sec,
                                &put->size_bytes);
        if (r < 0)
                return r;
        put->serial = strdup(serial);
        put->path = strdup(path);
        return put->serial && put->path ? 0 : -ENOMEM;
}

static int enqueue_put(Connection *c, sd_bus_message *m, Task *task, int fd) {
        _cleanup_(task_freep) Task *taken = task;
        const char *why = check_put(&task->put);

        if (why)
                return refuse(m, "%s", why);
        if (take_source(&task->put, fd) < 0)
                return refuse(m, "the spool file's descriptor is not a regular file that may be read");
        return enqueue(c, m, TAKE_PTR(taken));
}

static int call_put(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(task_freep) Task *task = task_new(TASK_PUT, NULL, NULL);
        const char *facts;
        int fd, r;

        (void) error;
        if (!task)
                return -ENOMEM;
        r = read_clip(m, &task->put, &fd);
        if (r < 0)
                return r;
        if (read_digest(m, &task->put.digest) < 0)
                return refuse(m, "a SHA-256 has %u bytes", DIGEST_SIZE);
        r = sd_bus_message_read(m, "s", &facts);
        if (r < 0)
                return r;
        task->put.facts_json = strdup(facts);
        if (!task->put.facts_json)
                return -ENOMEM;
        return enqueue_put(userdata, m, TAKE_PTR(task), fd);
}

static int call_grow(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(task_freep) Task *task = task_new(TASK_PUT, NULL, NULL);
        int afresh, fd, r;

        (void) error;
        if (!task)
                return -ENOMEM;
        r = read_clip(m, &task->put, &fd);
        if (r >= 0)
                r = sd_bus_message_read(m, "tb", &task->put.durable_bytes, &afresh);
        if (r < 0)
                return r;
        /* The facts are told with the digest. */
        task->put.facts_json = strdup("{}");
        if (!task->put.facts_json)
                return -ENOMEM;
        task->put.grown = task->put.growing = true;
        task->put.afresh = afresh;
        task->put.durable_bytes = MIN2(task->put.durable_bytes, task->put.size_bytes);
        return enqueue_put(userdata, m, TAKE_PTR(task), fd);
}

static int call_grown(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t clip_id, durable_bytes;
        Connection *c = userdata;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "tt", &clip_id, &durable_bytes);
        if (r < 0)
                return r;
        transfers_grown(c->server->transfers, c, clip_id, durable_bytes);
        return sd_bus_reply_method_return(m, "");
}

/* Who seals waits for the answer to Grow alone: that is where it hears of what is wrong here. */
static int call_seal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t clip_id, size_bytes;
        Connection *c = userdata;
        const char *facts;
        Digest digest;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "tt", &clip_id, &size_bytes);
        if (r < 0)
                return r;
        if (read_digest(m, &digest) < 0 || sd_bus_message_read(m, "s", &facts) < 0 || size_bytes > INT64_MAX ||
            manifest_check_facts(facts) < 0)
                transfers_refuse(c->server->transfers, c, clip_id, WIRE_UPLINK_E_INVALID,
                                 "the clip's size, its SHA-256, or its facts as one JSON object are not as they must be");
        else if (transfers_seal(c->server->transfers, c, clip_id, size_bytes, &digest, facts) < 0)
                transfers_refuse(c->server->transfers, c, clip_id, WIRE_UPLINK_E_UNAVAILABLE, "the uplink is out of memory");
        return sd_bus_reply_method_return(m, "");
}

static int call_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        uint64_t clip_id;
        int now, r;

        (void) error;
        r = sd_bus_message_read(m, "tb", &clip_id, &now);
        if (r < 0)
                return r;
        transfers_stop(c->server->transfers, c, clip_id, now);
        return sd_bus_reply_method_return(m, "");
}

static int confirm(sd_bus_message *m, Connection *c, TaskKind kind) {
        _cleanup_(task_freep) Task *task = task_new(kind, NULL, NULL);
        const char *object, *manifest;
        int r;

        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "sst", &object, &manifest, &task->confirm.size_bytes);
        if (r < 0)
                return r;
        if (read_digest(m, &task->confirm.digest) < 0)
                return refuse(m, "a SHA-256 has %u bytes", DIGEST_SIZE);
        if (strlen(object) > KEY_MAX || strlen(manifest) > KEY_MAX)
                return refuse(m, "a key has %u bytes at most", KEY_MAX);
        task->confirm.object_key = strdup(object);
        task->confirm.manifest_key = strdup(manifest);
        if (!task->confirm.object_key || !task->confirm.manifest_key)
                return -ENOMEM;
        return enqueue(c, m, TAKE_PTR(task));
}

static int call_confirm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return confirm(m, userdata, TASK_CONFIRM);
}

static int call_verify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return confirm(m, userdata, TASK_VERIFY);
}

static int keep(sd_bus_message *m, Connection *c, TaskKind kind) {
        _cleanup_(task_freep) Task *task = task_new(kind, NULL, NULL);
        const char *key, *text;
        int r;

        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "ss", &key, &text);
        if (r < 0)
                return r;
        if (strlen(key) > KEY_MAX)
                return refuse(m, "a key has %u bytes at most", KEY_MAX);
        if (strlen(text) > WIRE_KEEP_MAX)
                return refuse(m, "a text that is kept has %u bytes at most", WIRE_KEEP_MAX);
        task->keep.key = strdup(key);
        task->keep.text = strdup(text);
        if (!task->keep.key || !task->keep.text)
                return -ENOMEM;
        return enqueue(c, m, TAKE_PTR(task));
}

static int call_keep(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return keep(m, userdata, TASK_KEEP);
}

static int call_replace(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return keep(m, userdata, TASK_REPLACE);
}

static int call_fetch(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(task_freep) Task *task = task_new(TASK_FETCH, NULL, NULL);
        const char *key;
        int r;

        (void) error;
        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        if (strlen(key) > KEY_MAX)
                return refuse(m, "a key has %u bytes at most", KEY_MAX);
        task->fetch.key = strdup(key);
        if (!task->fetch.key)
                return -ENOMEM;
        return enqueue(userdata, m, TAKE_PTR(task));
}

static int call_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(task_freep) Task *task = task_new(TASK_LIST, NULL, NULL);
        const char *prefix, *after;
        int r;

        (void) error;
        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "ssu", &prefix, &after, &task->list.max);
        if (r < 0)
                return r;
        if (strlen(prefix) > KEY_MAX || strlen(after) > KEY_MAX)
                return refuse(m, "a key has %u bytes at most", KEY_MAX);
        if (task->list.max < 1 || task->list.max > WIRE_LIST_MAX)
                return refuse(m, "a list has 1 to %u keys", WIRE_LIST_MAX);
        task->list.prefix = strdup(prefix);
        task->list.after = strdup(after);
        if (!task->list.prefix || !task->list.after)
                return -ENOMEM;
        return enqueue(userdata, m, TAKE_PTR(task));
}

static int take_image_file(ImageRequest *image, int fd, bool put) {
        struct stat st;
        int flags;

        image->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (image->fd < 0) {
                image->fd = -EBADF;
                return -errno;
        }
        flags = fcntl(image->fd, F_GETFL);
        if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == (put ? O_WRONLY : O_RDONLY) || fstat(image->fd, &st) < 0 ||
            !S_ISREG(st.st_mode))
                return -EINVAL;
        return (put ? (uint64_t) st.st_size == image->size_bytes : st.st_size == 0) ? 0 : -EINVAL;
}

static int move_image(sd_bus_message *m, Connection *c, TaskKind kind) {
        _cleanup_(task_freep) Task *task = task_new(kind, NULL, NULL);
        bool put = kind == TASK_PUT_IMAGE;
        int fd, r;

        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "ht", &fd, &task->image.size_bytes);
        if (r < 0)
                return r;
        if (read_digest(m, &task->image.digest) < 0)
                return refuse(m, "a SHA-256 has %u bytes", DIGEST_SIZE);
        if (task->image.size_bytes < 1 || task->image.size_bytes > WIRE_IMAGE_MAX)
                return refuse(m, "a firmware image has 1 to %u bytes", WIRE_IMAGE_MAX);
        if (take_image_file(&task->image, fd, put) < 0)
                return refuse(m, "the image's descriptor is not %s",
                              put ? "a regular file of that size that may be read" : "an empty regular file that may be written");
        return enqueue(c, m, TAKE_PTR(task));
}

static int call_put_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return move_image(m, userdata, TASK_PUT_IMAGE);
}

static int call_get_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return move_image(m, userdata, TASK_GET_IMAGE);
}

static int call_hold(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int held, r;

        (void) error;
        r = sd_bus_message_read(m, "b", &held);
        if (r < 0)
                return r;
        hold(userdata, held);
        return sd_bus_reply_method_return(m, "");
}

/* What is wrong with the store comes first; a pause is not. */
static const char *state_of(const Server *s, const char **ret_text) {
        const char *state = probe_state(s->probe, ret_text);

        if (!s->pause[0] || !text_equal(state, WIRE_STORE_READY))
                return state;
        *ret_text = s->pause;
        return WIRE_STORE_PAUSED;
}

static int call_get_state(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Connection *c = userdata;
        const char *text, *state = state_of(c->server, &text);

        (void) error;
        return sd_bus_reply_method_return(m, "ss", state, text);
}

/* So far apart clocks do no harm; stores that check signatures refuse at a quarter of an hour. */
#define CLOCK_APART_SEC 60

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

static int call_examine(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Connection *c = userdata;
        sd_bus_message *reply = NULL;
        struct stat st;
        int spool, r;

        (void) error;
        r = sd_bus_message_read(m, "h", &spool);
        if (r < 0)
                return r;
        if (fstat(spool, &st) < 0 || !S_ISDIR(st.st_mode))
                return refuse(m, "the spool is a folder");
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_report(reply, c->server, st.st_dev);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* Who may connect was decided at the socket. */
static const sd_bus_vtable uplink_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Put", "thsxsxtays", "ssstaysxb", call_put, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Grow", "thsxsxttb", "ssstaysxb", call_grow, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Grown", "tt", "", call_grown, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Seal", "ttays", "", call_seal, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Stop", "tb", "", call_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Hold", "b", "", call_hold, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Confirm", "sstay", "s", call_confirm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Keep", "ss", "b", call_keep, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Replace", "ss", "", call_replace, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Fetch", "s", "s", call_fetch, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("List", "ssu", "asb", call_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("PutImage", "htay", "b", call_put_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetImage", "htay", "", call_get_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Verify", "sstay", "s", call_verify, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Examine", "h", "sa(sss)", call_examine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetState", "", "ss", call_get_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("Progress", "tt", 0),
        SD_BUS_SIGNAL("StateChanged", "ss", 0),
        SD_BUS_VTABLE_END,
};

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

static int reply_receipt(sd_bus_message *m, const Task *task) {
        const Receipt *receipt = &task->receipt;
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ssst", receipt->object_key, receipt->manifest_key,
                                          receipt->version ? receipt->version : "",
                                          task->put.size_bytes);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', task->put.digest.bytes, DIGEST_SIZE);
        if (r >= 0)
                r = sd_bus_message_append(reply, "sxb", receipt->strength, receipt->time_unix_sec, (int) receipt->already_there);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int reply_keys(sd_bus_message *m, const Task *task) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, task->keys);
        if (r >= 0)
                r = sd_bus_message_append(reply, "b", (int) task->more);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int reply_error(sd_bus_message *m, const Answer *answer) {
        const sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(answer->error, answer->text);
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_error(m, &reply, &error);
        if (r >= 0 && text_equal(answer->error, WIRE_UPLINK_E_BUSY))
                r = sd_bus_message_append(reply, "t", answer->retry_after_sec);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static void log_put(const Task *task) {
        const LogAbout about = { .camera = task->put.serial, .clip = task->put.path };

        static const char *const passing[] = { WIRE_UPLINK_E_UNAVAILABLE, WIRE_UPLINK_E_BUSY, WIRE_UPLINK_E_STOPPED, WIRE_UPLINK_E_WHOLE };

        if (!task->put.serial)
                return;
        for (size_t i = 0; i < ELEMENTSOF(passing); i++)
                if (text_equal(task->answer.error, passing[i]))
                        return;
        if (task->answer.error)
                log_error(&about, "Not stored: %s", task->answer.text);
        else
                log_info(&about, "%s as %s", task->receipt.already_there ? "Was stored already" : "Stored", task->receipt.object_key);
}

static void on_transfer_done(void *owner, void *cookie, Task *task) {
        sd_bus_message *m = cookie;
        int r;

        (void) owner;
        CRASH_POINT_OF("answer-begins", sd_bus_message_get_member(m));
        if (task->kind == TASK_PUT)
                log_put(task);
        if (task->answer.error)
                r = reply_error(m, &task->answer);
        else if (task->kind == TASK_PUT)
                r = reply_receipt(m, task);
        else if (task->kind == TASK_LIST)
                r = reply_keys(m, task);
        else if (task->kind == TASK_REPLACE || task->kind == TASK_GET_IMAGE)
                r = sd_bus_reply_method_return(m, "");
        else if (task->kind == TASK_KEEP || task->kind == TASK_PUT_IMAGE)
                r = sd_bus_reply_method_return(m, "b", (int) task->already_there);
        else
                r = sd_bus_reply_method_return(m, "s", task->kind == TASK_FETCH ? task->text : task->strength);
        if (r < 0)
                log_debug(NULL, "An answer cannot be sent: %s", strerror(-r));
        CRASH_POINT_OF("answered", sd_bus_message_get_member(m));
        sd_bus_message_unref(m);
}

static void on_transfer_drop(void *cookie) {
        sd_bus_message_unref(cookie);
}

static void on_transfer_progress(void *owner, uint64_t clip_id, uint64_t bytes) {
        const Connection *c = owner;

        (void) sd_bus_emit_signal(c->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "tt", clip_id, bytes);
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

/* ---- Connections --------------------------------------------------------------------------------------------------- */

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) m;
        (void) error;
        (void) connection_free(userdata);
        return 1;
}

static bool may_connect(const Server *s, int fd) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return false;
        if (peer.uid == 0 || peer.uid == geteuid() || (s->peer_known && peer.uid == s->peer_uid))
                return true;
        log_warning(NULL, "User %u may not connect: set [uplink] peer_user to the user of berthd", (unsigned) peer.uid);
        return false;
}

static int start(Connection *c, int fd) {
        sd_id128_t id;
        int r;

        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&c->bus);
        if (r >= 0)
                r = sd_bus_set_fd(c->bus, fd, fd);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        /* Not to wait, when the loop ends, for a peer that reads nothing. */
        if ((r = sd_bus_set_server(c->bus, 1, id)) < 0 || (r = sd_bus_negotiate_fds(c->bus, 1)) < 0 ||
            (r = sd_bus_set_close_on_exit(c->bus, false)) < 0 ||
            (r = sd_bus_add_object_vtable(c->bus, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, uplink_vtable, c)) < 0 ||
            (r = sd_bus_match_signal(c->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                     on_disconnected, c)) < 0 ||
            (r = sd_bus_start(c->bus)) < 0)
                return r;
        return sd_bus_attach_event(c->bus, c->server->event, SD_EVENT_PRIORITY_NORMAL);
}

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Server *s = userdata;
        Connection *c;
        int peer, r;

        (void) source;
        (void) revents;
        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer < 0)
                return 0;
        if (s->n_connections >= CONNECTIONS_MAX || !may_connect(s, peer)) {
                fd_close(peer);
                return 0;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                fd_close(peer);
                return 0;
        }
        c->server = s;
        TAILQ_INSERT_TAIL(&s->connections, c, list);
        s->n_connections++;
        r = start(c, peer);
        if (r < 0) {
                log_debug(NULL, "A connection ended before it began: %s", strerror(-r));
                (void) connection_free(c);
        }
        return 0;
}

/* ---- Server -------------------------------------------------------------------------------------------------------- */

const TransferOps server_transfer_ops = {
        .done = on_transfer_done,
        .drop = on_transfer_drop,
        .progress = on_transfer_progress,
};

static int remember_own(Server *s, const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        s->own_path = strdup(path);
        if (!s->own_path)
                return -ENOMEM;
        s->own_device = st.st_dev;
        s->own_inode = st.st_ino;
        return 0;
}

int server_new(sd_event *event, const ServerSettings *settings, Server **ret, ConfError *error) {
        _cleanup_(server_freep) Server *s = calloc(1, sizeof(*s));
        bool own;
        int r;

        if (!s)
                return -ENOMEM;
        TAILQ_INIT(&s->connections);
        s->event = sd_event_ref(event);
        s->peer_known = settings->peer_known;
        s->peer_uid = settings->peer_uid;
        s->fd = listen_open(settings->socket_path, settings->peer_known, settings->peer_gid, &own, error);
        if (s->fd < 0)
                return s->fd;
        if (own) {
                r = remember_own(s, settings->socket_path);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

int server_open(Server *s, Transfers *transfers, Probe *probe) {
        s->transfers = transfers;
        s->probe = probe;
        return sd_event_add_io(s->event, &s->accept, s->fd, EPOLLIN, on_connect, s);
}

void server_close(Server *s) {
        s->accept = sd_event_source_disable_unref(s->accept);
        while (!TAILQ_EMPTY(&s->connections))
                (void) connection_free(TAILQ_FIRST(&s->connections));
}

Server *server_free(Server *s) {
        struct stat st;

        if (!s)
                return NULL;
        server_close(s);
        fd_close(s->fd);
        /* Unless another uplink has put its own there. */
        if (s->own_path && stat(s->own_path, &st) == 0 && st.st_dev == s->own_device && st.st_ino == s->own_inode)
                (void) unlink(s->own_path);
        free(s->own_path);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
