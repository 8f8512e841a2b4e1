/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The worker's end of the plugin ABI. One thread calls the plugin, and the plugin calls back on it, so nothing here is
 * locked. host.c serves what has no USB in it, host_usb.c descriptors and plain transfers, host_bulk.c queued transfers.
 */

#include <stdbool.h>

#include <berth/plugin.h>
#include <libusb.h>

#include "base/range.h"
#include "bay/ring.h"

/* All listed paths together: a camera of BERTH_CLIPS_MAX clips with names of everyday length has 10 MiB. */
#define HOST_PATHS_MAX_BYTES (64u * MIB)

typedef struct Clip {
        char *path;
        uint64_t size_bytes;
        int64_t mtime_unix_sec;
        uint64_t handle;
        uint32_t flags;
} Clip;

typedef struct ClipList {
        Clip *clips;
        size_t n, room;
        size_t path_bytes;
} ClipList;

void clip_list_clear(ClipList *l);

/* Bytes that a device sent after the end of a data phase, kept for the next read of that endpoint. */
typedef struct Pushback {
        struct Pushback *next;
        uint8_t endpoint;
        size_t size;
        uint8_t data[];
} Pushback;

/* How a list() or read() broke a limit, whatever the plugin returned for it. */
typedef enum HostBreach {
        HOST_FINE,
        HOST_TOO_MANY,   /* clips, or bytes of names */
        HOST_BAD_PATH,
        HOST_BAD_CLIP,   /* struct_size, flags */
        HOST_OVERFLOW,   /* more bytes than asked for */
        HOST_MISPLACED,  /* a call that belongs into another callback */
} HostBreach;

struct berth_host {
        int usb_fd;
        bool attached; /* tried */
        libusb_context *context;
        libusb_device_handle *device;
        struct libusb_device_descriptor descriptor;
        struct libusb_config_descriptor *config;
        bool scatters; /* the host controller takes a large transfer in one piece */
        Pushback *pushback;
        bool unplugged; /* libusb saw it go */

        char detail[BERTH_TEXT_MAX]; /* the plugin's last warning or error in this callback */

        const char *const *credentials; /* "name=value", ended by NULL; NULL when there are none. Borrowed. */

        HostBreach breach;
        ClipList *listing; /* within list() */

        /* Within read(). */
        Ring *ring;
        uint8_t *gathered; /* in the ring, by berth_host_deliver() */
        size_t filled, room; /* of it */
        uint64_t asked, delivered;
        ByteRange unreadable[BERTH_UNREADABLE_MAX]; /* bytes of the clip that the medium does not give */
        size_t n_unreadable;
        void (*on_delivered)(void *userdata, uint64_t delivered);
        void *userdata;

        int image_fd; /* within flash() and drop(); else negative */
        uint64_t image_size;
        uint64_t image_sent; /* of it, at most: a plugin may begin anew */
        void (*on_sent)(uint64_t bytes); /* or NULL */
};

void host_init(berth_host *h, int usb_fd);
/* Before each callback. */
void host_begin(berth_host *h);
/* Hands over what berth_host_deliver() gathered. */
int host_flush(berth_host *h);
/* Counts bytes that went into the ring. */
void host_count(berth_host *h, size_t size);
/* Wraps the inherited descriptor when that has not been done. 0, or the errno that every USB call then returns. */
int host_attach(berth_host *h);
/* libusb's error as -errno, remembering an unplug. */
int host_usb_error(berth_host *h, int usb_error);
/* wMaxPacketSize of a bulk IN endpoint of the active configuration, 0 when there is none. */
size_t host_packet_size(berth_host *h, uint8_t endpoint);
int host_pushback_add(berth_host *h, uint8_t endpoint, const uint8_t *data, size_t size);
/* The oldest one of this endpoint, or NULL. The caller frees it. */
Pushback *host_pushback_take(berth_host *h, uint8_t endpoint);
void host_pushback_drop(berth_host *h, uint8_t endpoint);
