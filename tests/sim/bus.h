/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The simulated bus, inside. A device (SimDevice) is defined once and lives as long as the program; each time it gets
 * power at a port it becomes a new Node with a new device number, as in the kernel.
 *
 * Locks, in the order in which they are taken:
 *   topology_lock   who is plugged where, sysfs, the udev database
 *   SimDevice.lock  the device's model, its node, the node's files and URBs
 *   leaves          nodes_lock (node numbers and references), the timers', the event sequence
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "sim/descriptors.h"
#include "sim/device.h"
#include "sim/supply.h"
#include "sim/timer.h"

#define BUSES_MAX 9u
#define HUB_PORTS_MAX 15u
#define PATH_MAX_DEPTH 7 /* ports in a path, as in USBDEVFS_CONNINFO_EX */
#define BUS_NAME_SIZE 64u

typedef struct Hub Hub;
typedef struct Node Node;
typedef struct OpenFile OpenFile;
typedef struct Urb Urb;

TAILQ_HEAD(UrbList, Urb);
TAILQ_HEAD(FileList, OpenFile);

/* One connector of a hub. */
typedef struct Port {
        Hub *hub;
        unsigned number;
        char path[BUS_NAME_SIZE];     /* "1-1.3" */
        struct Port *peer;            /* the other half of a USB 3 connector, or NULL */
        atomic_bool power;            /* as it was asked for */
        atomic_bool disabled;         /* the kernel keeps its hands off what is there */
        atomic_uint power_losses;     /* so that a short off-on is noticed too */
        atomic_uint feed_losses;      /* of the connector, with both halves */
        unsigned over_currents;       /* topology_lock */
        atomic_bool shorted;          /* whatever power it is given, its hub cuts it at once */
        atomic_bool over_current_change; /* C_PORT_OVER_CURRENT, until it is cleared */
        _Atomic(SimDevice *) plugged; /* what sits in it */
        SimDevice *attached;          /* what the host knows of; topology_lock */
        unsigned attached_losses, woken_losses;
        mode_t mode; /* of its `disable` file */
        uid_t uid;
        gid_t gid;
} Port;

struct Hub {
        SimDevice *device;
        unsigned bus;
        char path[BUS_NAME_SIZE]; /* "1-1", or "usb1" for a root hub */
        bool is_root;
        bool superspeed;
        atomic_bool lies; /* it says that it switches its ports, and feeds them all the same */
        unsigned n_ports;
        Port ports[HUB_PORTS_MAX];
        TAILQ_ENTRY(Hub) entry;
};

/* As sysfs writes them, in Mbit/s. */
#define SPEED_LOW "1.5"
#define SPEED_FULL "12"
#define SPEED_HIGH "480"
#define SPEED_SUPER "5000"

/* What the control socket asked to go wrong. Positions count the device's bulk IN bytes (Counters.bulk_in). */
typedef struct Faults {
        uint64_t unplug_at; /* UINT64_MAX: never */
        uint64_t corrupt_at;
        uint64_t corrupt_count;
        uint64_t bytes_per_sec; /* 0: no limit */
        uint64_t slow_at;       /* from there on, UINT64_MAX: nowhere … */
        uint64_t slow_to;       /* … so many bytes per second */
        uint64_t paced_until_usec;
} Faults;

/* A mode change that was asked for (device.h). */
typedef struct Change {
        bool pending;
        char *name; /* what comes back, NULL: nothing */
        uint64_t leave_usec, return_usec;
} Change;

/* Since the device was defined. `requests` is all that a host did beyond reading standard descriptors. */
typedef struct Counters {
        uint64_t bulk_in, bulk_out, opens, claims, requests;
} Counters;

/* A synchronous call that could not be answered at once. */
typedef struct Waiter {
        void *request; /* fuse_req_t */
        OpenFile *file;
        pid_t client;
        uint64_t argument; /* where it wants its answer */
        uint64_t deadline_usec;
        unsigned interface;
        TAILQ_ENTRY(Waiter) entry;
} Waiter;
TAILQ_HEAD(WaiterList, Waiter);

struct SimDevice {
        char *name;
        const SimModel *model;
        void *state;
        const char *speed;   /* of sysfs: "480" */
        const char *fastest; /* as it was defined */
        SimBattery *battery; /* or NULL; topology_lock */
        pthread_mutex_t lock;
        Node *node; /* while it is on the bus; changed under topology_lock and lock */
        Port *port; /* while it sits in one; topology_lock */
        Hub *hub;   /* when it is one */
        Faults faults;
        Counters counters;
        bool unplug_due;
        Change change;
        atomic_bool away; /* in its port, and not to be seen by the host; topology_lock and lock */
        SimDevice *home;  /* the one that it was before it became this one; topology_lock and lock */
        SimTimer timer;   /* pacing, time-outs of synchronous calls, unplug_due, change */
        TAILQ_ENTRY(SimDevice) entry;
};

