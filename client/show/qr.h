/* show/qr.h: QR codes of half blocks: two rows of dots to a line of text. */
#ifndef SHOW_QR_H
#define SHOW_QR_H
#include <stdbool.h>

/* The lines of the picture, each ended by a newline, its quiet zone included; to be freed. NULL: no memory. dark_is_ink: to be written black on
 * white; otherwise full blocks are the light dots, which is right on the usual dark terminal. */
char *qr_text(const char *text, bool dark_is_ink);

/* On stdout; with colour dark on light whatever the terminal's colours are, since many readers want that. False: no memory. */
bool qr_print(const char *text, bool color);
#endif
