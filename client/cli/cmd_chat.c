/* chat: opens the way to the engine as every command does, then gives the terminal to tui/. */
#include "cli.h"
#include "exec.h"
#include "tui/tui.h"
#include <unistd.h>

int run_chat(cli *c)
{
    engine_error why = { 0 };
    if (c->json)
        return fail(c, SAY_ARG_JSON_CHAT, NULL, NULL, NULL);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return fail(c, SAY_ARG_TERMINAL, NULL, NULL, NULL);
    int exit = engine_reach(c);
    if (exit != EXIT_DONE)
        return exit;
    tui_options o = { .env = env_system(),
                      .name = c->args.operands > 0 ? c->args.operand[0] : NULL,
                      .color = c->color,
                      .exec = c->args.text[OPT_EXEC],
                      .exec_start = exec_start };
    c->follows = true;
    c->screen_away = tui_away;
    c->screen_back = tui_back;
    exit = tui_chat(c->caller, &o, &why);
    return exit == EXIT_DONE ? EXIT_DONE : fail_why(c, &why);
}
