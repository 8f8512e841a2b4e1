/* SPDX-License-Identifier: Apache-2.0 */

/* How the rack is, as the daemon sees it with its own rights: the bays' ports, who switches their power, room for transfers. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "base/wire_uplink.h"
#include "service/hubport.h"
#include "service/manager_private.h"

#define USBFS_MEMORY "/sys/module/usbcore/parameters/usbfs_memory_mb"
#define LIST_SIZE 160u
#define SENTENCE_SIZE 448u

/* "bays 1-3, 7 and others": so many that each is found, and no more than a line holds. */
typedef struct BayList {
        char text[LIST_SIZE];
        size_t length;
        unsigned n, first, last;
        bool cut;
} BayList;

typedef struct Points {
        ManagerPoint points[6];
        char texts[6][SENTENCE_SIZE];
        size_t n;
} Points;

static void list_flush(BayList *l) {
        int n;

        if (l->first == 0 || l->cut)
                return;
        if (l->length + 32 > sizeof(l->text)) {
                (void) snprintf(l->text + l->length, sizeof(l->text) - l->length, " and others");
                l->cut = true;
                return;
        }
        n = snprintf(l->text + l->length, sizeof(l->text) - l->length, "%s%u", l->length ? ", " : "", l->first);
        if (n > 0 && l->last != l->first)
                n += snprintf(l->text + l->length + (size_t) n, sizeof(l->text) - l->length - (size_t) n, "-%u", l->last);
        l->length += n > 0 ? (size_t) n : 0;
}

/* In order of their numbers. */
static void list_add(BayList *l, unsigned number) {
        l->n++;
        if (l->first != 0 && number == l->last + 1) {
                l->last = number;
                return;
        }
        list_flush(l);
        l->first = l->last = number;
}

static const char *list_text(BayList *l) {
        list_flush(l);
        l->first = 0;
        return l->text;
}

static void add(Points *p, const char *name, const char *verdict, const char *format, ...) _printf_(4, 5);
static void add(Points *p, const char *name, const char *verdict, const char *format, ...) {
        va_list ap;

        if (p->n >= ELEMENTSOF(p->points))
                return;
        va_start(ap, format);
        (void) vsnprintf(p->texts[p->n], sizeof(p->texts[p->n]), format, ap);
        va_end(ap);
        p->points[p->n] = (ManagerPoint){ .name = name, .verdict = verdict, .text = p->texts[p->n] };
        p->n++;
}

/* ---- The bays' ports ----------------------------------------------------------------------------------------------- */

typedef struct Ports {
        BayList all, absent, closed, unmeasured, stuck;
} Ports;

static void look_at_port(Manager *m, Bay *bay, Ports *p) {
        char hub[HUBPORT_HUB_SIZE];
        HubportWay way;
        unsigned number = bay_number(bay);
        int switches, r;

        list_add(&p->all, number);
        if (hubport_hub(bay_port_path(bay), hub) < 0)
                return list_add(&p->absent, number);
        r = hubport_way(bay_port_path(bay), &way);
        if (r < 0)
                return list_add(&p->closed, number);
        switches = charging_switches(m->charging, bay);
        if (switches < 0)
                list_add(&p->unmeasured, number);
        else if (!switches)
                list_add(&p->stuck, number);
}

static void report_hubs(Points *to, Ports *p) {
        if (p->all.n == 0)
                add(to, "hubs", WIRE_VERDICT_WARNING, "the dock has no bays: describe each in a section [bay PORT] of berthd.conf");
        else if (p->absent.n > 0)
                add(to, "hubs", WIRE_VERDICT_FAILED,
                    "no hub is where berthd.conf has bay %s: look at the rack's cable and power, or correct the [bay PORT] sections "
                    "('udevadm monitor --udev --subsystem-match=usb' tells the port of a camera that is put in)", list_text(&p->absent));
        else
                add(to, "hubs", WIRE_VERDICT_OK, "the hubs of all %u bays are there", p->all.n);
}

