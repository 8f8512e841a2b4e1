/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const ErrorRow rows[] = {
        { EINVAL, BUS_E_INVALID_ARGUMENT },
        { ENOENT, BUS_E_NOT_FOUND },
        { ESRCH, BUS_E_NOT_FOUND },
        { ENODEV, BUS_E_NOT_DOCKED },
        { EBUSY, BUS_E_BUSY },
        { EAGAIN, BUS_E_BUSY },
        { EPERM, BUS_E_NOT_ALLOWED },
        { EOPNOTSUPP, BUS_E_NOT_SUPPORTED },
        { EREMOTEIO, BUS_E_CAMERA_FAILED },
        { EROFS, BUS_E_HELD },
        { ESTALE, BUS_E_TOO_LATE },
        { EALREADY, BUS_E_TOO_LATE },
        { EEXIST, BUS_E_CONFLICT },
        { EKEYREJECTED, BUS_E_NOT_BELIEVED },
        { ENOSPC, BUS_E_NO_SPACE },
        { EDQUOT, BUS_E_NO_SPACE },
        { EHOSTUNREACH, BUS_E_STORE_AWAY },
        { ESHUTDOWN, BUS_E_STOPPING },
        { 0, BUS_E_BAD_SETTINGS },
        { 0, BUS_E_NO_CAMERA },
        { 0, BUS_E_NO_SUCH_CAMERA },
        { 0, BUS_E_NO_SUCH_CLIP },
        { 0, BUS_E_NO_SUCH_OFFICER },
        { 0, BUS_E_NOT_AUTHORISED },
        { 0, BUS_E_NOT_STORED },
        { 0, BUS_E_FAILED },
};

const ErrorRow *error_rows(size_t *ret_n) {
        *ret_n = ELEMENTSOF(rows);
        return rows;
}

const char *error_name(int r) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].number != 0 && rows[i].number == -r)
                        return rows[i].name;
        return BUS_E_FAILED;
}

int error_set(sd_bus_error *error, int r, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        r = sd_bus_error_setfv(error, error_name(r), format, arguments);
        va_end(arguments);
        return r;
}

int error_reply(sd_bus_message *call, int r, const char *why) {
        return sd_bus_reply_method_errorf(call, error_name(r), "%s.", why && *why ? why : strerror(-r));
}
