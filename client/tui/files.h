/* tui/files.h: files in a conversation: the commands about them, and the line that says how far one is. */
#ifndef TUI_FILES_H
#define TUI_FILES_H
#include "chat.h"
#include "commands.h"

void files_send(chat *c, const char *path);
void files_save(chat *c, const char *name);
void files_cancel(chat *c, const char *name);
void files_consider_paths(completion *k);
void files_consider_names(const chat *c, completion *k);
/* "████████░░░░ 74 %  96 MiB/s 1s", "saved to ~/x", "offered: /save"; in at most `columns`. out has room for FILE_LINE_ROOM. */
enum { FILE_LINE_ROOM = 1100 };
void file_line(char *out, const entry *e, size_t columns);
#endif
