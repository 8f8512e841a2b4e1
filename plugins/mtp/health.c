/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mtp.h"
#include "ptp_date.h"
#include "ptp_wire.h"

int mtp_battery_percent(const PropertyDesc *desc, uint8_t *ret) {
        double low = 0, high = 100, now;

        if (desc->current.is_text)
                return -EINVAL;
        now = (double) desc->current.number;
        if (desc->form == PROPERTY_FORM_RANGE && desc->max > desc->min) {
                low = (double) desc->min;
                high = (double) desc->max;
        } else if (desc->form == PROPERTY_FORM_ENUM && desc->max > 0)
                /* The levels that it can tell, in percent or in steps of its own: the fullest is full, nought empty. */
                high = (double) desc->max;
        if (now < low || now > high)
                return -EINVAL;
        *ret = (uint8_t) ((now - low) * 100 / (high - low));
        return 0;
}

int mtp_temperature(int64_t told, MtpUnit unit, int32_t *ret_decidegrees) {
        int64_t v;

        /* So that nothing overflows: none of the units reaches further in any camera that still answers. */
        if (told < -1000000 || told > 1000000)
                return -EINVAL;
        v = unit == MTP_CELSIUS ? told * 10 : unit == MTP_MILLICELSIUS ? told / 100 : unit == MTP_DECIKELVIN ? told - 2732 : told;
        *ret_decidegrees = (int32_t) v;
        return 0;
}

/* -EOPNOTSUPP when the camera does not have the property, or cannot describe it. */
static int ask_property(Mtp *mtp, uint16_t code, PropertyDesc *ret) {
        uint8_t *data = NULL;
        size_t size;
        int r;

        if (!ptp_device_info_has_property(&mtp->info, code) ||
            !ptp_device_info_has_operation(&mtp->info, PTP_GET_DEVICE_PROP_DESC))
                return -EOPNOTSUPP;
        r = ptp_receive(&mtp->link, PTP_REQUEST(PTP_GET_DEVICE_PROP_DESC, code), DATASET_MAX, &data, &size);
        if (r < 0)
                return r;
        r = ptp_property_desc_parse(data, size, ret);
        free(data);
        return r == 0 && ret->code != code ? -EBADMSG : r;
}

/* What a camera leaves out or says badly here is not known; only a camera that broke the protocol is a failure. */
static int tolerate(const Mtp *mtp, const char *what, int r) {
        if (r >= 0)
                return 0;
        if (mtp->link.dead || r == -ETIMEDOUT || r == -ENODEV)
                return r;
        berth_host_log(mtp->host, BERTH_LOG_DEBUG, "the camera does not tell its %s: %s", what, strerror(-r));
        return 0;
}

static int health_battery(Mtp *mtp, berth_health *health) {
        PropertyDesc desc;
        int r;

        r = ask_property(mtp, PTP_PROP_BATTERY, &desc);
        if (r == 0)
                r = mtp_battery_percent(&desc, &health->battery_percent);
        if (r == 0)
                health->known |= BERTH_HEALTH_BATTERY;
        return r;
}

static int health_temperature(Mtp *mtp, berth_health *health) {
        PropertyDesc desc;
        int r;

        r = ask_property(mtp, mtp->options.temperature_property, &desc);
        if (r == 0)
                r = desc.current.is_text ? -EINVAL : mtp_temperature(desc.current.number, mtp->options.temperature_unit,
                                                                     &health->temperature_decidegrees);
        if (r == 0)
                health->known |= BERTH_HEALTH_TEMPERATURE;
        return r;
}

static int health_restarts(Mtp *mtp, berth_health *health) {
        PropertyDesc desc;
        int r;

        r = ask_property(mtp, mtp->options.restarts_property, &desc);
        if (r < 0)
                return r;
        if (desc.current.is_text || desc.current.number < 0 || desc.current.number > UINT32_MAX)
                return -EINVAL;
        health->restarts = (uint32_t) desc.current.number;
        health->known |= BERTH_HEALTH_RESTARTS;
        return 0;
}

