/* show/harmless.h: makes everything that came from somebody else (text, names, errors) safe to show. What a terminal would obey is shown instead
 * of obeyed: control characters, ESC/CSI/OSC/DCS and C1, bidirectional overrides, invisible characters, bytes that are not UTF-8. The result is
 * valid UTF-8 whose every character takes the place it seems to take (ATTACKS P05). */
#ifndef SHOW_HARMLESS_H
#define SHOW_HARMLESS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that harmless_text makes of n. */
#define HARMLESS_ROOM(n) ((n)*4 + 1)

enum harmless_lines {
    HARMLESS_ONE_LINE,  /* newline and tab are shown as \n and \t: for names, errors, everything inside a line */
    HARMLESS_MANY_LINES /* newline stays and `indent` spaces follow it, so that text cannot pose as the next message; tab becomes spaces */
};

/* Writes the shown form of text[0..n) and a NUL; out has HARMLESS_ROOM(n) bytes and for HARMLESS_MANY_LINES indent more for
 * each newline. Returns its length. */
size_t harmless_text(char *out, const char *text, size_t n, enum harmless_lines lines, unsigned indent);

/* The same into fresh memory, to be freed; NULL only when there is none. */
char *harmless_copy(const char *text, enum harmless_lines lines, unsigned indent);

/* JSON text in which the same characters stand as \uXXXX, so that a terminal or a careless reader may have it; a program reads the original
 * text back. `json` is what a JSON writer made (only then do such characters stand inside strings alone). To be freed; NULL: no memory. */
char *harmless_json(const char *json);

/* True for a code point that is shown rather than written, whatever stands around it. */
bool harmless_hides(uint32_t point);
#endif
