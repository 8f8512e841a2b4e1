/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/bus.h"
#include "sim/sysfs.h"
#include "sim/urb.h"

#define WHY_SIZE 512u

typedef struct Answer {
        json_t *object;
        char why[WHY_SIZE]; /* a sentence, when a command returns < 0 */
} Answer;

static int refuse(Answer *answer, int error, const char *format, ...) _printf_(3, 4);
static int refuse(Answer *answer, int error, const char *format, ...) {
        va_list args;

        va_start(args, format);
        (void) vsnprintf(answer->why, sizeof(answer->why), format, args);
        va_end(args);
        return error;
}

/* Or NULL, with the reason in `answer`. topology_lock. */
static SimDevice *find_camera(const json_t *command, Answer *answer) {
        const char *name = json_string_value(json_object_get(command, "camera"));
        SimDevice *device = name ? device_find(name) : NULL;

        if (!name)
                (void) refuse(answer, -EINVAL, "The command needs a \"camera\".");
        else if (!device)
                (void) refuse(answer, -ENOENT, "There is no camera \"%s\".", name);
        return device;
}

static int take_count(const json_t *command, const char *key, Answer *answer, uint64_t *ret) {
        const json_t *value = json_object_get(command, key);

        if (!json_is_integer(value) || json_integer_value(value) < 0)
                return refuse(answer, -EINVAL, "The command needs \"%s\", a whole number that is not negative.", key);
        *ret = (uint64_t) json_integer_value(value);
        return 0;
}

static int command_camera(const json_t *command, Answer *answer) {
        return device_define(command, answer->why, sizeof(answer->why));
}

static int plug(SimDevice *device, Port *port, Answer *answer) {
        topology_settle();
        if (device->port)
                return refuse(answer, -EBUSY, "Camera \"%s\" is at %s already.", device->name, device->port->path);
        if (port->plugged || (port->peer && port->peer->plugged))
                return refuse(answer, -EBUSY, "Port %s is taken by \"%s\".", port->path,
                              sim_device_name(port->plugged ?: port->peer->plugged));
        device_put(device, port);
        topology_settle();
        return 0;
}

static int command_plug(const json_t *command, Answer *answer) {
        const char *path = json_string_value(json_object_get(command, "port"));
        Port *port = port_find(path);
        SimDevice *device;
        int r;

        if (!port)
                return refuse(answer, -ENOENT, "There is no port \"%s\".", path ?: "");
        pthread_mutex_lock(&topology_lock);
        device = find_camera(command, answer);
        r = device ? plug(device, port, answer) : -ENOENT;
        pthread_mutex_unlock(&topology_lock);
        return r;
}

static int unplug(SimDevice *device, Answer *answer) {
        topology_settle();
        if (!device->port)
                return refuse(answer, -ENODEV, "Camera \"%s\" is not plugged in.", device->name);
        device_put(device, NULL);
        topology_settle();
        return 0;
}

static int command_unplug(const json_t *command, Answer *answer) {
        SimDevice *device;
        int r;

        pthread_mutex_lock(&topology_lock);
        device = find_camera(command, answer);
        r = device ? unplug(device, answer) : -ENOENT;
        pthread_mutex_unlock(&topology_lock);
        return r;
}

static int command_port(const json_t *command, Answer *answer) {
        const char *path = json_string_value(json_object_get(command, "port"));
        const char *power = json_string_value(json_object_get(command, "power"));
        Port *port = port_find(path);

        if (!port)
                return refuse(answer, -ENOENT, "There is no port \"%s\".", path ?: "");
        if (!text_equal(power, "on") && !text_equal(power, "off"))
                return refuse(answer, -EINVAL, "\"power\" of port %s must be \"on\" or \"off\".", path);
        pthread_mutex_lock(&topology_lock);
        port_set_power(port, text_equal(power, "on"));
        topology_settle();
        pthread_mutex_unlock(&topology_lock);
        return 0;
}

