/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/number.h"
#include "ctl/words.h"

#define MAX_LIMIT UINT64_C(1000000)
#define TIMEOUT_MAX_SEC UINT64_C(31536000)

enum {
        OPTION_ADDRESS = 256,
        OPTION_SYSTEM,
        OPTION_JSON,
        OPTION_PLAIN,
        OPTION_UNTIL,
        OPTION_TIMEOUT,
        OPTION_CAMERA,
        OPTION_STATE,
        OPTION_CLIP,
        OPTION_CASE,
        OPTION_NAME,
        OPTION_MODEL,
        OPTION_NOT_STORED,
        OPTION_NO_WAIT,
        OPTION_MAX,
        OPTION_BEFORE,
        OPTION_AFTER,
        OPTION_MODELS_DIR,
        OPTION_LOCAL_MODELS_DIR,
        OPTION_RULES_DIR,
        OPTION_STATE_DIR,
        OPTION_STORE,
        OPTION_NO_STORE,
        OPTION_ADMIN_KEY,
        OPTION_FLEET,
        OPTION_FLEET_LIST,
        OPTION_EXPIRES,
        OPTION_LIST_EXPIRES,
        OPTION_UPLINK,
        OPTION_FIRMWARE_KEY,
        OPTION_HTTP,
        OPTION_ORIGIN,
        OPTION_NO_PAGER,
        OPTION_TEXTFILE,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { "address", required_argument, NULL, OPTION_ADDRESS },
        { "system", no_argument, NULL, OPTION_SYSTEM },
        { "json", no_argument, NULL, OPTION_JSON },
        { "plain", no_argument, NULL, OPTION_PLAIN },
        { "until", required_argument, NULL, OPTION_UNTIL },
        { "timeout", required_argument, NULL, OPTION_TIMEOUT },
        { "camera", required_argument, NULL, OPTION_CAMERA },
        { "state", required_argument, NULL, OPTION_STATE },
        { "clip", required_argument, NULL, OPTION_CLIP },
        { "not-stored", no_argument, NULL, OPTION_NOT_STORED },
        { "no-wait", no_argument, NULL, OPTION_NO_WAIT },
        { "name", required_argument, NULL, OPTION_NAME },
        { "model", required_argument, NULL, OPTION_MODEL },
        { "case", required_argument, NULL, OPTION_CASE },
        { "max", required_argument, NULL, OPTION_MAX },
        { "before", required_argument, NULL, OPTION_BEFORE },
        { "after", required_argument, NULL, OPTION_AFTER },
        { "models-dir", required_argument, NULL, OPTION_MODELS_DIR },
        { "local-models-dir", required_argument, NULL, OPTION_LOCAL_MODELS_DIR },
        { "rules-dir", required_argument, NULL, OPTION_RULES_DIR },
        { "state-dir", required_argument, NULL, OPTION_STATE_DIR },
        { "store", no_argument, NULL, OPTION_STORE },
        { "admin-key", required_argument, NULL, OPTION_ADMIN_KEY },
        { "fleet", required_argument, NULL, OPTION_FLEET },
        { "fleet-list", required_argument, NULL, OPTION_FLEET_LIST },
        { "expires", required_argument, NULL, OPTION_EXPIRES },
        { "list-expires", required_argument, NULL, OPTION_LIST_EXPIRES },
        { "no-store", no_argument, NULL, OPTION_NO_STORE },
        { "uplink", required_argument, NULL, OPTION_UPLINK },
        { "firmware-key", required_argument, NULL, OPTION_FIRMWARE_KEY },
        { "host", required_argument, NULL, 'H' },
        { "no-pager", no_argument, NULL, OPTION_NO_PAGER },
        { "origin", no_argument, NULL, OPTION_ORIGIN },
        { "http", no_argument, NULL, OPTION_HTTP },
        { "textfile", no_argument, NULL, OPTION_TEXTFILE },
        { "lines", required_argument, NULL, 'n' },
        { "follow", no_argument, NULL, 'f' },
        { 0 },
};

