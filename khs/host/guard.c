/* The abort guard: QEMU's translator answers some byte sequences with abort(). While
 * guests run, such a signal on their thread jumps out of the engine, which is then
 * abandoned (its state is unknown; closing it could abort again). Signals of other
 * threads, of this one outside guest code, and those that somebody sent, go where they
 * went before: no guest must be blamed for them. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define STACK_SIZE (64u * 1024u)

static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
#define SIGNALS (sizeof signals / sizeof *signals)

/* Signal handlers are the process's, so their book-keeping is too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction before[SIGNALS];
/* Of a model that a signal handler may read in any thread, without allocation. */
static _Thread_local khs_guard *current __attribute__((tls_model("initial-exec")));

static void chain(int number, siginfo_t *info, void *context)
{
    size_t i = 0;
    while (signals[i] != number)
        i++;
    struct sigaction old = before[i];
    if (old.sa_flags & SA_SIGINFO) {
        old.sa_sigaction(number, info, context);
    } else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
        old.sa_handler(number);
    } else if (old.sa_handler == SIG_DFL || info->si_code > 0) { /* a crash is not ignored */
        signal(number, SIG_DFL);
        raise(number);
    }
}

/* A crash of this thread, or an abort. */
static bool is_ours(int number, const siginfo_t *info)
{
    return info->si_code > 0 || (number == SIGABRT && info->si_code == SI_TKILL && info->si_pid == getpid());
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    khs_guard *guard = current;
    if (guard == NULL || !guard->armed || !is_ours(number, info)) {
        chain(number, info, context);
        return;
    }
    guard->armed = 0;
    guard->signal = number;
    siglongjmp(guard->back, 1);
}

static bool install(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++)
        if (sigaction(signals[i], &action, &before[i]) != 0)
            return false;
    return true;
}

/* Someone may have put a handler of their own over ours meanwhile: theirs stays. */
static void restore(void)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
            now.sa_sigaction == on_signal)
            sigaction(signals[i], &before[i], NULL);
    }
}

static bool use_stack(khs_guard *guard)
{
    if (guard->stack == NULL)
        guard->stack = malloc(STACK_SIZE);
    stack_t stack = {.ss_sp = guard->stack, .ss_size = STACK_SIZE};
    return guard->stack != NULL && sigaltstack(&stack, &guard->stack_before) == 0;
}

bool khs_guard_enter(khs_guard *guard)
{
    guard->armed = 0;
    if (!use_stack(guard))
        return false;
    guard->outer = current;
    current = guard;
    pthread_mutex_lock(&lock);
    bool fine = users > 0 || install();
    users += fine;
    pthread_mutex_unlock(&lock);
    if (!fine) {
        current = guard->outer;
        sigaltstack(&guard->stack_before, NULL);
    }
    return fine;
}

void khs_guard_leave(khs_guard *guard)
{
    pthread_mutex_lock(&lock);
    if (--users == 0)
        restore();
    pthread_mutex_unlock(&lock);
    current = guard->outer;
    sigaltstack(&guard->stack_before, NULL);
}
