/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/log.h"

#define BACKLOG 16

static int set_error(ConfError *error, int r, const char *what, const char *path) {
        (void) snprintf(error->text, sizeof(error->text), "%s: %s: %s", path, what, strerror(-r));
        return r;
}

static int take_handed_over(ConfError *error) {
        int n;

        n = sd_listen_fds(1);
        if (n <= 0)
                return n < 0 ? n : -ENOENT;
        if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0) {
                (void) snprintf(error->text, sizeof(error->text),
                                "%d descriptors were handed over, where one listening Unix stream socket was expected", n);
                return -EINVAL;
        }
        return SD_LISTEN_FDS_START;
}

/* Does somebody listen there? */
static bool is_alive(const struct sockaddr_un *address) {
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return false;
        return connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 || errno == EAGAIN;
}

/* bind() makes the file: with the mode that it is to have, from its first moment on. */
static int bind_with_mode(int fd, const struct sockaddr_un *address) {
        mode_t old = umask(0117);
        int r = bind(fd, (const struct sockaddr *) address, sizeof(*address)) < 0 ? -errno : 0;

        (void) umask(old);
        return r;
}

static int make_address(const char *path, const char *end, struct sockaddr_un *ret) {
        int n;

        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s%s", path, end);
        return n < 0 || (size_t) n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

int listen_open(const char *path, bool give, gid_t gid, bool *ret_own, ConfError *error) {
        _cleanup_(fd_closep) int fd = -EBADF;
        struct sockaddr_un address, temporary;
        int r;

        r = take_handed_over(error);
        if (r != -ENOENT) {
                *ret_own = false;
                return r;
        }
        if (make_address(path, "", &address) < 0 || make_address(path, ".new", &temporary) < 0)
                return set_error(error, -ENAMETOOLONG, "cannot be a socket", path);
        if (is_alive(&address))
                return set_error(error, -EADDRINUSE, "another berth-uplink listens there", path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return set_error(error, -errno, "no socket can be made", path);
        /* Made under another name and moved over what a killed process left, so that it is never half there. */
        if (unlink(temporary.sun_path) < 0 && errno != ENOENT)
                return set_error(error, -errno, "cannot be made anew", path);
        r = bind_with_mode(fd, &temporary);
        if (r < 0)
                return set_error(error, r, "cannot be made; is its folder there, and writable?", path);
        if (give && chown(temporary.sun_path, (uid_t) -1, gid) < 0)
                log_warning(NULL, "The socket %s cannot be given to the group of peer_user: %s", path, strerror(errno));
        if (listen(fd, BACKLOG) < 0 || rename(temporary.sun_path, path) < 0) {
                r = -errno;
                (void) unlink(temporary.sun_path);
                return set_error(error, r, "cannot be listened on", path);
        }
        *ret_own = true;
        return TAKE_FD(fd);
}