typedef enum VerbOptions {
        TAKES_PLAIN = 1 << 0,  /* --plain, --until, --timeout */
        TAKES_CAMERA = 1 << 1,
        TAKES_MAX = 1 << 2,    /* --max */
        TAKES_CLIPS = 1 << 3 | TAKES_MAX, /* --state, --before, too */
        TAKES_EVENTS = 1 << 4, /* -n, --follow */
        TAKES_FILES = 1 << 5,  /* --rules-dir */
        TAKES_CLIP = 1 << 6,
        TAKES_CASE = 1 << 7,
        TAKES_ERASE = 1 << 8, /* --not-stored */
        TAKES_IMPORT = 1 << 9, /* --name, --model */
        TAKES_MODELS = 1 << 10, /* --models-dir, --local-models-dir */
        TAKES_STATE_DIR = 1 << 17,
        TAKES_STATE = 1 << 11 | TAKES_STATE_DIR, /* --store, --no-store, --fleet-list too */
        TAKES_FLEET = 1 << 12, /* --admin-key, --fleet */
        TAKES_DOCKS = 1 << 13, /* --expires, --list-expires */
        TAKES_AFTER = 1 << 14, /* --after */
        TAKES_UPLINK = 1 << 15,
        TAKES_FIRMWARE = 1 << 16 | TAKES_UPLINK, /* --firmware-key */
        TAKES_METRICS = 1 << 18, /* --http, --textfile */
        TAKES_ORIGIN = 1 << 19,
        TAKES_HOST = 1 << 20, /* --host: it needs nothing but the bus */
        TAKES_HOSTS = 1 << 21 | TAKES_HOST, /* several times: it shows something */
        TAKES_WAIT = 1 << 23, /* --no-wait */
        PAGES = 1 << 22, /* what it prints may be longer than a screen, and ends */
} VerbOptions;

typedef struct Verb {
        const char *name;
        VerbRun run;
        unsigned takes;
        unsigned max_args; /* words after the verb; UINT_MAX: the verb itself says what is too much */
} Verb;

static const Verb verbs[] = {
        { "status", verb_status, TAKES_HOSTS | PAGES, 0 },
        { "watch", verb_watch, TAKES_PLAIN | TAKES_HOST, 0 },
        { "clips", verb_clips, TAKES_CAMERA | TAKES_CLIPS | TAKES_HOSTS | PAGES, 0 },
        { "log", verb_log, TAKES_CAMERA | TAKES_CLIP | TAKES_EVENTS | TAKES_AFTER | TAKES_HOSTS | PAGES, 0 },
        { "refused", verb_refused, TAKES_HOSTS | PAGES, 0 },
        { "doctor", verb_doctor, TAKES_STATE_DIR | PAGES, 1 },
        { "transfer", verb_transfer, TAKES_MAX | TAKES_HOSTS | PAGES, UINT_MAX },
        { "hold", verb_hold, TAKES_CAMERA | TAKES_CLIP | TAKES_CASE | TAKES_HOSTS | PAGES, UINT_MAX },
        { "model", verb_model, TAKES_FILES | TAKES_MODELS | TAKES_HOSTS | PAGES, UINT_MAX },
        { "import", verb_import, TAKES_IMPORT | TAKES_MODELS, UINT_MAX },
        { "bay", verb_bay, TAKES_WAIT | TAKES_HOSTS | PAGES, UINT_MAX },
        { "charge", verb_charge, TAKES_HOSTS | PAGES, UINT_MAX },
        { "camera", verb_camera, TAKES_WAIT | TAKES_ERASE | TAKES_HOSTS | PAGES, UINT_MAX },
        { "clip", verb_clip, TAKES_ERASE | TAKES_HOST, UINT_MAX },
        { "roster", verb_roster, TAKES_WAIT | TAKES_CLIPS | TAKES_FLEET | TAKES_AFTER | TAKES_HOSTS | PAGES, UINT_MAX },
        { "fleet", verb_fleet, TAKES_HOST | PAGES, UINT_MAX },
        { "assign", verb_assign, TAKES_HOST, UINT_MAX },
        { "checkout", verb_checkout, TAKES_WAIT | TAKES_HOST, UINT_MAX },
        { "custody", verb_custody, TAKES_STATE | TAKES_UPLINK | TAKES_CAMERA | TAKES_FLEET | TAKES_HOST, UINT_MAX },
        { "dock", verb_dock, TAKES_FLEET | TAKES_DOCKS | TAKES_AFTER | TAKES_UPLINK | TAKES_HOST, UINT_MAX },
        { "firmware", verb_firmware, TAKES_WAIT | TAKES_FIRMWARE | TAKES_HOSTS | PAGES, UINT_MAX },
        { "job", verb_job, TAKES_HOSTS | PAGES, UINT_MAX },
        { "rollout", verb_rollout, TAKES_FLEET | TAKES_UPLINK | TAKES_HOSTS | PAGES, UINT_MAX },
        { "config", verb_config, TAKES_ORIGIN | PAGES, 3 },
        { "reload", verb_reload, TAKES_HOSTS, 0 },
        { "metrics", verb_metrics, TAKES_METRICS | TAKES_HOST, 0 },
        { "backup", verb_backup, TAKES_STATE_DIR, 1 },
        { "recover", verb_recover, 0, 1 },
        { "complete", verb_complete, 0, UINT_MAX },
};

