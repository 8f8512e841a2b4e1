/* SPDX-License-Identifier: Apache-2.0 */

/* What the simulated PTP camera says about itself: DeviceInfo, storages, device properties. */

#include "sim/ptp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STANDARD_VERSION 100u
/* Microsoft's, as every MTP responder has it; Android's operations are told by the extension's description. */
#define VENDOR_MICROSOFT 6u
#define DESCRIPTION_MTP "microsoft.com: 1.0;"
#define DESCRIPTION_ANDROID DESCRIPTION_MTP " android.com: 1.0;"

#define STORAGE_REMOVABLE_RAM 4u
#define FILE_SYSTEM_HIERARCHICAL 2u
#define ACCESS_READ_WRITE 0u
#define ACCESS_READ_ONLY 1u /* without deletion */
#define IMAGE_BYTES_GUESS (8 * MIB)

#define GET_ONLY 0u
#define GET_SET 1u
#define FORM_NONE 0u
#define FORM_RANGE 1u

static const uint16_t events[] = {
        PTP_EVENT_CANCEL_TRANSACTION, PTP_EVENT_OBJECT_ADDED, PTP_EVENT_OBJECT_REMOVED, PTP_EVENT_DEVICE_PROP_CHANGED,
};
static const uint16_t object_formats[] = { PTP_FORMAT_UNDEFINED, PTP_FORMAT_ASSOCIATION, 0x300a, 0x300d, 0x3801, 0xb982 };

PtpResponse ptp_get_device_info(PtpCamera *camera, PtpTransaction *t) {
        uint16_t operations[PTP_OPERATIONS_MAX], props[] = { PTP_PROP_BATTERY, PTP_PROP_DATE_TIME, 0, 0 };
        PtpWriter *w = &t->dataset;
        size_t n = 0, n_props = 2;

        for (size_t i = 0; i < ptp_n_operations; i++)
                if (ptp_operation_is_supported(camera, &ptp_operations[i]))
                        operations[n++] = ptp_operations[i].code;
        if (camera->tells_temperature)
                props[n_props++] = PTP_PROP_TEMPERATURE;
        if (camera->tells_restarts)
                props[n_props++] = PTP_PROP_RESTARTS;
        ptp_put_u16(w, STANDARD_VERSION);
        ptp_put_u32(w, camera->is_mtp ? VENDOR_MICROSOFT : 0);
        ptp_put_u16(w, camera->is_mtp ? STANDARD_VERSION : 0);
        ptp_put_string(w, camera->is_android ? DESCRIPTION_ANDROID : camera->is_mtp ? DESCRIPTION_MTP : "");
        ptp_put_u16(w, 0); /* functional mode: standard */
        ptp_put_array16(w, operations, n);
        ptp_put_array16(w, events, ELEMENTSOF(events));
        ptp_put_array16(w, props, n_props);
        ptp_put_array16(w, object_formats + 2, ELEMENTSOF(object_formats) - 2); /* it records these */
        ptp_put_array16(w, object_formats, ELEMENTSOF(object_formats));
        ptp_put_string(w, camera->manufacturer);
        ptp_put_string(w, camera->model);
        ptp_put_string(w, camera->firmware);
        ptp_put_string(w, camera->ptp_serial);
        return PTP_OK;
}

PtpResponse ptp_get_storage_ids(PtpCamera *camera, PtpTransaction *t) {
        ptp_put_u32(&t->dataset, camera->card.n_storages);
        for (unsigned i = 0; i < camera->card.n_storages; i++)
                ptp_put_u32(&t->dataset, ptp_storage_id(i));
        return PTP_OK;
}

PtpResponse ptp_get_storage_info(PtpCamera *camera, PtpTransaction *t) {
        int number = ptp_storage_find(&camera->card, t->parameters[0]);
        PtpWriter *w = &t->dataset;
        const PtpStorage *storage;
        uint64_t used, left;

        if (number < 0)
                return PTP_INVALID_STORAGE_ID;
        storage = &camera->card.storages[number];
        used = ptp_storage_used(&camera->card, (unsigned) number);
        left = used < storage->total_bytes ? storage->total_bytes - used : 0;
        ptp_put_u16(w, STORAGE_REMOVABLE_RAM);
        ptp_put_u16(w, FILE_SYSTEM_HIERARCHICAL);
        ptp_put_u16(w, storage->is_read_only ? ACCESS_READ_ONLY : ACCESS_READ_WRITE);
        ptp_put_u64(w, storage->total_bytes);
        ptp_put_u64(w, left);
        ptp_put_u32(w, (uint32_t) MIN2(left / IMAGE_BYTES_GUESS, (uint64_t) UINT32_MAX - 1));
        ptp_put_string(w, storage->label);
        ptp_put_string(w, storage->label);
        return PTP_OK;
}

