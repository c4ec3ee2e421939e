/* engine/sentences.h: every sentence that a person may read, in one table: code word, exit code (CLI.md), text: what, why, what to do, in one line.
 * In the text $1, $2 and $3 stand for what the caller fills in; whatever came from a peer must be made harmless before it is printed. */
#ifndef ENGINE_SENTENCES_H
#define ENGINE_SENTENCES_H

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_TRUST = 4,
    EXIT_NOT_FOUND = 5,
    EXIT_LOCKED = 6,
    EXIT_QUOTA = 7,
    EXIT_TIMEOUT = 8,
};

typedef struct {
    const char *code; /* stable word, never NULL once filled */
    int exit;
    char message[512];
} engine_error;

typedef enum {
    /* general */
    SAY_USAGE,
    SAY_UNKNOWN_METHOD,
    SAY_BAD_PARAMETER,
    SAY_INTERNAL,
    SAY_NO_MEMORY,
    SAY_STOPPING,
    SAY_TIMEOUT,
    SAY_STOPPED,
    SAY_WAS_LOCKED,
    SAY_NOT_RUNNING,
    SAY_OFFLINE,
    /* profile and vault */
    SAY_NO_ACCOUNT,
    SAY_ACCOUNT_EXISTS,
    SAY_VAULT_DAMAGED,
    SAY_VAULT_NEWER,
    SAY_VAULT_BUSY,
    SAY_VAULT_UNSAFE,
    SAY_DISK_FULL,
    SAY_READ_ONLY,
    SAY_IO,
    SAY_LOCKING,
    SAY_LOCKED,
    SAY_PASSPHRASE,
    SAY_KEY_FILE_DAMAGED,
    SAY_KEY_FILE_MISSING,
    SAY_PERMISSIONS,
    SAY_HOST_BUSY,
    SAY_BAD_PROFILE,
    SAY_NO_HOME,
    SAY_FOREIGN_OWNER,
    SAY_KEY_FILE_NEWER,
    SAY_KEY_FILE_EXISTS,
    SAY_KEYRING,
    SAY_PASSPHRASE_BAD,
    SAY_PASSPHRASE_DIFFERS,
    SAY_PASSPHRASE_UNREADABLE,
    SAY_FILE_EXISTS,
    SAY_BACKUP_RUNS,
    SAY_BACKUP_NONE,
    SAY_BACKUP_NEWER,
    SAY_BACKUP_CUT,
    SAY_BACKUP_DAMAGED,
    SAY_BACKUP_PASSPHRASE,
    /* names and contacts */
    SAY_BAD_NAME,
    SAY_BAD_LINK,
    SAY_BAD_RELAY,
    SAY_NO_CONTACT,
    SAY_NO_REQUEST,
    SAY_NO_NAME,
    SAY_NO_MESSAGE,
    SAY_NAME_IN_USE,
    SAY_SELF,
    SAY_PENDING,
    SAY_CLOCK,
    SAY_BLOCKED,
    SAY_TEXT_EMPTY,
    SAY_TEXT_LONG,
    SAY_REQUEST_LONG,
    SAY_TEXT_UTF8,
    SAY_BAD_SEARCH,
    SAY_DIGITS_DIFFER,
    SAY_DIGITS_MALFORMED,
    /* trust */
    SAY_KEY_CHANGED,
    SAY_NOTHING_CHANGED,
    SAY_NOTHING_TRUSTED,
    SAY_FORK,
    SAY_LISTS_FORGED,
    SAY_PREKEYS_FORGED,
    SAY_DIRECTORY_FORGED,
    SAY_LINK_DEAD,
    SAY_NOT_TAKEN,
    SAY_DOWNGRADE,
    SAY_OWN_FORK,
    SAY_OWN_ROLLBACK,
    SAY_REPLACED,
    /* relay */
    SAY_UNREACHABLE,
    SAY_RELAY_KEY,
    SAY_RELAY_EARLY,
    SAY_RELAY_VERSION,
    SAY_RELAY_BROKEN,
    SAY_NAME_TAKEN,
    SAY_REGISTRATION_CLOSED,
    SAY_INVITE,
    SAY_RELAY_QUOTA,
    SAY_RELAY_RATE,
    SAY_RELAY_REFUSED,
    SAY_NOT_REGISTERED,
    SAY_COUNT
} sentence;

/* Fills *out. Arguments may be NULL (empty). */
void sentence_fill(engine_error *out, sentence which, const char *one, const char *two, const char *three);
const char *sentence_code(sentence which);
/* A fault of storage or memory (base/status.h) as a sentence; path in $1. */
sentence sentence_of_status(int status);
#endif