static int health_clock(Mtp *mtp, berth_health *health) {
        uint64_t before = berth_host_boottime_usec(), after;
        PropertyDesc desc;
        PtpDate date;
        int r;

        r = ask_property(mtp, PTP_PROP_DATE_TIME, &desc);
        if (r < 0)
                return r;
        after = berth_host_boottime_usec();
        if (!desc.current.is_text)
                return -EINVAL;
        r = mtp_date_parse(mtp, &desc.current.text, &date);
        if (r < 0)
                return r;
        health->clock_unix_sec = date.unix_sec;
        health->clock_boottime_usec = before + (after - before) / 2;
        health->known |= BERTH_HEALTH_CLOCK;
        return 0;
}

static uint64_t add_bytes(uint64_t sum, uint64_t more) {
        return more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
}

static int health_storage(Mtp *mtp, berth_health *health) {
        uint64_t total = 0, available = 0;
        uint32_t *ids = NULL;
        bool read_only = false, known = false;
        size_t n = 0;
        int r;

        r = mtp_storages(mtp, &ids, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                StorageInfo info = { 0 };

                r = mtp_storage_info(mtp, ids[i], &info);
                if (r == MTP_STORAGE_EMPTY) {
                        r = 0;
                        continue;
                }
                known = true;
                total = add_bytes(total, info.total_bytes);
                available = add_bytes(available, info.free_bytes);
                read_only = read_only || info.access == PTP_STORAGE_READ_ONLY;
        }
        free(ids);
        if (r < 0)
                return r;
        if (!known || total == UINT64_MAX || available == UINT64_MAX)
                return -ENODATA;
        health->storage_total_bytes = total;
        health->storage_free_bytes = available;
        health->read_only = read_only;
        health->known |= BERTH_HEALTH_STORAGE;
        return 0;
}

int mtp_health(void *state, berth_health *ret) {
        berth_health health = { .struct_size = sizeof(health) };
        Mtp *mtp = state;
        int r;

        r = tolerate(mtp, "battery level", health_battery(mtp, &health));
        if (r < 0)
                return r;
        r = tolerate(mtp, "clock", health_clock(mtp, &health));
        if (r < 0)
                return r;
        r = tolerate(mtp, "storage", health_storage(mtp, &health));
        if (r < 0)
                return r;
        if (mtp->options.temperature_property != 0)
                r = tolerate(mtp, "temperature", health_temperature(mtp, &health));
        if (r >= 0 && mtp->options.restarts_property != 0)
                r = tolerate(mtp, "number of restarts", health_restarts(mtp, &health));
        if (r < 0)
                return r;
        *ret = health;
        return 0;
}

int mtp_set_clock(void *state, int64_t unix_sec) {
        Mtp *mtp = state;
        char text[PTP_DATE_SIZE];
        uint8_t data[1 + 2 * PTP_DATE_SIZE];
        PropertyDesc desc;
        PtpDate date;
        bool zoned;
        int offset_minutes = mtp->options.utc_offset_minutes, r;

        if (!ptp_device_info_has_operation(&mtp->info, PTP_SET_DEVICE_PROP_VALUE))
                return -EOPNOTSUPP;
        r = ask_property(mtp, PTP_PROP_DATE_TIME, &desc);
        if (r < 0)
                return r;
        if (!desc.current.is_text || !desc.writable)
                return -EOPNOTSUPP;
        /* Cameras refuse a form that is not their own: name the zone only to one that does. */
        zoned = ptp_date_parse(desc.current.text.text, desc.current.text.size, 0, &date) == 0 && date.zoned;
        if (mtp->options.local_time)
                offset_minutes = (int) ((berth_host_utc_to_local(unix_sec) - unix_sec) / 60);
        r = ptp_date_format(unix_sec, offset_minutes, zoned, text);
        if (r < 0)
                return r;
        return ptp_send(&mtp->link, PTP_REQUEST(PTP_SET_DEVICE_PROP_VALUE, PTP_PROP_DATE_TIME), data,
                        ptp_put_string(data, sizeof(data), text));
}
