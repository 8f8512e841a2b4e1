/* SPDX-License-Identifier: Apache-2.0 */
#include "service/inhibit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/wire_flash.h"

/* One of each: asked for both at once, logind up to version 256 looks up the right of a third thing (the lid's). */
static const char *const whats[] = { "shutdown", "sleep" };

_Static_assert(ELEMENTSOF(whats) <= WIRE_FLASH_HOLDS_MAX, "a worker is handed all of them");

typedef struct Lock {
        Inhibit *inhibit;
        sd_bus_slot *call;
        int fd; /* as long as it is open, logind holds back; negative: it does not */
        bool answered; /* since it is wanted; after a no it is asked again now and then */
} Lock;

struct Inhibit {
        sd_bus *bus;
        Lock locks[ELEMENTSOF(whats)];
        bool wanted, told;
};

/* Once: a dock that has no logind has none tomorrow. */
static void tell_refusal(Inhibit *i, const sd_bus_error *error) {
        if (i->told)
                return;
        i->told = true;
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                log_info(NULL, "There is no logind on this machine: while a camera is given its firmware, nothing holds back a shutdown");
        else
                log_warning(NULL, "logind does not hold back a shutdown while a camera is given its firmware: %s; is Berth's rule in "
                                  "/usr/share/polkit-1/rules.d?", error && error->message ? error->message : "it does not say why");
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Lock *lock = userdata;
        int fd = -EBADF;

        (void) ret_error;
        lock->call = sd_bus_slot_unref(lock->call);
        lock->answered = true;
        if (sd_bus_message_is_method_error(m, NULL)) {
                tell_refusal(lock->inhibit, sd_bus_message_get_error(m));
                return 0;
        }
        /* The message's own descriptor ends with it. What is not wanted any more is let go of by that. */
        if (lock->inhibit->wanted && sd_bus_message_read(m, "h", &fd) >= 0)
                lock->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

static void ask(Inhibit *i) {
        for (size_t k = 0; k < ELEMENTSOF(whats); k++) {
                Lock *lock = &i->locks[k];
                int r;

                if (!i->wanted || !i->bus || lock->call || lock->fd >= 0)
                        continue;
                r = sd_bus_call_method_async(i->bus, &lock->call, "org.freedesktop.login1", "/org/freedesktop/login1",
                                             "org.freedesktop.login1.Manager", "Inhibit", on_answer, lock, "ssss", whats[k], "Berth",
                                             "A camera is given its firmware, and may be lost without power", "block");
                if (r < 0)
                        log_warning(NULL, "logind cannot be asked to hold back a %s: %s", whats[k], strerror(-r));
        }
}

int inhibit_new(Inhibit **ret) {
        Inhibit *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        for (size_t k = 0; k < ELEMENTSOF(whats); k++)
                i->locks[k] = (Lock){ .inhibit = i, .fd = -EBADF };
        *ret = i;
        return 0;
}

static void let_go(Inhibit *i) {
        for (size_t k = 0; k < ELEMENTSOF(whats); k++) {
                i->locks[k].fd = fd_close(i->locks[k].fd);
                i->locks[k].answered = false;
        }
}

static void drop_bus(Inhibit *i) {
        for (size_t k = 0; k < ELEMENTSOF(whats); k++)
                i->locks[k].call = sd_bus_slot_unref(i->locks[k].call);
        i->bus = sd_bus_unref(i->bus);
}

Inhibit *inhibit_free(Inhibit *i) {
        if (!i)
                return NULL;
        drop_bus(i);
        let_go(i);
        free(i);
        return NULL;
}

void inhibit_set_bus(Inhibit *i, sd_bus *bus) {
        drop_bus(i);
        i->bus = bus ? sd_bus_ref(bus) : NULL;
        ask(i);
}

void inhibit_hold(Inhibit *i, bool wanted) {
        if (!i)
                return;
        i->wanted = wanted;
        if (wanted)
                ask(i);
        else
                let_go(i);
}

bool inhibit_asks(const Inhibit *i) {
        for (size_t k = 0; i && k < ELEMENTSOF(whats); k++)
                if (i->locks[k].call && !i->locks[k].answered)
                        return true;
        return false;
}

size_t inhibit_fds(const Inhibit *i, int *ret) {
        size_t n = 0;

        for (size_t k = 0; i && k < ELEMENTSOF(whats); k++)
                if (i->locks[k].fd >= 0)
                        ret[n++] = i->locks[k].fd;
        return n;
}
