/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

#define UPLOAD_BUFFER (512L * 1024)
#define CONNECT_TIMEOUT_SEC 15L
#define HEADERS_TEXT_MAX ((size_t) 32 * 1024)

struct HttpRequest {
        TAILQ_ENTRY(HttpRequest) list;
        Http *http;
        CURL *easy;
        struct curl_slist *headers;
        HttpBody body;
        uint64_t sent_bytes; /* position in the body */
        int (*sink)(void *userdata, const void *data, size_t size);
        void (*moved)(void *userdata);
        void (*done)(void *userdata, const HttpAnswer *answer);
        void *userdata;
        uint64_t moved_at_usec;
        Pace *pace;
        bool waits; /* for the pace */
        int socket, queued_bytes; /* the connection, and what the kernel held for it when it was last asked */
        bool source_failed, sink_failed, refused_here;
        int status;
        char *answer;
        size_t answer_size;
        char *answer_headers;
        size_t answer_headers_size;
        char error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(HttpRequestList, HttpRequest);

struct Http {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer, *watch, *pace;
        char *ca_file, *client_certificate, *client_key, *proxy;
        uint64_t stall_usec;
        struct HttpRequestList requests;
};

static HttpRequest *request_free(HttpRequest *r) {
        if (!r)
                return NULL;
        TAILQ_REMOVE(&r->http->requests, r, list);
        if (r->easy) {
                (void) curl_multi_remove_handle(r->http->multi, r->easy);
                curl_easy_cleanup(r->easy);
        }
        curl_slist_free_all(r->headers);
        free(r->answer);
        free(r->answer_headers);
        free(r);
        return NULL;
}

HttpRequest *http_cancel(HttpRequest *r) {
        return request_free(r);
}

uint64_t http_sent_bytes(const HttpRequest *r) {
        return r->sent_bytes;
}

static void note_movement(HttpRequest *r) {
        r->moved_at_usec = clock_boottime_usec();
        if (r->moved)
                r->moved(r->userdata);
}

/* ---- Pace ---------------------------------------------------------------------------------------------------------- */

static bool is_armed(sd_event_source *source) {
        int enabled = SD_EVENT_OFF;

        return sd_event_source_get_enabled(source, &enabled) >= 0 && enabled != SD_EVENT_OFF;
}

static void arm_pace(Http *h, uint64_t wait_usec) {
        (void) sd_event_source_set_time(h->pace, clock_boottime_usec() + wait_usec);
        (void) sd_event_source_set_enabled(h->pace, SD_EVENT_ONESHOT);
}

/* The limit lets nothing go: libcurl is asked to wait, and is woken when the next bytes may go. */
static void wait_for_pace(HttpRequest *r, uint64_t wait_usec) {
        Http *h = r->http;

        r->waits = true;
        /* Last in the row of those that wait. */
        TAILQ_REMOVE(&h->requests, r, list);
        TAILQ_INSERT_TAIL(&h->requests, r, list);
        arm_pace(h, wait_usec);
}

static HttpRequest *find_waiting(const Http *h) {
        HttpRequest *r;

        TAILQ_FOREACH(r, &h->requests, list)
                if (r->waits)
                        return r;
        return NULL;
}

static void drain(Http *h);

/* One at a time: woken together, the first in libcurl's own order would take all that there is, each time. */
static int on_pace(sd_event_source *source, uint64_t usec, void *userdata) {
        Http *h = userdata;
        HttpRequest *r, *waiting;
        int running;

        (void) source;
        (void) usec;
        TAILQ_FOREACH(waiting, &h->requests, list)
                if (waiting->waits)
                        note_movement(waiting);
        r = find_waiting(h);
        if (!r)
                return 0;
        r->waits = false;
        (void) curl_easy_pause(r->easy, CURLPAUSE_CONT);
        (void) curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        drain(h);
        /* Whoever has to wait again has set the timer; else the next one has its turn at once. */
        if (find_waiting(h) && !is_armed(h->pace))
                arm_pace(h, 0);
        return 0;
}

/* ---- What libcurl asks of a request -------------------------------------------------------------------------------- */

static size_t on_read(char *to, size_t size, size_t n, void *userdata) {
        HttpRequest *r = userdata;
        uint64_t left = r->body.size_bytes - r->sent_bytes;
        size_t want = (size_t) MIN2((uint64_t) size * n, left);
        uint64_t wait_usec = 0;

        if (want == 0)
                return 0;
        want = pace_take(r->pace, want, clock_boottime_usec(), clock_wall_usec(), &wait_usec);
        if (want == 0) {
                wait_for_pace(r, wait_usec);
                return CURL_READFUNC_PAUSE;
        }
        if (r->body.data)
                memcpy(to, (const char *) r->body.data + r->sent_bytes, want);
        else if (fd_pread_full(r->body.fd, to, want, r->body.offset + r->sent_bytes) < 0) {
                r->source_failed = true;
                return CURL_READFUNC_ABORT;
        }
        r->sent_bytes += want;
        note_movement(r);
        return want;
}

/* A kept connection that died is replaced by libcurl itself, and the body sent anew. */
static int on_seek(void *userdata, curl_off_t offset, int origin) {
        HttpRequest *r = userdata;

        if (origin != SEEK_SET || offset < 0 || (uint64_t) offset > r->body.size_bytes)
                return CURL_SEEKFUNC_FAIL;
        r->sent_bytes = (uint64_t) offset;
        return CURL_SEEKFUNC_OK;
}

static int append(char **text, size_t *length, const char *data, size_t size, size_t max) {
        char *longer;

        if (size > max - *length)
                return -EFBIG;
        longer = realloc(*text, *length + size + 1);
        if (!longer)
                return -ENOMEM;
        memcpy(longer + *length, data, size);
        *text = longer;
        *length += size;
        longer[*length] = 0;
        return 0;
}

static size_t on_write(char *data, size_t size, size_t n, void *userdata) {
        HttpRequest *r = userdata;
        bool to_sink = r->sink && (r->status == 200 || r->status == 206);

        size *= n;
        note_movement(r);
        if (to_sink) {
                r->sink_failed = r->sink(r->userdata, data, size) < 0;
                return r->sink_failed ? 0 : size;
        }
        return append(&r->answer, &r->answer_size, data, size, HTTP_ANSWER_MAX) < 0 ? 0 : size;
}

/* Header lines of the answer; those of an interim or a proxy's answer before it are dropped. */
static size_t on_header(char *data, size_t size, size_t n, void *userdata) {
        HttpRequest *r = userdata;
        size_t length = size * n, used = length;
        const char *colon;

        note_movement(r);
        while (used > 0 && (data[used - 1] == '\n' || data[used - 1] == '\r'))
                used--;
        if (used > 5 && strncmp(data, "HTTP/", 5) == 0) {
                const char *space = memchr(data, ' ', used);

                r->status = space ? atoi(space) : 0;
                r->answer_headers_size = 0;
                return length;
        }
        colon = memchr(data, ':', used);
        if (!colon || memchr(data, 0, used))
                return length;
        for (char *c = data; c < colon; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char) (*c + ('a' - 'A')) : *c;
        /* What is past the limit is not looked at. */
        if (append(&r->answer_headers, &r->answer_headers_size, data, used, HEADERS_TEXT_MAX) >= 0)
                (void) append(&r->answer_headers, &r->answer_headers_size, "\n", 1, HEADERS_TEXT_MAX);
        return length;
}

/* Notices that this machine forbids IP, as the service's unit does unless told otherwise: libcurl says just "couldn't connect". */
static curl_socket_t on_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
        HttpRequest *r = userdata;
        int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

