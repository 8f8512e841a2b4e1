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

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_import.h"
#include "ctl/bus_client.h"
#include "ctl/import_files.h"
#include "ctl/job.h"

typedef struct Serving {
        const ImportFiles *files;
        int socket;
} Serving;

/* ---- Serving --------------------------------------------------------------------------------------------------------- */

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

static int serve(const Serving *s, const WireImportRequest *request) {
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
                fd = import_files_open(s->files, request->index);
                a.result = fd < 0 ? fd : 0;
        } else
                a.result = -EINVAL;
        return answer(s, &a, fd);
}

static int on_request(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        const Serving *s = userdata;
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

/* ---- The job --------------------------------------------------------------------------------------------------------- */

static int tell(void *userdata, const JobEnd *end) {
        uint64_t failed = job_end_number(end, "Failed");
        (void) userdata;
        printf("%" PRIu64 " files imported, %" PRIu64 " recognised", job_end_number(end, "Imported"), job_end_number(end, "Recognised"));
        if (failed > 0)
                printf(", %" PRIu64 " not imported: 'berthctl log' says why", failed);
        puts(".");
        return failed > 0 ? CTL_FAILURE : CTL_OK;
}

static int new_call(sd_bus *bus, const char *name, const char *source, const char *folder_id, int socket, sd_bus_message **ret) {
        int r = bus_client_message(bus, DOCK_MANAGER_INTERFACE, "Import", ret);
        return r < 0 ? r : sd_bus_message_append(*ret, "sssh", name, source, folder_id, socket);
}

static int run(const Options *options, Serving *s, sd_bus *bus, const char *name, const char *source) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(fd_closep) int theirs = -EBADF, ours = -EBADF;
        char folder_id[128];
        int pair[2];
        int r = import_files_id(s->files, folder_id, sizeof(folder_id));
        if (r >= 0)
                r = sd_event_new(&event);
        if (r >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                r = -errno;
        if (r < 0)
                return bus_client_report(NULL, r);
        s->socket = ours = pair[0];
        theirs = pair[1];
        r = sd_event_add_io(event, NULL, ours, EPOLLIN, on_request, s);
        if (r >= 0)
                r = new_call(bus, name, source, folder_id, theirs, &call);
        /* The call has one of its own. */
        theirs = fd_close(theirs);
        if (r < 0)
                return bus_client_report(NULL, r);
        return job_run(options, bus, &(JobOrder){ .call = call, .event = event, .tell = tell });
}

int verb_import(const Options *options) {
        _cleanup_(import_files_done) ImportFiles files = { .root = -EBADF };
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(freep) char *source = NULL;
        Serving s = { .files = &files };
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
        return run(options, &s, bus, name, source);
}
