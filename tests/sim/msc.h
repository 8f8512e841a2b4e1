/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The simulated mass-storage camera, inside: bulk-only transport (msc.c), SCSI (msc_scsi.c), media (msc_medium.c), control
 * socket (msc_spec.c).
 */

#include <jansson.h>

#include "sim/device.h"
#include "sim/models.h"
#include "sim/msc_fault.h"
#include "sim/msc_medium.h"

#define MSC_UNITS_MAX 8u
#define MSC_ANSWER_MAX 512u
#define MSC_RECEIVED_MAX (16u << 20)
#define MSC_CSW_SIZE 13u

typedef struct MscSense {
        uint8_t key, asc, ascq;
        bool has_sector;
        uint64_t sector;
} MscSense;

typedef struct MscUnit {
        MscMedium medium;
        uint8_t type; /* peripheral device type */
        bool is_removable, is_ejected;
        bool has_descriptor_sense;
        char vendor[9], product[17], revision[5], serial[33];
        MscSense sense;
        bool has_attention;
        uint8_t attention_asc;
} MscUnit;

typedef enum MscPhase {
        MSC_IDLE,
        MSC_DATA_IN,
        MSC_DATA_OUT,
        MSC_STALL_IN,  /* next a stall, then the status */
        MSC_STALL_OUT,
        MSC_ZERO_PACKET,
        MSC_STATUS,
        MSC_BROKEN,    /* after a wrapper that was not taken: stalls until Reset Recovery */
        MSC_SILENT,    /* says nothing until Reset Recovery */
        MSC_HUNG,      /* until a reset of the USB device */
        MSC_DEAD,
} MscPhase;

typedef enum MscWay {
        MSC_WAY_NONE,
        MSC_WAY_IN,
        MSC_WAY_OUT,
} MscWay;

/* The command under way. */
typedef struct MscTask {
        uint32_t tag, length; /* of the data phase as the host has it */
        bool to_host;
        MscUnit *unit;
        uint8_t cdb[16];
        size_t cdb_size;

        MscWay way; /* as the command has it */
        uint64_t planned, moved;
        bool has_range; /* the data are sectors, and not `answer` */
        uint64_t range_sector, range_n, good_bytes;
        uint8_t answer[MSC_ANSWER_MAX];
        uint8_t *received;
        size_t received_size;
        uint64_t to_send; /* bytes that are really sent */
        bool stalls_after;
        uint8_t status;
        unsigned csw_stalls;
} MscTask;

typedef struct MscCamera {
        SimDevice *device;
        ModelIdentity identity;
        uint16_t packet;
        bool has_uas; /* offers another setting, which it does not serve */
        MscUnit units[MSC_UNITS_MAX];
        size_t n_units;
        char flash[512], firmware_file[256], reader[512], card[512]; /* msc_firmware.c; "": none */
        bool keeps_old, stays_away, leaves_at_once;
        MscPhase phase;
        MscTask task;
        MscFaults faults;
        uint64_t command_counts[256];
        uint64_t class_resets, usb_resets, power_cycles, protocol_errors, bytes_read;
} MscCamera;

/* ---- msc_scsi.c ---- */
/*
 * What the command wants to do: fills way, planned, and the answer or the range, or sets sense and status. WRITE is carried out
 * by msc_scsi_received(), when its data are there.
 */
void msc_scsi_begin(MscCamera *camera);
int msc_scsi_received(MscCamera *camera);
void msc_scsi_fail(MscTask *task, uint8_t key, uint8_t asc, uint8_t ascq);
/* "READ" covers READ(10) and READ(16), and so on: the code of the 10-byte form, -1 for a name that is none. */
int msc_command_code(const char *name);
int msc_command_family(uint8_t code);
const char *msc_command_name(uint8_t code);

/* ---- msc_firmware.c ---- */
/* It gets power: what its card has for it goes into its memory, and the version from there. */
void msc_firmware_apply(MscCamera *camera);
/* The host lets go of its card. */
void msc_firmware_restart(MscCamera *camera);

/* ---- msc_spec.c ---- */
int msc_camera_new(SimDevice *device, const json_t *spec, MscCamera **ret, char *why, size_t why_size);
MscCamera *msc_camera_free(MscCamera *camera);
int msc_control_command(MscCamera *camera, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size);
