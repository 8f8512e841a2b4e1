/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/false_uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_bay.h"

const Digest promised = { { 1, 2, 3 } };

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

Rig *rig_new(void) {
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

Rig *rig_connected(void) {
        Rig *r = rig_new();

        wait_for(r, text_equal(r->state, WIRE_STORE_READY));
        return r;
}

void rig_free(Rig *r) {
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

void rig_put(Rig *r, bool grows) {
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

UplinkResult rig_put_and_wait(Rig *r) {
        unsigned before = r->puts_done;

        rig_put(r, false);
        assert_int_equal(r->puts_done, before);
        wait_for(r, r->puts_done > before);
        return r->result;
}

UplinkResult rig_confirm_and_wait(Rig *r) {
        unsigned before = r->confirms_done;

        assert_int_equal(uplink_confirm(r->client, "objects/a", "manifests/a", SIZE, &promised, confirm_done, &r->lies), 0);
        wait_for(r, r->confirms_done > before);
        return r->result;
}
