/* backup, restore. A backup has a passphrase of its own: it outlives the vault's, travels, and can be made while the vault is open without anybody
 * typing the vault's. It is stretched here, not in the engine, which gets the file's key alone. */
#include "base/text.h"
#include "cli.h"
#include "identity/backup.h"
#include "new_vault.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The backup's own passphrase: from its options, or the terminal; `fresh`: a new one, asked for twice. */
static int file_passphrase(cli *c, bool fresh, passphrase *out, engine_error *why)
{
    if (c->args.given[OPT_BACKUP_PASSPHRASE_FILE])
        return passphrase_from_file(out, c->arena, c->args.text[OPT_BACKUP_PASSPHRASE_FILE], why);
    if (c->args.given[OPT_BACKUP_PASSPHRASE_FD])
        return passphrase_from_fd(out, c->arena, (int)c->args.number[OPT_BACKUP_PASSPHRASE_FD], why);
    return fresh ? passphrase_choose(out, c->arena, sentence_text(SAY_ASK_BACKUP_NEW), why)
                 : passphrase_from_terminal(out, c->arena, sentence_text(SAY_ASK_BACKUP), why);
}

/* Absolute: the engine may live in another process, which stands in another folder. NULL: no memory, or no folder. */
static char *path_absolute(const char *path)
{
    char *folder = path[0] == '/' ? strdup("") : getcwd(NULL, 0), *whole = NULL;
    if (folder && asprintf(&whole, path[0] == '/' ? "%s%s" : "%s/%s", folder, path) < 0)
        whole = NULL;
    free(folder);
    return whole;
}

static json_t *hex_text(const uint8_t *bytes, size_t n)
{
    char text[2 * BACKUP_HEAD_BYTES + 1];
    hex_encode(text, bytes, n);
    json_t *o = json_string(text);
    sodium_memzero(text, sizeof text);
    return o;
}

static long long number_of(const json_t *o, const char *key) { return (long long)json_integer_value(json_object_get(o, key)); }

/* --- how far it is ------------------------------------------------------------------------------------------------------------------- */
enum { QUIET_MS = 1000, DRAW_MS = 200 }; /* what is over at once needs no bar */
typedef struct {
    const cli *c;
    const char *name;
    progress bar;
    uint64_t start_ms, drawn_ms;
} long_work;

static long_work work_begin(const cli *c) { return (long_work){ .c = c, .name = c->args.operand[0], .start_ms = env_mono_ms(env_system()) }; }

static void work_draw(void *ctx, uint64_t have, uint64_t of)
{
    long_work *w = ctx;
    uint64_t now = env_mono_ms(env_system());
    if (!isatty(STDERR_FILENO) || now - w->start_ms < QUIET_MS || now - w->drawn_ms < DRAW_MS)
        return;
    progress_draw(&w->bar, w->c, w->name, have, of, of, have * 1000 / (now - w->start_ms));
    w->drawn_ms = now;
}

static bool is_progress(const json_t *event)
{
    const char *what = json_string_value(json_object_get(event, "event"));
    return what && strcmp(what, "backup-progress") == 0;
}

static int backup_ask(cli *c, json_t *params, json_t **result)
{
    engine_error why = { 0 };
    uint64_t subscribed = 0, ticket = 0;
    long_work work = work_begin(c);
    int exit = caller_begin(c->caller, "subscribe", NULL, &subscribed, &why);
    if (exit == EXIT_DONE)
        exit = caller_begin(c->caller, "backup", params, &ticket, &why);
    else
        json_decref(params);
    while (exit == EXIT_DONE && !*result) {
        caller_news n;
        caller_next(c->caller, -1, &n);
        if (n.kind == CALLER_REPLY && n.ticket == ticket && n.body) {
            *result = json_incref(n.body);
        } else if (n.kind == CALLER_REPLY && n.ticket == ticket) {
            why = n.error;
            exit = why.exit;
        } else if (n.kind == CALLER_STOPPED) {
            exit = stopped(c, &n, &why);
        } else if (n.kind == CALLER_EVENT && is_progress(n.body)) {
            work_draw(&work, (uint64_t)number_of(n.body, "have"), (uint64_t)number_of(n.body, "of"));
        }
        json_decref(n.body);
    }
    progress_end(&work.bar);
    return exit == EXIT_DONE ? EXIT_DONE : fail_why(c, &why);
}

/* --- backup -------------------------------------------------------------------------------------------------------------------------- */
/* The call and its parameters; the key is wiped from them afterwards as far as it is ours. */
static json_t *params_with_key(const char *path, const uint8_t *head, const uint8_t *key)
{
    json_t *params = json_object();
    json_object_set_new(params, "path", json_string(path));
    json_object_set_new(params, "key", hex_text(key, BACKUP_KEY_BYTES));
    if (head)
        json_object_set_new(params, "head", hex_text(head, BACKUP_HEAD_BYTES));
    return params;
}

static int backup_say(cli *c, json_t *made)
{
    char contacts[24], messages[24], bytes[24];
    say_bytes(bytes, (uint64_t)number_of(made, "bytes"));
    if (!c->json)
        note(c, SAY_BACKUP_MADE, say_number(contacts, number_of(made, "contacts")), say_number(messages, number_of(made, "messages")), bytes);
    if (c->json)
        (void)say_object("backup", made);
    else
        json_decref(made);
    return say_flush(c);
}