static int command_hub(const json_t *command, Answer *answer) {
        const char *path = json_string_value(json_object_get(command, "hub"));
        Hub *hub = hub_find(path);

        if (!hub)
                return refuse(answer, -ENOENT, "There is no hub \"%s\".", path ?: "");
        pthread_mutex_lock(&topology_lock);
        if (json_object_get(command, "lies"))
                hub->lies = json_is_true(json_object_get(command, "lies"));
        if (json_is_true(json_object_get(command, "again")))
                hub_come_again(hub);
        topology_settle();
        pthread_mutex_unlock(&topology_lock);
        return 0;
}

static int command_supply(const json_t *command, Answer *answer) {
        return supply_set(command, answer->why, sizeof(answer->why));
}

/*
 * As the kernel does: it counts, clears the change bit, and gives the port its power again, which its hub had cut. With `lasting` the hub
 * cuts that, too, and goes on to tell of it; when that ends the port has no power until somebody gives it.
 */
static int command_over_current(const json_t *command, Answer *answer) {
        const char *path = json_string_value(json_object_get(command, "port"));
        const json_t *lasting = json_object_get(command, "lasting");
        Port *port = port_find(path);

        if (!port)
                return refuse(answer, -ENOENT, "There is no port \"%s\".", path ?: "");
        pthread_mutex_lock(&topology_lock);
        port->shorted = json_is_true(lasting);
        if (!json_is_false(lasting)) {
                port->over_currents++;
                sysfs_port_over_current(port);
                port_set_power(port, false);
                topology_settle();
                port_set_power(port, true);
                topology_settle();
        }
        pthread_mutex_unlock(&topology_lock);
        return 0;
}

/* ---- faults of the bus: each changes something under the device's lock ---------------------------------------- */

static int fault_unplug_after(SimDevice *device, const json_t *command, Answer *answer) {
        uint64_t bytes;
        int r;

        r = take_count(command, "bytes", answer, &bytes);
        if (r >= 0)
                device->faults.unplug_at = device->counters.bulk_in + bytes;
        return r;
}

static int fault_slow(SimDevice *device, const json_t *command, Answer *answer) {
        bool later = json_object_get(command, "after_bytes");
        uint64_t rate, after = 0;
        int r;

        r = take_count(command, "bytes_per_sec", answer, &rate);
        if (r >= 0 && later)
                r = take_count(command, "after_bytes", answer, &after);
        if (r < 0)
                return r;
        device->faults.slow_at = later ? device->counters.bulk_in + after : UINT64_MAX;
        device->faults.slow_to = rate;
        if (!later) {
                device->faults.bytes_per_sec = rate;
                device->faults.paced_until_usec = sim_now_usec();
        }
        return 0;
}

static int fault_corrupt(SimDevice *device, const json_t *command, Answer *answer) {
        uint64_t after, count;
        int r;

        r = take_count(command, "after_bytes", answer, &after);
        if (r >= 0)
                r = take_count(command, "count", answer, &count);
        if (r >= 0) {
                device->faults.corrupt_at = device->counters.bulk_in + after;
                device->faults.corrupt_count = count;
        }
        return r;
}

static int fault_stall(SimDevice *device, const json_t *command, Answer *answer) {
        Node *node = device->node;
        uint64_t endpoint;
        int r;

        r = take_count(command, "endpoint", answer, &endpoint);
        if (r < 0)
                return r;
        if (!node)
                return refuse(answer, -ENODEV, "Camera \"%s\" is not plugged in.", device->name);
        if (endpoint > UINT8_MAX || !descriptors_endpoint(&node->descriptors, (uint8_t) endpoint, node->alternates))
                return refuse(answer, -EINVAL, "Camera \"%s\" has no such endpoint.", device->name);
        node->endpoints[endpoint_slot((uint8_t) endpoint)].halted = true;
        return 0;
}

