/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 314
#include "sim/claim.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>

#include "base/text.h"
#include "sim/sysfs.h"

#define DRIVER_USBFS "usbfs"

static void bind_driver(Node *node, unsigned interface, const char *driver, OpenFile *owner) {
        node->bindings[interface].driver = driver;
        node->bindings[interface].owner = owner;
        if (!node->gone)
                sysfs_driver_bound(node, interface, driver);
}

static void unbind_driver(Node *node, unsigned interface) {
        const char *driver = node->bindings[interface].driver;

        node->bindings[interface].driver = NULL;
        node->bindings[interface].owner = NULL;
        if (!node->gone)
                sysfs_driver_unbound(node, interface, driver);
}

int claim_take(OpenFile *file, unsigned interface) {
        Node *node = file->node;

        if (interface >= INTERFACES_MAX || !descriptors_interface(&node->descriptors, interface, 0))
                return -ENOENT;
        if (file->privileges_dropped && !(file->allowed_interfaces & UINT32_C(1) << interface))
                return -EACCES;
        if (node->bindings[interface].owner == file)
                return 0;
        if (node->bindings[interface].owner)
                return -EAGAIN;
        if (node->bindings[interface].driver)
                return -EBUSY;
        if (!node->bindings[interface].authorized)
                return -ENODEV;
        bind_driver(node, interface, DRIVER_USBFS, file);
        node->device->counters.claims++;
        return 0;
}

int claim_unbind(Node *node, unsigned interface) {
        OpenFile *owner = node->bindings[interface].owner;

        if (!node->bindings[interface].driver)
                return -ENODATA;
        if (owner)
                file_kill_urbs(owner, (int) interface);
        unbind_driver(node, interface);
        return 0;
}

int claim_bind_kernel(Node *node, unsigned interface) {
        const UsbInterface *i = descriptors_interface(&node->descriptors, interface, 0);
        const char *driver = i ? sysfs_kernel_driver(i) : NULL;

        if (!driver || !node->bindings[interface].authorized)
                return 0;
        bind_driver(node, interface, driver, NULL);
        return 1;
}

int claim_authorize(Node *node, unsigned interface, bool on) {
        node->bindings[interface].authorized = on;
        return on ? 0 : claim_unbind(node, interface);
}

int claim_release(OpenFile *file, unsigned interface) {
        if (interface >= INTERFACES_MAX || file->node->bindings[interface].owner != file)
                return -EINVAL;
        file_kill_urbs(file, (int) interface);
        unbind_driver(file->node, interface);
        claim_grant_waiting(file->node);
        return 0;
}

void claim_release_all(OpenFile *file) {
        for (unsigned i = 0; i < INTERFACES_MAX; i++)
                if (file->node->bindings[i].owner == file)
                        (void) claim_release(file, i);
}

int claim_ensure(OpenFile *file, unsigned interface) {
        SimDevice *device = file->node->device;
        bool claimed;
        int r;

        pthread_mutex_lock(&device->lock);
        claimed = file->node->bindings[interface].owner == file;
        pthread_mutex_unlock(&device->lock);
        if (claimed)
                return 0;

        pthread_mutex_lock(&topology_lock);
        pthread_mutex_lock(&device->lock);
        r = file->node->gone ? -ENODEV : claim_take(file, interface);
        pthread_mutex_unlock(&device->lock);
        pthread_mutex_unlock(&topology_lock);
        return r == -EAGAIN ? -EBUSY : r;
}

void claim_grant_waiting(Node *node) {
        Waiter *waiter, *next;

        for (waiter = TAILQ_FIRST(&node->claimers); waiter; waiter = next) {
                next = TAILQ_NEXT(waiter, entry);
                if (claim_take(waiter->file, waiter->interface) < 0)
                        continue;
                TAILQ_REMOVE(&node->claimers, waiter, entry);
                fuse_reply_ioctl(waiter->request, 0, NULL, 0);
                free(waiter);
        }
}