void options_print_verbs(void) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (verbs[i].run != verb_complete)
                        puts(verbs[i].name);
}

static void print_help(void) {
        fputs("Usage: berthctl [OPTION...] [VERB [WORD...]]\n"
              "\n"
              "Shows what a Berth dock is doing, and tells it what to do.\n"
              "\n"
              "Verbs:\n"
              "  status    the dock, its store and spool, and its bays (the default)\n"
              "  watch     the rack, live; lines, one per change, when stdout is not a terminal\n"
              "  clips     footage that the dock knows of, newest first\n"
              "  log       the custody log\n"
              "  refused   what lies in a bay and is not touched, and why\n"
              "  model     the camera models that the daemon goes by (list, the default)\n"
              "  model check FILE...   are these model files good? (no daemon is needed)\n"
              "  transfer  what is on its way to the store (list, the default); pause and resume uploads;\n"
              "            now CLIP: this one before all others\n"
              "  hold      what is deleted nowhere (list, the default); set [REASON], release [REASON]\n"
              "  doctor    is all that the dock needs as it should be? each point with what to do; or one part alone:\n"
              "            machine, rack, store\n"
              "  charge    which cameras will be ready when (list, the default); by HH:MM: they are wanted\n"
              "            then; cancel: not any more\n"
              "  bay health              bays in which cameras fault that are well elsewhere\n"
              "  bay locate NUMBER [SECONDS]   its lamps say \"this one\"\n"
              "  bay eject NUMBER        its camera is wanted as it is: let it go, to be taken out\n"
              "  bay calibrate NUMBER    switch its port off and on, to see what its hub does\n"
              "  camera list             all cameras: how they are, and what of their footage is not stored\n"
              "  camera health SERIAL    what was found out about it, and what to do\n"
              "  camera release SERIAL [REASON]   it may be issued in spite of that\n"
              "  camera confirm SERIAL   what came back from its change of mode is this camera\n"
              "  camera owner SERIAL OFFICER-ID OFFICER-NAME UNIT-ID UNIT-NAME   whom it is issued to\n"
              "  camera erase SERIAL     erase its clips by hand, whatever the policy but never says\n"
              "  clip erase ID           the same for this clip alone\n"
              "  roster                  the officers (list, the default); issues: who had which camera;\n"
              "                          sign FILE.csv FILE, publish FILE: for all docks of the fleet\n"
              "                          import FILE.csv; cancel SERIAL: what was checked out is for anybody again\n"
              "  fleet                   the docks of the fleet, as each last told (docks, the default); cameras: where each\n"
              "                          was docked last, what is not back, and what of its footage is not stored\n"
              "  assign OFFICER SERIAL|pool   a camera of their own, or the pool's\n"
              "  checkout OFFICER        the best ready camera is this officer's: its bay says \"take me\"\n"
              "  import DIR              take the footage in a folder through the same way as a camera's\n"
              "  custody show CLIP       the record of one clip\n"
              "  custody verify          is all of the dock's evidence as it was? (no daemon is needed)\n"
              "  custody export CLIP|FROM..TO|--camera=SERIAL DIR|FILE.tar   what verifies without Berth\n"
              "  custody archive         bring the custody log to the store, as far as it is signed there (no daemon is needed)\n"
              "  custody checkpoint      sign the custody log as it is now\n"
              "  dock show               who the dock is, and by which key it signs; dock rotate-key: it gets another one\n"
              "  dock enroll LIST [DOCK.json]   sign the dock into the fleet's list; dock revoke LIST DOCK-ID [KEY]\n"
              "  dock renew LIST                sign it anew, before it expires\n"
              "  dock publish LIST              bring it to the store: every dock of the fleet goes by it\n"
              "  dock check LIST [FILE...]      the list; is what docks signed to be believed by it?\n"
              "  firmware                the fleet's firmware as this dock goes by it\n"
              "  firmware list           the firmware catalogs in the store; firmware show [VERSION]: what is in one\n"
              "  firmware flash SERIAL VERSION [again]   give a camera in a bay that version now, and wait for its return\n"
              "  firmware publish CATALOG.json [IMAGE...]   bring a catalog that minisign signed, and its images, there\n"
              "  rollout                 how the fleet's firmware goes out, as this dock sees it\n"
              "  rollout create PLAN.json       begin one; rollout status [ID]: what all docks came to, by the store\n"
              "  rollout pause|resume|abort ID  for all docks of the fleet\n"
              "  job                     what takes its time, and how far it is (list, the default); show NUMBER, wait NUMBER;\n"
              "                          cancel NUMBER: ends it before its time\n"
              "  config show [FILE [UPLINK-FILE]]   all settings as they are written (no daemon is needed)\n"
              "  reload                  the daemon reads its settings anew; prints what changed\n"
              "  metrics   what Prometheus gets from the dock: OpenMetrics text\n"
              "  backup DIR       a copy of the dock's memory into a new folder, while berthd runs (--state-dir as below)\n"
              "  recover [FILE]   make a lost or damaged database anew; berthd must not run (FILE: its configuration)\n"
              "\n"
              "  complete -- WORD...     what the last word may become, for shells\n"
              "\n"
              "All verbs:\n"
              "  -H, --host=[USER@]HOST  talk to the dock there, over ssh; several times: to each of them (those that show something)\n"
              "      --no-pager        print what is longer than the terminal as it comes\n"
              "      --json            print JSON (schema: berthctl(1))\n"
              "      --system          talk to the system bus (the default; $DBUS_SYSTEM_BUS_ADDRESS counts)\n"
              "      --address=ADDR    talk to the bus at this address\n"
              "  -h, --help            print this\n"
              "      --version         print the version\n"
              "watch:\n"
              "      --plain           print lines on a terminal as well\n"
              "      --until=STATE[,STATE...]=N   end when N bays or more are in one of these states\n"
              "      --until=idle=SECONDS         end when no bay has worked, and all is stored, for so long\n"
              "                        given more than once: all must hold at the same time\n"
              "      --timeout=SECONDS end then: exit code 4 when --until does not hold\n"
              "clips:\n"
              "      --camera=SERIAL   only of this camera\n"
              "      --state=STATE     only in this state: seen, copying, copied, uploading, receipted, erasing,\n"
              "                        erased, conflict, lost\n"
              "      --max=N           at most so many, 0 for all (default 100)\n"
              "      --before=ID       older ones than this clip\n"
              "transfer:\n"
              "      --max=N           at most so many, 0 for all (default 100)\n"
              "log:\n"
              "      --camera=SERIAL   only about this camera\n"
              "      --clip=ID         only about this clip\n"
              "  -n, --lines=N         the last so many events, at most 500; 0 for all (default 50)\n"
              "      --after=SEQ       the events after this one\n"
              "  -f, --follow          go on with events as they happen\n"
              "bay eject, bay calibrate, camera owner, checkout, firmware flash, roster publish:\n"
              "      --no-wait         print the path of its job, and let it go on\n"
              "camera erase, clip erase:\n"
              "      --not-stored      also what the store has no receipt for: it is then in the dock's spool alone\n"
              "import:\n"
              "      --name=NAME       what it is called: its clips are those of import:NAME (default: the folder's name)\n"
              "      --model=ID        footage is what this model calls so (default: video files)\n"
              "hold set, hold release:\n"
              "      --clip=ID         this clip\n"
              "      --camera=SERIAL   all that is known of this camera, and what will come of it\n"
              "      --case=NAME       for this case; hold release with nothing else: all that is held for it\n"
              "custody verify, custody export, custody archive:\n"
              "      --state-dir=DIR   the state folder, or a copy of it (default /var/lib/berth)\n"
              "      --store           compare with the store, too, by berth-uplink\n"
              "      --no-store        export without the store's manifests\n"
              "      --uplink=SOCKET   where berth-uplink listens\n"
              "      --fleet-list=LIST verify the dock's keys by the fleet's list, which --admin-key signed\n"
              "dock enroll, revoke, renew, publish, check:\n"
              "      --admin-key=FILE  the administrator's Ed25519 key (PEM); a public one is enough to check\n"
              "      --fleet=ID        the fleet; of a list that is there it must be this one's\n"
              "      --after=NUMBER    the last number of that kind that is known: what is not newer was played again\n"
              "      --expires=DAY     the dock's key counts up to then (default: two years)\n"
              "      --list-expires=DAY  the list counts up to then (default: a year)\n"
              "      --uplink=SOCKET   of publish: where berth-uplink listens\n"
              "roster sign, rollout create, status, pause, resume, abort:\n"
              "      --admin-key=FILE  the administrator's Ed25519 key (PEM); for rollout status a public one is enough\n"
              "      --fleet=ID, --after=NUMBER   of roster sign: the fleet, and the number of the roster before\n"
              "firmware publish, list, show:\n"
              "      --firmware-key=FILE  the public keys that are believed (default /etc/berth/firmware.pub)\n"
              "firmware publish, list, show, rollout create, status, pause, resume, abort:\n"
              "      --uplink=SOCKET   where berth-uplink listens\n"
              "config show:\n"
              "      --origin          with the file and line where each is from\n"
              "metrics:\n"
              "      --textfile        the older text format, for node_exporter's textfile collector\n"
              "      --http            answer the HTTP request on stdin (berth-metrics.socket)\n"
              "model check:\n"
              "      --models-dir=DIR  the shipped models\n"
              "      --local-models-dir=DIR   the site's models, among which the files will lie\n"
              "      --rules-dir=DIR   udev's rules\n"
              "\n"
              "Exit code: 0 success, 1 failure, 2 wrong command line, 3 daemon not reachable, 4 --timeout passed,\n"
              "5 doctor has warnings, 6 of several docks not all answered, 7 something is missing in an export.\n",
              stdout);
}

