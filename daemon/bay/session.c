/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/session.h"

#include <errno.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"

#define SIZE_MAX_BYTES ((uint64_t) WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE)
/* Linux' errno numbers end there; anything lower is no errno. */
#define ERRNO_MAX 4095

/* The positive answers that a callback may give. */
enum { MAY_BE_GONE = 1 << 0, MAY_BE_DENIED = 1 << 1 };

void session_init(Session *s, const Plugin *plugin, int usb_fd, int incoming_fd) {
        *s = (Session){ .plugin = plugin, .incoming_fd = incoming_fd };
        host_init(&s->host, usb_fd);
}

static int fault_of_breach(const Session *s, Fault *fault) {
        switch (s->host.breach) {
        case HOST_TOO_MANY:
                return fault_set(fault, WIRE_BAY_E_LIMIT,
                                 "the camera lists more than %u clips, or more than %llu MiB of names", BERTH_CLIPS_MAX,
                                 (unsigned long long) (HOST_PATHS_MAX_BYTES / MIB));
        case HOST_BAD_PATH:
                return fault_set(fault, WIRE_BAY_E_PLUGIN,
                                 "the plugin %s reported a clip whose path is not relative, printable UTF-8 of less than %u bytes",
                                 s->plugin->name, BERTH_PATH_MAX);
        case HOST_BAD_CLIP:
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the plugin %s reported a clip with a wrong struct_size or unknown flags",
                                 s->plugin->name);
        case HOST_OVERFLOW:
                return fault_set(fault, WIRE_BAY_E_CAMERA, "the camera delivered more bytes than it was asked for");
        case HOST_MISPLACED:
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the plugin %s delivered clips or bytes when nobody asked for them",
                                 s->plugin->name);
        default:
                return 0;
        }
}

static int fault_of_errno(const Session *s, const char *doing, int error, Fault *fault) {
        const char *detail = s->host.detail[0] ? s->host.detail : strerror(-error);

        switch (error) {
        case -ENODEV:
                return fault_set(fault, WIRE_BAY_E_UNPLUGGED, "the camera was unplugged while Berth wanted to %s", doing);
        case -EOPNOTSUPP:
        case -ENOSYS:
                return fault_set(fault, WIRE_BAY_E_UNSUPPORTED, "this camera cannot %s: %s", doing, detail);
        case -E2BIG:
        case -ENAMETOOLONG:
                return fault_set(fault, WIRE_BAY_E_LIMIT, "cannot %s: the camera exceeds a limit of Berth: %s", doing, detail);
        case -ENOMEM:
                return fault_set(fault, WIRE_BAY_E_LIMIT, "cannot %s: the worker's memory limit was reached", doing);
        case -EINVAL:
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the plugin %s refused to %s: %s", s->plugin->name, doing, detail);
        default:
                return fault_set(fault, WIRE_BAY_E_CAMERA, "cannot %s: %s", doing, detail);
        }
}

/* What a callback returned, as 0 or a fault. `doing` completes "cannot …". */
static int answer(Session *s, const char *doing, int r, unsigned may, Fault *fault) {
        int broke;

        broke = fault_of_breach(s, fault);
        if (broke < 0)
                return broke;
        if (r == 0)
                return 0;
        if (r == BERTH_GONE && (may & MAY_BE_GONE))
                return fault_set(fault, WIRE_BAY_E_GONE, "cannot %s: it is not on the camera any more", doing);
        if (r == BERTH_DENIED && (may & MAY_BE_DENIED))
                return fault_set(fault, WIRE_BAY_E_DENIED, "the camera refuses to %s%s%s", doing, s->host.detail[0] ? ": " : "",
                                 s->host.detail);
        if (r > 0 || r < -ERRNO_MAX)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the plugin %s returned %d when asked to %s, which the ABI does not know",
                                 s->plugin->name, r, doing);
        /* A plugin may call it an I/O error; libusb knew better. */
        return fault_of_errno(s, doing, s->host.unplugged ? -ENODEV : r, fault);
}

static int unsupported(const char *doing, Fault *fault) {
        return fault_set(fault, WIRE_BAY_E_UNSUPPORTED, "the camera's plugin cannot %s", doing);
}

static int need_open(const Session *s, Fault *fault) {
        if (!s->open)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the camera has not been opened");
        if (s->left)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the camera was sent into another mode and can only be closed");
        return 0;
}

static void forget_secrets(Session *s) {
        s->host.credentials = NULL;
        s->secrets = secrets_free(s->secrets);
}