typedef struct Endpoint {
        struct UrbList queue;
        bool halted;
} Endpoint;

#define ENDPOINT_SLOTS 32u /* 16 OUT (0 is control), then 16 IN */

/* Who has an interface: a kernel driver by name, or "usbfs" and the file. */
typedef struct Binding {
        const char *driver;
        OpenFile *owner;
        bool authorized; /* else nothing binds to it, and nobody claims it */
        mode_t mode;     /* of its `authorized` file */
        uid_t uid;
        gid_t gid;
} Binding;

struct Node {
        uint64_t inode;
        SimDevice *device;
        unsigned references; /* nodes_lock: one while attached, one by open file */
        unsigned bus, number;
        char name[BUS_NAME_SIZE];       /* "1-1.3" */
        char sysfs_path[256];           /* "/devices/…/1-1.3" */
        Descriptors descriptors;
        uint64_t born_usec;
        char manufacturer[128], product[128], serial[128]; /* empty: the device has none */
        mode_t mode;
        uid_t uid;
        gid_t gid;
        atomic_bool gone; /* set under the lock of the device */
        uint8_t alternates[INTERFACES_MAX];
        Binding bindings[INTERFACES_MAX];
        Endpoint endpoints[ENDPOINT_SLOTS];
        struct FileList files;
        struct WaiterList claimers; /* waiting for an interface whose owner may be about to go */
        TAILQ_ENTRY(Node) entry;
};

static inline unsigned endpoint_slot(uint8_t address) {
        return (address & 0x0fu) | (address & ENDPOINT_IN ? 16u : 0u);
}

/* ---- device.c --------------------------------------------------------------------------------------------- */

extern pthread_mutex_t topology_lock;

/* Defines a device from the JSON of a `camera` command. Takes topology_lock. */
int device_define(const json_t *spec, char *why, size_t why_size);
/* The same for a model that is not made from JSON. The caller holds topology_lock or is alone. */
int device_new(const char *name, const SimModel *model, SimDevice **ret);
/* By name, or NULL. topology_lock. */
SimDevice *device_find(const char *name);
/* The next one in the order in which they were defined (NULL: the first). topology_lock. */
SimDevice *device_next(const SimDevice *device);
/* It is at a port with power: makes its node and tells the world. topology_lock. */
int device_attach(SimDevice *device, unsigned bus, const char *name, const char *parent_path);
/* topology_lock. */
void device_detach(SimDevice *device);

/* ---- change.c --------------------------------------------------------------------------------------------- */

/* The timer's tick: is it time for the next step of a change? Arms the timer for one that is still to come. The device's lock. */
bool change_tick(SimDevice *device, uint64_t now_usec);
/* All changes whose time has come. topology_lock. */
void changes_settle(void);
/* It sits in `port` now, or in none (NULL), and what it wanted to become is forgotten. topology_lock. */
void device_put(SimDevice *device, Port *port);
/* The port lost its power: what sits in it wakes up as what it was at first. topology_lock. */
void port_wake(Port *port);

/* ---- node.c ----------------------------------------------------------------------------------------------- */

/* A node with a fresh inode and device number and one reference. -ENOSPC when the bus has 127 devices. */
int node_new(SimDevice *device, unsigned bus, Node **ret);
Node *node_ref(Node *node);
void node_unref(Node *node);
/* With a new reference, or NULL. */
Node *node_by_inode(uint64_t inode);
Node *node_by_address(unsigned bus, unsigned number);
/* The node whose interface sysfs calls "1-1.3:1.0", with a new reference, or NULL. */
Node *node_by_interface(const char *name, unsigned *ret_interface);
/* The next node of the bus after device number `number` that is still plugged in, or NULL. */
Node *node_after(unsigned bus, unsigned number);

/* ---- hub.c ------------------------------------------------------------------------------------------------ */

/* "1-1:7,1-2:7": makes the root hubs and these. "2-1:7=1-1": the USB 3 half of the connectors of 1-1. */
int hubs_create(const char *spec, char *why, size_t why_size);
/* "1-1.3", or NULL. */
Port *port_find(const char *path);
/* The name of its folder in sysfs: "1-1-port3". */
void port_name(const Port *port, char ret[static BUS_NAME_SIZE]);
/* By that name, or by a number below ports_count(). */
Port *port_by_name(const char *name);
Port *port_by_index(unsigned index);
unsigned port_index(const Port *port);
Hub *hub_next(const Hub *hub);
Hub *hub_find(const char *path);
/* It lost its power for a moment, or was reset: it forgets what its ports were told. topology_lock; then topology_settle(). */
void hub_come_again(Hub *hub);
/* By the hub's request, or (disable) by the kernel's file, which takes the device off the bus whatever the hub makes of it. */
void port_set_power(Port *port, bool on);
void port_disable(Port *port, bool disable);
/* Is there power at the connector? */
bool port_is_fed(const Port *port);
/* Brings what the host sees in line with what is plugged and powered. topology_lock. */
void topology_settle(void);
