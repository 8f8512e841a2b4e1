/* SPDX-License-Identifier: Apache-2.0 */
#include "sense.h"

#include <errno.h>

#include "bytes.h"

#define ASC_NOT_READY 0x04
#define ASC_UNKNOWN_COMMAND 0x20
#define ASC_OUT_OF_RANGE 0x21
#define ASC_WRITE_PROTECTED 0x27
#define ASC_MEDIUM_CHANGED 0x28
#define ASC_RESET 0x29
#define ASC_NO_MEDIUM 0x3A

#define DESCRIPTOR_INFORMATION 0x00

static int parse_fixed(const uint8_t *data, size_t size, Sense *ret) {
        Sense s = { 0 };

        if (size < 3)
                return -EBADMSG;
        s.key = data[2] & 0x0F;
        if (size >= 14) {
                s.asc = data[12];
                s.ascq = data[13];
        }
        if ((data[0] & 0x80) && size >= 7) {
                s.has_sector = true;
                s.sector = get_be32(data + 3);
        }
        *ret = s;
        return 0;
}

static int parse_descriptors(const uint8_t *data, size_t size, Sense *ret) {
        Sense s = { 0 };
        size_t end;

        if (size < 8)
                return -EBADMSG;
        s.key = data[1] & 0x0F;
        s.asc = data[2];
        s.ascq = data[3];
        end = 8 + (size_t) data[7] < size ? 8 + (size_t) data[7] : size;
        for (size_t at = 8; end - at >= 2 && end - at >= (size_t) data[at + 1] + 2; at += (size_t) data[at + 1] + 2)
                if (data[at] == DESCRIPTOR_INFORMATION && data[at + 1] >= 10 && (data[at + 2] & 0x80)) {
                        s.has_sector = true;
                        s.sector = get_be64(data + at + 4);
                }
        *ret = s;
        return 0;
}

int sense_parse(const uint8_t *data, size_t size, Sense *ret) {
        if (size < 1)
                return -EBADMSG;
        switch (data[0] & 0x7F) {
        case 0x70:
        case 0x71:
                return parse_fixed(data, size, ret);
        case 0x72:
        case 0x73:
                return parse_descriptors(data, size, ret);
        default:
                return -EBADMSG;
        }
}

static int error_not_ready(const Sense *s) {
        if (s->asc == ASC_NO_MEDIUM)
                return -ENOMEDIUM;
        /* 04h: becoming ready, needs a start, is formatting, … Only "manual intervention" waits for a person. */
        return s->asc == ASC_NOT_READY && s->ascq == 0x03 ? -EBUSY : -EAGAIN;
}

static int error_illegal(const Sense *s) {
        if (s->asc == ASC_UNKNOWN_COMMAND)
                return -EOPNOTSUPP;
        return s->asc == ASC_OUT_OF_RANGE ? -ERANGE : -EINVAL;
}

int sense_error(const Sense *s) {
        if (s->asc == ASC_WRITE_PROTECTED)
                return -EROFS;
        switch (s->key) {
        case SENSE_RECOVERED:
                return 0;
        case SENSE_NOT_READY:
                return error_not_ready(s);
        case SENSE_MEDIUM_ERROR:
        case SENSE_BLANK_CHECK:
                return -EIO;
        case SENSE_ILLEGAL_REQUEST:
                return error_illegal(s);
        case SENSE_UNIT_ATTENTION:
                return s->asc == ASC_MEDIUM_CHANGED || s->asc == ASC_NO_MEDIUM ? -ESTALE : -EAGAIN;
        case SENSE_DATA_PROTECT:
                return -EACCES;
        default:
                return -EREMOTEIO;
        }
}

bool sense_is_reset(const Sense *s) {
        return s->key == SENSE_UNIT_ATTENTION && s->asc == ASC_RESET;
}

bool sense_wants_start(const Sense *s) {
        return s->key == SENSE_NOT_READY && s->asc == ASC_NOT_READY && s->ascq == 0x02;
}

const char *sense_text(const Sense *s) {
        static const char *const keys[] = {
                "no reason given", "recovered error", "not ready",    "medium error",    "hardware error", "command refused",
                "unit attention",  "data protected",  "blank medium", "vendor error",    "copy aborted",   "command aborted",
                "reserved",        "volume overflow", "miscompare",   "completed",
        };

        if (s->asc == ASC_NO_MEDIUM)
                return "no medium";
        if (s->asc == ASC_WRITE_PROTECTED)
                return "write protected";
        return keys[s->key & 0x0F];
}
