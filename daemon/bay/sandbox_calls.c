/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * The system call filter: an allow-list. A call that is not on it ends the whole process (SIGSYS), since no plugin has an
 * honest reason for it and berthd then says so. A few calls that libraries try by themselves, and live without, fail with an
 * error instead. Arguments are checked where a call can do both what a worker needs and what it must not.
 *
 * Not here, among all the others: socket, connect, truncate (by path), unlink, rename, link, mkdir, chmod, chown, setxattr,
 * execve, fork, ptrace, process_vm_*, pidfd_*, mount, unshare, setns, keyctl, bpf, perf_event_open, io_uring_*, memfd_create.
 */

static const int allowed[] = {
        /* Memory. Nothing can be made executable: see below. */
        SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mremap),
        /* Threads, and the end. */
        SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(gettid),
        SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
        /* Its own signals. */
        SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
        /* Time, asked and waited for. timerfd and eventfd are libusb's. */
        SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
        SCMP_SYS(time), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(eventfd2),
        /* Descriptors that are open. */
        SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(lseek),
        SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(poll), SCMP_SYS(ppoll),
        /* The part: cut, made durable, and let go of by the page cache. */
        SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(fadvise64),
        /* What the process is. sysinfo is qsort()'s. */
        SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
        SCMP_SYS(sysinfo), SCMP_SYS(getrandom), SCMP_SYS(getrlimit),
};

/* Failing is all right for those who try. */
static const struct {
        int call, error;
} refused[] = {
        /* The C library falls back to clone, openat and fstat, whose arguments can be checked: these have theirs in memory. */
        { SCMP_SYS(clone3), ENOSYS }, { SCMP_SYS(openat2), ENOSYS }, { SCMP_SYS(statx), ENOSYS },
        /* libusb looks for /sys and /proc/self/fd, the C library for files like /etc/localtime. */
        { SCMP_SYS(open), EACCES }, { SCMP_SYS(stat), EACCES }, { SCMP_SYS(lstat), EACCES }, { SCMP_SYS(access), EACCES },
        { SCMP_SYS(faccessat), EACCES }, { SCMP_SYS(faccessat2), EACCES }, { SCMP_SYS(readlink), EACCES },
        { SCMP_SYS(readlinkat), EACCES }, { SCMP_SYS(statfs), EACCES }, { SCMP_SYS(getcwd), EACCES },
};

/*
 * What libusb needs for one wrapped device. USBDEVFS_IOCTL, which reaches into kernel drivers, is not among it: detaching one
 * goes by USBDEVFS_DISCONNECT_CLAIM. Neither are USBDEVFS_SETCONFIGURATION, CONNECT and DISCONNECT.
 */
static const unsigned usb_requests[] = {
        USBDEVFS_CONTROL, /* the active configuration */
        USBDEVFS_SUBMITURB, USBDEVFS_DISCARDURB, USBDEVFS_REAPURB, USBDEVFS_REAPURBNDELAY,
        USBDEVFS_CLAIMINTERFACE, USBDEVFS_RELEASEINTERFACE, USBDEVFS_DISCONNECT_CLAIM, USBDEVFS_SETINTERFACE,
        USBDEVFS_CLEAR_HALT, USBDEVFS_RESET,
        USBDEVFS_GET_CAPABILITIES, USBDEVFS_CONNECTINFO, USBDEVFS_GET_SPEED,
};

#define ALLOW SCMP_ACT_ALLOW
/* The kernel reads these arguments as 32 bits; so does the filter. */
#define IS32(argument, value) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t) (value))
#define LACKS(argument, bits) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, (uint64_t) (bits), 0)
#define HAS(argument, bits) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, (uint64_t) (bits), (uint64_t) (bits))

static int add_lists(scmp_filter_ctx filter) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(allowed); i++)
                r = seccomp_rule_add(filter, ALLOW, allowed[i], 0);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(refused); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t) refused[i].error), refused[i].call, 0);
        return r;
}

