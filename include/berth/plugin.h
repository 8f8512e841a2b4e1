/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BERTH_PLUGIN_H
#define BERTH_PLUGIN_H

/*
 * The camera plugin ABI.
 *
 * A plugin is one shared object that teaches Berth one camera protocol. It runs inside `berth-bay`, one
 * process per camera, behind a sandbox: it sees one USB device, through the berth_host_*() functions below,
 * and nothing else. It never sees a path of the dock, the database, the bus or the network.
 *
 * All callbacks run on one thread, one at a time, and may block: whoever waits for them has a deadline, and
 * a callback that outstays it dies with its process. A plugin therefore needs no cleanup beyond close().
 *
 * Errors: 0 is success, a negative errno is a failure, and the positive BERTH_* codes are documented answers.
 *
 * The ABI grows by appending to the structs. A reader looks at `struct_size` before it touches a member that
 * ABI version 1 did not have; a callback that is NULL or beyond `struct_size` means "this camera cannot".
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PLUGIN_ABI 1u

/* A camera that offers more than this is refused: the limits guard the dock, not the camera. */
#define BERTH_CLIPS_MAX 65536u
#define BERTH_PATH_MAX 4096u /* bytes, with the terminating NUL */
#define BERTH_TEXT_MAX 256u  /* bytes of a descriptive string, with the terminating NUL */

/* Answers, not failures. */
#define BERTH_GONE 1   /* the clip is not on the camera (any more) */
#define BERTH_DENIED 2 /* the camera refuses: write protection, busy recording */

/* `mtime` of a clip, or the camera's clock, when the camera does not tell. */
#define BERTH_TIME_UNKNOWN INT64_MIN

/* The worker's end of one camera. Opaque. Valid from open() until close() returns. */
typedef struct berth_host berth_host;

/* What the camera says about itself. UTF-8, NUL-terminated, empty when the camera does not say. */
typedef struct berth_identity {
        size_t struct_size;
        char manufacturer[BERTH_TEXT_MAX];
        char model[BERTH_TEXT_MAX];
        char serial[BERTH_TEXT_MAX];
        char firmware[BERTH_TEXT_MAX];
        char storage_id[BERTH_TEXT_MAX]; /* volume id or the like: what stays when the USB identity changes */
} berth_identity;

#define BERTH_HEALTH_BATTERY (1u << 0)
#define BERTH_HEALTH_STORAGE (1u << 1)
#define BERTH_HEALTH_CLOCK (1u << 2)
#define BERTH_HEALTH_CHARGING (1u << 3)
#define BERTH_HEALTH_VOLUME (1u << 4)
#define BERTH_HEALTH_TEMPERATURE (1u << 5)
#define BERTH_HEALTH_RESTARTS (1u << 6)

typedef struct berth_health {
        size_t struct_size;
        uint32_t known; /* BERTH_HEALTH_*: which of the members below the camera told */
        uint8_t battery_percent;
        uint8_t charging;
        uint8_t read_only; /* part of BERTH_HEALTH_STORAGE */
        uint64_t storage_total_bytes;
        uint64_t storage_free_bytes;
        int64_t clock_unix_sec;       /* the camera's clock, as UTC seconds since 1970 */
        uint64_t clock_boottime_usec; /* berth_host_boottime_usec() at the moment that clock was read */
        uint8_t volume_dirty;         /* BERTH_HEALTH_VOLUME: a file system was not left cleanly */
        int32_t temperature_decidegrees; /* tenths of a degree Celsius: of the battery, or of what is nearest to it */
        uint32_t restarts;               /* how often it started again without having been told to, since it began to count */
} berth_health;

/* Whom a camera is issued to. UTF-8, NUL-terminated, "" for what is to be left empty. */
typedef struct berth_owner {
        size_t struct_size;
        char officer_id[BERTH_TEXT_MAX], officer_name[BERTH_TEXT_MAX];
        char unit_id[BERTH_TEXT_MAX], unit_name[BERTH_TEXT_MAX];
} berth_owner;

#define BERTH_CLIP_SIZE_UNKNOWN (1u << 0) /* the protocol could not say the size; it shows when read */
#define BERTH_CLIP_PROTECTED (1u << 1)    /* the camera marks it as protected from deletion */

/*
 * One footage file. `path` is relative, its components joined by '/', each made by berth_host_escape(), so that
 * it is valid UTF-8 without control characters, empty components, "." or "..". Two clips may have equal paths.
 * `handle` is the plugin's own name for it, good only within this session.
 */
typedef struct berth_clip {
        size_t struct_size;
        const char *path;
        uint64_t size_bytes;
        int64_t mtime_unix_sec; /* or BERTH_TIME_UNKNOWN */
        uint64_t handle;
        uint32_t flags; /* BERTH_CLIP_* */
} berth_clip;

