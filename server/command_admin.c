/* server/command_admin.c: tacetd invite, status, check. Each asks the running relay over its control socket; where none runs, it opens the store. */
#include "server/commands.h"
#include "base/env.h"
#include "base/text.h"
#include "identity/directory.h"
#include "server/control.h"
#include "server/relay_dir.h"
#include "storage/blobs.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INVITE_DEFAULT_S = 7 * 86400 };

/* The stopped relay's store; the lock is held until *lock is closed. */
static exit_code open_stopped(const options *o, relay_store **s, int *lock)
{
    char why[RELAY_WHY_MAX];
    uint8_t key[32];
    if (relay_dir_check(o->data, why) != TACET_OK || relay_dir_lock(o->data, lock, why) != TACET_OK)
        return fail("%s", why);
    int rc = relay_key_settle(o->data, o->key_file, why);
    if (rc == TACET_OK)
        rc = relay_key_load(key, o->data, o->key_file, why);
    if (rc == TACET_OK)
        rc = relay_dir_open(s, o->data, key, why);
    sodium_memzero(key, sizeof key);
    if (rc == TACET_OK)
        return EXIT_DONE;
    close(*lock);
    return fail("%s", why);
}

/* EXIT_DONE: *answer is the running relay's. EXIT_USAGE: none runs. EXIT_FAILED: it said no, and that was told. */
static exit_code ask(const options *o, const char *line, char answer[CONTROL_ANSWER_MAX])
{
    char why[RELAY_WHY_MAX];
    if (relay_dir_check(o->data, why) != TACET_OK)
        return fail("%s", why);
    int rc = control_ask(o->data, line, answer, CONTROL_ANSWER_MAX);
    if (rc == TACET_OK)
        return EXIT_DONE;
    if (rc == TACET_E_NOT_FOUND)
        return EXIT_USAGE;
    return fail("%s", rc == TACET_E_REFUSED ? answer : "the running relay does not answer");
}

exit_code command_invite(const options *o)
{
    char line[128], answer[CONTROL_ANSWER_MAX] = "";
    uint64_t uses = o->uses ? o->uses : 1, expires_s = o->expires_s ? o->expires_s : INVITE_DEFAULT_S;
    snprintf(line, sizeof line, "invite %llu %llu", (unsigned long long)uses, (unsigned long long)expires_s);
    exit_code rc = ask(o, line, answer);
    if (rc == EXIT_DONE)
        fputs(answer, stdout);
    if (rc != EXIT_USAGE)
        return rc;
    relay_store *s = NULL;
    int lock = -1;
    rc = open_stopped(o, &s, &lock);
    if (rc != EXIT_DONE)
        return rc;
    uint8_t token[TACET_TOKEN_BYTES];
    char text[BASE32_CHARS(TACET_TOKEN_BYTES) + 1];
    int status = relay_invite_make(s, (uint32_t)uses, env_now_ms(env_system()) / 1000 + expires_s, token);
    base32_encode(text, token, sizeof token);
    relay_store_close(s);
    close(lock);
    if (status != TACET_OK)
        return fail("the invitation could not be stored: %s", tacet_status_word(status));
    puts(text);
    return EXIT_DONE;
}

/* --- status ---------------------------------------------------------------------------------------------------------------------------- */
static const struct {
    const char *key, *text;
} shown[] = {
    { "uptime_s", "running for seconds" },
    { "workers", "net processes" },
    { "connections", "connections" },
    { "subscriptions", "devices that listen" },
    { "mailboxes", "mailboxes" },
    { "queued_messages", "messages that wait" },
    { "queued_bytes", "bytes that wait" },
    { "blobs", "blobs" },
    { "blob_reserved_bytes", "  bytes set aside for them" },
    { "blob_segment_bytes", "  bytes of their segments" },
    { "commits_per_s", "commits a second" },
    { "accepted", "messages accepted" },
    { "committed", "  of these written" },
    { "handed_off", "  of these handed over unwritten" },
    { "acknowledged", "acknowledged by devices" },
    { "expired", "expired unread" },
    { "chunks_put", "chunks put" },
    { "chunks_stored", "  of these written" },
    { "chunks_handed_off", "  of these handed over unwritten" },
    { "chunks_delivered", "chunks delivered" },
    { "blobs_expired", "blobs expired" },
};

static const char *value_of(const char *answer, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = answer; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return line + n + 1;
    return "";
}

static void print_json(const char *answer)
{
    printf("{\"v\":1,\"event\":\"status\"");
    for (const char *line = answer; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int name = (int)strcspn(line, " \n"), value = line[name] == ' ' ? (int)strspn(line + name + 1, "0123456789") : 0;
        if (value > 0)
            printf(",\"%.*s\":%.*s", name, line, value, line + name + 1);
    }
    puts("}");
}

exit_code command_status(const options *o)
{
    char answer[CONTROL_ANSWER_MAX] = "";
    exit_code rc = ask(o, "status", answer);
    if (rc == EXIT_USAGE)
        return fail("no relay runs on %s; start it with: tacetd run --data %s", o->data, o->data);
    if (rc != EXIT_DONE)
        return rc;
    if (o->json) {
        print_json(answer);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const char *value = value_of(answer, shown[i].key);
        printf("%-32s %.*s\n", shown[i].text, (int)strcspn(value, "\n"), value);
    }
    return EXIT_DONE;
}

exit_code command_check(const options *o)
{
    char answer[CONTROL_ANSWER_MAX], where[256] = "";
    relay_store *s = NULL;
    int lock = -1;
    exit_code rc = ask(o, "check", answer);
    if (rc == EXIT_USAGE) {
        rc = open_stopped(o, &s, &lock);
        if (rc != EXIT_DONE)
            return rc;
        int status = relay_check(s, where, sizeof where);
        if (status == TACET_OK)
            status = relay_segments_check(s, where, sizeof where);
        relay_store_close(s);
        close(lock);
        if (status != TACET_OK)
            return fail("the store is not sound (%s): %s", tacet_status_word(status), where);
    }
    if (rc == EXIT_DONE)
        puts("sound");
    return rc;
}
