/* SPDX-License-Identifier: Apache-2.0 */

/* Dialect C: packets of 64 bytes in vendor control transfers, and two commands: log in, storage mode. */

#include <errno.h>
#include <string.h>

#include "ambarella.h"

#define REQUEST 0x55
#define REQUEST_STORAGE 0x50
#define VALUE 0x0080
#define PACKET_SIZE 64u
#define COMMAND_SIZE 4u
#define REPLY_DEFAULT 10u
#define REPLY_MAX 1024u
#define AT_STATUS 2u
#define STATUS_ACCEPTED 1

static int send_packet(Ambarella *camera, uint8_t request, const uint8_t command[static COMMAND_SIZE], const char *argument) {
        uint8_t packet[PACKET_SIZE] = { 0 };
        int r;

        memcpy(packet, command, COMMAND_SIZE);
        memcpy(packet + COMMAND_SIZE, argument, strlen(argument));
        r = camera_send(camera, request, VALUE, packet, sizeof(packet));
        explicit_bzero(packet, sizeof(packet));
        return r;
}

static int read_reply(Ambarella *camera, uint8_t ret[static REPLY_MAX]) {
        size_t size = camera->options.reply_bytes > 0 ? camera->options.reply_bytes : REPLY_DEFAULT;

        return camera_receive(camera, REQUEST, VALUE, ret, size);
}

static int c_log_in(Ambarella *camera, const char *password) {
        static const uint8_t command[COMMAND_SIZE] = { 0xA1, 0x12, 0x00, 0x12 };
        uint8_t reply[REPLY_MAX], status;
        int r;

        r = send_packet(camera, REQUEST, command, password);
        if (r == 0)
                r = read_reply(camera, reply);
        if (r < 0)
                return camera_failed(camera, "log in", r);
        status = reply[AT_STATUS];
        /* It may have sent the password back. */
        explicit_bzero(reply, sizeof(reply));
        return status == STATUS_ACCEPTED ? 0 : camera_refused_log_in(camera);
}

/* The dialect has no word for it: the USB descriptor may. Empty when it does not either. */
static int c_serial(Ambarella *camera, char ret[static BERTH_TEXT_MAX]) {
        int r = berth_host_string(camera->host, BERTH_STRING_SERIAL, ret);

        return r < 0 ? camera_failed(camera, "tell its USB serial", r) : 0;
}

static int c_enter_storage(Ambarella *camera) {
        static const uint8_t command[COMMAND_SIZE] = { 0xA1, 0x23, 0x00, 0x23 };
        uint8_t reply[REPLY_MAX];
        int r;

        r = send_packet(camera, REQUEST_STORAGE, command, "");
        if (r < 0)
                return camera_failed(camera, "go into storage mode", r);
        /* Something may be there to be read; what it would say is not known. */
        r = read_reply(camera, reply);
        return r < 0 ? camera_left_silently(camera, r) : 0;
}

const Dialect dialect_c = {
        .name = "c",
        .shape = "a vendor-specific interface",
        .fits = dialect_fits_vendor,
        .password_max = PACKET_SIZE - COMMAND_SIZE,
        .password_never = "",
        .log_in = c_log_in,
        .serial = c_serial,
        .enter_storage = c_enter_storage,
};
