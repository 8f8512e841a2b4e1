/* SPDX-License-Identifier: Apache-2.0 */

/* `berthctl clips`: footage that the dock knows of, newest first, fetched page by page. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/bus_client.h"
#include "ctl/json_out.h"
#include "ctl/property.h"
#include "ctl/rack_view.h"
#include "ctl/table.h"

#define PAGE_CLIPS 500u
#define CLIPS_DEFAULT 100u

typedef struct Clip {
        uint64_t id, size_bytes, durable_bytes;
        uint32_t ordinal;
        char *serial, *path, *state, *kind;
        bool priority, identity_by_port, held;
        uint64_t partial_of;
        int64_t modified_sec, seen_usec, receipt_sec;
        char *digest, *object_key, *manifest_key, *receipt_strength, *reason;
        char *container, *container_state, *container_reason;
        uint64_t container_offset, duration_msec;
        int64_t recorded_sec;
        json_t *unreadable;
} Clip;

static const Property clip_properties[] = {
        PROPERTY(Clip, "Id", "id", UINT64, id),
        PROPERTY(Clip, "Serial", "serial", STRING, serial),
        PROPERTY(Clip, "Path", "path", STRING, path),
        PROPERTY(Clip, "SizeBytes", "size_bytes", UINT64, size_bytes),
        PROPERTY(Clip, "ModifiedSec", "modified_sec", TIME, modified_sec),
        PROPERTY(Clip, "Ordinal", "ordinal", UINT32, ordinal),
        PROPERTY(Clip, "State", "state", STRING, state),
        PROPERTY(Clip, "Kind", "kind", STRING, kind),
        PROPERTY(Clip, "Priority", "priority", BOOL, priority),
        PROPERTY(Clip, "SeenUsec", "seen_usec", TIME, seen_usec),
        PROPERTY(Clip, "DurableBytes", "durable_bytes", UINT64, durable_bytes),
        PROPERTY(Clip, "Digest", "digest", MAYBE, digest),
        PROPERTY(Clip, "ObjectKey", "object_key", MAYBE, object_key),
        PROPERTY(Clip, "ManifestKey", "manifest_key", MAYBE, manifest_key),
        PROPERTY(Clip, "ReceiptStrength", "receipt_strength", MAYBE, receipt_strength),
        PROPERTY(Clip, "ReceiptSec", "receipt_sec", TIME, receipt_sec),
        PROPERTY(Clip, "Reason", "reason", MAYBE, reason),
        PROPERTY(Clip, "Container", "container", MAYBE, container),
        PROPERTY(Clip, "ContainerState", "container_state", MAYBE, container_state),
        PROPERTY(Clip, "ContainerReason", "container_reason", MAYBE, container_reason),
        PROPERTY(Clip, "ContainerOffset", "container_offset", COUNT, container_offset),
        PROPERTY(Clip, "RecordedSec", "recorded_sec", TIME, recorded_sec),
        PROPERTY(Clip, "DurationMsec", "duration_msec", COUNT, duration_msec),
        PROPERTY(Clip, "IdentityByPort", "identity_by_port", BOOL, identity_by_port),
        PROPERTY(Clip, "PartialOf", "partial_of", UINT64, partial_of),
        PROPERTY(Clip, "Held", "held", BOOL, held),
        PROPERTY(Clip, "Unreadable", "unreadable", RANGES, unreadable),
};

typedef struct Clips {
        Clip *clips;
        size_t n;
        bool more; /* there are older ones */
} Clips;

static void clips_done(Clips *c) {
        for (size_t i = 0; i < c->n; i++)
                properties_clear(clip_properties, ELEMENTSOF(clip_properties), &c->clips[i]);
        free(c->clips);
}

/* Reads one page; *ret_n is how many clips it had. */
static int clips_read(Clips *c, sd_bus_message *reply, size_t *ret_n) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "a{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(reply, false)) == 0) {
                Clip *clips = reallocarray(c->clips, c->n + 1, sizeof(*clips));
                if (!clips)
                        return -ENOMEM;
                c->clips = clips;
                Clip *clip = &clips[c->n];
                *clip = (Clip) { 0 };
                /* Counted at once, so that it is released however far it got. */
                c->n++;
                r = properties_init(clip_properties, ELEMENTSOF(clip_properties), clip);
                if (r < 0)
                        return r;
                r = properties_read(clip_properties, ELEMENTSOF(clip_properties), clip, reply);
                if (r < 0)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

/* One more than asked for is fetched: that there are more is worth saying. A CtlExit. */
static int clips_fetch(const Options *options, uint64_t max, Clips *ret) {
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int exit_code = bus_client_open(options, &bus);
        uint64_t before = options->before, left = max == 0 ? UINT64_MAX : max + 1;
        while (exit_code == CTL_OK && left > 0) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                size_t n = 0;
                uint32_t page = (uint32_t) MIN2(left, (uint64_t) PAGE_CLIPS);
                exit_code = bus_client_call(bus, DOCK_MANAGER_INTERFACE, "ListClips", &reply, "sstu", options->camera,
                                            options->state, before, page);
                if (exit_code != CTL_OK)
                        break;
                int r = clips_read(ret, reply, &n);
                if (r < 0)
                        return bus_client_report(NULL, r);
                if (n == 0)
                        break;
                /* A page that does not lead further down would have us ask for ever. */
                uint64_t last = ret->clips[ret->n - 1].id;
                if (last == 0 || (before != 0 && last >= before))
                        return bus_client_report(NULL, -EBADMSG);
                before = last;
                left -= MIN2(left, (uint64_t) n);
                if (n < page)
                        break;
        }
        if (max > 0 && ret->n > max) {
                while (ret->n > max)
                        properties_clear(clip_properties, ELEMENTSOF(clip_properties), &ret->clips[--ret->n]);
                ret->more = true;
        }
        return exit_code;
}

