/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP/1.1 over libcurl's multi interface, on an sd-event loop: any number of requests at once, none of which holds more than a
 * buffer of its body in memory. A request that moves nothing for a while is ended here; libcurl's own watch over slow transfers
 * does not see a stall.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "uplink/pace.h"

#define HTTP_HEADERS_MAX 24u
/* What is kept of an answer without a sink. */
#define HTTP_ANSWER_MAX ((size_t) 2 * 1024 * 1024)

typedef struct Http Http;
typedef struct HttpRequest HttpRequest;

typedef struct HttpSettings {
        const char *ca_file, *client_certificate, *client_key; /* PEM; may be NULL */
        const char *proxy;                                     /* a URL, or NULL for none: the environment is not asked */
        uint64_t stall_usec;
} HttpSettings;

/* What is sent: bytes in memory, or a range of a file that is read as it goes. */
typedef struct HttpBody {
        const void *data; /* borrowed until the request is done; NULL: from `fd` */
        int fd;           /* borrowed */
        uint64_t offset, size_bytes;
} HttpBody;

typedef struct HttpAnswer {
        int status;          /* 0: there was none */
        bool stalled;        /* it was ended because nothing moved */
        bool source_failed;  /* the file could not be read, or is shorter than the body */
        bool sink_failed;    /* what came could not be taken */
        bool refused_here;   /* this machine does not let us speak IP at all */
        char error[256];     /* why there is no status, or why the answer is not whole; else "" */
        const char *body;    /* NUL-terminated; without what a sink took */
        size_t body_size;
        const char *headers; /* "name: value\n", names in lower case */
} HttpAnswer;

typedef struct HttpCall {
        const char *method, *url;
        const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", up to the first NULL */
        const HttpBody *body;                  /* NULL: none */
        Pace *pace;                            /* the body goes no faster; borrowed; NULL: no limit */
        /* On a connection of its own: libcurl asks again by itself, and unseen, when one that it kept dies. */
        bool fresh;
        /* Takes the body of an answer with status 200 or 206 as it arrives; negative ends the request. May be NULL. */
        int (*sink)(void *userdata, const void *data, size_t size);
        void (*moved)(void *userdata); /* bytes went out or came in; may be NULL */
        /* Once, on the loop, never from within http_begin(); the request is gone afterwards. */
        void (*done)(void *userdata, const HttpAnswer *answer);
        void *userdata;
} HttpCall;

int http_new(sd_event *event, const HttpSettings *settings, Http **ret);
/* Ends what is under way, without a word. */
Http *http_free(Http *h);
DEFINE_CLEANUP(Http, http_free);

/* Copies the call, but not the body's bytes. *ret is borrowed, and good until `done`. */
int http_begin(Http *h, const HttpCall *call, HttpRequest **ret);
/* Ends a request; its `done` is not called. Not from within a sink or `moved`. */
HttpRequest *http_cancel(HttpRequest *r);
/* How much of the body was handed to the connection. */
uint64_t http_sent_bytes(const HttpRequest *r);

/* The value of a header, given in lower case: copied to `ret` up to its size. False when the answer has none, or a longer one. */
bool http_header(const HttpAnswer *answer, const char *name, char *ret, size_t size);
