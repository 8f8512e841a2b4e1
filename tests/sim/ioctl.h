/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The ioctls of usbfs, as in the kernel's drivers/usb/core/devio.c. Who includes this has defined FUSE_USE_VERSION. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <fuse_lowlevel.h>

#include "sim/urb.h"

#define CALL_ANSWERED 0x7fffffff /* the caller has or will get its answer by another way */

typedef struct Call {
        fuse_req_t request;
        OpenFile *file;
        Node *node;
        SimDevice *device;
        pid_t pid;
        uint64_t argument; /* a number, or an address in the caller's memory */
} Call;

void usbfs_ioctl(fuse_req_t request,
                 fuse_ino_t inode,
                 unsigned command,
                 void *argument,
                 struct fuse_file_info *info,
                 unsigned flags,
                 const void *in,
                 size_t in_size,
                 size_t out_size);

/* A struct at the argument. 0 or -EFAULT. */
int call_read(const Call *call, void *ret, size_t size);
int call_write(const Call *call, const void *data, size_t size);

/* ---- wait.c: callers that have to wait, until a signal at the latest. */
/* Before any lock is taken: lets a signal end the wait that may follow. */
void call_may_wait(const Call *call);
/* Under the device's lock: did the signal come already? */
bool call_interrupted(const Call *call);
/* Under the device's lock: joins the list. CALL_ANSWERED, or -errno. */
int call_wait(const Call *call, struct WaiterList *list, uint64_t deadline_usec, unsigned interface);

/* ---- transfer.c: what moves data. Without locks: a result, -errno, or CALL_ANSWERED. */
int call_reap(const Call *call, bool block);
int call_submit(const Call *call);
int call_control(const Call *call);
int call_bulk(const Call *call);
