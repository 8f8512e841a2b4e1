/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/text.h"
#include "sim/udev.h"
#include "sim/uevent.h"

#define SYS "/sys"
#define TEXT_SIZE 1024u
#define PATH_SIZE 1024u

bool sysfs_no_port_files;

static void complain(const char *what, const char *path) {
        fprintf(stderr, "berth-sim: cannot %s %s: %s\n", what, path, strerror(errno));
}

static void path_make(char ret[static PATH_SIZE], const char *format, ...) _printf_(2, 3);
static void path_make(char ret[static PATH_SIZE], const char *format, ...) {
        va_list args;

        va_start(args, format);
        (void) vsnprintf(ret, PATH_SIZE, format, args);
        va_end(args);
}

static void make_dirs(const char *path) {
        char part[PATH_SIZE];

        path_make(part, "%s", path);
        for (char *p = part + 1;; p++) {
                char c = *p;

                if (c != '/' && c != '\0')
                        continue;
                *p = '\0';
                if (mkdir(part, 0755) < 0 && errno != EEXIST)
                        complain("make", part);
                *p = c;
                if (c == '\0')
                        return;
        }
}

static void put(const char *dir, const char *name, const void *data, size_t size) {
        char path[PATH_SIZE];
        int fd;

        path_make(path, "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                complain("write", path);
        if (fd >= 0)
                (void) close(fd);
}

static void put_text(const char *dir, const char *name, const char *format, ...) _printf_(3, 4);
static void put_text(const char *dir, const char *name, const char *format, ...) {
        char text[TEXT_SIZE];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        put(dir, name, text, (size_t) n);
}

/* A link as sysfs has them, relative: from a folder beneath /sys to another path beneath it. */
static void put_link(const char *dir, const char *name, const char *target) {
        char path[PATH_SIZE], relative[PATH_SIZE] = "";
        size_t n = 0;

        for (const char *p = dir + strlen(SYS); *p; p++)
                if (*p == '/')
                        n += (size_t) snprintf(relative + n, sizeof(relative) - n, "../");
        (void) snprintf(relative + n, sizeof(relative) - n, "%s", target + strlen(SYS "/"));
        path_make(path, "%s/%s", dir, name);
        if (symlink(relative, path) < 0)
                complain("link", path);
}

static void remove_tree(int parent, const char *name) {
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (entry->d_type == DT_DIR)
                        remove_tree(fd, entry->d_name);
                else
                        (void) unlinkat(fd, entry->d_name, 0);
        }
        if (dir)
                (void) closedir(dir);
        (void) unlinkat(parent, name, AT_REMOVEDIR);
}

const char *sysfs_kernel_driver(const UsbInterface *interface) {
        switch (interface->class_code) {
        case 3:
                return "usbhid";
        case 8:
                return "usb-storage";
        case 9:
                return "hub";
        default:
                return NULL;
        }
}

void sysfs_controller_path(unsigned bus, char *ret, size_t size) {
        (void) snprintf(ret, size, "/devices/pci0000:00/0000:00:%02x.0", 0x13 + bus);
}

int sysfs_start(void) {
        static const char *const drivers[] = { "usb", "hub", "usbfs", "usbhid", "usb-storage" };
        char path[PATH_SIZE];

        make_dirs(SYS "/bus/usb/devices");
        make_dirs(SYS "/class");
        make_dirs(SYS "/dev/char");
        make_dirs(SYS "/dev/block");
        make_dirs(SYS "/bus/pci/devices");
        make_dirs(SYS "/module/usbcore/parameters");
        for (size_t i = 0; i < ELEMENTSOF(drivers); i++) {
                path_make(path, SYS "/bus/usb/drivers/%s", drivers[i]);
                make_dirs(path);
        }
        make_dirs("/run/udev/data");
        make_dirs("/run/udev/tags");
        /* libudev listens to udevd's events only where this file is. */
        if (!uevent_from_kernel)
                put("/run/udev", "control", "", 0);
        return access("/run/udev/data", F_OK) < 0 ? -errno : 0;
}

static void interface_dir(const Node *node, unsigned interface, char ret[static PATH_SIZE]) {
        char name[INTERFACE_NAME_SIZE];

        udev_interface_name(node, interface, name);
        path_make(ret, SYS "%s/%s", node->sysfs_path, name);
}

static void link_driver(const char *dir, const char *driver) {
        char target[PATH_SIZE];

        path_make(target, SYS "/bus/usb/drivers/%s", driver);
        put_link(dir, "driver", target);
}

