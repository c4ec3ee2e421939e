#include "hook.h"
#include "chat.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

void hook_open(hook *h, const char *script, bool (*start)(const char *script, const json_t *message, pid_t *child))
{
    *h = (hook){ .script = script, .start = start, .waiting = script ? json_array() : NULL, .ended = -1 };
}

/* What runs is left to run: it may well be showing something. */
void hook_close(hook *h)
{
    if (h->ended >= 0)
        close(h->ended);
    json_decref(h->waiting);
    *h = (hook){ .ended = -1 };
}

void hook_message(hook *h, const json_t *message)
{
    if (!h->script)
        return;
    if (json_array_size(h->waiting) >= HOOK_WAITING_MAX || json_array_append_new(h->waiting, json_deep_copy(message)) != 0)
        h->missed++;
}

struct pollfd hook_watch(const hook *h) { return (struct pollfd){ .fd = h->ended, .events = POLLIN }; }

static void ended(chat *c)
{
    hook *h = &c->hook;
    int status = 0;
    if (h->child == 0 || waitpid(h->child, &status, WNOHANG) == 0)
        return;
    char how[40];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    (void)snprintf(how, sizeof how, "%d", code);
    if (code != 0)
        chat_tell(c, SAY_CHAT_HOOK_FAILED, how, NULL);
    if (h->ended >= 0)
        close(h->ended);
    h->ended = -1;
    h->child = 0;
}

void hook_turn(chat *c)
{
    hook *h = &c->hook;
    ended(c);
    while (h->script && h->child == 0 && json_array_size(h->waiting) > 0) {
        if (h->start(h->script, json_array_get(h->waiting, 0), &h->child))
            h->ended = pidfd_open(h->child, 0);
        else
            chat_tell(c, SAY_CHAT_HOOK_FAILED, "126", NULL);
        (void)json_array_remove(h->waiting, 0);
    }
    if (h->missed > 0) {
        char many[24];
        (void)snprintf(many, sizeof many, "%zu", h->missed);
        chat_tell(c, SAY_CHAT_HOOK_BEHIND, many, NULL);
        h->missed = 0;
    }
}
