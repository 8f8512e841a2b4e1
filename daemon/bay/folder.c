/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_import.h"
#include "bay/host.h"

#define READ_SIZE (1024u * 1024u)
/* A reader that cannot give some bytes is asked for pieces of this size, to know which. */
#define PIECE_SIZE 4096u

typedef struct Folder {
        berth_host *host;
        int fd;
        uint8_t buffer[READ_SIZE];
} Folder;

static int folder_open(berth_host *host, const char *const *options, void **ret_state) {
        Folder *f = calloc(1, sizeof(*f));

        (void) options;
        if (!f)
                return -ENOMEM;
        f->host = host;
        f->fd = host->usb_fd;
        *ret_state = f;
        return 0;
}

static void folder_close(void *state) {
        free(state);
}

static int folder_identify(void *state, berth_identity *ret) {
        (void) state;
        (void) snprintf(ret->model, sizeof(ret->model), "folder");
        return 0;
}

/* A descriptor that nobody asked for, or more than one, is not kept. */
static void take_descriptor(struct msghdr *message, int *ret_fd) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t n = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (ret_fd && *ret_fd < 0)
                                *ret_fd = fd;
                        else
                                (void) close(fd);
                }
        }
}

/* Asks and waits. berthd's deadlines end a worker that waits too long. */
static int ask(const Folder *f, uint32_t what, uint32_t index, WireImportAnswer *ret, int *ret_fd) {
        const WireImportRequest request = { what, index };
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        struct iovec to = { (void *) &request, sizeof(request) }, from = { ret, sizeof(*ret) };
        struct msghdr out = { .msg_iov = &to, .msg_iovlen = 1 };
        struct msghdr in = { .msg_iov = &from, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        ssize_t n;

        do
                n = sendmsg(f->fd, &out, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -ENODEV;
        *ret = (WireImportAnswer){ 0 };
        do
                n = recvmsg(f->fd, &in, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0 || n == 0)
                return -ENODEV;
        take_descriptor(&in, ret_fd);
        if ((size_t) n < offsetof(WireImportAnswer, path) || ret->path_length >= BERTH_PATH_MAX ||
            (size_t) n != offsetof(WireImportAnswer, path) + ret->path_length || (in.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
                return -EPROTO;
        ret->path[ret->path_length] = 0;
        return ret->result > 0 ? -EPROTO : ret->result;
}

static int folder_list(void *state) {
        Folder *f = state;
        WireImportAnswer a;
        int r;

        for (uint32_t i = 0; (r = ask(f, WIRE_IMPORT_ENTRY, i, &a, NULL)) == 0; i++) {
                const berth_clip clip = {
                        .struct_size = sizeof(clip),
                        .path = a.path,
                        .size_bytes = a.size_bytes,
                        .mtime_unix_sec = a.mtime_unix_sec,
                        .handle = i,
                };

                r = berth_host_clip(f->host, &clip);
                if (r < 0)
                        return r;
        }
        return r == -ENOENT ? 0 : r;
}

/* Which bytes the reader does not give, by pieces; then the worker leaves this file alone. */
static int unreadable(Folder *f, int fd, uint64_t offset, size_t size, int error) {
        for (size_t at = 0; at < size; at += PIECE_SIZE) {
                size_t n = MIN2(size - at, (size_t) PIECE_SIZE);

                berth_host_alive(f->host);
                if (fd_pread_full(fd, f->buffer, n, offset + at) < 0)
                        berth_host_unreadable(f->host, offset + at, n);
        }
        berth_host_log(f->host, BERTH_LOG_WARNING, "the file cannot be read: %s", strerror(-error));
        return -EIO;
}

static int deliver(Folder *f, int fd, uint64_t offset, uint64_t length) {
        while (length > 0) {
                size_t n = (size_t) MIN2(length, (uint64_t) READ_SIZE);
                int r;

                r = fd_pread_full(fd, f->buffer, n, offset);
                if (r == -EIO)
                        return unreadable(f, fd, offset, n, r);
                if (r >= 0)
                        r = berth_host_deliver(f->host, f->buffer, n);
                if (r < 0)
                        return r;
                offset += n;
                length -= n;
        }
        return 0;
}

static int folder_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        _cleanup_(fd_closep) int fd = -EBADF;
        Folder *f = state;
        WireImportAnswer a;
        struct stat st;
        int r;

        r = ask(f, WIRE_IMPORT_OPEN, (uint32_t) clip->handle, &a, &fd);
        if (r < 0) {
                berth_host_log(f->host, BERTH_LOG_WARNING, "the file cannot be opened: %s", strerror(-r));
                return r == -ENOENT ? BERTH_GONE : r == -EACCES || r == -EPERM ? BERTH_GONE : r;
        }
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return -EPROTO;
        if ((uint64_t) st.st_size != clip->size_bytes || (int64_t) st.st_mtim.tv_sec != clip->mtime_unix_sec) {
                berth_host_log(f->host, BERTH_LOG_WARNING, "the file changed since it was listed");
                return BERTH_GONE;
        }
        return deliver(f, fd, offset, length);
}

const berth_plugin folder_plugin = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "folder",
        .version = BERTH_VERSION,
        .open = folder_open,
        .close = folder_close,
        .identify = folder_identify,
        .list = folder_list,
        .read = folder_read,
};
