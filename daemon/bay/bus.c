/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/bus.h"

#include <errno.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/wire_bay.h"
#include "base/wire_digest.h"
#include "bay/calls.h"
#include "bay/outbox.h"

#define OPTIONS_MAX 256u
#define OWNER_TYPE "ssss"

struct Bus {
        sd_bus *connection;
        Session *session;
        const Fault *unusable;
        bool closing;
};

static int append_ranges(sd_bus_message *m, const ByteRange *ranges, size_t n) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "(tt)");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "(tt)", ranges[i].offset, ranges[i].length);
        return r >= 0 ? sd_bus_message_close_container(m) : r;
}

/* An error may have more behind its sentence; sd-bus has no call for that. */
static int reply_ranges(sd_bus_message *m, const Fault *fault) {
        const sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(fault->name, fault->text);
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_error(m, &reply, &error);
        if (r >= 0)
                r = append_ranges(reply, fault->ranges, fault->n_ranges);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int reply_fault(sd_bus_message *m, const Fault *fault) {
        if (fault->n_ranges > 0)
                return reply_ranges(m, fault);
        return sd_bus_reply_method_errorf(m, fault->name, "%s", fault->text);
}

static int reply_memory(sd_bus_message *m) {
        return sd_bus_reply_method_errorf(m, WIRE_BAY_E_LIMIT, "the worker's memory limit was reached");
}

/* Copies what the message brings; `m` itself is made zero by sd-bus when it goes. */
static int read_secrets(sd_bus_message *m, Secrets **ret) {
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        const char *secret;
        int r;

        r = secrets_new(&secrets);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &secret)) > 0)
                r = secrets_add(secrets, secret);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(secrets);
        return 0;
}

static int call_open(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        const char *options[OPTIONS_MAX + 2] = {};
        Bus *b = userdata;
        const char *model;
        size_t n = 0;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "s", &model);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && n <= OPTIONS_MAX && (r = sd_bus_message_read(m, "s", &options[n])) > 0)
                n++;
        if (r < 0)
                return r;
        if (r > 0)
                return sd_bus_reply_method_errorf(m, WIRE_BAY_E_LIMIT, "the model has more than %u plugin options", OPTIONS_MAX);
        options[n] = NULL;
        r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = read_secrets(m, &secrets);
        if (r < 0)
                return sd_bus_reply_method_errorf(m, WIRE_BAY_E_LIMIT, "the camera's credentials cannot be taken: %s", strerror(-r));
        if (b->unusable)
                return reply_fault(m, b->unusable);
        log_debug(NULL, "opening a camera of model %s", model);
        r = session_open(b->session, options, TAKE_PTR(secrets), &fault);
        if (r < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, "ss", b->session->plugin->name, b->session->plugin->version);
}

static int call_identify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        berth_identity id;
        Fault fault;

        (void) error;
        if (session_identify(b->session, &id, &fault) < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, "sssss", id.manufacturer, id.model, id.serial, id.firmware, id.storage_id);
}

static int append_health(sd_bus_message *m, const berth_health *h) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && (h->known & BERTH_HEALTH_BATTERY))
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_BATTERY, "y", h->battery_percent);
        if (r >= 0 && (h->known & BERTH_HEALTH_CHARGING))
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_CHARGING, "b", h->charging != 0);
        if (r >= 0 && (h->known & BERTH_HEALTH_STORAGE)) {
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_READ_ONLY, "b", h->read_only != 0);
                if (r >= 0)
                        r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_TOTAL, "t", h->storage_total_bytes);
                if (r >= 0)
                        r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_FREE, "t", h->storage_free_bytes);
        }
        if (r >= 0 && (h->known & BERTH_HEALTH_CLOCK)) {
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_CLOCK, "x", h->clock_unix_sec);
                if (r >= 0)
                        r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_CLOCK_AT, "t", h->clock_boottime_usec);
        }
        if (r >= 0 && (h->known & BERTH_HEALTH_VOLUME))
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_DIRTY, "b", h->volume_dirty != 0);
        if (r >= 0 && (h->known & BERTH_HEALTH_TEMPERATURE))
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_TEMPERATURE, "i", h->temperature_decidegrees);
        if (r >= 0 && (h->known & BERTH_HEALTH_RESTARTS))
                r = sd_bus_message_append(m, "{sv}", WIRE_HEALTH_RESTARTS, "u", h->restarts);
        return r >= 0 ? sd_bus_message_close_container(m) : r;
}

static int call_health(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        Bus *b = userdata;
        berth_health health;
        Fault fault;
        int r;

        (void) error;
        if (session_health(b->session, &health, &fault) < 0)
                return reply_fault(m, &fault);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_health(reply, &health);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int call_set_clock(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        int64_t unix_sec;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "x", &unix_sec);
        if (r < 0)
                return r;
        if (session_set_clock(b->session, unix_sec, &fault) < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, NULL);
}

