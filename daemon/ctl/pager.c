/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/term.h"

/* Quits when all fits the screen, leaves it there, and takes colours. */
#define LESS_OPTIONS "FRSXMK"

static pid_t pager;

/* Somebody else's privileges, by sudo or the like: a pager must not run commands, or write files, with them. */
static bool is_elevated(void) {
        const char *said = getenv("BERTH_PAGERSECURE");

        if (said && *said)
                return !text_equal(said, "0") && !text_equal(said, "no") && !text_equal(said, "false");
        return geteuid() != getuid() || (geteuid() == 0 && getenv("SUDO_UID"));
}

static const char *wanted(void) {
        const char *said = getenv("BERTH_PAGER");

        if (!said)
                said = getenv("PAGER");
        return said;
}

_Noreturn static void become_pager(pid_t parent, const int pipes[2], bool secure, const char *command) {
        const char *less = getenv("BERTH_LESS");

        /* It ends by its input's end; only when this program was killed there may be none. */
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent || dup2(pipes[0], STDIN_FILENO) < 0)
                _exit(1);
        (void) close(pipes[0]);
        (void) close(pipes[1]);
        (void) setenv("LESS", less && !secure ? less : LESS_OPTIONS, 1);
        (void) setenv("LESSCHARSET", "utf-8", 0);
        if (secure)
                (void) setenv("LESSSECURE", "1", 1);
        if (command && *command && !secure)
                (void) execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        (void) execlp("less", "less", (char *) NULL);
        (void) execlp("cat", "cat", (char *) NULL);
        _exit(1);
}

void pager_open(void) {
        const char *command = wanted();
        pid_t self = getpid();
        int pipes[2];
        Look look;

        if (pager > 0 || !isatty(STDOUT_FILENO) || (command && (!*command || text_equal(command, "cat"))))
                return;
        term_look(&look);
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return;
        (void) fflush(stdout);
        pager = fork();
        if (pager == 0)
                become_pager(self, pipes, is_elevated(), command);
        (void) close(pipes[0]);
        if (pager > 0 && dup2(pipes[1], STDOUT_FILENO) >= 0) {
                term_look_stays(&look);
                /* Who leaves the pager early has seen enough. */
                (void) signal(SIGPIPE, SIG_IGN);
        }
        (void) close(pipes[1]);
}

void pager_close(void) {
        if (pager <= 0)
                return;
        (void) fflush(stdout);
        (void) close(STDOUT_FILENO);
        /* An interrupt is the pager's from here on. */
        (void) signal(SIGINT, SIG_IGN);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
        pager = 0;
}

bool pager_is_open(void) {
        return pager > 0;
}
