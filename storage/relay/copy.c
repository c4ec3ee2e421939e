/* The relay's store as a file that can be carried away, and under another key. */
#include "parts.h"

const char relay_store_file[] = "relay.db";

int relay_backup(relay_store *s, const char *path, const uint8_t key[32]) { return s->tx.open ? TACET_E_BUG : database_backup(s->db, path, key); }

int relay_rekey(relay_store *s, const uint8_t key[32])
{
    if (s->tx.open)
        return TACET_E_BUG;
    checkpoint_stop(s); /* its connection has the old key */
    int rc = database_rekey(s->db, key);
    int again = checkpoint_start(s);
    return rc == TACET_OK ? again : rc;
}
