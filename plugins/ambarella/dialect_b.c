/* SPDX-License-Identifier: Apache-2.0 */

/* Dialect B: frames in vendor control transfers. A frame is sent, then one of the same length is read. */

#include <errno.h>
#include <string.h>

#include "ambarella.h"
#include "record.h"

#define REQUEST 0x55
#define VALUE_SEND 0x00AA
#define VALUE_RECEIVE 0
#define FRAME_HEADER 9u
#define FRAME_MAX (FRAME_HEADER + RECORD_SIZE)
#define AT_COMMAND 5u
#define AT_STATUS 6u
#define STATUS_ACCEPTED 0x80
#define PASSWORD_SIZE 6u
#define BATTERY_MAX 100

static const uint8_t magic[] = { 0xA1, 0xB2, 0xC3, 0xD4, 0x00 };

/* The middle byte of a command is 0; in the answer it is the status. `size` is that of the payload, either way. */
typedef struct Command {
        const char *doing;
        uint8_t group, number;
        size_t size;
} Command;

static const Command ping = { "answer a ping", 0xE1, 0x20, 5 };
static const Command log_in_admin = { "log in", 0xE1, 0x10, PASSWORD_SIZE };
static const Command log_in_user = { "log in", 0xE1, 0x11, PASSWORD_SIZE };
static const Command read_battery = { "tell its battery level", 0xE1, 0x70, 1 };
static const Command write_clock = { "set its clock", 0xE1, 0x41, 7 };
static const Command read_record = { "tell its identity", 0xE1, 0x30, RECORD_SIZE };
static const Command write_record = { "store whom it is issued to", 0xE1, 0x31, RECORD_SIZE };
static const Command storage_mode = { "go into storage mode", 0xE1, 0x51, 0 };

static int send_frame(Ambarella *camera, const Command *c, const void *payload, size_t size) {
        uint8_t frame[FRAME_MAX] = { 0 };
        int r;

        memcpy(frame, magic, sizeof(magic));
        frame[AT_COMMAND] = c->group;
        frame[AT_COMMAND + 2] = c->number;
        if (size > 0)
                memcpy(frame + FRAME_HEADER, payload, size);
        r = camera_send(camera, REQUEST, VALUE_SEND, frame, FRAME_HEADER + c->size);
        explicit_bzero(frame, sizeof(frame));
        return r;
}

/* 0, BERTH_DENIED (of which nothing is logged), or -EBADMSG. */
static int check_frame(Ambarella *camera, const Command *c, const uint8_t *frame) {
        if (!camera->options.loose_answers) {
                if (memcmp(frame, magic, sizeof(magic)) != 0)
                        return camera_answered_wrongly(camera, c->doing, "the answer does not begin as a frame does");
                if (frame[AT_COMMAND] != c->group || frame[AT_COMMAND + 2] != c->number)
                        return camera_answered_wrongly(camera, c->doing, "the answer is not one to this command");
        }
        return frame[AT_STATUS] == STATUS_ACCEPTED ? 0 : BERTH_DENIED;
}

/* `ret` gets the answer's payload, which has the command's length; NULL when nobody needs it. */
static int ask(Ambarella *camera, const Command *c, const void *payload, size_t size, void *ret) {
        uint8_t frame[FRAME_MAX] = { 0 };
        int r;

        r = send_frame(camera, c, payload, size);
        if (r == 0)
                r = camera_receive(camera, REQUEST, VALUE_RECEIVE, frame, FRAME_HEADER + c->size);
        if (r < 0)
                return camera_failed(camera, c->doing, r);
        r = check_frame(camera, c, frame);
        if (r == 0 && ret)
                memcpy(ret, frame + FRAME_HEADER, c->size);
        /* It may have sent the password back. */
        explicit_bzero(frame, sizeof(frame));
        return r;
}

static int ask_or_log(Ambarella *camera, const Command *c, const void *payload, size_t size, void *ret) {
        int r = ask(camera, c, payload, size, ret);

        if (r == BERTH_DENIED)
                berth_host_log(camera->host, BERTH_LOG_ERR, "the camera says that it will not %s", c->doing);
        return r;
}

/* Before anything secret is said: is it one that speaks like this? */
static int check_ping(Ambarella *camera) {
        char letters[sizeof("ABCDE") - 1];
        int r;

        r = ask_or_log(camera, &ping, NULL, 0, letters);
        if (r == 0 && memcmp(letters, "ABCDE", sizeof(letters)) != 0)
                return camera_answered_wrongly(camera, ping.doing, "the answer has not the letters that dialect b's has");
        return r == BERTH_DENIED ? -EPROTO : r;
}

static int choose_role(Ambarella *camera, const Command **ret) {
        const char *user = berth_host_credential(camera->host, "user");

        if (!user || strcmp(user, "admin") == 0)
                *ret = &log_in_admin;
        else if (strcmp(user, "user") == 0)
                *ret = &log_in_user;
        else {
                berth_host_log(camera->host, BERTH_LOG_ERR,
                               "the dock's credentials name a user for this camera that dialect b does not know; say admin or user there");
                return -EINVAL;
        }
        return 0;
}

