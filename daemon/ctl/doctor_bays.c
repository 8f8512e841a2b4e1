/* SPDX-License-Identifier: Apache-2.0 */

/* Does udev know the bays by the numbers that the daemon goes by? It asks for them when a device comes, and not when they change. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/doctor.h"
#include "ctl/dock.h"

#define RULES "73-berth-bays.rules"
#define PATH_SIZE 128u

static int load_bays(Doctor *d, Dock *dock) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_call_method(d->bus, DOCK_BUS_NAME, DOCK_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &error,
                                   &reply, "");

        return r < 0 ? r : dock_load_objects(dock, reply);
}

/* 1: what lies in the bay is where the rules put it; 0: it is not; -errno when nothing lies there. */
static int bay_is_linked(const DockBay *bay) {
        char link[PATH_SIZE], device[PATH_SIZE], real[PATH_MAX], node[PATH_SIZE], target[PATH_MAX];
        unsigned bus = 0, number = 0;
        int r;

        (void) snprintf(device, sizeof(device), DOCTOR_USB_DEVICES "/%.64s", bay->port_path);
        if (strchr(bay->port_path, '/') || !realpath(device, real))
                return -ENODEV;
        if ((r = doctor_read_number(real, "busnum", 10, &bus)) < 0 || (r = doctor_read_number(real, "devnum", 10, &number)) < 0)
                return r;
        (void) snprintf(node, sizeof(node), "/dev/bus/usb/%03u/%03u", bus, number);
        (void) snprintf(link, sizeof(link), "/dev/berth/bay%u", bay->number);
        return realpath(link, target) && text_equal(target, node);
}

int doctor_bays(Doctor *d) {
        _cleanup_(dock_freep) Dock *dock = NULL;
        const DockBay *wrong = NULL;
        size_t n_wrong = 0;
        int r;

        if (!d->has_daemon || doctor_find_rules(RULES) <= 0)
                return 0;
        r = dock_new(&dock);
        if (r < 0)
                return r;
        r = load_bays(d, dock);
        if (r < 0)
                return r == -ENOMEM ? r : doctor_add(d, "bay-links", DOCTOR_FAILED, "the daemon does not tell its bays: %s", strerror(-r));
        for (size_t i = 0; i < dock->n_bays; i++)
                if (bay_is_linked(dock->bays[i]) == 0) {
                        wrong = wrong ? wrong : dock->bays[i];
                        n_wrong++;
                }
        if (!wrong)
                return doctor_add(d, "bay-links", DOCTOR_OK, "what lies in a bay is in /dev/berth by the bay's number");
        return doctor_add(d, "bay-links", DOCTOR_WARNING,
                          "what lies in bay %u (%s) is not /dev/berth/bay%u (as in %zu of the bays): numbers were changed since it was put "
                          "in; 'sudo udevadm trigger --subsystem-match=usb', and 'sudo systemctl restart berthd' if that does not help",
                          wrong->number, wrong->port_path, wrong->number, n_wrong);
}
