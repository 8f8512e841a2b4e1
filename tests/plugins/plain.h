/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The least that a plugin must have: an empty camera. Misbehaving plugins put their own callbacks in place of these. */

#include <errno.h>
#include <stdio.h>

#include <berth/plugin.h>

static berth_host *plain_host;

static inline int plain_open(berth_host *host, const char *const *options, void **ret_state) {
        (void) options;
        plain_host = host;
        *ret_state = NULL;
        return 0;
}

static inline void plain_close(void *state) {
        (void) state;
}

static inline int plain_identify(void *state, berth_identity *ret) {
        (void) state;
        (void) snprintf(ret->serial, sizeof(ret->serial), "PLAIN");
        return 0;
}

static inline int plain_list(void *state) {
        (void) state;
        return 0;
}

static inline int plain_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        (void) state;
        (void) clip;
        (void) offset;
        (void) length;
        return -EIO;
}

#define PLAIN_CALLBACKS .open = plain_open, .close = plain_close, .identify = plain_identify, .list = plain_list, .read = plain_read
