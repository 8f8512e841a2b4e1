/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker_process.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wire_flash.h"

/* Above every number that the child has descriptors under. */
#define CHILD_FDS_END 10

/* ---- The node ---- */

int worker_process_check_node(int node_fd, const char *bay) {
        struct usbdevfs_conninfo_ex info = {};
        char path[64];
        int n;

        if (ioctl(node_fd, USBDEVFS_CONNINFO_EX(sizeof(info)), &info) < 0)
                return -errno;
        if (info.num_ports == 0 || info.num_ports > sizeof(info.ports))
                return -ENODEV;
        n = snprintf(path, sizeof(path), "%u-%u", info.busnum, info.ports[0]);
        for (unsigned i = 1; i < info.num_ports; i++)
                n += snprintf(path + n, sizeof(path) - (size_t) n, ".%u", info.ports[i]);
        return text_equal(path, bay) ? 0 : -ENODEV;
}

/* usbfs gives the numbers of the device descriptor in the machine's order, sysfs as the device sent them: low byte first. */
static void device_descriptor_to_wire(uint8_t *p) {
        static const size_t numbers[] = { 2, 8, 10, 12 };

        for (size_t i = 0; htole16(1) != 1 && i < ELEMENTSOF(numbers); i++) {
                uint8_t high = p[numbers[i]];

                p[numbers[i]] = p[numbers[i] + 1];
                p[numbers[i] + 1] = high;
        }
}

