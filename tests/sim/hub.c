/* SPDX-License-Identifier: Apache-2.0 */

/* Hubs: the shape of the rack, the power of its ports, and the hub class requests (USB 2.0, 11.24). */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/bus.h"
#include "sim/sysfs.h"
#include "sim/uevent.h"

enum {
        REQUEST_GET_STATUS = 0,
        REQUEST_CLEAR_FEATURE = 1,
        REQUEST_SET_FEATURE = 3,
        REQUEST_GET_DESCRIPTOR = 6,

        TYPE_GET_HUB = 0xa0,
        TYPE_GET_PORT = 0xa3,
        TYPE_SET_HUB = 0x20,
        TYPE_SET_PORT = 0x23,

        FEATURE_PORT_POWER = 8,
        FEATURE_C_PORT_OVER_CURRENT = 19,

        STATUS_CONNECTION = 1 << 0,
        STATUS_ENABLE = 1 << 1,
        STATUS_OVER_CURRENT = 1 << 3,
        CHANGE_OVER_CURRENT = 1 << 3, /* in the other half: 11.24.2.7.2 */
        STATUS_POWER = 1 << 8,
        STATUS_LOW_SPEED = 1 << 9,
        STATUS_HIGH_SPEED = 1 << 10,
        STATUS_POWER_SUPERSPEED = 1 << 9, /* USB 3.2, 10.16.2.6.1 */

        DESCRIPTOR_HUB = 0x29,
        DESCRIPTOR_SUPERSPEED_HUB = 0x2a,
        SUPERSPEED_HUB_DESCRIPTOR_SIZE = 12,
        POWER_SWITCHING_BY_PORT = 1,
        POWER_SWITCHING_NONE = 2,
        OVERCURRENT_BY_PORT = 8,
};

/* Parents before children. Made at the start, never changed. */
static TAILQ_HEAD(, Hub) hubs = TAILQ_HEAD_INITIALIZER(hubs);

Hub *hub_next(const Hub *hub) {
        return hub ? TAILQ_NEXT(hub, entry) : TAILQ_FIRST(&hubs);
}

Hub *hub_find(const char *path) {
        for (Hub *hub = NULL; path && (hub = hub_next(hub));)
                if (text_equal(hub->path, path))
                        return hub;
        return NULL;
}

Port *port_find(const char *path) {
        for (Hub *hub = NULL; path && (hub = hub_next(hub));)
                for (unsigned i = 0; i < hub->n_ports; i++)
                        if (text_equal(hub->ports[i].path, path))
                                return &hub->ports[i];
        return NULL;
}

Port *port_by_index(unsigned index) {
        for (Hub *hub = NULL; (hub = hub_next(hub)); index -= hub->n_ports)
                if (index < hub->n_ports)
                        return &hub->ports[index];
        return NULL;
}

unsigned port_index(const Port *port) {
        unsigned index = port->number - 1;

        for (Hub *hub = NULL; (hub = hub_next(hub)) && hub != port->hub;)
                index += hub->n_ports;
        return index;
}

void port_name(const Port *port, char ret[static BUS_NAME_SIZE]) {
        (void) snprintf(ret, BUS_NAME_SIZE, "%.50s-port%u", port->hub->path, port->number);
}

Port *port_by_name(const char *name) {
        char own[BUS_NAME_SIZE];
        Port *port;

        for (unsigned i = 0; (port = port_by_index(i)); i++) {
                port_name(port, own);
                if (strcmp(own, name) == 0)
                        return port;
        }
        return NULL;
}

/* ---- the hub as a device ---------------------------------------------------------------------------------- */

static size_t hub_descriptors(void *state, uint8_t *ret, size_t size) {
        static const uint8_t raw[] = {
                18, 1, 0x00, 0x02, 9, 0, 1, 64, 0x09, 0x21, 0x13, 0x28, 0x00, 0x90, 1, 2, 0, 1,
                9, 2, 25, 0, 1, 1, 0, 0xe0, 50,
                9, 4, 0, 0, 1, 9, 0, 0, 0,
                7, 5, 0x81, 3, 1, 0, 12,
        };
        const Hub *hub = state;

        if (size < sizeof(raw))
                return 0;
        memcpy(ret, raw, sizeof(raw));
        if (hub->is_root) {
                /* 1d6b:0002, the kernel's own */
                ret[8] = 0x6b;
                ret[9] = 0x1d;
                ret[10] = 0x02;
                ret[11] = 0x00;
        }
        if (hub->superspeed) {
                ret[3] = 0x03;
                ret[6] = 3;
                ret[7] = 9;
                ret[10] = 0x03;
        }
        return sizeof(raw);
}