        (void) purpose;
        if (fd < 0 && (errno == EAFNOSUPPORT || errno == EPERM || errno == EACCES))
                r->refused_here = true;
        return fd < 0 ? CURL_SOCKET_BAD : fd;
}

bool http_header(const HttpAnswer *answer, const char *name, char *ret, size_t size) {
        size_t n = strlen(name);

        for (const char *line = answer->headers; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
                const char *value = line + n + 1;
                size_t length;

                if (strncmp(line, name, n) != 0 || line[n] != ':')
                        continue;
                value += strspn(value, " \t");
                length = strcspn(value, "\n");
                if (length >= size)
                        return false;
                memcpy(ret, value, length);
                ret[length] = 0;
                return true;
        }
        return false;
}

/* ---- The end of a request ------------------------------------------------------------------------------------------ */

static void finish(HttpRequest *r, const char *why, bool stalled) {
        HttpAnswer answer = {
                .status = r->status, .stalled = stalled, .source_failed = r->source_failed, .sink_failed = r->sink_failed,
                .refused_here = r->refused_here
        };
        void (*done)(void *userdata, const HttpAnswer *answer) = r->done;
        _cleanup_(freep) char *body = NULL;
        _cleanup_(freep) char *headers = NULL;
        void *userdata = r->userdata;

        text_sanitise(why ? why : "", answer.error, sizeof(answer.error));
        /* An answer that is not whole is none. */
        if (why)
                answer.status = 0;
        body = TAKE_PTR(r->answer);
        headers = TAKE_PTR(r->answer_headers);
        answer.body = body ? body : "";
        answer.body_size = body ? r->answer_size : 0;
        answer.headers = headers && r->answer_headers_size > 0 ? headers : "";
        /* The request makes room first: its successor may use the same connection. */
        (void) request_free(r);
        done(userdata, &answer);
}

