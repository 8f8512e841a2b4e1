/* SPDX-License-Identifier: Apache-2.0 */

/* The machine that the dock runs on: its users, the bus, udev, the clock. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/doctor.h"
#include "ctl/udev_rules.h"

#define USER_DAEMON "berth"
#define USER_UPLINK "berth-uplink"
#define GROUP_USB "berth"
#define GROUPS_MAX 256
#define PATH_SIZE 256u

const char *const udev_rules_dirs[] = { "/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d",
                                        "/lib/udev/rules.d", NULL };

/* ---- Users --------------------------------------------------------------------------------------------------------- */

/* 1, 0, or -ENOENT: there is no such user. */
static int user_in_group(const char *name, gid_t group, uid_t *ret_uid) {
        const struct passwd *user = getpwnam(name);
        gid_t groups[GROUPS_MAX];
        int n = GROUPS_MAX;

        if (!user)
                return -ENOENT;
        *ret_uid = user->pw_uid;
        if (getgrouplist(name, user->pw_gid, groups, &n) < 0)
                return -E2BIG;
        for (int i = 0; i < n; i++)
                if (groups[i] == group)
                        return 1;
        return 0;
}

static int find_group(gid_t *ret) {
        const struct group *group = getgrnam(GROUP_USB);

        if (!group)
                return -ENOENT;
        *ret = group->gr_gid;
        return 0;
}

/* Changes of groups reach a process when it starts. */
static int look_at_running(Doctor *d, gid_t group) {
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        const gid_t *groups = NULL;
        gid_t own = (gid_t) -1;
        uid_t uid = 0;
        int n;

        if (!d->has_daemon ||
            sd_bus_get_name_creds(d->bus, DOCK_BUS_NAME,
                                  SD_BUS_CREDS_EUID | SD_BUS_CREDS_EGID | SD_BUS_CREDS_SUPPLEMENTARY_GIDS | SD_BUS_CREDS_AUGMENT,
                                  &creds) < 0)
                return 0;
        if (sd_bus_creds_get_euid(creds, &uid) < 0 || uid == 0 || sd_bus_creds_get_egid(creds, &own) < 0 || own == group)
                return 0;
        n = sd_bus_creds_get_supplementary_gids(creds, &groups);
        for (int i = 0; i < n; i++)
                if (groups[i] == group)
                        return 0;
        return n < 0 ? 0 : doctor_add(d, "users", DOCTOR_FAILED,
                                      "berthd runs without the group " GROUP_USB ", and so without the cameras' nodes: "
                                      "'systemctl restart berthd'");
}

int doctor_users(Doctor *d) {
        static const char make[] = "run 'sudo systemd-sysusers', which makes Berth's users by sysusers.d/berth.conf";
        uid_t daemon = 0, uplink = 0;
        gid_t group = 0;
        int in, also;

        if (find_group(&group) < 0)
                return doctor_add(d, "users", DOCTOR_FAILED, "there is no group " GROUP_USB ": %s", make);
        in = user_in_group(USER_DAEMON, group, &daemon);
        also = user_in_group(USER_UPLINK, group, &uplink);
        if (in == -ENOENT || also == -ENOENT)
                return doctor_add(d, "users", DOCTOR_FAILED, "there is no user %s: %s", in == -ENOENT ? USER_DAEMON : USER_UPLINK, make);
        if (in <= 0)
                return doctor_add(d, "users", DOCTOR_FAILED,
                                  "the user " USER_DAEMON " is not in the group " GROUP_USB ", to which udev gives the cameras: "
                                  "'usermod --append --groups " GROUP_USB " " USER_DAEMON "', then 'systemctl restart berthd'");
        if (daemon == 0 || uplink == 0 || daemon == uplink)
                return doctor_add(d, "users", DOCTOR_FAILED,
                                  "the users " USER_DAEMON " and " USER_UPLINK " must be two, and neither root, so that whoever takes over "
                                  "the uploader has neither cameras nor custody log: give each a uid of its own");
        if (also != 0)
                return doctor_add(d, "users", DOCTOR_WARNING,
                                  "the uploader's user " USER_UPLINK " is in the group " GROUP_USB " and so could talk to cameras: "
                                  "'gpasswd --delete " USER_UPLINK " " GROUP_USB "'");
        int r = look_at_running(d, group);
        return r != 0 ? r : doctor_add(d, "users", DOCTOR_OK,
                USER_DAEMON " and " USER_UPLINK " are there, and " USER_DAEMON " has the cameras' group");
}

