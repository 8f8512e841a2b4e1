/* SPDX-License-Identifier: Apache-2.0 */
#include "service/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/jobs.h"
#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"

#define FOLDER "firmware"
/* What is being got; an unfinished one of an earlier run is begun anew. */
#define UNFINISHED "unfinished"

typedef struct Wanted Wanted;
struct Wanted {
        Wanted *next;
        Images *images;
        CatalogImage image;
        ImageDone done; /* NULL: nobody waits for it any more */
        void *userdata;
        int fd;
        bool got; /* from the store, in this request */
        ConfError error;
};

struct Images {
        Manager *manager;
        JobThread *thread; /* reads images whole */
        int folder_fd;
        bool ending;
        uint64_t revision;
        Digest refused; /* what the store has under this name is something else, which was said */
        Wanted *first; /* is looked after; the others wait */
};

static void begin(Images *i);

static void other_copies(Images *i) {
        i->revision++;
        manager_tell(i->manager);
}

uint64_t images_revision(const Images *i) {
        return i->revision;
}

static char *name_of(const CatalogImage *image, char ret[static DIGEST_HEX_SIZE]) {
        return digest_to_hex(&image->digest, ret);
}

static Wanted *wanted_free(Wanted *w) {
        fd_close(w->fd);
        free(w);
        return NULL;
}

static void answer(Wanted *w, int result, const char *text) {
        Images *i = w->images;

        i->first = w->next;
        if (w->done)
                w->done(w->userdata, result, result < 0 ? -EBADF : TAKE_FD(w->fd), text);
        (void) wanted_free(w);
        if (i->first)
                begin(i);
}

static void fail(Wanted *w, int r, const char *doing) {
        _cleanup_(freep) char *text = text_format("the firmware %s for %s could not be %s: %s", w->image.version, w->image.model, doing,
                                                  strerrordesc_np(-r));

        answer(w, r, text ? text : "out of memory");
}

/* ---- Looking into it ------------------------------------------------------------------------------------------------ */

/* On the thread. What came from the store gets its name only when it is what it should be, and on the disk. */
static int check(void *userdata) {
        Wanted *w = userdata;
        char name[DIGEST_HEX_SIZE];
        int r;

        r = catalog_check_image(&w->image, w->fd, &w->error);
        if (r < 0 || !w->got)
                return r;
        CRASH_POINT("image-got");
        if (fdatasync(w->fd) < 0)
                return -errno;
        CRASH_POINT("image-synced");
        r = fd_rename_durable(w->images->folder_fd, UNFINISHED, w->images->folder_fd, name_of(&w->image, name));
        return r == -EEXIST ? 0 : r;
}

/* It was good once: it is got again. */
static void get_again(Wanted *w) {
        char name[DIGEST_HEX_SIZE];

        log_error(NULL, "The dock's copy is thrown away: %s", w->error.text);
        w->fd = fd_close(w->fd);
        if (unlinkat(w->images->folder_fd, name_of(&w->image, name), 0) < 0 && errno != ENOENT)
                return fail(w, -errno, "thrown away");
        other_copies(w->images);
        begin(w->images);
}

/* For reading alone from here on: it goes to a worker. */
static int reopen(Wanted *w) {
        char name[DIGEST_HEX_SIZE];
        struct stat checked, named;
        int fd = openat(w->images->folder_fd, name_of(&w->image, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &named) < 0 || fstat(w->fd, &checked) < 0 || named.st_ino != checked.st_ino) {
                fd_close(fd);
                return -ESTALE;
        }
        fd_close(w->fd);
        w->fd = fd;
        return 0;
}

static void checked(void *job, int result) {
        Wanted *w = job;

        if (result == -EBADMSG && !w->got)
                return get_again(w);
        if (result == -EBADMSG)
                return answer(w, result, w->error.text);
        if (result >= 0 && w->got) {
                other_copies(w->images);
                result = reopen(w);
        }
        if (result < 0)
                return fail(w, result, "read");
        answer(w, 0, NULL);
}

static void look(Wanted *w) {
        if (job_thread_submit(w->images->thread, check, checked, w) < 0)
                fail(w, -ENOMEM, "read");
}

