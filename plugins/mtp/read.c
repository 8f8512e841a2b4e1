/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mtp.h"

/*
 * Partial reads are preferred to one GetObject: a worker that is killed in the middle leaves the camera with at most
 * a chunk to send, and not with hours of footage.
 */
typedef enum Way {
        WAY_WHOLE,
        WAY_PARTIAL,
        WAY_PARTIAL64,
} Way;

static Way choose_way(const Mtp *mtp, const berth_clip *clip, uint64_t offset, uint64_t length) {
        /* The end of an object without a size shows only in a GetObject, and an empty one has no part to ask for. */
        if (length == UINT64_MAX || clip->size_bytes == 0 || mtp->options.no_partial)
                return WAY_WHOLE;
        if (!mtp->options.no_partial64 && mtp_can(mtp, MTP_GET_PARTIAL_OBJECT_64))
                return WAY_PARTIAL64;
        if (mtp_can(mtp, PTP_GET_PARTIAL_OBJECT) && offset + length < UINT32_MAX)
                return WAY_PARTIAL;
        return WAY_WHOLE;
}

static int lie(const Mtp *mtp, const berth_clip *clip, const char *what) {
        berth_host_log(mtp->host, BERTH_LOG_ERR, "the camera listed %s with %" PRIu64 " bytes and %s", clip->path,
                       clip->size_bytes, what);
        return -EBADMSG;
}

/* The meaning of a failed read to the host. */
static int answer(int r) {
        return r == -ENOENT ? BERTH_GONE : r;
}

static int read_whole(Mtp *mtp, const berth_clip *clip, uint64_t offset, uint64_t length) {
        bool known = !(clip->flags & BERTH_CLIP_SIZE_UNKNOWN);
        PtpStream stream = {
                .skip = offset,
                .length = length,
                .exact = known ? clip->size_bytes : UINT64_MAX,
                .most = known ? clip->size_bytes : UINT64_MAX,
        };
        PtpResponse response;
        int r;

        r = ptp_call_stream(&mtp->link, PTP_REQUEST(PTP_GET_OBJECT, (uint32_t) clip->handle), &stream, &response);
        if (r == -EMSGSIZE || (r == -EBADMSG && known && stream.began))
                return lie(mtp, clip, "sends another number of bytes");
        if (r < 0)
                return r;
        r = ptp_response_error(&response);
        if (r < 0)
                return answer(r);
        if (!stream.began)
                return lie(mtp, clip, "sends nothing");
        if (length == UINT64_MAX ? stream.received < offset : stream.delivered != length)
                return lie(mtp, clip, "ends before that");
        return 0;
}

static int ask_part(Mtp *mtp, Way way, const berth_clip *clip, uint64_t offset, uint32_t ask, PtpStream *stream,
                    PtpResponse *ret) {
        uint32_t handle = (uint32_t) clip->handle, low = (uint32_t) offset, high = (uint32_t) (offset >> 32);

        if (way == WAY_PARTIAL64)
                return ptp_call_stream(&mtp->link, PTP_REQUEST(MTP_GET_PARTIAL_OBJECT_64, handle, low, high, ask),
                                       stream, ret);
        return ptp_call_stream(&mtp->link, PTP_REQUEST(PTP_GET_PARTIAL_OBJECT, handle, low, ask), stream, ret);
}

/* One chunk: at least one byte of it, their number in *ret_n. */
static int read_part(Mtp *mtp, Way way, const berth_clip *clip, uint64_t offset, uint32_t size, uint64_t *ret_n) {
        /* The last chunk asks for one byte more: a camera that has it holds more than it listed. */
        bool beyond = offset + size == clip->size_bytes && !mtp->exact_ends;
        PtpStream stream = { .length = size, .exact = UINT64_MAX, .most = (uint64_t) size + beyond };
        PtpResponse response;
        int r;

        r = ask_part(mtp, way, clip, offset, size + beyond, &stream, &response);
        if (r == -EMSGSIZE)
                return lie(mtp, clip, "sends more than was asked for");
        if (r < 0)
                return r;
        r = ptp_response_error(&response);
        if (r < 0 && beyond && !stream.began && r != -ENOENT) {
                mtp->exact_ends = true;
                return read_part(mtp, way, clip, offset, size, ret_n);
        }
        if (r < 0)
                return answer(r);
        if (stream.received > size)
                return lie(mtp, clip, "holds more");
        if (stream.delivered == 0)
                return lie(mtp, clip, "ends before that");
        *ret_n = stream.delivered;
        return 0;
}

int mtp_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        Mtp *mtp = state;
        bool known = !(clip->flags & BERTH_CLIP_SIZE_UNKNOWN);
        Way way;

        if (clip->handle == PTP_HANDLE_NONE || clip->handle >= PTP_HANDLE_ALL)
                return -EINVAL;
        if (known && (offset > clip->size_bytes || length > clip->size_bytes - offset))
                return -EINVAL;
        if (length == 0 && clip->size_bytes > 0)
                return 0;
        way = choose_way(mtp, clip, offset, length);
        if (way == WAY_WHOLE)
                return read_whole(mtp, clip, offset, length);
        while (length > 0) {
                uint32_t size = length < mtp->options.chunk_bytes ? (uint32_t) length : mtp->options.chunk_bytes;
                uint64_t n = 0;
                int r;

                r = read_part(mtp, way, clip, offset, size, &n);
                if (r != 0)
                        return r;
                offset += n;
                length -= n;
        }
        return 0;
}
