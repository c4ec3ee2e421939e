/* show/field.h: what an object of docs/RPC.md says under a key. */
#ifndef SHOW_FIELD_H
#define SHOW_FIELD_H
#include <jansson.h>

const char *text_of(const json_t *o, const char *key); /* "" where there is no text */
#endif
