/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 314
#include "sim/ioctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/claim.h"
#include "sim/client.h"
#include "sim/usbfs.h"

#define SETUP_SIZE 8u

/*
 * The kernel tells us of a close only after close() has returned. A claim that meets another file's claim therefore
 * waits this long for that file's end before it is refused.
 */
#define CLAIM_GRACE_USEC (200 * USEC_PER_MSEC)

bool usbfs_old_controller;

int call_read(const Call *call, void *ret, size_t size) {
        return client_read(call->pid, call->argument, ret, size);
}

int call_write(const Call *call, const void *data, size_t size) {
        return client_write(call->pid, call->argument, data, size);
}

/* ---- the small ones, under the device's lock, those of claims under topology_lock too ----------------------- */

static bool has_interface(const Node *node, unsigned number, unsigned alternate) {
        return number < INTERFACES_MAX && descriptors_interface(&node->descriptors, number, alternate);
}

static int call_discard(const Call *call) {
        Urb *urb;

        TAILQ_FOREACH(urb, &call->file->pending, entry)
                if (!urb->sync.request && urb->address == call->argument) {
                        urb_complete(urb, -ENOENT);
                        return 0;
                }
        return -EINVAL;
}

static int call_claim(const Call *call) {
        unsigned interface = 0;
        int r;

        r = call_read(call, &interface, sizeof(interface));
        if (r < 0)
                return r;
        r = claim_take(call->file, interface);
        if (r != -EAGAIN)
                return r;
        r = call_wait(call, &call->node->claimers, sim_now_usec() + CLAIM_GRACE_USEC, interface);
        if (r == CALL_ANSWERED)
                sim_timer_arm(&call->device->timer, sim_now_usec() + CLAIM_GRACE_USEC);
        return r;
}

static int call_release(const Call *call) {
        unsigned interface = 0;
        int r;

        r = call_read(call, &interface, sizeof(interface));
        if (r < 0)
                return r;
        return claim_release(call->file, interface);
}

static int call_get_driver(const Call *call) {
        struct usbdevfs_getdriver g = {};
        const char *driver;
        int r;

        r = call_read(call, &g, sizeof(g));
        if (r < 0)
                return r;
        driver = g.interface < INTERFACES_MAX ? call->node->bindings[g.interface].driver : NULL;
        if (!driver)
                return -ENODATA;
        memset(g.driver, 0, sizeof(g.driver));
        (void) snprintf(g.driver, sizeof(g.driver), "%s", driver);
        return call_write(call, &g, sizeof(g));
}

static int call_driver_ioctl(const Call *call) {
        struct usbdevfs_ioctl i = {};
        int r;

        r = call_read(call, &i, sizeof(i));
        if (r < 0)
                return r;
        if (call->file->privileges_dropped)
                return -EACCES;
        if (i.ifno < 0 || !has_interface(call->node, (unsigned) i.ifno, 0))
                return -EINVAL;
        switch ((unsigned) i.ioctl_code) {
        case USBDEVFS_DISCONNECT:
                return claim_unbind(call->node, (unsigned) i.ifno);
        case USBDEVFS_CONNECT:
                return call->node->bindings[i.ifno].driver ? -EBUSY : claim_bind_kernel(call->node, (unsigned) i.ifno);
        default:
                return -ENOTTY;
        }
}

static int call_disconnect_claim(const Call *call) {
        struct usbdevfs_disconnect_claim d = {};
        const char *driver;
        int r;

        r = call_read(call, &d, sizeof(d));
        if (r < 0)
                return r;
        if (!has_interface(call->node, d.interface, 0))
                return -EINVAL;
        driver = call->node->bindings[d.interface].driver;
        d.driver[sizeof(d.driver) - 1] = '\0';
        if (driver) {
                if (call->file->privileges_dropped)
                        return -EACCES;
                if (d.flags & USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER && !text_equal(driver, d.driver))
                        return -EBUSY;
                if (d.flags & USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER && text_equal(driver, d.driver))
                        return -EBUSY;
                (void) claim_unbind(call->node, d.interface);
        }
        return claim_take(call->file, d.interface);
}

static int call_drop_privileges(const Call *call) {
        uint32_t allowed = 0;
        int r;

        r = call_read(call, &allowed, sizeof(allowed));
        if (r < 0)
                return r;
        if (call->file->privileges_dropped)
                allowed &= call->file->allowed_interfaces;
        call->file->allowed_interfaces = allowed;
        call->file->privileges_dropped = true;
        return 0;
}