static int add_ioctls(scmp_filter_ctx filter, int usb_fd) {
        int r;

        for (size_t i = 0; i < ELEMENTSOF(usb_requests); i++) {
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(ioctl), 2, IS32(0, usb_fd), IS32(1, usb_requests[i]));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_memory(scmp_filter_ctx filter) {
        int r;

        r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(mmap), 1, LACKS(2, PROT_EXEC));
        if (r >= 0)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(mprotect), 1, LACKS(2, PROT_EXEC));
        return r;
}

static int add_processes(scmp_filter_ctx filter) {
        const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
        const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                    CLONE_NEWNET | CLONE_VFORK | CLONE_PTRACE;
        pid_t self = getpid();
        int r;

        /* Threads, and no processes. */
        r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(clone), 1, SCMP_CMP(0, SCMP_CMP_MASKED_EQ, thread | namespaces, thread));
        /* abort() and raise(). */
        if (r >= 0)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(kill), 1, IS32(0, self));
        if (r >= 0)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(tgkill), 1, IS32(0, self));
        /* Its own limits may be read. */
        if (r >= 0)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(prlimit64), 2, IS32(0, 0), SCMP_CMP(2, SCMP_CMP_EQ, 0));
        if (r >= 0)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(prctl), 1, IS32(0, PR_SET_NAME));
        return r;
}

static int add_files(scmp_filter_ctx filter) {
        static const int commands[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL };
        int r;

        /* Landlock says where. O_PATH it does not see, and O_TMPFILE makes files without a name. */
        r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(openat), 1, LACKS(2, O_PATH | (O_TMPFILE & ~O_DIRECTORY)));
        /* fstat() of this C library. By path it is as good as refused: the path must be empty to mean a descriptor. */
        if (r >= 0)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(newfstatat), 1, HAS(3, AT_EMPTY_PATH));
        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1, LACKS(3, AT_EMPTY_PATH));
        /* Not F_SETOWN, which has the kernel signal any process when a descriptor is ready. */
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(commands); i++)
                r = seccomp_rule_add(filter, ALLOW, SCMP_SYS(fcntl), 1, IS32(1, commands[i]));
        return r;
}

static int add_socket(scmp_filter_ctx filter, int fd) {
        static const int calls[] = { SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(getsockopt) };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(calls); i++)
                r = seccomp_rule_add(filter, ALLOW, calls[i], 1, IS32(0, fd));
        return r;
}

/*
 * What the sanitizers' run-time libraries do besides, only in builds for tests. They widen nothing that the tests of the sandbox
 * try.
 */
static int add_sanitizers(scmp_filter_ctx filter) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        static const int calls[] = {
                SCMP_SYS(getrusage),  /* TSan's background thread watches the memory */
                SCMP_SYS(msync),      /* ASan, of shadow pages */
                SCMP_SYS(mincore),
                SCMP_SYS(readlink),   /* of /proc/self/exe, for a report */
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(calls); i++)
                r = seccomp_rule_add(filter, ALLOW, calls[i], 0);
        return r;
#else
        (void) filter;
        return 0;
#endif
}

int sandbox_filter_calls(const SandboxFds *fds) {
        scmp_filter_ctx filter;
        int r;

        filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        if (!filter)
                return -ENOMEM;
        /* Calls by another architecture's numbers end it as well. A tree instead of a list: ioctl is called often. */
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r >= 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r >= 0)
                r = add_sanitizers(filter);
        if (r >= 0)
                r = add_lists(filter);
        if (r >= 0)
                r = fds->source_is_socket ? add_socket(filter, fds->source) : add_ioctls(filter, fds->source);
        /* stdio wants to know whether it writes to a terminal. It does not. */
        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1, IS32(1, TCGETS));
        if (r >= 0)
                r = add_memory(filter);
        if (r >= 0)
                r = add_processes(filter);
        if (r >= 0)
                r = add_files(filter);
        if (r >= 0)
                r = add_socket(filter, fds->bus);
        if (r >= 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}
