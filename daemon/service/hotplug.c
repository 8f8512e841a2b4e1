/* SPDX-License-Identifier: Apache-2.0 */
#include "service/hotplug.h"

#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/timer.h"

/* A storm of a rack's devices must fit: about 1 KiB an event, several events a device. */
#define MONITOR_BUFFER (8 * 1024 * 1024)

/* What was reported as added and not yet as removed. */
typedef struct Present {
        struct Present *next;
        char *port_path;
        unsigned busnum, devnum;
        bool seen; /* by the reconciliation under way */
} Present;

struct Hotplug {
        struct udev *udev;
        struct udev_monitor *monitor;
        sd_event_source *monitor_source, *reconcile_source;
        uint64_t reconcile_usec;
        const HotplugOps *ops;
        void *userdata;
        Present *present;
};

HotplugDevice *hotplug_device_free(HotplugDevice *d) {
        if (!d)
                return NULL;
        free(d->port_path);
        free(d->sys_path);
        free(d->node_path);
        free(d->usb_serial);
        free(d->usb_manufacturer);
        free(d->usb_product);
        free(d->descriptors);
        free(d);
        return NULL;
}

static Present *present_free(Present *p) {
        if (p)
                free(p->port_path);
        free(p);
        return NULL;
}

/* A device's own words: made safe to show. */
static char *printable_attr(struct udev_device *dev, const char *attr) {
        const char *value = udev_device_get_sysattr_value(dev, attr);
        char text[128];

        text_sanitise(value ?: "", text, sizeof(text));
        return strdup(text);
}