static int call_get_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        berth_owner o;
        Fault fault;

        (void) error;
        if (session_get_owner(b->session, &o, &fault) < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, OWNER_TYPE, o.officer_id, o.officer_name, o.unit_id, o.unit_name);
}

static int call_set_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        berth_owner owner = { .struct_size = sizeof(owner) };
        char *const to[] = { owner.officer_id, owner.officer_name, owner.unit_id, owner.unit_name };
        Bus *b = userdata;
        Fault fault;

        (void) error;
        for (size_t i = 0; i < ELEMENTSOF(to); i++) {
                const char *text;
                int r;

                r = sd_bus_message_read(m, "s", &text);
                if (r < 0)
                        return r;
                if (strlen(text) >= BERTH_TEXT_MAX)
                        return sd_bus_reply_method_errorf(m, WIRE_BAY_E_LIMIT, "an owner's text has %u bytes or more", BERTH_TEXT_MAX);
                memcpy(to[i], text, strlen(text) + 1);
        }
        if (session_set_owner(b->session, &owner, &fault) < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, NULL);
}

static int call_plain(sd_bus_message *m, Bus *b, int (*run)(Session *s, Fault *fault)) {
        Fault fault;

        if (run(b->session, &fault) < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, NULL);
}

static int call_enter_storage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return call_plain(m, userdata, session_enter_storage);
}

static int call_enter_update(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return call_plain(m, userdata, session_enter_update);
}

static int call_eject(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return call_plain(m, userdata, session_eject);
}

static int call_format(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        return call_plain(m, userdata, session_format);
}

static int append_page(sd_bus_message *m, const ClipList *l, uint32_t first) {
        size_t end = MIN2(l->n, (size_t) first + WIRE_PAGE_CLIPS);
        int r;

        r = sd_bus_message_open_container(m, 'a', "(ustxu)");
        for (size_t i = first; r >= 0 && i < end; i++) {
                const Clip *c = &l->clips[i];

                r = sd_bus_message_append(m, "(ustxu)", (uint32_t) i, c->path, c->size_bytes, c->mtime_unix_sec, c->flags);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r >= 0 ? sd_bus_message_append(m, "b", end < l->n) : r;
}

static int call_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        Bus *b = userdata;
        uint32_t first;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "u", &first);
        if (r < 0)
                return r;
        /* The first page lists; the others are pages of that same listing. */
        if ((first == 0 || !b->session->listed) && session_list(b->session, &fault) < 0)
                return reply_fault(m, &fault);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_page(reply, &b->session->list, first);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* `holes` may be NULL: then nothing is said of them. */
static int reply_reading(sd_bus_message *m, const Reading *reading, const Container *c, const Holes *holes) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", reading->size_bytes);
        if (r >= 0)
                r = wire_append_digest(reply, &reading->digest);
        if (r >= 0)
                r = wire_append_digest(reply, &reading->head);
        if (r >= 0)
                r = wire_append_digest(reply, &reading->tail);
        if (r >= 0)
                r = sd_bus_message_append(reply, "sstxts", container_format_to_string(c->format), container_verdict_to_string(c->verdict),
                                          c->offset, c->recorded_unix_sec, c->duration_msec, c->reason);
        if (r >= 0 && holes)
                r = append_ranges(reply, holes->ranges, holes->n);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int call_pull(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(freep) Digest *kept = NULL;
        Bus *b = userdata;
        const char *part;
        const void *bytes;
        uint64_t offset;
        Container container;
        uint32_t index;
        Reading reading;
        size_t size;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "ust", &index, &part, &offset);
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'y', &bytes, &size);
        if (r >= 0 && size % DIGEST_SIZE != 0)
                r = -EINVAL;
        if (r < 0)
                return r;
        kept = malloc(size + 1);
        if (!kept)
                return reply_memory(m);
        if (size > 0)
                memcpy(kept, bytes, size);
        if (pull_clip(b->session, index, part, offset, kept, size / DIGEST_SIZE, &reading, &container, &fault) < 0)
                return reply_fault(m, &fault);
        CRASH_POINT("pull-answer-begins");
        return reply_reading(m, &reading, &container, NULL);
}

static int call_salvage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Container container;
        const char *part;
        Reading reading;
        uint32_t index;
        Holes holes;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "us", &index, &part);
        if (r < 0)
                return r;
        if (salvage_clip(b->session, index, part, &reading, &container, &holes, &fault) < 0)
                return reply_fault(m, &fault);
        return reply_reading(m, &reading, &container, &holes);
}

static int call_verify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint32_t index, n_blocks;
        Bus *b = userdata;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "uu", &index, &n_blocks);
        if (r < 0)
                return r;
        if (verify_clip(b->session, index, n_blocks, &fault) < 0)
                return reply_fault(m, &fault);
        return sd_bus_reply_method_return(m, NULL);
}

