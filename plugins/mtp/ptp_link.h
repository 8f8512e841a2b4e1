/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The still-image class's USB side of one camera (PIMA 15740 annex D): the bulk pair, the class requests, and how to
 * bring both ends back to "nothing under way" after a transaction that went wrong.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <berth/plugin.h>

#define PTP_PACKET_MAX 1024u /* wMaxPacketSize of a SuperSpeed bulk endpoint */

typedef struct PtpLink {
        berth_host *host;
        uint8_t interface, bulk_in, bulk_out;
        size_t packet_in, packet_out;
        unsigned timeout_msec; /* how long the camera may stay silent */
        unsigned busy_msec;    /* how long it may answer Device_Busy */
        bool no_cancel;        /* this model does not survive the Cancel request */

        uint32_t transaction; /* the id of the next one */
        uint32_t aborted;     /* the id of one that was given up: its answer may still come. 0: none */
        bool dead;            /* could not be brought back in step: nothing more is sent */
} PtpLink;

/* One bulk IN transfer. `size` is a multiple of packet_in, so that no answer can be too long for it. */
ssize_t ptp_link_read(PtpLink *link, void *data, size_t size, unsigned timeout_msec);
/* One bulk OUT transfer of all `size` bytes, closed by an empty packet when the last one is full. */
int ptp_link_write(PtpLink *link, const void *data, size_t size);
/* The same without that packet: more of the data phase follows. */
int ptp_link_write_some(PtpLink *link, const void *data, size_t size);

/*
 * Gives up transaction `id`: Cancel, reading away what is still under way, clearing halts, waiting until the camera
 * says that it is idle. 0 when both ends are idle again, else the link is dead and the errno says why.
 */
int ptp_link_abort(PtpLink *link, uint32_t id);
/* Reads away whatever the camera still wants to send. How many bytes it was, or -errno. */
int64_t ptp_link_drain(PtpLink *link);
/* The class's Device Reset: ends the session too. 0 or -errno. */
int ptp_link_class_reset(PtpLink *link);
/* Clears the halt of both bulk endpoints. */
int ptp_link_clear_halts(PtpLink *link);

/* Milliseconds to wait without using the camera. */
void ptp_link_pause(unsigned msec);
