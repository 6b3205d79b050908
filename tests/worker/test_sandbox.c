/* SPDX-License-Identifier: Apache-2.0 */
/* What a process can't do any more once the restrictions are on. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/cleanup.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "worker/sandbox.h"

/* Under AddressSanitizer: its search for leaks at the end starts a process, which is what is refused here. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}

/* Leaves no room for doubt: it failed, and because it was refused. */
#define ck_assert_refused(call)                                                                             \
        do {                                                                                                \
                errno = 0;                                                                                  \
                ck_assert_msg((call) < 0 && errno == EPERM, #call ": %s", strerror(errno));                 \
        } while (0)

static void put_on(void)
{
        struct qvf_error error = { 0 };

        ck_assert_msg(worker_sandbox_process(&error) == 0, "%s", error.text);
        ck_assert_msg(worker_sandbox_files(true, &error) == 0, "%s", error.text);
}

START_TEST(no_program_process_or_socket)
{
        int fds[2];
        struct rlimit limit;

        put_on();
        ck_assert_refused(execl("/bin/true", "true", (char *)NULL));
        ck_assert_refused(fork());
        ck_assert_refused(socket(AF_INET, SOCK_STREAM, 0));
        ck_assert_refused(socket(AF_UNIX, SOCK_STREAM, 0));
        ck_assert_refused(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
        ck_assert_refused((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        ck_assert_refused(setuid(getuid()));
        ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
        ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
        ck_assert_uint_eq(limit.rlim_max, 0);
        ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}
END_TEST

START_TEST(no_file_by_path)
{
        int folder = test_folder();

        put_on();
        ck_assert_refused(open("/tmp/qvf-test-refused", O_WRONLY | O_CREAT, 0600));
        ck_assert_refused(open("/dev/null", O_RDWR));
        ck_assert_refused(open("/dev/null", O_WRONLY));
        ck_assert_refused(creat("/tmp/qvf-test-refused", 0600));
        ck_assert_refused(mkdir("/tmp/qvf-test-refused", 0700));
        ck_assert_refused(unlink("/tmp/qvf-test-refused"));
        ck_assert_refused(rename("/tmp/qvf-test-refused", "/tmp/qvf-test-other"));
        ck_assert_refused(unlinkat(AT_FDCWD, "/tmp/qvf-test-refused", 0));
        ck_assert_refused(symlink("/etc/passwd", "/tmp/qvf-test-refused"));
        ck_assert_refused(renameat(folder, "one", AT_FDCWD, "/tmp/qvf-test-refused"));
        ck_assert_int_ge(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}
END_TEST

START_TEST(files_in_a_folder_that_was_handed_in)
{
        int folder = test_folder();
        struct qvf_error error = { 0 };

        put_on();
        ck_assert_msg(qvf_atomic_file_put(folder, "state", 0600, "x", 1, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_atomic_file_put(folder, "state", 0600, "y", 1, &error) == 0, "%s", error.text);
        ck_assert_int_eq(unlinkat(folder, "state", 0), 0);
}
END_TEST

static void *nothing(void *context)
{
        return context;
}

START_TEST(threads_and_code_that_is_made)
{
        pthread_t thread;
        void *code;

        put_on();
        ck_assert_int_eq(pthread_create(&thread, NULL, nothing, NULL), 0);
        pthread_join(thread, NULL);
        code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(code, MAP_FAILED);
        ck_assert_int_eq(mprotect(code, 4096, PROT_READ | PROT_EXEC), 0);
}
END_TEST

#ifdef __x86_64__
/* The CPU plugin asks the kernel for the matrix unit when a device is opened, which may be after the filter was put on. */
START_TEST(matrix_unit)
{
        uint64_t features = 0;

        put_on();
        errno = 0;
        syscall(SYS_arch_prctl, 0x1021 /* ARCH_GET_XCOMP_SUPP */, &features);
        ck_assert_int_ne(errno, EPERM); /* EINVAL: a kernel before 5.16 */
        errno = 0;
        syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* the tiles' data */);
        ck_assert_int_ne(errno, EPERM); /* EOPNOTSUPP: a CPU without it */
}
END_TEST
#else
START_TEST(matrix_unit)
{
        printf("SKIP matrix unit: another processor\n");
}
END_TEST
#endif

QVF_SUITE("worker: sandbox", 20, matrix_unit, no_program_process_or_socket, no_file_by_path,
                files_in_a_folder_that_was_handed_in, threads_and_code_that_is_made)
