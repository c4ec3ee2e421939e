/* Passphrases: one line from a descriptor, a file or a terminal that does not show it and is left as it was. */
#include "engine/passphrase.h"
#include "scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>

static secret_arena *arena;
static engine_error error;
static passphrase got;

static void start(void)
{
    ck_assert_int_eq(secret_arena_new(&arena, 16 * 1024), TACET_OK);
    got = (passphrase){ NULL, 0 };
}

/* a descriptor from which `text` comes */
static int pipe_of(const char *text, size_t n)
{
    int fd[2];
    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(write(fd[1], text, n), (ssize_t)n);
    close(fd[1]);
    return fd[0];
}

#define LINE(text, want)                                                                                                                             \
    {                                                                                                                                                \
        text, sizeof text - 1, want, TACET_OK                                                                                                        \
    }
#define BAD(text)                                                                                                                                    \
    {                                                                                                                                                \
        text, sizeof text - 1, "", TACET_E_MALFORMED                                                                                                 \
    }
static const struct {
    const char *text;
    size_t n;
    const char *want;
    int status;
} lines[] = {
    LINE("secret\n", "secret"),
    LINE("secret", "secret"),
    LINE("secret\r\n", "secret"),
    LINE("two words \n", "two words "),
    LINE("first\nsecond\n", "first"),
    LINE("\xc3\xa9\xe2\x82\xac\n", "\xc3\xa9\xe2\x82\xac"),
    LINE("\xff\xfe\n", "\xff\xfe"),
    BAD(""),
    BAD("\n"),
    BAD("\r\n"),
    BAD("\nsecond\n"),
    BAD("a\0b\n"),
};
START_TEST(one_line_is_taken)
{
    start();
    int fd = pipe_of(lines[_i].text, lines[_i].n);
    ck_assert_int_eq(passphrase_from_fd(&got, arena, fd, &error), lines[_i].status);
    if (lines[_i].status == TACET_OK) {
        ck_assert_uint_eq(got.bytes, strlen(lines[_i].want));
        ck_assert_mem_eq(got.text, lines[_i].want, got.bytes);
    } else {
        ck_assert_str_eq(error.code, "bad-passphrase");
        ck_assert_ptr_null(got.text);
    }
    passphrase_free(&got, arena);
    passphrase_free(&got, arena);
    ck_assert_uint_eq(secret_in_use(arena), 0);
}
END_TEST

static const struct {
    size_t n;
    int want;
} lengths[] = {
    { 1, TACET_OK }, { 1023, TACET_OK }, { 1024, TACET_OK }, { 1025, TACET_E_MALFORMED }, { 1026, TACET_E_MALFORMED }, { 50000, TACET_E_MALFORMED }
};
START_TEST(what_is_too_long_is_refused_not_cut)
{
    static char text[60000];
    start();
    memset(text, 'x', lengths[_i].n);
    memcpy(text + lengths[_i].n, "\r\nrest", 6);
    int fd = pipe_of(text, lengths[_i].n + 6);
    ck_assert_int_eq(passphrase_from_fd(&got, arena, fd, &error), lengths[_i].want);
    if (lengths[_i].want == TACET_OK)
        ck_assert_uint_eq(got.bytes, lengths[_i].n);
    /* what stands behind the line is still there */
    char rest[5] = "";
    ck_assert_int_eq(read(fd, rest, 4), 4);
    ck_assert_str_eq(rest, "rest");
    passphrase_free(&got, arena);
    ck_assert_uint_eq(secret_in_use(arena), 0);
}
END_TEST

START_TEST(from_a_file_or_not)
{
    scratch_make();
    start();
    int fd = open(in_scratch("pass"), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "from a file\n", 12), 12);
    close(fd);
    ck_assert_int_eq(passphrase_from_file(&got, arena, in_scratch("pass"), &error), TACET_OK);
    ck_assert_uint_eq(got.bytes, 11);
    ck_assert_mem_eq(got.text, "from a file", 11);
    passphrase_free(&got, arena);
    ck_assert_int_eq(passphrase_from_file(&got, arena, in_scratch("none"), &error), TACET_E_IO);
    ck_assert_str_eq(error.code, "passphrase-unreadable");
    ck_assert_int_eq(passphrase_from_file(&got, arena, scratch, &error), TACET_E_IO);
    ck_assert_int_eq(passphrase_from_fd(&got, arena, 999, &error), TACET_E_IO);
    ck_assert_uint_eq(secret_in_use(arena), 0);
}
END_TEST

START_TEST(a_full_arena_is_said)
{
    start();
    void *all = NULL;
    for (size_t n = 64 * 1024; !all; n -= 16)
        all = secret_alloc(arena, n);
    int fd = pipe_of("secret\n", 7);
    ck_assert_int_eq(passphrase_from_fd(&got, arena, fd, &error), TACET_E_LOCKING);
}
END_TEST

/* ---- a terminal ---------------------------------------------------------------------------------------------------------------------- */

enum { CHOOSE = 1 };
static int tty; /* our end */
static char screen[4096];
static size_t screen_bytes;

/* Exit codes of the child that is asked: 0 it got "secret", 40 + status otherwise. */
static pid_t asked(int how)
{
    screen_bytes = 0;
    memset(screen, 0, sizeof screen);
    pid_t child = forkpty(&tty, NULL, NULL, NULL);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (int s = 1; s < 32; s++)
            if (s != SIGUSR1)
                signal(s, SIG_DFL); /* the test runner's handlers would end the runner */
        start();
        int rc = how == CHOOSE ? passphrase_choose(&got, arena, "New passphrase: ", &error)
                               : passphrase_from_terminal(&got, arena, "Passphrase: ", &error);
        _exit(rc != TACET_OK ? 40 + rc : got.bytes == 6 && memcmp(got.text, "secret", 6) == 0 ? 0 : 1);
    }
    return child;
}