/* The `uevent` file holds what the kernel itself says of a device: the properties before those of rules. */
static void put_uevent(const char *dir, const Node *node, int interface, const char *driver) {
        Properties properties;
        char text[TEXT_SIZE];
        size_t n = 0;

        udev_properties(node, interface, driver, &properties);
        for (const char *p = properties.text; p < properties.text + properties.size; p += strlen(p) + 1) {
                if (strncmp(p, "DEVPATH=", 8) == 0 || strncmp(p, "SUBSYSTEM=", 10) == 0 || strncmp(p, "ID_", 3) == 0
                    || strncmp(p, "GPHOTO2_", 8) == 0 || strncmp(p, "USEC_", 5) == 0)
                        continue;
                /* The kernel's name of a node is relative to /dev. */
                if (strncmp(p, "DEVNAME=/dev/", 13) == 0)
                        n += (size_t) snprintf(text + n, sizeof(text) - n, "DEVNAME=%s\n", p + 13);
                else
                        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s\n", p);
        }
        put(dir, "uevent", text, n);
}

/* A file that usbfs serves, in the place where Linux has it. */
static void put_served(const char *dir, const char *name, const char *served_name) {
        char path[PATH_SIZE], served[PATH_SIZE];

        put(dir, name, "", 0);
        path_make(path, "%s/%s", dir, name);
        path_make(served, "/dev/bus/usb/.ports/%s", served_name);
        if (mount(served, path, NULL, MS_BIND, NULL) < 0)
                complain("mount", path);
}

static void remove_served(const char *dir, const char *name) {
        char path[PATH_SIZE];

        path_make(path, "%s/%s", dir, name);
        (void) umount2(path, MNT_DETACH);
}

void sysfs_serve_probe(void) {
        put_served(SYS "/bus/usb", "drivers_probe", "drivers_probe");
}

static void add_interface(const Node *node, unsigned interface) {
        const UsbInterface *i = descriptors_interface(&node->descriptors, interface, 0);
        const char *driver = node->bindings[interface].driver;
        const Descriptors *d = &node->descriptors;
        char dir[PATH_SIZE], name[INTERFACE_NAME_SIZE];

        interface_dir(node, interface, dir);
        udev_interface_name(node, interface, name);
        make_dirs(dir);
        put_served(dir, "authorized", name);
        put_text(dir, "bAlternateSetting", "%2u\n", i->alternate);
        put_text(dir, "bInterfaceClass", "%02x\n", i->class_code);
        put_text(dir, "bInterfaceNumber", "%02x\n", i->number);
        put_text(dir, "bInterfaceProtocol", "%02x\n", i->protocol);
        put_text(dir, "bInterfaceSubClass", "%02x\n", i->subclass);
        put_text(dir, "bNumEndpoints", "%02x\n", i->endpoints);
        put_text(dir, "modalias", "usb:v%04Xp%04Xd%04Xdc%02Xdsc%02Xdp%02Xic%02Xisc%02Xip%02Xin%02X\n", d->vid, d->pid,
                 d->version, d->class_code, d->subclass, d->protocol, i->class_code, i->subclass, i->protocol,
                 interface);
        put_text(dir, "supports_autosuspend", "0\n");
        put_uevent(dir, node, (int) interface, driver);
        put_link(dir, "subsystem", SYS "/bus/usb");
        if (driver)
                link_driver(dir, driver);
}

static void link_device(const char *path, const char *name) {
        char target[PATH_SIZE];

        path_make(target, SYS "%s", path);
        put_link(SYS "/bus/usb/devices", name, target);
}

static void put_strings(const char *dir, const Node *node) {
        if (node->manufacturer[0])
                put_text(dir, "manufacturer", "%s\n", node->manufacturer);
        if (node->product[0])
                put_text(dir, "product", "%s\n", node->product);
        if (node->serial[0])
                put_text(dir, "serial", "%s\n", node->serial);
}

/* What udev needs to take the folder above a root hub for a device. */
static void add_controller(const Node *node) {
        char path[PATH_SIZE], dir[PATH_SIZE];

        sysfs_controller_path(node->bus, path, sizeof(path));
        path_make(dir, SYS "%s", path);
        put_text(dir, "uevent", "DRIVER=xhci_hcd\nPCI_SLOT_NAME=%s\n", strrchr(path, '/') + 1);
        put_link(dir, "subsystem", SYS "/bus/pci");
}

