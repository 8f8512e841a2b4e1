/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `berthctl import DIR`: has the dock take footage out of a folder. The folder's files are opened here, with the rights of whoever
 * runs this, and handed to the dock's worker over a socket (base/wire_import.h). Nothing in the folder is written.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wire_import.h"
#include "ctl/bus_client.h"
#include "ctl/import_files.h"

#define TELL_USEC (USEC_PER_SEC / 4)

typedef struct Serving {
        const ImportFiles *files;
        sd_event *event;
        int socket;
        bool tells; /* progress, on a terminal */
        uint64_t told_usec;
        uint32_t at; /* the file that was opened last */
        int exit_code;
} Serving;

/* ---- Serving --------------------------------------------------------------------------------------------------------- */

static void tell_progress(Serving *s) {
        uint64_t now = clock_boottime_usec();
        if (!s->tells || now - s->told_usec < TELL_USEC)
                return;
        s->told_usec = now;
        fprintf(stderr, "\rfile %" PRIu32 " of %zu ", s->at + 1, s->files->n);
        (void) fflush(stderr);
}

/* Sends the answer, with the descriptor when there is one. */
static int answer(const Serving *s, WireImportAnswer *a, int fd) {
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct iovec what = { a, offsetof(WireImportAnswer, path) + a->path_length };
        struct msghdr m = { .msg_iov = &what, .msg_iovlen = 1 };
        if (fd >= 0) {
                m.msg_control = &control;
                m.msg_controllen = sizeof(control);
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
                memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        }
        return sendmsg(s->socket, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int serve(Serving *s, const WireImportRequest *request) {
        _cleanup_(fd_closep) int fd = -EBADF;
        WireImportAnswer a = { 0 };
        if (request->index >= s->files->n)
                a.result = -ENOENT;
        else if (request->what == WIRE_IMPORT_ENTRY) {
                const ImportFile *f = &s->files->items[request->index];
                a.path_length = (uint32_t) strlen(f->path);
                a.size_bytes = f->size_bytes;
                a.mtime_unix_sec = f->mtime_unix_sec;
                memcpy(a.path, f->path, a.path_length);
        } else if (request->what == WIRE_IMPORT_OPEN) {
                s->at = request->index;
                fd = import_files_open(s->files, request->index);
                a.result = fd < 0 ? fd : 0;
                tell_progress(s);
        } else
                a.result = -EINVAL;
        return answer(s, &a, fd);
}

static int on_request(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Serving *s = userdata;
        WireImportRequest request;
        ssize_t n = recv(fd, &request, sizeof(request), MSG_DONTWAIT);
        (void) events;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        /* The worker is done, or died: what came of it is in the daemon's answer. */
        if (n != (ssize_t) sizeof(request) || serve(s, &request) < 0)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* ---- The call -------------------------------------------------------------------------------------------------------- */

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Serving *s = userdata;
        uint32_t imported, recognised, failed;
        (void) ret_error;
        if (s->tells)
                fputs("\r\033[K", stderr);
        const sd_bus_error *error = sd_bus_message_get_error(m);
        int r = error ? -sd_bus_message_get_errno(m) : sd_bus_message_read(m, "uuu", &imported, &recognised, &failed);
        if (r < 0)
                s->exit_code = bus_client_report(error, r);
        else {
                printf("%" PRIu32 " files imported, %" PRIu32 " recognised", imported, recognised);
                if (failed > 0)
                        printf(", %" PRIu32 " not imported: 'berthctl log' says why", failed);
                puts(".");
                s->exit_code = failed > 0 ? CTL_FAILURE : CTL_OK;
        }
        return sd_event_exit(s->event, 0);
}

static int send_call(Serving *s, sd_bus *bus, const char *name, const char *source, const char *folder_id, int socket) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = bus_client_message(bus, DOCK_MANAGER_INTERFACE, "Import", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "sssh", name, source, folder_id, socket);
        /* It takes as long as it takes; the daemon watches over its worker. */
        return r < 0 ? r : sd_bus_call_async(bus, NULL, call, on_reply, s, UINT64_MAX);
}

static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Serving *s = userdata;
        const char *name, *before, *after;
        (void) ret_error;
        if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || *after)
                return 0;
        s->exit_code = ctl_fail(CTL_UNREACHABLE, "the daemon has ended; import the folder again when it runs: that goes on");
        return sd_event_exit(s->event, 0);
}

static int run(Serving *s, sd_bus *bus, const char *name, const char *source) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        char folder_id[128];
        int pair[2];
        int r = import_files_id(s->files, folder_id, sizeof(folder_id));
        if (r >= 0)
                r = sd_event_new(&event);
        if (r >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                r = -errno;
        if (r < 0)
                return r;
        s->event = event;
        s->socket = pair[0];
        r = sd_event_add_io(event, NULL, pair[0], EPOLLIN, on_request, s);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match(bus, NULL,
                                     "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" DOCK_BUS_NAME "'",
                                     on_gone, s);
        if (r >= 0)
                r = send_call(s, bus, name, source, folder_id, pair[1]);
        (void) close(pair[1]);
        if (r >= 0)
                r = sd_event_loop(event);
        (void) close(pair[0]);
        return r < 0 ? r : 0;
}

int verb_import(const Options *options) {
        _cleanup_(import_files_done) ImportFiles files = { .root = -EBADF };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(freep) char *source = NULL;
        Serving s = { .files = &files, .tells = isatty(STDERR_FILENO), .exit_code = CTL_FAILURE };
        if (options->n_args != 1)
                return ctl_fail(CTL_USAGE, "import takes one folder");
        source = realpath(options->args[0], NULL);
        if (!source)
                return ctl_fail(CTL_FAILURE, "'%s' cannot be opened: %s", options->args[0], strerror(errno));
        int exit_code = import_files_find(options, source, &files);
        if (exit_code != CTL_OK)
                return exit_code;
        if (files.n == 0) {
                puts("There is no footage in it.");
                return CTL_OK;
        }
        const char *slash = strrchr(source, '/');
        const char *name = options->import_name ? options->import_name : slash && slash[1] ? slash + 1 : "folder";
        exit_code = bus_client_open(options, &bus);
        if (exit_code != CTL_OK)
                return exit_code;
        int r = run(&s, bus, name, source);
        return r < 0 ? bus_client_report(NULL, r) : s.exit_code;
}
