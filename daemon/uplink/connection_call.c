/* SPDX-License-Identifier: Apache-2.0 */

/* What the uplink is asked for: each call becomes a task, or is answered at once. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wire_digest.h"
#include "uplink/connection_private.h"
#include "uplink/manifest.h"

#define SERIAL_MAX 255u
#define KEY_MAX 1024u

int connection_refuse(sd_bus_message *m, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_vformat(format, arguments);
        va_end(arguments);
        return sd_bus_reply_method_errorf(m, WIRE_UPLINK_E_INVALID, "%s", text ? text : "the arguments cannot be taken");
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

/* A descriptor of our own of the peer's regular file: one that may be read, or an empty one that may be `written`. -EINVAL, -errno. */
static int take_file(int fd, bool written, int *ret_fd, uint64_t *ret_size_bytes) {
        _cleanup_(fd_closep) int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        struct stat st;
        int flags;

        if (own < 0)
                return -errno;
        flags = fcntl(own, F_GETFL);
        if (flags < 0 || (flags & O_PATH) || fstat(own, &st) < 0 || !S_ISREG(st.st_mode))
                return -EINVAL;
        if (written ? (flags & O_ACCMODE) == O_RDONLY || (flags & O_APPEND) || st.st_size != 0 : (flags & O_ACCMODE) == O_WRONLY)
                return -EINVAL;
        *ret_fd = TAKE_FD(own);
        *ret_size_bytes = (uint64_t) st.st_size;
        return 0;
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
        uint64_t size_bytes;

        if (why)
                return connection_refuse(m, "%s", why);
        if (take_file(fd, false, &task->put.source_fd, &size_bytes) < 0)
                return connection_refuse(m, "the spool file's descriptor is not a regular file that may be read");
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
        if (wire_read_digest(m, &task->put.digest) < 0)
                return connection_refuse(m, "a SHA-256 has %u bytes", DIGEST_SIZE);
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
        if (wire_read_digest(m, &digest) < 0 || sd_bus_message_read(m, "s", &facts) < 0 || size_bytes > INT64_MAX ||
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
        uint64_t size_bytes;
        int fd, r = 0;

        if (!task)
                return -ENOMEM;
        if (kind == TASK_GET_CLIP) {
                r = sd_bus_message_read(m, "th", &task->confirm.clip_id, &fd);
                if (r >= 0 && take_file(fd, true, &task->confirm.fd, &size_bytes) < 0)
                        return connection_refuse(m, "the clip's descriptor is not an empty regular file that may be written");
        }
        if (r >= 0)
                r = sd_bus_message_read(m, "sst", &object, &manifest, &task->confirm.size_bytes);
        if (r < 0)
                return r;
        if (wire_read_digest(m, &task->confirm.digest) < 0)
                return connection_refuse(m, "a SHA-256 has %u bytes", DIGEST_SIZE);
        if (strlen(object) > KEY_MAX || strlen(manifest) > KEY_MAX)
                return connection_refuse(m, "a key has %u bytes at most", KEY_MAX);
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

static int call_get_clip(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return confirm(m, userdata, TASK_GET_CLIP);
}

static int call_stop_get(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        uint64_t clip_id;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "t", &clip_id);
        if (r < 0)
                return r;
        transfers_stop_get(c->server->transfers, c, clip_id);
        return sd_bus_reply_method_return(m, "");
}

static int call_lock(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(task_freep) Task *task = task_new(TASK_LOCK, NULL, NULL);
        const char *object, *manifest, *version;
        int held, r;

        (void) error;
        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "sssb", &object, &manifest, &version, &held);
        if (r < 0)
                return r;
        if (strlen(object) > KEY_MAX || strlen(manifest) > KEY_MAX || strlen(version) > KEY_MAX)
                return connection_refuse(m, "a key or a version has %u bytes at most", KEY_MAX);
        task->lock.held = held;
        task->lock.object_key = strdup(object);
        task->lock.manifest_key = strdup(manifest);
        task->lock.version = strdup(version);
        if (!task->lock.object_key || !task->lock.manifest_key || !task->lock.version)
                return -ENOMEM;
        return enqueue(userdata, m, TAKE_PTR(task));
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
                return connection_refuse(m, "a key has %u bytes at most", KEY_MAX);
        if (strlen(text) > WIRE_KEEP_MAX)
                return connection_refuse(m, "a text that is kept has %u bytes at most", WIRE_KEEP_MAX);
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
                return connection_refuse(m, "a key has %u bytes at most", KEY_MAX);
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
                return connection_refuse(m, "a key has %u bytes at most", KEY_MAX);
        if (task->list.max < 1 || task->list.max > WIRE_LIST_MAX)
                return connection_refuse(m, "a list has 1 to %u keys", WIRE_LIST_MAX);
        task->list.prefix = strdup(prefix);
        task->list.after = strdup(after);
        if (!task->list.prefix || !task->list.after)
                return -ENOMEM;
        return enqueue(userdata, m, TAKE_PTR(task));
}

static int move_image(sd_bus_message *m, Connection *c, TaskKind kind) {
        _cleanup_(task_freep) Task *task = task_new(kind, NULL, NULL);
        bool put = kind == TASK_PUT_IMAGE;
        uint64_t size_bytes;
        int fd, r;

        if (!task)
                return -ENOMEM;
        r = sd_bus_message_read(m, "ht", &fd, &task->image.size_bytes);
        if (r < 0)
                return r;
        if (wire_read_digest(m, &task->image.digest) < 0)
                return connection_refuse(m, "a SHA-256 has %u bytes", DIGEST_SIZE);
        if (task->image.size_bytes < 1 || task->image.size_bytes > WIRE_IMAGE_MAX)
                return connection_refuse(m, "a firmware image has 1 to %u bytes", WIRE_IMAGE_MAX);
        if (take_file(fd, !put, &task->image.fd, &size_bytes) < 0 || (put && size_bytes != task->image.size_bytes))
                return connection_refuse(m, "the image's descriptor is not %s",
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
        connection_hold(userdata, held);
        return sd_bus_reply_method_return(m, "");
}

/* Who may connect was decided at the socket. */
const sd_bus_vtable connection_vtable[] = {
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
        SD_BUS_METHOD("GetClip", "thsstay", "s", call_get_clip, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopGet", "t", "", call_stop_get, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Lock", "sssb", "ss", call_lock, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Examine", "h", "sa(sss)", connection_examine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetState", "", "ss", connection_get_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("Progress", "tt", 0),
        SD_BUS_SIGNAL("StateChanged", "ss", 0),
        SD_BUS_VTABLE_END,
};
