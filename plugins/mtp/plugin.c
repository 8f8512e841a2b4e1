/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtp.h"
#include "ptp_session.h"

#define CLASS_STILL_IMAGE 6
#define SUBCLASS_STILL_IMAGE 1
#define PROTOCOL_PTP 1
#define CLASS_VENDOR 255

bool mtp_can(const Mtp *mtp, uint16_t operation) {
        /* Codes with the top bit are a vendor's, and only under MTP the ones that we know. */
        return ptp_device_info_has_operation(&mtp->info, operation) &&
               (!(operation & 0x8000) || ptp_device_info_is_mtp(&mtp->info));
}

/* How well an interface fits; 0 is not at all. */
static int rate_interface(const berth_usb_interface *i, int wanted) {
        if (i->bulk_in == 0 || i->bulk_out == 0 || i->bulk_in_packet < 8 || i->bulk_in_packet > PTP_PACKET_MAX ||
            i->bulk_out_packet < 8)
                return 0;
        if (wanted >= 0)
                return i->number == wanted;
        if (i->class_code == CLASS_STILL_IMAGE && i->subclass == SUBCLASS_STILL_IMAGE && i->protocol == PROTOCOL_PTP)
                return 2;
        /* MTP devices that are not still-image ones wear the vendor class and have its three endpoints. */
        return i->class_code == CLASS_VENDOR && i->interrupt_in != 0;
}

static int find_interface(berth_host *host, int wanted, berth_usb_interface *ret) {
        int best = 0;

        for (size_t i = 0; i < berth_host_interfaces(host); i++) {
                berth_usb_interface candidate;
                int rating;

                if (berth_host_interface(host, i, &candidate) < 0)
                        break;
                rating = rate_interface(&candidate, wanted);
                if (rating > best) {
                        best = rating;
                        *ret = candidate;
                }
        }
        return best > 0 ? 0 : -ENOENT;
}

static int ask_device_info(Mtp *mtp) {
        uint8_t *data = NULL;
        size_t size;
        int r;

        r = ptp_receive(&mtp->link, PTP_REQUEST(PTP_GET_DEVICE_INFO), DATASET_MAX, &data, &size);
        if (r < 0)
                return r;
        r = ptp_device_info_parse(data, size, &mtp->info);
        free(data);
        return r;
}

static int open_camera(Mtp *mtp) {
        berth_usb_interface interface;
        int r;

        r = find_interface(mtp->host, mtp->options.interface, &interface);
        if (r < 0) {
                berth_host_log(mtp->host, BERTH_LOG_ERR, "the camera has no interface that speaks PTP");
                return r;
        }
        r = berth_host_claim(mtp->host, interface.number, interface.alternate);
        if (r < 0)
                return r;
        mtp->link = (PtpLink){
                .host = mtp->host,
                .interface = interface.number,
                .bulk_in = interface.bulk_in,
                .bulk_out = interface.bulk_out,
                .packet_in = interface.bulk_in_packet,
                .packet_out = interface.bulk_out_packet,
                .timeout_msec = mtp->options.timeout_msec,
                .busy_msec = mtp->options.busy_msec,
                .no_cancel = mtp->options.no_cancel,
        };
        r = ptp_session_open(&mtp->link, interface.alternate);
        if (r < 0)
                return r;
        r = ask_device_info(mtp);
        if (r < 0) {
                berth_host_log(mtp->host, BERTH_LOG_ERR, "the camera does not describe itself: %s",
                               strerror(-r));
                ptp_session_close(&mtp->link);
        }
        return r;
}

static int mtp_open(berth_host *host, const char *const *options, void **ret_state) {
        const char *bad = NULL;
        Mtp *mtp;
        int r;

        mtp = calloc(1, sizeof(*mtp));
        if (!mtp)
                return -ENOMEM;
        mtp->host = host;
        r = mtp_options_parse(options, &mtp->options, &bad);
        if (r < 0)
                berth_host_log(host, BERTH_LOG_ERR, "the plugin mtp does not take the option \"%s\"", bad);
        else
                r = open_camera(mtp);
        if (r < 0) {
                free(mtp);
                return r;
        }
        *ret_state = mtp;
        return 0;
}

static void mtp_close(void *state) {
        Mtp *mtp = state;

        if (!mtp)
                return;
        ptp_session_close(&mtp->link);
        mtp_objects_clear(&mtp->objects);
        free(mtp);
}

/* The volume id of the first storage that has one; empty when none does. */
static int ask_volume(Mtp *mtp, char ret[static BERTH_TEXT_MAX]) {
        uint32_t *ids = NULL;
        size_t n = 0;
        int r;

        ret[0] = '\0';
        r = mtp_storages(mtp, &ids, &n);
        for (size_t i = 0; r >= 0 && i < n && ret[0] == '\0'; i++) {
                StorageInfo info;

                r = mtp_storage_info(mtp, ids[i], &info);
                if (r == 0)
                        ptp_string_to_text(&info.volume, ret, BERTH_TEXT_MAX);
        }
        free(ids);
        return mtp->link.dead ? r : 0;
}

static int mtp_identify(void *state, berth_identity *ret) {
        berth_identity identity = { .struct_size = sizeof(identity) };
        Mtp *mtp = state;
        int r;

        ptp_string_to_text(&mtp->info.manufacturer, identity.manufacturer, sizeof(identity.manufacturer));
        ptp_string_to_text(&mtp->info.model, identity.model, sizeof(identity.model));
        ptp_string_to_text(&mtp->info.version, identity.firmware, sizeof(identity.firmware));
        ptp_string_to_text(&mtp->info.serial, identity.serial, sizeof(identity.serial));
        if (identity.serial[0] == '\0' && berth_host_string(mtp->host, BERTH_STRING_SERIAL, identity.serial) < 0)
                identity.serial[0] = '\0';
        r = ask_volume(mtp, identity.storage_id);
        if (r < 0)
                return r;
        *ret = identity;
        return 0;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "mtp",
        .version = BERTH_VERSION,
        .open = mtp_open,
        .close = mtp_close,
        .identify = mtp_identify,
        .health = mtp_health,
        .set_clock = mtp_set_clock,
        .list = mtp_list,
        .read = mtp_read,
        .erase = mtp_erase,
        .format = mtp_format,
        .drop = mtp_drop,
        .restart = mtp_restart,
};