static const char *hub_string(void *state, uint8_t index) {
        const Hub *hub = state;

        if (index == 1)
                return hub->is_root ? "Linux" : "Rack";
        if (index == 2)
                return hub->is_root ? "Simulated Host Controller" : "Simulated Hub";
        return NULL;
}

/* USB 3.2, 10.15.2.1 */
static int give_superspeed_hub_descriptor(const Hub *hub, uint8_t *data, size_t length) {
        const uint8_t d[SUPERSPEED_HUB_DESCRIPTOR_SIZE] = {
                sizeof(d), DESCRIPTOR_SUPERSPEED_HUB, (uint8_t) hub->n_ports,
                (hub->is_root ? POWER_SWITCHING_NONE : POWER_SWITCHING_BY_PORT) | OVERCURRENT_BY_PORT, 0, 50, 100,
        };
        size_t n = MIN2(length, sizeof(d));

        memcpy(data, d, n);
        return (int) n;
}

static int give_hub_descriptor(const Hub *hub, uint8_t *data, size_t length) {
        uint8_t d[7 + 2 * 2] = {
                0, DESCRIPTOR_HUB, (uint8_t) hub->n_ports,
                /* Root hubs switch nothing, like those of most machines; the rack's hubs switch each port. */
                (hub->is_root ? POWER_SWITCHING_NONE : POWER_SWITCHING_BY_PORT) | OVERCURRENT_BY_PORT, 0, 50, 100,
        };
        size_t bitmap = hub->n_ports / 8 + 1, n;

        if (hub->superspeed)
                return give_superspeed_hub_descriptor(hub, data, length);
        memset(d + 7 + bitmap, 0xff, bitmap);
        d[0] = (uint8_t) (7 + 2 * bitmap);
        n = MIN2(length, d[0]);
        memcpy(data, d, n);
        return (int) n;
}

/* Does this half of the connector carry power, and what its hub makes of it? */
static bool half_is_on(const Port *port) {
        return port->power || port->hub->lies;
}

/* What sits in the connector, when it is this half that it talks on: a USB 3 device takes the other one only where that is all there is. */
static SimDevice *sits_at(const Port *port) {
        SimDevice *device = port->plugged ?: port->peer ? port->peer->plugged : NULL;
        bool fast = device && text_equal(device->fastest, SPEED_SUPER);

        if (!device || device->away || !half_is_on(port))
                return NULL;
        if (port->hub->superspeed)
                return fast ? device : NULL;
        return fast && port->peer && half_is_on(port->peer) && !port->peer->disabled ? NULL : device;
}

static unsigned speed_bits(const Port *port, const SimDevice *device) {
        if (!device || port->hub->superspeed)
                return 0;
        if (text_equal(device->fastest, SPEED_LOW))
                return STATUS_LOW_SPEED;
        return text_equal(device->fastest, SPEED_FULL) ? 0 : STATUS_HIGH_SPEED;
}

static int give_port_status(const Port *port, uint8_t *data, size_t length) {
        const SimDevice *device = sits_at(port);
        unsigned status = speed_bits(port, device);

        if (port->power)
                status |= port->hub->superspeed ? STATUS_POWER_SUPERSPEED : STATUS_POWER;
        if (device)
                status |= STATUS_CONNECTION | STATUS_ENABLE;
        if (port->shorted)
                status |= STATUS_OVER_CURRENT;
        const uint8_t answer[4] = { (uint8_t) status, (uint8_t) (status >> 8), port->over_current_change ? CHANGE_OVER_CURRENT : 0 };
        size_t n = MIN2(length, sizeof(answer));

        memcpy(data, answer, n);
        return (int) n;
}

/* The electrical effect is at once; the host notices a little later, on the timer's thread. */
static int set_port_feature(Port *port, bool on, unsigned feature) {
        if (feature == FEATURE_C_PORT_OVER_CURRENT && !on)
                port->over_current_change = false;
        if (feature != FEATURE_PORT_POWER)
                return 0;
        port_set_power(port, on);
        sim_timer_arm(&port->hub->device->timer, 0);
        return 0;
}

static int hub_control(void *state, const uint8_t setup[8], uint8_t *data, size_t length) {
        static const uint8_t good[4];
        Hub *hub = state;
        unsigned feature = setup[2] | (unsigned) setup[3] << 8, number = setup[4];
        Port *port = number >= 1 && number <= hub->n_ports ? &hub->ports[number - 1] : NULL;

        if (setup[0] == TYPE_GET_HUB && setup[1] == REQUEST_GET_DESCRIPTOR)
                return give_hub_descriptor(hub, data, length);
        if (setup[0] == TYPE_GET_HUB && setup[1] == REQUEST_GET_STATUS) {
                memcpy(data, good, MIN2(length, sizeof(good)));
                return (int) MIN2(length, sizeof(good));
        }
        if (setup[0] == TYPE_SET_HUB)
                return 0;
        if (!port)
                return -EPIPE;
        if (setup[0] == TYPE_GET_PORT && setup[1] == REQUEST_GET_STATUS)
                return give_port_status(port, data, length);
        if (setup[0] == TYPE_SET_PORT && (setup[1] == REQUEST_CLEAR_FEATURE || setup[1] == REQUEST_SET_FEATURE))
                return set_port_feature(port, setup[1] == REQUEST_SET_FEATURE, feature);
        return -EPIPE;
}