/* A request of the kernel itself on behalf of the caller. */
static int kernel_request(const Call *call, uint8_t type, uint8_t request, uint16_t value, uint16_t index) {
        const uint8_t setup[SETUP_SIZE] = {
                type, request, (uint8_t) value, (uint8_t) (value >> 8), (uint8_t) index, (uint8_t) (index >> 8),
        };
        uint8_t none[1];
        int r;

        call->device->counters.requests++;
        r = node_control(call->node, setup, none, 0);
        node_pump(call->node);
        return r;
}

static int call_set_interface(const Call *call) {
        struct usbdevfs_setinterface s = {};
        int r;

        r = call_read(call, &s, sizeof(s));
        if (r < 0)
                return r;
        if (!has_interface(call->node, s.interface, s.altsetting))
                return -EINVAL;
        r = claim_take(call->file, s.interface);
        if (r < 0)
                return r == -EAGAIN ? -EBUSY : r;
        file_kill_urbs(call->file, (int) s.interface);
        return kernel_request(call, 0x01, 11, (uint16_t) s.altsetting, (uint16_t) s.interface);
}

static int call_set_configuration(const Call *call) {
        int value = 0, r;
        bool same;

        r = call_read(call, &value, sizeof(value));
        if (r < 0)
                return r;
        same = value == call->node->descriptors.configuration;
        for (unsigned i = 0; i < INTERFACES_MAX; i++)
                if (call->node->bindings[i].owner || (call->node->bindings[i].driver && !same))
                        return -EBUSY;
        if (!same)
                return -EINVAL;
        return kernel_request(call, 0x00, 9, (uint16_t) value, 0);
}

static int call_clear_halt(const Call *call) {
        const UsbEndpoint *endpoint;
        unsigned address = 0;
        int r;

        r = call_read(call, &address, sizeof(address));
        if (r < 0)
                return r;
        if (address > UINT8_MAX)
                return -ENOENT;
        endpoint = descriptors_endpoint(&call->node->descriptors, (uint8_t) address, call->node->alternates);
        if (!endpoint)
                return -ENOENT;
        r = claim_take(call->file, endpoint->interface);
        if (r < 0)
                return r == -EAGAIN ? -EBUSY : r;
        return kernel_request(call, 0x02, 1, 0, (uint16_t) address);
}

/* The kernel unbinds usbfs from claimed interfaces around a reset; libusb expects that and claims them again. */
static int call_reset(const Call *call) {
        if (call->file->privileges_dropped)
                return -EACCES;
        call->device->counters.requests++;
        for (unsigned i = 0; i < INTERFACES_MAX; i++)
                if (call->node->bindings[i].owner)
                        (void) claim_unbind(call->node, i);
        node_reset_endpoints(call->node);
        memset(call->node->alternates, 0, sizeof(call->node->alternates));
        if (call->device->model->reset)
                call->device->model->reset(call->device->state);
        claim_grant_waiting(call->node);
        return 0;
}

static int call_capabilities(const Call *call) {
        uint32_t capabilities = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_REAP_AFTER_DISCONNECT
                                | USBDEVFS_CAP_DROP_PRIVILEGES | USBDEVFS_CAP_CONNINFO_EX;

        if (usbfs_old_controller)
                capabilities |= USBDEVFS_CAP_BULK_CONTINUATION;
        else
                capabilities |= USBDEVFS_CAP_NO_PACKET_SIZE_LIM | USBDEVFS_CAP_BULK_SCATTER_GATHER;
        return call_write(call, &capabilities, sizeof(capabilities));
}

static int call_connect_info(const Call *call) {
        struct usbdevfs_connectinfo info = {
                .devnum = call->node->number,
                .slow = text_equal(call->device->speed, SPEED_LOW),
        };

        return call_write(call, &info, sizeof(info));
}

/* enum usb_device_speed of the kernel */
static int speed_number(const char *speed) {
        if (text_equal(speed, SPEED_LOW))
                return 1;
        if (text_equal(speed, SPEED_FULL))
                return 2;
        return text_equal(speed, SPEED_SUPER) ? 5 : 3;
}

static int call_speed(const Call *call) {
        return speed_number(call->device->speed);
}

