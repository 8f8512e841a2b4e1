/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The header of a message that a worker sent (D-Bus specification, "Message Format"), checked before sd-bus sees it: sd-bus
 * drops what it cannot parse without a word. Pure. A worker needs little of D-Bus, and gets no more: replies with a serial, errors
 * with a plain name, signals of its one object.
 */

#include <stddef.h>
#include <stdint.h>

/* The fixed part of the header, with the length of the array of fields. */
#define PEER_HEADER_SIZE 16u

typedef enum PeerMessage {
        PEER_REPLY = 2,
        PEER_ERROR = 3,
        PEER_SIGNAL = 4,
} PeerMessage;

/* The size of the whole message from its first PEER_HEADER_SIZE bytes; 0 when they begin no message that a worker may send. */
uint64_t peer_header_size(const uint8_t header[static PEER_HEADER_SIZE]);
/* Checks the fields of a whole message. NULL when they are right, else what is wrong with it. */
const char *peer_header_check(const uint8_t *message, size_t size);