static int hub_out(void *state, uint8_t endpoint, const uint8_t *data, size_t length) {
        (void) state;
        (void) endpoint;
        (void) data;
        (void) length;
        return -EPIPE;
}

static int hub_in(void *state, uint8_t endpoint, uint8_t *data, size_t length) {
        (void) state;
        (void) endpoint;
        (void) data;
        (void) length;
        return SIM_NAK;
}

static const SimModel hub_model = {
        .name = "hub",
        .descriptors = hub_descriptors,
        .string = hub_string,
        .control = hub_control,
        .out = hub_out,
        .in = hub_in,
};

/* ---- the rack ---------------------------------------------------------------------------------------------- */

static Hub *hub_new(unsigned bus, const char *path, bool is_root, bool superspeed, unsigned n_ports) {
        Hub *hub = calloc(1, sizeof(*hub));

        if (!hub || device_new(path, &hub_model, &hub->device) < 0) {
                free(hub);
                return NULL;
        }
        hub->device->hub = hub;
        hub->device->state = hub;
        hub->bus = bus;
        hub->is_root = is_root;
        hub->superspeed = superspeed;
        hub->device->speed = hub->device->fastest = superspeed ? SPEED_SUPER : SPEED_HIGH;
        hub->n_ports = n_ports;
        (void) snprintf(hub->path, sizeof(hub->path), "%s", path);
        for (unsigned i = 0; i < n_ports; i++) {
                Port *port = &hub->ports[i];

                port->hub = hub;
                port->number = i + 1;
                port->mode = 0644;
                port->power = true;
                if (is_root)
                        (void) snprintf(port->path, sizeof(port->path), "%u-%u", bus, i + 1);
                else
                        (void) snprintf(port->path, sizeof(port->path), "%.50s.%u", path, i + 1);
        }
        TAILQ_INSERT_TAIL(&hubs, hub, entry);
        return hub;
}

static Hub *root_hub(unsigned bus, bool superspeed) {
        char path[BUS_NAME_SIZE];

        for (Hub *hub = NULL; (hub = hub_next(hub));)
                if (hub->is_root && hub->bus == bus)
                        return hub->superspeed == superspeed ? hub : NULL;
        (void) snprintf(path, sizeof(path), "usb%u", bus);
        return hub_new(bus, path, true, superspeed, HUB_PORTS_MAX);
}

/* The connectors of both are the same. */
static void marry(Hub *hub, Hub *other) {
        for (unsigned i = 0; i < hub->n_ports && i < other->n_ports; i++) {
                hub->ports[i].peer = &other->ports[i];
                other->ports[i].peer = &hub->ports[i];
        }
}

/* "1-1.4:7", or "2-1:7=1-1" */
static int hub_create(char *text, char *why, size_t why_size) {
        char *colon = strchr(text, ':'), *equals = strchr(text, '=');
        Hub *other = equals ? hub_find(equals + 1) : NULL;
        unsigned bus = 0, n_ports = 0;
        bool parsed = colon && sscanf(text, "%u-%*u", &bus) == 1 && sscanf(colon, ":%u", &n_ports) == 1;
        Port *port;
        Hub *hub;

        if (!parsed || bus < 1 || bus > BUSES_MAX || n_ports < 1 || n_ports > HUB_PORTS_MAX) {
                (void) snprintf(why, why_size,
                                "\"%s\" is not a hub: it should look like 1-1:7, with bus 1 to %u and 1 to %u ports.",
                                text, BUSES_MAX, HUB_PORTS_MAX);
                return -EINVAL;
        }
        *colon = '\0';
        if (equals && (!other || other->superspeed)) {
                (void) snprintf(why, why_size, "There is no USB 2 hub %s for the connectors of %s; name it first.", equals + 1, text);
                return -EINVAL;
        }
        if (!root_hub(bus, equals != NULL)) {
                (void) snprintf(why, why_size, "Bus %u cannot be of both speeds.", bus);
                return -EINVAL;
        }
        port = port_find(text);
        if (!port || port->plugged) {
                (void) snprintf(why, why_size, "There is no free port %s for a hub; name the outer hubs first.", text);
                return -EINVAL;
        }
        hub = hub_new(bus, text, false, equals != NULL, n_ports);
        if (!hub)
                return -ENOMEM;
        if (other)
                marry(hub, other);
        port->plugged = hub->device;
        hub->device->port = port;
        return 0;
}

