/* Blobs that nobody wants any more: written down in the transaction that says so, then our relay is told, one after the other, as soon as it listens; by
 * this program or by a later one. */
#include "files.h"
#include <string.h>

static void got_dropped(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    files *f = e->files;
    f->dropping = false;
    if (!reply)
        return; /* the link went away first: again on the next one */
    if (reply->kind == FRAME_ERROR && error_class_of((error_code)reply->error.code) == CLASS_RETRY) {
        f->drops = false; /* not now: at the next start, or with the next one */
        return;
    }
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, vault_drop_done(e->vault, f->drop));
    if (rc != TACET_OK) {
        f->drops = false;
        engine_fail(e, rc);
    }
    e->woken = true;
}

int file_drop_blob(engine *e, const uint8_t blob[16])
{
    e->files->drops = true;
    e->woken = true;
    return vault_drop_put(e->vault, blob);
}

void files_drops_pump(engine *e)
{
    files *f = e->files;
    frame ask = { .kind = FRAME_BLOB_DROP };
    if (!f->drops || f->dropping || vault_in_transaction(e->vault))
        return; /* nothing leaves that is not committed */
    int rc = vault_drop_first(e->vault, f->drop);
    f->drops = rc == TACET_OK;
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        engine_fail(e, rc);
    if (!f->drops || !file_relay_ready(e))
        return;
    ask.blob_drop.blob = (view){ f->drop, sizeof f->drop };
    f->dropping = slot_ask(e, e->mailbox, &ask, got_dropped, 0) == TACET_OK;
}
