/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ptp.h"

/* A string that may be missing at the dataset's end. */
static void read_trailing_string(PtpReader *reader, PtpString *ret) {
        if (reader->left > 0) {
                ptp_read_string(reader, ret);
                return;
        }
        ret->size = 0;
        ret->text[0] = '\0';
}

int ptp_device_info_parse(const void *data, size_t size, DeviceInfo *ret) {
        PtpReader r;

        ptp_reader_init(&r, data, size);
        ptp_read_skip(&r, 2); /* StandardVersion */
        ret->vendor_extension = ptp_read_u32(&r);
        ptp_read_skip(&r, 2); /* its version */
        ptp_read_string(&r, &ret->vendor_text);
        ptp_read_skip(&r, 2); /* FunctionalMode */
        ret->n_operations = ptp_read_u16_array(&r, ret->operations, DEVICE_CODES_MAX);
        ptp_read_skip_array(&r, 2); /* events */
        ret->n_properties = ptp_read_u16_array(&r, ret->properties, DEVICE_CODES_MAX);
        ptp_read_skip_array(&r, 2); /* capture formats */
        ptp_read_skip_array(&r, 2); /* image formats */
        read_trailing_string(&r, &ret->manufacturer);
        read_trailing_string(&r, &ret->model);
        read_trailing_string(&r, &ret->version);
        read_trailing_string(&r, &ret->serial);
        return r.bad ? -EBADMSG : 0;
}

static bool has_code(const uint16_t *codes, size_t n, uint16_t code) {
        for (size_t i = 0; i < n; i++)
                if (codes[i] == code)
                        return true;
        return false;
}

bool ptp_device_info_has_operation(const DeviceInfo *info, uint16_t code) {
        return has_code(info->operations, info->n_operations, code);
}

bool ptp_device_info_has_property(const DeviceInfo *info, uint16_t code) {
        return has_code(info->properties, info->n_properties, code);
}

bool ptp_device_info_is_mtp(const DeviceInfo *info) {
        return info->vendor_extension == MTP_VENDOR_EXTENSION || strstr(info->vendor_text.text, "microsoft.com") ||
               strstr(info->vendor_text.text, "android.com");
}

int ptp_storage_info_parse(const void *data, size_t size, StorageInfo *ret) {
        PtpReader r;

        ptp_reader_init(&r, data, size);
        ptp_read_skip(&r, 2 + 2); /* StorageType, FilesystemType */
        ret->access = ptp_read_u16(&r);
        ret->total_bytes = ptp_read_u64(&r);
        ret->free_bytes = ptp_read_u64(&r);
        ptp_read_skip(&r, 4); /* free space in images */
        if (r.left > 0)
                ptp_read_skip_string(&r); /* StorageDescription */
        read_trailing_string(&r, &ret->volume);
        return r.bad ? -EBADMSG : 0;
}

int ptp_object_info_parse(const void *data, size_t size, ObjectInfo *ret) {
        PtpReader r;

        ptp_reader_init(&r, data, size);
        ret->storage = ptp_read_u32(&r);
        ret->format = ptp_read_u16(&r);
        ret->protection = ptp_read_u16(&r);
        ret->size_bytes = ptp_read_u32(&r);
        ptp_read_skip(&r, 2 + 4 + 4 + 4); /* thumbnail: format, size, width, height */
        ptp_read_skip(&r, 4 + 4 + 4);     /* image: width, height, depth */
        ret->parent = ptp_read_u32(&r);
        ptp_read_skip(&r, 2 + 4 + 4); /* association type and description, sequence number */
        ptp_read_string(&r, &ret->name);
        read_trailing_string(&r, &ret->captured);
        read_trailing_string(&r, &ret->modified);
        return r.bad ? -EBADMSG : 0;
}

static int64_t sign_extend(uint64_t v, unsigned bits) {
        uint64_t sign = UINT64_C(1) << (bits - 1);

        return (int64_t) ((v ^ sign) - sign);
}

size_t ptp_object_info_put(uint8_t *to, size_t size, const ObjectAnnouncement *a) {
        const size_t fixed = 52; /* up to the name; what is not set is 0 */
        size_t name;

        if (size < fixed + 3)
                return 0;
        memset(to, 0, fixed);
        ptp_put_u32(to, a->storage);
        ptp_put_u16(to + 4, a->format);
        ptp_put_u32(to + 8, a->size_bytes);
        ptp_put_u32(to + 38, a->parent);
        ptp_put_u16(to + 42, a->association);
        name = ptp_put_string(to + fixed, size - fixed - 3, a->name);
        if (name == 0)
                return 0;
        /* No dates, no keywords: the camera dates it. */
        memset(to + fixed + name, 0, 3);
        return fixed + name + 3;
}