/* ---- device properties ------------------------------------------------------------------------------------ */

static void put_date_time(const PtpCamera *camera, PtpWriter *w) {
        char text[PTP_DATE_SIZE];
        int64_t now = ptp_clock_usec(camera), second = (int64_t) USEC_PER_SEC;

        /* Whole seconds are shown as a clock shows them: rounded down, before 1970 too. */
        ptp_put_string(w, ptp_date(camera, now / second - (now % second < 0), text));
}

static PtpResponse put_own_desc(const PtpCamera *camera, uint32_t code, PtpWriter *w) {
        bool is_temperature = code == PTP_PROP_TEMPERATURE && camera->tells_temperature;

        if (!is_temperature && (code != PTP_PROP_RESTARTS || !camera->tells_restarts))
                return PTP_DEVICE_PROP_NOT_SUPPORTED;
        ptp_put_u16(w, (uint16_t) code);
        ptp_put_u16(w, is_temperature ? PTP_TYPE_I16 : PTP_TYPE_U32);
        ptp_put_u8(w, GET_ONLY);
        if (is_temperature) {
                ptp_put_u16(w, 0);
                ptp_put_u16(w, (uint16_t) camera->temperature_decidegrees);
        } else {
                ptp_put_u32(w, 0);
                ptp_put_u32(w, camera->restarts);
        }
        ptp_put_u8(w, FORM_NONE);
        return PTP_OK;
}

PtpResponse ptp_get_device_prop_desc(PtpCamera *camera, PtpTransaction *t) {
        PtpWriter *w = &t->dataset;

        switch (t->parameters[0]) {
        case PTP_PROP_BATTERY:
                ptp_put_u16(w, PTP_PROP_BATTERY);
                ptp_put_u16(w, PTP_TYPE_U8);
                ptp_put_u8(w, GET_ONLY);
                ptp_put_u8(w, 100);
                ptp_put_u8(w, (uint8_t) camera->battery_percent);
                ptp_put_u8(w, FORM_RANGE);
                ptp_put_u8(w, 0);
                ptp_put_u8(w, 100);
                ptp_put_u8(w, 1);
                return PTP_OK;
        case PTP_PROP_DATE_TIME:
                ptp_put_u16(w, PTP_PROP_DATE_TIME);
                ptp_put_u16(w, PTP_TYPE_STRING);
                ptp_put_u8(w, GET_SET);
                put_date_time(camera, w);
                put_date_time(camera, w);
                ptp_put_u8(w, FORM_NONE);
                return PTP_OK;
        default:
                return put_own_desc(camera, t->parameters[0], w);
        }
}

PtpResponse ptp_get_device_prop_value(PtpCamera *camera, PtpTransaction *t) {
        switch (t->parameters[0]) {
        case PTP_PROP_BATTERY:
                ptp_put_u8(&t->dataset, (uint8_t) camera->battery_percent);
                return PTP_OK;
        case PTP_PROP_DATE_TIME:
                put_date_time(camera, &t->dataset);
                return PTP_OK;
        default:
                return PTP_DEVICE_PROP_NOT_SUPPORTED;
        }
}

PtpResponse ptp_set_device_prop_value(PtpCamera *camera, PtpTransaction *t) {
        PtpReader reader = { .data = t->received.data, .size = t->received.size };
        _cleanup_(freep) char *date = NULL;
        int64_t unix_sec, offset_usec;
        PtpText text;

        if (t->parameters[0] == PTP_PROP_BATTERY)
                return PTP_ACCESS_DENIED;
        if (t->parameters[0] != PTP_PROP_DATE_TIME)
                return PTP_DEVICE_PROP_NOT_SUPPORTED;
        ptp_get_text(&reader, &text);
        date = reader.failed ? NULL : ptp_text_to_utf8(&text);
        if (!date || ptp_date_parse(date, camera->zone_minutes, &unix_sec) < 0)
                return PTP_INVALID_PROP_VALUE;
        offset_usec = unix_sec * (int64_t) USEC_PER_SEC - (ptp_clock_usec(camera) - camera->clock_offset_usec);
        camera->clock_offset_usec = offset_usec;
        return PTP_OK;
}
