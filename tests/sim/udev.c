/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/udev.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/text.h"

#define TEXT_SIZE 512u
#define CLASS_STILL_IMAGE 6u

/* udev's rule for values that become names: white space to one '_', everything else it does not like to '_'. */
static void name_safe(const char *text, char ret[static TEXT_SIZE]) {
        size_t n = 0;

        for (const char *p = text; *p && n + 1 < TEXT_SIZE; p++) {
                bool plain = isalnum((unsigned char) *p) || strchr("#+-.:=@_", *p) || (unsigned char) *p >= 0x80;

                if (isspace((unsigned char) *p)) {
                        if (n == 0 || p[1] == '\0' || isspace((unsigned char) p[1]))
                                continue;
                        plain = false;
                }
                ret[n++] = plain ? *p : '_';
        }
        ret[n] = '\0';
}

static void encode(const char *text, char ret[static TEXT_SIZE]) {
        size_t n = 0;

        for (const char *p = text; *p && n + 5 < TEXT_SIZE; p++) {
                if (isalnum((unsigned char) *p) || strchr("#+-.:=@_", *p) || (unsigned char) *p >= 0x80)
                        ret[n++] = *p;
                else
                        n += (size_t) snprintf(ret + n, TEXT_SIZE - n, "\\x%02x", (unsigned char) *p);
        }
        ret[n] = '\0';
}

static void add_strings(const Node *node, Properties *ret) {
        const Descriptors *d = &node->descriptors;
        char vendor[TEXT_SIZE], vendor_enc[TEXT_SIZE], model[TEXT_SIZE], model_enc[TEXT_SIZE], serial[TEXT_SIZE];
        char number[8];

        (void) snprintf(number, sizeof(number), "%04x", d->vid);
        name_safe(node->manufacturer[0] ? node->manufacturer : number, vendor);
        encode(node->manufacturer[0] ? node->manufacturer : number, vendor_enc);
        (void) snprintf(number, sizeof(number), "%04x", d->pid);
        name_safe(node->product[0] ? node->product : number, model);
        encode(node->product[0] ? node->product : number, model_enc);
        name_safe(node->serial, serial);
        properties_add(ret, "ID_BUS", "usb");
        properties_add(ret, "ID_VENDOR", "%s", vendor);
        properties_add(ret, "ID_VENDOR_ENC", "%s", vendor_enc);
        properties_add(ret, "ID_VENDOR_ID", "%04x", d->vid);
        properties_add(ret, "ID_MODEL", "%s", model);
        properties_add(ret, "ID_MODEL_ENC", "%s", model_enc);
        properties_add(ret, "ID_MODEL_ID", "%04x", d->pid);
        properties_add(ret, "ID_REVISION", "%04x", d->version);
        properties_add(ret, "ID_SERIAL", "%s_%s%s%s", vendor, model, serial[0] ? "_" : "", serial);
        if (serial[0])
                properties_add(ret, "ID_SERIAL_SHORT", "%s", serial);
}

static void add_interfaces(const Node *node, Properties *ret) {
        const Descriptors *d = &node->descriptors;
        char list[2 + INTERFACES_MAX * 7 + 1] = ":";
        size_t size = 1;

        for (size_t i = 0; i < d->n_interfaces; i++) {
                const UsbInterface *f = &d->interfaces[i];
                char one[9];

                (void) snprintf(one, sizeof(one), ":%02x%02x%02x:", f->class_code, f->subclass, f->protocol);
                if (!strstr(list, one))
                        size += (size_t) snprintf(list + size, sizeof(list) - size, "%s", one + 1);
                /* What the rules of libgphoto2 and libmtp say of a still image device. */
                if (f->class_code == CLASS_STILL_IMAGE && f->subclass == 1 && f->protocol == 1) {
                        properties_add(ret, "ID_GPHOTO2", "1");
                        properties_add(ret, "GPHOTO2_DRIVER", "PTP");
                        properties_add(ret, "ID_MTP_DEVICE", "1");
                        properties_add(ret, "ID_MEDIA_PLAYER", "1");
                }
        }
        properties_add(ret, "ID_USB_INTERFACES", "%s", list);
}

static void add_path(const Node *node, Properties *ret) {
        const char *port = strchr(node->name, '-');
        char tag[BUS_NAME_SIZE];

        if (!port)
                return;
        (void) snprintf(tag, sizeof(tag), "%s", port + 1);
        for (char *p = tag; *p; p++)
                if (*p == '.')
                        *p = '_';
        properties_add(ret, "ID_PATH", "pci-0000:00:%02x.0-usb-0:%s", 0x13 + node->bus, port + 1);
        properties_add(ret, "ID_PATH_TAG", "pci-0000_00_%02x_0-usb-0_%s", 0x13 + node->bus, tag);
}

