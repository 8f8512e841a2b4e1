/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

int fault_set(Fault *f, const char *name, const char *format, ...) {
        char raw[sizeof(f->text)];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(raw, sizeof(raw), format, arguments);
        va_end(arguments);
        text_sanitise(raw, f->text, sizeof(f->text));
        f->name = name;
        f->n_ranges = 0;
        return -EBADE;
}
