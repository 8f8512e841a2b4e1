/* SPDX-License-Identifier: Apache-2.0 */

/* USB descriptors as a device wrote them: what a parser of them promises, for any bytes. */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/usb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        /* A copy of exactly this size: a read past its end is seen. */
        uint8_t *bytes = malloc(size ? size : 1);
        UsbShape shape, untouched;
        int r;

        assert(bytes);
        memcpy(bytes, data, size);
        memset(&shape, 0x5a, sizeof(shape));
        untouched = shape;
        r = usb_shape_parse(bytes, size, &shape);
        if (r < 0) {
                assert(r == -EBADMSG);
                assert(memcmp(&shape, &untouched, sizeof(shape)) == 0);
        } else {
                assert(shape.n_interfaces <= USB_INTERFACES_MAX);
                /* Only what holds together is ever compared with a model: then every byte was accounted for. */
                if (!shape.problem)
                        assert(size >= 18 + 9 * (size_t) bytes[17]);
        }
        free(bytes);
        return 0;
}
