/* SPDX-License-Identifier: Apache-2.0 */

/*
 * berthd's client of the uplink against an uplink that lies, floods, breaks off or is slow: whatever it says, nothing becomes a
 * receipt that is not one.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "service/uplink.h"

#define SIZE UINT64_C(1000)
#define CLIP_ID 9u
#define WAIT_USEC (120 * USEC_PER_SEC)

static const Digest promised = { { 1, 2, 3 } };

/* What the false uplink answers to Put and Confirm. */
typedef struct Lies {
        const char *state;     /* NULL: "ready" */
        const char *error;     /* NULL: an answer */
        const char *object, *manifest, *version, *strength; /* NULL: good ones */
        int64_t size_off, time;
        const char *verdict, *point_text; /* of Examine; NULL: good ones */
        unsigned points;                  /* how many; 0: one */
        bool wrong_digest, short_digest, wrong_signature, silent, hang_up;
        bool early; /* answers Grow before Seal */
        size_t error_text_size; /* 0: a short one */
        const char *busy;       /* signature of what follows the text of a busy: "t", "s", NULL: nothing */
        uint64_t retry_after;
} Lies;

typedef struct Rig {
        char folder[64], socket[96];
        sd_event *event;
        sd_event_source *accept;
        int listen_fd;
        sd_bus *bus; /* the false uplink's */
        sd_bus_message *grow; /* not answered yet */
        bool examined;
        unsigned points; /* of the last report */
        uint64_t grown_bytes;
        bool held, stopped_now;
        Lies lies;
        Uplink *client;
        char state[32], reason[512], text[600], strength[16];
        unsigned connections, puts_done, confirms_done, progress;
        uint64_t progress_bytes, retry_after_usec;
        UplinkResult result;
} Rig;

/* ---- The false uplink -------------------------------------------------------------------------------------------------- */

static int reply_error(sd_bus_message *m, const Lies *lies) {
        char text[20000];

        memset(text, 'x', sizeof(text));
        text[MIN2(lies->error_text_size ? lies->error_text_size : 10, sizeof(text) - 1)] = 0;
        text[1] = '\n';
        return sd_bus_reply_method_errorf(m, lies->error, "%s", text);
}

static int reply_busy(sd_bus_message *m, const Lies *lies) {
        sd_bus_message *reply = NULL;
        int r;

        assert_true(sd_bus_message_new_method_error(m, &reply, &SD_BUS_ERROR_MAKE_CONST(lies->error, "slow down")) >= 0);
        if (text_equal(lies->busy, "t"))
                assert_true(sd_bus_message_append(reply, "t", lies->retry_after) >= 0);
        else if (lies->busy)
                assert_true(sd_bus_message_append(reply, "s", "soon") >= 0);
        r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int on_put(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        const Lies *lies = &r->lies;
        sd_bus_message *reply = NULL;
        Digest digest = promised;

        (void) error;
        if (lies->silent)
                return 1;
        if (lies->hang_up) {
                sd_bus_close(r->bus);
                return 1;
        }
        if (text_equal(lies->error, WIRE_UPLINK_E_BUSY))
                return reply_busy(m, lies);
        if (lies->error)
                return reply_error(m, lies);
        if (lies->wrong_signature)
                return sd_bus_reply_method_return(m, "sss", "objects/a", "manifests/a", "");
        if (lies->wrong_digest)
                digest.bytes[31] = 1;
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "ssst", lies->object ? lies->object : "objects/a",
                                          lies->manifest ? lies->manifest : "manifests/a", lies->version ? lies->version : "",
                                          (uint64_t) ((int64_t) SIZE + lies->size_off)) >= 0);
        assert_true(sd_bus_message_append_array(reply, 'y', digest.bytes, lies->short_digest ? 31 : DIGEST_SIZE) >= 0);
        assert_true(sd_bus_message_append(reply, "sxb", lies->strength ? lies->strength : WIRE_STRENGTH_DIGEST,
                                          lies->time ? lies->time : INT64_C(1700000000), 0) >= 0);
        assert_true(sd_bus_send(NULL, reply, NULL) >= 0);
        sd_bus_message_unref(reply);
        return 1;
}