static int read_places(sd_bus_message *m, ByteRange ret[static WIRE_SAMPLES_MAX], size_t *ret_n) {
        int r = sd_bus_message_enter_container(m, 'a', "(tt)");
        size_t n = 0;

        while (r >= 0 && n < WIRE_SAMPLES_MAX && (r = sd_bus_message_read(m, "(tt)", &ret[n].offset, &ret[n].length)) > 0)
                n++;
        *ret_n = n;
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int reply_samples(sd_bus_message *m, const Sample *samples, size_t n) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ayay)");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = sd_bus_message_open_container(reply, 'r', "ayay");
                if (r >= 0)
                        r = wire_append_digest(reply, &samples[i].camera);
                if (r >= 0)
                        r = wire_append_digest(reply, &samples[i].part);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int call_sample(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ByteRange places[WIRE_SAMPLES_MAX];
        Sample samples[WIRE_SAMPLES_MAX];
        Bus *b = userdata;
        const char *part;
        uint32_t index;
        Fault fault;
        size_t n;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "us", &index, &part);
        if (r >= 0)
                r = read_places(m, places, &n);
        if (r < 0)
                return r;
        if (sample_clip(b->session, index, part, places, n, samples, &fault) < 0)
                return reply_fault(m, &fault);
        return reply_samples(m, samples, n);
}

static int call_erase(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Reading content = {};
        Bus *b = userdata;
        const char *path;
        int64_t mtime;
        Fault fault;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "stx", &path, &content.size_bytes, &mtime);
        if (r >= 0)
                r = wire_read_digest(m, &content.digest);
        if (r >= 0)
                r = wire_read_digest(m, &content.head);
        if (r >= 0)
                r = wire_read_digest(m, &content.tail);
        if (r < 0)
                return r;
        if (erase_clip(b->session, path, &content, mtime, &fault) < 0)
                return reply_fault(m, &fault);
        CRASH_POINT("erase-answer-begins");
        return sd_bus_reply_method_return(m, NULL);
}

static int call_close(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;

        (void) error;
        session_close(b->session);
        b->closing = true;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Open", "sasas", "ss", call_open, SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD("Identify", NULL, "sssss", call_identify, 0),
        SD_BUS_METHOD("Health", NULL, "a{sv}", call_health, 0),
        SD_BUS_METHOD("SetClock", "x", NULL, call_set_clock, 0),
        SD_BUS_METHOD("GetOwner", NULL, OWNER_TYPE, call_get_owner, 0),
        SD_BUS_METHOD("SetOwner", OWNER_TYPE, NULL, call_set_owner, 0),
        SD_BUS_METHOD("EnterStorage", NULL, NULL, call_enter_storage, 0),
        SD_BUS_METHOD("EnterUpdate", NULL, NULL, call_enter_update, 0),
        SD_BUS_METHOD("List", "u", "a(ustxu)b", call_list, 0),
        SD_BUS_METHOD("Pull", "ustay", "tayayaysstxts", call_pull, 0),
        SD_BUS_METHOD("Salvage", "us", "tayayaysstxtsa(tt)", call_salvage, 0),
        SD_BUS_METHOD("Verify", "uu", NULL, call_verify, 0),
        SD_BUS_METHOD("Sample", "usa(tt)", "a(ayay)", call_sample, 0),
        SD_BUS_METHOD("Erase", "stxayayay", NULL, call_erase, 0),
        SD_BUS_METHOD("Format", NULL, NULL, call_format, 0),
        SD_BUS_METHOD("Eject", NULL, NULL, call_eject, 0),
        SD_BUS_METHOD("Close", NULL, NULL, call_close, 0),
        SD_BUS_SIGNAL("Block", "uuuay", 0),
        SD_BUS_SIGNAL("Progress", "ut", 0),
        SD_BUS_SIGNAL("Alive", NULL, 0),
        SD_BUS_VTABLE_END,
};

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        sd_bus_close_unref(b->connection);
        free(b);
        return NULL;
}

int bus_new(int fd, Bus **ret) {
        _cleanup_(bus_freep) Bus *b = NULL;
        sd_id128_t id;
        int r;

        b = calloc(1, sizeof(Bus));
        if (!b)
                return -ENOMEM;
        r = sd_bus_new(&b->connection);
        if (r >= 0)
                r = sd_bus_set_fd(b->connection, fd, fd);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(b->connection, true, id);
        /* Descriptors are handed over at spawn, and at no other time. */
        if (r >= 0)
                r = sd_bus_negotiate_fds(b->connection, false);
        if (r >= 0)
                r = sd_bus_add_object_vtable(b->connection, NULL, WIRE_BAY_PATH, WIRE_BAY_INTERFACE, vtable, b);
        if (r >= 0)
                r = sd_bus_start(b->connection);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

int bus_run(Bus *b, Session *session, const Fault *unusable) {
        b->session = session;
        b->unusable = unusable;
        outbox_init(b->connection);
        while (!b->closing) {
                int r = sd_bus_process(b->connection, NULL);

                if (r == 0)
                        r = sd_bus_wait(b->connection, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        /* berthd let go: its way of saying that this worker is not needed any more. */
                        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE ? 0 : r;
        }
        return sd_bus_flush(b->connection);
}
