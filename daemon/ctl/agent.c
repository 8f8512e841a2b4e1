/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define READY_MSEC 5000

bool agent_may_ask(void) {
        return geteuid() != 0 && isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

/* Where another agent serves the session already, that one asks. */
_Noreturn static void become_agent(pid_t parent, int ready) {
        char process[16], fd[16];

        /* It must not outlive the one whose question it answers. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || fcntl(ready, F_SETFD, 0) < 0)
                _exit(1);
        snprintf(process, sizeof(process), "%d", (int) parent);
        snprintf(fd, sizeof(fd), "%d", ready);
        execlp("pkttyagent", "pkttyagent", "--process", process, "--notify-fd", fd, "--fallback", (char *) NULL);
        _exit(1);
}

void agent_start(void) {
        static bool started;
        pid_t self = getpid(), child;
        int pipes[2];

        if (started || pipe2(pipes, O_CLOEXEC) < 0)
                return;
        started = true;
        child = fork();
        if (child == 0)
                become_agent(self, pipes[1]);
        (void) close(pipes[1]);
        /* It closes its end when it is ready, or ends. */
        if (child > 0)
                (void) poll(&(struct pollfd){ .fd = pipes[0], .events = POLLIN }, 1, READY_MSEC);
        (void) close(pipes[0]);
}
