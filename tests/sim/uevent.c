/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/uevent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UDEV_GROUP 2u
#define UDEV_MAGIC 0xfeedcafeu

/* What precedes the properties of each message of udevd (systemd: src/libsystemd/sd-device/device-monitor.c). */
typedef struct UdevHeader {
        char prefix[8]; /* "libudev" */
        uint32_t magic;
        uint32_t header_size;
        uint32_t properties_offset;
        uint32_t properties_size;
        uint32_t subsystem_hash;
        uint32_t devtype_hash;
        uint32_t tag_bloom_high;
        uint32_t tag_bloom_low;
} UdevHeader;

bool uevent_from_kernel;

static int netlink_fd = -1;
static pthread_mutex_t sequence_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long sequence = 1000;

void properties_add(Properties *p, const char *key, const char *format, ...) {
        size_t room = sizeof(p->text) - p->size;
        va_list args;
        int key_size, value_size;

        key_size = snprintf(p->text + p->size, room, "%s=", key);
        if (key_size < 0 || (size_t) key_size >= room)
                return;
        va_start(args, format);
        value_size = vsnprintf(p->text + p->size + key_size, room - (size_t) key_size, format, args);
        va_end(args);
        /* One that does not fit is left out whole: a cut value would be a wrong one. */
        if (value_size < 0 || (size_t) key_size + (size_t) value_size >= room)
                return;
        p->size += (size_t) key_size + (size_t) value_size + 1;
}

static uint32_t load32(const unsigned char *p) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

/* MurmurHash2 with seed 0, by which the listeners' socket filters recognise subsystem and device type. */
static uint32_t filter_hash(const char *text) {
        const uint32_t m = 0x5bd1e995;
        const unsigned char *p = (const unsigned char *) text;
        size_t left = strlen(text);
        uint32_t h = (uint32_t) left;

        for (; left >= 4; p += 4, left -= 4) {
                uint32_t k = load32(p) * m;

                k = (k ^ k >> 24) * m;
                h = h * m ^ k;
        }
        if (left >= 3)
                h ^= (uint32_t) p[2] << 16;
        if (left >= 2)
                h ^= (uint32_t) p[1] << 8;
        if (left >= 1)
                h = (h ^ p[0]) * m;
        h = (h ^ h >> 13) * m;
        return h ^ h >> 15;
}

int uevent_open(void) {
        netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
        return netlink_fd < 0 ? -errno : 0;
}

/* What rules make of an event is not the kernel's to say. */
static bool is_of_rules(const char *property) {
        return strncmp(property, "ID_", 3) == 0 || strncmp(property, "GPHOTO2_", 8) == 0 || strncmp(property, "USEC_", 5) == 0;
}

/*
 * As the kernel would: a namespace's owner may hand it the text of an event, and it passes it on to the kernel's own group,
 * with a sequence number.
 */
static void send_kernel(const char *action, const char *subsystem, const char *devtype, const Properties *properties) {
        struct nlmsghdr header = { .nlmsg_type = NLMSG_MIN_TYPE, .nlmsg_flags = NLM_F_REQUEST };
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        Properties event = {};
        struct iovec parts[] = { { &header, sizeof(header) }, { event.text, 0 } };
        struct msghdr message = { .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = parts, .msg_iovlen = ELEMENTSOF(parts) };

        (void) subsystem;
        (void) devtype;
        for (const char *p = properties->text; p < properties->text + properties->size; p += strlen(p) + 1)
                if (strncmp(p, "DEVPATH=", 8) == 0)
                        event.size = (size_t) snprintf(event.text, sizeof(event.text), "%s@%s", action, p + 8) + 1;
        properties_add(&event, "ACTION", "%s", action);
        for (const char *p = properties->text; p < properties->text + properties->size; p += strlen(p) + 1) {
                const char *value = strchr(p, '=') + 1;

                if (is_of_rules(p))
                        continue;
                /* The kernel's name of a node is relative to /dev. */
                if (strncmp(p, "DEVNAME=/dev/", 13) == 0)
                        properties_add(&event, "DEVNAME", "%s", p + 13);
                else {
                        char key[64];

                        (void) snprintf(key, sizeof(key), "%.*s", (int) (value - 1 - p), p);
                        properties_add(&event, key, "%s", value);
                }
        }
        parts[1].iov_len = event.size;
        header.nlmsg_len = (uint32_t) (sizeof(header) + event.size);
        if (sendmsg(netlink_fd, &message, 0) < 0)
                fprintf(stderr, "berth-sim: cannot send a kernel's event: %s\n", strerror(errno));
}

void uevent_send(const char *action, const char *subsystem, const char *devtype, const Properties *properties) {
        UdevHeader header = {
                .prefix = "libudev",
                .magic = htonl(UDEV_MAGIC),
                .header_size = sizeof(header),
                .properties_offset = sizeof(header),
                .subsystem_hash = htonl(filter_hash(subsystem)),
                .devtype_hash = devtype ? htonl(filter_hash(devtype)) : 0,
        };
        struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = UDEV_GROUP };
        Properties event = {};
        struct iovec parts[] = {
                { &header, sizeof(header) },
                { event.text, 0 },
                { (void *) properties->text, properties->size },
        };
        struct msghdr message = {
                .msg_name = &group,
                .msg_namelen = sizeof(group),
                .msg_iov = parts,
                .msg_iovlen = ELEMENTSOF(parts),
        };

        if (uevent_from_kernel) {
                send_kernel(action, subsystem, devtype, properties);
                return;
        }
        /* Listeners may rely on the order of the numbers, so number and send are one step. */
        pthread_mutex_lock(&sequence_lock);
        properties_add(&event, "ACTION", "%s", action);
        properties_add(&event, "SEQNUM", "%llu", sequence++);
        parts[1].iov_len = event.size;
        header.properties_size = (uint32_t) (event.size + properties->size);
        if (sendmsg(netlink_fd, &message, 0) < 0 && errno != ECONNREFUSED && errno != ESRCH)
                fprintf(stderr, "berth-sim: cannot send a device event: %s\n", strerror(errno));
        pthread_mutex_unlock(&sequence_lock);
}
