/* SPDX-License-Identifier: Apache-2.0 */

/* Dialect A: lines of ASCII over a bulk pair, "@Xyz;length;argument;#", each answered by one line. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ambarella.h"

#define BULK_OUT 0x01
#define BULK_IN 0x81
#define PACKET_MAX 1024u
#define REPLY_DEFAULT 64u
#define REPLY_ROOM 2048u /* the longest reply that options allow, up to the end of its last packet */
#define LINE_SIZE 64u
#define NAME_LENGTH 4u /* "@Ver" */
#define ID_MAX 64u
#define STALE_MSEC 50u
#define STALE_READS 16

typedef struct Reply {
        char text[REPLY_ROOM + 1];
        size_t length;
} Reply;

static bool a_fits(const berth_usb_interface *i) {
        return dialect_fits_vendor(i) && i->bulk_out == BULK_OUT && i->bulk_in == BULK_IN && i->bulk_in_packet >= 8 &&
               i->bulk_in_packet <= PACKET_MAX;
}

/* What may come in one transfer, and the room for it: whole packets, so that no answer overruns it. */
static size_t reply_bytes(const Ambarella *camera) {
        return camera->options.reply_bytes > 0 ? camera->options.reply_bytes : REPLY_DEFAULT;
}

static size_t reply_room(const Ambarella *camera) {
        size_t packet = camera->interface.bulk_in_packet;

        return (reply_bytes(camera) + packet - 1) / packet * packet;
}

/* An earlier worker may have died before it read the answer to its last line. */
static int drop_stale(Ambarella *camera) {
        char stale[REPLY_ROOM];

        for (int i = 0; i < STALE_READS; i++) {
                ssize_t n = berth_host_bulk(camera->host, BULK_IN, stale, reply_room(camera), STALE_MSEC);

                if (n == -ETIMEDOUT)
                        return 0;
                if (n == -EPIPE)
                        n = berth_host_clear_halt(camera->host, BULK_IN);
                if (n < 0)
                        return camera_failed(camera, "be ready for a command", (int) n);
        }
        return camera_answered_wrongly(camera, "be ready for a command", "it does not stop sending");
}

static int send_line(Ambarella *camera, const char *line) {
        size_t length = strlen(line);
        /* The host takes the buffer as not const because it serves both directions; it does not write to it. */
        ssize_t n = berth_host_bulk(camera->host, BULK_OUT, (void *) line, length, camera->options.timeout_msec);

        if (n < 0)
                return (int) n;
        return (size_t) n == length ? 0 : -ETIMEDOUT;
}

/* One line, without the blanks and NULs that some cameras pad it with. Logs nothing. */
static int read_reply(Ambarella *camera, Reply *ret) {
        ssize_t n = berth_host_bulk(camera->host, BULK_IN, ret->text, reply_room(camera), camera->options.timeout_msec);

        if (n < 0)
                return (int) n;
        ret->length = (size_t) n;
        ret->text[ret->length] = '\0';
        return 0;
}

static bool is_padding(char c) {
        return c == '\0' || c == ' ' || c == '\r' || c == '\n';
}

/* Is it a line of printable ASCII? Cuts the padding. -EBADMSG when not. */
static int check_line(Ambarella *camera, const char *doing, Reply *reply) {
        if (reply->length > reply_bytes(camera))
                return camera_answered_wrongly(camera, doing, "the answer is longer than plugin.reply-bytes");
        while (reply->length > 0 && is_padding(reply->text[reply->length - 1]))
                reply->length--;
        reply->text[reply->length] = '\0';
        for (size_t i = 0; i < reply->length; i++)
                if (reply->text[i] < 0x20 || reply->text[i] > 0x7E)
                        return camera_answered_wrongly(camera, doing, "the answer is no line of printable ASCII");
        return 0;
}

/* Does it begin with the name of the command that `line` is? */
static bool names(const Reply *reply, const char *line) {
        return reply->length >= NAME_LENGTH && strncmp(reply->text, line, NAME_LENGTH) == 0;
}

static int exchange(Ambarella *camera, const char *doing, const char *line, Reply *ret) {
        int r;

        r = send_line(camera, line);
        if (r == 0)
                r = read_reply(camera, ret);
        return r < 0 ? camera_failed(camera, doing, r) : check_line(camera, doing, ret);
}

