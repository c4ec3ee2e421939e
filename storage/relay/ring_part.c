/* The ring on disk, so that a start need not look for it in the log: every part_rows entries that were committed are written together, packed, with
 * a later commit. A start reads these, and from the log only what came after them. An acknowledged entry shows as such by its mailbox's mark; a row
 * that was deleted without that is named in ring_gone until its run is written. */
#include "parts.h"
#include "base/reader.h"
#include "base/writer.h"
#include <stdlib.h>

enum { ENTRY_BYTES = 8 + 4 + 4 + 4 + 1 + 1, PARTS_A_RUN = 16 };

static void entry_pack(writer *w, const entry *e)
{
    write_be(w, e->number, 8);
    write_be(w, e->mailbox, 4);
    write_be(w, e->bytes, 4);
    write_be(w, e->expires_hour, 4);
    write_be(w, e->tag, 1);
    write_be(w, e->kind, 1);
}

/* The entries from..to as one row. */
static int part_write(relay_store *s, uint64_t from, uint64_t to)
{
    size_t room = (size_t)(to - from) * ENTRY_BYTES;
    uint8_t *packed = malloc(room);
    if (!packed)
        return TACET_E_NOMEM;
    writer w = writer_over(packed, room);
    for (uint64_t seq = from; seq < to; seq++)
        if (!(index_at(&s->index, seq)->flags & ENTRY_ROW_GONE))
            entry_pack(&w, index_at(&s->index, seq));
    int rc = relay_do(s, NULL, "INSERT INTO ring_part VALUES(?, ?)", "ib", index_at(&s->index, to - 1)->number, (blob){ packed, writer_bytes(&w) });
    free(packed);
    return rc;
}

/* A part that is needed for its end keeps all that is gone from it. */
int ring_part_forget(relay_store *s, uint64_t through)
{
    int rc = relay_do(s, NULL, "DELETE FROM ring_gone WHERE number <= (SELECT max(last) FROM ring_part WHERE last <= ?)", "i", through);
    return rc == TACET_OK ? relay_do(s, NULL, "DELETE FROM ring_part WHERE last <= ?", "i", through) : rc;
}

int ring_part_some(relay_store *s)
{
    const mailbox_index *ix = &s->index;
    uint64_t rows = s->tuning.run_rows / PARTS_A_RUN, from = s->parts.committed > ix->first ? s->parts.committed : ix->first;
    int rc = TACET_OK;
    if (ix->end - from < rows)
        return TACET_OK;
    for (; rc == TACET_OK && ix->end - from >= rows; from += rows)
        rc = part_write(s, from, from + rows);
    s->parts.written = from;
    /* What has left the ring from the front, all of it acknowledged, belongs to no run. */
    return rc == TACET_OK ? ring_part_forget(s, index_at(ix, ix->first)->number - 1) : rc;
}

void ring_part_publish(relay_store *s) { s->parts.committed = s->parts.written; }

void ring_part_undo(relay_store *s) { s->parts.written = s->parts.committed; }

int ring_part_gone(relay_store *s, uint64_t number)
{
    return number > s->index.indexed_through ? relay_do(s, NULL, "INSERT OR IGNORE INTO ring_gone VALUES(?)", "i", number) : TACET_OK;
}

int ring_part_unpack(const uint8_t *packed, size_t bytes, int (*each)(void *ctx, const entry *e), void *ctx)
{
    reader r = reader_over(packed, bytes);
    int rc = TACET_OK;
    while (rc == TACET_OK && reader_left(&r)) {
        entry e = { .next = NO_PLACE };
        e.number = read_be(&r, 8);
        e.mailbox = (uint32_t)read_be(&r, 4);
        e.bytes = (uint32_t)read_be(&r, 4);
        e.expires_hour = (uint32_t)read_be(&r, 4);
        e.tag = (uint8_t)read_be(&r, 1);
        e.kind = (uint8_t)read_be(&r, 1);
        rc = r.bad ? TACET_E_CORRUPT : each(ctx, &e);
    }
    return rc;
}
