/* SPDX-License-Identifier: Apache-2.0 */

/* berth-uplink: takes clips from berthd and puts them into the store. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/log.h"
#include "uplink/connection.h"
#include "uplink/dir.h"
#include "uplink/s3.h"
#include "uplink/schedule.h"
#include "uplink/settings.h"
#include "uplink/tus.h"

#define CONFIG_FILE "/etc/berth/uplink.conf"
/* How long cancelled transfers may take to clear up. Threads that a hanging mount holds end with the process. */
#define STOP_USEC (5 * USEC_PER_SEC)

typedef struct Program {
        sd_event *event;
        Server *server;
        Backend *backend;
        Probe *probe;
        Pace *pace;
        Transfers *transfers;
        Schedule *schedule;
        bool open, stopping;
} Program;

typedef struct Arguments {
        const char *config;
        bool check, show, create_store;
} Arguments;

static void usage(FILE *out) {
        fputs("Usage: berth-uplink [--config FILE] [--check | --show | --create-store]\n\n"
              "Puts a dock's clips into the store.\n\n"
              "  --config FILE    the configuration (default " CONFIG_FILE ")\n"
              "  --check          read the configuration, say what is wrong with it, and end\n"
              "  --show           read it, print it as JSON with where each setting is from, and end\n"
              "  --create-store   make the configured folder the store, although it is empty or holds another one than before, and end\n"
              "  --version\n"
              "  --help\n",
              out);
}

/* 0: go on; else the exit status + 1. */
static int parse_arguments(int argc, char **argv, Arguments *ret) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "check", no_argument, NULL, 'k' },
                { "show", no_argument, NULL, 'S' },
                { "create-store", no_argument, NULL, 's' },
                { "version", no_argument, NULL, 'v' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "c:h", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        ret->config = optarg;
                        break;
                case 'k':
                        ret->check = true;
                        break;
                case 'S':
                        ret->show = true;
                        break;
                case 's':
                        ret->create_store = true;
                        break;
                case 'v':
                        puts("berth-uplink " BERTH_VERSION);
                        return 1;
                case 'h':
                        usage(stdout);
                        return 1;
                default:
                        usage(stderr);
                        return 3;
                }
        if (optind < argc) {
                fprintf(stderr, "berth-uplink takes no argument '%s'\n", argv[optind]);
                return 3;
        }
        return 0;
}

/* ---- Running ------------------------------------------------------------------------------------------------------- */

static void on_state(void *userdata) {
        Program *p = userdata;
        const char *text, *state = probe_state(p->probe, &text);
        int r;

        (void) sd_notifyf(false, "STATUS=The store is %s%s%s", state, *text ? ": " : "", text);
        /* Nobody is served before the first look, so that nobody hears of a trouble that is none. */
        if (!p->open) {
                p->open = true;
                r = server_open(p->server, p->transfers, p->probe);
                if (r < 0) {
                        log_error(NULL, "The socket cannot be watched: %s", strerror(-r));
                        (void) sd_event_exit(p->event, r);
                }
                return;
        }
        if (!probe_is_ready(p->probe))
                transfers_fail_waiting(p->transfers);
        server_tell_state(p->server);
}

static void on_schedule(void *userdata, const char *text) {
        Program *p = userdata;

        if (text)
                log_info(NULL, "Nothing is sent now: %s", text);
        else
                log_info(NULL, "The schedule allows uploads again");
        /* They hear why before they hear that they were stopped. */
        server_set_pause(p->server, text);
        transfers_hold(p->transfers, TRANSFER_HOLD_SCHEDULE, text != NULL);
}

static bool is_idle(const Program *p) {
        return transfers_are_idle(p->transfers) && !probe_is_busy(p->probe);
}

static int on_turn(sd_event_source *source, void *userdata) {
        const Program *p = userdata;

        (void) source;
        return p->stopping && is_idle(p) ? sd_event_exit(p->event, 0) : 0;
}

static int on_stop_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) usec;
        (void) userdata;
        log_warning(NULL, "The store hangs: ending without waiting for it");
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Program *p = userdata;

        (void) source;
        if (p->stopping)
                return 0;
        log_info(NULL, "Stopping on signal %u", si->ssi_signo);
        (void) sd_notify(false, "STOPPING=1");
        p->stopping = true;
        if (p->open)
                server_close(p->server);
        probe_stop(p->probe);
        if (is_idle(p))
                return sd_event_exit(p->event, 0);
        return sd_event_add_time_relative(p->event, NULL, CLOCK_BOOTTIME, STOP_USEC, 0, on_stop_deadline, NULL);
}

static int watch_signals(Program *p) {
        static const int stops[] = { SIGTERM, SIGINT };
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(stops); i++)
                sigaddset(&set, stops[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        (void) signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ELEMENTSOF(stops); i++) {
                int r;

                r = sd_event_add_signal(p->event, NULL, stops[i], on_stop, p);
                if (r < 0)
                        return r;
        }
        return 0;
}

static DirSettings dir_settings(const UplinkSettings *s) {
        return (DirSettings){
                .path = s->path,
                .mount_point = s->mount_point,
                .state_dir = s->state_dir,
                .create = s->create,
                .read_back = s->read_back,
                .same_disk_is_store = s->same_disk_is_store,
        };
}

