/* Accounts with their device lists, devices with their mailboxes. */
#include "parts.h"
#include <string.h>

static uint64_t column(sqlite3_stmt *q, int i) { return (uint64_t)sqlite3_column_int64(q, i); }

/* A statement of ours that finds a constraint in its way has a verdict for the caller; one that changed nothing found nothing. */
static int changed(int rc, uint64_t rows) { return rc == TACET_OK && rows == 0 ? TACET_E_NOT_FOUND : rc; }

/* --- accounts and lists ---------------------------------------------------------------------------------------------------------------- */
int relay_account_add(relay_store *s, const uint8_t account[32], uint64_t version, const uint8_t hash[32], blob signed_list, uint32_t now_hour)
{
    int rc = relay_do(s, NULL, "INSERT INTO account VALUES(?, ?)", "ki", account, (uint64_t)now_hour);
    return rc == TACET_OK ? relay_do(s, NULL, "INSERT INTO list VALUES(?, ?, ?, ?)", "kikb", account, version, hash, signed_list) : rc;
}

int relay_list_add(relay_store *s, const uint8_t account[32], uint64_t version, const uint8_t hash[32], blob signed_list)
{
    uint64_t rows = 0;
    int rc = relay_do(s, &rows, "INSERT INTO list SELECT account, ?2, ?3, ?4 FROM account WHERE account = ?1", "kikb", account, version, hash,
                      signed_list);
    return changed(rc, rows);
}

int relay_lists_after(relay_store *s, const uint8_t account[32], uint64_t after, bool (*each)(void *ctx, uint64_t version, blob signed_list),
                      void *ctx)
{
    sqlite3_stmt *q = NULL;
    bool on = true;
    int rc = relay_one(s, &q, "SELECT 1 FROM account WHERE account = ?", "k", account);
    if (rc != TACET_OK)
        return rc;
    (void)sqlite3_reset(q); /* only one row */
    if (after > INT64_MAX)
        return TACET_OK;
    rc = relay_bind(s, &q, "SELECT version, signed FROM list WHERE account = ? AND version > ? ORDER BY version", "ki", account, after);
    while (rc == TACET_OK && on && (rc = database_row(s->db, q)) == TACET_OK) {
        blob list = { sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1) };
        on = each(ctx, column(q, 0), list);
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int relay_list_newest(relay_store *s, const uint8_t account[32], uint8_t *out, size_t room, size_t *out_bytes)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT signed FROM list WHERE account = ? ORDER BY version DESC LIMIT 1", "k", account);
    return rc == TACET_OK ? relay_give(q, 0, out, room, out_bytes) : rc;
}

/* --- mailboxes ---------------------------------------------------------------------------------------------------------------------------- */
static int life_note(relay_store *s, uint32_t mailbox, bool alive)
{
    int rc = RESERVE(&s->tx.lives);
    if (rc != TACET_OK)
        return rc;
    s->tx.lives.at[s->tx.lives.count++] = (life){ .mailbox = mailbox, .alive = alive, .watermark = s->last_number };
    s->index.state[mailbox].alive = alive;
    return TACET_OK;
}

/* A number whose mailbox was gone already when this store was opened, so that nothing in memory can mean that one by it; 0: none. */
static uint32_t number_again(relay_store *s)
{
    while (s->numbers.next <= s->numbers.given) {
        uint32_t number = s->numbers.next++;
        if (number < s->index.states && s->index.state[number].lived)
            continue;
        s->numbers.free--;
        return number;
    }
    return 0;
}

static int number_given(relay_store *s, uint64_t *number)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'mailbox'), 0)", "");
    if (rc != TACET_OK)
        return rc;
    *number = column(q, 0);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

int relay_mailboxes_left(relay_store *s, uint32_t most, uint32_t *left)
{
    uint64_t given = 0;
    int rc = number_given(s, &given);
    if (rc == TACET_OK)
        *left = s->numbers.free + (given < most ? most - (uint32_t)given : 0);
    return rc;
}

int account_numbers_load(relay_store *s)
{
    uint64_t given = 0;
    uint32_t lived = 0;
    int rc = number_given(s, &given);
    if (rc != TACET_OK)
        return rc;
    for (uint32_t i = 0; i < s->index.states; i++)
        lived += s->index.state[i].lived = s->index.state[i].alive;
    if (given >= UINT32_MAX || lived > given)
        return TACET_E_CORRUPT;
    s->numbers.next = 1;
    s->numbers.given = (uint32_t)given;
    s->numbers.free = (uint32_t)given - lived;
    return TACET_OK;
}