/* Its own name is the usual "camera"; what it becomes is "as", and nothing comes back without one. */
static int fault_become(SimDevice *device, const json_t *command, Answer *answer) {
        const json_t *as = json_object_get(command, "as");
        uint64_t leave, away;
        int r;

        r = take_count(command, "leave_msec", answer, &leave);
        if (r >= 0)
                r = take_count(command, "away_msec", answer, &away);
        if (r < 0)
                return r;
        if (as && !json_is_string(as) && !json_is_null(as))
                return refuse(answer, -EINVAL, "\"as\" must be the name of a camera, or null.");
        if (!device->port)
                return refuse(answer, -ENODEV, "Camera \"%s\" is not plugged in.", device->name);
        sim_device_become(device, json_string_value(as), (unsigned) leave, (unsigned) away);
        return 0;
}

/* What is not the bus's to do goes to the model. */
static int forward(SimDevice *device, const json_t *command, Answer *answer) {
        const char *name = json_string_value(json_object_get(command, "cmd"));
        json_t *object = NULL;
        int r;

        if (!device->model->command)
                return refuse(answer, -EINVAL, "The %s model has no command \"%s\".", device->model->name, name);
        (void) snprintf(answer->why, sizeof(answer->why), "The %s model refuses \"%s\".", device->model->name, name);
        r = device->model->command(device->state, name, command, &object, answer->why, sizeof(answer->why));
        if (r >= 0 && object)
                json_object_update(answer->object, object);
        json_decref(object);
        return r;
}

static int with_camera(const json_t *command, Answer *answer, int (*run)(SimDevice *, const json_t *, Answer *)) {
        SimDevice *device;
        int r;

        /* Devices are never freed, so the pointer outlives the lock. */
        pthread_mutex_lock(&topology_lock);
        device = find_camera(command, answer);
        pthread_mutex_unlock(&topology_lock);
        if (!device)
                return -ENOENT;
        pthread_mutex_lock(&device->lock);
        r = run(device, command, answer);
        if (device->node)
                node_pump(device->node);
        pthread_mutex_unlock(&device->lock);
        return r;
}

/* ---- what is there -------------------------------------------------------------------------------------------- */

static json_t *describe_bus(const SimDevice *device) {
        const Node *node = device->node;
        const struct {
                const char *name;
                uint64_t value;
        } counts[] = {
                { "bytes_in", device->counters.bulk_in }, { "bytes_out", device->counters.bulk_out },
                { "opens", device->counters.opens },      { "claims", device->counters.claims },
                { "requests", device->counters.requests },
        };
        json_t *o = json_pack("{s:s, s:s, s:b}", "camera", device->name, "type", device->model->name, "docked",
                              node != NULL);

        for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                json_object_set_new(o, counts[i].name, json_integer((json_int_t) counts[i].value));
        json_object_set_new(o, "away", json_boolean(device->away));
        if (device->battery)
                json_object_set_new(o, "battery_level", json_real(device->battery->level / (double) BATTERY_PERCENT));
        json_object_set_new(o, "port", device->port ? json_string(device->port->path) : json_null());
        if (node) {
                json_object_set_new(o, "busnum", json_integer(node->bus));
                json_object_set_new(o, "devnum", json_integer(node->number));
        }
        return o;
}

/* topology_lock. The model's part, which may hash footage, is left out of the list of all cameras' bus facts. */
static int describe(SimDevice *device, const json_t *command, json_t *into, Answer *answer) {
        Answer own = { .object = json_object() };
        json_t *bus;
        int r = 0;

        pthread_mutex_lock(&device->lock);
        bus = describe_bus(device);
        if (device->model->command)
                r = forward(device, command, &own);
        pthread_mutex_unlock(&device->lock);
        json_object_update(into, own.object);
        json_object_update(into, bus);
        json_decref(bus);
        json_decref(own.object);
        if (r < 0)
                memcpy(answer->why, own.why, sizeof(answer->why));
        return r;
}

