/* SPDX-License-Identifier: Apache-2.0 */

/* In place of hotplug.c, hubport.c, clocksync.c and inhibit.c. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "property/world.h"

/* A still image device (class 06/01/01), which any dock accepts. */
static const uint8_t descriptors[] = {
        18, 1, 0, 2, 0, 0, 0, 64, 0x09, 0x12, 0x34, 0x12, 0, 1, 1, 2, 3, 1,
        9, 2, 39, 0, 1, 1, 0, 0x80, 50,
        9, 4, 0, 0, 3, 6, 1, 1, 0,
        7, 5, 0x81, 2, 0, 2, 0,
        7, 5, 0x02, 2, 0, 2, 0,
        7, 5, 0x83, 3, 28, 0, 8,
};
/* A loader: DFU 1.1, in its DFU mode. */
static const uint8_t loader_descriptors[] = {
        18, 1, 0, 2, 0, 0, 0, 64, 0x09, 0x12, 0x20, 0xbc, 0, 1, 1, 2, 3, 1,
        9, 2, 18, 0, 1, 1, 0, 0x80, 50,
        9, 4, 0, 0, 0, 0xfe, 1, 2, 0,
};
#define PRODUCT_AT 10 /* idProduct */

static const HotplugOps *ops;
static void *ops_userdata;

int hotplug_new(sd_event *event, uint64_t reconcile_usec, const HotplugOps *o, void *userdata, Hotplug **ret) {
        (void) event;
        (void) reconcile_usec;
        ops = o;
        ops_userdata = userdata;
        *ret = NULL;
        return 0;
}

Hotplug *hotplug_free(Hotplug *h) {
        (void) h;
        return NULL;
}

HotplugDevice *hotplug_device_free(HotplugDevice *d) {
        if (d) {
                free(d->port_path);
                free(d->sys_path);
                free(d->node_path);
                free(d->usb_serial);
                free(d->usb_manufacturer);
                free(d->usb_product);
                free(d->descriptors);
        }
        free(d);
        return NULL;
}

static void describe(uint32_t camera, HotplugDevice *d) {
        const bool in_loader = world->cameras[camera].in_loader;

        d->n_descriptors = in_loader ? sizeof(loader_descriptors) : sizeof(descriptors);
        d->descriptors = malloc(d->n_descriptors);
        if (!d->descriptors)
                abort();
        memcpy(d->descriptors, in_loader ? loader_descriptors : descriptors, d->n_descriptors);
        /* A model of its own (fleet.c), or that of any camera. */
        if (world->fleet && !in_loader) {
                d->descriptors[PRODUCT_AT] = (uint8_t) (0x10 + camera);
                d->descriptors[PRODUCT_AT + 1] = 0xbc;
        }
}

static void announce(uint32_t camera) {
        HotplugDevice *d = calloc(1, sizeof(*d));
        char serial[16], port[16];

        if (!d)
                abort();
        world_serial(camera, serial);
        world_port((unsigned) world->cameras[camera].bay, port);
        *d = (HotplugDevice){
                .port_path = strdup(port),
                .sys_path = strdup("/sys/devices/none"),
                .node_path = strdup("/nowhere/001/002"),
                .busnum = 1,
                .devnum = camera + 2,
                .appeared_usec = world->boottime_usec,
                .usb_serial = strdup(serial),
                .usb_manufacturer = strdup("Acme"),
                .usb_product = strdup("BC-1"),
        };
        describe(camera, d);
        ops->added(ops_userdata, d);
}

void fake_usb_announce(void) {
        for (uint32_t i = 0; i < CAMERAS; i++)
                if (world->cameras[i].bay >= 0) {
                        /* Another docking, as far as the dock can know: it may have been away meanwhile. */
                        world->cameras[i].generation++;
                        world->cameras[i].away = false;
                        announce(i);
                }
}

/* What lies on its storage is what it looks for when it starts. */
static void start_up(uint32_t camera) {
        SimCamera *c = &world->cameras[camera];

        c->generation++;
        if (c->dropped > 0)
                c->firmware = c->dropped;
        c->dropped = 0;
}

void fake_usb_plug(uint32_t camera, unsigned bay) {
        if (world->cameras[camera].bay >= 0)
                return;
        for (uint32_t i = 0; i < CAMERAS; i++)
                if (world->cameras[i].bay == (int) bay)
                        return;
        world->cameras[camera].bay = (int) bay;
        start_up(camera);
        announce(camera);
}

void fake_usb_leave(uint32_t camera) {
        char port[16];

        if (world->cameras[camera].bay < 0)
                return;
        start_up(camera);
        world->cameras[camera].away = true;
        world_port((unsigned) world->cameras[camera].bay, port);
        /* Before the dock is there, nobody is told. */
        if (ops)
                ops->removed(ops_userdata, port);
}

size_t fake_usb_away(void) {
        size_t n = 0;

        for (uint32_t i = 0; i < CAMERAS; i++)
                n += world->cameras[i].away;
        return n;
}

