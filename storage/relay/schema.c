/* The relay's tables. `message` grows at its end only: its rowid is the number of the log. Whatever is looked up by 32 random bytes has them as its
 * key and no rowid. */
#include "parts.h"

const migration relay_migrations[] = {
    { 1, "CREATE TABLE message(number INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL, expires_hour INTEGER NOT NULL, stored_hour INTEGER NOT NULL,"
         "  kind INTEGER NOT NULL, token_hash BLOB NOT NULL, ciphertext BLOB NOT NULL);"
         /* what: index_pack */
         "CREATE TABLE mailbox_index(mailbox INTEGER NOT NULL, number INTEGER NOT NULL, what INTEGER NOT NULL,"
         "  PRIMARY KEY(mailbox, number)) WITHOUT ROWID;"
         /* exceptions: 8 bytes each, big-endian, ascending */
         "CREATE TABLE mark(mailbox INTEGER PRIMARY KEY, watermark INTEGER NOT NULL, exceptions BLOB NOT NULL);"
         "CREATE TABLE run(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, rows INTEGER NOT NULL, expires_min INTEGER NOT NULL);"
         /* highest: numbers up to it may have been given although no row shows it */
         "CREATE TABLE log(id INTEGER PRIMARY KEY CHECK(id = 1), indexed_through INTEGER NOT NULL, highest INTEGER NOT NULL);"
         "INSERT INTO log VALUES(1, 0, 0);"

         "CREATE TABLE account(account BLOB PRIMARY KEY, created_hour INTEGER NOT NULL) WITHOUT ROWID;"
         "CREATE TABLE list(account BLOB NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL, signed BLOB NOT NULL,"
         "  PRIMARY KEY(account, version)) WITHOUT ROWID;"
         /* AUTOINCREMENT: a number is not given twice by one run of the relay, see number_again */
         "CREATE TABLE mailbox(mailbox INTEGER PRIMARY KEY AUTOINCREMENT, account BLOB NOT NULL, device INTEGER NOT NULL, transport_key BLOB NOT "
         "NULL UNIQUE,"
         "  handed_out INTEGER NOT NULL DEFAULT 0, UNIQUE(account, device));"
         "CREATE TABLE token(account BLOB NOT NULL, hash BLOB NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY(account, hash)) WITHOUT ROWID;"
         "CREATE TABLE prekey(mailbox INTEGER NOT NULL, kind INTEGER NOT NULL, id INTEGER NOT NULL, encoded BLOB NOT NULL,"
         "  PRIMARY KEY(mailbox, kind, id)) WITHOUT ROWID;"
         "CREATE TABLE name(name TEXT PRIMARY KEY, account BLOB NOT NULL UNIQUE, expires_s INTEGER NOT NULL, entry BLOB NOT NULL) WITHOUT ROWID;"
         "CREATE TABLE invite(hash BLOB PRIMARY KEY, uses INTEGER NOT NULL, expires_s INTEGER NOT NULL) WITHOUT ROWID;"
         "CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;" },
    /* Blobs: storage/blobs.h. receivers: 32 bytes each; room: chunks that are set aside. AUTOINCREMENT: a segment's name is never used twice. */
    { 2, "CREATE TABLE blob(number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, account BLOB NOT NULL, key BLOB NOT NULL,"
         "  chunks INTEGER NOT NULL, expires_hour INTEGER NOT NULL, done INTEGER NOT NULL, room INTEGER NOT NULL, receivers BLOB NOT NULL);"
         "CREATE INDEX blob_account ON blob(account, room);"
         "CREATE INDEX blob_expires ON blob(expires_hour);"
         "CREATE TABLE blob_bits(number INTEGER NOT NULL, who INTEGER NOT NULL, page INTEGER NOT NULL, bits BLOB NOT NULL,"
         "  PRIMARY KEY(number, who, page)) WITHOUT ROWID;"
         "CREATE TABLE blob_sum(id INTEGER PRIMARY KEY CHECK(id = 1), blobs INTEGER NOT NULL, room INTEGER NOT NULL);"
         "INSERT INTO blob_sum VALUES(1, 0, 0);" },
    /* The ring (ring_part.c). entries: packed; last: the number of the last one that was looked at for them */
    { 3, "CREATE TABLE ring_part(last INTEGER PRIMARY KEY, entries BLOB NOT NULL);"
         "CREATE TABLE ring_gone(number INTEGER PRIMARY KEY);" },
    /* Tokens that were taken back (forget.c). through: numbers up to it are meant */
    { 4, "CREATE TABLE forget(mailbox INTEGER NOT NULL, hash BLOB NOT NULL, through INTEGER NOT NULL, PRIMARY KEY(mailbox, hash)) WITHOUT ROWID;" },
};
const size_t relay_migration_count = sizeof relay_migrations / sizeof *relay_migrations;