static int command_state(const json_t *command, Answer *answer) {
        SimDevice *device = NULL;
        json_t *cameras;
        int r = 0;

        pthread_mutex_lock(&topology_lock);
        topology_settle();
        if (json_object_get(command, "camera")) {
                device = find_camera(command, answer);
                r = device ? describe(device, command, answer->object, answer) : -ENOENT;
        } else {
                cameras = json_array();
                json_object_set_new(answer->object, "cameras", cameras);
                while (r >= 0 && (device = device_next(device))) {
                        json_t *one;

                        if (device->hub)
                                continue;
                        one = json_object();
                        json_array_append_new(cameras, one);
                        r = describe(device, command, one, answer);
                }
        }
        pthread_mutex_unlock(&topology_lock);
        return r;
}

static json_t *list_ports(const Hub *hub) {
        json_t *ports = json_array();

        for (unsigned i = 0; i < hub->n_ports; i++) {
                const Port *port = &hub->ports[i];
                const SimDevice *device = port->plugged;

                json_t *o = json_pack("{s:s, s:s, s:b}", "port", port->path, "power", port_is_fed(port) ? "on" : "off",
                                      "attached", port->attached != NULL);

                json_object_set_new(o, "camera", device && !device->hub ? json_string(device->name) : json_null());
                json_array_append_new(ports, o);
        }
        return ports;
}

static int command_list(const json_t *command, Answer *answer) {
        json_t *cameras = json_array(), *hubs = json_array();

        (void) command;
        pthread_mutex_lock(&topology_lock);
        topology_settle();
        for (SimDevice *device = NULL; (device = device_next(device));) {
                if (device->hub)
                        continue;
                pthread_mutex_lock(&device->lock);
                json_array_append_new(cameras, describe_bus(device));
                pthread_mutex_unlock(&device->lock);
        }
        for (Hub *hub = NULL; (hub = hub_next(hub));)
                json_array_append_new(hubs, json_pack("{s:s, s:o}", "hub", hub->path, "ports", list_ports(hub)));
        pthread_mutex_unlock(&topology_lock);
        json_object_set_new(answer->object, "cameras", cameras);
        json_object_set_new(answer->object, "hubs", hubs);
        json_object_set_new(answer->object, "supply", supply_describe());
        return 0;
}

/* What `udevadm trigger --action=add` does: everything that is there is announced again, parents first. */
static int command_trigger(const json_t *command, Answer *answer) {
        (void) command;
        (void) answer;
        pthread_mutex_lock(&topology_lock);
        for (SimDevice *device = NULL; (device = device_next(device));)
                if (device->node)
                        sysfs_trigger(device->node);
        pthread_mutex_unlock(&topology_lock);
        return 0;
}

static const struct {
        const char *name;
        int (*run)(const json_t *command, Answer *answer);
        int (*run_on_camera)(SimDevice *device, const json_t *command, Answer *answer);
} commands[] = {
        { "camera", command_camera, NULL },
        { "plug", command_plug, NULL },
        { "unplug", command_unplug, NULL },
        { "port", command_port, NULL },
        { "over_current", command_over_current, NULL },
        { "hub", command_hub, NULL },
        { "supply", command_supply, NULL },
        { "state", command_state, NULL },
        { "list", command_list, NULL },
        { "trigger", command_trigger, NULL },
        { "unplug_after", NULL, fault_unplug_after },
        { "slow", NULL, fault_slow },
        { "stall", NULL, fault_stall },
        { "corrupt", NULL, fault_corrupt },
        { "become", NULL, fault_become },
};

static int run_command(const json_t *command, Answer *answer) {
        const char *name = json_string_value(json_object_get(command, "cmd"));

        if (!name)
                return refuse(answer, -EINVAL, "A command is a JSON object with a string \"cmd\".");
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                if (!text_equal(commands[i].name, name))
                        continue;
                if (commands[i].run)
                        return commands[i].run(command, answer);
                return with_camera(command, answer, commands[i].run_on_camera);
        }
        return with_camera(command, answer, forward);
}

json_t *control_execute(const json_t *command) {
        Answer answer = { .object = json_object() };

        if (run_command(command, &answer) >= 0) {
                json_object_set_new(answer.object, "ok", json_true());
                return answer.object;
        }
        json_decref(answer.object);
        return json_pack("{s:b, s:s}", "ok", 0, "error", answer.why);
}