static int on_grow(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;

        if (r->lies.early || r->lies.error)
                return on_put(m, userdata, error);
        r->grow = sd_bus_message_ref(m);
        return 1;
}

static int on_grown(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        uint64_t clip_id;

        (void) error;
        assert_true(sd_bus_message_read(m, "tt", &clip_id, &r->grown_bytes) >= 0);
        assert_int_equal(clip_id, CLIP_ID);
        return sd_bus_reply_method_return(m, "");
}

static int on_seal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        int k = on_put(r->grow, userdata, error);

        r->grow = sd_bus_message_unref(r->grow);
        return k < 0 ? k : sd_bus_reply_method_return(m, "");
}

static int on_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        uint64_t clip_id;
        int now;

        (void) error;
        assert_true(sd_bus_message_read(m, "tb", &clip_id, &now) >= 0);
        r->stopped_now = now;
        assert_true(sd_bus_reply_method_errorf(r->grow, WIRE_UPLINK_E_STOPPED, "stopped") >= 0);
        r->grow = sd_bus_message_unref(r->grow);
        return sd_bus_reply_method_return(m, "");
}

static int on_hold(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        int held;

        (void) error;
        assert_true(sd_bus_message_read(m, "b", &held) >= 0);
        r->held = held;
        return sd_bus_reply_method_return(m, "");
}

static int on_confirm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Rig *r = userdata;

        (void) error;
        if (r->lies.error)
                return reply_error(m, &r->lies);
        if (r->lies.wrong_signature)
                return sd_bus_reply_method_return(m, "t", UINT64_C(1));
        return sd_bus_reply_method_return(m, "s", r->lies.strength ? r->lies.strength : WIRE_STRENGTH_DIGEST);
}

static int on_examine(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        const Rig *r = userdata;
        const Lies *lies = &r->lies;
        int spool;

        (void) error;
        assert_true(sd_bus_message_read(m, "h", &spool) >= 0);
        if (lies->error)
                return reply_error(m, lies);
        if (lies->wrong_signature)
                return sd_bus_reply_method_return(m, "t", UINT64_C(1));
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "s", lies->strength ? lies->strength : WIRE_STRENGTH_DIGEST) >= 0);
        assert_true(sd_bus_message_open_container(reply, 'a', "(sss)") >= 0);
        for (unsigned i = 0; i < MAX2(lies->points, 1u); i++)
                assert_true(sd_bus_message_append(reply, "(sss)", "store", lies->verdict ? lies->verdict : "ok",
                                                  lies->point_text ? lies->point_text : "it is well") >= 0);
        assert_true(sd_bus_message_close_container(reply) >= 0);
        assert_true(sd_bus_send(NULL, reply, NULL) >= 0);
        sd_bus_message_unref(reply);
        return 1;
}

static int on_get_state(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Rig *r = userdata;

        (void) error;
        return sd_bus_reply_method_return(m, "ss", r->lies.state ? r->lies.state : WIRE_STORE_READY, "because\nof \x1b[31mred");
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Put", "thsxsxtays", "ssstaysxb", on_put, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Grow", "thsxsxttb", "ssstaysxb", on_grow, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Grown", "tt", "", on_grown, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Seal", "ttays", "", on_seal, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Stop", "tb", "", on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Hold", "b", "", on_hold, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Confirm", "sstay", "s", on_confirm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Examine", "h", "sa(sss)", on_examine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetState", "", "ss", on_get_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Rig *r = userdata;
        sd_id128_t id;
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void) source;
        (void) revents;
        assert_true(peer >= 0);
        r->connections++;
        r->bus = sd_bus_close_unref(r->bus);
        assert_true(sd_id128_randomize(&id) >= 0);
        assert_true(sd_bus_new(&r->bus) >= 0);
        assert_true(sd_bus_set_fd(r->bus, peer, peer) >= 0);
        assert_true(sd_bus_set_server(r->bus, 1, id) >= 0);
        assert_true(sd_bus_negotiate_fds(r->bus, 1) >= 0);
        assert_true(sd_bus_add_object_vtable(r->bus, NULL, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, vtable, r) >= 0);
        assert_true(sd_bus_start(r->bus) >= 0);
        assert_true(sd_bus_attach_event(r->bus, r->event, 0) >= 0);
        return 0;
}

