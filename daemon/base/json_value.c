/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_value.h"

#include <string.h>

#include "base/text.h"

bool json_take_text(const json_t *value, char *ret, size_t size) {
        const char *text = json_string_value(value);

        if (!text || !text[0] || json_string_length(value) != strlen(text) || strlen(text) >= size || !text_is_printable(text))
                return false;
        memcpy(ret, text, strlen(text) + 1);
        return true;
}

bool json_take_number(const json_t *value, uint64_t min, uint64_t max, uint64_t *ret) {
        json_int_t n = json_integer_value(value);

        if (!json_is_integer(value) || n < 0 || (uint64_t) n < min || (uint64_t) n > max)
                return false;
        *ret = (uint64_t) n;
        return true;
}

const char *json_unknown_member(const json_t *object, const char *const *known) {
        const char *name;
        json_t *value;

        json_object_foreach((json_t *) object, name, value) {
                size_t i = 0;

                while (known[i] && !text_equal(known[i], name))
                        i++;
                if (!known[i])
                        return name;
        }
        return NULL;
}