static int usage(const char *what, const char *argument) {
        return ctl_fail(CTL_USAGE, "%s%s%s%s; 'berthctl --help' lists what there is", what, argument ? " '" : "",
                        argument ? argument : "", argument ? "'" : "");
}

static int parse_number(const char *option, const char *text, uint64_t max, uint64_t *ret) {
        int r = number_parse(text, 0, max, ret);
        if (r < 0)
                return ctl_fail(CTL_USAGE, "%s takes a number from 0 to %llu, not '%s'", option,
                                (unsigned long long) max, text);
        return -1;
}

static int parse_until(Options *o, const char *text) {
        int r = until_add(&o->until, text);
        if (r == -ENOMEM)
                return ctl_fail(CTL_FAILURE, "out of memory");
        if (r == -E2BIG)
                return ctl_fail(CTL_USAGE, "--until is given too often, or with too many states");
        if (r == -ENOENT)
                return ctl_fail(CTL_USAGE, "--until: '%s' names no state of a bay; these are empty, identifying, switching, checking, "
                                           "pulling, settled, ready, refused, quarantined, fault and ejected", text);
        if (r < 0)
                return ctl_fail(CTL_USAGE, "--until takes STATE[,STATE...]=NUMBER or idle=SECONDS, not '%s'", text);
        return -1;
}