/* ---- The client -------------------------------------------------------------------------------------------------------- */

static void on_state(void *userdata, const char *state, const char *reason) {
        Rig *r = userdata;

        snprintf(r->state, sizeof(r->state), "%s", state);
        snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void on_progress(void *userdata, uint64_t clip_id, uint64_t bytes) {
        Rig *r = userdata;

        assert_int_equal(clip_id, CLIP_ID);
        r->progress++;
        r->progress_bytes = bytes;
}

static void take_answer(Rig *r, const UplinkAnswer *answer) {
        assert_int_equal(answer->text != NULL, answer->result != UPLINK_OK);
        assert_int_equal(answer->strength != NULL, answer->result == UPLINK_OK);
        r->result = answer->result;
        r->retry_after_usec = answer->retry_after_usec;
        snprintf(r->text, sizeof(r->text), "%s", answer->text ? answer->text : "");
        snprintf(r->strength, sizeof(r->strength), "%s", answer->strength ? answer->strength : "");
}

static void put_done(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rig *r = userdata;

        assert_ptr_equal(cookie, &r->lies);
        assert_int_equal(answer->receipt != NULL, answer->result == UPLINK_OK);
        r->puts_done++;
        take_answer(r, answer);
}

static void confirm_done(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rig *r = userdata;

        assert_ptr_equal(cookie, &r->lies);
        r->confirms_done++;
        take_answer(r, answer);
}

#define wait_for(r, condition)                                                                                    \
        do {                                                                                                      \
                uint64_t _end = clock_boottime_usec() + WAIT_USEC;                                                \
                while (!(condition)) {                                                                            \
                        assert_true(sd_event_run((r)->event, 20 * USEC_PER_MSEC) >= 0);                           \
                        if (clock_boottime_usec() > _end)                                                         \
                                fail_msg("waited in vain for %s; %s: %s", #condition, (r)->state, (r)->reason);   \
                }                                                                                                 \
        } while (0)

static Rig *rig_new(void) {
        static const UplinkOps ops = { .on_state = on_state, .on_progress = on_progress };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        Rig *r = calloc(1, sizeof(*r));

        assert_non_null(r);
        snprintf(r->folder, sizeof(r->folder), "/tmp/berth-client-XXXXXX");
        assert_non_null(mkdtemp(r->folder));
        snprintf(r->socket, sizeof(r->socket), "%s/socket", r->folder);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", r->socket);
        r->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(r->listen_fd >= 0);
        assert_int_equal(bind(r->listen_fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(r->listen_fd, 4), 0);
        assert_true(sd_event_new(&r->event) >= 0);
        assert_true(sd_event_add_io(r->event, &r->accept, r->listen_fd, EPOLLIN, on_connect, r) >= 0);
        assert_int_equal(uplink_new(r->event, r->socket, &ops, r, &r->client), 0);
        return r;
}

static Rig *connected(void) {
        Rig *r = rig_new();

        wait_for(r, text_equal(r->state, WIRE_STORE_READY));
        return r;
}

static void rig_free(Rig *r) {
        uplink_free(r->client);
        sd_bus_message_unref(r->grow);
        sd_bus_close_unref(r->bus);
        sd_event_source_disable_unref(r->accept);
        sd_event_unref(r->event);
        fd_close(r->listen_fd);
        assert_int_equal(unlink(r->socket), 0);
        assert_int_equal(rmdir(r->folder), 0);
        free(r);
}

/* Of a whole clip, or of one that grows. */
static void put(Rig *r, bool grows) {
        UplinkPut request = {
                .clip_id = CLIP_ID,
                .serial = "SN",
                .path = "A.MP4",
                .size_bytes = SIZE,
                .digest = promised,
                .facts_json = "{}",
        };
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(null >= 0);
        request.fd = null;
        assert_int_equal(grows ? uplink_grow(r->client, &request, 1, false, put_done, &r->lies) :
                                 uplink_put(r->client, &request, put_done, &r->lies),
                         0);
        fd_close(null);
}

static UplinkResult put_and_wait(Rig *r) {
        unsigned before = r->puts_done;

        put(r, false);
        assert_int_equal(r->puts_done, before);
        wait_for(r, r->puts_done > before);
        return r->result;
}

static UplinkResult confirm_and_wait(Rig *r) {
        unsigned before = r->confirms_done;

        assert_int_equal(uplink_confirm(r->client, "objects/a", "manifests/a", SIZE, &promised, confirm_done, &r->lies), 0);
        wait_for(r, r->confirms_done > before);
        return r->result;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------------- */

static void test_right_receipt_is_taken(void **state) {
        Rig *r = connected();

        (void) state;
        assert_int_equal(put_and_wait(r), UPLINK_OK);
        assert_int_equal(confirm_and_wait(r), UPLINK_OK);
        assert_string_equal(r->strength, WIRE_STRENGTH_DIGEST);
        /* What goes to a log or a terminal holds no control character. */
        assert_true(text_is_printable(r->reason));
        rig_free(r);
}

static void examined(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Rig *r = userdata;

        assert_ptr_equal(cookie, &r->lies);
        r->result = answer->result;
        assert_true((answer->result == UPLINK_OK) == (answer->report != NULL));
        r->points = answer->report ? (unsigned) answer->report->n_points : 0;
        r->examined = true;
}

static UplinkResult examine_and_wait(Rig *r) {
        int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(folder >= 0);
        r->examined = false;
        assert_int_equal(uplink_examine(r->client, folder, examined, &r->lies), 0);
        fd_close(folder);
        wait_for(r, r->examined);
        return r->result;
}

static void test_report_of_the_store_is_what_it_can_be_or_none(void **state) {
        static const Lies lies[] = {
                { .strength = "strong" }, { .verdict = "splendid" }, { .point_text = "\x1b[2J" }, { .wrong_signature = true },
                { .error = WIRE_UPLINK_E_GONE },
        };
        Rig *r = connected();

        (void) state;
        assert_int_equal(examine_and_wait(r), UPLINK_OK);
        assert_int_equal(r->points, 1);
        /* Nobody knows yet. */
        r->lies = (Lies){ .strength = "", .points = WIRE_POINTS_MAX + 1 };
        assert_int_equal(examine_and_wait(r), UPLINK_OK);
        assert_int_equal(r->points, WIRE_POINTS_MAX);
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                r->lies = lies[i];
                assert_int_equal(examine_and_wait(r), UPLINK_INVALID);
        }
        rig_free(r);
}

static void test_receipt_for_anything_else_is_no_receipt(void **state) {
        static const Lies lies[] = {
                { .size_off = 1 },
                { .size_off = -1 },
                { .wrong_digest = true },
                { .short_digest = true },
                { .object = "" },
                { .manifest = "" },
                { .object = "objects/\n" },
                { .version = "\x1b[2J" },
                { .strength = "strong" },
                { .strength = "" },
                { .time = -1 },
                { .time = INT64_MAX },
                { .wrong_signature = true },
                { .error = "org.example.Surprise" },
                { .error = WIRE_UPLINK_E_GONE },
                { .error = WIRE_UPLINK_E_INVALID },
        };
        Rig *r = connected();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                r->lies = lies[i];
                if (put_and_wait(r) != UPLINK_INVALID)
                        fail_msg("lie %zu was answered by %s: %s", i, uplink_result_to_string(r->result), r->text);
                assert_true(r->text[0] && text_is_printable(r->text));
        }
        r->lies = (Lies){ 0 };
        assert_int_equal(put_and_wait(r), UPLINK_OK);
        assert_int_equal(r->connections, 1);
        rig_free(r);
}

static void test_busy_store_names_a_time_or_none(void **state) {
        static const struct {
                const char *busy;
                uint64_t retry_after, usec;
        } cases[] = {
                { "t", 7, 7 * USEC_PER_SEC },
                { "t", 0, 0 },
                { "t", UINT64_MAX, 24 * 3600 * USEC_PER_SEC },
                { NULL, 0, 0 },
                { "s", 0, 0 },
        };
        Rig *r = connected();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                r->lies = (Lies){ .error = WIRE_UPLINK_E_BUSY, .busy = cases[i].busy, .retry_after = cases[i].retry_after };
                assert_int_equal(put_and_wait(r), UPLINK_BUSY);
                assert_true(r->retry_after_usec == cases[i].usec);
                assert_string_equal(r->text, "slow down");
        }
        rig_free(r);
}

static void test_errors_keep_their_meaning_and_their_texts_are_cut(void **state) {
        static const struct {
                const char *name;
                UplinkResult result;
        } errors[] = {
                { WIRE_UPLINK_E_UNAVAILABLE, UPLINK_UNAVAILABLE },
                { WIRE_UPLINK_E_FULL, UPLINK_FULL },
                { WIRE_UPLINK_E_SOURCE, UPLINK_SOURCE },
                { WIRE_UPLINK_E_CONFLICT, UPLINK_CONFLICT },
        };
        Rig *r = connected();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                r->lies = (Lies){ .error = errors[i].name, .error_text_size = 15000 };
                assert_int_equal(put_and_wait(r), errors[i].result);
                assert_true(strlen(r->text) < 512 && text_is_printable(r->text));
                assert_int_equal(confirm_and_wait(r), errors[i].result);
        }
        r->lies = (Lies){ .error = WIRE_UPLINK_E_GONE };
        assert_int_equal(confirm_and_wait(r), UPLINK_GONE);
        r->lies = (Lies){ .strength = "strong" };
        assert_int_equal(confirm_and_wait(r), UPLINK_INVALID);
        r->lies = (Lies){ .wrong_signature = true };
        assert_int_equal(confirm_and_wait(r), UPLINK_INVALID);
        rig_free(r);
}

