/* The vault's schema. A migration that was released is never edited: the next one is added. Times end in _ms or _s. */
#include "schema.h"

/* Two steps, because a C string may have 4,095 characters. */
static const char keys_and_contacts[] =
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE contact("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL UNIQUE, name TEXT NOT NULL, relay TEXT NOT NULL, account BLOB NOT NULL UNIQUE,"
    "  state INTEGER NOT NULL, verified INTEGER NOT NULL, blocked INTEGER NOT NULL, forked INTEGER NOT NULL, reduced INTEGER NOT NULL,"
    "  ours_active INTEGER NOT NULL, our_token BLOB NOT NULL, our_hash BLOB NOT NULL, their_token BLOB NOT NULL, request_token BLOB NOT NULL,"
    "  changed_account BLOB NOT NULL, list BLOB NOT NULL, list_version INTEGER NOT NULL, sequence INTEGER NOT NULL, previous BLOB NOT NULL,"
    "  reset_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, known_stale INTEGER NOT NULL, draft TEXT);"
    "CREATE UNIQUE INDEX contact_hash ON contact(our_hash) WHERE length(our_hash) > 0;"
    "CREATE INDEX contact_name ON contact(name, relay);"
    "CREATE TABLE session("
    "  id BLOB PRIMARY KEY, contact INTEGER NOT NULL REFERENCES contact(id) ON DELETE CASCADE, device INTEGER NOT NULL, agreement BLOB NOT NULL,"
    "  initiator INTEGER NOT NULL, answered INTEGER NOT NULL, retired INTEGER NOT NULL, created_ms INTEGER NOT NULL, opened_ms INTEGER NOT NULL,"
    "  sealed INTEGER NOT NULL, state BLOB NOT NULL);"
    "CREATE INDEX session_contact ON session(contact, device);"
    "CREATE INDEX session_agreement ON session(agreement);"
    "CREATE TABLE met(session_id BLOB PRIMARY KEY, until_s INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE prekey("
    "  kind INTEGER NOT NULL, id INTEGER NOT NULL, created_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, secret BLOB NOT NULL,"
    "  encoded BLOB NOT NULL, published INTEGER NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
    "CREATE TABLE token(hash BLOB PRIMARY KEY, kind INTEGER NOT NULL, adding INTEGER NOT NULL, serial INTEGER NOT NULL) WITHOUT ROWID;";

static const char messages[] =
    "CREATE TABLE message("
    "  row INTEGER PRIMARY KEY AUTOINCREMENT, contact INTEGER NOT NULL REFERENCES contact(id) ON DELETE CASCADE, id BLOB NOT NULL,"
    "  outgoing INTEGER NOT NULL, suspect INTEGER NOT NULL, handed INTEGER NOT NULL, read INTEGER NOT NULL, waits INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL, state INTEGER NOT NULL, device INTEGER NOT NULL, sequence INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    "  received_ms INTEGER NOT NULL, hash BLOB NOT NULL, previous BLOB NOT NULL, reply_to BLOB NOT NULL, content_kind INTEGER NOT NULL,"
    "  gap INTEGER NOT NULL, raw BLOB NOT NULL, text TEXT NOT NULL, UNIQUE(contact, outgoing, id));"
    "CREATE INDEX message_order ON message(contact, row);"
    "CREATE INDEX message_id ON message(id);"
    "CREATE INDEX message_chain ON message(contact, device, sequence) WHERE outgoing = 0 AND sequence > 0;"
    "CREATE INDEX message_unhanded ON message(row) WHERE outgoing = 0 AND handed = 0;"
    "CREATE INDEX message_unread ON message(contact, row) WHERE outgoing = 0 AND read = 0;"
    /* The full-text index keeps no second copy of the text. */
    "CREATE VIRTUAL TABLE message_text USING fts5(text, content='message', content_rowid='row', tokenize='unicode61 remove_diacritics 2');"
    "INSERT INTO message_text(message_text, rank) VALUES('secure-delete', 1);"
    "CREATE TRIGGER message_added AFTER INSERT ON message BEGIN INSERT INTO message_text(rowid, text) VALUES(new.row, new.text); END;"
    "CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN"
    "  INSERT INTO message_text(message_text, rowid, text) VALUES('delete', old.row, old.text); END;"
    "CREATE TABLE chain(contact INTEGER NOT NULL REFERENCES contact(id) ON DELETE CASCADE, device INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    "  PRIMARY KEY(contact, device)) WITHOUT ROWID;"
    "CREATE TABLE outbox("
    "  row INTEGER PRIMARY KEY AUTOINCREMENT, contact INTEGER NOT NULL REFERENCES contact(id) ON DELETE CASCADE, message INTEGER NOT NULL,"
    "  device INTEGER NOT NULL, what INTEGER NOT NULL, state INTEGER NOT NULL, envelope_id BLOB NOT NULL, token BLOB NOT NULL,"
    "  sequence INTEGER NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, content BLOB NOT NULL, ciphertext BLOB NOT NULL);"
    "CREATE INDEX outbox_order ON outbox(contact, state, row);"
    "CREATE INDEX outbox_message ON outbox(message);"
    "CREATE INDEX outbox_expires ON outbox(expires_ms);"
    "CREATE TABLE receipt(contact INTEGER NOT NULL REFERENCES contact(id) ON DELETE CASCADE, id BLOB NOT NULL, state INTEGER NOT NULL,"
    "  due_ms INTEGER NOT NULL, PRIMARY KEY(contact, id, state)) WITHOUT ROWID;"
    "CREATE INDEX receipt_due ON receipt(due_ms);"
    "CREATE TABLE seen(envelope_id BLOB PRIMARY KEY, at_s INTEGER NOT NULL, own INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX seen_at ON seen(at_s);"
    "CREATE TABLE quarantine(row INTEGER PRIMARY KEY AUTOINCREMENT, envelope_id BLOB NOT NULL UNIQUE, contact INTEGER NOT NULL, at_ms INTEGER NOT "
    "NULL,"
    "  reason TEXT NOT NULL, ciphertext BLOB NOT NULL);";