int run_backup(cli *c)
{
    engine_error why = { 0 };
    passphrase chosen = { 0 };
    uint8_t head[BACKUP_HEAD_BYTES];
    json_t *made = NULL;
    int exit = engine_reach(c);
    if (exit != EXIT_DONE)
        return exit;
    char *path = path_absolute(c->args.operand[0]);
    uint8_t *key = secret_alloc(c->arena, BACKUP_KEY_BYTES);
    int rc = path && key ? TACET_OK : TACET_E_NOMEM;
    if (rc != TACET_OK)
        sentence_fill(&why, SAY_NO_MEMORY, NULL, NULL, NULL);
    if (rc == TACET_OK && access(path, F_OK) == 0) { /* said before anybody types; the engine looks again */
        sentence_fill(&why, SAY_FILE_EXISTS, c->args.operand[0], NULL, NULL);
        rc = TACET_E_EXISTS;
    }
    if (rc == TACET_OK)
        rc = file_passphrase(c, true, &chosen, &why);
    if (rc == TACET_OK) {
        randombytes_buf(key, BACKUP_KEY_BYTES);
        rc = backup_head_make(head, key, chosen.text, chosen.bytes, cost_of(c), env_system());
        if (rc != TACET_OK)
            sentence_fill(&why, sentence_of_status(rc), sentence_text(SAY_WHY_PASSPHRASE_COST), NULL, NULL);
    }
    passphrase_free(&chosen, c->arena);
    exit = rc == TACET_OK ? backup_ask(c, params_with_key(path, head, key), &made) : fail_why(c, &why);
    secret_free(c->arena, key);
    free(path);
    return exit == EXIT_DONE ? backup_say(c, made) : exit;
}

/* --- restore ------------------------------------------------------------------------------------------------------------------------- */
static int head_read(const char *path, uint8_t head[BACKUP_HEAD_BYTES], size_t *n, engine_error *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t got = fd < 0 ? -1 : read(fd, head, BACKUP_HEAD_BYTES);
    if (got < 0)
        sentence_fill(why, errno == ENOENT ? SAY_RESTORE_MISSING : errno == EIO ? SAY_IO : SAY_RESTORE_UNREADABLE, path, strerror(errno), NULL);
    if (fd >= 0)
        close(fd);
    *n = got < 0 ? 0 : (size_t)got;
    return got < 0 ? TACET_E_IO : TACET_OK;
}

static int head_judged(const char *path, int rc, engine_error *why)
{
    static const struct {
        int status;
        sentence say;
    } row[] = {
        { TACET_E_MALFORMED, SAY_BACKUP_NONE }, { TACET_E_NEWER, SAY_BACKUP_NEWER },           { TACET_E_CORRUPT, SAY_BACKUP_DAMAGED },
        { TACET_E_GAP, SAY_BACKUP_CUT },        { TACET_E_PASSPHRASE, SAY_BACKUP_PASSPHRASE },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == rc)
            sentence_fill(why, row[i].say, path, NULL, NULL);
    if (rc != TACET_OK && !why->code)
        sentence_fill(why, sentence_of_status(rc), path, NULL, NULL);
    return rc;
}

/* The file's key, before anything is made. */
static int backup_open(cli *c, const char *path, uint8_t key[BACKUP_KEY_BYTES])
{
    uint8_t head[BACKUP_HEAD_BYTES];
    engine_error why = { 0 };
    passphrase given = { 0 };
    size_t n = 0;
    int rc = head_read(path, head, &n, &why);
    if (rc == TACET_OK)
        rc = head_judged(path, backup_head_check(head, n), &why);
    if (rc == TACET_OK)
        rc = file_passphrase(c, false, &given, &why);
    if (rc == TACET_OK)
        rc = head_judged(path, backup_head_open(key, head, given.text, given.bytes), &why);
    passphrase_free(&given, c->arena);
    return rc == TACET_OK ? EXIT_DONE : fail_why(c, &why);
}

static int restore_say(cli *c, json_t *me, const char *code)
{
    char contacts[24], messages[24];
    if (!c->json) {
        note(c, SAY_RESTORED, json_string_value(json_object_get(me, "name")), say_number(contacts, number_of(me, "contacts")),
             say_number(messages, number_of(me, "messages")));
        const char *link = json_string_value(json_object_get(me, "link"));
        say("%s", link ? link : "");
        recovery_say(code);
    } else {
        recovery_add(me, code);
    }
    if (c->json)
        (void)say_object("whoami", me);
    else
        json_decref(me);
    return say_flush(c);
}

int run_restore(cli *c)
{
    engine_error why = { 0 };
    json_t *me = NULL;
    char code[UNLOCK_CODE_CHARS + 1] = "";
    int exit = new_vault_arguments(c);
    if (exit == EXIT_DONE)
        exit = profile_reach(c, true);
    if (exit != EXIT_DONE)
        return exit;
    char *path = path_absolute(c->args.operand[0]);
    uint8_t *key = secret_alloc(c->arena, BACKUP_KEY_BYTES);
    exit = path && key ? backup_open(c, path, key) : fail(c, SAY_NO_MEMORY, NULL, NULL, NULL);
    long_work work = work_begin(c);
    c->working = work_draw;
    c->working_ctx = &work;
    if (exit == EXIT_DONE) {
        exit = new_vault_reach(c, &why);
        work.start_ms = env_mono_ms(env_system());
        if (exit != EXIT_DONE)
            exit = fail_why(c, &why);
    }
    if (exit == EXIT_DONE) /* a large history takes its time, and the relay is asked afterwards */
        exit = engine_ask(c, "restore", params_with_key(path, NULL, key), -1, &me);
    progress_end(&work.bar);
    if (exit == EXIT_DONE)
        exit = recovery_make(c, code);
    if (exit == EXIT_DONE)
        exit = restore_say(c, me, code);
    sodium_memzero(code, sizeof code);
    secret_free(c->arena, key);
    free(path);
    return exit;
}
