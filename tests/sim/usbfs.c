/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 314
#include "sim/usbfs.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/macro.h"
#include "sim/claim.h"
#include "sim/ioctl.h"
#include "sim/udev.h"

/*
 * Inodes below those of the nodes: the root, one folder by bus, and the folder of the files that sysfs has and that act when
 * they are written to. Far above the nodes: the `authorized` files of their interfaces.
 */
enum {
        INODE_ROOT = FUSE_ROOT_ID,
        INODE_BUS = 0x100,
        INODE_PORTS = 0x200,
        INODE_PROBE = 0x300,
        INODE_PORT = 0x1000,
        INODE_PORT_END = 0x2000,
};

#define INODE_INTERFACE (UINT64_C(1) << 48)

#define NAME_SIZE 16u
#define PORTS_NAME ".ports" /* not listed: it is there to be bind-mounted into sysfs */

static struct fuse_session *session;

static bool inode_is_bus(fuse_ino_t inode) {
        return inode > INODE_BUS && inode <= INODE_BUS + BUSES_MAX;
}

static Port *inode_port(fuse_ino_t inode) {
        return inode >= INODE_PORT && inode < INODE_PORT_END ? port_by_index((unsigned) (inode - INODE_PORT)) : NULL;
}

static void stat_node(const Node *node, struct stat *ret) {
        *ret = (struct stat) {
                .st_ino = node->inode,
                .st_mode = S_IFREG | node->mode,
                .st_nlink = 1,
                .st_uid = node->uid,
                .st_gid = node->gid,
                .st_size = (off_t) node->descriptors.size,
                .st_rdev = makedev(189, (node->bus - 1) * 128 + node->number - 1),
        };
}

static void stat_port(const Port *port, struct stat *ret) {
        *ret = (struct stat) {
                .st_ino = INODE_PORT + port_index(port),
                .st_mode = S_IFREG | port->mode,
                .st_nlink = 1,
                .st_uid = port->uid,
                .st_gid = port->gid,
                .st_size = 2,
        };
}

/* The interface whose `authorized` file this is: its node with a new reference, or NULL. */
static Node *inode_interface(fuse_ino_t inode, unsigned *ret_interface) {
        if (!(inode & INODE_INTERFACE))
                return NULL;
        *ret_interface = (unsigned) (inode % INTERFACES_MAX);
        return node_by_inode((inode & ~INODE_INTERFACE) / INTERFACES_MAX);
}

static void stat_interface(fuse_ino_t inode, const Binding *b, struct stat *ret) {
        *ret = (struct stat) {
                .st_ino = inode,
                .st_mode = S_IFREG | b->mode,
                .st_nlink = 1,
                .st_uid = b->uid,
                .st_gid = b->gid,
                .st_size = 2,
        };
}

