/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A PTP link to the scripted host, for tests of transactions. */

#include "../plugins/mtp/ptp_transaction.h"
#include "../plugins/mtp/ptp_wire.h"
#include "unit/fake_host.h"

#define OK 0x2001
#define BUSY 0x2019

static inline PtpLink link_new(void) {
        return (PtpLink){
                .host = fake_host(),
                .bulk_in = FAKE_IN,
                .bulk_out = FAKE_OUT,
                .packet_in = FAKE_PACKET,
                .packet_out = FAKE_PACKET,
                .timeout_msec = 1000,
                .busy_msec = 10,
                .transaction = 7,
        };
}

/* Whatever went wrong before, the next transaction works. */
static inline void assert_in_step(PtpLink *link, uint32_t id) {
        assert_false(link->dead);
        fake_command(0x1003, id, 0);
        fake_response(OK, id);
        assert_int_equal(ptp_do(link, PTP_REQUEST(0x1003)), 0);
        fake_done();
}
