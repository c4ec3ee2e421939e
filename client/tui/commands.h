/* tui/commands.h: what begins with a slash. One table: what runs, what F1 shows, what Tab completes. */
#ifndef TUI_COMMANDS_H
#define TUI_COMMANDS_H
#include "chat.h"

typedef enum { WORD_NONE, WORD_CONTACT, WORD_REQUEST, WORD_TEXT, WORD_PATH, WORD_FILE } word_kind;

typedef struct {
    const char *name, *operands, *help;
    word_kind word;     /* of the first operand, for Tab */
    bool needs_word;    /* refused without */
    bool needs_contact; /* refused when there is no conversation */
    void (*run)(chat *c, const char *rest);
} chat_command;

extern const chat_command chat_command_table[];
extern const size_t chat_command_count;

/* line begins with a slash. True: it ran, or the person was told why not and should have the line back when `false`. */
bool command_run(chat *c, const char *line);
/* What Tab makes of a word: each candidate that begins with what was typed is considered. */
typedef struct {
    const char *typed;
    size_t typed_bytes, count;
    char common[1024]; /* what all of them begin with */
    char all[400];
} completion;
void consider(completion *k, const char *candidate);
/* Completes what is before the cursor, or says what could follow. */
void command_complete(chat *c);
#endif