static void stat_dir(fuse_ino_t inode, struct stat *ret) {
        *ret = (struct stat) { .st_ino = inode, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
}

static int stat_inode(fuse_ino_t inode, struct stat *ret) {
        Port *port = inode_port(inode);
        unsigned interface;
        Node *node;

        if (inode == INODE_PROBE) {
                *ret = (struct stat) { .st_ino = inode, .st_mode = S_IFREG | 0200, .st_nlink = 1 };
                return 0;
        }
        node = inode_interface(inode, &interface);
        if (node) {
                stat_interface(inode, &node->bindings[interface], ret);
                node_unref(node);
                return 0;
        }
        if (inode == INODE_ROOT || inode == INODE_PORTS || inode_is_bus(inode)) {
                stat_dir(inode, ret);
                return 0;
        }
        if (port) {
                stat_port(port, ret);
                return 0;
        }
        node = node_by_inode(inode);
        if (!node)
                return -ENOENT;
        pthread_mutex_lock(&node->device->lock);
        stat_node(node, ret);
        pthread_mutex_unlock(&node->device->lock);
        node_unref(node);
        return 0;
}

/* "001" in the kernel's form of exactly three digits, or 0. */
static unsigned parse_number(const char *name) {
        unsigned v = 0;

        if (strlen(name) != 3 || strspn(name, "0123456789") != 3)
                return 0;
        for (; *name; name++)
                v = v * 10 + (unsigned) (*name - '0');
        return v;
}

/* "1-1.3:1.0" */
static fuse_ino_t find_interface(const char *name) {
        unsigned interface;
        Node *node = node_by_interface(name, &interface);
        fuse_ino_t inode = node ? INODE_INTERFACE | (node->inode * INTERFACES_MAX + interface) : 0;

        node_unref(node);
        return inode;
}

static fuse_ino_t find_inode(fuse_ino_t parent, const char *name) {
        unsigned number = parse_number(name);
        fuse_ino_t inode = 0;
        Port *port;
        Node *node;

        if (parent == INODE_ROOT) {
                if (strcmp(name, PORTS_NAME) == 0)
                        return INODE_PORTS;
                node = number > 0 && number <= BUSES_MAX ? node_after(number, 0) : NULL;
                if (node)
                        inode = INODE_BUS + number;
                node_unref(node);
        } else if (parent == INODE_PORTS) {
                port = port_by_name(name);
                if (port)
                        inode = INODE_PORT + port_index(port);
                else
                        inode = strcmp(name, "drivers_probe") == 0 ? INODE_PROBE : find_interface(name);
        } else if (inode_is_bus(parent)) {
                node = number > 0 ? node_by_address((unsigned) (parent - INODE_BUS), number) : NULL;
                if (node)
                        inode = node->inode;
                node_unref(node);
        }
        return inode;
}

static void usbfs_lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
        struct fuse_entry_param entry = { .ino = find_inode(parent, name) };

        if (entry.ino == 0 || stat_inode(entry.ino, &entry.attr) < 0)
                fuse_reply_err(request, ENOENT);
        else
                fuse_reply_entry(request, &entry);
}

static void usbfs_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
        struct stat attr;

        (void) info;
        if (stat_inode(inode, &attr) < 0)
                fuse_reply_err(request, ENOENT);
        else
                fuse_reply_attr(request, &attr, 0);
}

static void set_owner(const struct stat *attr, int which, mode_t *mode, uid_t *uid, gid_t *gid) {
        if (which & FUSE_SET_ATTR_MODE)
                *mode = attr->st_mode & 07777;
        if (which & FUSE_SET_ATTR_UID)
                *uid = attr->st_uid;
        if (which & FUSE_SET_ATTR_GID)
                *gid = attr->st_gid;
}

/* Owner and mode, as a udev rule sets them. That a shell truncates a port's file before it writes means nothing. */
static void usbfs_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *attr, int which,
                          struct fuse_file_info *info) {
        Port *port = inode_port(inode);
        unsigned interface;
        Node *node = inode_interface(inode, &interface);

        if (port) {
                pthread_mutex_lock(&topology_lock);
                set_owner(attr, which, &port->mode, &port->uid, &port->gid);
                pthread_mutex_unlock(&topology_lock);
        } else if (node) {
                Binding *b = &node->bindings[interface];

                set_owner(attr, which, &b->mode, &b->uid, &b->gid);
                node_unref(node);
        } else {
                node = node_by_inode(inode);
                if (node) {
                        pthread_mutex_lock(&node->device->lock);
                        set_owner(attr, which, &node->mode, &node->uid, &node->gid);
                        pthread_mutex_unlock(&node->device->lock);
                }
                node_unref(node);
        }
        usbfs_getattr(request, inode, info);
}

/* The name of the entry after `offset` (a bus or device number) in a folder, and its number; 0 at the end. */
static unsigned next_entry(fuse_ino_t dir, unsigned offset) {
        unsigned number = 0;
        Node *node = NULL;

        if (inode_is_bus(dir)) {
                node = node_after((unsigned) (dir - INODE_BUS), offset);
                number = node ? node->number : 0;
        } else if (dir == INODE_ROOT) {
                for (unsigned bus = offset + 1; bus <= BUSES_MAX && !node; bus++) {
                        node = node_after(bus, 0);
                        number = node ? bus : 0;
                }
        }
        node_unref(node);
        return number;
}