static S3Settings s3_settings(const UplinkSettings *s) {
        return (S3Settings){
                .endpoint = s->endpoint,
                .region = s->region,
                .bucket = s->bucket,
                .prefix = s->prefix,
                .credentials = s->credentials,
                .state_dir = s->state_dir,
                .virtual_host = s->virtual_host,
                .read_back = s->read_back,
                .sole_writer = s->sole_writer,
                .content_md5 = s->content_md5,
                .part_size_bytes = s->part_size_bytes,
                .storage_class = s->storage_class,
                .encryption = s->encryption,
                .kms_key = s->kms_key,
                .customer_key = s->customer_key,
                .encryption_key = s->encryption_key,
                .tags = s->tags,
                .lock_mode = s->lock_mode,
                .retention_sec = s->retention_sec,
                .legal_hold = s->legal_hold,
                .ca_file = s->ca_file,
                .client_certificate = s->client_certificate,
                .client_key = s->client_key,
                .proxy = s->proxy,
                .stall_usec = s->stall_usec,
        };
}

static TusSettings tus_settings(const UplinkSettings *s) {
        return (TusSettings){
                .url = s->url,
                .credentials = s->credentials,
                .state_dir = s->state_dir,
                .read_back = s->read_back,
                .part_size_bytes = s->part_size_bytes,
                .ca_file = s->ca_file,
                .client_certificate = s->client_certificate,
                .client_key = s->client_key,
                .proxy = s->proxy,
                .stall_usec = s->stall_usec,
        };
}

static int set_up(Program *p) {
        int r;

        if ((r = sd_event_default(&p->event)) < 0 || (r = watch_signals(p)) < 0 || (r = sd_event_set_watchdog(p->event, true)) < 0 ||
            (r = sd_event_add_post(p->event, NULL, on_turn, p)) < 0)
                return r;
        return 0;
}

static int open_backend(Program *p, const UplinkSettings *s) {
        const DirSettings dir = dir_settings(s);
        const S3Settings s3 = s3_settings(s);
        const TusSettings tus = tus_settings(s);

        if (s->type == STORE_DIR)
                return dir_backend_new(p->event, &dir, s->transfers, &p->backend);
        if (!s->state_dir)
                log_warning(NULL, "There is no state folder ([uplink] state_dir): uploads begin anew after a restart");
        if (s->type == STORE_TUS)
                return tus_backend_new(p->event, &tus, s->transfers, &p->backend);
        return s3_backend_new(p->event, &s3, s->transfers, &p->backend);
}

static int open_store(Program *p, const UplinkSettings *s) {
        int r;

        if ((r = open_backend(p, s)) < 0 ||
            (r = probe_new(p->event, p->backend, s->stall_usec, on_state, p, &p->probe)) < 0)
                return r;
        if ((r = pace_new(s->limits, s->n_limits, &p->pace)) < 0)
                return r;
        r = transfers_new(p->event, p->backend, p->probe,
                          &(TransferSettings){ .puts_at_once = s->transfers, .stall_usec = s->stall_usec, .pace = p->pace },
                          &server_transfer_ops, &p->transfers);
        return r < 0 ? r : schedule_new(p->event, s->limits, s->n_limits, on_schedule, p, &p->schedule);
}

static int run(Program *p, const UplinkSettings *s) {
        const ServerSettings server = {
                .socket_path = s->socket,
                .peer_known = s->peer_known,
                .peer_uid = s->peer_uid,
                .peer_gid = s->peer_gid,
        };
        ConfError error = {};
        int r;

        r = set_up(p);
        if (r < 0) {
                log_error(NULL, "The event loop cannot be set up: %s", strerror(-r));
                return r;
        }
        r = server_new(p->event, &server, &p->server, &error);
        if (r < 0) {
                log_error(NULL, "%s", error.text[0] ? error.text : strerror(-r));
                return r;
        }
        r = open_store(p, s);
        if (r < 0) {
                log_error(NULL, "The transfers cannot be set up: %s", strerror(-r));
                return r;
        }
        (void) sd_notify(false, "READY=1");
        return sd_event_loop(p->event);
}

static void clear_up(Program *p, int status) {
        p->schedule = schedule_free(p->schedule);
        p->server = server_free(p->server);
        /* Joining a thread that hangs in the kernel would hang, too. */
        if (p->transfers && p->probe && !is_idle(p))
                _exit(status);
        p->transfers = transfers_free(p->transfers);
        p->probe = probe_free(p->probe);
        if (p->backend)
                p->backend = p->backend->ops->free(p->backend);
        p->pace = pace_free(p->pace);
        p->event = sd_event_unref(p->event);
}

static int create_store(const UplinkSettings *s) {
        const DirSettings dir = dir_settings(s);
        Answer answer = {};
        char id[33];

        if (s->type != STORE_DIR) {
                log_error(NULL, "--create-store is for a store of type dir: one on the network is made with its own tools");
                return EXIT_FAILURE;
        }
        if (dir_create_store(&dir, id, &answer) < 0) {
                log_error(NULL, "%s", answer.text);
                return EXIT_FAILURE;
        }
        printf("%s is the store %s\n", s->path, id);
        return EXIT_SUCCESS;
}

static int show(const UplinkSettings *settings, const char *path) {
        _cleanup_(freep) char *text = uplink_settings_show(settings, path);

        return text && puts(text) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
        _cleanup_(uplink_settings_freep) UplinkSettings *settings = NULL;
        Arguments arguments = { .config = CONFIG_FILE };
        ConfError error = {};
        Program program = {};
        int r;

        log_init("berth-uplink");
        r = parse_arguments(argc, argv, &arguments);
        if (r != 0)
                return r - 1;
        r = uplink_settings_load(arguments.config, &settings, &error);
        if (r < 0) {
                log_error(NULL, "%s", error.text[0] ? error.text : strerror(-r));
                return EXIT_FAILURE;
        }
        if (arguments.check)
                return EXIT_SUCCESS;
        if (arguments.show)
                return show(settings, arguments.config);
        if (arguments.create_store)
                return create_store(settings);
        r = run(&program, settings) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        clear_up(&program, r);
        return r;
}