/* Without a budget, or batteries to spare, nothing depends on it but bringing a camera back from its storage mode. */
static void report_switching(const Manager *m, Points *to, Ports *p) {
        const char *worse = settings_switches_ports(m->settings) ? WIRE_VERDICT_WARNING : WIRE_VERDICT_NOTE;

        if (p->closed.n > 0)
                add(to, "port-access", WIRE_VERDICT_WARNING,
                    "berthd may not switch the power of bay %s: neither the port's 'disable' file nor its hub may be written; install "
                    "udev-rules/68-berth-hubport.rules, then 'udevadm trigger --action=add --subsystem-match=usb'",
                    list_text(&p->closed));
        else if (p->all.n > p->absent.n)
                add(to, "port-access", WIRE_VERDICT_OK, "berthd may switch the power of the bays that are there");
        if (p->stuck.n > 0)
                add(to, "port-switching", worse,
                    "calibration found that bay %s does not really switch: its hub gives power all the time, so the charging plan counts "
                    "it as always on; a rack that needs its budget kept needs another hub there", list_text(&p->stuck));
        if (p->unmeasured.n > 0)
                add(to, "port-switching", worse,
                    "nobody tried whether bay %s can really be switched, so the charging plan leaves it on: put a camera in and run "
                    "'berthctl bay calibrate NUMBER'", list_text(&p->unmeasured));
        if (p->stuck.n == 0 && p->unmeasured.n == 0 && p->all.n > p->absent.n + p->closed.n)
                add(to, "port-switching", WIRE_VERDICT_OK, "calibration found that each bay that is there switches");
}

/* ---- Room for transfers -------------------------------------------------------------------------------------------- */

static int usbfs_memory(uint64_t *ret_mib) {
        _cleanup_(freep) char *text = NULL;
        char *end;
        uint64_t n;
        int r;

        r = fd_read_file(AT_FDCWD, USBFS_MEMORY, 64, &text, NULL);
        if (r < 0)
                return r;
        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno != 0 || end == text)
                return -EBADMSG;
        *ret_mib = n;
        return 0;
}

static void report_memory(Points *to, unsigned bays) {
        uint64_t need = ((uint64_t) bays * WIRE_BAY_USB_MEMORY + MIB - 1) / MIB, have;
        int r = usbfs_memory(&have);

        if (r < 0)
                add(to, "usb-memory", WIRE_VERDICT_WARNING,
                        "the kernel's limit for USB transfers, " USBFS_MEMORY ", cannot be read (%s): is its USB core loaded ('modprobe "
                        "usbcore')?", strerror(-r));
        else if (have != 0 && have < need)
                add(to, "usb-memory", WIRE_VERDICT_WARNING,
                        "the kernel lets all programs have %" PRIu64 " MiB for USB transfers, and %u bays at once want %" PRIu64 ": "
                        "pulling gets slow; install udev-rules/68-berth-usbfs.rules, or boot with usbcore.usbfs_memory_mb=%" PRIu64,
                        have, bays, need,
                    need < 128 ? UINT64_C(128) : need);
        else if (have == 0)
                add(to, "usb-memory", WIRE_VERDICT_OK, "the kernel sets no limit for USB transfers");
        else
                add(to, "usb-memory", WIRE_VERDICT_OK,
                        "%" PRIu64 " MiB for USB transfers, of which all bays at once want %" PRIu64, have, need);
}

void manager_examine_rack(Manager *m, ManagerExamined done, void *userdata) {
        Ports ports = {};
        Points points;

        points.n = 0;
        for (Bay *b = manager_first_bay(m); b; b = bay_next_in_order(b))
                look_at_port(m, b, &ports);
        report_hubs(&points, &ports);
        report_switching(m, &points, &ports);
        report_memory(&points, ports.all.n);
        done(userdata, points.points, points.n);
}
