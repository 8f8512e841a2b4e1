/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msc.h"

#define CLASS_STORAGE 8
#define SUBCLASS_SCSI 6
#define PROTOCOL_BULK_ONLY 0x50

static bool fits(const berth_usb_interface *i, int wanted) {
        if (i->bulk_in == 0 || i->bulk_out == 0 || i->bulk_in_packet < 8 || i->bulk_in_packet > BOT_PACKET_MAX ||
            (i->bulk_in_packet & (i->bulk_in_packet - 1)) != 0)
                return false;
        if (wanted >= 0)
                return i->number == wanted;
        return i->class_code == CLASS_STORAGE && i->subclass == SUBCLASS_SCSI && i->protocol == PROTOCOL_BULK_ONLY;
}

static int find_interface(berth_host *host, int wanted, berth_usb_interface *ret) {
        for (size_t i = 0; i < berth_host_interfaces(host); i++) {
                berth_usb_interface candidate;
                int r;

                r = berth_host_interface(host, i, &candidate);
                if (r < 0)
                        return r;
                if (fits(&candidate, wanted)) {
                        *ret = candidate;
                        return 0;
                }
        }
        return -ENOENT;
}

/* INQUIRY of every unit; those that are disks are kept. */
static int find_units(Msc *msc) {
        unsigned n = 0;
        int r;

        r = bot_luns(&msc->link, &n);
        for (unsigned lun = 0; r == 0 && lun < n; lun++) {
                ScsiUnit *unit = &msc->units[msc->n_units];

                *unit = (ScsiUnit){
                        .link = &msc->link,
                        .lun = (uint8_t) lun,
                        .ready_msec = msc->options.ready_msec,
                        .no_mode_sense = msc->options.no_mode_sense,
                        .transfer_limit = msc->options.transfer_bytes,
                };
                r = scsi_inquire(unit);
                /* Some name more units than they have. One that is there and does not answer must not be passed over. */
                if (r == -EINVAL || r == -EOPNOTSUPP)
                        r = lun > 0 ? 0 : -EPROTO;
                else if (r == 0 && (unit->type == SCSI_TYPE_DISK || unit->type == SCSI_TYPE_SIMPLIFIED_DISK))
                        msc->n_units++;
        }
        if (r == 0 && msc->n_units == 0) {
                berth_host_log(msc->host, BERTH_LOG_ERR, "the camera offers no disk");
                return -ENOMEDIUM;
        }
        return r;
}

static int open_camera(Msc *msc) {
        berth_usb_interface interface;
        int r;

        r = find_interface(msc->host, msc->options.interface, &interface);
        if (r < 0) {
                berth_host_log(msc->host, BERTH_LOG_ERR, "the camera has no interface that speaks bulk-only mass storage");
                return r;
        }
        r = berth_host_claim(msc->host, interface.number, interface.alternate);
        if (r < 0)
                return r;
        msc->link.host = msc->host;
        msc->link.interface = interface.number;
        msc->link.bulk_in = interface.bulk_in;
        msc->link.bulk_out = interface.bulk_out;
        msc->link.packet_in = interface.bulk_in_packet;
        msc->link.timeout_msec = msc->options.timeout_msec;
        msc->link.ignore_residue = msc->options.ignore_residue;
        /* Whoever had it before (the kernel's driver, a killed worker) may have left it in the middle of a command. */
        r = bot_recover(&msc->link);
        if (r == 0)
                r = find_units(msc);
        if (r < 0)
                berth_host_log(msc->host, BERTH_LOG_ERR, "the camera does not answer as mass storage does: %s", strerror(-r));
        return r;
}

static int msc_open(berth_host *host, const char *const *options, void **ret_state) {
        const char *bad = NULL;
        Msc *msc;
        int r;

        msc = calloc(1, sizeof(*msc));
        if (!msc)
                return -ENOMEM;
        msc->host = host;
        r = msc_options_parse(options, &msc->options, &bad);
        if (r < 0)
                berth_host_log(host, BERTH_LOG_ERR, "the plugin msc does not take the option \"%s\"", bad);
        else
                r = open_camera(msc);
        if (r < 0) {
                free(msc);
                return r;
        }
        *ret_state = msc;
        return 0;
}

static void msc_close(void *state) {
        Msc *msc = state;

        if (!msc)
                return;
        msc_unmount(msc);
        free(msc);
}

/* The first of both that says anything. */
static void take_string(berth_host *host, int which, const char *otherwise, char ret[static BERTH_TEXT_MAX]) {
        if (berth_host_string(host, which, ret) < 0)
                ret[0] = '\0';
        if (ret[0] == '\0')
                (void) snprintf(ret, BERTH_TEXT_MAX, "%s", otherwise);
}

/* What stays when the USB identity changes: the first volume's id and size. Empty without a card. */
static int identify_volume(Msc *msc, char ret[static BERTH_TEXT_MAX]) {
        FsInfo info = { 0 };
        const MscVolume *v;
        int r;

        r = msc_mount(msc);
        if (r == -ENODEV || msc->link.dead)
                return r < 0 ? r : -EPROTO;
        if (r < 0)
                return 0;
        v = &msc->volumes[0];
        if (fs_info(v->fs, &info) == 0)
                (void) snprintf(ret, BERTH_TEXT_MAX, "%04X-%04X/%" PRIu64, (unsigned) (info.volume_id >> 16),
                                (unsigned) (info.volume_id & 0xFFFF), v->disk.n_sectors * v->disk.sector_bytes);
        return msc->link.dead ? -EPROTO : 0;
}

static int msc_identify(void *state, berth_identity *ret) {
        berth_identity identity = { .struct_size = sizeof(identity) };
        Msc *msc = state;
        ScsiUnit *unit = &msc->units[0];
        int r = 0;

        take_string(msc->host, BERTH_STRING_MANUFACTURER, unit->vendor, identity.manufacturer);
        take_string(msc->host, BERTH_STRING_PRODUCT, unit->product, identity.model);
        take_string(msc->host, BERTH_STRING_SERIAL, "", identity.serial);
        (void) snprintf(identity.firmware, sizeof(identity.firmware), "%s", unit->revision);
        /* Asking a unit for its serial is a risk with many: only where USB tells none. */
        if (identity.serial[0] == '\0' && !msc->options.no_vpd)
                r = scsi_serial(unit, identity.serial, sizeof(identity.serial));
        if (r == 0)
                r = identify_volume(msc, identity.storage_id);
        if (r < 0)
                return r;
        *ret = identity;
        return 0;
}

static int msc_eject(void *state) {
        Msc *msc = state;
        int r = 0;

        msc_unmount(msc);
        for (unsigned i = 0; r == 0 && i < msc->n_units; i++) {
                r = scsi_eject(&msc->units[i]);
                /* One without a medium, or that cannot let go of it, has nothing to lose. */
                if (r == -ENOMEDIUM || r == -EOPNOTSUPP || r == -EINVAL)
                        r = 0;
        }
        return r;
}

/* Cameras look for a firmware file when the host lets go of their card; some are off the bus before they have answered. */
static int msc_restart(void *state) {
        int r = msc_eject(state);

        return r == -ENODEV ? 0 : r;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "msc",
        .version = BERTH_VERSION,
        .open = msc_open,
        .close = msc_close,
        .identify = msc_identify,
        .health = msc_health,
        .list = msc_list,
        .read = msc_read,
        .erase = msc_erase,
        .eject = msc_eject,
        .drop = msc_drop,
        .restart = msc_restart,
};
