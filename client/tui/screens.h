/* tui/screens.h: everything but the main screen: help, the safety number, requests, what a search found, the own link. Esc leads back. */
#ifndef TUI_SCREENS_H
#define TUI_SCREENS_H
#include "chat.h"
#include "terminal.h"

void screens_draw(chat *c);
/* True: the key is done. False: it is treated as on the main screen. */
bool screens_key(chat *c, const key *k);
#endif