int session_open(Session *s, const char *const *options, Secrets *secrets, Fault *fault) {
        int r;

        if (s->open) {
                secrets_free(secrets);
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the camera is open already");
        }
        s->secrets = secrets;
        s->host.credentials = secrets_list(secrets);
        host_begin(&s->host);
        r = s->plugin->calls.open(&s->host, options, &s->state);
        r = answer(s, "open the camera", r, MAY_BE_DENIED, fault);
        s->open = r >= 0;
        if (r < 0)
                forget_secrets(s);
        return r;
}

void session_close(Session *s) {
        if (!s->open)
                return;
        host_begin(&s->host);
        s->plugin->calls.close(s->state);
        s->open = false;
        forget_secrets(s);
        clip_list_clear(&s->list);
        s->listed = s->erase_listed = false;
}

static int check_identity_text(const Session *s, const char *what, char text[static BERTH_TEXT_MAX], Fault *fault) {
        char safe[BERTH_TEXT_MAX];
        size_t length = strnlen(text, BERTH_TEXT_MAX);

        if (length == BERTH_TEXT_MAX || !text_is_utf8(text, length))
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the plugin %s gave a %s that is not NUL-terminated UTF-8",
                                 s->plugin->name, what);
        text_sanitise(text, safe, sizeof(safe));
        memcpy(text, safe, strlen(safe) + 1);
        return 0;
}

int session_identify(Session *s, berth_identity *ret, Fault *fault) {
        berth_identity id = { .struct_size = sizeof(id) };
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        host_begin(&s->host);
        r = s->plugin->calls.identify(s->state, &id);
        r = answer(s, "identify the camera", r, MAY_BE_DENIED, fault);
        if (r >= 0)
                r = check_identity_text(s, "manufacturer", id.manufacturer, fault);
        if (r >= 0)
                r = check_identity_text(s, "model", id.model, fault);
        if (r >= 0)
                r = check_identity_text(s, "serial", id.serial, fault);
        if (r >= 0)
                r = check_identity_text(s, "firmware version", id.firmware, fault);
        if (r >= 0)
                r = check_identity_text(s, "storage id", id.storage_id, fault);
        if (r < 0)
                return r;
        *ret = id;
        return 0;
}

/* Devices are in use that do not know how much of their storage is free. Their footage is pulled all the same. */
static void drop_nonsense(berth_health *health) {
        if ((health->known & BERTH_HEALTH_BATTERY) && health->battery_percent > 100) {
                log_warning(NULL, "the camera says that its battery is at %u percent; its level counts as unknown",
                            health->battery_percent);
                health->known &= ~BERTH_HEALTH_BATTERY;
        }
        if ((health->known & BERTH_HEALTH_STORAGE) && health->storage_free_bytes > health->storage_total_bytes) {
                log_warning(NULL, "the camera says that more of its storage is free than it has; its storage counts as unknown");
                health->known &= ~BERTH_HEALTH_STORAGE;
        }
        if ((health->known & BERTH_HEALTH_TEMPERATURE) && (health->temperature_decidegrees < WIRE_TEMPERATURE_MIN ||
                                                           health->temperature_decidegrees > WIRE_TEMPERATURE_MAX)) {
                log_warning(NULL, "the camera says that it has %d degrees Celsius; its temperature counts as unknown",
                            health->temperature_decidegrees / 10);
                health->known &= ~BERTH_HEALTH_TEMPERATURE;
        }
}

int session_health(Session *s, berth_health *ret, Fault *fault) {
        berth_health health = { .struct_size = sizeof(health) };
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!s->plugin->calls.health)
                return unsupported("tell its health", fault);
        host_begin(&s->host);
        r = s->plugin->calls.health(s->state, &health);
        r = answer(s, "check the camera's health", r, MAY_BE_DENIED, fault);
        if (r < 0)
                return r;
        drop_nonsense(&health);
        *ret = health;
        return 0;
}

int session_set_clock(Session *s, int64_t unix_sec, Fault *fault) {
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!s->plugin->calls.set_clock)
                return unsupported("set its clock", fault);
        host_begin(&s->host);
        r = s->plugin->calls.set_clock(s->state, unix_sec);
        return answer(s, "set the camera's clock", r, MAY_BE_DENIED, fault);
}

