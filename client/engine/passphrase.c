#include "engine/passphrase.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { BUFFER_BYTES = PASSPHRASE_MAX_BYTES + 2 }; /* one more than fits, to notice, and one for a \r */

static int bad(engine_error *error)
{
    char most[16];
    snprintf(most, sizeof most, "%d", PASSPHRASE_MAX_BYTES);
    sentence_fill(error, SAY_PASSPHRASE_BAD, most, NULL, NULL);
    return TACET_E_MALFORMED;
}

static int unreadable(engine_error *error, const char *from)
{
    sentence_fill(error, SAY_PASSPHRASE_UNREADABLE, from, strerror(errno), NULL);
    return TACET_E_IO;
}

static volatile sig_atomic_t caught; /* one of the signals of the terminal's part, below */

/* Waits until a byte can be read. False: errno; EINTR when one of the signals that `waiting` lets through was caught. */
static bool byte_wait(int fd, const sigset_t *waiting)
{
    struct pollfd one = { fd, POLLIN, 0 };
    int rc;
    do
        rc = ppoll(&one, 1, NULL, waiting);
    while (rc < 0 && errno == EINTR && !caught);
    return rc >= 0;
}

/* One line of at most `room` bytes, without its end; of a longer one the rest is read and counted, not kept. False: errno. With `waiting` signals
 * are let through only while we wait, so that none slips in between asking for it and waiting; and they end it. */
static bool line_read(int fd, char *out, size_t room, size_t *bytes, const sigset_t *waiting)
{
    size_t n = 0;
    char c = 0;
    for (;;) {
        if (waiting && !byte_wait(fd, waiting))
            return false;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR && !waiting)
            continue;
        if (got < 0)
            return false;
        if (got == 0 || c == '\n')
            break;
        if (n < room)
            out[n] = c;
        n++;
    }
    sodium_memzero(&c, sizeof c);
    if (n > 0 && n <= room && out[n - 1] == '\r')
        n--;
    *bytes = n;
    return true;
}

static bool line_good(const char *text, size_t n) { return n >= 1 && n <= PASSPHRASE_MAX_BYTES && !memchr(text, 0, n); }

static char *room_take(secret_arena *a, engine_error *error)
{
    char *room = secret_alloc(a, BUFFER_BYTES);
    if (!room)
        sentence_fill(error, SAY_LOCKING, "1", NULL, NULL);
    return room;
}

/* Takes over `text`: it is the caller's in *out, or gone. */
static int line_take(passphrase *out, secret_arena *a, char *text, size_t n, engine_error *error)
{
    if (!line_good(text, n)) {
        secret_free(a, text);
        return bad(error);
    }
    *out = (passphrase){ text, n };
    return TACET_OK;
}

static int from_fd(passphrase *out, secret_arena *a, int fd, const char *from, engine_error *error)
{
    size_t n = 0;
    char *text = room_take(a, error);
    if (!text)
        return TACET_E_LOCKING;
    if (line_read(fd, text, BUFFER_BYTES, &n, NULL))
        return line_take(out, a, text, n, error);
    secret_free(a, text);
    return unreadable(error, from);
}

int passphrase_from_fd(passphrase *out, secret_arena *a, int fd, engine_error *error)
{
    char from[32];
    snprintf(from, sizeof from, "descriptor %d", fd);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* no command of --exec gets to read it again; a descriptor that is none is said below */
    return from_fd(out, a, fd, from, error);
}

int passphrase_from_file(passphrase *out, secret_arena *a, const char *path, engine_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return unreadable(error, path);
    int rc = from_fd(out, a, fd, path, error);
    close(fd);
    return rc;
}

void passphrase_free(passphrase *p, secret_arena *a)
{
    secret_free(a, (void *)(uintptr_t)p->text);
    *p = (passphrase){ NULL, 0 };
}

/* ---- the terminal ---------------------------------------------------------------------------------------------------------------------- */

/* Signals that would leave the terminal without echo. They are noted, the terminal is put right, then they are raised again. */
static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU };
enum { SIGNALS = sizeof signals / sizeof *signals };
static volatile sig_atomic_t caught_which[SIGNALS];

static void note_signal(int number)
{
    for (size_t i = 0; i < SIGNALS; i++)
        if (signals[i] == number)
            caught_which[i] = 1;
    caught = 1;
}

typedef struct {
    struct sigaction action[SIGNALS];
    sigset_t mask, waiting; /* waiting: all of `signals` let through */
} signal_state;

/* SIGTTIN and SIGTTOU come out of our own read and tcsetattr, and only unless they are blocked. */
static bool of_the_terminal(int number) { return number == SIGTTIN || number == SIGTTOU; }

