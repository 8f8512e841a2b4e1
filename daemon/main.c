/* SPDX-License-Identifier: Apache-2.0 */

/* berthd: the dock's daemon. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "base/user.h"
#include "bus/bus.h"
#include "service/manager.h"
#include "service/notary.h"
#include "service/recover.h"
#include "service/reload.h"

#define CONFIG_FILE "/etc/berth/berthd.conf"

static void usage(FILE *out) {
        fputs("Usage: berthd [--config FILE] [--check | --show | --bay PORT | --replace-key | --recover]\n\n"
              "The daemon of a dock for body-worn cameras.\n\n"
              "  --config FILE   the configuration (default " CONFIG_FILE ")\n"
              "  --replace-key   the dock's key is lost: make another one, record that in the custody log, and end\n"
              "  --check         read the configuration, say what is wrong with it, and end\n"
              "  --show          read it, print it as JSON with where each setting is from, and end\n"
              "  --bay PORT      tell udev which bay this USB port is, and end\n"
              "  --recover       make a lost or damaged database anew from spool and store, and end\n"
              "  --version\n"
              "  --help\n",
              out);
}

typedef struct Arguments {
        const char *config, *bay;
        bool check, show, replace_key, recover;
} Arguments;

/* 0: go on; else the exit status + 1. */
static int parse_arguments(int argc, char **argv, Arguments *ret) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "check", no_argument, NULL, 'k' },
                { "show", no_argument, NULL, 's' },
                { "bay", required_argument, NULL, 'b' },
                { "replace-key", no_argument, NULL, 'r' },
                { "recover", no_argument, NULL, 'R' },
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
                case 's':
                        ret->show = true;
                        break;
                case 'b':
                        ret->bay = optarg;
                        break;
                case 'R':
                        ret->recover = true;
                        break;
                case 'r':
                        ret->replace_key = true;
                        break;
                case 'v':
                        puts("berthd " BERTH_VERSION);
                        return 1;
                case 'h':
                        usage(stdout);
                        return 1;
                default:
                        usage(stderr);
                        return 3;
                }
        if (optind < argc) {
                fprintf(stderr, "berthd takes no argument '%s'\n", argv[optind]);
                return 3;
        }
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        (void) userdata;
        log_info(NULL, "Stopping on signal %u", si->ssi_signo);
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int watch_signals(sd_event *event) {
        static const int stops[] = { SIGTERM, SIGINT };
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(stops); i++)
                sigaddset(&set, stops[i]);
        /* Children are reaped by sd-event. */
        sigaddset(&set, SIGCHLD);
        /* Before there is something to read anew, it would end the program. */
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        (void) signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ELEMENTSOF(stops); i++) {
                int r;

                r = sd_event_add_signal(event, NULL, stops[i], on_stop, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What became of it is in the journal: nobody waits for an answer. */
static void on_reloaded(void *userdata, int result, const char *text, const SettingChange *changes, size_t n) {
        (void) userdata;
        (void) changes;
        (void) n;
        if (result < 0)
                log_error(NULL, "%s", text ? text : strerror(-result));
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        ConfError error = {};
        int r;

        (void) source;
        (void) si;
        r = manager_reload(userdata, NULL, on_reloaded, NULL, &error);
        if (r < 0)
                log_message(LOG_ERR, MESSAGE_SETTINGS_REFUSED, "The settings stay as they are: %s",
                            error.text[0] ? error.text : strerror(-r));
        return 0;
}

static int show(const Settings *settings) {
        _cleanup_(freep) char *text = settings_show(settings);

        return text && puts(text) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Nothing is no error: most USB devices lie in no bay. */
static int describe_port(const Settings *settings, const char *port) {
        _cleanup_(freep) char *text = settings_describe_port(settings, port);

        return text && fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(sd_event *event, Settings *settings) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        _cleanup_(bus_freep) Bus *bus = NULL;
        ConfError error = {};
        int r;

        r = manager_new(event, settings, &manager, &error);
        if (r < 0) {
                log_error(NULL, "%s", error.text[0] ? error.text : strerror(-r));
                return r;
        }
        r = bus_new(event, manager, &bus);
        if (r < 0) {
                log_error(NULL, "The system bus cannot be used: %s; is it running, and does its policy let this user own org.berth.Dock1?",
                          strerror(-r));
                return r;
        }
        r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, manager);
        if (r < 0)
                return r;
        (void) sd_notify(false, "READY=1\nSTATUS=Watching the bays");
        r = sd_event_loop(event);
        (void) sd_notify(false, "STOPPING=1");
        return r;
}

static void print_recovered(const RecoveryResult *result, const char *state_dir) {
        if (!result->needed) {
                puts("The database is whole and so is its custody chain: there is nothing to recover.");
                return;
        }
        printf("The database was made anew: %llu clips from the spool, %llu from the store.\n", (unsigned long long) result->from_spool,
               (unsigned long long) result->from_store);
        if (!result->store_asked)
                puts("The store was not asked, or not to its end: why stands above. Clips that it alone holds are not known here.");
        if (result->not_taken > 0)
                printf("%llu manifests or receipts in the store were not believed: what was wrong with each stands above.\n",
                       (unsigned long long) result->not_taken);
        if (result->files_kept > 0)
                printf("%llu files that prove nothing were moved to %s/kept.\n", (unsigned long long) result->files_kept, state_dir);
        if (result->kept[0])
                printf("The old files are kept in %s/%s.\n", state_dir, result->kept);
        puts("Holds that were set on this dock are lost with its database, and must be set again; the store's legal holds stand.");
        puts("Start berthd again. Cameras are listed anew when they are docked, and read again before anything on them is erased.");
}

static int recover(sd_event *event, const Settings *settings) {
        RecoveryResult result = {};
        ConfError error = {};
        int r;

        /* What root made, the daemon could not open. */
        r = user_become_owner_of(settings->state_dir);
        if (r < 0) {
                log_error(NULL, "This program cannot become the user that owns %s: %s", settings->state_dir, strerror(-r));
                return r;
        }
        r = recover_run(event, settings, &result, &error);
        if (r < 0)
                log_error(NULL, "%s", error.text[0] ? error.text : strerror(-r));
        else
                print_recovered(&result, settings->state_dir);
        return r;
}

int main(int argc, char **argv) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Arguments arguments = { .config = CONFIG_FILE };
        ConfError error = {};
        int r;

        log_init("berthd");
        r = parse_arguments(argc, argv, &arguments);
        if (r != 0)
                return r - 1;
        r = settings_load(arguments.config, &settings, &error);
        if (r < 0) {
                log_error(NULL, "%s", error.text[0] ? error.text : strerror(-r));
                return EX_CONFIG;
        }
        if (arguments.check)
                return EXIT_SUCCESS;
        if (arguments.show)
                return show(settings);
        if (arguments.bay)
                return describe_port(settings, arguments.bay);
        if (arguments.replace_key) {
                r = notary_replace_key(settings, &error);
                if (r < 0)
                        log_error(NULL, "%s", error.text[0] ? error.text : strerror(-r));
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        }
        if ((r = sd_event_default(&event)) < 0 || (r = watch_signals(event)) < 0 || (r = sd_event_set_watchdog(event, true)) < 0) {
                log_error(NULL, "The event loop cannot be set up: %s", strerror(-r));
                return EXIT_FAILURE;
        }
        if (arguments.recover)
                return recover(event, settings) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return run(event, settings) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