int session_list(Session *s, Fault *fault) {
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        clip_list_clear(&s->list);
        s->listed = s->erase_listed = false;
        host_begin(&s->host);
        s->host.listing = &s->list;
        r = s->plugin->calls.list(s->state);
        s->host.listing = NULL;
        r = answer(s, "list the clips", r, MAY_BE_DENIED, fault);
        s->listed = r >= 0;
        return r;
}

void session_forget_clip(Session *s, const Clip *clip) {
        size_t i = (size_t) (clip - s->list.clips);

        s->list.path_bytes -= strlen(clip->path);
        free(s->list.clips[i].path);
        memmove(&s->list.clips[i], &s->list.clips[i + 1], (s->list.n - i - 1) * sizeof(Clip));
        s->list.n--;
}

const Clip *session_clip(Session *s, uint32_t index, Fault *fault) {
        if (!s->listed || index >= s->list.n) {
                (void) fault_set(fault, WIRE_BAY_E_PLUGIN, "there is no clip %u in what this worker listed", index);
                return NULL;
        }
        return &s->list.clips[index];
}

int session_get_owner(Session *s, berth_owner *ret, Fault *fault) {
        berth_owner owner = { .struct_size = sizeof(owner) };
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!s->plugin->calls.get_owner)
                return unsupported("tell its owner", fault);
        host_begin(&s->host);
        r = s->plugin->calls.get_owner(s->state, &owner);
        r = answer(s, "read the camera's owner", r, MAY_BE_DENIED, fault);
        if (r >= 0)
                r = check_identity_text(s, "officer's id", owner.officer_id, fault);
        if (r >= 0)
                r = check_identity_text(s, "officer's name", owner.officer_name, fault);
        if (r >= 0)
                r = check_identity_text(s, "unit's id", owner.unit_id, fault);
        if (r >= 0)
                r = check_identity_text(s, "unit's name", owner.unit_name, fault);
        if (r < 0)
                return r;
        *ret = owner;
        return 0;
}

int session_set_owner(Session *s, const berth_owner *owner, Fault *fault) {
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!s->plugin->calls.set_owner)
                return unsupported("write its owner", fault);
        host_begin(&s->host);
        r = s->plugin->calls.set_owner(s->state, owner);
        return answer(s, "write the camera's owner", r, MAY_BE_DENIED, fault);
}

/* One of the callbacks that change what the camera is. `doing` completes "cannot …". */
static int change(Session *s, int (*callback)(void *state), const char *doing, Fault *fault) {
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!callback)
                return unsupported(doing, fault);
        clip_list_clear(&s->list);
        s->listed = s->erase_listed = false;
        host_begin(&s->host);
        CRASH_POINT("change-begins");
        r = callback(s->state);
        CRASH_POINT("changed");
        return answer(s, doing, r, MAY_BE_DENIED, fault);
}

int session_enter_storage(Session *s, Fault *fault) {
        int r = change(s, s->plugin->calls.enter_storage, "change to its storage mode", fault);

        s->left |= r >= 0;
        return r;
}

int session_eject(Session *s, Fault *fault) {
        int r = change(s, s->plugin->calls.eject, "eject its storage", fault);

        s->left |= r >= 0;
        return r;
}

int session_enter_update(Session *s, Fault *fault) {
        int r = change(s, s->plugin->calls.enter_update, "change to the mode in which it takes firmware", fault);

        s->left |= r >= 0;
        return r;
}

int session_flash(Session *s, int image_fd, uint64_t size_bytes, Fault *fault) {
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!s->plugin->calls.flash)
                return unsupported("take firmware", fault);
        host_begin(&s->host);
        s->host.image_fd = image_fd;
        s->host.image_size = size_bytes;
        r = s->plugin->calls.flash(s->state, size_bytes);
        s->host.image_fd = -EBADF;
        s->left = true;
        return answer(s, "take the firmware", r, MAY_BE_DENIED, fault);
}

int session_drop(Session *s, const char *file, bool restart, int image_fd, uint64_t size_bytes, Fault *fault) {
        int r;

        r = need_open(s, fault);
        if (r < 0)
                return r;
        if (!s->plugin->calls.drop)
                return unsupported("put a firmware file on it", fault);
        if (restart && !s->plugin->calls.restart)
                return unsupported("have it restart", fault);
        host_begin(&s->host);
        s->host.image_fd = image_fd;
        s->host.image_size = size_bytes;
        r = s->plugin->calls.drop(s->state, file, size_bytes);
        s->host.image_fd = -EBADF;
        s->left = true;
        r = answer(s, "take the firmware file", r, MAY_BE_DENIED, fault);
        if (r < 0 || !restart)
                return r;
        CRASH_POINT("firmware-dropped");
        host_begin(&s->host);
        return answer(s, "restart", s->plugin->calls.restart(s->state), MAY_BE_DENIED, fault);
}