static void usbfs_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                          struct fuse_file_info *info) {
        _cleanup_(freep) char *buffer = malloc(size);
        size_t used = 0;

        (void) info;
        if (!buffer) {
                fuse_reply_err(request, ENOMEM);
                return;
        }
        for (unsigned number = (unsigned) offset; (number = next_entry(inode, number)) > 0;) {
                struct stat attr = { .st_ino = 1, .st_mode = inode == INODE_ROOT ? S_IFDIR : S_IFREG };
                char name[NAME_SIZE];
                size_t n;

                (void) snprintf(name, sizeof(name), "%03u", number);
                n = fuse_add_direntry(request, buffer + used, size - used, name, &attr, (off_t) number);
                if (n > size - used)
                        break;
                used += n;
        }
        fuse_reply_buf(request, buffer, used);
}

static int open_node(Node *node, struct fuse_file_info *info) {
        SimDevice *device = node->device;
        OpenFile *file;
        int r = 0;

        file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;
        file->writable = (info->flags & O_ACCMODE) != O_RDONLY;
        TAILQ_INIT(&file->pending);
        TAILQ_INIT(&file->completed);
        TAILQ_INIT(&file->reapers);
        pthread_mutex_lock(&device->lock);
        if (node->gone) {
                r = -ENODEV;
        } else {
                file->node = node_ref(node);
                TAILQ_INSERT_TAIL(&node->files, file, entry);
                device->counters.opens++;
        }
        pthread_mutex_unlock(&device->lock);
        if (r < 0)
                free(file);
        else
                info->fh = (uintptr_t) file;
        return r;
}

static void usbfs_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
        Node *node;
        int r = 0;

        info->direct_io = 1;
        if (!inode_port(inode) && inode != INODE_PROBE && !(inode & INODE_INTERFACE)) {
                node = node_by_inode(inode);
                r = node ? open_node(node, info) : -ENODEV;
                node_unref(node);
        }
        if (r < 0)
                fuse_reply_err(request, -r);
        else
                fuse_reply_open(request, info);
}

/* The last descriptor of an open file is closed, or its process is dead. */
static void close_file(OpenFile *file) {
        Node *node = file->node;
        Urb *urb;

        pthread_mutex_lock(&topology_lock);
        pthread_mutex_lock(&node->device->lock);
        TAILQ_REMOVE(&node->files, file, entry);
        while ((urb = TAILQ_FIRST(&file->pending)))
                urb_drop(urb);
        while ((urb = TAILQ_FIRST(&file->completed))) {
                TAILQ_REMOVE(&file->completed, urb, entry);
                urb_free(urb);
        }
        claim_release_all(file);
        if (file->poll_handle)
                fuse_pollhandle_destroy(file->poll_handle);
        if (!node->gone)
                node_pump(node);
        pthread_mutex_unlock(&node->device->lock);
        pthread_mutex_unlock(&topology_lock);
        node_unref(node);
        free(file);
}

static void usbfs_release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info) {
        (void) inode;
        if (info->fh)
                close_file((OpenFile *) (uintptr_t) info->fh);
        fuse_reply_err(request, 0);
}

static void reply_slice(fuse_req_t request, const void *data, size_t data_size, size_t size, off_t offset) {
        size_t from = MIN2((size_t) offset, data_size);

        fuse_reply_buf(request, (const char *) data + from, MIN2(size, data_size - from));
}

static void usbfs_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info) {
        OpenFile *file = (OpenFile *) (uintptr_t) info->fh;
        Port *port = inode_port(inode);
        unsigned interface;
        Node *node = inode_interface(inode, &interface);

        if (port)
                reply_slice(request, port->disabled || !port->power ? "1\n" : "0\n", 2, size, offset);
        else if (node)
                reply_slice(request, node->bindings[interface].authorized ? "1\n" : "0\n", 2, size, offset);
        else if (!file || file->node->gone)
                fuse_reply_err(request, ENODEV);
        else
                reply_slice(request, file->node->descriptors.raw, file->node->descriptors.size, size, offset);
        node_unref(node);
}

/* `authorized` of an interface. */
static int write_authorized(Node *node, unsigned interface, char c) {
        if (!memchr("01yYnN", c, 6))
                return -EINVAL;
        if (!node->gone)
                (void) claim_authorize(node, interface, memchr("1yY", c, 3) != NULL);
        return 0;
}

