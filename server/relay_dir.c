/* server/relay_dir.c: see relay_dir.h. */
#include "server/relay_dir.h"
#include "base/reader.h"
#include "base/text.h"
#include "base/writer.h"
#include "identity/directory.h"
#include "identity/keys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_FILE_CHARS = 64 };

__attribute__((format(printf, 3, 4))) static int because(char why[RELAY_WHY_MAX], int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, RELAY_WHY_MAX, format, args);
    va_end(args);
    return status;
}

int relay_dir_path(char out[RELAY_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, RELAY_PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < RELAY_PATH_MAX ? TACET_OK : TACET_E_MALFORMED;
}

int relay_dir_check(const char *dir, char why[RELAY_WHY_MAX])
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return because(why, TACET_E_NOT_FOUND, "%s: %s; make a relay there with: tacetd init --data %s", dir, strerror(errno), dir);
    if (!S_ISDIR(st.st_mode))
        return because(why, TACET_E_REFUSED, "%s is no directory", dir);
    if (st.st_uid != geteuid())
        return because(why, TACET_E_REFUSED, "%s belongs to somebody else; run as its owner", dir);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return because(why, TACET_E_REFUSED, "others can write to %s; close it with: chmod 700 %s", dir, dir);
    return TACET_OK;
}

int relay_dir_make(const char *dir, char why[RELAY_WHY_MAX])
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return because(why, TACET_E_IO, "%s cannot be made: %s", dir, strerror(errno));
    return relay_dir_check(dir, why);
}

int relay_dir_lock(const char *dir, int *fd, char why[RELAY_WHY_MAX])
{
    char path[RELAY_PATH_MAX];
    if (relay_dir_path(path, dir, "lock") != TACET_OK)
        return because(why, TACET_E_MALFORMED, "the path of the directory is too long");
    int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f < 0)
        return because(why, TACET_E_IO, "%s: %s", path, strerror(errno));
    if (flock(f, LOCK_EX | LOCK_NB) != 0) {
        close(f);
        return because(why, TACET_E_BUSY, "another tacetd works on %s", dir);
    }
    *fd = f;
    return TACET_OK;
}

/* --- the database key ------------------------------------------------------------------------------------------------------------------ */
int relay_key_path(char out[RELAY_PATH_MAX], const char *dir, const char *given)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    if (given)
        return snprintf(out, RELAY_PATH_MAX, "%s", given) < RELAY_PATH_MAX ? TACET_OK : TACET_E_MALFORMED;
    if (credentials && relay_dir_path(out, credentials, "tacetd.key") == TACET_OK && access(out, F_OK) == 0)
        return TACET_OK;
    return relay_dir_path(out, dir, "relay.key");
}

static int key_read(int fd, uint8_t key[32])
{
    char text[KEY_FILE_CHARS + 2];
    ssize_t n = read(fd, text, sizeof text);
    int rc = TACET_E_MALFORMED;
    if (n == KEY_FILE_CHARS || (n == KEY_FILE_CHARS + 1 && text[KEY_FILE_CHARS] == '\n'))
        rc = hex_decode(key, 32, text, KEY_FILE_CHARS);
    sodium_memzero(text, sizeof text);
    return n < 0 ? TACET_E_IO : rc;
}

int relay_key_load(uint8_t key[32], const char *dir, const char *given, char why[RELAY_WHY_MAX])
{
    char path[RELAY_PATH_MAX];
    struct stat st;
    if (relay_key_path(path, dir, given) != TACET_OK)
        return because(why, TACET_E_MALFORMED, "the path of the key file is too long");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int status = errno == ENOENT ? TACET_E_NOT_FOUND : TACET_E_IO;
        because(why, status, "the database key cannot be read from %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    int rc;
    if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0))
        rc = because(why, TACET_E_REFUSED, "%s is not a file of ours; refused", path);
    else if (st.st_mode & 077)
        rc = because(why, TACET_E_REFUSED, "others can read %s; refused. Close it with: chmod 600 %s", path, path);
    else if ((rc = key_read(fd, key)) != TACET_OK)
        rc = because(why, rc, "%s does not hold 64 hexadecimal digits", path);
    close(fd);
    return rc;
}