/* Binary, so not through libudev's strings. */
static int read_descriptors(struct udev_device *dev, HotplugDevice *d) {
        _cleanup_(fd_closep) int dir = -EBADF, fd = -EBADF;
        size_t n = 0;

        dir = open(udev_device_get_syspath(dev), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        fd = openat(dir, "descriptors", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        d->descriptors = malloc(HOTPLUG_DESCRIPTORS_MAX + 1);
        if (!d->descriptors)
                return -ENOMEM;
        while (n <= HOTPLUG_DESCRIPTORS_MAX) {
                ssize_t k = read(fd, d->descriptors + n, HOTPLUG_DESCRIPTORS_MAX + 1 - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        d->n_descriptors = n;
        return 0;
}

static int number_attr(struct udev_device *dev, const char *attr, unsigned *ret) {
        const char *value = udev_device_get_sysattr_value(dev, attr);
        char tail;

        return value && sscanf(value, "%u%c", ret, &tail) == 1 ? 0 : -ENODEV;
}

/*
 * An event that udev was slow with may be about a device that has left, while another one is at its port: what sysfs says there is
 * that one's, whose own event follows. Of both together a device would be made that never was.
 */
static bool is_still_there(struct udev_device *dev, unsigned devnum) {
        const char *told = udev_device_get_property_value(dev, "DEVNUM");
        unsigned of_event;
        char tail;

        return !told || sscanf(told, "%u%c", &of_event, &tail) != 1 || of_event == devnum;
}

static int device_new(struct udev_device *dev, HotplugDevice **ret) {
        _cleanup_(hotplug_device_freep) HotplugDevice *d = NULL;
        const char *node = udev_device_get_devnode(dev);
        int r;

        if (!node)
                return -ENODEV;
        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        if ((r = number_attr(dev, "busnum", &d->busnum)) < 0 || (r = number_attr(dev, "devnum", &d->devnum)) < 0)
                return r;
        if (!is_still_there(dev, d->devnum))
                return -ENODEV;
        d->appeared_usec = clock_boottime_usec() - udev_device_get_usec_since_initialized(dev);
        d->port_path = strdup(udev_device_get_sysname(dev));
        d->sys_path = strdup(udev_device_get_syspath(dev));
        d->node_path = strdup(node);
        d->usb_serial = printable_attr(dev, "serial");
        d->usb_manufacturer = printable_attr(dev, "manufacturer");
        d->usb_product = printable_attr(dev, "product");
        if (!d->port_path || !d->sys_path || !d->node_path || !d->usb_serial || !d->usb_manufacturer || !d->usb_product)
                return -ENOMEM;
        r = read_descriptors(dev, d);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

static Present **find_present(Hotplug *h, const char *port_path) {
        for (Present **p = &h->present; *p; p = &(*p)->next)
                if (text_equal((*p)->port_path, port_path))
                        return p;
        return NULL;
}

static void remove_present(Hotplug *h, Present **at) {
        Present *p = *at;

        *at = p->next;
        h->ops->removed(h->userdata, p->port_path);
        present_free(p);
}

static void add_device(Hotplug *h, struct udev_device *dev) {
        _cleanup_(hotplug_device_freep) HotplugDevice *d = NULL;
        const char *port_path = udev_device_get_sysname(dev);
        Present **at, *p;
        unsigned devnum;
        int r;

        at = find_present(h, port_path);
        if (at) {
                if (number_attr(dev, "devnum", &devnum) == 0 && devnum == (*at)->devnum) {
                        (*at)->seen = true;
                        return;
                }
                /* Another device at the same port: the removal was missed. */
                remove_present(h, at);
        }
        r = device_new(dev, &d);
        if (r == -ENODEV || r == -ENOENT)
                return; /* gone again; its removal was never announced to the caller either */
        if (r < 0) {
                log_warning(&(LogAbout){ .bay = port_path }, "The device cannot be looked at: %s", strerror(-r));
                return;
        }
        p = calloc(1, sizeof(*p));
        if (!p || !(p->port_path = strdup(port_path))) {
                present_free(p);
                return; /* the next reconciliation tries again */
        }
        p->busnum = d->busnum;
        p->devnum = d->devnum;
        p->seen = true;
        p->next = h->present;
        h->present = p;
        h->ops->added(h->userdata, TAKE_PTR(d));
}

static bool is_wanted(Hotplug *h, struct udev_device *dev) {
        const char *type = udev_device_get_devtype(dev), *name = udev_device_get_sysname(dev);

        return text_equal(type, "usb_device") && name && h->ops->wanted(h->userdata, name);
}

/* Of a device, bind comes after those of its interfaces. */
static void tell_of_hub(Hotplug *h, struct udev_device *dev) {
        if (h->ops->hub_came && text_equal(udev_device_get_action(dev), "bind") && text_equal(udev_device_get_devtype(dev), "usb_device") &&
            text_equal(udev_device_get_sysattr_value(dev, "bDeviceClass"), "09"))
                h->ops->hub_came(h->userdata, udev_device_get_sysname(dev));
}

static void reconcile(Hotplug *h) {
        struct udev_enumerate *e = udev_enumerate_new(h->udev);
        struct udev_list_entry *entry;
        int r;

        for (Present *p = h->present; p; p = p->next)
                p->seen = false;
        if (!e)
                return;
        r = udev_enumerate_add_match_subsystem(e, "usb");
        if (r >= 0)
                r = udev_enumerate_scan_devices(e);
        if (r < 0) {
                /* Without a list nothing may be called absent. */
                log_warning(NULL, "The USB devices cannot be listed: %s; trying again later", strerror(-r));
                udev_enumerate_unref(e);
                return;
        }
        udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(e)) {
                struct udev_device *dev = udev_device_new_from_syspath(h->udev, udev_list_entry_get_name(entry));

                if (dev && is_wanted(h, dev) && udev_device_get_is_initialized(dev) > 0)
                        add_device(h, dev);
                udev_device_unref(dev);
        }
        udev_enumerate_unref(e);
        for (Present **p = &h->present; *p;)
                if ((*p)->seen)
                        p = &(*p)->next;
                else
                        remove_present(h, p);
}

static int on_monitor(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Hotplug *h = userdata;
        struct udev_device *dev;

        (void) source;
        (void) fd;
        (void) revents;
        while ((dev = udev_monitor_receive_device(h->monitor))) {
                const char *action = udev_device_get_action(dev);

                tell_of_hub(h, dev);
                if (is_wanted(h, dev)) {
                        Present **at = find_present(h, udev_device_get_sysname(dev));

                        if (text_equal(action, "remove")) {
                                if (at)
                                        remove_present(h, at);
                        } else
                                add_device(h, dev);
                        if (at && h->ops->changed && !text_equal(action, "remove"))
                                h->ops->changed(h->userdata, udev_device_get_sysname(dev));
                }
                udev_device_unref(dev);
        }
        return 0;
}

static int on_reconcile(sd_event_source *source, uint64_t usec, void *userdata) {
        Hotplug *h = userdata;

        (void) usec;
        reconcile(h);
        return timer_in(source, h->reconcile_usec);
}

int hotplug_new(sd_event *event, uint64_t reconcile_usec, const HotplugOps *ops, void *userdata, Hotplug **ret) {
        _cleanup_(hotplug_freep) Hotplug *h = NULL;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->ops = ops;
        h->userdata = userdata;
        h->reconcile_usec = reconcile_usec;
        h->udev = udev_new();
        if (!h->udev)
                return -ENOMEM;
        h->monitor = udev_monitor_new_from_netlink(h->udev, "udev");
        if (!h->monitor)
                return -EIO;
        r = udev_monitor_filter_add_match_subsystem_devtype(h->monitor, "usb", "usb_device");
        if (r < 0)
                return r;
        /* Needs CAP_NET_ADMIN to go past rmem_max; the default is then what there is, and reconciliation covers a drop. */
        (void) udev_monitor_set_receive_buffer_size(h->monitor, MONITOR_BUFFER);
        r = udev_monitor_enable_receiving(h->monitor);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &h->monitor_source, udev_monitor_get_fd(h->monitor), EPOLLIN, on_monitor, h);
        if (r < 0)
                return r;
        /* Due at once: what is there already is found by the same code. */
        r = sd_event_add_time(event, &h->reconcile_source, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 4, on_reconcile, h);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

Hotplug *hotplug_free(Hotplug *h) {
        if (!h)
                return NULL;
        sd_event_source_unref(h->monitor_source);
        sd_event_source_unref(h->reconcile_source);
        if (h->monitor)
                udev_monitor_unref(h->monitor);
        if (h->udev)
                udev_unref(h->udev);
        while (h->present) {
                Present *p = h->present;

                h->present = p->next;
                present_free(p);
        }
        free(h);
        return NULL;
}