/* ---- The bus ------------------------------------------------------------------------------------------------------- */

/* Whoever may take the daemon's name while it has it is told that it exists, and not that they may not: 1, 0, or nobody knows (-errno). */
static int may_take_name(Doctor *d) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        uid_t uid;
        int r;

        r = sd_bus_get_name_creds(d->bus, DOCK_BUS_NAME, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, &uid);
        if (r < 0)
                return r;
        if (uid == geteuid())
                return -ENODATA;
        r = sd_bus_call_method(d->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", &error, NULL,
                               "su", DOCK_BUS_NAME, UINT32_C(4));
        if (r >= 0)
                return 1;
        return sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED) ? 0 : r;
}

int doctor_bus_policy(Doctor *d) {
        static const char *const places[] = {
                "/etc/dbus-1/system.d/org.berth.Dock1.conf",
                "/usr/share/dbus-1/system.d/org.berth.Dock1.conf",
        };
        const char *found = NULL;

        for (size_t i = 0; i < ELEMENTSOF(places) && !found; i++)
                if (access(places[i], F_OK) == 0)
                        found = places[i];
        if (!found)
                return doctor_add(d, "bus-policy", DOCTOR_FAILED,
                                  "the bus has no policy for the dock, so berthd cannot take its name: install org.berth.Dock1.conf into "
                                  "/etc/dbus-1/system.d, then 'systemctl reload dbus'");
        if (d->has_daemon && may_take_name(d) > 0)
                return doctor_add(d, "bus-policy", DOCTOR_FAILED,
                                  "the bus lets others than " USER_DAEMON " be the dock: some file in /etc/dbus-1 allows it beside %s; "
                                  "take that away, then 'systemctl reload dbus'", found);
        return doctor_add(d, "bus-policy", DOCTOR_OK, "%s says who may be the dock, and who may ask it", found);
}

/* ---- udev ---------------------------------------------------------------------------------------------------------- */

typedef struct RulesFile {
        const char *name;
        bool needed; /* a site may do without the others, by an empty file of that name */
} RulesFile;

static const RulesFile rules_files[] = {
        { "68-berth.rules", true },      { "68-berth-hubport.rules", false }, { "68-berth-rack.rules", false },
        { "68-berth-usbfs.rules", false }, { "71-berth-leds.rules", false },   { "72-berth.rules", true },
        { "73-berth-bays.rules", false },
};

int doctor_find_rules(const char *name) {
        for (size_t i = 0; udev_rules_dirs[i]; i++) {
                char path[PATH_SIZE];
                struct stat st;

                (void) snprintf(path, sizeof(path), "%s/%s", udev_rules_dirs[i], name);
                if (stat(path, &st) == 0)
                        return S_ISREG(st.st_mode) && st.st_size > 0;
        }
        return -ENOENT;
}

static int look_at_rules(Doctor *d) {
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(rules_files); i++) {
                const RulesFile *f = &rules_files[i];
                int found = doctor_find_rules(f->name), r = 0;

                if (found < 0)
                        r = doctor_add(d, "udev-rules", f->needed ? DOCTOR_FAILED : DOCTOR_WARNING,
                                       "udev has no %s: install Berth's udev-rules, then 'udevadm control --reload' and 'udevadm trigger "
                                       "--action=add --subsystem-match=usb'", f->name);
                else if (found == 0)
                        r = doctor_add(d, "udev-rules", f->needed ? DOCTOR_FAILED : DOCTOR_NOTE,
                                       "an empty %s switches these rules off%s", f->name,
                                       f->needed ? ": remove it from /etc/udev/rules.d, or no camera is given to berthd" : "");
                if (r < 0)
                        return r;
                n += found > 0;
        }
        return n < ELEMENTSOF(rules_files) ? 0 : doctor_add(d, "udev-rules", DOCTOR_OK, "all %zu files of Berth's rules are there", n);
}

int doctor_read_number(const char *device, const char *name, int base, unsigned *ret) {
        _cleanup_(freep) char *path = text_format("%s/%s", device, name), *text = NULL;
        int r = path ? fd_read_file(AT_FDCWD, path, 64, &text, NULL) : -ENOMEM;

        if (r >= 0)
                *ret = (unsigned) strtoul(text, NULL, base);
        return r;
}