static void add_device(const Node *node, const Hub *hub) {
        const Descriptors *d = &node->descriptors;
        const char *devpath = strchr(node->name, '-');
        unsigned minor = (node->bus - 1) * 128 + node->number - 1;
        char dir[PATH_SIZE];

        path_make(dir, SYS "%s", node->sysfs_path);
        make_dirs(dir);
        put_text(dir, "authorized", "1\n");
        put_text(dir, "bConfigurationValue", "%u\n", d->configuration);
        put_text(dir, "bDeviceClass", "%02x\n", d->class_code);
        put_text(dir, "bDeviceProtocol", "%02x\n", d->protocol);
        put_text(dir, "bDeviceSubClass", "%02x\n", d->subclass);
        put_text(dir, "bMaxPacketSize0", "%u\n", d->packet_size0);
        put_text(dir, "bMaxPower", "%umA\n", d->max_power * 2u);
        put_text(dir, "bNumConfigurations", "%u\n", d->configurations);
        put_text(dir, "bNumInterfaces", "%2u\n", d->interface_count);
        put_text(dir, "bcdDevice", "%04x\n", d->version);
        put_text(dir, "bmAttributes", "%02x\n", d->attributes);
        put_text(dir, "busnum", "%u\n", node->bus);
        put_text(dir, "configuration", "%s", "");
        put(dir, "descriptors", d->raw, d->size);
        put_text(dir, "dev", "189:%u\n", minor);
        put_text(dir, "devnum", "%u\n", node->number);
        put_text(dir, "devpath", "%s\n", devpath ? devpath + 1 : "0");
        put_text(dir, "idProduct", "%04x\n", d->pid);
        put_text(dir, "idVendor", "%04x\n", d->vid);
        if (hub && hub->is_root) {
                put_text(dir, "interface_authorized_default", "1\n");
                add_controller(node);
        }
        put_text(dir, "maxchild", "%u\n", hub ? hub->n_ports : 0);
        put_text(dir, "removable", "%s\n", hub ? "fixed" : "removable");
        put_text(dir, "rx_lanes", "1\n");
        put_text(dir, "speed", "%s\n", node->device->speed);
        put_text(dir, "tx_lanes", "1\n");
        put_text(dir, "version", "%2x.%02x\n", d->usb_version >> 8, d->usb_version & 0xffu);
        put_strings(dir, node);
        put_uevent(dir, node, -1, "usb");
        put_link(dir, "subsystem", SYS "/bus/usb");
        link_driver(dir, "usb");
}

static void port_dir(const Port *port, char ret[static PATH_SIZE]) {
        char dir[PATH_SIZE], name[BUS_NAME_SIZE];

        interface_dir(port->hub->device->node, 0, dir);
        port_name(port, name);
        path_make(ret, "%s/%s", dir, name);
}

/* Both halves of a connector know of each other when both are there. */
static void link_peers(const Port *port) {
        char path[PATH_SIZE], peer[PATH_SIZE];

        if (!port->peer || !port->peer->hub->device->node)
                return;
        port_dir(port, path);
        port_dir(port->peer, peer);
        if (access(peer, F_OK) < 0)
                return;
        put_link(path, "peer", peer);
        put_link(peer, "peer", path);
}

/* /sys/…/1-1:1.0/1-1-port3/disable */
static void add_ports(const Node *node, const Hub *hub) {
        char dir[PATH_SIZE], path[PATH_SIZE], name[BUS_NAME_SIZE];

        for (unsigned i = 0; i < hub->n_ports; i++) {
                interface_dir(node, 0, dir);
                port_name(&hub->ports[i], name);
                path_make(path, "%s/%s", dir, name);
                make_dirs(path);
                put_text(path, "uevent", "%s", "");
                if (!sysfs_no_port_files)
                        put_served(path, "disable", name);
                put_text(path, "over_current_count", "%u\n", hub->ports[i].over_currents);
                link_peers(&hub->ports[i]);
        }
}

void sysfs_port_over_current(const Port *port) {
        char path[PATH_SIZE];

        if (!port->hub->device->node)
                return;
        port_dir(port, path);
        put_text(path, "over_current_count", "%u\n", port->over_currents);
}

static void remove_ports(const Node *node, const Hub *hub) {
        char dir[PATH_SIZE], path[PATH_SIZE], name[BUS_NAME_SIZE];
        int fd;

        interface_dir(node, 0, dir);
        fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < hub->n_ports; i++) {
                port_name(&hub->ports[i], name);
                path_make(path, "%s/%s", dir, name);
                if (!sysfs_no_port_files)
                        remove_served(path, "disable");
                if (fd >= 0)
                        remove_tree(fd, name);
        }
        if (fd >= 0)
                (void) close(fd);
}

static bool has_interface(const Node *node, unsigned interface) {
        return descriptors_interface(&node->descriptors, interface, 0) != NULL;
}

static void store(const Node *node, int interface, const char *driver) {
        Properties properties;

        udev_properties(node, interface, driver, &properties);
        udev_store(node, interface, &properties);
}

