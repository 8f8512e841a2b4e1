/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What berthd and a flashing worker have in common: no connection, since the worker outlives berthd, but a folder. In it are
 *
 *   image     the firmware, put there and checked by berthd
 *   lock      locked (POSIX, its first byte) by the worker from its first moment to its last: whoever asks for the lock is told its pid
 *   progress  how many bytes of the image the camera has: the same number twice, and not synced, since it is only looked at. At most four
 *             times a second
 *   outcome   how the n-th sending ended, "outcome.<n>": one line, "ok" or a name of base/wire_bay.h, a tab and a sentence. Written at the
 *             end and synced; a line without its newline counts for nothing
 */

#define WIRE_FLASH_IMAGE "image"
#define WIRE_FLASH_LOCK "lock"
#define WIRE_FLASH_PROGRESS "progress"
#define WIRE_FLASH_OUTCOME "outcome"
#define WIRE_FLASH_OK "ok"

#define WIRE_FLASH_FD_USB 3    /* as in wire_bay.h */
#define WIRE_FLASH_FD_FOLDER 4
#define WIRE_FLASH_FD_IMAGE 5
/*
 * This and the next: logind's, which holds back a shutdown for as long as anybody has one of them open (service/inhibit.h). They are
 * there when it did at the worker's start, and are for nothing but being open: so it does while no berthd runs.
 */
#define WIRE_FLASH_FD_HOLD 6
#define WIRE_FLASH_HOLDS_MAX 2u

/* Of a worker that found another one at work. */
#define WIRE_FLASH_EXIT_BUSY 75
