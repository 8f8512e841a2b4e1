/* SPDX-License-Identifier: Apache-2.0 */
#include "core/serial.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"

/* What firmware leaves in the field when nobody wrote a serial there. */
static const char *const placeholders[] = {
        "none", "null", "n/a", "na", "default", "unknown", "serial", "serialnumber", "serial number", "sn", "test",
        "not specified", "to be filled by o.e.m.", "0123456789", "1234567890", "123456789", "12345678", "0123456789abcdef",
        "0123456789abcde", "123456789abc", "123456789abcdef", "1234567890abcdef", "abcdef", "deadbeef", "invalid",
};

/* "00000000", "FFFFFF", "-", "xxxx": one sign over and over. */
static bool one_sign_only(const char *s) {
        size_t n = strlen(s);

        return n > 0 && strspn(s, (char[]){ s[0], 0 }) == n;
}

const char *serial_problem(const char *serial) {
        size_t visible = 0;

        for (const char *p = serial; p && *p; p++)
                visible += !isspace((unsigned char) *p);
        if (visible == 0)
                return "is empty";
        /* Under such a serial the clips of imported folders are kept (base/wire_import.h). */
        if (strncmp(serial, "import:", 7) == 0)
                return "is what imported folders are called";
        if (one_sign_only(serial))
                return "is a placeholder";
        for (size_t i = 0; i < ELEMENTSOF(placeholders); i++)
                if (strcasecmp(serial, placeholders[i]) == 0)
                        return "is a placeholder";
        return NULL;
}