void sysfs_node_added(const Node *node, const Hub *hub) {
        char path[PATH_SIZE], name[INTERFACE_NAME_SIZE];

        add_device(node, hub);
        for (unsigned i = 0; i < INTERFACES_MAX; i++)
                if (has_interface(node, i))
                        add_interface(node, i);
        if (hub && node->bindings[0].driver)
                add_ports(node, hub);
        store(node, -1, "usb");
        (void) snprintf(name, sizeof(name), "189:%u", (node->bus - 1) * 128 + node->number - 1);
        path_make(path, SYS "%s", node->sysfs_path);
        put_link(SYS "/dev/char", name, path);
        link_device(node->sysfs_path, node->name);
        for (unsigned i = 0; i < INTERFACES_MAX; i++) {
                if (!has_interface(node, i))
                        continue;
                store(node, (int) i, node->bindings[i].driver);
                udev_interface_name(node, i, name);
                path_make(path, "%s/%s", node->sysfs_path, name);
                link_device(path, name);
        }
        /* The order of the kernel: the interfaces appear while the device's own driver is being bound. */
        udev_event("add", node, -1, NULL);
        for (unsigned i = 0; i < INTERFACES_MAX; i++) {
                if (!has_interface(node, i))
                        continue;
                udev_event("add", node, (int) i, NULL);
                if (node->bindings[i].driver)
                        udev_event("bind", node, (int) i, node->bindings[i].driver);
        }
        udev_event("bind", node, -1, "usb");
}

void sysfs_trigger(const Node *node) {
        udev_event("add", node, -1, "usb");
        for (unsigned i = 0; i < INTERFACES_MAX; i++)
                if (has_interface(node, i))
                        udev_event("add", node, (int) i, node->bindings[i].driver);
}

void sysfs_node_removed(const Node *node, const Hub *hub) {
        char path[PATH_SIZE], name[INTERFACE_NAME_SIZE];

        if (hub)
                remove_ports(node, hub);
        for (unsigned i = 0; i < INTERFACES_MAX; i++) {
                if (!has_interface(node, i))
                        continue;
                udev_interface_name(node, i, name);
                path_make(path, SYS "/bus/usb/devices/%s", name);
                (void) unlink(path);
                udev_forget(node, (int) i);
                if (node->bindings[i].driver)
                        udev_event("unbind", node, (int) i, NULL);
                udev_event("remove", node, (int) i, NULL);
                interface_dir(node, i, path);
                remove_served(path, "authorized");
        }
        path_make(path, SYS "/bus/usb/devices/%s", node->name);
        (void) unlink(path);
        path_make(path, SYS "/dev/char/189:%u", (node->bus - 1) * 128 + node->number - 1);
        (void) unlink(path);
        udev_forget(node, -1);
        path_make(path, SYS "%s", node->sysfs_path);
        remove_tree(AT_FDCWD, path);
        udev_event("unbind", node, -1, NULL);
        udev_event("remove", node, -1, NULL);
}

bool sysfs_interfaces_authorized(const Node *node) {
        char path[PATH_SIZE], c = '1';
        int fd;

        if (node->device->hub && node->device->hub->is_root)
                return true;
        sysfs_controller_path(node->bus, path, sizeof(path));
        (void) snprintf(path + strlen(path), sizeof(path) - strlen(path), "/usb%u/interface_authorized_default", node->bus);
        fd = openat(AT_FDCWD, SYS, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
                int file = openat(fd, path + 1, O_RDONLY | O_CLOEXEC);

                (void) close(fd);
                if (file >= 0) {
                        (void) !read(file, &c, 1);
                        (void) close(file);
                }
        }
        return c != '0';
}

void sysfs_driver_bound(const Node *node, unsigned interface, const char *driver) {
        char dir[PATH_SIZE];

        if (node->device->hub && text_equal(driver, "hub"))
                add_ports(node, node->device->hub);
        interface_dir(node, interface, dir);
        link_driver(dir, driver);
        put_uevent(dir, node, (int) interface, driver);
        udev_event("bind", node, (int) interface, driver);
}

void sysfs_driver_unbound(const Node *node, unsigned interface, const char *driver) {
        char dir[PATH_SIZE], path[PATH_SIZE];

        if (node->device->hub && text_equal(driver, "hub"))
                remove_ports(node, node->device->hub);
        interface_dir(node, interface, dir);
        path_make(path, "%s/driver", dir);
        (void) unlink(path);
        put_uevent(dir, node, (int) interface, NULL);
        udev_event("unbind", node, (int) interface, NULL);
}
