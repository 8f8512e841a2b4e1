/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "bay/outbox.h"

#define CLIP_FLAGS (BERTH_CLIP_SIZE_UNKNOWN | BERTH_CLIP_PROTECTED)

void host_init(berth_host *h, int usb_fd) {
        *h = (berth_host){ .usb_fd = usb_fd, .image_fd = -EBADF };
}

void host_begin(berth_host *h) {
        h->breach = HOST_FINE;
        h->detail[0] = 0;
        h->n_unreadable = 0;
}

void clip_list_clear(ClipList *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->clips[i].path);
        free(l->clips);
        *l = (ClipList){};
}

static int breach(berth_host *h, HostBreach what, int error) {
        /* The first one is the reason; what follows is its consequence. */
        if (h->breach == HOST_FINE)
                h->breach = what;
        return error;
}

/* ---- Within list() ---- */

static int clip_list_add(ClipList *l, const berth_clip *clip) {
        size_t length = strlen(clip->path);
        char *path;

        if (l->n == BERTH_CLIPS_MAX || l->path_bytes + length > HOST_PATHS_MAX_BYTES)
                return -E2BIG;
        if (l->n == l->room) {
                size_t room = MAX2(l->room * 2, (size_t) 64);
                Clip *larger = reallocarray(l->clips, room, sizeof(Clip));

                if (!larger)
                        return -ENOMEM;
                l->clips = larger;
                l->room = room;
        }
        path = strdup(clip->path);
        if (!path)
                return -ENOMEM;
        l->clips[l->n++] = (Clip){
                .path = path,
                .size_bytes = clip->size_bytes,
                .mtime_unix_sec = clip->mtime_unix_sec,
                .handle = clip->handle,
                .flags = clip->flags,
        };
        l->path_bytes += length;
        return 0;
}

int berth_host_clip(berth_host *h, const berth_clip *clip) {
        int r;

        if (!h->listing)
                return breach(h, HOST_MISPLACED, -EPERM);
        if (clip->struct_size < sizeof(berth_clip) || (clip->flags & ~CLIP_FLAGS) != 0)
                return breach(h, HOST_BAD_CLIP, -EINVAL);
        if (!clip->path || !text_path_is_valid(clip->path))
                return breach(h, HOST_BAD_PATH, -EINVAL);
        r = clip_list_add(h->listing, clip);
        if (r == -E2BIG)
                return breach(h, HOST_TOO_MANY, r);
        outbox_alive();
        return r;
}

ssize_t berth_host_escape(const void *name, size_t length, char *ret, size_t ret_size) {
        return text_escape_name(name, length, ret, ret_size);
}

/* ---- Within read() ---- */

void host_count(berth_host *h, size_t size) {
        h->delivered += size;
        h->on_delivered(h->userdata, h->delivered);
}

int host_flush(berth_host *h) {
        const uint8_t *gathered = h->gathered;
        size_t size = h->filled;
        int r;

        if (size == 0)
                return 0;
        h->gathered = NULL;
        h->filled = 0;
        host_count(h, size);
        r = ring_commit(h->ring, gathered, size);
        ring_release(h->ring);
        return r;
}

int berth_host_deliver(berth_host *h, const void *data, size_t length) {
        const uint8_t *p = data;
        int r;

        if (!h->ring)
                return breach(h, HOST_MISPLACED, -EPERM);
        if (length > h->asked - h->delivered - h->filled)
                return breach(h, HOST_OVERFLOW, -EOVERFLOW);
        while (length > 0) {
                size_t n;

                if (!h->gathered) {
                        h->room = MIN2(ring_straight(h->ring), (size_t) RING_RUN_MAX);
                        r = ring_reserve(h->ring, h->room, &h->gathered);
                        if (r < 0)
                                return r;
                }
                n = MIN2(length, h->room - h->filled);
                memcpy(h->gathered + h->filled, p, n);
                h->filled += n;
                p += n;
                length -= n;
                if (h->filled == h->room) {
                        r = host_flush(h);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

void berth_host_unreadable(berth_host *h, uint64_t offset, uint64_t length) {
        if (!h->ring) {
                (void) breach(h, HOST_MISPLACED, -EPERM);
                return;
        }
        if (length == 0 || length > UINT64_MAX - offset || h->n_unreadable == BERTH_UNREADABLE_MAX)
                return;
        h->unreadable[h->n_unreadable++] = (ByteRange){ .offset = offset, .length = length };
}

/* ---- Within flash() and drop() ---- */

ssize_t berth_host_image(berth_host *h, uint64_t offset, void *data, size_t length) {
        size_t done = 0;

        if (h->image_fd < 0)
                return breach(h, HOST_MISPLACED, -EPERM);
        /* Between two of them the camera has a part of it. */
        CRASH_POINT("firmware-part-asked");
        length = offset < h->image_size ? (size_t) MIN2((uint64_t) length, h->image_size - offset) : 0;
        while (done < length) {
                ssize_t n = pread(h->image_fd, (uint8_t *) data + done, length - done, (off_t) (offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t) n;
        }
        return (ssize_t) done;
}

void berth_host_sent(berth_host *h, uint64_t bytes) {
        if (h->image_fd < 0) {
                (void) breach(h, HOST_MISPLACED, -EPERM);
                return;
        }
        bytes = MIN2(bytes, h->image_size);
        if (bytes <= h->image_sent)
                return;
        h->image_sent = bytes;
        if (h->on_sent)
                h->on_sent(bytes);
}

/* ---- Anywhere ---- */

const char *berth_host_credential(berth_host *h, const char *name) {
        size_t length = strlen(name);

        for (size_t i = 0; h->credentials && h->credentials[i]; i++)
                if (strncmp(h->credentials[i], name, length) == 0 && h->credentials[i][length] == '=')
                        return h->credentials[i] + length + 1;
        return NULL;
}

void berth_host_log(berth_host *h, int level, const char *format, ...) {
        char raw[1024], line[1024];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(raw, sizeof(raw), format, arguments);
        va_end(arguments);
        /* A plugin must not; a mistake of one must not be the site's. */
        secrets_redact(h->credentials, raw);
        text_sanitise(raw, line, sizeof(line));
        if (level <= BERTH_LOG_WARNING)
                (void) snprintf(h->detail, sizeof(h->detail), "%.*s", (int) sizeof(h->detail) - 1, line);
        log_full(level < LOG_ERR ? LOG_ERR : level > LOG_DEBUG ? LOG_DEBUG : level, NULL, "%s", line);
}

uint64_t berth_host_boottime_usec(void) {
        return clock_boottime_usec();
}

void berth_host_alive(berth_host *h) {
        (void) h;
        outbox_alive();
}
