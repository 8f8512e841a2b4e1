/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macro.h"

#define PATH_SIZE 128u

static int fail(const char *what) {
        int r = -errno;

        fprintf(stderr, "berth-sim: cannot %s: %s\n", what, strerror(-r));
        return r;
}

static int write_text(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? write(fd, text, strlen(text)) : -1;
        int r = n < 0 ? -errno : 0;

        if (fd >= 0)
                (void) close(fd);
        return r;
}

/* Root inside is the caller outside, and nobody else exists there. */
static int enter_user_namespace(void) {
        uid_t uid = geteuid();
        gid_t gid = getegid();
        char map[64];

        if (unshare(CLONE_NEWUSER) < 0)
                return fail("make a user namespace (run as root, or allow unprivileged user namespaces)");
        (void) write_text("/proc/self/setgroups", "deny");
        (void) snprintf(map, sizeof(map), "0 %u 1", uid);
        if (write_text("/proc/self/uid_map", map) < 0)
                return fail("map the user into the namespace");
        (void) snprintf(map, sizeof(map), "0 %u 1", gid);
        if (write_text("/proc/self/gid_map", map) < 0)
                return fail("map the group into the namespace");
        return 0;
}

static int bind_into(const char *stage, const char *name, bool directory) {
        char from[PATH_SIZE], to[PATH_SIZE];
        int fd;

        (void) snprintf(from, sizeof(from), "/dev/%s", name);
        (void) snprintf(to, sizeof(to), "%s/%s", stage, name);
        if (access(from, F_OK) < 0)
                return 0;
        if (directory) {
                (void) mkdir(to, 0755);
        } else {
                fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                if (fd < 0)
                        return fail("fill the new /dev");
                (void) close(fd);
        }
        return mount(from, to, NULL, MS_BIND | (directory ? MS_REC : 0), NULL) < 0 ? fail("fill the new /dev") : 0;
}

static int fill_dev(const char *stage) {
        static const char *const nodes[] = { "null", "zero", "full", "random", "urandom", "tty", "fuse" };
        static const char *const dirs[] = { "pts", "shm", "mqueue" };
        static const char *const links[][2] = {
                { "/proc/self/fd", "fd" },         { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
                { "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" },
        };
        char path[PATH_SIZE];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(nodes); i++)
                r = bind_into(stage, nodes[i], false);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(dirs); i++)
                r = bind_into(stage, dirs[i], true);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(links); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", stage, links[i][1]);
                if (symlink(links[i][0], path) < 0)
                        r = fail("fill the new /dev");
        }
        (void) snprintf(path, sizeof(path), "%s/bus", stage);
        (void) mkdir(path, 0755);
        (void) snprintf(path, sizeof(path), "%s/bus/usb", stage);
        (void) mkdir(path, 0755);
        return r;
}

/* Built aside, because its nodes are those of the old /dev. */
static int replace_dev(void) {
        char stage[] = "/tmp/berth-sim-dev-XXXXXX";
        int r;

        if (!mkdtemp(stage))
                return fail("make a folder in /tmp");
        if (mount("tmpfs", stage, "tmpfs", MS_NOSUID, "mode=755") < 0) {
                r = fail("mount a tmpfs");
                (void) rmdir(stage);
                return r;
        }
        r = fill_dev(stage);
        if (r >= 0 && mount(stage, "/dev", NULL, MS_BIND | MS_REC, NULL) < 0)
                r = fail("mount the new /dev");
        (void) umount2(stage, MNT_DETACH);
        (void) rmdir(stage);
        return r;
}

static int raise_loopback(void) {
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int r = 0;

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
                r = fail("bring up lo");
        if (fd >= 0)
                (void) close(fd);
        return r;
}

int namespace_enter(void) {
        int r = geteuid() == 0 ? 0 : enter_user_namespace();

        if (r < 0)
                return r;
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
                return fail("make a mount and a network namespace");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return fail("keep mounts to itself");
        r = replace_dev();
        if (r < 0)
                return r;
        if (mount("tmpfs", "/sys", "tmpfs", MS_NOSUID, "mode=755") < 0)
                return fail("mount the new /sys");
        if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID, "mode=755") < 0)
                return fail("mount the new /run");
        return raise_loopback();
}
