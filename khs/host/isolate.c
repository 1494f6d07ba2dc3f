/* Guests in a child process that can no longer do anything but compute and write to one
 * pipe: emulation in process is no security boundary by itself, a seccomp filter is one. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#if defined(__x86_64__)
#define ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH_HERE AUDIT_ARCH_AARCH64
#endif

/* ------------------------------------------------------------ the filter */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n])) /* low half */
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), RETURN(SECCOMP_RET_ALLOW)
/* Only with this value in an argument. The number is loaded again for the next test. */
#define ALLOW_IF(number, n, value) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 4), LOAD_ARG(n), \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), RETURN(SECCOMP_RET_ALLOW), LOAD(nr)

/* Memory for engines, signals of the abort guard, writing to the pipe, leaving. */
bool khs_host_confine(int fd)
{
    uint32_t self = (uint32_t)getpid();
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH_HERE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW_IF(__NR_write, 0, (uint32_t)fd),
        ALLOW_IF(__NR_mmap, 4, (uint32_t)-1), /* anonymous */
        ALLOW(__NR_munmap),
        ALLOW(__NR_mprotect),
        ALLOW(__NR_mremap),
        ALLOW(__NR_madvise),
        ALLOW(__NR_brk),
        ALLOW(__NR_futex),
        ALLOW(__NR_clock_gettime),
        ALLOW(__NR_rt_sigaction),
        ALLOW(__NR_rt_sigprocmask),
        ALLOW(__NR_rt_sigreturn),
        ALLOW(__NR_sigaltstack),
        ALLOW(__NR_getpid),
        ALLOW(__NR_gettid),
        ALLOW_IF(__NR_tgkill, 0, self), /* abort */
        ALLOW(__NR_exit_group),
        RETURN(SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* ------------------------------------------------------------ the child */

static khs_host *serving;

static void on_interrupt(int number)
{
    (void)number;
    khs_host_stop(serving);
}

static bool put(int fd, const void *data, uint64_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t n = write(fd, from, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false; /* nobody listens any more */
        from += n, size -= (uint64_t)n;
    }
    return true;
}

static bool packet(int fd, uint32_t kind, const void *data, uint64_t size)
{
    uint32_t header[] = {kind, (uint32_t)size};
    return put(fd, header, sizeof header) && put(fd, data, size);
}

static bool drain(khs_host *host, int fd)
{
    khs_host_events events;
    while (khs_host_drain(host, &events))
        if (!packet(fd, KHS_HOST_PACKET_EVENTS, events.records, events.size))
            return false;
    return true;
}

static uint64_t ending_size(uint32_t partitions)
{
    return sizeof(khs_host_ending) + partitions * sizeof(khs_partition_view);
}

uint64_t khs_host_packet_most(const khs_host *host)
{
    uint64_t ending = ending_size(host->config->partitions.count);
    return host->ring_size > ending ? host->ring_size : ending;
}

static void put_ending(khs_host *host, int fd, uint32_t boot_status, uint32_t end)
{
    khs_host_ending ending = {.boot_status = boot_status, .end = end};
    khs_host_status_get(host, &ending.status);
    uint32_t partitions = ending.status.partitions;
    uint64_t size = ending_size(partitions);
    uint8_t *whole = calloc(1, size);
    if (whole == NULL)
        return;
    *(khs_host_ending *)whole = ending;
    for (uint32_t i = 0; i < partitions; i++)
        khs_host_view(host, i, (khs_partition_view *)(whole + sizeof ending) + i);
    packet(fd, KHS_HOST_PACKET_END, whole, size);
}

static bool progress(const khs_host *host, int fd)
{
    khs_host_status status;
    khs_host_status_get(host, &status);
    return packet(fd, KHS_HOST_PACKET_PROGRESS, &status.frames, sizeof status.frames);
}

/* A full ring and a pause for the caller's signals are no ends here. */
static uint32_t run(khs_host *host, uint64_t frames, uint64_t until, int fd)
{
    for (;;) {
        uint32_t end = khs_host_run(host, frames, until);
        khs_devices_discard(host);
        if (!drain(host, fd) || !progress(host, fd))
            return KHS_HOST_INTERRUPTED;
        if (end != KHS_HOST_DRAIN && end != KHS_HOST_YIELDED)
            return end;
    }
}

/* Ends with its parent, which may already have gone. */
static bool stay_with(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

void khs_host_serve(khs_host *host, uint64_t frames, uint64_t until, int fd, int parent)
{
    if (!stay_with(parent))
        _exit(1);
    serving = host;
    signal(SIGINT, on_interrupt);
    signal(SIGPIPE, SIG_IGN);
    if (!khs_host_confine(fd))
        _exit(KHS_HOST_NOT_CONFINED);
    uint32_t status = khs_host_boot(host), end = KHS_HOST_STOPPED;
    if (status == KHS_OK_STATUS)
        end = run(host, frames, until, fd);
    put_ending(host, fd, status, end);
    _exit(0);
}
