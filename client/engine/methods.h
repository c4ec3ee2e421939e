/* engine/methods.h: every method of the engine, with what it takes. What is asked is held against this table before the method runs, and docs/RPC.md is
 * held against it by a test. */
#ifndef ENGINE_METHODS_H
#define ENGINE_METHODS_H
#include "engine/engine.h"

typedef enum {
    NEEDS_NOTHING,
    NEEDS_VAULT,  /* an account, even one that lives on elsewhere: what is here can be read */
    NEEDS_DEVICE, /* an account whose device this is */
} engine_needs;

typedef struct {
    const char *name;
    void (*call)(engine *e, json_t *params, engine_done done, void *ctx);
    engine_needs needs;
    const char *params; /* "name:type name?:type"; ? marks what may be missing or null. Types: text, id (32 hex digits), ids, int, bool */
} engine_method;

extern const engine_method method_table[];
extern const size_t method_count;

const engine_method *method_find(const char *name);
enum { METHOD_PARAM_ROOM = 32 };
/* Params are what the method takes. False: wrong names the first that is missing or of another type, or, with *unknown, that it does not take. */
bool method_fits(const engine_method *m, json_t *params, char wrong[METHOD_PARAM_ROOM], bool *unknown);
#endif
