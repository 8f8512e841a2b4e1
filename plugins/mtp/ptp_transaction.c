/* SPDX-License-Identifier: Apache-2.0 */
#include "ptp_transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ptp_stream.h"
#include "ptp_wire.h"

#define SEND_MAX 4096u /* of a data phase to the camera: a property's value */
#define BUSY_PAUSE_MIN_MSEC 20u
#define BUSY_PAUSE_MAX_MSEC 1000u
#define STALE_MAX 2   /* late responses of a given-up transaction that are passed over */
#define EMPTY_MAX 2   /* empty packets before a response: one closes the data phase */
#define GROW_STEP (256u << 10)
#define PIECE_SIZE (64u << 10) /* of a data phase to the camera */

int ptp_response_error(const PtpResponse *response) {
        static const struct {
                uint16_t code;
                int error;
        } table[] = {
                { PTP_OK, 0 },
                { PTP_SESSION_NOT_OPEN, -ENOTCONN },
                { PTP_INVALID_TRANSACTION, -EPROTO },
                { PTP_INVALID_PARAMETER, -EPROTO },
                { PTP_OPERATION_NOT_SUPPORTED, -EOPNOTSUPP },
                { PTP_PARAMETER_NOT_SUPPORTED, -EOPNOTSUPP },
                { PTP_PROPERTY_NOT_SUPPORTED, -EOPNOTSUPP },
                { PTP_INVALID_STORAGE, -ENOMEDIUM },
                { PTP_STORE_NOT_AVAILABLE, -ENOMEDIUM },
                { PTP_INVALID_HANDLE, -ENOENT },
                { PTP_STORE_FULL, -ENOSPC },
                { PTP_OBJECT_WRITE_PROTECTED, -EACCES },
                { PTP_STORE_READ_ONLY, -EROFS },
                { PTP_ACCESS_DENIED, -EACCES },
                { PTP_DEVICE_BUSY, -EBUSY },
                { PTP_TRANSACTION_CANCELLED, -ECANCELED },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                if (table[i].code == response->code)
                        return table[i].error;
        return -EIO;
}

static uint32_t next_transaction(PtpLink *link) {
        uint32_t id = link->transaction;

        /* 0 is OpenSession's alone, and 0xFFFFFFFF is no transaction id (ISO 15740 §9.3.1). */
        link->transaction = id >= UINT32_C(0xFFFFFFFE) ? 1 : id + 1;
        return id;
}

static int send_command(PtpLink *link, const PtpRequest *request, uint32_t id) {
        uint8_t data[PTP_HEADER_SIZE + 4 * PTP_PARAMS_MAX];
        PtpHeader header = {
                .length = PTP_HEADER_SIZE + 4u * request->n,
                .type = PTP_COMMAND,
                .code = request->code,
                .transaction = id,
        };

        ptp_header_put(data, &header);
        for (size_t i = 0; i < request->n; i++)
                ptp_put_u32(data + PTP_HEADER_SIZE + 4 * i, request->params[i]);
        return ptp_link_write(link, data, header.length);
}

static int send_data(PtpLink *link, const PtpRequest *request, uint32_t id, const void *data, size_t size) {
        uint8_t buffer[PTP_HEADER_SIZE + SEND_MAX];
        PtpHeader header = {
                .length = (uint32_t) (PTP_HEADER_SIZE + size),
                .type = PTP_DATA,
                .code = request->code,
                .transaction = id,
        };

        if (size > SEND_MAX)
                return -EMSGSIZE;
        ptp_header_put(buffer, &header);
        memcpy(buffer + PTP_HEADER_SIZE, data, size);
        return ptp_link_write(link, buffer, PTP_HEADER_SIZE + size);
}

/* The header and the first bytes share a transfer, and all but the last transfer are of whole packets. */
static int send_source(PtpLink *link, const PtpRequest *request, uint32_t id, const PtpSource *source) {
        uint64_t total = source->size + PTP_HEADER_SIZE, at = 0;
        PtpHeader header = {
                .length = total < PTP_LENGTH_UNKNOWN ? (uint32_t) total : PTP_LENGTH_UNKNOWN,
                .type = PTP_DATA,
                .code = request->code,
                .transaction = id,
        };
        size_t used = PTP_HEADER_SIZE, piece = PIECE_SIZE - PIECE_SIZE % link->packet_out;
        uint8_t *buffer = malloc(PIECE_SIZE);
        int r;

        if (!buffer)
                return -ENOMEM;
        ptp_header_put(buffer, &header);
        do {
                size_t n = (size_t) (source->size - at < piece - used ? source->size - at : piece - used);
                ssize_t got = n > 0 ? source->read(source->userdata, at, buffer + used, n) : 0;

                at += n;
                used += n;
                if (got != (ssize_t) n)
                        r = got < 0 ? (int) got : -ENODATA;
                else
                        r = at < source->size ? ptp_link_write_some(link, buffer, used) : ptp_link_write(link, buffer, used);
                used = 0;
                berth_host_alive(link->host);
        } while (r >= 0 && at < source->size);
        free(buffer);
        return r;
}

static int parse_response(const PtpHeader *header, const uint8_t *packet, size_t size, PtpResponse *ret) {
        size_t n = header->length - PTP_HEADER_SIZE;

        if (header->length != size || n % 4 != 0 || n / 4 > PTP_PARAMS_MAX)
                return -EBADMSG;
        *ret = (PtpResponse){ .code = header->code, .n = (uint8_t) (n / 4) };
        for (size_t i = 0; i < ret->n; i++) {
                const uint8_t *p = packet + PTP_HEADER_SIZE + 4 * i;

                ret->params[i] = (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
        }
        return 0;
}

/*
 * The first packet of the next container of transaction `id`. Empty packets are passed over: they close a data phase
 * that ended at a packet's end, and not every camera sends them. So are late responses of the transaction that was
 * given up before this one; while a session is being opened (id 0) nobody knows what was.
 */
static ssize_t read_container(PtpLink *link, uint32_t id, uint8_t *packet, PtpHeader *ret) {
        int stale = 0, empty = 0;

        for (;;) {
                ssize_t n = ptp_link_read(link, packet, link->packet_in, link->timeout_msec);
                int r;

                if (n < 0)
                        return n;
                if (n == 0 && empty++ < EMPTY_MAX)
                        continue;
                r = ptp_header_parse(packet, (size_t) n, ret);
                if (r < 0)
                        return r;
                if (ret->transaction == id)
                        return n;
                if (ret->type != PTP_RESPONSE || (id != 0 && ret->transaction != link->aborted) || stale++ >= STALE_MAX)
                        return -EBADMSG;
        }
}

static int read_response(PtpLink *link, uint32_t id, PtpResponse *ret) {
        uint8_t packet[PTP_PACKET_MAX];
        PtpHeader header;
        ssize_t n;

        n = read_container(link, id, packet, &header);
        if (n < 0)
                return (int) n;
        if (header.type != PTP_RESPONSE)
                return -EBADMSG;
        return parse_response(&header, packet, (size_t) n, ret);
}

/*
 * The beginning of a data phase from the camera: the first packet, into `packet`. 0 when the camera answered with the
 * response at once, into *ret.
 */
static ssize_t begin_data(PtpLink *link, uint16_t code, uint32_t id, uint8_t *packet, PtpHeader *ret_header,
                          PtpResponse *ret) {
        ssize_t n;
        int r;

        n = read_container(link, id, packet, ret_header);
        if (n < 0)
                return n;
        if (ret_header->type == PTP_RESPONSE) {
                r = parse_response(ret_header, packet, (size_t) n, ret);
                return r < 0 ? r : 0;
        }
        if (ret_header->type != PTP_DATA || ret_header->code != code)
                return -EBADMSG;
        return n;
}

typedef struct Buffer {
        uint8_t *data;
        size_t size, allocated;
} Buffer;

static int buffer_reserve(Buffer *buffer, size_t more) {
        uint8_t *data;
        size_t want = buffer->size + more;

        if (buffer->data && want <= buffer->allocated)
                return 0;
        data = realloc(buffer->data, want);
        if (!data)
                return -ENOMEM;
        buffer->data = data;
        buffer->allocated = want;
        return 0;
}

/* The rest of a dataset after its first packet. `total` is its announced size, or UINT64_MAX. */
static int receive_rest(PtpLink *link, bool ended, uint64_t total, size_t max, Buffer *buffer) {
        while (!ended && buffer->size < total) {
                uint64_t left = total - buffer->size;
                size_t step = left > GROW_STEP ? GROW_STEP : (size_t) left;
                ssize_t n;
                int r;

                /* Whole packets, so that a camera which sends too much is caught and not cut. */
                step = (step + link->packet_in - 1) / link->packet_in * link->packet_in;
                r = buffer_reserve(buffer, step);
                if (r < 0)
                        return r;
                n = ptp_link_read(link, buffer->data + buffer->size, step, link->timeout_msec);
                if (n < 0)
                        return (int) n;
                buffer->size += (size_t) n;
                if (buffer->size > max)
                        return -EMSGSIZE;
                ended = (size_t) n % link->packet_in != 0 || n == 0;
        }
        if (total != UINT64_MAX && buffer->size != total)
                return -EBADMSG;
        return 0;
}

static int receive_dataset(PtpLink *link, const PtpHeader *header, const uint8_t *packet, size_t n, size_t max,
                           Buffer *buffer) {
        bool unknown = header->length == PTP_LENGTH_UNKNOWN;
        uint64_t total = unknown ? UINT64_MAX : header->length - PTP_HEADER_SIZE;
        size_t first = n - PTP_HEADER_SIZE;
        bool ended;
        int r;

        if (!unknown && total > max)
                return -EMSGSIZE;
        if (first > total)
                return -EBADMSG;
        r = buffer_reserve(buffer, first + 1);
        if (r < 0)
                return r;
        memcpy(buffer->data, packet + PTP_HEADER_SIZE, first);
        buffer->size = first;
        /* Some cameras send the header in a packet of its own. */
        ended = n < link->packet_in && first > 0;
        return receive_rest(link, ended, total, max, buffer);
}

/* What the data phase is for. */
typedef struct DataPhase {
        const void *send;
        size_t send_size;
        const PtpSource *source;
        size_t receive_max; /* 0: nothing to receive */
        Buffer *buffer;
        PtpStream *stream;
} DataPhase;

static int exchange(PtpLink *link, const PtpRequest *request, uint32_t id, const DataPhase *phase, PtpResponse *ret) {
        uint8_t packet[PTP_PACKET_MAX];
        PtpHeader header;
        bool cut = false;
        ssize_t n;
        int r;

        r = send_command(link, request, id);
        if (r < 0)
                return r;
        if (phase->send)
                r = send_data(link, request, id, phase->send, phase->send_size);
        else if (phase->source)
                r = send_source(link, request, id, phase->source);
        if (r < 0)
                return r;
        if (!phase->buffer && !phase->stream)
                return read_response(link, id, ret);

        n = begin_data(link, request->code, id, packet, &header, ret);
        if (n <= 0)
                return (int) n;
        if (phase->buffer)
                r = receive_dataset(link, &header, packet, (size_t) n, phase->receive_max, phase->buffer);
        else
                r = ptp_stream_receive(link, phase->stream, &header, packet, (size_t) n, &cut);
        if (r < 0)
                return r;
        if (cut) {
                *ret = (PtpResponse){ .code = PTP_OK };
                /* A camera that does not come back from it shows at the next transaction; these bytes are good. */
                (void) ptp_link_abort(link, id);
                return 0;
        }
        return read_response(link, id, ret);
}

static int transact_once(PtpLink *link, const PtpRequest *request, const DataPhase *phase, PtpResponse *ret) {
        uint32_t id = request->code == PTP_OPEN_SESSION ? 0 : next_transaction(link);
        int r;

        if (link->dead)
                return -EIO;
        r = exchange(link, request, id, phase, ret);
        if (r == -ENODEV)
                link->dead = true;
        else if (r < 0) {
                berth_host_log(link->host, BERTH_LOG_DEBUG, "transaction %u (operation 0x%04x) failed: %s",
                               (unsigned) id, (unsigned) request->code, strerror(-r));
                if (ptp_link_abort(link, id) == -ENODEV)
                        return -ENODEV;
        } else
                link->aborted = 0;
        return r;
}

static int transact(PtpLink *link, const PtpRequest *request, const DataPhase *phase, PtpResponse *ret) {
        uint64_t deadline = berth_host_boottime_usec() + (uint64_t) link->busy_msec * 1000;
        unsigned pause_msec = BUSY_PAUSE_MIN_MSEC;
        PtpResponse response;

        for (;;) {
                int r;

                r = transact_once(link, request, phase, &response);
                if (r < 0)
                        return r;
                if (response.code != PTP_DEVICE_BUSY || (phase->stream && phase->stream->began) || phase->source ||
                    berth_host_boottime_usec() >= deadline)
                        break;
                if (phase->buffer)
                        phase->buffer->size = 0;
                berth_host_alive(link->host);
                ptp_link_pause(pause_msec);
                pause_msec = pause_msec < BUSY_PAUSE_MAX_MSEC / 2 ? pause_msec * 2 : BUSY_PAUSE_MAX_MSEC;
        }
        *ret = response;
        return 0;
}

int ptp_call(PtpLink *link, const PtpRequest *request, PtpResponse *ret) {
        return transact(link, request, &(const DataPhase){ 0 }, ret);
}

int ptp_call_send(PtpLink *link, const PtpRequest *request, const void *data, size_t size, PtpResponse *ret) {
        return transact(link, request, &(const DataPhase){ .send = data, .send_size = size }, ret);
}

int ptp_call_receive(PtpLink *link, const PtpRequest *request, size_t max, uint8_t **ret_data, size_t *ret_size,
                     PtpResponse *ret) {
        Buffer buffer = { 0 };
        int r;

        r = transact(link, request, &(const DataPhase){ .receive_max = max, .buffer = &buffer }, ret);
        if (r < 0) {
                free(buffer.data);
                return r;
        }
        *ret_data = buffer.data;
        *ret_size = buffer.size;
        return 0;
}

int ptp_call_stream(PtpLink *link, const PtpRequest *request, PtpStream *stream, PtpResponse *ret) {
        stream->received = stream->delivered = 0;
        stream->began = false;
        return transact(link, request, &(const DataPhase){ .stream = stream }, ret);
}

int ptp_call_source(PtpLink *link, const PtpRequest *request, const PtpSource *source, PtpResponse *ret) {
        return transact(link, request, &(const DataPhase){ .source = source }, ret);
}

int ptp_do(PtpLink *link, const PtpRequest *request) {
        PtpResponse response;
        int r;

        r = ptp_call(link, request, &response);
        return r < 0 ? r : ptp_response_error(&response);
}

int ptp_send(PtpLink *link, const PtpRequest *request, const void *data, size_t size) {
        PtpResponse response;
        int r;

        r = ptp_call_send(link, request, data, size, &response);
        return r < 0 ? r : ptp_response_error(&response);
}

static int receive_once(PtpLink *link, const PtpRequest *request, size_t max, uint8_t **ret_data, size_t *ret_size) {
        PtpResponse response;
        uint8_t *data;
        size_t size;
        int r;

        r = ptp_call_receive(link, request, max, &data, &size, &response);
        if (r < 0)
                return r;
        r = ptp_response_error(&response);
        if (r < 0) {
                free(data);
                return r;
        }
        *ret_data = data;
        *ret_size = size;
        return 0;
}

int ptp_receive(PtpLink *link, const PtpRequest *request, size_t max, uint8_t **ret_data, size_t *ret_size) {
        int r;

        r = receive_once(link, request, max, ret_data, ret_size);
        if (r == -EPIPE && !link->dead)
                r = receive_once(link, request, max, ret_data, ret_size);
        return r;
}
