/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/bus.h"
#include "sim/sysfs.h"
#include "sim/urb.h"

#define DEVICE_NAME_MAX 63u

pthread_mutex_t topology_lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, SimDevice) devices = TAILQ_HEAD_INITIALIZER(devices);

static const SimModel *const models[] = { &sim_model_ptp, &sim_model_msc, &sim_model_ambarella, &sim_model_dfu, &sim_model_stranger,
                                          &sim_model_loopback, &sim_model_tiny };

static const SimModel *find_model(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(models); i++)
                if (text_equal(models[i]->name, name))
                        return models[i];
        return NULL;
}

const char *sim_device_name(const SimDevice *device) {
        return device->name;
}

void sim_device_kick(SimDevice *device) {
        pthread_mutex_lock(&device->lock);
        if (device->node)
                node_pump(device->node);
        pthread_mutex_unlock(&device->lock);
}

/* On the timer's thread. */
static void device_tick(void *userdata) {
        SimDevice *device = userdata;
        bool settle;

        pthread_mutex_lock(&device->lock);
        settle = device->unplug_due || device->hub;
        settle = change_tick(device, sim_now_usec()) || settle;
        if (device->node)
                node_tick(device->node, sim_now_usec());
        pthread_mutex_unlock(&device->lock);
        if (!settle)
                return;
        pthread_mutex_lock(&topology_lock);
        topology_settle();
        pthread_mutex_unlock(&topology_lock);
}

int device_new(const char *name, const SimModel *model, SimDevice **ret) {
        SimDevice *device;

        device = calloc(1, sizeof(*device));
        if (!device)
                return -ENOMEM;
        device->name = strdup(name);
        if (!device->name) {
                free(device);
                return -ENOMEM;
        }
        device->model = model;
        device->speed = device->fastest = SPEED_HIGH;
        device->faults.unplug_at = UINT64_MAX;
        device->faults.slow_at = UINT64_MAX;
        device->timer = (SimTimer) { .fire = device_tick, .userdata = device };
        pthread_mutex_init(&device->lock, NULL);
        TAILQ_INSERT_TAIL(&devices, device, entry);
        *ret = device;
        return 0;
}

static int device_forget(SimDevice *device, int error) {
        TAILQ_REMOVE(&devices, device, entry);
        pthread_mutex_destroy(&device->lock);
        free(device->battery);
        free(device->name);
        free(device);
        return error;
}

static int parse_speed(const json_t *spec, const char **ret) {
        static const struct {
                const char *name, *speed;
        } speeds[] = { { "low", SPEED_LOW }, { "full", SPEED_FULL }, { "high", SPEED_HIGH }, { "super", SPEED_SUPER } };
        const char *name = json_string_value(json_object_get(spec, "speed"));

        if (!json_object_get(spec, "speed")) {
                *ret = SPEED_HIGH;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(speeds); i++)
                if (text_equal(speeds[i].name, name)) {
                        *ret = speeds[i].speed;
                        return 0;
                }
        return -EINVAL;
}

static int define(const char *name, const SimModel *model, const json_t *spec, char *why, size_t why_size) {
        SimDevice *device;
        const char *speed;
        int r;

        if (device_find(name)) {
                (void) snprintf(why, why_size, "There is a camera \"%s\" already.", name);
                return -EEXIST;
        }
        r = parse_speed(spec, &speed);
        if (r < 0) {
                (void) snprintf(why, why_size, "\"speed\" of camera \"%s\" must be low, full, high or super.", name);
                return r;
        }
        r = device_new(name, model, &device);
        if (r < 0) {
                (void) snprintf(why, why_size, "Out of memory.");
                return r;
        }
        device->speed = device->fastest = speed;
        (void) snprintf(why, why_size, "The %s model does not take this camera.", model->name);
        r = supply_battery(spec, &device->battery, why, why_size);
        if (r >= 0)
                r = model->create(device, spec, &device->state, why, why_size);
        return r < 0 ? device_forget(device, r) : 0;
}

int device_define(const json_t *spec, char *why, size_t why_size) {
        const char *name = json_string_value(json_object_get(spec, "name"));
        const char *type = json_string_value(json_object_get(spec, "type"));
        const SimModel *model = find_model(type);
        int r;

        if (!name || !*name || strlen(name) > DEVICE_NAME_MAX || !text_is_printable(name)) {
                (void) snprintf(why, why_size, "\"name\" must be a string of 1 to %u bytes.", DEVICE_NAME_MAX);
                return -EINVAL;
        }
        if (!model) {
                (void) snprintf(why, why_size, "\"type\" of camera \"%s\" must be ptp, msc, ambarella, dfu, stranger or loopback.", name);
                return -EINVAL;
        }
        pthread_mutex_lock(&topology_lock);
        r = define(name, model, spec, why, why_size);
        pthread_mutex_unlock(&topology_lock);
        return r;
}

SimDevice *device_find(const char *name) {
        SimDevice *d;

        TAILQ_FOREACH(d, &devices, entry)
                if (!d->hub && text_equal(d->name, name))
                        return d;
        return NULL;
}

SimDevice *device_next(const SimDevice *device) {
        return device ? TAILQ_NEXT(device, entry) : TAILQ_FIRST(&devices);
}

static void take_string(const SimDevice *device, uint8_t index, char *ret, size_t size) {
        const char *text = index > 0 ? device->model->string(device->state, index) : NULL;

        (void) snprintf(ret, size, "%s", text ? text : "");
}

static int fill_node(Node *node) {
        SimDevice *device = node->device;
        Descriptors *d = &node->descriptors;
        bool authorized;
        int r;

        d->size = device->model->descriptors(device->state, d->raw, sizeof(d->raw));
        r = descriptors_parse(d);
        if (r < 0)
                return r;
        take_string(device, d->string_manufacturer, node->manufacturer, sizeof(node->manufacturer));
        take_string(device, d->string_product, node->product, sizeof(node->product));
        take_string(device, d->string_serial, node->serial, sizeof(node->serial));
        authorized = sysfs_interfaces_authorized(node);
        for (size_t i = 0; i < d->n_interfaces; i++)
                node->bindings[d->interfaces[i].number] = (Binding) {
                        .driver = authorized ? sysfs_kernel_driver(&d->interfaces[i]) : NULL,
                        .authorized = authorized,
                        .mode = 0644,
                };
        node->born_usec = sim_now_usec();
        return 0;
}

int device_attach(SimDevice *device, unsigned bus, const char *name, const char *parent_path) {
        Node *node;
        int r;

        r = node_new(device, bus, &node);
        if (r < 0)
                return r;
        (void) snprintf(node->name, sizeof(node->name), "%s", name);
        (void) snprintf(node->sysfs_path, sizeof(node->sysfs_path), "%s/%s", parent_path, name);
        pthread_mutex_lock(&device->lock);
        if (device->model->power)
                device->model->power(device->state, 1);
        r = fill_node(node);
        if (r >= 0)
                device->node = node;
        pthread_mutex_unlock(&device->lock);
        if (r < 0) {
                node_unref(node);
                return r;
        }
        sysfs_node_added(node, device->hub);
        return 0;
}

void device_detach(SimDevice *device) {
        Node *node;

        pthread_mutex_lock(&device->lock);
        node = device->node;
        node_lose(node);
        device->node = NULL;
        device->faults.unplug_at = UINT64_MAX;
        if (device->model->power)
                device->model->power(device->state, 0);
        pthread_mutex_unlock(&device->lock);
        sysfs_node_removed(node, device->hub);
        node_unref(node);
}