static void drain(Http *h) {
        const CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(h->multi, &left))) {
                CURLcode result = message->data.result;
                char *private = NULL;
                HttpRequest *r;

                if (message->msg != CURLMSG_DONE ||
                    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
                        continue;
                r = (HttpRequest *) private;
                finish(r, result == CURLE_OK ? NULL : r->error[0] ? r->error : curl_easy_strerror(result), false);
        }
}

/* ---- The loop ------------------------------------------------------------------------------------------------------ */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Http *h = userdata;
        int mask = 0, running;

        (void) source;
        mask |= revents & EPOLLIN ? CURL_CSELECT_IN : 0;
        mask |= revents & EPOLLOUT ? CURL_CSELECT_OUT : 0;
        mask |= revents & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
        (void) curl_multi_socket_action(h->multi, fd, mask, &running);
        drain(h);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Http *h = userdata;
        int running;

        (void) source;
        (void) usec;
        (void) curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        drain(h);
        return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
        static const uint32_t events[] = {
                [CURL_POLL_IN] = EPOLLIN,
                [CURL_POLL_OUT] = EPOLLOUT,
                [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
        };
        sd_event_source *source = socket_data;
        Http *h = userdata;
        char *private = NULL;
        uint32_t wanted;

        /* libcurl tells no other way which connection a request that is under way has. */
        if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) == CURLE_OK && private)
                ((HttpRequest *) private)->socket = what == CURL_POLL_REMOVE ? -EBADF : fd;
        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(source);
                (void) curl_multi_assign(h->multi, fd, NULL);
                return 0;
        }
        wanted = (size_t) what < ELEMENTSOF(events) ? events[what] : 0;
        if (source)
                return sd_event_source_set_io_events(source, wanted) < 0 ? -1 : 0;
        if (sd_event_add_io(h->event, &source, fd, wanted, on_io, h) < 0)
                return -1;
        return curl_multi_assign(h->multi, fd, source) == CURLM_OK ? 0 : -1;
}

