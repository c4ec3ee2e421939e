/* backup_records.h: what is inside a backup, one record after the other (PROTOCOL.md §9.1): kind u8 | length u32 | body. Bytes in, bytes out; no
 * record is longer than BACKUP_RECORD_MAX_BYTES. A record holds secrets: buffers for it belong in locked memory. */
#ifndef ENGINE_BACKUP_RECORDS_H
#define ENGINE_BACKUP_RECORDS_H
#include "base/reader.h"
#include "base/writer.h"
#include "state.h"

enum { BACKUP_RECORD_MAX_BYTES = 65536, BACKUP_RECORD_HEAD_BYTES = 5, BACKUP_DRAFT_MAX_BYTES = 16384 };
typedef enum {
    RECORD_END = 0, /* zeros from here to the end of the file */
    RECORD_ACCOUNT = 1,
    RECORD_CONTACT = 2,
    RECORD_CHAIN = 3, /* of the contact before it */
    RECORD_MESSAGE = 4,
    RECORD_CURSOR = 5, /* behind the messages; another one of the same name adds to what was taken */
} record_kind;         /* others are passed over: a newer tacet may have written them */

typedef struct {
    uint64_t made_ms;
    uint8_t ik_seed[32], request_token[TACET_TOKEN_BYTES];
    uint32_t device; /* that made the backup */
    bool listed, read_receipts;
    char name[TACET_NAME_MAX_CHARS + 1], relay[TACET_RELAY_ADDRESS_MAX_BYTES + 1], proxy[ENGINE_PROXY_MAX_CHARS + 1];
    uint8_t list[TACET_DEVICE_LIST_MAX_BYTES];
    size_t list_bytes;
} backup_account;

typedef struct {
    vault_contact c; /* without what belongs to a device: numbers, sessions, what the relay has confirmed */
    vault_blob draft;
} backup_contact;

typedef struct {
    uint32_t device;
    uint64_t sequence;
} backup_chain;

enum { BACKUP_CURSOR_TAKEN_MAX = 2048 };
typedef struct {
    vault_cursor c;
    uint8_t upto[16]; /* the newest incoming message up to which all was taken; zeros: none */
    vault_blob taken; /* ids of the ones taken out of turn, 16 bytes each */
} backup_cursor;

/* Each appends one record to w. */
void record_put_account(writer *w, const backup_account *a);
void record_put_contact(writer *w, const backup_contact *c);
void record_put_chain(writer *w, const backup_chain *c);
/* `contact`: its place among the contacts of this backup, from 0. m->contact is not looked at. */
void record_put_message(writer *w, uint32_t contact, const vault_message *m);
void record_put_cursor(writer *w, const backup_cursor *c);
void record_put_end(writer *w);

/* The next record. TACET_OK: *kind, and *body is a reader over its body. TACET_E_AGAIN: it is not whole yet. TACET_E_MALFORMED: too long. r moves
 * behind the record only on TACET_OK. */
TACET_MUST_USE int record_next(reader *r, record_kind *kind, reader *body);
/* Bodies; what is text is UTF-8 and fits. TACET_E_MALFORMED. Views point into the body. */
TACET_MUST_USE int record_get_account(reader *body, backup_account *out);
TACET_MUST_USE int record_get_contact(reader *body, backup_contact *out);
TACET_MUST_USE int record_get_chain(reader *body, backup_chain *out);
TACET_MUST_USE int record_get_message(reader *body, uint32_t *contact, vault_message *out);
TACET_MUST_USE int record_get_cursor(reader *body, backup_cursor *out);
#endif
