/* SPDX-License-Identifier: Apache-2.0 */
#include "base/canonical.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

char *canonical_text(const json_t *object) {
        return json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);
}

int canonical_parse(const void *bytes, size_t size, json_t **ret) {
        _cleanup_(json_decrefp) json_t *object = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
        _cleanup_(freep) char *again = NULL;

        if (!json_is_object(object))
                return -EBADE;
        again = canonical_text(object);
        if (!again)
                return -ENOMEM;
        if (strlen(again) != size || memcmp(again, bytes, size) != 0)
                return -EBADE;
        *ret = TAKE_PTR(object);
        return 0;
}