/* The rules give each hub's node to the group: 1 done, 0 not done, -errno when it is none, or is not there. */
static int hub_was_given(const char *device, gid_t group) {
        char link[PATH_SIZE], real[PATH_MAX], node[PATH_SIZE];
        unsigned class = 0, bus = 0, number = 0;
        struct stat st;
        int r;

        (void) snprintf(link, sizeof(link), DOCTOR_USB_DEVICES "/%.64s", device);
        if (!realpath(link, real))
                return -errno;
        r = doctor_read_number(real, "bDeviceClass", 16, &class);
        if (r < 0 || class != 9)
                return r < 0 ? r : -ENOTTY;
        if ((r = doctor_read_number(real, "busnum", 10, &bus)) < 0 || (r = doctor_read_number(real, "devnum", 10, &number)) < 0)
                return r;
        (void) snprintf(node, sizeof(node), "/dev/bus/usb/%03u/%03u", bus, number);
        if (stat(node, &st) < 0)
                return -errno;
        return st.st_gid == group;
}

static int look_at_hubs(Doctor *d, gid_t group) {
        DIR *dir = opendir(DOCTOR_USB_DEVICES);
        const struct dirent *entry;
        unsigned hubs = 0;
        int r = 0;

        if (!dir)
                return doctor_add(d, "udev-active", DOCTOR_FAILED,
                        "the kernel shows no USB devices (%s): 'modprobe usbcore'", strerror(errno));
        while (r == 0 && (entry = readdir(dir))) {
                int given = entry->d_name[0] == '.' || strchr(entry->d_name, ':') ? -ENOTTY : hub_was_given(entry->d_name, group);

                hubs += given >= 0;
                if (given == 0)
                        r = doctor_add(d, "udev-active", DOCTOR_FAILED,
                                       "udev did not give hub %s to the group " GROUP_USB ", so it does not go by Berth's rules yet: 'sudo "
                                       "udevadm control --reload', then 'sudo udevadm trigger --action=add --subsystem-match=usb'",
                                       entry->d_name) < 0 ? -ENOMEM : 1;
        }
        (void) closedir(dir);
        if (r != 0)
                return r < 0 ? r : 0;
        return hubs == 0 ? doctor_add(d, "udev-active", DOCTOR_NOTE, "the machine has no USB hub by which it could be told") :
                           doctor_add(d, "udev-active", DOCTOR_OK, "udev gave all hubs to the group " GROUP_USB);
}

int doctor_udev(Doctor *d) {
        gid_t group;
        int r = look_at_rules(d);

        if (r < 0)
                return r;
        if (access("/run/udev/control", F_OK) < 0)
                return doctor_add(d, "udev-active", DOCTOR_FAILED, "udev does not run: 'systemctl status systemd-udevd' may tell why");
        /* Both were told of already. */
        if (find_group(&group) < 0 || doctor_find_rules("68-berth-hubport.rules") <= 0)
                return 0;
        return look_at_hubs(d, group);
}

/* ---- The clock ----------------------------------------------------------------------------------------------------- */

static int ask_time(Doctor *d, const char *property, sd_bus_error *error) {
        int value = 0;
        int r = sd_bus_get_property_trivial(d->bus, "org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1",
                                            property, error, 'b', &value);

        return r < 0 ? r : value;
}

int doctor_clock(Doctor *d) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int synchronised, wanted;

        if (!d->bus)
                return 0;
        synchronised = ask_time(d, "NTPSynchronized", &error);
        if (synchronised < 0)
                return doctor_add(d, "clock", DOCTOR_FAILED,
                        "systemd-timedated does not say whether the clock is right (%s), so the dock takes it for wrong: 'systemctl "
                        "status systemd-timedated' may tell why", error.message ? error.message : strerror(-synchronised));
        if (synchronised)
                return doctor_add(d, "clock", DOCTOR_OK, "the clock is synchronised");
        wanted = ask_time(d, "NTP", NULL);
        if (wanted == 0)
                return doctor_add(d, "clock", DOCTOR_WARNING,
                                  "the clock is not synchronised, so cameras' clocks are left as they are and nothing is deleted by age: "
                                  "'sudo timedatectl set-ntp true'");
        return doctor_add(d, "clock", DOCTOR_WARNING,
                          "the clock is not synchronised yet, so cameras' clocks are left as they are and nothing is deleted by age: "
                          "'timedatectl timesync-status' shows whether a time server answers");
}