int hubs_create(const char *spec, char *why, size_t why_size) {
        _cleanup_(freep) char *copy = strdup(spec);
        char *rest = copy;
        int r = copy ? 0 : -ENOMEM;

        (void) snprintf(why, why_size, "Out of memory.");
        for (char *one; r >= 0 && (one = strsep(&rest, ","));)
                r = hub_create(one, why, why_size);
        return r;
}

static bool feeds(const Port *port) {
        return port->hub->device->node && (port->hub->is_root || supply_is_there()) && half_is_on(port);
}

bool port_is_fed(const Port *port) {
        return feeds(port) || (port->peer && feeds(port->peer));
}

void port_set_power(Port *port, bool on) {
        bool was = atomic_exchange(&port->power, on && !port->shorted);

        if (on && port->shorted)
                port->over_current_change = true;
        if (on)
                port->disabled = false;
        if (!was || on || port->hub->lies)
                return;
        port->power_losses++;
        if (port->peer && half_is_on(port->peer))
                return;
        port->feed_losses++;
        if (port->peer)
                port->peer->feed_losses++;
}

void port_disable(Port *port, bool disable) {
        bool was = atomic_exchange(&port->disabled, disable);

        if (disable && !was)
                port->power_losses++;
        port_set_power(port, !disable);
}

static void attach_root(Hub *hub) {
        char controller[128];

        sysfs_controller_path(hub->bus, controller, sizeof(controller));
        if (device_attach(hub->device, hub->bus, hub->path, controller) < 0)
                fprintf(stderr, "berth-sim: cannot attach %s.\n", hub->path);
}

static void detach_tree(Port *port) {
        SimDevice *device = TAKE_PTR(port->attached);

        for (unsigned i = 0; device->hub && i < device->hub->n_ports; i++) {
                Port *below = &device->hub->ports[i];

                if (below->attached)
                        detach_tree(below);
                port_wake(below);
                /* It has forgotten what it was told when it comes again. */
                below->power = true;
                below->disabled = false;
        }
        device_detach(device);
}

/* A hub without its driver has no ports: nothing behind it is ever enumerated. */
static Node *working_hub(const Hub *hub) {
        Node *node = hub->device->node;

        return node && node->bindings[0].driver ? node : NULL;
}

void hub_come_again(Hub *hub) {
        if (hub->device->port && hub->device->port->attached)
                detach_tree(hub->device->port);
}

static void take_speed(SimDevice *device, const Port *port) {
        if (port->peer && text_equal(device->fastest, SPEED_SUPER))
                device->speed = port->hub->superspeed ? SPEED_SUPER : SPEED_HIGH;
}

static void port_settle(Port *port) {
        Node *parent = working_hub(port->hub);
        unsigned losses = port->power_losses, feed_losses = port->feed_losses;
        SimDevice *want;

        if (port->woken_losses != feed_losses) {
                port->woken_losses = feed_losses;
                port_wake(port);
        }
        want = parent && !port->disabled ? sits_at(port) : NULL;
        /* What the supply feeds is gone with it, hubs and all. */
        if (want && !supply_is_there() && (want->hub || !port->hub->is_root))
                want = NULL;
        if (port->attached && (port->attached != want || port->attached_losses != losses))
                detach_tree(port);
        /* It leaves the other half first. */
        if (want && !port->attached && !want->node) {
                take_speed(want, port);
                if (device_attach(want, port->hub->bus, port->path, parent->sysfs_path) < 0) {
                        fprintf(stderr, "berth-sim: cannot attach %s at %s.\n", want->name, port->path);
                        return;
                }
                port->attached = want;
                port->attached_losses = losses;
        }
}

/* Those whose cable came out in the middle of a transfer. */
static void take_unplugged(void) {
        for (SimDevice *device = NULL; (device = device_next(device));) {
                bool due;

                pthread_mutex_lock(&device->lock);
                due = device->unplug_due;
                device->unplug_due = false;
                pthread_mutex_unlock(&device->lock);
                if (due && device->port)
                        device_put(device, NULL);
        }
}

void topology_settle(void) {
        take_unplugged();
        changes_settle();
        supply_settle();
        /* Twice: what left one half of a connector is at the other one then. */
        for (unsigned pass = 0; pass < 2; pass++)
                for (Hub *hub = NULL; (hub = hub_next(hub));) {
                        if (hub->is_root && !hub->device->node)
                                attach_root(hub);
                        for (unsigned i = 0; i < hub->n_ports; i++)
                                port_settle(&hub->ports[i]);
                }
}
