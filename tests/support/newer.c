/* newer vault PROFILE-FOLDER | newer relay DATA-FOLDER: makes the vault of a profile without a passphrase, or a relay's store, look like one of a
 * version that is not out yet. For tests/integration/damage.sh. */
#include "identity/keyfile.h"
#include "relay/parts.h"
#include "vault/schema.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static size_t read_file(const char *folder, const char *name, uint8_t *out, size_t room)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(out, 1, room, f) : 0;
    if (f)
        (void)fclose(f);
    return n;
}

static int vault_key(const char *folder, uint8_t key[32])
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    keyfile *k = NULL;
    size_t n = read_file(folder, "vault.key", bytes, sizeof bytes);
    int rc = keyfile_decode(&k, bytes, n);
    if (rc == TACET_OK)
        rc = keyfile_open(k, KEYFILE_PLAIN, key, NULL, 0);
    keyfile_free(k);
    return rc;
}

static int relay_key(const char *folder, uint8_t key[32])
{
    uint8_t hex[64];
    size_t bytes = 0, n = read_file(folder, "relay.key", hex, sizeof hex);
    return n == sizeof hex && sodium_hex2bin(key, 32, (const char *)hex, n, NULL, &bytes, NULL) == 0 && bytes == 32 ? TACET_OK : TACET_E_MALFORMED;
}

int main(int argc, char **argv)
{
    uint8_t key[32];
    char path[512];
    database *d = NULL;
    if (argc != 3 || sodium_init() < 0)
        return 2;
    bool vault = strcmp(argv[1], "vault") == 0;
    (void)snprintf(path, sizeof path, "%s/%s", argv[2], vault ? "vault.db" : relay_store_file);
    int rc = vault ? vault_key(argv[2], key) : relay_key(argv[2], key);
    if (rc == TACET_OK)
        rc = vault ? database_open(&d, path, key, &database_vault, vault_migrations, vault_migration_count)
                   : database_open(&d, path, key, &database_relay, relay_migrations, relay_migration_count);
    if (rc == TACET_OK)
        rc = database_execute(d, "PRAGMA user_version=1000");
    database_close(d);
    if (rc != TACET_OK)
        (void)fprintf(stderr, "newer: %s: %s\n", path, tacet_status_word(rc));
    return rc == TACET_OK ? 0 : 1;
}