static void signals_take(signal_state *before)
{
    struct sigaction noting = { .sa_handler = note_signal }; /* without SA_RESTART: the wait must end */
    sigset_t held, open;
    sigemptyset(&noting.sa_mask);
    sigemptyset(&held);
    sigemptyset(&open);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(of_the_terminal(signals[i]) ? &open : &held, signals[i]);
    sigprocmask(SIG_BLOCK, &held, &before->mask);
    sigprocmask(SIG_UNBLOCK, &open, &before->waiting);
    caught = 0;
    for (size_t i = 0; i < SIGNALS; i++) {
        caught_which[i] = 0;
        sigdelset(&before->waiting, signals[i]);
        sigaction(signals[i], NULL, &before->action[i]);
        if (before->action[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &noting, NULL);
    }
}

/* Raises what was noted, in the way it would have come. True when something other than a stop was: then we shall not ask again. */
static bool signals_give_back(const signal_state *before)
{
    bool ended = false;
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before->action[i], NULL);
    sigprocmask(SIG_SETMASK, &before->mask, NULL); /* what came meanwhile is delivered here */
    for (size_t i = 0; i < SIGNALS; i++)
        if (caught_which[i]) {
            ended = ended || (signals[i] != SIGTSTP && signals[i] != SIGTTIN && signals[i] != SIGTTOU);
            kill(getpid(), signals[i]);
        }
    return ended;
}

static bool terminal_set(int tty, const struct termios *how)
{
    while (tcsetattr(tty, TCSAFLUSH, how) != 0)
        if (errno != EINTR || caught)
            return false;
    return true;
}

/* One question and its answer, with the terminal put right in between. False: errno, or `caught`. */
static bool ask_once(int tty, const char *prompt, const sigset_t *waiting, char *text, size_t *bytes)
{
    struct termios before, quiet;
    if (tcgetattr(tty, &before) != 0)
        return false;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    quiet.c_lflag |= ICANON | ISIG;
    bool ok = terminal_set(tty, &quiet) && write(tty, prompt, strlen(prompt)) >= 0 && line_read(tty, text, BUFFER_BYTES, bytes, waiting);
    int why = errno;
    caught = 0; /* from here on nothing may keep the echo off */
    bool restored = terminal_set(tty, &before);
    bool ended = write(tty, "\n", 1) == 1;
    if (!ok)
        errno = why;
    return ok && restored && ended;
}

static bool any_caught(void)
{
    for (size_t i = 0; i < SIGNALS; i++)
        if (caught_which[i])
            return true;
    return false;
}

static int ask(passphrase *out, secret_arena *a, int tty, const char *prompt, engine_error *error)
{
    signal_state before;
    size_t n = 0;
    bool ok, again = false, ended = false;
    char *text = room_take(a, error);
    if (!text)
        return TACET_E_LOCKING;
    int why = 0;
    do {
        signals_take(&before);
        ok = ask_once(tty, prompt, &before.waiting, text, &n);
        why = errno;
        again = any_caught();
        ended = signals_give_back(&before);
    } while (again && !ended); /* stopped and continued: the question is gone from the screen */
    if (ok && !ended)
        return line_take(out, a, text, n, error);
    secret_free(a, text);
    errno = ended ? EINTR : why;
    (void)unreadable(error, "the terminal");
    return ended ? TACET_E_REFUSED : TACET_E_IO;
}

int passphrase_from_terminal(passphrase *out, secret_arena *a, const char *prompt, engine_error *error)
{
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        sentence_fill(error, SAY_LOCKED, NULL, NULL, NULL);
        return TACET_E_NOT_FOUND;
    }
    int rc = ask(out, a, tty, prompt, error);
    close(tty);
    return rc;
}

int passphrase_choose(passphrase *out, secret_arena *a, const char *prompt, engine_error *error)
{
    passphrase one = { NULL, 0 }, two = { NULL, 0 };
    int rc = passphrase_from_terminal(&one, a, prompt, error);
    if (rc == TACET_E_NOT_FOUND) /* nothing is locked: something is to be made */
        sentence_fill(error, SAY_NO_NEW_PASSPHRASE, NULL, NULL, NULL);
    if (rc == TACET_OK)
        rc = passphrase_from_terminal(&two, a, sentence_text(SAY_ASK_AGAIN), error);
    if (rc == TACET_OK && (one.bytes != two.bytes || sodium_memcmp(one.text, two.text, one.bytes) != 0)) {
        sentence_fill(error, SAY_PASSPHRASE_DIFFERS, NULL, NULL, NULL);
        rc = TACET_E_MALFORMED;
    }
    if (rc == TACET_OK)
        *out = one;
    else
        passphrase_free(&one, a);
    passphrase_free(&two, a);
    return rc;
}
