/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "sim/bus.h"
#include "sim/udev.h"

#define DEVICES_PER_BUS 127u

static pthread_mutex_t nodes_lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, Node) nodes = TAILQ_HEAD_INITIALIZER(nodes);
static uint64_t next_inode = UINT64_C(1) << 32;
static unsigned next_number[BUSES_MAX + 1];

static bool number_is_taken(unsigned bus, unsigned number) {
        Node *n;

        TAILQ_FOREACH(n, &nodes, entry)
                if (n->bus == bus && n->number == number)
                        return true;
        return false;
}

/* As the kernel does: ever upwards, and from the start again past the end. */
static int choose_number(unsigned bus, unsigned *ret) {
        for (unsigned i = 0; i < DEVICES_PER_BUS; i++) {
                unsigned number = 1 + (next_number[bus] + i) % DEVICES_PER_BUS;

                if (number_is_taken(bus, number))
                        continue;
                next_number[bus] = number;
                *ret = number;
                return 0;
        }
        return -ENOSPC;
}

int node_new(SimDevice *device, unsigned bus, Node **ret) {
        Node *node;
        int r;

        node = calloc(1, sizeof(*node));
        if (!node)
                return -ENOMEM;
        node->device = device;
        node->bus = bus;
        node->references = 1;
        node->mode = 0664;
        TAILQ_INIT(&node->files);
        TAILQ_INIT(&node->claimers);
        for (unsigned i = 0; i < ENDPOINT_SLOTS; i++)
                TAILQ_INIT(&node->endpoints[i].queue);

        pthread_mutex_lock(&nodes_lock);
        r = choose_number(bus, &node->number);
        if (r >= 0) {
                node->inode = next_inode++;
                TAILQ_INSERT_TAIL(&nodes, node, entry);
        }
        pthread_mutex_unlock(&nodes_lock);
        if (r < 0) {
                free(node);
                return r;
        }
        *ret = node;
        return 0;
}

Node *node_ref(Node *node) {
        pthread_mutex_lock(&nodes_lock);
        node->references++;
        pthread_mutex_unlock(&nodes_lock);
        return node;
}

void node_unref(Node *node) {
        bool last;

        if (!node)
                return;
        pthread_mutex_lock(&nodes_lock);
        last = --node->references == 0;
        if (last)
                TAILQ_REMOVE(&nodes, node, entry);
        pthread_mutex_unlock(&nodes_lock);
        if (last)
                free(node);
}

Node *node_by_inode(uint64_t inode) {
        Node *n;

        pthread_mutex_lock(&nodes_lock);
        TAILQ_FOREACH(n, &nodes, entry)
                if (n->inode == inode) {
                        n->references++;
                        break;
                }
        pthread_mutex_unlock(&nodes_lock);
        return n;
}

Node *node_by_address(unsigned bus, unsigned number) {
        Node *n;

        pthread_mutex_lock(&nodes_lock);
        TAILQ_FOREACH(n, &nodes, entry)
                if (n->bus == bus && n->number == number && !n->gone) {
                        n->references++;
                        break;
                }
        pthread_mutex_unlock(&nodes_lock);
        return n;
}

static bool has_interface_called(const Node *node, const char *name, unsigned *ret_interface) {
        char own[INTERFACE_NAME_SIZE];

        for (unsigned i = 0; i < INTERFACES_MAX; i++) {
                if (!descriptors_interface(&node->descriptors, i, 0))
                        continue;
                udev_interface_name(node, i, own);
                if (strcmp(own, name) == 0) {
                        *ret_interface = i;
                        return true;
                }
        }
        return false;
}

Node *node_by_interface(const char *name, unsigned *ret_interface) {
        Node *n;

        pthread_mutex_lock(&nodes_lock);
        TAILQ_FOREACH(n, &nodes, entry)
                if (!n->gone && has_interface_called(n, name, ret_interface)) {
                        n->references++;
                        break;
                }
        pthread_mutex_unlock(&nodes_lock);
        return n;
}

Node *node_after(unsigned bus, unsigned number) {
        Node *best = NULL, *n;

        pthread_mutex_lock(&nodes_lock);
        TAILQ_FOREACH(n, &nodes, entry)
                if (n->bus == bus && n->number > number && !n->gone && (!best || n->number < best->number))
                        best = n;
        if (best)
                best->references++;
        pthread_mutex_unlock(&nodes_lock);
        return best;
}