/* The last word of a search is a beginning. Without lists of their own for short beginnings the lists of all words that begin so are merged: seconds
 * in a history of a million messages, instead of milliseconds. */
static const char short_beginnings[] =
    "DROP TABLE message_text;"
    "CREATE VIRTUAL TABLE message_text USING fts5(text, content='message', content_rowid='row', tokenize='unicode61 remove_diacritics 2',"
    "  prefix='1 2 3');"
    "INSERT INTO message_text(message_text, rank) VALUES('secure-delete', 1);"
    "INSERT INTO message_text(message_text) VALUES('rebuild');";

/* What a cursor's program took: every incoming row up to `upto`, and the rows of cursor_taken, which are all above it. */
static const char cursors[] =
    "CREATE TABLE cursor(name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, upto INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE cursor_taken(cursor TEXT NOT NULL REFERENCES cursor(name) ON DELETE CASCADE, row INTEGER NOT NULL, PRIMARY KEY(cursor, row))"
    "  WITHOUT ROWID;";

static const char files[] =
    "CREATE TABLE file("
    "  row INTEGER PRIMARY KEY AUTOINCREMENT, outgoing INTEGER NOT NULL, state INTEGER NOT NULL, trouble INTEGER NOT NULL, source INTEGER NOT NULL,"
    "  form INTEGER NOT NULL, mode INTEGER NOT NULL, chunks INTEGER NOT NULL, have INTEGER NOT NULL, size INTEGER NOT NULL, mtime_s INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL, stamp INTEGER NOT NULL, blob BLOB NOT NULL, key BLOB NOT NULL, salt BLOB NOT NULL, commitment BLOB NOT NULL,"
    "  root BLOB NOT NULL, name TEXT NOT NULL, media TEXT NOT NULL, path TEXT NOT NULL, saved_as TEXT NOT NULL);"
    "CREATE INDEX file_state ON file(state);"
    "CREATE INDEX file_blob ON file(blob);"
    "CREATE TABLE file_link("
    "  message INTEGER PRIMARY KEY REFERENCES message(row) ON DELETE CASCADE, file INTEGER NOT NULL, contact INTEGER NOT NULL,"
    "  capability BLOB NOT NULL, seal_id BLOB NOT NULL, offer_sequence INTEGER NOT NULL, seal_sequence INTEGER NOT NULL, ended INTEGER NOT NULL);"
    "CREATE INDEX file_link_file ON file_link(file);"
    "CREATE INDEX file_link_contact ON file_link(contact, message);"
    "CREATE INDEX file_link_seal ON file_link(seal_id);"
    "CREATE TABLE file_block(place INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE file_content(place INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";

/* Blobs that our relay has not been told to forget yet. */
static const char drops[] = "CREATE TABLE file_drop(blob BLOB PRIMARY KEY) WITHOUT ROWID;";

/* A new session that could not begin yet is not forgotten; and a session's reset is heard once. */
static const char resets[] = "ALTER TABLE contact ADD COLUMN reset_wanted INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE session ADD COLUMN reset_heard INTEGER NOT NULL DEFAULT 0;";

/* What a contact says of our own list is passed on once for each version that it has. */
static const char own_lists[] = "ALTER TABLE contact ADD COLUMN own_told INTEGER NOT NULL DEFAULT 0;";

const migration vault_migrations[] = {
    { 1, keys_and_contacts }, { 2, messages }, { 3, short_beginnings }, { 4, cursors }, { 5, files }, { 6, drops }, { 7, resets }, { 8, own_lists }
};
const size_t vault_migration_count = sizeof vault_migrations / sizeof *vault_migrations;