static int print_json(const Clips *clips) {
        _cleanup_(json_decrefp) json_t *array = json_array();
        for (size_t i = 0; array && i < clips->n; i++) {
                json_t *clip = json_object();
                if (!clip ||
                    properties_to_json(clip_properties, ELEMENTSOF(clip_properties), &clips->clips[i], clip) < 0 ||
                    json_array_append_new(array, clip) < 0)
                        return json_out(NULL, false);
        }
        return json_out(json_pack("{s:s, s:O, s:b}", "schema", JSON_SCHEMA("clips"), "clips", array, "more",
                                  clips->more), false);
}

static Style clip_style(const char *state) {
        return text_equal(state, "conflict") || text_equal(state, "lost")     ? STYLE_BAD
               : text_equal(state, "erased")                                  ? STYLE_DIM
               : text_equal(state, "receipted") || text_equal(state, "erasing") ? STYLE_GOOD
                                                                              : STYLE_BUSY;
}

static bool is_incomplete(const Clip *clip) {
        return text_equal(clip->container_state, "incomplete");
}

static bool has_reason(const Clip *clip) {
        return (clip->reason && *clip->reason) || is_incomplete(clip);
}

/* Why the clip waits, or what is odd about it. A recording that was cut short is stored like any other: that it is, is its flag. */
static void add_reason(Table *t, const Clip *clip) {
        if (is_incomplete(clip))
                table_cellf(t, STYLE_WARN, "container incomplete: %s%s%s", clip->container_reason ? clip->container_reason : "",
                            clip->reason && *clip->reason ? "; " : "", clip->reason ? clip->reason : "");
        else
                table_cell(t, STYLE_PLAIN, clip->reason);
}

static void add_clip(Table *t, const Clip *clip, bool reasons) {
        char size[16], time[UTC_TEXT_SIZE];
        table_row(t);
        table_cellf(t, STYLE_PLAIN, "%llu", (unsigned long long) clip->id);
        table_cell(t, STYLE_PLAIN, clip->serial);
        table_cell(t, clip_style(clip->state), clip->state);
        table_cell(t, STYLE_PLAIN, text_bytes(clip->size_bytes, size));
        if (clip->modified_sec > INT64_MIN / 1000000 && clip->modified_sec < INT64_MAX / 1000000)
                table_cellf(t, STYLE_PLAIN, "%.10s %.8s", utc_text(clip->modified_sec * 1000000, time), time + 11);
        else
                table_cell(t, STYLE_DIM, "unknown");
        table_cell(t, STYLE_PLAIN, clip->receipt_strength ? clip->receipt_strength : "-");
        table_cell(t, STYLE_PLAIN, clip->priority ? "priority" : clip->kind);
        table_cell(t, STYLE_PLAIN, clip->path);
        if (reasons)
                add_reason(t, clip);
}

static int print_table(const Clips *clips) {
        static const Column columns[] = {
                { .title = "ID", .right = true },
                { .title = "CAMERA", .min_width = 8, .keep_end = true },
                { .title = "STATE" },
                { .title = "SIZE", .right = true, .drop_rank = 1 },
                { .title = "RECORDED (UTC)", .drop_rank = 3 },
                { .title = "RECEIPT", .drop_rank = 4 },
                { .title = "KIND", .drop_rank = 5 },
                { .title = "CLIP", .min_width = 20, .keep_end = true },
                { .title = "REASON", .min_width = 16, .drop_rank = 2 },
        };
        _cleanup_(table_freep) Table *t = NULL;
        bool reasons = false;
        for (size_t i = 0; i < clips->n; i++)
                reasons = reasons || has_reason(&clips->clips[i]);

        int r = table_new(columns, ELEMENTSOF(columns) - (reasons ? 0 : 1), &t);
        if (r < 0)
                return ctl_fail(CTL_FAILURE, "out of memory");
        for (size_t i = 0; i < clips->n; i++)
                add_clip(t, &clips->clips[i], reasons);
        return table_print(t);
}

int verb_clips(const Options *options) {
        Clips clips = { 0 };
        int exit_code = clips_fetch(options, options->max_given ? options->max : CLIPS_DEFAULT, &clips);
        if (exit_code == CTL_OK && options->json)
                exit_code = print_json(&clips);
        else if (exit_code == CTL_OK) {
                exit_code = print_table(&clips);
                if (clips.more)
                        fprintf(stderr,
                                "There are older clips: go on with --before %llu, or ask for more with --max.\n",
                                (unsigned long long) clips.clips[clips.n - 1].id);
        }
        clips_done(&clips);
        return exit_code;
}