/* One option: -1 to go on. */
static int parse_option(int c, const char *value, Options *o) {
        int r;
        switch (c) {
        case 'h':
                print_help();
                return CTL_OK;
        case 'V':
                puts("berthctl " BERTH_VERSION);
                return CTL_OK;
        case OPTION_ADDRESS:
                o->address = value;
                return -1;
        case OPTION_SYSTEM:
                o->address = NULL;
                return -1;
        case OPTION_JSON:
                o->json = true;
                return -1;
        case OPTION_PLAIN:
                o->plain = true;
                return -1;
        case OPTION_UNTIL:
                return parse_until(o, value);
        case OPTION_TIMEOUT:
                r = number_seconds(value, TIMEOUT_MAX_SEC, &o->timeout_usec);
                if (r < 0 || o->timeout_usec == 0)
                        return ctl_fail(CTL_USAGE, "--timeout takes a number of seconds above 0, not '%s'", value);
                return -1;
        case OPTION_CAMERA:
                o->camera = value;
                return -1;
        case OPTION_STATE:
                o->state = value;
                return -1;
        case OPTION_CLIP:
                return parse_number("--clip", value, INT64_MAX, &o->clip);
        case OPTION_NO_WAIT:
                o->no_wait = true;
                return -1;
        case OPTION_NOT_STORED:
                o->not_stored = true;
                return -1;
        case OPTION_NAME:
                o->import_name = value;
                return -1;
        case OPTION_MODEL:
                o->model = value;
                return -1;
        case OPTION_CASE:
                o->case_name = value;
                return -1;
        case OPTION_MAX:
                o->max_given = true;
                return parse_number("--max", value, MAX_LIMIT, &o->max);
        case 'n':
                o->max_given = true;
                return parse_number("--lines", value, MAX_LIMIT, &o->max);
        case OPTION_BEFORE:
                return parse_number("--before", value, INT64_MAX, &o->before);
        case OPTION_AFTER:
                o->after_given = true;
                return parse_number("--after", value, INT64_MAX, &o->after);
        case 'f':
                o->follow = true;
                return -1;
        case OPTION_MODELS_DIR:
                o->models_dir = value;
                return -1;
        case OPTION_LOCAL_MODELS_DIR:
                o->local_models_dir = value;
                return -1;
        case OPTION_RULES_DIR:
                o->rules_dir = value;
                return -1;
        case OPTION_STATE_DIR:
                o->state_dir = value;
                return -1;
        case OPTION_STORE:
                o->with_store = true;
                return -1;
        case OPTION_ADMIN_KEY:
                o->admin_key = value;
                return -1;
        case OPTION_FLEET:
                o->fleet = value;
                return -1;
        case OPTION_FLEET_LIST:
                o->fleet_list = value;
                return -1;
        case OPTION_EXPIRES:
                o->expires = value;
                return -1;
        case OPTION_LIST_EXPIRES:
                o->list_expires = value;
                return -1;
        case OPTION_NO_STORE:
                o->no_store = true;
                return -1;
        case OPTION_FIRMWARE_KEY:
                o->firmware_key = value;
                return -1;
        case 'H':
                if (o->n_hosts == HOSTS_MAX)
                        return ctl_fail(CTL_USAGE, "--host is given more than %u times", HOSTS_MAX);
                o->hosts[o->n_hosts++] = value;
                return -1;
        case OPTION_NO_PAGER:
                o->no_pager = true;
                return -1;
        case OPTION_ORIGIN:
                o->origin = true;
                return -1;
        case OPTION_HTTP:
                o->http = true;
                return -1;
        case OPTION_TEXTFILE:
                o->textfile = true;
                return -1;
        case OPTION_UPLINK:
                o->uplink_socket = value;
                return -1;
        default:
                /* getopt_long() has said what is wrong. */
                return CTL_USAGE;
        }
}