/* `drivers_probe`: the driver that wants the interface of this name gets it. */
static int write_probe(const char *data, size_t size) {
        char name[INTERFACE_NAME_SIZE];
        unsigned interface;
        Node *node;

        (void) snprintf(name, sizeof(name), "%.*s", (int) MIN2(size, sizeof(name) - 1), data);
        name[strcspn(name, "\n")] = '\0';
        node = node_by_interface(name, &interface);
        if (!node)
                return -ENODEV;
        pthread_mutex_lock(&node->device->lock);
        if (!node->gone && !node->bindings[interface].driver)
                (void) claim_bind_kernel(node, interface);
        pthread_mutex_unlock(&node->device->lock);
        node_unref(node);
        return 0;
}

/* The files of sysfs that act. */
static int write_control(fuse_ino_t inode, const char *data, size_t size) {
        Port *port = inode_port(inode);
        unsigned interface;
        Node *node = inode_interface(inode, &interface);
        int r = -EINVAL;

        if (size == 0) {
                node_unref(node);
                return r;
        }
        pthread_mutex_lock(&topology_lock);
        if (node) {
                pthread_mutex_lock(&node->device->lock);
                r = write_authorized(node, interface, data[0]);
                pthread_mutex_unlock(&node->device->lock);
        } else if (inode == INODE_PROBE) {
                r = write_probe(data, size);
        } else if (port && memchr("01yYnN", data[0], 6)) {
                port_disable(port, memchr("0nN", data[0], 3) == NULL);
                r = 0;
        }
        if (r >= 0)
                topology_settle();
        pthread_mutex_unlock(&topology_lock);
        node_unref(node);
        return r;
}

static void usbfs_write(fuse_req_t request, fuse_ino_t inode, const char *data, size_t size, off_t offset,
                        struct fuse_file_info *info) {
        int r = write_control(inode, data, size);

        (void) offset;
        (void) info;
        if (r < 0)
                fuse_reply_err(request, -r);
        else
                fuse_reply_write(request, size);
}

void usbfs_notify(void *poll_handle) {
        fuse_lowlevel_notify_poll(poll_handle);
        fuse_pollhandle_destroy(poll_handle);
}

static void usbfs_poll(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info,
                       struct fuse_pollhandle *handle) {
        OpenFile *file = (OpenFile *) (uintptr_t) info->fh;
        unsigned events = 0;

        (void) inode;
        if (!file) {
                if (handle)
                        fuse_pollhandle_destroy(handle);
                fuse_reply_poll(request, POLLIN | POLLOUT);
                return;
        }
        pthread_mutex_lock(&file->node->device->lock);
        if (handle) {
                if (file->poll_handle)
                        fuse_pollhandle_destroy(file->poll_handle);
                file->poll_handle = handle;
        }
        if (file->writable && !TAILQ_EMPTY(&file->completed))
                events |= POLLOUT | POLLWRNORM;
        if (file->node->gone)
                events |= POLLERR | POLLHUP;
        pthread_mutex_unlock(&file->node->device->lock);
        fuse_reply_poll(request, events);
}

static const struct fuse_lowlevel_ops operations = {
        .lookup = usbfs_lookup,
        .getattr = usbfs_getattr,
        .setattr = usbfs_setattr,
        .readdir = usbfs_readdir,
        .open = usbfs_open,
        .release = usbfs_release,
        .read = usbfs_read,
        .write = usbfs_write,
        .ioctl = usbfs_ioctl,
        .poll = usbfs_poll,
};

static void *serve(void *unused) {
        struct fuse_loop_config *config = fuse_loop_cfg_create();

        (void) unused;
        fuse_loop_cfg_set_idle_threads(config, 16);
        fuse_loop_cfg_set_max_threads(config, 32);
        (void) fuse_session_loop_mt(session, config);
        fuse_loop_cfg_destroy(config);
        return NULL;
}

int usbfs_start(const char *mount_point) {
        char *argv[] = { (char *) "berth-sim", (char *) "-oallow_other,default_permissions,fsname=usbfs,subtype=usbfs",
                         NULL };
        struct fuse_args args = FUSE_ARGS_INIT(2, argv);
        pthread_t thread;

        session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
        fuse_opt_free_args(&args);
        if (!session)
                return -ENOMEM;
        if (fuse_session_mount(session, mount_point) != 0)
                return -EIO;
        if (pthread_create(&thread, NULL, serve, NULL) != 0)
                return -EAGAIN;
        pthread_detach(thread);
        return 0;
}
