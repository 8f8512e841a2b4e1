/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of the HTTP client that share a limit: it holds, all have their turn, and waiting for it is no stall. */

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "uplink/http.h"

#define REQUESTS 3u
#define BODY_BYTES ((size_t) 4 * MIB)
#define DEADLINE_USEC (120 * USEC_PER_SEC)

/* ---- A server that takes bodies, each on a thread of its own ------------------------------------------------------------ */

typedef struct Taken {
        pthread_t thread;
        int fd;
        uint64_t bytes;
} Taken;

typedef struct Server {
        pthread_t thread;
        int fd;
        unsigned port;
        Taken taken[REQUESTS];
} Server;

/* The end of the head, or NULL. */
static const char *head_end(const char *buffer, size_t size) {
        return memmem(buffer, size, "\r\n\r\n", 4);
}

static void *take_body(void *userdata) {
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        Taken *t = userdata;
        char buffer[65536];
        size_t have = 0;

        while (have < sizeof(buffer) && !head_end(buffer, have)) {
                ssize_t n = read(t->fd, buffer + have, sizeof(buffer) - have);

                if (n <= 0)
                        return NULL;
                have += (size_t) n;
        }
        t->bytes = have - (size_t) (head_end(buffer, have) + 4 - buffer);
        while (t->bytes < BODY_BYTES) {
                ssize_t n = read(t->fd, buffer, sizeof(buffer));

                if (n <= 0)
                        return NULL;
                t->bytes += (uint64_t) n;
        }
        (void) !write(t->fd, answer, sizeof(answer) - 1);
        return NULL;
}

static void *serve(void *userdata) {
        Server *s = userdata;

        for (unsigned i = 0; i < REQUESTS; i++) {
                s->taken[i].fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
                if (s->taken[i].fd < 0 || pthread_create(&s->taken[i].thread, NULL, take_body, &s->taken[i]) != 0)
                        abort();
        }
        return NULL;
}

static void server_start(Server *s) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);

        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(s->fd >= 0);
        assert_int_equal(bind(s->fd, (const struct sockaddr *) &address, size), 0);
        assert_int_equal(listen(s->fd, 8), 0);
        assert_int_equal(getsockname(s->fd, (struct sockaddr *) &address, &size), 0);
        s->port = ntohs(address.sin_port);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(Server *s) {
        assert_int_equal(pthread_join(s->thread, NULL), 0);
        for (unsigned i = 0; i < REQUESTS; i++) {
                assert_int_equal(pthread_join(s->taken[i].thread, NULL), 0);
                fd_close(s->taken[i].fd);
        }
        fd_close(s->fd);
}

/* ---- The client --------------------------------------------------------------------------------------------------------- */

typedef struct Sent {
        HttpRequest *request;
        uint64_t body_bytes; /* when the first of all was done */
        int status;
        bool done;
} Sent;

static unsigned n_done;

static void on_done(void *userdata, const HttpAnswer *answer) {
        Sent *s = userdata;

        s->status = answer->status;
        s->done = true;
        n_done++;
}

static void test_shared_limit_holds_and_is_no_stall(void **state) {
        static const PaceRule limit = { .when = { .days = 0x7f, .from = 0, .to = 1440 }, .bytes_per_sec = 1500000 };
        const HttpSettings settings = { .stall_usec = 3 * USEC_PER_SEC };
        _cleanup_(pace_freep) Pace *pace = NULL;
        _cleanup_(fd_closep) int fd = memfd_create("body", MFD_CLOEXEC);
        HttpBody body = { .fd = fd, .size_bytes = BODY_BYTES };
        uint64_t began = clock_boottime_usec();
        Sent sent[REQUESTS] = { 0 };
        Server server = { 0 };
        sd_event *event = NULL;
        Http *http = NULL;
        char url[64];
        (void) state;

        assert_int_equal(ftruncate(fd, (off_t) BODY_BYTES), 0);
        server_start(&server);
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(http_new(event, &settings, &http), 0);
        assert_int_equal(pace_new(&limit, 1, &pace), 0);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", server.port);
        for (unsigned i = 0; i < REQUESTS; i++)
                assert_int_equal(http_begin(http, &(HttpCall){ .method = "PUT", .url = url, .body = &body, .pace = pace, .done = on_done,
                                                               .userdata = &sent[i] }, &sent[i].request), 0);
        while (n_done < REQUESTS) {
                if (n_done == 0)
                        for (unsigned i = 0; i < REQUESTS; i++)
                                sent[i].body_bytes = http_sent_bytes(sent[i].request);
                assert_true(sd_event_run(event, 100 * USEC_PER_MSEC) >= 0);
                assert_true(clock_boottime_usec() - began < DEADLINE_USEC);
        }
        for (unsigned i = 0; i < REQUESTS; i++) {
                assert_int_equal(sent[i].status, 200);
                /* When one was done, the others were not far behind. */
                assert_true(sent[i].body_bytes > BODY_BYTES / 2);
        }
        /* 12 MiB, less what may go at once, at 1.5 MB/s: however fast the machine is. */
        assert_true(clock_boottime_usec() - began >= 7500 * USEC_PER_MSEC);
        server_end(&server);
        for (unsigned i = 0; i < REQUESTS; i++)
                assert_int_equal(server.taken[i].bytes, BODY_BYTES);
        (void) http_free(http);
        sd_event_unref(event);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_shared_limit_holds_and_is_no_stall) };

        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
