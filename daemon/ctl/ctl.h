/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the verbs of berthctl share: how they end, and what the command line asked for. */

#include <stdbool.h>
#include <stdint.h>

#include "ctl/until.h"

typedef enum CtlExit {
        CTL_OK = 0,
        CTL_FAILURE = 1,     /* the daemon answered with an error, or something broke here */
        CTL_USAGE = 2,       /* the command line is wrong */
        CTL_UNREACHABLE = 3, /* no bus, or no daemon on it */
        CTL_TIMEOUT = 4,     /* --timeout passed before what --until asks for */
        CTL_WARNING = 5,     /* doctor: all works, and something had better be otherwise */
        CTL_PARTLY = 6,      /* of several docks some did not answer, or failed */
        CTL_INCOMPLETE = 7,  /* custody export: it was written, and something that belongs in it could not be had */
} CtlExit;

#define HOSTS_MAX 256u

typedef struct Options {
        const char *verb;
        char *const *args; /* what follows the verb */
        unsigned n_args;
        const char *address; /* NULL: the system bus */
        const char *hosts[HOSTS_MAX]; /* whose system bus, over ssh: "[user@]host"; several: of each */
        unsigned n_hosts;
        bool no_pager, pages; /* what is printed goes through a pager, when stdout is a terminal */
        bool json, plain, not_stored, no_wait;
        const char *camera, *state; /* "" when any */
        const char *case_name; /* NULL: none given */
        uint64_t clip, before, after;
        uint64_t max; /* 0: all */
        bool max_given, after_given, follow;
        /* import */
        const char *import_name, *model; /* NULL when not given */
        /* model check, import */
        const char *models_dir, *local_models_dir, *rules_dir; /* NULL: where they are installed */
        /* custody */
        const char *state_dir, *uplink_socket; /* NULL: where they are by default */
        const char *admin_key, *fleet, *fleet_list, *expires, *list_expires; /* NULL when not given */
        const char *firmware_key; /* NULL: where it is by default */
        bool with_store, no_store;
        bool http, textfile; /* metrics */
        bool origin;         /* config show */
        Until until;
        uint64_t timeout_usec; /* 0: none */
} Options;

/* A verb; returns a CtlExit, or 128 + the signal that ended it. */
typedef int (*VerbRun)(const Options *options);

int verb_status(const Options *options);
int verb_watch(const Options *options);
int verb_clips(const Options *options);
int verb_log(const Options *options);
int verb_refused(const Options *options);
int verb_import(const Options *options);
int verb_clip(const Options *options);
int verb_bay(const Options *options);
int verb_charge(const Options *options);
int verb_camera(const Options *options);
int verb_job(const Options *options);
int verb_roster(const Options *options);
int verb_fleet(const Options *options);
int verb_assign(const Options *options);
int verb_checkout(const Options *options);
int verb_transfer(const Options *options);
int verb_hold(const Options *options);
int verb_model(const Options *options);
int verb_custody(const Options *options);
int verb_dock(const Options *options);
/* model_check.c: of `model check`, whose files are the arguments. */
int model_check(const Options *options);
int verb_doctor(const Options *options);
int verb_firmware(const Options *options);
int verb_rollout(const Options *options);
int verb_complete(const Options *options);
int verb_metrics(const Options *options);
int verb_config(const Options *options);
int verb_reload(const Options *options);
int verb_backup(const Options *options);
int verb_recover(const Options *options);

/* "berthctl: …" on stderr, made safe for the terminal; returns `exit_code`. */
int ctl_fail(int exit_code, const char *format, ...) _printf_(2, 3);
/* Flushes stdout: CTL_FAILURE when what was printed did not all arrive, else `exit_code`. */
int ctl_finish(int exit_code);