static int ask(Ambarella *camera, const char *doing, const char *line, Reply *ret) {
        int r;

        r = exchange(camera, doing, line, ret);
        if (r == 0 && !names(ret, line))
                r = camera_answered_wrongly(camera, doing, "the answer is not one to this command");
        return r;
}

static int refused(Ambarella *camera, const char *doing) {
        berth_host_log(camera->host, BERTH_LOG_ERR, "the camera says that it will not %s", doing);
        return BERTH_DENIED;
}

static bool is_error(const Reply *reply) {
        return strstr(reply->text, "ERR") != NULL;
}

/* Of the answer no more is known than that it holds "Ver;OK" when the password was right. */
static int a_log_in(Ambarella *camera, const char *password) {
        static const char doing[] = "log in";
        char line[LINE_SIZE];
        Reply reply;
        int r;

        r = drop_stale(camera);
        if (r < 0)
                return r;
        (void) snprintf(line, sizeof(line), "@Ver;%zu;%s;#", strlen(password), password);
        r = exchange(camera, doing, line, &reply);
        if (r == 0 && !strstr(reply.text, "Ver;OK"))
                r = names(&reply, line) || is_error(&reply)
                            ? camera_refused_log_in(camera)
                            : camera_answered_wrongly(camera, doing, "the answer is not one to this command");
        explicit_bzero(line, sizeof(line));
        /* It may have sent the line back. */
        explicit_bzero(&reply, sizeof(reply));
        return r;
}

/* "@Gdv;…;ID#", or with one more ';' before the '#'. The argument of the command is a constant. */
static int a_serial(Ambarella *camera, char ret[static BERTH_TEXT_MAX]) {
        static const char doing[] = "tell its device id";
        const char *id;
        size_t length;
        Reply reply;
        int r;

        r = ask(camera, doing, "@Gdv;8;12345678;#", &reply);
        if (r < 0)
                return r;
        /* An id that was cut short would be another camera's name. */
        if (reply.text[reply.length - 1] != '#')
                return camera_answered_wrongly(camera, doing, "the answer does not end with '#'");
        id = strchr(reply.text, ';');
        id = id ? strchr(id + 1, ';') : NULL;
        if (!id)
                return camera_answered_wrongly(camera, doing, "the answer has less than three fields");
        length = strcspn(++id, ";#");
        if (length > ID_MAX || is_error(&reply))
                return camera_answered_wrongly(camera, doing, "the third field is no device id");
        memcpy(ret, id, length);
        ret[length] = '\0';
        return 0;
}

static int set_one(Ambarella *camera, const char *doing, const char *line) {
        Reply reply;
        int r;

        r = ask(camera, doing, line, &reply);
        if (r < 0)
                return r;
        return is_error(&reply) ? refused(camera, doing) : 0;
}

/* The time's argument has two digits more than the length before it says: so do the makers' tools send it. */
static int a_set_clock(Ambarella *camera, const LocalTime *t) {
        char line[LINE_SIZE];
        int r;

        (void) snprintf(line, sizeof(line), "@Sdt;8;%04u%02u%02u;#", t->year, t->month, t->day);
        r = set_one(camera, "set its date", line);
        if (r != 0)
                return r;
        (void) snprintf(line, sizeof(line), "@Stm;6;%02u%02u%02u00;#", t->hour, t->minute, t->second);
        return set_one(camera, "set its time", line);
}

static int a_enter_storage(Ambarella *camera) {
        static const char doing[] = "go into storage mode", line[] = "@ATH;8;12345678;#";
        Reply reply;
        int r;

        r = send_line(camera, line);
        if (r < 0)
                return camera_failed(camera, doing, r);
        r = read_reply(camera, &reply);
        if (r < 0)
                return camera_left_silently(camera, r);
        r = check_line(camera, doing, &reply);
        if (r < 0)
                return r;
        return is_error(&reply) ? refused(camera, doing) : 0;
}

const Dialect dialect_a = {
        .name = "a",
        .shape = "a vendor-specific interface with the bulk endpoints 0x01 and 0x81",
        .fits = a_fits,
        .password_max = 32,
        .password_never = ";#",
        .log_in = a_log_in,
        .serial = a_serial,
        .set_clock = a_set_clock,
        .enter_storage = a_enter_storage,
};