/* Which verbs take the option: 0 for all of them. */
static unsigned option_takers(int c) {
        switch (c) {
        case OPTION_PLAIN:
        case OPTION_UNTIL:
        case OPTION_TIMEOUT:
                return TAKES_PLAIN;
        case OPTION_CAMERA:
                return TAKES_CAMERA;
        case OPTION_MAX:
                return TAKES_MAX;
        case OPTION_STATE:
        case OPTION_BEFORE:
                return TAKES_CLIPS;
        case OPTION_CLIP:
                return TAKES_CLIP;
        case OPTION_NO_WAIT:
                return TAKES_WAIT;
        case OPTION_NOT_STORED:
                return TAKES_ERASE;
        case OPTION_CASE:
                return TAKES_CASE;
        case OPTION_NAME:
        case OPTION_MODEL:
                return TAKES_IMPORT;
        case 'n':
        case 'f':
                return TAKES_EVENTS;
        case OPTION_MODELS_DIR:
        case OPTION_LOCAL_MODELS_DIR:
                return TAKES_MODELS;
        case OPTION_RULES_DIR:
                return TAKES_FILES;
        case OPTION_STATE_DIR:
                return TAKES_STATE_DIR;
        case OPTION_STORE:
        case OPTION_NO_STORE:
        case OPTION_FLEET_LIST:
                return TAKES_STATE;
        case OPTION_UPLINK:
                return TAKES_UPLINK;
        case 'H':
                return TAKES_HOST;
        case OPTION_ORIGIN:
                return TAKES_ORIGIN;
        case OPTION_HTTP:
        case OPTION_TEXTFILE:
                return TAKES_METRICS;
        case OPTION_FIRMWARE_KEY:
                return TAKES_FIRMWARE;
        case OPTION_ADMIN_KEY:
        case OPTION_FLEET:
                return TAKES_FLEET;
        case OPTION_AFTER:
                return TAKES_AFTER;
        case OPTION_EXPIRES:
        case OPTION_LIST_EXPIRES:
                return TAKES_DOCKS;
        default:
                return 0;
        }
}

