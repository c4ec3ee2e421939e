/* Blobs that nobody wants any more: our relay is told, one after the other, as soon as it listens. What is not told before the program ends lies there
 * until it expires. */
#include "files.h"
#include <string.h>

static void got_dropped(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    files *f = e->files;
    if (!f)
        return;
    f->dropping = false;
    if (!reply || f->drops == 0)
        return; /* the link went away first: again on the next one */
    f->drops--;
    memmove(f->drop[0], f->drop[1], f->drops * sizeof f->drop[0]);
    e->woken = true;
}

void file_drop_blob(engine *e, const uint8_t blob[16])
{
    files *f = e->files;
    if (f->drops == FILES_DROPS_MAX)
        return;
    memcpy(f->drop[f->drops++], blob, TACET_BLOB_ID_BYTES);
    e->woken = true;
}

void files_drops_pump(engine *e)
{
    files *f = e->files;
    frame ask = { .kind = FRAME_BLOB_DROP };
    if (f->drops == 0 || f->dropping || !file_relay_ready(e))
        return;
    ask.blob_drop.blob = (view){ f->drop[0], TACET_BLOB_ID_BYTES };
    f->dropping = slot_ask(e, e->mailbox, &ask, got_dropped, 0) == TACET_OK;
}
