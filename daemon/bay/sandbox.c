/* SPDX-License-Identifier: Apache-2.0 */
#include "bay/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/wire_bay.h"

/* ---- Landlock ---- */

/*
 * Everything that ABI 2 (Linux 6.1) can govern, and nothing newer, so that a worker is locked in the same way everywhere:
 * rights that only some kernels know would hide on those what the others miss. What later ABIs add (truncation, ioctl, network,
 * signals, abstract sockets) is the system call filter's work.
 */
#define LANDLOCK_ABI 2
#define LANDLOCK_GOVERNED                                                                                         \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |              \
         LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |           \
         LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |               \
         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |            \
         LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define LANDLOCK_INCOMING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

static int restrict_files(int incoming_fd) {
        struct landlock_ruleset_attr ruleset = { .handled_access_fs = LANDLOCK_GOVERNED };
        struct landlock_path_beneath_attr rule = { .allowed_access = LANDLOCK_INCOMING, .parent_fd = incoming_fd };
        _cleanup_(fd_closep) int fd = -EBADF;
        long abi;

        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (abi < 0)
                return -errno;
        if (abi < LANDLOCK_ABI)
                return -EOPNOTSUPP;
        /* The size of ABI 2's struct: later members must not be handed to a kernel that does not know them. */
        fd = (int) syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset.handled_access_fs), 0);
        if (fd < 0)
                return -errno;
        if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                return -errno;
        return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

/* ---- Limits ---- */

/*
 * Address space: the ring (8 MiB), a full listing (70 MiB), stacks and libraries, and what the plugin needs.
 * Processes: counted over all processes of the user, so there must be room for every bay's threads; the filter lets a worker
 * make none but threads.
 */
#define LIMIT_ADDRESS_SPACE GIB
#define LIMIT_FILES 64
#define LIMIT_PROCESSES 4096
#define LIMIT_FILE_SIZE ((uint64_t) WIRE_BLOCKS_MAX * WIRE_BLOCK_SIZE)

/* The sanitizers reserve terabytes for their shadow of the memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#ifdef __SANITIZE_ADDRESS__
/*
 * The worker's environment is empty, so its options are compiled in. A crash stays the signal that it is; the leak check
 * would trace threads, for which the sandbox ends the process.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0:detect_leaks=0:exitcode=99";
}
#endif

static int limit(int resource, uint64_t value) {
        struct rlimit now;

        if (getrlimit((__rlimit_resource_t) resource, &now) < 0)
                return -errno;
        /* Never above what the unit gave. */
        now.rlim_max = MIN2(now.rlim_max, (rlim_t) value);
        now.rlim_cur = now.rlim_max;
        return setrlimit((__rlimit_resource_t) resource, &now) < 0 ? -errno : 0;
}

static int limit_resources(void) {
        int r;

        /* One heap for all threads: each heap of its own takes 128 MiB of address space. */
        (void) mallopt(M_ARENA_MAX, 1);
        /* Then writing beyond the limit is an error (EFBIG), and not the end. */
        if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
                return -errno;
        r = limit(RLIMIT_CORE, 0);
        if (r >= 0)
                r = limit(RLIMIT_NOFILE, LIMIT_FILES);
        if (r >= 0)
                r = limit(RLIMIT_NPROC, LIMIT_PROCESSES);
        if (r >= 0)
                r = limit(RLIMIT_FSIZE, LIMIT_FILE_SIZE);
        if (r >= 0 && !IS_SANITIZED)
                r = limit(RLIMIT_AS, LIMIT_ADDRESS_SPACE);
        return r;
}

/* On a dock the worker has none anyway; as root, in a rack that is simulated, this is what makes root nobody. */
static int drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* ---- Both doors ---- */

int sandbox_prepare(Fault *fault) {
        int r;

        r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
        if (r >= 0)
                r = limit_resources();
        if (r >= 0)
                r = drop_capabilities();
        if (r < 0)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the worker cannot give up its rights: %s", strerror(-r));
        return 0;
}

int sandbox_enter(const SandboxFds *fds, Fault *fault) {
        int r;

        r = restrict_files(fds->incoming);
        if (r < 0)
                return fault_set(fault, WIRE_BAY_E_PLUGIN,
                                 "the worker cannot lock itself in: it needs a kernel with Landlock ABI %d "
                                 "(Linux 6.1, CONFIG_SECURITY_LANDLOCK, "
                                 "and landlock among the kernel's lsm=): %s", LANDLOCK_ABI, strerror(-r));
        r = sandbox_filter_calls(fds);
        if (r < 0)
                return fault_set(fault, WIRE_BAY_E_PLUGIN, "the worker cannot lock itself in: the system call filter was refused: %s",
                                 strerror(-r));
        return 0;
}
