/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The simulated PTP/MTP camera, inside: a still-image-class responder (ISO 15740, PIMA 15740 annex D on USB, MTP 1.1).
 *
 *   ptp.c            what the bus calls: descriptors, class requests, endpoints; containers and phases
 *   ptp_dispatch.c   the table of operations, sessions
 *   ptp_info.c       datasets of the device and its storages; device properties
 *   ptp_object.c     listing, reading, deleting, receiving objects
 *   ptp_props.c      MTP object properties
 *   ptp_card.[ch]    the storages and what lies on them
 *   ptp_spec.c       the JSON of the control socket
 *   ptp_fault.[ch]   wrong answers
 */

#include <stdbool.h>
#include <stdint.h>

#include "sim/device.h"
#include "sim/ptp_card.h"
#include "sim/ptp_fault.h"
#include "sim/ptp_wire.h"

/* Containers on USB (PIMA 15740 annex D.7.1). */
#define PTP_HEADER_SIZE 12u
#define PTP_PARAMETERS_MAX 5u
#define PTP_LENGTH_UNKNOWN UINT32_C(0xffffffff)

typedef enum PtpContainer {
        PTP_CONTAINER_COMMAND = 1,
        PTP_CONTAINER_DATA = 2,
        PTP_CONTAINER_RESPONSE = 3,
        PTP_CONTAINER_EVENT = 4,
} PtpContainer;

typedef enum PtpResponse {
        PTP_OK = 0x2001,
        PTP_GENERAL_ERROR = 0x2002,
        PTP_SESSION_NOT_OPEN = 0x2003,
        PTP_OPERATION_NOT_SUPPORTED = 0x2005,
        PTP_INCOMPLETE_TRANSFER = 0x2007,
        PTP_INVALID_STORAGE_ID = 0x2008,
        PTP_INVALID_OBJECT_HANDLE = 0x2009,
        PTP_DEVICE_PROP_NOT_SUPPORTED = 0x200a,
        PTP_INVALID_OBJECT_FORMAT = 0x200b,
        PTP_STORE_FULL = 0x200c,
        PTP_OBJECT_WRITE_PROTECTED = 0x200d,
        PTP_STORE_READ_ONLY = 0x200e,
        PTP_ACCESS_DENIED = 0x200f,
        PTP_NO_THUMBNAIL = 0x2010,
        PTP_PARTIAL_DELETION = 0x2012,
        PTP_NO_VALID_OBJECT_INFO = 0x2015,
        PTP_DEVICE_BUSY = 0x2019,
        PTP_INVALID_PARENT = 0x201a,
        PTP_INVALID_PROP_VALUE = 0x201c,
        PTP_INVALID_PARAMETER = 0x201d,
        PTP_SESSION_ALREADY_OPEN = 0x201e,
        PTP_TRANSACTION_CANCELLED = 0x201f,
        PTP_INVALID_OBJECT_PROP = 0xa801,
        PTP_GROUP_UNSUPPORTED = 0xa807,
        PTP_DEPTH_UNSUPPORTED = 0xa808,
} PtpResponse;

typedef enum PtpEvent {
        PTP_EVENT_CANCEL_TRANSACTION = 0x4001,
        PTP_EVENT_OBJECT_ADDED = 0x4002,
        PTP_EVENT_OBJECT_REMOVED = 0x4003,
        PTP_EVENT_DEVICE_PROP_CHANGED = 0x4006,
} PtpEvent;

typedef enum PtpDataType {
        PTP_TYPE_U8 = 0x0002,
        PTP_TYPE_I16 = 0x0003,
        PTP_TYPE_U16 = 0x0004,
        PTP_TYPE_U32 = 0x0006,
        PTP_TYPE_U64 = 0x0008,
        PTP_TYPE_U128 = 0x000a,
        PTP_TYPE_STRING = 0xffff,
} PtpDataType;

#define PTP_PROP_BATTERY 0x5001u
/* This maker's own. */
#define PTP_PROP_TEMPERATURE 0xd405u
#define PTP_PROP_RESTARTS 0xd406u
#define PTP_PROP_DATE_TIME 0x5011u

typedef enum PtpPhase {
        PTP_PHASE_IDLE,
        PTP_PHASE_DATA_OUT, /* waiting for the rest of what the host sends */
        PTP_PHASE_DATA_IN,
        PTP_PHASE_RESPONSE,
} PtpPhase;

typedef enum PtpSpeed {
        PTP_SPEED_FULL,
        PTP_SPEED_HIGH,
        PTP_SPEED_SUPER,
} PtpSpeed;

typedef struct PtpCamera PtpCamera;
typedef struct PtpTransaction PtpTransaction;

/* Carries out an operation, with the data that came when it takes data, and returns the response. */
typedef PtpResponse (*PtpRun)(PtpCamera *camera, PtpTransaction *t);

#define PTP_OPERATION_TAKES_DATA (1u << 0)
#define PTP_OPERATION_GIVES_DATA (1u << 1)
#define PTP_OPERATION_IS_MTP (1u << 2)
#define PTP_OPERATION_IS_ANDROID (1u << 3)
#define PTP_OPERATION_NO_SESSION (1u << 4) /* needs none */

typedef struct PtpOperation {
        uint16_t code;
        const char *name;
        PtpRun run;
        unsigned flags; /* PTP_OPERATION_* */
} PtpOperation;