static void test_lost_connection_answers_all_calls_and_is_made_anew(void **state) {
        Rig *r = connected();

        (void) state;
        r->lies.silent = true;
        put(r, false);
        put(r, false);
        r->lies = (Lies){ .hang_up = true };
        put(r, false);
        wait_for(r, r->puts_done == 3);
        assert_int_equal(r->result, UPLINK_UNAVAILABLE);
        r->lies = (Lies){ 0 };
        wait_for(r, r->connections == 2 && text_equal(r->state, WIRE_STORE_READY));
        assert_int_equal(put_and_wait(r), UPLINK_OK);
        rig_free(r);
}

static void test_free_with_calls_outstanding_calls_nobody(void **state) {
        Rig *r = connected();

        (void) state;
        r->lies.silent = true;
        put(r, false);
        uplink_forget(r->client, &r->lies);
        put(r, false);
        r->client = uplink_free(r->client);
        for (unsigned i = 0; i < 5; i++)
                assert_true(sd_event_run(r->event, USEC_PER_MSEC) >= 0);
        assert_int_equal(r->puts_done, 0);
        rig_free(r);
}

static void test_state_that_does_not_exist_ends_the_connection(void **state) {
        Rig *r = rig_new();

        (void) state;
        r->lies.state = "excellent";
        wait_for(r, r->connections >= 2);
        assert_string_equal(r->state, "disconnected");
        assert_non_null(strstr(r->reason, "state that does not exist"));
        assert_int_equal(put_and_wait(r), UPLINK_UNAVAILABLE);
        r->lies.state = WIRE_STORE_FULL;
        wait_for(r, text_equal(r->state, WIRE_STORE_FULL));
        rig_free(r);
}