/* Reads what is on the screen until `text` is there, at most 10 s. */
static void wait_for(const char *text)
{
    while (!strstr(screen, text)) {
        struct pollfd one = { tty, POLLIN, 0 };
        ck_assert_msg(poll(&one, 1, 10000) == 1, "never saw \"%s\", only \"%s\"", text, screen);
        ssize_t n = read(tty, screen + screen_bytes, sizeof screen - 1 - screen_bytes);
        ck_assert_msg(n > 0, "closed; never saw \"%s\", only \"%s\"", text, screen);
        screen_bytes += (size_t)n;
    }
}
static void type(const char *text) { ck_assert_int_eq(write(tty, text, strlen(text)), (ssize_t)strlen(text)); }
static bool echoes(void)
{
    struct termios t;
    ck_assert_int_eq(tcgetattr(tty, &t), 0);
    return t.c_lflag & ECHO;
}
static int end_of(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

START_TEST(the_terminal_does_not_show_it)
{
    pid_t child = asked(0);
    wait_for("Passphrase: ");
    ck_assert(!echoes());
    type("secret\n");
    wait_for("\n");
    int status = end_of(child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_ptr_null(strstr(screen, "secret"));
    ck_assert(echoes());
}
END_TEST

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGPIPE };
START_TEST(a_signal_leaves_the_terminal_as_it_was)
{
    pid_t child = asked(0);
    wait_for("Passphrase: ");
    type("sec"); /* half a passphrase on the way */
    ck_assert_int_eq(kill(child, deadly[_i]), 0);
    int status = end_of(child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == deadly[_i], "status %x", status);
    ck_assert(echoes());
}
END_TEST

static void nothing(int number) { (void)number; }

START_TEST(another_signal_is_no_end)
{
    signal(SIGUSR1, nothing);
    pid_t child = asked(0);
    wait_for("Passphrase: ");
    for (int i = 0; i < 3; i++) {
        type("se");
        usleep(20000);
        ck_assert_int_eq(kill(child, SIGUSR1), 0);
        usleep(20000);
        type("\025"); /* and the line is the terminal's to edit: this one is erased */
    }
    type("secret\n");
    int status = end_of(child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}
END_TEST

START_TEST(control_c_ends_it)
{
    pid_t child = asked(0);
    wait_for("Passphrase: ");
    type("\003");
    int status = end_of(child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    ck_assert(echoes());
}
END_TEST

START_TEST(stopped_and_continued_it_asks_again)
{
    int status;
    pid_t child = asked(0);
    wait_for("Passphrase: ");
    /* forkpty's child leads an orphaned process group, to which the kernel gives no stop of the terminal's: SIGTSTP is noted all the same */
    ck_assert_int_eq(kill(child, SIGTSTP), 0);
    screen_bytes = 0;
    memset(screen, 0, sizeof screen);
    if (waitpid(child, &status, WNOHANG | WUNTRACED) == child && WIFSTOPPED(status)) {
        ck_assert(echoes());
        ck_assert_int_eq(kill(child, SIGCONT), 0);
    }
    wait_for("Passphrase: ");
    type("secret\n");
    status = end_of(child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert(echoes());
}
END_TEST

static const struct {
    const char *first, *second;
    int want;
} pairs[] = { { "secret\n", "secret\n", 0 },
              { "secret\n", "Secret\n", 40 + TACET_E_MALFORMED },
              { "secret\n", "secre\n", 40 + TACET_E_MALFORMED },
              { "secre\n", "secret\n", 40 + TACET_E_MALFORMED },
              { "\n", NULL, 40 + TACET_E_MALFORMED } };
START_TEST(choosing_asks_twice)
{
    pid_t child = asked(CHOOSE);
    wait_for("New passphrase: ");
    type(pairs[_i].first);
    if (pairs[_i].second) {
        wait_for("The same again: ");
        type(pairs[_i].second);
    }
    int status = end_of(child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == pairs[_i].want, "status %x", status);
    ck_assert_ptr_null(strstr(screen, "ecre"));
}
END_TEST

START_TEST(without_a_terminal_it_is_locked)
{
    start();
    ck_assert_int_ge(setsid(), -1); /* a process group leader cannot; its child can */
    pid_t child = fork();
    if (child == 0) {
        if (setsid() < 0 && errno != EPERM)
            _exit(2);
        int rc = passphrase_from_terminal(&got, arena, "Passphrase: ", &error);
        _exit(rc == TACET_E_NOT_FOUND && strcmp(error.code, "locked") == 0 ? 0 : 1);
    }
    ck_assert_int_eq(end_of(child), 0);
}
END_TEST

SUITE("passphrase", LOOP(one_line_is_taken, ROWS(lines)), LOOP(what_is_too_long_is_refused_not_cut, ROWS(lengths)), TEST(from_a_file_or_not),
      TEST(a_full_arena_is_said), TEST(the_terminal_does_not_show_it), LOOP(a_signal_leaves_the_terminal_as_it_was, ROWS(deadly)),
      TEST(another_signal_is_no_end), TEST(control_c_ends_it), TEST(stopped_and_continued_it_asks_again), LOOP(choosing_asks_twice, ROWS(pairs)),
      TEST(without_a_terminal_it_is_locked))
