/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "service/manager_private.h"
#include "service/timer.h"

#define LOOK_USEC (USEC_PER_SEC / 4)

struct Fetch {
        Fetch *next;
        Manager *manager;
        ClipRow *clip;
        int fd;
        bool asked;   /* the uplink is at it; before that, the database */
        bool stopped; /* and is to end */
        sd_event_source *look; /* at how much there is */
        FetchMoved moved;
        FetchDone done;
        void *userdata;
};

static Fetch *fetch_free(Fetch *f) {
        if (!f)
                return NULL;
        (void) clip_row_free(f->clip);
        sd_event_source_disable_unref(f->look);
        fd_close(f->fd);
        free(f);
        return NULL;
}
DEFINE_CLEANUP(Fetch, fetch_free);

/* Takes it off the list, and answers. */
static void finish(Fetch *f, int result, const char *text) {
        Fetch **at = &f->manager->fetches;

        while (*at && *at != f)
                at = &(*at)->next;
        if (*at)
                *at = f->next;
        f->done(f->userdata, result, text);
        (void) fetch_free(f);
}

static int errno_of(UplinkResult result) {
        switch (result) {
        case UPLINK_OK:
                return 0;
        case UPLINK_STOPPED:
                return -ECANCELED;
        case UPLINK_GONE:
                return -ENODATA;
        case UPLINK_CONFLICT:
                return -EBADMSG;
        case UPLINK_SOURCE:
                return -EIO;
        default:
                return -EAGAIN;
        }
}

static void on_got(void *userdata, void *cookie, const UplinkAnswer *answer) {
        Fetch *f = cookie;
        const LogAbout about = { .camera = f->clip->serial, .clip = f->clip->path };

        (void) userdata;
        if (answer->result == UPLINK_OK)
                log_notice(&about, "Read back from the store for an operator");
        else
                log_warning(&about, "Not read back from the store: %s", answer->text);
        finish(f, errno_of(answer->result), answer->text);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata) {
        Fetch *f = userdata;
        struct stat st;

        (void) usec;
        if (fstat(f->fd, &st) >= 0)
                f->moved(f->userdata, (uint64_t) st.st_size, f->clip->receipt_size_bytes);
        return timer_in(source, LOOK_USEC);
}

static void recorded(int result, void *userdata) {
        Fetch *f = userdata;
        const ClipRow *c = f->clip;

        if (f->stopped)
                return finish(f, -ECANCELED, "it was stopped");
        if (result < 0)
                return finish(f, result, "the order could not be recorded, and is not carried out");
        f->asked = true;
        result = uplink_get_clip(f->manager->uplink, c->id, f->fd, c->object_key, c->manifest_key, c->receipt_size_bytes,
                                 &c->receipt_digest, on_got, f);
        if (result < 0)
                return finish(f, result, "the uploader cannot be asked");
        /* Without it nothing is lost but the number. */
        (void) sd_event_add_time(f->manager->event, &f->look, CLOCK_BOOTTIME, 0, LOOK_USEC / 8, on_look, f);
}

static Fetch *find(const Manager *m, uint64_t clip_id) {
        Fetch *f = m->fetches;

        while (f && f->clip->id != clip_id)
                f = f->next;
        return f;
}

static int record(Fetch *f, const Operator *by) {
        Fact fact = {
                .kind = FACT_FETCH_ORDERED,
                .clip_id = f->clip->id,
                .camera_id = f->clip->camera_id,
                .by_operator = true,
                .operator_uid = by->uid,
                .operator_name = by->name,
        };

        manager_moment(f->manager, &fact.at);
        return store_put(f->manager->store, &fact, recorded, f);
}

int manager_fetch_clip(Manager *m, uint64_t clip_id, int fd, const Operator *by, FetchMoved moved, FetchDone done, void *userdata,
                       Fetch **ret) {
        _cleanup_(fetch_freep) Fetch *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        *f = (Fetch){ .manager = m, .fd = -EBADF, .moved = moved, .done = done, .userdata = userdata };
        r = store_clip(m->store, clip_id, &f->clip);
        if (r < 0)
                return r;
        if (!f->clip->object_key || !f->clip->manifest_key)
                return -ESTALE;
        if (find(m, clip_id))
                return -EBUSY;
        f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (f->fd < 0) {
                f->fd = -EBADF;
                return -errno;
        }
        r = record(f, by);
        if (r < 0)
                return r;
        f->next = m->fetches;
        *ret = m->fetches = TAKE_PTR(f);
        return 0;
}

void fetch_stop(Fetch *f) {
        f->stopped = true;
        if (f->asked)
                uplink_stop_get(f->manager->uplink, f);
}

void fetches_end(Manager *m) {
        while (m->fetches) {
                if (m->uplink)
                        uplink_forget(m->uplink, m->fetches);
                finish(m->fetches, -ECANCELED, "the daemon ends");
        }
}