static void add_device(const Node *node, const char *driver, Properties *ret) {
        const Descriptors *d = &node->descriptors;

        properties_add(ret, "DEVPATH", "%s", node->sysfs_path);
        properties_add(ret, "SUBSYSTEM", "usb");
        properties_add(ret, "DEVTYPE", "usb_device");
        properties_add(ret, "DEVNAME", "/dev/bus/usb/%03u/%03u", node->bus, node->number);
        properties_add(ret, "MAJOR", "189");
        properties_add(ret, "MINOR", "%u", (node->bus - 1) * 128 + node->number - 1);
        properties_add(ret, "BUSNUM", "%03u", node->bus);
        properties_add(ret, "DEVNUM", "%03u", node->number);
        if (driver)
                properties_add(ret, "DRIVER", "%s", driver);
        properties_add(ret, "PRODUCT", "%x/%x/%x", d->vid, d->pid, d->version);
        properties_add(ret, "TYPE", "%u/%u/%u", d->class_code, d->subclass, d->protocol);
}

void udev_interface_name(const Node *node, unsigned interface, char ret[static INTERFACE_NAME_SIZE]) {
        unsigned configuration = node->descriptors.configuration;

        if (strchr(node->name, '-'))
                (void) snprintf(ret, INTERFACE_NAME_SIZE, "%s:%u.%u", node->name, configuration, interface);
        else
                (void) snprintf(ret, INTERFACE_NAME_SIZE, "%u-0:%u.%u", node->bus, configuration, interface);
}

static void add_interface(const Node *node, unsigned interface, const char *driver, Properties *ret) {
        const Descriptors *d = &node->descriptors;
        const UsbInterface *i = descriptors_interface(d, interface, 0);
        char name[INTERFACE_NAME_SIZE];

        udev_interface_name(node, interface, name);
        properties_add(ret, "DEVPATH", "%s/%s", node->sysfs_path, name);
        properties_add(ret, "SUBSYSTEM", "usb");
        properties_add(ret, "DEVTYPE", "usb_interface");
        if (driver)
                properties_add(ret, "DRIVER", "%s", driver);
        properties_add(ret, "PRODUCT", "%x/%x/%x", d->vid, d->pid, d->version);
        properties_add(ret, "TYPE", "%u/%u/%u", d->class_code, d->subclass, d->protocol);
        if (!i)
                return;
        properties_add(ret, "INTERFACE", "%u/%u/%u", i->class_code, i->subclass, i->protocol);
        properties_add(ret, "MODALIAS", "usb:v%04Xp%04Xd%04Xdc%02Xdsc%02Xdp%02Xic%02Xisc%02Xip%02Xin%02X", d->vid,
                       d->pid, d->version, d->class_code, d->subclass, d->protocol, i->class_code, i->subclass,
                       i->protocol, interface);
}

void udev_properties(const Node *node, int interface, const char *driver, Properties *ret) {
        ret->size = 0;
        if (interface >= 0) {
                add_interface(node, (unsigned) interface, driver, ret);
        } else {
                add_device(node, driver, ret);
                add_strings(node, ret);
                add_interfaces(node, ret);
        }
        add_path(node, ret);
        properties_add(ret, "USEC_INITIALIZED", "%llu", (unsigned long long) node->born_usec);
}

/* "/run/udev/data/c189:5" or "/run/udev/data/+usb:1-1.2:1.0" */
static void data_path(const Node *node, int interface, char *ret, size_t size) {
        char name[INTERFACE_NAME_SIZE];

        if (interface >= 0) {
                udev_interface_name(node, (unsigned) interface, name);
                (void) snprintf(ret, size, "/run/udev/data/+usb:%s", name);
        } else {
                (void) snprintf(ret, size, "/run/udev/data/c189:%u", (node->bus - 1) * 128 + node->number - 1);
        }
}

void udev_store(const Node *node, int interface, const Properties *properties) {
        char path[256], temporary[272];
        FILE *f;

        if (uevent_from_kernel)
                return;
        data_path(node, interface, path, sizeof(path));
        (void) snprintf(temporary, sizeof(temporary), "%s.new", path);
        f = fopen(temporary, "we");
        if (!f)
                return;
        fprintf(f, "I:%llu\n", (unsigned long long) node->born_usec);
        /* The database keeps what rules made of the event; what the kernel said stands in sysfs. */
        for (const char *p = properties->text; p < properties->text + properties->size; p += strlen(p) + 1)
                if (strncmp(p, "ID_", 3) == 0 || strncmp(p, "GPHOTO2_", 8) == 0)
                        fprintf(f, "E:%s\n", p);
        fprintf(f, "V:1\n");
        (void) fclose(f);
        (void) rename(temporary, path);
}

void udev_forget(const Node *node, int interface) {
        char path[256];

        if (uevent_from_kernel)
                return;
        data_path(node, interface, path, sizeof(path));
        (void) unlink(path);
}

void udev_event(const char *action, const Node *node, int interface, const char *driver) {
        Properties properties;

        udev_properties(node, interface, driver, &properties);
        uevent_send(action, "usb", interface < 0 ? "usb_device" : "usb_interface", &properties);
}
