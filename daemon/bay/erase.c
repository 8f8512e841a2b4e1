/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/crash_point.h"
#include "base/wire_bay.h"
#include "bay/calls.h"
#include "bay/outbox.h"

/*
 * Handles and indexes of another session name nothing here: the clip is found again by what was recorded of it, and its
 * bytes decide.
 */

static void on_delivered(void *userdata, uint64_t delivered) {
        (void) userdata;
        (void) delivered;
        outbox_alive();
}

static bool is_candidate(const Clip *c, const char *path, uint64_t size_bytes, int64_t mtime_unix_sec) {
        return strcmp(c->path, path) == 0 && c->mtime_unix_sec == mtime_unix_sec &&
               ((c->flags & BERTH_CLIP_SIZE_UNKNOWN) || c->size_bytes == size_bytes);
}

static size_t count_candidates(const ClipList *l, const char *path, uint64_t size_bytes, int64_t mtime_unix_sec) {
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                n += is_candidate(&l->clips[i], path, size_bytes, mtime_unix_sec);
        return n;
}

static bool has_path(const ClipList *l, const char *path) {
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->clips[i].path, path) == 0)
                        return true;
        return false;
}

/* Its first and last bytes. */
static int edges_match(Session *s, const Clip *clip, const Reading *content, bool *ret, Fault *fault) {
        uint64_t edge = MIN2(content->size_bytes, WIRE_EDGE_SIZE);
        Reading head, tail;
        int r;

        r = session_read_digest(s, clip, 0, edge, on_delivered, NULL, NULL, &head, fault);
        if (r < 0)
                return r;
        r = session_read_digest(s, clip, content->size_bytes - edge, edge, on_delivered, NULL, NULL, &tail, fault);
        if (r < 0)
                return r;
        *ret = digest_equal(&head.digest, &content->head) && digest_equal(&tail.digest, &content->tail);
        return 0;
}

static int whole_matches(Session *s, const Clip *clip, const Reading *content, bool *ret, Fault *fault) {
        uint64_t length = clip->flags & BERTH_CLIP_SIZE_UNKNOWN ? UINT64_MAX : clip->size_bytes;
        Reading whole;
        int r;

        r = session_read_digest(s, clip, 0, length, on_delivered, NULL, NULL, &whole, fault);
        if (r < 0)
                return r;
        *ret = whole.size_bytes == content->size_bytes && digest_equal(&whole.digest, &content->digest);
        return 0;
}

/* The one whose bytes are the recorded ones. Of several that look alike, each is read wholly. */
static int find(Session *s, const char *path, const Reading *content, int64_t mtime_unix_sec, const Clip **ret, Fault *fault) {
        size_t candidates = count_candidates(&s->list, path, content->size_bytes, mtime_unix_sec);

        if (!has_path(&s->list, path))
                return fault_set(fault, WIRE_BAY_E_GONE, "the clip %s is not on the camera any more", path);
        for (size_t i = 0; i < s->list.n; i++) {
                const Clip *c = &s->list.clips[i];
                bool match = false;
                int r;

                if (!is_candidate(c, path, content->size_bytes, mtime_unix_sec))
                        continue;
                if (candidates > 1 || (c->flags & BERTH_CLIP_SIZE_UNKNOWN))
                        r = whole_matches(s, c, content, &match, fault);
                else
                        r = edges_match(s, c, content, &match, fault);
                if (r < 0)
                        return r;
                if (match) {
                        *ret = c;
                        return 0;
                }
        }
        return fault_set(fault, WIRE_BAY_E_CHANGED, "the clip %s on the camera is not the one that was copied: its %s differ", path,
                         candidates == 0 ? "size or time" : "bytes");
}

/*
 * Is the clip gone that the camera said it deleted? Its handle names nothing then. Where that cannot be asked (an empty clip) or
 * the answer is another, the whole listing is looked at: the clips like this one must be one fewer.
 */
static int check_gone(Session *s, const Clip *clip, const char *path, const Reading *content, int64_t mtime_unix_sec, Fault *fault) {
        size_t before = count_candidates(&s->list, path, content->size_bytes, mtime_unix_sec);
        int r;

        if (content->size_bytes > 0) {
                r = session_probe_clip(s, clip, fault);
                if (r < 0 && strcmp(fault->name, WIRE_BAY_E_GONE) == 0) {
                        session_forget_clip(s, clip);
                        return 0;
                }
        }
        r = session_list(s, fault);
        s->listed = false;
        s->erase_listed = r >= 0;
        if (r < 0)
                return r;
        if (count_candidates(&s->list, path, content->size_bytes, mtime_unix_sec) != before - 1)
                return fault_set(fault, WIRE_BAY_E_CAMERA, "the camera says that it deleted %s, and has it still", path);
        return 0;
}

int erase_clip(Session *s, const char *path, const Reading *content, int64_t mtime_unix_sec, Fault *fault) {
        const Clip *clip = NULL;
        int r;

        /* Once in a session that only erases: with thousands of clips, a listing for each would take hours. */
        if (!s->erase_listed) {
                r = session_list(s, fault);
                if (r < 0)
                        return r;
                /* Its indexes were told to nobody. */
                s->listed = false;
                s->erase_listed = true;
        }
        r = find(s, path, content, mtime_unix_sec, &clip, fault);
        CRASH_POINT("erase-begins");
        if (r >= 0)
                r = session_erase_clip(s, clip, fault);
        CRASH_POINT("erase-asked");
        /* What the camera did then is not known: the next erase looks anew. */
        if (r < 0) {
                s->erase_listed = false;
                return r;
        }
        return check_gone(s, clip, path, content, mtime_unix_sec, fault);
}
