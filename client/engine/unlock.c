/* The key file on disk, and the order of the three ways to open it. Changes happen under a lock on the folder (not the profile's lock, which a
 * running host holds), are written beside the old file and take its name only when they are on the disk. */
#include "engine/unlock.h"
#include "base/fd.h"
#include "base/text.h"
#include "keyring.h"
#include "profile_file.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define KEY_FILE "vault.key"
#define KEY_FILE_NEW "vault.key.new"

static int say(engine_error *error, sentence which, const char *path, int status)
{
    sentence_fill(error, which, path, NULL, NULL);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

static int key_file_missing(const profile *p, engine_error *error)
{
    struct stat s;
    if (fstatat(p->fd, "vault.db", &s, AT_SYMLINK_NOFOLLOW) == 0)
        return say(error, SAY_KEY_FILE_MISSING, p->key_file, TACET_E_CORRUPT);
    return say(error, SAY_NO_ACCOUNT, NULL, TACET_E_NOT_FOUND);
}

/* The whole file, or so much of it that it is too long. -1: errno. */
static ssize_t read_all(int fd, uint8_t *out, size_t room)
{
    size_t have = 0;
    while (have < room) {
        ssize_t got = read(fd, out + have, room - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static int key_file_decode(keyfile **out, const profile *p, int fd, engine_error *error)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES + 1];
    ssize_t n = read_all(fd, bytes, sizeof bytes);
    int rc = n < 0 ? TACET_E_IO : keyfile_decode(out, bytes, (size_t)n);
    sodium_memzero(bytes, sizeof bytes);
    switch (rc) {
    case TACET_OK:
        return rc;
    case TACET_E_IO:
        return file_failed(error, p->key_file);
    case TACET_E_NEWER:
        return say(error, SAY_KEY_FILE_NEWER, p->key_file, rc);
    case TACET_E_NOMEM:
        return say(error, SAY_NO_MEMORY, NULL, rc);
    default: /* no key file at all: under this name that is damage */
        return say(error, SAY_KEY_FILE_DAMAGED, p->key_file, TACET_E_CORRUPT);
    }
}

static int key_file_load(keyfile **out, const profile *p, engine_error *error)
{
    struct stat s;
    int rc, fd = openat(p->fd, KEY_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return key_file_missing(p, error);
    if (fd < 0 && errno == ELOOP)
        return say(error, SAY_KEY_FILE_DAMAGED, p->key_file, TACET_E_CORRUPT);
    if (fd < 0)
        return file_failed(error, p->key_file);
    if (fstat(fd, &s) != 0)
        rc = file_failed(error, p->key_file);
    else if (!S_ISREG(s.st_mode))
        rc = say(error, SAY_KEY_FILE_DAMAGED, p->key_file, TACET_E_CORRUPT);
    else
        rc = file_guarded(&s, S_IRWXG | S_IRWXO, "600", false, p->key_file, error);
    if (rc == TACET_OK)
        rc = key_file_decode(out, p, fd, error);
    close(fd);
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

/* The bytes are on the disk under the new name, complete, or there is no such name. */
static int new_file_write(const profile *p, const uint8_t *bytes, size_t n, engine_error *error)
{
    if (unlinkat(p->fd, KEY_FILE_NEW, 0) != 0 && errno != ENOENT) /* what a killed process left */
        return file_failed(error, p->key_file);
    int fd = openat(p->fd, KEY_FILE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_failed(error, p->key_file);
    bool ok = fd_write_all(fd, bytes, n) && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok)
        return TACET_OK;
    (void)unlinkat(p->fd, KEY_FILE_NEW, 0); /* the first reason is the one to tell; the next change removes it as well */
    errno = why;
    return file_failed(error, p->key_file);
}

/* TACET_OK also when the file has its name and the folder did not get to the disk: then *error says so, and what was before may come back. */
static int key_file_store(const profile *p, const keyfile *k, engine_error *error)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = 0;
    *error = (engine_error){ 0 };
    int rc = keyfile_encode(k, bytes, &n);
    if (rc != TACET_OK)
        rc = say(error, SAY_INTERNAL, sentence_text(SAY_WHY_KEY_FILE), rc);
    else
        rc = new_file_write(p, bytes, n, error);
    if (rc == TACET_OK && renameat(p->fd, KEY_FILE_NEW, p->fd, KEY_FILE) != 0) {
        rc = file_failed(error, p->key_file);
    } else if (rc == TACET_OK && fsync(p->fd) != 0) {
        int why = errno;
        sentence_fill(error, SAY_KEY_FILE_UNSURE, p->key_file, strerror(why), NULL);
        errno = why;
    }
    sodium_memzero(bytes, sizeof bytes);
    return rc;
}

/* One change at a time; -1 after *error was filled. Given back with close. */
static int change_lock(const profile *p, engine_error *error)
{
    int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        int why = errno;
        close(fd);
        errno = why;
        fd = -1;
    }
    if (fd < 0)
        (void)file_failed(error, p->dir);
    return fd;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

/* What a person makes of a code that was written down: capitals, groups, and the figures that base32 does not have for the letters they look like.
 * False: it can be none. */
static bool code_read(char code[UNLOCK_CODE_CHARS + 1], const passphrase *given)
{
    static const char figures[] = "018", letters[] = "olb";
    uint8_t bytes[UNLOCK_CODE_CHARS * 5 / 8];
    size_t n = 0;
    bool is = true;
    for (size_t i = 0; is && i < given->bytes; i++) {
        char c = given->text[i];
        const char *figure = c ? strchr(figures, c) : NULL;
        if (c == '-' || c == ' ' || c == '.' || c == '_')
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        is = n < UNLOCK_CODE_CHARS;
        if (is)
            code[n++] = figure ? letters[figure - figures] : c;
    }
    code[n] = '\0';
    is = is && base32_decode(bytes, sizeof bytes, code, n) == TACET_OK;
    sodium_memzero(bytes, sizeof bytes);
    return is;
}

/* Each try costs a second and 256 MiB, so the recovery slot is asked only about what looks like a code. */
static int open_with_passphrase(const keyfile *k, const passphrase *given, uint8_t key[TACET_DATABASE_KEY_BYTES])
{
    char code[UNLOCK_CODE_CHARS + 1];
    int rc = keyfile_open(k, KEYFILE_PASSPHRASE, key, given->text, given->bytes);
    if ((rc == TACET_E_PASSPHRASE || rc == TACET_E_NOT_FOUND) && keyfile_has(k, KEYFILE_RECOVERY) && code_read(code, given))
        rc = keyfile_open(k, KEYFILE_RECOVERY, key, code, UNLOCK_CODE_CHARS);
    sodium_memzero(code, sizeof code);
    return rc == TACET_E_NOT_FOUND ? TACET_E_PASSPHRASE : rc;
}

/* The entry's name says which profile, to nobody else: /proc/keys is readable for all processes of this user. */
enum { ENTRY_CHARS = 6 + 2 * 16 };
static void entry_name(char out[ENTRY_CHARS + 1], const profile *p)
{
    uint8_t hash[16];
    char hex[2 * sizeof hash + 1];
    int rc = crypto_generichash(hash, sizeof hash, (const uint8_t *)p->dir, strlen(p->dir), NULL, 0);
    assert(rc == 0);
    hex_encode(hex, hash, sizeof hash);
    snprintf(out, ENTRY_CHARS + 1, "tacet:%s", hex);
}

static bool open_with_keyring(const profile *p, uint8_t key[TACET_DATABASE_KEY_BYTES])
{
    char name[ENTRY_CHARS + 1];
    entry_name(name, p);
    return keyring_get(name, key, TACET_DATABASE_KEY_BYTES) == TACET_OK;
}

static int open_loaded(const keyfile *k, const profile *p, const passphrase *given, bool keyring, uint8_t key[TACET_DATABASE_KEY_BYTES],
                       unlock_way *way, engine_error *error)
{
    *way = UNLOCK_BY_PLAIN_SLOT;
    if (keyfile_has(k, KEYFILE_PLAIN))
        return keyfile_open(k, KEYFILE_PLAIN, key, NULL, 0);
    *way = UNLOCK_BY_KEYRING;
    if (keyring && open_with_keyring(p, key))
        return TACET_OK;
    *way = UNLOCK_BY_PASSPHRASE;
    if (!given)
        return say(error, SAY_LOCKED, NULL, TACET_E_AGAIN);
    int rc = open_with_passphrase(k, given, key);
    if (rc == TACET_E_PASSPHRASE)
        return say(error, SAY_PASSPHRASE, NULL, rc);
    if (rc == TACET_E_CORRUPT)
        return say(error, SAY_KEY_FILE_DAMAGED, p->key_file, rc);
    return rc == TACET_OK ? rc : say(error, sentence_of_status(rc), p->key_file, rc);
}

static int open_any(const profile *p, const passphrase *given, bool keyring, uint8_t key[TACET_DATABASE_KEY_BYTES], unlock_way *way,
                    engine_error *error)
{
    keyfile *k = NULL;
    unlock_way went;
    int rc = key_file_load(&k, p, error);
    if (rc == TACET_OK)
        rc = open_loaded(k, p, given, keyring, key, &went, error);
    if (rc == TACET_OK && way)
        *way = went;
    keyfile_free(k);
    return rc;
}

int unlock_open(const profile *p, const passphrase *given, uint8_t key[TACET_DATABASE_KEY_BYTES], unlock_way *way, engine_error *error)
{
    return open_any(p, given, true, key, way, error);
}

int unlock_prove(const profile *p, const passphrase *given, uint8_t key[TACET_DATABASE_KEY_BYTES], unlock_way *way, engine_error *error)
{
    return open_any(p, given, false, key, way, error);
}

int unlock_has(const profile *p, enum keyfile_slot slot, bool *has, engine_error *error)
{
    keyfile *k = NULL;
    int rc = key_file_load(&k, p, error);
    if (rc == TACET_OK)
        *has = keyfile_has(k, slot);
    keyfile_free(k);
    return rc;
}

int unlock_needs_passphrase(const profile *p, bool *needs, engine_error *error)
{
    bool plain = false;
    int rc = unlock_has(p, KEYFILE_PLAIN, &plain, error);
    if (rc == TACET_OK)
        *needs = !plain;
    return rc;
}

/* ---- changing ------------------------------------------------------------------------------------------------------------------------ */

/* Opens by `chosen` alone, or by reading when NULL. */
static int slots_choose(keyfile *k, const uint8_t key[TACET_DATABASE_KEY_BYTES], const passphrase *chosen, keyfile_cost cost, const tacet_env *env,
                        engine_error *error)
{
    enum keyfile_slot slot = chosen ? KEYFILE_PASSPHRASE : KEYFILE_PLAIN;
    int rc = keyfile_set(k, slot, key, chosen ? chosen->text : NULL, chosen ? chosen->bytes : 0, cost, env);
    if (rc != TACET_OK)
        return say(error, sentence_of_status(rc), sentence_text(SAY_WHY_PASSPHRASE_COST), rc);
    keyfile_remove(k, chosen ? KEYFILE_PLAIN : KEYFILE_PASSPHRASE);
    return TACET_OK;
}

static int create_locked(const profile *p, const keyfile *k, engine_error *error)
{
    struct stat s;
    if (fstatat(p->fd, KEY_FILE, &s, AT_SYMLINK_NOFOLLOW) == 0)
        return say(error, SAY_KEY_FILE_EXISTS, p->key_file, TACET_E_EXISTS);
    int rc = errno == ENOENT ? key_file_store(p, k, error) : file_failed(error, p->key_file);
    if (rc != TACET_OK || !error->code)
        return rc;
    int why = errno;
    (void)unlinkat(p->fd, KEY_FILE, 0); /* a vault must not be made under a key that may be gone tomorrow; if it stays, the next init opens it */
    errno = why;
    return file_failed(error, p->key_file);
}

int unlock_create(const profile *p, const passphrase *chosen, keyfile_cost cost, const tacet_env *env, uint8_t key[TACET_DATABASE_KEY_BYTES],
                  engine_error *error)
{
    uint8_t fresh[TACET_DATABASE_KEY_BYTES];
    keyfile *k = NULL;
    int lock = -1, rc = keyfile_new(&k);
    if (rc != TACET_OK) {
        rc = say(error, SAY_NO_MEMORY, NULL, rc);
        goto out;
    }
    env_random(env, fresh, sizeof fresh);
    rc = slots_choose(k, fresh, chosen, cost, env, error);
    if (rc != TACET_OK)
        goto out;
    rc = unlock_forget(p, error); /* a key of an earlier vault in this place */
    if (rc != TACET_OK)
        goto out;
    lock = change_lock(p, error);
    rc = lock < 0 ? TACET_E_IO : create_locked(p, k, error);
    if (rc == TACET_OK)
        memcpy(key, fresh, sizeof fresh);
out:
    if (lock >= 0)
        close(lock);
    keyfile_free(k);
    sodium_memzero(fresh, sizeof fresh);
    return rc;
}

/* Loads, lets `change` work on it, and stores, under the lock. */
typedef struct {
    const uint8_t *key;
    const passphrase *chosen;
    keyfile_cost cost;
    const tacet_env *env;
} change;

static int changed(const profile *p, int (*apply)(keyfile *k, const change *c, engine_error *error), const change *c, engine_error *error)
{
    keyfile *k = NULL;
    int lock = change_lock(p, error), rc = lock < 0 ? TACET_E_IO : key_file_load(&k, p, error);
    if (rc == TACET_OK)
        rc = apply(k, c, error);
    if (rc == TACET_OK)
        rc = key_file_store(p, k, error);
    keyfile_free(k);
    if (lock >= 0)
        close(lock);
    return rc;
}

static int apply_choice(keyfile *k, const change *c, engine_error *error) { return slots_choose(k, c->key, c->chosen, c->cost, c->env, error); }

static int apply_recovery(keyfile *k, const change *c, engine_error *error)
{
    int rc = keyfile_set(k, KEYFILE_RECOVERY, c->key, c->chosen->text, c->chosen->bytes, c->cost, c->env);
    return rc == TACET_OK ? rc : say(error, sentence_of_status(rc), sentence_text(SAY_WHY_CODE_COST), rc);
}

static int apply_no_recovery(keyfile *k, const change *c, engine_error *error)
{
    (void)c;
    (void)error;
    keyfile_remove(k, KEYFILE_RECOVERY);
    return TACET_OK;
}

int unlock_change(const profile *p, const uint8_t key[TACET_DATABASE_KEY_BYTES], const passphrase *chosen, keyfile_cost cost, const tacet_env *env,
                  engine_error *error)
{
    return changed(p, apply_choice, &(change){ key, chosen, cost, env }, error);
}

int unlock_recovery_set(const profile *p, const uint8_t key[TACET_DATABASE_KEY_BYTES], keyfile_cost cost, const tacet_env *env,
                        char code[UNLOCK_CODE_CHARS + 1], engine_error *error)
{
    uint8_t bytes[UNLOCK_CODE_CHARS * 5 / 8];
    char text[UNLOCK_CODE_CHARS + 1];
    env_random(env, bytes, sizeof bytes);
    base32_encode(text, bytes, sizeof bytes);
    int rc = changed(p, apply_recovery, &(change){ key, &(passphrase){ text, UNLOCK_CODE_CHARS }, cost, env }, error);
    if (rc == TACET_OK)
        memcpy(code, text, sizeof text);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(text, sizeof text);
    return rc;
}

int unlock_recovery_remove(const profile *p, engine_error *error) { return changed(p, apply_no_recovery, NULL, error); }

/* ---- the keyring --------------------------------------------------------------------------------------------------------------------- */

static int keyring_failed(engine_error *error, int status) { return say(error, SAY_KEYRING, strerror(errno), status); }

int unlock_remember(const profile *p, const uint8_t key[TACET_DATABASE_KEY_BYTES], unsigned seconds, engine_error *error)
{
    char name[ENTRY_CHARS + 1];
    entry_name(name, p);
    errno = EINVAL;
    int rc = keyring_put(name, key, TACET_DATABASE_KEY_BYTES, seconds);
    return rc == TACET_OK ? rc : keyring_failed(error, TACET_E_REFUSED);
}

int unlock_forget(const profile *p, engine_error *error)
{
    char name[ENTRY_CHARS + 1];
    entry_name(name, p);
    int rc = keyring_forget(name);
    return rc == TACET_OK ? rc : keyring_failed(error, rc);
}

int unlock_keyring_check(engine_error *error)
{
    uint8_t bytes[16], back[sizeof bytes];
    char name[32];
    randombytes_buf(bytes, sizeof bytes);
    snprintf(name, sizeof name, "tacet-check:%ld", (long)getpid());
    errno = EINVAL;
    int rc = keyring_put(name, bytes, sizeof bytes, 60);
    if (rc == TACET_OK && (keyring_get(name, back, sizeof back) != TACET_OK || sodium_memcmp(bytes, back, sizeof back) != 0))
        rc = TACET_E_REFUSED;
    if (keyring_forget(name) != TACET_OK && rc == TACET_OK)
        rc = TACET_E_REFUSED;
    return rc == TACET_OK ? rc : keyring_failed(error, TACET_E_REFUSED);
}
