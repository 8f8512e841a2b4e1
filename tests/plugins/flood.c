/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A plugin that was taken over and talks to berthd itself, over descriptor 0. The option "how=NAME", done within list():
 *   raw        random bytes without end
 *   alive      valid Alive signals without end
 *   block      one valid Block signal, which nobody waits for
 *   unknown    one valid signal that nobody knows
 *   big        the header of a 128 MiB signal, and as much of it as berthd takes
 *   huge       a header whose lengths overflow
 *   fields     a header of 512 KiB of fields
 *   reply      replies that nobody asked for, ahead of the one that is
 *   call       a method call
 *   malformed  a signal that is framed well, and nothing inside
 *   auth       a second authentication
 *   fds        an Alive signal with descriptors attached, and then good behaviour
 *   lines      lines on stderr without end, for a while, and then good behaviour
 *   shut       closes the descriptor and stays
 */

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "plugins/plain.h"

#define BUS_FD 0
#define LINES 200000

enum { METHOD_CALL = 1, METHOD_RETURN = 2, SIGNAL = 4 };
enum { FIELD_PATH = 1, FIELD_INTERFACE = 2, FIELD_MEMBER = 3, FIELD_REPLY_SERIAL = 5, FIELD_SIGNATURE = 8 };

static char how[32];

typedef struct Message {
        uint8_t bytes[1024];
        size_t size;
} Message;

static int is(const char *name) {
        return strcmp(how, name) == 0;
}

static void put(Message *m, const void *data, size_t size) {
        memcpy(m->bytes + m->size, data, size);
        m->size += size;
}

static void put_u32(Message *m, uint32_t v) {
        put(m, &v, sizeof(v));
}

static void pad(Message *m, size_t to) {
        while (m->size % to != 0)
                m->bytes[m->size++] = 0;
}

static void put_string_field(Message *m, uint8_t field, char type, const char *text) {
        pad(m, 8);
        put(m, (uint8_t[]){ field, 1, (uint8_t) type, 0 }, 4);
        if (type == 'g')
                put(m, (uint8_t[]){ (uint8_t) strlen(text) }, 1);
        else
                put_u32(m, (uint32_t) strlen(text));
        put(m, text, strlen(text) + 1);
}

static void begin(Message *m, uint8_t type) {
        uint16_t native = 1;

        m->size = 0;
        put(m, (uint8_t[]){ *(uint8_t *) &native == 1 ? 'l' : 'B', type, type == METHOD_CALL ? 0 : 1, 1 }, 4);
        put_u32(m, 0); /* body */
        put_u32(m, 4711);
        put_u32(m, 0); /* fields */
}

/* Fills in the lengths; `body` bytes are still to come. */
static void end(Message *m, uint32_t body) {
        uint32_t fields = (uint32_t) m->size - 16;

        pad(m, 8);
        memcpy(m->bytes + 4, &body, sizeof(body));
        memcpy(m->bytes + 12, &fields, sizeof(fields));
}

static void make_signal(Message *m, const char *member, const char *signature, uint32_t body) {
        begin(m, SIGNAL);
        put_string_field(m, FIELD_PATH, 'o', "/org/berth/Bay1");
        put_string_field(m, FIELD_INTERFACE, 's', "org.berth.Bay1");
        put_string_field(m, FIELD_MEMBER, 's', member);
        if (signature)
                put_string_field(m, FIELD_SIGNATURE, 'g', signature);
        end(m, body);
}

static void send_bytes(const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(BUS_FD, p, size);

                if (n > 0) {
                        p += n;
                        size -= (size_t) n;
                } else
                        (void) poll(&(struct pollfd){ .fd = BUS_FD, .events = POLLOUT }, 1, 1000);
        }
}

static void send_message(const Message *m) {
        send_bytes(m->bytes, m->size);
}

static void flood_raw(void) {
        static uint32_t noise[4096];

        for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
                noise[i] = (uint32_t) i * 2654435761u;
        for (;;)
                send_bytes(noise, sizeof(noise));
}