/* ---- Getting it ----------------------------------------------------------------------------------------------------- */

/* Who wants it asks again and again. */
static void tell_refused(Images *i, const CatalogImage *image, const char *text) {
        log_full(digest_equal(&i->refused, &image->digest) ? LOG_DEBUG : LOG_ERR, &(LogAbout){ .message = MESSAGE_STATEMENT_REFUSED },
                 "A firmware image is not taken: %s", text);
        i->refused = image->digest;
}

static void on_got(void *userdata, void *cookie, const UplinkAnswer *a) {
        Wanted *w = cookie;
        _cleanup_(freep) char *text = NULL;

        (void) userdata;
        if (a->result == UPLINK_OK) {
                w->images->refused = (Digest){ 0 };
                return look(w);
        }
        if (a->result == UPLINK_GONE)
                text = text_format("the firmware %s for %s is in the catalog, and its image is not in the store", w->image.version,
                                   w->image.model);
        else if (a->result == UPLINK_CONFLICT)
                text = text_format("what the store has as the firmware %s for %s is something else: %s", w->image.version, w->image.model,
                                   a->text);
        if (a->result == UPLINK_CONFLICT)
                tell_refused(w->images, &w->image, text ? text : a->text);
        answer(w, a->result == UPLINK_GONE ? -ENOENT : a->result == UPLINK_CONFLICT ? -EBADMSG : -EAGAIN, text ? text : a->text);
}

static void get(Wanted *w) {
        int folder = w->images->folder_fd, r;

        w->got = true;
        if (unlinkat(folder, UNFINISHED, 0) < 0 && errno != ENOENT)
                return fail(w, -errno, "thrown away");
        w->fd = openat(folder, UNFINISHED, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (w->fd < 0)
                return fail(w, -errno, "kept");
        r = uplink_get_image(w->images->manager->uplink, w->fd, w->image.size_bytes, &w->image.digest, on_got, w);
        if (r < 0)
                fail(w, r, "asked for");
}

static void begin(Images *i) {
        Wanted *w = i->first;
        char name[DIGEST_HEX_SIZE];

        if (i->ending)
                return;
        w->fd = openat(i->folder_fd, name_of(&w->image, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (w->fd >= 0)
                look(w);
        else if (errno == ENOENT)
                get(w);
        else
                fail(w, -errno, "opened");
}

int images_get(Images *i, const CatalogImage *image, ImageDone done, void *userdata) {
        Wanted *w = calloc(1, sizeof(*w)), **end = &i->first;

        if (!w)
                return -ENOMEM;
        *w = (Wanted){ .images = i, .image = *image, .done = done, .userdata = userdata, .fd = -EBADF };
        while (*end)
                end = &(*end)->next;
        *end = w;
        if (i->first == w)
                begin(i);
        return 0;
}

bool images_has(const Images *i, const CatalogImage *image) {
        char name[DIGEST_HEX_SIZE];

        return faccessat(i->folder_fd, name_of(image, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void images_forget(Images *i, const void *userdata) {
        for (Wanted *w = i->first; w; w = w->next)
                if (w->userdata == userdata)
                        w->done = NULL;
}

/* ---- Beginning and end ---------------------------------------------------------------------------------------------- */

int images_new(Manager *m, Images **ret) {
        _cleanup_(images_freep) Images *i = calloc(1, sizeof(*i));
        _cleanup_(fd_closep) int state = open(m->settings->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (!i)
                return -ENOMEM;
        i->folder_fd = -EBADF;
        i->manager = m;
        if (state < 0)
                return -errno;
        i->folder_fd = fd_open_dir(state, FOLDER, 0700);
        if (i->folder_fd < 0)
                return i->folder_fd;
        r = job_thread_new(m->event, "images", &i->thread);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

Images *images_free(Images *i) {
        if (!i)
                return NULL;
        i->ending = true;
        for (Wanted *w = i->first; w; w = w->next)
                w->done = NULL;
        /* What it reads is finished first. */
        i->thread = job_thread_free(i->thread);
        while (i->first) {
                Wanted *w = i->first;

                i->first = w->next;
                (void) wanted_free(w);
        }
        fd_close(i->folder_fd);
        free(i);
        return NULL;
}
