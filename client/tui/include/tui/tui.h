/* tui/tui.h: `tacet chat`, the full screen. Everything it knows comes from a caller (engine/caller.h); only this box draws. */
#ifndef TUI_TUI_H
#define TUI_TUI_H
#include "engine/caller.h"
#include <sys/types.h>

typedef struct {
    const tacet_env *env;
    const char *name; /* whose conversation comes first; NULL: whichever */
    bool color;
    const char *exec; /* run for each message that comes in; NULL: nothing */
    bool (*exec_start)(const char *script, const json_t *message, pid_t *child);
} tui_options;

/* Takes the terminal until the person leaves. EXIT_DONE, also after a signal; else the exit code with *error filled. The terminal is as before. */
TACET_MUST_USE int tui_chat(caller *c, const tui_options *o, engine_error *error);
/* For who needs the terminal meanwhile: gives it up, and takes it again. Nothing happens when no full screen is shown. */
void tui_away(void);
void tui_back(void);
#endif
