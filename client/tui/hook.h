/* tui/hook.h: a command for each message that comes in (chat --exec), one at a time and beside everything else; what it prints goes nowhere. It is for
 * eyes and ears, not for bots: a message that nobody ran it for does not come again (receive --exec is for that). */
#ifndef TUI_HOOK_H
#define TUI_HOOK_H
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

struct chat;
enum { HOOK_WAITING_MAX = 200 };
typedef struct {
    const char *script; /* NULL: none */
    bool (*start)(const char *script, const json_t *message, pid_t *child);
    json_t *waiting; /* messages, oldest first */
    pid_t child;     /* 0: none runs */
    int ended;       /* pidfd, -1: none */
    size_t missed;
} hook;

void hook_open(hook *h, const char *script, bool (*start)(const char *script, const json_t *message, pid_t *child));
void hook_close(hook *h);
void hook_message(hook *h, const json_t *message);
struct pollfd hook_watch(const hook *h);
/* Takes note of an end, begins the next. */
void hook_turn(struct chat *c);
#endif
