/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A plugin that was taken over and tries to get out, one way at a time. list() names every way as a clip; the option
 * "try=NAME" tries that one in open(), which then returns 0 when the kernel did it, or would have with better arguments: whatever
 * error it gave came from the call itself. No way harms anything where it works: signals are number 0, and what is made outside of
 * the two folders goes away with the process. BERTH_DENIED is a refusal, with the errno in the log. The option "outside=DIR" is a
 * folder that is not the worker's, "inside=NAME" a file in the worker's own folder.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <berth/plugin.h>

#define FOLDER_FD 4
#define USB_FD 3

static char outside[256], inside[256] = "mine.part";

static const char *beside(const char *name) {
        static char path[512];

        (void) snprintf(path, sizeof(path), "%s/%s", outside, name);
        return path;
}

/* 0 when a call came back with anything but an error. */
static int did(long r) {
        return r < 0 ? -errno : 0;
}

static int opened(int fd) {
        if (fd < 0)
                return -errno;
        (void) close(fd);
        return 0;
}

static int own_file(void) {
        return openat(FOLDER_FD, inside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* ---- Files ---- */

static int read_outside(void) { return opened(open(beside("secret"), O_RDONLY | O_CLOEXEC)); }
static int write_outside(void) { return opened(open(beside("secret"), O_WRONLY | O_CLOEXEC)); }
static int create_outside(void) { return opened(open(beside("new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); }
static int list_outside(void) { return opened(open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
static int list_inside(void) { return opened(openat(FOLDER_FD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
static int leave_by_dotdot(void) { return opened(openat(FOLDER_FD, "../..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
static int read_passwd(void) { return opened(open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
static int read_other_memory(void) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/mem", (int) getppid());
        return opened(open(path, O_RDONLY | O_CLOEXEC));
}
static int write_own_memory(void) { return opened(open("/proc/self/mem", O_RDWR | O_CLOEXEC)); }
static int open_path_only(void) { return opened(open("/", O_PATH | O_CLOEXEC)); }
static int open_nameless(void) { return opened(openat(FOLDER_FD, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)); }
static int open_device(void) { return opened(open("/dev/null", O_RDWR | O_CLOEXEC)); }
static int truncate_outside(void) { return did(truncate(beside("secret"), 0)); }
static int truncate_inside(void) {
        char path[300];

        (void) opened(own_file());
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", FOLDER_FD, inside);
        return did(truncate(path, 0));
}
static int truncate_by_open(void) { return opened(open(beside("secret"), O_RDONLY | O_TRUNC | O_CLOEXEC)); }
static int creat_outside(void) { return opened((int) syscall(SYS_creat, beside("new"), 0600)); }
static int unlink_outside(void) { return did(unlink(beside("victim"))); }
static int unlink_inside(void) {
        (void) opened(own_file());
        return did(unlinkat(FOLDER_FD, inside, 0));
}
static int rename_inside(void) {
        (void) opened(own_file());
        return did(renameat(FOLDER_FD, inside, FOLDER_FD, "renamed"));
}
static int rename_over_inside(void) {
        (void) opened(own_file());
        return did(renameat2(FOLDER_FD, inside, FOLDER_FD, "other", 0));
}
static int link_inside(void) {
        (void) opened(own_file());
        return did(linkat(FOLDER_FD, inside, FOLDER_FD, "linked", 0));
}
static int symlink_inside(void) { return did(symlinkat("/etc/passwd", FOLDER_FD, "symlink")); }
static int mkdir_inside(void) { return did(mkdirat(FOLDER_FD, "folder", 0700)); }
static int rmdir_outside(void) { return did(rmdir(beside("empty"))); }
static int mkfifo_inside(void) { return did(mknodat(FOLDER_FD, "fifo", S_IFIFO | 0600, 0)); }
static int chmod_outside(void) { return did(chmod(beside("secret"), 0777)); }
static int chmod_own(void) { return did(fchmod(own_file(), 04755)); }
static int chown_outside(void) { return did(chown(beside("secret"), getuid(), getgid())); }
static int chown_own(void) { return did(fchown(own_file(), getuid(), getgid())); }
static int setxattr_outside(void) { return did(setxattr(beside("secret"), "user.a", "b", 1, 0)); }
static int setxattr_own(void) { return did(fsetxattr(own_file(), "user.a", "b", 1, 0)); }
static int utime_outside(void) { return did(utimensat(AT_FDCWD, beside("secret"), NULL, 0)); }
static int change_root(void) { return did(chroot("/")); }
static int change_folder(void) { return did(chdir("/")); }
static int change_folder_by_fd(void) { return did(fchdir(FOLDER_FD)); }
static int file_handle(void) {
        return did(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &(struct file_handle){ .handle_bytes = 0 }, &(int){ 0 }, 0));
}
static int lock_file(void) { return did(fcntl(own_file(), F_SETLK, &(struct flock){ .l_type = F_WRLCK })); }
static int lease_file(void) { return did(fcntl(own_file(), F_SETLEASE, F_RDLCK)); }
static int watch_files(void) { return opened(inotify_init1(IN_CLOEXEC)); }
static int send_file(void) { return did(sendfile(own_file(), own_file(), NULL, 0)); }
static int memory_file(void) { return opened(memfd_create("x", MFD_CLOEXEC)); }

/* ---- Network and other processes' ears ---- */

static int socket_inet(void) { return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int socket_unix(void) { return opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int socket_netlink(void) { return opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)); }
static int socket_pair(void) {
        int fds[2];

        return did(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
}
static int connect_bus(void) {
        struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket" };

        return did(connect(0, (const struct sockaddr *) &a, sizeof(a)));
}
static int bind_bus(void) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        return did(bind(0, (const struct sockaddr *) &a, sizeof(a)));
}
static int set_socket_option(void) { return did(setsockopt(0, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int))); }
static int message_to_other_fd(void) { return did(sendmsg(FOLDER_FD, &(struct msghdr){}, 0)); }
/* These outlive the process, so what was made is removed again. */
static int shared_memory(void) {
        int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

        return id < 0 ? -errno : did(shmctl(id, IPC_RMID, NULL));
}
static int message_queue(void) {
        int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

        return id < 0 ? -errno : did(msgctl(id, IPC_RMID, NULL));
}

/* ---- Processes ---- */

static int fork_process(void) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        return did(pid);
}
static int vfork_process(void) {
        pid_t pid = (pid_t) syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, malloc(65536), NULL, NULL, 0);

        if (pid == 0)
                syscall(SYS_exit, 0);
        return did(pid);
}
static int clone3_process(void) {
        uint64_t args[11] = { [4] = SIGCHLD };
        long pid = syscall(SYS_clone3, args, sizeof(args));

        if (pid == 0)
                _exit(0);
        return did(pid);
}
/* Does not come back when it succeeds: the file is not there. */
static int execute(void) { return did(execve("/nonexistent", (char *[]){ NULL }, (char *[]){ NULL })); }
static int execute_by_fd(void) { return did(syscall(SYS_execveat, FOLDER_FD, "nonexistent", NULL, NULL, 0)); }
static int kill_parent(void) { return did(kill(getppid(), 0)); }
static int kill_all(void) { return did(kill(-1, 0)); }
static int kill_group(void) { return did(kill(0, 0)); }
static int tgkill_parent(void) { return did(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int tkill_parent(void) { return did(syscall(SYS_tkill, getppid(), 0)); }
static int queue_parent(void) { return did(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &(siginfo_t){ .si_code = SI_QUEUE })); }
static int signal_by_owner(void) { return did(fcntl(0, F_SETOWN, getppid())); }
static int signal_by_timer(void) {
        timer_t t;

        return did(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &t));
}
static int trace(void) { return did(ptrace(PTRACE_SEIZE, getppid(), NULL, (void *) -1L)); }
static int read_process(void) {
        char c;
        struct iovec mine = { &c, 1 }, theirs = { &c, 1 };

        return did(process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0));
}
static int write_process(void) {
        struct iovec mine = { NULL, 0 }, theirs = { NULL, 0 };

        return did(process_vm_writev(getppid(), &mine, 1, &theirs, 1, 0));
}
static int open_process(void) { return opened((int) syscall(SYS_pidfd_open, getppid(), 0)); }
static int take_descriptor(void) { return did(syscall(SYS_pidfd_getfd, -1, 0, 0)); }
static int limit_parent(void) {
        struct rlimit now;

        return did(prlimit(getppid(), RLIMIT_CORE, NULL, &now));
}
static int raise_limit(void) { return did(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 })); }
static int set_own_limit(void) { return did(prlimit(0, RLIMIT_CORE, &(struct rlimit){ 0, 0 }, NULL)); }
static int renice_parent(void) { return did(setpriority(PRIO_PROCESS, (id_t) getppid(), 0)); }
static int bind_parent(void) { return did(sched_setaffinity(getppid(), 0, NULL)); }
static int new_session(void) { return did(setpgid(0, 0)); }
static int outlive_parent(void) { return did(prctl(PR_SET_PDEATHSIG, 0)); }
static int be_undumpable(void) { return did(prctl(PR_SET_DUMPABLE, 1)); }
static int be_reaper(void) { return did(prctl(PR_SET_CHILD_SUBREAPER, 1)); }
static int ask_seccomp(void) { return did(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &(uint32_t){ SECCOMP_RET_ALLOW })); }
static int ask_landlock(void) { return did(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)); }

/* ---- The kernel ---- */

static int executable_memory(void) {
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -errno : 0;
}
static int make_executable(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return did(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int make_executable_by_key(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return did(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1));
}
/* Of a type that no kernel has: the mount would outlive the test. */
static int mount_something(void) { return did(mount("none", beside("empty"), "nosuchfs", 0, NULL)); }
static int copy_tree(void) { return opened((int) syscall(SYS_open_tree, AT_FDCWD, "/", O_CLOEXEC)); }
static int unshare_files(void) { return did(unshare(CLONE_FILES)); }
static int unshare_user(void) { return did(unshare(CLONE_NEWUSER)); }
static int enter_namespace(void) { return did(setns(-1, 0)); }
static int keyring(void) { return did(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -2 /* KEY_SPEC_PROCESS_KEYRING */, 1)); }
static int add_key(void) { return did(syscall(SYS_add_key, "user", "x", "y", 1, -2)); }
static int load_bpf(void) { return did(syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &(union bpf_attr){}, sizeof(union bpf_attr))); }
static int perf_event(void) {
        struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(a), .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 };

        return did(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
}
static int io_uring(void) { return did(syscall(SYS_io_uring_setup, 1, &(struct io_uring_params){})); }
static int async_io(void) { return did(syscall(SYS_io_setup, 1, &(unsigned long){ 0 })); }
static int fault_handler(void) { return did(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */)); }
static int change_personality(void) { return did(personality(READ_IMPLIES_EXEC)); }
static int change_user(void) { return did(setuid(getuid())); }
static int change_group(void) { return did(setgid(getgid())); }
static int set_capabilities(void) {
        struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = {};

        return did(syscall(SYS_capset, &h, none));
}
static int read_kernel_log(void) { return did(syscall(SYS_syslog, 10, NULL, 0)); }
static int ask_clock(void) { return did(adjtimex(&(struct timex){})); }
static int other_architecture(void) {
#ifdef __x86_64__
        long r;

        /* getpid of 32-bit x86 */
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
        if (r < 0)
                errno = (int) -r;
        return did(r < 0 ? -1 : 0);
#else
        return 0;
#endif
}

/* ---- Descriptors ---- */

static int duplicate(void) { return opened(fcntl(0, F_DUPFD_CLOEXEC, 10)); }
static int duplicate_over(void) { return did(dup2(USB_FD, 9)); }
static int type_into_terminal(void) { return did(ioctl(2, TIOCSTI, "x")); }
static int ioctl_on_socket(void) { return did(ioctl(0, FIONREAD, &(int){ 0 })); }
static int ioctl_own_signal(void) { return did(ioctl(0, FIOSETOWN, &(pid_t){ getppid() })); }
static int usb_request_elsewhere(void) { return did(ioctl(FOLDER_FD, USBDEVFS_RESET)); }
static int usb_set_configuration(void) { return did(ioctl(USB_FD, USBDEVFS_SETCONFIGURATION, &(unsigned){ 0 })); }
static int usb_driver_call(void) { return did(ioctl(USB_FD, USBDEVFS_IOCTL, &(struct usbdevfs_ioctl){})); }

#define WAY(name) { #name, name }
static const struct {
        const char *name;
        int (*try)(void);
} ways[] = {
        WAY(read_outside), WAY(write_outside), WAY(create_outside), WAY(list_outside), WAY(list_inside), WAY(leave_by_dotdot),
        WAY(read_passwd), WAY(read_other_memory), WAY(write_own_memory), WAY(open_path_only), WAY(open_nameless), WAY(open_device),
        WAY(truncate_outside), WAY(truncate_inside), WAY(truncate_by_open), WAY(creat_outside), WAY(unlink_outside),
        WAY(unlink_inside), WAY(rename_inside), WAY(rename_over_inside), WAY(link_inside), WAY(symlink_inside), WAY(mkdir_inside),
        WAY(rmdir_outside), WAY(mkfifo_inside), WAY(chmod_outside), WAY(chmod_own), WAY(chown_outside), WAY(chown_own),
        WAY(setxattr_outside), WAY(setxattr_own), WAY(utime_outside), WAY(change_root), WAY(change_folder), WAY(change_folder_by_fd),
        WAY(file_handle), WAY(lock_file), WAY(lease_file), WAY(watch_files), WAY(send_file), WAY(memory_file),
        WAY(socket_inet), WAY(socket_unix), WAY(socket_netlink), WAY(socket_pair), WAY(connect_bus), WAY(bind_bus),
        WAY(set_socket_option), WAY(message_to_other_fd), WAY(shared_memory), WAY(message_queue),
        WAY(fork_process), WAY(vfork_process), WAY(clone3_process), WAY(execute), WAY(execute_by_fd), WAY(kill_parent), WAY(kill_all),
        WAY(kill_group), WAY(tgkill_parent), WAY(tkill_parent), WAY(queue_parent), WAY(signal_by_owner), WAY(signal_by_timer),
        WAY(trace), WAY(read_process), WAY(write_process), WAY(open_process), WAY(take_descriptor), WAY(limit_parent),
        WAY(raise_limit), WAY(set_own_limit), WAY(renice_parent), WAY(bind_parent), WAY(new_session), WAY(outlive_parent),
        WAY(be_undumpable), WAY(be_reaper), WAY(ask_seccomp), WAY(ask_landlock),
        WAY(executable_memory), WAY(make_executable), WAY(make_executable_by_key), WAY(mount_something), WAY(copy_tree),
        WAY(unshare_files), WAY(unshare_user), WAY(enter_namespace), WAY(keyring), WAY(add_key), WAY(load_bpf), WAY(perf_event),
        WAY(io_uring), WAY(async_io), WAY(fault_handler), WAY(change_personality), WAY(change_user), WAY(change_group),
        WAY(set_capabilities), WAY(read_kernel_log), WAY(ask_clock), WAY(other_architecture),
        WAY(duplicate), WAY(duplicate_over), WAY(type_into_terminal), WAY(ioctl_on_socket), WAY(ioctl_own_signal),
        WAY(usb_request_elsewhere), WAY(usb_set_configuration), WAY(usb_driver_call),
};

/* Errors that say "you must not", and not "not like this". */
static int is_refusal(int error) {
        return error == -EPERM || error == -EACCES || error == -ENOSYS;
}

static berth_host *the_host;

static int escape_open(berth_host *host, const char *const *options, void **ret_state) {
        const char *name = NULL;

        the_host = host;
        *ret_state = NULL;
        for (; *options; options++)
                if (strncmp(*options, "try=", 4) == 0)
                        name = *options + 4;
                else if (strncmp(*options, "outside=", 8) == 0)
                        (void) snprintf(outside, sizeof(outside), "%s", *options + 8);
                else if (strncmp(*options, "inside=", 7) == 0)
                        (void) snprintf(inside, sizeof(inside), "%s", *options + 7);
        for (size_t i = 0; name && i < sizeof(ways) / sizeof(ways[0]); i++)
                if (strcmp(name, ways[i].name) == 0) {
                        int r = ways[i].try();

                        berth_host_log(host, r == 0 ? BERTH_LOG_DEBUG : BERTH_LOG_ERR, "%s: %s", name, r == 0 ? "done" : strerror(-r));
                        return is_refusal(r) ? BERTH_DENIED : 0;
                }
        return name ? -EINVAL : 0;
}

static void escape_close(void *state) {
        (void) state;
}

static int escape_identify(void *state, berth_identity *ret) {
        (void) state;
        (void) snprintf(ret->serial, sizeof(ret->serial), "ESCAPE");
        return 0;
}

static int escape_list(void *state) {
        (void) state;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                berth_clip clip = { .struct_size = sizeof(clip), .path = ways[i].name, .mtime_unix_sec = BERTH_TIME_UNKNOWN };
                int r = berth_host_clip(the_host, &clip);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int escape_read(void *state, const berth_clip *clip, uint64_t offset, uint64_t length) {
        (void) state;
        (void) clip;
        (void) offset;
        (void) length;
        return -EIO;
}

const berth_plugin berth_plugin_entry = {
        .abi_version = BERTH_PLUGIN_ABI,
        .struct_size = sizeof(berth_plugin),
        .name = "escape",
        .version = "1.0",
        .open = escape_open,
        .close = escape_close,
        .identify = escape_identify,
        .list = escape_list,
        .read = escape_read,
};
