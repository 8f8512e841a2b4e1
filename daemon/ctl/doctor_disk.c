/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The disks below the state folders: room, and what the kernel (and UDisks, where it runs) says of their health. Footage is held there
 * until the store has it, so a disk that fails is told of before it loses anything.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/doctor.h"
#include "ctl/evidence.h"

#define UPLINK_STATE_DIR "/var/lib/berth-uplink"
#define FULL_BYTES (UINT64_C(1) << 30)
#define LOW_PERCENT 10u
#define LOW_FILES_PERCENT 5u
/* RAID over crypt over LVM over partitions has half as many. */
#define STACK_MAX 8u
#define PATH_SIZE 512u
#define UDISKS "org.freedesktop.UDisks2"

/* ---- Room ---------------------------------------------------------------------------------------------------------- */

static int look_at_room(Doctor *d, const char *name, const char *dir, bool holds_footage) {
        char free_text[16];
        struct statvfs v;
        uint64_t bytes;

        if (statvfs(dir, &v) < 0)
                return doctor_add(d, name, DOCTOR_FAILED, "the folder %s cannot be looked at (%s): 'sudo systemd-tmpfiles --create', and "
                                  "'systemctl start' of the unit, make it", dir, strerror(errno));
        bytes = (uint64_t) v.f_bavail * v.f_frsize;
        (void) text_bytes(bytes, free_text);
        if (v.f_flag & ST_RDONLY)
                return doctor_add(d, name, DOCTOR_FAILED, "the disk of %s can only be read, as the kernel sees to after errors: look into "
                                  "'journalctl -k', and replace the disk or mount it for writing", dir);
        if (v.f_files > 0 && (uint64_t) v.f_favail * 100 < (uint64_t) v.f_files * LOW_FILES_PERCENT)
                return doctor_add(d, name, DOCTOR_WARNING,
                        "the file system of %s has room for %" PRIu64 " more files only: remove what does not belong there",
                        dir, (uint64_t) v.f_favail);
        if (holds_footage && bytes < FULL_BYTES)
                return doctor_add(d, name, DOCTOR_FAILED,
                        "the disk of %s has %s left: cameras cannot be pulled soon; give it a larger disk, or see with 'berthctl "
                        "transfer' why the store takes nothing", dir, free_text);
        if ((uint64_t) v.f_bavail * 100 < (uint64_t) v.f_blocks * LOW_PERCENT)
                return doctor_add(d, name, DOCTOR_WARNING,
                        "the disk of %s has %s left, less than a tenth: it should hold several days of footage; give it a larger disk, "
                        "or see with 'berthctl transfer' why the store takes nothing", dir, free_text);
        return doctor_add(d, name, DOCTOR_OK, "%s has %s left", dir, free_text);
}

/* ---- Health, as the kernel knows it -------------------------------------------------------------------------------- */

static int read_text(const char *path, char **ret) {
        int r = fd_read_file(AT_FDCWD, path, 256, ret, NULL);

        if (r >= 0)
                (*ret)[strcspn(*ret, "\n")] = 0;
        return r;
}

/* 0 also when there is no such file: the kernel counts nothing there. */
static uint64_t read_count(const char *dir, const char *name) {
        _cleanup_(freep) char *path = text_format("%s/%s", dir, name), *text = NULL;

        return path && read_text(path, &text) >= 0 ? strtoull(text, NULL, 10) : 0;
}

/* One device of the stack: how many points were added. */
static int look_at_device(Doctor *d, const char *sys, const char *name, const char *dir) {
        _cleanup_(freep) char *state = NULL, *path = text_format("%s/device/state", sys);
        uint64_t missing = read_count(sys, "md/degraded");

        if (!path)
                return -ENOMEM;
        if (missing > 0) {
                int r = doctor_add(d, "disk-health", DOCTOR_WARNING,
                        "the array %s, which holds %s, lacks %" PRIu64 " of its disks: replace what 'mdadm --detail /dev/%s' shows as "
                        "failed", name, dir, missing, name);
                return r < 0 ? r : 1;
        }
        /* "live" is NVMe's word, "running" SCSI's. */
        if (read_text(path, &state) >= 0 && !text_equal(state, "running") && !text_equal(state, "live")) {
                int r = doctor_add(d, "disk-health", DOCTOR_FAILED, "the kernel says that the disk %s, which holds %s, is %s: look into "
                                   "'journalctl -k', and replace it", name, dir, state);
                return r < 0 ? r : 1;
        }
        return 0;
}

static int look_at_stack(Doctor *d, const char *sys, const char *dir, unsigned depth);

