/* SPDX-License-Identifier: Apache-2.0 */
#include "service/restored.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "service/manager_private.h"
#include "store/backup.h"

#define NOTE_MAX 256u

static int remove_note(const char *state_dir) {
        _cleanup_(fd_closep) int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        CRASH_POINT("restored-note-begins");
        if (dir < 0 || (unlinkat(dir, RESTORED_NAME, 0) < 0 && errno != ENOENT))
                return -errno;
        CRASH_POINT("restored-note-removed");
        return fd_sync_dir(dir);
}

/* Only now may the file go: a start that was cut short before tells the log again, which costs it a few numbers. */
static void on_told(int result, void *userdata) {
        Manager *m = userdata;
        int r;

        hold_replay_look(m->hold_replay);
        if (result < 0)
                return log_error(NULL, "That the database was put back from a backup is not in the custody log: %s",
                                 store_last_refusal(m->store));
        r = remove_note(m->settings->state_dir);
        if (r < 0)
                log_error(NULL, "%s/" RESTORED_NAME " cannot be removed: %s; remove it, or each start takes the database for one that was "
                          "put back", m->settings->state_dir, strerror(-r));
}

int restored_note(Manager *m, ConfError *error) {
        _cleanup_(fd_closep) int dir = open(m->settings->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Fact f = { .kind = FACT_RESTORED };
        _cleanup_(freep) char *text = NULL;
        char safe[NOTE_MAX];
        size_t size = 0;
        int r;

        r = dir < 0 ? -errno : fd_read_file(dir, RESTORED_NAME, NOTE_MAX - 1, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return conf_fail(error, "%s/" RESTORED_NAME " cannot be read: %s", m->settings->state_dir, strerror(-r)), r;
        m->put_back = true;
        text_sanitise(text, safe, sizeof(safe));
        f.text = safe;
        manager_moment(m, &f.at);
        /* How many things it signed since nobody knows any more, but for that they were fewer than one a second. */
        f.key.numbers_from = (uint64_t) MAX2(f.at.wall_usec, (int64_t) 0) / USEC_PER_SEC;
        log_notice(NULL, "The database was put back from a backup: %s", safe);
        return store_put(m->store, &f, on_told, m);
}