struct PtpTransaction {
        const PtpOperation *operation; /* NULL: unknown */
        uint16_t code;
        uint32_t id;
        uint32_t parameters[PTP_PARAMETERS_MAX]; /* absent ones are 0 */
        /* The data phase from the host. */
        PtpWriter received;
        uint64_t expected, arrived; /* payload, without its header */
        bool overflowed;
        bool header_seen;
        /* The data phase to the host: the dataset, or a part of an object. */
        PtpWriter dataset;
        uint32_t object; /* handle, 0: the dataset */
        uint64_t object_offset;
        uint8_t header[PTP_HEADER_SIZE];
        unsigned header_size; /* 0: what is sent has no header, and no response follows */
        uint64_t payload_size;
        uint64_t sent;     /* of header and payload */
        uint64_t cut_at;   /* it breaks off there; UINT64_MAX: nowhere */
        bool cut_by_stall; /* with a stall; else with a short packet */
        bool endless;
        /* The response. */
        PtpResponse response;
        uint32_t answers[PTP_PARAMETERS_MAX];
        unsigned n_answers;
        uint8_t answer[PTP_HEADER_SIZE + PTP_PARAMETERS_MAX * sizeof(uint32_t)];
        size_t answer_size;
};

#define PTP_EVENTS_MAX 32u
#define PTP_NO_TRANSACTION UINT32_MAX /* of an event that belongs to none */

typedef struct PtpPendingEvent {
        uint16_t code;
        uint32_t transaction, parameter;
} PtpPendingEvent;

typedef struct PtpCounters {
        uint64_t bytes_sent, deletes, sessions, cancels, resets;
        uint64_t protocol_errors; /* of the host: containers that make no sense */
} PtpCounters;

#define PTP_OPERATIONS_MAX 48u

struct PtpCamera {
        SimDevice *device;
        char *manufacturer, *product, *serial; /* of the USB descriptors */
        char *model, *firmware, *ptp_serial;   /* of DeviceInfo */
        char *loader, *flash; /* the device that it becomes to be given firmware, and its memory: firmware.h; "": none */
        char *firmware_file;  /* a file of this path is firmware for its memory: looked for whenever it starts; "": none */
        bool keeps_old, stays_away; /* what comes of that file: nothing; it is not seen again */
        uint16_t vid, pid;
        PtpSpeed speed;
        bool is_mtp;     /* else plain PTP, without Microsoft's extension */
        bool is_android; /* MTP with Android's extension */
        PtpDateZone date_zone;
        int zone_minutes;
        uint64_t battery_percent;
        bool tells_temperature, tells_restarts;
        int32_t temperature_decidegrees; /* tenths of a degree Celsius */
        uint32_t restarts;
        int64_t clock_offset_usec; /* against CLOCK_REALTIME */
        PtpCard card;
        PtpFaults faults;
        PtpCounters counters;
        uint64_t operation_counts[PTP_OPERATIONS_MAX];
        /* What ends with the power. */
        uint32_t session; /* 0: none */
        PtpPhase phase;
        PtpTransaction transaction;
        bool in_stalled;
        bool cancelled; /* until the host asked for the status */
        PtpPendingEvent events[PTP_EVENTS_MAX], last_event;
        unsigned n_events;
        uint32_t announced; /* the object whose SendObjectInfo waits for SendObject: handle */
        uint64_t announced_size;
};

/* ---- ptp.c ------------------------------------------------------------------------------------------------ */

/* What was announced and did not come is forgotten (ISO 15740 §10.5.12). */
void ptp_forget_announced(PtpCamera *camera);
/* Drops the transaction and returns to waiting for a command. */
void ptp_transaction_end(PtpCamera *camera);
void ptp_close_session(PtpCamera *camera);
void ptp_send_event(PtpCamera *camera, PtpEvent code, uint32_t transaction, uint32_t parameter);
/* CLOCK_REALTIME with the camera's error. */
int64_t ptp_clock_usec(const PtpCamera *camera);
/* As the camera writes it. Returns ret. */
char *ptp_date(const PtpCamera *camera, int64_t unix_sec, char ret[static PTP_DATE_SIZE]);

/* ---- ptp_dispatch.c --------------------------------------------------------------------------------------- */

extern const PtpOperation ptp_operations[];
extern const size_t ptp_n_operations;

/* NULL when the camera does not know or, by a fault, deny it. */
const PtpOperation *ptp_operation_find(const PtpCamera *camera, uint16_t code);
bool ptp_operation_is_supported(const PtpCamera *camera, const PtpOperation *operation);
/* The command, or its data, arrived: carries it out, and sets the phase that follows. */
void ptp_dispatch(PtpCamera *camera);
/* The data phase is over: the response container is next. */
void ptp_respond(PtpCamera *camera);

/* ---- the operations --------------------------------------------------------------------------------------- */

PtpResponse ptp_get_device_info(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_storage_ids(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_storage_info(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_device_prop_desc(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_device_prop_value(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_set_device_prop_value(PtpCamera *camera, PtpTransaction *t);

PtpResponse ptp_get_num_objects(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_object_handles(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_object_info(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_object(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_thumb(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_partial_object(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_partial_object64(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_delete_object(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_send_object_info(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_send_object(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_format_store(PtpCamera *camera, PtpTransaction *t);

PtpResponse ptp_get_object_props_supported(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_object_prop_desc(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_object_prop_value(PtpCamera *camera, PtpTransaction *t);
PtpResponse ptp_get_object_prop_list(PtpCamera *camera, PtpTransaction *t);

/* The size that the camera tells of an object: the true one but for the fault size_lie. */
uint64_t ptp_told_size(PtpCamera *camera, const PtpObject *object);

/* ---- ptp_spec.c ------------------------------------------------------------------------------------------- */

int ptp_camera_new(SimDevice *device, const json_t *spec, PtpCamera **ret, char *why, size_t why_size);
PtpCamera *ptp_camera_free(PtpCamera *camera);
DEFINE_CLEANUP(PtpCamera, ptp_camera_free);
int ptp_command(PtpCamera *camera, const char *name, const json_t *args, json_t **ret_answer, char *why, size_t why_size);