int session_format(Session *s, Fault *fault) {
        return change(s, s->plugin->calls.format, "format its storage", fault);
}

/* The plugin named what it cannot read: that is the medium's fault, and the camera goes on with the next clip. */
static int fault_of_medium(berth_host *h, const Clip *clip, Fault *fault) {
        uint64_t size = clip->flags & BERTH_CLIP_SIZE_UNKNOWN ? SIZE_MAX_BYTES : clip->size_bytes;
        size_t n = ranges_settle(h->unreadable, h->n_unreadable, size);
        _cleanup_(freep) char *text = n > 0 ? ranges_text(h->unreadable, n) : NULL;

        if (n == 0)
                return 0;
        (void) fault_set(fault, WIRE_BAY_E_UNREADABLE, "%s of the clip cannot be read from the camera's medium%s%s", text ? text : "bytes",
                         h->detail[0] ? ": " : "", h->detail);
        memcpy(fault->ranges, h->unreadable, n * sizeof(ByteRange));
        fault->n_ranges = n;
        return -EBADE;
}

static int check_delivered(const Clip *clip, uint64_t length, uint64_t delivered, Fault *fault) {
        /* Of a clip whose size nobody knows, the end shows in that less comes. */
        if (delivered == length || (clip->flags & BERTH_CLIP_SIZE_UNKNOWN))
                return 0;
        return fault_set(fault, WIRE_BAY_E_CAMERA, "the camera delivered %llu of the %llu bytes that it was asked for",
                         (unsigned long long) delivered, (unsigned long long) length);
}

int session_read(Session *s, const Clip *clip, uint64_t offset, uint64_t length, Ring *ring,
                 void (*on_delivered)(void *userdata, uint64_t delivered), void *userdata, uint64_t *ret_delivered, Fault *fault) {
        berth_host *h = &s->host;
        berth_clip c = {
                .struct_size = sizeof(c),
                .path = clip->path,
                .size_bytes = clip->size_bytes,
                .mtime_unix_sec = clip->mtime_unix_sec,
                .handle = clip->handle,
                .flags = clip->flags,
        };
        int r = 0;

        host_begin(h);
        h->ring = ring;
        h->on_delivered = on_delivered;
        h->userdata = userdata;
        h->delivered = 0;
        h->asked = length == UINT64_MAX ? SIZE_MAX_BYTES - offset : length;
        /* Of nothing, nothing needs to be read. */
        if (length > 0)
                r = s->plugin->calls.read(s->state, &c, offset, length);
        if (r == 0 && host_flush(h) < 0)
                r = -ECANCELED; /* the ring knows why */
        h->ring = NULL;
        h->gathered = NULL;
        h->filled = 0;
        *ret_delivered = h->delivered;
        ring_release(ring);
        if (length == UINT64_MAX && h->breach == HOST_OVERFLOW)
                return fault_set(fault, WIRE_BAY_E_LIMIT, "the clip has more than 1 TiB");
        if (r == -EIO && h->breach == HOST_FINE && !h->unplugged && fault_of_medium(h, clip, fault) < 0)
                return -EBADE;
        r = answer(s, "read the clip", r, MAY_BE_GONE | MAY_BE_DENIED, fault);
        if (r >= 0)
                r = check_delivered(clip, length, h->delivered, fault);
        return r;
}

static void ignore_delivered(void *userdata, uint64_t delivered) {
        (void) userdata;
        (void) delivered;
}

int session_probe_clip(Session *s, const Clip *clip, Fault *fault) {
        Reading reading;

        return session_read_digest(s, clip, 0, 1, ignore_delivered, NULL, NULL, &reading, fault);
}

int session_erase_clip(Session *s, const Clip *clip, Fault *fault) {
        berth_clip c = {
                .struct_size = sizeof(c),
                .path = clip->path,
                .size_bytes = clip->size_bytes,
                .mtime_unix_sec = clip->mtime_unix_sec,
                .handle = clip->handle,
                .flags = clip->flags,
        };
        int r;

        if (!s->plugin->calls.erase)
                return unsupported("erase clips", fault);
        host_begin(&s->host);
        r = s->plugin->calls.erase(s->state, &c);
        return answer(s, "erase the clip", r, MAY_BE_GONE | MAY_BE_DENIED, fault);
}
