/* sentence_table.h: private to sentences.c, which has the words, and sentence.c. */
#ifndef ENGINE_SENTENCE_TABLE_H
#define ENGINE_SENTENCE_TABLE_H
#include "engine/sentences.h"

typedef struct {
    const char *code;
    int exit;
    const char *text; /* $1 to $3: places */
} sentence_row;

extern const sentence_row sentence_table[SAY_COUNT];
#endif