typedef struct berth_plugin {
        uint32_t abi_version; /* BERTH_PLUGIN_ABI */
        uint32_t struct_size; /* sizeof(berth_plugin) as the plugin was compiled */
        const char *name;     /* "mtp" */
        const char *version;

        /*
         * Claims what it needs and brings the camera to where the other callbacks work. `options` are the
         * model file's `plugin.*` keys as "key=value" strings, ended by NULL; an unknown key is -EINVAL.
         * *ret_state is handed to every other callback. Required.
         */
        int (*open)(berth_host *host, const char *const *options, void **ret_state);
        /* Leaves the camera as it likes to be left. Not called when the process is killed. Required. */
        void (*close)(void *state);
        /* Fills what it knows. Strings that the camera sent are made valid UTF-8 by the plugin. Required. */
        int (*identify)(void *state, berth_identity *ret);
        /* Sets `known` for what the camera tells. */
        int (*health)(void *state, berth_health *ret);
        /* Sets the camera's clock to UTC seconds since 1970. */
        int (*set_clock)(void *state, int64_t unix_sec);
        /* Calls berth_host_clip() for each footage file; a negative return of it ends the listing. Required. */
        int (*list)(void *state);
        /*
         * Delivers the bytes [offset, offset + length) of the clip, in order, by berth_host_deliver() or
         * berth_host_deliver_bulk(). Exactly `length` bytes is success, whatever the listing said: with
         * BERTH_CLIP_SIZE_UNKNOWN, `length` is UINT64_MAX and the end of the object ends it. BERTH_GONE when it is
         * no longer there. Required.
         */
        int (*read)(void *state, const berth_clip *clip, uint64_t offset, uint64_t length);
        /* Deletes this one clip. 0 only after the camera said that it did; BERTH_GONE, BERTH_DENIED. */
        int (*erase)(void *state, const berth_clip *clip);

        /* ---- From here on appended: absent from plugins that were built earlier. ---- */

        /* What the camera holds as its owner; strings as in identify(). */
        int (*get_owner)(void *state, berth_owner *ret);
        /* Writes it, and sees by reading it back that it is there where the protocol can. */
        int (*set_owner)(void *state, const berth_owner *owner);
        /*
         * Sends the camera into the mode in which its footage can be read. 0 means that it took the command: it then leaves
         * the bus and comes back at the same port as another device. Nothing but close() is called afterwards.
         */
        int (*enter_storage)(void *state);
        /* Lets go of the storage so that the camera may go back to its first mode (SCSI START STOP UNIT with LoEj). */
        int (*eject)(void *state);
        /* Makes all storages empty. Called only where the site's policy and the model ask for it, in place of erase(). */
        int (*format)(void *state);
        /*
         * Sends the camera into the mode in which it takes firmware. 0 means that it took the command: it then leaves the bus and comes
         * back at the same port as another device. Nothing but close() is called afterwards.
         */
        int (*enter_update)(void *state);
        /*
         * Gives the camera the firmware image of that size, which berth_host_image() reads, and has it start what it got. It may be in
         * any state, an interrupted flash's included. 0: it took all of it and found nothing wrong; what it then runs its version tells
         * when it is back. Nothing but close() is called afterwards.
         */
        int (*flash)(void *state, uint64_t size_bytes);
        /*
         * Puts the firmware image of that size, which berth_host_image() reads, on the camera's storage as the file `path` (of the form of
         * berth_clip.path), in the place of one of that name; a folder that is missing is made. 0 only when it is there whole. Ended at any
         * moment before, it leaves no other file harmed, and may be called again in another session.
         */
        int (*drop)(void *state, const char *path, uint64_t size_bytes);
        /*
         * Has the camera leave the dock's hands, so that it looks for what was dropped: it leaves the bus and comes back at the same port.
         * Nothing but close() is called afterwards.
         */
        int (*restart)(void *state);
} berth_plugin;

/* Every plugin exports one object under this name. */
#define BERTH_PLUGIN_SYMBOL "berth_plugin_entry"
extern const berth_plugin berth_plugin_entry;

/* ---- What a plugin may call ------------------------------------------------------------------------------- */

/* A USB interface of the camera's active configuration. */
typedef struct berth_usb_interface {
        uint8_t number, alternate, class_code, subclass, protocol;
        uint8_t bulk_in, bulk_out, interrupt_in; /* endpoint addresses, 0 when it has none */
        uint16_t bulk_in_packet, bulk_out_packet; /* wMaxPacketSize */
} berth_usb_interface;

/* The number of interfaces (alternate settings count one each). */
size_t berth_host_interfaces(berth_host *host);
/* 0, or -ENOENT past the end. */
int berth_host_interface(berth_host *host, size_t index, berth_usb_interface *ret);
/* The device descriptor's ids, and a string descriptor as UTF-8 (empty when absent): 0 or -errno. */
void berth_host_device_ids(berth_host *host, uint16_t *ret_vid, uint16_t *ret_pid, uint16_t *ret_bcd_device);
#define BERTH_STRING_MANUFACTURER 1
#define BERTH_STRING_PRODUCT 2
#define BERTH_STRING_SERIAL 3
int berth_host_string(berth_host *host, int which, char ret[BERTH_TEXT_MAX]);
/* Claims an interface and selects its alternate setting; detaches a kernel driver when one is bound. */
int berth_host_claim(berth_host *host, uint8_t interface, uint8_t alternate);

