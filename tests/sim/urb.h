/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * USB request blocks: from a client's submit (or a synchronous call) through the queue of an endpoint and the device
 * model back to the client. All functions need the device's lock unless they say otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/usbdevice_fs.h>

#include "sim/bus.h"

/* An open file of usbfs: claims, URBs and readiness belong to it. */
struct OpenFile {
        Node *node; /* owns a reference */
        bool writable;
        bool privileges_dropped;
        uint32_t allowed_interfaces; /* when privileges were dropped */
        struct UrbList pending;
        struct UrbList completed;
        uint32_t disabled_bulk; /* slots in which a transfer ended early: its continuations are refused */
        struct WaiterList reapers;
        void *poll_handle; /* struct fuse_pollhandle, one notification */
        TAILQ_ENTRY(OpenFile) entry;
};

/* What a synchronous caller waits for. */
typedef struct SyncCall {
        void *request; /* fuse_req_t, NULL for an asynchronous URB */
        uint64_t deadline_usec;
} SyncCall;

struct Urb {
        OpenFile *file;
        pid_t client;     /* a synchronous call: whose memory; an asynchronous URB is copied for whoever reaps it */
        uint64_t address; /* of the client's struct usbdevfs_urb */
        uint64_t data_address;
        unsigned flags; /* USBDEVFS_URB_* */
        uint8_t type;   /* USBDEVFS_URB_TYPE_* */
        uint8_t endpoint;
        bool in;
        bool continuation; /* of a bulk transfer that began with an earlier URB */
        uint8_t *buffer;   /* a control URB has its setup packet in the first 8 bytes */
        size_t length, capacity;
        size_t actual;
        int status;
        unsigned signal;
        SyncCall sync;
        uint64_t charged;
        TAILQ_ENTRY(Urb) queue_entry; /* in its endpoint's queue, while pending */
        TAILQ_ENTRY(Urb) entry;       /* in the file's list */
};

/* The amount of memory that usbfs lends to all its clients together; 0: no limit. */
extern uint64_t urb_memory_limit;

/* No lock needed. `packet_size` rounds the buffer up. -ENOMEM also when usbfs_memory_mb is used up. */
int urb_new(OpenFile *file, size_t length, unsigned packet_size, Urb **ret);
Urb *urb_free(Urb *urb);

/* Queues it (the file owns it then), counts it, and moves what can move. */
void urb_submit(Urb *urb);
/* Takes it out of its endpoint's queue and hands it back to its file, or answers the synchronous caller. */
void urb_complete(Urb *urb, int status);
/* Asks the model about everything that waits. */
void node_pump(Node *node);
/* Power or plug is gone: every URB ends with -ESHUTDOWN, every wait with POLLHUP. */
void node_lose(Node *node);
/* Ends the file's URBs at one interface (or all: -1) with -ENOENT, as the kernel does when a claim ends. */
void file_kill_urbs(OpenFile *file, int interface);
/* Ends every URB of the device with -ENOENT and clears halts. */
void node_reset_endpoints(Node *node);
void node_clear_halt(Node *node, uint8_t endpoint);
/* Wakes whoever polls the file or blocks in REAPURB. */
void file_wake(OpenFile *file);
/* Takes an URB of the file out of all lists without a word to anybody, and frees it. */
void urb_drop(Urb *urb);
/* The device's timer came: time-outs, pacing. */
void node_tick(Node *node, uint64_t now_usec);

/* ---- standard.c: requests of USB 2.0 chapter 9, all but what the model answers. */
/* Bytes moved, -EPIPE, or SIM_NAK. */
int node_control(Node *node, const uint8_t setup[8], uint8_t *data, size_t length);