int relay_mailbox_add(relay_store *s, const uint8_t account[32], uint32_t device, const uint8_t transport_key[32], uint32_t *mailbox)
{
    if (!s->tx.open)
        return TACET_E_BUG;
    uint32_t again = number_again(s);
    int rc = relay_do(s, NULL, "INSERT INTO mailbox(mailbox, account, device, transport_key) VALUES(nullif(?, 0), ?, ?, ?)", "ikik", (uint64_t)again,
                      account, (uint64_t)device, transport_key);
    if (rc == TACET_OK && again) /* what is left of the one before counts as acknowledged */
        rc = relay_do(s, NULL, "INSERT OR REPLACE INTO mark VALUES(?, ?, x'')", "ii", (uint64_t)again, s->last_number);
    if (rc != TACET_OK)
        return rc;
    sqlite3_int64 number = again ? again : sqlite3_last_insert_rowid(s->db->db);
    if (number <= 0 || number >= UINT32_MAX)
        return TACET_E_BUG;
    rc = index_room_for_mailbox(&s->index, (uint32_t)number);
    if (rc == TACET_OK)
        rc = life_note(s, (uint32_t)number, true);
    if (rc == TACET_OK)
        *mailbox = (uint32_t)number;
    return rc;
}

/* Everything that waits in it is removed from the index now; the rows are dead and go with the next sweep. */
static int waiting_drop(relay_store *s, uint32_t mailbox)
{
    const mailbox_state *m = &s->index.state[mailbox];
    sqlite3_stmt *q = NULL;
    int rc = TACET_OK;
    for (uint32_t place = m->oldest; rc == TACET_OK && place != NO_PLACE; place = s->index.ring[place].next) {
        const entry *e = &s->index.ring[place];
        if (entry_waits(e))
            rc = log_remove(s, &(removal){ .number = e->number, .mailbox = mailbox, .bytes = e->bytes, .kind = e->kind, .index_deleted = true });
    }
    for (size_t i = 0; rc == TACET_OK && i < s->tx.appended.count; i++) {
        const entry *e = &s->tx.appended.at[i];
        if (e->mailbox == mailbox && entry_waits(e))
            rc = log_remove(s, &(removal){ .number = e->number, .mailbox = mailbox, .bytes = e->bytes, .kind = e->kind, .index_deleted = true });
    }
    if (rc == TACET_OK && m->in_table)
        rc = relay_bind(s, &q, "SELECT number, what FROM mailbox_index WHERE mailbox = ? AND number > ? AND number <= ?", "iii", (uint64_t)mailbox,
                        m->watermark, s->index.indexed_through);
    while (rc == TACET_OK && q && (rc = database_row(s->db, q)) == TACET_OK)
        if (!state_acknowledged(m, column(q, 0)))
            rc = log_remove(s, &(removal){ .number = column(q, 0),
                                           .mailbox = mailbox,
                                           .bytes = index_bytes(column(q, 1)),
                                           .kind = index_kind(column(q, 1)),
                                           .index_deleted = true });
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int relay_mailbox_remove(relay_store *s, uint32_t mailbox)
{
    static const char *const table[] = { "DELETE FROM mailbox_index WHERE mailbox = ?", "DELETE FROM mark WHERE mailbox = ?",
                                         "DELETE FROM prekey WHERE mailbox = ?", "DELETE FROM forget WHERE mailbox = ?",
                                         "DELETE FROM mailbox WHERE mailbox = ?" };
    if (!s->tx.open)
        return TACET_E_BUG;
    if (!index_alive(&s->index, mailbox))
        return TACET_E_NOT_FOUND;
    forget_leave(s, mailbox);
    int rc = waiting_drop(s, mailbox);
    for (size_t i = 0; rc == TACET_OK && i < sizeof table / sizeof *table; i++)
        rc = relay_do(s, NULL, table[i], "i", (uint64_t)mailbox);
    return rc == TACET_OK ? life_note(s, mailbox, false) : rc;
}

int relay_mailbox_find(relay_store *s, const uint8_t account[32], uint32_t device, uint32_t *mailbox)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT mailbox FROM mailbox WHERE account = ? AND device = ?", "ki", account, (uint64_t)device);
    if (rc != TACET_OK)
        return rc;
    *mailbox = (uint32_t)column(q, 0);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

int relay_transport_find(relay_store *s, const uint8_t transport_key[32], uint32_t *mailbox, uint8_t account[32], uint32_t *device)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT mailbox, account, device FROM mailbox WHERE transport_key = ?", "k", transport_key);
    if (rc != TACET_OK)
        return rc;
    const void *found = sqlite3_column_blob(q, 1);
    if (found && sqlite3_column_bytes(q, 1) == 32) {
        memcpy(account, found, 32);
        *mailbox = (uint32_t)column(q, 0);
        *device = (uint32_t)column(q, 2);
    } else {
        rc = TACET_E_CORRUPT;
    }
    (void)sqlite3_reset(q); /* only one row */
    return rc;
}