static void test_progress_is_for_clips_that_are_under_way_and_bounded(void **state) {
        Rig *r = connected();

        (void) state;
        r->lies.silent = true;
        put(r, false);
        assert_true(sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "tt", UINT64_C(1), SIZE) >= 0);
        assert_true(sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "s", "nonsense") >= 0);
        assert_true(sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "Progress", "tt", (uint64_t) CLIP_ID,
                                       UINT64_MAX) >= 0);
        wait_for(r, r->progress == 1);
        assert_int_equal(r->progress_bytes, SIZE);
        rig_free(r);
}

/* Sends until the client ends the connection. */
static void flood(const char *text, bool as_signals) {
        Rig *r = connected();
        unsigned sent = 0;

        while (r->connections < 2 && sent < 100000) {
                int k;

                for (unsigned i = 0; i < 100 && sd_bus_is_open(r->bus) > 0; i++, sent++) {
                        k = as_signals ? sd_bus_emit_signal(r->bus, WIRE_UPLINK_PATH, WIRE_UPLINK_INTERFACE, "StateChanged", "ss",
                                                            WIRE_STORE_READY, text) :
                                         sd_bus_call_method_async(r->bus, NULL, NULL, "/", "a.b", "C", NULL, NULL, "s", text);
                        if (k < 0)
                                break;
                }
                assert_true(sd_event_run(r->event, USEC_PER_MSEC) >= 0);
        }
        wait_for(r, r->connections >= 2);
        wait_for(r, text_equal(r->state, WIRE_STORE_READY));
        assert_int_equal(put_and_wait(r), UPLINK_OK);
        rig_free(r);
}

