/* Blocks of some forty sizes, four to a doubling, cut off a piece one after another; what is given back goes into the list of its size. SQLite asks for
 * the same sizes again and again, so nothing is joined. Large blocks are pieces of their own. */
#include "locked_heap.h"
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { PIECE_BYTES = 256 * 1024, BLOCK_MAX_BYTES = 32 * 1024, SIZES = 40, PAGE_BYTES = 4096 };

typedef struct block {
    size_t bytes; /* behind this head */
    struct block *next;
} block;

typedef struct piece {
    struct piece *next;
    size_t unused; /* so that blocks lie at multiples of 16 */
} piece;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *given_back[SIZES];
static piece *pieces; /* those that are cut into blocks */
static uint8_t *cut_at;
static size_t cut_left;

/* So that LeakSanitizer looks for pointers here too. */
__attribute__((weak)) void __lsan_register_root_region(const void *at, size_t bytes);
__attribute__((weak)) void __lsan_unregister_root_region(const void *at, size_t bytes);

/* --- pieces ---------------------------------------------------------------------------------------------------------------------------- */
static void *piece_new(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (madvise(at, bytes, MADV_DONTDUMP) != 0) {
        (void)munmap(at, bytes); /* nothing is in it */
        return NULL;
    }
    (void)mlock(at, bytes); /* the vault opens where this much cannot be locked, as it does with SQLCipher's own locking */
    if (__lsan_register_root_region)
        __lsan_register_root_region(at, bytes);
    return at;
}

static size_t whole_pages(size_t bytes) { return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES; }

/* --- sizes: 16, 32, 48, 64, then 80, 96, 112, 128, 160, ... ------------------------------------------------------------------------------- */
static unsigned size_place(size_t n)
{
    if (n <= 64)
        return n ? (unsigned)(n - 1) / 16 : 0;
    unsigned k = 63 - (unsigned)__builtin_clzll((unsigned long long)n - 1);
    return 4 * (k - 5) + (unsigned)((n - 1 - ((size_t)1 << k)) >> (k - 2));
}

static size_t size_at(unsigned place)
{
    unsigned k = place / 4 + 5;
    return place < 4 ? 16 * ((size_t)place + 1) : ((size_t)1 << k) + ((size_t)(place % 4 + 1) << (k - 2));
}

/* --- blocks ----------------------------------------------------------------------------------------------------------------------------- */
static block *block_cut(size_t bytes)
{
    block *b = (block *)(void *)cut_at;
    b->bytes = bytes;
    cut_at += sizeof *b + bytes;
    cut_left -= sizeof *b + bytes;
    return b;
}

/* What is left of the last piece is cut into the largest blocks that fit. */
static bool cut_refill(void)
{
    while (cut_left >= sizeof(block) + 16) {
        unsigned place = SIZES - 1;
        while (size_at(place) + sizeof(block) > cut_left)
            place--;
        block *b = block_cut(size_at(place));
        b->next = given_back[place];
        given_back[place] = b;
    }
    piece *p = piece_new(PIECE_BYTES);
    if (!p)
        return false;
    p->next = pieces;
    pieces = p;
    cut_at = (uint8_t *)(p + 1);
    cut_left = PIECE_BYTES - sizeof *p;
    return true;
}

static block *block_take(unsigned place)
{
    block *b = given_back[place];
    if (b)
        given_back[place] = b->next;
    else if (cut_left >= sizeof *b + size_at(place) || cut_refill())
        b = block_cut(size_at(place));
    return b;
}

static block *large_new(size_t n)
{
    size_t bytes = whole_pages(sizeof(block) + n);
    block *b = piece_new(bytes);
    if (b)
        b->bytes = bytes - sizeof *b;
    return b;
}

static void *heap_malloc(int n)
{
    block *b = NULL;
    if (n > BLOCK_MAX_BYTES) {
        b = large_new((size_t)n);
    } else if (n > 0) {
        (void)pthread_mutex_lock(&lock);
        b = block_take(size_place((size_t)n));
        (void)pthread_mutex_unlock(&lock);
    }
    return b ? b + 1 : NULL;
}

static void heap_free(void *p)
{
    if (!p)
        return;
    block *b = (block *)p - 1;
    sodium_memzero(p, b->bytes);
    if (b->bytes > BLOCK_MAX_BYTES) {
        if (__lsan_unregister_root_region)
            __lsan_unregister_root_region(b, sizeof *b + b->bytes);
        (void)munmap(b, sizeof *b + b->bytes); /* unlocks as well; a piece that stays is only memory */
        return;
    }
    unsigned place = size_place(b->bytes);
    (void)pthread_mutex_lock(&lock);
    b->next = given_back[place];
    given_back[place] = b;
    (void)pthread_mutex_unlock(&lock);
}

static int heap_size(void *p) { return p ? (int)((block *)p - 1)->bytes : 0; }

static void *heap_realloc(void *p, int n)
{
    int has = heap_size(p);
    if (n <= has && n > has / 2)
        return p;
    void *moved = heap_malloc(n);
    if (moved) {
        memcpy(moved, p, (size_t)(n < has ? n : has));
        heap_free(p);
    }
    return moved;
}

static int heap_roundup(int n)
{
    return n <= BLOCK_MAX_BYTES ? (int)size_at(size_place((size_t)n)) : (int)(whole_pages(sizeof(block) + (size_t)n) - sizeof(block));
}

static int heap_begin(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void heap_end(void *ctx) { (void)ctx; }

void locked_heap_lock_again(void)
{
    (void)pthread_mutex_lock(&lock);
    for (piece *p = pieces; p; p = p->next)
        (void)mlock(p, PIECE_BYTES); /* as in piece_new */
    (void)pthread_mutex_unlock(&lock);
}

bool locked_heap_install(void)
{
    static sqlite3_mem_methods methods = { heap_malloc, heap_free, heap_realloc, heap_size, heap_roundup, heap_begin, heap_end, NULL };
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK;
}
