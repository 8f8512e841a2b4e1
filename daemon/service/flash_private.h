/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The inside of flashing: flash.c has the steps, flash_begin.c what comes before the first, flash_load.c what an earlier run left,
 * flash_progress.c how far its worker is, docking_flash.c the docking's side.
 */

#include "base/jobs.h"
#include "model/model.h"
#include "service/docking.h"
#include "service/flash.h"
#include "service/flasher.h"
#include "service/manager_private.h"

#define FLASH_SENDINGS_MAX 3u
#define FLASH_ATTEMPTS_MAX 3u
#define FLASH_OBSERVERS_MAX 4u
/* The deadline of a worker that sends: so long, and as long as the image takes at this rate. */
#define FLASH_SENDING_USEC (UINT64_C(15) * 60 * USEC_PER_SEC)
#define FLASH_SENDING_RATE (UINT64_C(8) << 10)

typedef struct Flash {
        Flashes *flashes;
        struct Flash *next;
        FlashRow *row; /* its facts, as they are committed */
        Camera *camera;
        const Model *model, *loader;
        bool drops;       /* it gets a file on its storage, and is its own loader */
        Bay *bay;         /* NULL: not configured any more */
        Docking *docking; /* in which it goes on; NULL: nothing of it is in the bay */
        Flasher *flasher;
        int folder_fd;
        bool in_loader; /* what is in the docking is its loader */
        bool busy;      /* its image is being copied, or a fact is on its way to the disk */
        bool entering;  /* a worker sends the camera into its loader */
        unsigned sendings_before; /* of earlier dockings: whoever puts it in again wants it tried again */
        bool again;       /* of a dropped file: it was cut short, and is sent anew when nothing stands against it */
        bool cycled;      /* its port was switched off and on for its restart */
        uint64_t sent_usec; /* when it had all of it, in this boot's time; 0: it has not, or in another boot */
        char *came_back;
        uint64_t by_usec; /* as until_usec of the row, in this boot's time */
        uint64_t node_until_usec; /* how long udev may take to open the node; 0: not asked yet */
        uint64_t sent_bytes; /* of the sending under way, as its worker says */
        sd_event_source *decide, *wake, *look;
} Flash;

struct Flashes {
        Manager *manager;
        Flash *first;
        int root_fd; /* state/flash; negative while nothing was flashed */
        JobThread *thread;
        struct {
                FlashEnded ended;
                void *userdata;
        } observers[FLASH_OBSERVERS_MAX];
        size_t n_observers;
        struct FlashOrder *orders; /* flash_order.c: who waits for the end of one */
        bool observes_orders;
        bool stopping;
};

/* flash.c */
int flash_new(Flashes *all, FlashRow *row, Camera *camera, Flash **ret);
Flash *flash_free(Flash *f);
void flash_kick(Flash *f);
bool flash_has_ended(const Flash *f);
Fact flash_fact(const Flash *f, FactKind kind);
LogAbout flash_about(const Flash *f);
/* The sending under way, or the way into the loader, is over without having come to its end. */
void flash_cut_short(Flash *f, const char *text);
/* Its worker is this one from now on; it ended. */
void flash_worker_ended(void *userdata);
/* The folder of state/flash, opened when it is first needed. */
int flashes_root(Flashes *all);

/* flash_progress.c: has its worker, which is there, looked at four times a second. */
void flash_watch_progress(Flash *f);
/* 0 to 100. */
int flash_percent(const Flash *f);
/* flash_begin.c: what stands against it, but for FLASH_BIT()s that are looked at `later`; a sentence that the caller frees, or NULL. */
char *flash_why_not(Camera *c, const FlashRequest *request, uint32_t later);
/* flash_order.c: how far it is, for who ordered it. */
void flash_orders_tell(const Flash *f);
/* flash_order.c: nobody's order is waited for any more. */
void flash_orders_end(Flashes *all);

/* docking_flash.c: sends what is in the docking into its loader; `begun` is on record. */
void docking_enter_update(Docking *d);
/* Its camera has the file: it is asked who it is, and with which version, although it never left. */
void docking_flash_ask(Docking *d);
/* Its port is switched off and on. */
void docking_flash_cycle(Docking *d);