static void test_floods_oversize_and_calls_end_the_connection(void **state) {
        _cleanup_(freep) char *large = malloc(WIRE_MESSAGE_MAX + 1);

        (void) state;
        assert_non_null(large);
        memset(large, 'x', WIRE_MESSAGE_MAX);
        large[WIRE_MESSAGE_MAX] = 0;
        flood("x", true);
        flood(large, true);
        flood("x", false);
}

static void test_reply_that_nobody_asked_for_ends_the_connection(void **state) {
        /* To a call of serial 77. */
        static const uint8_t reply[] = { 'l', 2, 1, 1, 0, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 5, 1, 'u', 0, 77, 0, 0, 0 };
        Rig *r = connected();

        (void) state;
        assert_int_equal(write(sd_bus_get_fd(r->bus), reply, sizeof(reply)), sizeof(reply));
        wait_for(r, r->connections >= 2);
        rig_free(r);
}

static void test_socket_path_is_checked(void **state) {
        static const UplinkOps ops = { .on_state = on_state, .on_progress = on_progress };
        char path[200];
        sd_event *event = NULL;
        Uplink *u = NULL;

        (void) state;
        assert_true(sd_event_new(&event) >= 0);
        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = 0;
        assert_int_equal(uplink_new(event, path, &ops, NULL, &u), -EINVAL);
        assert_int_equal(uplink_new(event, "relative", &ops, NULL, &u), -EINVAL);
        sd_event_unref(event);
}

static void begin_to_grow(Rig *r) {
        unsigned before = r->puts_done;

        put(r, true);
        wait_for(r, r->grow || r->puts_done > before);
}

