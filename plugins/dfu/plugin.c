/* SPDX-License-Identifier: Apache-2.0 */

/* The firmware of a camera that speaks USB DFU: in its run-time mode it can be sent into its loader, which takes an image. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dfu.h"

static int dfu_open(berth_host *host, const char *const *options, void **ret_state) {
        Dfu *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        d->host = host;
        r = dfu_options_parse(host, options, &d->options);
        if (r >= 0) {
                berth_host_device_ids(host, &d->vid, &d->pid, &d->device);
                r = dfu_find(d);
        }
        if (r < 0) {
                free(d->block);
                free(d);
                return r;
        }
        *ret_state = d;
        return 0;
}

static void dfu_close(void *state) {
        Dfu *d = state;

        free(d->block);
        free(d);
}

/* Of its loader, which is not the camera: what it says of itself is shown, and never taken for the camera's own word. */
static int dfu_identify(void *state, berth_identity *ret) {
        berth_identity identity = { .struct_size = sizeof(identity) };
        Dfu *d = state;
        int r;

        r = berth_host_string(d->host, BERTH_STRING_MANUFACTURER, identity.manufacturer);
        if (r >= 0)
                r = berth_host_string(d->host, BERTH_STRING_PRODUCT, identity.model);
        if (r >= 0)
                r = berth_host_string(d->host, BERTH_STRING_SERIAL, identity.serial);
        if (r < 0)
                return r;
        *ret = identity;
        return 0;
}

static int dfu_list(void *state) {
        (void) state;
        return 0;
}

static int dfu_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        (void) state;
        (void) clip;
        (void) offset;
        (void) length;
        return BERTH_GONE;
}

static int dfu_enter_update(void *state) {
        Dfu *d = state;

        if (d->is_runtime)
                return dfu_detach(d);
        berth_host_log(d->host, BERTH_LOG_ERR, "the camera is in its loader already");
        return -EINVAL;
}

static int dfu_flash(void *state, uint64_t size_bytes) {
        Dfu *d = state;
        uint64_t size;
        int r;

        if (d->is_runtime) {
                berth_host_log(d->host, BERTH_LOG_ERR, "the camera is not in its loader");
                return -EINVAL;
        }
        if (!(d->attributes & DFU_CAN_DOWNLOAD)) {
                berth_host_log(d->host, BERTH_LOG_ERR, "its loader takes no firmware");
                return -EOPNOTSUPP;
        }
        r = dfu_check_suffix(d, size_bytes, &size);
        if (r < 0)
                return r;
        return dfu_is_dfuse(d) ? dfuse_download(d, size) : dfu_download(d, size);
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "dfu",
        .version = BERTH_VERSION,
        .open = dfu_open,
        .close = dfu_close,
        .identify = dfu_identify,
        .list = dfu_list,
        .read = dfu_read,
        .enter_update = dfu_enter_update,
        .flash = dfu_flash,
};
