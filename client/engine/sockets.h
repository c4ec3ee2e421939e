/* engine/sockets.h: the real network behind engine/network.h: one relay_link (engine/link.h) for each link number. */
#ifndef ENGINE_SOCKETS_H
#define ENGINE_SOCKETS_H
#include "engine/engine.h"
TACET_MUST_USE int sockets_open(engine *e); /* fills e->net and e->sockets */
void sockets_close(engine *e);
#endif