static int on_set_timer(CURLM *multi, long timeout_ms, void *userdata) {
        Http *h = userdata;

        (void) multi;
        if (timeout_ms < 0)
                return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        if (sd_event_source_set_time(h->timer, clock_boottime_usec() + (uint64_t) timeout_ms * USEC_PER_MSEC) < 0)
                return -1;
        return sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* ---- The watch over stalls ----------------------------------------------------------------------------------------- */

static void arm_watch(Http *h) {
        (void) sd_event_source_set_time(h->watch, clock_boottime_usec() + MIN2(h->stall_usec / 4, USEC_PER_SEC));
        (void) sd_event_source_set_enabled(h->watch, SD_EVENT_ONESHOT);
}

/* Over a slow link the kernel's buffer takes long to drain: megabytes that we see nothing of. */
static void look_at_queue(HttpRequest *r) {
        int queued;

        if (r->socket < 0 || ioctl(r->socket, SIOCOUTQ, &queued) < 0 || queued == r->queued_bytes)
                return;
        r->queued_bytes = queued;
        note_movement(r);
}

static HttpRequest *find_stalled(const Http *h) {
        uint64_t now = clock_boottime_usec();
        HttpRequest *r;

        TAILQ_FOREACH(r, &h->requests, list)
        if (now - r->moved_at_usec > h->stall_usec)
                return r;
        return NULL;
}

static int on_watch(sd_event_source *source, uint64_t usec, void *userdata) {
        Http *h = userdata;
        char text[96];
        HttpRequest *r;

        (void) source;
        (void) usec;
        (void) snprintf(text, sizeof(text), "nothing moved for %.1f s", (double) h->stall_usec / (double) USEC_PER_SEC);
        TAILQ_FOREACH(r, &h->requests, list)
        look_at_queue(r);
        /* From the beginning each time: what the end of one sets going may end others. */
        while ((r = find_stalled(h)))
                finish(r, text, true);
        if (!TAILQ_EMPTY(&h->requests))
                arm_watch(h);
        return 0;
}

/* ---- Beginning ----------------------------------------------------------------------------------------------------- */

#define SET(easy, option, value) (curl_easy_setopt(easy, option, value) == CURLE_OK ? 0 : -EINVAL)

static int set_connection(const Http *h, CURL *easy) {
        int r;

        if ((r = SET(easy, CURLOPT_NOSIGNAL, 1L)) < 0 || (r = SET(easy, CURLOPT_PROTOCOLS_STR, "http,https")) < 0 ||
            (r = SET(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1)) < 0 ||
            (r = SET(easy, CURLOPT_PATH_AS_IS, 1L)) < 0 || (r = SET(easy, CURLOPT_FOLLOWLOCATION, 0L)) < 0 ||
            (r = SET(easy, CURLOPT_TCP_KEEPALIVE, 1L)) < 0 ||
            (r = SET(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_SEC)) < 0 ||
            (r = SET(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER)) < 0 ||
            (r = SET(easy, CURLOPT_BUFFERSIZE, 128L * 1024)) < 0 ||
            (r = SET(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2)) < 0 ||
            (r = SET(easy, CURLOPT_PROXY, h->proxy ? h->proxy : "")) < 0 ||
            (r = SET(easy, CURLOPT_NOPROXY, "")) < 0 || /* or the environment's no_proxy is heeded */
            (r = SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L)) < 0)
                return r;
        if (h->ca_file && ((r = SET(easy, CURLOPT_CAINFO, h->ca_file)) < 0 || (r = SET(easy, CURLOPT_CAPATH, NULL)) < 0))
                return r;
        if (h->client_certificate && (r = SET(easy, CURLOPT_SSLCERT, h->client_certificate)) < 0)
                return r;
        return h->client_key ? SET(easy, CURLOPT_SSLKEY, h->client_key) : 0;
}

static int set_method(const HttpRequest *r, const char *method) {
        int k;

        if (text_equal(method, "HEAD"))
                return SET(r->easy, CURLOPT_NOBODY, 1L);
        if (text_equal(method, "GET"))
                return SET(r->easy, CURLOPT_HTTPGET, 1L);
        /* With a body, perhaps an empty one: a length is always said. */
        if (!text_equal(method, "DELETE") && !text_equal(method, "OPTIONS") &&
            ((k = SET(r->easy, CURLOPT_UPLOAD, 1L)) < 0 ||
             (k = SET(r->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) r->body.size_bytes)) < 0))
                return k;
        return SET(r->easy, CURLOPT_CUSTOMREQUEST, method);
}

static int add_header(HttpRequest *r, const char *text) {
        struct curl_slist *longer = curl_slist_append(r->headers, text);

        if (!longer)
                return -ENOMEM;
        r->headers = longer;
        return 0;
}

static int set_request(HttpRequest *r, const HttpCall *call) {
        int k;

        for (size_t i = 0; i < HTTP_HEADERS_MAX && call->headers[i]; i++) {
                k = add_header(r, call->headers[i]);
                if (k < 0)
                        return k;
        }
        /* What libcurl would add by itself. */
        if ((k = add_header(r, "Expect:")) < 0 || (k = add_header(r, "Accept:")) < 0 ||
            (k = set_method(r, call->method)) < 0 || (k = SET(r->easy, CURLOPT_URL, call->url)) < 0 ||
            (k = SET(r->easy, CURLOPT_HTTPHEADER, r->headers)) < 0 || (k = SET(r->easy, CURLOPT_PRIVATE, (char *) r)) < 0 ||
            (k = SET(r->easy, CURLOPT_ERRORBUFFER, r->error)) < 0 || (k = SET(r->easy, CURLOPT_READFUNCTION, on_read)) < 0 ||
            (k = SET(r->easy, CURLOPT_READDATA, r)) < 0 || (k = SET(r->easy, CURLOPT_SEEKFUNCTION, on_seek)) < 0 ||
            (k = SET(r->easy, CURLOPT_SEEKDATA, r)) < 0 || (k = SET(r->easy, CURLOPT_WRITEFUNCTION, on_write)) < 0 ||
            (k = SET(r->easy, CURLOPT_WRITEDATA, r)) < 0 || (k = SET(r->easy, CURLOPT_HEADERFUNCTION, on_header)) < 0 ||
            (k = SET(r->easy, CURLOPT_HEADERDATA, r)) < 0 ||
            (call->fresh &&
             ((k = SET(r->easy, CURLOPT_FRESH_CONNECT, 1L)) < 0 || (k = SET(r->easy, CURLOPT_FORBID_REUSE, 1L)) < 0)) ||
            (k = SET(r->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket)) < 0 ||
            (k = SET(r->easy, CURLOPT_OPENSOCKETDATA, r)) < 0)
                return k;
        return 0;
}

