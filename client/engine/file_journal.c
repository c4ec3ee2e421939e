/* The journal of a file in the vault, block by block (transfer/journal.h says what stands in it), and the root over what it holds. */
#include "files.h"

int file_block_get(engine *e, const file_run *r, uint32_t block, journal_block *out)
{
    uint8_t bytes[JOURNAL_BLOCK_MAX_BYTES];
    size_t n = 0;
    int rc = vault_block_get(e->vault, r->f.row, block, bytes, sizeof bytes, &n);
    if (rc == TACET_E_NOT_FOUND) {
        *out = (journal_block){ .nonces = r->f.outgoing };
        return TACET_OK;
    }
    return rc == TACET_OK ? journal_decode(out, r->f.outgoing, bytes, n) : rc;
}

int file_block_put(engine *e, const file_run *r, uint32_t block, const journal_block *b)
{
    uint8_t bytes[JOURNAL_BLOCK_MAX_BYTES];
    size_t n = journal_encode(b, bytes);
    return vault_block_put(e->vault, r->f.row, block, bytes, n);
}

int file_root(engine *e, const file_run *r, uint8_t root[32])
{
    file_tree t = { 0 };
    journal_block b;
    for (uint32_t i = 0; i < r->f.chunks; i++) {
        int rc = journal_place_of(i) == 0 ? file_block_get(e, r, journal_block_of(i), &b) : TACET_OK;
        if (rc != TACET_OK || !journal_has(&b, i))
            return rc != TACET_OK ? rc : TACET_E_CORRUPT;
        file_tree_add(&t, b.leaf[journal_place_of(i)]);
    }
    file_tree_root(&t, root);
    return TACET_OK;
}
