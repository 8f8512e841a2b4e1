/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The data phase whose bytes are clip content. Used by ptp_transaction.c alone. */

#include "ptp_transaction.h"
#include "ptp_wire.h"

/*
 * Follows the data phase that began with `packet` (n bytes, of them the header). *ret_cut: the wanted bytes are
 * delivered and much still lies behind them, so the transaction is to be cancelled. 0 or -errno, see PtpStream.
 */
int ptp_stream_receive(PtpLink *link, PtpStream *stream, const PtpHeader *header, const uint8_t *packet, size_t n,
                       bool *ret_cut);
