/* SPDX-License-Identifier: Apache-2.0 */

/* berth-sim: runs a command in a namespace whose USB bus is simulated. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "sim/bus.h"
#include "sim/control.h"
#include "sim/namespace.h"
#include "sim/sysfs.h"
#include "sim/uevent.h"
#include "sim/usbfs.h"

#define EXIT_TROUBLE 125 /* the simulator failed, not the command */
#define USB_MOUNT "/dev/bus/usb"
#define SOCKET_DIR "/run/berth-sim"
#define SOCKET_PATH SOCKET_DIR "/control"
#define HUBS_DEFAULT "1-1:7,1-2:7"

typedef struct Options {
        const char *hubs;
        const char *script;
        const char *socket;
} Options;

static void usage(FILE *out) {
        fputs("Usage: berth-sim [OPTION…] -- COMMAND [ARGUMENT…]\n"
              "       berth-sim ctl JSON\n"
              "\n"
              "Runs COMMAND in a namespace with a simulated USB bus and ends with its exit code.\n"
              "\n"
              "      --hubs LIST              hubs as PORT-PATH:PORTS, outer ones first (default " HUBS_DEFAULT ")\n"
              "      --script FILE            control commands, one JSON object a line, run before COMMAND\n"
              "      --socket PATH            a control socket for programs outside of the namespace too\n"
              "      --usbfs-memory-mb N      memory for all URBs together (default 16 as in Linux, 0: no limit)\n"
              "      --no-port-files          ports have no `disable` file, as before Linux 6.0: only the hub's requests switch them\n"
              "      --old-controller         no scatter-gather: large transfers come as continued URBs\n"
              "      --kernel-events          events as the kernel sends them, for a udevd that COMMAND starts\n"
              "  -h, --help                   show this help\n"
              "\n"
              "COMMAND finds the control socket in $BERTH_SIM_SOCKET; `berth-sim ctl` sends one command to it.\n",
              out);
}

static int parse_memory(const char *text) {
        char *end;
        unsigned long n = strtoul(text, &end, 10);

        if (*text < '0' || *text > '9' || *end != '\0' || n > 2047)
                return -EINVAL;
        urb_memory_limit = n * MIB;
        return 0;
}

/* 0, 1: help was asked for, or -EINVAL. */
static int parse_options(int argc, char **argv, Options *ret) {
        enum { OPTION_HUBS = 256, OPTION_SCRIPT, OPTION_SOCKET, OPTION_MEMORY, OPTION_OLD, OPTION_NO_FILES, OPTION_KERNEL };
        static const struct option options[] = {
                { "hubs", required_argument, NULL, OPTION_HUBS },
                { "script", required_argument, NULL, OPTION_SCRIPT },
                { "socket", required_argument, NULL, OPTION_SOCKET },
                { "usbfs-memory-mb", required_argument, NULL, OPTION_MEMORY },
                { "no-port-files", no_argument, NULL, OPTION_NO_FILES },
                { "old-controller", no_argument, NULL, OPTION_OLD },
                { "kernel-events", no_argument, NULL, OPTION_KERNEL },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0)
                switch (c) {
                case OPTION_HUBS:
                        ret->hubs = optarg;
                        break;
                case OPTION_SCRIPT:
                        ret->script = optarg;
                        break;
                case OPTION_SOCKET:
                        ret->socket = optarg;
                        break;
                case OPTION_MEMORY:
                        if (parse_memory(optarg) < 0) {
                                fprintf(stderr,
                                        "berth-sim: --usbfs-memory-mb takes a number from 0 to 2047, not \"%s\".\n",
                                        optarg);
                                return -EINVAL;
                        }
                        break;
                case OPTION_NO_FILES:
                        sysfs_no_port_files = true;
                        break;
                case OPTION_OLD:
                        usbfs_old_controller = true;
                        break;
                case OPTION_KERNEL:
                        uevent_from_kernel = true;
                        break;
                case 'h':
                        return 1;
                default:
                        return -EINVAL;
                }
        return 0;
}

/* The child waits for one byte, so that it exists before any thread and starts after the script. */
static pid_t prepare_command(char **argv, int *ret_go) {
        pid_t parent = getpid(), pid;
        int fds[2];
        sigset_t none;
        char byte;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid > 0) {
                (void) close(fds[0]);
                *ret_go = fds[1];
                return pid;
        }
        (void) close(fds[1]);
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent || read(fds[0], &byte, 1) != 1)
                _exit(EXIT_TROUBLE);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        (void) execvp(argv[0], argv);
        fprintf(stderr, "berth-sim: cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
}

static int write_memory_parameter(void) {
        FILE *f = fopen("/sys/module/usbcore/parameters/usbfs_memory_mb", "we");

        if (!f)
                return -errno;
        fprintf(f, "%llu\n", (unsigned long long) (urb_memory_limit / MIB));
        return fclose(f) == 0 ? 0 : -errno;
}