static void test_clip_that_grows_has_its_receipt_after_it_is_sealed(void **state) {
        Rig *r = connected();

        (void) state;
        begin_to_grow(r);
        uplink_grown(r->client, &r->lies, 500);
        wait_for(r, r->grown_bytes == 500);
        assert_int_equal(r->puts_done, 0);
        assert_int_equal(uplink_seal(r->client, &r->lies, SIZE, &promised, "{}"), 0);
        wait_for(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_OK);
        /* What comes too late is heard by nobody. */
        uplink_grown(r->client, &r->lies, 600);
        uplink_stop(r->client, &r->lies, true);
        assert_int_equal(uplink_seal(r->client, &r->lies, SIZE, &promised, "{}"), 0);
        assert_int_equal(put_and_wait(r), UPLINK_OK);
        assert_int_equal(r->connections, 1);
        rig_free(r);
}

static void test_receipt_before_the_seal_or_for_other_bytes_is_none(void **state) {
        Rig *r = connected();

        (void) state;
        r->lies = (Lies){ .early = true };
        begin_to_grow(r);
        wait_for(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_INVALID);
        r->lies = (Lies){ .wrong_digest = true };
        begin_to_grow(r);
        assert_int_equal(uplink_seal(r->client, &r->lies, SIZE, &promised, "{}"), 0);
        wait_for(r, r->puts_done == 2);
        assert_int_equal(r->result, UPLINK_INVALID);
        rig_free(r);
}

static void test_stopped_and_whole_are_answers_of_their_own(void **state) {
        Rig *r = connected();

        (void) state;
        begin_to_grow(r);
        uplink_stop(r->client, &r->lies, true);
        wait_for(r, r->puts_done == 1);
        assert_int_equal(r->result, UPLINK_STOPPED);
        assert_true(r->stopped_now);
        r->lies = (Lies){ .error = WIRE_UPLINK_E_WHOLE };
        begin_to_grow(r);
        wait_for(r, r->puts_done == 2);
        assert_int_equal(r->result, UPLINK_WHOLE);
        /* Of a whole clip that makes no sense. */
        assert_int_equal(put_and_wait(r), UPLINK_INVALID);
        rig_free(r);
}

static void test_order_to_hold_is_told_again_to_an_uplink_that_comes_back(void **state) {
        Rig *r = connected();

        (void) state;
        uplink_hold(r->client, true);
        wait_for(r, r->held);
        r->held = false;
        r->lies = (Lies){ .hang_up = true };
        (void) put_and_wait(r);
        r->lies = (Lies){ 0 };
        wait_for(r, r->connections == 2 && r->held);
        uplink_hold(r->client, false);
        wait_for(r, !r->held);
        rig_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_right_receipt_is_taken),
                cmocka_unit_test(test_receipt_for_anything_else_is_no_receipt),
                cmocka_unit_test(test_report_of_the_store_is_what_it_can_be_or_none),
                cmocka_unit_test(test_busy_store_names_a_time_or_none),
                cmocka_unit_test(test_errors_keep_their_meaning_and_their_texts_are_cut),
                cmocka_unit_test(test_lost_connection_answers_all_calls_and_is_made_anew),
                cmocka_unit_test(test_free_with_calls_outstanding_calls_nobody),
                cmocka_unit_test(test_state_that_does_not_exist_ends_the_connection),
                cmocka_unit_test(test_progress_is_for_clips_that_are_under_way_and_bounded),
                cmocka_unit_test(test_floods_oversize_and_calls_end_the_connection),
                cmocka_unit_test(test_reply_that_nobody_asked_for_ends_the_connection),
                cmocka_unit_test(test_socket_path_is_checked),
                cmocka_unit_test(test_clip_that_grows_has_its_receipt_after_it_is_sealed),
                cmocka_unit_test(test_receipt_before_the_seal_or_for_other_bytes_is_none),
                cmocka_unit_test(test_stopped_and_whole_are_answers_of_their_own),
                cmocka_unit_test(test_order_to_hold_is_told_again_to_an_uplink_that_comes_back),
        };

        log_init("test_uplink_client");
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
