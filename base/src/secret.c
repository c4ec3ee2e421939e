/* A first-fit arena in one locked mapping. Blocks lie back to back, each behind a head; neighbours that are free are joined when
 * somebody looks for room. Keys are few and short-lived, so the walk is short. */
#include "base/secret.h"
#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct {
    size_t bytes; /* of the whole block, its head included; a multiple of BLOCK_ALIGN */
    size_t used;  /* BLOCK_USED or BLOCK_FREE: anything else is a write out of bounds */
} block;

enum { BLOCK_ALIGN = sizeof(block) };
#define BLOCK_USED ((size_t)0x7461636574757365)
#define BLOCK_FREE ((size_t)0x7461636574667265)

struct secret_arena {
    uint8_t *map, *base;
    size_t map_bytes, base_bytes, in_use;
};

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

int secret_arena_new(secret_arena **out, size_t bytes)
{
    size_t page = page_bytes();
    size_t base_bytes = (bytes + sizeof(secret_arena) + page - 1) / page * page;
    size_t map_bytes = base_bytes + 2 * page;
    uint8_t *map = mmap(NULL, map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return TACET_E_NOMEM;
    uint8_t *base = map + page;
    int rc = TACET_E_NOMEM;
    if (mprotect(base, base_bytes, PROT_READ | PROT_WRITE) != 0)
        goto fail;
    rc = TACET_E_LOCKING;
    if (mlock(base, base_bytes) != 0)
        goto fail;
    rc = TACET_E_IO;
    if (madvise(base, base_bytes, MADV_DONTDUMP) != 0 || madvise(base, base_bytes, MADV_WIPEONFORK) != 0)
        goto fail;
    secret_arena *a = (secret_arena *)(void *)base;
    size_t head = (sizeof *a + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
    *a = (secret_arena){ map, base + head, map_bytes, base_bytes - head, 0 };
    *(block *)(void *)a->base = (block){ a->base_bytes, BLOCK_FREE };
    *out = a;
    return TACET_OK;
fail:
    munmap(map, map_bytes);
    return rc;
}

secret_arena *secret_arena_free(secret_arena *a)
{
    if (a) {
        uint8_t *map = a->map, *start = (uint8_t *)a;
        size_t map_bytes = a->map_bytes, start_bytes = map_bytes - 2 * page_bytes();
        sodium_memzero(start, start_bytes);
        munlock(start, start_bytes);
        munmap(map, map_bytes);
    }
    return NULL;
}

static block *block_after(const secret_arena *a, block *b)
{
    uint8_t *next = (uint8_t *)b + b->bytes;
    assert(next <= a->base + a->base_bytes);
    return next == a->base + a->base_bytes ? NULL : (block *)(void *)next;
}

static void join_free_neighbours(const secret_arena *a, block *b)
{
    for (block *next = block_after(a, b); next && next->used == BLOCK_FREE; next = block_after(a, b)) {
        b->bytes += next->bytes;
        sodium_memzero(next, sizeof *next);
    }
}

void *secret_alloc(secret_arena *a, size_t bytes)
{
    if (bytes > a->base_bytes)
        return NULL;
    size_t need = (bytes + sizeof(block) + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
    for (block *b = (block *)(void *)a->base; b; b = block_after(a, b)) {
        assert(b->used == BLOCK_USED || b->used == BLOCK_FREE);
        if (b->used == BLOCK_USED)
            continue;
        join_free_neighbours(a, b);
        if (b->bytes < need)
            continue;
        if (b->bytes - need > sizeof(block)) {
            *(block *)(void *)((uint8_t *)b + need) = (block){ b->bytes - need, BLOCK_FREE };
            b->bytes = need;
        }
        b->used = BLOCK_USED;
        a->in_use += b->bytes;
        return b + 1;
    }
    return NULL;
}

void *secret_free(secret_arena *a, void *p)
{
    if (p) {
        block *b = (block *)p - 1;
        assert(b->used == BLOCK_USED);
        sodium_memzero(p, b->bytes - sizeof *b);
        b->used = BLOCK_FREE;
        a->in_use -= b->bytes;
    }
    return NULL;
}

void secret_text_free(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

size_t secret_in_use(const secret_arena *a) { return a->in_use; }

int secret_harden_process(void)
{
    const struct rlimit none = { 0, 0 };
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return TACET_E_IO;
    return TACET_OK;
}
