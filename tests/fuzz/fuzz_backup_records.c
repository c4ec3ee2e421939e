/* P04: what is inside a backup, once its chunks have opened: records of somebody who knows the passphrase, or of a tacet with a fault. What is accepted is
 * written, read and written again the same way. */
#include "backup_records.h"
#include "fuzz.h"

enum { ROOM_BYTES = BACKUP_RECORD_HEAD_BYTES + BACKUP_RECORD_MAX_BYTES };
typedef struct {
    uint8_t bytes[ROOM_BYTES];
    size_t n;
} record;
static record first, second;

/* One record of any kind, read from `body` and written into *out. False: it was refused, or is of a kind that is passed over. */
static bool rewrite(record *out, record_kind kind, reader *body)
{
    static backup_account account;
    static backup_contact contact;
    backup_chain chain;
    vault_message message;
    backup_cursor cursor;
    uint32_t whose = 0;
    int rc = TACET_E_MALFORMED;
    writer w = writer_over(out->bytes, sizeof out->bytes);
    if (kind == RECORD_ACCOUNT && (rc = record_get_account(body, &account)) == TACET_OK)
        record_put_account(&w, &account);
    else if (kind == RECORD_CONTACT && (rc = record_get_contact(body, &contact)) == TACET_OK)
        record_put_contact(&w, &contact);
    else if (kind == RECORD_CHAIN && (rc = record_get_chain(body, &chain)) == TACET_OK)
        record_put_chain(&w, &chain);
    else if (kind == RECORD_MESSAGE && (rc = record_get_message(body, &whose, &message)) == TACET_OK)
        record_put_message(&w, whose, &message);
    else if (kind == RECORD_CURSOR && (rc = record_get_cursor(body, &cursor)) == TACET_OK)
        record_put_cursor(&w, &cursor);
    PROMISE(rc == TACET_OK || rc == TACET_E_MALFORMED);
    PROMISE(rc != TACET_OK || writer_ok(&w));
    out->n = writer_bytes(&w);
    return rc == TACET_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    reader all = reader_over(bytes, n), body;
    record_kind kind = RECORD_END, again = RECORD_END;
    int rc;
    while ((rc = record_next(&all, &kind, &body)) == TACET_OK && kind != RECORD_END) {
        size_t body_bytes = reader_left(&body);
        if (!rewrite(&first, kind, &body))
            continue;
        PROMISE(first.n == BACKUP_RECORD_HEAD_BYTES + body_bytes); /* flags that mean nothing are all that may be lost */
        reader r = reader_over(first.bytes, first.n);
        PROMISE(record_next(&r, &again, &body) == TACET_OK && again == kind && reader_done(&r));
        PROMISE(rewrite(&second, kind, &body));
        PROMISE(second.n == first.n && memcmp(second.bytes, first.bytes, first.n) == 0);
    }
    PROMISE(rc == TACET_OK || rc == TACET_E_AGAIN || rc == TACET_E_MALFORMED);
    return 0;
}