/*
 * Transfers. Bytes transferred, or -errno: -ETIMEDOUT, -EPIPE (stall), -ENODEV (unplugged), -EOVERFLOW, -EIO.
 * A timeout of 0 is refused (-EINVAL): every wait has a deadline. On -ETIMEDOUT nothing is in flight any more; a
 * bulk transfer that had moved some bytes returns their number instead. While the kernel has no memory for a transfer it is tried again,
 * for as long as the timeout; then it is -ENOMEM, and the camera has seen nothing of it, or the number of bytes that a bulk transfer
 * had moved before.
 */
int berth_host_control(berth_host *host, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index,
                       void *data, uint16_t length, unsigned timeout_msec);
ssize_t berth_host_bulk(berth_host *host, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec);
ssize_t berth_host_interrupt(berth_host *host, uint8_t endpoint, void *data, size_t length, unsigned timeout_msec);
int berth_host_clear_halt(berth_host *host, uint8_t endpoint);
/* Resets the device (the kernel re-enumerates it in place). -ENODEV when it did not come back as itself. */
int berth_host_reset(berth_host *host);

/* ---- Within read() ---- */
/*
 * At each multiple of this in the clip the worker makes durable what was delivered before it, and goes on from there after a
 * failure. So bytes that the camera may still take back, by the status that follows them, must not be delivered up to such a mark.
 */
#define BERTH_BLOCK_BYTES (UINT64_C(8) << 20)
/* Delivers clip bytes. 0, or a negative errno that read() returns at once (disk full, cancelled, too much). */
int berth_host_deliver(berth_host *host, const void *data, size_t length);
/*
 * Delivers `length` bytes straight from a bulk IN endpoint, several transfers queued, without the plugin touching
 * them: for the bulk of a data phase whose length is known. Asks the device for exactly `length` bytes, the last
 * transfer's request rounded up to the packet size. Ends early at a short packet. Returns the number of bytes
 * delivered (it may be less than `length`, and with a lying camera, never more), or -errno. `timeout_msec` is per
 * transfer: how long the camera may stay silent. The plugin itself deals with a trailing zero-length packet.
 */
int64_t berth_host_deliver_bulk(berth_host *host, uint8_t endpoint, uint64_t length, unsigned timeout_msec);

/*
 * The bytes [offset, offset + length) of the clip that is being read cannot be read from the medium. For a camera that can name
 * them: after having narrowed them down and before read() returns -EIO. At most BERTH_UNREADABLE_MAX calls count. The clip is
 * then left alone for a while and read again from where it was durable; the camera is not at fault, and goes on with others.
 */
#define BERTH_UNREADABLE_MAX 64u
void berth_host_unreadable(berth_host *host, uint64_t offset, uint64_t length);

/* ---- Within flash() and drop() ---- */
/* Bytes [offset, offset + length) of the image: `length`, fewer at its end, 0 past it, or -errno. */
ssize_t berth_host_image(berth_host *host, uint64_t offset, void *data, size_t length);
/* So many bytes of the image, from its first on, are with the camera now: what people are shown of it. */
void berth_host_sent(berth_host *host, uint64_t bytes);

/* ---- Within list() ---- */
/* Reports one clip; the strings are copied. 0, -E2BIG past BERTH_CLIPS_MAX, -EINVAL for a path that breaks the rules. */
int berth_host_clip(berth_host *host, const berth_clip *clip);
/*
 * Makes one path component out of whatever bytes the camera calls a name: '/', '%', control characters, invalid
 * UTF-8, and a leading dot of "." and ".." become %XX. Returns the length, or -ENAMETOOLONG; 0 for an empty name
 * is made "%00", so that a component is never empty.
 */
ssize_t berth_host_escape(const void *name, size_t length, char *ret, size_t ret_size);

/* ---- Anywhere ---- */
#define BERTH_LOG_ERR 3
#define BERTH_LOG_WARNING 4
#define BERTH_LOG_INFO 6
#define BERTH_LOG_DEBUG 7
void berth_host_log(berth_host *host, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/*
 * A secret that the site gave for this camera ("password", "user"), or NULL. It belongs to the host, is valid until close(), and
 * must never get into a log line, an identity or a path.
 */
const char *berth_host_credential(berth_host *host, const char *name);
/* CLOCK_BOOTTIME, microseconds. */
uint64_t berth_host_boottime_usec(void);
/*
 * Times of cameras that name no zone. The model's `file_times` reaches the plugin as the option "utc-offset-minutes": minutes
 * ahead of UTC, or "local" for the dock's zone, which changes with the season: then these convert. `wall_sec` is what a clock
 * on the wall shows, as seconds since 1970 as if it showed UTC.
 */
int64_t berth_host_local_to_utc(int64_t wall_sec);
int64_t berth_host_utc_to_local(int64_t unix_sec);
/*
 * "I am alive, this takes long" for work that delivers no bytes (a device that formats, a long listing): puts off
 * the stall deadline, not the deadline of the whole call.
 */
void berth_host_alive(berth_host *host);

#ifdef __cplusplus
}
#endif
#endif
