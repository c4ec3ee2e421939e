#include "exec.h"
#include "base/secret.h"
#include "engine/caller.h"
#include "harmless.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 5000 /* from SIGTERM to SIGKILL */ };

extern char **environ;

/* The line in memory, to be read from its beginning: no pipe that would have to be fed, no file. */
static int line_file(const json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT), *safe = text ? harmless_json(text) : NULL;
    int fd = safe ? memfd_create("message", MFD_CLOEXEC) : -1;
    size_t n = safe ? strlen(safe) : 0;
    bool good = fd >= 0 && write(fd, safe, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && lseek(fd, 0, SEEK_SET) == 0;
    secret_text_free(text);
    secret_text_free(safe);
    if (good)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool start(pid_t *child, const char *script, int stdin_fd)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    char *argv[] = { "sh", "-c", (char *)script, NULL };
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return false;
    }
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    bool good = posix_spawn_file_actions_adddup2(&files, stdin_fd, STDIN_FILENO) == 0 && posix_spawnattr_setsigdefault(&attributes, &defaults) == 0 &&
                posix_spawnattr_setpgroup(&attributes, 0) == 0 &&
                posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0 &&
                posix_spawn(child, "/bin/sh", &files, &attributes, argv, environ) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return good;
}

static int exit_of(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EXEC_UNRUNNABLE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int timer_start(uint64_t ms)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec at = { .it_value = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 } };
    if (fd >= 0 && timerfd_settime(fd, 0, &at, NULL) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The command with all that it started. */
static void end(pid_t child, struct pollfd *ended)
{
    kill(-child, SIGTERM);
    if (poll(ended, 1, GRACE_MS) != 1)
        kill(-child, SIGKILL);
}

/* What ends the wait: 0 the command itself, or EXEC_STOPPED, EXEC_TIMED_OUT. `fds` are the command's pidfd and the timer. */
static int watch(cli *c, struct pollfd fds[2])
{
    caller_news n;
    engine_error why;
    caller_wait(c->caller, fds, 2, &n);
    if (n.kind == CALLER_STOPPED) {
        (void)stopped(c, &n, &why);
        return EXEC_STOPPED;
    }
    return fds[0].revents ? 0 : EXEC_TIMED_OUT;
}

int exec_message(cli *c, const char *script, uint64_t timeout_ms, const json_t *message)
{
    pid_t child = 0;
    int in = line_file(message), verdict = EXEC_STOPPED;
    bool started = in >= 0 && fflush(stdout) == 0 && start(&child, script, in);
    if (in >= 0)
        close(in);
    if (!started)
        return EXEC_UNRUNNABLE;
    struct pollfd fds[2] = { { .fd = pidfd_open(child, 0), .events = POLLIN },
                             { .fd = timeout_ms ? timer_start(timeout_ms) : -1, .events = POLLIN } };
    if (fds[0].fd < 0 || (timeout_ms && fds[1].fd < 0))
        verdict = EXEC_TIMED_OUT; /* out of descriptors: it cannot be watched, so it may not run */
    else
        verdict = watch(c, fds);
    if (verdict != 0)
        end(child, &fds[0]);
    int outcome = exit_of(child);
    for (int i = 0; i < 2; i++)
        if (fds[i].fd >= 0)
            close(fds[i].fd);
    return verdict != 0 ? verdict : outcome;
}

bool exec_start(const char *script, const json_t *message, pid_t *child)
{
    char *silent = NULL;
    int in = line_file(message);
    bool started = in >= 0 && asprintf(&silent, "exec >/dev/null 2>&1\n%s", script) >= 0 && start(child, silent, in);
    free(silent);
    if (in >= 0)
        close(in);
    return started;
}