void fake_usb_return(size_t pick) {
        for (uint32_t i = 0; i < CAMERAS; i++) {
                if (!world->cameras[i].away || pick-- > 0)
                        continue;
                world->cameras[i].away = false;
                return announce(i);
        }
}

bool fake_usb_pull_out(uint32_t camera, char ret_port[static 16]) {
        if (world->cameras[camera].bay < 0 || world->cameras[camera].off || world->cameras[camera].away)
                return false;
        world_port((unsigned) world->cameras[camera].bay, ret_port);
        world->cameras[camera].bay = -1;
        return true;
}

void fake_usb_seen_off(const char *port) {
        ops->removed(ops_userdata, port);
}

void fake_usb_unplug(uint32_t camera) {
        char port[16];

        if (world->cameras[camera].bay < 0)
                return;
        world_port((unsigned) world->cameras[camera].bay, port);
        world->cameras[camera].bay = -1;
        /* Nobody sees it leave a port without power, nor one that has left the bus. */
        if (!world->cameras[camera].off && !world->cameras[camera].away)
                ops->removed(ops_userdata, port);
        world->cameras[camera].off = world->cameras[camera].away = false;
}

/* ---- Ports: where the world's can be switched, its camera leaves the bus at once, and comes back at once ------------------- */

typedef struct Switching {
        char *port_path;
        bool on;
        HubportDone done;
        void *userdata;
} Switching;

static sd_event *loop;

int hubports_new(sd_event *event, Hubports **ret) {
        loop = event;
        *ret = NULL;
        return 0;
}

Hubports *hubports_free(Hubports *h) {
        (void) h;
        return NULL;
}

int hubport_usable(const char *port_path) {
        (void) port_path;
        return world->switches ? 0 : -ENOENT;
}

static int on_switching(sd_event_source *source, void *userdata) {
        Switching *s = userdata;
        int camera = world_camera_at(s->port_path);

        sd_event_source_unref(source);
        if (camera >= 0 && (world->cameras[camera].off == s->on || (s->on && world->cameras[camera].unseen))) {
                world->cameras[camera].off = !s->on;
                if (s->on)
                        announce((uint32_t) camera);
                else if (!world->cameras[camera].unseen)
                        ops->removed(ops_userdata, s->port_path);
                world->cameras[camera].unseen = false;
        }
        s->done(s->userdata, s->port_path, 0);
        free(s->port_path);
        free(s);
        return 0;
}

int hubport_set(Hubports *h, const char *port_path, bool on, HubportDone done, void *userdata) {
        Switching *s = world->switches ? calloc(1, sizeof(*s)) : NULL;
        sd_event_source *source;

        (void) h;
        if (!s)
                return -ENOENT;
        *s = (Switching){ .port_path = strdup(port_path), .on = on, .done = done, .userdata = userdata };
        return sd_event_add_defer(loop, &source, on_switching, s);
}

int hubport_cycle(Hubports *h, const char *port_path, HubportDone done, void *userdata) {
        (void) h;
        (void) port_path;
        (void) done;
        (void) userdata;
        return -ENOENT;
}

int hubport_is_on(const char *port_path) {
        (void) port_path;
        return world->switches ? 1 : -ENOENT;
}

int hubport_ask(Hubports *h, const char *port_path, HubportDone done, void *userdata) {
        return hubport_cycle(h, port_path, done, userdata);
}

int hubport_over_currents(const char *port_path, uint64_t *ret) {
        (void) port_path;
        (void) ret;
        return -ENOENT;
}

int hubport_hub(const char *port_path, char ret[static HUBPORT_HUB_SIZE]) {
        (void) port_path;
        (void) ret;
        return -ENOENT;
}

int hubport_restore(const char *port_path) {
        (void) port_path;
        return -ENOENT;
}

/* ---- timedate1 -------------------------------------------------------------------------------------------------------- */

int clocksync_new(sd_event *event, void (*changed)(void *userdata), void *userdata, ClockSync **ret) {
        (void) event;
        (void) changed;
        (void) userdata;
        *ret = NULL;
        return 0;
}

ClockSync *clocksync_free(ClockSync *c) {
        (void) c;
        return NULL;
}

void clocksync_set_bus(ClockSync *c, sd_bus *bus) {
        (void) c;
        (void) bus;
}

bool clocksync_is_synchronised(const ClockSync *c) {
        (void) c;
        return world->synchronised;
}

/* ---- login1 ----------------------------------------------------------------------------------------------------------- */

int inhibit_new(Inhibit **ret) {
        *ret = NULL;
        return 0;
}

Inhibit *inhibit_free(Inhibit *i) {
        (void) i;
        return NULL;
}

void inhibit_set_bus(Inhibit *i, sd_bus *bus) {
        (void) i;
        (void) bus;
}

void inhibit_hold(Inhibit *i, bool wanted) {
        (void) i;
        (void) wanted;
}

bool inhibit_asks(const Inhibit *i) {
        (void) i;
        return false;
}

size_t inhibit_fds(const Inhibit *i, int *ret) {
        (void) i;
        (void) ret;
        return 0;
}
