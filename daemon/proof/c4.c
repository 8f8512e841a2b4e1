/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/c4.h"

#include <string.h>

#define DIGITS (C4_SIZE - 3)

char *c4_from_sha512(const uint8_t sha512[static SHA512_SIZE], char ret[static C4_SIZE]) {
        static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        uint8_t number[SHA512_SIZE];

        memcpy(number, sha512, sizeof(number));
        ret[0] = 'c';
        ret[1] = '4';
        for (unsigned i = DIGITS; i > 0; i--) {
                unsigned rest = 0;

                for (unsigned k = 0; k < SHA512_SIZE; k++) {
                        unsigned value = rest << 8 | number[k];

                        number[k] = (uint8_t) (value / 58);
                        rest = value % 58;
                }
                ret[1 + i] = alphabet[rest];
        }
        ret[2 + DIGITS] = 0;
        return ret;
}