/* Brings up the bus with its hubs, and nothing plugged in. */
static int start_bus(const Options *options) {
        char why[512];
        int r;

        r = uevent_open();
        if (r >= 0)
                r = sysfs_start();
        if (r >= 0)
                r = write_memory_parameter();
        if (r >= 0)
                r = sim_timers_start();
        if (r >= 0)
                r = usbfs_start(USB_MOUNT);
        if (r >= 0)
                sysfs_serve_probe();
        if (r < 0) {
                fprintf(stderr, "berth-sim: cannot start the bus: %s\n", strerror(-r));
                return r;
        }
        r = hubs_create(options->hubs, why, sizeof(why));
        if (r < 0) {
                fprintf(stderr, "berth-sim: --hubs: %s\n", why);
                return r;
        }
        pthread_mutex_lock(&topology_lock);
        topology_settle();
        pthread_mutex_unlock(&topology_lock);
        return 0;
}

static int start_control(const Options *options, FILE *script, int outside_fd) {
        int fd, r;

        (void) mkdir(SOCKET_DIR, 0755);
        fd = control_listen(SOCKET_PATH);
        r = fd < 0 ? fd : control_serve(fd);
        if (r >= 0 && outside_fd >= 0)
                r = control_serve(outside_fd);
        if (r < 0) {
                fprintf(stderr, "berth-sim: cannot serve the control socket: %s\n", strerror(-r));
                return r;
        }
        return script ? control_run_script(script, options->script) : 0;
}

static int status_code(int status) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Signals that would end us go to the command; its end is ours. */
static int wait_for(pid_t pid, const sigset_t *signals) {
        siginfo_t info;
        int status;

        for (;;) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        return status_code(status);
                if (sigwaitinfo(signals, &info) > 0 && info.si_signo != SIGCHLD)
                        (void) kill(pid, info.si_signo);
        }
}

static void block_signals(sigset_t *ret) {
        sigemptyset(ret);
        sigaddset(ret, SIGCHLD);
        sigaddset(ret, SIGTERM);
        sigaddset(ret, SIGINT);
        sigaddset(ret, SIGHUP);
        sigprocmask(SIG_BLOCK, ret, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

/* Opened before the namespace hides where it lies; its folder is kept to unlink it at the end. */
static int open_outside(const char *path, int *ret_dir, char *ret_name, size_t name_size) {
        _cleanup_(freep) char *for_dir = strdup(path), *for_name = strdup(path);
        int fd;

        if (!for_dir || !for_name)
                return -ENOMEM;
        (void) snprintf(ret_name, name_size, "%s", basename(for_name));
        *ret_dir = open(dirname(for_dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd = control_listen(path);
        if (fd < 0)
                fprintf(stderr, "berth-sim: cannot make the socket %s: %s\n", path, strerror(-fd));
        return fd;
}

static void close_script(FILE **script) {
        if (*script)
                (void) fclose(*script);
}

static int run(const Options *options, char **argv) {
        int outside_fd = -1, outside_dir = -1, go = -1, code = EXIT_TROUBLE;
        char outside_name[256] = "";
        _cleanup_(close_script) FILE *script = NULL;
        sigset_t signals;
        pid_t pid;

        if (options->script && !(script = fopen(options->script, "re"))) {
                fprintf(stderr, "berth-sim: cannot open %s: %s\n", options->script, strerror(errno));
                return EXIT_TROUBLE;
        }
        if (options->socket
            && (outside_fd = open_outside(options->socket, &outside_dir, outside_name, sizeof(outside_name))) < 0)
                return EXIT_TROUBLE;
        block_signals(&signals);
        if (namespace_enter() >= 0) {
                setenv("BERTH_SIM_SOCKET", SOCKET_PATH, 1);
                /* /sys is a tmpfs here, and libudev would believe none of it. */
                setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1);
                pid = prepare_command(argv, &go);
                if (pid > 0 && start_bus(options) >= 0 && start_control(options, script, outside_fd) >= 0
                    && write(go, "", 1) == 1)
                        code = wait_for(pid, &signals);
        }
        if (outside_dir >= 0)
                (void) unlinkat(outside_dir, outside_name, 0);
        return code;
}

int main(int argc, char **argv) {
        Options options = { .hubs = HUBS_DEFAULT };
        int r;

        if (argc >= 2 && strcmp(argv[1], "ctl") == 0) {
                if (argc == 3)
                        return control_client(argv[2]);
                usage(stderr);
                return 2;
        }
        r = parse_options(argc, argv, &options);
        if (r != 0 || optind >= argc) {
                usage(r > 0 ? stdout : stderr);
                return r > 0 ? 0 : 2;
        }
        /* Large buffers come and go with each URB: keep them mapped. */
        (void) mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
        (void) mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
        r = run(&options, argv + optind);
        /*
         * Nobody mounts a file that we serve ourselves while we end: its thread would wait for an answer that cannot come, and as long as
         * it waits, the kernel keeps open what would tell it so. The lock is kept.
         */
        pthread_mutex_lock(&topology_lock);
        /* Threads are still serving: exit handlers would take things away from under them, or wait for them. */
        _exit(r);
}