/* Between the look at sysfs and this open another device may have come, or the same one with another face. */
static int compare_descriptors(int fd, const WorkerConfig *config) {
        _cleanup_(freep) uint8_t *now = calloc(1, config->n_descriptors + 1);
        size_t n = 0;

        if (!now)
                return -ENOMEM;
        while (n <= config->n_descriptors) {
                ssize_t k = pread(fd, now + n, config->n_descriptors + 1 - n, (off_t) n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return errno == ENODEV ? -ENODEV : -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        if (n != config->n_descriptors || n < 18)
                return -ESTALE;
        device_descriptor_to_wire(now);
        return memcmp(now, config->descriptors, n) == 0 ? 0 : -ESTALE;
}

static int open_node(const WorkerConfig *config, int *ret) {
        _cleanup_(fd_closep) int fd = -EBADF;
        int r;

        /* Anew for each worker: claims and transfers belong to the open file. */
        fd = open(config->node_path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT || errno == ENXIO ? -ENODEV : -errno;
        /* The number of a node is given to another device when this one is gone. */
        r = (config->check_node ?: worker_process_check_node)(fd, config->bay);
        if (r >= 0 && config->descriptors)
                r = compare_descriptors(fd, config);
        if (r < 0)
                return r;
        *ret = TAKE_FD(fd);
        return 0;
}

/* ---- Spawning ---- */

typedef struct ChildFds {
        int bus, log, usb, incoming, image; /* image: negative when there is none */
        int holds[WIRE_FLASH_HOLDS_MAX];
        size_t n_holds;
} ChildFds;

static void child_fds_close(ChildFds *c) {
        fd_close(c->bus);
        fd_close(c->log);
        fd_close(c->usb);
        fd_close(c->incoming);
        fd_close(c->image);
        for (size_t i = 0; i < c->n_holds; i++)
                fd_close(c->holds[i]);
}

/* Moves a descriptor out of the way of the child's fixed numbers; takes `fd`. */
static int move_up(int fd) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_FDS_END);
        int r = moved < 0 ? -errno : moved;

        fd_close(fd);
        return r;
}

/* Of a worker that flashes: nobody to talk to, and nobody whose standing still may stop it. */
static int make_flasher_fds(int image_fd, const int *hold_fds, size_t n, ChildFds *child) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        child->bus = null < 0 ? -errno : move_up(null);
        if (child->bus < 0)
                return child->bus;
        child->image = fcntl(image_fd, F_DUPFD_CLOEXEC, CHILD_FDS_END);
        for (size_t i = 0; i < n && i < WIRE_FLASH_HOLDS_MAX; i++) {
                int fd = fcntl(hold_fds[i], F_DUPFD_CLOEXEC, CHILD_FDS_END);

                if (fd < 0)
                        return -errno;
                child->holds[child->n_holds++] = fd;
        }
        return child->image < 0 || fcntl(child->log, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_bus(ChildFds *child, WorkerProcess *parent) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        parent->bus_fd = pair[0];
        child->bus = move_up(pair[1]);
        return child->bus < 0 ? child->bus : 0;
}

static int make_fds(const WorkerConfig *config, ChildFds *child, WorkerProcess *parent) {
        int pair[2], node = -EBADF, r;

        if (config->plugin_path)
                r = open_node(config, &node);
        else
                r = node = fcntl(config->source_fd, F_DUPFD_CLOEXEC, 0);
        if (r < 0)
                return config->plugin_path ? r : -errno;
        child->usb = move_up(node);
        if (child->usb < 0)
                return child->usb;
        child->incoming = fcntl(config->incoming_fd, F_DUPFD_CLOEXEC, CHILD_FDS_END);
        if (child->incoming < 0)
                return -errno;
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        parent->log_fd = pair[0];
        child->log = move_up(pair[1]);
        if (child->log < 0)
                return child->log;
        return fcntl(parent->log_fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int describe_fds(const ChildFds *c, posix_spawn_file_actions_t *a) {
        int end = c->image >= 0 ? WIRE_FLASH_FD_HOLD + (int) c->n_holds : WIRE_BAY_FD_INCOMING + 1;
        int r;

        r = posix_spawn_file_actions_adddup2(a, c->bus, WIRE_BAY_FD_BUS);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(a, c->log, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(a, c->log, STDERR_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(a, c->usb, WIRE_BAY_FD_USB);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(a, c->incoming, WIRE_BAY_FD_INCOMING);
        if (r == 0 && c->image >= 0)
                r = posix_spawn_file_actions_adddup2(a, c->image, WIRE_FLASH_FD_IMAGE);
        for (size_t i = 0; i < c->n_holds && r == 0; i++)
                r = posix_spawn_file_actions_adddup2(a, c->holds[i], WIRE_FLASH_FD_HOLD + (int) i);
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(a, end);
        return -r;
}

static int describe_signals(posix_spawnattr_t *a) {
        sigset_t all, none;
        int r;

        sigfillset(&all);
        sigemptyset(&none);
        r = posix_spawnattr_setsigmask(a, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(a, &all);
        /* A session of its own: the terminal's interrupt is for berthd, which then ends its workers. */
        if (r == 0)
                r = posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
        return -r;
}

static int spawn(const char *executable, char *const argv[], const ChildFds *child, pid_t *ret) {
        char *const environment[] = { CRASH_POINT_ENVIRONMENT, NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        r = describe_fds(child, &actions);
        if (r >= 0)
                r = describe_signals(&attributes);
        if (r >= 0)
                r = -posix_spawn(ret, executable, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

/* `image_fd` is negative for one that does not flash. */
static int spawn_with(const WorkerConfig *config, int image_fd, const int *hold_fds, size_t n_hold_fds, char *const argv[],
                      WorkerProcess *ret) {
        _cleanup_(child_fds_close) ChildFds child = { .bus = -EBADF, .log = -EBADF, .usb = -EBADF, .incoming = -EBADF, .image = -EBADF };
        WorkerProcess p = { .pidfd = -EBADF, .bus_fd = -EBADF, .log_fd = -EBADF };
        int r;

        r = make_fds(config, &child, &p);
        if (r >= 0)
                r = image_fd >= 0 ? make_flasher_fds(image_fd, hold_fds, n_hold_fds, &child) : make_bus(&child, &p);
        if (r >= 0)
                r = spawn(config->executable, argv, &child, &p.pid);
        if (r >= 0) {
                /* Not reaped yet, so the number is still its own. */
                p.pidfd = pidfd_open(p.pid, 0);
                if (p.pidfd < 0) {
                        r = -errno;
                        (void) kill(p.pid, SIGKILL);
                        (void) waitpid(p.pid, NULL, 0);
                }
        }
        if (r < 0) {
                fd_close(p.bus_fd);
                fd_close(p.log_fd);
                return r;
        }
        *ret = p;
        return 0;
}

int worker_process_spawn(const WorkerConfig *config, WorkerProcess *ret) {
        char *const argv[] = { (char *) config->executable, (char *) (config->plugin_path ? "--plugin" : "--folder"),
                               (char *) config->plugin_path, NULL };

        return spawn_with(config, -EBADF, NULL, 0, argv, ret);
}

int worker_process_spawn_flasher(const WorkerConfig *config, int image_fd, const int *hold_fds, size_t n_hold_fds, char *const argv[],
                                 WorkerProcess *ret) {
        return spawn_with(config, image_fd, hold_fds, n_hold_fds, argv, ret);
}

/* ---- Ending ---- */

void worker_process_kill(const WorkerProcess *p) {
        if (p->pidfd >= 0)
                (void) pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
}

int worker_process_reap(const WorkerProcess *p, siginfo_t *ret) {
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) p->pidfd, &info, WEXITED | WNOHANG) < 0)
                return -errno;
        if (info.si_pid == 0)
                return -EAGAIN;
        *ret = info;
        return 0;
}

void worker_process_describe(const siginfo_t *info, char *ret, size_t size) {
        if (info->si_code == CLD_EXITED)
                (void) snprintf(ret, size, "the worker ended by itself with status %d", info->si_status);
        else if (info->si_status == SIGSYS)
                (void) snprintf(ret, size, "the worker was ended by its sandbox: it tried a system call that no worker may do");
        else
                (void) snprintf(ret, size, "the worker was ended by signal %d (%s)", info->si_status,
                                sigdescr_np(info->si_status) ?: "unknown");
}

typedef struct Reaper {
        WorkerProcess process;
} Reaper;

static int on_reapable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Reaper *reaper = userdata;
        siginfo_t info;

        (void) fd;
        (void) revents;
        if (worker_process_reap(&reaper->process, &info) == -EAGAIN)
                return 0;
        /* The loop lets go of it, and nobody else holds it. */
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        (void) sd_event_source_set_floating(source, false);
        return 0;
}

static void reaper_free(void *userdata) {
        Reaper *reaper = userdata;

        fd_close(reaper->process.pidfd);
        free(reaper);
}

void worker_process_abandon(sd_event *event, WorkerProcess *p) {
        sd_event_source *source = NULL;
        Reaper *reaper;

        if (p->pidfd < 0)
                return;
        worker_process_kill(p);
        reaper = malloc(sizeof(Reaper));
        if (reaper) {
                *reaper = (Reaper){ .process = *p };
                if (sd_event_add_io(event, &source, p->pidfd, EPOLLIN, on_reapable, reaper) >= 0) {
                        (void) sd_event_source_set_destroy_callback(source, reaper_free);
                        /* The loop's own from now on: one that ends first takes it along. */
                        (void) sd_event_source_set_floating(source, true);
                        sd_event_source_unref(source);
                        p->pidfd = -EBADF;
                        return;
                }
                free(reaper);
        }
        /* Out of memory: the process is killed, and its entry stays until berthd ends. */
        p->pidfd = fd_close(p->pidfd);
}
