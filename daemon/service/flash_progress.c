/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How far a sending is, for people: its worker writes that into the folder, and it is read from there, so that a daemon that took a worker
 * over knows it as well. How often it is looked at is decided here: whoever is where a camera's bytes are does not wake the daemon.
 */

#include "base/clock.h"
#include "base/text.h"
#include "service/flash_folder.h"
#include "service/flash_private.h"
#include "service/timer.h"

#define LOOK_USEC (USEC_PER_SEC / 4)

int flash_percent(const Flash *f) {
        if (text_equal(f->row->transfer, "sent"))
                return 100;
        return f->row->size_bytes > 0 ? (int) ((double) f->sent_bytes * 100 / (double) f->row->size_bytes) : 0;
}

/* Of one sending it never goes back: a plugin may begin anew, and nobody is told less than before. */
static void look(Flash *f) {
        uint64_t bytes = MIN2(flash_folder_progress(f->folder_fd), f->row->size_bytes);
        int before = flash_percent(f);

        f->sent_bytes = MAX2(f->sent_bytes, bytes);
        if (flash_percent(f) == before)
                return;
        flash_orders_tell(f);
        if (f->docking)
                bay_changed(f->docking->bay);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata) {
        Flash *f = userdata;

        (void) usec;
        if (!f->flasher)
                return 0;
        look(f);
        return timer_in(source, LOOK_USEC);
}

void flash_watch_progress(Flash *f) {
        f->sent_bytes = 0;
        look(f);
        f->look = sd_event_source_disable_unref(f->look);
        /* Without it nothing is lost but the number. */
        (void) sd_event_add_time(f->flashes->manager->event, &f->look, CLOCK_BOOTTIME, clock_boottime_usec() + LOOK_USEC, LOOK_USEC / 8,
                                 on_look, f);
}