static int b_log_in(Ambarella *camera, const char *password) {
        const Command *role = NULL;
        int r;

        r = choose_role(camera, &role);
        if (r == 0 && !camera->options.no_ping)
                r = check_ping(camera);
        if (r == 0)
                r = ask(camera, role, password, strlen(password), NULL);
        return r == BERTH_DENIED ? camera_refused_log_in(camera) : r;
}

static int b_serial(Ambarella *camera, char ret[static BERTH_TEXT_MAX]) {
        uint8_t record[RECORD_SIZE];
        int r;

        r = ask_or_log(camera, &read_record, NULL, 0, record);
        if (r != 0)
                return r;
        if (record_serial(record, ret) < 0)
                return camera_answered_wrongly(camera, read_record.doing, "its serial is no printable text");
        return 0;
}

static int b_battery(Ambarella *camera, uint8_t *ret) {
        uint8_t percent;
        int r;

        r = ask_or_log(camera, &read_battery, NULL, 0, &percent);
        if (r != 0)
                return r;
        if (percent > BATTERY_MAX) {
                berth_host_log(camera->host, BERTH_LOG_WARNING,
                               "the camera says that its battery is at %u percent; its level counts as unknown", percent);
                return -ENODATA;
        }
        *ret = percent;
        return 0;
}

static int b_set_clock(Ambarella *camera, const LocalTime *t) {
        const uint8_t wanted[] = { (uint8_t) (t->year >> 8), (uint8_t) t->year, t->month, t->day, t->hour, t->minute, t->second };
        uint8_t set[sizeof(wanted)];
        int r;

        r = ask_or_log(camera, &write_clock, wanted, sizeof(wanted), set);
        if (r == 0 && memcmp(set, wanted, sizeof(set)) != 0)
                return camera_answered_wrongly(camera, write_clock.doing, "it set another time than it was told");
        return r;
}

static int b_get_owner(Ambarella *camera, berth_owner *ret) {
        uint8_t record[RECORD_SIZE];
        int r;

        r = ask_or_log(camera, &read_record, NULL, 0, record);
        if (r != 0)
                return r;
        if (record_owner(record, ret) < 0)
                return camera_answered_wrongly(camera, read_record.doing, "a field of its identity record is no printable text");
        return 0;
}

static int b_set_owner(Ambarella *camera, const berth_owner *owner) {
        uint8_t record[RECORD_SIZE], before[RECORD_SIZE], after[RECORD_SIZE];
        const char *field = "";
        size_t max = 0;
        int r;

        r = ask_or_log(camera, &read_record, NULL, 0, record);
        if (r != 0)
                return r;
        memcpy(before, record, sizeof(before));
        r = record_set_owner(record, owner, &field, &max);
        if (r < 0) {
                berth_host_log(camera->host, BERTH_LOG_ERR, "its %s holds at most %zu characters, all of them of ISO 8859-1", field, max);
                return r;
        }
        if (memcmp(before, record, sizeof(record)) == 0)
                return 0;
        r = ask_or_log(camera, &write_record, record, sizeof(record), NULL);
        if (r == 0)
                r = ask_or_log(camera, &read_record, NULL, 0, after);
        if (r == 0 && memcmp(after, record, sizeof(record)) != 0) {
                berth_host_log(camera->host, BERTH_LOG_ERR, "the camera says that it stored its identity record, and shows another one");
                return -EPROTO;
        }
        return r;
}

static int b_enter_storage(Ambarella *camera) {
        uint8_t frame[FRAME_HEADER] = { 0 };
        int r;

        r = send_frame(camera, &storage_mode, NULL, 0);
        if (r < 0)
                return camera_failed(camera, storage_mode.doing, r);
        r = camera_receive(camera, REQUEST, VALUE_RECEIVE, frame, sizeof(frame));
        if (r == -EBADMSG)
                return camera_failed(camera, storage_mode.doing, r);
        if (r < 0)
                return camera_left_silently(camera, r);
        r = check_frame(camera, &storage_mode, frame);
        if (r == BERTH_DENIED)
                berth_host_log(camera->host, BERTH_LOG_ERR, "the camera says that it will not %s", storage_mode.doing);
        return r;
}

const Dialect dialect_b = {
        .name = "b",
        .shape = "a vendor-specific interface",
        .fits = dialect_fits_vendor,
        .password_max = PASSWORD_SIZE,
        .password_never = "",
        .log_in = b_log_in,
        .serial = b_serial,
        .battery = b_battery,
        .set_clock = b_set_clock,
        .get_owner = b_get_owner,
        .set_owner = b_set_owner,
        .enter_storage = b_enter_storage,
};