static int call_connect_info_ex(const Call *call, size_t size) {
        struct usbdevfs_conninfo_ex info = {
                .size = sizeof(info),
                .busnum = call->node->bus,
                .devnum = call->node->number,
                .speed = (uint32_t) speed_number(call->device->speed),
        };
        const char *p = strchr(call->node->name, '-');

        while (p && info.num_ports < sizeof(info.ports)) {
                info.ports[info.num_ports++] = (uint8_t) strtoul(p + 1, NULL, 10);
                p = strchr(p + 1, '.');
        }
        return call_write(call, &info, MIN2(size, sizeof(info)));
}

static const struct {
        int (*run)(const Call *call);
        unsigned command;
        bool needs_topology;
} commands[] = {
        { call_discard, (unsigned) USBDEVFS_DISCARDURB, false },
        { call_claim, (unsigned) USBDEVFS_CLAIMINTERFACE, true },
        { call_release, (unsigned) USBDEVFS_RELEASEINTERFACE, true },
        { call_get_driver, (unsigned) USBDEVFS_GETDRIVER, false },
        { call_driver_ioctl, (unsigned) USBDEVFS_IOCTL, true },
        { call_disconnect_claim, (unsigned) USBDEVFS_DISCONNECT_CLAIM, true },
        { call_drop_privileges, (unsigned) USBDEVFS_DROP_PRIVILEGES, false },
        { call_set_interface, (unsigned) USBDEVFS_SETINTERFACE, true },
        { call_set_configuration, (unsigned) USBDEVFS_SETCONFIGURATION, true },
        { call_clear_halt, (unsigned) USBDEVFS_CLEAR_HALT, true },
        { call_clear_halt, (unsigned) USBDEVFS_RESETEP, true },
        { call_reset, (unsigned) USBDEVFS_RESET, true },
        { call_capabilities, (unsigned) USBDEVFS_GET_CAPABILITIES, false },
        { call_connect_info, (unsigned) USBDEVFS_CONNECTINFO, false },
        { call_speed, (unsigned) USBDEVFS_GET_SPEED, false },
};

static int call_small(const Call *call, unsigned command) {
        int r = -ENOTTY;

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                if (commands[i].command != command)
                        continue;
                if (commands[i].needs_topology) {
                        call_may_wait(call);
                        pthread_mutex_lock(&topology_lock);
                }
                pthread_mutex_lock(&call->device->lock);
                r = call->node->gone ? -ENODEV : commands[i].run(call);
                pthread_mutex_unlock(&call->device->lock);
                if (commands[i].needs_topology)
                        pthread_mutex_unlock(&topology_lock);
                return r;
        }
        return r;
}

static int dispatch(const Call *call, unsigned command) {
        if (!call->file->writable)
                return -EPERM;
        /* What has completed can be reaped from a device that is gone. */
        if (command == (unsigned) USBDEVFS_REAPURBNDELAY)
                return call_reap(call, false);
        if (command == (unsigned) USBDEVFS_REAPURB)
                return call_reap(call, true);
        if (call->node->gone)
                return -ENODEV;
        if (command == (unsigned) USBDEVFS_SUBMITURB)
                return call_submit(call);
        if (command == (unsigned) USBDEVFS_CONTROL)
                return call_control(call);
        if (command == (unsigned) USBDEVFS_BULK)
                return call_bulk(call);
        if ((command & ~((unsigned) _IOC_SIZEMASK << _IOC_SIZESHIFT)) == (unsigned) USBDEVFS_CONNINFO_EX(0))
                return call_connect_info_ex(call, _IOC_SIZE(command));
        return call_small(call, command);
}

void usbfs_ioctl(fuse_req_t request, fuse_ino_t inode, unsigned command, void *argument, struct fuse_file_info *info,
                 unsigned flags, const void *in, size_t in_size, size_t out_size) {
        OpenFile *file = (OpenFile *) (uintptr_t) info->fh;
        int r;

        (void) inode;
        (void) in;
        (void) in_size;
        (void) out_size;
        if (!file || flags & FUSE_IOCTL_COMPAT) {
                fuse_reply_err(request, ENOTTY);
                return;
        }
        Call call = {
                .request = request,
                .file = file,
                .node = file->node,
                .device = file->node->device,
                .pid = fuse_req_ctx(request)->pid,
                .argument = (uint64_t) (uintptr_t) argument,
        };
        r = dispatch(&call, command);
        if (r == CALL_ANSWERED)
                return;
        if (r < 0)
                fuse_reply_err(request, -r);
        else
                fuse_reply_ioctl(request, r, NULL, 0);
}
