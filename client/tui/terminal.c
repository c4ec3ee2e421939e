#include "terminal.h"
#include "tui/tui.h"
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static SCREEN *shown; /* NULL: no full screen */
static int signal_pipe[2] = { -1, -1 };
static struct sigaction before_winch, before_tstp, before_cont;

static void on_signal(int which)
{
    int was = errno;
    char byte = (char)which;
    (void)!write(signal_pipe[1], &byte, 1);
    errno = was;
}

static bool signals_catch(void)
{
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&act.sa_mask);
    return pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) == 0 && sigaction(SIGWINCH, &act, &before_winch) == 0 &&
           sigaction(SIGTSTP, &act, &before_tstp) == 0 && sigaction(SIGCONT, &act, &before_cont) == 0;
}

static void keys_define(void)
{
    static const struct {
        const char *bytes;
        int code;
    } row[] = {
        { "\033[200~", KEY_PASTE_BEGIN }, { "\033[201~", KEY_PASTE_END },  { "\033\r", KEY_ALT_ENTER },    { "\033\n", KEY_ALT_ENTER },
        { "\033b", KEY_ALT_B },           { "\033f", KEY_ALT_F },          { "\033d", KEY_ALT_D },         { "\033a", KEY_ALT_A },
        { "\033[1;3A", KEY_ALT_UP },      { "\033[1;3B", KEY_ALT_DOWN },   { "\033[1;5D", KEY_CTRL_LEFT }, { "\033[1;5C", KEY_CTRL_RIGHT },
        { "\033[1;3D", KEY_CTRL_LEFT },   { "\033[1;3C", KEY_CTRL_RIGHT }, { "\033\033[A", KEY_ALT_UP },   { "\033\033[B", KEY_ALT_DOWN },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        (void)define_key(row[i].bytes, row[i].code);
}

/* Terminals that know nothing of bracketed paste pass over this. */
static void paste_marks(bool on)
{
    fputs(on ? "\033[?2004h" : "\033[?2004l", stdout);
    fflush(stdout);
}

static bool locale_is_utf8(void)
{
    if (setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return true;
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL;
}

static bool refuse(engine_error *error, sentence which, const char *why)
{
    sentence_fill(error, which, why, NULL, NULL);
    return false;
}

bool terminal_open(bool color, engine_error *error)
{
    if (!locale_is_utf8())
        return refuse(error, SAY_CHAT_NO_UTF8, NULL);
    if (!signals_catch())
        return refuse(error, SAY_CHAT_NO_TERMINAL, sentence_text(SAY_WHY_SIGNALS));
    shown = newterm(NULL, stdout, stdin);
    if (!shown)
        return refuse(error, SAY_CHAT_NO_TERMINAL, sentence_text(SAY_WHY_TERMINAL));
    (void)raw();
    (void)noecho();
    (void)nonl();
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(25);
    keys_define();
    if (color && has_colors()) {
        (void)start_color();
        (void)use_default_colors();
    }
    paste_marks(true);
    return true;
}

void terminal_close(void)
{
    if (shown) {
        paste_marks(false);
        (void)endwin();
        delscreen(shown);
        shown = NULL;
    }
    if (signal_pipe[0] >= 0) {
        (void)sigaction(SIGWINCH, &before_winch, NULL);
        (void)sigaction(SIGTSTP, &before_tstp, NULL);
        (void)sigaction(SIGCONT, &before_cont, NULL);
        close(signal_pipe[0]);
        close(signal_pipe[1]);
        signal_pipe[0] = signal_pipe[1] = -1;
    }
}

void tui_away(void)
{
    if (!shown)
        return;
    paste_marks(false);
    (void)endwin();
}

static void size_take(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        (void)resizeterm(size.ws_row, size.ws_col);
}

void tui_back(void)
{
    if (!shown)
        return;
    size_take();
    (void)clearok(curscr, TRUE);
    (void)refresh();
    paste_marks(true);
}

void terminal_suspend(void)
{
    tui_away();
    (void)raise(SIGSTOP); /* until SIGCONT */
    tui_back();
}

void terminal_fds(struct pollfd out[2])
{
    out[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    out[1] = (struct pollfd){ .fd = signal_pipe[0], .events = POLLIN };
}

bool terminal_key(key *out)
{
    wint_t code = 0;
    int got = get_wch(&code);
    if (got == ERR)
        return false;
    *out = (key){ .function = got == KEY_CODE_YES, .code = (int)code };
    return true;
}

bool terminal_signals(void)
{
    char which[64];
    ssize_t n = read(signal_pipe[0], which, sizeof which);
    bool stop = false;
    for (ssize_t i = 0; i < n; i++)
        stop |= which[i] == SIGTSTP;
    if (stop)
        terminal_suspend();
    else if (n > 0) {
        size_take();
        (void)clearok(curscr, TRUE);
    }
    return n > 0;
}
