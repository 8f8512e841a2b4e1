/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire_bay.h"
#include "base/wire_flash.h"
#include "bay/sandbox.h"
#include "bay/session.h"

#define CHUNK (64u * 1024u)
#define TELL_USEC (USEC_PER_SEC / 4)

static int progress_fd = -EBADF;
static uint64_t told_usec, image_bytes;

/* Held until the process ends, however it does. */
static int take_lock(void) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
        int fd = openat(WIRE_FLASH_FD_FOLDER, WIRE_FLASH_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        return fcntl(fd, F_SETLK, &lock) < 0 ? -errno : 0;
}

/* The signal's default action ends the process: no code of a plugin can put it off, and what the camera is left in is recovered. */
static int set_deadline(uint64_t usec) {
        struct itimerspec at = { .it_value = { .tv_sec = (time_t) (usec / USEC_PER_SEC), .tv_nsec = (long) (usec % USEC_PER_SEC) * 1000 } };
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
        timer_t timer;

        if (timer_create(CLOCK_BOOTTIME, &event, &timer) < 0 || timer_settime(timer, TIMER_ABSTIME, &at, NULL) < 0)
                return -errno;
        return 0;
}

/* In place, so that whoever reads sees one number or the other; written twice, should it see half of one. */
static void tell_progress(uint64_t bytes) {
        uint64_t now = clock_boottime_usec();
        char line[48];
        int n;

        if (progress_fd < 0 || (told_usec != 0 && now - told_usec < TELL_USEC && bytes < image_bytes))
                return;
        told_usec = now;
        n = snprintf(line, sizeof(line), "%020" PRIu64 " %020" PRIu64 "\n", bytes, bytes);
        if (pwrite(progress_fd, line, (size_t) n, 0) < 0) {
                log_warning(NULL, "how far it is cannot be written: %s", strerror(errno));
                progress_fd = fd_close(progress_fd);
        }
}

static int check_image(const FlashOrder *o, Fault *fault) {
        _cleanup_(hasher_freep) Hasher *hasher = NULL;
        char hex[DIGEST_HEX_SIZE];
        uint8_t chunk[CHUNK];
        uint64_t at = 0;
        Digest digest;
        int r;

        r = hasher_new(&hasher);
        while (r >= 0) {
                ssize_t n = pread(WIRE_FLASH_FD_IMAGE, chunk, sizeof(chunk), (off_t) at);

                if (n <= 0) {
                        r = n < 0 ? -errno : 0;
                        break;
                }
                r = hasher_update(hasher, chunk, (size_t) n);
                at += (uint64_t) n;
        }
        if (r >= 0)
                r = hasher_finish(hasher, &digest);
        if (r < 0)
                return fault_set(fault, WIRE_BAY_E_DISK, "the image cannot be read: %s", strerror(-r));
        if (at != o->size_bytes || !text_equal(digest_to_hex(&digest, hex), o->sha256))
                return fault_set(fault, WIRE_BAY_E_DISK, "the image on the dock's disk is not the one that was checked; nothing was sent");
        return 0;
}

/* Synced with its folder: it is all that tells how this went. */
static int write_outcome(const char *name, const Fault *fault) {
        char line[sizeof(fault->text) + 128];
        _cleanup_(fd_closep) int fd = -EBADF;
        size_t n;

        n = (size_t) snprintf(line, sizeof(line), "%s\t%s\n", fault ? fault->name : WIRE_FLASH_OK, fault ? fault->text : "");
        CRASH_POINT("flash-outcome-begins");
        fd = openat(WIRE_FLASH_FD_FOLDER, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, line, n) != (ssize_t) n)
                return -errno;
        CRASH_POINT("flash-outcome-unsynced");
        if (fdatasync(fd) < 0 || fsync(WIRE_FLASH_FD_FOLDER) < 0)
                return -errno;
        CRASH_POINT("flash-outcome-written");
        return 0;
}

static int flash(const char *plugin_path, const FlashOrder *o, Fault *fault) {
        Plugin plugin = {};
        Session session;
        int r;

        r = sandbox_prepare(fault);
        if (r >= 0)
                r = plugin_load(plugin_path, &plugin, fault);
        if (r >= 0)
                r = sandbox_enter(&(SandboxFds){ .incoming = WIRE_FLASH_FD_FOLDER, .bus = WIRE_BAY_FD_BUS, .source = WIRE_FLASH_FD_USB },
                                  fault);
        if (r >= 0)
                r = check_image(o, fault);
        if (r < 0)
                return r;
        session_init(&session, &plugin, WIRE_FLASH_FD_USB, WIRE_FLASH_FD_FOLDER);
        session.host.on_sent = tell_progress;
        r = session_open(&session, o->options, NULL, fault);
        if (r < 0)
                return r;
        CRASH_POINT("flash-begins");
        if (o->file)
                r = session_drop(&session, o->file, o->restart, WIRE_FLASH_FD_IMAGE, o->size_bytes, fault);
        else
                r = session_flash(&session, WIRE_FLASH_FD_IMAGE, o->size_bytes, fault);
        CRASH_POINT("flash-sent");
        session_close(&session);
        return r;
}

int flash_run(const char *plugin_path, const FlashOrder *order) {
        Fault fault;
        Digest digest;
        int r;

        /* berthd reads what it says for as long as it lives. */
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return EXIT_FAILURE;
        r = take_lock();
        if (r == -EACCES || r == -EAGAIN)
                return WIRE_FLASH_EXIT_BUSY;
        if (r >= 0)
                r = set_deadline(order->deadline_usec);
        /* libcrypto reads its configuration at the first use, which the sandbox would not let it. */
        if (r >= 0)
                r = digest_of("", 0, &digest);
        if (r < 0) {
                log_error(NULL, "cannot flash: %s", strerror(-r));
                return EXIT_FAILURE;
        }
        CRASH_POINT("flasher-locked");
        image_bytes = order->size_bytes;
        progress_fd = openat(WIRE_FLASH_FD_FOLDER, WIRE_FLASH_PROGRESS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (progress_fd < 0)
                log_warning(NULL, "how far it is cannot be written: %s", strerror(errno));
        r = flash(plugin_path, order, &fault);
        if (write_outcome(order->outcome, r < 0 ? &fault : NULL) < 0) {
                log_error(NULL, "how it went cannot be written: %s", strerror(errno));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
