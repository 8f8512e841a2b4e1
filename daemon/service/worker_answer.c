/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker_answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <berth/plugin.h>

#include "base/text.h"

#define CLIP_FLAGS (BERTH_CLIP_SIZE_UNKNOWN | BERTH_CLIP_PROTECTED)

static const char *const result_names[_WORKER_RESULT_MAX] = {
        [WORKER_OK] = "ok",           [WORKER_GONE] = "gone",           [WORKER_DENIED] = "denied",
        [WORKER_UNSUPPORTED] = "unsupported", [WORKER_CAMERA] = "camera",
        [WORKER_UNREADABLE] = "unreadable", [WORKER_UNPLUGGED] = "unplugged",
        [WORKER_CHANGED] = "changed", [WORKER_PREFIX] = "prefix",       [WORKER_SPACE] = "space",
        [WORKER_DISK] = "disk",       [WORKER_PLUGIN] = "plugin",       [WORKER_LIMIT] = "limit",
        [WORKER_STALLED] = "stalled", [WORKER_DIED] = "died",           [WORKER_BREACH] = "breach",
};

const char *worker_result_to_string(WorkerResult r) {
        return (size_t) r < ELEMENTSOF(result_names) ? result_names[r] : NULL;
}

int worker_why(WorkerWhy *why, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(why->text, sizeof(why->text), format, arguments);
        va_end(arguments);
        return -EBADMSG;
}

/* Does the body have this type, and nothing after it? */
static int check_type(sd_bus_message *m, const char *signature, const char *what, WorkerWhy *why) {
        const char *found = sd_bus_message_get_signature(m, true);

        if (!text_equal(found ?: "", signature))
                return worker_why(why, "the worker's %s has the wrong type", what);
        return 0;
}

static int malformed(const char *what, WorkerWhy *why) {
        return worker_why(why, "the worker's %s is malformed", what);
}

