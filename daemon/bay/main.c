/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "bay/bus.h"
#include "bay/flash.h"
#include "bay/folder.h"
#include "bay/sandbox.h"
#include "bay/zone.h"

/* EX_USAGE of sysexits.h */
#define EXIT_USAGE 64

static void usage(FILE *to) {
        (void) fprintf(to, "berth-bay --plugin FILE | --folder\n"
                           "berth-bay --plugin FILE --flash NAME --until USEC --size BYTES --sha256 HEX [--file PATH [--restart]]\n"
                           "          [--option KEY=VALUE]...\n\n"
                           "The worker of one docked camera. berthd starts it with its connection as descriptor 0, the\n"
                           "camera's USB node as 3 and the folder for footage as 4; it is of no use otherwise.\n\n"
                           "  --plugin FILE  the camera plugin\n"
                           "  --folder       descriptor 3 is no camera, but a socket over which berthctl serves a folder\n"
                           "  --flash NAME   give the camera the image that is descriptor 5, and write how that went to NAME there\n"
                           "  --until USEC   the end of that, CLOCK_BOOTTIME\n"
                           "  --file PATH    as a file on its storage\n"
                           "  --restart      and have it restart then\n"
                           "  --version      print the version\n"
                           "  --help         print this\n");
}

#define FOLDER ""

#define OPTIONS_MAX 64u

/* What is flashed, when something is: `outcome` is NULL when nothing is. */
static FlashOrder flash_order;
static const char *flash_options[OPTIONS_MAX + 1];

/* false: no option of a flash, or a wrong one. */
static bool parse_flash(int c, const char *value) {
        static size_t n;
        char *end = NULL;

        flash_order.options = flash_options;
        switch (c) {
        case 'F':
                flash_order.outcome = value;
                return *value && !strchr(value, '/');
        case 'u':
                flash_order.deadline_usec = strtoull(value, &end, 10);
                return *value && !*end;
        case 's':
                flash_order.size_bytes = strtoull(value, &end, 10);
                return *value && !*end;
        case 'h':
                flash_order.sha256 = value;
                return true;
        case 'i':
                flash_order.file = value;
                return *value != 0;
        case 'r':
                flash_order.restart = true;
                return true;
        case 'o':
                if (n == OPTIONS_MAX)
                        return false;
                flash_options[n++] = value;
                return true;
        default:
                return false;
        }
}

/* The plugin's path, FOLDER for that, or NULL after filling *ret_status. */
static const char *parse_arguments(int argc, char **argv, int *ret_status) {
        static const struct option options[] = {
                { "plugin", required_argument, NULL, 'p' },
                { "folder", no_argument, NULL, 'f' },
                { "flash", required_argument, NULL, 'F' },
                { "until", required_argument, NULL, 'u' },
                { "size", required_argument, NULL, 's' },
                { "sha256", required_argument, NULL, 'h' },
                { "file", required_argument, NULL, 'i' },
                { "restart", no_argument, NULL, 'r' },
                { "option", required_argument, NULL, 'o' },
                { "version", no_argument, NULL, 'v' },
                { "help", no_argument, NULL, '?' + 256 },
                {},
        };
        const char *plugin = NULL;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'p':
                        plugin = optarg;
                        break;
                case 'f':
                        plugin = FOLDER;
                        break;
                case 'v':
                        (void) printf("berth-bay %s\n", BERTH_VERSION);
                        *ret_status = EXIT_SUCCESS;
                        return NULL;
                case '?' + 256:
                        usage(stdout);
                        *ret_status = EXIT_SUCCESS;
                        return NULL;
                default:
                        if (parse_flash(c, optarg))
                                break;
                        *ret_status = EXIT_USAGE;
                        return NULL;
                }
        if (!plugin || optind < argc || (flash_order.outcome && (!plugin[0] || !flash_order.sha256 || !flash_order.deadline_usec))) {
                usage(stderr);
                *ret_status = EXIT_USAGE;
                return NULL;
        }
        return plugin;
}

/* Ends with berthd, even when berthd died before this was said: then the parent is not the socket's other end any more. */
static int follow_parent(void) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        if (getsockopt(WIRE_BAY_FD_BUS, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        return peer.pid == getppid() ? 0 : -ESRCH;
}

static int serve(const char *plugin_path) {
        _cleanup_(bus_freep) Bus *bus = NULL;
        Plugin plugin = {};
        Session session;
        Fault unusable;
        Digest digest;
        int r;

        r = bus_new(WIRE_BAY_FD_BUS, &bus);
        /* libcrypto reads its configuration at the first use, which the sandbox would not let it. */
        if (r >= 0)
                r = digest_of("", 0, &digest);
        if (r < 0) {
                log_error(NULL, "cannot serve berthd: %s", strerror(-r));
                return r;
        }
        zone_prepare();
        r = sandbox_prepare(&unusable);
        if (r >= 0)
                r = plugin_path[0] ? plugin_load(plugin_path, &plugin, &unusable)
                                   : plugin_check("folder", &folder_plugin, &plugin, &unusable);
        if (r >= 0)
                r = sandbox_enter(&(SandboxFds){ .incoming = WIRE_BAY_FD_INCOMING, .bus = WIRE_BAY_FD_BUS, .source = WIRE_BAY_FD_USB,
                                                 .source_is_socket = !plugin_path[0] }, &unusable);
        session_init(&session, &plugin, WIRE_BAY_FD_USB, WIRE_BAY_FD_INCOMING);
        return bus_run(bus, &session, r < 0 ? &unusable : NULL);
}

int main(int argc, char **argv) {
        const char *plugin;
        int status, r;

        log_init("berth-bay");
        plugin = parse_arguments(argc, argv, &status);
        if (!plugin)
                return status;
        if (fcntl(WIRE_BAY_FD_USB, F_GETFD) < 0 || fcntl(WIRE_BAY_FD_INCOMING, F_GETFD) < 0) {
                log_error(NULL, "berthd starts this program with descriptors 0, %d and %d open", WIRE_BAY_FD_USB, WIRE_BAY_FD_INCOMING);
                return EXIT_USAGE;
        }
        if (flash_order.outcome)
                return flash_run(plugin, &flash_order);
        r = follow_parent();
        if (r < 0) {
                log_error(NULL, "not started by berthd, or it has ended: %s", strerror(-r));
                return EXIT_FAILURE;
        }
        return serve(plugin) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
