/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/checked.h"
#include "common/cleanup.h"

#define FILES_MOST 4096u

/* Names that this machine's kernel or library does not have are passed over. */
static const char *const refused[] = {
        /* programs and processes (threads: see below) */
        "execve",
        "execveat",
        "fork",
        "vfork",
        "setns",
        "unshare",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "process_madvise",
        "kcmp",
        "pidfd_getfd",
        "pidfd_open",
        "personality",
        /* the network, and any other socket than those that are open */
        "socket",
        "socketpair",
        "socketcall",
        "connect",
        "bind",
        "listen",
        "accept",
        "accept4",
        /* the kernel */
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
        "kexec_file_load",
        "reboot",
        "swapon",
        "swapoff",
        "syslog",
        "acct",
        "quotactl",
        "add_key",
        "request_key",
        "keyctl",
        "lookup_dcookie",
        "move_pages",
        "fanotify_init",
        "vhangup",
        "iopl",
        "ioperm",
        "modify_ldt",
        /* the tree of files, and whose they are */
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "open_tree",
        "move_mount",
        "fsopen",
        "fsmount",
        "fspick",
        "mount_setattr",
        "mknod",
        "mknodat",
        "chown",
        "fchown",
        "lchown",
        "fchownat",
        "chmod",
        "fchmodat",
        "setxattr",
        "lsetxattr",
        "fsetxattr",
        "open_by_handle_at",
        "name_to_handle_at",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "landlock_restrict_self",
        /* who we are, and the clock */
        "setuid",
        "setgid",
        "setreuid",
        "setregid",
        "setresuid",
        "setresgid",
        "setgroups",
        "setfsuid",
        "setfsgid",
        "capset",
        "settimeofday",
        "clock_settime",
        "clock_adjtime",
        "adjtimex",
        "stime",
        "sethostname",
        "setdomainname",
};

static void filter_release(scmp_filter_ctx *filter)
{
        if (*filter)
                seccomp_release(*filter);
}

static int refuse(scmp_filter_ctx filter, const char *name)
{
        int call = seccomp_syscall_resolve_name(name);
        int r = call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);

        return r == -EDOM || r == -EACCES ? 0 : r; /* another architecture's */
}

static int put_on(scmp_filter_ctx filter, int r, struct qvf_error *error)
{
        /* All threads: a plugin has some by now. */
        r = r < 0 ? r : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
        r = r < 0 ? r : seccomp_load(filter);
        if (r < 0)
                return qvf_error_set(error, r, "the system calls can't be restricted: %s", strerror(-r));
        return 0;
}

int worker_sandbox_process(struct qvf_error *error)
{
        _cleanup_(filter_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int r = filter ? 0 : -ENOMEM;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
                        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0 ||
                        setrlimit(RLIMIT_NOFILE, &(struct rlimit){ FILES_MOST, FILES_MOST }) < 0)
                return qvf_error_set(error, -errno, "limits can't be set: %s", strerror(errno));
        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(refused); i++)
                r = refuse(filter, refused[i]);
        /* clone() is for threads alone; clone3() hides its flags, and the C library does without it. */
        if (r == 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
        if (r == 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        return put_on(filter, r, error);
}

/* openat() and its like with a path that does not begin at a folder that was handed in. */
static int refuse_writing(scmp_filter_ctx filter)
{
        static const unsigned writing[] = { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC };
        static const char *const by_path[] = { "creat", "truncate", "truncate64", "rename", "unlink",
                "mkdir", "rmdir", "utime", "utimes", "futimesat" };
        static const char *const at_folder[] = { "unlinkat", "mkdirat", "utimensat" };
        int r = 0;

        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(by_path); i++)
                r = refuse(filter, by_path[i]);
        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(at_folder); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
                                seccomp_syscall_resolve_name(at_folder[i]), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)AT_FDCWD));
        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(writing); i++) {
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 2,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)AT_FDCWD),
                                SCMP_A2(SCMP_CMP_MASKED_EQ, writing[i], writing[i]));
                if (r == 0)
                        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
                                        SCMP_A1(SCMP_CMP_MASKED_EQ, writing[i], writing[i]));
        }
        for (unsigned i = 0; r == 0 && i <= 2; i += 2) {
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(renameat), 1,
                                SCMP_CMP(i, SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)AT_FDCWD));
                if (r == 0)
                        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(renameat2), 1,
                                        SCMP_CMP(i, SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)AT_FDCWD));
        }
        if (r == 0) /* its flags can't be seen; the C library does not use it */
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
        return r;
}

int worker_sandbox_files(bool strict, struct qvf_error *error)
{
        _cleanup_(filter_release) scmp_filter_ctx filter = NULL;

        if (!strict)
                return 0;
        filter = seccomp_init(SCMP_ACT_ALLOW);
        return put_on(filter, filter ? refuse_writing(filter) : -ENOMEM, error);
}