static const Verb *find_verb(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (text_equal(verbs[i].name, name))
                        return &verbs[i];
        return NULL;
}

/* What a word of a command line is, as long as it is not whole. */

static const struct option *option_of(const char *word) {
        size_t n = strcspn(word, "=");

        for (const struct option *l = long_options; l->name; l++)
                if (strncmp(word, "--", 2) == 0 && strlen(l->name) == n - 2 && strncmp(l->name, word + 2, n - 2) == 0)
                        return l;
        return NULL;
}

bool options_word_wants_value(const char *word) {
        const struct option *l = option_of(word);

        return text_equal(word, "-H") || text_equal(word, "-n") || (l && l->has_arg == required_argument && !strchr(word, '='));
}

bool options_word_is_bus(Options *o, const char *word, const char *next) {
        const struct option *l = option_of(word);
        const char *value = strchr(word, '=') ? strchr(word, '=') + 1 : next;

        if (l && l->val == OPTION_ADDRESS)
                o->address = value;
        else if ((l && l->val == 'H') || text_equal(word, "-H")) {
                o->hosts[0] = value;
                o->n_hosts = 1;
        } else
                return false;
        return true;
}

void options_print_options(const char *name) {
        const Verb *verb = name ? find_verb(name) : NULL;

        for (const struct option *l = long_options; l->name; l++) {
                unsigned takers = option_takers(l->val);

                if (!verb || !(takers & ~verb->takes))
                        printf("--%s%s\n", l->name, l->has_arg == required_argument ? "=" : "");
        }
}