static void flood_alive(void) {
        Message m;

        make_signal(&m, "Alive", NULL, 0);
        for (;;)
                send_message(&m);
}

static void send_big(uint32_t body) {
        static char zeroes[1 << 20];
        Message m;

        make_signal(&m, "Alive", "ay", body);
        send_message(&m);
        for (uint32_t sent = 0; sent < body; sent += (uint32_t) sizeof(zeroes))
                send_bytes(zeroes, sizeof(zeroes));
}

static void send_header(uint32_t body, uint32_t fields) {
        Message m;

        begin(&m, SIGNAL);
        memcpy(m.bytes + 4, &body, sizeof(body));
        memcpy(m.bytes + 12, &fields, sizeof(fields));
        send_message(&m);
}

static void send_replies(void) {
        Message m;

        for (uint32_t serial = 1000; serial < 1010; serial++) {
                begin(&m, METHOD_RETURN);
                pad(&m, 8);
                put(&m, (uint8_t[]){ FIELD_REPLY_SERIAL, 1, 'u', 0 }, 4);
                put_u32(&m, serial);
                end(&m, 0);
                send_message(&m);
        }
}

static void send_block(void) {
        Message m;

        make_signal(&m, "Block", "uuuay", 48);
        put_u32(&m, 0);
        put_u32(&m, 0);
        put_u32(&m, 8);
        put_u32(&m, 32);
        for (unsigned i = 0; i < 8; i++)
                put_u32(&m, i);
        send_message(&m);
}

static void send_call(void) {
        Message m;

        begin(&m, METHOD_CALL);
        put_string_field(&m, FIELD_PATH, 'o', "/");
        put_string_field(&m, FIELD_INTERFACE, 's', "org.freedesktop.DBus.Peer");
        put_string_field(&m, FIELD_MEMBER, 's', "Ping");
        end(&m, 0);
        send_message(&m);
}

static void send_descriptors(void) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int) * 3)];
        } control = {};
        struct iovec part;
        struct msghdr h = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        int fds[3] = { 2, 3, 4 };
        Message m;

        make_signal(&m, "Alive", NULL, 0);
        part = (struct iovec){ m.bytes, m.size };
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(c), fds, sizeof(fds));
        (void) sendmsg(BUS_FD, &h, 0);
}

static int flood_list(void *state) {
        Message m;

        (void) state;
        if (is("raw"))
                flood_raw();
        else if (is("alive"))
                flood_alive();
        else if (is("block"))
                send_block();
        else if (is("unknown")) {
                make_signal(&m, "Hello", NULL, 0);
                send_message(&m);
        } else if (is("big"))
                send_big(128u << 20);
        else if (is("huge"))
                send_header(UINT32_MAX, UINT32_MAX);
        else if (is("fields"))
                send_header(0, 512u << 10);
        else if (is("reply"))
                send_replies();
        else if (is("call"))
                send_call();
        else if (is("malformed")) {
                begin(&m, SIGNAL);
                put_string_field(&m, FIELD_MEMBER, 's', "\xff\xff");
                end(&m, 0);
                send_message(&m);
        } else if (is("auth"))
                send_bytes("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n", 6 + 3 + 32 + 2);
        else if (is("fds"))
                send_descriptors();
        else if (is("lines"))
                for (unsigned i = 0; i < LINES; i++)
                        (void) fprintf(stderr, "<3>line %u of a plugin that prints without end\n", i);
        else if (is("shut")) {
                (void) close(BUS_FD);
                for (;;)
                        (void) poll(NULL, 0, 1000);
        }
        return 0;
}

static int flood_open(berth_host *host, const char *const *options, void **ret_state) {
        if (*options && strncmp(*options, "how=", 4) == 0)
                (void) snprintf(how, sizeof(how), "%s", *options + 4);
        return plain_open(host, options, ret_state);
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "flood",
        .version = "1.0",
        .open = flood_open,
        .close = plain_close,
        .identify = plain_identify,
        .list = flood_list,
        .read = plain_read,
};
