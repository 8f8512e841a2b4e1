/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "store/schema.h"

void proof_found(Proof *p, const char *where, const char *format, ...) {
        char text[1024];
        va_list arguments;

        if (p->counts.findings++ >= PROOF_FINDINGS_MAX)
                return;
        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (p->ops->found)
                p->ops->found(p->ops->userdata, where, text);
}

void proof_progress(const Proof *p, const char *what, uint64_t done, uint64_t total) {
        if (p->ops->progress)
                p->ops->progress(p->ops->userdata, what, done, total);
}

void proof_close(Proof *p) {
        p->db = db_close(p->db);
        p->dir = fd_close(p->dir);
}

int proof_open(const char *state_dir, const ProofOps *ops, Proof *ret, ConfError *error) {
        _cleanup_(freep) char *real = realpath(state_dir, NULL);
        _cleanup_(freep) char *path = NULL;
        Proof p = { .ops = ops, .state_dir = state_dir, .dir = -EBADF };
        int r;

        p.dir = real ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (p.dir < 0) {
                r = -errno;
                conf_fail(error, "the state folder %s cannot be opened: %s%s", state_dir, strerror(-r),
                          r == -EACCES ? "; it is for root and the daemon's user" : "");
                p.dir = -EBADF;
                return r;
        }
        path = text_format("%s/berth.db", real);
        if (!path) {
                proof_close(&p);
                return -ENOMEM;
        }
        r = db_open(path, DB_READ, &p.db);
        if (r >= 0)
                r = schema_recognise(p.db, path, error);
        if (r == 0)
                r = -ENODATA;
        if (r < 0) {
                if (!error->text[0])
                        conf_fail(error, "%s cannot be read: %s", path, r == -ENODATA ? "it is empty" : strerror(-r));
                proof_close(&p);
                return r;
        }
        *ret = p;
        return 0;
}