/* Orders print a line at most, and whoever gives them may be asked for a password: no pager gets between. */
static bool lists(const Options *o) {
        static const char *const listing[] = { "list", "health", "issues", "show", "machine", "rack", "store" };

        for (size_t i = 0; i < ELEMENTSOF(listing) && o->n_args > 0; i++)
                if (text_equal(o->args[0], listing[i]))
                        return true;
        return o->n_args == 0;
}

/* -H needs a verb that goes by the bus alone, and several of them one that shows something. */
static int check_hosts(const Options *o, const Verb *verb) {
        const Word *table;
        size_t n;

        table = words(&n);
        for (size_t i = 0; i < n && o->n_hosts > 0; i++)
                if (table[i].local && text_equal(table[i].verb, verb->name) && table[i].word && o->n_args > 0 &&
                    text_equal(table[i].word, o->args[0]))
                        return ctl_fail(CTL_USAGE, "'%s %s' is about files and sockets of this machine: --host does not go with it",
                                        verb->name, table[i].word);
        if (o->n_hosts > 0 && o->address)
                return ctl_fail(CTL_USAGE, "--host does not go with --address");
        if (o->n_hosts > 1 && (verb->takes & TAKES_HOSTS) != TAKES_HOSTS)
                return ctl_fail(CTL_USAGE, "'%s' is for one dock: give --host once", verb->name);
        return -1;
}

int options_parse(int argc, char **argv, Options *ret, VerbRun *ret_run) {
        unsigned wanted = 0;
        int c, r;
        *ret = (Options) { .camera = "", .state = "" };
        while ((c = getopt_long(argc, argv, "hn:fH:", long_options, NULL)) >= 0) {
                r = parse_option(c, optarg, ret);
                if (r >= 0)
                        return r;
                wanted |= option_takers(c);
        }

        ret->verb = optind < argc ? argv[optind] : "status";
        const Verb *verb = find_verb(ret->verb);
        if (!verb)
                return usage("there is no verb", ret->verb);
        ret->n_args = optind + 1 < argc ? (unsigned) (argc - optind - 1) : 0;
        ret->args = argv + optind + 1;
        if (ret->n_args > verb->max_args)
                return usage("do not know what to do with", ret->args[verb->max_args]);
        if (wanted & ~verb->takes)
                return ctl_fail(CTL_USAGE, "'%s' does not take all of these options; 'berthctl --help' lists which do",
                                verb->name);
        if (!ret->after_given && verb->takes & TAKES_EVENTS && ret->max_given && ret->max > 500)
                return ctl_fail(CTL_USAGE,
                                "--lines takes at most 500; --lines=0 prints all events, --after those since one");
        r = check_hosts(ret, verb);
        if (r >= 0)
                return r;
        ret->pages = verb->takes & PAGES && lists(ret) && !ret->no_pager && !ret->json && !ret->follow;
        *ret_run = verb->run;
        return -1;
}

void options_done(Options *o) {
        until_clear(&o->until);
}