/* One value of a datatype. False when it was passed over: an array, or too wide for us. */
static bool read_value(PtpReader *r, uint16_t type, PropertyValue *ret) {
        static const uint8_t widths[PTP_TYPE_UINT128 + 1] = { 0, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16 };
        uint16_t base = (uint16_t) (type & ~PTP_TYPE_ARRAY);
        uint64_t v = 0;

        ret->is_text = type == PTP_TYPE_STRING;
        ret->number = 0;
        if (ret->is_text) {
                ptp_read_string(r, &ret->text);
                return true;
        }
        ret->text.size = 0;
        ret->text.text[0] = '\0';
        if (base < PTP_TYPE_INT8 || base > PTP_TYPE_UINT128) {
                r->bad = true;
                return false;
        }
        if (type & PTP_TYPE_ARRAY) {
                ptp_read_skip_array(r, widths[base]);
                return false;
        }
        switch (widths[base]) {
        case 1:
                v = ptp_read_u8(r);
                break;
        case 2:
                v = ptp_read_u16(r);
                break;
        case 4:
                v = ptp_read_u32(r);
                break;
        case 8:
                v = ptp_read_u64(r);
                break;
        default:
                ptp_read_skip(r, widths[base]);
                return false;
        }
        /* Odd type codes are the signed ones. An unsigned 64-bit number keeps its bits. */
        ret->number = base % 2 == 1 ? sign_extend(v, 8u * widths[base]) : (int64_t) v;
        return true;
}

static void read_enum(PtpReader *r, PropertyDesc *ret) {
        PropertyValue value;
        unsigned n = ptp_read_u16(r);

        for (unsigned i = 0; i < n && !r->bad; i++) {
                if (!read_value(r, ret->type, &value) || r->bad)
                        continue;
                if (i == 0 || value.number < ret->min)
                        ret->min = value.number;
                if (i == 0 || value.number > ret->max)
                        ret->max = value.number;
        }
}

int ptp_property_desc_parse(const void *data, size_t size, PropertyDesc *ret) {
        PropertyValue value;
        PtpReader r;
        uint8_t form;

        ptp_reader_init(&r, data, size);
        ret->code = ptp_read_u16(&r);
        ret->type = ptp_read_u16(&r);
        ret->writable = ptp_read_u8(&r) == 1;
        ret->form = PROPERTY_FORM_NONE;
        ret->min = ret->max = 0;
        (void) read_value(&r, ret->type, &value); /* the factory default */
        (void) read_value(&r, ret->type, &ret->current);
        form = r.left > 0 ? ptp_read_u8(&r) : 0;
        if (form == 1) {
                (void) read_value(&r, ret->type, &value);
                ret->min = value.number;
                (void) read_value(&r, ret->type, &value);
                ret->max = value.number;
                (void) read_value(&r, ret->type, &value); /* the step */
                ret->form = PROPERTY_FORM_RANGE;
        } else if (form == 2) {
                read_enum(&r, ret);
                ret->form = PROPERTY_FORM_ENUM;
        }
        return r.bad ? -EBADMSG : 0;
}

int ptp_property_value_parse(const void *data, size_t size, uint16_t type, PropertyValue *ret) {
        PtpReader r;

        ptp_reader_init(&r, data, size);
        if (!read_value(&r, type, ret) || r.bad)
                return -EBADMSG;
        return 0;
}

int ptp_object_prop_list_parse(const void *data, size_t size, ObjectPropSink sink, void *userdata) {
        ObjectProp prop;
        PtpReader reader;
        uint32_t n;
        int r;

        ptp_reader_init(&reader, data, size);
        n = ptp_read_u32(&reader);
        for (uint32_t i = 0; i < n; i++) {
                uint16_t type;
                bool kept;

                prop.handle = ptp_read_u32(&reader);
                prop.code = ptp_read_u16(&reader);
                type = ptp_read_u16(&reader);
                kept = read_value(&reader, type, &prop.value);
                if (reader.bad)
                        return -EBADMSG;
                if (!kept)
                        continue;
                r = sink(userdata, &prop);
                if (r < 0)
                        return r;
        }
        return reader.bad ? -EBADMSG : 0;
}

int ptp_id_array_parse(const void *data, size_t size, size_t max, uint32_t **ret, size_t *ret_n) {
        PtpReader reader;
        uint32_t *ids, n;

        ptp_reader_init(&reader, data, size);
        n = ptp_read_u32(&reader);
        if (reader.bad || n > reader.left / 4)
                return -EBADMSG;
        if (n > max)
                return -E2BIG;
        if (n == 0) {
                *ret = NULL;
                *ret_n = 0;
                return 0;
        }
        ids = malloc(n * sizeof(*ids));
        if (!ids)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++)
                ids[i] = ptp_read_u32(&reader);
        *ret = ids;
        *ret_n = n;
        return 0;
}