static int write_new(const char *path, const uint8_t key[32], int flags)
{
    char text[KEY_FILE_CHARS + 2];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return errno == EEXIST ? TACET_E_EXISTS : TACET_E_IO;
    hex_encode(text, key, 32);
    text[KEY_FILE_CHARS] = '\n';
    bool good = write(fd, text, KEY_FILE_CHARS + 1) == KEY_FILE_CHARS + 1 && fsync(fd) == 0;
    sodium_memzero(text, sizeof text);
    return close(fd) == 0 && good ? TACET_OK : TACET_E_IO;
}

static int sync_parent(const char *path)
{
    char parent[RELAY_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0 ? TACET_OK : TACET_E_IO;
    if (fd >= 0)
        close(fd);
    return rc;
}

int relay_key_write(const char *path, const uint8_t key[32])
{
    char fresh[RELAY_PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return TACET_E_MALFORMED;
    int rc = write_new(fresh, key, O_TRUNC);
    if (rc == TACET_OK && rename(fresh, path) != 0)
        rc = TACET_E_IO;
    return rc == TACET_OK ? sync_parent(path) : rc;
}

int relay_key_make(const char *dir, const char *given, char why[RELAY_WHY_MAX])
{
    char path[RELAY_PATH_MAX];
    uint8_t key[32];
    if (relay_key_path(path, dir, given) != TACET_OK)
        return because(why, TACET_E_MALFORMED, "the path of the key file is too long");
    if (access(path, F_OK) == 0)
        return TACET_OK;
    randombytes_buf(key, sizeof key);
    int rc = write_new(path, key, O_EXCL);
    sodium_memzero(key, sizeof key);
    if (rc == TACET_OK)
        rc = sync_parent(path);
    return rc == TACET_OK ? rc : because(why, rc, "the key file %s cannot be written: %s", path, strerror(errno));
}

int relay_key_next(char out[RELAY_PATH_MAX], const char *path)
{
    int n = snprintf(out, RELAY_PATH_MAX, "%s.next", path);
    return n > 0 && n < RELAY_PATH_MAX ? TACET_OK : TACET_E_MALFORMED;
}

static bool opens(const char *dir, const char *key_file)
{
    char why[RELAY_WHY_MAX];
    uint8_t key[32];
    relay_store *s = NULL;
    bool good = relay_key_load(key, dir, key_file, why) == TACET_OK && relay_dir_open(&s, dir, key, why) == TACET_OK;
    sodium_memzero(key, sizeof key);
    relay_store_close(s);
    return good;
}

int relay_key_settle(const char *dir, const char *given, char why[RELAY_WHY_MAX])
{
    char path[RELAY_PATH_MAX], next[RELAY_PATH_MAX];
    if (relay_key_path(path, dir, given) != TACET_OK || relay_key_next(next, path) != TACET_OK)
        return because(why, TACET_E_MALFORMED, "the path of the key file is too long");
    if (access(next, F_OK) != 0)
        return TACET_OK;
    bool old = opens(dir, path);
    if (!old && !opens(dir, next))
        return because(why, TACET_E_CORRUPT, "neither %s nor %s opens the store in %s; both were left as they are", path, next, dir);
    if ((old ? unlink(next) : rename(next, path)) != 0 || sync_parent(path) != TACET_OK)
        return because(why, TACET_E_IO, "%s: %s", path, strerror(errno));
    return TACET_OK;
}

/* --- the store ------------------------------------------------------------------------------------------------------------------------- */
static const struct {
    int status;
    const char *text;
} sentences[] = {
    { TACET_E_CORRUPT, "is damaged, or the key is not its key; put a backup in its place with: tacetd restore FILE" },
    { TACET_E_NEWER, "was made by a newer tacetd; use that one" },
    { TACET_E_FULL, "finds no space on its disk; make room" },
    { TACET_E_READONLY, "cannot be written; look at its file system and owner" },
    { TACET_E_BUSY, "is open in another process; stop that first" },
    { TACET_E_REFUSED, "was not opened, because a safety setting of SQLCipher did not stick" },
};

/* Or its log: then something took the store away, which storage has a word for. */
static bool has_store(const char *dir)
{
    char path[RELAY_PATH_MAX], log[RELAY_PATH_MAX + 8];
    if (relay_dir_path(path, dir, relay_store_file) != TACET_OK)
        return false;
    snprintf(log, sizeof log, "%s-wal", path);
    return access(path, F_OK) == 0 || access(log, F_OK) == 0;
}

int relay_dir_open(relay_store **out, const char *dir, const uint8_t key[32], char why[RELAY_WHY_MAX])
{
    if (has_store(dir))
        return relay_dir_open_or_make(out, dir, key, why);
    return because(why, TACET_E_NOT_FOUND,
                   "there is no store in %s; after a restore that was cut off: tacetd restore FILE, for a new relay: tacetd init", dir);
}

int relay_dir_open_or_make(relay_store **out, const char *dir, const uint8_t key[32], char why[RELAY_WHY_MAX])
{
    errno = 0;
    int rc = relay_store_open(out, dir, key);
    for (size_t i = 0; rc != TACET_OK && i < sizeof sentences / sizeof *sentences; i++)
        if (sentences[i].status == rc)
            return because(why, rc, "the store in %s %s", dir, sentences[i].text);
    return rc == TACET_OK ? rc : because(why, rc, "the store in %s cannot be opened: %s", dir, errno ? strerror(errno) : tacet_status_word(rc));
}

/* --- what the relay is ----------------------------------------------------------------------------------------------------------------- */
static int get_exactly(relay_store *s, const char *name, uint8_t *out, size_t bytes)
{
    size_t n = 0;
    int rc = relay_setting_get(s, name, out, bytes, &n);
    return rc == TACET_OK && n != bytes ? TACET_E_CORRUPT : rc;
}

static int put_alone(relay_store *s, const char *name, const uint8_t *bytes, size_t n)
{
    int rc = relay_begin(s);
    if (rc != TACET_OK)
        return rc;
    rc = relay_setting_put(s, name, (blob){ bytes, n });
    if (rc == TACET_OK)
        return relay_commit(s);
    relay_rollback(s);
    return rc;
}

int relay_self_load(relay_store *s, relay_self *self)
{
    int rc = get_exactly(s, "static-key", self->static_secret, 32);
    if (rc == TACET_OK)
        rc = get_exactly(s, "incarnation", self->incarnation, 16);
    if (rc != TACET_OK)
        return rc;
    dh_pair pair;
    dh_pair_from_secret(&pair, self->static_secret);
    memcpy(self->static_public, pair.public, 32);
    sodium_memzero(&pair, sizeof pair);
    return TACET_OK;
}

/* The incarnation first: relay_self_load asks for both, so what was cut off between them is made anew. */
int relay_self_make(relay_store *s, relay_self *self)
{
    int rc = relay_self_load(s, self);
    if (rc != TACET_E_NOT_FOUND)
        return rc == TACET_OK ? TACET_E_EXISTS : rc;
    dh_pair pair;
    dh_pair_generate(&pair, env_system());
    rc = relay_self_renew(s);
    if (rc == TACET_OK)
        rc = put_alone(s, "static-key", pair.secret, sizeof pair.secret);
    sodium_memzero(&pair, sizeof pair);
    return rc == TACET_OK ? relay_self_load(s, self) : rc;
}

int relay_invite_make(relay_store *s, uint32_t uses, uint64_t expires_s, uint8_t token[32])
{
    uint8_t hash[TACET_HASH_BYTES];
    int rc = relay_begin(s);
    if (rc != TACET_OK)
        return rc;
    randombytes_buf(token, TACET_TOKEN_BYTES);
    token_hash(hash, token);
    rc = relay_invite_add(s, hash, uses, expires_s);
    if (rc == TACET_OK)
        return relay_commit(s);
    relay_rollback(s);
    return rc;
}

int relay_self_renew(relay_store *s)
{
    uint8_t incarnation[16];
    randombytes_buf(incarnation, sizeof incarnation);
    return put_alone(s, "incarnation", incarnation, sizeof incarnation);
}

/* 2^40 numbers a run: more than any run gives out, and 2^23 starts of the relay before SQLite's integers end. */
int relay_numbers_reserve(relay_store *s, uint64_t last, uint64_t *first)
{
    uint8_t bytes[8] = { 0 };
    int rc = get_exactly(s, "numbers", bytes, sizeof bytes);
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return rc;
    reader r = reader_over(bytes, sizeof bytes);
    uint64_t from = read_be(&r, 8);
    *first = last + 1 > from ? last + 1 : from;
    writer w = writer_over(bytes, sizeof bytes);
    write_be(&w, *first + (1ull << 40), 8);
    return put_alone(s, "numbers", bytes, sizeof bytes);
}