int http_begin(Http *h, const HttpCall *call, HttpRequest **ret) {
        HttpRequest *r = calloc(1, sizeof(*r));
        bool first = TAILQ_EMPTY(&h->requests);
        int k;

        if (!r)
                return -ENOMEM;
        r->http = h;
        if (call->body)
                r->body = *call->body;
        r->pace = call->pace;
        r->sink = call->sink;
        r->moved = call->moved;
        r->done = call->done;
        r->userdata = call->userdata;
        r->socket = -EBADF;
        r->moved_at_usec = clock_boottime_usec();
        TAILQ_INSERT_TAIL(&h->requests, r, list);
        r->easy = curl_easy_init();
        k = r->easy ? set_connection(h, r->easy) : -ENOMEM;
        if (k >= 0)
                k = set_request(r, call);
        /* Nothing is sent before the loop turns: libcurl asks for a timer that is due at once. */
        if (k >= 0 && curl_multi_add_handle(h->multi, r->easy) != CURLM_OK)
                k = -EIO;
        if (k < 0) {
                (void) request_free(r);
                return k;
        }
        if (first)
                arm_watch(h);
        *ret = r;
        return 0;
}

/* ---- Making -------------------------------------------------------------------------------------------------------- */

static int copy_string(const char *from, char **ret) {
        if (!from)
                return 0;
        *ret = strdup(from);
        return *ret ? 0 : -ENOMEM;
}

int http_new(sd_event *event, const HttpSettings *settings, Http **ret) {
        _cleanup_(http_freep) Http *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        TAILQ_INIT(&h->requests);
        h->event = sd_event_ref(event);
        h->stall_usec = settings->stall_usec;
        if ((r = copy_string(settings->ca_file, &h->ca_file)) < 0 ||
            (r = copy_string(settings->client_certificate, &h->client_certificate)) < 0 ||
            (r = copy_string(settings->client_key, &h->client_key)) < 0 ||
            (r = copy_string(settings->proxy, &h->proxy)) < 0 ||
            (r = sd_event_add_time(event, &h->timer, CLOCK_BOOTTIME, UINT64_MAX, 1, on_timer, h)) < 0 ||
            (r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF)) < 0 ||
            (r = sd_event_add_time(event, &h->watch, CLOCK_BOOTTIME, UINT64_MAX, 10 * USEC_PER_MSEC, on_watch, h)) < 0 ||
            (r = sd_event_source_set_enabled(h->watch, SD_EVENT_OFF)) < 0 ||
            (r = sd_event_add_time(event, &h->pace, CLOCK_BOOTTIME, UINT64_MAX, USEC_PER_MSEC, on_pace, h)) < 0 ||
            (r = sd_event_source_set_enabled(h->pace, SD_EVENT_OFF)) < 0)
                return r;
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -EIO;
        h->multi = curl_multi_init();
        if (!h->multi || curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_set_timer) != CURLM_OK ||
            curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) != CURLM_OK)
                return -ENOMEM;
        *ret = TAKE_PTR(h);
        return 0;
}

Http *http_free(Http *h) {
        if (!h)
                return NULL;
        while (!TAILQ_EMPTY(&h->requests))
                (void) request_free(TAILQ_FIRST(&h->requests));
        if (h->multi)
                (void) curl_multi_cleanup(h->multi);
        sd_event_source_disable_unref(h->timer);
        sd_event_source_disable_unref(h->watch);
        sd_event_source_disable_unref(h->pace);
        sd_event_unref(h->event);
        free(h->ca_file);
        free(h->client_certificate);
        free(h->client_key);
        free(h->proxy);
        free(h);
        return NULL;
}