int answer_error(const sd_bus_error *error, WorkerResult *ret, WorkerWhy *why) {
        static const struct {
                const char *name;
                WorkerResult result;
        } table[] = {
                { WIRE_BAY_E_GONE, WORKER_GONE },
                { WIRE_BAY_E_DENIED, WORKER_DENIED },
                { WIRE_BAY_E_UNSUPPORTED, WORKER_UNSUPPORTED },
                { WIRE_BAY_E_CAMERA, WORKER_CAMERA },
                { WIRE_BAY_E_UNREADABLE, WORKER_UNREADABLE },
                { WIRE_BAY_E_UNPLUGGED, WORKER_UNPLUGGED },
                { WIRE_BAY_E_CHANGED, WORKER_CHANGED },
                { WIRE_BAY_E_PREFIX, WORKER_PREFIX },
                { WIRE_BAY_E_SPACE, WORKER_SPACE },
                { WIRE_BAY_E_DISK, WORKER_DISK },
                { WIRE_BAY_E_PLUGIN, WORKER_PLUGIN },
                { WIRE_BAY_E_LIMIT, WORKER_LIMIT },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (text_equal(error->name, table[i].name)) {
                        text_sanitise(error->message ?: "", why->text, sizeof(why->text));
                        *ret = table[i].result;
                        return 0;
                }
        return worker_why(why, "the worker answered with an error that it may not use");
}

static int read_ranges(sd_bus_message *m, uint64_t size, size_t least, WorkerUnreadable *ret, WorkerWhy *why) {
        static const char what[] = "list of unreadable bytes";
        WorkerUnreadable u = {};
        int r;

        if (sd_bus_message_enter_container(m, 'a', "(tt)") < 0)
                return malformed(what, why);
        for (;;) {
                ByteRange range;

                r = sd_bus_message_read(m, "(tt)", &range.offset, &range.length);
                if (r < 0)
                        return malformed(what, why);
                if (r == 0)
                        break;
                if (u.n == BERTH_UNREADABLE_MAX)
                        return worker_why(why, "the worker's %s has more than %u ranges", what, BERTH_UNREADABLE_MAX);
                u.ranges[u.n++] = range;
        }
        if (u.n < least || !ranges_are_settled(u.ranges, u.n, size))
                return worker_why(why, "the worker's %s has none, or one that cannot be", what);
        *ret = u;
        return 0;
}

int answer_unreadable(sd_bus_message *m, uint64_t size, WorkerUnreadable *ret, WorkerWhy *why) {
        static const char what[] = "list of unreadable bytes";
        const char *sentence;
        int r;

        /* sd-bus has read the sentence already. */
        if (sd_bus_message_rewind(m, true) < 0)
                return malformed(what, why);
        r = check_type(m, "sa(tt)", what, why);
        if (r < 0)
                return r;
        if (sd_bus_message_read(m, "s", &sentence) < 0)
                return malformed(what, why);
        return read_ranges(m, size, 1, ret, why);
}

/* Reads a string that is safe to show and of a bounded length. */
static int read_text(sd_bus_message *m, const char *what, char **ret, WorkerWhy *why) {
        const char *s;

        if (sd_bus_message_read(m, "s", &s) < 0)
                return malformed(what, why);
        if (strlen(s) >= BERTH_TEXT_MAX || !text_is_printable(s))
                return worker_why(why, "the worker's %s holds a text that is too long or not printable", what);
        *ret = (char *) s;
        return 0;
}

int answer_open(sd_bus_message *m, WorkerWhy *why) {
        char *text;
        int r;

        r = check_type(m, "ss", "answer to Open", why);
        if (r >= 0)
                r = read_text(m, "answer to Open", &text, why);
        return r >= 0 ? read_text(m, "answer to Open", &text, why) : r;
}

int answer_identity(sd_bus_message *m, WorkerIdentity *ret, WorkerWhy *why) {
        char **const texts[] = { &ret->manufacturer, &ret->model, &ret->serial, &ret->firmware, &ret->storage_id };
        int r;

        r = check_type(m, "sssss", "identity", why);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                r = read_text(m, "identity", texts[i], why);
        return r;
}

int answer_owner(sd_bus_message *m, WorkerOwner *ret, WorkerWhy *why) {
        char **const texts[] = { &ret->officer_id, &ret->officer_name, &ret->unit_id, &ret->unit_name };
        int r;

        r = check_type(m, "ssss", "owner", why);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                r = read_text(m, "owner", texts[i], why);
        return r;
}

/* ---- Health ---- */

typedef struct HealthSeen {
        bool read_only, total, free_bytes, clock, clock_at;
} HealthSeen;

static int read_variant(sd_bus_message *m, const char *key, const char *type, void *ret, WorkerWhy *why) {
        if (sd_bus_message_read(m, "v", type, ret) < 0)
                return worker_why(why, "the worker's health has a wrong value for %s", key);
        return 0;
}

static int read_temperature(sd_bus_message *m, WorkerHealth *h, WorkerWhy *why) {
        int32_t degrees;
        int r;

        r = read_variant(m, WIRE_HEALTH_TEMPERATURE, "i", &degrees, why);
        if (r < 0)
                return r;
        if (degrees < WIRE_TEMPERATURE_MIN || degrees > WIRE_TEMPERATURE_MAX)
                return worker_why(why, "the worker's health has a temperature of %d tenths of a degree", degrees);
        h->temperature_known = true;
        h->temperature_decidegrees = degrees;
        return 0;
}

static int read_health_entry(sd_bus_message *m, const char *key, WorkerHealth *h, HealthSeen *seen, WorkerWhy *why) {
        uint8_t percent;
        int flag, r;

        if (text_equal(key, WIRE_HEALTH_BATTERY)) {
                r = read_variant(m, key, "y", &percent, why);
                if (r < 0)
                        return r;
                if (percent > 100)
                        return worker_why(why, "the worker's health has a battery of %u percent", percent);
                h->battery_percent = percent;
                return 0;
        }
        if (text_equal(key, WIRE_HEALTH_CHARGING) || text_equal(key, WIRE_HEALTH_READ_ONLY) || text_equal(key, WIRE_HEALTH_DIRTY)) {
                r = read_variant(m, key, "b", &flag, why);
                if (r < 0)
                        return r;
                if (text_equal(key, WIRE_HEALTH_CHARGING))
                        h->charging = flag;
                else if (text_equal(key, WIRE_HEALTH_DIRTY)) {
                        h->volume_known = true;
                        h->volume_dirty = flag;
                } else {
                        seen->read_only = true;
                        h->read_only = flag;
                }
                return 0;
        }
        if (text_equal(key, WIRE_HEALTH_TOTAL)) {
                seen->total = true;
                return read_variant(m, key, "t", &h->storage_total_bytes, why);
        }
        if (text_equal(key, WIRE_HEALTH_FREE)) {
                seen->free_bytes = true;
                return read_variant(m, key, "t", &h->storage_free_bytes, why);
        }
        if (text_equal(key, WIRE_HEALTH_CLOCK)) {
                seen->clock = true;
                return read_variant(m, key, "x", &h->clock_unix_sec, why);
        }
        if (text_equal(key, WIRE_HEALTH_CLOCK_AT)) {
                seen->clock_at = true;
                return read_variant(m, key, "t", &h->clock_boottime_usec, why);
        }
        if (text_equal(key, WIRE_HEALTH_TEMPERATURE))
                return read_temperature(m, h, why);
        if (text_equal(key, WIRE_HEALTH_RESTARTS)) {
                h->restarts_known = true;
                return read_variant(m, key, "u", &h->restarts, why);
        }
        return worker_why(why, "the worker's health has an entry that nobody knows");
}

int answer_health(sd_bus_message *m, WorkerHealth *ret, WorkerWhy *why) {
        WorkerHealth h = { .battery_percent = -1, .charging = -1 };
        HealthSeen seen = {};
        const char *key;
        int r;

        r = check_type(m, "a{sv}", "health", why);
        if (r < 0)
                return r;
        if (sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return malformed("health", why);
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if (sd_bus_message_read(m, "s", &key) < 0)
                        return malformed("health", why);
                r = read_health_entry(m, key, &h, &seen, why);
                if (r < 0)
                        return r;
                if (sd_bus_message_exit_container(m) < 0)
                        return malformed("health", why);
        }
        if (r < 0)
                return malformed("health", why);
        if (seen.read_only != seen.total || seen.total != seen.free_bytes || seen.clock != seen.clock_at)
                return worker_why(why, "the worker's health tells half of the storage or of the clock");
        if (h.storage_free_bytes > h.storage_total_bytes)
                return worker_why(why, "the worker's health has more free storage than there is");
        h.storage_known = seen.total;
        h.clock_known = seen.clock;
        *ret = h;
        return 0;
}

/* ---- Clips ---- */

static int read_clip(sd_bus_message *m, uint32_t expected, WorkerClip *ret, WorkerWhy *why) {
        const char *path;
        WorkerClip c;

        if (sd_bus_message_read(m, "ustxu", &c.index, &path, &c.size_bytes, &c.mtime_unix_sec, &c.flags) < 0)
                return malformed("page of clips", why);
        if (c.index != expected || c.index >= BERTH_CLIPS_MAX)
                return worker_why(why, "the worker listed clip %u where %u was next", c.index, expected);
        if ((c.flags & ~CLIP_FLAGS) != 0)
                return worker_why(why, "the worker listed clip %u with flags that nobody knows", c.index);
        if (!text_path_is_valid(path))
                return worker_why(why, "the worker listed clip %u under a path that breaks the rules", c.index);
        c.path = (char *) path;
        *ret = c;
        return 0;
}

int answer_page(sd_bus_message *m, uint32_t first, WorkerPage *ret, WorkerWhy *why) {
        int r, more;

        ret->n = 0;
        r = check_type(m, "a(ustxu)b", "page of clips", why);
        if (r < 0)
                return r;
        if (sd_bus_message_enter_container(m, 'a', "(ustxu)") < 0)
                return malformed("page of clips", why);
        while ((r = sd_bus_message_enter_container(m, 'r', "ustxu")) > 0) {
                if (ret->n == WIRE_PAGE_CLIPS)
                        return worker_why(why, "the worker listed more than %u clips on one page", WIRE_PAGE_CLIPS);
                r = read_clip(m, first + (uint32_t) ret->n, &ret->clips[ret->n], why);
                if (r < 0)
                        return r;
                ret->n++;
                if (sd_bus_message_exit_container(m) < 0)
                        return malformed("page of clips", why);
        }
        if (r < 0 || sd_bus_message_exit_container(m) < 0 || sd_bus_message_read(m, "b", &more) < 0)
                return malformed("page of clips", why);
        if (more && ret->n == 0)
                return worker_why(why, "the worker says that more clips follow an empty page");
        ret->more = more;
        return 0;
}

static int read_digest(sd_bus_message *m, const char *what, Digest *ret, WorkerWhy *why) {
        const void *bytes;
        size_t size;

        if (sd_bus_message_read_array(m, 'y', &bytes, &size) < 0)
                return malformed(what, why);
        if (size != DIGEST_SIZE)
                return worker_why(why, "the worker's %s has a digest of %zu bytes", what, size);
        memcpy(ret->bytes, bytes, size);
        return 0;
}

static int read_container(sd_bus_message *m, uint64_t size_bytes, Container *ret, WorkerWhy *why) {
        const char *format, *verdict, *reason;
        Container c = {};

        if (sd_bus_message_read(m, "sstxts", &format, &verdict, &c.offset, &c.recorded_unix_sec, &c.duration_msec, &reason) < 0)
                return malformed("answer to Pull", why);
        c.format = container_format_from_string(format);
        c.verdict = container_verdict_from_string(verdict);
        if (c.format < 0 || c.verdict < 0 || (c.format == CONTAINER_NONE && c.verdict != CONTAINER_UNCHECKED))
                return worker_why(why, "the worker found a container that nobody knows");
        if (strlen(reason) >= sizeof(c.reason) || !text_is_printable(reason) || (c.verdict == CONTAINER_INCOMPLETE && !reason[0]))
                return worker_why(why, "the worker's reason for a container is none, too long or not printable");
        if (c.offset > size_bytes || c.duration_msec > CONTAINER_DURATION_MAX_MSEC ||
            (c.recorded_unix_sec != CONTAINER_TIME_UNKNOWN &&
             (c.recorded_unix_sec < CONTAINER_TIME_MIN || c.recorded_unix_sec >= CONTAINER_TIME_END)))
                return worker_why(why, "the worker found a place, a time or a duration in a container that cannot be");
        memcpy(c.reason, reason, strlen(reason));
        *ret = c;
        return 0;
}

static int read_copy(sd_bus_message *m, WorkerCopy *ret, WorkerWhy *why) {
        int r;

        if (sd_bus_message_read(m, "t", &ret->size_bytes) < 0)
                return malformed("answer to Pull", why);
        r = read_digest(m, "answer to Pull", &ret->digest, why);
        if (r >= 0)
                r = read_digest(m, "answer to Pull", &ret->head, why);
        if (r >= 0)
                r = read_digest(m, "answer to Pull", &ret->tail, why);
        return r >= 0 ? read_container(m, ret->size_bytes, &ret->container, why) : r;
}

int answer_copy(sd_bus_message *m, WorkerCopy *ret, WorkerWhy *why) {
        int r = check_type(m, "tayayaysstxts", "answer to Pull", why);

        return r < 0 ? r : read_copy(m, ret, why);
}

int answer_salvage(sd_bus_message *m, uint64_t size, WorkerCopy *ret, WorkerUnreadable *ret_missing, WorkerWhy *why) {
        int r = check_type(m, "tayayaysstxtsa(tt)", "answer to Salvage", why);

        if (r >= 0)
                r = read_copy(m, ret, why);
        return r < 0 ? r : read_ranges(m, size, 0, ret_missing, why);
}

int answer_samples(sd_bus_message *m, size_t n, WorkerSample ret[static WIRE_SAMPLES_MAX], WorkerWhy *why) {
        static const char what[] = "answer to Sample";
        int r;

        r = check_type(m, "a(ayay)", what, why);
        if (r < 0)
                return r;
        if (sd_bus_message_enter_container(m, 'a', "(ayay)") < 0)
                return malformed(what, why);
        for (size_t i = 0; i < n; i++) {
                if (sd_bus_message_enter_container(m, 'r', "ayay") <= 0)
                        return worker_why(why, "the worker's %s has fewer than %zu places", what, n);
                r = read_digest(m, what, &ret[i].camera, why);
                if (r >= 0)
                        r = read_digest(m, what, &ret[i].part, why);
                if (r < 0)
                        return r;
                if (sd_bus_message_exit_container(m) < 0)
                        return malformed(what, why);
        }
        return sd_bus_message_at_end(m, false) > 0 ? 0 : worker_why(why, "the worker's %s has more than %zu places", what, n);
}

int answer_nothing(sd_bus_message *m, WorkerWhy *why) {
        return check_type(m, "", "answer", why);
}

/* ---- Signals ---- */

int signal_block(sd_bus_message *m, WorkerBlock *ret, WorkerWhy *why) {
        int r;

        r = check_type(m, "uuuay", "Block signal", why);
        if (r < 0)
                return r;
        if (sd_bus_message_read(m, "uuu", &ret->clip, &ret->number, &ret->length) < 0)
                return malformed("Block signal", why);
        return read_digest(m, "Block signal", &ret->digest, why);
}

int signal_progress(sd_bus_message *m, uint32_t *ret_clip, uint64_t *ret_bytes, WorkerWhy *why) {
        int r;

        r = check_type(m, "ut", "Progress signal", why);
        if (r < 0)
                return r;
        return sd_bus_message_read(m, "ut", ret_clip, ret_bytes) < 0 ? malformed("Progress signal", why) : 0;
}