/* What it is made of: partitions lie in their disk's folder. */
static int look_below(Doctor *d, const char *sys, const char *dir, unsigned depth) {
        _cleanup_(freep) char *slaves = text_format("%s/slaves", sys), *partition = text_format("%s/partition", sys);
        int found = 0, r = 0;
        struct dirent *entry;
        DIR *stream;

        if (!slaves || !partition)
                return -ENOMEM;
        if (access(partition, F_OK) == 0) {
                _cleanup_(freep) char *disk = text_format("%s/..", sys);
                return disk ? look_at_stack(d, disk, dir, depth + 1) : -ENOMEM;
        }
        stream = opendir(slaves);
        if (!stream)
                return 0;
        while (r >= 0 && (entry = readdir(stream))) {
                _cleanup_(freep) char *one = entry->d_name[0] == '.' ? NULL : text_format("%s/%s", slaves, entry->d_name);

                r = one ? look_at_stack(d, one, dir, depth + 1) : 0;
                found += r > 0 ? r : 0;
        }
        (void) closedir(stream);
        return r < 0 ? r : found;
}

static int look_at_stack(Doctor *d, const char *sys, const char *dir, unsigned depth) {
        char real[PATH_MAX];
        const char *slash;
        int r, below;

        if (depth > STACK_MAX || !realpath(sys, real))
                return 0;
        slash = strrchr(real, '/');
        r = look_at_device(d, real, slash ? slash + 1 : real, dir);
        if (r < 0)
                return r;
        below = look_below(d, real, dir, depth);
        return below < 0 ? below : r + below;
}

/* How many points were added; -ENODEV: nobody knows what it lies on. */
static int look_at_health(Doctor *d, const char *dir) {
        char sys[64], real[PATH_MAX];
        const char *name;
        struct stat st;
        uint64_t errors;
        int r = 0, k;

        if (stat(dir, &st) < 0)
                return -ENODEV;
        (void) snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
        if (!realpath(sys, real))
                return -ENODEV;
        name = strrchr(real, '/') + 1;
        (void) snprintf(sys, sizeof(sys), "/sys/fs/ext4/%.40s", name);
        errors = read_count(sys, "errors_count");
        if (errors > 0) {
                r = doctor_add(d, "disk-health", DOCTOR_FAILED,
                        "the file system of %s, on %s, has counted %" PRIu64 " errors: stop berthd and berth-uplink, check it with "
                        "'e2fsck -f /dev/%s', and look into 'journalctl -k' for the disk's own", dir, name,
                               errors, name);
                r = r < 0 ? r : 1;
        }
        k = r < 0 ? r : look_at_stack(d, real, dir, 0);
        return k < 0 ? k : r + k;
}

/* ---- Health, as the disks tell of it themselves -------------------------------------------------------------------- */

/* The dictionary of one interface: is this disk about to fail? */
static int read_drive(sd_bus_message *m, bool *ret_failing) {
        const char *key;
        int r, failing = 0;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = text_equal(key, "SmartFailing") ? sd_bus_message_read(m, "v", "b", &failing) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        *ret_failing = failing;
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_object(Doctor *d, sd_bus_message *m, int *found) {
        const char *path, *interface;
        bool failing = false;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(m, "s", &interface);
                if (r >= 0)
                        r = text_equal(interface, UDISKS ".Drive.Ata") ? read_drive(m, &failing) : sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0 || !failing)
                return r;
        *found += 1;
        return doctor_add(d, "disk-health", DOCTOR_FAILED, "the disk %s says of itself (SMART) that it will fail soon: replace it",
                          strrchr(path, '/') + 1);
}

/* How many points were added; -ENODEV: nobody is there to ask. */
static int ask_disks(Doctor *d) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r, found = 0;

        if (!d->bus ||
            sd_bus_call_method(d->bus, UDISKS, "/org/freedesktop/UDisks2", BUS_OBJECT_MANAGER, "GetManagedObjects", NULL, &reply, "") < 0)
                return -ENODEV;
        r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
                r = read_object(d, reply, &found);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : found;
}

int doctor_disks(Doctor *d) {
        const char *state_dir = evidence_dir(d->options);
        int r, known, told;

        r = look_at_room(d, "disk-spool", state_dir, true);
        if (r >= 0 && !d->options->state_dir)
                r = look_at_room(d, "disk-uplink", UPLINK_STATE_DIR, false);
        if (r < 0)
                return r;
        known = look_at_health(d, state_dir);
        told = known == -ENOMEM ? known : ask_disks(d);
        if (known == -ENOMEM || (told < 0 && told != -ENODEV))
                return known == -ENOMEM ? known : told;
        if (known > 0 || told > 0)
                return 0;
        if (known < 0 && told < 0)
                return doctor_add(d, "disk-health", DOCTOR_NOTE,
                        "nobody here knows how the disk of %s is: look with 'smartctl --health'", state_dir);
        return doctor_add(d, "disk-health", DOCTOR_OK, "the kernel has seen no trouble with the disk of %s%s", state_dir,
                          told < 0 ? "; install udisks2 to hear of what disks say of themselves (SMART)" :
                                     ", and no disk says that it will fail");
}
